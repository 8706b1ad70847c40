"""People in need and on the move: SOS, the mission's word, check-ins."""

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from clients.core.ledger import Shelf
from clients.core.records.simple import Note
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint


class Word(IntEnum):
    """What this device knows of an answer to the challenge."""

    NONE = 0  # no answer has come
    RIGHT = 1
    WRONG = 2
    UNCHECKED = 3  # this device has not got the mission's word


class Emergency(Record, frozen=True, array_like=True):
    """An SOS, by its header hash. `requests` are the STAND_DOWNs of its author as (seq, header hash); `ended` is 0 until another
    device (`confirmed`) has confirmed one of them."""

    channel: Id
    seq: Positive
    device: Id
    person: Id
    time: Millis
    placed: Millis
    content: bytes
    requests: list[tuple[Positive, Hash]]
    requested: Millis
    word: Word
    confirmed: Annotated[bytes, Meta(max_length=16)]
    ended: Millis


class Move(Record, frozen=True, array_like=True):
    """A check-in plan, by its header hash. `said` are the check-ins as (when it came, what was due); `ended` is 0 while it is
    open."""

    channel: Id
    seq: Positive
    device: Id
    person: Id
    placed: Millis
    due: list[Millis]
    grace: Uint
    said: list[tuple[Millis, Millis]]
    ended: Millis


class Page(Record, frozen=True, array_like=True):
    """The newest PlanPage of a device in a channel."""

    route: str
    legs: list[str]
    due: list[Millis]


EMERGENCIES: Final = Shelf("emergency", Emergency)  # header hash of the SOS
MOVES: Final = Shelf("move", Move)  # header hash of the plan
PAGES: Final = Shelf("page", Page)  # channel ‖ device
WORD: Final = Shelf("word", Note)  # "": digest of the mission's word
