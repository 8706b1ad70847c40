"""An escalation without sockets: the core's decisions over a real database, on a clock that the test sets.

`Scene` is the durable store and the people; `Process` is a gateway that runs over it and may die between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

import apsw

from gateway.core import ladder, notices
from gateway.core.append import Gateway
from gateway.core.broadcast import AlertRow, Ending, Firing, Notice
from gateway.core.effects import Append, Effect, Outcome, PutCertificate, PutMember, PutRoads, PutStream
from gateway.core.errors import Refused
from gateway.core.notices import Result, Tried
from gateway.core.rows import CertificateRow, Member, Stored, Stream, StreamKind
from gateway.store.changes import apply
from gateway.store.rows import Parsed, SqliteView
from gateway.timers import Clock, floor
from keys.canonical import encode
from keys.charter import Charter
from keys.envelope import NOTHING, Kind
from keys.identity import ChannelId, DeviceId, PersonId, SigningKey
from keys.ladder import APP, Escalated, Ladder, read_escalated
from tests.gateway.core.world import World
from tests.keys.mission import NOW

CHANNELS = (ChannelId(b"1" * 16), ChannelId(b"2" * 16))
PEOPLE = tuple(PersonId(bytes([n]) * 16) for n in range(1, 7))
"""The first four are in the first channel, the last three in the second, the fourth in both."""
DESK = ChannelId(b"3" * 16)
"""A channel of those alone who sign."""
WRITER, APPROVER = PersonId(b"W" * 16), PersonId(b"A" * 16)
DEPUTY = PersonId(b"D" * 16)  # in no channel
ROADS = ("mail", "sms")
REACHED = ((PEOPLE[0], "mail"), (PEOPLE[1], "mail"), (PEOPLE[1], "sms"), (DEPUTY, "sms"))
HOUR = 3_600_000


@cache
def _founded() -> tuple[bytes, Charter, SigningKey]:
    """A database with a charter, a few channels and their people; made once."""
    world = World()
    for effect in _cast():
        apply(world.db, effect)
    return world.db.serialize("main"), world.charter, world.mission.gateway


def _cast() -> Iterator[Effect]:
    yield PutRoads(ROADS, REACHED)
    for channel, people in ((CHANNELS[0], PEOPLE[:4]), (CHANNELS[1], PEOPLE[3:]), (DESK, ())):
        yield PutStream(Stream(channel, StreamKind.CHANNEL, 1, NOTHING, channel_class="alert"))
        for leaf, person in enumerate((*people, WRITER, APPROVER)):
            yield PutMember(Member(channel, DeviceId(person), leaf, person * 2, 1, 1))
    for person in (*PEOPLE, WRITER, APPROVER):
        yield PutCertificate(
            CertificateRow(
                person * 2,
                b"",
                DeviceId(person),
                person,
                "Meridian",
                frozenset({"agent"}),
                b"",
                1,
                0,
                2**50,
                False,
                0,
                1,
            )
        )


@dataclass
class Scene:
    """The durable store, and what it is asked. `wall` is the gateway's wall clock (ms), `passed` its monotonic one (s)."""

    wall: int = NOW
    passed: float = 0.0
    made: int = 0
    sent: list[tuple[int, bytes]] = field(
        default_factory=list
    )  # (when, notice id), as the other side of a road gets them

    def __post_init__(self) -> None:
        image, self.charter, key = _founded()
        self.gateway = Gateway(self.charter, key)
        self.load(image)

    def load(self, image: bytes) -> None:
        """Take a database as the durable state."""
        self.db = apsw.Connection(":memory:")
        self.db.deserialize("main", image)
        self.view = SqliteView(self.db, Parsed())

    @property
    def image(self) -> bytes:
        return self.db.serialize("main")

    def random(self, size: int) -> bytes:
        self.made += 1
        return self.made.to_bytes(size)

    def apply(self, effects: Sequence[Effect]) -> None:
        """One transaction."""
        with self.db:
            for effect in effects:
                apply(self.db, effect)

    def run(self, outcome: Outcome[Any]) -> Any:
        self.apply(outcome.effects)
        return outcome.answer

    def pass_time(self, millis: int) -> None:
        self.wall += millis
        self.passed += millis / 1000

    # what devices do

    def envelope(self, channel: ChannelId) -> tuple[int, list[Effect]]:
        """Any envelope in a channel; gives its seq."""
        stream, end = self.view.stream(channel), self.view.log_end()
        assert stream is not None
        seq, time = stream.seq + 1, max(self.wall, end.time)
        one = Stored(
            channel,
            seq,
            end.size,
            time,
            b"n" * 16,
            b"h",
            b"",
            Kind.ALERT,
            DeviceId(WRITER),
            seq,
            0,
            sha256(b"body").digest(),
            4,
            b"body",
        )
        return seq, [Append([one], NOTHING)]

    def approve(
        self, root: bytes, ways: Ladder | None, lasts: int = 4 * HOUR, references: tuple[bytes, ...] = ()
    ) -> None:
        row = AlertRow(
            root=root,
            id=root[:16],
            draft=b"draft",
            ladder=encode(ways) if ways else b"",
            writer=WRITER,
            approver=APPROVER,
            seq=1,
            not_after=self.wall + lasts,
        )
        self.apply(ladder.begin(self.view, row, references))

    def place(self, root: bytes, channel: ChannelId = CHANNELS[0]) -> None:
        seq, effects = self.envelope(channel)
        self.apply([*effects, *ladder.placed(self.view, root, channel, seq, self.wall)])

    def ack(self, root: bytes, person: PersonId, channel: ChannelId = CHANNELS[0]) -> None:
        """Taken as `core.alerts.answered` takes it: where the alert stands."""
        _, effects = self.envelope(channel)
        row = self.view.alert(root) if self.view.alert_stands(root, channel) else None
        self.apply([*effects, *(ladder.answered(self.view, row, person, self.wall) if row else ())])

    def end(self, roots: Sequence[bytes], ending: Ending) -> None:
        self.apply(ladder.ended(self.view, roots, ending, self.wall))

    def jump(self, root: bytes, rung: int) -> Refused | None:
        try:
            self.apply(ladder.jump(self.view, root, rung, self.wall))
        except Refused as refused:
            return refused
        return None

    # what has become of it

    def row(self, root: bytes) -> AlertRow:
        row = self.view.alert(root)
        assert row is not None
        return row

    def firings(self, root: bytes) -> Sequence[Firing]:
        return self.view.firings(root)

    def rungs(self, root: bytes) -> list[int]:
        return [firing.rung for firing in self.firings(root)]

    def notices(self, root: bytes) -> Sequence[Notice]:
        return self.view.notices(root, 0, 1_000)

    def entries(self, root: bytes) -> list[Escalated]:
        """What the log says of it."""
        stored = self.view.envelopes(self.charter.control_channel, 0, 1_000)
        said = [read_escalated(s.body or b"") for s in stored if s.kind is Kind.ESCALATION]
        return [one for one in said if one.root == root]

    def process(self) -> Process:
        return Process(self)


