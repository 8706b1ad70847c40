"""The log as this device sees it: the newest checkpoint it has verified, and the entries it waits to see under one.

The rule: no checkpoint replaces the one held unless it was proved to contain it, so each device sees one log that only
grows. The entry of every envelope that this device sent, showed or applied has to be in it, at the index and with the
seq it was delivered with; what is not there in time is an alarm. Whoever renumbers, reorders or drops for one device has
to show it another log, and then its receipts (`seen`) disagree with everybody's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from clients.core import evidence, records
from clients.core.ledger import View
from clients.core.records import AlarmKind, Counter, Note, Unproven
from clients.core.turn import Turn
from gateway.wire import Placed, Proven
from keys.canonical import encode
from keys.charter import Charter
from keys.envelope import Entry
from keys.statement import PROMISE_WINDOW
from keys.tlog.checkpoint import Checkpoint, check_same_log, open_checkpoint
from keys.tlog.errors import Inconsistent, ProofFailed, TlogError
from keys.tlog.merkle import check_consistency, check_inclusion, leaf_hash

ASKED_AT_ONCE: Final = 40  # inclusion proofs in one answer: 40 paths of 30 hashes fit a frame of 64 KiB
LOGGED_WITHIN: Final = PROMISE_WINDOW  # ms after which an entry that is not under a checkpoint is an alarm
PROVED_NARROW: Final = 300_000  # ms from a proof to the next on a narrow link, but of what the device waits for
AGAIN_NARROW: Final = 10_000  # ms before one is asked for again there

UNPROVEN_HEAD: Final = b"unproven head"

ANSWERED_WITHIN: Final = 15_000  # ms that the gateway has to answer for what is overdue


def entry_of(placed: Placed) -> bytes:
    """The entry that the log must hold for an envelope delivered so."""
    place = placed.place
    return encode(Entry(1, place.time, place.nonce, placed.channel, place.seq, placed.header, placed.signature))


def leaf_of(placed: Placed) -> bytes:
    """Its leaf hash."""
    return leaf_hash(entry_of(placed))


def _key(index: int) -> bytes:
    return index.to_bytes(8, "big")


def expect(turn: Turn, placed: Placed, device: bytes, latest: int = 0) -> None:
    """This entry has to be under a checkpoint soon; `latest` is the moment that the gateway promised, if it did."""
    due = latest or turn.now + LOGGED_WITHIN
    known = records.UNPROVEN.get(turn.draft, _key(placed.place.index))
    leaf = leaf_of(placed)
    if known is not None and known.leaf_hash != leaf:
        turn.alarm(
            AlarmKind.RENUMBERED,
            f"log index {placed.place.index} was given to two envelopes",
            channel=placed.channel,
            seq=placed.place.seq,
            device=device,
        )
        return
    record = Unproven(leaf, placed.channel, placed.place.seq, device, due, latest > 0, alarmed=False)
    records.UNPROVEN.put(turn.draft, _key(placed.place.index), record)


def held(view: View, charter: Charter) -> Checkpoint | None:
    """The newest checkpoint that this device has verified."""
    note = records.CHECKPOINT.get(view)
    return None if note is None else _open(note.data, charter)


def _open(note: bytes, charter: Charter) -> Checkpoint:
    return open_checkpoint(note, [charter.log_verifier()], charter.policy.log_origin)


def waiting(view: View, channel: bytes | None = None) -> list[int]:
    """The log indices to be proved, of this channel if one is named: the oldest first, as many as one request takes."""
    return [int.from_bytes(key, "big") for key in islice(_unproven(view, channel), ASKED_AT_ONCE)]


def awaited(view: View, channel: bytes | None = None) -> bool:
    """Whether a proof is still to come, of this channel if one is named: what is overdue is not waited for any more."""
    found = (records.UNPROVEN.get(view, key) for key in _unproven(view, channel))
    return any(record is not None and not record.alarmed for record in found)


def _unproven(view: View, channel: bytes | None) -> Iterator[bytes]:
    """The keys; no record is read for them, since a channel's id stands in it as it is."""
    return (key for key, data in view.scan(records.UNPROVEN.name, b"", b"") if channel is None or channel in data)


