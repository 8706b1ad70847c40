"""X.509 certificates in our own strict profile: root → registrar → device, Ed25519 throughout, and no longer path.

    root       self-signed; CA, path length 1; one an organisation, named by the charter
    registrar  issued by a root; CA, path length 0; SAN URI outrider:registrar:<person>:<device>; named by the charter
    device     issued by a registrar; SAN URI outrider:device:<person>:<device>; roles in an extension of our own

A certificate holds random ids and roles, never a name: subject and issuer are one common name each, 32 hexadecimal digits (a
root's is the beginning of its key, the others' their device id). Its organisation is that of the root it chains to.

One value, one encoding: what has been read is written again, and bytes that differ anywhere but in the signature itself are
`Malformed`. So another algorithm, an extension more, less, or with another criticality, a second name, another string type or
time format, or a flag written out need no check each. `x509.verification` of the cryptography package refuses Ed25519 keys, so
the path is walked here with `verify_directly_issued_by`; nothing on it outlives its issuer.

`read_certificate` gives what a certificate claims; only `Issuers.verify` gives a `Certified` one. Whether it has expired or been
revoked is asked separately (`Certified.check_time`, `authority.RevocationList`), since validity goes by log order.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import der as asn1
from keys.errors import BadSignature, Expired, Malformed, NotTrusted
from keys.identity import DeviceId, PersonId, Random, SigningKey
from keys.profile import (
    ROLES_OID,
    ROOT_EXTENSIONS,
    SERIAL_LIMIT,
    Fields,
    device_extensions,
    registrar_extensions,
)

DEVICE_LIMIT: Final = 1_024  # bytes of DER
_ID = re.compile(r"[0-9a-f]{32}")
_URI = re.compile(r"outrider:(registrar|device):([0-9a-f]{32}):([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class ClaimedCertificate:
    """A registrar's or device's certificate as it reads, its issuer not yet checked. Times in ms since the epoch."""

    der: bytes
    registrar: bool
    person: PersonId
    device: DeviceId
    public_key: bytes
    roles: frozenset[str]
    not_before: int
    not_after: int
    serial: int

    @property
    def hash(self) -> bytes:
        return sha256(self.der).digest()


@dataclass(frozen=True, slots=True)
class Certified(ClaimedCertificate):
    """A certificate that chains to a root of the charter, with no role that this root may not grant."""

    organisation: str
    issuer: DeviceId  # the registrar's device id; a registrar's own for registrars

    def check_time(self, now: int) -> None:
        """Raises Expired when `now` (ms) is outside the certificate's life."""
        if not self.not_before <= now <= self.not_after:
            raise Expired(
                f"certificate of device {self.device.hex()[:8]} is valid only from {self.not_before} to {self.not_after}"
            )


def common_name(claimed: x509.Name) -> str:
    """The one common name of 32 hexadecimal digits. Raises Malformed when it is not that."""
    attributes = list(claimed)
    value = attributes[0].value if len(attributes) == 1 else None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Malformed("a name of our profile is one common name of 32 hexadecimal digits")
    return value


def _serial(random: Random) -> int:
    return int.from_bytes(random(16), "big") >> 1 | 1


def issue_root(key: SigningKey, lifetime: tuple[int, int], random: Random) -> bytes:
    """A self-signed root, DER. `lifetime` is (not before, not after) in ms."""
    itself = key.public.hex()[:32]
    return asn1.sign(Fields(_serial(random), itself, itself, *lifetime, key.public, ROOT_EXTENSIONS).content(), key)


def issue_registrar(
    root_der: bytes,
    root: SigningKey,
    public_key: bytes,
    person: PersonId,
    device: DeviceId,
    lifetime: tuple[int, int],
    random: Random,
) -> bytes:
    """A registrar's certificate under an organisation's root, DER."""
    issuer = common_name(_load(root_der).subject)
    extensions = registrar_extensions(person, device)
    return asn1.sign(Fields(_serial(random), issuer, device.hex(), *lifetime, public_key, extensions).content(), root)


def issue_device(
    registrar_der: bytes,
    registrar: SigningKey,
    public_key: bytes,
    person: PersonId,
    device: DeviceId,
    roles: frozenset[str],
    lifetime: tuple[int, int],
    random: Random,
) -> bytes:
    """A device's certificate under a registrar, DER; raises Malformed for roles that no certificate can hold."""
    issuer = common_name(_load(registrar_der).subject)
    extensions = device_extensions(person, device, roles)
    return asn1.sign(
        Fields(_serial(random), issuer, device.hex(), *lifetime, public_key, extensions).content(), registrar
    )


