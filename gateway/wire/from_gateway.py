"""What the gateway says: answers, with the id of what was asked, and what it tells by itself."""

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from gateway.wire.parts import (
    LIST_LIMIT,
    ROADS_LIMIT,
    RUN_LIMIT,
    BodyLength,
    ChannelState,
    Chunk,
    Claim,
    Frame,
    Note,
    Part,
    Path,
    Pending,
    Person,
    Place,
    Placed,
    Position,
    Refusal,
    RequestId,
    RoadName,
    Text,
)
from keys.canonical import Hash, Id, Key, Millis, Positive, Signature, Uint
from keys.envelope import Heard


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
