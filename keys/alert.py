"""The approval root: what two people sign before an alert goes out, and what every recipient opens of it.

    Draft       the common fields; what is secret in them (CAP document, ladder) stands as a salted hash
    root        SHA-256(label ‖ encode(Draft)): "the alert" for signatures, acks, updates and all-clears
    audience    in the draft: Merkle root over one leaf for each target channel, and random ones that hide how many there are
    Signing     writer and approver, each over root, certificate and time; the approver over the writer's signing too
    AlertFields in an alert's header: the draft, this channel's way up to the audience, both signings

A channel's leaf holds the franking tag of the content that goes there, so both signatures cover the very content; and a leaf
tells nothing of the others, so a guest proves both names offline without learning who else was alerted. Several channels get
one alert: one draft, one root, a content sealed anew for each.

Here is what can be checked without a charter: the form of a draft, the way from a channel to its audience, the signatures.
Who may write and approve is `keys.approval`'s concern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Hash, Id, Millis, Record, Signature, encode
from keys.errors import BadSignature, Malformed
from keys.identity import Random, SigningKey, verify, words
from keys.tlog.errors import ProofFailed
from keys.tlog.merkle import check_inclusion, inclusion_proof, leaf_hash, root_of

REFERENCES: Final = 8  # alerts that one alert updates, cancels or clears
OPTIONS: Final = 32  # answers to choose from
LEAST_DEPTH: Final = 3  # of an audience: eight leaves, so that one channel looks like seven
MOST_DEPTH: Final = 8
TARGETS: Final = 1 << MOST_DEPTH  # channels of one alert
LIFE: Final = 30 * 86_400_000  # ms that an alert may last from its writing on
NO_LADDER: Final = bytes(32)
ROOT_WORDS: Final = 8

WRITER: Final = "alert writer"
APPROVAL: Final = "alert approval"


class AlertType(IntEnum):
    """What an alert does to the ones it references. CAP has no all-clear: it is an Update with AllClear and Past."""

    ALERT = 1
    UPDATE = 2
    CANCEL = 3
    ALL_CLEAR = 4

    @property
    def ends(self) -> bool:
        """Whether nothing is left to do once it is known."""
        return self in (AlertType.CANCEL, AlertType.ALL_CLEAR)


class Draft(Record, frozen=True, array_like=True):
    """The common fields of an alert, as its header says them openly."""

    alert: Id
    type: AlertType
    exercise: bool  # CAP status Exercise
    references: Annotated[list[Hash], Meta(max_length=REFERENCES)]  # roots, rising
    cap: Hash  # commitment to the document's original bytes
    ladder: Hash  # commitment to the ladder; NO_LADDER for none
    options: Annotated[list[Annotated[int, Meta(ge=1, le=255)]], Meta(max_length=OPTIONS)]
    """The numbers that answer it, rising: which of them means what is inside the encryption."""
    not_after: Millis  # the alert's end
    deadline: Millis  # of the approval
    audience: Hash

    @property
    def root(self) -> bytes:
        """What both sign, and what everybody calls the alert by."""
        return sha256(b"Outrider 1 alert root" + encode(self)).digest()


def root_words(root: bytes) -> str:
    """An approval root to compare by voice: 128 bits of it, so that nobody makes two drafts of the same words."""
    return words(root, ROOT_WORDS)


class Leaf(Record, frozen=True, array_like=True):
    """The way from one target channel up to the audience."""

    salt: Id
    index: Annotated[int, Meta(ge=0, le=TARGETS - 1)]
    path: Annotated[list[Hash], Meta(min_length=LEAST_DEPTH, max_length=MOST_DEPTH)]


class Signing(Record, frozen=True, array_like=True):
    """A person's signature under the root, by the certificate named, at a time of its own clock (ms)."""

    certificate: Hash
    time: Millis
    signature: Signature


class AlertFields(Record, frozen=True, array_like=True):
    """What an alert's header says openly. Without an approval one officer sent it alone."""

    draft: Draft
    leaf: Leaf
    writer: Signing
    approval: Signing | None

    @property
    def root(self) -> bytes:
        return self.draft.root

    @property
    def alone(self) -> bool:
        return self.approval is None

    @property
    def sender(self) -> bytes:
        """The certificate of who seals it: the approver, by approving; the writer, when alone."""
        return (self.approval or self.writer).certificate


class Opening(Record, frozen=True, array_like=True):
    """One target channel as the gateway and the officers may see it."""

    channel: Id
    salt: Id
    tag: Hash


# --- commitments ---


def cap_commitment(salt: bytes, cap: bytes) -> bytes:
    """The hash that stands for a CAP document. Raises Malformed for a salt of another length than 16."""
    return _commitment(b"Outrider 1 alert cap", salt, cap)


def ladder_commitment(salt: bytes, ladder: bytes) -> bytes:
    """The hash that stands for a ladder, by its bytes. Raises Malformed for a salt of another length than 16."""
    return _commitment(b"Outrider 1 alert ladder", salt, ladder)


def _commitment(label: bytes, salt: bytes, data: bytes) -> bytes:
    if len(salt) != 16:
        raise Malformed("the salt of a commitment has 16 bytes")
    return sha256(label + salt + data).digest()


def _leaf(opening: Opening) -> bytes:
    # Three parts of fixed length, so that none can be taken for another.
    return leaf_hash(b"Outrider 1 alert channel" + opening.salt + opening.channel + opening.tag)