class Process:
    """A running gateway: the timer and its roads, with what they remember. Drop it, and it has crashed."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.clock = Clock(lambda: scene.wall, lambda: scene.passed, floor(scene.view))

    def tick(self) -> bool:
        """What is due first, if anything is."""
        scene = self.scene
        return bool(scene.run(ladder.tick(scene.view, scene.gateway, self.clock.now(), scene.random)))

    def settle(self) -> int:
        """All that is due; gives how many things were."""
        count = 0
        while self.tick():
            count += 1
            assert count < 200, "the timer finds no end"
        return count

    def steps(self, road: str, result: Callable[[Notice], Result]) -> Iterator[str]:
        """Try what waits on a road: a step before, between and after what leaves the process."""
        scene = self.scene
        for found in scene.view.notices_queued(road, self.clock.now(), 100):
            yield f"{road}: taken from the queue"
            if notices.live(scene.view, found.id, self.clock.now()) is None:
                continue
            came = result(found)
            if came.tried is Tried.SENT:
                scene.sent.append((self.clock.now(), found.id))
            yield f"{road}: tried, nobody knows"
            scene.run(notices.settled(scene.view, found.id, came, self.clock.now()))
            yield f"{road}: settled"

    def send(self, road: str, result: Callable[[Notice], Result] = lambda _: Result(Tried.SENT)) -> int:
        """Try all that waits on a road."""
        return sum(1 for _ in self.steps(road, result))

    def send_all(self) -> None:
        for road in (APP, *ROADS):
            self.send(road)
