"""SOS and check-ins as a device knows them: whatever comes in is held against the rules again, whoever let it through.

An SOS is open until its author has asked for its end and another person, who may alert or remove, has confirmed that very
request: nothing else ends it here, neither one of them nor any time. A wrong word is an alarm for those who may stand down an
SOS and for nobody else, and their devices take no confirmation of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core.content import CheckIn, NoDuress, PlanPage, read_content
from clients.core.ledger import View, at
from clients.core.records import AlarmKind, Counter, Emergency, Identity, Move, Note, Page, Word
from clients.core.turn import Moved, NewMessage, Turn
from keys.credential import Certified
from keys.emergency import Plan, Request, StandDown, due_after, is_answer, read_plan, read_stand_down
from keys.envelope import Kind, Precedence
from keys.errors import Malformed, NotPermitted
from keys.policy import Policy, Verb

PLAN: Final = bytes(32)
"""The subject of a check-in that is for the device's plan."""
KINDS: Final = frozenset({Kind.SOS, Kind.STAND_DOWN, Kind.CHECK_IN_PLAN, Kind.CHECK_IN})
KEPT: Final = 200  # check-ins of a plan


def may_end(policy: Policy, roles: Iterable[str]) -> bool:
    """Whether these roles confirm the end of an SOS, and are told of wrong words and missed check-ins."""
    return bool(policy.verbs(roles) & {Verb.ALERT, Verb.REMOVE})


def watching(turn: Turn) -> bool:
    return may_end(turn.charter.policy, turn.me.roles)


def own_open(turn: Turn) -> list[tuple[bytes, Emergency]]:
    """The open SOS of this device's person."""
    return [(root, e) for root, e in records.EMERGENCIES.scan(turn.draft) if e.person == turn.me.person and not e.ended]


def own_moves(turn: Turn) -> list[tuple[bytes, Move]]:
    """The open plans of this device."""
    return [(r, m) for r, m in records.MOVES.scan(turn.draft) if m.device == turn.me.device and not m.ended]


def awaited(move: Move) -> int:
    """What is due next in a plan (ms); 0 where nothing is."""
    if move.ended:
        return 0
    if not move.said:
        return move.due[0]
    return due_after(move.said[-1][0], move.due, move.grace) or 0


def overdue(move: Move, now: int) -> bool:
    """Whether a check-in was missed, and none has come since."""
    due = awaited(move)
    return bool(due) and now > due + move.grace * 1000


def fallen_due(view: View, me: Identity, now: int, *, watches: bool) -> list[tuple[bytes, Move]]:
    """Plans that are to be shown once more: this device's own when a check-in is due, and any whose check-in is missed, by this
    device's own clock and whatever the gateway says. Each once (`show_again`); the key says which."""
    found = []
    for root, move in records.MOVES.scan(view):
        due, mine = awaited(move), move.device == me.device
        missed = overdue(move, now)
        if not due or not ((mine and now >= due) or (missed and watches)):
            continue
        key = b"check-in" + root + due.to_bytes(8, "big") + bytes([missed])
        if records.COUNTERS.get(view, key) is None:
            found.append((key, move))
    return found


def show_again(turn: Turn, key: bytes, move: Move) -> None:
    """Put a plan before its reader once more, before all else."""
    records.COUNTERS.put(turn.draft, key, Counter(turn.now))
    place = at(move.channel, move.seq)
    if records.MESSAGES.get(turn.draft, place) is not None:
        records.UNSHOWN.put(turn.draft, place, Counter(Precedence.FLASH))
        turn.events.append(NewMessage(move.channel, move.seq))


def page_of(view: View, move: Move) -> Page | None:
    """What the legs of a plan are called, if that has come."""
    page = records.PAGES.get(view, move.channel + move.device)
    return page if page is not None and page.due == move.due else None


def reminded(turn: Turn, root: bytes) -> bool:
    """Whether a reminder is about an SOS or a plan: then that is shown once more, before all else, unless it is over or this
    person has answered. It is the gateway's word, so it changes nothing."""
    found = records.EMERGENCIES.get(turn.draft, root) or records.MOVES.get(turn.draft, root)
    if found is None:
        return False
    key = at(found.channel, found.seq)
    message = records.MESSAGES.get(turn.draft, key)
    answered = records.ANSWERS.get(turn.draft, root + turn.me.device) is not None and isinstance(found, Emergency)
    if message is not None and message.shown and not found.ended and not answered:
        records.UNSHOWN.put(turn.draft, key, Counter(Precedence.FLASH))
        turn.events.append(NewMessage(found.channel, found.seq))
    return True


# --- what comes in ---


@dataclass(frozen=True, slots=True)
class Whence:
    """By whom and where something was said: its envelope is verified. `placed` is the gateway's time, `sealed` the author's (ms)."""

    author: Certified
    channel: bytes
    seq: int
    placed: int
    sealed: int
    header_hash: bytes


def take(turn: Turn, kind: Kind, data: bytes, whence: Whence) -> None:
    """One of `KINDS`, by its body, or by its content where it was encrypted.

    Raises:
        Malformed: it is none.
        NotPermitted: its author may not say so, or it ends what it may not.
    """
    if kind is Kind.STAND_DOWN:
        _stand_down(turn, read_stand_down(data), whence)
    elif kind is Kind.CHECK_IN_PLAN:
        _plan(turn, read_plan(data), whence)
    elif kind is Kind.CHECK_IN:
        content = read_content(data)
        if not isinstance(content, CheckIn):
            raise Malformed("no check-in")
        _check_in(turn, content, whence)
    else:
        assert kind is Kind.SOS, kind
        _sos(turn, data, whence)


