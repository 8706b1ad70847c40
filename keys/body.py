"""What stands in the bodies that are not encrypted, one record a kind.

    CHANNEL_CREATED     ChannelCreated     the group's public beginning
    COMMIT              Commit             the MLS commit; Welcome and GroupInfo by hash
    PROPOSAL            the MLS message itself
    COMMIT_REFUSED      CommitRefused      who can't process a commit says which and why
    RECEIPT             Receipt            ranges received, decrypted and shown, the newest checkpoint seen, the epoch as it is here
    FRANKING_COMPLAINT  Complaint
    APPROVAL            Approval           an alert that two people have signed, or one alone, before it is sent
    REFUSED_ATTEMPT     RefusedAttempt     an alert that the gateway refused, without its text
    WITHHELD            Withheld           an alert that its author's own device refused, by that device
    REVIEW              Review             somebody else has looked at an alert that one sent alone
    ACK                 Ack                a person's answer, by number
    ESCALATION, JUMP    Escalated, Jump    what the ladder did and who jumped on it (`keys.ladder`)
    RESYNC_APPROVAL     ResyncApproval     a device that lost its way may come in again by an external commit
    CERTIFICATE         the certificate's DER
    REVOCATION_LIST     the X.509 CRL's DER
    CHARTER             the charter's signed note
    GATEWAY_ACT         GatewayAct
    AUDITOR_READ        AuditorRead        an auditor is given entries of the log
    FILLER              nothing

APPLICATION and ALERT carry an MLS PrivateMessage. The marking, class and charter of a channel are agreed by all members in
`ChannelTerms`, an extension of the GroupContext.
"""

from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from keys.alert import TARGETS, AlertFields, Draft, Opening, Signing
from keys.canonical import Hash, Id, Millis, Positive, Record, Uint, encode, reader
from keys.envelope import Kind, Marking
from keys.errors import Malformed
from keys.words import Words

TERMS_EXTENSION: Final = 0xF0D1  # private use, RFC 9420 section 17.3
RANGE_LIMIT: Final = 32
LADDER_LIMIT: Final = 32 * 1024
RESYNC_LIMIT: Final = 16_384  # bytes of a GroupInfo without its tree


class ChannelTerms(Record, frozen=True, array_like=True):
    """What all members of a channel agree on by signature: its extension_data in the GroupContext.

    `beside` is the talk channel that an alert channel stands beside; None for every other.
    """

    charter_version: Positive
    channel_class: Annotated[str, Meta(min_length=1, max_length=100)]
    ceiling: Marking
    beside: Id | None = None

    def encode(self) -> bytes:
        return encode(self)


class ChannelCreated(Record, frozen=True, array_like=True):
    """MLS GroupInfo (an MLSMessage) of epoch 0 and its ratchet tree: one leaf, the creator's."""

    group_info: bytes
    ratchet_tree: bytes


class Commit(Record, frozen=True, array_like=True):
    """An MLS commit (an MLSMessage) with the SHA-256 of its Welcome, if it adds anybody, and of the new GroupInfo."""

    commit: bytes
    welcome: Hash | None
    group_info: Hash


class CommitRefused(Record, frozen=True, array_like=True):
    """This device can't process the commit at `seq`; `rule` is the error's name."""

    seq: Positive
    header_hash: Hash
    rule: Annotated[str, Meta(max_length=200)]


class Range(Record, frozen=True, array_like=True):
    """Seqs first to last, and the channel's rolling hash at the last."""

    first: Positive
    last: Positive
    rolling: Hash


class Seen(Record, frozen=True, array_like=True):
    """Size and root of the newest checkpoint that the device has verified."""

    size: Uint
    root: Hash


class Confirmed(Record, frozen=True, array_like=True):
    """The key schedule of an epoch as this device has it: `confirmation` of its epoch authenticator (RFC 9420 section 8.7)."""

    epoch: Uint
    digest: Hash


def confirmation(channel: bytes, epoch: int, epoch_authenticator: bytes) -> bytes:
    """What a receipt says of an epoch: 32 bytes that are the same for all who share its secrets.

    A hash, and not the authenticator itself: that stays good for a comparison by word of mouth.
    """
    return sha256(b"Outrider 1 epoch confirmation" + channel + epoch.to_bytes(8, "big") + epoch_authenticator).digest()


Ranges = Annotated[list[Range], Meta(max_length=RANGE_LIMIT)]


class Receipt(Record, frozen=True, array_like=True):
    """What a device has got of a channel since its last receipt. The first one of each epoch confirms the epoch."""

    channel: Id
    received: Ranges
    decrypted: Ranges
    shown: Ranges
    seen: Seen | None
    confirmed: Confirmed | None = None


class Complaint(Record, frozen=True, array_like=True):
    """The content at `seq` is not the one that its header commits to."""

    seq: Positive
    header_hash: Hash


