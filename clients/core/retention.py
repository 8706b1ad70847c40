"""What is kept of content, and how long: here as at the gateway, and why a body that does not come is gone.

    let_go    what has reached its end is destroyed on this device too: salt and content together; the envelope's place stays
    take      a tombstone of the control channel, or an order by one person
    why       the words for a body that the gateway has no more; none where nothing says that it was destroyed
    explain   what has come without its body and without a word why: the word may still come, or it is withheld
    order     one person asks for bodies to be destroyed; `confirm` is another's

Destroying is the gateway's doing and each device's own; whoever copied a text elsewhere still has it.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from msgspec import structs

from clients.core import outbox, records
from clients.core.commits import Work, named_author
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.ledger import Shelf, View, at, seq_of
from clients.core.outbox import Kept
from clients.core.records import AlarmKind, Counter, Destroying, Message, Note
from clients.core.session import Session
from clients.core.turn import HOUR, Moved, Turn
from gateway.wire import Place, Placed
from keys.canonical import encode
from keys.credential import Certified
from keys.envelope import Claimed, Kind, Precedence, check_body, verify_run
from keys.errors import CharterRefused, KeysError, NotPermitted
from keys.policy import Verb
from keys.retention import (
    BY_THE_GATEWAY,
    Destruction,
    Rule,
    Span,
    Tombstone,
    confirmed,
    ends,
    read_destruction,
    read_tombstone,
)

KINDS: Final = frozenset({Kind.TOMBSTONE, Kind.DESTRUCTION})
SLACK: Final = HOUR  # ms by which this device's clock may be behind the gateway's
AT_ONCE: Final = 500  # messages in one turn
EVERY: Final = 600_000  # ms between two looks at what has reached its end, however long a session lasts
PATIENCE: Final = 60_000  # ms of a session in which the word may still come, in another stream
UNEXPLAINED: Final = "its body is not there, and nothing says yet that it was destroyed"
WITHHELD: Final = "its body is withheld: nothing says that it was destroyed"
GONE: Final = "destroyed: its time was over"
_WORDS: Final = {
    Rule.CLASS: GONE,
    Rule.EXPIRED: GONE,
    Rule.ORDERED: "destroyed by order of two people",
}


# --- on this device ---


def days_of(turn: Turn, channel: bytes) -> int:
    """How long the charter keeps content of a channel; 0 where its class is not known any more: nothing is destroyed."""
    state = records.CHANNELS.get(turn.draft, channel)
    try:
        return turn.charter.policy.channel_class(state.channel_class).retention_days if state else 0
    except CharterRefused:
        return 0


def look_again(s: Session, turn: Turn) -> None:
    """Destroy what has reached its end, now and then: soon too after a clock was set back."""
    if not s.let_go_at - EVERY <= turn.now < s.let_go_at:
        s.let_go_at = turn.now + (EVERY if let_go(turn) else 0)


def let_go(turn: Turn) -> bool:
    """Destroy what has reached its end, some of it: the oldest of each channel, and what ends of its own. Gives whether that is all."""
    left = AT_ONCE
    for channel, _ in list(turn.channels()):
        days = days_of(turn, channel)
        done = records.SWEPT.get(turn.draft, channel) or Counter(0)
        for key, message in records.MESSAGES.scan(turn.draft, channel, at(channel, done.value)):
            if not days or left <= 0 or turn.now < ends(days, message.placed, 0):
                break
            _destroy(turn, key, GONE)
            records.SWEPT.put(turn.draft, channel, Counter(int.from_bytes(key[16:], "big")))
            left -= 1
    for key, _ in list(records.EXPIRING.scan(turn.draft)):
        if int.from_bytes(key[:8], "big") > turn.now or left <= 0:
            break
        _destroy(turn, key[8:], GONE)
        records.EXPIRING.delete(turn.draft, key)
        left -= 1
    return left > 0


def will_end(turn: Turn, channel: bytes, seq: int, expires: int) -> None:
    """Remember a message's own end."""
    if expires:
        records.EXPIRING.put(turn.draft, expires.to_bytes(8, "big") + at(channel, seq), Counter(0))


def _destroy(turn: Turn, key: bytes, words: str) -> None:
    message = records.MESSAGES.get(turn.draft, key)
    if message is not None and (message.content or message.salt):
        records.MESSAGES.put(turn.draft, key, structs.replace(message, salt=b"", content=b"", reason=words))


# --- why a body does not come ---