def _decode_roles(value: bytes) -> frozenset[str]:
    """What the extension claims; `device_extensions` writes it again, and the comparison says whether it was canonical."""
    try:
        return frozenset(value[2:].decode("ascii").split(","))
    except UnicodeDecodeError:
        raise Malformed("role names are ASCII") from None


def _load(der: bytes) -> x509.Certificate:
    """What the parser takes for a certificate; nothing more is known of it."""
    if len(der) > DEVICE_LIMIT:
        raise Malformed(f"a certificate of our profile has at most {DEVICE_LIMIT} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.public_key(), certificate.extensions, certificate.subject, certificate.issuer
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.serial_number
    except Exception as error:  # the parser raises many kinds, all of which say: no such certificate
        raise Malformed(f"not a certificate: {error}") from None
    return certificate


def _fields(certificate: x509.Certificate, der: bytes, extensions: bytes, subject: str | None) -> Fields:
    """Everything the certificate says, if these extensions are its own and `der` is the one way of writing it."""
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise Malformed("not a certificate of an Ed25519 key")
    public_key = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    fields = Fields(
        serial=certificate.serial_number,
        issuer=common_name(certificate.issuer),
        subject=public_key.hex()[:32] if subject is None else subject,
        not_before=int(certificate.not_valid_before_utc.timestamp()) * 1000,
        not_after=int(certificate.not_valid_after_utc.timestamp()) * 1000,
        public_key=public_key,
        extensions=extensions,
    )
    if not 0 < fields.serial < SERIAL_LIMIT or not 0 <= fields.not_before <= fields.not_after:
        raise Malformed("a serial number has up to 127 bits, and a certificate begins before it ends")
    signature = certificate.signature
    if len(signature) != 64 or asn1.with_signature(fields.content(), signature) != der:
        raise Malformed("not exactly of the profile")
    return fields


def _alternative_name(certificate: x509.Certificate) -> tuple[str, PersonId, DeviceId]:
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        raise Malformed("a subject alternative name is required") from None
    uri = names[0].value if len(names) == 1 and isinstance(names[0], x509.UniformResourceIdentifier) else ""
    match = _URI.fullmatch(uri)
    if match is None:
        raise Malformed("exactly one subject alternative name, outrider:registrar|device:<person>:<device>")
    return match[1], PersonId(bytes.fromhex(match[2])), DeviceId(bytes.fromhex(match[3]))


def _roles(certificate: x509.Certificate) -> frozenset[str]:
    try:
        value = certificate.extensions.get_extension_for_oid(ROLES_OID).value
    except x509.ExtensionNotFound:
        raise Malformed("the roles extension is missing") from None
    assert isinstance(value, x509.UnrecognizedExtension)
    return _decode_roles(value.value)


@dataclass(frozen=True, slots=True)
class _Read:
    """A certificate as it reads, the name of its issuer, and the parser's own object, which checks signatures."""

    claimed: ClaimedCertificate
    issuer: str
    parsed: x509.Certificate


def _read(der: bytes) -> _Read:
    certificate = _load(der)
    kind, person, device = _alternative_name(certificate)
    registrar = kind == "registrar"
    roles: frozenset[str] = frozenset() if registrar else _roles(certificate)
    extensions = registrar_extensions(person, device) if registrar else device_extensions(person, device, roles)
    fields = _fields(certificate, der, extensions, device.hex())
    claimed = ClaimedCertificate(
        der=der,
        registrar=registrar,
        person=person,
        device=device,
        public_key=fields.public_key,
        roles=roles,
        not_before=fields.not_before,
        not_after=fields.not_after,
        serial=fields.serial,
    )
    return _Read(claimed, fields.issuer, certificate)


def read_certificate(der: bytes) -> ClaimedCertificate:
    """Read a registrar's or a device's certificate.

    Raises:
        Malformed: it is not exactly of the profile.
    """
    return _read(der).claimed


def read_root(der: bytes) -> bytes:
    """Check that `der` is a root of the profile, signed by itself, and give its public key.

    Raises:
        Malformed: it is none.
        BadSignature: it was not signed by its own key.
    """
    return _root(der)[0].public_key


def _root(der: bytes) -> tuple[Fields, x509.Certificate]:
    certificate = _load(der)
    fields = _fields(certificate, der, ROOT_EXTENSIONS, None)
    _check_issued(certificate, certificate)
    return fields, certificate


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise BadSignature("this certificate was not issued by the one named as its issuer") from None


@lru_cache(maxsize=256)
def _registrar(organisation: str, root_der: bytes, der: bytes) -> tuple[Certified, x509.Certificate]:
    """A registrar under this root. Kept, since each device's path leads through it and the answer never changes."""
    read = _read(der)
    if not read.claimed.registrar:
        raise Malformed("not a registrar's certificate")
    root, parsed = _root(root_der)
    _check_issued(read.parsed, parsed)
    if read.claimed.not_after > root.not_after:
        raise NotTrusted("this registrar's certificate outlives its root")
    return _certified(read.claimed, organisation, read.claimed.device), read.parsed


@dataclass(frozen=True, slots=True)
class Issuers:
    """An organisation's root and registrars as the charter names them, and the roles its root may grant."""

    organisation: str
    root: bytes
    registrars: tuple[bytes, ...]
    roles: frozenset[str]

    def verify_registrar(self, der: bytes) -> Certified:
        """A registrar of this organisation, or NotTrusted, BadSignature, Malformed."""
        if der not in self.registrars:
            raise NotTrusted(f"the charter names no such registrar of {self.organisation}")
        return _registrar(self.organisation, self.root, der)[0]

    def verify(self, der: bytes) -> Certified:
        """A device of this organisation.

        Raises:
            Malformed: not a device certificate of the profile.
            BadSignature: it names a registrar of this organisation as its issuer who has not signed it.
            NotTrusted: no registrar of this organisation issued it, it outlives the one who did, or it has a role that the
                root may not grant.
        """
        read = _read(der)
        if read.claimed.registrar:
            raise Malformed("not a device's certificate")
        return self._verify(read)

    def _verify(self, read: _Read) -> Certified:
        for registrar_der in self.registrars:
            registrar, parsed = _registrar(self.organisation, self.root, registrar_der)
            if registrar.device.hex() == read.issuer:
                _check_issued(read.parsed, parsed)
                return self._admit(read.claimed, registrar)
        raise NotTrusted(f"no registrar of {self.organisation} issued this certificate")

    def _admit(self, claimed: ClaimedCertificate, registrar: Certified) -> Certified:
        if claimed.not_after > registrar.not_after:
            raise NotTrusted("this certificate outlives its registrar's")
        if not claimed.roles <= self.roles:
            beyond = ", ".join(sorted(claimed.roles - self.roles))
            raise NotTrusted(f"the root of {self.organisation} may not grant {beyond}")
        return _certified(claimed, self.organisation, registrar.device)


def _certified(claimed: ClaimedCertificate, organisation: str, issuer: DeviceId) -> Certified:
    return Certified(
        der=claimed.der,
        registrar=claimed.registrar,
        person=claimed.person,
        device=claimed.device,
        public_key=claimed.public_key,
        roles=claimed.roles,
        not_before=claimed.not_before,
        not_after=claimed.not_after,
        serial=claimed.serial,
        organisation=organisation,
        issuer=issuer,
    )


def verify_certificate(der: bytes, organisations: Sequence[Issuers]) -> Certified:
    """Find the organisation that a device or registrar certificate chains to.

    Raises:
        Malformed: not of the profile.
        BadSignature: it names a registrar who has not signed it.
        NotTrusted: it chains to none of them, outlives its issuer, or holds a role that its root may not grant.
    """
    return _verified(der, tuple(organisations))


@lru_cache(maxsize=4096)
def _verified(der: bytes, organisations: tuple[Issuers, ...]) -> Certified:
    """Kept, since the same few certificates stand in every KeyPackage, commit and list: all that decides is in the arguments (no
    clock, no revocation), so the answer never changes. A refusal is not kept."""
    read = _read(der)
    for issuers in organisations:
        if read.claimed.registrar and der in issuers.registrars:
            return issuers.verify_registrar(der)
        names = (_registrar(issuers.organisation, issuers.root, r)[0].device.hex() for r in issuers.registrars)
        if not read.claimed.registrar and read.issuer in names:
            return issuers._verify(read)
    raise NotTrusted("no organisation of the charter issued this certificate")
