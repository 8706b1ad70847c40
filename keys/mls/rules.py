"""Proposals: which may stand in a Commit together, and what they do to the tree (RFC 9420 sections 12.1 to 12.3).

Committer and receiver go through the same functions, so nobody commits what others refuse. The order of application
is fixed: group context extensions, updates, removes, adds, pre-shared keys.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keys.mls.codec import Vector, decode_all
from keys.mls.errors import InvalidProposal, Unsupported
from keys.mls.leaves import (
    AuthenticationService,
    Member,
    Place,
    check_extensions,
    fits_group,
    required_capabilities,
    verify_members,
    verify_replacement,
)
from keys.mls.messages import (
    Add,
    ExternalInit,
    ExternalPsk,
    GroupContext,
    GroupContextExtensions,
    KeyPackage,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    ReInit,
    Remove,
    Update,
)
from keys.mls.nodes import EXTERNAL_SENDERS, Extension, ExternalSender, FromUpdate, find_extension
from keys.mls.tree import Tree

WITHOUT_PATH = (Add, PreSharedKey)
"""The proposals after which a Commit may leave its path out (section 12.4)."""


@dataclass(frozen=True, slots=True)
class SentProposal:
    """A proposal with the leaf of who made it, and its reference if it travelled on its own."""

    proposal: Proposal
    sender: int
    reference: bytes | None


@dataclass(frozen=True, slots=True)
class Checker:
    """The group as it stands while proposals are judged."""

    context: GroupContext
    tree: Tree
    auth: AuthenticationService
    now_seconds: int | None

    def check(self, sent: SentProposal) -> None:
        """Is this proposal valid by itself? Raises `Invalid` and below, `CryptoError`, `Unsupported`."""
        suite = self.tree.suite
        match sent.proposal:
            case Add(key_package):
                key_package.verify(suite, self.auth, self.now_seconds)
            case Update(leaf):
                old = self.tree.leaf(sent.sender)
                assert old is not None  # its signature was checked with that leaf's key
                place = Place(self.context.group_id, sent.sender)
                verify_replacement(suite, old, leaf, place, FromUpdate, self.auth)
            case Remove(removed):
                if self.tree.leaf(removed) is None:
                    raise InvalidProposal(f"a Remove of leaf {removed}, where nobody is (section 12.1.3)")
            case PreSharedKey(psk):
                self._check_psk(psk)
            case GroupContextExtensions(extensions):
                self._check_extensions(extensions)
            case ReInit():
                raise Unsupported("ReInit")
            case ExternalInit():
                raise InvalidProposal("an ExternalInit outside an external commit (section 12.2)")

    def _check_psk(self, psk: PreSharedKeyID) -> None:
        if not isinstance(psk.psk, ExternalPsk):
            raise Unsupported("resumption pre-shared keys")
        if len(psk.psk_nonce) != self.tree.suite.hash_length:
            raise InvalidProposal("a pre-shared key's nonce of the wrong length (section 12.1.4)")

    def _check_extensions(self, extensions: tuple[Extension, ...]) -> None:
        check_extensions(extensions)
        required_capabilities(extensions)
        senders = find_extension(extensions, EXTERNAL_SENDERS)
        if senders is not None:
            for sender in decode_all(Vector(ExternalSender), senders):
                self.auth.validate(sender.credential, sender.signature_key)  # section 5.3.1


def check_list(proposals: Sequence[SentProposal], committer: int) -> None:
    """Can these stand in one Commit (section 12.2)? Raises `InvalidProposal`."""
    changed: list[int] = []
    for sent in proposals:
        if isinstance(sent.proposal, Update):
            if sent.sender == committer:
                raise InvalidProposal("an Update by the committer (section 12.2)")
            changed.append(sent.sender)
        elif isinstance(sent.proposal, Remove):
            if sent.proposal.removed == committer:
                raise InvalidProposal("a Remove of the committer (section 12.2)")
            changed.append(sent.proposal.removed)
    if len(set(changed)) != len(changed):
        raise InvalidProposal("two proposals change one leaf (section 12.2)")
    keys = [sent.proposal.key_package.leaf_node.signature_key for sent in proposals if isinstance(sent.proposal, Add)]
    if len(set(keys)) != len(keys):
        raise InvalidProposal("two Adds of one client (section 12.2)")
    init_keys = [sent.proposal.key_package.init_key for sent in proposals if isinstance(sent.proposal, Add)]
    if len(set(init_keys)) != len(init_keys):
        raise InvalidProposal("two Adds with one init key (section 10)")
    psks = [sent.proposal.psk for sent in proposals if isinstance(sent.proposal, PreSharedKey)]
    if len(set(psks)) != len(psks):
        raise InvalidProposal("one pre-shared key twice (section 12.2)")
    if sum(isinstance(sent.proposal, GroupContextExtensions) for sent in proposals) > 1:
        raise InvalidProposal("two GroupContextExtensions (section 12.2)")


@dataclass(frozen=True, slots=True)
class Applied:
    """The group after the proposals and before the path."""

    tree: Tree
    extensions: tuple[Extension, ...]
    new_extensions: bool
    joiners: tuple[tuple[int, KeyPackage], ...]
    updated: tuple[tuple[Member, Member], ...]
    """Old and new appearance."""
    removed: tuple[Member, ...]
    psks: tuple[PreSharedKeyID, ...]
    path_required: bool

    @property
    def joined(self) -> frozenset[int]:
        """The leaves of those added: no path secret is sealed to them (section 7.5)."""
        return frozenset(leaf_index for leaf_index, _ in self.joiners)


def apply(checker: Checker, proposals: Sequence[SentProposal], committer: int) -> Applied:
    """Judge the proposals and apply them in the order of section 12.3. Raises as `Checker.check` does."""
    check_list(proposals, committer)
    for sent in proposals:
        checker.check(sent)
    before = checker.tree
    edit = before.edit()
    extensions = checker.context.extensions
    updated, removed, joiners, psks = [], [], [], []
    for sent in proposals:
        if isinstance(sent.proposal, GroupContextExtensions):
            extensions = sent.proposal.extensions
        elif isinstance(sent.proposal, Update):
            old, new = before.leaf(sent.sender), sent.proposal.leaf_node
            assert old is not None
            updated.append((Member.of(sent.sender, old), Member.of(sent.sender, new)))
            edit.update_leaf(sent.sender, new)
        elif isinstance(sent.proposal, PreSharedKey):
            psks.append(sent.proposal.psk)
    for sent in proposals:
        if isinstance(sent.proposal, Remove):
            gone = before.leaf(sent.proposal.removed)
            assert gone is not None
            removed.append(Member.of(sent.proposal.removed, gone))
            edit.remove_leaf(sent.proposal.removed)
    if removed:
        edit.truncate()
    for sent in proposals:
        if isinstance(sent.proposal, Add):
            package = sent.proposal.key_package
            joiners.append((edit.add_leaf(package.leaf_node), package))
    return Applied(
        edit.finish(),
        extensions,
        any(isinstance(sent.proposal, GroupContextExtensions) for sent in proposals),
        tuple(joiners),
        tuple(updated),
        tuple(removed),
        tuple(psks),
        not proposals or not all(isinstance(sent.proposal, WITHOUT_PATH) for sent in proposals),
    )


def check_result(tree: Tree, applied: Applied, committer: int) -> None:
    """Is the group that comes out one that may be (section 12.2, last point)? Raises `InvalidLeafNode`."""
    if applied.new_extensions:
        changed: Iterable[int] = (leaf_index for leaf_index, _ in tree.members())
    else:
        changed = {committer, *applied.joined, *(new.leaf_index for _, new in applied.updated)}
    for leaf_index in changed:
        leaf = tree.leaf(leaf_index)
        assert leaf is not None
        fits_group(leaf, applied.extensions)
    verify_members(tree)


def select(pending: Iterable[SentProposal], committer: int) -> list[SentProposal]:
    """Those of the pending proposals that this member can commit together (section 12.2's preferences).

    Left out: its own Updates, its own removal, and of several changes to one leaf all but a Remove or the newest
    Update; of several GroupContextExtensions, or Adds of one client, all but the newest.
    """
    change: dict[int, SentProposal] = {}
    extensions: list[SentProposal] = []
    others: dict[bytes, SentProposal] = {}
    for sent in pending:
        match sent.proposal:
            case Update():
                if sent.sender != committer and not isinstance(_proposal(change.get(sent.sender)), Remove):
                    change[sent.sender] = sent
            case Remove(removed):
                if removed != committer:
                    change[removed] = sent
            case GroupContextExtensions():
                extensions = [sent]
            case Add(key_package):
                others[key_package.leaf_node.signature_key] = sent
            case other:
                others[other.encode()] = sent
    return [*extensions, *change.values(), *others.values()]


def _proposal(sent: SentProposal | None) -> Proposal | None:
    return sent.proposal if sent else None