def why(turn: Turn, placed: Placed, expires: int) -> str:
    """What destroyed a body that the gateway has no more; empty where nothing says so."""
    days, seq = days_of(turn, placed.channel), placed.place.seq
    if days and turn.now + SLACK >= ends(days, placed.place.time, expires):
        return GONE
    for shelf in (records.ORDERED, records.TOMBSTONES):
        for stone in _stones(turn, shelf, placed.channel):
            if _names(stone, seq):
                return _WORDS[stone.rule]
    return ""


def _stones(turn: Turn, shelf: Shelf[Note], channel: bytes) -> Iterable[Tombstone]:
    return (read_tombstone(note.data) for _, note in shelf.scan(turn.draft, channel))


def _names(stone: Tombstone, seq: int) -> bool:
    return any(span.first <= seq <= span.last for span in stone.spans)


def as_kept(turn: Turn, channel: bytes, seq: int, message: Message) -> Message:
    """A message as this device keeps it: without its content where it comes to know its place after the order to destroy it."""
    if not message.content or not any(_names(stone, seq) for stone in _stones(turn, records.ORDERED, channel)):
        return message
    return structs.replace(message, salt=b"", content=b"", reason=_WORDS[Rule.ORDERED])


def wonder(turn: Turn, channel: bytes, seq: int) -> None:
    """A body is not there, and its tombstone has not come, if there is one: that stands in the control channel, which is read for itself."""
    records.UNEXPLAINED.put(turn.draft, at(channel, seq), Counter(turn.now))


def explain(s: Session, turn: Turn) -> None:
    """What is still without a word after a while, in a session that has lasted as long, is withheld."""
    for key, since in list(records.UNEXPLAINED.scan(turn.draft)):
        if turn.reached(since.value + PATIENCE + 1) and turn.has_had(s.since, PATIENCE):
            records.UNEXPLAINED.delete(turn.draft, key)
            message = _reword(turn, key, WITHHELD)
            device = message.device if message else b""
            turn.alarm(AlarmKind.WITHHELD, WITHHELD, channel=key[:16], seq=seq_of(key), device=device)


def _reword(turn: Turn, key: bytes, words: str) -> Message | None:
    message = records.MESSAGES.get(turn.draft, key)
    if message is not None:
        records.MESSAGES.put(turn.draft, key, structs.replace(message, reason=words))
    return message


# --- what the control channel tells ---


def take(work: Work, placed: Placed, claimed: Claimed, body: bytes) -> None:
    """Keep a tombstone, or an order that waits for a second person; what does not hold is an alarm.

    Raises:
        Wanting: its author's certificate has to be fetched first.
    """
    turn, context = work.turn, claimed.context
    try:
        if context.kind is Kind.DESTRUCTION:
            order = read_destruction(body)
            _keep_order(turn, order, _author(work, claimed, body, order.certificate), placed)
        else:
            _keep_stone(work, placed, claimed, body)
    except KeysError as error:
        detail = f"{context.kind.name} that does not hold: {error}"
        turn.alarm(AlarmKind.FORGED, detail, seq=placed.place.seq, device=context.device)


def _author(work: Work, claimed: Claimed, body: bytes, certificate: bytes) -> Certified:
    """Who signed it, and may. Raises Wanting, KeysError."""
    charter, certified = work.turn.charter, named_author(work, claimed, body, certificate)
    check_may(work, certified)
    if certified.organisation != charter.policy.home.name:
        raise NotPermitted("people of the mission's own organisation decide what is destroyed")
    return certified


def check_may(work: Work, certified: Certified) -> None:
    """Raises NotPermitted."""
    work.turn.charter.check_verb(certified, Verb.DESTROY)


def _keep_order(turn: Turn, order: Destruction, author: Certified, placed: Placed) -> None:
    name = sha256(placed.header).digest()
    records.DESTRUCTIONS.put(
        turn.draft, name, Destroying(author.device, author.person, encode(order), placed.place.time, done=False)
    )
    turn.events.append(Moved(name))


def _keep_stone(work: Work, placed: Placed, claimed: Claimed, body: bytes) -> None:
    turn, stone = work.turn, read_tombstone(body)
    if stone.certificate == BY_THE_GATEWAY:
        (verified,) = verify_run([claimed], turn.charter.policy.gateway_key)
        check_body(verified, body)
    else:
        author = _author(work, claimed, body, stone.certificate)
        order = records.DESTRUCTIONS.get(turn.draft, stone.order)
        if order is not None and order.person == author.person:
            raise NotPermitted("ordered and confirmed by one person")
    _bury(turn, stone, placed.place.seq)


