"""The envelope: one signed act of one device, the only unit that the gateway moves, and its entry in the log.

    envelope = header · signature · body
    header   = [context, length of body, SHA-256 of body]          the exact bytes that are signed
    context  = [version, kind, device, channel, epoch, number, …]  the exact bytes that MLS authenticates
    entry    = [version, gateway time, nonce, channel, seq, header, signature]   a leaf of the log, never body bytes

SHA-256(label ‖ context) is the MLS authenticated_data of what the body carries, so the inside binds the context; the header
holds the body's hash, so the outside binds the body; nothing is circular.

A device numbers its envelopes per channel, 1, 2, 3 …, and each header holds the hash of the header and signature before it.
So a *run* of application, receipt or check-in envelopes needs one signature, on the last: `verify_run` turns claimed
`Envelope`s into `Verified` ones all together or not at all, and only `Verified` goes further in.
"""

from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta, Struct

from keys.alert import AlertFields
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint, encode, reader
from keys.errors import BadSignature, Malformed
from keys.identity import SigningKey, Verify, verify

VERSION: Final = 1
NOTHING: Final = bytes(32)  # `previous` of number 1, and the rolling hash of an empty channel
RUN_LIMIT: Final = 64
ATTEMPTS: Final = 255  # at most, after the first: a number that was refused once more says nothing any more
CONTEXT_LIMIT: Final = 2_560  # an alert's fields take up to 2,000 bytes of it
HEADER_LIMIT: Final = 2_688
ENTRY_LIMIT: Final = 65_535  # C2SP tlog-tiles: an entry's length is a uint16


class Kind(IntEnum):
    """What an envelope does: a closed list. Each kind has a label of its own, so none passes for another."""

    CHANNEL_CREATED = 1
    APPLICATION = 2
    COMMIT = 3
    PROPOSAL = 4
    COMMIT_REFUSED = 5
    RECEIPT = 6
    FRANKING_COMPLAINT = 7
    ALERT = 8
    APPROVAL = 9
    REFUSED_ATTEMPT = 10
    ACK = 11
    CHECK_IN_PLAN = 12
    CHECK_IN = 13
    SOS = 14
    STAND_DOWN = 15
    ENROLMENT = 16
    CERTIFICATE = 17
    REVOCATION_LIST = 18
    OFFICE = 19
    RESYNC_APPROVAL = 20
    WIPE = 21
    CHARTER = 22
    GATEWAY_ACT = 23
    DISCLOSURE_REQUEST = 24
    DISCLOSURE_VOTE = 25
    DISCLOSURE = 26
    AUDITOR_READ = 27
    TOMBSTONE = 28
    FILLER = 29
    ESCALATION = 30
    JUMP = 31
    REVIEW = 32
    UNLOCK = 33
    WITHHELD = 34
    DESTRUCTION = 35

    @property
    def label(self) -> str:
        """The label under which headers of this kind are signed."""
        return _LABELS[self]


_LABELS: Final = {kind: f"envelope {kind.name.lower().replace('_', ' ')}" for kind in Kind}

CHAINED: Final = frozenset({Kind.APPLICATION, Kind.RECEIPT, Kind.CHECK_IN})
"""Kinds whose signature may be left to the last envelope of the run."""

ENCRYPTED: Final = frozenset({Kind.APPLICATION, Kind.ALERT, Kind.SOS, Kind.CHECK_IN})
"""Kinds whose body is an MLS PrivateMessage."""

PUBLISHED: Final = frozenset(
    {
        Kind.CHARTER,
        Kind.CERTIFICATE,
        Kind.REVOCATION_LIST,
        Kind.COMMIT,
        Kind.PROPOSAL,
        Kind.DISCLOSURE_REQUEST,
        Kind.DISCLOSURE_VOTE,
        Kind.DISCLOSURE,
        Kind.AUDITOR_READ,
        Kind.TOMBSTONE,
        Kind.DESTRUCTION,
        Kind.CHANNEL_CREATED,
        Kind.GATEWAY_ACT,
        Kind.RESYNC_APPROVAL,
        Kind.APPROVAL,
        Kind.REFUSED_ATTEMPT,
        Kind.STAND_DOWN,
        Kind.ESCALATION,
        Kind.JUMP,
        Kind.REVIEW,
        Kind.WITHHELD,
    }
)
"""Kinds whose body the log hands out under `body/<hash>`; no other body is ever published."""


class Precedence(IntEnum):
    """What goes first; the smaller the sooner."""

    FLASH = 0
    IMMEDIATE = 1
    PRIORITY = 2
    ROUTINE = 3


