"""Every frame between a device and the gateway, listed once: the one module of the gateway that clients import.

A frame is one binary WebSocket message: a msgpack array [tag, field, …] in its only encoding, at most 64 KiB. `PROTOCOL.md`
tells the conversation; in brief:

    device                                    gateway
    Hello                    →
                             ←                Challenge            (nonce, gateway key, charter)
    Proof                    →                                     signed over both nonces, gateway key, TLS key as seen
                             ←                Ready                signed back
    Follow(where I stand)    →
                             ←                Channels, Joined, Deliver, Deliveries …, Logged
    Submit(run)              →
                             ←                Accepted | Refused   after fsync
    Cursor                   →                                     processed and stored up to here: also the flow control

Requests carry an id and may be repeated after a reconnect; the answer carries the same id. Answers are in no given order.
Before the proof only `Hello`, `GetCharter`, `Enrol` and `AwaitEnrolment` are heard.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from keys.canonical import Hash, Id, Key, Millis, Positive, Signature, Uint, encode, reader
from keys.envelope import HEADER_LIMIT, Heard

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


# --- what a device says -----------------------------------------------------------------------------------------------


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


# --- what the gateway says --------------------------------------------------------------------------------------------


class Challenge(Frame, frozen=True, tag=64):
    nonce: Hash
    gateway_key: Key
    charter_version: Uint
    charter: Hash
    time: Millis


class Ready(Frame, frozen=True, tag=65):
    """Signature under "session answer" over the same `Transcript`, by the gateway's key."""

    signature: Signature
    time: Millis


class Accepted(Frame, frozen=True, tag=66):
    """Durable. The places of the run, and the gateway's promise to log it where the kind has one."""

    id: RequestId
    places: Annotated[list[Place], Meta(min_length=1, max_length=RUN_LIMIT)]
    promise: Annotated[bytes, Meta(max_length=512)] | None


class Refused(Frame, frozen=True, tag=67):
    """Nothing was taken. `statement` is the signed refusal (`keys.statement.sign_refusal`) where the device may seal again."""

    id: RequestId
    refusal: Refusal
    detail: Text
    retry_after: Uint  # ms
    statement: Annotated[bytes, Meta(max_length=512)] | None


class Done(Frame, frozen=True, tag=68):
    id: RequestId
    value: Uint


class Deliver(Frame, frozen=True, tag=69):
    placed: Placed


class Deliveries(Frame, frozen=True, tag=86):
    """Several at once, as if each had come alone, in this order."""

    placed: Annotated[list[Placed], Meta(min_length=2, max_length=LIST_LIMIT)]


_DELIVER: Final = bytes((0x92, 69))  # an array of the tag and one field
_DELIVERIES: Final = bytes((0x92, 86))


def deliver_head(count: int) -> bytes:
    """What stands before the encodings of so many `Placed` in Deliver, or in Deliveries where they are several: so each is encoded
    once, and joined into a frame for whoever it goes to."""
    if count == 1:
        return _DELIVER
    return _DELIVERIES + (bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2))


class Channels(Frame, frozen=True, tag=70):
    id: RequestId
    channels: Annotated[list[ChannelState], Meta(max_length=LIST_LIMIT)]


class Joined(Frame, frozen=True, tag=71):
    """This device was added by the commit at `seq`: its Welcome by hash. Delivery starts after that commit."""

    channel: Id
    seq: Positive
    epoch: Uint
    welcome: Hash
    length: BodyLength
    heard: Heard


class BodyChunk(Frame, frozen=True, tag=72):
    id: RequestId
    length: BodyLength
    offset: BodyLength
    data: Chunk


class Named(Frame, frozen=True, tag=73):
    id: RequestId
    hash: Hash
    length: BodyLength


class KeyPackages(Frame, frozen=True, tag=74):
    id: RequestId
    claims: Annotated[list[Claim], Meta(max_length=LIST_LIMIT)]


class Certificates(Frame, frozen=True, tag=75):
    id: RequestId
    entries: Annotated[list[Placed], Meta(max_length=64)]


class Proven(Frame, frozen=True, tag=76):
    id: RequestId
    checkpoint: Note
    consistency: Annotated[list[Hash], Meta(max_length=64)]
    paths: Annotated[list[Path], Meta(max_length=64)]


class Witnessed(Frame, frozen=True, tag=88):
    """Empty where nothing was cosigned yet. `consistency` leads from the smaller of the two checkpoints to the larger."""

    id: RequestId
    checkpoint: Note
    consistency: Annotated[list[Hash], Meta(max_length=64)]


class Logged(Frame, frozen=True, tag=77):
    """A new checkpoint covers entries that this device waits for."""

    checkpoint: Note


