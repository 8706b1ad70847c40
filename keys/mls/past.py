"""Epochs that are over, as far as their late messages can still be read (RFC 9420 section 15.3).

Of an epoch that has ended there stay the secrets of its application messages, without our own, and the leaves whose
signatures counted in it, told by their difference from the present tree. That ends with `Limits`: so many epochs, and
each for so long. Its hour begins when its end is known: with the time that came with the Commit, or where none did
(our own Commit ends the epoch only once it is accepted), with the first that is given afterwards. Without any clock
the number of epochs alone counts.

A `Backlog` keeps the epochs it speaks of until it is drained.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Annotated

from keys.mls.codec import Optional, Struct, Vector, opaque, struct, uint32, uint64
from keys.mls.messages import GroupContext
from keys.mls.nodes import LeafNode
from keys.mls.private import MessageKeys
from keys.mls.secrettree import Backlog, Limits, SecretTree
from keys.mls.suites import CipherSuite
from keys.mls.tree import Tree
from keys.mls.treemath import MAX_LEAVES


@struct
class KeptLeaf(Struct):
    """A leaf that was another then than it is now."""

    leaf_index: Annotated[int, uint32]
    leaf: Annotated[LeafNode | None, Optional(LeafNode)]


@struct(cached=True)
class EndedEpoch(Struct):
    """What of an epoch that is over changes only when another one ends."""

    context: GroupContext
    sender_data_secret: Annotated[bytes, opaque]
    ended: Annotated[int | None, Optional(uint64)]
    """When, in seconds since 1970, as far as it is known."""
    leaves: Annotated[int, uint32]
    """How many its tree had."""
    changed: Annotated[tuple[KeptLeaf, ...], Vector(KeptLeaf, MAX_LEAVES)]


@dataclass(frozen=True, slots=True)
class PastEpoch:
    """An epoch that is over, and the message keys in it that were not used."""

    epoch: EndedEpoch
    secret_tree: SecretTree

    @property
    def number(self) -> int:
        return self.epoch.context.epoch

    def leaf(self, leaf_index: int, present: Tree) -> LeafNode | None:
        """The leaf as it was then."""
        for kept in self.epoch.changed:
            if kept.leaf_index == leaf_index:
                return kept.leaf
        return present.leaf(leaf_index) if leaf_index < self.epoch.leaves else None

    def message_keys(self, suite: CipherSuite, present: Tree) -> MessageKeys:
        """What its late messages are opened with."""

        def leaf(leaf_index: int) -> LeafNode | None:
            return self.leaf(leaf_index, present)

        return MessageKeys(suite, self.epoch.context, self.epoch.sender_data_secret, self.secret_tree, leaf)


Past = tuple[PastEpoch, ...]
"""The newest first."""


def ended(keys: MessageKeys, tree: Tree, own_leaf_index: int, now_seconds: int | None) -> PastEpoch:
    """What stays of an epoch that a Commit has just ended: our own sending keys do not (section 9.2)."""
    epoch = EndedEpoch(keys.context, keys.sender_data_secret, now_seconds, tree.leaves, ())
    return PastEpoch(epoch, keys.secret_tree.without(keys.suite, own_leaf_index))


def carried(past: Past, before: Tree, after: Tree) -> Past:
    """The past epochs, told by their difference from another present tree."""
    both = zip_longest(before.leaf_nodes(), after.leaf_nodes())
    changed = [KeptLeaf(leaf_index, old) for leaf_index, (old, new) in enumerate(both) if old is not new]
    if not changed:
        return past
    return tuple(replace(one, epoch=_differing(one.epoch, changed)) for one in past)


def _differing(epoch: EndedEpoch, changed: Iterable[KeptLeaf]) -> EndedEpoch:
    known = {kept.leaf_index for kept in epoch.changed}
    news = (kept for kept in changed if kept.leaf_index not in known and kept.leaf_index < epoch.leaves)
    return replace(epoch, changed=(*epoch.changed, *news))


def bounded(past: Past, limits: Limits, backlog: Backlog | None, now_seconds: int | None) -> Past:
    """The past epochs that may still be kept at this time."""
    kept = []
    for age, one in enumerate(past):
        end = one.epoch.ended
        if end is None and now_seconds is not None:
            one = replace(one, epoch=replace(one.epoch, ended=now_seconds))
        late = end is not None and now_seconds is not None and now_seconds - end > limits.past_seconds
        if backlog is not None and one.number >= backlog.first_epoch:
            if age < limits.past_epochs + backlog.messages:
                kept.append(one)
        elif age < limits.past_epochs and not late:
            kept.append(replace(one, secret_tree=one.secret_tree.drained()) if one.secret_tree.announced else one)
    return tuple(kept)
