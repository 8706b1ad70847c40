"""What a session is to be sent next. Pure: the shell asks, reads pages for it from the store, and sends what it is told.

A session follows *lanes*: its channels, their receipt streams and the control channel. A channel's lane is dense: every seq,
in order, from the commit that added the device on. The others are sparse: only what concerns the device (`Audience`).

    which lane   the one whose next envelope has the highest precedence, then the lowest log index
    within it    by seq; but FLASH and ALERT overtake, when at most COMMITS_BEFORE_FLASH commits lie between, and then only
                 those commits (and their proposals) go before it, in order, so that the device can open it
    how much     at most WINDOW deliveries, and the bytes that the device has asked for, beyond what its cursors say it has
                 stored; on a narrow link one delivery always, and beyond what has come in, so that what is urgent waits for
                 little and a run longer than the window still goes

What has overtaken is remembered and not sent again when the lane comes to it. A device's own envelopes come back to it
without their body, so that it knows their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

from gateway.core.stretch import Stretch
from gateway.core.view import Stored
from gateway.wire import CHUNK, WINDOW_MOST
from keys.envelope import Kind, Precedence

WINDOW: Final = 1_024
PAGE: Final = 64  # envelopes read at once
MARKS: Final = 256  # landmarks read at once
COMMITS_BEFORE_FLASH: Final = 3

_OPENING: Final = (Kind.COMMIT, Kind.PROPOSAL)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A device at the other end, as far as delivery asks: `directory` is the verb of officers, `alerting` those of the mission's
    own who write or approve alerts; `window` is how many bytes it wants under way."""

    device: bytes
    organisation: str
    directory: bool
    registrar: bool
    alerting: bool = False
    window: int = WINDOW_MOST

    @property
    def narrow(self) -> bool:
        """Whether it has asked for less at a time than one frame holds."""
        return self.window < CHUNK

    @property
    def carried(self) -> int:
        """The longest body that is sent along (bytes)."""
        return min(CHUNK, self.window)


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an envelope of a sparse stream concerns. Its author always hears of it."""

    everyone: bool = False
    directory: bool = False  # officers and registrars
    officers_of: str | None = None  # the officers of one organisation
    devices: frozenset[bytes] = frozenset()
    alerting: bool = False  # who writes or approves alerts, of the mission's own

    def includes(self, recipient: Recipient) -> bool:
        return (
            self.everyone
            or recipient.device in self.devices
            or (self.directory and (recipient.directory or recipient.registrar))
            or (recipient.directory and recipient.organisation == self.officers_of)
            or (self.alerting and recipient.alerting)
        )


class Backlog(Protocol):
    """What a feed reads of the store."""

    def envelopes(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        """By seq, from the one after `after`."""
        ...

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        """Commits, proposals, alerts and FLASH, by seq."""
        ...

    def concerning(self, channel: bytes, after: int, limit: int, recipient: Recipient) -> tuple[Sequence[Stored], int]:
        """What of the next `limit` envelopes of a sparse stream concerns this device, by seq; and the last seq looked at."""
        ...


class Going(IntEnum):
    """How a new envelope goes at once."""

    NOT = 0  # something else waits, or the window is shut
    BARE = 1  # without its body
    WHOLE = 2


def urgent(stored: Stored) -> bool:
    """Whether it may overtake."""
    return stored.kind is Kind.ALERT or stored.precedence == Precedence.FLASH


def with_body(stored: Stored, recipient: Recipient) -> bool:
    """Whether the delivery carries the body: short enough for a frame and for the window, and not the device's own."""
    return stored.body_length <= recipient.carried and stored.device != recipient.device


@dataclass(slots=True, eq=False)
class _Flight:
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
class _Lane:
    """One stream of one session. Lists throughout: they are short, and an empty deque would weigh ten times as much in each of
    a hundred thousand lanes."""

    channel: bytes
    dense: bool
    sent: int  # everything up to here has been sent (or skipped, in a sparse stream)
    loaded: int  # everything up to here has been sent, or lies in `page`
    head: int  # the newest seq known that may be sent
    until: int = 0  # the commit that removed the device is the last it gets; 0: it is in
    page: list[Stored] = field(default_factory=list)
    ahead: set[int] = field(default_factory=set)  # sent out of order, above `sent`
    plan: list[Stored] = field(default_factory=list)  # what overtakes, and what must go before it
    look_at: int | None = None  # look for what may overtake once `sent` has come this far
    flight: list[_Flight] = field(default_factory=list)  # sent and not yet stored by the device


