"""TreeKEM (RFC 9420 sections 7.4 to 7.6): a committer gives fresh keys to its path, and everybody else the secrets.

    path_secret[0] -> path_secret[1] -> ... -> commit_secret       one step for each parent of the filtered direct path
         |                 |
      node key          node key                                   sealed to the resolution of the other child

Private keys are held in a mapping from node to key, the own leaf's among them; a key stays only as long as its node
holds the same public key.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from keys.mls import treemath
from keys.mls.codec import vector_bytes
from keys.mls.errors import InvalidCommit, InvalidTree
from keys.mls.hpke import Random
from keys.mls.messages import GroupContext, UpdatePath, UpdatePathNode
from keys.mls.nodes import Extension, LeafNode, ParentNode
from keys.mls.suites import CipherSuite
from keys.mls.tree import Tree

PrivateKeys = Mapping[int, bytes]
"""HPKE private keys by node."""


class NodeKeys(NamedTuple):
    """What follows from one path secret."""

    private: bytes
    public: bytes
    next_path_secret: bytes


def node_keys(suite: CipherSuite, path_secret: bytes) -> NodeKeys:
    """The key pair of a node and the secret of the next one up (section 7.4)."""
    private, public = suite.derive_key_pair(suite.derive_secret(path_secret, b"node"))
    return NodeKeys(private, public, suite.derive_secret(path_secret, b"path"))


def set_path(tree: Tree, sender: int, keys: Iterable[bytes]) -> tuple[Tree, bytes]:
    """Put fresh public keys on a sender's filtered direct path; the tree, and the parent hash its leaf must carry.

    Parent hashes go from the top down, each over the one above and the tree hash of the other child (section 7.9).
    """
    path = tree.filtered_direct_path(sender)
    edit = tree.edit()
    edit.blank_path(sender)
    above = b""
    for (node, copath_child), key in reversed(list(zip(path, keys, strict=True))):
        edit.set(node, ParentNode(key, above, ()))
        sibling_hash = tree.node_hash(copath_child)
        above = _parent_hash(tree.suite, key, above, sibling_hash)
    return edit.finish(), above


def _parent_hash(suite: CipherSuite, key: bytes, above: bytes, sibling_hash: bytes) -> bytes:
    return suite.hash(vector_bytes(key) + vector_bytes(above) + vector_bytes(sibling_hash))


def set_leaf(tree: Tree, sender: int, leaf: LeafNode) -> Tree:
    """The tree with the sender's leaf in place."""
    edit = tree.edit()
    edit.set(2 * sender, leaf)
    return edit.finish()


@dataclass(frozen=True, slots=True)
class CreatedPath:
    """A path that we made: what goes out, and what we keep."""

    tree: Tree
    context: GroupContext
    """The provisional one: new epoch and tree, old transcript."""
    path: UpdatePath
    private: PrivateKeys
    path_secrets: Mapping[int, bytes]
    """By node; a joiner gets the one of the lowest node above it and us."""
    commit_secret: bytes


def create_path(
    tree: Tree,
    sender: int,
    sign_leaf: Callable[[bytes, bytes], LeafNode],
    context_for: Callable[[bytes], GroupContext],
    joiners: frozenset[int],
    random: Random,
) -> CreatedPath:
    """Refresh a sender's path in a tree to which the proposals were applied (section 7.5).

    `sign_leaf(encryption_key, parent_hash)` makes the new leaf, `context_for(tree_hash)` the provisional context;
    `joiners` are the leaves added by this very commit, to whom nothing is sealed.
    """
    suite = tree.suite
    nodes = tree.filtered_direct_path(sender)
    secret = random(suite.hash_length)
    secrets: dict[int, bytes] = {}
    publics: list[bytes] = []
    private: dict[int, bytes] = {}
    for node, _ in nodes:
        secrets[node] = secret
        private[node], public, secret = node_keys(suite, secret)
        publics.append(public)
    private[2 * sender], leaf_public = suite.derive_key_pair(random(suite.hash_length))
    with_path, parent_hash = set_path(tree, sender, publics)
    leaf = sign_leaf(leaf_public, parent_hash)
    after = set_leaf(with_path, sender, leaf)
    context = context_for(after.hash())
    sealed = tuple(
        UpdatePathNode(
            public,
            tuple(
                suite.encrypt_with_label(key, b"UpdatePathNode", context.encode(), secrets[node])
                for key in _recipients(tree, copath_child, joiners)
            ),
        )
        for (node, copath_child), public in zip(nodes, publics, strict=True)
    )
    return CreatedPath(after, context, UpdatePath(leaf, sealed), private, secrets, secret)


def _recipients(tree: Tree, copath_child: int, joiners: frozenset[int]) -> list[bytes]:
    """The public keys to which a path secret is sealed: the resolution without this commit's joiners."""
    found = []
    for node in resolution_without(tree, copath_child, joiners):
        value = tree.nodes[node]
        assert value is not None
        found.append(value.encryption_key)
    return found


