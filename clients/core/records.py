"""The shelves of a device's ledger, and the record that stands on each. Keys are named beside the shelf.

Every record is canonical msgpack, so a vault that was written half or by another hand is refused as `Malformed` rather than
misread.
"""

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from clients.core.ledger import Shelf
from keys.alert import AlertFields, Draft, Signing
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint
from keys.envelope import Kind, Marking, Precedence

Chained = Annotated[bytes, Meta(max_length=32)]


class Identity(Record, frozen=True, array_like=True):
    """Who this device is. `certificate` is DER; `card` the registrar-signed card's bytes (empty for registrars)."""

    device: Id
    person: Id
    organisation: str
    roles: list[str]
    certificate: bytes
    certificate_hash: Hash
    not_before: Millis
    not_after: Millis
    registrar: bool
    card: bytes


class Seed(Record, frozen=True, array_like=True):
    """The seed of a signing key of this device."""

    seed: Hash


class Note(Record, frozen=True, array_like=True):
    """Bytes that are kept as they came: a charter's note, a checkpoint, a blob to put or got."""

    data: bytes


class Enrolling(Record, frozen=True, array_like=True):
    """An enrolment under way: the invite's link, the new key's seed, the request sent, the charter's notes."""

    link: str
    seed: Hash
    request: bytes
    charter: list[bytes]


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


class Fate(IntEnum):
    """What became of an envelope here."""

    TAKEN = 1  # verified and, where it has content, decrypted
    UNREADABLE = 2  # verified outside, could not be opened
    HIDDEN = 3  # opened, and not what it should be
    REFUSED = 4  # breaks a rule
    OWN = 5


class Line(Record, frozen=True, array_like=True):
    """An envelope with its place, as delivered, the rolling hash after it, and what became of it."""

    index: Uint
    time: Millis
    nonce: Id
    header: bytes
    signature: bytes
    rolling: Chained  # empty while processed ahead
    fate: Fate


class Message(Record, frozen=True, array_like=True):
    """Content for people. `reason` says why there is none to show. `shown` is 0 until somebody has seen it (ms)."""

    device: Id
    certificate: Hash
    kind: Kind
    epoch: Uint
    time: Millis  # sealed, by the sender's clock
    placed: Millis  # accepted, by the gateway's clock
    precedence: Precedence
    marking: Marking
    expires: Millis
    header_hash: Hash
    alert: AlertFields | None
    salt: bytes
    content: bytes
    reason: str
    shown: Millis


class Item(Record, frozen=True, array_like=True):
    """An act of this device on its way out. `number` is 0 until it is handed to the link; then `header`, `signature` and
    `body` are fixed, and only a refusal signed by the gateway lets the number be sealed again.

    `content` is what is to be encrypted, or the body of a kind that is not; `uploads` must be put in chunks before.
    """

    stream: Id
    kind: Kind
    precedence: Precedence
    marking: Marking
    expires: Millis
    salt: bytes
    content: bytes
    alert: AlertFields | None
    uploads: list[Hash]
    composed: Millis
    epoch: Uint
    run: Uint
    number: Uint
    attempt: Uint
    header: bytes
    signature: bytes
    body: bytes


class Sent(Record, frozen=True, array_like=True):
    """Where an item of the outbox has got to: its place once it is accepted."""

    stream: Id
    kind: Kind
    header_hash: Chained
    seq: Uint
    refused: str
    time: Millis


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


class Package(Record, frozen=True, array_like=True):
    """A KeyPackage of this device, its secrets, and the certificate whose key signed it. `not_after` in seconds."""

    suite: int
    package: bytes
    secrets: bytes
    certificate: Hash
    last_resort: bool
    not_after: Uint
    put: bool
    used: bool


class Certificate(Record, frozen=True, array_like=True):
    """A certificate with its approval's log entry; it counts once `proven`."""

    der: bytes
    device: Id
    approver: Hash  # the approver's certificate
    index: Uint
    time: Millis
    leaf_hash: Hash
    proven: bool


class Revocations(Record, frozen=True, array_like=True):
    """An organisation's newest list, its log index, and the log index at which each serial first stood on one."""

    der: bytes
    index: Uint
    number: Uint
    this_update: Millis
    serials: list[tuple[str, Uint]]


class Unproven(Record, frozen=True, array_like=True):
    """An entry that has to be under a checkpoint: sent, shown or applied here. `due` is when its absence is an alarm (ms)."""

    leaf_hash: Hash
    channel: Id
    seq: Positive
    device: Id
    due: Millis
    promised: bool
    alarmed: bool


class Received(Record, frozen=True, array_like=True):
    """What another device has said it has got of a channel: the ends of gap-free ranges as (first, last)."""

    delivered: list[tuple[Positive, Positive]]
    shown: list[tuple[Positive, Positive]]
    time: Millis


