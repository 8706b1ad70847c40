"""What a station shows of itself: values made for people and scripts, read from the ledger and holding nothing back.

All ids are bytes, all times ms since the epoch (UTC).
"""

from dataclasses import dataclass
from typing import Final

from clients.core import alerts, announcements, emergencies, proof, records
from clients.core import trust as trusted
from clients.core.alerts import option_text
from clients.core.commits import Work
from clients.core.content import AlertContent, CheckIn, DraftContent, Position, SosContent, Text, read_content
from clients.core.doubts import doubts
from clients.core.groups import roster_at
from clients.core.ledger import View
from clients.core.receipts import covers
from clients.core.records import Message, Move
from keys.alert import AlertType, Signing, root_words
from keys.authority import read_card
from keys.emergency import Plan, read_stand_down
from keys.envelope import Kind, Marking, Precedence
from keys.errors import KeysError


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert as it was received or sent. `root` is what answers name, `words` are the root read aloud; `options` are (number,
    what it means). `how` is empty while it holds, else "replaced", "cancelled", "cleared" or "over", and `ended_by` the root of
    what did that. `frozen` says why an exercise stands still, empty while it goes on. Times in ms."""

    root: bytes
    words: str
    alert: bytes
    type: AlertType
    cap: bytes
    reason: str
    alone: bool
    exercise: bool
    marking: Marking
    not_after: int
    options: list[tuple[int, str]]
    references: list[bytes]
    writer: bytes
    writer_name: str
    approver: bytes
    approver_name: str
    review_due: int
    reviewed: str  # by whom; empty while it is owed, or where nobody has told this device
    how: str
    ended_by: bytes
    frozen: str
    mine: bool
    guest: bool = False  # this device's person is a guest of the mission

    @property
    def actionable(self) -> bool:
        return not self.how and not self.frozen


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


@dataclass(frozen=True, slots=True)
class Answered:
    """A person's answer: the option's number and its meaning, and free words where there were any."""

    device: bytes
    name: str
    option: int
    text: str
    time: int
    words: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Who was to answer, who has got it, seen it and answered it, and who is silent."""

    targeted: list[bytes]
    delivered: list[bytes]
    shown: list[bytes]
    answered: list[Answered]
    silent: list[bytes]


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel of this device. `halted` says why nothing goes on there; `left` whether this device was removed."""

    id: bytes
    channel_class: str
    marking: Marking
    purpose: str
    epoch: int
    seq: int
    unread: int
    members: int
    halted: str
    left: bool


@dataclass(frozen=True, slots=True)
class PersonInfo:
    """A device and its person, with the name of its card where that is known."""

    device: bytes
    person: bytes
    organisation: str
    roles: list[str]
    name: str
    call_sign: str
    revoked: bool
    not_after: int


@dataclass(frozen=True, slots=True)
class Status:
    """How this device stands. Ages in ms; None where there is nothing to be that old."""

    online: bool
    mission: str
    device: bytes
    name: str
    organisation: str
    roles: list[str]
    certificate_until: int
    charter_version: int
    charter_until: int
    checkpoint_size: int
    checkpoint_age: int | None
    list_ages: dict[str, int | None]
    outbox: int
    unproven: int
    unread: int
    alarms: int
    clock_off: int


def card_of(view: View, device: bytes) -> tuple[str, str]:
    """Name and call sign of a device's person, empty where no card came yet."""
    note = records.CARDS.get(view, device)
    if note is None:
        return "", ""
    try:
        card = read_card(note.data)
    except KeysError:
        return "", ""
    return card.name, card.call_sign


def name_of(view: View, device: bytes) -> str:
    """What to call a device: call sign, name, or the beginning of its id."""
    name, call_sign = card_of(view, device)
    return name or call_sign or device.hex()[:8]