class Marking(IntEnum):
    """TLP 2.0 labels in their order of strictness; combining takes the highest."""

    CLEAR = 0
    GREEN = 1
    AMBER = 2
    AMBER_STRICT = 3
    RED = 4

    @property
    def label(self) -> str:
        """As FIRST writes it: `TLP:AMBER+STRICT`."""
        return "TLP:" + self.name.replace("_", "+")

    @classmethod
    def parse(cls, label: str) -> "Marking":
        """Read a label exactly as FIRST writes it.

        Raises:
            Malformed: anything else, TLP:WHITE of version 1 included: a label is never guessed.
        """
        for marking in cls:
            if marking.label == label:
                return marking
        raise Malformed(f"{label!r} is no TLP 2.0 label; use one of {', '.join(m.label for m in cls)}")


class Heard(Record, frozen=True, array_like=True, gc=False):
    """The place in a channel up to which a device has processed everything, and the rolling hash there."""

    seq: Uint
    rolling: Hash


UNHEARD: Final = Heard(0, NOTHING)


class Context(Record, frozen=True, array_like=True, gc=False):
    """What an envelope is, where it stands and what its device had seen (ARCHITECTURE section 5)."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    kind: Kind
    device: Id
    channel: Id
    epoch: Uint
    number: Positive
    attempt: Annotated[int, Meta(ge=0, le=ATTEMPTS)]
    previous: Hash
    heard: Heard
    time: Millis
    precedence: Precedence
    marking: Marking
    expires: Millis  # 0: as the channel's class says
    franking: Annotated[bytes, Meta(max_length=32)]  # 32 bytes, or none where there is no content
    alert: AlertFields | None

    def authenticated_data(self) -> bytes:
        """The MLS authenticated_data of the body: it binds the inside to this context."""
        return authenticated_data(encode(self))


def bare(
    kind: Kind,
    device: bytes,
    channel: bytes,
    number: int,
    previous: bytes,
    time: int,
    precedence: Precedence,
    *,
    epoch: int = 0,
    attempt: int = 0,
    heard: Heard = UNHEARD,
) -> Context:
    """The context of what says nothing in words: CLEAR, for ever, with no franking tag and no alert. `time` in ms."""
    return Context(
        version=VERSION,
        kind=kind,
        device=device,
        channel=channel,
        epoch=epoch,
        number=number,
        attempt=attempt,
        previous=previous,
        heard=heard,
        time=time,
        precedence=precedence,
        marking=Marking.CLEAR,
        expires=0,
        franking=b"",
        alert=None,
    )


class Header(Record, frozen=True, array_like=True, gc=False):
    """What is signed: the context as its exact bytes, and the body by length and hash."""

    context: Annotated[bytes, Meta(max_length=CONTEXT_LIMIT)]
    body_length: Uint
    body_hash: Hash


class Envelope(Record, frozen=True, array_like=True, gc=False):
    """A header and signature as somebody claims them. The body travels beside it."""

    header: Annotated[bytes, Meta(max_length=HEADER_LIMIT)]
    signature: Annotated[bytes, Meta(max_length=64)]  # empty inside a run

    @property
    def link(self) -> bytes:
        """What the device's next header must hold as `previous`."""
        return sha256(self.header + self.signature).digest()


_read_context = reader(Context, limit=CONTEXT_LIMIT)
_read_header = reader(Header, limit=HEADER_LIMIT)


def authenticated_data(context: bytes) -> bytes:
    """SHA-256(label ‖ context): 32 bytes."""
    return sha256(b"Outrider 1 authenticated data" + context).digest()


class Claimed(Struct, frozen=True, gc=False):
    """An envelope that has been read and not yet checked: use it to find the key, and for nothing else."""

    envelope: Envelope
    header: Header
    context: Context

    @property
    def signed(self) -> bool:
        return len(self.envelope.signature) == 64


class Verified(Struct, frozen=True, gc=False):
    """An envelope whose header one key has signed, itself or through the run that it belongs to."""

    envelope: Envelope
    header: Header
    context: Context

    @property
    def header_hash(self) -> bytes:
        return sha256(self.envelope.header).digest()


def peek(header: bytes) -> tuple[int, int]:
    """Kind and epoch that a header seems to have, before anything is known of it: good to choose a queue by, and for nothing else.
    (0, 0) where it seems to have none.

    header = 93, c4 or c5 with the length of the context; context = 9f, version, kind, c4 10 device, c4 10 channel, epoch
    """
    at = {0xC4: 3, 0xC5: 4}.get(header[1] if len(header) > 1 else 0, 0)
    if not at or len(header) < at + 40:
        return 0, 0
    return header[at + 2], header[at + 39]


