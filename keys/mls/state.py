"""A group at rest: named parts, so that a message rewrites kilobytes and a Commit the rest.

    public          context and confirmation tag                    new with each Commit
    tree            the ratchet tree                                new with each Commit
    proposals       what waits for a Commit; absent if nothing      with each proposal
    epoch           secrets and private keys                        new with each Commit
    updates         the keys of our own pending Updates, if any     with each of them
    secret-tree     secrets of senders not heard yet                when a sender is first heard
    ratchet-<leaf>  one sender's message keys                       with each of its messages
    past-<epoch>    what opens late messages of an epoch            with each such message, and with each Commit

Whoever saves replaces the whole set in one transaction: write the parts whose bytes differ, and *delete those that
are no longer named*; only so are consumed secrets gone (RFC 9420 section 9.2). Parts hold private keys: keep them in
an encrypted store, out of backups.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from keys.mls.codec import Optional, Reader, Struct, Vector, decode_all, encode_with, opaque, struct, uint8, uint32
from keys.mls.commits import OwnUpdate
from keys.mls.errors import DecodeError
from keys.mls.messages import GroupContext
from keys.mls.nodes import LeafNode
from keys.mls.parts import Parts, part
from keys.mls.private import MessageKeys
from keys.mls.public import PublicGroup
from keys.mls.schedule import EpochSecrets
from keys.mls.secrettree import LeafRatchets, NodeSecret, SecretTree
from keys.mls.suites import CipherSuite
from keys.mls.tree import Tree

if TYPE_CHECKING:
    from keys.mls.group import Group


@struct
class KeptUpdate(Struct):
    """The private keys behind an Update of ours."""

    encryption_key: Annotated[bytes, opaque]
    encryption_private_key: Annotated[bytes, opaque]
    signature_private_key: Annotated[bytes, opaque]


kept_updates: Final = Vector(KeptUpdate)
"""Part `updates`."""


@struct
class KeptPrivateKey(Struct):
    """The private key of a node."""

    node: Annotated[int, uint32]
    key: Annotated[bytes, opaque]


@struct
class EpochPart(Struct):
    """Part `epoch`: a member's secrets."""

    own_leaf_index: Annotated[int, uint32]
    removed: Annotated[int, uint8]
    signature_private_key: Annotated[bytes, opaque]
    private: Annotated[tuple[KeptPrivateKey, ...], Vector(KeptPrivateKey)]
    secrets: EpochSecrets


@struct
class KeptRatchets(Struct):
    """The message keys of a sender in an epoch that is over."""

    leaf_index: Annotated[int, uint32]
    ratchets: LeafRatchets


@struct
class KeptLeaf(Struct):
    """A leaf that was another then than it is now."""

    leaf_index: Annotated[int, uint32]
    leaf: Annotated[LeafNode | None, Optional(LeafNode)]


@struct
class PastPart(Struct):
    """Part `past-<epoch>`; the leaves are told by their difference from the present tree's."""

    context: GroupContext
    sender_data_secret: Annotated[bytes, opaque]
    leaves: Annotated[int, uint32]
    nodes: Annotated[tuple[NodeSecret, ...], Vector(NodeSecret)]
    ratchets: Annotated[tuple[KeptRatchets, ...], Vector(KeptRatchets)]
    changed: Annotated[tuple[KeptLeaf, ...], Vector(KeptLeaf)]


def secret_tree_parts(tree: SecretTree) -> dict[str, bytes]:
    """Parts `secret-tree` and `ratchet-<leaf>` of the present epoch."""
    parts = {f"ratchet-{leaf_index}": ratchets.encode() for leaf_index, ratchets in tree.ratchets.items()}
    parts["secret-tree"] = tree.encode_nodes()
    return parts


def load_secret_tree(parts: Parts) -> SecretTree:
    reader = Reader(part(parts, "secret-tree"))
    leaves = uint32.read(reader)
    nodes = {kept.node: kept.secret for kept in Vector(NodeSecret).read(reader)}
    reader.finish()
    ratchets = {}
    for name, content in parts.items():
        if name.startswith("ratchet-"):
            leaf_index = name.removeprefix("ratchet-")
            if not leaf_index.isdecimal():
                raise DecodeError(f"no leaf has the ratchet {name}")
            ratchets[int(leaf_index)] = LeafRatchets.decode(content)
    return SecretTree(leaves, nodes, ratchets)


