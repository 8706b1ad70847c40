"""What a device may ask to be told. Nothing here changes anything; whoever may not know hears the same as where there is nothing.

`answer` is the front door for everything that only reads.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused, denied
from gateway.core.escalations import escalation
from gateway.core.rows import CertificateRow, Identity, Stored
from gateway.core.session import check_standing
from gateway.core.view import View
from gateway.wire import Refusal
from keys.authority import renewal_id
from keys.canonical import encode
from keys.charter import Charter
from keys.errors import BadSignature
from keys.identity import verify
from keys.policy import Verb

T = TypeVar("T")


def placed(stored: Stored, *, body: bool = True) -> wire.Placed:
    """An envelope as it is delivered."""
    return wire.Placed(
        stored.channel,
        wire.Place(stored.seq, stored.index, stored.time, stored.nonce),
        stored.header,
        stored.signature,
        stored.body if body else None,
    )


def fitting(items: Iterable[T], size: Callable[[T], int]) -> list[T]:
    """As many of them, from the first on, as one frame holds: the asker asks for the rest again."""
    taken: list[T] = []
    room = limits.ANSWER_BYTES
    for item in items:
        room -= size(item) + 32
        if room < 0:
            break
        taken.append(item)
    return taken


def knows_all(who: Identity, charter: Charter) -> bool:
    """Officers, auditors and registrars know the whole directory."""
    return who.registrar or bool(charter.policy.verbs(who.roles) & {Verb.DIRECTORY, Verb.AUDIT})


def may_know(view: View, who: Identity, device: bytes, charter: Charter) -> bool:
    """Everybody else knows those with whom it shares a channel."""
    return who.device == device or knows_all(who, charter) or view.share_channel(who.device, device)


def _may_check(view: View, who: Identity, row: CertificateRow, charter: Charter) -> bool:
    """Certificates may be fetched of those too who were in a channel at the same time: their messages are still to be read. All is
    looked up for whoever does not know everybody, so that what it takes says nothing of the other."""
    if knows_all(who, charter):
        return True
    shared = view.shared_channel(who.device, row.device)
    public = _public_here(who, row, charter)
    return shared or public or who.device == row.device


def _public_here(who: Identity, row: CertificateRow, charter: Charter) -> bool:
    """Everybody checks who had a message destroyed; people of the mission's own who asks for a disclosure, and who agrees."""
    own = who.organisation == charter.policy.home.name
    verbs = {Verb.DESTROY, Verb.AUDIT, Verb.DISCLOSE} if own else {Verb.DESTROY}
    public = frozenset(role for role, held in charter.policy.roles if not verbs.isdisjoint(held))
    return not public.isdisjoint(row.roles)


def charter(view: View, _: Identity | None, frame: wire.GetCharter, _now: int) -> wire.CharterNote:
    """A version of the charter: public, strangers need it to trust this gateway at all."""
    notes = view.charter_notes()
    version = frame.version or len(notes)
    if not 1 <= version <= len(notes):
        raise denied()
    return wire.CharterNote(frame.id, notes[version - 1])


def enrolment(view: View, who: Identity | None, frame: wire.AwaitEnrolment, _now: int) -> wire.Enrolment:
    """How far an enrolment is. The id is a hash of the invite's secret: who knows it is the invitee or the registrar.

    A renewal's is made from the device id, which others know too: only the device itself is told.
    """
    own = who is not None and renewal_id(who.device) == frame.invite
    held = view.invitation(frame.invite) if own else view.invite(frame.invite)
    if held is None:
        raise denied()
    if not held.seq:
        return wire.Enrolment(frame.id, b"", None)
    current = view.charter()
    assert current is not None  # there are no sessions before a charter is installed
    entry = view.envelope(current.control_channel, held.seq)
    return wire.Enrolment(frame.id, held.answer, placed(entry) if entry else None)


def body(view: View, who: Identity, frame: wire.GetBody, _now: int) -> wire.BodyChunk:
    """A chunk of a Welcome, GroupInfo, tree or body that was given to this device or to a channel of its."""
    upload = view.upload(frame.hash)
    if upload is not None and upload.whole and view.may_read(frame.hash, who.device):
        data = view.blob(frame.hash, frame.offset, frame.most) or b""
        return wire.BodyChunk(frame.id, upload.length, frame.offset, data)
    short = view.short_body(frame.hash, who.device)
    if short is None:
        raise denied()
    return wire.BodyChunk(frame.id, len(short), frame.offset, short[frame.offset : frame.offset + frame.most])


def tree(view: View, who: Identity, frame: wire.GetTree, _now: int) -> wire.Named:
    """The ratchet tree after a commit, for the members of then."""
    member = view.member(frame.channel, who.device)
    if member is None or frame.seq < member.since or (member.left and frame.seq >= member.left):
        raise denied()  # before it is looked for
    found = view.tree(frame.channel, frame.seq)
    if found is None:
        raise denied()
    return wire.Named(frame.id, found[0], found[1])


def certificates(view: View, who: Identity, frame: wire.GetCertificates, _now: int) -> wire.Certificates:
    """The log entries by which these certificates count, approvers' first: of as many, from the first on, as fit an answer."""
    current = view.charter()
    assert current is not None
    rows = []
    for certificate in frame.hashes:
        row = view.nearest_certificate(certificate)  # so that one that is not there takes as long
        if row is None or not _may_check(view, who, row, current) or row.hash != certificate:
            raise denied()
        rows.append(row)
    entries: dict[bytes, wire.Placed] = {}
    for row in rows:
        more = dict(entries)
        _with_approvers(view, current, row, more, 0)
        whole = fitting(more.values(), _size)
        if len(whole) < len(more) or len(more) > limits.CERTIFICATES_LISTED:
            break
        entries = more
    return wire.Certificates(frame.id, list(entries.values()))


