"""What happened, as the entries of a log tell it: alerts with their signatures, enrolments, revocations, charters, acts.

`Chronicle` looks on while a log is verified (`clients.auditor.verify.watching`) and writes down; it judges nothing. Whether what it tells
is true is what the claims say, so each of its lines is shown beside those. It reads no content: there is none in a log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeVar

from clients.auditor.verify.entries import Placed, Stream
from clients.auditor.verify.heads import Fetch
from clients.auditor.verify.rosters import Roster
from keys.alert import AlertFields
from keys.authority import RevocationList, read_revocation_list
from keys.body import Receipt, read_gateway_act, read_review
from keys.charter import Charter, reopen
from keys.credential import Certified
from keys.envelope import Kind, Marking, check_body
from keys.errors import KeysError
from keys.ladder import read_escalated
from keys.tlog.errors import NotFound

T = TypeVar("T")
HOUR: Final = 3_600_000  # ms
ANSWERS: Final = frozenset({Kind.ACK})


@dataclass(slots=True)
class Alert:
    """One alert: its first place, what was signed, where it came to and what came of it. Times in ms."""

    root: bytes
    index: int
    time: int
    fields: AlertFields
    marking: Marking
    channels: dict[bytes, int] = field(default_factory=dict)  # and the entry of each
    people: set[bytes] = field(default_factory=set)  # members of those channels when it came, without its signers
    answers: int = 0  # ACKs beside its channels while it was the newest there
    rungs: list[int] = field(default_factory=list)  # entries of the ladder's
    review: tuple[int, int] | None = None  # entry and time


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A certificate that came to count: who, issued by which registrar, approved by whose device."""

    index: int
    time: int
    certified: Certified
    approver: bytes  # device


@dataclass(frozen=True, slots=True)
class Act:
    """Something else that is worth a line: a charter, a revocation list, an act of the gateway."""

    index: int
    time: int
    kind: Kind
    text: str


