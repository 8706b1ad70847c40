"""Sending an alert: frozen by its writer, approved by another, sealed once for each channel.

    freeze     what was composed becomes a draft with its root; from here on every change is another draft
    submit     it waits in the desk channel, where the other officers are
    check      the approver's device holds everything against everything again
    approve    the second signature; the alert is announced to the gateway, then sealed for each target channel
    alone      break-glass: one officer freezes, announces and seals, and says why

The content of every channel is the same, under a franking tag with a salt of its own, so that both signatures cover what each
channel will read before anything is sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from clients.core import alerts, composing, outbox, records, release
from clients.core.cap import Alert as CapAlert
from clients.core.cap import open_alert
from clients.core.commits import Work
from clients.core.content import AlertContent, Cards, DraftContent, DraftVoid, Target, encode_content, read_content
from clients.core.conversation import channel_of, need
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.groups import roster_at
from clients.core.ledger import View
from clients.core.outbox import Kept
from clients.core.records import Alert, Note, Submitted
from clients.core.trust import Trust
from clients.core.turn import Turn
from keys.alert import (
    LIFE,
    NO_LADDER,
    REFERENCES,
    TARGETS,
    Addressed,
    AlertFields,
    AlertType,
    Audience,
    Draft,
    Opening,
    Signing,
    cap_commitment,
    check_audience,
    ladder_commitment,
    sign_approval,
    sign_writer,
)
from keys.approval import Approved, check_distinct, check_follows, check_rule, check_signed
from keys.body import Approval, LadderOpening
from keys.canonical import encode
from keys.envelope import Kind, Marking, Precedence, franking_tag
from keys.errors import BadSignature, KeysError
from keys.ladder import APP, Ladder, read_ladder
from keys.ladder import check as check_ladder
from keys.policy import DESK, Verb

NO_REASON: Final = ""
CARDS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be frozen: a document in its very bytes, for these channels."""

    cap: bytes
    channels: tuple[bytes, ...]
    marking: Marking
    not_after: int
    references: tuple[bytes, ...] = ()
    ladder: bytes = b""
    release: str = ""
    reason: str = NO_REASON  # why alone


def order_of(kept: records.AlertDraft, now: int, reason: str = NO_REASON) -> Order:
    """A composed draft as it stands now. Raises NotNow, CapRefused."""
    frozen = composing.freeze(kept, now)
    return Order(
        frozen.cap,
        tuple(kept.channels),
        Marking(kept.marking),
        frozen.not_after,
        tuple(kept.references),
        kept.ladder,
        kept.release,
        reason,
    )


# --- freezing ---


def freeze(work: Work, order: Order) -> DraftContent:
    """The draft of an order under this device's signature as its writer.

    Raises:
        NotAllowed, NotNow, Unknown: it could not be sent so.
        CapRefused: the document is no alert.
    """
    turn = work.turn
    need(work, Verb.ALERT)
    document = open_alert(order.cap)
    release.check(work, order.channels, order.marking)
    _check_order(work, order, document)
    alert = AlertContent(order.cap, turn.random(16), _numbers(turn, len(document.response_options)), order.reason)
    targets = [Target(c, turn.random(16), turn.random(16)) for c in sorted(set(order.channels))]
    openings = _openings(alert, targets)
    audience = Audience.of(openings, turn.random)
    ladder = LadderOpening(turn.random(16), order.ladder) if order.ladder else None
    waits = turn.charter.policy.alert_deadline_seconds * 1000
    draft = Draft(
        alert=turn.random(16),
        type=alerts.type_of(document),
        exercise=document.is_exercise,
        references=sorted(set(order.references)),
        cap=cap_commitment(alert.salt, alert.cap),
        ladder=ladder_commitment(ladder.salt, ladder.ladder) if ladder else NO_LADDER,
        options=sorted(alert.options),
        not_after=min(order.not_after, turn.now + LIFE),
        deadline=min(turn.now + waits, order.not_after),
        audience=audience.root,
    )
    me = turn.me.certificate_hash
    return DraftContent(
        draft,
        alert,
        targets,
        audience.padding(openings),
        ladder,
        order.marking,
        Precedence.FLASH if document.precedence_is_flash else Precedence.IMMEDIATE,
        order.release,
        sign_writer(draft.root, me, turn.key_of(me), turn.now),
    )


