"""Enrolment and revocation: how a key becomes a device, and how it stops being one.

    registrar   Invite (secret)                →  person          by a road of their own: QR, link, file
    person      EnrolmentRequest, MAC(secret)  →  gateway  →  registrar
    registrar   certificate, sealed Answer     →  gateway  →  second officer
    officer     CERTIFICATE envelope           →  log                   both have compared the words with the person
    gateway     sealed Answer, log entry       →  person

The gateway knows the invite by a hash of its secret, so it can neither use it nor put its own key in place of the person's.
The answer (certificate and card) is sealed with a key made from the secret: names never reach the gateway.

A revocation list is an X.509 CRL under a registrar of the organisation: any of the two at least that the charter names.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt
from nacl.exceptions import CryptoError

from keys.canonical import Hash, Id, Key, Millis, Record, Signature, encode, reader
from keys.charter import Charter
from keys.credential import Certified, Issuers
from keys.errors import BadSignature, Expired, Malformed, NotPermitted, NotTrusted, Revoked
from keys.identity import Random, SigningKey, verify, words
from keys.policy import Verb

INVITE_PREFIX: Final = "outrider-invite:"
Name = Annotated[str, Meta(max_length=100)]


class Invite(Record, frozen=True, array_like=True):
    """What a registrar hands to a person: short-lived, single use, one role."""

    url: Annotated[str, Meta(max_length=200)]
    charter: Hash
    secret: Id
    organisation: Name
    role: Annotated[str, Meta(max_length=24)]
    expires: Millis

    @property
    def id(self) -> bytes:
        """What the gateway knows it by."""
        return sha256(b"Outrider 1 invite" + self.secret).digest()

    def link(self) -> str:
        """As text: for a QR code, a link or a file."""
        return INVITE_PREFIX + urlsafe_b64encode(encode(self)).decode().rstrip("=")


class EnrolmentRequest(Record, frozen=True, array_like=True):
    """A person's new key, proved to be held, and bound to the invite by a MAC with its secret."""

    public_key: Key
    charter: Hash
    proof: Signature
    mac: Hash

    @property
    def words(self) -> str:
        """What registrar, second officer and person compare by voice: it names key and charter."""
        return words(sha256(b"Outrider 1 enrolment words" + self.public_key + self.charter).digest())


class Card(Record, frozen=True, array_like=True):
    """Who a device's person is, signed by the registrar; it travels end to end only."""

    person: Id
    device: Id
    name: Name
    call_sign: Name
    organisation: Name
    issuer: Id  # the registrar's device id
    signature: Annotated[bytes, Meta(max_length=64)]

    def _content(self) -> bytes:
        return encode([self.person, self.device, self.name, self.call_sign, self.organisation, self.issuer])

    def verify(self, charter: Charter) -> None:
        """Raises BadSignature or NotTrusted unless a registrar of that organisation has signed it."""
        issuers = charter.policy.organisation(self.organisation).issuers
        for der in issuers.registrars:
            registrar = issuers.verify_registrar(der)
            if registrar.device == self.issuer:
                verify(registrar.public_key, "card", self._content(), self.signature)
                return
        raise NotTrusted("no registrar of that organisation has signed this card")


class Answer(Record, frozen=True, array_like=True):
    """What the registrar gives back: certificate and card."""

    certificate: Annotated[bytes, Meta(max_length=1_024)]
    card: Card


_read_invite = reader(Invite, limit=1_024)
_read_request = reader(EnrolmentRequest, limit=2_048)
_read_answer = reader(Answer, limit=4_096)
read_card = reader(Card, limit=2_048)


def read_invite(link: str) -> Invite:
    """Read an invite's text.

    Raises:
        Malformed: it is none, or was cut or changed on its way.
    """
    text = link.strip()
    if not text.startswith(INVITE_PREFIX) or len(text) > 2_048:
        raise Malformed(f"an invite begins with {INVITE_PREFIX}")
    encoded = text.removeprefix(INVITE_PREFIX)
    try:
        data = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        raise Malformed("this invite was cut or changed on its way") from None
    return _read_invite(data)


