"""X.509 in DER (X.690), as much of it as our profile needs, and writing only.

The cryptography package reads certificates and revocation lists. Most of what it accepts has more than one form: times, string
types, flags written out, extensions in any order. So what it has read is written again with this, and compared: whatever
is not byte for byte the profile's one form is refused (see `keys.credential`).
"""

from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.identity import SigningKey

NULL_BITS: Final = b"\x00"  # a bit string of whole bytes has no unused bits
TRUE: Final = b"\x01\x01\xff"


def tagged(tag: int, *parts: bytes) -> bytes:
    """Identifier, shortest definite length, contents."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def sequence(*parts: bytes) -> bytes:
    return tagged(0x30, *parts)


def one_of_a_set(part: bytes) -> bytes:
    """A SET OF with one element, which needs no order."""
    return tagged(0x31, part)


def integer(value: int) -> bytes:
    """A number that is not negative."""
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(content: bytes) -> bytes:
    return tagged(0x04, content)


def bits(content: bytes) -> bytes:
    """A bit string of whole bytes."""
    return tagged(0x03, NULL_BITS, content)


def text(value: str) -> bytes:
    return tagged(0x0C, value.encode())


def identifier(dotted: str) -> bytes:
    """An object identifier; under arc 2 the second may be of any size (2.25: UUIDs)."""
    first, second, *rest = map(int, dotted.split("."))
    return tagged(0x06, *map(_base128, (40 * first + second, *rest)))


def _base128(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))


def moment(millis: int) -> bytes:
    """Time in whole seconds: UTCTime through 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5)."""
    at = datetime.fromtimestamp(millis // 1000, tz=UTC)
    if at.year < 2050:
        return tagged(0x17, f"{at:%y%m%d%H%M%SZ}".encode())
    return tagged(0x18, f"{at:%Y%m%d%H%M%SZ}".encode())


ED25519: Final = sequence(identifier("1.3.101.112"))  # RFC 8410: without parameters
_COMMON_NAME: Final = identifier("2.5.4.3")


def name(common_name: str) -> bytes:
    """An X.501 name: one common name, UTF8String."""
    return sequence(one_of_a_set(sequence(_COMMON_NAME, text(common_name))))


def extension(oid: bytes, content: bytes, *, critical: bool) -> bytes:
    """One extension; a flag that is false is not written (DER)."""
    return sequence(oid, TRUE if critical else b"", octets(content))


def sign(content: bytes, key: SigningKey) -> bytes:
    """Content, algorithm and signature, as certificates and revocation lists have them."""
    return with_signature(content, Ed25519PrivateKey.from_private_bytes(key.seed).sign(content))


def with_signature(content: bytes, signature: bytes) -> bytes:
    return sequence(content, ED25519, bits(signature))
