"""One entry's place under a checkpoint, in a file that needs nothing else (c2sp.org/tlog-proof@v1).

    c2sp.org/tlog-proof@v1
    extra <base64>          (optional, vouched for by nobody)
    index <n>
    <base64 hash>           (from the leaf's sibling up)
    (an empty line)
    <the checkpoint with all its signature lines>

`TlogProof` is what a file claims. `check` is what counts: the log's key, the origin, and the path from the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keys.tlog.checkpoint import Checkpoint, decode_decimal, verify_checkpoint
from keys.tlog.errors import Malformed, TooLarge
from keys.tlog.merkle import HASH_SIZE, MAX_PROOF, MAX_SIZE, HashAt, check_inclusion, inclusion_proof
from keys.tlog.note import MAX_NOTE, Note, NoteVerifier, decode_base64, encode_base64

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_EXTRA: Final = 1 << 16
MAX_TLOG_PROOF: Final = MAX_NOTE + 2 * MAX_EXTRA


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof as it claims to be. `extra` is None where there is none; an empty one has no encoding."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE or len(self.hashes) > MAX_PROOF:
            raise Malformed(f"a proof has an index below 2^63 and at most {MAX_PROOF} hashes")
        if any(len(h) != HASH_SIZE for h in self.hashes):
            raise Malformed("a hash in a proof has 32 bytes")
        if self.extra is not None and not 1 <= len(self.extra) <= MAX_EXTRA:
            raise Malformed(f"extra data has 1 to {MAX_EXTRA} bytes")

    def encode(self) -> bytes:
        """The file's bytes."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [encode_base64(h) for h in self.hashes]
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint.encode()

    @classmethod
    def decode(cls, data: bytes) -> TlogProof:
        """The opposite of `encode`; raises Malformed or TooLarge."""
        if len(data) > MAX_TLOG_PROOF:
            raise TooLarge(f"a proof of {len(data)} bytes, over {MAX_TLOG_PROOF}")
        head, blank, checkpoint = data.partition(b"\n\n")
        if not blank or not head.isascii():
            raise Malformed("a proof is its lines, an empty line and a checkpoint")
        lines = head.decode().split("\n")
        if lines.pop(0) != HEADER:
            raise Malformed(f"a proof starts with {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise Malformed("a proof names its index")
        index = decode_decimal(lines.pop(0).removeprefix("index "))
        if len(lines) > MAX_PROOF:
            raise Malformed(f"a proof has at most {MAX_PROOF} hashes")
        return cls(index, tuple(decode_base64(line) for line in lines), Note.decode(checkpoint), extra)

    def check(self, leaf: bytes, log_keys: Iterable[NoteVerifier], origin: str) -> Checkpoint:
        """The checkpoint under which the leaf hash stands at this index; cosignatures are then its caller's policy.

        Raises UnknownKey, BadSignature, WrongOrigin, Malformed, ProofFailed.
        """
        checkpoint = verify_checkpoint(self.checkpoint, log_keys, origin)
        check_inclusion(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root)
        return checkpoint


def prove(index: int, checkpoint: Checkpoint, hash_at: HashAt, extra: bytes | None = None) -> TlogProof:
    """The proof of an entry under a checkpoint; raises ProofFailed where the checkpoint has no such entry."""
    return TlogProof(index, inclusion_proof(index, checkpoint.size, hash_at), checkpoint.note, extra)
