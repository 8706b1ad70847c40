"""Whose keys count: certificates with their approval, revocation lists, and what MLS asks of an Authentication Service.

A certificate counts here once all of this held, each step on this device:

    it chains to a root of the charter, with no role that this root may not grant        keys.credential
    a second person approved it: the signed CERTIFICATE envelope of the control channel    keys.authority.check_approval
    that envelope is in the log, under a checkpoint this device has verified               clients.core.proof
    the approver's own certificate counts (a registrar's by the charter)

So neither the gateway nor one registrar alone can put a ghost device into a channel. Whether a certificate has expired or
stands on a revocation list is asked apart, by log order.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import Final

from clients.core import proof, records
from clients.core.ledger import Draft, View
from clients.core.records import AlarmKind, Certificate, Counter, Revocations
from clients.core.turn import HOUR, Turn
from gateway.wire import Placed
from keys.authority import RevocationList, check_approval, check_newer, read_revocation_list
from keys.charter import Charter
from keys.credential import Certified, Issuers
from keys.envelope import Claimed, Envelope, Kind, Verified, check_body, read, verify_run
from keys.errors import BadSignature, KeysError, NotTrusted
from keys.mls.errors import InvalidCredential
from keys.mls.nodes import X509, Credential

ENDED: Final = "expired"
"""Why somebody may be in no channel any more, by this device's clock."""


class Trust:
    """Certificates that count, read from the ledger; also the `AuthenticationService` of this device's groups.

    `look` sets what it reads from: the turn's draft, so that what a turn learns counts in the same turn.
    """

    def __init__(self, view: View, charter: Charter) -> None:
        self._view = view
        self._charter = charter
        self._read: dict[bytes, Certified] = {}
        self._count: dict[bytes, Certified] = {r.hash: r for r in registrars(charter)}

    def look(self, view: View, charter: Charter) -> None:
        """Read from this view and charter from now on."""
        if charter is not self._charter:
            self._read.clear()
            self._count = {r.hash: r for r in registrars(charter)}
        self._view, self._charter = view, charter

    def certified(self, certificate: bytes) -> Certified | None:
        """The certificate of this hash, if it counts. Under one charter what has once counted goes on counting."""
        known = self._count.get(certificate)
        if known is not None:
            return known
        record = records.CERTIFICATES.get(self._view, certificate)
        if record is None or not record.proven or not self._approved(record):
            return None
        found = self.claimed(certificate, record)
        if found is not None:
            self._count[certificate] = found
        return found

    def claimed(self, certificate: bytes, record: Certificate) -> Certified | None:
        """As the charter has it, whether or not its approval is proved."""
        if certificate not in self._read:
            try:
                self._read[certificate] = self._charter.verify_certificate(record.der)
            except KeysError:  # a successor charter may have dropped its organisation or role
                return None
        return self._read[certificate]

    def _approved(self, record: Certificate, depth: int = 16) -> bool:
        known = self._count.get(record.approver)
        if known is not None:
            return True
        approver = records.CERTIFICATES.get(self._view, record.approver)
        return depth > 0 and approver is not None and approver.proven and self._approved(approver, depth - 1)

    def missing(self, certificates: Iterable[bytes]) -> list[bytes]:
        """Those that do not count (yet), each once."""
        return [c for c in dict.fromkeys(certificates) if self.certified(c) is None]

    def of_device(self, device: bytes) -> list[Certified]:
        """Every certificate of a device that counts."""
        held = (self.certified(key[16:]) for key, _ in records.HOLDERS.scan(self._view, device))
        return [c for c in held if c is not None]

    def unproved(self, device: bytes) -> list[bytes]:
        """Certificates of a device that have come with their approvals, and whose log entries are not proved yet."""
        held = [key[16:] for key, _ in records.HOLDERS.scan(self._view, device)]
        read = {c: records.CERTIFICATES.get(self._view, c) for c in self.missing(held)}
        return [c for c, record in read.items() if record is not None and self.claimed(c, record) is not None]

    # --- keys.mls.AuthenticationService ---

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        """RFC 9420 section 5.3.1: one certificate that counts, for exactly this key."""
        certified = self.certified(certificate_of(credential))
        if certified is None or certified.registrar:
            raise InvalidCredential("no certificate that counts stands behind this leaf")
        if certified.public_key != signature_key:
            raise InvalidCredential("the leaf's key is not its certificate's")

    def is_successor(self, old: Credential, new: Credential) -> bool:
        """The same device of the same person in the same organisation: identity continuity."""
        before, after = self.certified(certificate_of(old)), self.certified(certificate_of(new))
        if before is None or after is None:
            return False
        same = (before.device, before.person, before.organisation) == (after.device, after.person, after.organisation)
        return same and after.not_before >= before.not_before