def _sos(turn: Turn, content: bytes, w: Whence) -> None:
    if records.EMERGENCIES.get(turn.draft, w.header_hash) is None:
        author = w.author
        record = Emergency(
            w.channel, w.seq, author.device, author.person, w.sealed, w.placed, content, [], 0, Word.NONE, b"", 0
        )
        records.EMERGENCIES.put(turn.draft, w.header_hash, record)
        turn.events.append(Moved(w.header_hash))


def _stand_down(turn: Turn, said: StandDown, w: Whence) -> None:
    """What does not count ends nothing, whoever let it through."""
    record = records.EMERGENCIES.get(turn.draft, said.sos)
    if record is None or record.ended:
        return  # raised before this device came, or over already
    if record.channel != w.channel:
        raise NotPermitted("a stand-down in another channel than its SOS")
    if said.confirms is None:
        if w.author.person != record.person:
            raise NotPermitted("an SOS is not asked to end by somebody else than its author")
        record = replace(record, requests=[*record.requests, (w.seq, w.header_hash)], requested=w.placed)
    else:
        _check_confirms(turn, record, said.confirms, w.author)
        record = replace(record, confirmed=w.author.device, ended=w.placed)
    records.EMERGENCIES.put(turn.draft, said.sos, record)
    turn.events.append(Moved(said.sos))


def _was_out(turn: Turn, record: Emergency, confirms: Request) -> bool:
    """Whether that was asked while this device was out of the channel, after an SOS of its earlier stay: whoever was there has held the
    one against the other."""
    state = records.CHANNELS.get(turn.draft, record.channel)
    return state is not None and record.seq < confirms.seq <= state.since


def _check_confirms(turn: Turn, record: Emergency, confirms: Request, author: Certified) -> None:
    if author.person == record.person:
        raise NotPermitted("an SOS is not ended by its author alone")
    if not may_end(turn.charter.policy, author.roles):
        raise NotPermitted("an SOS is not ended by who may neither alert nor remove")
    if (confirms.seq, confirms.header_hash) not in record.requests and not _was_out(turn, record, confirms):
        raise NotPermitted("an SOS is not ended without its author's asking")
    if record.word is Word.WRONG:
        raise NotPermitted("an SOS is not ended on a wrong word")


def _check_in(turn: Turn, said: CheckIn, w: Whence) -> None:
    """A wrong word is an alarm on the devices of those who may stand down, never where it was given."""
    word = Word.UNCHECKED if w.author.person == turn.me.person else _word(turn, said)  # never told where it was given
    _checked_in(turn, w)  # whoever answers the challenge is there: the gateway can't tell the two apart either
    if said.subject != PLAN:
        record = records.EMERGENCIES.get(turn.draft, said.subject)
        if record is not None and record.person == w.author.person and not record.ended:
            records.EMERGENCIES.put(turn.draft, said.subject, replace(record, word=word))
            turn.events.append(Moved(said.subject))
    if word is Word.WRONG:
        detail = "WRONG WORD: whoever holds this device may be forced. Say nothing to it"
        turn.alarm(AlarmKind.DURESS, detail, channel=w.channel, seq=w.seq, device=w.author.device)


def _word(turn: Turn, said: CheckIn) -> Word:
    held = records.WORD.get(turn.draft, b"")
    if held is None or not watching(turn):
        return Word.UNCHECKED
    return Word.RIGHT if is_answer(said.proof, held.data, said.nonce, said.subject) else Word.WRONG


def _checked_in(turn: Turn, w: Whence) -> None:
    """Counted as the gateway counts it: for when it came, or for when it was sealed where it was long on its way."""
    for root, move in list(records.MOVES.scan(turn.draft)):
        if (move.device, move.channel) != (w.author.device, w.channel) or move.ended:
            continue
        at = w.placed if w.placed - w.sealed <= move.grace * 1000 else w.sealed
        last = due_after(at, move.due, move.grace) is None
        said = [*move.said, (at, awaited(move))][-KEPT:]
        records.MOVES.put(turn.draft, root, replace(move, said=said, ended=w.placed if last else 0))
        turn.events.append(Moved(root))


def _plan(turn: Turn, said: Plan, w: Whence) -> None:
    """A plan takes the place of the device's last one in the channel; an empty one ends it."""
    for key, move in list(records.MOVES.scan(turn.draft)):
        if (move.device, move.channel) == (w.author.device, w.channel) and not move.ended and move.seq < w.seq:
            records.MOVES.put(turn.draft, key, replace(move, ended=w.placed))
    if not said.ends and records.MOVES.get(turn.draft, w.header_hash) is None:
        author, due = w.author, list(said.due)
        record = Move(w.channel, w.seq, author.device, author.person, w.placed, due, said.grace, [], 0)
        records.MOVES.put(turn.draft, w.header_hash, record)
    turn.events.append(Moved(w.header_hash))


def take_word(turn: Turn, author: Certified, content: NoDuress) -> None:
    """The mission's word as its officers give it; kept by those who compare it, and by nobody else. Raises NotPermitted."""
    policy = turn.charter.policy
    if author.organisation != policy.home.name or not policy.permits(author.roles, Verb.ALERT):
        raise NotPermitted("the mission's word is set by its own officers")
    if watching(turn) and turn.me.organisation == policy.home.name:
        records.WORD.put(turn.draft, b"", Note(content.digest))


def take_page(turn: Turn, device: bytes, channel: bytes, page: PlanPage) -> None:
    """What the legs of a plan are called; it may come before the plan itself."""
    records.PAGES.put(turn.draft, channel + device, Page(page.route, list(page.legs), list(page.due)))
