"""Plain entries: content and receipts against which nothing speaks. They are nearly all of a log, and are judged here in one go.

A device that was judged once, in a channel as it now is, has a pass there: until when, in which epoch, up to which marking, and
with which keys. An entry that its pass covers, in its chain's next place, in its channel's next place, on time, and with a true
word on what it had heard, is taken; every other goes to the judges one by one, which say what is wrong with it, if anything is.
So nothing is found here, and nothing is let through that the judges would object to: what this takes, they would have taken, and
it leaves each chain, stream and clock as they would have left it.

    passes fall     with every act that may change who counts: for one channel a handshake, for all a certificate, list or charter
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from clients.auditor.verify.chains import Chain, Chains
from clients.auditor.verify.claims import Topic
from clients.auditor.verify.entries import CLOCK_AHEAD, Placed, Stream, Times
from clients.auditor.verify.registry import Registry
from clients.auditor.verify.rosters import Roster
from clients.auditor.verify.signatures import Signed
from keys.envelope import CHAINED, NOTHING, RUN_LIMIT, Context, Entry, Heard, Kind, Marking
from keys.identity import ChannelId, receipt_stream
from keys.policy import Verb

HARMLESS: Final = frozenset(
    {
        Kind.APPLICATION,
        Kind.RECEIPT,
        Kind.ACK,
        Kind.ALERT,
        Kind.SOS,
        Kind.STAND_DOWN,
        Kind.CHECK_IN,
        Kind.CHECK_IN_PLAN,
        Kind.FILLER,
        Kind.GATEWAY_ACT,
        Kind.UNLOCK,
        Kind.ESCALATION,
        Kind.REFUSED_ATTEMPT,
        Kind.WITHHELD,
        Kind.APPROVAL,
        Kind.JUMP,
        Kind.REVIEW,
        Kind.WITHHELD,
        Kind.AUDITOR_READ,
        Kind.DISCLOSURE_REQUEST,
        Kind.DISCLOSURE_VOTE,
        Kind.DISCLOSURE,
        Kind.DESTRUCTION,
        Kind.TOMBSTONE,
    }
)
"""Kinds that change nobody's standing, so that no pass falls with them."""

FOREVER: Final = 2**63
_SIGNED: Final = 64  # bytes of a signature


Said = Callable[[int, bytes, Context], object]
"""Told of each receipt that was taken, by its index, header and context: what it says is not in its entry."""


@dataclass(slots=True)
class Pass:
    """What one device may go on saying in one stream, until something changes. Times in ms of the gateway's clock."""

    kind: Kind
    chain: Chain
    stream: Stream
    channel: (
        Stream | None
    )  # whose history it has heard: its stream's own, or that of the channel that receipts are about
    since: int
    until: int
    epoch: int
    ceiling: int
    franking: int  # bytes of the franking tag
    keys: tuple[bytes, ...]
    topic: Topic  # what its signatures speak for
    label: str
    in_runs: bool  # a kind whose signature may be left to the end of a run
    is_receipt: bool