def sign_card(card: Card, registrar: SigningKey) -> Card:
    """The card with the registrar's signature."""
    return Card(
        card.person,
        card.device,
        card.name,
        card.call_sign,
        card.organisation,
        card.issuer,
        registrar.sign("card", card._content()),
    )


def _mac(secret: bytes, public_key: bytes, charter: bytes) -> bytes:
    return hmac.digest(secret, b"Outrider 1 enrolment request" + public_key + charter, "sha256")


def request_enrolment(invite: Invite, key: SigningKey) -> bytes:
    """The request of the person who holds `invite` and this new key."""
    proof = key.sign("enrolment request", key.public + invite.charter + invite.id)
    return encode(EnrolmentRequest(key.public, invite.charter, proof, _mac(invite.secret, key.public, invite.charter)))


def read_request(data: bytes, invite_id: bytes) -> EnrolmentRequest:
    """A request whose key is held by whoever sent it. It may be anybody: only `check_request` says that it is the invited one.

    Raises:
        Malformed, BadSignature.
    """
    request = _read_request(data)
    verify(request.public_key, "enrolment request", request.public_key + request.charter + invite_id, request.proof)
    return request


def check_request(data: bytes, invite: Invite, now: int) -> EnrolmentRequest:
    """On the registrar's machine: the request was made by who holds the invite's secret, for its charter, in time.

    Raises:
        Malformed, BadSignature: it was not.
        Expired: the invite has reached its end.
    """
    request = read_request(data, invite.id)
    if not hmac.compare_digest(request.mac, _mac(invite.secret, request.public_key, request.charter)):
        raise BadSignature("whoever made this request does not hold the invite")
    if request.charter != invite.charter:
        raise BadSignature("this request is for another charter")
    if now > invite.expires:
        raise Expired("this invite has reached its end: make a new one")
    return request


class Renewal(Record, frozen=True, array_like=True):
    """A device's next key, vouched for by its present one. Ids, roles and person stay what they are."""

    certificate: Hash  # the present one
    public_key: Key
    proof: Signature  # by the new key
    signature: Signature  # by the present key


_read_renewal = reader(Renewal, limit=1_024)


def renewal_id(device: bytes) -> bytes:
    """What a pending renewal of this device is known by, where an enrolment has its invite's id."""
    return sha256(b"Outrider 1 renewal" + device).digest()


def request_renewal(present: Certified, key: SigningKey, next_key: SigningKey) -> bytes:
    """The request to certify `next_key` for the device that holds `key` and the certificate `present`."""
    content = present.hash + next_key.public
    return encode(
        Renewal(present.hash, next_key.public, next_key.sign("renewal proof", content), key.sign("renewal", content))
    )


def check_renewal(data: bytes, present: Certified) -> Renewal:
    """A renewal asked for by the device itself.

    Raises:
        Malformed: no renewal.
        BadSignature: not asked for by the holder of both keys.
    """
    renewal = _read_renewal(data)
    content = present.hash + renewal.public_key
    if renewal.certificate != present.hash:
        raise BadSignature("this renewal is of another certificate")
    verify(renewal.public_key, "renewal proof", content, renewal.proof)
    verify(present.public_key, "renewal", content, renewal.signature)
    return renewal


def seal_answer(answer: Answer, invite: Invite, random: Random) -> bytes:
    """The answer, for the holder of the invite's secret only."""
    nonce = random(24)
    return nonce + _encrypt(encode(answer), invite.id, nonce, sha256(b"Outrider 1 answer" + invite.secret).digest())


def open_answer(sealed: bytes, invite: Invite) -> Answer:
    """Raises BadSignature when it was not sealed with this invite's secret, Malformed when it is no answer."""
    try:
        key = sha256(b"Outrider 1 answer" + invite.secret).digest()
        return _read_answer(_decrypt(sealed[24:], invite.id, sealed[:24], key))
    except (CryptoError, ValueError, TypeError):
        raise BadSignature("this answer was not made by who made the invite") from None


