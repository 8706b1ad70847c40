"""The rules of emergency broadcast: what is announced, what is sent, what is answered.

    APPROVAL   an alert as two people have signed it (or one alone, where the charter lets him), for exactly these channels
    ALERT      one of them, as announced, sealed by who sends it; its first place begins the ladder, and ends what it names
    ACK        a member's answer: a number of the alert's own
    JUMP       an officer has a rung fired at once
    REVIEW     what one person sent alone was looked at by another

Nothing here can be read. Whoever alerts is checked by the certificates in the log, with the very functions that every recipient
uses again (`keys.alert`, `keys.approval`).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from gateway.core import emergencies, ladder, limits
from gateway.core.broadcast import AlertRow, Ending
from gateway.core.effects import Effect, SetReview
from gateway.core.errors import Refused, denied
from gateway.core.rows import Stream, StreamKind
from gateway.core.run import (
    HOUR,
    Run,
    channel_class,
    check_control,
    check_expiry,
    check_verb,
)
from gateway.core.view import View
from gateway.wire import Refusal
from keys.alert import Addressed, AlertType, Draft, Signing, check_alert, check_audience, ladder_commitment
from keys.approval import Approved, check_follows, check_rule, check_signed
from keys.body import Ack, Approval, LadderOpening, read_approval, read_review
from keys.canonical import encode, reader
from keys.credential import Certified
from keys.envelope import Marking
from keys.errors import BadSignature, CharterRefused, Expired, KeysError, Malformed, NotPermitted
from keys.identity import ChannelId
from keys.ladder import RESEND, read_jump
from keys.policy import Policy, Verb

ENDING: Final = {
    AlertType.UPDATE: Ending.UPDATED,
    AlertType.CANCEL: Ending.CANCELLED,
    AlertType.ALL_CLEAR: Ending.CLEARED,
}


# --- APPROVAL ---


def approval(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """An alert is announced by who will send it. From here on its channels can be given it; its ladder waits for the first."""
    check_control(run)
    _, data = run.one()
    body = _read(data)
    try:
        addressed = check_audience(body.draft, body.channels, body.padding)
        opened = _ladder(body.draft, body.ladder)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except BadSignature:
        raise denied() from None
    approved = _approved(view, run, addressed, body.writer, body.approval)
    _check_time(run, approved)
    _check_chain(view, run, approved)
    for opening in body.channels:
        _check_target(view, run, opening.channel, approved)
    row = AlertRow(
        root=approved.root,
        id=body.draft.alert,
        draft=encode(body.draft),
        ladder=opened,
        writer=approved.writer.person,
        approver=approved.approver.person if approved.approver else None,
        seq=run.stream.seq + 1,
        not_after=body.draft.not_after,
        review_due=run.now + run.charter.policy.alert_review_hours * HOUR if approved.alone else 0,
    )
    return run.stream, ladder.begin(view, row, body.draft.references)


def _read(data: bytes) -> Approval:
    try:
        return read_approval(data)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None


def _ladder(draft: Draft, opening: LadderOpening | None) -> bytes:
    """The ladder that the draft commits to, b"" for none. Raises Malformed, BadSignature."""
    if (opening is None) != (draft.ladder == bytes(32)):
        raise Malformed("a ladder stands exactly where the draft commits to one")
    if opening is None:
        return b""
    if ladder_commitment(opening.salt, opening.ladder) != draft.ladder:
        raise BadSignature("another ladder")
    return opening.ladder


def _approved(view: View, run: Run, addressed: Addressed, writing: Signing, approving: Signing | None) -> Approved:
    """Both credentials and both signatures, as the charter has it; the author is the one who sends it.

    Raises:
        Refused: DENIED where a signature or certificate does not hold, REVOKED, EXPIRED, ROLE.
    """
    writer = _signatory(view, run, writing)
    approver = _signatory(view, run, approving) if approving else None
    try:
        approved = check_rule(run.charter, check_signed(addressed, writing, approving, writer, approver))
    except BadSignature:
        raise denied() from None
    except Expired as error:
        raise Refused(Refusal.EXPIRED, str(error)) from None
    except NotPermitted as error:
        raise Refused(Refusal.ROLE, str(error)) from None
    if approved.sender.device != run.who.device:
        raise Refused(Refusal.ROLE, "an alert is sent by who approved it, or by its writer alone")
    return approved


def _signatory(view: View, run: Run, signing: Signing) -> Certified:
    """The certificate that a signing names: it counts by the log, and is not revoked."""
    row = view.certificate(signing.certificate)
    if row is None:
        raise denied()
    if row.revoked:
        raise Refused(Refusal.REVOKED, "a certificate behind this alert was revoked")
    try:
        return run.charter.verify_certificate(row.der)
    except KeysError:
        raise denied() from None


def _check_time(run: Run, approved: Approved) -> None:
    """It has not ended. Signed in time is enough, even where the link was lost over the deadline; but not for ever."""
    draft = approved.draft
    if run.now > draft.not_after:
        raise Refused(Refusal.EXPIRED, "this alert has ended")
    if not approved.alone and run.now > draft.deadline + limits.APPROVAL_LATE:
        raise Refused(Refusal.EXPIRED, "approved in time and sent long after: submit it again")


def _check_chain(view: View, run: Run, approved: Approved) -> None:
    """An update, cancel or all-clear names alerts that were sent, by people of no higher authority than these."""
    draft = approved.draft
    for root in draft.references:
        named = view.alert(root)
        if named is None or named.emergency:
            raise Refused(Refusal.SCHEMA, "it names an alert that was never announced")
        try:
            check_follows(run.charter.policy, approved, _announced(view, run, root))
        except NotPermitted as error:
            raise Refused(Refusal.ROLE, str(error)) from None
    if draft.type is AlertType.ALL_CLEAR and ladder.still_open(view, draft.references, approved.root):
        raise Refused(Refusal.SCHEMA, "an all-clear names every alert of its chain that holds")


def _announced(view: View, run: Run, root: bytes) -> Approved:
    """An alert that was announced before, as those who sent it: it was checked then."""
    body = _announcement(view, run, root)
    writer = _as_of_then(view, run, body.writer)
    approver = _as_of_then(view, run, body.approval) if body.approval else None
    approved = body.approval.time if body.approval else 0
    return Approved(body.draft, root, writer, body.writer.time, approver, approved)


def _as_of_then(view: View, run: Run, signing: Signing) -> Certified:
    row = view.certificate(signing.certificate)
    assert row is not None  # it counted when the alert was announced
    try:
        return run.charter.verify_certificate(row.der)
    except KeysError as error:  # a later charter has dropped its organisation or role
        raise Refused(Refusal.CHARTER, f"the charter no longer knows who sent that alert: {error}") from None


def _announcement(view: View, run: Run, root: bytes) -> Approval:
    """The body of an alert's APPROVAL. Raises Refused: GAP where there is none."""
    row = view.alert(root)
    control = run.charter.control_channel
    stored = view.envelope(control, row.seq) if row is not None else None
    if stored is None:
        raise Refused(Refusal.GAP, "announce the alert first: its approval goes before it")
    body = stored.body if stored.body is not None else view.blob(stored.body_hash, 0, stored.body_length)
    assert body is not None  # what is not content is kept as long as the log
    return read_approval(body)


