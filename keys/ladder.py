"""The ladder: who is woken while an alert is not answered, after how long and by which road, and when that ends.

A rung's time runs from the moment the rung before was fired (the first one's from the alert's first place), so nobody's time to
answer is swallowed by the next level, not even when the gateway was away meanwhile. A rung wakes its people, or everybody the
alert is for; never who has answered. It is over when the stop rule is met, when nobody is silent any more, and when the alert has
ended. The fallback comes after the last rung; or at once, when a rung has people to wake and no road leads to any of them.

    A = Rung(after=120, road="app", people=[])                everybody who is silent, two minutes after the alert
    B = Rung(after=300, road="sms", people=[deputy])          five minutes after A
    Ladder([A, B], Stop.ALL, 0, fallback=Rung(600, "mail", [duty officer]))

The gateway runs it while every officer is offline. What it does it says in the log: `Escalated`, one entry a rung. An officer
jumps to any rung with a `Jump`; the reason goes to the officers end to end, here stands its hash.
"""

from collections.abc import Callable, Collection, Iterator
from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Hash, Id, Millis, Positive, Record, Uint, reader
from keys.errors import LadderRefused, Malformed

APP: Final = "app"
"""The road on the platform: a reminder to the person's devices in session. Every gateway has it."""

SHORTEST: Final = 10  # s
LONGEST: Final = 24 * 3600  # s
RUNGS: Final = 16
PEOPLE: Final = 64  # named in one rung
RESEND: Final = RUNGS + 1
"""In place of a rung's number: the alert is brought again to devices, by no rung, whether or not it has a ladder."""

After = Annotated[int, Meta(ge=SHORTEST, le=LONGEST)]  # s
Road = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,31}\Z")]
People = Annotated[list[Id], Meta(max_length=PEOPLE)]


class Stop(IntEnum):
    """What ends the waiting."""

    ANY = 1  # one answer
    ALL = 2  # everybody's
    COUNT = 3  # as many as `Ladder.count`


class Rung(Record, frozen=True, array_like=True):
    """After so many seconds these people are woken by this road; no people: everybody the alert is for."""

    after: After
    road: Road
    people: People  # rising, each once


class Ladder(Record, frozen=True, array_like=True):
    """All rungs in their order. `count` is 0 unless `stop` is COUNT."""

    rungs: Annotated[list[Rung], Meta(min_length=1, max_length=RUNGS)]
    stop: Stop
    count: Annotated[int, Meta(ge=0, le=10_000)]
    fallback: Rung | None

    def rung(self, number: int) -> Rung | None:
        """The rung of this number, from 0; the fallback's is one more than the last's."""
        if number < len(self.rungs):
            return self.rungs[number]
        return self.fallback if number == len(self.rungs) else None

    def enough(self, answered: int, asked: int) -> bool:
        """Whether the stop rule is met when `answered` of `asked` people have answered."""
        if answered >= asked:
            return True
        needed = {Stop.ANY: 1, Stop.ALL: asked, Stop.COUNT: self.count}[self.stop]
        return answered >= needed


class Why(IntEnum):
    """Why a rung was fired."""

    DUE = 1
    JUMP = 2
    FALLBACK = 3  # no road led to anybody of the rung before, or that was the last
    MISSED = 4  # somebody has not checked in
    ASKED = 5  # an officer had it brought again: its entry is the officer's own JUMP


class Escalated(Record, frozen=True, array_like=True):
    """Body of ESCALATION, an entry of the gateway's own: a rung was fired, the `firing`-th of this alert.

    `people` are those named in the rung who had not answered, none where the rung is for everybody silent; `woken` counts all
    for whom the road has a way, `unreached` those for whom it has none.
    """

    root: Hash
    firing: Positive
    rung: Annotated[int, Meta(ge=0, le=RUNGS)]
    road: Road
    why: Why
    people: People
    woken: Uint
    unreached: Uint


class Jump(Record, frozen=True, array_like=True):
    """Body of JUMP, an officer's: fire this rung now (again, if it was fired before), and go on from there. Or RESEND: bring the alert
    again to the devices of these people, as far as they are silent; of none named, to everybody silent.

    `reason` is SHA-256("Outrider 1 jump reason" ‖ salt[16] ‖ text): the text goes end to end to the officers.
    """

    root: Hash
    rung: Annotated[int, Meta(ge=0, le=RESEND)]
    reason: Hash
    time: Millis
    people: People