def _size(entry: wire.Placed) -> int:
    return len(entry.header) + len(entry.signature) + len(entry.body or b"") + 64


def _with_approvers(
    view: View, current: Charter, row: CertificateRow, entries: dict[bytes, wire.Placed], depth: int
) -> None:
    """Put the certificate that approved this one before it; a registrar's stands in the charter and ends the way."""
    if row.hash in entries or depth > limits.CERTIFICATE_DEPTH:
        return
    entry = view.envelope(current.control_channel, row.seq)
    assert entry is not None  # a certificate counts by its entry
    signer = next((c for c in view.certificates(entry.device) if c.seq < row.seq and _signed(entry, c)), None)
    if signer is not None:
        _with_approvers(view, current, signer, entries, depth + 1)
    entries[row.hash] = placed(entry)


def _signed(entry: Stored, row: CertificateRow) -> bool:
    try:
        verify(row.public_key, entry.kind.label, entry.header, entry.signature)
    except BadSignature:
        return False
    return True


def directory(view: View, who: Identity, frame: wire.GetDirectory, _now: int) -> wire.Directory:
    """The devices this one may know of, page by page."""
    current = view.charter()
    assert current is not None
    rows = view.directory(frame.after, limits.LISTED, None if knows_all(who, current) else who.device)
    people = (_person(view, row) for row in rows)
    return wire.Directory(frame.id, fitting(people, lambda p: len(encode(p))))


def _person(view: View, row: CertificateRow) -> wire.Person:
    return wire.Person(
        row.device,
        row.person,
        row.organisation,
        sorted(row.roles),
        row.hash,
        row.not_after,
        row.revoked,
        view.packages_left(row.device),
    )


class Presence(Protocol):
    """Who is connected, as the running gateway knows it. It is told, and nothing is decided by it: another node would know of
    others."""

    def connected(self, device: bytes) -> bool:
        """Whether it has a session now."""
        ...

    def seen(self, device: bytes) -> int:
        """When its last session ended since the gateway started (ms), 0 for none."""
        ...


def reach(view: View, who: Identity, frame: wire.GetReach, presence: Presence, now: int) -> wire.Reach:
    """Who can be reached now, page by page: for the home's officers who may alert.

    Raises:
        Refused: ROLE to others; REVOKED or EXPIRED to a device whose certificate is.
    """
    current = view.charter()
    assert current is not None
    check_standing(view, who, current, now)
    officer = any(current.policy.permits(who.roles, verb) for verb in (Verb.ALERT, Verb.APPROVE_ALERT))
    if not officer or who.organisation != current.policy.home.name:
        raise Refused(Refusal.ROLE, "who can be reached is told to officers who alert")
    roads = sorted(view.roads())[: wire.ROADS_LIMIT]
    reached = {road: view.reached_by(road) for road in roads}

    def device(row: CertificateRow) -> wire.Reachable:
        leading = [road for road in roads if row.person in reached[road]]
        return wire.Reachable(row.device, presence.connected(row.device), presence.seen(row.device), leading)

    rows = view.directory(frame.after, limits.LISTED)
    return wire.Reach(frame.id, roads, fitting(map(device, rows), lambda d: len(encode(d))))


def enrolments(view: View, who: Identity, frame: wire.GetEnrolments, now: int) -> wire.Enrolments:
    """Pending ones: of its own organisation for a registrar; granted ones, for a while beyond the invite's end, for officers who
    may approve (of their organisation; of partners' too for the home organisation's)."""
    current = view.charter()
    assert current is not None
    officer = current.policy.permits(who.roles, Verb.APPROVE_ENROLMENT)
    if not who.registrar and not officer:
        raise Refused(Refusal.ROLE, "enrolments are seen by registrars, and by officers who may approve them")
    home = who.organisation == current.policy.home.name
    organisation = None if home and officer else who.organisation
    listed = [*view.pending(organisation, True, now - limits.INVITE_LIFE, limits.PENDING_ENROLMENTS)]
    if who.registrar:
        listed += view.pending(organisation, False, now, limits.PENDING_ENROLMENTS)
    pending = [wire.Pending(i.id, i.organisation, i.role, i.request, i.certificate) for i in listed]
    return wire.Enrolments(frame.id, fitting(pending[: limits.PENDING_ENROLMENTS], lambda p: len(encode(p))))


Reading = Callable[[View, Any, Any, int], wire.FromGateway]
OPEN: Final[Mapping[type, Reading]] = {wire.GetCharter: charter, wire.AwaitEnrolment: enrolment}
"""Told to strangers too."""

ANSWERS: Final[Mapping[type, Reading]] = {
    **OPEN,
    wire.GetBody: body,
    wire.GetTree: tree,
    wire.GetCertificates: certificates,
    wire.GetDirectory: directory,
    wire.GetEnrolments: enrolments,
    wire.GetEscalation: escalation,
}


def answer(view: View, who: Identity | None, frame: wire.FromDevice, now: int) -> wire.FromGateway:
    """Answer a request that only reads.

    Raises:
        Refused: DENIED to strangers for all but what is open; SCHEMA for a frame that asks for something else; REVOKED or
            EXPIRED to a device whose certificate is.
    """
    reading = (OPEN if who is None else ANSWERS).get(type(frame))
    if reading is None:
        raise denied() if who is None else Refused(Refusal.SCHEMA, f"{type(frame).__name__} is not a question")
    current = view.charter()
    if who is not None and current is not None:
        check_standing(view, who, current, now)
    return reading(view, who, frame, now)