def _bury(turn: Turn, stone: Tombstone, seq: int) -> None:
    """What was destroyed by order is destroyed here as well; by rule this device judges for itself."""
    shelf = records.ORDERED if stone.rule is Rule.ORDERED else records.TOMBSTONES
    shelf.put(turn.draft, stone.channel + seq.to_bytes(8, "big"), Note(encode(stone)))
    for key, _ in list(records.UNEXPLAINED.scan(turn.draft, stone.channel)):
        if _names(stone, seq_of(key)):
            records.UNEXPLAINED.delete(turn.draft, key)
            _reword(turn, key, _WORDS[stone.rule])
    if stone.rule is not Rule.ORDERED:
        return
    order = records.DESTRUCTIONS.get(turn.draft, stone.order)
    if order is not None:
        records.DESTRUCTIONS.put(turn.draft, stone.order, structs.replace(order, done=True))
    for span in stone.spans:
        for key, _ in list(records.MESSAGES.scan(turn.draft, stone.channel, at(stone.channel, span.first - 1))):
            if int.from_bytes(key[16:], "big") > span.last:
                break
            _destroy(turn, key, _WORDS[Rule.ORDERED])
    turn.events.append(Moved(stone.order))


def own(work: Work, kind: Kind, header: bytes, body: bytes, place: Place) -> None:
    """What this device said has its place."""
    if kind is Kind.TOMBSTONE:
        _bury(work.turn, read_tombstone(body), place.seq)
        return
    order = read_destruction(body)
    me = work.trust.certified(order.certificate)  # under which it was said; the newest may not be proved yet
    if me is not None:
        placed = Placed(work.turn.charter.control_channel, place, header, b"", None)
        _keep_order(work.turn, order, me, placed)


# --- by two people ---


def order(work: Work, channel: bytes, seqs: Sequence[int], reason: bytes) -> bytes:
    """Ask that these messages be destroyed; nothing is, until another person confirms it. Gives the item.

    Raises:
        NotAllowed: the charter lets no role of this device do that.
        Unknown: this device has not read those places.
    """
    turn = work.turn
    _check_me(work)
    spans = [Span(seq, seq, _index(turn.draft, channel, seq)) for seq in sorted(set(seqs))]
    if not spans:
        raise Unknown("no message was named")
    said = Destruction(turn.me.certificate_hash, channel, spans, sha256(turn.random(16) + reason).digest())
    kept = Kept(turn.charter.control_channel, Kind.DESTRUCTION, encode(said), Precedence.PRIORITY)
    return outbox.keep(turn, kept)


def _index(view: View, channel: bytes, seq: int) -> int:
    line = records.LINES.get(view, at(channel, seq))
    if line is None or records.MESSAGES.get(view, at(channel, seq)) is None:
        raise Unknown(f"no message #{seq} of that channel is known here")
    return line.index


def confirm(work: Work, wanted: bytes) -> bytes:
    """Confirm another person's order: the bodies are destroyed as soon as the gateway has this. Gives the item."""
    turn = work.turn
    _check_me(work)
    name, waiting = find(turn.draft, wanted)
    if waiting.person == turn.me.person:
        raise NotAllowed("another person confirms what you have ordered")
    if waiting.done:
        raise NotNow("that order was carried out")
    stone = confirmed(read_destruction(waiting.order), name, turn.me.certificate_hash)
    kept = Kept(turn.charter.control_channel, Kind.TOMBSTONE, encode(stone), Precedence.PRIORITY)
    return outbox.keep(turn, kept)


def _check_me(work: Work) -> None:
    me = work.trust.certified(work.turn.me.certificate_hash)
    if me is None:
        raise NotNow("this device's certificate is not proved yet: sync first")
    try:
        check_may(work, me)
    except NotPermitted as error:
        raise NotAllowed(str(error)) from None


def orders(view: View) -> list[tuple[bytes, Destroying]]:
    """All orders that this device was told of, the oldest first."""
    return sorted(records.DESTRUCTIONS.scan(view), key=lambda found: found[1].time)


def find(view: View, wanted: bytes) -> tuple[bytes, Destroying]:
    """The one order whose hash begins so. Raises Unknown."""
    found = [(name, waiting) for name, waiting in orders(view) if name.startswith(wanted)]
    if len(found) != 1:
        raise Unknown("several orders begin so" if found else "no such order here: outrider retention list")
    return found[0]