class Plain:
    """Passes, and the entries that they cover; `taken` counts those, `said` those of them that stand in channels."""

    def __init__(self, chains: Chains, times: Times, registry: Registry, said: Said) -> None:
        self.taken = 0
        self.said = 0
        self._chains = chains
        self._times = times
        self._registry = registry
        self._said = said
        self._passes: dict[bytes, dict[bytes, Pass]] = {}

    # ------------------------------------------------------------------ passes, by what a judge has just taken

    def fall(self, placed: Placed, *, everywhere: bool) -> None:
        """What rested on how things stood before this entry rests on nothing now."""
        if placed.context.kind in HARMLESS:
            return
        if everywhere:
            self._passes.clear()
            return
        channel = placed.entry.channel
        self._passes.pop(channel, None)
        self._passes.pop(receipt_stream(ChannelId(channel)), None)

    def content(self, placed: Placed, stream: Stream, roster: Roster) -> None:
        """Content in a channel."""
        seat = roster.seats.get(placed.context.device)
        if seat is None or roster.blocked or Verb.SEND not in seat.verbs or placed.context.kind is not Kind.APPLICATION:
            return
        life = seat.certified.not_before, min(seat.certified.not_after, roster.expires, seat.until)
        keys = (seat.certified.public_key,)
        self._give(placed, stream, stream, life, keys, epoch=roster.epoch, ceiling=roster.terms.ceiling)

    def receipt(self, placed: Placed, stream: Stream, channel: Stream, parent: Roster) -> None:
        """A receipt beside a channel."""
        leaf = self._registry.certificates.get(parent.ever.get(placed.context.device, b""))
        if placed.context.kind is not Kind.RECEIPT or leaf is None or self._registry.revoked(leaf):
            return
        self._give(placed, stream, channel, (leaf.not_before, leaf.not_after), (leaf.public_key,))

    def filler(self, placed: Placed, stream: Stream, gateway_key: bytes) -> None:
        """One of the gateway's own, so that size tells no tempo."""
        if placed.context.kind is Kind.FILLER and not placed.context.epoch:
            self._give(placed, stream, None, (0, FOREVER), (gateway_key,), topic=Topic.GATEWAY)

    def _give(
        self,
        placed: Placed,
        stream: Stream,
        channel: Stream | None,
        life: tuple[int, int],
        keys: tuple[bytes, ...],
        *,
        topic: Topic = Topic.SIGNATURES,
        epoch: int = 0,
        ceiling: int = Marking.RED,
    ) -> None:
        context = placed.context
        chain, kind = self._chains.all[context.device, context.channel], context.kind
        franking = len(context.franking)
        runs, receipt = kind in CHAINED, kind is Kind.RECEIPT
        given = Pass(
            kind, chain, stream, channel, *life, epoch, ceiling, franking, keys, topic, kind.label, runs, receipt
        )
        self._passes.setdefault(context.channel, {})[context.device] = given

    # ------------------------------------------------------------------ entries

    def take(self, first: int, entries: Sequence[Entry], contexts: Sequence[Context]) -> Iterator[int]:
        """Take what passes cover of entries that follow one another, each in its one encoding; gives the index of each other,
        which is to be judged before this goes on."""
        passes, times, chains = self._passes, self._times, self._chains
        last, latest = times.last, times.latest
        for index, entry, context in zip(range(first, first + len(entries)), entries, contexts, strict=True):
            held = passes.get(entry.channel)
            own = None if held is None else held.get(context.device)
            time = entry.time
            if own is None or not last <= time <= latest or context.time > time + CLOCK_AHEAD:
                yield index
                last = times.last
                continue
            chain, stream, signature, number = own.chain, own.stream, entry.signature, context.number
            heard, channel, seq = context.heard, own.channel, entry.seq
            if (
                context.previous != chain.link
                or number != chain.number + 1
                or number == 1
                or seq != stream.seq + 1
                or not own.since <= time <= own.until
                or context.epoch != own.epoch
                or context.kind is not own.kind
                or context.channel != entry.channel
                or context.marking > own.ceiling
                or len(context.franking) != own.franking
                or context.alert is not None
                or (chains.open is not None and chains.open is not chain)
                or not (_may_be_signed(signature, own) if signature else own.in_runs)
                or not (
                    heard.rolling == channel.rolling
                    if channel is not None and heard.seq == channel.seq
                    else _has_heard(heard, channel)
                )
            ):
                yield index
                last = times.last
                continue
            hashed = sha256(entry.header).digest()
            stream.seq = seq
            if stream.dense:
                stream.rolling = rolling = sha256(stream.rolling + hashed).digest()
                stream.history += rolling
                self.said += 1
            chain.number, chain.index = number, index
            if signature:
                chain.link = sha256(entry.header + signature).digest()
                chains.close(chain, Signed(index, own.topic, own.keys, own.label, entry.header, signature))
            else:
                chain.link = hashed
                chain.run += 1
                chains.open = chain
            times.move(time, index)
            last = time
            self.taken += 1
            if own.is_receipt:
                self._said(index, entry.header, context)


def _may_be_signed(signature: bytes, own: Pass) -> bool:
    """Whether an entry with this signature may stand there, and end the run that is open if there is one."""
    return len(signature) == _SIGNED and own.chain.run < RUN_LIMIT


def _has_heard(heard: Heard, channel: Stream | None) -> bool:
    """Whether what a device says it had heard is what stood there."""
    if channel is None:  # not compared in this stream; but who has heard nothing has an empty hash
        return (heard.seq == 0) == (heard.rolling == NOTHING)
    if heard.seq == 0:
        return heard.rolling == NOTHING
    return heard.seq <= channel.seq and heard.rolling == channel.heard_at(heard.seq)