def resolution_without(tree: Tree, node: int, joiners: frozenset[int]) -> list[int]:
    """The resolution of a node without the leaves added by this commit (section 7.5)."""
    resolution = tree.resolution(node)
    if not joiners:
        return resolution
    return [place for place in resolution if place % 2 or place // 2 not in joiners]


def merge_path(tree: Tree, sender: int, path: UpdatePath, joiners: frozenset[int]) -> Tree:
    """Put a received path into the tree (section 7.5); needs no secret. Raises `InvalidCommit`.

    Checked here: its shape, that its keys are new and usable, and the parent hash. The leaf's own rules are the
    caller's.
    """
    nodes = tree.filtered_direct_path(sender)
    if len(path.nodes) != len(nodes):
        raise InvalidCommit(f"{len(path.nodes)} path nodes for a filtered direct path of {len(nodes)} (section 7.6)")
    for (_, copath_child), node in zip(nodes, path.nodes, strict=True):
        expected = len(resolution_without(tree, copath_child, joiners))
        if len(node.encrypted_path_secret) != expected:
            raise InvalidCommit(f"{len(node.encrypted_path_secret)} secrets for {expected} nodes (section 7.6)")
    fresh = [path.leaf_node.encryption_key, *(node.encryption_key for node in path.nodes)]
    held = {node.encryption_key for node in tree.nodes if node is not None}
    if len(set(fresh)) != len(fresh) or not held.isdisjoint(fresh):
        raise InvalidCommit("a key of the path stands in the tree already (section 12.4.2)")
    for key in fresh:
        tree.suite.hpke.kem.check_public(key)
    after, parent_hash = set_path(tree, sender, [node.encryption_key for node in path.nodes])
    if path.leaf_node.parent_hash != parent_hash:
        raise InvalidCommit("the path's leaf vouches for another path (section 7.9.2)")
    return set_leaf(after, sender, path.leaf_node)


def open_path(
    before: Tree,
    sender: int,
    own: int,
    path: UpdatePath,
    joiners: frozenset[int],
    private: PrivateKeys,
    context: GroupContext,
) -> tuple[PrivateKeys, bytes]:
    """Our private keys after a received path, and its commit secret (section 7.5).

    `before` is the tree with the proposals applied and the path not yet merged; `context` the provisional one.
    Raises `InvalidCommit`, `DecryptionFailed`.
    """
    suite = before.suite
    nodes = before.filtered_direct_path(sender)
    for place, (_, copath_child) in enumerate(nodes):  # noqa: B007
        if treemath.covers(copath_child, 2 * own):
            break
    else:
        raise AssertionError("our leaf is under some node of the path")
    resolution = resolution_without(before, copath_child, joiners)
    position, holder = next((at, node) for at, node in enumerate(resolution) if node in private)
    sealed = path.nodes[place].encrypted_path_secret[position]
    secret = suite.decrypt_with_label(private[holder], b"UpdatePathNode", context.encode(), sealed)
    fresh = dict(private)
    for (node, _), sent in zip(nodes[place:], path.nodes[place:], strict=True):
        fresh[node], public, secret = node_keys(suite, secret)
        if public != sent.encryption_key:
            raise InvalidCommit(f"the secret of node {node} does not give its key (section 7.5)")
    return fresh, secret


def keep_private(private: PrivateKeys, before: Tree, after: Tree) -> dict[int, bytes]:
    """The private keys whose nodes hold the same public key after a change of the tree."""
    kept = {}
    for node, key in private.items():
        if node < len(after.nodes):
            old, new = before.nodes[node], after.nodes[node]
            if old is not None and new is not None and old.encryption_key == new.encryption_key:
                kept[node] = key
    return kept


def join_path(tree: Tree, own: int, signer: int, path_secret: bytes, leaf_private: bytes) -> dict[int, bytes]:
    """A joiner's private keys from the path secret in its Welcome (section 12.4.3.1). Raises `InvalidTree`."""
    private = {2 * own: leaf_private}
    start = treemath.common_ancestor(2 * own, 2 * signer)
    for node in [start, *treemath.direct_path(start, tree.leaves)]:
        value = tree.parent_node(node)
        if value is None and node == start:
            raise InvalidTree("a path secret for a blank node (section 12.4.3.1)")
        if value is None:
            continue
        private[node], public, path_secret = node_keys(tree.suite, path_secret)
        if public != value.encryption_key:
            raise InvalidTree(f"the path secret does not give the key of node {node} (section 12.4.3.1)")
    return private


def provisional_context(old: GroupContext, tree_hash: bytes, extensions: tuple[Extension, ...]) -> GroupContext:
    """New epoch, tree and extensions, old transcript (section 12.4.1): what path secrets are sealed under."""
    return replace(old, epoch=old.epoch + 1, tree_hash=tree_hash, extensions=extensions)
