"""Commits by a member without scruples: whatever they say, all that follows from it is right.

It does what `Participant.commit` does and judges nothing: proposals are applied as they stand, the path, the transcript,
the key schedule and the confirmation tag follow from them. So a hostile Commit is refused for what is hostile in it, or
not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from keys.mls import Add, Group, GroupContextExtensions, PreSharedKey, Proposal, Remove, Update, schedule
from keys.mls.leaves import Place, renewed, sign_leaf
from keys.mls.messages import ByReference, ByValue, Commit, GroupContext, ProposalOrRef, UpdatePath
from keys.mls.nodes import FromCommit, LeafNode
from keys.mls.tree import Tree
from keys.mls.treekem import create_path, provisional_context, set_leaf
from tests.keys.mls.people import seeded


def applied(tree: Tree, proposals: Sequence[tuple[Proposal, int]]) -> tuple[Tree, frozenset[int]]:
    """The tree after proposals, each with its sender (section 12.3), and the leaves of those added."""
    edit = tree.edit()
    for proposal, sender in proposals:
        if isinstance(proposal, Update):
            edit.update_leaf(sender, proposal.leaf_node)
    for proposal, _ in proposals:
        if isinstance(proposal, Remove) and tree.leaf(proposal.removed) is not None:
            edit.remove_leaf(proposal.removed)
            edit.truncate()
    added = frozenset(edit.add_leaf(one.key_package.leaf_node) for one, _ in proposals if isinstance(one, Add))
    return edit.finish(), added


Path = Callable[[UpdatePath], UpdatePath]


def forge(
    group: Group,
    proposals: Sequence[Proposal | bytes] = (),
    *,
    path: bool | Path = True,
    leaf: Mapping[str, Any] | None = None,
    leaf_key: bytes | None = None,
    psks: Mapping[bytes, bytes] | None = None,
    tag: Callable[[bytes], bytes] = lambda tag: tag,
) -> bytes:
    """A Commit of any proposals, by value or by reference (bytes).

    `path` may change the path, `leaf` fields of its leaf before that is signed (with `leaf_key` if given), `tag` the
    confirmation tag.
    """
    suite, public, own = group.suite, group.public, group.own_leaf_index
    listed: list[ProposalOrRef] = [ByReference(one) if isinstance(one, bytes) else ByValue(one) for one in proposals]
    kept = [public.proposals.get(one) for one in proposals if isinstance(one, bytes)]
    sent = [(one, own) for one in proposals if not isinstance(one, bytes)]
    sent = [*((one.proposal, getattr(one.sender, "leaf_index", one.sender)) for one in kept if one is not None), *sent]
    extensions = public.context.extensions
    for one, _ in sent:
        if isinstance(one, GroupContextExtensions):
            extensions = one.extensions
    tree, added = applied(group.tree, sent)
    update_path, commit_secret = None, suite.zero
    if path:
        created = _path(group, tree, added, extensions, leaf or {}, leaf_key)
        update_path = path(created.path) if callable(path) else created.path
        tree, commit_secret = set_leaf(created.tree, own, update_path.leaf_node), created.commit_secret
    signed = group.participant().sign(Commit(tuple(listed), update_path), b"")
    provisional = provisional_context(public.context, tree.hash(), extensions)
    confirmed = signed.confirmed_transcript_hash(suite, public.interim_transcript_hash)
    context = replace(provisional, confirmed_transcript_hash=confirmed)
    named = [one.psk for one, _ in sent if isinstance(one, PreSharedKey)]
    held = [(one, (psks or {}).get(getattr(one.psk, "psk_id", b""), b"")) for one in named]
    joiner = schedule.joiner_secret(suite, group.secrets.init_secret, commit_secret, context)
    member = schedule.member_secret(suite, joiner, schedule.psk_secret(suite, held))
    epoch = schedule.new_epoch(suite, member, context)
    return group.tagged(signed.with_confirmation_tag(tag(suite.mac(epoch.confirmation_key, confirmed))))


def _path(
    group: Group, tree: Tree, added: frozenset[int], extensions: Any, changes: Mapping[str, Any], key: bytes | None
) -> Any:
    suite, own = group.suite, group.own_leaf_index
    place, old = Place(group.group_id, own), group.own_leaf

    def leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        source, private = FromCommit(parent_hash), group.signature_private_key
        honest = renewed(suite, old, encryption_key, source, place, old.credential, private)
        return sign_leaf(suite, replace(honest, **changes), key or private, place) if changes or key else honest

    def context(tree_hash: bytes) -> GroupContext:
        return provisional_context(group.context, tree_hash, extensions)

    return create_path(tree, own, leaf, context, added, seeded("path"))
