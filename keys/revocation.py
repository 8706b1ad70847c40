"""Revocation: how a certificate stops counting before its end.

A revocation list is an X.509 CRL (RFC 5280 section 5) under a registrar of the organisation, any of the two at least that the
charter names: version 2, Ed25519, a list number and nothing more, serial numbers rising, each dated as the list. It is read as
certificates are: what the parser has found is written again, and anything but these bytes is refused.

Each list holds all revocations that the organisation ever made. `check_newer` keeps it so: a list is never older, forgets
nothing, and is not signed by a registrar whom the list before has revoked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keys import der as asn1
from keys.canonical import MAX_INTEGER
from keys.credential import Certified, Issuers, common_name, read_certificate
from keys.errors import Malformed, NotTrusted, Revoked
from keys.identity import SigningKey
from keys.profile import SERIAL_LIMIT

LIST_BYTES: Final = 256 * 1024  # some 6,000 revocations
NUMBER_STEP: Final = 1 << 16  # a thief's list of the highest number must not be the last that an organisation can make
_CRL_NUMBER: Final = asn1.identifier("2.5.29.20")


@dataclass(frozen=True, slots=True)
class RevocationList:
    """An organisation's newest list, checked. Times in ms since the epoch."""

    der: bytes
    organisation: str
    number: int
    this_update: int
    next_update: int
    serials: frozenset[int]
    signer: int  # the serial number of the registrar who made it

    def check(self, certified: Certified) -> None:
        """Raises Revoked when this certificate stands on the list."""
        if certified.organisation == self.organisation and certified.serial in self.serials:
            raise Revoked(f"device {certified.device.hex()[:8]} was revoked")


def _content(issuer: str, number: int, serials: Iterable[int], this_update: int, next_update: int) -> bytes:
    """TBSCertList, version 2 (RFC 5280 section 5.1)."""
    at = asn1.moment(this_update)
    revoked = [asn1.sequence(asn1.integer(serial), at) for serial in sorted(set(serials))]
    return asn1.sequence(
        asn1.integer(1),
        asn1.ED25519,
        asn1.name(issuer),
        at,
        asn1.moment(next_update),
        asn1.sequence(*revoked) if revoked else b"",  # absent, not empty, when there is none (section 5.1.2.6)
        asn1.tagged(0xA0, asn1.sequence(asn1.extension(_CRL_NUMBER, asn1.integer(number), critical=False))),
    )


def issue_revocation_list(
    registrar_der: bytes, registrar: SigningKey, number: int, serials: Iterable[int], this_update: int, next_update: int
) -> bytes:
    """An X.509 CRL of all revoked serial numbers of the organisation, DER. Times in ms."""
    issuer = read_certificate(registrar_der).device.hex()
    return asn1.sign(_content(issuer, number, serials, this_update, next_update), registrar)


@dataclass(frozen=True, slots=True)
class _Read:
    issuer: str
    number: int
    this_update: int
    next_update: int
    serials: frozenset[int]
    parsed: x509.CertificateRevocationList


def _read(der: bytes) -> _Read:
    if len(der) > LIST_BYTES:
        raise Malformed(f"a revocation list has at most {LIST_BYTES} bytes")
    try:
        listed = x509.load_der_x509_crl(der)
        number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        updates = listed.last_update_utc, listed.next_update_utc
        serials = frozenset(entry.serial_number for entry in listed)
        name, signature = listed.issuer, listed.signature
    except Exception as error:  # the parser raises many kinds, all of which say: no such list
        raise Malformed(f"not a revocation list: {error}") from None
    issuer = common_name(name)
    this_update, next_update = (-1 if at is None else int(at.timestamp()) * 1000 for at in updates)
    if not 0 <= number <= MAX_INTEGER or not all(0 < s < SERIAL_LIMIT for s in serials):
        raise Malformed("a list's number, or a serial number in it, is not one of ours")
    if not 0 <= this_update < next_update:
        raise Malformed("a list is due for renewal after it was made")
    content = _content(issuer, number, serials, this_update, next_update)
    if len(signature) != 64 or asn1.with_signature(content, signature) != der:
        raise Malformed("a revocation list of our profile has a number, a next update and nothing more")
    return _Read(issuer, number, this_update, next_update, serials, listed)


def read_revocation_list(der: bytes, organisations: Iterable[Issuers]) -> RevocationList:
    """A list that a registrar of one of these organisations has signed.

    Raises:
        Malformed: not such a list.
        NotTrusted: no registrar of theirs signed it.
    """
    read = _read(der)
    for issuers in organisations:
        for registrar in map(issuers.verify_registrar, issuers.registrars):
            key = Ed25519PublicKey.from_public_bytes(registrar.public_key)
            if registrar.device.hex() == read.issuer and read.parsed.is_signature_valid(key):
                return RevocationList(
                    der=der,
                    organisation=issuers.organisation,
                    number=read.number,
                    this_update=read.this_update,
                    next_update=read.next_update,
                    serials=read.serials,
                    signer=registrar.serial,
                )
    raise NotTrusted("no registrar of the charter signed this revocation list")


def check_newer(held: RevocationList | None, offered: RevocationList) -> None:
    """A list replaces the one held only with a higher number, and never forgets a revocation.

    Raises:
        NotTrusted: it is of another organisation, older, too far ahead, drops a serial number, or was made by a registrar whom
            the list held has revoked.
    """
    if held is None:
        return
    if offered.organisation != held.organisation:
        raise NotTrusted(f"a list of {offered.organisation} does not replace one of {held.organisation}")
    if not held.number < offered.number <= held.number + NUMBER_STEP:
        raise NotTrusted(f"revocation list {offered.number} does not follow {held.number}")
    if not held.serials <= offered.serials:
        raise NotTrusted("a revocation list never takes a revocation back")
    if offered.signer in held.serials:
        raise NotTrusted("the registrar who made this list was revoked")
