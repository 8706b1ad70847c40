"""The rules of each kind: a table. A kind that is not in it is refused.

A rule takes the run and gives the stream's next state (seq and rolling hash are counted on by the caller) and the effects beyond
the envelopes themselves. It raises `Refused`, and then nothing has happened.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeVar

from gateway.core import alerts, attempts, control, disclosures, emergencies, limits, resync, retention, roster
from gateway.core.effects import Effect, PutExpiry
from gateway.core.errors import Refused, denied
from gateway.core.rows import Member, Stream, StreamKind
from gateway.core.run import (
    Run,
    channel_class,
    check_agreement,
    check_channel,
    check_expiry,
    check_list_age,
    check_verb,
)
from gateway.core.view import View
from gateway.wire import Refusal
from keys.body import Range, read_ack, read_commit_refused, read_complaint, read_receipt
from keys.emergency import read_plan, read_stand_down
from keys.envelope import ENCRYPTED, Kind, authenticated_data
from keys.errors import Malformed
from keys.identity import ChannelId
from keys.mls import APPLICATION, PRIVATE_MESSAGE, is_private_message, outside_private_message, peek
from keys.mls.errors import MLSError
from keys.policy import Verb
from keys.unlock import LENGTH

T = TypeVar("T")
Rule = Callable[[View, Run], tuple[Stream, Sequence[Effect]]]


def application(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Messages: of this epoch (or of the one before, within the grace), by a member with the role, up to the ceiling."""
    check_channel(run)
    effects: Sequence[Effect] = ()
    if run.kind is Kind.ALERT:
        effects = alerts.check(view, run)
    elif run.kind is Kind.SOS:
        effects = emergencies.sos(view, run)
    elif run.kind is Kind.CHECK_IN:
        effects = emergencies.check_in(view, run)
    else:
        check_verb(run, Verb.SEND)
        check_list_age(view, run, run.who.organisation, run.charter.policy.crl_message_hours)
        check_agreement(run)
        check_expiry(run, channel_class(run).retention_days)
    _check_epoch(run)
    _check_private_messages(run)
    return run.stream, (*effects, *_ends(run))


def _ends(run: Run) -> list[PutExpiry]:
    """Bodies that end before their class's rule."""
    stream = run.stream
    return [
        PutExpiry(stream.id, stream.seq + n, verified.context.expires)
        for n, verified in enumerate(run.verified, 1)
        if verified.context.expires
    ]


def _check_epoch(run: Run) -> None:
    """The current epoch, if no leaf of it is revoked or expired; or the one before, while its grace lasts."""
    current = run.stream.epoch
    for verified in run.verified:
        epoch = verified.context.epoch
        if epoch != current and not (epoch == current - 1 and run.now <= run.stream.grace_until):
            raise Refused(Refusal.EPOCH_STALE, f"the channel is at epoch {current}: catch up, then seal again")
    if run.stream.blocked or run.now > run.stream.expires:
        raise Refused(Refusal.LEAF, "a revoked or expired device is still in this channel: remove it first")


def _check_private_messages(run: Run) -> None:
    """The bodies are MLS PrivateMessages of application data for this group and their epoch, each bound to its own context."""
    group, epoch, outside = run.stream.id, -1, b""
    for verified, body in zip(run.verified, run.bodies, strict=True):
        if verified.context.epoch != epoch:
            epoch = verified.context.epoch
            outside = outside_private_message(group, epoch, APPLICATION)
        if not is_private_message(body, outside, authenticated_data(verified.header.context)):
            raise _no_private_message(body, group, epoch)


def _no_private_message(body: bytes, group: bytes, epoch: int) -> Refused:
    """What is wrong with a body."""
    try:
        message = peek(body)
    except MLSError as error:
        return Refused(Refusal.SCHEMA, f"not an MLS message: {error}")
    if message.wire_format != PRIVATE_MESSAGE or message.content_type != APPLICATION:
        return Refused(Refusal.SCHEMA, "content travels as an MLS PrivateMessage of application data")
    if (message.group_id, message.epoch) != (group, epoch):
        return denied()
    return Refused(Refusal.SCHEMA, "the MLS message is bound to another context")


