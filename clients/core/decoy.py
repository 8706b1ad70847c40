"""The decoy: channels, people and dull talk that stand in the side as they would on any device's ledger.

    read_rooms  a template file of such talk
    furnish     put it into the side; `clear` takes it out again
    freshen     move all of it on by whole days, so that the newest is of the last day
    settle      what was sent from it since looks accepted

Nothing of it was ever anywhere else. Whoever opens it sees his own device and mission, whose id, certificate and charter are no
secret, and none of his channels, messages or people.
"""

import tomllib
from collections.abc import Iterable
from typing import Final

from msgspec import Struct, convert
from msgspec.structs import replace

from clients.core import records
from clients.core.content import Text, encode_content
from clients.core.ledger import Draft, Shelf, View, at
from clients.core.records import Channel, Counter, Identity, Item, Message, Note, Peer, Roster, Seat
from clients.core.turn import DAY, HOUR
from keys.authority import Card, read_card
from keys.canonical import Id, Record, encode
from keys.charter import Charter
from keys.envelope import Kind, Marking, Precedence
from keys.errors import Malformed
from keys.identity import Random
from keys.policy import DESK

APART: Final = 5 * HOUR  # between two messages of a channel, more or less
MOST: Final = 400  # messages that are kept
ROOM: Final = 256 * 1024  # bytes of messages that are kept
SHELVES: Final[tuple[Shelf, ...]] = (  # type: ignore[type-arg]
    records.CHANNELS,
    records.ROSTERS,
    records.PEERS,
    records.MESSAGES,
    records.NAMES,
    records.UNSHOWN,
    records.GIVEN,
    records.OUTBOX,
    records.SENT,
    records.ALARMS,
)


class Room(Struct, frozen=True, forbid_unknown_fields=True):
    """A channel: what it is for, and what was said, as `Name: text`; `Me:` is the device's own person."""

    purpose: str
    messages: list[str]

    def said(self) -> list[tuple[str, str]]:
        return [(name.strip(), text.strip()) for name, _, text in (m.partition(":") for m in self.messages)]

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.said() if name != ME))


ME: Final = "Me"


class Rooms(Struct, frozen=True, forbid_unknown_fields=True):
    channel: list[Room]


class Furnished(Record, frozen=True, array_like=True):
    """That there is a decoy, and the ids of its people."""

    people: list[Id]


FURNISHED: Final = Shelf("furnished", Furnished)  # ""


def read_rooms(source: str) -> list[Room]:
    """The channels of a template file. Raises Malformed."""
    try:
        rooms = convert(tomllib.loads(source), Rooms).channel
    except (
        RecursionError,
        ValueError,
    ) as error:  # not TOML, not of this form, numbers or tables beyond what Python reads
        raise Malformed(str(error)) from None
    for room in rooms:
        if not 0 < len(room.purpose) <= 100 or not 3 <= len(room.messages) <= 60:
            raise Malformed("a channel has a purpose, and 3 to 60 messages")
        for name, text in room.said():
            if not 0 < len(name) <= 60 or not 0 < len(text) <= 400:
                raise Malformed('each message is "Name: text", or "Me: text"')
        if not room.names():
            raise Malformed("somebody else says something too")
    if not 1 <= len(rooms) <= 5:
        raise Malformed("a decoy has 1 to 5 channels")
    return rooms


def real(view: View, rooms: Iterable[Room]) -> list[str]:
    """What of a template is really on this device: names of people and purposes of channels."""
    words = {state.purpose.casefold() for _, state in records.CHANNELS.scan(view)}
    for _, note in records.CARDS.scan(view):
        card = _card(note)
        words |= {card.name.casefold(), card.call_sign.casefold()} if card else set()
    said = [word for room in rooms for word in (room.purpose, *room.names())]
    return [word for word in said if word.casefold() in words - {""}]


def _card(note: Note) -> Card | None:
    """The card on a shelf, if it reads."""
    try:
        return read_card(note.data)
    except Malformed:
        return None


def furnish(side: Draft, charter: Charter, rooms: Iterable[Room], now: int, random: Random) -> None:
    """Put a decoy into the side, in place of the one before."""
    me = records.IDENTITY.get(side)
    assert me is not None, "the side was brought up to date"
    clear(side)
    own = Peer(me.person, me.organisation, list(me.roles), me.certificate_hash, me.not_after, revoked=False, packages=1)
    records.PEERS.put(side, me.device, own)
    people: dict[str, bytes] = {}
    for room in rooms:
        for name in room.names():
            if name not in people:
                people[name] = _person(side, me, name, random)
        _room(side, me, charter, room, people, now, random)
    FURNISHED.put(side, b"", Furnished(list(people.values())))


def clear(side: Draft) -> None:
    """No decoy."""
    furnished = FURNISHED.get(side)
    for device in furnished.people if furnished else ():
        records.CARDS.delete(side, device)
    for shelf in SHELVES:
        for key, _ in list(side.scan(shelf.name, b"", b"")):
            side.delete(shelf.name, key)
    FURNISHED.delete(side, b"")