class Feed:
    """One session's deliveries: a machine without I/O. Not shared between threads."""

    __slots__ = ("_active", "_bytes", "_carried", "_count", "_lanes", "_narrow", "_recipient", "_road", "_window")

    def __init__(self, recipient: Recipient) -> None:
        self.recipient = recipient
        self._lanes: dict[bytes, _Lane] = {}
        self._active: dict[bytes, _Lane] = {}
        self._count = 0
        self._bytes = 0
        self._road: list[int] = []  # of a narrow link: the sizes of what is on it, in the order of sending

    @property
    def recipient(self) -> Recipient:
        """Who is at the other end."""
        return self._recipient

    @recipient.setter
    def recipient(self, recipient: Recipient) -> None:
        self._recipient = recipient
        self._narrow, self._window = recipient.narrow, recipient.window
        self._carried = recipient.carried

    @property
    def channels(self) -> Sequence[bytes]:
        """Everything followed."""
        return tuple(self._lanes)

    @property
    def open(self) -> bool:
        """Whether the window lets one more delivery go."""
        return (self._count < WINDOW and self._bytes < self._window) or not self._count

    @property
    def waiting(self) -> bool:
        """Whether there may be something to send."""
        return bool(self._active)

    def follow(self, channel: bytes, start: int, head: int, *, dense: bool, until: int = 0) -> None:
        """Send this stream from the seq after `start`; the newest that there is is `head`."""
        head = min(head, until) if until else head
        start = min(start, head)
        self._forget_flight(channel)
        lane = self._lanes[channel] = _Lane(channel, dense, start, start, head, until)
        if start < head:
            lane.look_at = start if dense else None
            self._active[channel] = lane

    def leave(self, channel: bytes, until: int) -> None:
        """The device was removed by the commit at `until`: the last it is sent of this channel. 0: end at once."""
        lane = self._lanes.get(channel)
        if lane is None:
            return
        lane.until = until
        lane.head = min(lane.head, until)
        while lane.page and lane.page[-1].seq > until:
            lane.page.pop()
        if not until:
            self._forget_flight(channel)
            del self._lanes[channel]
            self._active.pop(channel, None)

    def arrived(self, stored: Stored) -> bool:
        """A new envelope of a stream followed (a sparse one's only when it concerns the device); False: not followed."""
        lane = self._lanes.get(stored.channel)
        if lane is None or stored.seq <= lane.head or (lane.until and stored.seq > lane.until):
            return False
        caught_up = lane.loaded == lane.head
        lane.head = stored.seq
        if caught_up and len(lane.page) < PAGE:
            lane.loaded = stored.seq
            lane.page.append(stored)
        if lane.dense and urgent(stored) and not (lane.page and lane.page[0] is stored):
            lane.look_at = lane.sent
        self._active[stored.channel] = lane
        return True

    def pass_on(self, stretch: Stretch) -> Going:
        """Whether new envelopes may go at once, since nothing else waits: then they are counted as sent. The live case, `arrived`
        and `next` in one."""
        first, last, count = stretch.envelopes[0], stretch.envelopes[-1].seq, len(stretch.envelopes)
        lane = self._lanes.get(first.channel)
        if (
            lane is None
            or self._active
            or lane.loaded != lane.head
            or first.seq <= lane.head
            or lane.page
            or lane.until
        ):
            return Going.NOT
        whole = stretch.longest <= self._carried and first.device != self._recipient.device
        size = stretch.bare + stretch.bodies if whole else stretch.bare
        if count > 1 and (self._narrow or not (whole or first.device == self._recipient.device)):
            return Going.NOT  # one at a time on a narrow link; and where some bodies go along and some do not
        if not self.open or (count > 1 and (self._count + count > WINDOW or self._bytes + size > self._window)):
            return Going.NOT
        lane.sent = lane.loaded = lane.head = last
        self._fly(lane, first.seq, last, size)
        return Going.WHOLE if whole else Going.BARE

    def stored(self, channel: bytes, seq: int) -> None:
        """The device's cursor: it has stored everything of this stream up to `seq`."""
        lane = self._lanes.get(channel)
        if lane is None or self._narrow:
            return
        flight = lane.flight
        if lane.ahead:  # overtakers stand among the rest in the order of sending
            for some in flight:
                if some.first <= seq:
                    self._landed(*some.land(seq))
            lane.flight = [some for some in flight if some.last > seq]
            return
        while flight and flight[0].first <= seq:
            self._landed(*flight[0].land(seq))
            if flight[0].last > seq:
                return
            flight.pop(0)

    def taken(self, count: int) -> None:
        """So many deliveries have come in at the end of a narrow link."""
        for _ in range(min(count, len(self._road))):
            self._landed(1, self._road.pop(0))

    def next(self, backlog: Backlog) -> Stored | None:
        """What to send now, counted as sent; None when the window is shut, or nothing is at hand: while `waiting`, ask again."""
        drawn = self.draw(backlog, 1)
        return drawn[0] if drawn else None

    def draw(self, backlog: Backlog, most: int) -> list[Stored]:
        """What to send now, in order, up to `most` deliveries; counted as sent. Empty as `next` is None."""
        drawn: list[Stored] = []
        while len(drawn) < most and self.open:
            lane, bound = self._foremost(backlog)
            if lane is None:
                break
            self._run(lane, bound, drawn, most)
        return drawn

    def _foremost(self, backlog: Backlog) -> tuple[_Lane | None, tuple[int, int]]:
        """The lane whose turn it is, and the rank and log index from which on it is another one's."""
        best, foremost, bound = _NOTHING, None, _NOTHING
        for lane in tuple(self._active.values()):
            found = _candidate(lane, backlog, self._recipient)
            if found is None:
                if lane.loaded >= lane.head:
                    del self._active[lane.channel]
            elif found < best:
                best, foremost, bound = found, lane, best
            elif found < bound:
                bound = found
        return foremost, bound

    def _run(self, lane: _Lane, bound: tuple[int, int], drawn: list[Stored], most: int) -> None:
        """Draw from one lane: its first, and what follows in its page while its turn lasts."""
        if lane.plan:
            stored = lane.plan[0]
            _take(lane, stored)
            self._count_flight(lane, stored)
            drawn.append(stored)
            return
        # Ten thousand times in a backlog: no call that can be spared.
        page, look_at, room = lane.page, lane.look_at, most - len(drawn)
        taken = 0
        for stored in page:
            if taken and (taken == room or lane.ahead or not self.open or (_rank(stored), stored.index) >= bound):
                break
            if taken and look_at is not None and lane.sent >= look_at:
                break
            taken += 1
            lane.sent = stored.seq
            self._count_flight(lane, stored)
        drawn += page[:taken]
        del page[:taken]

    def _count_flight(self, lane: _Lane, stored: Stored) -> None:
        size = len(stored.header) + len(stored.signature)
        if stored.body_length <= self._carried and stored.device != self._recipient.device:
            size += stored.body_length
        self._fly(lane, stored.seq, stored.seq, size)

    def _fly(self, lane: _Lane, first: int, last: int, size: int) -> None:
        """These are under way, no seq between them left out."""
        if self._narrow:
            self._road.append(size)
        else:
            some = lane.flight[-1] if lane.flight else None
            if some is None or first != some.last + 1:
                lane.flight.append(_Flight(first, last, size))
            else:
                some.last = last
                some.size += size
        self._count += last - first + 1
        self._bytes += size

    def _landed(self, count: int, size: int) -> None:
        self._count -= count
        self._bytes -= size

    def _forget_flight(self, channel: bytes) -> None:
        lane = self._lanes.get(channel)
        if lane is not None:
            for some in lane.flight:
                self._landed(*some.land(some.last))


