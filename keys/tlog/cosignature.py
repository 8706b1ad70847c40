"""Cosignatures: others' lines on a log's checkpoint, each with the time of signing (c2sp.org/tlog-cosignature).

The bytes after the key id are uint64 POSIX time (seconds) || signature. What is signed differs:

* Ed25519 (0x04): "cosignature/v1", a line with the time, and the checkpoint's text. The cosigner's name is not covered, so
  a key serves one cosigner only.
* ML-DSA-44 (0x06): a `cosigned_message` of cosigner, time, origin, range and root. A log may sign with it as well, so that
  its history stays provable once Ed25519 is not.

A cosignature says: at this time this was the largest consistent tree of that origin I had seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from nacl.signing import SigningKey, VerifyKey

from keys.tlog.checkpoint import Checkpoint, TreeHead
from keys.tlog.errors import BadSignature, Malformed, UnknownKey
from keys.tlog.note import (
    ED25519,
    ED25519_SIGNATURE_SIZE,
    Ed25519Verifier,
    NoteVerifier,
    Signature,
    VerifierKey,
    check_name,
    ed25519_private,
    ed25519_public,
    open_note,
    verify_ed25519,
)

ED25519_COSIGNATURE: Final = 0x04
ML_DSA_44_COSIGNATURE: Final = 0x06
ML_DSA_44_KEY_SIZE: Final = 1312
ML_DSA_44_SIGNATURE_SIZE: Final = 2420
TIME_SIZE: Final = 8
MAX_TIME: Final = 2**63 - 1

_SUBTREE_LABEL: Final = b"subtree/v1\n\x00"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that holds: whose it is, and when it was given (POSIX seconds, by the cosigner's clock)."""

    name: str
    key_id: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Ed25519CosignatureVerifier:
    """The Ed25519 key of a cosigner (type 0x04)."""

    key: VerifierKey
    _public: VerifyKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_public", ed25519_public(self.key, ED25519_COSIGNATURE))

    @property
    def name(self) -> str:
        """The cosigner's name."""
        return self.key.name

    @property
    def key_id(self) -> bytes:
        """Key id."""
        return self.key.key_id

    def verify(self, text: str, signature: bytes) -> None:
        """Raises BadSignature unless this cosigner signed the checkpoint of that text; Malformed where it is none."""
        time, bare = _split_time(signature, ED25519_SIGNATURE_SIZE, self.name)
        verify_ed25519(self._public, ed25519_message(TreeHead.decode_extended(text), time), bare, self.name)


@dataclass(frozen=True, slots=True)
class MlDsa44Verifier:
    """The ML-DSA-44 key of a cosigner or a log (type 0x06)."""

    key: VerifierKey
    _public: MLDSA44PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.key.type != ML_DSA_44_COSIGNATURE or len(self.key.public_key) != ML_DSA_44_KEY_SIZE:
            raise Malformed(f"verifier key {self.key.name} is no ML-DSA-44 key")
        object.__setattr__(self, "_public", MLDSA44PublicKey.from_public_bytes(self.key.public_key))

    @property
    def name(self) -> str:
        """The cosigner's name."""
        return self.key.name

    @property
    def key_id(self) -> bytes:
        """Key id."""
        return self.key.key_id

    def verify(self, text: str, signature: bytes) -> None:
        """Raises BadSignature unless this cosigner signed the checkpoint of that text; Malformed where it is none."""
        time, bare = _split_time(signature, ML_DSA_44_SIGNATURE_SIZE, self.name)
        try:
            self._public.verify(bare, ml_dsa_44_message(self.name, TreeHead.decode_extended(text), time))
        except InvalidSignature as error:
            raise BadSignature(f"signature of {self.name} fails") from error