class LadderOpening(Record, frozen=True, array_like=True):
    """What a draft's ladder commitment stands for: the encoding of a `keys.ladder.Ladder`."""

    salt: Id
    ladder: Annotated[bytes, Meta(max_length=LADDER_LIMIT)]


class Approval(Record, frozen=True, array_like=True):
    """An alert as its sender announces it to the gateway and the officers, before it goes to any channel.

    Without an `approval` one officer sends it alone. `channels` are all that it is for, `padding` the leaves of its audience
    that stand for none.
    """

    draft: Draft
    writer: Signing
    approval: Signing | None
    channels: Annotated[list[Opening], Meta(min_length=1, max_length=TARGETS)]
    padding: Annotated[list[Hash], Meta(max_length=TARGETS)]
    ladder: LadderOpening | None

    def is_of(self, fields: AlertFields) -> bool:
        """Whether an alert's header was announced by this."""
        return (self.draft, self.writer, self.approval) == (fields.draft, fields.writer, fields.approval)


class RefusedAttempt(Record, frozen=True, array_like=True):
    """Somebody tried to alert and was refused: who, by what, and why as a number of the protocol. Never what it said."""

    device: Id
    kind: Kind
    refusal: Uint


class Withheld(Record, frozen=True, array_like=True):
    """This device refused to let its own user alert: to write or send one (ALERT) or to approve one (APPROVAL), and why as a number
    of the protocol. Never what it said, nor whom it was for."""

    what: Kind
    refusal: Annotated[int, Meta(ge=0, le=255)]


class Review(Record, frozen=True, array_like=True):
    """An alert that one person sent alone was reviewed by another. `finding` is a salted hash: the text goes to the officers."""

    root: Hash
    finding: Hash


class Ack(Record, frozen=True, array_like=True):
    """A person's answer. `root` is the alert's root, or the header hash of a message that asked for an answer; `option`
    is a number whose meaning is inside the encryption (0: seen and acknowledged). `words` are for officers alone. The body's hash
    stands in the log, whose readers are not told the number: `salt`, 16 random bytes, keeps them from trying all."""

    root: Hash
    option: Annotated[int, Meta(ge=0, le=255)]
    words: Words | None
    salt: Id


class ResyncApproval(Record, frozen=True, array_like=True):
    """A member of this channel may come in again, once, by an external commit that ends `epoch` and removes its old leaf.

    `group_info` (an MLSMessage) is that epoch's GroupInfo with its external key: nobody else is ever given one.
    """

    device: Id
    epoch: Uint
    group_info: Annotated[bytes, Meta(max_length=RESYNC_LIMIT)]


class Act(IntEnum):
    """What a gateway says of itself."""

    START = 1
    STOP = 2
    CONFIGURATION = 3
    BACKUP = 4
    RESTORE = 5
    WITNESSES = 6  # their quorum is late, or cosigns again


class AuditorRead(Record, frozen=True, array_like=True):
    """An auditor, by the charter's name for that one, is given entries and published bodies of the log up to `size`, until that
    moment of the gateway's clock (ms)."""

    auditor: Annotated[str, Meta(min_length=1, max_length=100)]
    size: Uint
    until: Millis


class GatewayAct(Record, frozen=True, array_like=True):
    """An act of the gateway: what, and a line that an operator understands. Never names, never addresses of people."""

    act: Act
    detail: Annotated[str, Meta(max_length=400)]


BODY_LIMIT: Final = 16 * 1024 * 1024

read_terms = reader(ChannelTerms, limit=512)
read_channel_created = reader(ChannelCreated, limit=BODY_LIMIT)
read_commit = reader(Commit, limit=BODY_LIMIT)
read_commit_refused = reader(CommitRefused, limit=1_024)
_read_receipt = reader(Receipt, limit=16_384)
read_complaint = reader(Complaint, limit=256)
read_approval = reader(Approval, limit=LADDER_LIMIT + 64 * 1024)
read_refused_attempt = reader(RefusedAttempt, limit=256)
read_withheld = reader(Withheld, limit=64)
read_review = reader(Review, limit=256)
read_ack = reader(Ack, limit=32 * 1024)
read_resync_approval = reader(ResyncApproval, limit=RESYNC_LIMIT + 256)
read_auditor_read = reader(AuditorRead, limit=512)
read_gateway_act = reader(GatewayAct, limit=2_048)


def read_receipt(data: bytes) -> Receipt:
    """Read a receipt.

    Raises:
        Malformed: it is none, or its ranges are not in rising order without overlap: a set of seqs is written in one way.
    """
    receipt = _read_receipt(data)
    for ranges in (receipt.received, receipt.decrypted, receipt.shown):
        if any(r.first > r.last for r in ranges) or any(a.last >= b.first for a, b in pairwise(ranges)):
            raise Malformed("the ranges of a receipt rise, and none overlaps another")
    return receipt