class CharterNote(Frame, frozen=True, tag=78):
    """A charter up to a chunk long."""

    id: RequestId
    note: Chunk


class Directory(Frame, frozen=True, tag=79):
    id: RequestId
    people: Annotated[list[Person], Meta(max_length=LIST_LIMIT)]


class Enrolments(Frame, frozen=True, tag=80):
    id: RequestId
    pending: Annotated[list[Pending], Meta(max_length=64)]


class Enrolment(Frame, frozen=True, tag=81):
    """`entry` is None until the second officer's approval is logged; then the answer is handed out, once and again."""

    id: RequestId
    answer: Annotated[bytes, Meta(max_length=4_096)]
    entry: Placed | None


class Alarm(IntEnum):
    """What a Notice is about."""

    LOW_KEY_PACKAGES = 1
    DRAINING = 2
    CHARTER = 3
    CUT_OFF = 4


class Notice(Frame, frozen=True, tag=82):
    """`retry_after` (ms): of a drain, when this device may come again; each is told another time."""

    alarm: Alarm
    detail: Text
    retry_after: Uint = 0


class Remind(Frame, frozen=True, tag=83):
    """An alert waits for this person's answer: its ladder has come to the road "app". `place`: where it stands in a channel of this
    device's; None where it stands in none: then somebody is wanted, and learns here no more than that. Its id comes again if
    the gateway was stopped in the middle; it is one reminder all the same."""

    notice: Hash
    root: Hash
    rung: Uint
    place: Position | None


class Reachable(Part, frozen=True):
    """A device as the gateway sees it: whether it is connected, when its last session ended since the gateway started (0: it had
    none), and the names of the roads off the platform by which its person can be woken. It is the gateway's word, not evidence."""

    device: Id
    connected: bool
    seen: Millis
    roads: Annotated[list[RoadName], Meta(max_length=ROADS_LIMIT)]


class Reach(Frame, frozen=True, tag=84):
    """A page of devices, none after the last; and all of the gateway's roads."""

    id: RequestId
    roads: Annotated[list[RoadName], Meta(max_length=ROADS_LIMIT)]
    devices: Annotated[list[Reachable], Meta(max_length=LIST_LIMIT)]


class Fired(Part, frozen=True):
    """A rung that was fired, the `number`-th of this alert; `why` as `keys.ladder.Why`. Its ESCALATION stands in the control channel
    at `seq`. `unreached`: for whom the road had no way."""

    number: Positive
    rung: Uint
    road: RoadName
    why: Annotated[int, Meta(ge=1, le=255)]
    time: Millis
    seq: Positive
    woken: Uint
    unreached: Uint


class NoticeState(IntEnum):
    """How far a notice is."""

    QUEUED = 1
    SENT = 2  # the road has taken it
    FAILED = 3  # the road will not take it, or has no way to this person
    WITHDRAWN = 4  # the person answered, or the alert ended or stopped, before it was sent


class Woken(Part, frozen=True):
    """One person to be woken by one road. `detail`: what the road said, never an address."""

    number: Positive
    firing: Positive
    person: Id
    road: RoadName
    state: NoticeState
    time: Millis
    attempts: Uint
    detail: Text


class Escalation(Frame, frozen=True, tag=85):
    """An alert as its ladder sees it. `next_rung` is fired at `next_time` (0: none is waited for, or it is being fired); `ended` as
    the gateway's `Ending` (0: it is not). A page of notices, none after the last. It is the gateway's word; the entries in the log
    are the evidence."""

    id: RequestId
    asked: Uint
    answered: Uint
    ended: Annotated[int, Meta(ge=0, le=255)]
    stopped: bool
    next_rung: Uint
    next_time: Millis
    fired: Annotated[list[Fired], Meta(max_length=LIST_LIMIT)]
    notices: Annotated[list[Woken], Meta(max_length=LIST_LIMIT)]


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
FromGateway = (
    Challenge
    | Ready
    | Accepted
    | Refused
    | Done
    | Deliver
    | Deliveries
    | Channels
    | Joined
    | BodyChunk
    | Named
    | KeyPackages
    | Certificates
    | Proven
    | Witnessed
    | Logged
    | CharterNote
    | Directory
    | Enrolments
    | Enrolment
    | Notice
    | Reach
    | Remind
    | Escalation
)

read_from_device: Callable[[bytes], FromDevice] = reader(FromDevice, limit=FRAME_LIMIT)  # type: ignore[arg-type]
"""What a device sent; raises `keys.errors.Malformed`."""

read_from_gateway: Callable[[bytes], FromGateway] = reader(FromGateway, limit=FRAME_LIMIT)  # type: ignore[arg-type]
"""What the gateway sent; raises `keys.errors.Malformed`."""


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
