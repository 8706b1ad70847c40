"""Taking in another member's message (RFC 9420 sections 6 and 12.4.2): what kind it is, and the group after it.

Handshake messages come as PublicMessage, or sealed; application data only sealed, of this epoch or one just past. The
membership tag is checked before anything a message says is acted on, even that it seems to be our own.
"""

from dataclasses import replace
from hmac import compare_digest
from typing import TYPE_CHECKING

from keys.mls.errors import BadTag, InvalidMessage, OwnMessage, WrongEpoch, WrongGroup
from keys.mls.framing import (
    APPLICATION,
    ApplicationData,
    AuthenticatedContent,
    MemberSender,
    MLSMessage,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
)
from keys.mls.presharedkeys import Psks
from keys.mls.received import ProposalReceived, Received, application, committed

if TYPE_CHECKING:
    from keys.mls.group import Group


def process(group: "Group", message: bytes, now_seconds: int | None, psks: Psks) -> "tuple[Group, Received]":
    """The group after a message, and what it was; raises as `Group.process` says."""
    group = group.expire(now_seconds)
    match MLSMessage.unwrap(message):
        case PublicMessage() as public:
            return _public(group, public, now_seconds, psks)
        case PrivateMessage() as private:
            return _private(group, private, now_seconds, psks)
    raise InvalidMessage("neither PublicMessage nor PrivateMessage (section 6)")


def _public(group: "Group", message: PublicMessage, now_seconds: int | None, psks: Psks) -> "tuple[Group, Received]":
    group.must_be_member()
    content, tag = group.public.verify_public(message)
    if isinstance(content.framed.sender, MemberSender):  # who sends from outside has no tag
        expected = content.membership_tag(group.suite, group.context, group.secrets.membership_key)
        assert tag is not None  # a member's message is not read without one
        if not compare_digest(expected, tag):
            raise BadTag("the membership tag does not fit (section 6.2)")
    return _handshake(group, content, now_seconds, psks)


def _private(group: "Group", message: PrivateMessage, now_seconds: int | None, psks: Psks) -> "tuple[Group, Received]":
    if message.group_id != group.group_id:
        raise WrongGroup(f"message of group {message.group_id.hex()}")
    if message.epoch != group.epoch:
        return _past(group, message)
    group.public.must_be_open()
    content, secret_tree = group.message_keys().open(message, group.own_leaf_index, group.limits, group.backlog)
    after = replace(group, secret_tree=secret_tree)
    if isinstance(content.framed.content, ApplicationData):
        return after, application(content, group.tree.leaf(content.sender_leaf))
    group.must_be_member()
    return _handshake(after, content, now_seconds, psks)


def _past(group: "Group", message: PrivateMessage) -> "tuple[Group, Received]":
    """Application data of an epoch that is over (section 15.3)."""
    for place, over in enumerate(group.past):
        if over.number == message.epoch and message.content_type == APPLICATION:
            keys = over.message_keys(group.suite, group.tree)
            content, secret_tree = keys.open(message, group.own_leaf_index, group.limits, group.backlog)
            past = (*group.past[:place], replace(over, secret_tree=secret_tree), *group.past[place + 1 :])
            return replace(group, past=past), application(content, keys.leaf(content.sender_leaf))
    raise WrongEpoch(message.epoch, group.epoch)


def _handshake(
    group: "Group", content: AuthenticatedContent, now_seconds: int | None, psks: Psks
) -> "tuple[Group, Received]":
    framed = content.framed
    if framed.sender == MemberSender(group.own_leaf_index):
        raise OwnMessage("a handshake message of ours")
    if isinstance(framed.content, ProposalContent):
        after = replace(group, public=group.public.with_proposal(content, now_seconds))
        reference = content.proposal_ref(group.suite)
        return after, ProposalReceived(framed.sender, framed.content.proposal, reference, framed.authenticated_data)
    evolution = group.public.evolve(content, now_seconds)
    if any(gone.leaf_index == group.own_leaf_index for gone in evolution.applied.removed):
        return group.put_out(), committed(group.public, content, evolution, self_removed=True)
    advance = group.participant().follow(content, evolution, group.own_updates, psks)
    return group.advanced(advance, now_seconds), committed(group.public, content, evolution, self_removed=False)