def alert_view(work: Work, root: bytes, record: records.Alert) -> AlertView:
    """An alert on the ledger as a value."""
    view, now, draft = work.turn.draft, work.turn.now, record.draft
    stands = alerts.standing(view, root, now)
    writer, approver = (_signer(work, signing) for signing in (record.writer, record.approval))
    hours = work.turn.charter.policy.alert_review_hours
    review = announcements.reviewed(view, root)
    return AlertView(
        root,
        root_words(root),
        draft.alert,
        draft.type,
        record.cap,
        record.reason,
        record.alone,
        draft.exercise,
        Marking(record.marking),
        draft.not_after,
        [(number, option_text(record, number)) for number in record.options],
        list(draft.references),
        writer,
        name_of(view, writer) if writer else "",
        approver,
        name_of(view, approver) if approver else "",
        record.writer.time + hours * 3_600_000 if record.alone else 0,
        name_of(view, review[0]) if review else "",
        stands.how,
        stands.by,
        alerts.freezes_play(view, record, now) if draft.exercise and stands.holds else "",
        record.mine,
        work.turn.me.organisation != work.turn.charter.policy.home.name,
    )


def _signer(work: Work, signing: Signing | None) -> bytes:
    """The device behind a signature; empty where there is none."""
    certified = work.trust.certified(signing.certificate) if signing else None
    return certified.device if certified else b""


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


def emergency_text(view: View, message: Message, channel: bytes, *, turn_now: int) -> str:
    """What a stand-down, a plan or a check-in says, in a line."""
    if message.kind is Kind.STAND_DOWN:
        said = read_stand_down(message.content)
        record = records.EMERGENCIES.get(view, said.sos)
        name = name_of(view, record.device) if record else said.sos.hex()[:8]
        if said.confirms is not None:
            return f"SOS of {name} STOOD DOWN, confirmed by {name_of(view, message.device)}"
        return (
            f"{name} asks that the SOS {said.sos.hex()[:8]} end: a second person confirms it, outrider sos end {name}"
        )
    move = records.MOVES.get(view, message.header_hash)
    if message.kind is Kind.CHECK_IN_PLAN:
        return move_text(view, move, turn_now) if move is not None else "its check-ins have ended"
    said_of = read_content(message.content)
    if isinstance(said_of, CheckIn) and said_of.subject != emergencies.PLAN:
        return f"answered the challenge, to end the SOS {said_of.subject.hex()[:8]}"
    mine = [m for _, m in records.MOVES.scan(view) if (m.device, m.channel) == (message.device, channel) and m.said]
    last = max(mine, key=lambda m: m.placed, default=None)
    if last is None:
        return "answered the challenge"
    at, due = next(((at, due) for at, due in last.said if at in (message.placed, message.time)), last.said[-1])
    late = at - due - last.grace * 1000
    following = Plan(last.due, last.grace).next(at)
    then = f", next {clock(following)}" if following else ", the last one"
    return f"checked in{f' LATE, due {clock(due)}' if late > 0 else ''}{then}"


def move_text(view: View, move: Move, now: int) -> str:
    """How a plan of check-ins stands, in a line."""
    page = emergencies.page_of(view, move)
    route = page.route if page and page.route else "check-ins"
    due = emergencies.awaited(move)
    if move.ended:
        return f"{route}: ended"
    leg = move.due.index(due) if due in move.due else 0
    named = f" {page.legs[leg]}" if page and leg < len(page.legs) else ""
    where = f"{route}: leg {leg + 1} of {len(move.due)}{named}"
    if emergencies.overdue(move, now):
        return f"MISSED CHECK-IN, due {clock(due)}. {where}"
    if now >= due:
        left = (due - now) // 1000 + move.grace
        return f"CHECK-IN DUE, {left // 60}:{left % 60:02} left. {where}"
    return f"{where}, check-in due {clock(due)}, missed {move.grace // 60}:{move.grace % 60:02} later"


