"""Proposals: which are valid, by themselves and together in one Commit (RFC 9420 sections 12.1 and 12.2).

Committer and receiver go through the same functions, so nobody commits what others refuse. `applying.py` has what the
proposals then do to the group, `selection.py` which of the pending ones a member takes up.

A Commit is a member's, or external: made by somebody who joins by it, under a short list of its own. SelfRemove is
draft-ietf-mls-extensions' (type 0x000a): a member asks to be removed, and even a joiner can grant it.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

from keys.mls.codec import Vector, decode_all
from keys.mls.errors import InvalidProposal
from keys.mls.framing import ExternalSenderIndex, MemberSender, NewMemberCommit, NewMemberProposal, Sender
from keys.mls.leaves import (
    AuthenticationService,
    Place,
    check_extensions,
    required_capabilities,
    verify_replacement,
)
from keys.mls.lineage import check_reinit
from keys.mls.messages import (
    Add,
    ExternalInit,
    GroupContext,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from keys.mls.nodes import (
    DEFAULT_PROPOSALS,
    EXTERNAL_SENDERS,
    Extension,
    ExternalSender,
    FromUpdate,
    LeafNode,
    find_extension,
)
from keys.mls.presharedkeys import check_proposed, check_together
from keys.mls.tree import Tree

BY_EXTERNAL_SENDER: Final = (Add, Remove, PreSharedKey, ReInit, GroupContextExtensions)
"""What an external sender may propose (section 12.1.8; column "Ext" of section 17.4)."""

IN_EXTERNAL_COMMIT: Final = (ExternalInit, Remove, PreSharedKey)
"""What an external commit may hold by value (section 12.2)."""


@dataclass(frozen=True, slots=True)
class SentProposal:
    """A proposal with who made it, and its reference if it travelled on its own."""

    proposal: Proposal
    sender: Sender
    """A member by its leaf, an external sender by its index, a client that proposes its own Add, or one that joins by
    the very Commit that holds the proposal."""
    reference: bytes | None

    @property
    def changes(self) -> int | None:
        """The leaf that the proposal replaces or blanks, if it does."""
        match self.proposal, self.sender:
            case Remove(removed), _:
                return removed
            case ((Update() | SelfRemove()), MemberSender(leaf_index)):
                return leaf_index
        return None


@dataclass(frozen=True, slots=True)
class Checker:
    """The group as it stands while proposals are judged."""

    context: GroupContext
    tree: Tree
    auth: AuthenticationService
    now_seconds: int | None

    def check(self, sent: SentProposal) -> None:
        """Is this proposal valid by itself? Raises `Invalid` and below, `CryptoError`, `Unsupported`."""
        check_sender(sent)
        match sent.proposal:
            case Add(key_package):
                key_package.verify(self.tree.suite, self.auth, self.now_seconds)
            case Update(leaf):
                self._check_update(sent.sender, leaf)
            case Remove(removed):
                if self.tree.leaf(removed) is None:
                    raise InvalidProposal(f"a Remove of leaf {removed}, where nobody is (section 12.1.3)")
            case PreSharedKey(psk):
                founding = self.context.epoch == 0 and isinstance(sent.sender, MemberSender)
                check_proposed(self.tree.suite, psk, founding=founding)
            case ReInit() as reinit:
                check_reinit(self.context, reinit)
            case ExternalInit():
                pass  # what the KEM output opens to, only members learn (section 8.3)
            case GroupContextExtensions(extensions):
                check_group_extensions(extensions, self.auth)  # whether all can follow is seen by what comes out
            case SelfRemove():
                pass  # that all who stay know of it is seen when it is committed

    def _check_update(self, sender: Sender, leaf: LeafNode) -> None:
        assert isinstance(sender, MemberSender)  # check_sender
        old = self.tree.leaf(sender.leaf_index)
        assert old is not None  # its signature was checked with that leaf's key
        place = Place(self.context.group_id, sender.leaf_index)
        verify_replacement(self.tree.suite, old, leaf, place, FromUpdate, self.auth)


def check_group_extensions(extensions: tuple[Extension, ...], auth: AuthenticationService) -> None:
    """What holds of a GroupContext's extensions by themselves, known ones read (sections 5.3.1, 11.1 and 13.4)."""
    check_extensions(extensions)
    required_capabilities(extensions)
    for sender in external_senders(extensions):
        auth.validate(sender.credential, sender.signature_key)


def external_senders(extensions: tuple[Extension, ...]) -> tuple[ExternalSender, ...]:
    """Who may propose from outside, by index (section 12.1.8.1); raises `DecodeError`."""
    data = find_extension(extensions, EXTERNAL_SENDERS)
    senders: tuple[ExternalSender, ...] = () if data is None else decode_all(Vector(ExternalSender), data)
    return senders


