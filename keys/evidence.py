"""Evidence: signed things that can't all be honest, in one file that needs nothing else to be judged.

    file      "outrider evidence 1" LF ‖ msgpack([version, kind, charter, notes, statement, entries, path, leaf])

    FORK      two checkpoints by the log's key that are not of one log: two roots for one size, or a smaller tree that the larger did not grow
              from. `path` is then the consistency proof by which the larger one names its own root for the smaller size; or, for a size
              that is a power of two, the inclusion proof of the last entry of that size, and `leaf` its leaf hash.
    REFUSAL   the gateway signed that it would never take an envelope, and the log has it
    PROMISE   the gateway signed a promise of an entry at an index, and the log has another there: `leaf` is its leaf hash, `path` its way up
    ENTRIES   entries of the log, each proved to stand under the checkpoint, that contradict each other or the charter

A file brings its charter, so it is good against the keys that this charter names: whoever judges it compares the charter, or the log's key,
with what he knows of the mission. `check_fork`, `check_refusal` and `check_promise` judge the first three; what entries say is for the auditor's own judges
(`clients.auditor.verify.excerpt`).
"""

from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Hash, Record, Uint, encode, reader
from keys.charter import Charter
from keys.envelope import ENTRY_LIMIT, Claimed, Entry, read_entry
from keys.envelope import read as read_envelope
from keys.errors import KeysError, Malformed
from keys.statement import read_promise, verify_refusal
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.errors import ProofFailed, TlogError
from keys.tlog.merkle import MAX_PROOF, check_inclusion, leaf_hash, node_hash
from keys.tlog.note import MAX_NOTE

MAGIC: Final = b"outrider evidence 1\n"
VERSION: Final = 1
LIMIT: Final = 4 * 1024 * 1024
ENTRIES: Final = 512

Path = Annotated[list[Hash], Meta(max_length=MAX_PROOF)]


class Kind(IntEnum):
    """What is contradicted."""

    FORK = 1
    REFUSAL = 2
    PROMISE = 3
    ENTRIES = 4


class Proved(Record, frozen=True, array_like=True):
    """An entry of the log as its exact bytes, where it stands, and the way up to the checkpoint; its body where that tells."""

    index: Uint
    entry: Annotated[bytes, Meta(max_length=ENTRY_LIMIT)]
    path: Path
    body: bytes | None


class Evidence(Record, frozen=True, array_like=True):
    """A file of evidence, as somebody claims it. `notes` are one checkpoint, or two of a fork, the smaller tree first."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    kind: Kind
    charter: bytes
    notes: Annotated[list[Annotated[bytes, Meta(max_length=MAX_NOTE)]], Meta(min_length=1, max_length=2)]
    statement: Annotated[bytes, Meta(max_length=512)]
    entries: Annotated[list[Proved], Meta(max_length=ENTRIES)]
    path: Path
    leaf: Annotated[bytes, Meta(max_length=32)]

    @property
    def name(self) -> bytes:
        """SHA-256 of the file."""
        return sha256(write(self)).digest()


class NoEvidence(KeysError):
    """What the file brings does not prove what it says."""


_read = reader(Evidence, limit=LIMIT)


def write(evidence: Evidence) -> bytes:
    """The file's bytes."""
    return MAGIC + encode(evidence)


def read(data: bytes) -> Evidence:
    """Read a file of evidence. Raises Malformed."""
    if not data.startswith(MAGIC):
        raise Malformed("no file of evidence")
    return _read(data.removeprefix(MAGIC))


# ------------------------------------------------------------------ made by whoever holds the parts


def fork(charter: bytes, one: bytes, other: bytes, path: Sequence[bytes] = (), leaf: bytes = b"") -> Evidence:
    """Two checkpoints, the one of the smaller tree first."""
    return Evidence(VERSION, Kind.FORK, charter, [one, other], b"", [], list(path), leaf)


def broken_promise(charter: bytes, note: bytes, promise: bytes, path: Sequence[bytes], leaf: bytes) -> Evidence:
    """A promise, and the leaf hash of the other entry in its place."""
    return Evidence(VERSION, Kind.PROMISE, charter, [note], promise, [], list(path), leaf)


def false_refusal(
    charter: bytes, note: bytes, refusal: bytes, index: int, path: Sequence[bytes], leaf: bytes
) -> Evidence:
    """A refusal, and the entry that was refused."""
    return Evidence(VERSION, Kind.REFUSAL, charter, [note], refusal, [Proved(index, leaf, list(path), None)], [], b"")


def excerpt(charter: bytes, note: bytes, entries: Sequence[Proved]) -> Evidence:
    """Entries under one checkpoint."""
    return Evidence(VERSION, Kind.ENTRIES, charter, [note], b"", list(entries), [], b"")


# ------------------------------------------------------------------ judged by anybody


