"""The mission's officers for certificates: devices are revoked, certificates run out and are renewed. Drawn from the seed.

    revoked   once a run a device is put on its organisation's list. Its session ends, nothing of it is taken any more, and the
              others take its leaf out of every channel
    renewal   a device asks for its next certificate, now or in the last third of the present one's life; its registrar makes it, a
              second one logs it, and it goes into the device's leaf in every channel. Those made here last minutes; one that
              was not renewed in time has run out, and its leaf has to go like a revoked one

What a registrar does at his desk is an envelope of his own (or a `Grant`), handed to the gateway as from a session. What it could not take
is brought again at the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from clients.core import records
from clients.core.records import AlarmKind, Enrolling
from clients.renewing import take
from gateway import wire
from gateway.core import requests
from gateway.core.append import Gateway
from gateway.core.rows import Invitation, Member, Stored
from gateway.core.session import registrar_identity
from gateway.core.view import View
from gateway.store.base import Damaged
from keys.authority import issue_revocation_list, read_renewal, renewal_id, request_renewal
from keys.credential import issue_device, read_certificate
from keys.envelope import Kind, Precedence, bare, seal
from keys.errors import KeysError
from keys.identity import SigningKey
from tests.keys.mission import DAY, House, Registrar
from tests.simulation.violated import need

if TYPE_CHECKING:
    from tests.simulation.gateway import Process
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

MINUTE: Final = 60_000
LOOK: Final = 3_000  # ms between two looks at what is to be done
LOOK_CALMLY: Final = 30_000  # ms, in a mission that is not frantic
LATE: Final = 150_000  # ms: a device whose certificate ended so long ago is out, whatever the clocks say
VICTIMS: Final = ("ana", "ben", "gus")
LIVES: Final = (4 * MINUTE, 12 * MINUTE, 60 * MINUTE, 30 * DAY)


class Office:
    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.sim.random("office")
        self.lost: Phone | None = None
        self.lost_at: int | None = None
        """The log index after which nothing is taken of it."""
        self.renewing: dict[str, None] = {}
        self.open = False
        """Whether there is anything to look at."""

    # --- what the seed asks for ---

    def revoke(self, chance: Random) -> None:
        """A device is lost; its organisation says so."""
        if self.lost is None:
            phone = self.lost = self.world.phones[chance.choice(VICTIMS)]
            self.world.sim.note(f"{phone.name} is lost")
            phone.spoiled = phone.spoiled or "revoked"
            self._begin()

    def renew(self, chance: Random) -> None:
        """A device wants its next certificate now."""
        phone = self.world.phones[chance.choice(list(self.world.phones))]
        self.renewing[phone.name] = None
        if not phone.spoiled:
            self._ask(phone)
        self._begin()

    def _begin(self) -> None:
        if not self.open:
            self.open = True
            self._look()

    def _house(self, phone: Phone) -> House:
        me, mission = records.IDENTITY.get(phone.ledger), self.world.mission
        assert me is not None
        return mission.home if me.organisation == mission.home.organisation.name else mission.partner

    # --- at the desk ---

    def _look(self) -> None:
        calm = self.world.tempo.routine and self.world.hurt
        self.world.sim.after(LOOK_CALMLY if calm else LOOK, self._look)
        for name in self.renewing:
            self._pursue(self.world.phones[name])
        process = self.world.machine.process
        if process is None or not process.alive or process.paused > self.world.sim.now:
            return
        try:
            if self.lost is not None:
                self._list(process, self.lost)
            for phone in map(self.world.phones.__getitem__, self.renewing):
                if phone is not self.lost:
                    self._grant(process, phone)
        except Damaged:
            process.machine.noticed()

    def _list(self, process: Process, lost: Phone) -> None:
        """Until each of its certificates is on the list, those that were under way too."""
        with process.store.snapshot() as view:
            rows = view.certificates(lost.id)
            listed = view.revocations(self._house(lost).organisation.name)
            if all(row.revoked for row in rows):
                self.lost_at = view.log_size() if self.lost_at is None else self.lost_at
                return
        now, registrar = self.world.sim.now, self._house(lost).registrars[0]
        serials, number = [read_certificate(row.der).serial for row in rows], listed.number + 1 if listed else 1
        der = issue_revocation_list(registrar.der, registrar.key, number, serials, now, now + DAY)
        self.say(process, registrar, Kind.REVOCATION_LIST, der)

    def _grant(self, process: Process, phone: Phone) -> None:
        with process.store.snapshot() as view:
            held = view.invitation(renewal_id(phone.id))
        if held is None or not held.request or held.seq:
            return
        first, second = self._house(phone).registrars
        if held.certificate and read_certificate(held.certificate).not_after > self.world.sim.now:
            self.say(process, second, Kind.CERTIFICATE, held.certificate)
        else:
            self._make(process, phone, first, held)

    def _make(self, process: Process, phone: Phone, registrar: Registrar, held: Invitation) -> None:
        me, now = records.IDENTITY.get(phone.ledger), self.world.sim.now
        assert me is not None
        life = self.chance.choice(LIVES) if self.world.hurt else 30 * DAY
        certified = self.world.mission.charter.verify_certificate(me.certificate)
        key, lifetime = read_renewal(held.request).public_key, (now - 5 * MINUTE, now + life)
        der = issue_device(
            registrar.der,
            registrar.key,
            key,
            certified.person,
            certified.device,
            certified.roles,
            lifetime,
            self.chance.randbytes,
        )
        self._decide(process, registrar, lambda _: wire.Grant(1, held.id, der, b""))

    def say(self, process: Process, author: Registrar, kind: Kind, body: bytes) -> None:
        """An envelope in the control channel."""
        self._decide(process, author, lambda view: self._envelope(view, author, kind, body))

    def _envelope(self, view: View, author: Registrar, kind: Kind, body: bytes) -> wire.Submit:
        stream = self.world.mission.charter.control_channel
        chain = view.chain(stream, author.device)
        context = bare(
            kind, author.device, stream, chain.number + 1, chain.link, self.world.sim.now, Precedence.ROUTINE
        )
        envelope = seal(context, body, author.key)
        return wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, body)])

    def _decide(self, process: Process, author: Registrar, make: Callable[[View], Any]) -> None:
        who = registrar_identity(self.world.mission.charter, author.device, sha256(author.der).digest())

        def decision(view: View) -> Any:
            gateway = Gateway(process.charter, process.key)
            return requests.decide(view, who, make(view), gateway, process.now(), process.random)

        def decided(_: Any, error: BaseException | None) -> None:
            if error is not None:
                self.world.sim.note(f"the office waits: {type(error).__name__} {error}")

        process.decide(decision, decided)

    # --- at the device: what `clients.renewing` does ---

    def _pursue(self, phone: Phone) -> None:
        me = records.IDENTITY.get(phone.ledger)
        assert me is not None
        if self.world.sim.now > me.not_after and not phone.spoiled:
            self.world.sim.note(f"{phone.name} has run out")
            phone.spoiled = "expired"
        if phone.spoiled or not phone.alive:
            return
        if phone.now() > me.not_before + (me.not_after - me.not_before) * 2 // 3:
            self._ask(phone)
        begun = records.ENROLLING.get(phone.ledger, b"renewal")
        if begun is not None and phone.core.session.ready:
            phone.answered = partial(self._answered, phone)
            invite = renewal_id(phone.id)
            phone.ask(lambda i: wire.Enrol(i, invite, begun.request))
            phone.ask(lambda i: wire.AwaitEnrolment(i, invite))

    def _ask(self, phone: Phone) -> None:
        if records.ENROLLING.get(phone.ledger, b"renewal") is not None:
            return
        me = records.IDENTITY.get(phone.ledger)
        assert me is not None
        seed = records.SEEDS.get(phone.ledger, me.certificate_hash)
        assert seed is not None
        key = SigningKey.generate(phone.random)
        request = request_renewal(
            self.world.mission.charter.verify_certificate(me.certificate), SigningKey(seed.seed), key
        )
        begun = Enrolling("renewal", key.seed, request, [])
        phone.wish(lambda work: records.ENROLLING.put(work.turn.draft, b"renewal", begun))

    def _answered(self, phone: Phone, frame: wire.FromGateway) -> None:
        if isinstance(frame, wire.Enrolment) and frame.entry is not None:
            phone.do(1, self._taken, phone, frame.entry.body or b"")

    def _taken(self, phone: Phone, der: bytes) -> None:
        begun, me = records.ENROLLING.get(phone.ledger, b"renewal"), records.IDENTITY.get(phone.ledger)
        if begun is None or me is None:
            return
        try:
            certified = self.world.mission.charter.verify_certificate(der)
        except KeysError:
            return
        if (certified.device, certified.public_key) == (me.device, SigningKey(begun.seed).public):
            phone.wish(lambda work: take(work, certified, begun.seed, me.card))
            phone.core.session.reconnect = True
            phone.do(100, phone.again)
            self.world.sim.note(f"{phone.name} has its next certificate")

    # --- what must hold ---

    def committed(self, batch: Sequence[Stored]) -> None:
        """Of a revoked device nothing is taken any more."""
        for stored in batch:
            gone = self.lost is not None and self.lost_at is not None and stored.device == self.lost.id
            need(not gone or stored.index < (self.lost_at or 0), f"#{stored.index} was taken of a revoked device")

    def unsettled(self) -> str:
        """What the office still waits for; empty when for nothing."""
        process = self.world.machine.process
        if process is None or not self.open:
            return ""
        if self.lost is not None and self.lost_at is None:
            return f"{self.lost.name} is not on the list yet"
        for phone in map(self.world.phones.__getitem__, self.renewing):
            if not phone.spoiled and records.ENROLLING.get(phone.ledger, b"renewal") is not None:
                return f"{phone.name} waits for its next certificate"
        return self._wrong(process)

    def end(self) -> None:
        """Who is out is out everywhere; who has a new certificate has it in every leaf."""
        process = self.world.machine.process
        assert process is not None
        need(not (why := self._wrong(process)), why)

    def _wrong(self, process: Process) -> str:
        with process.store.snapshot() as view:
            return next(filter(None, (self._seat(view, phone) for phone in self.world.phones.values())), "")

    def _anybody(self, view: View, channel: bytes) -> bool:
        """Whether anybody is in it who could take another out: where all have run out, nobody can."""
        fit = (phone.id for phone in self.world.phones.values() if not phone.spoiled)
        rows = (view.member(channel, device) for device in fit)
        return any(row is not None and not row.left for row in rows)

    def _has_to_go(self, view: View, member: Member) -> bool:
        """Whether its leaf's own certificate is revoked or has ended: a device whose newest one has may have another in there."""
        row = view.certificate(member.certificate)
        return row is None or row.revoked or self.world.sim.now > row.not_after + LATE

    def _seat(self, view: View, phone: Phone) -> str:
        members = [m for m in view.memberships(phone.id) if not m.left]
        me = records.IDENTITY.get(phone.ledger)
        assert me is not None
        if phone is self.lost or phone.spoiled == "expired":
            members = [m for m in members if self._anybody(view, m.channel) and self._has_to_go(view, m)]
            return f"{phone.name} is {phone.spoiled} and still in {len(members)} channels" if members else ""
        old = [m for m in members if m.certificate != me.certificate_hash]
        renewed = phone.name in self.renewing and not phone.spoiled
        return f"{phone.name} is in {len(old)} channels with an old certificate" if old and renewed else ""


def revoked(world: World, chance: Random) -> None:
    """A device is revoked."""
    world.office.revoke(chance)


def renewal(world: World, chance: Random) -> None:
    """A certificate is renewed."""
    world.office.renew(chance)


EVENTS: Final[Mapping[str, tuple[Callable[[World, Random], None], int]]] = MappingProxyType(
    {"revoked": (revoked, 240), "renewal": (renewal, 150)}
)
"""Each with the seconds between two of its kind, on average. They are no faults, and not counted as such."""
EXPECTED: Final[Mapping[str, frozenset[AlarmKind]]] = MappingProxyType({"revoked": frozenset(), "renewal": frozenset()})
"""Which alarms each may rightly raise."""
