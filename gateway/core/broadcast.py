"""What the gateway keeps of an alert that is out: whom it is for, who has answered, which rungs were fired, and every notice.

Rows as frozen values, and the look-ups over them that `View` has besides the others. Nothing here says what an alert says.

    AlertRow    from the approval on; open while it is placed and has not ended
    Position    where its ladder stands: the next rung, and when the timer looks at it again
    Asked       a person it is for, or whom its ladder names, and whether that one has answered
    Firing      a rung that was fired: one entry in the log
    Notice      one person to be woken by one road: queued, sent, failed or withdrawn
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct

from gateway.wire import NoticeState
from keys.canonical import encode
from keys.identity import ChannelId, PersonId
from keys.ladder import Why


class Ending(IntEnum):
    """Why an alert wakes nobody any more, whatever its ladder says."""

    NONE = 0
    EXPIRED = 1
    UPDATED = 2
    CANCELLED = 3
    CLEARED = 4
    STOOD_DOWN = 5  # an SOS, by its author and a second person
    DONE = 6  # a check-in plan, by its last check-in or its device


class Waiting(IntEnum):
    """What the timer does with an alert when it wakes."""

    NOTHING = 0
    ARM = 1  # at once: begin to count the time of the next rung, by the timer's own clock
    DUE = 2  # at `due`: fire the next rung
    JUMP = 3  # at once: fire the next rung, since an officer says so
    END = 4  # at `due`: nothing is left to fire, the alert expires


class Fallback(IntEnum):
    """Where an alert stands with its fallback."""

    LAST = 0  # comes after the last rung
    WANTED = 1  # now: a rung has found no road to anybody
    DONE = 2


@dataclass(frozen=True, slots=True)
class Position:
    """Where a ladder stands."""

    rung: int = 0  # the next to fire
    waiting: Waiting = Waiting.NOTHING
    due: int = 0  # ms, by the timer's clock
    since: int = 0  # ms: when this waiting began
    fallback: Fallback = Fallback.LAST
    stopped: bool = False  # its stop rule is met
    firings: int = 0

    @property
    def wake(self) -> int:
        """When the timer looks at it, in ms; 0 is at once."""
        if self.fallback is Fallback.WANTED or self.waiting in (Waiting.ARM, Waiting.JUMP):
            return 0
        return self.due


class AlertRow(Struct, frozen=True):
    """An approved alert. `ladder` is the opened `keys.ladder.Ladder`, b"" for none."""

    root: bytes
    id: bytes  # the alert's, in its draft
    draft: bytes
    ladder: bytes
    writer: PersonId
    approver: PersonId | None  # None: one officer alone
    seq: int  # of the APPROVAL in the control channel
    not_after: int
    review_due: int = 0  # ms; 0: none is owed
    begun: int = 0  # ms: when it was first placed in a channel; 0: not yet
    ended: Ending = Ending.NONE
    asked: int = 0  # people it is for
    answered: int = 0  # of them
    at: Position = Position()
    emergency: bytes = b""  # keys.emergency.Case of an SOS or a plan, which nobody has approved and no time ends

    @property
    def open(self) -> bool:
        """Whether it may wake anybody."""
        return self.begun > 0 and self.ended is Ending.NONE


@dataclass(frozen=True, slots=True)
class Asked:
    """A person and an alert. `target`: it is for that person; else only its ladder names that one."""

    person: PersonId
    target: bool
    answered: int  # ms; 0: silent


@dataclass(frozen=True, slots=True)
class Firing:
    """A rung that was fired, as the `number`-th of its alert."""

    number: int
    rung: int
    road: str
    why: Why
    time: int  # ms
    seq: int  # of the ESCALATION in the control channel
    woken: int
    unreached: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One person to be woken by one road. `detail` is a word for officers: never an address, never content."""

    id: bytes
    root: bytes
    firing: int
    rung: int
    person: PersonId
    road: str
    state: NoticeState
    due: int  # ms: the next try
    time: int  # ms: of this state
    attempts: int = 0
    detail: str = ""
    number: int = 0  # the order in which they were made, over all alerts


@dataclass(frozen=True, slots=True)
class Placing:
    """An alert's envelope in one channel."""

    channel: ChannelId
    seq: int


def notice_id(root: bytes, firing: int, person: bytes, road: str) -> bytes:
    """The name of a notice: the same after any crash, so that a road that is told twice can tell (idempotency)."""
    return sha256(b"Outrider 1 notice" + encode([root, firing, person, road])).digest()


NO_ADDRESS: Final = "no address"


class Broadcasts(Protocol):
    """Look-ups about alerts. None or an empty sequence where there is nothing."""

    def alert(self, root: bytes) -> AlertRow | None: ...
    def alert_of(self, alert: bytes) -> AlertRow | None:
        """By the alert's id: an id is used once."""
        ...

    def alert_chain(self, roots: Sequence[bytes]) -> Sequence[bytes]:
        """These and all that they update, cancel or clear, and what does so to those, and on: the roots, in no order."""
        ...

    def alert_references(self, root: bytes) -> Sequence[bytes]:
        """The roots that it updates, cancels or clears."""
        ...

    def alert_places(self, root: bytes) -> Sequence[Placing]:
        """Where it stands, in the order in which it was placed."""
        ...

    def alert_stands(self, root: bytes, channel: bytes) -> bool:
        """Whether it was placed in this channel."""
        ...

    def asked(self, root: bytes, person: bytes) -> Asked | None: ...
    def all_asked(self, root: bytes) -> Sequence[Asked]:
        """By person."""
        ...

    def silent(self, root: bytes) -> Sequence[PersonId]:
        """Whom it is for and who has not answered, by person."""
        ...

    def people(self, channel: bytes) -> AbstractSet[PersonId]:
        """Who has a device in the channel now."""
        ...

    def organisations(self, channel: bytes) -> AbstractSet[str]:
        """Whose people are in the channel now."""
        ...

    def plan(self, channel: bytes, device: bytes) -> AlertRow | None:
        """The check-in plan of a device in a channel that is open."""
        ...

    def ladder_due(self, now: int) -> AlertRow | None:
        """The alert that the timer is to look at first, if it is time."""
        ...

    def ladder_next(self) -> int | None:
        """When the timer is to look next, in ms."""
        ...

    def ladder_clock(self) -> int:
        """The latest moment at which any waiting began: the timer's clock is never behind it."""
        ...

    def firings(self, root: bytes) -> Sequence[Firing]:
        """In order."""
        ...

    def notice(self, notice: bytes) -> Notice | None: ...
    def notices(self, root: bytes, after: int, limit: int) -> Sequence[Notice]:
        """An alert's, by number."""
        ...

    def notices_queued(self, road: str, now: int, limit: int) -> Sequence[Notice]:
        """Those to try now on this road, the longest due first; of open alerts that have not expired."""
        ...

    def notices_next(self, road: str) -> int | None:
        """When the next of this road's is to be tried, in ms."""
        ...

    def reminders_after(self, number: int, now: int, limit: int) -> Sequence[Notice]:
        """What waits on the platform's own road for anybody, by number."""
        ...

    def reminders(self, person: bytes, now: int, limit: int) -> Sequence[Notice]:
        """What a device of this person is to be reminded of on the platform's own road, while the person has not answered: all
        that waits, and of each alert the last that was written to a session, since nobody knows whether that one was read."""
        ...

    def roads(self) -> AbstractSet[str]:
        """The roads off the platform that the operator has set up."""
        ...

    def reached_by(self, road: str) -> AbstractSet[PersonId]:
        """Who has an address on a road off the platform."""
        ...
