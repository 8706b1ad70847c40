"""One entry of the log, read; and where it stands: its place in its channel, its time, and what its device had heard.

What can be told of an entry without knowing who anybody is. A channel's history is kept as one rolling hash a place (32 bytes),
so that every `heard` can be compared, however old.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from msgspec import Struct

from clients.auditor.verify.claims import Cause, Findings, Topic
from keys.envelope import NOTHING, Claimed, Context, Entry, Heard, Kind, read, read_entry
from keys.errors import Malformed
from keys.identity import ChannelId, control_channel, receipt_stream, unlock_stream

CLOCK_TOLERANCE: Final = 2_000  # ms that the gateway's clock may be set back between two entries
CLOCK_AHEAD: Final = 5 * 60_000  # ms that a clock may be ahead of the one that judges it
_HASH: Final = 32


class Placed(Struct, frozen=True, gc=False):
    """An envelope at its place in the log, as the entry claims it."""

    index: int
    entry: Entry
    claimed: Claimed

    @property
    def context(self) -> Context:
        return self.claimed.context


def read_leaf(index: int, leaf: bytes, findings: Findings) -> Placed | None:
    """The entry in a leaf, or a finding: a log holds entries in their one encoding and nothing else."""
    try:
        entry = read_entry(leaf)
        claimed = read(entry.envelope)
    except Malformed as error:
        findings.fail(Topic.ENTRIES, Cause.INJECTED, f"no entry of an envelope: {error}", index)
        return None
    if claimed.context.channel != entry.channel:
        findings.fail(Topic.ENTRIES, Cause.INJECTED, "the entry stands in another channel than its header says", index)
        return None
    return Placed(index, entry, claimed)


@dataclass(slots=True)
class Stream:
    """One channel, receipt stream or the control channel, up to the last entry read."""

    id: bytes
    seq: int = 0
    rolling: bytes = NOTHING
    parent: bytes | None = None  # of a receipt stream: its channel
    dense: bool = False  # a channel, in which what was heard is compared
    base: int = 0  # places before the first of `history`
    history: bytearray = field(default_factory=bytearray)  # rolling hashes, laid end to end

    def heard_at(self, seq: int) -> bytes | None:
        """The rolling hash after that place; None where it is before an earlier verification."""
        if seq == self.seq:
            return self.rolling
        start = (seq - self.base - 1) * _HASH
        return bytes(self.history[start : start + _HASH]) if start >= 0 else None


class Streams:
    """Every stream of the log; takes the entries in their order."""

    def __init__(self, origin: str, findings: Findings) -> None:
        self.control = control_channel(origin)
        self.unlocks = unlock_stream(origin)
        self.open: dict[bytes, Stream] = {}
        self.heard_before = 0  # places heard that lie before an earlier verification
        self._parents: dict[bytes, bytes] = {}
        self._findings = findings

    def take(self, placed: Placed) -> Stream:
        """Give an entry its place, and compare what its device had heard."""
        stream = self.open.get(placed.entry.channel) or self._begin(placed)
        seq = placed.entry.seq
        if seq != stream.seq + 1:
            self._misplaced(placed, stream)
        if stream.dense or stream.parent is not None:
            self._compare_heard(placed, stream)
        stream.seq = max(seq, stream.seq)
        if stream.dense:
            stream.rolling = sha256(stream.rolling + sha256(placed.entry.header).digest()).digest()
            stream.history += stream.rolling
        return stream

    def restore(self, stream: Stream) -> None:
        """A stream as an earlier verification left it."""
        self.open[stream.id] = stream
        if stream.dense:
            self._parents[receipt_stream(ChannelId(stream.id))] = stream.id

    def _begin(self, placed: Placed) -> Stream:
        channel, kind = placed.entry.channel, placed.context.kind
        stream = Stream(channel, parent=self._parents.get(channel))
        if channel not in (self.control, self.unlocks) and stream.parent is None:
            stream.dense = True
            self._parents[receipt_stream(ChannelId(channel))] = channel
            if kind is Kind.RECEIPT:
                rule = "receipts of a channel that is not in the log before them"
                self._findings.fail(Topic.RECEIPTS, Cause.RECEIPT_WITHOUT_ENTRY, rule, placed.index)
            elif kind is not Kind.CHANNEL_CREATED:
                self._findings.fail(
                    Topic.ORDER, Cause.MISSING, "a channel begins with its creation, and not with this", placed.index
                )
        self.open[channel] = stream
        return stream

    def _misplaced(self, placed: Placed, stream: Stream) -> None:
        seq, channel = placed.entry.seq, placed.entry.channel.hex()[:8]
        if seq > stream.seq:
            rule = f"places {stream.seq + 1} to {seq - 1} of channel {channel} are left out"
            self._findings.fail(Topic.ORDER, Cause.MISSING, rule, placed.index)
        else:
            rule = f"place {seq} of channel {channel} comes after place {stream.seq}"
            self._findings.fail(Topic.ORDER, Cause.REORDERED, rule, placed.index)

    def _compare_heard(self, placed: Placed, stream: Stream) -> None:
        heard = placed.context.heard
        if heard.seq == 0:
            return
        channel = stream if stream.parent is None else self.open[stream.parent]
        device = placed.context.device.hex()[:8]
        if heard.seq > channel.seq:
            self._ahead(placed, heard, channel)
            return
        rolling = channel.heard_at(heard.seq)
        if rolling is None:
            self.heard_before += 1
        elif rolling != heard.rolling:
            rule = f"device {device} had seen another history of the channel up to place {heard.seq}"
            self._findings.fail(Topic.HEARD, Cause.FORKED, rule, placed.index)

    def _ahead(self, placed: Placed, heard: Heard, channel: Stream) -> None:
        device = placed.context.device.hex()[:8]
        rule = f"device {device} had seen place {heard.seq}, and the log has {channel.seq} before this"
        if placed.context.kind is Kind.RECEIPT:
            self._findings.fail(Topic.RECEIPTS, Cause.RECEIPT_WITHOUT_ENTRY, rule, placed.index)
        else:
            self._findings.fail(Topic.HEARD, Cause.FORKED, rule, placed.index)

    def end(self) -> None:
        """What can't be said at the end of the log."""
        if self.heard_before:
            rule = f"{self.heard_before} envelopes had heard less than was verified earlier: verify without --since"
            self._findings.unchecked(Topic.HEARD, rule)


