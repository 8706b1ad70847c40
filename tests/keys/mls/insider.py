"""A member that breaks one rule at a time, with honest signatures and tags, since an insider can make them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from keys.mls import Add, Group, GroupInfo, KeyPackage, MLSMessage, Proposal
from keys.mls.framing import Content, PublicMessage
from keys.mls.leaves import NOWHERE, Place, sign_leaf
from keys.mls.messages import ByReference, ByValue, Commit, ProposalOrRef, UpdatePath
from keys.mls.nodes import Extension, LeafNode, Lifetime
from keys.mls.public import read_group_info
from keys.mls.tree import Tree
from keys.mls.welcoming import sign_group_info
from tests.keys.mls.people import NOW, Person, seeded


def send(group: Group, content: Content, *, tag: bytes | None = None) -> bytes:
    """Content of this member as a PublicMessage, whatever it says; a Commit's tag is not the right one."""
    signed = group.participant().sign(content, b"")
    if isinstance(content, Commit):
        signed = signed.with_confirmation_tag(tag or bytes(group.suite.hash_length))
    return group.tagged(signed)


def commit_of(message: bytes) -> Commit:
    """The Commit inside a message."""
    public = MLSMessage.unwrap(message)
    assert isinstance(public, PublicMessage)
    assert isinstance(public.framed.content, Commit)
    return public.framed.content


def commit_to(group: Group, proposals: Sequence[Proposal | bytes], *, path: bool | None = None) -> bytes:
    """A Commit of any proposals, by value or by reference (bytes).

    Its path is that of an empty Commit, and is left out where only Adds are committed.
    """
    if path is None:
        path = not all(isinstance(one, Add) for one in proposals)
    listed: tuple[ProposalOrRef, ...] = tuple(
        ByReference(one) if isinstance(one, bytes) else ByValue(one) for one in proposals
    )
    return send(group, Commit(listed, path_of(group) if path else None))


def path_of(group: Group) -> UpdatePath:
    """The path of an honest empty Commit."""
    path = commit_of(group.commit(by_reference=(), random=seeded("path")).message).path
    assert path is not None
    return path


def resigned(group: Group, leaf: LeafNode, private_key: bytes | None = None, **changes: Any) -> LeafNode:
    """A member's leaf with some fields changed, signed for its own place."""
    changed = replace(leaf, **changes)
    key = private_key or group.signature_private_key
    return sign_leaf(group.suite, changed, key, Place(group.group_id, group.own_leaf_index))


def key_package(person: Person, *, leaf: dict[str, Any] | None = None, **changes: Any) -> KeyPackage:
    """A KeyPackage with fields of it or of its leaf changed, both signed by their owner."""
    suite, honest = person.suite, person.key_package("insider")[0]
    unsigned = replace(honest.leaf_node, **(leaf or {}))
    node = sign_leaf(suite, unsigned, person.signature_private_key, NOWHERE)
    package = replace(honest, leaf_node=node)
    package = replace(package, **changes)
    signature = suite.sign_with_label(person.signature_private_key, b"KeyPackageTBS", package.to_be_signed())
    return replace(package, signature=signature)


def info_for(group: Group, tree: Tree, *, signer: int | None = None) -> GroupInfo:
    """A GroupInfo for another tree, signed by this member."""
    honest = read_group_info(group.group_info())
    context = replace(honest.group_context, tree_hash=tree.hash())
    own = group.own_leaf_index if signer is None else signer
    return sign_group_info(group.suite, context, (), honest.confirmation_tag, own, group.signature_private_key)


def info_with(group: Group, beside: tuple[Extension, ...] = (), **context: Any) -> bytes:
    """A GroupInfo with a changed context or other extensions beside it, signed by this member."""
    honest = read_group_info(group.group_info())
    changed = replace(honest.group_context, **context)
    return MLSMessage.wrap(
        sign_group_info(
            group.suite,
            changed,
            beside,
            honest.confirmation_tag,
            group.own_leaf_index,
            group.signature_private_key,
        )
    )


def lifetime(start: int, end: int) -> Lifetime:
    return Lifetime(NOW + start, NOW + end)
