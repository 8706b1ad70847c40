"""Sending an alert: put before the other officers, approved by one of them, sealed once for each channel.

    submit     a frozen draft waits in the desk channel
    approve    the second signature; the alert is announced to the gateway, then sealed for each target channel
    alone      break-glass: one officer freezes, announces and seals, and says why

What would be refused by the gateway or by a recipient is refused here first: a number spent on it would be spent in vain.
"""

from contextlib import suppress
from typing import Final

from clients.core import alerts, outbox, records, release
from clients.core.announcements import settle
from clients.core.commits import Work
from clients.core.content import Cards, DraftContent, DraftVoid, encode_content, read_content
from clients.core.conversation import channel_of, need
from clients.core.errors import NotAllowed, NotNow, Unknown, Withheld
from clients.core.freezing import Checked, Order, check, check_fence, freeze, openings_of, signing
from clients.core.groups import roster_at
from clients.core.ledger import View
from clients.core.outbox import Kept
from clients.core.records import Alert, Note, Submitted
from clients.core.turn import Turn
from gateway.wire import Refusal
from keys.alert import (
    AlertFields,
    Audience,
    Signing,
    sign_approval,
)
from keys.approval import Approved, check_distinct, check_follows, check_rule, check_signed
from keys.body import Approval
from keys.canonical import encode
from keys.envelope import Kind, Precedence
from keys.errors import KeysError, NotPermitted
from keys.policy import DESK, Verb

CARDS_AT_ONCE: Final = 64


def desk_of(work: Work) -> bytes:
    """The channel in which drafts wait. Raises NotNow."""
    for channel, state in work.turn.channels():
        if state.channel_class == DESK and not state.left and not state.halted:
            return channel
    raise NotNow(
        "there is no desk yet, where drafts wait for approval: "
        'outrider channel create --class desk --marking TLP:AMBER+STRICT --purpose desk --add "..."'
    )


def submit(work: Work, order: Order) -> DraftContent:
    """Freeze an order and put it before the other officers. Raises NotAllowed, NotNow, Unknown, CapRefused."""
    need(work, Verb.ALERT)
    desk = desk_of(work)
    content = freeze(work, order)
    if not approvers(work, content):
        raise NotNow("nobody who may approve it is at the desk: add another officer to the desk channel")
    _name_receivers(work, desk, content)
    data, state = encode_content(content), channel_of(work, desk)
    outbox.keep(work.turn, Kept(desk, Kind.APPLICATION, data, content.precedence, state.ceiling))
    keep_submitted(work.turn, content, work.turn.me.device, desk)
    return content


def _name_receivers(work: Work, desk: bytes, content: DraftContent) -> None:
    """Tell the other officers who the receivers are, as far as this device knows: who came into an alert channel after they had
    said it there sees everybody by name."""
    view, ceiling = work.turn.draft, channel_of(work, desk).ceiling
    rosters = [roster_at(view, t.channel, channel_of(work, t.channel).epoch) for t in content.targets]
    devices = dict.fromkeys(seat.device for roster in rosters if roster for seat in roster.seats)
    cards = [note.data for device in devices if (note := records.CARDS.get(view, device))]
    for n in range(0, len(cards), CARDS_AT_ONCE):
        said = encode_content(Cards(cards[n : n + CARDS_AT_ONCE]))
        outbox.keep(work.turn, Kept(desk, Kind.APPLICATION, said, content.precedence, ceiling))


def keep_submitted(turn: Turn, content: DraftContent, writer: bytes, desk: bytes) -> None:
    """A frozen draft that waits, at its writer's or at another officer's."""
    root = content.draft.root
    if records.SUBMITTED.get(turn.draft, root) is None:
        record = Submitted(desk, writer, encode_content(content), turn.now, "")
        records.SUBMITTED.put(turn.draft, root, record)


def submitted(view: View, root: bytes) -> tuple[Submitted, DraftContent]:
    """A draft that was submitted. Raises Unknown."""
    record = records.SUBMITTED.get(view, root)
    content = read_content(record.content) if record else None
    if record is None or not isinstance(content, DraftContent):
        raise Unknown("no such draft was submitted")
    return record, content


def withdraw(work: Work, root: bytes) -> None:
    """Take a submitted draft back. Raises Unknown, NotAllowed."""
    record, _ = submitted(work.turn.draft, root)
    if record.writer != work.turn.me.device:
        raise NotAllowed("only its writer takes a draft back")
    if not record.fate:
        data, state = encode_content(DraftVoid(root)), channel_of(work, record.channel)
        outbox.keep(work.turn, Kept(record.channel, Kind.APPLICATION, data, Precedence.IMMEDIATE, state.ceiling))
        settle(work.turn, root, "withdrawn")


def approvers(work: Work, content: DraftContent) -> list[bytes]:
    """The devices at the desk whose people may approve this draft."""
    policy, turn = work.turn.charter.policy, work.turn
    writer = work.trust.certified(content.writer.certificate)
    desk = desk_of(work)
    present = roster_at(turn.draft, desk, channel_of(work, desk).epoch)
    found: list[bytes] = []
    for seat in present.seats if present else []:
        certified = work.trust.certified(seat.certificate)
        if certified is None or writer is None or not policy.permits(certified.roles, Verb.APPROVE_ALERT):
            continue
        try:
            check_distinct(policy, writer, certified)
        except KeysError:
            continue
        found.append(certified.device)
    return found