def clock(time: int) -> str:
    """A time of day, UTC."""
    return f"{time // 3_600_000 % 24:02}:{time // 60_000 % 60:02}:{time // 1000 % 60:02}Z"


@dataclass(frozen=True, slots=True)
class EmergencyView:
    """An SOS. `root` names it; `asked` is when its author last asked for its end (ms), 0 for not yet; `word` is empty on the
    devices of those who may not stand it down, and says else what the answer to the challenge was; `seen` and `answered` name
    people. `ended` is 0 while it is open."""

    root: bytes
    channel: bytes
    device: bytes
    person: bytes
    name: str
    text: str
    position: Position | None
    sealed: int
    placed: int
    seen: list[str]
    answered: list[str]
    asked: int
    word: str
    ended: int
    confirmed_by: str
    mine: bool


@dataclass(frozen=True, slots=True)
class MoveView:
    """A plan of check-ins. `due` is what is awaited (ms), 0 once it is over; `said` are (when, what was due)."""

    root: bytes
    channel: bytes
    device: bytes
    name: str
    route: str
    legs: list[str]
    times: list[int]
    grace: int
    due: int
    missed: bool
    said: list[tuple[int, int]]
    ended: int
    text: str
    mine: bool


_WORDS: Final = {
    records.Word.NONE: "not answered",
    records.Word.RIGHT: "right",
    records.Word.WRONG: "WRONG",
    records.Word.UNCHECKED: "not checked",
}


def emergency_view(work: Work, root: bytes, record: records.Emergency) -> EmergencyView:
    """An SOS on the ledger as a value."""
    view, me = work.turn.draft, work.turn.me
    content = read_content(record.content)
    assert isinstance(content, SosContent)  # as it was taken
    state = records.CHANNELS.get(view, record.channel)
    targets = targets_of(view, record.channel, state.epoch, record.device) if state else []
    _, seen = _reached(view, record.channel, record.seq, targets)
    message = records.MESSAGES.get(view, record.channel + record.seq.to_bytes(8, "big"))
    if message is not None and message.shown and me.device not in (record.device, *seen):
        seen.append(me.device)
    told = emergencies.watching(work.turn) and record.person != me.person
    return EmergencyView(
        root,
        record.channel,
        record.device,
        record.person,
        name_of(view, record.device),
        content.text,
        content.position,
        record.time,
        record.placed,
        [name_of(view, device) for device in seen],
        [name_of(view, device) for device, _ in alerts.answers(view, root)],
        record.requested,
        _WORDS[record.word] if told and record.requests else "",
        record.ended,
        name_of(view, record.confirmed) if record.confirmed else "",
        record.person == me.person,
    )


