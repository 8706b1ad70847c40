"""A small honest gateway in memory, and a world of devices around it: one thread, one clock, one seed.

It decides with the gateway's own core over an SQLite database in memory, and delivers with the gateway's own feed; there
is no socket, no thread and no wait. `Relay` is honest; a test that needs a hostile one overrides what it does to a single
frame (`to_device`, `to_gateway`), so the lie stands in the test.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from clients.core import changes, records
from clients.core.commits import Work
from clients.core.device import Device
from clients.core.ledger import Change
from clients.core.turn import Answered, Event, Outcome
from clients.renewing import take
from gateway import wire
from gateway.core import acts, answers, requests
from gateway.core.append import Gateway
from gateway.core.effects import Append
from gateway.core.effects import Outcome as Decided
from gateway.core.errors import Refused
from gateway.core.feed import Feed
from gateway.core.following import audience, fetch, follow, follow_channel, joined_frame
from gateway.core.page import Page
from gateway.core.rows import Identity, Stored
from gateway.core.session import registrar_identity
from gateway.store.changes import apply
from gateway.store.database import lay_out
from gateway.store.rows import Parsed, SqliteView
from keys.canonical import encode, reader
from keys.credential import Certified, issue_device
from keys.envelope import Kind, Marking, Precedence, bare, seal
from keys.identity import SigningKey, receipt_stream
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from keys.tlog.merkle import consistency_proof, inclusion_proof, leaf_hash, node_hash
from tests.keys.mission import DAY, Mission, Registrar
from tests.keys.mission import Device as Enrolled
from tests.restored import restored


class MemoryLedger:
    """A ledger in a dict: what a vault is, without the disk."""

    def __init__(self) -> None:
        self.shelves: dict[str, dict[bytes, bytes]] = {}

    def get(self, shelf: str, key: bytes) -> bytes | None:
        return self.shelves.get(shelf, {}).get(key)

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
        items = sorted(self.shelves.get(shelf, {}).items())
        yield from ((k, v) for k, v in items if k.startswith(prefix) and k > after)

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            shelf = self.shelves.setdefault(change.shelf, {})
            if change.value is None:
                shelf.pop(change.key, None)
            else:
                shelf[change.key] = change.value

    def put_secret(self, shelf: str, key: bytes, value: bytes) -> None:
        self.shelves.setdefault(shelf, {})[key] = value


class Relay:
    """The gateway. `sessions` are the devices that are connected, by id."""

    def __init__(self, mission: Mission) -> None:
        self.mission = mission
        self.now = mission.now
        self.random = mission.random
        self.db = apsw.Connection(":memory:")
        lay_out(self.db, 0)
        self.view = SqliteView(self.db, Parsed())
        self.sessions: dict[bytes, Line] = {}
        self.leaves: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._decide(
            lambda: acts.install_charter(
                self.view,
                mission.charter.note,
                mission.gateway,
                mission.log.verifier_key.encode(),
                self.now,
                self.random,
            )
        )

    @property
    def gateway(self) -> Gateway:
        charter = self.view.charter()
        assert charter is not None
        return Gateway(charter, self.mission.gateway)

    # --- deciding ---

    def _decide(self, decision: Callable[[], Decided[Any]]) -> Any:
        """In one transaction; what it appended is spread to those who follow."""
        self.db.execute("BEGIN")
        try:
            outcome = decision()
            for effect in outcome.effects:
                apply(self.db, effect)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        for effect in outcome.effects:
            if isinstance(effect, Append):
                for stored in effect.run:
                    self.leaves.append(leaf_hash(stored.leaf()))
                    self._spread(stored)
        return outcome.answer

    def _spread(self, stored: Stored) -> None:
        for line in list(self.sessions.values()):
            if line.feed is None:
                continue
            if stored.kind in (Kind.COMMIT, Kind.CHANNEL_CREATED):
                self._follow_roster(line, stored)
            sparse = stored.kind is Kind.RECEIPT or stored.channel == self.gateway.charter.control_channel
            if not sparse or line.who.device == stored.device or self.audience(stored).includes(line.feed.recipient):
                line.feed.arrived(stored)

    def _follow_roster(self, line: Line, stored: Stored) -> None:
        assert line.feed is not None
        member = self.view.member(stored.channel, line.who.device)
        if member is None:
            return
        if member.left == stored.seq:
            line.feed.leave(stored.channel, member.left)
        elif not member.left and line.joined.get(stored.channel) != member.since:
            line.joined[stored.channel] = member.since
            if member.welcome:
                line.say(joined_frame(member))
            stream = self.view.stream(member.channel)
            assert stream is not None
            follow_channel(line.feed, self.view, stream, member, {})

    # --- what feeds read ---

    def page(self, channel: bytes, after: int, limit: int) -> Page:
        return self.view.page(channel, after, limit)

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        return self.view.landmarks(channel, after, limit)

    def concerning(self, channel: bytes, after: int, limit: int, recipient: Any) -> tuple[Sequence[Stored], int]:
        page = self.view.envelopes(channel, after, limit)
        mine = [s for s in page if s.device == recipient.device or self.audience(s).includes(recipient)]
        return mine, page[-1].seq if page else after

    def audience(self, stored: Stored) -> Any:
        stream = self.view.stream(stored.channel)
        assert stream is not None
        return audience(self.view, stream, stored)

    # --- a session ---

    def identity(self, device: bytes, certificate: bytes) -> Identity:
        row = self.view.certificate(certificate)
        if row is not None:
            return Identity(
                row.device,
                row.person,
                row.organisation,
                row.roles,
                row.hash,
                row.public_key,
                row.not_after,
                registrar=False,
            )
        found = registrar_identity(self.gateway.charter, device, certificate)
        assert found is not None
        return found

    def hear(self, line: Line, frame: wire.FromDevice) -> None:
        """One frame of a device, and its answer."""
        try:
            for answer in self._answer(line, frame):
                line.say(answer)
        except Refused as refused:
            line.say(
                wire.Refused(
                    getattr(frame, "id", 0),
                    refused.refusal,
                    refused.detail,
                    refused.retry_after,
                    getattr(refused, "statement", None),
                )
            )

    def _answer(self, line: Line, frame: wire.FromDevice) -> Iterator[wire.FromGateway]:
        charter = self.gateway.charter
        if isinstance(frame, wire.Follow):
            following = follow(self.view, line.who, charter, frame)
            line.feed = following.feed
            line.joined = {state.channel: state.since for state in following.channels.channels}
            yield following.channels
            yield from following.joined
        elif isinstance(frame, wire.Fetch):
            rows = fetch(self.view, line.who, charter, frame)
            for stored in rows:
                yield self.deliver(stored, body=stored.device != line.who.device)
            yield wire.Done(frame.id, len(rows))
        elif isinstance(frame, wire.Cursor):
            if line.feed is not None:
                line.feed.stored(frame.position.channel, frame.position.seq)
        elif isinstance(frame, wire.Taken):
            if line.feed is not None:
                line.feed.taken(frame.count)
        elif isinstance(frame, wire.Prove):
            yield self.prove(frame)
        elif type(frame) in answers.ANSWERS:
            yield answers.answer(self.view, line.who, frame, self.now)
        else:
            answer = self._decide(
                lambda: requests.decide(self.view, line.who, frame, self.gateway, self.now, self.random)
            )
            if answer is not None:
                yield answer

    def deliver(self, stored: Stored, *, body: bool) -> wire.Deliver:
        return wire.Deliver(answers.placed(stored, body=body and stored.body is not None))

    # --- the log ---

    def checkpoint(self) -> bytes:
        edge, _ = Edge().extend(b"".join(self.leaves))
        head = TreeHead(self.mission.policy.log_origin, edge.size, edge.root)
        return sign_checkpoint(head, [self.mission.log]).encode()

    def _hash_at(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves[index]
        known = self._nodes.get((level, index))
        if known is None:
            known = node_hash(self._hash_at(level - 1, 2 * index), self._hash_at(level - 1, 2 * index + 1))
            self._nodes[level, index] = known
        return known

    def prove(self, frame: wire.Prove) -> wire.Proven:
        size = len(self.leaves)
        if frame.held > size:
            raise Refused(wire.Refusal.DENIED, "")
        if any(index >= size for index in frame.indices):
            raise Refused(wire.Refusal.BUSY, "not under a checkpoint yet")
        consistency = list(consistency_proof(frame.held, size, self._hash_at))
        paths = [wire.Path(i, list(inclusion_proof(i, size, self._hash_at))) for i in frame.indices]
        return wire.Proven(frame.id, self.checkpoint(), consistency, paths)

    # --- hooks for lies ---

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        """What a device really gets in place of this frame."""
        return [frame]

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        """What the gateway acts on in place of this frame."""
        return [frame]

    # --- the registrars' doings, without their ceremony ---

    def control(self, author: Registrar | Enrolled, kind: Kind, body: bytes) -> wire.Accepted:
        """An envelope in the control channel by a registrar or officer."""
        charter = self.gateway.charter
        device = author.device if isinstance(author, Registrar) else author.id
        certificate = author.der if isinstance(author, Registrar) else author.certified.der
        from hashlib import sha256

        who = self.identity(device, sha256(certificate).digest())
        chain = self.view.chain(charter.control_channel, device)
        context = bare(
            kind, device, charter.control_channel, chain.number + 1, chain.link, self.now, Precedence.ROUTINE
        )
        envelope = seal(context, body, author.key)
        frame = wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, body)])
        answer = self._decide(lambda: requests.decide(self.view, who, frame, self.gateway, self.now, self.random))
        assert isinstance(answer, wire.Accepted), answer
        return answer


_placed = reader(wire.Placed)


@dataclass
class Line:
    """One device's connection to the relay."""

    who: Identity
    relay: Relay
    feed: Feed | None = None
    joined: dict[bytes, int] = field(default_factory=dict)
    inbound: list[wire.FromGateway] = field(default_factory=list)

    def say(self, frame: wire.FromGateway) -> None:
        for real in self.relay.to_device(self, frame):
            self.inbound.append(wire.read_from_gateway(encode(real)))

    def pump(self) -> None:
        """What the feed has for it now."""
        while self.feed is not None and (drawn := self.feed.draw(self.relay, 1)):
            self.say(wire.Deliver(_placed(drawn[0].placed[0])))