def check_sender(sent: SentProposal) -> None:
    """May this kind of sender make this kind of proposal? Raises `InvalidProposal`."""
    kind = type(sent.proposal).__name__
    match sent.sender:
        case MemberSender():
            if isinstance(sent.proposal, ExternalInit):
                raise InvalidProposal("an ExternalInit by a member (section 12.2)")
        case ExternalSenderIndex():
            if not isinstance(sent.proposal, BY_EXTERNAL_SENDER):
                raise InvalidProposal(f"an external sender proposes {kind} (section 12.1.8)")
        case NewMemberProposal():
            pass  # for anything but an Add there is no key to verify with (section 6.1; PublicGroup.signature_key)
        case NewMemberCommit():
            if not isinstance(sent.proposal, IN_EXTERNAL_COMMIT):
                raise InvalidProposal(f"{kind} by value in an external commit (section 12.2)")


# Together in one Commit (section 12.2)


def check_list(proposals: Sequence[SentProposal], committer: int) -> None:
    """Can these stand in one Commit by this member? Raises `InvalidProposal`."""
    for sent in proposals:
        if isinstance(sent.proposal, Update) and sent.changes == committer:
            raise InvalidProposal("an Update by the committer (section 12.2)")
        if isinstance(sent.proposal, Remove) and sent.changes == committer:
            raise InvalidProposal("a Remove of the committer (section 12.2)")
        if isinstance(sent.proposal, SelfRemove) and sent.reference is None:
            raise InvalidProposal("a SelfRemove by value (draft-ietf-mls-extensions, SelfRemove)")
        if isinstance(sent.proposal, SelfRemove) and sent.changes == committer:
            raise InvalidProposal("a SelfRemove by the committer (draft-ietf-mls-extensions, SelfRemove)")
    _check_changes(proposals)
    keys = [sent.proposal.key_package.leaf_node.signature_key for sent in proposals if isinstance(sent.proposal, Add)]
    if len(set(keys)) != len(keys):
        raise InvalidProposal("two Adds of one client (section 12.2)")
    init_keys = [sent.proposal.key_package.init_key for sent in proposals if isinstance(sent.proposal, Add)]
    if len(set(init_keys)) != len(init_keys):
        raise InvalidProposal("two Adds with one init key (section 10)")
    _check_psks(proposals)
    if sum(isinstance(sent.proposal, GroupContextExtensions) for sent in proposals) > 1:
        raise InvalidProposal("two GroupContextExtensions (section 12.2)")
    if len(proposals) > 1 and any(isinstance(sent.proposal, ReInit) for sent in proposals):
        raise InvalidProposal("a ReInit beside another proposal (section 12.2)")


def check_external_list(proposals: Sequence[SentProposal]) -> None:
    """Can these stand in an external commit? Raises `InvalidProposal`.

    What it may hold by value, `check_sender` says.
    """
    if sum(isinstance(sent.proposal, ExternalInit) for sent in proposals) != 1:
        raise InvalidProposal("an external commit without exactly one ExternalInit (section 12.2)")
    if sum(isinstance(sent.proposal, Remove) for sent in proposals) > 1:
        raise InvalidProposal("two Removes in an external commit (section 12.2)")
    for sent in proposals:
        if sent.reference is not None and not isinstance(sent.proposal, SelfRemove):
            raise InvalidProposal("a proposal by reference in an external commit (section 12.4.3.2)")
    _check_changes(proposals)
    _check_psks(proposals)


def _check_changes(proposals: Sequence[SentProposal]) -> None:
    changed = [sent.changes for sent in proposals if sent.changes is not None]
    if len(set(changed)) != len(changed):
        raise InvalidProposal("two proposals change one leaf (section 12.2)")


def _check_psks(proposals: Sequence[SentProposal]) -> None:
    psks = [sent.proposal.psk for sent in proposals if isinstance(sent.proposal, PreSharedKey)]
    check_together(psks, InvalidProposal)


def check_supported(proposals: Sequence[SentProposal], before: Tree, removed: Container[int]) -> None:
    """Does everybody who will process the Commit, being a member before and after, know its proposals (section 12.2)?

    Raises `InvalidProposal`.
    """
    uncommon = {sent.proposal.TYPE for sent in proposals} - DEFAULT_PROPOSALS
    if not uncommon:
        return
    for leaf_index, leaf in before.members():
        if leaf_index not in removed and not uncommon.issubset(leaf.capabilities.proposals):
            raise InvalidProposal(f"a proposal whose type leaf {leaf_index} does not support (section 12.2)")
