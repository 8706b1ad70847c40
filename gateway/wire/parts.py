"""What frames are made of: bounds, refusals, and the values inside them."""

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from keys.canonical import Hash, Id, Key, Millis, Positive, Uint, encode
from keys.envelope import HEADER_LIMIT

PROTOCOL_VERSION: Final = 1
FRAME_LIMIT: Final = 64 * 1024
CHUNK: Final = 48 * 1024  # a body up to this length travels in its frame; a longer one in chunks of this length
BODY_LIMIT: Final = 16 * 1024 * 1024
RUN_LIMIT: Final = 64
WINDOW_MOST: Final = 1024 * 1024  # bytes of deliveries under way
WINDOW_LEAST: Final = 1_024
LIST_LIMIT: Final = 256
ROADS_LIMIT: Final = 32

RequestId = Annotated[int, Meta(ge=0, le=2**32 - 1)]
HeaderBytes = Annotated[bytes, Meta(min_length=1, max_length=HEADER_LIMIT)]
SignatureBytes = Annotated[bytes, Meta(max_length=64)]
Chunk = Annotated[bytes, Meta(max_length=CHUNK)]
Note = Annotated[bytes, Meta(max_length=32 * 1024)]
Der = Annotated[bytes, Meta(min_length=1, max_length=1_024)]
Text = Annotated[str, Meta(max_length=400)]
RoadName = Annotated[str, Meta(min_length=1, max_length=32)]
BodyLength = Annotated[int, Meta(ge=0, le=BODY_LIMIT)]


class Refusal(IntEnum):
    """Why something was refused: the closed list. `DENIED` is the uniform one, the same bytes for "does not exist", "not for
    you", "not a member" and "does not verify", so that nobody learns by asking."""

    SCHEMA = 1  # a frame or body that is no such thing: mend the client
    CANON = 2  # another encoding than the one: mend the client
    LIMIT = 3  # larger or more than the limit named
    DENIED = 4  # uniform
    REPLAY = 5  # this number was used with other content: evidence against the device
    GAP = 6  # a number too high, or the wrong chain: send what is missing first
    EPOCH_STALE = 7  # catch up, then seal again with the next attempt
    EPOCH_CONFLICT = 8  # another commit won: process it, then replay the intent
    ROLE = 9  # the charter lets no role of this device do that
    TLP = 10  # the marking may not go there
    EXPIRED = 11
    REVOKED = 12
    STALE_LIST = 13  # the organisation's revocation list is too old for this
    LEAF = 14  # the epoch still holds a revoked or expired leaf: remove it first
    CHARTER = 15  # another charter is in force: fetch it
    CLOCK = 16  # the device's clock is too far off; the answer's time is the gateway's
    QUOTA = 17
    BUSY = 18  # try again after the time named
    STORAGE = 19  # the gateway can't write; nothing was taken


class Frame(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message of the protocol."""


class Part(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value inside frames."""


class Sealed(Part, frozen=True):
    """An envelope to submit. `body` is None when it was put in chunks before."""

    header: HeaderBytes
    signature: SignatureBytes
    body: Chunk | None


class Place(Part, frozen=True):
    """The place an envelope got: with its header and signature this is all of its log entry."""

    seq: Positive
    index: Uint
    time: Millis
    nonce: Id


class Position(Part, frozen=True):
    """The seq up to which this device has processed and stored everything of a channel or stream."""

    channel: Id
    seq: Uint


class ChannelState(Part, frozen=True):
    """A channel this device is a member of. `since` is the seq of the commit that added it."""

    channel: Id
    epoch: Uint
    seq: Uint
    since: Uint
    rolling: Hash


class Placed(Part, frozen=True):
    """An envelope with its place and body; the body is None when it is longer than a chunk, or was destroyed."""

    channel: Id
    place: Place
    header: HeaderBytes
    signature: SignatureBytes
    body: Chunk | None


class Claim(Part, frozen=True):
    """A KeyPackage handed out, or None where the device has none left."""

    device: Id
    package: Annotated[bytes, Meta(max_length=8_192)] | None


class Person(Part, frozen=True):
    """A device as the directory has it. `revoked` and `not_after` as the gateway knows them; check them yourself."""

    device: Id
    person: Id
    organisation: Text
    roles: Annotated[list[Text], Meta(max_length=8)]
    certificate: Hash
    not_after: Millis
    revoked: bool
    packages: Uint  # KeyPackages left, the last-resort one not counted


class Pending(Part, frozen=True):
    """An enrolment on its way: what the invitee asked, and what the registrar has granted so far."""

    invite: Hash
    organisation: Text
    role: Text
    request: Annotated[bytes, Meta(max_length=2_048)]
    certificate: Annotated[bytes, Meta(max_length=1_024)]  # empty until the registrar has granted it


class Path(Part, frozen=True):
    """An inclusion proof, leaf's sibling first (RFC 6962)."""

    index: Uint
    hashes: Annotated[list[Hash], Meta(max_length=64)]


class Transcript(Part, frozen=True):
    """What device and gateway sign at the start of a session, under "session" and "session answer"."""

    device: Id
    device_nonce: Hash
    gateway_nonce: Hash
    gateway_key: Key
    tls_key: Hash
    certificate: Hash

    def content(self) -> bytes:
        return encode(self)
