"""Receipts: what this device says it has got, and what the others say.

Given: coalesced ranges of a channel since the last receipt, each with the rolling hash at its end, and the newest checkpoint
seen. "Shown" only where the channel's class asks for it, and only to senders of one's own organisation.

The first receipt of each epoch confirms it, so that nobody can be led into another group unseen.

Taken: the rolling hashes are held against this device's own history, the checkpoint against its own log (`clients.core.gossip`), the epoch
against its own. What disagrees is a suspicion with the other device's name: one of the two was shown another order of things. The same goes
for the `heard` in every envelope.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from clients.core import alerts, gossip, outbox, proof, records
from clients.core.ledger import View, at, seq_of
from clients.core.outbox import Kept, stream_of_receipts
from clients.core.records import AlarmKind, Channel, Claim, Fate, Given, Received
from clients.core.timeline import claim
from clients.core.trust import Trust, revoked
from clients.core.turn import Moved, Turn
from gateway.wire import Placed
from keys.body import RANGE_LIMIT, Confirmed, Range, Receipt, Seen, read_ack, read_receipt
from keys.canonical import encode
from keys.credential import Certified
from keys.envelope import Claimed, Heard, Kind, Verified, check_body, verify_run
from keys.errors import BadSignature, KeysError, Malformed

SPAN: Final = 10_000  # seqs that one receipt covers at most


def spans(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Rising seqs as gap-free ranges (first, last)."""
    found: list[tuple[int, int]] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


