"""What the store keeps, as decisions and answers see it: frozen values, one for each kind of row."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from msgspec import Struct

from gateway.wire import Refusal
from keys.canonical import encode
from keys.envelope import Entry, Kind
from keys.identity import ChannelId, DeviceId, PersonId


class StreamKind(IntEnum):
    CONTROL = 1
    CHANNEL = 2
    RECEIPTS = 3


class Stream(Struct, frozen=True, gc=False):
    """A channel, the control channel or a receipt stream: where its next envelope goes.

    `grace_until` (ms): until when messages of the epoch before are taken. `expires` (ms): when the first member's certificate
    ends. `blocked`: members whose certificate is revoked; while there are any, no message of this epoch is taken. `beside`: the
    talk channel that an alert channel stands beside.
    """

    id: ChannelId
    kind: StreamKind
    seq: int
    rolling: bytes
    parent: bytes = b""
    epoch: int = 0
    channel_class: str = ""
    ceiling: int = 0
    suite: int = 0
    grace_until: int = 0
    expires: int = 0
    blocked: int = 0
    beside: bytes = b""


class Chain(Struct, frozen=True, gc=False):
    """Where a device stands in a stream: its last accepted number, the hash its next header must hold, and the highest number
    that was ever refused so that it may be sealed again (0: none)."""

    number: int
    link: bytes
    refused: int = 0


@dataclass(frozen=True, slots=True)
class RefusedAttempt:
    """The last attempt of a number that was refused so that its device may seal it again, and what it was told."""

    attempt: int
    refusal: Refusal
    header_hash: bytes  # of the header that closed the run
    statement: bytes


class Stored(Struct, frozen=True, gc=False):
    """An envelope with its place, as the store has it. `body` is None where it is kept apart or destroyed. A struct, since a
    backlog is ten thousand of them: made in a twentieth of a dataclass's time, and no concern of the garbage collector's."""

    channel: ChannelId
    seq: int
    index: int
    time: int
    nonce: bytes
    header: bytes
    signature: bytes
    kind: Kind
    device: DeviceId
    number: int
    precedence: int
    body_hash: bytes
    body_length: int
    body: bytes | None

    def leaf(self) -> bytes:
        """Its entry in the log."""
        return encode(Entry(1, self.time, self.nonce, self.channel, self.seq, self.header, self.signature))


@dataclass(frozen=True, slots=True)
class Member:
    """A device's time in a channel. `left` is the seq of the commit that removed it, 0 while it is in."""

    channel: ChannelId
    device: DeviceId
    leaf: int
    certificate: bytes
    since: int
    epoch: int
    left: int = 0
    welcome: bytes = b""
    welcome_length: int = 0
    rolling: bytes = b""  # of the channel after the commit that added it


@dataclass(frozen=True, slots=True)
class End:
    """How long a member's certificate lasts."""

    not_after: int
    revoked: bool


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A device certificate that counts: its approval is logged."""

    hash: bytes
    der: bytes
    device: DeviceId
    person: PersonId
    organisation: str
    roles: frozenset[str]
    public_key: bytes
    serial: int
    not_before: int
    not_after: int
    revoked: bool
    index: int  # of its entry
    seq: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invite or a renewal, from its beginning to the logged certificate."""

    id: bytes
    organisation: str
    role: str
    expires: int
    request: bytes = b""
    certificate: bytes = b""
    answer: bytes = b""
    seq: int = 0  # of the CERTIFICATE envelope in the control channel


@dataclass(frozen=True, slots=True)
class Package:
    """A KeyPackage in the directory."""

    row: int
    device: DeviceId
    suite: int
    data: bytes
    last_resort: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """A body put in chunks: how much of it is here, and since when (ms). Complete when held == length."""

    hash: bytes
    length: int
    held: int
    time: int = 0

    @property
    def whole(self) -> bool:
        return self.held == self.length


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is at the other end of a session: proved by its key, and what its certificate says."""

    device: DeviceId
    person: PersonId
    organisation: str
    roles: frozenset[str]
    certificate: bytes  # SHA-256 of the DER
    public_key: bytes
    not_after: int
    registrar: bool


RENEWAL: Final = "renewal"  # the role of an invitation that a device has made for itself


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The number of entries, and the time (ms) of the last one."""

    size: int
    time: int


@dataclass(frozen=True, slots=True)
class DisclosureRow:
    """An auditor's request to see one message, by the header hash of the request, and how it stands.

    `agreed` and `against` are people, `answered` devices of participants that have disclosed it or refused.
    """

    request: bytes
    channel: ChannelId
    seq: int
    requester: PersonId
    author: PersonId
    time: int
    agreed: frozenset[PersonId] = frozenset()
    against: frozenset[PersonId] = frozenset()
    answered: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Content:
    """An envelope with content whose body is still kept."""

    channel: ChannelId
    seq: int
    index: int


@dataclass(frozen=True, slots=True)
class DestructionRow:
    """An order by one person to destroy bodies, by its header hash; `done` once another has confirmed it."""

    order: bytes
    person: PersonId
    body: bytes
    done: bool
