"""What people in danger or on the road want of a device: each act is checked and put on the ledger (as in `conversation`).

    call      an SOS, in every alert channel of this device
    ask_end   its author answers the challenge and asks that it end
    confirm   a second person, who may alert or remove, confirms what was asked
    set_word  the mission's word, to all who may compare it
    start, check_in, finish   a plan of check-ins

Whoever gives a wrong word sees the same as with the right one.
"""

from collections.abc import Sequence

from clients.core import conversation, outbox, records
from clients.core.commits import Work
from clients.core.content import CheckIn, NoDuress, PlanPage, Position, SosContent, encode_content
from clients.core.emergencies import PLAN, own_moves, own_open, watching
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.outbox import Kept
from clients.core.records import Note, Page, Word
from clients.core.turn import Turn
from keys.canonical import encode
from keys.emergency import HORIZON, Plan, Request, StandDown, answer, digest, read_plan
from keys.envelope import Kind, Marking, Precedence
from keys.errors import Malformed
from keys.policy import Verb


def channels(work: Work) -> list[bytes]:
    """The alert channels in which this device can say something."""
    policy = work.turn.charter.policy
    return [
        channel
        for channel, state in work.turn.channels()
        if not state.left and not state.halted and policy.channel_class(state.channel_class).alerts
    ]


def alert_channels(work: Work) -> list[bytes]:
    """The same. Raises NotNow where there is none."""
    found = channels(work)
    if not found:
        raise NotNow("this device is in no alert channel: nobody would hear it. Use another road")
    return found


# --- SOS ---


def call(work: Work, text: str, position: Position | None) -> list[bytes]:
    """Call for help in every alert channel of this device; gives the items. Raises NotAllowed, NotNow."""
    conversation.need(work, Verb.SEND)
    content = encode_content(SosContent(text, position, work.turn.now))
    return [
        outbox.keep(
            work.turn, Kept(c, Kind.SOS, content, Precedence.FLASH, Marking(conversation.channel_of(work, c).ceiling))
        )
        for c in alert_channels(work)
    ]


def ask_end(work: Work, word: str) -> list[bytes]:
    """Answer the challenge and ask that every open SOS of this person end; gives the items. Raises NotNow."""
    turn = work.turn
    found = own_open(turn)
    if not found:
        waits = any(item.kind is Kind.SOS for _, item in outbox.queued(turn.draft))
        raise NotNow("your SOS has not gone out yet" if waits else "no SOS of yours is open")
    digested = _digest(turn, word)
    items = []
    for root, emergency in found:
        _answer(work, emergency.channel, digested, root)
        body = encode(StandDown(root, None))
        items.append(outbox.keep(turn, Kept(emergency.channel, Kind.STAND_DOWN, body, Precedence.IMMEDIATE)))
    return items


def confirm(work: Work, roots: Sequence[bytes], *, unchecked: bool = False) -> list[bytes]:
    """Confirm the end of these as a second person; gives the items.

    Raises:
        NotAllowed: this device's person may not, or the word was wrong.
        NotNow: its author has not asked, or the word could not be checked and that was not accepted.
    """
    turn, items = work.turn, list[bytes]()
    if not watching(turn):
        raise NotAllowed("officers and leaders confirm the end of an SOS")
    for root in roots:
        emergency = records.EMERGENCIES.get(turn.draft, root)
        if emergency is None or emergency.ended:
            raise Unknown("no such SOS is open")
        if emergency.person == turn.me.person:
            raise NotAllowed("a second person confirms the end of your SOS")
        if not emergency.requests:
            raise NotNow("its author has not asked for its end: `outrider sos end` there")
        if emergency.word is Word.WRONG:
            raise NotAllowed("the word was WRONG: treat it as duress. Nothing was sent, and the SOS goes on")
        if emergency.word is not Word.RIGHT and not unchecked:
            raise NotNow("the word could not be checked here: ask an officer, or by voice, and add --unchecked")
        seq, header_hash = emergency.requests[-1]
        body = encode(StandDown(root, Request(seq, header_hash)))
        items.append(outbox.keep(turn, Kept(emergency.channel, Kind.STAND_DOWN, body, Precedence.IMMEDIATE)))
    return items