def read(envelope: Envelope) -> Claimed:
    """Read what an envelope claims.

    Raises:
        Malformed: header or context is not canonical, or the fields contradict each other.
    """
    header = _read_header(envelope.header)
    context = _read_context(header.context)
    kind = context.kind
    if len(context.franking) != (32 if kind in ENCRYPTED else 0):
        raise Malformed("a franking tag of 32 bytes stands exactly where there is content")
    if (kind is Kind.ALERT) != (context.alert is not None):
        raise Malformed("alert fields stand exactly on alerts")
    if not envelope.signature:
        if kind not in CHAINED:
            raise Malformed(f"every envelope of kind {kind.name} carries its own signature")
    elif len(envelope.signature) != 64:
        raise Malformed("a signature has 64 bytes, or is left to the end of the run")
    if (context.number == 1) != (context.previous == NOTHING):
        raise Malformed("number 1, and no other, has nothing before it")
    if (context.heard.seq == 0) != (context.heard.rolling == NOTHING):
        raise Malformed("who has heard nothing, and nobody else, has an empty rolling hash")
    return Claimed(envelope, header, context)


def check_body(claimed: "Claimed | Verified", body: bytes) -> None:
    """Check that `body` is the one that the header names.

    Raises:
        BadSignature: length or hash differ.
    """
    if len(body) != claimed.header.body_length or sha256(body).digest() != claimed.header.body_hash:
        raise BadSignature("this body is not the one that the header names")


def verify_run(run: Sequence[Claimed], public_key: bytes, check: Verify = verify) -> tuple[Verified, ...]:
    """Check a run: one device, one channel, gap-free numbers, each hash, and the signature that closes it.

    Only kinds of `CHAINED` stand in a run with others; any other is a run of its own.

    Raises:
        Malformed: empty, too long, mixed, out of order, or more than the last one signed.
        BadSignature: a hash or the closing signature does not hold.
    """
    if not 1 <= len(run) <= RUN_LIMIT:
        raise Malformed(f"a run has 1 to {RUN_LIMIT} envelopes")
    last = run[-1]
    device, channel = last.context.device, last.context.channel
    for before, after in pairwise(run):
        this, following = before.context, after.context
        if before.signed:
            raise Malformed("only the last envelope of a run is signed")
        if this.device != device or this.channel != channel:
            raise Malformed("a run has one device and one channel")
        if following.number != this.number + 1:
            raise Malformed("the numbers of a run rise by one")
        if following.previous != before.envelope.link:
            raise BadSignature("the chain of this run is broken")
        if this.kind not in CHAINED or following.kind not in CHAINED:
            raise Malformed("a kind that is always signed is a run of its own")
    if not last.signed:
        raise Malformed("nobody has signed this run")
    check(public_key, last.context.kind.label, last.envelope.header, last.envelope.signature)
    return tuple(Verified(c.envelope, c.header, c.context) for c in run)


def seal(context: Context, body: bytes, key: SigningKey | None) -> Envelope:
    """Make an envelope around a body; without a key it is left for the run's last one to sign."""
    header = encode(Header(encode(context), len(body), sha256(body).digest()))
    return Envelope(header, key.sign(context.kind.label, header) if key else b"")


def header_hashes(run: Sequence[Verified]) -> list[bytes]:
    """The hash of each header of a run. Inside it is the link, for want of a signature: the next one has named it, and was checked."""
    return [*(following.context.previous for following in run[1:]), run[-1].header_hash]


def rolled(before: bytes, header_hash: bytes) -> bytes:
    """The channel's rolling hash after one more envelope: H(previous rolling ‖ header hash)."""
    return sha256(before + header_hash).digest()


def rolling(before: bytes, header: bytes) -> bytes:
    """The same, of the header itself."""
    return rolled(before, sha256(header).digest())


class Entry(Record, frozen=True, array_like=True, gc=False):
    """A leaf of the log: an envelope given its place. Its leaf hash is RFC 6962's over `encode(entry)`."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    time: Millis  # the gateway's clock
    nonce: Id  # so that a leaf hash tells nothing to who can't see the leaf
    channel: Id
    seq: Positive
    header: Annotated[bytes, Meta(max_length=HEADER_LIMIT)]
    signature: Annotated[bytes, Meta(max_length=64)]

    @property
    def envelope(self) -> Envelope:
        return Envelope(self.header, self.signature)


read_entry = reader(Entry, limit=ENTRY_LIMIT)
"""Read a log leaf; raises `Malformed`."""