class Chronicle:
    """Writes down; its lists are in the order of the log."""

    def __init__(self, fetch: Fetch, pinned: Charter | None = None) -> None:
        self.alerts: dict[bytes, Alert] = {}
        self.enrolments: list[Enrolment] = []
        self.acts: list[Act] = []
        self.kinds: Counter[Kind] = Counter()
        self.hours: Counter[int] = Counter()  # hours since the epoch
        self.channels: dict[bytes, tuple[int, str]] = {}  # first entry, and class
        self.begun = self.ended = 0
        self.certificates: dict[bytes, Certified] = {}
        self.people: dict[bytes, bytes] = {}  # device: person
        self._lists: dict[str, object] = {}  # serials on the newest list of each organisation
        self._fetch = fetch
        self._kept = {} if pinned is None else {sha256(pinned.note).digest(): pinned.note}
        self._charter: Charter | None = None
        self._latest: dict[bytes, Alert] = {}  # the newest alert of each channel

    # ------------------------------------------------------------------ clients.auditor.verify.watching.Watch

    def entry(self, placed: Placed, stream: Stream) -> None:
        time, kind = placed.entry.time, placed.context.kind
        self.begun = self.begun or time
        self.ended = max(self.ended, time)
        self.kinds[kind] += 1
        self.hours[time // HOUR] += 1
        if kind in ANSWERS and stream.parent in self._latest:
            self._latest[stream.parent].answers += 1
        tell = self._tellers.get(kind)
        if tell is not None:
            tell(self, placed)

    def member(self, placed: Placed, roster: Roster) -> None:
        channel, fields = placed.entry.channel, placed.context.alert
        self.channels.setdefault(channel, (placed.index, roster.terms.channel_class))
        if fields is None or placed.context.kind is not Kind.ALERT:
            return
        one = self.alerts.get(fields.root)
        if one is None:
            one = Alert(fields.root, placed.index, placed.entry.time, fields, placed.context.marking)
            self.alerts[fields.root] = one
        one.channels.setdefault(channel, placed.index)
        signers = {self.person(h) for h in (fields.writer.certificate, fields.sender)}
        one.people |= {seat.certified.person for seat in roster.seats.values()} - signers
        self._latest[channel] = one

    def receipt(self, placed: Placed, receipt: Receipt | None, channel: bytes) -> None:
        """Nothing is kept of receipts here."""

    # ------------------------------------------------------------------ who

    def person(self, certificate: bytes) -> bytes:
        """Whose certificate this is; nobody's where it is not known."""
        certified = self.certificates.get(certificate)
        return b"" if certified is None else certified.person

    def office(self, certificate: bytes) -> str:
        """What may be said of whoever has this certificate: roles, organisation, and the beginning of the device's id."""
        certified = self.certificates.get(certificate)
        if certified is None:
            return f"certificate {certificate.hex()[:8]}"
        return f"{', '.join(sorted(certified.roles))} of {certified.organisation} ({certified.device.hex()[:8]})"

    # ------------------------------------------------------------------ what is published

    def _body(self, placed: Placed, read: Callable[[bytes], T]) -> T | None:
        try:
            name = placed.claimed.header.body_hash
            body = self._kept[name] if name in self._kept else self._fetch(f"body/{name.hex()}")
            check_body(placed.claimed, body)
            return read(body)
        except (NotFound, KeysError):  # which a claim says
            return None

    def _act(self, placed: Placed, text: str) -> None:
        self.acts.append(Act(placed.index, placed.entry.time, placed.context.kind, text))

    def _charter_installed(self, placed: Placed) -> None:
        charter = self._body(placed, reopen)
        if charter is None:
            return
        self._charter = charter
        for registrar in _registrars(charter):
            self.certificates[registrar.hash] = registrar
            self.people[registrar.device] = registrar.person
        self._act(placed, f"charter version {charter.policy.version} in force")

    def _enrolled(self, placed: Placed) -> None:
        charter = self._charter
        certified = None if charter is None else self._body(placed, charter.verify_certificate)
        if certified is None:
            return
        self.certificates[certified.hash] = certified
        self.people[certified.device] = certified.person
        self.enrolments.append(Enrolment(placed.index, placed.entry.time, certified, placed.context.device))

    def _revoked(self, placed: Placed) -> None:
        listed = self._body(placed, self._list)
        if listed is None or self._lists.get(listed.organisation, frozenset()) == listed.serials:
            return  # the same again, to show that it is fresh
        self._lists[listed.organisation] = listed.serials
        self._act(placed, f"revocation list {listed.number} of {listed.organisation}: {len(listed.serials)} revoked")

    def _list(self, der: bytes) -> RevocationList:
        return read_revocation_list(der, () if self._charter is None else self._charter.policy.issuers)

    def _gateway_act(self, placed: Placed) -> None:
        act = self._body(placed, read_gateway_act)
        if act is not None:
            self._act(placed, f"the gateway says: {act.act.name.lower()}")

    def _escalated(self, placed: Placed) -> None:
        said = self._body(placed, read_escalated)
        if said is not None and said.root in self.alerts:
            self.alerts[said.root].rungs.append(placed.index)
            self._act(placed, f"rung {said.rung + 1} by {said.road}: {said.woken} woken, {said.unreached} not reached")

    def _reviewed(self, placed: Placed) -> None:
        said = self._body(placed, read_review)
        one = None if said is None else self.alerts.get(said.root)
        if one is not None and one.review is None:
            one.review = placed.index, placed.entry.time

    def _refused(self, placed: Placed) -> None:
        self._act(placed, "an attempt to alert was refused")

    def _withheld(self, placed: Placed) -> None:
        self._act(placed, "an attempt to alert was refused by its author's own device")

    def _sos(self, placed: Placed) -> None:
        self._act(placed, "SOS" if placed.context.kind is Kind.SOS else "stand-down of an SOS")

    def _readmitted(self, placed: Placed) -> None:
        self._act(placed, "a device may come in again, by an officer's word")

    _tellers: Final = {
        Kind.CHARTER: _charter_installed,
        Kind.CERTIFICATE: _enrolled,
        Kind.REVOCATION_LIST: _revoked,
        Kind.GATEWAY_ACT: _gateway_act,
        Kind.ESCALATION: _escalated,
        Kind.REVIEW: _reviewed,
        Kind.REFUSED_ATTEMPT: _refused,
        Kind.WITHHELD: _withheld,
        Kind.SOS: _sos,
        Kind.STAND_DOWN: _sos,
        Kind.RESYNC_APPROVAL: _readmitted,
    }


def _registrars(charter: Charter) -> Iterator[Certified]:
    for issuer in charter.policy.issuers:
        for der in issuer.registrars:
            try:
                yield issuer.verify_registrar(der)
            except KeysError:  # a charter that no founder signed: the claim on charters says so
                continue
