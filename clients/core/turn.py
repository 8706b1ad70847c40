"""One turn of the machine: what it may look at, and what it has decided so far.

A turn begins with the input and ends with an `Outcome`: the shell first writes the changes in one transaction, then sends the
frames, then tells whoever waits of the events. If it dies between, nothing has left that is not durable, and what was to
leave is found again in the ledger when the next session begins.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from clients.core import records
from clients.core.ledger import Change, Draft
from clients.core.records import Alarm, AlarmKind, Counter, Identity
from gateway.wire import FromDevice, FromGateway
from keys.canonical import encode
from keys.charter import Charter
from keys.identity import Random, SigningKey

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
NO_ID: Final = b""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """There is something to show at this place."""

    channel: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class Moved:
    """An act of this device got further: accepted, refused, receipted, answered."""

    item: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm, when it is raised first."""

    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a question that the shell asked itself (`Device.ask`)."""

    id: int
    frame: FromGateway


@dataclass(frozen=True, slots=True)
class Reminded:
    """An alert's ladder has come to this person."""

    root: bytes


@dataclass(frozen=True, slots=True)
class Draining:
    """The gateway is about to stop, and asks this device to come again after so many ms."""

    retry_after: int


Event = NewMessage | Moved | Raised | Answered | Reminded | Draining


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn came to: write `changes`, then send `frames`, then tell the `events`."""

    changes: list[Change]
    frames: list[FromDevice]
    events: list[Event]


@dataclass(slots=True)
class Turn:
    """The state of a decision under way. `draft` holds what is durable and what this turn changes."""

    draft: Draft
    random: Random
    me: Identity
    charter: Charter
    events: list[Event] = field(default_factory=list)

    @property
    def now(self) -> int:
        """The time in ms. Whoever only waits for a moment asks whether it is `reached`, and may rest until then."""
        return self.draft.watch.clock()

    def reached(self, when: int) -> bool:
        """Whether it is that time (ms)."""
        return self.draft.watch.reached(when)

    @property
    def awake(self) -> int:
        """How long this device has been awake (ms), from no particular moment on, whatever its clock was set to meanwhile."""
        return self.draft.watch.awake()

    def has_had(self, since: int, ms: int) -> bool:
        """Whether whoever was asked `since` (`awake`) has had so long to answer, with this device there to hear it."""
        return self.draft.watch.has_had(since, ms)

    def alarm(
        self,
        kind: AlarmKind,
        detail: str,
        *,
        channel: bytes = NO_ID,
        seq: int = 0,
        device: bytes = NO_ID,
        halts: bool = False,
    ) -> None:
        """Raise an alarm once: the same thing at the same place by the same device is one alarm."""
        key = sha256(encode([int(kind), channel, seq, device])).digest()[:16]
        if records.ALARMS.get(self.draft, key) is None:
            alarm = Alarm(kind, channel, seq, device, detail[:400], self.now, halts)
            records.ALARMS.put(self.draft, key, alarm)
            self.events.append(Raised(alarm))

    def next_id(self) -> bytes:
        """An id for an act of this device: they sort in the order they were made."""
        counter = records.COUNTERS.get(self.draft, b"item")
        value = (counter.value if counter else 0) + 1
        records.COUNTERS.put(self.draft, b"item", Counter(value))
        return value.to_bytes(8, "big") + self.random(8)

    def key_of(self, certificate: bytes) -> SigningKey:
        """This device's signing key behind one of its certificates."""
        seed = records.SEEDS.get(self.draft, certificate)
        assert seed is not None, "every certificate of this device came with its key"
        return SigningKey(seed.seed)

    def channels(self) -> Iterator[tuple[bytes, records.Channel]]:
        """All channels on the ledger, those left or halted included."""
        yield from records.CHANNELS.scan(self.draft)

    def channel_ids(self) -> list[bytes]:
        """Which they are."""
        return self.draft.keys(records.CHANNELS.name)
