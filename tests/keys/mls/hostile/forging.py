"""Commits by a member without scruples: whatever they say, all that follows from it is right.

It does what `Participant.commit` does and judges nothing: proposals are applied as they stand, the path, the transcript,
the key schedule and the confirmation tag follow from them. So a hostile Commit is refused for what is hostile in it, or
not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from keys.mls import (
    Add,
    Capabilities,
    CipherSuite,
    Group,
    GroupContextExtensions,
    NewMemberCommit,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    PublicGroup,
    Remove,
    SelfRemove,
    Update,
    schedule,
)
from keys.mls.commits import sign_handshake
from keys.mls.external import from_outside
from keys.mls.externalinit import make_external_init
from keys.mls.framing import AuthenticatedContent
from keys.mls.leaves import Place, renewed, sign_leaf
from keys.mls.messages import ByReference, ByValue, Commit, ExternalInit, GroupContext, ProposalOrRef, UpdatePath
from keys.mls.nodes import FromCommit, LeafNode
from keys.mls.tree import Tree
from keys.mls.treekem import CreatedPath, create_path, provisional_context, set_leaf
from tests.keys.mls.people import Person, seeded


def applied(tree: Tree, proposals: Sequence[tuple[Proposal, int]]) -> tuple[Tree, frozenset[int]]:
    """The tree after proposals, each with its sender (section 12.3), and the leaves of those added."""
    edit = tree.edit()
    for proposal, sender in proposals:
        if isinstance(proposal, Update):
            edit.update_leaf(sender, proposal.leaf_node)
    gone = [
        sender if isinstance(one, SelfRemove) else one.removed
        for one, sender in proposals
        if isinstance(one, SelfRemove | Remove)
    ]
    for removed in gone:
        if tree.leaf(removed) is not None:
            edit.remove_leaf(removed)
    if gone:
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
        old, private = group.own_leaf, leaf_key or group.signature_private_key
        created = _path(public, own, tree, added, extensions, _leaf(old, leaf or {}, private))
        update_path = path(created.path) if callable(path) else created.path
        tree, commit_secret = set_leaf(created.tree, own, update_path.leaf_node), created.commit_secret
    signed = group.participant().sign(Commit(tuple(listed), update_path), b"")
    provisional = provisional_context(public.context, tree.hash(), extensions)
    named = [
        (one.psk, (psks or {}).get(getattr(one.psk.psk, "psk_id", b""), b""))
        for one, _ in sent
        if isinstance(one, PreSharedKey)
    ]
    honest = _tag(public, signed, provisional, group.secrets.init_secret, commit_secret, named)
    return group.tagged(signed.with_confirmation_tag(tag(honest)))


def forge_external(
    public: PublicGroup,
    external_pub: bytes,
    person: Person,
    proposals: Sequence[Proposal | bytes] | None = None,
    *,
    capabilities: Capabilities,
    path: bool = True,
    leaf: Mapping[str, Any] | None = None,
    key: bytes | None = None,
    psks: Mapping[bytes, bytes] | None = None,
) -> bytes:
    """An external commit of any proposals; without any, of the one ExternalInit. `key` signs it, else its own."""
    suite, private = public.suite, person.signature_private_key
    external_init, init_secret = make_external_init(suite, external_pub)
    chosen = [external_init] if proposals is None else [external_init if one is INIT else one for one in proposals]
    listed = tuple(ByReference(one) if isinstance(one, bytes) else ByValue(one) for one in chosen)
    kept = [public.proposals.get(one) for one in chosen if isinstance(one, bytes)]
    sent = [(one, 0) for one in chosen if not isinstance(one, bytes)]
    sent = [*((one.proposal, one.changes or 0) for one in kept if one is not None), *sent]
    extensions = public.context.extensions
    tree, _ = applied(public.tree, sent)
    own = tree.edit().free_leaf()
    update_path, commit_secret = None, suite.zero
    if path:
        bare = LeafNode(b"", b"", person.credential, capabilities, FromCommit(b""), (), b"")
        created = _path(public, own, _with_room(tree), frozenset(), extensions, _leaf(bare, leaf or {}, private))
        update_path, tree, commit_secret = created.path, created.tree, created.commit_secret
    signed = sign_handshake(public, NewMemberCommit(), Commit(listed, update_path), b"", key or private)
    provisional = provisional_context(public.context, tree.hash(), extensions)
    named = [
        (one.psk, (psks or {}).get(getattr(one.psk.psk, "psk_id", b""), b""))
        for one, _ in sent
        if isinstance(one, PreSharedKey)
    ]
    return from_outside(
        signed.with_confirmation_tag(_tag(public, signed, provisional, init_secret, commit_secret, named))
    )


INIT = ExternalInit(b"here goes the right one")
"""Stands for the ExternalInit that leads to the right init secret."""


def _with_room(tree: Tree) -> Tree:
    """The tree with a free leaf (section 12.4.2)."""
    edit = tree.edit()
    edit.free_leaf()
    return edit.finish()


def _tag(
    public: PublicGroup,
    signed: AuthenticatedContent,
    provisional: GroupContext,
    init_secret: bytes,
    commit_secret: bytes,
    psks: Sequence[tuple[PreSharedKeyID, bytes]],
) -> bytes:
    """The confirmation tag of a Commit, from what leads to it (section 8)."""
    suite = public.suite
    confirmed = signed.confirmed_transcript_hash(suite, public.interim_transcript_hash)
    context = replace(provisional, confirmed_transcript_hash=confirmed)
    joiner = schedule.joiner_secret(suite, init_secret, commit_secret, context)
    member = schedule.member_secret(suite, joiner, schedule.psk_secret(suite, psks))
    return suite.mac(schedule.new_epoch(suite, member, context).confirmation_key, confirmed)


Sign = Callable[[CipherSuite, bytes, bytes, Place], LeafNode]


def _leaf(old: LeafNode, changes: Mapping[str, Any], private: bytes) -> Sign:
    """A leaf for a path: renewed, and then changed."""

    def sign(suite: CipherSuite, encryption_key: bytes, parent_hash: bytes, place: Place) -> LeafNode:
        made = renewed(suite, old, encryption_key, FromCommit(parent_hash), place, old.credential, private)
        own_key = old.signature_key or made.signature_key
        return sign_leaf(suite, replace(made, **{"signature_key": own_key, **changes}), private, place)

    return sign


def _path(public: PublicGroup, own: int, tree: Tree, added: frozenset[int], extensions: Any, sign: Sign) -> CreatedPath:
    place = Place(public.group_id, own)

    def leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        return sign(public.suite, encryption_key, parent_hash, place)

    def context(tree_hash: bytes) -> GroupContext:
        return provisional_context(public.context, tree_hash, extensions)

    return create_path(tree, own, leaf, context, added, seeded("path"))