_NOTHING: Final = (1 << 62, 0)  # behind everything


def _rank(stored: Stored) -> int:
    return 0 if stored.kind is Kind.ALERT else stored.precedence  # FLASH is 0


def _candidate(lane: _Lane, backlog: Backlog, recipient: Recipient) -> tuple[int, int] | None:
    """Rank and log index of the lane's next envelope; None when all is sent."""
    if lane.look_at is not None and lane.sent >= lane.look_at and not lane.plan:
        _plan(lane, backlog)
    if lane.plan:
        return Precedence.FLASH, lane.plan[0].index
    stored = _in_order(lane, backlog, recipient)
    return None if stored is None else (_rank(stored), stored.index)


def _plan(lane: _Lane, backlog: Backlog) -> None:
    """Plan what overtakes: each urgent envelope that few enough commits stand before, and those commits before it."""
    marks = backlog.landmarks(lane.channel, lane.sent, MARKS)
    lane.look_at = marks[-1].seq if len(marks) == MARKS else None
    opening: list[Stored] = []
    for mark in marks:
        if mark.seq > lane.head or mark.seq in lane.ahead:
            continue
        if mark.kind in _OPENING:
            opening.append(mark)
        if not urgent(mark):
            continue
        commits = [o.seq for o in opening if o.kind is Kind.COMMIT]
        if len(commits) > COMMITS_BEFORE_FLASH:
            lane.look_at = commits[-COMMITS_BEFORE_FLASH - 1]  # once this one is sent
            return
        lane.plan += [o for o in opening if o is not mark] + [mark]
        opening.clear()


def _in_order(lane: _Lane, backlog: Backlog, recipient: Recipient) -> Stored | None:
    """The next by seq that has not overtaken. Reads at most one page, which in a sparse stream may hold nothing."""
    if not _at_hand(lane) and lane.loaded < lane.head:
        if lane.dense:
            rows: Sequence[Stored] = backlog.envelopes(lane.channel, lane.loaded, PAGE)
            rows = [row for row in rows if row.seq <= lane.head]
            last = rows[-1].seq if rows else lane.head
        else:
            rows, last = backlog.concerning(lane.channel, lane.loaded, PAGE, recipient)
            lane.head = max(lane.head, last)  # a page may hold what the hub has not heard of yet
        lane.loaded = last
        lane.page.extend(rows)
    return lane.page[0] if _at_hand(lane) else None


def _at_hand(lane: _Lane) -> bool:
    """Whether the page holds something to send, once what has overtaken is passed over."""
    while lane.page and lane.page[0].seq in lane.ahead:
        lane.sent = lane.page.pop(0).seq
        lane.ahead.discard(lane.sent)
    return bool(lane.page)


def _take(lane: _Lane, stored: Stored) -> None:
    """Count it as sent."""
    if lane.plan and lane.plan[0].seq == stored.seq:
        lane.plan.pop(0)
    if lane.page and lane.page[0].seq == stored.seq:
        lane.page.pop(0)
        lane.sent = stored.seq
    else:
        lane.ahead.add(stored.seq)