@dataclass(frozen=True, slots=True)
class Audience:
    """All leaves of an alert in their order, the random ones among them: what its maker keeps."""

    leaves: tuple[bytes, ...]

    @classmethod
    def of(cls, openings: Sequence[Opening], random: Random) -> "Audience":
        """Over these channels; padded to a power of two, eight at least. Sorted, so that a place tells nothing."""
        assert 1 <= len(openings) <= TARGETS, "whoever composes counts first"
        missing = max(1 << LEAST_DEPTH, 1 << (len(openings) - 1).bit_length()) - len(openings)
        return cls.over(openings, [leaf_hash(b"Outrider 1 alert padding" + random(32)) for _ in range(missing)])

    @classmethod
    def over(cls, openings: Sequence[Opening], padding: Sequence[bytes]) -> "Audience":
        """Of these channels and these leaves that stand for none."""
        return cls(tuple(sorted([*map(_leaf, openings), *padding])))

    @property
    def root(self) -> bytes:
        return root_of(b"".join(self.leaves))

    def leaf(self, opening: Opening) -> Leaf:
        """The way up from one of its channels."""
        index, size = self.leaves.index(_leaf(opening)), len(self.leaves)
        path = inclusion_proof(
            index, size, lambda level, n: root_of(b"".join(self.leaves[n << level : n + 1 << level]))
        )
        return Leaf(opening.salt, index, list(path))

    def padding(self, openings: Sequence[Opening]) -> list[bytes]:
        """The leaves that stand for no channel."""
        real = set(map(_leaf, openings))
        return [leaf for leaf in self.leaves if leaf not in real]


# --- what is checked of a draft ---


@dataclass(frozen=True, slots=True)
class Addressed:
    """A draft of sound form whose audience holds the channels it was held against. Nobody's word yet."""

    draft: Draft
    root: bytes


def check_alert(fields: AlertFields, channel: bytes, tag: bytes) -> Addressed:
    """The draft reads, and this channel with the content of this franking tag is among its audience.

    Raises:
        Malformed: the draft contradicts itself.
        BadSignature: it was made for other channels, or for other content.
    """
    _check_draft(fields.draft)
    leaf = fields.leaf
    try:
        opened = _leaf(Opening(channel, leaf.salt, tag))
        check_inclusion(opened, leaf.index, 1 << len(leaf.path), leaf.path, fields.draft.audience)
    except ProofFailed:
        raise BadSignature("this alert was not made for this channel and content") from None
    return Addressed(fields.draft, fields.root)


def check_audience(draft: Draft, openings: Sequence[Opening], padding: Sequence[bytes]) -> Addressed:
    """The draft reads, and its audience is exactly these channels; `padding` are the leaves that stand for none.

    Raises:
        Malformed: the draft contradicts itself, or a channel stands there twice.
        BadSignature: the audience is another.
    """
    _check_draft(draft)
    channels = [o.channel for o in openings]
    if not channels or not _rising(channels) or not _rising(padding):
        raise Malformed("the channels of an alert rise, and there is one at least")
    size = len(openings) + len(padding)
    if size != max(1 << LEAST_DEPTH, 1 << (len(openings) - 1).bit_length()):
        raise Malformed("an audience is padded to the next power of two, and to eight")
    if Audience.over(openings, padding).root != draft.audience:
        raise BadSignature("the audience of this alert is another")
    return Addressed(draft, draft.root)


def _check_draft(draft: Draft) -> None:
    """What no single field can say; sets are written in one order."""
    if not _rising(draft.options):
        raise Malformed("the options of an alert rise")
    if not _rising(draft.references):
        raise Malformed("the references of an alert rise")
    if (draft.type is AlertType.ALERT) == bool(draft.references):
        raise Malformed("a first alert references none; an update, cancel or all-clear says which it is about")
    if draft.deadline > draft.not_after:
        raise Malformed("an alert can't be approved after its end")


def _rising(items: Sequence[bytes] | Sequence[int]) -> bool:
    return all(a < b for a, b in pairwise(items))  # type: ignore[operator]


# --- signatures ---


def _content(root: bytes, certificate: bytes, time: int, before: bytes) -> bytes:
    return encode([root, certificate, time, before])


def sign_writer(root: bytes, certificate: bytes, key: SigningKey, now: int) -> Signing:
    """The writer's word: this is what I submit."""
    return Signing(certificate, now, key.sign(WRITER, _content(root, certificate, now, b"")))


def sign_approval(root: bytes, writer: Signing, certificate: bytes, key: SigningKey, now: int) -> Signing:
    """The approver's word, for this root as that person wrote it."""
    return Signing(certificate, now, key.sign(APPROVAL, _content(root, certificate, now, _hash(writer))))


def verify_writer(root: bytes, signing: Signing, public_key: bytes) -> None:
    """Raises BadSignature."""
    verify(public_key, WRITER, _content(root, signing.certificate, signing.time, b""), signing.signature)


def verify_approval(root: bytes, writer: Signing, signing: Signing, public_key: bytes) -> None:
    """Raises BadSignature: not signed by this key, or for another root or writer."""
    content = _content(root, signing.certificate, signing.time, _hash(writer))
    verify(public_key, APPROVAL, content, signing.signature)


def _hash(signing: Signing) -> bytes:
    return sha256(b"Outrider 1 alert signing" + encode(signing)).digest()
