"""Keys that sign, labels that keep one kind of statement from passing for another, and words to compare by voice.

Every signature of Outrider has the form of RFC 9420's SignContent (section 5.1.2) with labels that begin "Outrider 1 ", so
none can be mistaken for an MLS signature or for a C2SP note, and raw bytes from a peer are never signed.
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Final, NewType

import nacl.bindings
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as _Seed

from keys.errors import BadSignature, Malformed
from keys.mls.suites import sign_content

DeviceId = NewType("DeviceId", bytes)
PersonId = NewType("PersonId", bytes)
ChannelId = NewType("ChannelId", bytes)
Random = Callable[[int], bytes]
Verify = Callable[[bytes, str, bytes, bytes], None]
"""As `verify`, or what knows that it has been done."""

LABEL_PREFIX: Final = b"Outrider 1 "


def signed_content(label: str, content: bytes) -> bytes:
    """The bytes that are signed: struct { opaque label<V>; opaque content<V> } (RFC 9420 section 5.1.2)."""
    return sign_content(LABEL_PREFIX + label.encode("ascii"), content)


def verify(public_key: bytes, label: str, content: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature over `content` under `label`.

    Raises:
        BadSignature: it was made by another key, under another label, or over other content.
    """
    if len(public_key) != 32 or len(signature) != 64:
        raise BadSignature("an Ed25519 key has 32 bytes and its signature 64")
    try:
        nacl.bindings.crypto_sign_open(signature + signed_content(label, content), public_key)
    except (BadSignatureError, ValueError):
        raise BadSignature(f"the signature of this {label} does not hold") from None


class SigningKey:
    """An Ed25519 private key of ours: 32 bytes of seed. It signs under a label or not at all."""

    __slots__ = ("_key", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise Malformed("an Ed25519 seed has 32 bytes")
        self._key = _Seed(seed)
        self.seed = seed
        self.public = bytes(self._key.verify_key)

    @classmethod
    def generate(cls, random: Random) -> "SigningKey":
        """A new key from 32 bytes of `random`."""
        return cls(random(32))

    def sign(self, label: str, content: bytes) -> bytes:
        """64 bytes of Ed25519 over label and content."""
        return self._key.sign(signed_content(label, content)).signature

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()[:16]}…)"


@lru_cache(maxsize=16)
def control_channel(origin: str) -> ChannelId:
    """The mission's control channel: signed, not encrypted, no content. It is named by the log's origin."""
    return ChannelId(sha256(b"Outrider 1 control channel" + origin.encode()).digest()[:16])


@lru_cache(maxsize=16)
def unlock_stream(origin: str) -> ChannelId:
    """Where devices say that they were unlocked: beside the control channel, so that it holds up nothing there."""
    return ChannelId(sha256(b"Outrider 1 unlock stream" + origin.encode()).digest()[:16])


@lru_cache(maxsize=4096)  # asked for at every turn of a device
def receipt_stream(channel: ChannelId) -> ChannelId:
    """Where the receipts of a channel stand: beside it, so that they reach whom they concern and nobody else."""
    return ChannelId(sha256(b"Outrider 1 receipt stream" + channel).digest()[:16])


def gateway_device(public_key: bytes) -> DeviceId:
    """The gateway as the author of its own acts: an id made from its signing key."""
    return DeviceId(sha256(b"Outrider 1 gateway device" + public_key).digest()[:16])


_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"


def words(digest: bytes, count: int = 6) -> str:
    """`count` pronounceable five-letter words (proquints, arXiv 0901.4016), 16 bits each, to read aloud and compare."""
    assert len(digest) >= 2 * count
    spoken = []
    for n in range(count):
        pair = int.from_bytes(digest[2 * n : 2 * n + 2], "big")
        spoken.append(
            _CONSONANTS[pair >> 12]
            + _VOWELS[pair >> 10 & 3]
            + _CONSONANTS[pair >> 6 & 15]
            + _VOWELS[pair >> 4 & 3]
            + _CONSONANTS[pair & 15]
        )
    return "-".join(spoken)