def certificate_of(credential: Credential) -> bytes:
    """The hash of the one certificate in a credential; raises InvalidCredential where it holds something else."""
    if credential.credential_type != X509 or len(credential.certificates) != 1:
        raise InvalidCredential("a credential here is one X.509 device certificate")
    return sha256(credential.certificates[0]).digest()


def registrars(charter: Charter) -> tuple[Certified, ...]:
    """Every registrar that the charter names."""
    return _registrars(charter.policy.issuers)


@lru_cache(maxsize=8)
def _registrars(organisations: tuple[Issuers, ...]) -> tuple[Certified, ...]:
    return tuple(issuers.verify_registrar(der) for issuers in organisations for der in issuers.registrars)


def absorb(turn: Turn, trust: Trust, entries: Sequence[Placed]) -> None:
    """Take certificates with their approvals (approvers first). They count once their entries are proved.

    What does not hold is an alarm that names the approver's device, and is left out.
    """
    for placed in entries:
        try:
            _absorb_one(turn, trust, placed)
        except KeysError as error:
            turn.alarm(
                AlarmKind.UNKNOWN_DEVICE, f"a certificate without a valid approval: {error}", seq=placed.place.seq
            )


def _absorb_one(turn: Turn, trust: Trust, placed: Placed) -> None:
    claimed = read(Envelope(placed.header, placed.signature))
    if claimed.context.kind is not Kind.CERTIFICATE or claimed.context.channel != turn.charter.control_channel:
        raise NotTrusted("no approval of a certificate")
    if placed.body is None or placed.channel != claimed.context.channel:
        raise NotTrusted("an approval comes with its certificate, in the control channel")
    approver, verified = _approver(turn, trust, claimed, placed)
    check_body(verified, placed.body)
    certified = turn.charter.verify_certificate(placed.body)
    check_approval(certified, approver, turn.charter)
    known = records.CERTIFICATES.get(turn.draft, certified.hash)
    if known is not None and known.proven:
        return
    leaf = proof.leaf_of(placed)
    record = Certificate(
        certified.der, certified.device, approver.hash, placed.place.index, placed.place.time, leaf, proven=False
    )
    records.CERTIFICATES.put(turn.draft, certified.hash, record)
    records.HOLDERS.put(turn.draft, certified.device + certified.hash, Counter(placed.place.index))
    proof.expect(turn, placed, certified.device)


def _approver(turn: Turn, trust: Trust, claimed: Claimed, placed: Placed) -> tuple[Certified, Verified]:
    """The approver's certificate that was good when it approved, by log order and not by today's clock, and by whose key it did:
    around a renewal two are."""
    device = claimed.context.device
    candidates = [registrar for registrar in registrars(turn.charter) if registrar.device == device]
    for key, _ in records.HOLDERS.scan(turn.draft, device):
        record = records.CERTIFICATES.get(turn.draft, key[16:])
        certified = trust.claimed(key[16:], record) if record else None
        if certified is None or not certified.not_before <= placed.place.time <= certified.not_after:
            continue
        if not revoked(turn.draft, certified, placed.place.index):
            candidates.append(certified)
    for candidate in candidates:
        with suppress(BadSignature):
            return candidate, verify_run([claimed], candidate.public_key)[0]
    raise NotTrusted(f"approved by device {device.hex()[:8]}, by no key of a certificate that counts")


