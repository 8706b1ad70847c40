"""What a message turned out to be, and what can be seen of one without opening it."""

from dataclasses import dataclass
from functools import lru_cache

from keys.mls.codec import vector_bytes, vector_end
from keys.mls.errors import DecodeError
from keys.mls.evolution import Evolution
from keys.mls.framing import (
    GROUP_INFO,
    KEY_PACKAGE,
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    WELCOME,
    ApplicationData,
    AuthenticatedContent,
    MemberSender,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
)
from keys.mls.leaves import Member
from keys.mls.messages import GroupInfo, Proposal, ReInit, Welcome
from keys.mls.nodes import MLS10, Credential, LeafNode
from keys.mls.public import PublicGroup


@dataclass(frozen=True, slots=True)
class ApplicationReceived:
    """A member said something; `content` as it was given to `protect`."""

    sender_leaf: int
    credential: Credential
    """Of the sender in the epoch of the message, even if it has left since."""
    signature_key: bytes
    epoch: int
    authenticated_data: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class ProposalReceived:
    """Somebody proposes; it is kept until a Commit names it or the epoch ends."""

    sender: Sender
    """A member, an external sender, or a client that wants to be added."""
    proposal: Proposal
    reference: bytes
    authenticated_data: bytes

    @property
    def sender_leaf(self) -> int | None:
        """The member that proposes; None for who is outside."""
        return self.sender.leaf_index if isinstance(self.sender, MemberSender) else None


@dataclass(frozen=True, slots=True)
class CommitReceived:
    """A new epoch; the group that came with it is in it, unless we were removed."""

    external: bool
    """The committer joins by this Commit. Whether it may is the caller's to decide: not taking the group refuses it."""
    sender_leaf: int
    """Of the committer, after the Commit."""
    epoch: int
    """The new one."""
    added: tuple[Member, ...]
    """Everybody who is new, an external committer last."""
    removed: tuple[Member, ...]
    updated: tuple[tuple[Member, Member], ...]
    """Old and new appearance: of the committer, if it sent a path, and of those whose Update was committed."""
    new_extensions: bool
    authenticated_data: bytes
    self_removed: bool
    reinit: ReInit | None
    """If the Commit closed the group: what its successor will be (section 11.2)."""


Received = ApplicationReceived | ProposalReceived | CommitReceived


def application(content: AuthenticatedContent, leaf: LeafNode | None) -> ApplicationReceived:
    """Application data that was opened and whose signature was checked with this leaf."""
    assert leaf is not None
    assert isinstance(content.framed.content, ApplicationData)
    return ApplicationReceived(
        content.sender_leaf,
        leaf.credential,
        leaf.signature_key,
        content.framed.epoch,
        content.framed.authenticated_data,
        content.framed.content.application_data,
    )


def committed(
    before: PublicGroup, content: AuthenticatedContent, evolution: Evolution, *, self_removed: bool
) -> CommitReceived:
    """A Commit that was followed, or that put us out."""
    applied, committer = evolution.applied, evolution.committer
    old, new = before.member(committer), evolution.next.member(committer)
    by_path: tuple[tuple[Member, Member], ...] = ()
    if not applied.external and old != new:
        assert old is not None
        assert new is not None
        by_path = ((old, new),)
    return CommitReceived(
        applied.external,
        committer,
        evolution.next.epoch,
        evolution.added,
        applied.removed,
        (*applied.updated, *by_path),
        applied.new_extensions,
        content.framed.authenticated_data,
        self_removed,
        applied.reinit,
    )


@dataclass(frozen=True, slots=True)
class Peek:
    """The outside of a message, nothing of it verified; what its kind does not have is None or empty."""

    wire_format: int
    group_id: bytes | None = None
    epoch: int | None = None
    content_type: int | None = None
    authenticated_data: bytes = b""
    sender_leaf: int | None = None
    """Of a PublicMessage by a member, as it claims."""
    key_package_refs: tuple[bytes, ...] = ()
    """Of a Welcome: whom it is for."""
    cipher_suite: int | None = None


@lru_cache(4096)  # asked for with every message of a channel
def outside_private_message(group_id: bytes, epoch: int, content_type: int) -> bytes:
    """How an MLSMessage with a PrivateMessage of this group, epoch and content begins, up to its authenticated data (section 6.3)."""
    head = MLS10.to_bytes(2) + PRIVATE_MESSAGE.to_bytes(2) + vector_bytes(group_id)
    return head + epoch.to_bytes(8) + content_type.to_bytes(1)


def is_private_message(message: bytes, outside: bytes, authenticated_data: bytes) -> bool:
    """Whether this is an MLSMessage with a PrivateMessage that has exactly this `outside_private_message` and authenticated data; what
    is sealed is not looked at.

    It says what `peek` and four comparisons would, for a Delivery Service that asks it of every message.
    """
    outside += vector_bytes(authenticated_data)
    if not message.startswith(outside):
        return False
    try:
        encrypted_sender_data = vector_end(message, len(outside))
        ciphertext = vector_end(message, encrypted_sender_data)
    except DecodeError:
        return False
    return ciphertext == len(message)


def peek(message: bytes) -> Peek:
    """Look at an MLSMessage without verifying anything; raises `DecodeError`."""
    match MLSMessage.unwrap(message):
        case PublicMessage(framed):
            sender = framed.sender.leaf_index if isinstance(framed.sender, MemberSender) else None
            return Peek(
                PUBLIC_MESSAGE,
                framed.group_id,
                framed.epoch,
                framed.content_type,
                framed.authenticated_data,
                sender,
            )
        case PrivateMessage(group_id, epoch, content_type, authenticated_data):
            return Peek(PRIVATE_MESSAGE, group_id, epoch, content_type, authenticated_data)
        case Welcome(cipher_suite, secrets):
            refs = tuple(entry.new_member for entry in secrets)
            return Peek(WELCOME, key_package_refs=refs, cipher_suite=cipher_suite)
        case GroupInfo(context):
            return Peek(GROUP_INFO, context.group_id, context.epoch, cipher_suite=context.cipher_suite)
        case key_package:
            return Peek(KEY_PACKAGE, cipher_suite=key_package.cipher_suite)