def merged(old: Sequence[tuple[int, int]], new: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges that cover what either covers."""
    found: list[tuple[int, int]] = []
    for first, last in sorted([*old, *new]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def covers(ranges: Sequence[tuple[int, int]], seq: int) -> bool:
    return any(first <= seq <= last for first, last in ranges)


# --- given ---


def due(view: View, channel: bytes, state: Channel) -> bool:
    """Whether there is anything of others to give a receipt for, or an epoch to confirm."""
    given = records.GIVEN.get(view, channel) or Given(state.since, [])
    if _unconfirmed(view, channel, state, given) is not None:
        return True
    if any(seq <= state.seq for seq in given.shown):
        return True
    for key, line in records.LINES.scan(view, channel, at(channel, given.upto)):
        if seq_of(key) > state.seq:
            break
        if line.fate is not Fate.OWN:
            return True
    return False


def give(turn: Turn, known: Trust, channel: bytes, state: Channel) -> bytes | None:
    """Put one receipt into the outbox for all that has come since the last; gives its item, or None."""
    given = records.GIVEN.get(turn.draft, channel) or Given(state.since, [])
    received, decrypted, shown = list[int](), list[int](), list[int]()
    for key, line in records.LINES.scan(turn.draft, channel, at(channel, given.upto)):
        seq = seq_of(key)
        if seq > state.seq or len(received) == SPAN:
            break
        received.append(seq)
        if line.fate in (Fate.TAKEN, Fate.OWN):
            decrypted.append(seq)
    if turn.charter.policy.channel_class(state.channel_class).receipts == "shown":
        shown = [s for s in sorted(set(given.shown)) if s <= state.seq and _ours(turn, known, channel, s)]
    confirmed = _unconfirmed(turn.draft, channel, state, given)
    later = [s for s in given.shown if s > state.seq]
    if not received and not shown and confirmed is None:
        records.GIVEN.put(turn.draft, channel, replace(given, shown=later))
        return None
    checkpoint = proof.held(turn.draft, turn.charter)
    seen = Seen(checkpoint.size, checkpoint.root) if checkpoint else None
    ranges = [_ranges(turn, channel, seqs) for seqs in (received, decrypted, shown)]
    body = encode(Receipt(channel, ranges[0], ranges[1], ranges[2], seen, confirmed))
    upto = received[-1] if received else given.upto
    said = given.confirmed if confirmed is None else confirmed.epoch
    records.GIVEN.put(turn.draft, channel, Given(upto, later, said))
    return outbox.keep(turn, Kept(stream_of_receipts(channel), Kind.RECEIPT, body))


def _unconfirmed(view: View, channel: bytes, state: Channel, given: Given) -> Confirmed | None:
    """The present epoch, where this device has not confirmed it yet. Nobody confirms one in which he is alone."""
    if state.halted or state.left or state.epoch <= given.confirmed:
        return None
    mine = records.CONFIRMED.get(view, channel + state.epoch.to_bytes(8, "big"))
    return None if mine is None else Confirmed(state.epoch, mine.data)


def _ranges(turn: Turn, channel: bytes, seqs: Sequence[int]) -> list[Range]:
    """At most as many ranges as a receipt holds; the oldest are joined last, so what is left out goes with the next."""
    found = []
    for first, last in spans(seqs)[-RANGE_LIMIT:]:
        line = records.LINES.get(turn.draft, at(channel, last))
        if line is not None and len(line.rolling) == 32:
            found.append(Range(first, last, line.rolling))
    return found


def _ours(turn: Turn, known: Trust, channel: bytes, seq: int) -> bool:
    """Whether the sender at this place is of this device's own organisation."""
    message = records.MESSAGES.get(turn.draft, at(channel, seq))
    certified = known.certified(message.certificate) if message else None
    return certified is not None and certified.organisation == turn.me.organisation


def shown(turn: Turn, channel: bytes, seq: int) -> None:
    """Somebody has seen the message at this place. Of an earlier stay the gateway takes no receipt any more."""
    state = records.CHANNELS.get(turn.draft, channel)
    if state is not None and seq > state.since:
        given = records.GIVEN.get(turn.draft, channel) or Given(state.since, [])
        if seq not in given.shown:
            records.GIVEN.put(turn.draft, channel, replace(given, shown=[*given.shown, seq]))


# --- taken ---


def take(turn: Turn, receipt: Receipt, device: bytes, time: int) -> None:
    """A receipt whose signature holds: what it covers, and whether its author sees what this device sees."""
    state = records.CHANNELS.get(turn.draft, receipt.channel)
    if state is None:
        return
    for part in (*receipt.received, *receipt.decrypted, *receipt.shown):
        compare(turn, receipt.channel, state, Heard(part.last, part.rolling), device, part.last)
    if receipt.seen is not None:
        gossip.compare(turn, receipt.channel, device, receipt.seen.size, receipt.seen.root)
    if receipt.confirmed is not None:
        _compare_epoch(turn, receipt.channel, receipt.confirmed, device)
    key = receipt.channel + device
    before = records.RECEIVED.get(turn.draft, key) or Received([], [], 0)
    delivered = merged(before.delivered, [(r.first, r.last) for r in receipt.decrypted])
    seen_by = merged(before.shown, [(r.first, r.last) for r in receipt.shown])
    records.RECEIVED.put(turn.draft, key, Received(delivered, seen_by, time))
    turn.events.append(Moved(key))


def compare(turn: Turn, channel: bytes, state: Channel, heard: Heard, device: bytes, seq: int) -> None:
    """Hold what another device says the rolling hash is against this device's own; what is ahead is kept for later."""
    if heard.seq > state.seq:
        record = Claim(device, heard.rolling, turn.now)
        records.CLAIMS.put(turn.draft, at(channel, heard.seq) + device, record)
        if heard.seq > state.head:
            records.CHANNELS.put(turn.draft, channel, replace(state, head=heard.seq))
        return
    line = records.LINES.get(turn.draft, at(channel, heard.seq))
    if heard.seq < state.since or line is None or len(line.rolling) != 32:
        return
    if line.rolling != heard.rolling:
        suspicion(turn, channel, heard.seq, device, seq)


def suspicion(turn: Turn, channel: bytes, seq: int, device: bytes, said: int) -> None:
    """Another device saw another history. Traffic goes on; people are told whose."""
    gossip.suspicion(turn, channel, device, seq, f"was shown another history up to seq {seq} (it says so at {said})")


def settle_claims(turn: Turn, channel: bytes, state: Channel) -> None:
    """Hold the claims that this device has now reached against its own history."""
    for key, said in list(records.CLAIMS.scan(turn.draft, channel)):
        seq = int.from_bytes(key[16:24], "big")
        if seq > state.seq:
            break
        line = records.LINES.get(turn.draft, at(channel, seq))
        if line is not None and len(line.rolling) == 32 and line.rolling != said.rolling:
            suspicion(turn, channel, seq, said.device, seq)
        records.CLAIMS.delete(turn.draft, key)


def withheld(turn: Turn, channel: bytes, state: Channel, patience: int, since: int = 0) -> None:
    """Others have had for a while what does not come here, nor has anything else `since` (ms)."""
    for key, said in records.CLAIMS.scan(turn.draft, channel):
        seq = int.from_bytes(key[16:24], "big")
        if seq > state.seq and turn.reached(max(said.time, since) + patience + 1):
            turn.alarm(
                AlarmKind.WITHHELD,
                f"device {said.device.hex()[:8]} has the channel up to seq {seq}, this device only to {state.seq}",
                channel=channel,
                seq=seq,
                device=said.device,
            )


def _compare_epoch(turn: Turn, channel: bytes, said: Confirmed, device: bytes) -> None:
    """All who share an epoch confirm the same (RFC 9420 section 8.7); of one that this device was not in it knows nothing."""
    mine = records.CONFIRMED.get(turn.draft, channel + said.epoch.to_bytes(8, "big"))
    if mine is not None and mine.data != said.digest:
        gossip.suspicion(turn, channel, device, said.epoch, f"is in another epoch {said.epoch} than this device")


def take_envelope(turn: Turn, known: Trust, channel: bytes, placed: Placed, body: bytes) -> bool:
    """An envelope of the stream beside a channel: a receipt, or an answer to an alert. Only signed ones count; the stream is
    sparse, so no chain is checked. False where the channel has to be read further first: its author has, and may have come in or
    have another key since. What can't be judged here, of before this device came in or after it left, says nothing."""
    claimed = claim(placed)
    if claimed is None:
        turn.alarm(AlarmKind.GATEWAY, "no envelope", channel=placed.channel, seq=placed.place.seq)
        return True
    context, state = claimed.context, records.CHANNELS.get(turn.draft, channel)
    if not claimed.signed or context.kind not in (Kind.RECEIPT, Kind.ACK):
        return True
    try:
        if stream_of_receipts(channel) != placed.channel or context.channel != placed.channel:
            raise Malformed("in another channel's stream")
        verified = _verify(turn, known, channel, placed, claimed)
        if verified is None:
            if records.JOINING.get(turn.draft, channel) is not None:
                return False
            if state is not None and context.heard.seq > state.seq and not (state.left or state.halted):
                return False
            if state is None or context.heard.seq < state.since or state.left or state.halted:
                return True  # who is or was in there, and by which keys, this device has not read
            raise BadSignature("no key of a device of that channel signed it")
        check_body(verified, body)
        if context.kind is Kind.ACK:
            ack = read_ack(body)
            alerts.answered(turn, ack, context.device, channel, placed.place.seq, placed.place.time)
            proof.expect(turn, placed, context.device)
        else:
            receipt = read_receipt(body)
            if receipt.channel != channel:
                raise Malformed("about another channel than the one that it stands beside")
            take(turn, receipt, context.device, placed.place.time)
    except KeysError as error:
        turn.alarm(
            AlarmKind.FORGED,
            f"a receipt or answer that does not hold: {error}",
            channel=placed.channel,
            seq=placed.place.seq,
            device=context.device,
        )
        return True
    state = records.CHANNELS.get(turn.draft, channel)
    if state is not None and context.heard.seq:
        compare(turn, channel, state, context.heard, context.device, context.heard.seq)
    return True


def _verify(turn: Turn, known: Trust, channel: bytes, placed: Placed, claimed: Claimed) -> Verified | None:
    """By a certificate of its author that counts and stands at this place of the log: around a renewal there are two, and a stolen
    key says no more when it was revoked. None where there is no such key, or its author is not known in the channel."""
    if not _was_member(turn, channel, claimed.context.device):
        return None
    for certified in known.of_device(claimed.context.device):
        with suppress(BadSignature):
            if _stands(turn, certified, placed):
                return verify_run([claimed], certified.public_key)[0]
    return None


def _stands(turn: Turn, certified: Certified, placed: Placed) -> bool:
    """Neither ended nor revoked at this place of the log."""
    return placed.place.time <= certified.not_after and not revoked(turn.draft, certified, placed.place.index)


def _was_member(turn: Turn, channel: bytes, device: bytes) -> bool:
    """Whether a device is in the channel now, or was while this one was."""
    rosters = (roster for _, roster in records.ROSTERS.scan(turn.draft, channel))
    return any(seat.device == device for roster in rosters for seat in roster.seats)
