"""X.509 certificates in our own strict profile: root → registrar → device, Ed25519 throughout, and no longer path.

    root       self-signed; CA, path length 1; one an organisation, named by the charter
    registrar  issued by a root; CA, path length 0; SAN URI outrider:registrar:<person>:<device>; named by the charter
    device     issued by a registrar; SAN URI outrider:device:<person>:<device>; roles in an extension of our own

A certificate holds random ids and roles, never a name. Its organisation is that of the root it chains to. What is not in this
profile is refused: another algorithm, another extension, a longer path, a second name. `x509.verification` of the cryptography
package refuses Ed25519 keys, so the path is walked here with `verify_directly_issued_by`.

`read_device` gives what a certificate claims; only `Issuers.verify` gives a `Certified` one. Whether it has expired or been
revoked is asked separately (`Certified.check_time`, `authority.RevocationList`), since validity goes by log order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from keys.errors import BadSignature, Expired, Malformed, NotTrusted
from keys.identity import DeviceId, PersonId, Random, SigningKey

ROLES_OID: Final = x509.ObjectIdentifier("2.25.211326438164471936427829351530672118903")
DEVICE_LIMIT: Final = 1_024  # bytes of DER
ROLE_LIMIT: Final = 8
ROLE_NAME_LIMIT: Final = 24


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


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis // 1000, tz=UTC)


def _public(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _start(
    subject: x509.Name, issuer: x509.Name, key: bytes, lifetime: tuple[int, int], random: Random
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_public(key))
        .serial_number(int.from_bytes(random(16), "big") >> 1 | 1)
        .not_valid_before(_moment(lifetime[0]))
        .not_valid_after(_moment(lifetime[1]))
    )


def _finish(builder: x509.CertificateBuilder, key: SigningKey) -> bytes:
    return builder.sign(Ed25519PrivateKey.from_private_bytes(key.seed), None).public_bytes(Encoding.DER)


def issue_root(key: SigningKey, lifetime: tuple[int, int], random: Random) -> bytes:
    """A self-signed root, DER. `lifetime` is (not before, not after) in ms."""
    name = _subject(key.public.hex()[:32])
    builder = _start(name, name, key.public, lifetime, random)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    return _finish(builder.add_extension(_usage(ca=True), critical=True), key)


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
    issuer = _load(root_der).subject
    builder = _start(_subject(device.hex()), issuer, public_key, lifetime, random)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(ca=True), critical=True)
    uri = x509.UniformResourceIdentifier(f"outrider:registrar:{person.hex()}:{device.hex()}")
    return _finish(builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False), root)


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
    """A device's certificate under a registrar, DER."""
    issuer = _load(registrar_der).subject
    builder = _start(_subject(device.hex()), issuer, public_key, lifetime, random)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(ca=False), critical=True)
    uri = x509.UniformResourceIdentifier(f"outrider:device:{person.hex()}:{device.hex()}")
    builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    return _finish(
        builder.add_extension(x509.UnrecognizedExtension(ROLES_OID, _encode_roles(roles)), critical=False), registrar
    )


def _encode_roles(roles: frozenset[str]) -> bytes:
    """DER UTF8String of the role names, sorted, comma between."""
    text = ",".join(sorted(roles)).encode("ascii")
    if not 0 < len(text) < 128:
        raise Malformed("a certificate holds 1 to 8 roles")
    return bytes([0x0C, len(text)]) + text


def _decode_roles(value: bytes) -> frozenset[str]:
    try:
        roles = value[2:].decode("ascii").split(",")
    except UnicodeDecodeError:
        raise Malformed("role names are ASCII") from None
    claimed = frozenset(roles)
    sound = all(r and len(r) <= ROLE_NAME_LIMIT and r.replace("-", "").isalnum() and r == r.lower() for r in roles)
    if not sound or len(roles) > ROLE_LIMIT or _encode_roles(claimed) != value:
        raise Malformed("the roles extension is not canonical")
    return claimed