class Killed(Exception):
    """The process died here."""


@dataclass
class Party:
    """A device with its ledger. `die_at` kills it at the n-th effect boundary from now."""

    name: str
    enrolled: Enrolled
    world: World
    ledger: MemoryLedger
    device: Device
    line: Line | None = None
    events: list[Event] = field(default_factory=list)
    shown: list[tuple[bytes, int]] = field(default_factory=list)
    die_at: int = -1
    deaths: int = 0
    fate: Callable[[], int] | None = None  # how many boundaries each next life lasts; -1: it lives

    @property
    def id(self) -> bytes:
        return self.enrolled.id

    def connect(self) -> None:
        relay = self.world.relay
        self.line = Line(relay.identity(self.id, self.enrolled.certified.hash), relay)
        relay.sessions[self.id] = self.line
        self._do(self.device.begin(self.world.now, relay.gateway.charter.policy.version))

    def disconnect(self) -> None:
        self.world.relay.sessions.pop(self.id, None)
        self.line = None
        self.device.end()

    def restart(self) -> None:
        """The process died and starts again: only what is durable is left."""
        self.disconnect()
        self.die_at = self.fate() if self.fate else -1
        self.device = Device(self.ledger, self.world.random)

    def revive(self) -> None:
        """Start again and connect, however often it dies over that."""
        while True:
            self.restart()
            try:
                self.connect()
            except Killed:
                continue
            return

    def act(self, action: Callable[[Work], Any]) -> Any:
        result, outcome = self.device.act(self.world.now, action)
        self._do(outcome)
        return result

    def step(self) -> bool:
        """Take what has come; True if anything had."""
        if self.line is None:
            return False
        self.line.pump()
        frames, self.line.inbound = self.line.inbound, []
        outcome = self.device.receive(frames, self.world.now)
        self._do(outcome)
        return bool(frames or outcome.frames)

    def take(self, frame: wire.FromGateway) -> None:
        """Take one frame by itself."""
        self._do(self.device.receive([frame], self.world.now))

    def _boundary(self) -> None:
        if self.die_at == 0:
            self.deaths += 1
            raise Killed
        self.die_at -= 1

    def _do(self, outcome: Outcome) -> None:
        """The shell's duty, in its order: write, send, tell."""
        self._boundary()
        self.ledger.apply(outcome.changes)
        for frame in outcome.frames:
            self._boundary()
            if self.line is not None:
                wire.read_from_device(encode(frame))
                for real in self.world.relay.to_gateway(self.line, frame):
                    self.world.relay.hear(self.line, real)
        self._boundary()
        self.events += outcome.events

    # --- looking ---

    def alarms(self) -> list[records.Alarm]:
        return [alarm for _, alarm in records.ALARMS.scan(self.ledger)]

    def kinds(self) -> set[str]:
        return {alarm.kind.name for alarm in self.alarms()}

    def channel(self, channel: bytes) -> records.Channel:
        state = records.CHANNELS.get(self.ledger, channel)
        assert state is not None
        return state

    def answers(self) -> list[Answered]:
        return [e for e in self.events if isinstance(e, Answered)]


