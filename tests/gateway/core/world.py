"""A gateway's core with a real database and nothing around it: decisions run one by one, their effects are applied at once.

`World` is the gateway, `Party` a device that numbers, chains and signs as a client would. Both let a test break any rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import apsw

from gateway import wire
from gateway.core import acts, answers, requests
from gateway.core.append import Gateway
from gateway.core.effects import Append, Outcome
from gateway.core.errors import Refused
from gateway.core.rows import Identity, Stored
from gateway.store.changes import apply
from gateway.store.database import lay_out
from gateway.store.rows import Parsed, SqliteView
from keys import body
from keys.authority import CharterAuthentication, issue_revocation_list
from keys.canonical import encode
from keys.charter import sign
from keys.credential import Certified, issue_device
from keys.envelope import NOTHING, Context, Envelope, Kind, Marking, Precedence, bare, seal
from keys.franking import application_data, franking_tag
from keys.identity import ChannelId, SigningKey
from keys.mls import (
    LAST_RESORT,
    Add,
    Credential,
    Extension,
    Group,
    KeyPackage,
    KeyPackageSecrets,
    PendingCommit,
    Proposal,
    cipher_suite,
    new_key_package,
)
from keys.mls.leaves import new_capabilities
from keys.policy import render
from tests.keys.mission import NOW, Device, House, Mission, Registrar
from tests.restored import restored


@dataclass
class Party:
    """A device as the gateway meets it."""

    world: World
    device: Device | Registrar
    numbers: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    groups: dict[bytes, Group] = field(default_factory=dict)
    packages: list[tuple[KeyPackage, KeyPackageSecrets]] = field(default_factory=list)
    pending: PendingCommit | None = None

    @property
    def id(self) -> bytes:
        return self.device.device if isinstance(self.device, Registrar) else self.device.id

    @property
    def der(self) -> bytes:
        return self.device.der if isinstance(self.device, Registrar) else self.device.certified.der

    @property
    def identity(self) -> Identity:
        certified = self.world.charter.verify_certificate(self.der)
        return Identity(
            certified.device,
            certified.person,
            certified.organisation,
            certified.roles,
            certified.hash,
            certified.public_key,
            certified.not_after,
            certified.registrar,
        )

    def context(self, kind: Kind, channel: bytes, **changes: Any) -> Context:
        number, link = self.numbers.get(channel, (0, NOTHING))
        context = bare(kind, self.id, channel, number + 1, link, self.world.now, Precedence.ROUTINE)
        return Context(**{**{f: getattr(context, f) for f in context.__struct_fields__}, **changes})

    def say(self, kind: Kind, channel: bytes, data: bytes, **changes: Any) -> Any:
        """Seal one envelope and hand it in; its number counts only if it is accepted."""
        return self.hand_in([(seal(self.context(kind, channel, **changes), data, self.device.key), data)], channel)

    def hand_in(self, run: Sequence[tuple[Envelope, bytes]], channel: bytes) -> Any:
        parts = [
            wire.Sealed(e.header, e.signature, data if len(data) <= wire.CHUNK else self.world.put(self, data))
            for e, data in run
        ]
        answer = self.world.ask(self, wire.Submit(1, parts))
        if isinstance(answer, wire.Accepted):
            number, _ = self.numbers.get(channel, (0, NOTHING))
            self.numbers[channel] = (number + len(run), run[-1][0].link)
        return answer

    def renewed(self) -> tuple[Certified, SigningKey]:
        """A new certificate for this device, approved; it has the new key from here on. Gives the old one and the new key."""
        assert isinstance(self.device, Device)
        old, world = self.device.certified, self.world
        registrars = world.registrars[old.organisation]
        issuer = registrars[0].device
        assert isinstance(issuer, Registrar)
        key = SigningKey.generate(world.random)
        life = (world.now - 1_000, old.not_after)
        der = issue_device(issuer.der, issuer.key, key.public, old.person, old.device, old.roles, life, world.random)
        answer = registrars[1].say(Kind.CERTIFICATE, world.charter.control_channel, der)
        assert isinstance(answer, wire.Accepted), answer
        self.device = Device(key, world.charter.verify_certificate(der))
        return old, key

    # MLS

    def key_package(
        self, suite_id: int = 1, listed: tuple[int, ...] = (body.TERMS_EXTENSION, LAST_RESORT), **changes: Any
    ) -> KeyPackage:
        suite = cipher_suite(suite_id)
        credential = Credential.x509([self.der])
        package, secrets = new_key_package(
            suite,
            credential,
            self.device.key.seed,
            not_before=self.world.now // 1000 - 60,
            not_after=self.world.now // 1000 + 86_400,
            random=self.world.random,
            capabilities=new_capabilities(suite, credential, listed),
            **changes,
        )
        self.packages.append((package, secrets))
        return package

    def create_channel(self, name: str = "narrow", ceiling: Marking = Marking.AMBER, **terms: Any) -> ChannelId:
        channel = ChannelId(self.world.random(16))
        answer = self.found(channel, name, ceiling, **terms)
        assert isinstance(answer, wire.Accepted), answer
        return channel

    def found(self, channel: bytes, name: str, ceiling: Marking, version: int = 1, suite_id: int | None = None) -> Any:
        kind = self.world.charter.policy.channel_class(name)
        suite = cipher_suite(suite_id or kind.suite)
        credential = Credential.x509([self.der])
        terms = body.ChannelTerms(version, name, ceiling).encode()
        group = Group.create(
            suite,
            channel,
            credential,
            self.device.key.seed,
            self.world.auth,
            extensions=(Extension(body.TERMS_EXTENSION, terms),),
            capabilities=new_capabilities(suite, credential, (body.TERMS_EXTENSION,)),
            not_before=self.world.now // 1000 - 60,
            not_after=self.world.now // 1000 + 86_400,
            random=self.world.random,
        )
        self.groups[channel] = group
        data = encode(body.ChannelCreated(group.group_info(), group.tree_bytes()))
        return self.say(Kind.CHANNEL_CREATED, channel, data, marking=ceiling)

    def prepare(
        self, channel: bytes, proposals: Sequence[Proposal], *, attempt: int = 0, **commit: Any
    ) -> tuple[Context, PendingCommit]:
        group = self.groups[channel]
        context = self.context(Kind.COMMIT, channel, epoch=group.epoch, attempt=attempt)
        pending = group.commit(
            proposals, authenticated_data=context.authenticated_data(), random=self.world.random, **commit
        )
        return context, pending

    def commit(self, channel: bytes, proposals: Sequence[Proposal] = (), **commit: Any) -> Any:
        context, pending = self.prepare(channel, proposals, **commit)
        answer = self.send_commit(channel, context, pending)
        if isinstance(answer, wire.Accepted):
            self.groups[channel] = pending.group
        self.pending = pending
        return answer

    def join(self, by: Party, channel: bytes) -> None:
        """Join by the Welcome of the other's last commit."""
        package, secrets = self.packages[-1]
        assert by.pending is not None
        assert by.pending.welcome is not None
        self.groups[channel] = Group.join(
            by.pending.welcome,
            package,
            secrets,
            self.device.key.seed,
            self.world.auth,
            ratchet_tree=by.groups[channel].tree_bytes(),
        )

    def send_commit(self, channel: bytes, context: Context, pending: PendingCommit) -> Any:
        for part in (pending.group_info, pending.welcome):
            if part is not None:
                self.world.put(self, part)
        welcome = sha256(pending.welcome).digest() if pending.welcome else None
        data = encode(body.Commit(pending.message, welcome, sha256(pending.group_info).digest()))
        return self.hand_in([(seal(context, data, self.device.key), data)], channel)

    def add(self, channel: bytes, *others: Party) -> Any:
        return self.commit(channel, [Add(o.key_package(self.groups[channel].suite.id)) for o in others])

    def message(self, channel: bytes, text: bytes = b"vehicle clear", **changes: Any) -> tuple[Envelope, bytes]:
        """An application envelope, signed, not handed in."""
        group = self.groups[channel]
        salt = changes.pop("salt", None) or self.world.random(16)
        changes = {"epoch": group.epoch, "franking": franking_tag(salt, text), **changes}
        context = self.context(changes.pop("kind", Kind.APPLICATION), channel, **changes)
        self.groups[channel], data = group.protect(
            application_data(salt, text),
            authenticated_data=context.authenticated_data(),
            padding=128,
            random=self.world.random,
        )
        return seal(context, data, self.device.key), data

    def send(self, channel: bytes, text: bytes = b"vehicle clear", **changes: Any) -> Any:
        return self.hand_in([self.message(channel, text, **changes)], channel)