def move_view(work: Work, root: bytes, move: Move) -> MoveView:
    """A plan on the ledger as a value."""
    view, now = work.turn.draft, work.turn.now
    page = emergencies.page_of(view, move)
    return MoveView(
        root,
        move.channel,
        move.device,
        name_of(view, move.device),
        page.route if page else "",
        list(page.legs) if page else [],
        list(move.due),
        move.grace,
        emergencies.awaited(move),
        emergencies.overdue(move, now),
        [(at, due) for at, due in move.said],
        move.ended,
        move_text(view, move, now),
        move.device == work.turn.me.device,
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


def targets_of(view: View, channel: bytes, epoch: int, sender: bytes) -> list[bytes]:
    """The members in an epoch, the sender aside."""
    present = roster_at(view, channel, epoch)
    return [s.device for s in present.seats if s.device != sender] if present else []


def _reached(view: View, channel: bytes, seq: int, targets: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """(delivered, shown): whose receipts cover the place."""
    delivered, seen = list[bytes](), list[bytes]()
    for device in targets:
        got = records.RECEIVED.get(view, channel + device)
        if got is not None and covers(got.delivered, seq):
            delivered.append(device)
        if got is not None and covers(got.shown, seq):
            seen.append(device)
    return delivered, seen


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
        delivered, seen = _reached(view, sent.stream, sent.seq, targets)
        root = message.alert.root if message.alert else message.header_hash
        acked = [device for device, _ in alerts.answers(view, root) if device in targets]
    state = "accepted" if sent.seq else "kept"
    for name, reached in (("delivered", delivered), ("read", seen), ("acknowledged", acked)):
        if targets and set(targets) <= set(reached):
            state = name
    return Delivery(state, sent.stream, sent.seq, sent.refused, targets, delivered, seen, acked)


def answers(work: Work, root: bytes, places: list[tuple[bytes, int]]) -> Answers:
    """How an alert (or a message that asks for an answer) stands, over all its places."""
    view = work.turn.draft
    targeted, delivered, seen = dict[bytes, None](), dict[bytes, None](), dict[bytes, None]()
    for channel, seq in places:
        message = records.MESSAGES.get(view, channel + seq.to_bytes(8, "big")) if seq else None
        sender = message.device if message else work.turn.me.device
        state = records.CHANNELS.get(view, channel)
        epoch = message.epoch if message else state.epoch if state else 0
        targets = targets_of(view, channel, epoch, sender)
        reached, read_by = _reached(view, channel, seq, targets)
        targeted |= dict.fromkeys(targets)
        delivered |= dict.fromkeys(reached)
        seen |= dict.fromkeys(read_by)
    record = records.ALERTS.get(view, root)
    given = [
        Answered(
            device,
            name_of(view, device),
            answer.option,
            option_text(record, answer.option) if record else "",
            answer.time,
            answer.text,
        )
        for device, answer in alerts.answers(view, root)
    ]
    silent = [d for d in targeted if d not in {a.device for a in given}]
    return Answers(list(targeted), list(delivered), list(seen), given, silent)


def _unread(view: View) -> int:
    """How much there is to read: an alert that came by several channels is one."""
    found = set[bytes]()
    for key, _ in records.UNSHOWN.scan(view):
        message = records.MESSAGES.get(view, key)
        found.add(message.alert.root if message is not None and message.alert else key)
    return len(found)


def channels(view: View) -> list[ChannelInfo]:
    """Every channel of this device."""
    found = []
    for channel, state in records.CHANNELS.scan(view):
        present = roster_at(view, channel, state.epoch)
        unread = sum(1 for _ in records.UNSHOWN.scan(view, channel))
        found.append(
            ChannelInfo(
                channel,
                state.channel_class,
                Marking(state.ceiling),
                state.purpose,
                state.epoch,
                state.seq,
                unread,
                len(present.seats) if present else 0,
                state.halted,
                bool(state.left),
            )
        )
    return found


def person(view: View, device: bytes, peer: records.Peer) -> PersonInfo:
    """A device of the directory as a value."""
    name, call_sign = card_of(view, device)
    return PersonInfo(
        device, peer.person, peer.organisation, list(peer.roles), name, call_sign, peer.revoked, peer.not_after
    )


def status(work: Work, *, online: bool, clock_off: int) -> Status:
    """How this device stands."""
    turn = work.turn
    view, me, policy = turn.draft, turn.me, turn.charter.policy
    checkpoint = proof.held(view, turn.charter)
    proved = records.COUNTERS.get(view, b"proved")
    return Status(
        online,
        policy.mission,
        me.device,
        name_of(view, me.device),
        me.organisation,
        list(me.roles),
        me.not_after,
        policy.version,
        policy.not_after,
        checkpoint.size if checkpoint else 0,
        turn.now - proved.value if proved else None,
        {o.name: trusted.list_age(view, o.name, turn.now) for o in policy.organisations},
        sum(1 for _ in records.OUTBOX.scan(view)),
        sum(1 for _ in records.UNPROVEN.scan(view)),
        _unread(view),
        sum(1 for _ in records.ALARMS.scan(view)),
        clock_off,
    )