def _check_target(view: View, run: Run, channel: bytes, approved: Approved) -> None:
    """A channel for alerts, with both signatories in it, so that everybody there can check them; for play, all of it plays.

    An end goes to those who were told of the beginning.
    """
    stream = view.stream(channel)
    if stream is None or stream.kind is not StreamKind.CHANNEL or not _carries_alerts(run.charter.policy, stream):
        raise denied()
    for who in (approved.writer, approved.approver):
        member = view.member(channel, who.device) if who else None
        if who is not None and (member is None or member.left):
            raise Refused(Refusal.ROLE, "writer and approver are members of every channel that they alert")
    if approved.draft.exercise:
        _check_fence(view, run, channel)
    references = approved.draft.references
    if references and not any(view.alert_stands(root, channel) for root in references):
        raise Refused(Refusal.SCHEMA, "a channel is told of the end of what it was told of, and of nothing else")


def _carries_alerts(policy: Policy, stream: Stream) -> bool:
    try:
        return policy.channel_class(stream.channel_class).alerts
    except CharterRefused:
        return False


def _check_fence(view: View, run: Run, channel: bytes) -> None:
    """Play reaches nobody who has not joined."""
    for organisation in sorted(view.organisations(channel)):
        try:
            plays = run.charter.policy.plays(organisation, run.now)
        except CharterRefused:
            plays = False
        if not plays:
            raise Refused(Refusal.TLP, f"{organisation} takes no part in exercises")


def _check_marking(view: View, run: Run, marking: Marking) -> None:
    """TLP 2.0, for everybody who is in the channel now: AMBER+STRICT stays in one organisation, and AMBER needs an agreement."""
    for organisation in sorted(view.organisations(run.stream.id)):
        try:
            allowed = run.charter.policy.may_see(organisation, marking, run.now)
        except CharterRefused:
            allowed = False
        if not allowed:
            raise Refused(Refusal.TLP, f"{marking.label} may not go to {organisation}: no agreement covers it now")