def receipt(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Receipts: in the stream beside a channel that the author is or was in, about that channel, within what it has been sent."""
    member = run.member
    parent = view.stream(run.stream.parent)
    if run.stream.kind is not StreamKind.RECEIPTS or parent is None or member is None:
        raise denied()
    last = member.left or parent.seq
    for verified, body in zip(run.verified, run.bodies, strict=True):
        try:
            receipt = read_receipt(body)
        except Malformed as error:
            raise Refused(Refusal.SCHEMA, str(error)) from None
        if verified.context.epoch or receipt.channel != parent.id:
            raise denied()
        for part in (*receipt.received, *receipt.decrypted, *receipt.shown):
            _check_range(part, member.since, last)
    return run.stream, ()


def _check_range(part: Range, since: int, last: int) -> None:
    if not since < part.first <= part.last <= last or part.last - part.first >= limits.RECEIPT_SPAN:
        raise Refused(Refusal.SCHEMA, f"a receipt covers up to {limits.RECEIPT_SPAN} places that this device was sent")


def _statement(run: Run, read: Callable[[bytes], T]) -> tuple[Member, T]:
    """What any member may say of a channel in clear: its author is in, its epoch has begun, and its body reads."""
    member = check_channel(run)
    verified, body = run.one()
    if verified.context.epoch > run.stream.epoch:
        raise Refused(Refusal.SCHEMA, f"epoch {verified.context.epoch} has not begun")
    try:
        return member, read(body)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None


def ack(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A person's answer, of any member: to a message in its channel; to an alert in the stream beside, which is sparse. Were it
    dense, five thousand answers would be sent to five thousand people, each on a link that has better to do.
    """
    if run.stream.kind is StreamKind.RECEIPTS:
        return run.stream, alerts.answered(view, run, ChannelId(run.stream.parent), _beside(run, read_ack))
    _, said = _statement(run, read_ack)
    alerts.check_message_answer(view, said)
    return run.stream, ()


def _beside(run: Run, read: Callable[[bytes], T]) -> T:
    """What a member says in the stream beside its channel: its author is in the channel, and its body reads.

    Who was in hears that it is no longer, so that the number is free again for what it may still say there, its receipts.
    """
    verified, body = run.one()
    context = verified.context
    if run.member is None or context.epoch or context.expires:
        raise denied()
    if run.member.left:
        raise Refused(Refusal.ROLE, "this device was taken out of the channel")
    try:
        return read(body)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None


def stand_down(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Somebody asks that an SOS end, or confirms it."""
    _, said = _statement(run, read_stand_down)
    return run.stream, emergencies.stand_down(view, run, said)


def check_in_plan(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """When a member will check in."""
    _, said = _statement(run, read_plan)
    return run.stream, emergencies.plan(view, run, said)


def unlock(_view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A device was unlocked: in a stream of its own, of one length, whatever it says to the officers."""
    verified, body = run.one()
    context = verified.context
    if run.stream.id != run.charter.unlock_stream or context.epoch or context.expires:
        raise denied()
    if len(body) != LENGTH:
        raise Refused(Refusal.SCHEMA, f"an unlock has {LENGTH} bytes")
    return run.stream, ()


def commit_refused(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A member can't process a commit that it was sent."""
    member, said = _statement(run, read_commit_refused)
    _check_named(view, member, said.seq, said.header_hash, frozenset({Kind.COMMIT}))
    return run.stream, ()


def complaint(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A member was sent content that is not what its header commits to."""
    member, said = _statement(run, read_complaint)
    _check_named(view, member, said.seq, said.header_hash, ENCRYPTED)
    return run.stream, ()


def _check_named(view: View, member: Member, seq: int, header_hash: bytes, kinds: frozenset[Kind]) -> None:
    """A statement about an envelope names one of the right kind that its author was sent."""
    named = view.envelope(member.channel, seq) if seq > member.since else None
    if named is None or named.kind not in kinds or sha256(named.header).digest() != header_hash:
        raise Refused(Refusal.SCHEMA, "this statement names no such envelope")


RULES: Final[Mapping[Kind, Rule]] = {
    Kind.CHANNEL_CREATED: roster.channel_created,
    Kind.APPLICATION: application,
    Kind.ALERT: application,
    Kind.SOS: application,
    Kind.STAND_DOWN: stand_down,
    Kind.CHECK_IN_PLAN: check_in_plan,
    Kind.CHECK_IN: application,
    Kind.COMMIT: roster.commit,
    Kind.PROPOSAL: roster.proposal,
    Kind.COMMIT_REFUSED: commit_refused,
    Kind.RESYNC_APPROVAL: resync.approval,
    Kind.FRANKING_COMPLAINT: complaint,
    Kind.ACK: ack,
    Kind.APPROVAL: alerts.approval,
    Kind.JUMP: alerts.jump,
    Kind.REVIEW: alerts.review,
    Kind.WITHHELD: attempts.withheld,
    Kind.RECEIPT: receipt,
    Kind.DISCLOSURE_REQUEST: disclosures.request,
    Kind.DISCLOSURE_VOTE: disclosures.vote,
    Kind.DISCLOSURE: disclosures.disclosure,
    Kind.DESTRUCTION: retention.destruction,
    Kind.TOMBSTONE: retention.tombstone,
    Kind.UNLOCK: unlock,
    Kind.CERTIFICATE: control.certificate,
    Kind.REVOCATION_LIST: control.revocation_list,
}


def rule_for(kind: Kind) -> Rule:
    """Raises Refused for a kind that devices do not submit, or that nobody does yet."""
    rule = RULES.get(kind)
    if rule is None:
        raise Refused(Refusal.SCHEMA, f"the gateway takes no {kind.name} from devices")
    return rule
