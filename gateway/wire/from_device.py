"""What a device says: requests, each with an id, and where it stands."""

from typing import Annotated

from msgspec import Meta

from gateway.wire.parts import (
    CHUNK,
    LIST_LIMIT,
    RUN_LIMIT,
    WINDOW_LEAST,
    WINDOW_MOST,
    BodyLength,
    Chunk,
    Der,
    Frame,
    Position,
    RequestId,
    Sealed,
    Text,
)
from keys.canonical import Hash, Id, Millis, Positive, Signature, Uint


class Hello(Frame, frozen=True, tag=1):
    version: Annotated[int, Meta(ge=1, le=255)]
    device: Id
    nonce: Hash


class Proof(Frame, frozen=True, tag=2):
    """Signature under "session" over `Transcript`, by the key of the certificate named."""

    certificate: Hash
    tls_key: Hash
    signature: Signature


class Follow(Frame, frozen=True, tag=3):
    """Start delivery from these places; a channel not named starts where this device joined it.

    `window`: how many bytes of deliveries may be under way beyond this session's Cursors; where it is shorter than CHUNK, beyond
    what is `Taken`. A device on a narrow link wants little, so that what is urgent has little before it. A body longer than the
    window, or than CHUNK, is not sent along.
    """

    id: RequestId
    positions: Annotated[list[Position], Meta(max_length=LIST_LIMIT)]
    window: Annotated[int, Meta(ge=WINDOW_LEAST, le=WINDOW_MOST)] = WINDOW_MOST


class Cursor(Frame, frozen=True, tag=4):
    """Processed and stored up to here. No answer; opens the delivery window again."""

    position: Position


class Taken(Frame, frozen=True, tag=24):
    """So many deliveries more have come in, stored or not. No answer; opens the window of a device on a narrow link: a run is
    stored only when it is whole, and may be longer than such a window."""

    count: Annotated[int, Meta(ge=1, le=LIST_LIMIT)]


class Submit(Frame, frozen=True, tag=5):
    id: RequestId
    run: Annotated[list[Sealed], Meta(min_length=1, max_length=RUN_LIMIT)]


class PutChunk(Frame, frozen=True, tag=6):
    """Part of a body longer than a chunk (or of a Welcome or GroupInfo); answered by Done with the offset reached."""

    id: RequestId
    hash: Hash
    length: BodyLength
    offset: BodyLength
    data: Chunk


class GetBody(Frame, frozen=True, tag=7):
    """One chunk of a body, Welcome, GroupInfo or tree that this device may have, of `most` bytes; answered by BodyChunk."""

    id: RequestId
    hash: Hash
    offset: BodyLength
    most: Annotated[int, Meta(ge=1, le=CHUNK)] = CHUNK


class Fetch(Frame, frozen=True, tag=8):
    """Deliver these again (a gap); answered by Deliver frames and then Done."""

    id: RequestId
    channel: Id
    first: Positive
    last: Positive


class PutKeyPackages(Frame, frozen=True, tag=9):
    id: RequestId
    suite: Annotated[int, Meta(ge=1, le=0xFFFF)]
    packages: Annotated[list[Annotated[bytes, Meta(max_length=8_192)]], Meta(max_length=100)]
    last_resort: Annotated[bytes, Meta(max_length=8_192)] | None


class ClaimKeyPackages(Frame, frozen=True, tag=10):
    id: RequestId
    suite: Annotated[int, Meta(ge=1, le=0xFFFF)]
    devices: Annotated[list[Id], Meta(min_length=1, max_length=LIST_LIMIT)]


class GetTree(Frame, frozen=True, tag=11):
    """The ratchet tree of a channel after the commit at `seq`; answered by Named, then GetBody."""

    id: RequestId
    channel: Id
    seq: Positive


class GetCertificates(Frame, frozen=True, tag=12):
    """The log entries that carry these certificates' approvals; answered by Certificates."""

    id: RequestId
    hashes: Annotated[list[Hash], Meta(min_length=1, max_length=64)]


class Prove(Frame, frozen=True, tag=13):
    """Consistency from the checkpoint held (0: none) to the newest, and inclusion of these entries in the newest."""

    id: RequestId
    held: Uint
    indices: Annotated[list[Uint], Meta(max_length=64)]


class GetCharter(Frame, frozen=True, tag=14):
    """The charter's signed note; version 0 is the newest."""

    id: RequestId
    version: Uint


class GetDirectory(Frame, frozen=True, tag=15):
    """The devices that this one may know of, after the id given (zeros: from the start)."""

    id: RequestId
    after: Id


class PutInvite(Frame, frozen=True, tag=16):
    """A registrar's: the gateway learns the invite's id (a hash of its secret), organisation, role and end."""

    id: RequestId
    invite: Hash
    organisation: Text
    role: Text
    expires: Millis


class CancelInvite(Frame, frozen=True, tag=17):
    id: RequestId
    invite: Hash


class Enrol(Frame, frozen=True, tag=18):
    """An invitee's request, before any session."""

    id: RequestId
    invite: Hash
    request: Annotated[bytes, Meta(max_length=2_048)]


class AwaitEnrolment(Frame, frozen=True, tag=19):
    """Answered by Enrolment as it stands now."""

    id: RequestId
    invite: Hash


class GetEnrolments(Frame, frozen=True, tag=20):
    id: RequestId


class Grant(Frame, frozen=True, tag=21):
    """A registrar's: the certificate made for a request, and the answer sealed to the invitee. It counts only once a second
    officer's `CERTIFICATE` envelope is logged."""

    id: RequestId
    invite: Hash
    certificate: Der
    answer: Annotated[bytes, Meta(max_length=4_096)]


class GetReach(Frame, frozen=True, tag=22):
    """Who can be reached now, by which roads? Officers of home who may alert. Devices in order after `after`."""

    id: RequestId
    after: Id


class GetWitnessed(Frame, frozen=True, tag=26):
    """The newest checkpoint that the witnesses' quorum has cosigned, and how it stands to the one held (0: none)."""

    id: RequestId
    held: Uint


class GetEscalation(Frame, frozen=True, tag=23):
    """How an alert's ladder stands, and what became of its notices after the number `after` (0: from the first). Officers of home
    who may alert; answered by Escalation."""

    id: RequestId
    root: Hash
    after: Uint


FromDevice = (
    Hello
    | Proof
    | Follow
    | Cursor
    | Taken
    | Submit
    | PutChunk
    | GetBody
    | Fetch
    | PutKeyPackages
    | ClaimKeyPackages
    | GetTree
    | GetCertificates
    | Prove
    | GetCharter
    | GetDirectory
    | PutInvite
    | CancelInvite
    | Enrol
    | AwaitEnrolment
    | GetEnrolments
    | Grant
    | GetReach
    | GetWitnessed
    | GetEscalation
)
