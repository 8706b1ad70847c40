"""What a device may ask to be told. Nothing here changes anything; whoever may not know hears the same as where there is nothing.

`answer` is the front door for everything that only reads.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused, denied
from gateway.core.view import CertificateRow, Identity, Stored, View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.policy import Verb


def placed(stored: Stored, *, body: bool = True) -> wire.Placed:
    """An envelope as it is delivered."""
    return wire.Placed(
        stored.channel,
        wire.Place(stored.seq, stored.index, stored.time, stored.nonce),
        stored.header,
        stored.signature,
        stored.body if body else None,
    )


def may_know(view: View, who: Identity, device: bytes, charter: Charter) -> bool:
    """Officers and registrars know the whole directory, everybody else those with whom they share a channel."""
    if who.device == device or who.registrar or charter.policy.permits(who.roles, Verb.DIRECTORY):
        return True
    return view.share_channel(who.device, device)


def charter(view: View, _: Identity | None, frame: wire.GetCharter) -> wire.CharterNote:
    """A version of the charter: public, strangers need it to trust this gateway at all."""
    notes = view.charter_notes()
    version = frame.version or len(notes)
    if not 1 <= version <= len(notes):
        raise denied()
    return wire.CharterNote(frame.id, notes[version - 1])


def enrolment(view: View, _: Identity | None, frame: wire.AwaitEnrolment) -> wire.Enrolment:
    """How far an enrolment is. The id is a hash of the invite's secret: who knows it is the invitee or the registrar."""
    held = view.invitation(frame.invite)
    if held is None:
        raise denied()
    if not held.seq:
        return wire.Enrolment(frame.id, b"", None)
    current = view.charter()
    assert current is not None  # there are no sessions before a charter is installed
    entry = view.envelope(current.control_channel, held.seq)
    return wire.Enrolment(frame.id, held.answer, placed(entry) if entry else None)


def body(view: View, who: Identity, frame: wire.GetBody) -> wire.BodyChunk:
    """A chunk of a Welcome, GroupInfo, tree or long body that was given to this device or to a channel of its."""
    upload = view.upload(frame.hash)
    if upload is None or upload.held < upload.length or not view.may_read(frame.hash, who.device):
        raise denied()
    data = view.blob(frame.hash, frame.offset, wire.CHUNK) or b""
    return wire.BodyChunk(frame.id, upload.length, frame.offset, data)


def tree(view: View, who: Identity, frame: wire.GetTree) -> wire.Named:
    """The ratchet tree after a commit, for the members of then."""
    member = view.member(frame.channel, who.device)
    found = view.tree(frame.channel, frame.seq)
    if member is None or found is None or frame.seq < member.since or (member.left and frame.seq >= member.left):
        raise denied()
    return wire.Named(frame.id, found[0], found[1])


def certificates(view: View, who: Identity, frame: wire.GetCertificates) -> wire.Certificates:
    """The log entries by which these certificates count, approvers' first."""
    current = view.charter()
    assert current is not None
    wanted: dict[bytes, CertificateRow] = {}
    for certificate in frame.hashes:
        row = view.certificate(certificate)
        if row is None or not may_know(view, who, row.device, current):
            raise denied()
        _with_approvers(view, current, row, wanted, 0)
    entries = [view.envelope(current.control_channel, row.seq) for row in wanted.values()]
    return wire.Certificates(frame.id, [placed(e) for e in entries if e is not None][: limits.CERTIFICATES_LISTED])


def _with_approvers(
    view: View, current: Charter, row: CertificateRow, wanted: dict[bytes, CertificateRow], depth: int
) -> None:
    """Put the certificate that approved this one before it; a registrar's stands in the charter and ends the way."""
    if row.hash in wanted or depth > limits.CERTIFICATE_DEPTH:
        return
    entry = view.envelope(current.control_channel, row.seq)
    if entry is not None:
        earlier = [c for c in view.certificates(entry.device) if c.seq < row.seq]
        if earlier:
            _with_approvers(view, current, earlier[0], wanted, depth + 1)
    wanted[row.hash] = row


def directory(view: View, who: Identity, frame: wire.GetDirectory) -> wire.Directory:
    """The devices this one may know of, page by page."""
    current = view.charter()
    assert current is not None
    people: list[wire.Person] = []
    after = frame.after
    while len(people) < limits.LISTED and (page := view.directory(after, limits.LISTED)):
        people += [_person(view, row) for row in page if may_know(view, who, row.device, current)]
        after = page[-1].device
    return wire.Directory(frame.id, people[: limits.LISTED])


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


def enrolments(view: View, who: Identity, frame: wire.GetEnrolments) -> wire.Enrolments:
    """Pending ones: a registrar's own organisation's, and those granted for officers who may approve."""
    current = view.charter()
    assert current is not None
    officer = current.policy.permits(who.roles, Verb.APPROVE_ENROLMENT)
    if not who.registrar and not officer:
        raise Refused(Refusal.ROLE, "enrolments are seen by registrars, and by officers who may approve them")
    pending = [
        wire.Pending(i.id, i.organisation, i.role, i.request, i.certificate)
        for i in view.pending(limits.PENDING_ENROLMENTS)
        if (who.registrar and i.organisation == who.organisation) or i.certificate
    ]
    return wire.Enrolments(frame.id, pending)


Reading = Callable[[View, Any, Any], wire.FromGateway]
OPEN: Final[Mapping[type, Reading]] = {wire.GetCharter: charter, wire.AwaitEnrolment: enrolment}
"""Told to strangers too."""

ANSWERS: Final[Mapping[type, Reading]] = {
    **OPEN,
    wire.GetBody: body,
    wire.GetTree: tree,
    wire.GetCertificates: certificates,
    wire.GetDirectory: directory,
    wire.GetEnrolments: enrolments,
}


def answer(view: View, who: Identity | None, frame: wire.FromDevice) -> wire.FromGateway:
    """Answer a request that only reads.

    Raises:
        Refused: DENIED to strangers for all but what is open; SCHEMA for a frame that asks for something else.
    """
    reading = (OPEN if who is None else ANSWERS).get(type(frame))
    if reading is None:
        raise denied() if who is None else Refused(Refusal.SCHEMA, f"{type(frame).__name__} is not a question")
    return reading(view, who, frame)
