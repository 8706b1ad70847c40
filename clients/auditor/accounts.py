"""Who was to get what, and who says that he did: every envelope of every channel against the receipts for it.

`Accounts` watches a reading (`clients.auditor.verify.watching`) and keeps, of each channel, its envelopes, its members of each epoch with
their certificates, and what their receipts cover. `gaps`, `reconcile` and `members` are three ways to look at that.

An envelope is for the members of the epoch in which it was sealed, its author aside. A receipt is for a range of places; a device that
has left owes none for what came after.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from clients.auditor.verify.entries import Placed, Stream
from clients.auditor.verify.rosters import Roster, Seat
from keys.body import Confirmed, Range, Receipt
from keys.envelope import ENCRYPTED, Kind, Marking


@dataclass(frozen=True, slots=True)
class Said:
    """An envelope of a channel: its place, its author, and the epoch whose members it is for. `time` is the gateway's (ms)."""

    seq: int
    index: int
    time: int
    kind: Kind
    epoch: int
    device: bytes

    @property
    def content(self) -> bool:
        return self.kind in ENCRYPTED


@dataclass(frozen=True, slots=True)
class Epoch:
    """The members from an epoch on, and the entry that began it."""

    number: int
    index: int
    seq: int
    time: int
    author: bytes
    channel_class: str
    ceiling: Marking
    seats: dict[bytes, Seat]


@dataclass(slots=True)
class Got:
    """What a device says it has got of a channel: gap-free ranges (first, last), and its newest receipt."""

    received: list[tuple[int, int]] = field(default_factory=list)
    decrypted: list[tuple[int, int]] = field(default_factory=list)
    shown: list[tuple[int, int]] = field(default_factory=list)
    receipts: int = 0
    absent: int = 0  # receipts whose bodies are not here
    last: int = 0  # ms
    confirmed: dict[int, tuple[bytes, int]] = field(default_factory=dict)  # by epoch: digest, log index


@dataclass(slots=True)
class ChannelAccount:
    """One channel."""

    id: bytes
    said: list[Said] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    got: dict[bytes, Got] = field(default_factory=dict)
    left: dict[bytes, int] = field(default_factory=dict)  # device: seq of the commit that removed it
    _numbered: dict[int, Epoch] = field(default_factory=dict)

    def begin(self, epoch: Epoch) -> None:
        """A commit has made another epoch."""
        self.epochs.append(epoch)
        self._numbered[epoch.number] = epoch

    def epoch(self, number: int) -> Epoch | None:
        """The members of an epoch."""
        return self._numbered.get(number)

    def audience(self, said: Said) -> list[bytes]:
        """Whose receipts an envelope waits for: the members of its epoch, without its author and those who have left since."""
        epoch = self.epoch(said.epoch)
        if epoch is None:
            return []
        return [d for d in epoch.seats if d != said.device and self._owes(d, said)]

    def _owes(self, device: bytes, said: Said) -> bool:
        return not 0 < self.left.get(device, 0) <= said.seq

    def joined(self, device: bytes) -> int:
        """The place from which on a device has been in the channel; what stands there it is not sent."""
        found = 0
        for before, after in zip([None, *self.epochs], self.epochs, strict=False):
            if device in after.seats and (before is None or device not in before.seats):
                found = after.seq
        return found


@dataclass(frozen=True, slots=True)
class ChainGap:
    """Numbers of a device that are not in its stream, and the entry by which that shows."""

    device: bytes
    stream: bytes
    first: int
    last: int
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class PlaceGap:
    """Places of a stream that no entry has."""

    stream: bytes
    first: int
    last: int
    index: int
    time: int