def is_expected(view: View, index: int) -> bool:
    """Whether this entry still waits for its proof."""
    return records.UNPROVEN.get(view, _key(index)) is not None


def look_at(turn: Turn, note: bytes) -> bool:
    """A checkpoint that the gateway speaks of. True where it is sound and newer, so that proofs are worth asking for."""
    try:
        offered = _open(note, turn.charter)
    except TlogError as error:
        turn.alarm(AlarmKind.FORGED, f"a checkpoint that the log's key did not sign: {error}")
        return False
    before = held(turn.draft, turn.charter)
    if before is None:
        return True
    return not _contradicts(turn, before, offered, note) and offered.size > before.size


def _contradicts(turn: Turn, before: Checkpoint, offered: Checkpoint, note: bytes) -> bool:
    """Whether a checkpoint that is signed can't be one of the log that this device has seen.

    A smaller one alone is no proof: it may be an old one shown again. Once the log has grown past the one held it has to prove
    that it did, and then it either has or convicts itself.
    """
    known = evidence.head_at(turn.draft, offered.size)
    if known is not None and known.root != offered.root and evidence.convict(turn, known.note, note):
        return True
    try:
        check_same_log(before, offered)
    except Inconsistent:
        return evidence.convict(turn, before.encode(), note)
    if offered.size < before.size:
        turn.alarm(AlarmKind.SHRUNK, f"the log shrank from {before.size} to {offered.size} entries", seq=offered.size)
        return True
    return False


def prove(turn: Turn, answer: Proven, asked: Sequence[int], base: int) -> list[tuple[int, Unproven]]:
    """Take a proof: the newest checkpoint, its consistency with the one held at the time of asking (`base`, its size), and
    the entries asked for. Gives those that are proved now, with their log indices."""
    before = held(turn.draft, turn.charter)
    try:
        offered = _open(answer.checkpoint, turn.charter)
    except TlogError as error:
        turn.alarm(AlarmKind.FORGED, f"a checkpoint that the log's key did not sign: {error}")
        return []
    if before is not None and before.size != base:
        return []  # asked before a newer one was taken: the question is asked again
    if before is not None and not _consistent(turn, before, offered, answer):
        return []
    if before is None or offered.size > before.size:
        records.CHECKPOINT.put(turn.draft, b"", Note(answer.checkpoint))
        evidence.remember(turn, offered.size, offered.root, answer.checkpoint)
    records.COUNTERS.put(turn.draft, b"proved", Counter(turn.now))
    paths = {path.index: path.hashes for path in answer.paths}
    found = ((index, _included(turn, index, paths.get(index), offered)) for index in asked)
    return [(index, record) for index, record in found if record is not None]


def _consistent(turn: Turn, before: Checkpoint, offered: Checkpoint, answer: Proven) -> bool:
    if _contradicts(turn, before, offered, answer.checkpoint):
        return False
    if offered.size == before.size:
        return True
    try:
        check_consistency(before.size, before.root, offered.size, offered.root, answer.consistency)
    except TlogError as error:
        # Where the proof holds for the new checkpoint it names the old root itself, and convicts. Else it may be the carrier's fault.
        if not evidence.convict(turn, before.encode(), answer.checkpoint, answer.consistency):
            what = f"a checkpoint of {offered.size} entries is not proved to follow on: {error}"
            turn.alarm(AlarmKind.FORKED, what, seq=before.size)
            records.COUNTERS.put(turn.draft, UNPROVEN_HEAD, Counter(before.size))
        return False
    return True


