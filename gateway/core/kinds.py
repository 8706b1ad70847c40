"""The rules of each kind: a table. A kind that is not in it is refused.

A rule takes the run and gives the stream's next state (seq and rolling hash are counted on by the caller) and the effects beyond
the envelopes themselves. It raises `Refused`, and then nothing has happened.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from gateway.core import control, limits, roster
from gateway.core.effects import Effect
from gateway.core.errors import Refused, denied
from gateway.core.run import Run, check_channel, check_expiry, check_list_age, check_marking, check_member, check_verb
from gateway.core.view import Stream, StreamKind, View
from gateway.wire import Refusal
from keys.body import Range, read_ack, read_commit_refused, read_complaint, read_receipt
from keys.envelope import Kind
from keys.errors import Malformed
from keys.identity import receipt_stream
from keys.mls import APPLICATION, PRIVATE_MESSAGE, peek
from keys.mls.errors import MLSError
from keys.policy import Verb

Rule = Callable[[View, Run], tuple[Stream, Sequence[Effect]]]


def application(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Messages: of this epoch (or of the one before, within the grace), by a member with the role, up to the ceiling."""
    check_channel(run)
    check_member(view, run)
    kind = run.charter.policy.channel_class(run.stream.channel_class)
    if run.kind is Kind.ALERT and not kind.alerts:
        raise Refused(Refusal.ROLE, f"channels of class {kind.name} carry no alerts")
    check_verb(run, Verb.ALERT if run.kind is Kind.ALERT else Verb.SEND)
    check_marking(run)
    check_expiry(run)
    if run.kind is not Kind.ALERT:
        check_list_age(view, run, run.who.organisation, run.charter.policy.crl_message_hours)
    _check_epoch(run)
    for verified, body in zip(run.verified, run.bodies, strict=True):
        _check_private_message(body, run, verified.context.epoch, verified.context.authenticated_data())
    return run.stream, ()


def _check_epoch(run: Run) -> None:
    """The current epoch, if no leaf of it is revoked or expired; or the one before, while its grace lasts."""
    for verified in run.verified:
        epoch = verified.context.epoch
        in_grace = epoch == run.stream.epoch - 1 and run.now <= run.stream.grace_until
        if epoch != run.stream.epoch and not in_grace:
            raise Refused(Refusal.EPOCH_STALE, f"the channel is at epoch {run.stream.epoch}: catch up, then seal again")
    if run.stream.blocked or run.now > run.stream.expires:
        raise Refused(Refusal.LEAF, "a revoked or expired device is still in this channel: remove it first")


def _check_private_message(body: bytes, run: Run, epoch: int, authenticated_data: bytes) -> None:
    """The body is an MLS PrivateMessage of application data for this group and epoch, bound to this context."""
    try:
        message = peek(body)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"not an MLS message: {error}") from None
    if message.wire_format != PRIVATE_MESSAGE or message.content_type != APPLICATION:
        raise Refused(Refusal.SCHEMA, "content travels as an MLS PrivateMessage of application data")
    if (message.group_id, message.epoch) != (run.stream.id, epoch):
        raise denied()
    if message.authenticated_data != authenticated_data:
        raise Refused(Refusal.SCHEMA, "the MLS message is bound to another context")


def receipt(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Receipts: in the stream beside a channel that the author is or was in, about that channel, within what it has been sent."""
    parents = set()
    for verified, body in zip(run.verified, run.bodies, strict=True):
        try:
            receipt = read_receipt(body)
        except Malformed as error:
            raise Refused(Refusal.SCHEMA, str(error)) from None
        parent = view.stream(receipt.channel)
        member = view.member(receipt.channel, run.who.device)
        if (
            verified.context.epoch
            or receipt_stream(parent.id if parent else run.stream.id) != run.stream.id
            or parent is None
        ):
            raise denied()
        if member is None:
            raise denied()
        last = member.left or parent.seq
        for part in (*receipt.received, *receipt.decrypted, *receipt.shown):
            _check_range(part, member.since, last)
        parents.add(parent.id)
    if len(parents) != 1 or run.stream.kind is not StreamKind.RECEIPTS:
        raise denied()
    return replace(run.stream, parent=parents.pop()), ()


def _check_range(part: Range, since: int, last: int) -> None:
    if not since < part.first <= part.last <= last or part.last - part.first >= limits.RECEIPT_SPAN:
        raise Refused(Refusal.SCHEMA, f"a receipt covers up to {limits.RECEIPT_SPAN} places that this device was sent")


def member_statement(read: Callable[[bytes], object]) -> Rule:
    """A rule for what any member may say of a channel in clear: its body reads, and its author is in."""

    def rule(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
        check_channel(run)
        check_member(view, run)
        _, body = run.one()
        try:
            read(body)
        except Malformed as error:
            raise Refused(Refusal.SCHEMA, str(error)) from None
        return run.stream, ()

    return rule


RULES: Final[Mapping[Kind, Rule]] = {
    Kind.CHANNEL_CREATED: roster.channel_created,
    Kind.APPLICATION: application,
    Kind.ALERT: application,
    Kind.COMMIT: roster.commit,
    Kind.PROPOSAL: roster.proposal,
    Kind.COMMIT_REFUSED: member_statement(read_commit_refused),
    Kind.FRANKING_COMPLAINT: member_statement(read_complaint),
    Kind.ACK: member_statement(read_ack),
    Kind.RECEIPT: receipt,
    Kind.CERTIFICATE: control.certificate,
    Kind.REVOCATION_LIST: control.revocation_list,
}


def rule_for(kind: Kind) -> Rule:
    """Raises Refused for a kind that devices do not submit, or that nobody does yet."""
    rule = RULES.get(kind)
    if rule is None:
        raise Refused(Refusal.SCHEMA, f"the gateway takes no {kind.name} from devices")
    return rule
