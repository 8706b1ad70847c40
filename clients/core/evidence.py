"""What convicts the gateway or the log: found here, kept here, and written out as one file that anybody can judge (`keys.evidence`).

    FORK      two checkpoints by the log's key that contradict each other. Only this halts: nothing more is sealed under that log but what
              can't wait (`STILL`), until the charter names another. What comes is still read and shown
    PROMISE   what was promised is not in its place: the leaf that is there is asked for, and the file is whole
    REFUSAL   what was refused for good is in the log: likewise

All else that looks wrong is an alarm that names a device or a place, and no proof.
"""

from collections.abc import Sequence
from typing import Final

from clients.core import records
from clients.core.ledger import View
from clients.core.records import AlarmKind, Channel, Charge, Head, Note
from clients.core.turn import Turn
from gateway.wire import Proven
from keys import evidence as files
from keys.charter import Charter
from keys.envelope import Kind
from keys.policy import DESK
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.errors import TlogError
from keys.tlog.merkle import check_inclusion

HEADS_KEPT: Final = 64  # checkpoints that are remembered, the newest
STILL: Final = frozenset(
    {
        Kind.ALERT,
        Kind.SOS,
        Kind.CHECK_IN,
        Kind.CHECK_IN_PLAN,
        Kind.STAND_DOWN,
        Kind.ACK,
        Kind.RECEIPT,
        Kind.COMMIT_REFUSED,
        Kind.FRANKING_COMPLAINT,
    }
)
"""What goes out under a log that was proved to lie: who is in danger has no other road here, and what accuses is heard."""


def _size(size: int) -> bytes:
    return size.to_bytes(8, "big")


def remember(turn: Turn, size: int, root: bytes, note: bytes) -> None:
    """The log was proved to be so at that size: whatever others see of that size has to be the same."""
    known = head_at(turn.draft, size)
    if known is None or not known.note:
        records.HEADS.put(turn.draft, _size(size), Head(root, note))
    kept = [key for key, _ in turn.draft.scan(records.HEADS.name, b"", b"")]  # keys alone: nothing is read
    for key in kept[:-HEADS_KEPT]:
        records.HEADS.delete(turn.draft, key)


def head_at(view: View, size: int) -> Head | None:
    """What this device has seen of the log at that size."""
    return records.HEADS.get(view, _size(size))


def forked(view: View, charter: Charter) -> str:
    """Why nothing goes on under this log; empty where it has not been convicted."""
    found = records.FORKED.get(view, charter.policy.log_origin.encode())
    return "" if found is None else "the log's key has signed two logs: evidence is kept, ask your security officer"


def halts(view: View, charter: Charter, state: Channel, kind: Kind) -> bool:
    """Whether a log that was convicted keeps this back. What can't wait goes out, and officers go on among themselves: alerts by two
    are agreed there."""
    return kind not in STILL and state.channel_class != DESK and bool(forked(view, charter))


def convict(turn: Turn, one: bytes, other: bytes, path: Sequence[bytes] = (), leaf: bytes = b"") -> bool:
    """Two signed checkpoints, the smaller tree first. False where they do not contradict each other after all."""
    found = files.fork(turn.charter.note, one, other, path, leaf)
    try:
        said = files.check_fork(found, turn.charter)
    except files.NoEvidence:
        return False
    keep(turn, found)
    records.FORKED.put(turn.draft, turn.charter.policy.log_origin.encode(), Note(found.name))
    turn.alarm(AlarmKind.FORKED, f"{said}: evidence {found.name.hex()[:8]}", halts=True)
    return True


def keep(turn: Turn, found: files.Evidence) -> None:
    """A file of evidence, whole."""
    records.EVIDENCE.put(turn.draft, found.name, Note(files.write(found)))


# ------------------------------------------------------------------ what the gateway has signed, and the log gives the lie to


def charge(turn: Turn, index: int, statement: bytes, entry: bytes = b"") -> None:
    """The gateway's statement is contradicted at this log index; without an entry, by another than was promised."""
    records.CHARGES.put(turn.draft, _size(index), Charge(statement, entry))


def charged(turn: Turn, key: bytes, frame: Proven, offered: Checkpoint) -> None:
    """The answer to `clients.core.gossip.pursue`, under a checkpoint that was proved to follow on."""
    found, index = records.CHARGES.get(turn.draft, key), int.from_bytes(key, "big")
    paths = {path.index: path.hashes for path in frame.paths}
    own, beside = paths.get(index), paths.get(index ^ 1)
    if found is None or not own or (not found.entry and not beside):
        return
    try:
        if found.entry:
            made = files.false_refusal(turn.charter.note, frame.checkpoint, found.statement, index, own, found.entry)
            files.check_refusal(made, turn.charter)
        else:
            assert beside is not None
            check_inclusion(beside[0], index, offered.size, own, offered.root)
            made = files.broken_promise(turn.charter.note, frame.checkpoint, found.statement, own, beside[0])
            files.check_promise(made, turn.charter)
    except (files.NoEvidence, TlogError):
        return
    keep(turn, made)
    records.CHARGES.delete(turn.draft, key)