def checkpoints(evidence: Evidence, charter: Charter) -> list[Checkpoint]:
    """The checkpoints, by the key that the charter names. Raises NoEvidence."""
    try:
        return [open_checkpoint(note, [charter.log_verifier()], charter.policy.log_origin) for note in evidence.notes]
    except TlogError as error:
        raise NoEvidence(f"a checkpoint that the log's key did not sign: {error}") from None


def check_fork(evidence: Evidence, charter: Charter) -> str:
    """What is proved, in words. Raises NoEvidence."""
    notes = checkpoints(evidence, charter)
    if evidence.kind is not Kind.FORK or len(notes) != 2:
        raise NoEvidence("a fork is shown by two checkpoints")
    small, large = notes
    if small.size == large.size:
        if small.root == large.root:
            raise NoEvidence("both checkpoints are of one tree")
        return f"the log's key signed two trees of {small.size} entries"
    try:
        if evidence.leaf:
            root = older_root_by_leaf(small.size, large.size, large.root, evidence.leaf, evidence.path)
        else:
            root = older_root(small.size, large.size, large.root, evidence.path)
    except TlogError as error:
        raise NoEvidence(str(error)) from None
    if root == small.root:
        raise NoEvidence("the larger tree has grown from the smaller")
    return f"the log's key signed a tree of {large.size} entries that has not grown from the {small.size} that it signed as well"


def check_refusal(evidence: Evidence, charter: Charter) -> str:
    """What is proved, in words. Raises NoEvidence."""
    found = entries(evidence, charter)
    if evidence.kind is not Kind.REFUSAL or len(found) != 1:
        raise NoEvidence("a refusal stands against one entry")
    ((proved, entry),) = found
    try:
        verify_refusal(evidence.statement, charter.policy.gateway_key, sha256(entry.header).digest())
    except KeysError as error:
        raise NoEvidence(str(error)) from None
    return f"the gateway signed that it would never take what stands as entry {proved.index}"


def check_promise(evidence: Evidence, charter: Charter) -> str:
    """What is proved, in words. Raises NoEvidence."""
    checkpoint = checkpoints(evidence, charter)[0]
    if evidence.kind is not Kind.PROMISE:
        raise NoEvidence("no promise")
    try:
        promise = read_promise(evidence.statement, charter.policy.gateway_key)
        check_inclusion(evidence.leaf, promise.index, checkpoint.size, evidence.path, checkpoint.root)
    except (KeysError, TlogError) as error:
        raise NoEvidence(str(error)) from None
    if promise.leaf_hash == evidence.leaf:
        raise NoEvidence("the entry is the one that was promised")
    return f"the gateway promised another entry {promise.index} than the log has"


def entries(evidence: Evidence, charter: Charter) -> list[tuple[Proved, Entry]]:
    """The entries, each under the checkpoint. Raises NoEvidence."""
    checkpoint = checkpoints(evidence, charter)[0]
    found = []
    for proved in evidence.entries:
        try:
            check_inclusion(leaf_hash(proved.entry), proved.index, checkpoint.size, proved.path, checkpoint.root)
            found.append((proved, read_entry(proved.entry)))
        except (TlogError, Malformed) as error:
            raise NoEvidence(f"entry {proved.index}: {error}") from None
    return found


def claimed(entry: bytes) -> Claimed:
    """What the envelope in an entry claims. Raises Malformed."""
    return read_envelope(read_entry(entry).envelope)


def older_root(old: int, new: int, root: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a tree (new, root) has for its first `old` entries, out of its own consistency proof (RFC 9162 2.1.4.2).

    Raises:
        ProofFailed: the proof does not lead to the tree; or `old` is a power of two, of whose root such a proof tells nothing.
    """
    if not 0 < old < new or old & (old - 1) == 0 or not path:
        raise ProofFailed(f"a consistency proof does not name the root of {old} entries")
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    small = large = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofFailed("consistency proof is too long")
        if here & 1 or here == last:
            small, large = node_hash(sibling, small), node_hash(sibling, large)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            large = node_hash(large, sibling)
        here, last = here >> 1, last >> 1
    if last or large != root:
        raise ProofFailed("the consistency proof leads to another tree")
    return small


def older_root_by_leaf(old: int, new: int, root: bytes, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The same for any size, out of the inclusion proof of entry `old` - 1: what stands left of its way up makes up the older tree.

    Raises:
        ProofFailed: the proof does not lead to the tree.
    """
    if not 0 < old < new:
        raise ProofFailed(f"a tree of {new} entries is not larger than one of {old}")
    check_inclusion(leaf, old - 1, new, path, root)
    here, last, found = old - 1, new - 1, leaf
    for sibling in path:
        if here & 1 or here == last:
            found = node_hash(sibling, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        here, last = here >> 1, last >> 1
    return found