# --- the word ---


def set_word(work: Work, word: str) -> list[bytes]:
    """Give the mission's word to all who may stand down an SOS, through every alert channel; gives the items."""
    turn = work.turn
    conversation.need(work, Verb.ALERT)
    if turn.me.organisation != turn.charter.policy.home.name:
        raise NotAllowed("the mission's own officers set its word")
    digested = _digest(turn, word)
    records.WORD.put(turn.draft, b"", Note(digested))
    content = encode_content(NoDuress(digested))
    return [
        outbox.keep(
            turn,
            Kept(c, Kind.APPLICATION, content, Precedence.IMMEDIATE, Marking(conversation.channel_of(work, c).ceiling)),
        )
        for c in alert_channels(work)
    ]


def _digest(turn: Turn, word: str) -> bytes:
    return digest(word, turn.charter.control_channel)


def _answer(work: Work, channel: bytes, digested: bytes, subject: bytes) -> bytes:
    nonce = work.turn.random(16)
    content = encode_content(CheckIn(subject, nonce, answer(digested, nonce, subject)))
    ceiling = conversation.channel_of(work, channel).ceiling
    return outbox.keep(work.turn, Kept(channel, Kind.CHECK_IN, content, Precedence.IMMEDIATE, ceiling))


# --- check-ins ---


def start(work: Work, channel: bytes, due: Sequence[int], grace: int, route: str, legs: Sequence[str]) -> bytes:
    """Begin a plan in an alert channel: check-ins due at these times (ms), missed `grace` seconds later; gives its item.

    Raises:
        NotAllowed: not an alert channel, or times that no plan has.
    """
    turn, state = work.turn, conversation.channel_of(work, channel)
    conversation.need(work, Verb.SEND)
    if not turn.charter.policy.channel_class(state.channel_class).alerts:
        raise NotAllowed("check-ins go to an alert channel")
    body = encode(Plan(list(due), grace, turn.random(16)))
    try:
        read_plan(body)
    except Malformed as error:
        raise NotAllowed(f"no such plan: {error}") from None
    if not due or not turn.now < due[0] <= due[-1] <= turn.now + HORIZON:
        raise NotAllowed("check-ins are due from now on, and within 48 hours")
    page = encode_content(PlanPage(route, list(legs), list(due)))
    outbox.keep(turn, Kept(channel, Kind.APPLICATION, page, Precedence.IMMEDIATE, state.ceiling))
    records.PAGES.put(turn.draft, channel + turn.me.device, Page(route, list(legs), list(due)))
    return outbox.keep(turn, Kept(channel, Kind.CHECK_IN_PLAN, body, Precedence.IMMEDIATE))


def check_in(work: Work, word: str) -> list[bytes]:
    """Check in for every open plan of this device; gives the items. Raises NotNow."""
    turn = work.turn
    channels = {move.channel for _, move in own_moves(turn)}
    channels |= {i.stream for _, i in outbox.queued(turn.draft) if i.kind is Kind.CHECK_IN_PLAN}
    if not channels:
        raise NotNow("no plan is open on this device: outrider move start")
    digested = _digest(turn, word)
    return [_answer(work, channel, digested, PLAN) for channel in sorted(channels)]


def finish(work: Work, word: str) -> list[bytes]:
    """Check in for the last time and end every plan of this device; gives the items. Raises NotNow."""
    items = check_in(work, word)
    streams = [records.OUTBOX.get(work.turn.draft, item) for item in items]
    body = encode(Plan([], 0, work.turn.random(16)))
    return [
        outbox.keep(work.turn, Kept(item.stream, Kind.CHECK_IN_PLAN, body, Precedence.IMMEDIATE))
        for item in streams
        if item is not None
    ]