def check_approval(certificate: Certified, approver: Certified, charter: Charter) -> None:
    """A certificate counts once a second officer has approved it: another person than its registrar and its holder, with the
    verb for it, or another registrar of the same organisation (at the founding there is nobody else).

    Raises:
        NotPermitted: this approver may not.
    """
    issuers = charter.policy.organisation(certificate.organisation).issuers
    registrars = {r.device: r for r in map(issuers.verify_registrar, issuers.registrars)}
    if approver.person in (registrars[certificate.issuer].person, certificate.person):
        raise NotPermitted("the second officer is another person than the registrar and the one enrolled")
    if approver.registrar:
        if approver.organisation != certificate.organisation:
            raise NotPermitted("a registrar approves for its own organisation only")
        return
    charter.check_verb(approver, Verb.APPROVE_ENROLMENT)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """An organisation's newest list, checked. Times in ms since the epoch."""

    der: bytes
    organisation: str
    number: int
    this_update: int
    next_update: int
    serials: frozenset[int]

    def check(self, certified: Certified) -> None:
        """Raises Revoked when this certificate stands on the list."""
        if certified.organisation == self.organisation and certified.serial in self.serials:
            raise Revoked(f"device {certified.device.hex()[:8]} was revoked")


def issue_revocation_list(
    registrar_der: bytes, registrar: SigningKey, number: int, serials: Iterable[int], this_update: int, next_update: int
) -> bytes:
    """An X.509 CRL (RFC 5280 section 5) of all revoked serial numbers of the organisation, DER. Times in ms."""
    at = datetime.fromtimestamp(this_update // 1000, tz=UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(registrar_der).subject)
        .last_update(at)
        .next_update(datetime.fromtimestamp(next_update // 1000, tz=UTC))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial in sorted(set(serials)):
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        )
    return builder.sign(Ed25519PrivateKey.from_private_bytes(registrar.seed), None).public_bytes(Encoding.DER)


def _load_list(der: bytes) -> tuple[x509.CertificateRevocationList, int]:
    try:
        listed = x509.load_der_x509_crl(der)
        number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        sound = (
            len(listed.extensions) == 1
            and listed.next_update_utc is not None
            and listed.public_bytes(Encoding.DER) == der
        )
    except Exception as error:  # the parser raises many kinds, all of which say: no such list
        raise Malformed(f"not a revocation list: {error}") from None
    if not sound:
        raise Malformed("a revocation list of our profile has a number, a next update and nothing more")
    return listed, number


def read_revocation_list(der: bytes, organisations: Iterable[Issuers]) -> RevocationList:
    """A list that a registrar of one of these organisations has signed.

    Raises:
        Malformed: not such a list.
        NotTrusted: no registrar of theirs signed it.
    """
    listed, number = _load_list(der)
    for issuers in organisations:
        for registrar_der in issuers.registrars:
            registrar = issuers.verify_registrar(registrar_der)
            key = Ed25519PublicKey.from_public_bytes(registrar.public_key)
            if listed.issuer != x509.load_der_x509_certificate(registrar_der).subject or not listed.is_signature_valid(
                key
            ):
                continue
            next_update = listed.next_update_utc
            assert next_update is not None  # _load_list
            return RevocationList(
                der=der,
                organisation=issuers.organisation,
                number=number,
                this_update=int(listed.last_update_utc.timestamp()) * 1000,
                next_update=int(next_update.timestamp()) * 1000,
                serials=frozenset(entry.serial_number for entry in listed),
            )
    raise NotTrusted("no registrar of the charter signed this revocation list")


def check_newer(held: RevocationList | None, offered: RevocationList) -> None:
    """A list replaces the one held only with a higher number, and never forgets a revocation.

    Raises:
        NotTrusted: it is older, or drops a serial number.
    """
    if held is None:
        return
    if offered.number <= held.number:
        raise NotTrusted(f"revocation list {offered.number} is not newer than {held.number}")
    if not held.serials <= offered.serials:
        raise NotTrusted("a revocation list never takes a revocation back")
