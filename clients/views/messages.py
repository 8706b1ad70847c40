"""Messages: as they are read here, and how far what was sent has got."""

from dataclasses import dataclass

from clients.core import alerts, records
from clients.core import trust as trusted
from clients.core.commits import Work
from clients.core.content import AlertContent, DraftContent, Position, SosContent, Text, read_content
from clients.core.doubts import doubts
from clients.core.records import Message
from clients.views.alerts import AlertView, alert_view
from clients.views.emergencies import emergency_text
from clients.views.names import name_of
from clients.views.reach import receipts_of, targets_of
from keys.envelope import Kind, Marking, Precedence
from keys.errors import KeysError


@dataclass(frozen=True, slots=True)
class Shown:
    """One message. `id` is what an acknowledgement names; `reason` says why there is nothing to show, else it is empty."""

    channel: bytes
    seq: int
    device: bytes
    name: str
    kind: Kind
    text: str
    precedence: Precedence
    marking: Marking
    sealed: int
    placed: int
    ask_ack: bool
    reason: str
    alert: AlertView | None
    warnings: list[str]
    id: bytes
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far something sent has got. `state` is what holds of every target: kept, accepted, delivered, read, acknowledged."""

    state: str
    channel: bytes
    seq: int
    refused: str
    targets: list[bytes]
    delivered: list[bytes]
    read: list[bytes]
    acknowledged: list[bytes]


def shown(work: Work, channel: bytes, seq: int, message: Message) -> Shown | None:
    """A message for people; None for content that is not for showing (cards, purposes)."""
    view, text, ask_ack, reason = work.turn.draft, "", False, message.reason
    alert, position = None, None
    if message.kind in (Kind.STAND_DOWN, Kind.CHECK_IN_PLAN, Kind.CHECK_IN) and not reason:
        text = emergency_text(view, message, channel, turn_now=work.turn.now)
    elif not reason:
        try:
            content = read_content(message.content)
        except KeysError:
            content, reason = None, "in a form that this program does not know"
        if isinstance(content, Text):
            text, ask_ack = content.text, content.ask_ack
        elif isinstance(content, AlertContent) and message.alert is not None:
            record = records.ALERTS.get(view, message.alert.root)
            alert = alert_view(work, message.alert.root, record) if record else None
        elif isinstance(content, DraftContent):
            root = content.draft.root.hex()[:8]
            text = f"an alert waits for its approval: outrider alert show {root}, outrider alert approve {root}"
        elif isinstance(content, SosContent):
            text, position = content.text, content.position
            known = records.EMERGENCIES.get(view, message.header_hash)
            ask_ack = known is not None and not known.ended and known.person != work.turn.me.person
        elif content is not None:
            return None
    return Shown(
        channel,
        seq,
        message.device,
        name_of(view, message.device),
        message.kind,
        text,
        message.precedence,
        message.marking,
        message.time,
        message.placed,
        ask_ack,
        reason,
        alert,
        warnings(work, channel, seq, message),
        message.header_hash,
        position,
    )


def warnings(work: Work, channel: bytes, seq: int, message: Message) -> list[str]:
    """What a reader has to know beside the text."""
    turn, found = work.turn, list[str]()
    certified = work.trust.certified(message.certificate)
    if certified is not None:
        if trusted.revoked(turn.draft, certified):
            found.append("its sender has been revoked since")
        policy = turn.charter.policy
        if message.kind is Kind.ALERT and trusted.stale(turn.draft, certified.organisation, turn.now, policy.crl_hours):
            age = trusted.list_age(turn.draft, certified.organisation, turn.now)
            hours = "missing" if age is None else f"{age // 3_600_000} h old"
            found.append(f"the revocation list of {certified.organisation} is {hours}")
    if message.alert is not None and turn.now > message.alert.draft.not_after:
        found.append("this alert's time is over")
    if message.kind is Kind.ALERT and message.alert is not None:
        found += doubts(turn.draft, message.alert.root, turn.now)
    if abs(message.time - message.placed) > 24 * 3_600_000:
        found.append("sealed more than a day apart from the gateway's clock")
    found += [
        alarm.detail
        for _, alarm in records.ALARMS.scan(turn.draft)
        if (alarm.channel, alarm.seq) == (channel, seq) and alarm.detail not in found
    ]
    return found


def delivery(work: Work, item: bytes) -> Delivery | None:
    """How far an item of the outbox has got; None where there was none."""
    view = work.turn.draft
    sent = records.SENT.get(view, item)
    if sent is None:
        return None
    targets, delivered, seen, acked = list[bytes](), list[bytes](), list[bytes](), list[bytes]()
    message = records.MESSAGES.get(view, sent.stream + sent.seq.to_bytes(8, "big")) if sent.seq else None
    if message is not None:
        targets = targets_of(view, sent.stream, message.epoch, work.turn.me.device)
        delivered, seen = receipts_of(view, sent.stream, sent.seq, targets)
        root = message.alert.root if message.alert else message.header_hash
        acked = [device for device, _ in alerts.answers(view, root) if device in targets]
    state = "accepted" if sent.seq else "kept"
    for name, reached in (("delivered", delivered), ("read", seen), ("acknowledged", acked)):
        if targets and set(targets) <= set(reached):
            state = name
    return Delivery(state, sent.stream, sent.seq, sent.refused, targets, delivered, seen, acked)
