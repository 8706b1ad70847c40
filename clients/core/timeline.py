"""Deliveries on their way into the history of a stream: what is next, what has overtaken, what is missing.

A channel is dense: every seq comes, in order. FLASH and alerts overtake, with the few commits they need before them; all else
that jumps is a gap, fetched again and, where it does not come, named. This is memory of one session only: what was not
processed is delivered again by the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from clients.core import records
from clients.core.ledger import View, at
from clients.core.watch import ALL, Watch
from gateway.wire import Placed
from keys.envelope import RUN_LIMIT, Claimed, Envelope, Kind, Precedence, read
from keys.errors import Malformed

PATIENCE: Final = 1_500  # ms that a gap may last behind something that overtook
NARROW_PATIENCE: Final = 30_000  # the same on a narrow link, without anything coming in
FETCHED_AT_ONCE: Final = 200
_INBOX: Final = "inbox"


def claim(placed: Placed) -> Claimed | None:
    """What an envelope claims, or None where it is none."""
    return _claim(placed.header, placed.signature)


@lru_cache(maxsize=256)  # it is asked of each delivery at every step of its way into the history
def _claim(header: bytes, signature: bytes) -> Claimed | None:
    try:
        return read(Envelope(header, signature))
    except Malformed:
        return None


def overtakes(claimed: Claimed | None) -> bool:
    """Whether it may come before its turn."""
    if claimed is None:
        return False
    context = claimed.context
    return urgent(claimed) or context.kind in (Kind.COMMIT, Kind.PROPOSAL)


def urgent(claimed: Claimed | None) -> bool:
    """What people have to see first."""
    if claimed is None or not claimed.signed:
        return False
    return claimed.context.kind is Kind.ALERT or claimed.context.precedence is Precedence.FLASH


@dataclass(slots=True)
class Inbox:
    """What has been delivered of one stream and not been processed yet."""

    waiting: dict[int, Placed] = field(default_factory=dict)
    gap_since: int = 0  # when a gap was seen first (ms); 0: none
    asked: bool = False  # the gap was fetched in this session

    def add(self, placed: Placed) -> None:
        self.waiting.setdefault(placed.place.seq, placed)

    def next_run(self, seq: int) -> list[Placed] | None:
        """The envelopes after `seq` that are one whole run; None while some of it is missing.

        An unsigned envelope that the next one does not go on with is a run that nobody has closed: it comes alone, and
        then fails its verification.
        """
        run: list[Placed] = []
        for place in range(seq + 1, seq + 1 + RUN_LIMIT):
            placed = self.waiting.get(place)
            if placed is None:
                return None
            claimed = claim(placed)
            if run and not _goes_on(run[-1], claimed):
                return run[:1]
            run.append(placed)
            if claimed is None or claimed.signed:
                return run
        return run[:1]

    def done(self, seqs: Sequence[int]) -> None:
        for seq in seqs:
            self.waiting.pop(seq, None)

    def jumped(self, view: View, channel: bytes, seq: int) -> list[Placed]:
        """What has overtaken the envelope after `seq` and can be processed now: each urgent one, and before it the commits
        that were sent ahead with it."""
        order = sorted(s for s in self.waiting if s > seq and records.AHEAD.get(view, at(channel, s)) is None)
        claims = {s: claim(self.waiting[s]) for s in order}
        last = max((s for s in order if urgent(claims[s])), default=0)
        return [self.waiting[s] for s in order if s <= last and overtakes(claims[s])]

    def missing(self, seq: int, now: int, *, narrow: bool = False) -> tuple[int, int] | None:
        """The gap (first, last) that should be fetched now. On a narrow link it is waited for, whatever lies beyond it."""
        beyond = [s for s in self.waiting if s > seq + 1]
        if seq + 1 in self.waiting or not beyond:
            self.gap_since = 0
            return None
        self.gap_since = self.gap_since or now
        first = min(beyond)
        plain = any(not overtakes(claim(self.waiting[s])) for s in beyond)
        patience = NARROW_PATIENCE if narrow else 0 if plain else PATIENCE
        if now - self.gap_since < patience:
            return None
        return seq + 1, min(first - 1, seq + FETCHED_AT_ONCE)


class Inboxes:
    """What has been delivered in this session, by stream. Who looks into one, and what comes, is reported to the `watch`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._of: dict[bytes, Inbox] = {}

    def __iter__(self) -> Iterator[bytes]:
        """The streams that something has come in."""
        self._watch.looked(_INBOX, ALL)
        return iter(list(self._of))

    def get(self, stream: bytes) -> Inbox | None:
        self._watch.looked(_INBOX, stream)
        return self._of.get(stream)

    def add(self, placed: Placed) -> Inbox:
        """Put a delivery into the inbox of its stream."""
        inbox = self._of.setdefault(placed.channel, Inbox())
        inbox.add(placed)
        self._watch.changed(_INBOX, placed.channel)
        return inbox

    def empty(self) -> bool:
        """Whether all that has come is in the history."""
        return not any(inbox.waiting for inbox in self._of.values())

    def clear(self) -> None:
        self._of.clear()
        self._watch.changed(_INBOX, ALL)


def _goes_on(before: Placed, claimed: Claimed | None) -> bool:
    first = claim(before)
    if first is None or claimed is None:
        return False
    return (
        claimed.context.device == first.context.device
        and claimed.context.number == first.context.number + 1
        and claimed.context.channel == first.context.channel
    )
