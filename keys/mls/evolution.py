"""What a Commit makes of a group, before anybody takes it: judged by everyone alike, without secrets (section 12.4.2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keys.mls.applying import Applied
from keys.mls.leaves import Member
from keys.mls.messages import GroupContext, KeyPackage
from keys.mls.nodes import Extension

if TYPE_CHECKING:
    from keys.mls.public import PublicGroup


@dataclass(frozen=True, slots=True)
class Evolution:
    """What a Commit does to the public part of a group, with what a member needs to follow it."""

    committer: int
    """Its leaf in the new epoch, which a member has had and an external joiner gets."""
    applied: Applied
    provisional: GroupContext
    """New epoch and tree, old transcript: path secrets are sealed under it."""
    next: "PublicGroup"

    @property
    def added(self) -> tuple[Member, ...]:
        """Everybody who is new, an external committer last."""
        added = tuple(Member.of(leaf_index, package.leaf_node) for leaf_index, package in self.applied.joiners)
        joiner = self.next.member(self.committer)
        return (*added, joiner) if self.applied.external and joiner is not None else added


@dataclass(frozen=True, slots=True)
class StagedPublicCommit:
    """A Commit that was checked and waits for its place."""

    external: bool
    """Whether the committer joins by this Commit. Whether it may is the caller's to decide, who can't see if it was
    made with the group's external key: a stranger's Commit that members will refuse looks just the same."""
    sender_leaf: int
    """The committer's leaf after the Commit; of an external one nobody's before, or another's whom it removes."""
    committer: Member
    """As it was before the Commit; who joins by it, as it is after."""
    new_leaf: Member
    """The committer as it is after the Commit."""
    adds: tuple[KeyPackage, ...]
    added: tuple[Member, ...]
    """Everybody who is new, an external committer last."""
    removes: tuple[Member, ...]
    """Everybody who is removed; of an external commit that does, the first but for those who asked for it (SelfRemove)
    is the joiner's prior appearance."""
    updates: tuple[tuple[Member, Member], ...]
    """Old and new appearance of members whose Update is committed."""
    proposal_types: tuple[int, ...]
    extensions: tuple[Extension, ...] | None
    """The group's new extensions, if they are replaced."""
    has_path: bool
    authenticated_data: bytes
    next: "PublicGroup"