def past_part(keys: MessageKeys, present: Tree) -> bytes:
    """Part `past-<epoch>`."""
    changed = tuple(
        KeptLeaf(leaf_index, leaf)
        for leaf_index, leaf in enumerate(keys.leaves)
        if leaf is not present.leaf(leaf_index) and leaf != present.leaf(leaf_index)
    )
    tree = keys.secret_tree
    return PastPart(
        keys.context,
        keys.sender_data_secret,
        tree.leaves,
        tuple(NodeSecret(node, secret) for node, secret in sorted(tree.nodes.items())),
        tuple(KeptRatchets(leaf_index, ratchets) for leaf_index, ratchets in sorted(tree.ratchets.items())),
        changed,
    ).encode()


def load_past(suite: CipherSuite, content: bytes, present: Tree) -> MessageKeys:
    past = PastPart.decode(content)
    leaves = [present.leaf(leaf_index) for leaf_index in range(past.leaves)]
    for changed in past.changed:
        if changed.leaf_index >= past.leaves:
            raise DecodeError("a leaf outside its tree")
        leaves[changed.leaf_index] = changed.leaf
    tree = SecretTree(
        past.leaves,
        {kept.node: kept.secret for kept in past.nodes},
        {kept.leaf_index: kept.ratchets for kept in past.ratchets},
    )
    return MessageKeys(suite, past.context, past.sender_data_secret, tree, tuple(leaves))


def own_updates_part(own_updates: Mapping[bytes, OwnUpdate]) -> dict[str, bytes]:
    """Part `updates`, if there is any."""
    kept = tuple(
        KeptUpdate(key, update.encryption_private_key, update.signature_private_key)
        for key, update in own_updates.items()
    )
    return {"updates": encode_with(kept_updates, kept)} if kept else {}


def load_own_updates(parts: Parts) -> dict[bytes, OwnUpdate]:
    kept = decode_all(kept_updates, parts.get("updates", b"\0"))
    return {
        update.encryption_key: OwnUpdate(update.encryption_private_key, update.signature_private_key) for update in kept
    }


def group_parts(group: "Group") -> dict[str, bytes]:
    """All parts of a member's group."""
    private = tuple(KeptPrivateKey(node, key) for node, key in sorted(group.private.items()))
    epoch = EpochPart(group.own_leaf_index, int(group.removed), group.signature_private_key, private, group.secrets)
    past = {f"past-{keys.context.epoch}": past_part(keys, group.tree) for keys in group.past}
    updates = own_updates_part(group.own_updates)
    return {**group.public.parts(), "epoch": epoch.encode(), **updates, **secret_tree_parts(group.secret_tree), **past}


class LoadedMember(NamedTuple):
    """What the parts of a member's group hold, ready to be a group again."""

    epoch: EpochPart
    private: dict[int, bytes]
    secret_tree: SecretTree
    past: tuple[MessageKeys, ...]
    own_updates: dict[bytes, OwnUpdate]


def load_member(parts: Parts, public: PublicGroup) -> LoadedMember:
    """Read what only a member has. Raises `DecodeError`."""
    epoch = EpochPart.decode(part(parts, "epoch"))
    past = [
        load_past(public.suite, content, public.tree) for name, content in parts.items() if name.startswith("past-")
    ]
    past.sort(key=lambda keys: -keys.context.epoch)
    private = {kept.node: kept.key for kept in epoch.private}
    return LoadedMember(epoch, private, load_secret_tree(parts), tuple(past), load_own_updates(parts))


@struct
class KeptCommit(Struct):
    """A pending Commit and the group it leads to."""

    message: Annotated[bytes, opaque]
    welcome: Annotated[bytes | None, Optional(opaque)]
    group_info: Annotated[bytes, opaque]
    group: Annotated[bytes, opaque]