class Claim(Record, frozen=True, array_like=True):
    """What another device says the rolling hash is at a seq that this one has not reached."""

    device: Id
    rolling: Hash
    time: Millis


class Given(Record, frozen=True, array_like=True):
    """How far this device has given receipts for a channel, and what was shown since."""

    upto: Uint
    shown: list[Positive]
    confirmed: Uint = 0  # the newest epoch that it has confirmed


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


class Alert(Record, frozen=True, array_like=True):
    """An alert that this device sent or received, by root. `options` are in the order of the document's, `places` (channel,
    seq), seq 0 while not accepted. `sender` is the device that sealed it; `ended` the root of what replaced, cancelled or
    cleared it, empty while it holds."""

    draft: Draft
    writer: Signing
    approval: Signing | None
    cap: bytes
    options: list[int]
    reason: str
    marking: Marking
    sender: Id
    mine: bool
    time: Millis
    places: list[tuple[Id, Uint]]
    targets: list[Id]
    ended: Chained

    @property
    def alone(self) -> bool:
        return self.approval is None


class Submitted(Record, frozen=True, array_like=True):
    """A frozen draft that came by a desk channel, or left by one: its content's bytes, its writer's device, and what became
    of it in words (empty while it waits)."""

    channel: Id
    writer: Id
    content: bytes
    time: Millis
    fate: str


class Announced(Record, frozen=True, array_like=True):
    """An APPROVAL, JUMP, ESCALATION or refused attempt of the control channel, as its body."""

    kind: Kind
    device: Id
    body: bytes
    time: Millis


class AlertDraft(Record, frozen=True, array_like=True):
    """An alert that is being composed on this device: kept, and not yet frozen (`clients.core.composing`).

    `cap` has passed the schema and every text rule. Where it was `written` here, its times are set anew when it is frozen and
    it ends `lasts` ms later; a file's own bytes are never changed. `ladder` is the encoding of a `keys.ladder.Ladder`, empty for
    none. `references` are the roots that it updates, cancels or clears. `root` is the approval root once it was frozen.
    """

    type: Annotated[int, Meta(ge=1, le=4)]  # alert, update, cancel, all-clear
    cap: bytes
    written: bool
    lasts: Millis  # 0: until the document's own end
    channels: list[Id]
    marking: Marking
    release: str  # why people of other organisations may have it
    ladder: bytes
    references: list[Hash]
    template: str  # empty where it was made from a file
    version: Uint  # of the template
    composed: Millis
    root: Chained


class Answer(Record, frozen=True, array_like=True):
    """What a device answered."""

    channel: Id
    seq: Uint
    option: Uint
    time: Millis
    text: str


class Word(IntEnum):
    """What this device knows of an answer to the challenge."""

    NONE = 0  # no answer has come
    RIGHT = 1
    WRONG = 2
    UNCHECKED = 3  # this device has not got the mission's word


class Emergency(Record, frozen=True, array_like=True):
    """An SOS, by its header hash. `requests` are the STAND_DOWNs of its author as (seq, header hash); `ended` is 0 until another
    device (`confirmed`) has confirmed one of them."""

    channel: Id
    seq: Positive
    device: Id
    person: Id
    time: Millis
    placed: Millis
    content: bytes
    requests: list[tuple[Positive, Hash]]
    requested: Millis
    word: Word
    confirmed: Annotated[bytes, Meta(max_length=16)]
    ended: Millis


class Move(Record, frozen=True, array_like=True):
    """A check-in plan, by its header hash. `said` are the check-ins as (when it came, what was due); `ended` is 0 while it is
    open."""

    channel: Id
    seq: Positive
    device: Id
    person: Id
    placed: Millis
    due: list[Millis]
    grace: Uint
    said: list[tuple[Millis, Millis]]
    ended: Millis


class Page(Record, frozen=True, array_like=True):
    """The newest PlanPage of a device in a channel."""

    route: str
    legs: list[str]
    due: list[Millis]


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


class Counter(Record, frozen=True, array_like=True):
    value: Uint


class Reminder(Record, frozen=True, array_like=True):
    """The newest reminder of an alert: the gateway's name for it, and a channel where the alert stands (b"": in none of this device's)."""

    notice: Hash
    rung: Uint
    channel: bytes
    time: Millis
    shown: bool


class Peer(Record, frozen=True, array_like=True):
    """A device of the directory."""

    person: Id
    organisation: str
    roles: list[str]
    certificate: Hash
    not_after: Millis
    revoked: bool
    packages: Uint


