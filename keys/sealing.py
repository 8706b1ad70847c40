"""Words for the devices of some people and nobody else, where there is no group with just them in it.

    sealed = [place for each key: HPKE(content key), text: ChaCha20-Poly1305(padded words)]

The seal is HPKE base mode (RFC 9180, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305) to the X25519 form of an Ed25519
key: that of a device's certificate, or one made for the purpose. `purpose` names what it is for, `binding` the envelope that it
belongs to; both are in the HPKE info, so that nothing sealed for one purpose or place opens at another. Who the readers are does
not show, how many they are does. The words are padded, so that their length tells little.

Sealed to a key that lives long it has no forward secrecy: who gets that key later can read it.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import nacl.bindings
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta

from keys.canonical import Record
from keys.errors import Malformed, NotTrusted
from keys.identity import Random, SigningKey

READERS: Final = 256
PADDING: Final = 256  # bytes; lengths are multiples of it
PLACE: Final = 32 + 32 + 16  # KEM output, the content key, the tag
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_ONCE: Final = bytes(12)  # the content key is used once


class Sealed(Record, frozen=True, array_like=True):
    """What travels. `places` stand in no order that says anything."""

    places: Annotated[list[Annotated[bytes, Meta(min_length=PLACE, max_length=PLACE)]], Meta(max_length=READERS)]
    text: bytes


def seal_for(readers: Sequence[bytes], purpose: str, binding: bytes, words: bytes, random: Random) -> Sealed:
    """Seal `words` for the holders of these Ed25519 keys.

    Raises:
        Malformed: one is no such key, or there are more than `READERS`.
    """
    if len(readers) > READERS:
        raise Malformed(f"at most {READERS} devices can be sealed to")
    info, key = _info(purpose, binding), random(32)
    places = [_SUITE.encrypt(key, exchange_key(reader), info=info) for reader in readers]
    return Sealed(sorted(places), ChaCha20Poly1305(key).encrypt(_ONCE, _pad(words), info))


def open_for(key: SigningKey, purpose: str, binding: bytes, sealed: Sealed) -> bytes:
    """The words, for the holder of one of the keys.

    Raises:
        NotTrusted: it is not for this key, for this purpose and place, or was changed.
        Malformed: what it holds was not written as `seal_for` writes.
    """
    info = _info(purpose, binding)
    private = X25519PrivateKey.from_private_bytes(
        nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(key.seed + key.public)
    )
    for place in sealed.places:
        try:
            return _unpad(ChaCha20Poly1305(_SUITE.decrypt(place, private, info=info)).decrypt(_ONCE, sealed.text, info))
        except (InvalidTag, ValueError):
            continue
    raise NotTrusted("this is not sealed for this key, or it was changed")


def exchange_key(key: bytes) -> X25519PublicKey:
    """The X25519 form of an Ed25519 key; raises Malformed for what is no such key."""
    try:
        return X25519PublicKey.from_public_bytes(nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(key))
    except (RuntimeError, ValueError, TypeError) as error:
        raise Malformed(f"no key of a device: {error}") from None


def _info(purpose: str, binding: bytes) -> bytes:
    return b"Outrider 1 " + purpose.encode("ascii") + b"\0" + binding


def _pad(words: bytes) -> bytes:
    return words + b"\x80" + bytes(-(len(words) + 1) % PADDING)


def _unpad(padded: bytes) -> bytes:
    words, mark, rest = padded.rpartition(b"\x80")
    if not mark or rest.strip(b"\0") or len(padded) % PADDING:
        raise Malformed("sealed words end with their padding")
    return words
