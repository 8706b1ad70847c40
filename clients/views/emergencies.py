"""SOS, stand-downs, plans and check-ins."""

from dataclasses import dataclass
from typing import Final

from clients.core import alerts, emergencies, records
from clients.core.commits import Work
from clients.core.content import CheckIn, Position, SosContent, read_content
from clients.core.ledger import View
from clients.core.records import Message, Move
from clients.views.names import clock, name_of
from clients.views.reach import receipts_of, targets_of
from keys.emergency import due_after, read_stand_down
from keys.envelope import Kind


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
    _, seen = receipts_of(view, record.channel, record.seq, targets)
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
    following = due_after(at, last.due, last.grace)
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
