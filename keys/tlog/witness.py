"""What a log and a witness say to each other (c2sp.org/tlog-witness): the bodies of add-checkpoint and of its answers.

    POST <submission prefix>/add-checkpoint
    old <size>                      the witness's size, by the log's last knowledge
    <base64 hash>                   up to 63 lines: the consistency proof from there
    (an empty line)
    <the checkpoint>

| answer | when | body |
|---|---|---|
| 200 | checked, and stored | cosignature lines |
| 400 | not such a request, or old above the checkpoint's size | |
| 403 | no line by a key that the witness trusts for this log, or one that fails | |
| 404 | another log | |
| 409 | old is not the witness's size | that size, and a newline |
| 422 | the proof fails, two roots for one size, an empty tree with a root | |

Both ends are here, so that a test of one is a test of the other; nothing here decides whom to believe.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from keys.tlog.checkpoint import decode_decimal
from keys.tlog.errors import Malformed, TooLarge
from keys.tlog.merkle import HASH_SIZE, MAX_PROOF, MAX_SIZE
from keys.tlog.note import MAX_SIGNATURES, Note, Signature, decode_base64, encode_base64

ADD_CHECKPOINT: Final = "add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
MAX_REQUEST: Final = 1 << 18
"""Bytes: 63 hashes, and a note with the signatures of as many post-quantum keys as it may have lines."""

MAX_ANSWER: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request as it claims to be: the size to prove from, the proof, and a checkpoint that nobody has opened yet."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Note

    def __post_init__(self) -> None:
        if not 0 <= self.old <= MAX_SIZE or len(self.proof) > MAX_PROOF:
            raise Malformed(f"a size below 2^63, and at most {MAX_PROOF} hashes")
        if any(len(h) != HASH_SIZE for h in self.proof):
            raise Malformed("a hash in a proof has 32 bytes")

    @property
    def origin(self) -> str:
        """The log that the checkpoint claims to be of."""
        return self.checkpoint.text.split("\n", 1)[0]

    def encode(self) -> bytes:
        """The request's body."""
        lines = [f"old {self.old}", *map(encode_base64, self.proof), "", ""]
        return "\n".join(lines).encode() + self.checkpoint.encode()

    @classmethod
    def decode(cls, data: bytes) -> AddCheckpoint:
        """The opposite of `encode`; raises Malformed or TooLarge."""
        if len(data) > MAX_REQUEST:
            raise TooLarge(f"a request of {len(data)} bytes, over {MAX_REQUEST}")
        head, blank, checkpoint = data.partition(b"\n\n")
        if not blank or not head.isascii():
            raise Malformed("a request is an old size, a proof, an empty line and a checkpoint")
        first, *proof = head.decode().split("\n")
        if not first.startswith("old "):
            raise Malformed("a request begins with the old size")
        if len(proof) > MAX_PROOF:
            raise Malformed(f"a proof has at most {MAX_PROOF} hashes")
        old = decode_decimal(first.removeprefix("old "))
        return cls(old, tuple(map(decode_base64, proof)), Note.decode(checkpoint))


def encode_cosignatures(lines: tuple[Signature, ...]) -> bytes:
    """The body of a 200: signature lines."""
    return "".join(line.encode() for line in lines).encode()


def decode_cosignatures(data: bytes) -> tuple[Signature, ...]:
    """The lines in the body of a 200, whoever's they are; raises Malformed or TooLarge. Verify them with the checkpoint."""
    if len(data) > MAX_ANSWER:
        raise TooLarge(f"an answer of {len(data)} bytes, over {MAX_ANSWER}")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("signature lines are UTF-8") from error
    if lines.pop() or not lines:
        raise Malformed("each signature line ends in a newline, and there is one at least")
    if len(lines) > MAX_SIGNATURES:
        raise TooLarge(f"{len(lines)} signature lines, over {MAX_SIGNATURES}")
    return tuple(map(Signature.decode, lines))


def encode_size(size: int) -> bytes:
    """The body of a 409."""
    return b"%d\n" % size


def decode_size(data: bytes) -> int:
    """The size in the body of a 409; raises Malformed."""
    if len(data) > 32 or not data.isascii() or not data.endswith(b"\n"):
        raise Malformed("a size and a newline")
    return decode_decimal(data[:-1].decode())


def monitoring_path(origin: str) -> str:
    """Where, below its monitoring prefix, a witness shows the newest checkpoint that it has cosigned of a log."""
    return f"{sha256(origin.encode()).hexdigest()}/checkpoint"