class World:
    """A mission, its gateway, and devices that talk until all is quiet."""

    relay: Relay

    def __init__(self, seed: int = 1, relay: type[Relay] = Relay, mission: Mission | None = None) -> None:
        self.mission = mission or Mission(seed)
        self.random = _random.Random(seed + 1).randbytes
        self.relay = relay(self.mission)
        self.parties: list[Party] = []
        for house in (self.mission.home, self.mission.partner):
            self.revoke(house.registrars[0], [])

    @property
    def now(self) -> int:
        return self.relay.now

    def later(self, milliseconds: int) -> None:
        self.relay.now += milliseconds

    def revoke(self, registrar: Registrar, serials: Sequence[int], number: int | None = None) -> None:
        from keys.authority import issue_revocation_list

        self._lists = getattr(self, "_lists", 0) + 1
        der = issue_revocation_list(
            registrar.der, registrar.key, number or self._lists, serials, self.now, self.now + DAY
        )
        self.relay.control(registrar, Kind.REVOCATION_LIST, der)

    def party(self, name: str, *roles: str, guest: bool = False, **options: Any) -> Party:
        """An enrolled device, connected and at rest."""
        house = self.mission.partner if guest else self.mission.home
        enrolled = self.mission.device(*roles, house=house, **options)
        self.relay.control(house.registrars[1], Kind.CERTIFICATE, enrolled.certified.der)
        ledger = MemoryLedger()
        ledger.apply(founding(self.mission, enrolled, name))
        party = Party(name, enrolled, self, ledger, Device(ledger, self.random))
        self.parties.append(party)
        party.connect()
        self.run()
        return party

    def renew(self, whom: Party, since: int = 0) -> Certified:
        """The next certificate of a device, approved and taken; its session goes on as before. Gives the one of before."""
        house, old, key = self.mission.home, whom.enrolled.certified, SigningKey.generate(self.random)
        by, life = house.registrars[0], (since or max(self.now, old.not_before), self.now + 30 * DAY)
        der = issue_device(by.der, by.key, key.public, old.person, old.device, old.roles, life, self.random)
        self.relay.control(house.registrars[1], Kind.CERTIFICATE, der)
        renewed = self.mission.charter.verify_certificate(der)
        whom.act(lambda work: take(work, renewed, key.seed, b""))
        whom.device.session.reconnect = True
        whom.enrolled = Enrolled(key, renewed)
        return old

    def run(self, *, limit: int = 2_000, flush: bool = True) -> None:
        """Until nobody has anything to say. Time passes only when everybody waits for it."""
        for _ in range(limit):
            busy = False
            for party in self.parties:
                party.device.session.flush = flush
                try:
                    busy = party.step() or busy
                except Killed:
                    party.revive()
                    busy = True
            if not busy:
                return
        raise AssertionError("the world does not come to rest")

    def channel(self, owner: Party, *others: Party, kind: str = "narrow", ceiling: Marking = Marking.AMBER) -> bytes:
        """A channel with these members, introduced to each other."""
        channel, _ = owner.act(lambda work: changes.create(work, kind, ceiling, "east gate"))
        self.run()
        if others:
            self.add(owner, channel, *others)
        return bytes(channel)

    def add(self, by: Party, channel: bytes, *others: Party) -> bytes:
        intent = records.Intent(channel, [o.id for o in others], [], renew=False, rekey=False, automatic=False)
        return self.intend(by, intent)

    def intend(self, by: Party, intent: records.Intent) -> bytes:
        def keep(work: Work) -> bytes:
            key = work.turn.next_id()
            records.INTENTS.put(work.turn.draft, key, intent)
            return key

        key: bytes = by.act(keep)
        self.run()
        return key