@dataclass(frozen=True, slots=True)
class Ed25519Cosigner:
    """An Ed25519 key (type 0x04) that cosigns checkpoints."""

    name: str
    _key: SigningKey = field(repr=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Ed25519Cosigner:
        """The key of a 32-byte seed; raises Malformed."""
        check_name(name)
        return cls(name, ed25519_private(seed))

    @property
    def verifier_key(self) -> VerifierKey:
        """The vkey to hand out."""
        return VerifierKey(self.name, ED25519_COSIGNATURE, self._key.verify_key.encode())

    def cosign(self, head: TreeHead, time: int) -> Signature:
        """The line to add to a checkpoint, at a time in POSIX seconds."""
        bare = self._key.sign(ed25519_message(head, time)).signature
        return Signature(self.name, self.verifier_key.key_id, _time_bytes(time) + bare)


@dataclass(frozen=True, slots=True)
class MlDsa44Cosigner:
    """An ML-DSA-44 key (type 0x06) that cosigns checkpoints, a witness's or the log's own."""

    name: str
    _key: MLDSA44PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> MlDsa44Cosigner:
        """The key of a 32-byte seed; raises Malformed."""
        check_name(name)
        if len(seed) != 32:
            raise Malformed("an ML-DSA-44 seed has 32 bytes")
        return cls(name, MLDSA44PrivateKey.from_seed_bytes(seed))

    @property
    def verifier_key(self) -> VerifierKey:
        """The vkey to hand out."""
        return VerifierKey(self.name, ML_DSA_44_COSIGNATURE, self._key.public_key().public_bytes_raw())

    def cosign(self, head: TreeHead, time: int) -> Signature:
        """The line to add to a checkpoint, at a time in POSIX seconds."""
        bare = self._key.sign(ml_dsa_44_message(self.name, head, time))
        return Signature(self.name, self.verifier_key.key_id, _time_bytes(time) + bare)


def verifier_of(vkey: str | VerifierKey) -> NoteVerifier:
    """The verifier that a vkey asks for: types 0x01, 0x04, 0x06; raises Malformed on any other."""
    key = VerifierKey.decode(vkey) if isinstance(vkey, str) else vkey
    if key.type == ED25519:
        return Ed25519Verifier(key)
    if key.type == ED25519_COSIGNATURE:
        return Ed25519CosignatureVerifier(key)
    if key.type == ML_DSA_44_COSIGNATURE:
        return MlDsa44Verifier(key)
    raise Malformed(f"verifier key {key.name} is of type {key.type:#04x}, which is not known here")


def check_cosignatures(checkpoint: Checkpoint, cosigners: Iterable[NoteVerifier]) -> tuple[Cosignature, ...]:
    """The cosignatures of those cosigners that the checkpoint carries, the newest of each; which suffice is policy.

    Raises BadSignature where one of theirs fails.
    """
    try:
        opened = open_note(checkpoint.note, cosigners)
    except UnknownKey:
        return ()
    newest: dict[tuple[str, bytes], int] = {}
    for line in opened.verified:
        who, time = (line.name, line.key_id), cosignature_time(line)
        newest[who] = max(time, newest.get(who, 0))
    return tuple(Cosignature(name, key_id, time) for (name, key_id), time in newest.items())


def cosignature_time(line: Signature) -> int:
    """The time on a cosignature's line, POSIX seconds; raises Malformed."""
    time = int.from_bytes(line.signature[:TIME_SIZE], "big")
    if len(line.signature) <= TIME_SIZE or time > MAX_TIME:
        raise Malformed(f"the line of {line.name} is no cosignature")
    return time


def ed25519_message(head: TreeHead, time: int) -> bytes:
    """What a 0x04 key signs."""
    return f"cosignature/v1\ntime {time}\n{head.encode()}".encode()


def ml_dsa_44_message(name: str, head: TreeHead, time: int) -> bytes:
    """What a 0x06 key signs for a checkpoint: `cosigned_message` with start 0 and end its size."""
    cosigner, origin = name.encode(), head.origin.encode()
    if len(cosigner) > 0xFF:
        raise Malformed("a cosigner's name has at most 255 bytes")
    return b"".join(
        (
            _SUBTREE_LABEL,
            len(cosigner).to_bytes(1, "big") + cosigner,
            _time_bytes(time),
            len(origin).to_bytes(1, "big") + origin,
            (0).to_bytes(8, "big"),
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )


def _time_bytes(time: int) -> bytes:
    if not 0 <= time <= MAX_TIME:
        raise Malformed("a time is in POSIX seconds, below 2^63")
    return time.to_bytes(TIME_SIZE, "big")


def _split_time(signature: bytes, size: int, name: str) -> tuple[int, bytes]:
    time = int.from_bytes(signature[:TIME_SIZE], "big")
    if len(signature) != TIME_SIZE + size or time > MAX_TIME:
        raise BadSignature(f"cosignature of {name} has a wrong length or time")
    return time, signature[TIME_SIZE:]
