"""What a Commit's proposals do to the group (RFC 9420 section 12.3), and whether what comes out may be.

The order is fixed: group context extensions, updates, self-removes, removes, adds, pre-shared keys, external init,
re-init.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from keys.mls.framing import MemberSender, Sender
from keys.mls.leaves import Member, fits_group, verify_members
from keys.mls.messages import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    KeyPackage,
    PreSharedKey,
    PreSharedKeyID,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from keys.mls.nodes import Extension, LeafNode
from keys.mls.rules import Checker, SentProposal, check_external_list, check_list, check_supported
from keys.mls.tree import Edit, Tree

P = TypeVar("P")

WITHOUT_PATH: Final = (Add, PreSharedKey, ReInit)
"""The proposals after which a Commit may leave its path out (section 12.4; column "Path" of section 17.4)."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The group after the proposals and before the path."""

    tree: Tree
    committer: int
    """Its leaf in this tree: a member's own, an external joiner's the leftmost blank one (section 12.4.2)."""
    replaced: LeafNode | None
    """The leaf that the committer's takes the place of: a member's own, or a joiner's prior appearance if it has one."""
    external_init: ExternalInit | None
    """There exactly in an external commit: the epoch's init secret comes from it (section 8.3)."""
    reinit: ReInit | None
    extensions: tuple[Extension, ...]
    new_extensions: bool
    joiners: tuple[tuple[int, KeyPackage], ...]
    updated: tuple[tuple[Member, Member], ...]
    """Old and new appearance."""
    removed: tuple[Member, ...]
    psks: tuple[PreSharedKeyID, ...]
    path_required: bool

    @property
    def external(self) -> bool:
        """Whether the committer joins by this Commit."""
        return self.external_init is not None

    @property
    def joined(self) -> frozenset[int]:
        """The leaves of those added: no path secret is sealed to them (section 7.5)."""
        return frozenset(leaf_index for leaf_index, _ in self.joiners)


def apply(checker: Checker, proposals: Sequence[SentProposal], committer: Sender) -> Applied:
    """Judge the proposals and apply them in the order of section 12.3. Raises as `Checker.check` does."""
    for sent in proposals:
        checker.check(sent)
    return apply_together(checker, proposals, committer)


def apply_together(checker: Checker, proposals: Sequence[SentProposal], committer: Sender) -> Applied:
    """The same for proposals each of which is known to be valid by itself. Raises `InvalidProposal`."""
    if isinstance(committer, MemberSender):
        check_list(proposals, committer.leaf_index)
    else:
        check_external_list(proposals)
    before, edit = checker.tree, checker.tree.edit()
    new_extensions = [one.extensions for one in _of(GroupContextExtensions, proposals)]
    updated = _update(edit, before, proposals)
    removed = _remove(edit, before, proposals)
    check_supported(proposals, before, {gone.leaf_index for gone in removed})
    joiners = tuple((edit.add_leaf(one.key_package.leaf_node), one.key_package) for one in _of(Add, proposals))
    if isinstance(committer, MemberSender):
        own, replaced = committer.leaf_index, before.leaf(committer.leaf_index)
    else:
        own, replaced = edit.free_leaf(), _prior_appearance(before, proposals)
    return Applied(
        edit.finish(),
        own,
        replaced,
        next(iter(_of(ExternalInit, proposals)), None),
        next(iter(_of(ReInit, proposals)), None),
        new_extensions[0] if new_extensions else checker.context.extensions,
        bool(new_extensions),
        joiners,
        updated,
        removed,
        tuple(one.psk for one in _of(PreSharedKey, proposals)),
        not proposals or not all(isinstance(sent.proposal, WITHOUT_PATH) for sent in proposals),
    )


def _of(kind: type[P], proposals: Sequence[SentProposal]) -> list[P]:
    """The proposals of one kind, in their order."""
    return [sent.proposal for sent in proposals if isinstance(sent.proposal, kind)]


def _update(edit: Edit, before: Tree, proposals: Sequence[SentProposal]) -> tuple[tuple[Member, Member], ...]:
    updated = []
    for sent in proposals:
        if isinstance(sent.proposal, Update):
            assert sent.changes is not None
            old, new = before.leaf(sent.changes), sent.proposal.leaf_node
            assert old is not None
            updated.append((Member.of(sent.changes, old), Member.of(sent.changes, new)))
            edit.update_leaf(sent.changes, new)
    return tuple(updated)


def _remove(edit: Edit, before: Tree, proposals: Sequence[SentProposal]) -> tuple[Member, ...]:
    """SelfRemoves first, then Removes (draft-ietf-mls-extensions, SelfRemove)."""
    removed = []
    for kind in (SelfRemove, Remove):
        for sent in proposals:
            if isinstance(sent.proposal, kind):
                assert sent.changes is not None
                gone = before.leaf(sent.changes)
                assert gone is not None
                removed.append(Member.of(sent.changes, gone))
                edit.remove_leaf(sent.changes)
    if removed:
        edit.truncate()
    return tuple(removed)


def _prior_appearance(before: Tree, proposals: Sequence[SentProposal]) -> LeafNode | None:
    """The leaf that an external commit removes as the joiner's own (section 12.2)."""
    return next((before.leaf(one.removed) for one in _of(Remove, proposals)), None)


def check_result(tree: Tree, applied: Applied) -> None:
    """Is the group that comes out one that may be (section 12.2, last point)? Raises `InvalidLeafNode`."""
    if applied.new_extensions:
        changed: Iterable[int] = (leaf_index for leaf_index, _ in tree.members())
    else:
        changed = {applied.committer, *applied.joined, *(new.leaf_index for _, new in applied.updated)}
    for leaf_index in changed:
        leaf = tree.leaf(leaf_index)
        assert leaf is not None
        fits_group(leaf, applied.extensions)
    verify_members(tree)