IDENTITY: Final = Shelf("identity", Identity)  # ""
SEEDS: Final = Shelf("seed", Seed)  # certificate hash
ENROLLING: Final = Shelf("enrolling", Enrolling)  # ""; "renewal"
CHARTERS: Final = Shelf("charter", Note)  # version, 8 bytes
CHECKPOINT: Final = Shelf("checkpoint", Note)  # ""
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
LINES: Final = Shelf("line", Line)  # channel ‖ seq
AHEAD: Final = Shelf("ahead", Line)  # channel ‖ seq: processed before its turn
NAMES: Final = Shelf("name", Note)  # header hash of a message: channel ‖ seq
MESSAGES: Final = Shelf("message", Message)  # channel ‖ seq
UNSHOWN: Final = Shelf("unshown", Counter)  # channel ‖ seq
OUTBOX: Final = Shelf("outbox", Item)  # item id
SENT: Final = Shelf("sent", Sent)  # item id
INTENTS: Final = Shelf("intent", Intent)  # intent id
PENDING: Final = Shelf("pending", Pending)  # channel
BLOBS: Final = Shelf("blob", Note)  # hash: to be put in chunks
OWNED: Final = Shelf("owned", Counter)  # header hash: the seq it got, 0 before
OUTCOMES: Final = Shelf("outcome", Note)  # intent id: why it came to nothing, UTF-8; empty where it was done
EVIDENCE: Final = Shelf("evidence", Note)  # SHA-256: a file of keys.evidence
FORKED: Final = Shelf("forked", Note)  # origin of a log that has signed two trees: the evidence's name
HEADS: Final = Shelf("head", Head)  # size, 8 bytes
SEEN: Final = Shelf("seen", SeenBy)  # device
SHOWN: Final = Shelf("shown", Note)  # device: the checkpoint that it has shown last
CONFIRMED: Final = Shelf("confirmed", Note)  # channel ‖ epoch: what this device confirms of it
PROMISES: Final = Shelf("promise", Note)  # log index, 8 bytes: the gateway's statement
CHARGES: Final = Shelf("charge", Charge)  # log index, 8 bytes
REFUSED: Final = Shelf("refused", Note)  # header hash: the gateway's signed refusal
PACKAGES: Final = Shelf("package", Package)  # KeyPackageRef
CERTIFICATES: Final = Shelf("certificate", Certificate)  # hash
HOLDERS: Final = Shelf("holder", Counter)  # device ‖ certificate hash
REVOCATIONS: Final = Shelf("revocations", Revocations)  # organisation
UNPROVEN: Final = Shelf("unproven", Unproven)  # log index, 8 bytes
POSITIONS: Final = Shelf("position", Counter)  # stream: control channel and receipt streams
RECEIVED: Final = Shelf("received", Received)  # channel ‖ device
CLAIMS: Final = Shelf("claim", Claim)  # channel ‖ seq ‖ device
GIVEN: Final = Shelf("given", Given)  # channel
ALERTS: Final = Shelf("alert", Alert)  # root
ALERT_IDS: Final = Shelf("alert id", Note)  # an alert's id: the root it was used for
FOLLOWERS: Final = Shelf("follower", Counter)  # root ‖ root of the update, cancel or all-clear that names it
SUBMITTED: Final = Shelf("submitted", Submitted)  # root
REASONS: Final = Shelf("reason", Note)  # a JUMP's hash of it: the reason in words
ANNOUNCED: Final = Shelf("announced", Announced)  # root ‖ seq in the control channel
DRAFTS: Final = Shelf("draft", AlertDraft)  # draft id
ANSWERS: Final = Shelf("answer", Answer)  # root ‖ device
EMERGENCIES: Final = Shelf("emergency", Emergency)  # header hash of the SOS
MOVES: Final = Shelf("move", Move)  # header hash of the plan
PAGES: Final = Shelf("page", Page)  # channel ‖ device
WORD: Final = Shelf("word", Note)  # "": digest of the mission's word
DISCLOSURES: Final = Shelf("disclosure", Asked)  # header hash of the request
REQUEST_KEYS: Final = Shelf("request key", Seed)  # public key: what this auditor's device opens packages with
PACKAGED: Final = Shelf("packaged", Note)  # header hash of the request: the sealed package
DESTRUCTIONS: Final = Shelf("destruction", Destroying)  # header hash of the order
TOMBSTONES: Final = Shelf("tombstone", Note)  # channel ‖ seq in the control channel
SWEPT: Final = Shelf("swept", Counter)  # channel: up to which seq its content was destroyed here
EXPIRING: Final = Shelf("expiring", Counter)  # when (ms, 8 bytes) ‖ channel ‖ seq
ALARMS: Final = Shelf("alarm", Alarm)  # number, 8 bytes
REMINDERS: Final = Shelf("reminder", Reminder)  # root
PEERS: Final = Shelf("peer", Peer)  # device
CARDS: Final = Shelf("card", Note)  # device
COUNTERS: Final = Shelf("counter", Counter)  # name
