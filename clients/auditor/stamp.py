"""RFC 3161: a time-stamp authority says that a checkpoint was there at a time. Its word, beside the witnesses' and the log's own.

    query(head)                    the request (a .tsq file) for whoever can reach the authority
    check(reply, head, roots)      what the reply (a .tsr file) proves, offline, against the authority's root

What is stamped is SHA-256 of the checkpoint's text, three lines, so lines that are added later change nothing. The reply is CMS
(RFC 5652), read here as far as a time-stamp goes, in definite lengths and nothing else; each check names the clause it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256, sha384, sha512
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.der import identifier, integer, octets, sequence, tagged
from keys.tlog.checkpoint import TreeHead

LIMIT: Final = 64 * 1024
DEPTH: Final = 5  # certificates from the authority's own to its root

SHA256: Final = identifier("2.16.840.1.101.3.4.2.1")
TST_INFO: Final = identifier("1.2.840.113549.1.9.16.1.4")
SIGNED_DATA: Final = identifier("1.2.840.113549.1.7.2")
CONTENT_TYPE: Final = identifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST: Final = identifier("1.2.840.113549.1.9.4")
SIGNING_CERTIFICATE: Final = identifier("1.2.840.113549.1.9.16.2.12")  # RFC 2634: SHA-1 of the certificate
SIGNING_CERTIFICATE_2: Final = identifier("1.2.840.113549.1.9.16.2.47")  # RFC 5035
DIGESTS: Final = {
    SHA256: (sha256, hashes.SHA256()),
    identifier("2.16.840.1.101.3.4.2.2"): (sha384, hashes.SHA384()),
    identifier("2.16.840.1.101.3.4.2.3"): (sha512, hashes.SHA512()),
}
NULL: Final = b"\x05\x00"
TRUE: Final = b"\x01\x01\xff"

INTEGER, OCTETS, OID, TIME, SEQUENCE, SET, CONTEXT_0, CONTEXT_1 = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31, 0xA0, 0xA1


class StampRefused(Exception):
    """This is no time-stamp of that checkpoint by that authority."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """The authority's word: when, in its own time, by whom."""

    time: datetime
    authority: str
    serial: int


def imprint(head: TreeHead) -> bytes:
    """What is stamped of a checkpoint."""
    return sha256(head.encode().encode()).digest()


def query(head: TreeHead) -> bytes:
    """A TimeStampReq (section 2.4.1) for a checkpoint, asking for the authority's certificate. It needs no nonce: whenever the
    reply was made, the checkpoint was there before."""
    return sequence(integer(1), _imprint_of(head), TRUE)


def _imprint_of(head: TreeHead) -> bytes:
    return sequence(sequence(SHA256, NULL), octets(imprint(head)))


def check(reply: bytes, head: TreeHead, roots: Sequence[x509.Certificate]) -> Stamped:
    """What a TimeStampResp proves of a checkpoint (section 2.4.2). Raises StampRefused."""
    try:
        return _check(reply, head, roots)
    except StampRefused:
        raise
    except (
        Exception
    ) as error:  # who reads certificates and signatures raises many kinds, all of which say: no such stamp
        raise StampRefused(f"not a time-stamp that holds: {error or type(error).__name__}") from None


def _check(reply: bytes, head: TreeHead, roots: Sequence[x509.Certificate]) -> Stamped:
    if len(reply) > LIMIT:
        raise StampRefused(f"a reply has at most {LIMIT} bytes")
    status, token = _parts(_only(reply).content(SEQUENCE), 2)
    if int.from_bytes(_parts(status.content(SEQUENCE), 1)[0].content(INTEGER), "big") not in (0, 1):
        raise StampRefused("the authority refused to stamp this")
    content_type, wrapped = _parts(token.content(SEQUENCE), 2)
    if content_type.raw != SIGNED_DATA:
        raise StampRefused("the token is not signed")
    data = list(_all(_only(wrapped.content(CONTEXT_0)).content(SEQUENCE)))
    info = _encapsulated(data[2])
    certificates = [x509.load_der_x509_certificate(c.raw) for c in _all(data[3].content(CONTEXT_0))]
    (signer,) = _all(data[-1].content(SET))  # section 2.4.2: no signature but the authority's
    time, serial = _read_info(info, head)
    authority = _check_signer(signer, info, certificates)
    check_authority(authority, certificates, roots, time)
    return Stamped(time, authority.subject.rfc4514_string(), serial)


def _encapsulated(piece: Piece) -> bytes:
    """The TSTInfo inside, as bytes (RFC 5652 section 5.2)."""
    kind, wrapped = _parts(piece.content(SEQUENCE), 2)
    if kind.raw != TST_INFO:
        raise StampRefused("what is signed is no time-stamp")
    return _only(wrapped.content(CONTEXT_0)).content(OCTETS)


def _read_info(info: bytes, head: TreeHead) -> tuple[datetime, int]:
    """Time and serial number of a TSTInfo that is about this checkpoint."""
    version, _policy, stamped, serial, time, *_ = _all(_only(info).content(SEQUENCE))
    if version.raw != integer(1):
        raise StampRefused("a time-stamp of another version")
    if stamped.raw != _imprint_of(head):
        raise StampRefused("it stamps something else than this checkpoint")
    text = time.content(TIME).decode("ascii")
    form = "%Y%m%d%H%M%S.%fZ" if "." in text else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC), int.from_bytes(serial.content(INTEGER), "big")


