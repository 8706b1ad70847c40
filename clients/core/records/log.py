"""What is held against the gateway and its log: entries to be proved, promises, what others have seen, evidence, alarms."""

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from clients.core.ledger import Shelf
from clients.core.records.simple import Note
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint


class Unproven(Record, frozen=True, array_like=True):
    """An entry that has to be under a checkpoint: sent, shown or applied here. `due` is when its absence is an alarm (ms)."""

    leaf_hash: Hash
    channel: Id
    seq: Positive
    device: Id
    due: Millis
    promised: bool
    alarmed: bool


class Claim(Record, frozen=True, array_like=True):
    """What another device says the rolling hash is at a seq that this one has not reached."""

    device: Id
    rolling: Hash
    time: Millis


class Head(Record, frozen=True, array_like=True):
    """The log at a size, as proved to this device. `note` is the signed checkpoint, empty where another device had it."""

    root: Hash
    note: bytes


class SeenBy(Record, frozen=True, array_like=True):
    """What another device has seen of the log and this one could not compare yet. `note` as it was handed on, or empty; `tries` are
    the answers that settled nothing."""

    size: Uint
    root: Hash
    channel: Id
    note: bytes
    tries: Uint


class Charge(Record, frozen=True, array_like=True):
    """A statement that the gateway signed and the log gives the lie to. `entry` is what it was about, empty for a promise."""

    statement: bytes
    entry: bytes


class AlarmKind(IntEnum):
    """What a client noticed and nobody may overlook: the closed list."""

    GAP = 1  # envelopes of a channel were not delivered
    CHAIN = 2  # a sender's numbers or hashes do not follow on
    SUSPICION = 3  # another device's rolling hash or checkpoint disagrees with this one's
    RENUMBERED = 4  # a place was given twice, or to another envelope than before
    NOT_LOGGED = 5  # an entry is not where the log says
    LATE = 6  # an entry is not under a checkpoint in time
    PROMISE = 7  # the gateway broke a promise it signed
    SHRUNK = 8  # a checkpoint smaller than one seen before
    FORKED = 9  # two checkpoints that contradict each other
    FALSE_REFUSAL = 10  # refused, and taken all the same
    FORGED = 11  # a signature that does not hold
    NOT_PERMITTED = 12  # the sender's role, marking or class does not allow that
    UNKNOWN_DEVICE = 13  # a leaf without a certificate that counts
    COMMIT_REFUSED = 14  # a commit that breaks a rule, here or at another device
    FRANKING = 15  # content other than its header commits to
    MISDIRECTED = 16  # made for another channel, epoch or sender
    UNREADABLE = 17
    STALE_LIST = 18
    CHARTER = 19
    TREE = 20  # a ratchet tree or welcome that does not fit
    WITHHELD = 21  # others have it, and it does not come
    GATEWAY = 22  # an answer that breaks the protocol
    CLOCK = 23
    RESYNCED = 24  # a device came in again: what was sent meanwhile it can't read
    ATTEMPT = 25  # somebody tried to alert, and the gateway refused it
    DURESS = 26  # the mission's word was asked for, and another was given
    MISSED = 27  # somebody has not checked in
    WITNESSES = 28  # their quorum does not cosign the log, by the gateway's own word


class Alarm(Record, frozen=True, array_like=True):
    """What, where and whose; `device` and `channel` are empty where there is none."""

    kind: AlarmKind
    channel: Annotated[bytes, Meta(max_length=16)]
    seq: Uint
    device: Annotated[bytes, Meta(max_length=16)]
    detail: str
    time: Millis
    halts: bool


CHECKPOINT: Final = Shelf("checkpoint", Note)  # ""
EVIDENCE: Final = Shelf("evidence", Note)  # SHA-256: a file of keys.evidence
FORKED: Final = Shelf("forked", Note)  # origin of a log that has signed two trees: the evidence's name
HEADS: Final = Shelf("head", Head)  # size, 8 bytes
SEEN: Final = Shelf("seen", SeenBy)  # device
SHOWN: Final = Shelf("shown", Note)  # device: the checkpoint that it has shown last
CONFIRMED: Final = Shelf("confirmed", Note)  # channel ‖ epoch: what this device confirms of it
PROMISES: Final = Shelf("promise", Note)  # log index, 8 bytes: the gateway's statement
CHARGES: Final = Shelf("charge", Charge)  # log index, 8 bytes
UNPROVEN: Final = Shelf("unproven", Unproven)  # log index, 8 bytes
CLAIMS: Final = Shelf("claim", Claim)  # channel ‖ seq ‖ device
ALARMS: Final = Shelf("alarm", Alarm)  # number, 8 bytes
