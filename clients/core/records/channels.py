"""Channels: where each stands, who is in, how this device came in, and what it wants to change."""

from typing import Final

from clients.core.ledger import Shelf
from clients.core.records.simple import Chained, Counter, Note
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint
from keys.envelope import Marking


class Channel(Record, frozen=True, array_like=True):
    """A channel as far as this device has processed it.

    `since` is the seq of the commit that added this device (0 for its creator); `seq` and `rolling` stand for everything up
    to there; `head` is the highest seq it has heard of. `epoch` is that of its group, which a FLASH may have carried beyond
    `seq`. `halted` says in words why nothing goes on here. `left` is the seq of the commit that removed this device. `beside` is
    the talk channel that an alert channel stands beside, else empty.
    """

    channel_class: str
    ceiling: Marking
    suite: int
    since: Uint
    seq: Uint
    rolling: Hash
    head: Uint
    epoch: Uint
    left: Uint
    halted: str
    purpose: str
    beside: Chained = b""


class Joining(Record, frozen=True, array_like=True):
    """A welcome that this device has not used yet: the `Joined` frame, and the ratchet tree by hash once it is named."""

    seq: Positive
    epoch: Uint
    welcome: Hash
    length: Uint
    rolling: Hash
    tree: Chained
    tree_length: Uint


class Offer(Record, frozen=True, array_like=True):
    """An approval for this device to come in again, as it was delivered at `seq` and not yet checked; and the ratchet tree by
    hash once it is named."""

    seq: Positive
    header: bytes
    signature: bytes
    body: bytes
    tree: Chained
    tree_length: Uint


class Fetched(Record, frozen=True, array_like=True):
    """A body on its way down: the whole length, and what of it is here."""

    length: Uint
    data: bytes

    @property
    def whole(self) -> bool:
        return len(self.data) == self.length


class Chain(Record, frozen=True, array_like=True):
    """The last envelope of a sending device in a stream: its number, and the hash its next header must hold."""

    number: Uint
    link: Hash


class Seat(Record, frozen=True, array_like=True):
    """A member's leaf: index, device and certificate."""

    leaf: Uint
    device: Id
    certificate: Hash


class Roster(Record, frozen=True, array_like=True):
    """The members from an epoch on, by leaf."""

    seats: list[Seat]


class Epoch(Record, frozen=True, array_like=True):
    """Where an epoch began: the seq of the commit, the gateway's time (ms), and whether it removed somebody."""

    seq: Uint
    time: Millis
    removed: bool


class Intent(Record, frozen=True, array_like=True):
    """A change of a channel that somebody wants; replayed in the next epoch when another commit wins."""

    channel: Id
    add: list[Id]
    remove: list[Id]
    renew: bool  # put this device's newest certificate into its leaf
    rekey: bool
    automatic: bool


class Pending(Record, frozen=True, array_like=True):
    """A commit of this device that is not merged yet: what it is for, its item in the outbox, and the MLS state to be. With
    `again` the device comes in again by it, and it is for no intent (16 zero bytes)."""

    intent: Id
    item: Id
    epoch: Uint
    commit: bytes
    again: bool


CHANNELS: Final = Shelf("channel", Channel)  # channel
JOINING: Final = Shelf("joining", Joining)  # channel
OFFERS: Final = Shelf("offer", Offer)  # channel
RESYNCS: Final = Shelf("resync", Counter)  # channel ‖ device: the epoch in which it may come in again
FETCHED: Final = Shelf("fetched", Fetched)  # body hash
GROUPS: Final = "group"  # channel ‖ name of the part: bytes of keys.mls, no record
CHAINS: Final = Shelf("chain", Chain)  # stream ‖ device
OWN: Final = Shelf("own", Chain)  # stream: this device's last number that was handed to the link
ROSTERS: Final = Shelf("roster", Roster)  # channel ‖ epoch
EPOCHS: Final = Shelf("epoch", Epoch)  # channel ‖ epoch
INTENTS: Final = Shelf("intent", Intent)  # intent id
PENDING: Final = Shelf("pending", Pending)  # channel
OUTCOMES: Final = Shelf("outcome", Note)  # intent id: why it came to nothing, UTF-8; empty where it was done
POSITIONS: Final = Shelf("position", Counter)  # stream: control channel and receipt streams