class Accounts:
    """Watches a reading."""

    def __init__(self) -> None:
        self.channels: dict[bytes, ChannelAccount] = {}
        self.chain_gaps: list[ChainGap] = []
        self.place_gaps: list[PlaceGap] = []
        self.end = 0  # ms: the time of the last entry
        self._numbers: dict[tuple[bytes, bytes], int] = {}
        self._places: dict[bytes, int] = {}

    # ------------------------------------------------------------------ clients.auditor.verify.watching.Watch

    def entry(self, placed: Placed, stream: Stream) -> None:
        context, entry = placed.context, placed.entry
        self.end = max(self.end, entry.time)
        chain = context.device, entry.channel
        last, place = self._numbers.get(chain, 0), self._places.get(entry.channel, 0)
        if context.number > last + 1:
            gap = ChainGap(context.device, entry.channel, last + 1, context.number - 1, placed.index, entry.time)
            self.chain_gaps.append(gap)
        if entry.seq > place + 1:
            self.place_gaps.append(PlaceGap(entry.channel, place + 1, entry.seq - 1, placed.index, entry.time))
        self._numbers[chain], self._places[entry.channel] = max(last, context.number), max(place, entry.seq)
        if stream.dense:
            said = Said(entry.seq, placed.index, entry.time, context.kind, context.epoch, context.device)
            self._channel(entry.channel).said.append(said)

    def member(self, placed: Placed, roster: Roster) -> None:
        channel = self._channel(placed.entry.channel)
        known = channel.epochs[-1] if channel.epochs else None
        if known is not None and known.number == roster.epoch:
            return
        if known is not None:
            channel.left |= dict.fromkeys(known.seats.keys() - roster.seats.keys(), placed.entry.seq)
        for device in roster.seats:
            channel.left.pop(device, None)
        entry, terms = placed.entry, (roster.terms.channel_class, roster.terms.ceiling)
        epoch = Epoch(
            roster.epoch, placed.index, entry.seq, entry.time, placed.context.device, *terms, dict(roster.seats)
        )
        channel.begin(epoch)

    def receipt(self, placed: Placed, receipt: Receipt | None, channel: bytes) -> None:
        got = self._channel(channel).got.setdefault(placed.context.device, Got())
        got.last = max(got.last, placed.entry.time)
        if receipt is None:
            got.absent += 1
            return
        got.receipts += 1
        for ranges, more in (
            (got.received, receipt.received),
            (got.decrypted, receipt.decrypted),
            (got.shown, receipt.shown),
        ):
            for part in more:
                _cover(ranges, part)
        if receipt.confirmed is not None:
            _confirm(got, receipt.confirmed, placed.index)

    def _channel(self, channel: bytes) -> ChannelAccount:
        account = self.channels.get(channel)
        if account is None:
            account = self.channels[channel] = ChannelAccount(channel)
        return account

    # ------------------------------------------------------------------ names

    def find(self, prefix: str) -> list[ChannelAccount]:
        """The channels whose id begins so, in hex."""
        return [account for channel, account in self.channels.items() if channel.hex().startswith(prefix.lower())]


def _confirm(got: Got, said: Confirmed, index: int) -> None:
    got.confirmed.setdefault(said.epoch, (said.digest, index))


def _cover(ranges: list[tuple[int, int]], part: Range) -> None:
    """Join one more range; receipts come nearly in order, so it mostly lengthens the last."""
    first, last = part.first, part.last
    if ranges and ranges[-1][0] <= first <= ranges[-1][1] + 1:
        ranges[-1] = ranges[-1][0], max(ranges[-1][1], last)
        return
    if not ranges or first > ranges[-1][1]:
        ranges.append((first, last))
        return
    merged: list[tuple[int, int]] = []
    for one in sorted([*ranges, (first, last)]):
        if merged and one[0] <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], one[1])
        else:
            merged.append(one)
    ranges[:] = merged


def covers(ranges: list[tuple[int, int]], seq: int) -> bool:
    """Whether one of the rising ranges holds the place."""
    place = bisect_right(ranges, (seq, 1 << 62)) - 1
    return place >= 0 and ranges[place][0] <= seq <= ranges[place][1]


@dataclass(frozen=True, slots=True)
class Silence:
    """What a member owes receipts for in a channel. `since` is when the oldest of it was logged (ms), `head` the newest place it was to
    get, `upto` the last place before which nothing is missing."""

    channel: bytes
    device: bytes
    missing: int
    first: int
    last: int
    since: int
    last_receipt: int
    absent: int


def silences(account: ChannelAccount, due: int, *, content: bool = False) -> Iterator[Silence]:
    """Who has not said that he got what was logged until `due` (ms), of one channel."""
    owed: dict[bytes, list[Said]] = {}
    for said in account.said:
        if said.time > due or (content and not said.content):
            continue
        for device in account.audience(said):
            got = account.got.get(device)
            if got is None or not covers(got.received, said.seq):
                owed.setdefault(device, []).append(said)
    for device, missing in owed.items():
        got = account.got.get(device) or Got()
        joined = account.joined(device)
        missing = [said for said in missing if said.seq > joined]
        if missing:
            first, last = missing[0], missing[-1]
            yield Silence(account.id, device, len(missing), first.seq, last.seq, first.time, got.last, got.absent)