def _load(der: bytes) -> x509.Certificate:
    if len(der) > DEVICE_LIMIT:
        raise Malformed(f"a certificate of our profile has at most {DEVICE_LIMIT} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        strict = certificate.public_bytes(Encoding.DER) == der and certificate.version is x509.Version.v3
        if not strict or not isinstance(certificate.public_key(), Ed25519PublicKey):
            raise Malformed("not an X.509 v3 certificate of an Ed25519 key")
        _ = [extension.value for extension in certificate.extensions]
        _ = certificate.subject, certificate.issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except Malformed:
        raise
    except Exception as error:  # the parser raises many kinds, all of which say: no such certificate
        raise Malformed(f"not a certificate: {error}") from None
    return certificate


def _check_constraints(certificate: x509.Certificate, *, path_length: int | None) -> None:
    """BasicConstraints and KeyUsage are exactly those of the profile."""
    extensions = certificate.extensions
    ca = path_length is not None
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        raise Malformed("BasicConstraints and KeyUsage are required") from None
    if not constraints.critical or constraints.value != x509.BasicConstraints(ca=ca, path_length=path_length):
        raise Malformed("BasicConstraints is not that of the profile")
    if not usage.critical or usage.value != _usage(ca=ca):
        raise Malformed("KeyUsage is not that of the profile")


def _names(certificate: x509.Certificate) -> tuple[str, PersonId, DeviceId]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise Malformed("a subject alternative name is required") from None
    uris = [name.value for name in alternative if isinstance(name, x509.UniformResourceIdentifier)]
    parts = uris[0].split(":") if len(uris) == len(list(alternative)) == 1 else []
    if len(parts) != 4 or parts[0] != "outrider" or any(len(p) != 32 for p in parts[2:]):
        raise Malformed("exactly one subject alternative name, outrider:<kind>:<person>:<device>")
    try:
        person, device = bytes.fromhex(parts[2]), bytes.fromhex(parts[3])
    except ValueError:
        raise Malformed("ids are hexadecimal") from None
    if f"outrider:{parts[1]}:{person.hex()}:{device.hex()}" != uris[0]:
        raise Malformed("ids are written in lower case")
    return parts[1], PersonId(person), DeviceId(device)


def read_certificate(der: bytes) -> ClaimedCertificate:
    """Read a registrar's or a device's certificate.

    Raises:
        Malformed: it is not exactly of the profile.
    """
    certificate = _load(der)
    kind, person, device = _names(certificate)
    if kind not in ("registrar", "device"):
        raise Malformed(f"no certificate of kind {kind!r}")
    registrar = kind == "registrar"
    _check_constraints(certificate, path_length=0 if registrar else None)
    others = [e for e in certificate.extensions if isinstance(e.value, x509.UnrecognizedExtension)]
    if len(certificate.extensions) != (3 if registrar else 4) or len(others) != (0 if registrar else 1):
        raise Malformed("an extension too many or too few")
    roles: frozenset[str] = frozenset()
    if not registrar:
        value = others[0].value
        if others[0].oid != ROLES_OID or not isinstance(value, x509.UnrecognizedExtension):
            raise Malformed("the roles extension is missing")
        roles = _decode_roles(value.value)
    return ClaimedCertificate(
        der=der,
        registrar=registrar,
        person=person,
        device=device,
        public_key=certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
        roles=roles,
        not_before=int(certificate.not_valid_before_utc.timestamp()) * 1000,
        not_after=int(certificate.not_valid_after_utc.timestamp()) * 1000,
        serial=certificate.serial_number,
    )


def read_root(der: bytes) -> bytes:
    """Check that `der` is a root of the profile, signed by itself, and give its public key.

    Raises:
        Malformed: it is none.
        BadSignature: it was not signed by its own key.
    """
    certificate = _load(der)
    _check_constraints(certificate, path_length=1)
    if len(certificate.extensions) != 2:
        raise Malformed("a root has two extensions")
    _check_issued(certificate, certificate)
    return certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise BadSignature("this certificate was not issued by the one named as its issuer") from None


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
        claimed = read_certificate(der)
        if not claimed.registrar:
            raise Malformed("not a registrar's certificate")
        read_root(self.root)
        _check_issued(_load(der), _load(self.root))
        return _certified(claimed, self.organisation, claimed.device)

    def verify(self, der: bytes) -> Certified:
        """A device of this organisation.

        Raises:
            Malformed: not a device certificate of the profile.
            NotTrusted: no registrar of this organisation issued it, or it has a role that the root may not grant.
        """
        claimed = read_certificate(der)
        if claimed.registrar:
            raise Malformed("not a device's certificate")
        certificate = _load(der)
        for registrar_der in self.registrars:
            registrar = _load(registrar_der)
            if certificate.issuer != registrar.subject:
                continue
            issuer = self.verify_registrar(registrar_der)
            _check_issued(certificate, registrar)
            if not claimed.roles <= self.roles:
                raise NotTrusted(
                    f"the root of {self.organisation} may not grant {', '.join(sorted(claimed.roles - self.roles))}"
                )
            return _certified(claimed, self.organisation, issuer.device)
        raise NotTrusted(f"no registrar of {self.organisation} issued this certificate")


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
        NotTrusted: it chains to none of them, or holds a role that its root may not grant.
    """
    registrar = read_certificate(der).registrar
    refusal: NotTrusted | BadSignature = NotTrusted("no organisation of the charter issued this certificate")
    for issuers in organisations:
        try:
            return issuers.verify_registrar(der) if registrar else issuers.verify(der)
        except (NotTrusted, BadSignature) as error:
            refusal = error
    raise refusal
