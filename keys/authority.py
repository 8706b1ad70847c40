"""Enrolment: how a key becomes a device (and, in `keys.revocation`, how it stops being one).

    registrar   Invite (secret)                →  person          by a road of their own: QR, link, file
    person      EnrolmentRequest, MAC(secret)  →  gateway  →  registrar
    registrar   certificate, sealed Answer     →  gateway  →  second officer
    officer     CERTIFICATE envelope           →  log                   both have compared the words with the person
    gateway     sealed Answer, log entry       →  person

The gateway knows the invite by a hash of its secret, so it can neither use it nor put its own key in place of the person's.
The answer (certificate and card) is sealed with a key made from the secret: names never reach the gateway.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt
from nacl.exceptions import CryptoError

from keys.canonical import Hash, Id, Key, Millis, Record, Signature, encode, reader
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import BadSignature, Expired, KeysError, Malformed, NotPermitted, NotTrusted
from keys.identity import Random, SigningKey, verify, words
from keys.mls.errors import InvalidCredential
from keys.mls.nodes import Credential
from keys.policy import Verb
from keys.revocation import RevocationList as RevocationList
from keys.revocation import check_newer as check_newer
from keys.revocation import issue_revocation_list as issue_revocation_list
from keys.revocation import read_revocation_list as read_revocation_list

INVITE_PREFIX: Final = "outrider-invite:"
LINK_LIMIT: Final = 2_200  # characters
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
        """Raises BadSignature or NotTrusted unless a registrar of that organisation has signed it.

        Whose card it is, is still what it says: `check_card` holds it against a certificate.
        """
        registrar = _registrars(charter, self.organisation).get(self.issuer)
        if registrar is None:
            raise NotTrusted("no registrar of that organisation has signed this card")
        verify(registrar.public_key, "card", self._content(), self.signature)


class Answer(Record, frozen=True, array_like=True):
    """What the registrar gives back: certificate and card."""

    certificate: Annotated[bytes, Meta(max_length=1_024)]
    card: Card


_read_invite = reader(Invite, limit=1_536)
_read_request = reader(EnrolmentRequest, limit=2_048)
_read_answer = reader(Answer, limit=4_096)
read_card = reader(Card, limit=2_048)


def read_invite(link: str) -> Invite:
    """Read an invite's text.

    Raises:
        Malformed: it is none, or was cut or changed on its way.
    """
    text = link.strip()
    if not text.startswith(INVITE_PREFIX) or len(text) > LINK_LIMIT:
        raise Malformed(f"an invite begins with {INVITE_PREFIX}")
    encoded = text.removeprefix(INVITE_PREFIX)
    try:
        invite = _read_invite(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except ValueError:
        raise Malformed("this invite was cut or changed on its way") from None
    if invite.link() != text:  # the base64 decoder passes over what it doesn't know
        raise Malformed("this invite was changed on its way")
    return invite


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


def check_card(card: Card, certified: Certified, charter: Charter) -> None:
    """The card is this certificate's: same person, device and organisation, and signed by a registrar of it.

    Raises:
        BadSignature, NotTrusted: it is not, so its names say nothing about this device.
    """
    if (card.person, card.device, card.organisation) != (certified.person, certified.device, certified.organisation):
        raise NotTrusted("this card is another device's")
    card.verify(charter)


def _registrars(charter: Charter, organisation: str) -> dict[bytes, Certified]:
    """The registrars of an organisation by device id; none when the charter doesn't name it."""
    issuers = next((i for i in charter.policy.issuers if i.organisation == organisation), None)
    return {} if issuers is None else {r.device: r for r in map(issuers.verify_registrar, issuers.registrars)}


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


read_renewal = reader(Renewal, limit=1_024)
"""What a renewal claims; only `check_renewal` says that it holds. Raises Malformed."""


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
    renewal = read_renewal(data)
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


def check_renewed(present: Certified, renewed: Certified) -> None:
    """A certificate for a device id that has one already is its renewal, and nobody else's way to that id.

    Raises:
        NotPermitted: another person, organisation or roles, or not for this device.
    """
    now, then = ((c.device, c.person, c.organisation, c.roles, c.registrar) for c in (present, renewed))
    if now != then:
        raise NotPermitted("a renewal keeps device, person, organisation and roles: enrol anew to change them")


def check_approval(certificate: Certified, approver: Certified, charter: Charter) -> None:
    """A certificate counts once a second officer has approved it: another person than its registrar and its holder, with the
    verb for it, or another registrar of the same organisation (at the founding there is nobody else).

    An officer approves for its own organisation; one of the home organisation also for a partner's. Whether the approver's own
    certificate had ended or was revoked when it approved is for the caller, who knows the order of the log.

    Raises:
        NotTrusted: the charter no longer names the registrar who issued it.
        NotPermitted: this approver may not.
    """
    issuer = _registrars(charter, certificate.organisation).get(certificate.issuer)
    if issuer is None:
        raise NotTrusted("the charter does not name the registrar who issued this certificate")
    if approver.person in (issuer.person, certificate.person):
        raise NotPermitted("the second officer is another person than the registrar and the one enrolled")
    if approver.registrar:
        if approver.device not in _registrars(charter, certificate.organisation):
            raise NotPermitted("a registrar approves for its own organisation only")
        return
    if approver.organisation not in (certificate.organisation, charter.policy.home.name):
        raise NotPermitted("an officer approves for its own organisation, or for a partner of its own")
    charter.check_verb(approver, Verb.APPROVE_ENROLMENT)


@dataclass(frozen=True, slots=True)
class CharterAuthentication:
    """The Authentication Service of RFC 9750 for a mission: who an MLS credential is, by charter and log.

    `counts` says of a certificate's SHA-256 whether its approval is logged, as far as this party has checked: the gateway by
    its database, a device by the inclusion proofs it holds, an auditor by the log it has read.
    """

    charter: Charter
    counts: Callable[[bytes], bool]

    def certified(self, credential: Credential) -> Certified:
        """The device that this credential is. Raises InvalidCredential."""
        certificates = credential.certificates
        if len(certificates) != 1:
            raise InvalidCredential("an X.509 credential here holds the device certificate alone")
        try:
            certified = self.charter.verify_certificate(certificates[0])
        except KeysError as error:
            raise InvalidCredential(str(error)) from None
        if certified.registrar:
            raise InvalidCredential("a registrar is no member of channels")
        return certified

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        """Raises InvalidCredential unless it is a device of the mission, with this key, whose approval is logged."""
        certified = self.certified(credential)
        if certified.public_key != signature_key:
            raise InvalidCredential("the leaf's signature key is not the certificate's")
        if not self.counts(certified.hash):
            raise InvalidCredential("no second officer's approval of this certificate is logged")

    def is_successor(self, old: Credential, new: Credential) -> bool:
        """Only a newer certificate of the same device, person and organisation may take a leaf's place."""
        before, after = self.certified(old), self.certified(new)
        same = (before.device, before.person, before.organisation) == (after.device, after.person, after.organisation)
        return same and after.not_before >= before.not_before
