"""What a device says each time it is unlocked: one byte, sealed to each officer's device, under a body of one length.

    body = 20 places of HPKE(warning), 49 bytes each; places that nobody needs are random bytes

Both passphrases of a profile say so, and only an officer's device can tell which it was. The seal is HPKE base mode (RFC 9180,
DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305) to the X25519 form of the Ed25519 key in the officer's certificate:
that key is known to whoever knows the certificate, and outlives every epoch, which a device that may not open its own history
needs. Using one key pair for both is sound where each use is labelled (Thormarker, ePrint 2021/509), as both are here. It has no
forward secrecy: who gets an officer's key later learns of each unlock whether it was a warning, and nothing else.
"""

from collections.abc import Sequence
from typing import Final

import nacl.bindings
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from keys.errors import Malformed
from keys.identity import Random, SigningKey
from keys.sealing import exchange_key

PLACES: Final = 20
PLACE: Final = 32 + 1 + 16  # KEM output, the byte, the tag
LENGTH: Final = PLACES * PLACE
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_INFO: Final = b"Outrider 1 unlock"


def seal_unlock(warning: bool, watchers: Sequence[bytes], binding: bytes, random: Random) -> bytes:
    """The body for up to `PLACES` Ed25519 keys of officers' devices; of more, as many by chance. `binding` is the authenticated
    data of the envelope's context. Raises Malformed for what is no such key."""
    order = sorted(watchers, key=lambda _: random(8))[:PLACES]
    places = [_SUITE.encrypt(bytes([warning]), exchange_key(key), info=_INFO + binding) for key in order]
    places += [random(PLACE) for _ in range(PLACES - len(places))]
    return b"".join(sorted(places))


def open_unlock(body: bytes, key: SigningKey, binding: bytes) -> bool | None:
    """Whether it is a warning; None where it is not for this key.

    Raises:
        Malformed: it has another length, or says something else.
    """
    if len(body) != LENGTH:
        raise Malformed(f"an unlock has {LENGTH} bytes")
    pair = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(key.seed + key.public)
    private = X25519PrivateKey.from_private_bytes(pair)
    for start in range(0, LENGTH, PLACE):
        try:
            said = _SUITE.decrypt(body[start : start + PLACE], private, info=_INFO + binding)
        except (InvalidTag, ValueError):
            continue
        if said not in (b"\x00", b"\x01"):
            raise Malformed("an unlock warns, or it does not")
        return said == b"\x01"
    return None


def can_hear(key: bytes) -> bool:
    """Whether anything can be sealed to this key."""
    try:
        exchange_key(key)
    except Malformed:
        return False
    return True
