"""What a session is to be sent next. Pure: the shell asks, reads pages for it from the store, and sends what it is told.

A session follows *lanes*: its channels, their receipt streams and the control channel. A channel's lane is dense: every seq,
in order, from the commit that added the device on. The others are sparse: only what concerns the device (`Audience`).

    which lane   the one whose next envelope has the highest precedence, then the lowest log index
    within it    by seq; but FLASH and ALERT overtake, when at most COMMITS_BEFORE_FLASH commits lie between, and then only
                 those commits (and their proposals) go before it, in order, so that the device can open it
    how much     at most WINDOW deliveries, and the bytes that the device has asked for, beyond what its cursors say it has
                 stored; on a narrow link one delivery always, and beyond what has come in, so that what is urgent waits for
                 little and a run longer than the window still goes

What has overtaken is not sent again when the lane comes to it. A device's own envelopes come back to it without their body, so that
it knows their order.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from gateway.core.lane import LAST, Backlog, Lane
from gateway.core.page import PLACING, Page, Turn
from gateway.core.recipient import Recipient
from gateway.core.rows import Stored
from gateway.core.stretch import Stretch

WINDOW: Final = 1_024


class Going(IntEnum):
    """How a new envelope goes at once."""

    NOT = 0  # something else waits, or the window is shut
    BARE = 1  # without its body
    WHOLE = 2


class Feed:
    """One session's deliveries: a machine without I/O. Not shared between threads."""

    __slots__ = ("_active", "_bytes", "_carried", "_count", "_lanes", "_narrow", "_recipient", "_road", "_window")

    def __init__(self, recipient: Recipient) -> None:
        self.recipient = recipient
        self._lanes: dict[bytes, Lane] = {}
        self._active: dict[bytes, Lane] = {}
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
        self._narrow, self._window, self._carried = recipient.narrow, recipient.window, recipient.carried

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
        self._active.pop(channel, None)  # what was still to come of an earlier stay is not sent any more
        lane = self._lanes[channel] = Lane(channel, dense, start, start, head, until)
        if start < head:
            lane.look_at = start if dense else None
            self._active[channel] = lane

    def leave(self, channel: bytes, until: int) -> None:
        """The device was removed by the commit at `until`: the last it is sent of this channel. 0: end at once."""
        lane = self._lanes.get(channel)
        if lane is None:
            return
        lane.end_at(until)
        if not until:
            self._forget_flight(channel)
            del self._lanes[channel]
            self._active.pop(channel, None)

    def arrived(self, stored: Stored) -> bool:
        """A new envelope of a stream followed (a sparse one's only when it concerns the device); False: not followed."""
        lane = self._lanes.get(stored.channel)
        if lane is None or stored.seq <= lane.head or (lane.until and stored.seq > lane.until):
            return False
        lane.arrived(stored, self._recipient)
        self._active[stored.channel] = lane
        return True

    def pass_on(self, stretch: Stretch) -> Going:
        """Whether new envelopes may go at once, since nothing else waits: then they are counted as sent. The live case, `arrived`
        and `draw` in one, five thousand times in a broadcast."""
        first, last, count = stretch.envelopes[0], stretch.envelopes[-1].seq, len(stretch.envelopes)
        lane = self._lanes.get(first.channel)
        if (
            lane is None
            or self._active
            or lane.loaded != lane.head
            or first.seq <= lane.head
            or lane.page is not None
            or lane.until
        ):
            return Going.NOT
        whole = stretch.longest <= self._carried and first.device != self._recipient.device
        size = stretch.bare + PLACING * count + (stretch.bodies if whole else 0)
        if count > 1 and (self._narrow or not (whole or first.device == self._recipient.device)):
            return Going.NOT  # one at a time on a narrow link; and where some bodies go along and some do not
        if not self.open or (count > 1 and (self._count + count > WINDOW or self._bytes + size > self._window)):
            return Going.NOT
        lane.sent = lane.loaded = lane.head = last
        if self._narrow:
            self._road.append(size)
        else:
            lane.fly(first.seq, last, size)
        self._count += count
        self._bytes += size
        return Going.WHOLE if whole else Going.BARE

    def stored(self, channel: bytes, seq: int) -> None:
        """The device's cursor: it has stored everything of this stream up to `seq`."""
        lane = self._lanes.get(channel)
        if lane is not None and not self._narrow:
            self._landed(*lane.land(seq))

    def taken(self, count: int) -> None:
        """So many deliveries have come in at the end of a narrow link."""
        for _ in range(min(count, len(self._road))):
            self._landed(1, self._road.pop(0))

    def draw(self, backlog: Backlog, most: int) -> list[Page]:
        """What to send now, in order, up to `most` deliveries; counted as sent. Empty when the window is shut, or nothing is at hand:
        while `waiting`, ask again."""
        drawn: list[Page] = []
        while most > 0 and self.open:
            lane, bound = self._foremost(backlog)
            if lane is None:
                break
            going = self._going(lane, bound, most)
            self._take_off(lane, going)
            drawn.append(going)
            most -= len(going)
        return drawn

    def _foremost(self, backlog: Backlog) -> tuple[Lane | None, Turn]:
        """The lane whose turn it is, and the turn from which on it is another one's."""
        best, foremost, bound = LAST, None, LAST
        for lane in tuple(self._active.values()):
            turn = lane.turn(backlog, self._recipient)
            if turn is None:
                if lane.loaded >= lane.head:
                    del self._active[lane.channel]
            elif turn < best:
                best, foremost, bound = turn, lane, best
            elif turn < bound:
                bound = turn
        return foremost, bound

    def _going(self, lane: Lane, bound: Turn, most: int) -> Page:
        """What goes of one lane now."""
        if lane.plan:
            return lane.overtake(self._recipient)
        most = 1 if self._narrow else min(most, WINDOW - self._count)
        return lane.take(most, self._window - self._bytes, bound)

    def _take_off(self, lane: Lane, going: Page) -> None:
        if self._narrow:
            self._road.append(going.size)
        else:
            lane.take_off(going)
        self._count += len(going)
        self._bytes += going.size

    def _landed(self, count: int, size: int) -> None:
        self._count -= count
        self._bytes -= size

    def _forget_flight(self, channel: bytes) -> None:
        lane = self._lanes.get(channel)
        if lane is not None:
            for some in lane.flight:
                self._landed(*some.land(some.last))