_read_ladder = reader(Ladder, limit=32 * 1024)
_read_jump = reader(Jump, limit=2_048)
read_escalated = reader(Escalated, limit=4_096)


def read_ladder(data: bytes) -> Ladder:
    """Read a ladder.

    Raises:
        Malformed: it is none, or says one thing in another way than the one.
    """
    ladder = _read_ladder(data)
    rungs = [*ladder.rungs, ladder.fallback] if ladder.fallback else ladder.rungs
    if any(a >= b for rung in rungs for a, b in pairwise(rung.people)):
        raise Malformed("the people of a rung rise, and none stands there twice")
    if (ladder.stop is Stop.COUNT) != (ladder.count > 0):
        raise Malformed("a count stands exactly where so many answers are asked for")
    if ladder.fallback is not None and not ladder.fallback.people:
        raise Malformed("a fallback names its people")
    return ladder


def read_jump(data: bytes) -> Jump:
    """Read a jump.

    Raises:
        Malformed: it is none, names people for a rung, or not in the one order.
    """
    jump = _read_jump(data)
    if jump.people and jump.rung != RESEND:
        raise Malformed("a rung wakes the people of its ladder")
    if any(a >= b for a, b in pairwise(jump.people)):
        raise Malformed("the people of a jump rise, and none stands there twice")
    return jump


def check(ladder: Ladder, now: int, not_after: int, roads: Collection[str], asked: int = 0) -> None:
    """What is refused when a ladder is saved, rather than found out at night.

    Args:
        now, not_after: ms since the epoch: when the alert begins, and when it ends.
        roads: the gateway's, `APP` among them.
        asked: how many people the alert is for; 0 where that is not known yet.

    Raises:
        LadderRefused: a rung that would come after the alert has ended, a road that the gateway has not, or more answers asked
            for than there are people. The sentence names the rung as `words` numbers it.
    """
    for name, rung, at in _timed(ladder):
        if rung.road not in roads:
            raise LadderRefused(f"{name} goes by {rung.road!r}; this gateway's roads are {', '.join(sorted(roads))}")
        if now + at * 1000 >= not_after:
            lasts = duration(max(0, not_after - now) // 1000)
            raise LadderRefused(
                f"{name} comes {duration(at)} after the alert, which ends after {lasts}: nobody is woken by it"
            )
    if asked and ladder.stop is Stop.COUNT and ladder.count > asked:
        raise LadderRefused(f"it stops at {ladder.count} answers, and the alert is for {asked}: ask for all of them")


def _timed(ladder: Ladder) -> Iterator[tuple[str, Rung, int]]:
    """Each rung with what it is called and the seconds from the alert to it."""
    at = 0
    for number, rung in enumerate(ladder.rungs, 1):
        at += rung.after
        yield f"rung {number}", rung, at
    if ladder.fallback is not None:
        yield "the fallback", ladder.fallback, at + ladder.fallback.after


def words(ladder: Ladder, name: Callable[[bytes], str]) -> list[str]:
    """The ladder as an officer reads it before sending, a line a rung. `name` says who a person is."""
    lines = ["Until it stops, those who have not answered are woken:"]
    for label, rung, at in _timed(ladder):
        people = ", ".join(name(person) for person in rung.people) or "everybody silent"
        since = "after the alert" if rung is ladder.rungs[0] else "after the one before"
        total = "" if rung is ladder.rungs[0] else f" ({duration(at)} in all)"
        by = "on their devices" if rung.road == APP else f"by {rung.road}"
        lines.append(f"  {label:<12} {duration(rung.after)} {since}{total}: {people}, {by}")
    lines.append(f"It stops {_stops(ladder)}, and with the alert's end. An answer stops the reminders to who gave it.")
    return lines


def _stops(ladder: Ladder) -> str:
    if ladder.stop is Stop.ANY:
        return "at the first answer"
    if ladder.stop is Stop.ALL:
        return "when everybody has answered"
    return f"at {ladder.count} answers"


def duration(seconds: int) -> str:
    """As a person writes it: "90 s" is "1 min 30 s"."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (left, "s")) if n]
    return " ".join(parts) or "0 s"