def _check_signer(signer: Piece, info: bytes, certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate that has signed, if its signature holds (RFC 5652 section 5.4, RFC 5816)."""
    _version, named, digest, attributes, _algorithm, signature, *_ = _all(signer.content(SEQUENCE))
    issuer, serial = _parts(named.content(SEQUENCE), 2)
    number = int.from_bytes(serial.content(INTEGER), "big", signed=True)
    found = [c for c in certificates if c.serial_number == number and c.issuer.public_bytes() == issuer.raw]
    if len(found) != 1:
        raise StampRefused("the token does not hold the certificate of who signed it")
    hashed, algorithm = DIGESTS[_digest(digest)]
    said = _attributes(attributes)
    if said.get(CONTENT_TYPE) != TST_INFO or said.get(MESSAGE_DIGEST) != octets(hashed(info).digest()):
        raise StampRefused("what was signed is not this time-stamp")
    if not _names_certificate(said, found[0].public_bytes(Encoding.DER)):
        raise StampRefused("the signature does not name its certificate")
    whole = tagged(SET, attributes.content(CONTEXT_0))  # signed as a SET, whatever stands in its place
    _verify(found[0], signature.content(OCTETS), whole, algorithm)
    return found[0]


def _digest(algorithm: Piece) -> bytes:
    """The identifier of a digest that is known here."""
    named = _parts(algorithm.content(SEQUENCE), 1)[0].raw
    if named not in DIGESTS:
        raise StampRefused("a digest that is none of SHA-256, SHA-384, SHA-512")
    return named


def _attributes(piece: Piece) -> dict[bytes, bytes]:
    """Each signed attribute's one value, by its type."""
    found: dict[bytes, bytes] = {}
    for attribute in _all(piece.content(CONTEXT_0)):
        kind, values = _parts(attribute.content(SEQUENCE), 2)
        (value,) = _all(values.content(SET))
        if kind.raw in found:
            raise StampRefused("an attribute twice")
        found[kind.raw] = value.raw
    return found


def _names_certificate(said: dict[bytes, bytes], der: bytes) -> bool:
    """RFC 3161 section 2.4.2, RFC 5816: the signing certificate's hash is signed with the rest."""
    for kind, default in ((SIGNING_CERTIFICATE_2, sha256), (SIGNING_CERTIFICATE, sha1)):
        if kind in said:
            named = _only(_only(said[kind]).content(SEQUENCE))  # certs: one or more ESSCertID, the signer's first
            first = next(_all(named.content(SEQUENCE)))
            pieces = list(_all(first.content(SEQUENCE)))
            hashed = default
            if kind == SIGNING_CERTIFICATE_2 and pieces[0].tag == SEQUENCE:
                hashed = DIGESTS[_digest(pieces.pop(0))][0]
            return pieces[0].content(OCTETS) == hashed(der).digest()
    return False


def _verify(certificate: x509.Certificate, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise StampRefused("a key of a kind that is not known here")


def check_authority(
    authority: x509.Certificate,
    certificates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    time: datetime,
) -> None:
    """It may stamp and nothing else (section 2.3), and a root of those given stands behind it, all of them alive at that time."""
    usage = authority.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise StampRefused("its certificate is not for time-stamps alone")
    here = authority
    for _ in range(DEPTH):
        if not here.not_valid_before_utc <= time <= here.not_valid_after_utc:
            raise StampRefused(f"the certificate of {here.subject.rfc4514_string()} was not valid then")
        root = next((root for root in roots if _issued(here, root)), None)
        if root is not None:
            if not root.not_valid_before_utc <= time <= root.not_valid_after_utc:
                raise StampRefused("the root was not valid then")
            return
        above = next((c for c in certificates if c != here and _issued(here, c)), None)
        if above is None:
            break
        here = above
    raise StampRefused("no root that was given stands behind it")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


# ---------------------------------------------------------------------- DER, as far as it is needed


@dataclass(frozen=True, slots=True)
class Piece:
    """One DER value: its identifier, all of its bytes, and where its contents begin."""

    tag: int
    raw: bytes
    start: int

    def content(self, tag: int) -> bytes:
        """The contents, if it is of that sort."""
        if self.tag != tag:
            raise ValueError(f"a value of tag {self.tag:#x}, not {tag:#x}")
        return self.raw[self.start :]


def _all(data: bytes) -> Iterator[Piece]:
    """The values that these bytes are, one after another, each with its shortest definite length (X.690 section 10.1)."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("an identifier of more than one byte")
        if length & 0x80:
            size = length & 0x7F
            start += size
            length = int.from_bytes(data[at + 2 : start], "big")
            if not 1 <= size <= 3 or start > len(data) or length < 0x80 or length >> 8 * (size - 1) == 0:
                raise ValueError("not the shortest length")
        if start + length > len(data):
            raise ValueError("it ends too soon")
        yield Piece(tag, data[at : start + length], start - at)
        at = start + length


def _only(data: bytes) -> Piece:
    (piece,) = _all(data)
    return piece


def _parts(data: bytes, least: int) -> list[Piece]:
    """The first values of a sequence; at least so many."""
    found = list(_all(data))
    if len(found) < least:
        raise ValueError("a field is missing")
    return found[:least]
