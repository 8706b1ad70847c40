"""What a decision asks the store to do, all of it in the decision's own transaction, in order."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from gateway.core.broadcast import AlertRow, Ending, Firing, Notice, Placing, Position
from gateway.core.rows import CertificateRow, DestructionRow, DisclosureRow, Invitation, Member, Stored, Stream
from gateway.wire import NoticeState, Refusal
from keys.authority import RevocationList
from keys.identity import PersonId

T = TypeVar("T")


class Append(Struct, frozen=True, gc=False):
    """A run in the next places of its stream, and its entries in the log at the same moment: stream and device stand there now.
    `rolling` is the stream's hash after it."""

    run: Sequence[Stored]
    rolling: bytes


class PutStream(Struct, frozen=True, gc=False):
    """A new stream, or one that has changed; where it stands is said by its newest envelope."""

    stream: Stream


class RememberRefusal(Struct, frozen=True, gc=False):
    """These numbers may be sealed again with the next attempt; the same run once more hears the same statement."""

    channel: bytes
    device: bytes
    attempts: tuple[tuple[int, int], ...]  # number and the attempt refused
    refusal: Refusal
    header_hash: bytes  # of the header that closed the run
    statement: bytes


class PutGroup(Struct, frozen=True, gc=False):
    """The changed parts of a channel's PublicGroup; a part that is b"" is dropped."""

    channel: bytes
    parts: Mapping[str, bytes]


class PutTree(Struct, frozen=True, gc=False):
    """The ratchet tree after the commit at `seq`, for those who join there."""

    channel: bytes
    seq: int
    hash: bytes
    data: bytes


class PutMember(Struct, frozen=True, gc=False):
    member: Member


class EndMember(Struct, frozen=True, gc=False):
    channel: bytes
    device: bytes
    left: int


class ChangeLeaf(Struct, frozen=True, gc=False):
    """A member's leaf holds another certificate, or it has come in again at another leaf."""

    channel: bytes
    device: bytes
    leaf: int
    certificate: bytes


class PutResync(Struct, frozen=True, gc=False):
    """A member may come in again by an external commit that ends this epoch."""

    channel: bytes
    device: bytes
    epoch: int


class PutCertificate(Struct, frozen=True, gc=False):
    row: CertificateRow


class PutRevocations(Struct, frozen=True, gc=False):
    """The list, every certificate on it marked, and every channel with such a member blocked."""

    revocations: RevocationList
    seq: int


class PutCharter(Struct, frozen=True, gc=False):
    version: int
    note: bytes


class PutInvitation(Struct, frozen=True, gc=False):
    invitation: Invitation


class DropInvitation(Struct, frozen=True, gc=False):
    invite: bytes


class PutPackage(Struct, frozen=True, gc=False):
    """A KeyPackage in the directory; a last-resort one takes the place of the one before."""

    device: bytes
    suite: int
    data: bytes
    last_resort: bool
    not_after: int  # s


class DropPackages(Struct, frozen=True, gc=False):
    """All of a device's one-time KeyPackages (its key has changed)."""

    device: bytes


class DropEndedPackages(Struct, frozen=True, gc=False):
    """A device's KeyPackages that have ended, those handed out included."""

    device: bytes
    now: int  # s


class TakePackage(Struct, frozen=True, gc=False):
    """Handed out: gone, unless it is the last resort. Claims before `since` count no longer."""

    row: int
    device: bytes
    claimer: bytes
    time: int
    since: int


class PutPiece(Struct, frozen=True, gc=False):
    """One more chunk of a body."""

    device: bytes
    hash: bytes
    length: int
    offset: int
    data: bytes
    time: int


class DropUpload(Struct, frozen=True, gc=False):
    """What was put of a body that turned out to be another, or that nobody came back for."""

    hash: bytes


class GiveBlob(Struct, frozen=True, gc=False):
    """A blob may be read by those who are or were a channel's members at `seq`, or by one device."""

    hash: bytes
    channel: bytes = b""
    seq: int = 0
    device: bytes = b""


class PutAlert(Struct, frozen=True, gc=False):
    """An approved alert, with where its ladder stands; `references` are the roots that it updates, cancels or clears."""

    row: AlertRow
    references: tuple[bytes, ...] = ()


class PutPlan(Struct, frozen=True, gc=False):
    """The newest check-in plan of a device in a channel, by the root of its row."""

    channel: bytes
    device: bytes
    root: bytes


class PlaceAlert(Struct, frozen=True, gc=False):
    """It stands in one more channel, and is for these people too. `begun` (ms) counts if it is the first."""

    root: bytes
    placing: Placing
    people: tuple[PersonId, ...]
    begun: int


class PutAnswer(Struct, frozen=True, gc=False):
    """A person has answered for the first time: nothing more is sent to that one. `target`: the alert is for that person;
    `woken`: there may be notices to that one."""

    root: bytes
    person: PersonId
    time: int
    target: bool = True
    woken: bool = True


class PutPosition(Struct, frozen=True, gc=False):
    """Where an alert's ladder stands now."""

    root: bytes
    at: Position


class EndAlert(Struct, frozen=True, gc=False):
    """It wakes nobody any more."""

    root: bytes
    ending: Ending
    time: int


class WithdrawNotices(Struct, frozen=True, gc=False):
    """What of an alert's notices has not been sent is not sent any more."""

    root: bytes
    time: int


class PutFiring(Struct, frozen=True, gc=False):
    """A rung was fired, and these are to be woken by it."""

    root: bytes
    firing: Firing
    notices: tuple[Notice, ...]


class SettleNotice(Struct, frozen=True, gc=False):
    """What came of a try: sent, failed, or queued again until `due`."""

    id: bytes
    state: NoticeState
    due: int
    time: int
    detail: str


class PutRoads(Struct, frozen=True, gc=False):
    """The roads off the platform, and who has an address on which: all there are."""

    roads: tuple[str, ...]
    reached: tuple[tuple[PersonId, str], ...]


class SetReview(Struct, frozen=True, gc=False):
    """Until when an alert is to be reviewed; 0: it was."""

    root: bytes
    review_due: int


class PutDisclosure(Struct, frozen=True, gc=False):
    """A request to see one message; nobody has voted yet."""

    row: DisclosureRow


class PutVote(Struct, frozen=True, gc=False):
    request: bytes
    person: PersonId
    agrees: bool


class PutDisclosed(Struct, frozen=True, gc=False):
    """A participant's device has answered a request."""

    request: bytes
    device: bytes


class PutExpiry(Struct, frozen=True, gc=False):
    """The body at this place ends at this moment (ms)."""

    channel: bytes
    seq: int
    at: int


class PutSwept(Struct, frozen=True, gc=False):
    """The channel's content up to this seq was destroyed by its class's rule."""

    channel: bytes
    seq: int


class PutDestruction(Struct, frozen=True, gc=False):
    """An order to destroy bodies, or that it was carried out."""

    row: DestructionRow


class Destroy(Struct, frozen=True, gc=False):
    """The bodies at these seqs of a channel are destroyed; their envelopes stay."""

    channel: bytes
    seqs: tuple[int, ...]


Effect = (
    Append
    | PutStream
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


class Outcome(Struct, Generic[T], frozen=True, gc=False):
    """What a decision gives: the answer, said only once the effects are durable."""

    answer: T
    effects: tuple[Effect, ...] = ()