def _numbers(turn: Turn, count: int) -> list[int]:
    """Different numbers from 1 to 255 in an order that tells nothing."""
    left = list(range(1, 256))
    return [left.pop(int.from_bytes(turn.random(8), "big") % len(left)) for _ in range(count)]


def _check_order(work: Work, order: Order, document: CapAlert) -> None:
    """What a number would be spent on in vain."""
    turn, kind = work.turn, alerts.type_of(document)
    if len(set(order.channels)) > TARGETS:
        raise NotAllowed(f"an alert goes to at most {TARGETS} channels")
    if order.not_after <= turn.now:
        raise NotNow("this alert's time is over already: give its document a later end")
    if (kind is AlertType.ALERT) == bool(order.references):
        raise NotAllowed("an update, cancel or all-clear names the alerts it is about, and a first alert none")
    if len(set(order.references)) > REFERENCES:
        raise NotAllowed(f"an alert names at most {REFERENCES} others: end some of them first")
    for channel in order.channels:
        _check_referenced(work, channel, order.references)
        if document.is_exercise:
            _check_fence(work, channel)
    if order.ladder:
        check_ladder(read_ladder(order.ladder), turn.now, order.not_after, _roads(order.ladder))


def _roads(ladder: bytes) -> set[str]:
    """Which roads there are the gateway knows: it refuses one that it has not."""
    read: Ladder = read_ladder(ladder)
    return {APP, *(rung.road for rung in read.rungs), *([read.fallback.road] if read.fallback else [])}


def _check_referenced(work: Work, channel: bytes, references: Sequence[bytes]) -> None:
    """Whoever is told of an end was told of the beginning. Raises Unknown, NotAllowed."""
    if not references:
        return
    known = [records.ALERTS.get(work.turn.draft, root) for root in references]
    if any(record is None for record in known):
        raise Unknown("an alert that this device does not know: see `outrider alert list`")
    if all(c != channel for record in known if record is not None for c, _ in record.places):
        name = channel_of(work, channel).purpose or channel.hex()[:8]
        raise NotAllowed(f"{name} was not sent any of these alerts: send it a first one")


def _check_fence(work: Work, channel: bytes) -> None:
    """Play reaches nobody who has not joined. Raises NotAllowed."""
    for organisation in release.organisations(work, channel):
        try:
            plays = work.turn.charter.policy.plays(organisation, work.turn.now)
        except KeysError:
            plays = False
        if not plays:
            name = channel_of(work, channel).purpose or channel.hex()[:8]
            raise NotAllowed(f"{organisation or 'somebody'} takes no part in exercises: leave {name} out")


def _openings(alert: AlertContent, targets: Sequence[Target]) -> list[Opening]:
    content = encode_content(alert)
    return [Opening(t.channel, t.leaf, franking_tag(t.content, content)) for t in targets]


