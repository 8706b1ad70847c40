"""A mission of one organisation for the bench: keys, certificates that are valid now, and a charter that names a real gateway.

What the registrars and authorities of a mission would do on their own machines happens here in one process.
"""

import os
import time
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from keys.authority import issue_revocation_list
from keys.body import TERMS_EXTENSION
from keys.charter import Charter, found, sign
from keys.credential import issue_device, issue_registrar, issue_root
from keys.envelope import Marking
from keys.identity import DeviceId, PersonId, SigningKey
from keys.mls import Credential, KeyPackage, KeyPackageSecrets, cipher_suite, new_key_package
from keys.mls.leaves import new_capabilities
from keys.policy import DEFAULT_CLASSES, DEFAULT_ROLES, ChannelClass, Organisation, Policy, render
from keys.request import GatewayRequest
from keys.tlog.note import Ed25519Signer

DAY = 86_400_000  # ms
CLASS = "narrow"  # suite 1, no alerts
ALERTS = "alerts"  # suite 1, nothing but alerts and answers
SUITE = 1


def now() -> int:
    """ms since the epoch, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, eq=False)
class Device:
    """A device or registrar: its key and the certificate that names it."""

    key: SigningKey
    der: bytes
    id: DeviceId
    person: PersonId

    @cached_property
    def hash(self) -> bytes:
        """The certificate's."""
        return sha256(self.der).digest()

    @cached_property
    def credential(self) -> Credential:
        return Credential.x509([self.der])

    def key_package(self) -> tuple[KeyPackage, KeyPackageSecrets]:
        """A fresh KeyPackage that a channel with our terms takes."""
        suite, seconds = cipher_suite(SUITE), now() // 1000
        return new_key_package(
            suite,
            self.credential,
            self.key.seed,
            not_before=seconds - 3_600,
            not_after=seconds + 86_400,
            random=os.urandom,
            capabilities=new_capabilities(suite, self.credential, (TERMS_EXTENSION,)),
        )


class Everybody:
    """The bench's members trust one another: it measures the gateway, and the gateway checks every certificate."""

    def validate(self, credential: Credential, signature_key: bytes) -> None: ...

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return True


class Mission:
    """One organisation with a root and two registrars, and the charter that they make for a gateway."""

    def __init__(self) -> None:
        self._began = now() // 1000 * 1000
        self._root = SigningKey.generate(os.urandom)
        self._root_der = issue_root(self._root, self._life(3_650), os.urandom)
        self.registrars = [self._registrar() for _ in range(2)]
        self._authorities = [Ed25519Signer.from_seed(f"authority-{n}", os.urandom(32)) for n in range(2)]

    def _life(self, days: int) -> tuple[int, int]:
        return self._began - DAY, self._began + days * DAY

    def _registrar(self) -> Device:
        key, person, device = SigningKey.generate(os.urandom), PersonId(os.urandom(16)), DeviceId(os.urandom(16))
        der = issue_registrar(self._root_der, self._root, key.public, person, device, self._life(365), os.urandom)
        return Device(key, der, device, person)

    def device(self, *roles: str) -> Device:
        """A device certified by the first registrar; it counts once the second one's approval is logged."""
        registrar = self.registrars[0]
        key, device = SigningKey.generate(os.urandom), DeviceId(os.urandom(16))
        person = PersonId(os.urandom(16))
        der = issue_device(
            registrar.der, registrar.key, key.public, person, device, frozenset(roles), self._life(30), os.urandom
        )
        return Device(key, der, device, person)

    def revocation_list(self) -> bytes:
        """The first list, on which nobody stands."""
        registrar = self.registrars[0]
        return issue_revocation_list(registrar.der, registrar.key, 1, [], self._began, self._began + DAY)

    def charter(self, request: GatewayRequest) -> Charter:
        """The founding charter, for the gateway that asks."""
        home = Organisation(
            name="Meridian",
            home=True,
            root=self._root_der,
            registrars=tuple(r.der for r in self.registrars),
            roles=frozenset({"agent", "leader", "officer"}),
            ceiling=Marking.RED,
            until=0,
        )
        policy = Policy(
            mission="Bench",
            version=1,
            not_after=self._began + 365 * DAY,
            authority_keys=tuple(a.verifier_key.encode() for a in self._authorities),
            quorum=2,
            log_origin=request.origin,
            log_key=request.log_key,
            gateway_key=request.gateway_key,
            gateway_url=request.url,
            tls_keys=tuple(request.tls_keys),
            crl_hours=24,
            crl_message_hours=72,
            break_glass=False,
            organisations=(home,),
            classes=(*DEFAULT_CLASSES, ChannelClass(ALERTS, SUITE, Marking.AMBER, True, "shown", 30, 30)),
            roles=DEFAULT_ROLES,
            auditors=(),
            witnesses=(),
        )
        return found(sign(render(policy), self._authorities))