def _person(side: Draft, me: Identity, name: str, random: Random) -> bytes:
    device, person = random(16), random(16)
    records.PEERS.put(
        side, device, Peer(person, me.organisation, list(me.roles), random(32), me.not_after, revoked=False, packages=3)
    )
    card = Card(person, device, name, "", me.organisation, random(16), random(64))
    records.CARDS.put(side, device, Note(encode(card)))
    return device


def _room(
    side: Draft, me: Identity, charter: Charter, room: Room, people: dict[str, bytes], now: int, random: Random
) -> None:
    kind = next(c for c in charter.policy.classes if not c.alerts and c.name != DESK)
    channel, said = random(16), room.said()
    ceiling = min(Marking.GREEN, Marking(kind.ceiling))
    devices = [me.device, *(people[name] for name in room.names())]
    seats = [Seat(leaf, device, me.certificate_hash) for leaf, device in enumerate(devices)]
    records.ROSTERS.put(side, at(channel, 1), Roster(seats))
    first = 2
    last = first + len(said) - 1
    state = Channel(
        kind.name, ceiling, kind.suite, 1, last, random(32), last, epoch=1, left=0, halted="", purpose=room.purpose
    )
    records.CHANNELS.put(side, channel, state)
    time = now - int.from_bytes(random(2), "big") * 100
    times = []
    for _ in said:
        times.append(time)
        time -= APART + int.from_bytes(random(2), "big") * 200
    for seq, ((name, text), placed) in enumerate(zip(said, reversed(times), strict=True), first):
        device = me.device if name == ME else people[name]
        _say(side, channel, seq, device, me, ceiling, encode_content(Text(text, placed, False)), placed, random)
    key = at(channel, last)
    if said[-1][0] != ME:
        message = records.MESSAGES.get(side, key)
        assert message is not None
        records.MESSAGES.put(side, key, replace(message, shown=0))
        records.UNSHOWN.put(side, key, Counter(Precedence.ROUTINE))


def _say(
    side: Draft,
    channel: bytes,
    seq: int,
    device: bytes,
    me: Identity,
    marking: Marking,
    content: bytes,
    placed: int,
    random: Random,
    precedence: Precedence = Precedence.ROUTINE,
) -> bytes:
    name = random(32)
    message = Message(
        device,
        me.certificate_hash,
        Kind.APPLICATION,
        1,
        placed - 400,
        placed,
        precedence,
        marking,
        0,
        name,
        None,
        random(16),
        content,
        "",
        placed,
    )
    records.MESSAGES.put(side, at(channel, seq), message)
    records.NAMES.put(side, name, Note(at(channel, seq)))
    return name


def freshen(side: Draft, now: int) -> None:
    """Move the whole talk on by whole days, so that its newest is of the last day."""
    messages = list(records.MESSAGES.scan(side))
    newest = max((message.placed for _, message in messages), default=now)
    days = (now - newest) // DAY * DAY
    if days <= 0:
        return
    for key, m in messages:
        shown = m.shown + days if m.shown else 0
        records.MESSAGES.put(side, key, replace(m, time=m.time + days, placed=m.placed + days, shown=shown))


def settle(side: Draft, now: int, random: Random) -> None:
    """What waits in the outbox looks accepted; the oldest talk makes way where there is too much."""
    me = records.IDENTITY.get(side)
    assert me is not None
    for key, item in list(records.OUTBOX.scan(side)):
        name, seq = random(32), 0
        state = records.CHANNELS.get(side, item.stream)
        if state is not None:
            seq = state.seq + 1
            records.CHANNELS.put(side, item.stream, replace(state, seq=seq, head=seq, rolling=random(32)))
            if item.kind is Kind.APPLICATION:
                name = _sent(side, item, seq, me, now, random)
        sent = records.SENT.get(side, key)
        if sent is not None:
            records.SENT.put(side, key, replace(sent, seq=seq or 1, header_hash=name))
        records.OUTBOX.delete(side, key)
    _make_room(side)
    records.COUNTERS.put(side, b"proved", Counter(now))


def _sent(side: Draft, item: Item, seq: int, me: Identity, now: int, random: Random) -> bytes:
    marking, precedence = Marking(item.marking), Precedence(item.precedence)
    return _say(side, item.stream, seq, me.device, me, marking, item.content, now, random, precedence)


def _make_room(side: Draft) -> None:
    messages = sorted(records.MESSAGES.scan(side), key=lambda pair: pair[1].placed)
    size = sum(len(message.content) + 400 for _, message in messages)
    while messages and (size > ROOM or len(messages) > MOST):
        key, message = messages.pop(0)
        size -= len(message.content) + 400
        records.MESSAGES.delete(side, key)
        records.NAMES.delete(side, message.header_hash)
        records.UNSHOWN.delete(side, key)
