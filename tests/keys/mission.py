"""A small mission for tests: two organisations, their roots and registrars, a charter, and devices on demand.

Everything is made from one seed, so a failure repeats.
"""

from __future__ import annotations

import random as _random
from dataclasses import dataclass, replace

from keys.charter import Charter, found, sign
from keys.credential import Certified, issue_device, issue_registrar, issue_root
from keys.envelope import Marking
from keys.identity import DeviceId, PersonId, Random, SigningKey
from keys.policy import DEFAULT_CLASSES, DEFAULT_ROLES, Organisation, Policy, render
from keys.tlog.note import Ed25519Signer

NOW = 1_790_000_000_000
DAY = 86_400_000
LIFE = (NOW - DAY, NOW + 30 * DAY)


@dataclass
class Registrar:
    key: SigningKey
    der: bytes
    person: PersonId
    device: DeviceId


@dataclass
class House:
    """An organisation with its keys."""

    organisation: Organisation
    root: SigningKey
    registrars: list[Registrar]


@dataclass
class Device:
    key: SigningKey
    certified: Certified

    @property
    def id(self) -> DeviceId:
        return self.certified.device


class Mission:
    """A founded mission: `charter`, the keys behind it, and `device(...)` for more people."""

    def __init__(
        self,
        seed: int = 1,
        *,
        tls_key: bytes = bytes(32),
        url: str = "https://127.0.0.1:8440",
        now: int = NOW,
    ) -> None:
        self.now = now
        self.random: Random = _random.Random(seed).randbytes
        self.gateway = SigningKey.generate(self.random)
        self.log = Ed25519Signer.from_seed("log.test/meridian", self.random(32))
        self.authorities = [Ed25519Signer.from_seed(f"authority-{n}", self.random(32)) for n in range(3)]
        self.home = self.house("Meridian", home=True, roles=frozenset({"agent", "auditor", "leader", "officer"}))
        self.partner = self.house("Hostpol", home=False, roles=frozenset({"guest"}))
        self.policy = Policy(
            mission="Meridian Mission",
            version=1,
            not_after=self.now + 365 * DAY,
            authority_keys=tuple(a.verifier_key.encode() for a in self.authorities),
            quorum=2,
            log_origin="log.test/meridian",
            log_key=self.log.verifier_key.encode(),
            gateway_key=self.gateway.public,
            gateway_url=url,
            tls_keys=(tls_key,),
            crl_hours=24,
            crl_message_hours=72,
            break_glass=True,
            organisations=(self.home.organisation, self.partner.organisation),
            classes=DEFAULT_CLASSES,
            roles=DEFAULT_ROLES,
            auditors=("gita",),
            witnesses=(),
        )
        self.charter: Charter = found(sign(render(self.policy), self.authorities[:2]))

    def house(self, name: str, *, home: bool, roles: frozenset[str]) -> House:
        root = SigningKey.generate(self.random)
        root_der = issue_root(root, (self.now - DAY, self.now + 3650 * DAY), self.random)
        registrars = []
        for _ in range(2):
            key, person, device = SigningKey.generate(self.random), PersonId(self.random(16)), DeviceId(self.random(16))
            der = issue_registrar(
                root_der, root, key.public, person, device, (self.now - DAY, self.now + 365 * DAY), self.random
            )
            registrars.append(Registrar(key, der, person, device))
        organisation = Organisation(
            name=name,
            home=home,
            root=root_der,
            registrars=tuple(r.der for r in registrars),
            roles=roles,
            ceiling=Marking.RED if home else Marking.AMBER,
            until=0 if home else self.now + 90 * DAY,
            agreement="" if home else "HP-3",
        )
        return House(organisation, root, registrars)

    def device(
        self, *roles: str, house: House | None = None, person: bytes | None = None, life: tuple[int, int] | None = None
    ) -> Device:
        house = house or self.home
        key = SigningKey.generate(self.random)
        registrar = house.registrars[0]
        life = life or (self.now - DAY, self.now + 30 * DAY)
        who, device = PersonId(person or self.random(16)), DeviceId(self.random(16))
        der = issue_device(registrar.der, registrar.key, key.public, who, device, frozenset(roles), life, self.random)
        return Device(key, self.charter.verify_certificate(der))

    def successor(self, **changes: object) -> Policy:
        return replace(self.policy, version=self.policy.version + 1, **changes)  # type: ignore[arg-type]
