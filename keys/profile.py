"""The certificate profile as it is written: what stands in a root, a registrar's and a device's certificate, once.

`keys.credential` issues with it, and reads with it as well: what the parser has read is put into `Fields` again, and only a
certificate that comes out the same is of the profile.
"""

import re
from dataclasses import dataclass
from typing import Final

from cryptography.x509 import ObjectIdentifier

from keys import der
from keys.errors import Malformed

ROLES_OID: Final = ObjectIdentifier("2.25.211326438164471936427829351530672118903")
SERIAL_LIMIT: Final = 1 << 127
ROLE_LIMIT: Final = 8
ROLE_NAME_LIMIT: Final = 24

_BASIC_CONSTRAINTS: Final = der.identifier("2.5.29.19")
_KEY_USAGE: Final = der.identifier("2.5.29.15")
_ALTERNATIVE_NAME: Final = der.identifier("2.5.29.17")
_ROLES: Final = der.identifier(ROLES_OID.dotted_string)
_CA_USAGE: Final = b"\x03\x02\x01\x06"  # keyCertSign, cRLSign
_DEVICE_USAGE: Final = b"\x03\x02\x07\x80"  # digitalSignature
_ROLE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


def is_role_name(name: str) -> bool:
    """Whether a certificate can hold a role of this name: at most 24 of a-z, 0-9 and single hyphens between."""
    return len(name) <= ROLE_NAME_LIMIT and _ROLE.fullmatch(name) is not None


def encode_roles(roles: frozenset[str]) -> bytes:
    """DER UTF8String of the role names, sorted, comma between."""
    text = ",".join(sorted(roles))
    if not 1 <= len(roles) <= ROLE_LIMIT or not all(map(is_role_name, roles)) or len(text) >= 128:
        raise Malformed(
            f"a certificate holds 1 to {ROLE_LIMIT} roles, each at most {ROLE_NAME_LIMIT} of a-z, 0-9 and -"
        )
    return der.text(text)


def _constraints(path_length: int | None) -> bytes:
    """BasicConstraints and KeyUsage, both critical; None: no CA."""
    ca = path_length is not None
    basic = der.sequence(der.TRUE, der.integer(path_length)) if path_length is not None else der.sequence()
    usage = _CA_USAGE if ca else _DEVICE_USAGE
    return der.extension(_BASIC_CONSTRAINTS, basic, critical=True) + der.extension(_KEY_USAGE, usage, critical=True)


def _alternative(kind: str, person: bytes, device: bytes) -> bytes:
    uri = der.tagged(0x86, f"outrider:{kind}:{person.hex()}:{device.hex()}".encode())
    return der.extension(_ALTERNATIVE_NAME, der.sequence(uri), critical=False)


ROOT_EXTENSIONS: Final = _constraints(1)


def registrar_extensions(person: bytes, device: bytes) -> bytes:
    return _constraints(0) + _alternative("registrar", person, device)


def device_extensions(person: bytes, device: bytes, roles: frozenset[str]) -> bytes:
    granted = der.extension(_ROLES, encode_roles(roles), critical=False)
    return _constraints(None) + _alternative("device", person, device) + granted


@dataclass(frozen=True, slots=True)
class Fields:
    """What a certificate of the profile says, all of it but its signature."""

    serial: int
    issuer: str
    subject: str
    not_before: int
    not_after: int
    public_key: bytes
    extensions: bytes

    def content(self) -> bytes:
        """TBSCertificate, version 3 (RFC 5280 section 4.1)."""
        return der.sequence(
            der.tagged(0xA0, der.integer(2)),
            der.integer(self.serial),
            der.ED25519,
            der.name(self.issuer),
            der.sequence(der.moment(self.not_before), der.moment(self.not_after)),
            der.name(self.subject),
            der.sequence(der.ED25519, der.bits(self.public_key)),
            der.tagged(0xA3, der.sequence(self.extensions)),
        )
