"""What a decision asks the store to do, all of it in the decision's own transaction, in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.core.broadcast import AlertRow, Ending, Firing, Notice, Placing, Position
from gateway.core.view import CertificateRow, DestructionRow, DisclosureRow, Invitation, Member, Stored, Stream
from gateway.wire import NoticeState, Refusal
from keys.authority import RevocationList
from keys.identity import PersonId

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Append:
    """One more envelope in its stream, and its entry in the log at the same moment."""

    stored: Stored


@dataclass(frozen=True, slots=True)
class PutStream:
    """A new stream, or the next state of one that is there."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class PutChain:
    channel: bytes
    device: bytes
    number: int
    link: bytes


@dataclass(frozen=True, slots=True)
class RememberRefusal:
    """These numbers may be sealed again with the next attempt; the same run once more hears the same statement."""

    channel: bytes
    device: bytes
    attempts: tuple[tuple[int, int], ...]  # number and the attempt refused
    refusal: Refusal
    header_hash: bytes  # of the header that closed the run
    statement: bytes


@dataclass(frozen=True, slots=True)
class PutGroup:
    """The changed parts of a channel's PublicGroup; a part that is b"" is dropped."""

    channel: bytes
    parts: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class PutTree:
    """The ratchet tree after the commit at `seq`, for those who join there."""

    channel: bytes
    seq: int
    hash: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class PutMember:
    member: Member


@dataclass(frozen=True, slots=True)
class EndMember:
    channel: bytes
    device: bytes
    left: int


@dataclass(frozen=True, slots=True)
class ChangeLeaf:
    """A member's leaf holds another certificate, or it has come in again at another leaf."""

    channel: bytes
    device: bytes
    leaf: int
    certificate: bytes


@dataclass(frozen=True, slots=True)
class PutResync:
    """A member may come in again by an external commit that ends this epoch."""

    channel: bytes
    device: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class PutCertificate:
    row: CertificateRow


@dataclass(frozen=True, slots=True)
class PutRevocations:
    """The list, every certificate on it marked, and every channel with such a member blocked."""

    revocations: RevocationList
    seq: int


@dataclass(frozen=True, slots=True)
class PutCharter:
    version: int
    note: bytes


@dataclass(frozen=True, slots=True)
class PutInvitation:
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class DropInvitation:
    invite: bytes


@dataclass(frozen=True, slots=True)
class PutPackage:
    """A KeyPackage in the directory; a last-resort one takes the place of the one before."""

    device: bytes
    suite: int
    data: bytes
    last_resort: bool
    not_after: int  # s


@dataclass(frozen=True, slots=True)
class DropPackages:
    """All of a device's one-time KeyPackages (its key has changed)."""

    device: bytes


@dataclass(frozen=True, slots=True)
class DropEndedPackages:
    """A device's KeyPackages that have ended, those handed out included."""

    device: bytes
    now: int  # s


@dataclass(frozen=True, slots=True)
class TakePackage:
    """Handed out: gone, unless it is the last resort. Claims before `since` count no longer."""

    row: int
    device: bytes
    claimer: bytes
    time: int
    since: int


@dataclass(frozen=True, slots=True)
class PutPiece:
    """One more chunk of a body."""

    device: bytes
    hash: bytes
    length: int
    offset: int
    data: bytes
    time: int


@dataclass(frozen=True, slots=True)
class DropUpload:
    """What was put of a body that turned out to be another, or that nobody came back for."""

    hash: bytes


@dataclass(frozen=True, slots=True)
class GiveBlob:
    """A blob may be read by those who are or were a channel's members at `seq`, or by one device."""

    hash: bytes
    channel: bytes = b""
    seq: int = 0
    device: bytes = b""


@dataclass(frozen=True, slots=True)
class PutAlert:
    """An approved alert, with where its ladder stands; `references` are the roots that it updates, cancels or clears."""

    row: AlertRow
    references: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PutPlan:
    """The newest check-in plan of a device in a channel, by the root of its row."""

    channel: bytes
    device: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class PlaceAlert:
    """It stands in one more channel, and is for these people too. `begun` (ms) counts if it is the first."""

    root: bytes
    placing: Placing
    people: tuple[PersonId, ...]
    begun: int


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """A person has answered for the first time: nothing more is sent to that one. `target`: the alert is for that person;
    `woken`: there may be notices to that one."""

    root: bytes
    person: PersonId
    time: int
    target: bool = True
    woken: bool = True


@dataclass(frozen=True, slots=True)
class PutPosition:
    """Where an alert's ladder stands now."""

    root: bytes
    at: Position


@dataclass(frozen=True, slots=True)
class EndAlert:
    """It wakes nobody any more."""

    root: bytes
    ending: Ending
    time: int


@dataclass(frozen=True, slots=True)
class WithdrawNotices:
    """What of an alert's notices has not been sent is not sent any more."""

    root: bytes
    time: int


@dataclass(frozen=True, slots=True)
class PutFiring:
    """A rung was fired, and these are to be woken by it."""

    root: bytes
    firing: Firing
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class SettleNotice:
    """What came of a try: sent, failed, or queued again until `due`."""

    id: bytes
    state: NoticeState
    due: int
    time: int
    detail: str


@dataclass(frozen=True, slots=True)
class PutRoads:
    """The roads off the platform, and who has an address on which: all there are."""

    roads: tuple[str, ...]
    reached: tuple[tuple[PersonId, str], ...]


@dataclass(frozen=True, slots=True)
class SetReview:
    """Until when an alert is to be reviewed; 0: it was."""

    root: bytes
    review_due: int


@dataclass(frozen=True, slots=True)
class PutDisclosure:
    """A request to see one message; nobody has voted yet."""

    row: DisclosureRow


@dataclass(frozen=True, slots=True)
class PutVote:
    request: bytes
    person: PersonId
    agrees: bool


@dataclass(frozen=True, slots=True)
class PutDisclosed:
    """A participant's device has answered a request."""

    request: bytes
    device: bytes


@dataclass(frozen=True, slots=True)
class PutExpiry:
    """The body at this place ends at this moment (ms)."""

    channel: bytes
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class PutSwept:
    """The channel's content up to this seq was destroyed by its class's rule."""

    channel: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class PutDestruction:
    """An order to destroy bodies, or that it was carried out."""

    row: DestructionRow


@dataclass(frozen=True, slots=True)
class Destroy:
    """The bodies at these seqs of a channel are destroyed; their envelopes stay."""

    channel: bytes
    seqs: tuple[int, ...]


Effect = (
    Append
    | PutStream
    | PutChain
    | RememberRefusal
    | PutGroup
    | PutTree
    | PutMember
    | EndMember
    | ChangeLeaf
    | PutResync
    | PutCertificate
    | PutRevocations
    | PutCharter
    | PutInvitation
    | DropInvitation
    | PutPackage
    | DropPackages
    | DropEndedPackages
    | TakePackage
    | PutPiece
    | DropUpload
    | GiveBlob
    | PutAlert
    | PutPlan
    | PlaceAlert
    | PutAnswer
    | PutPosition
    | EndAlert
    | WithdrawNotices
    | PutFiring
    | SettleNotice
    | PutRoads
    | SetReview
    | PutDisclosure
    | PutVote
    | PutDisclosed
    | PutExpiry
    | PutSwept
    | PutDestruction
    | Destroy
)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a decision gives: the answer, said only once the effects are durable."""

    answer: T
    effects: tuple[Effect, ...] = ()