@restored
def world_of(*people: str, seed: int = 1, relay: type[Relay] = Relay) -> World:
    """A world with these people in its `parties`, connected and at rest: each a name and roles, as in "Chen officer"."""
    world = World(seed, relay)
    for name, *roles in map(str.split, people):
        world.party(name, *roles, guest="guest" in roles)
    return world


def founding(mission: Mission, enrolled: Enrolled, name: str) -> list[Change]:
    """What enrolment leaves on a device's ledger."""
    from keys.authority import Card, sign_card

    certified = enrolled.certified
    house = mission.home if certified.organisation == mission.home.organisation.name else mission.partner
    registrar = house.registrars[0]
    card = sign_card(
        Card(certified.person, certified.device, name, name.upper(), certified.organisation, registrar.device, b""),
        registrar.key,
    )
    identity = records.Identity(
        certified.device,
        certified.person,
        certified.organisation,
        sorted(certified.roles),
        certified.der,
        certified.hash,
        certified.not_before,
        certified.not_after,
        registrar=False,
        card=encode(card),
    )
    return [
        Change("identity", b"", encode(identity)),
        Change("seed", certified.hash, encode(records.Seed(enrolled.key.seed))),
        Change("charter", (1).to_bytes(8, "big"), encode(records.Note(mission.charter.note))),
        Change("card", certified.device, encode(records.Note(encode(card)))),
    ]


__all__ = [
    "Killed",
    "Line",
    "MemoryLedger",
    "Party",
    "Relay",
    "SigningKey",
    "World",
    "node_hash",
    "receipt_stream",
    "world_of",
]