def proven(turn: Turn, index: int) -> None:
    """The entry at this log index is under a verified checkpoint: a certificate that it approves now counts."""
    for key, record in records.CERTIFICATES.scan(turn.draft):
        if record.index == index and not record.proven:
            records.CERTIFICATES.put(
                turn.draft,
                key,
                Certificate(
                    record.der,
                    record.device,
                    record.approver,
                    record.index,
                    record.time,
                    record.leaf_hash,
                    proven=True,
                ),
            )


def absorb_revocations(turn: Turn, placed: Placed) -> None:
    """Take an organisation's next list. An older one is passed over; one that forgets a revocation is an alarm."""
    try:
        claimed = read(Envelope(placed.header, placed.signature))
        author = next((r for r in registrars(turn.charter) if r.device == claimed.context.device), None)
        if author is None or placed.body is None:
            raise NotTrusted("revocation lists come from registrars")
        (verified,) = verify_run([claimed], author.public_key)
        check_body(verified, placed.body)
        listed = read_revocation_list(placed.body, turn.charter.policy.issuers)
        held = revocations(turn.draft, turn.charter, listed.organisation)
        if held is not None and listed.number <= held.number:
            return
        check_newer(held, listed)
    except KeysError as error:
        turn.alarm(AlarmKind.STALE_LIST, f"a revocation list was refused: {error}", seq=placed.place.seq)
        return
    keep_list(turn.draft, turn.charter, listed.der, placed.place.index)
    proof.expect(turn, placed, claimed.context.device)


def keep_list(draft: Draft, charter: Charter, der: bytes, index: int) -> None:
    """Keep a list that was checked; a serial counts as revoked from the log index at which it first stood on one."""
    listed = read_revocation_list(der, charter.policy.issuers)
    key = listed.organisation.encode()
    before = records.REVOCATIONS.get(draft, key)
    if before is not None and before.number >= listed.number:
        return
    since = dict(before.serials) if before else {}
    serials = [(f"{s:x}", since.get(f"{s:x}", index)) for s in sorted(listed.serials)]
    records.REVOCATIONS.put(draft, key, Revocations(listed.der, index, listed.number, listed.this_update, serials))


def revocations(view: View, charter: Charter, organisation: str) -> RevocationList | None:
    """The newest list held of an organisation."""
    record = records.REVOCATIONS.get(view, organisation.encode())
    return None if record is None else read_revocation_list(record.der, charter.policy.issuers)


def revoked(view: View, certified: Certified, index: int | None = None) -> bool:
    """Whether the certificate is revoked; with a log index, whether it was before that."""
    record = records.REVOCATIONS.get(view, certified.organisation.encode())
    if record is None:
        return False
    if not record.serials:
        return False
    since = dict(record.serials).get(f"{certified.serial:x}")
    return since is not None and (index is None or since < index)


def list_age(view: View, organisation: str, now: int) -> int | None:
    """Age of an organisation's newest list in ms, or None where there is none."""
    record = records.REVOCATIONS.get(view, organisation.encode())
    return None if record is None else max(0, now - record.this_update)


def stale(view: View, organisation: str, now: int, hours: int) -> bool:
    """Whether there is no list, or one older than that."""
    age = list_age(view, organisation, now)
    return age is None or age > hours * HOUR


def unfit(turn: Turn, certified: Certified) -> str:
    """Why this certificate's holder may not be in a channel now; empty where it may."""
    return _unfit(turn.draft, certified, ended=turn.reached(certified.not_after + 1))


def unfit_at(view: View, certified: Certified, now: int) -> str:
    """The same at a time (ms), outside of a turn."""
    return _unfit(view, certified, ended=now > certified.not_after)


def _unfit(view: View, certified: Certified, *, ended: bool) -> str:
    if revoked(view, certified):
        return "revoked"
    return ENDED if ended else ""
