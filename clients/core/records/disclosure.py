"""Messages that somebody asks to see, and content that is destroyed."""

from typing import Final

from clients.core.ledger import Shelf
from clients.core.records.simple import Note, Seed
from keys.canonical import Hash, Id, Millis, Positive, Record


class Voted(Record, frozen=True, array_like=True):
    """What a person said to a request for a disclosure, by which device, and when it was placed."""

    device: Id
    person: Id
    agrees: bool
    time: Millis


class Disclosed(Record, frozen=True, array_like=True):
    """What a participant's device answered to a request: a package, or that it refuses."""

    device: Id
    refused: bool
    time: Millis


class Asked(Record, frozen=True, array_like=True):
    """A request to see one message, by the request's header hash: the message's place, the key that its package is sealed to, who
    asks, and why (empty where this device was not told)."""

    channel: Id
    seq: Positive
    header_hash: Hash
    key: Hash
    device: Id
    person: Id
    time: Millis
    case: str
    reason: str
    votes: list[Voted]
    answers: list[Disclosed]


class Destroying(Record, frozen=True, array_like=True):
    """An order to destroy bodies (a keys.retention.Destruction), by whom, and whether a second person has confirmed it."""

    device: Id
    person: Id
    order: bytes
    time: Millis
    done: bool


DISCLOSURES: Final = Shelf("disclosure", Asked)  # header hash of the request
REQUEST_KEYS: Final = Shelf("request key", Seed)  # public key: what this auditor's device opens packages with
PACKAGED: Final = Shelf("packaged", Note)  # header hash of the request: the sealed package
DESTRUCTIONS: Final = Shelf("destruction", Destroying)  # header hash of the order
TOMBSTONES: Final = Shelf("tombstone", Note)  # channel ‖ seq in the control channel: by rule
ORDERED: Final = Shelf("ordered tombstone", Note)  # the same: by order of two people
