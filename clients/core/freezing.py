"""Freezing an alert: what was composed becomes a draft with its root, and everything in it can be held against that again.

    freeze    the draft, under its writer's signature; from here on every change is another draft
    check     whoever is shown or approves it holds all parts against the root

The content of every channel is the same, under a franking tag with a salt of its own, so that both signatures cover what each
channel will read before anything is sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clients.core import alerts, composing, playbook, records, release
from clients.core.cap import Alert as CapAlert
from clients.core.cap import open_alert
from clients.core.commits import Work
from clients.core.content import AlertContent, DraftContent, Target, encode_content
from clients.core.conversation import channel_of, need
from clients.core.errors import NotAllowed, NotNow, Unknown, Withheld
from clients.core.groups import seat_of
from clients.core.trust import Trust, unfit
from clients.core.turn import Turn
from gateway.wire import Refusal
from keys.alert import (
    LIFE,
    NO_LADDER,
    REFERENCES,
    TARGETS,
    Addressed,
    AlertType,
    Audience,
    Draft,
    Opening,
    cap_commitment,
    check_audience,
    ladder_commitment,
    sign_writer,
)
from keys.approval import check_signed
from keys.body import LadderOpening
from keys.envelope import Marking, Precedence
from keys.errors import BadSignature, KeysError
from keys.franking import franking_tag
from keys.ladder import APP, Ladder, read_ladder
from keys.ladder import check as check_ladder
from keys.policy import Verb

NO_REASON: Final = ""


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
    openings = openings_of(alert, targets)
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
    me = signing(work)
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


def signing(work: Work) -> bytes:
    """The certificate by which this device signs for its person: that of its leaf at the desk, which the other officers know, and this
    device too; without a desk the newest."""
    turn = work.turn
    for desk in playbook.desks(turn):
        seat = seat_of(turn.draft, desk, channel_of(work, desk).epoch, turn.me.device)
        certified = work.trust.certified(seat.certificate) if seat else None
        if certified is not None and not unfit(turn, certified):
            return certified.hash
    return turn.me.certificate_hash


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
    if order.references and all(_is_done(work, root) for root in order.references):
        raise NotNow("what it names was cancelled or cleared: nothing of it holds any more")
    for channel in order.channels:
        _check_referenced(work, channel, order.references)
        if document.is_exercise:
            check_fence(work, channel)
    if order.ladder:
        check_ladder(read_ladder(order.ladder), turn.now, order.not_after, _roads(order.ladder))


def _is_done(work: Work, root: bytes) -> bool:
    """Whether an alert was cancelled or cleared: no later word brings it back or clears it again."""
    return alerts.standing(work.turn.draft, root, work.turn.now).how in ("cancelled", "cleared")


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


def check_players(work: Work, channels: Sequence[bytes]) -> None:
    """Play goes to these channels. Raises NotAllowed."""
    for channel in channels:
        check_fence(work, channel)


def check_fence(work: Work, channel: bytes) -> None:
    """Play reaches nobody who has not joined. Raises NotAllowed."""
    for organisation in release.organisations(work, channel):
        try:
            plays = work.turn.charter.policy.plays(organisation, work.turn.now)
        except KeysError:
            plays = False
        if not plays:
            name = channel_of(work, channel).purpose or channel.hex()[:8]
            raise Withheld(Refusal.TLP, f"{organisation or 'somebody'} takes no part in exercises: leave {name} out")


def openings_of(alert: AlertContent, targets: Sequence[Target]) -> list[Opening]:
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
        openings = openings_of(content.alert, content.targets)
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
