"""What the gateway's answer makes of a run that was handed over: it is settled, sealed again, given up, or stays as it is."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from clients.core import alerts, commits, proof, records
from clients.core.errands import Errand
from clients.core.outbox import attempt_key, queued, sealed_run
from clients.core.records import AlarmKind, Chain, Counter, Item, Note
from clients.core.turn import Moved, Turn
from gateway import wire
from gateway.wire import Placed
from keys.body import read_approval
from keys.envelope import ATTEMPTS, Envelope, Kind, read
from keys.errors import KeysError
from keys.statement import verify_promise, verify_refusal

AGAIN: Final = frozenset({wire.Refusal.EPOCH_STALE, wire.Refusal.EPOCH_CONFLICT, wire.Refusal.LEAF, wire.Refusal.CLOCK})
"""Signed refusals after which the same thing is sealed again; after any other it is given up."""

OVER: Final = frozenset({wire.Refusal.EPOCH_STALE, wire.Refusal.EPOCH_CONFLICT})
"""Of these, which say that the epoch is over. After the third (a leaf that has to go, or has to be renewed) a commit is the way on."""

MOVED_ON: Final = "the channel has moved on: approve it again"


def at_epoch(stream: bytes, epoch: int) -> bytes:
    """By which what is not to be tried again for a while in one epoch is known: in the next it goes at once."""
    return stream + epoch.to_bytes(8, "big")


def run_of(turn: Turn, errand: Errand) -> list[tuple[bytes, Item]]:
    """The run that was submitted; empty where its echo has settled it. What was sealed since (a commit may be) is not meant."""
    run = sealed_run(queued(turn.draft, errand.key))
    return run if run and run[0][1].run == errand.number else []


def places_of(
    turn: Turn, errand: Errand, run: Sequence[tuple[bytes, Item]], answer: wire.Accepted
) -> Sequence[wire.Place]:
    """The places of what is left of a run: of what was urgent in it the echo may have come first. None where the answer can't be one to this
    run, which then goes again."""
    if len(answer.places) == errand.count and _rising(answer.places):
        return [answer.places[item.number - errand.first] for _, item in run]
    turn.alarm(AlarmKind.GATEWAY, "an acceptance that does not fit what was submitted", channel=run[0][1].stream)
    return ()


def _rising(places: Sequence[wire.Place]) -> bool:
    return all(b.seq == a.seq + 1 and b.index == a.index + 1 for a, b in pairwise(places))


def promised(turn: Turn, item: Item, place: wire.Place, data: bytes | None) -> int:
    """Until when the gateway has promised the entry to be under a checkpoint; 0 where it has not, or not validly."""
    if data is None:
        return 0
    placed = Placed(item.stream, place, item.header, item.signature, None)
    try:
        promise = verify_promise(data, turn.charter.policy.gateway_key, proof.leaf_of(placed))
        if (promise.channel, promise.seq, promise.index) != (item.stream, place.seq, place.index):
            raise KeysError("it promises another place")
    except KeysError as error:
        turn.alarm(AlarmKind.GATEWAY, f"a promise that does not hold: {error}", channel=item.stream, seq=place.seq)
        return 0
    records.PROMISES.put(turn.draft, place.index.to_bytes(8, "big"), Note(data))
    return promise.latest


def settle(turn: Turn, key: bytes, item: Item, place: wire.Place, latest: int = 0) -> None:
    """One item has its place: it leaves the outbox. Saying so twice does no harm."""
    header_hash = sha256(item.header).digest()
    known = records.OWNED.get(turn.draft, header_hash)
    if known is not None and known.value not in (0, place.seq):
        turn.alarm(
            AlarmKind.RENUMBERED,
            f"this device's number {item.number} was given two places, {known.value} and {place.seq}",
            channel=item.stream,
            seq=place.seq,
            device=turn.me.device,
        )
        return
    records.OWNED.put(turn.draft, header_hash, Counter(place.seq))
    sent = records.SENT.get(turn.draft, key)
    if sent is not None:
        records.SENT.put(turn.draft, key, replace(sent, seq=place.seq, header_hash=header_hash, refused=""))
    records.OUTBOX.delete(turn.draft, key)
    for blob in [*item.uploads, sha256(item.body).digest()]:
        records.BLOBS.delete(turn.draft, blob)
    placed = Placed(item.stream, place, item.header, item.signature, None)
    proof.expect(turn, placed, turn.me.device, latest)
    if item.alert is not None:
        alerts.placed(turn, item.alert.root, item.stream, place.seq)
    turn.events.append(Moved(key))


def refused(turn: Turn, run: Sequence[tuple[bytes, Item]], answer: wire.Refused) -> bool:
    """True where the gateway has signed that it will never take this run, so that it may be sealed again."""
    last = run[-1][1]
    if answer.statement is None:
        _stuck(turn, run, answer)
        return False
    try:
        said = verify_refusal(answer.statement, turn.charter.policy.gateway_key, sha256(last.header).digest())
        if said.refusal != answer.refusal:
            raise KeysError("what is signed is another refusal than what is said")
    except KeysError as error:
        turn.alarm(AlarmKind.GATEWAY, f"a refusal that does not hold: {error}", channel=last.stream)
        return False
    first, again = run[0][1], answer.refusal in AGAIN
    if first.attempt == ATTEMPTS:
        _spent(turn, run, answer)
        return False
    ended = {key for key, item in run if answer.refusal is wire.Refusal.EXPIRED and is_over(item, said.time)}
    for key, item in run:
        records.REFUSED.put(turn.draft, sha256(item.header).digest(), Note(answer.statement))
        records.OWNED.delete(turn.draft, sha256(item.header).digest())
        records.COUNTERS.put(turn.draft, attempt_key(item.stream, item.number), Counter(item.attempt + 1))
        if again or (ended and key not in ended):
            _take_back(turn, key, item)
        else:
            _give_up(turn, key, item, answer)
    previous = _previous(first)
    records.OWN.put(turn.draft, first.stream, Chain(first.number - 1, previous))
    return True


def is_over(item: Item, now: int) -> bool:
    """Whether a message has reached its own end before it was sent: the gateway takes it no more."""
    return item.kind is Kind.APPLICATION and 0 < item.expires <= now


def _previous(item: Item) -> bytes:
    return read(Envelope(item.header, item.signature)).context.previous


def _spent(turn: Turn, run: Sequence[tuple[bytes, Item]], answer: wire.Refused) -> None:
    """Refused as often as a number can be sealed: the bytes stay, as if refused by word, and nothing of this device goes behind them."""
    first = run[0][1]
    what = f"number {first.number} was refused {ATTEMPTS + 1} times: nothing of this device gets there any more"
    turn.alarm(AlarmKind.GATEWAY, what, channel=first.stream)
    _stuck(turn, run, answer)


def _give_up(turn: Turn, key: bytes, item: Item, answer: wire.Refused) -> None:
    """Refused for good: the number is free for something else. What a commit was for comes to nothing; an alert whose announcement was
    refused goes nowhere."""
    if item.kind is Kind.COMMIT:
        intent = _drop_commit(turn, key, item)
        if records.INTENTS.get(turn.draft, intent) is not None:
            commits.finish(turn, intent, f"refused by the gateway: {answer.detail}")
        return
    drop(turn, key, _words(answer))
    if item.kind is not Kind.APPROVAL:
        return
    root = read_approval(item.content).draft.root
    for other, queued_item in queued(turn.draft):
        if queued_item.alert is not None and queued_item.alert.root == root:
            drop(turn, other, _words(answer))
    alerts.refused(turn, root, f"refused by the gateway: {answer.detail}")


def _take_back(turn: Turn, key: bytes, item: Item) -> None:
    """Back to kept. What is for an epoch that is over is dropped instead: a commit's intent makes another in the new one, and
    who approves a resync does it again."""
    if item.kind is Kind.RESYNC_APPROVAL:
        drop(turn, key, MOVED_ON)
        return
    if item.kind is Kind.COMMIT:
        _drop_commit(turn, key, item)
        return
    blank = replace(item, epoch=0, run=0, number=0, attempt=0, header=b"", signature=b"", body=b"")
    records.OUTBOX.put(turn.draft, key, blank)


def _drop_commit(turn: Turn, key: bytes, item: Item) -> bytes:
    """A commit goes with all that was kept for it; gives the intent that it was made for, if it has one and was still pending."""
    records.OUTBOX.delete(turn.draft, key)
    records.SENT.delete(turn.draft, key)
    for blob in item.uploads:
        records.BLOBS.delete(turn.draft, blob)
    pending = records.PENDING.get(turn.draft, item.stream)
    if pending is None or pending.item != key:
        return b""
    records.PENDING.delete(turn.draft, item.stream)
    return pending.intent


def withdraw(turn: Turn, run: Sequence[tuple[bytes, Item]]) -> None:
    """Take back a run that was sealed and has not been handed over: its numbers are free for what is more urgent."""
    first = run[0][1]
    for key, item in run:
        records.OWNED.delete(turn.draft, sha256(item.header).digest())
        records.BLOBS.delete(turn.draft, sha256(item.body).digest())
        blank = replace(item, epoch=0, run=0, number=0, attempt=0, header=b"", signature=b"", body=b"")
        records.OUTBOX.put(turn.draft, key, blank)
    records.OWN.put(turn.draft, first.stream, Chain(first.number - 1, _previous(first)))


def drop(turn: Turn, key: bytes, why: str) -> None:
    """It will not be sent: what was refused for good, a message that has reached its own end, a resync approval for an epoch that is over."""
    records.OUTBOX.delete(turn.draft, key)
    sent = records.SENT.get(turn.draft, key)
    if sent is not None:
        records.SENT.put(turn.draft, key, replace(sent, refused=why, time=turn.now))
    turn.events.append(Moved(key))


def _words(answer: wire.Refused) -> str:
    return f"{wire.Refusal(answer.refusal).name}: {answer.detail}"


def _stuck(turn: Turn, run: Sequence[tuple[bytes, Item]], answer: wire.Refused) -> None:
    """Refused by word only: the bytes stay and go again with the next session; the user is told."""
    for key, _ in run:
        sent = records.SENT.get(turn.draft, key)
        if sent is not None:
            records.SENT.put(turn.draft, key, replace(sent, refused=_words(answer)))
            turn.events.append(Moved(key))