# --- what an approver's device checks ---


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft of which every part is the one under its root, by a writer whose certificate counts."""

    content: DraftContent
    addressed: Addressed
    document: CapAlert
    ladder: Ladder | None


def check(turn: Turn, trust: Trust, content: DraftContent) -> Checked:
    """Hold all parts of a draft against its root, and the writer's signature.

    Raises:
        NotAllowed: something is not what the writer signed, or the writer may not.
        CapRefused: the document is no alert.
    """
    try:
        openings = _openings(content.alert, content.targets)
        addressed = check_audience(content.draft, openings, content.padding)
        document = alerts.check_content(content.draft, content.alert, content.marking, alone=bool(content.alert.reason))
        ladder = _ladder_of(content)
        writer = trust.certified(content.writer.certificate)
        if writer is None:
            raise BadSignature("its writer's certificate does not count here: sync first")
        check_signed(addressed, content.writer, None, writer, None)
        turn.charter.check_verb(writer, Verb.ALERT)
    except KeysError as error:
        raise NotAllowed(f"this draft does not hold: {error}") from None
    return Checked(content, addressed, document, ladder)


def _ladder_of(content: DraftContent) -> Ladder | None:
    """Raises BadSignature, Malformed."""
    opening = content.ladder
    if opening is None:
        if content.draft.ladder != NO_LADDER:
            raise BadSignature("its ladder is missing")
        return None
    if ladder_commitment(opening.salt, opening.ladder) != content.draft.ladder:
        raise BadSignature("its ladder is another")
    return read_ladder(opening.ladder)


# --- submitting, approving, sending ---


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
    desk = desk_of(work)
    content = freeze(work, order)
    if not approvers(work, content):
        raise NotNow("nobody who may approve it is at the desk: add another officer to the desk channel")
    data, state = encode_content(content), channel_of(work, desk)
    for said in (*_cards(work, content), data):  # names first: the approver sees everybody by name
        outbox.keep(work.turn, Kept(desk, Kind.APPLICATION, said, content.precedence, state.ceiling))
    keep_submitted(work.turn, content, work.turn.me.device, desk)
    return content


def _cards(work: Work, content: DraftContent) -> list[bytes]:
    """Who the receivers are, as far as this device knows: an officer may have come into an alert channel after they said it there."""
    view = work.turn.draft
    rosters = [roster_at(view, t.channel, channel_of(work, t.channel).epoch) for t in content.targets]
    devices = dict.fromkeys(seat.device for roster in rosters if roster for seat in roster.seats)
    cards = [note.data for device in devices if (note := records.CARDS.get(view, device))]
    return [encode_content(Cards(cards[n : n + CARDS_AT_ONCE])) for n in range(0, len(cards), CARDS_AT_ONCE)]


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


def settle(turn: Turn, root: bytes, fate: str) -> None:
    """What became of a submitted draft."""
    record = records.SUBMITTED.get(turn.draft, root)
    if record is not None and not record.fate:
        records.SUBMITTED.put(turn.draft, root, replace(record, fate=fate))


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
    checked = check(turn, work.trust, content)
    if turn.now > content.draft.deadline:
        raise NotNow("its time for approval is over: its writer submits it again")
    me = turn.me.certificate_hash
    approval = sign_approval(root, content.writer, me, turn.key_of(me), turn.now)
    items = _send(work, checked, approval)
    settle(turn, root, "approved and sent")
    return items


def alone(work: Work, order: Order) -> tuple[DraftContent, list[bytes]]:
    """One officer's alert; gives its draft and items. Raises NotAllowed, NotNow, Unknown, CapRefused."""
    need(work, Verb.ALERT)
    if not work.turn.charter.policy.break_glass:
        raise NotAllowed("the charter does not let one person alert alone: submit it for approval")
    if not order.reason.strip():
        raise NotAllowed("who alerts alone says why")
    content = freeze(work, order)
    return content, _send(work, check(work.turn, work.trust, content), None)


def _send(work: Work, checked: Checked, approval: Signing | None) -> list[bytes]:
    """Announce it and seal it for each channel. The announcement goes first; the alerts wait for its place."""
    turn, content = work.turn, checked.content
    approved = _approved(work, checked, approval)
    _check_standing(work, approved)
    channels = [t.channel for t in content.targets]
    release.check(work, channels, content.marking)
    for channel in channels:
        if content.draft.exercise:
            _check_fence(work, channel)
    openings = _openings(content.alert, content.targets)
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
    me = work.trust.certified(work.turn.me.certificate_hash)
    if writer is None or me is None:
        raise NotNow("this device's certificate is not proved yet: sync first")
    try:
        signed = check_signed(checked.addressed, checked.content.writer, approval, writer, me if approval else None)
        return check_rule(work.turn.charter, signed)
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
        except KeysError as error:
            raise NotAllowed(str(error)) from None


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