class Times:
    """The gateway's clock as its entries tell it."""

    def __init__(self, now: int, findings: Findings) -> None:
        self.last = 0
        self._before = 0  # the time before that
        self._index = 0
        self.latest = now + CLOCK_AHEAD
        self._findings = findings

    def take(self, placed: Placed) -> None:
        """The next entry's time: not before the last one's, not after the auditor's own clock."""
        time, index = placed.entry.time, placed.index
        if time > self.latest:
            self._findings.fail(Topic.TIMES, Cause.FUTURE_TIME, "logged at a time that has not come yet", index)
        if time < self.last - CLOCK_TOLERANCE:
            self._fallen(time, index)
        context = placed.claimed.context
        if context.time - time > CLOCK_AHEAD and context.kind not in (Kind.ALERT, Kind.SOS):
            rule = f"sealed {(context.time - time) // 1000} s after it was logged"
            self._findings.fail(Topic.TIMES, Cause.FUTURE_TIME, rule, index)
        self.move(time, index)

    def move(self, time: int, index: int) -> None:
        """An entry's time that nothing speaks against."""
        self._before, self.last, self._index = self.last, time, index

    def _fallen(self, time: int, index: int) -> None:
        """Blames the entry before where it alone stands out, else this one."""
        by = (self.last - time) // 1000
        if time >= self._before - CLOCK_TOLERANCE and self._before:
            rule = f"logged {by} s after entry {index}, which stands behind it"
            self._findings.fail(Topic.TIMES, Cause.FUTURE_TIME, rule, self._index)
        else:
            rule = f"logged {by} s before entry {index - 1}, which stands in front of it"
            self._findings.fail(Topic.TIMES, Cause.REORDERED, rule, index)