def approve(work: Work, root: bytes) -> list[bytes]:
    """Sign a submitted draft as its second person and send it; gives the items of its alerts.

    Raises:
        NotAllowed: this person may not, or the draft is not what its root names, or may not go to these channels any more.
        NotNow: it was withdrawn or has been sent, or its time for approval is over.
        Unknown, CapRefused: no such draft, or none that can be sent.
    """
    turn = work.turn
    record, content = submitted(turn.draft, root)
    if record.fate:
        raise NotNow(f"this draft was {record.fate}")
    if content.alert.reason:
        raise NotAllowed("this draft was made to be sent alone")
    need(work, Verb.APPROVE_ALERT)
    if _is_mine(work, content):
        raise Withheld(Refusal.ROLE, "nobody approves an alert of his own")
    checked = check(turn, work.trust, content)
    if turn.now > content.draft.deadline:
        raise NotNow("its time for approval is over: its writer submits it again")
    me = signing(work)
    approval = sign_approval(root, content.writer, me, turn.key_of(me), turn.now)
    items = _send(work, checked, approval)
    settle(turn, root, "approved and sent")
    return items


def _is_mine(work: Work, content: DraftContent) -> bool:
    """Whether this person has written it, on whichever device."""
    writer = work.trust.certified(content.writer.certificate)
    return writer is not None and writer.person == work.turn.me.person


def alone(work: Work, order: Order) -> tuple[DraftContent, list[bytes]]:
    """One officer's alert; gives its draft and items. Raises NotAllowed, NotNow, Unknown, CapRefused."""
    need(work, Verb.ALERT)
    if not work.turn.charter.policy.break_glass:
        raise Withheld(Refusal.ROLE, "the charter does not let one person alert alone: submit it for approval")
    if not order.reason.strip():
        raise NotAllowed("who alerts alone says why")
    content = freeze(work, order)
    items = _send(work, check(work.turn, work.trust, content), None)
    with suppress(NotNow):  # there is no desk
        _name_receivers(work, desk_of(work), content)
    return content, items


def _send(work: Work, checked: Checked, approval: Signing | None) -> list[bytes]:
    """Announce it and seal it for each channel. The announcement goes first; the alerts wait for its place."""
    turn, content = work.turn, checked.content
    approved = _approved(work, checked, approval)
    _check_standing(work, approved)
    channels = [t.channel for t in content.targets]
    release.check(work, channels, content.marking)
    for channel in channels:
        if content.draft.exercise:
            check_fence(work, channel)
    openings = openings_of(content.alert, content.targets)
    audience = Audience.over(openings, content.padding)
    announced = Approval(content.draft, content.writer, approval, openings, content.padding, content.ladder)
    control = turn.charter.control_channel
    outbox.keep(turn, Kept(control, Kind.APPROVAL, encode(announced), content.precedence))
    data = encode_content(content.alert)
    items = [
        outbox.keep(
            turn,
            Kept(
                target.channel,
                Kind.ALERT,
                data,
                content.precedence,
                content.marking,
                salt=target.content,
                alert=AlertFields(content.draft, audience.leaf(opening), content.writer, approval),
            ),
        )
        for target, opening in zip(content.targets, openings, strict=True)
    ]
    _remember(work, approved, content, approval)
    return items


def _approved(work: Work, checked: Checked, approval: Signing | None) -> Approved:
    writer = work.trust.certified(checked.content.writer.certificate)
    me = work.trust.certified(approval.certificate) if approval else writer
    if writer is None or me is None:
        raise NotNow("this device's certificate is not proved yet: sync first")
    try:
        signed = check_signed(checked.addressed, checked.content.writer, approval, writer, me if approval else None)
        return check_rule(work.turn.charter, signed)
    except NotPermitted as error:
        raise Withheld(Refusal.ROLE, str(error)) from None
    except KeysError as error:
        raise NotAllowed(str(error)) from None


def _check_standing(work: Work, approved: Approved) -> None:
    """An update, cancel or all-clear has the authority for it. Raises NotAllowed."""
    for root in approved.draft.references:
        before = alerts.sent_by(work.trust, records.ALERTS.get(work.turn.draft, root), root)
        if before is None:
            raise NotNow("an alert that it names is not known here: sync first")
        try:
            check_follows(work.turn.charter.policy, approved, before)
        except NotPermitted as error:
            raise Withheld(Refusal.ROLE, str(error)) from None


def _remember(work: Work, approved: Approved, content: DraftContent, approval: Signing | None) -> None:
    """An alert of this device's own, before it leaves."""
    turn, root = work.turn, approved.root
    channels = [t.channel for t in content.targets]
    targets = sorted({device for channel in channels for device in _others(work, channel)})
    record = Alert(
        content.draft,
        content.writer,
        approval,
        content.alert.cap,
        list(content.alert.options),
        content.alert.reason,
        content.marking,
        turn.me.device,
        mine=True,
        time=turn.now,
        places=[(channel, 0) for channel in channels],
        targets=targets,
        ended=b"",
    )
    records.ALERTS.put(turn.draft, root, record)
    records.ALERT_IDS.put(turn.draft, content.draft.alert, Note(root))
    alerts.follow(turn, work.trust, approved)


def _others(work: Work, channel: bytes) -> list[bytes]:
    present = roster_at(work.turn.draft, channel, channel_of(work, channel).epoch)
    return [s.device for s in present.seats if s.device != work.turn.me.device] if present else []
