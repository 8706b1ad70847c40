"""What has come, what goes out, and who has got what."""

from enum import IntEnum
from typing import Final

from clients.core.ledger import Shelf
from clients.core.records.simple import Chained, Counter, Note
from keys.alert import AlertFields
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint
from keys.envelope import Kind, Marking, Precedence


class Fate(IntEnum):
    """What became of an envelope here."""

    TAKEN = 1  # verified and, where it has content, decrypted
    UNREADABLE = 2  # verified outside, could not be opened
    HIDDEN = 3  # opened, and not what it should be
    REFUSED = 4  # breaks a rule
    OWN = 5


class Line(Record, frozen=True, array_like=True):
    """An envelope with its place, as delivered, the rolling hash after it, and what became of it."""

    index: Uint
    time: Millis
    nonce: Id
    header: bytes
    signature: bytes
    rolling: Chained  # empty while processed ahead
    fate: Fate


class Message(Record, frozen=True, array_like=True):
    """Content for people. `reason` says why there is none to show. `shown` is 0 until somebody has seen it (ms)."""

    device: Id
    certificate: Hash
    kind: Kind
    epoch: Uint
    time: Millis  # sealed, by the sender's clock
    placed: Millis  # accepted, by the gateway's clock
    precedence: Precedence
    marking: Marking
    expires: Millis
    header_hash: Hash
    alert: AlertFields | None
    salt: bytes
    content: bytes
    reason: str
    shown: Millis


class Item(Record, frozen=True, array_like=True):
    """An act of this device on its way out. `number` is 0 until it is handed to the link; then `header`, `signature` and
    `body` are fixed, and only a refusal signed by the gateway lets the number be sealed again.

    `content` is what is to be encrypted, or the body of a kind that is not; `uploads` must be put in chunks before.
    """

    stream: Id
    kind: Kind
    precedence: Precedence
    marking: Marking
    expires: Millis
    salt: bytes
    content: bytes
    alert: AlertFields | None
    uploads: list[Hash]
    composed: Millis
    epoch: Uint
    run: Uint
    number: Uint
    attempt: Uint
    header: bytes
    signature: bytes
    body: bytes


class Sent(Record, frozen=True, array_like=True):
    """Where an item of the outbox has got to: its place once it is accepted. `time` (ms) is when it was kept, or dropped."""

    stream: Id
    kind: Kind
    header_hash: Chained
    seq: Uint
    refused: str
    time: Millis


class Received(Record, frozen=True, array_like=True):
    """What another device has said it has got of a channel: the ends of gap-free ranges as (first, last)."""

    delivered: list[tuple[Positive, Positive]]
    shown: list[tuple[Positive, Positive]]
    time: Millis


class Given(Record, frozen=True, array_like=True):
    """How far this device has given receipts for a channel, and what was shown since."""

    upto: Uint
    shown: list[Positive]
    confirmed: Uint = 0  # the newest epoch that it has confirmed


LINES: Final = Shelf("line", Line)  # channel ‖ seq
AHEAD: Final = Shelf("ahead", Line)  # channel ‖ seq: processed before its turn
NAMES: Final = Shelf("name", Note)  # header hash of a message: channel ‖ seq
MESSAGES: Final = Shelf("message", Message)  # channel ‖ seq
UNEXPLAINED: Final = Shelf("unexplained", Counter)  # channel ‖ seq: no body, and no word yet why; since when (ms)
UNSHOWN: Final = Shelf("unshown", Counter)  # channel ‖ seq
OUTBOX: Final = Shelf("outbox", Item)  # item id
SENT: Final = Shelf("sent", Sent)  # item id
BLOBS: Final = Shelf("blob", Note)  # hash: to be put in chunks
OWNED: Final = Shelf("owned", Counter)  # header hash: the seq it got, 0 before
REFUSED: Final = Shelf("refused", Note)  # header hash: the gateway's signed refusal
RECEIVED: Final = Shelf("received", Received)  # channel ‖ device
GIVEN: Final = Shelf("given", Given)  # channel
EXPIRING: Final = Shelf("expiring", Counter)  # when (ms, 8 bytes) ‖ channel ‖ seq
SWEPT: Final = Shelf("swept", Counter)  # channel: up to which seq its content was destroyed here
