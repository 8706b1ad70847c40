"""Checkpoints: the tree head that a log signs (c2sp.org/tlog-checkpoint).

    origin
    size
    base64(root)

`TreeHead` is those three lines, believed by nobody. `open_checkpoint` gives a `Checkpoint`, which a key of the log has
signed; whoever checks entries, tiles or proofs takes only that.

Extension lines are refused: no monitor can audit them and ML-DSA-44 cosignatures do not cover them, so a checkpoint that
has some would mean different things to different checkers. Only a witness reads them (`TreeHead.decode_extended`): it serves
logs that are not ours, and has to sign the text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keys.tlog.errors import Inconsistent, Malformed, WrongOrigin
from keys.tlog.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from keys.tlog.note import (
    Note,
    NoteSigner,
    NoteVerifier,
    Signature,
    check_text,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)

MAX_ORIGIN: Final = 255
"""Bytes; an ML-DSA-44 cosignature has one byte for its length."""

MAX_DIGITS: Final = len(str(MAX_SIZE))

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """Origin, size and root of a tree, as the text of a checkpoint states them. A claim until a key vouches for it."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_text("".join(f"{line}\n" for line in (self.origin, *self.extensions)))
        if any(not line or "\n" in line for line in self.extensions):
            raise Malformed("an extension line is one line, and not empty")
        if not self.origin or "\n" in self.origin or len(self.origin.encode()) > MAX_ORIGIN:
            raise Malformed(f"an origin is one line of at most {MAX_ORIGIN} bytes")
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_SIZE:
            raise Malformed("a checkpoint has a size below 2^63 and a root of 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise Malformed("the root of an empty tree is the hash of nothing")

    def encode(self) -> str:
        """The note text: three lines, and extension lines where there are any."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, encode_base64(self.root), *self.extensions))

    @classmethod
    def decode(cls, text: str) -> TreeHead:
        """The opposite of `encode`, without extension lines; raises Malformed."""
        head = cls.decode_extended(text)
        if head.extensions:
            raise Malformed("a checkpoint has three lines; extension lines are refused")
        return head

    @classmethod
    def decode_extended(cls, text: str) -> TreeHead:
        """The opposite of `encode`, of any log's checkpoint; raises Malformed."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop():
            raise Malformed("a checkpoint has three lines at least")
        return cls(lines[0], decode_decimal(lines[1]), decode_base64(lines[2]), tuple(lines[3:]))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head that a key of the log has signed. Only `open_checkpoint` and those that sign make one."""

    origin: str
    size: int
    root: bytes
    note: Note
    verified: tuple[Signature, ...]

    @property
    def head(self) -> TreeHead:
        """Origin, size and root."""
        return TreeHead(self.origin, self.size, self.root)

    def encode(self) -> bytes:
        """The note's bytes, with all its signature lines."""
        return self.note.encode()


def sign_checkpoint(head: TreeHead, signers: Iterable[NoteSigner]) -> Note:
    """The note that a log publishes. A log must never sign one that is inconsistent with an earlier one: its caller sees to it."""
    return sign_note(head.encode(), signers)


def open_checkpoint(data: bytes, log_keys: Iterable[NoteVerifier], origin: str) -> Checkpoint:
    """The checkpoint that these bytes are, signed by a key of the log of that origin.

    `log_keys` are the log's alone: a witness's key among them would let the witness speak for the log. Raises Malformed,
    UnknownKey, BadSignature, WrongOrigin.
    """
    return verify_checkpoint(Note.decode(data), log_keys, origin)


def verify_checkpoint(note: Note, log_keys: Iterable[NoteVerifier], origin: str) -> Checkpoint:
    """As `open_checkpoint`, for a note that is decoded already."""
    opened = open_note(note, log_keys)
    head = TreeHead.decode(opened.text)
    if head.origin != origin:
        raise WrongOrigin(f"a checkpoint of {head.origin!r}, not of {origin!r}")
    return Checkpoint(head.origin, head.size, head.root, opened.note, opened.verified)


def absent_keys(checkpoint: Checkpoint, log_keys: Iterable[NoteVerifier]) -> list[NoteVerifier]:
    """Keys of the log whose line the checkpoint lacks. A line whose name was altered is one of an unknown key and passed
    over, so who knows that the log signs with each of its keys looks here as well."""
    there = {(line.name, line.key_id) for line in checkpoint.verified}
    return [key for key in log_keys if (key.name, key.key_id) not in there]


def check_same_log(one: Checkpoint, other: Checkpoint) -> None:
    """Raises Inconsistent where two checkpoints of one size have two roots: evidence against the log's key."""
    if one.origin == other.origin and one.size == other.size and one.root != other.root:
        raise Inconsistent(f"two roots for {one.size} entries of {one.origin}")


def decode_decimal(text: str) -> int:
    """ASCII decimal without leading zeros, at most 2^63 - 1; raises Malformed."""
    if len(text) > MAX_DIGITS or not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise Malformed("not a decimal number without leading zeros below 2^63")
    return int(text)