class World:
    """The gateway: charter installed, lists published, one database in memory."""

    def __init__(self, seed: int = 1) -> None:
        self.mission = Mission(seed)
        self.charter = self.mission.charter
        self.random = self.mission.random
        self.now = NOW
        self.db = apsw.Connection(":memory:")
        lay_out(self.db, 0)
        self.view = SqliteView(self.db, Parsed())
        self.gateway = Gateway(self.charter, self.mission.gateway)
        self.committed: list[Stored] = []
        self.auth = self.authentication()
        self.run(
            lambda: acts.install_charter(
                self.view,
                self.charter.note,
                self.mission.gateway,
                self.charter.policy.log_key,
                self.now,
                self.random,
            )
        )
        self.registrars = {
            house.organisation.name: [Party(self, r) for r in house.registrars]
            for house in (self.mission.home, self.mission.partner)
        }
        for name in self.registrars:
            self.publish_list(name)

    def succeed(self, **changes: Any) -> None:
        """Put the charter's next version in force, signed by its quorum."""
        policy = replace(self.charter.policy, version=self.charter.policy.version + 1, **changes)
        self.install(sign(render(policy), self.mission.authorities[:2]))

    def install(self, note: bytes) -> Any:
        key, log_key = self.mission.gateway, self.mission.policy.log_key
        answer = self.run(lambda: acts.install_charter(self.view, note, key, log_key, self.now, self.random))
        charter = self.view.charter()
        assert charter is not None
        self.charter, self.gateway = charter, Gateway(charter, key)
        self.auth = self.authentication()
        return answer

    def authentication(self) -> Any:
        return CharterAuthentication(self.charter, self._knows)

    def _knows(self, certificate: bytes) -> bool:
        return self.view.certificate(certificate) is not None

    def run(self, decision: Any) -> Any:
        """One transaction of one decision."""
        with self.db:
            outcome: Outcome[Any] = decision()
            for effect in outcome.effects:
                apply(self.db, effect)
                if isinstance(effect, Append):
                    self.committed += effect.run
        return outcome.answer

    def decide(self, who: Identity | None, frame: Any) -> Outcome[Any]:
        """The bare decision; raises Refused."""
        return requests.decide(self.view, who, frame, self.gateway, self.now, self.random)

    def ask(self, party: Party | None, frame: Any) -> Any:
        """The answer's frame, or the Refused that was raised."""
        who = party.identity if party else None
        try:
            return self.run(lambda: self.decide(who, frame))
        except Refused as refused:
            return refused

    def tell(self, party: Party | None, frame: Any) -> Any:
        try:
            return answers.answer(self.view, party.identity if party else None, frame, self.now)
        except Refused as refused:
            return refused

    def put(self, party: Party, data: bytes) -> None:
        """Put a body in chunks."""
        for offset in range(0, len(data), wire.CHUNK):
            piece = data[offset : offset + wire.CHUNK]
            done = self.ask(party, wire.PutChunk(1, sha256(data).digest(), len(data), offset, piece))
            assert isinstance(done, wire.Done), done

    def publish_list(self, organisation: str, serials: Sequence[int] = (), number: int = 1) -> Any:
        registrar = self.registrars[organisation][0]
        assert isinstance(registrar.device, Registrar)
        listed = issue_revocation_list(
            registrar.der, registrar.device.key, number, serials, self.now, self.now + 86_400_000
        )
        return registrar.say(Kind.REVOCATION_LIST, self.charter.control_channel, listed)

    def enrolled(self, *roles: str, house: House | None = None, **changes: Any) -> Party:
        """A device whose certificate the organisation's second registrar has approved."""
        house = house or self.mission.home
        party = Party(self, self.mission.device(*roles, house=house, **changes))
        approver = self.registrars[house.organisation.name][1]
        answer = approver.say(Kind.CERTIFICATE, self.charter.control_channel, party.der)
        assert isinstance(answer, wire.Accepted), answer
        return party

    def snapshot(self) -> str:
        """All that is stored, to compare before and after a refusal."""
        return sha256(self.db.serialize("main")).hexdigest()


@restored
def founded(seed: int = 1) -> World:
    """A world just begun."""
    return World(seed)