def _included(turn: Turn, index: int, path: list[bytes] | None, checkpoint: Checkpoint) -> Unproven | None:
    record = records.UNPROVEN.get(turn.draft, _key(index))
    if record is None or path is None or index >= checkpoint.size:
        return None
    try:
        check_inclusion(record.leaf_hash, index, checkpoint.size, path, checkpoint.root)
    except (ProofFailed, TlogError):
        turn.alarm(
            AlarmKind.NOT_LOGGED,
            f"what was delivered as log entry {index} is not what the log holds there",
            channel=record.channel,
            seq=record.seq,
            device=record.device,
        )
        if (promise := records.PROMISES.get(turn.draft, _key(index))) is not None:
            evidence.charge(turn, index, promise.data)
        _settle(turn, index)
        return None
    _settle(turn, index)
    return record


def _settle(turn: Turn, index: int) -> None:
    records.UNPROVEN.delete(turn.draft, _key(index))
    records.PROMISES.delete(turn.draft, _key(index))


def last_entry(size: int) -> list[int]:
    """Whose proofs tell the root of the first `size` entries, whatever that is: the last of them, and its neighbour, on whose way up its
    leaf hash is the first. A consistency proof does not where the size is a power of two."""
    return sorted((size - 1, (size - 1) ^ 1))


def forked_at(turn: Turn, answer: Proven, size: int) -> None:
    """The answer about `last_entry`: what root the new tree has for the one that this device holds."""
    records.COUNTERS.delete(turn.draft, UNPROVEN_HEAD)
    before, paths = held(turn.draft, turn.charter), {path.index: path.hashes for path in answer.paths}
    own, beside = paths.get(size - 1), paths.get((size - 1) ^ 1)
    if before is not None and before.size == size and own and beside:
        evidence.convict(turn, before.encode(), answer.checkpoint, own, beside[0])


def charged(turn: Turn, key: bytes, answer: Proven, base: int) -> None:
    """The answer to what `clients.core.evidence.pursue` has asked."""
    before = held(turn.draft, turn.charter)
    try:
        offered = _open(answer.checkpoint, turn.charter)
    except TlogError as error:
        turn.alarm(AlarmKind.FORGED, f"a checkpoint that the log's key did not sign: {error}")
        return
    if before is not None and before.size == base and _consistent(turn, before, offered, answer):
        evidence.charged(turn, key, answer, offered)


def overdue(turn: Turn, since: int | None, asked: Mapping[int, int]) -> None:
    """Alarm for every entry whose time has passed: late, or against the gateway's signed promise.

    `since` is when this session began, `asked` when it asked for the proof of an index first (`Turn.awake`). What fell due while the
    device was away is held against the gateway only once it has been asked and had a moment to answer; and if others
    stand before it in the queue, after as long as the gateway has for a new entry (`since` None: never, as on a narrow link).
    """
    for key, record in list(_due(turn, None if since is not None else asked)):
        index = int.from_bytes(key, "big")
        had = (asked[index], ANSWERED_WITHIN) if index in asked else (since or 0, LOGGED_WITHIN)
        if not turn.has_had(*had):
            continue
        kind = AlarmKind.PROMISE if record.promised else AlarmKind.LATE
        turn.alarm(
            kind,
            f"log entry {int.from_bytes(key, 'big')} is not under a checkpoint in time",
            channel=record.channel,
            seq=record.seq,
            device=record.device,
        )
        late = Unproven(
            record.leaf_hash, record.channel, record.seq, record.device, record.due, record.promised, alarmed=True
        )
        records.UNPROVEN.put(turn.draft, key, late)


def _due(turn: Turn, only: Iterable[int] | None) -> Iterator[tuple[bytes, Unproven]]:
    """Of all that is waited for, or of these indices alone."""
    keys = _unproven(turn.draft, None) if only is None else map(_key, sorted(only))
    for key in keys:
        record = records.UNPROVEN.get(turn.draft, key)
        if record is not None and not record.alarmed and turn.reached(record.due + 1):
            yield key, record
