"""One stream of one session: what of it is at hand, what overtakes, and what is under way.

A lane hands out its next envelope, or a stretch of them; which lane's turn it is, and how much the window takes, is the feed's
(`core.feed`). What has overtaken is remembered and passed over when the lane comes to it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.core.page import Page, Turn
from gateway.core.recipient import Recipient
from gateway.core.rows import Stored
from keys.envelope import Kind, Precedence

PAGE: Final = 64  # envelopes read at once
MARKS: Final = 256  # landmarks read at once
COMMITS_BEFORE_FLASH: Final = 3

LAST: Final[Turn] = (1 << 62, 0)  # behind everything

_OPENING: Final = (Kind.COMMIT, Kind.PROPOSAL)


class Backlog(Protocol):
    """What a feed reads of the store."""

    def page(self, channel: bytes, after: int, limit: int) -> Page:
        """By seq, from the one after `after`."""
        ...

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        """Commits, proposals, alerts and FLASH, by seq."""
        ...

    def concerning(self, channel: bytes, after: int, limit: int, recipient: Recipient) -> tuple[Sequence[Stored], int]:
        """What of the next `limit` envelopes of a sparse stream concerns this device, by seq; and the last seq looked at."""
        ...


def urgent(stored: Stored) -> bool:
    """Whether it may overtake."""
    return stored.kind is Kind.ALERT or stored.precedence == Precedence.FLASH


def page_of(channel: bytes, stored: Sequence[Stored]) -> Page:
    """Envelopes of one stream, ready to be sent."""
    rows = [
        (s.seq, s.index, s.time, s.nonce, s.header, s.signature, s.kind, s.device, s.precedence, s.body) for s in stored
    ]
    return Page.of(channel, rows)


@dataclass(slots=True, eq=False)
class Flight:
    """Deliveries of one lane that went one after another, no seq between them left out."""

    first: int  # seq
    last: int
    size: int  # bytes

    def land(self, seq: int) -> tuple[int, int]:
        """Everything up to here has landed: how many deliveries, and how many bytes as far as that can be told."""
        count = min(seq, self.last) - self.first + 1
        size = self.size * count // (self.last - self.first + 1)
        self.first += count
        self.size -= size
        return count, size


@dataclass(slots=True, eq=False)
class Lane:
    """One stream of one session. Lists and frozen sets throughout: they are short, and an empty deque or set would weigh ten times as
    much in each of a hundred thousand lanes."""

    channel: bytes
    dense: bool
    sent: int  # everything up to here has been sent (or skipped, in a sparse stream)
    loaded: int  # everything up to here has been sent, or lies in `page`
    head: int  # the newest seq known that may be sent
    until: int = 0  # the commit that removed the device is the last it gets; 0: it is in
    page: Page | None = None  # what is at hand, from place `at` on
    at: int = 0
    ahead: frozenset[int] = frozenset()  # sent out of order, above `sent`
    plan: list[Stored] = field(default_factory=list)  # what overtakes, and what must go before it
    look_at: int | None = None  # look for what may overtake once `sent` has come this far
    flight: list[Flight] = field(default_factory=list)  # sent and not yet stored by the device

    def arrived(self, stored: Stored, recipient: Recipient) -> None:
        """A new envelope, newer than all that was known."""
        caught_up = self.loaded == self.head and self.page is None
        self.head = stored.seq
        if caught_up:
            self.loaded = stored.seq
            self._put(page_of(self.channel, [stored]).to(recipient))
        if self.dense and urgent(stored) and not caught_up:
            self.look_at = self.sent

    def end_at(self, until: int) -> None:
        """Nothing is sent after this seq."""
        self.until = until
        self.head = min(self.head, until)
        if self.page is not None:
            self._put(self.page.part(self.at, bisect_right(self.page.seqs, until, self.at)))

    def turn(self, backlog: Backlog, recipient: Recipient) -> Turn | None:
        """When its next envelope goes; None when all is sent, or while it is not at hand."""
        if self.look_at is not None and self.sent >= self.look_at and not self.plan:
            self._plan(backlog)
        if self.plan:
            return Precedence.FLASH, self.plan[0].index
        self._pass_over()
        if self.page is None and self.loaded < self.head:
            self._load(backlog, recipient)
            self._pass_over()
        return None if self.page is None else self.page.turn(self.at)

    def _plan(self, backlog: Backlog) -> None:
        """Plan what overtakes: each urgent envelope that few enough commits stand before, and those commits before it."""
        marks = backlog.landmarks(self.channel, self.sent, MARKS)
        self.look_at = marks[-1].seq if len(marks) == MARKS else None
        opening: list[Stored] = []
        for mark in marks:
            if mark.seq > self.head or mark.seq in self.ahead:
                continue
            if mark.kind in _OPENING:
                opening.append(mark)
            if not urgent(mark):
                continue
            commits = [o.seq for o in opening if o.kind is Kind.COMMIT]
            if len(commits) > COMMITS_BEFORE_FLASH:
                self.look_at = commits[-COMMITS_BEFORE_FLASH - 1]  # once this one is sent
                return
            self.plan += [o for o in opening if o is not mark] + [mark]
            opening.clear()

    def _load(self, backlog: Backlog, recipient: Recipient) -> None:
        """Read one page, which in a sparse stream may hold nothing."""
        if self.dense:
            page = backlog.page(self.channel, self.loaded, PAGE)
            page = page.part(0, bisect_right(page.seqs, self.head))
            self.loaded = page.seqs[-1] if page else self.head
        else:
            found, self.loaded = backlog.concerning(self.channel, self.loaded, PAGE, recipient)
            self.head = max(self.head, self.loaded)  # a page may hold what the hub has not heard of yet
            if not found:  # as most of them, to most people
                return
            page = page_of(self.channel, found)
        self._put(page.to(recipient))

    def _put(self, page: Page) -> None:
        self.page, self.at = page if page else None, 0

    def _pass_over(self) -> None:
        """What has overtaken is not sent again."""
        while self.page is not None and self.page.seqs[self.at] in self.ahead:
            self.ahead -= {self._step(self.at + 1)}

    def _step(self, to: int) -> int:
        """Everything before this place of the page is sent; the last seq that is."""
        assert self.page is not None  # only while something is at hand
        self.sent = self.page.seqs[to - 1]
        self.at = to
        if to == len(self.page):
            self.page = None
        return self.sent

    def overtake(self, recipient: Recipient) -> Page:
        """The next of the plan. Counted as sent."""
        stored = self.plan.pop(0)
        if self.page is not None and self.page.seqs[self.at] == stored.seq:
            self._step(self.at + 1)
        else:
            self.ahead |= {stored.seq}
        return page_of(self.channel, [stored]).to(recipient)

    def take(self, most: int, room: int, bound: Turn) -> Page:
        """What is at hand and goes now: `Page.going`. Counted as sent."""
        page, start = self.page, self.at
        assert page is not None  # it is this lane's turn
        end = 1 + start if self.ahead else page.going(start, most, room, bound)
        if self.look_at is not None:
            end = max(1 + start, bisect_right(page.seqs, self.look_at, start, end))
        self._step(end)
        return page.part(start, end)

    def take_off(self, going: Page) -> None:
        """This is under way."""
        first, last = going.seqs[0], going.seqs[-1]
        if last - first < len(going):
            self.fly(first, last, going.size)
            return
        for at, seq in enumerate(going.seqs):  # of a sparse stream
            self.fly(seq, seq, going.ends[at] - (going.ends[at - 1] if at else 0))

    def fly(self, first: int, last: int, size: int) -> None:
        """One flight more, or a longer one."""
        before = self.flight[-1] if self.flight else None
        if before is not None and before.last + 1 == first:
            before.last = last
            before.size += size
        else:
            self.flight.append(Flight(first, last, size))

    def land(self, seq: int) -> tuple[int, int]:
        """The device has stored everything up to here: how many deliveries that is, and how many bytes."""
        count = size = 0
        flight = self.flight
        if self.ahead:  # overtakers stand among the rest in the order of sending
            for some in flight:
                if some.first <= seq:
                    landed = some.land(seq)
                    count, size = count + landed[0], size + landed[1]
            self.flight = [some for some in flight if some.last > seq]
            return count, size
        while flight and flight[0].first <= seq:
            landed = flight[0].land(seq)
            count, size = count + landed[0], size + landed[1]
            if flight[0].last > seq:
                break
            flight.pop(0)
        return count, size