# --- ALERT ---


def check(view: View, run: Run) -> tuple[Effect, ...]:
    """An alert is the one announced, for this channel and content, by who sends it, and comes here once. What its first place
    does besides: the ladder begins, and what it names has ended."""
    kind = channel_class(run)
    verified, _ = run.one()
    context, fields = verified.context, verified.context.alert
    assert fields is not None  # keys.envelope.read
    if not kind.alerts:
        raise Refused(Refusal.ROLE, f"channels of class {kind.name} carry no alerts")
    check_verb(run, Verb.ALERT if fields.alone else Verb.APPROVE_ALERT)
    check_expiry(run, kind.retention_days)
    try:
        addressed = check_alert(fields, run.stream.id, context.franking)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except BadSignature:
        raise denied() from None
    announced = _announcement(view, run, addressed.root)
    if not announced.is_of(fields):
        raise Refused(Refusal.REPLAY, "announced with other signatures")
    if all((o.channel, o.tag) != (run.stream.id, context.franking) for o in announced.channels):
        raise Refused(Refusal.ROLE, "it was not announced for this channel")
    if view.alert_stands(addressed.root, run.stream.id):
        raise Refused(Refusal.REPLAY, "this alert was sent here before")
    approved = _approved(view, run, addressed, fields.writer, fields.approval)
    _check_time(run, approved)
    _check_target(view, run, run.stream.id, approved)
    _check_marking(view, run, Marking(context.marking))
    effects = ladder.placed(view, addressed.root, run.stream.id, run.stream.seq + 1, run.now)
    if approved.draft.type is AlertType.ALERT:
        return effects
    return (*effects, *ladder.ended(view, approved.draft.references, ENDING[approved.draft.type], run.now))


# --- ACK and JUMP ---


def answered(view: View, run: Run, channel: ChannelId, ack: Ack) -> tuple[Effect, ...]:
    """An answer to an alert that stands in this channel is one of its own numbers, or 0: seen, which answers an alert that offers
    nothing to choose, and of any other says that its author has it and still owes the answer. After its end it still counts as said."""
    row = view.alert(ack.root)
    if row is None or not view.alert_stands(ack.root, channel):
        raise denied()
    if row.emergency:
        return emergencies.answered(view, run, row, ack)
    options = _options(row.draft)
    if ack.option and ack.option not in options:
        raise Refused(Refusal.SCHEMA, f"this alert has no option {ack.option}")
    if options and not ack.option:
        return ()
    return ladder.answered(view, row, run.who.person, run.now)


@lru_cache
def _options(draft: bytes) -> frozenset[int]:
    """The numbers of an alert's options: ten thousand answer the same one."""
    return frozenset(_read_draft(draft).options)


def check_message_answer(view: View, ack: Ack) -> None:
    """A message that asked for an answer is answered with 0; an alert is not answered in its channel."""
    if view.alert(ack.root) is not None:
        raise Refused(Refusal.SCHEMA, "an alert is answered in the stream beside its channel")
    if ack.option or ack.words is not None:
        raise Refused(Refusal.SCHEMA, "a message has no options to answer with, and words to it are a message")


def jump(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """An officer of the mission's own has a rung fired at once."""
    check_control(run)
    check_verb(run, Verb.ALERT)
    if run.who.organisation != run.charter.policy.home.name:
        raise Refused(Refusal.ROLE, "the mission's own officers jump on a ladder")
    _, data = run.one()
    try:
        body = read_jump(data)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if body.rung == RESEND:
        return run.stream, ladder.resend(view, body.root, body.people, run.stream.seq + 1, run.now)
    return run.stream, ladder.jump(view, body.root, body.rung, run.now)


def review(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Somebody else of the mission's own has looked at an alert that one person sent alone: nothing is owed any more."""
    check_control(run)
    check_verb(run, Verb.APPROVE_ALERT)
    if run.who.organisation != run.charter.policy.home.name:
        raise Refused(Refusal.ROLE, "the mission's own officers review what was sent alone")
    _, data = run.one()
    try:
        row = view.alert(read_review(data).root)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if row is None:
        raise denied()
    if not row.review_due:
        raise Refused(Refusal.SCHEMA, "no review of this alert is owed")
    if run.who.person == row.writer:
        raise Refused(Refusal.ROLE, "nobody reviews an alert of his own")
    return run.stream, (SetReview(row.root, 0),)


_read_draft: Final = reader(Draft)
