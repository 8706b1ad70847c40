"""The ratchet tree (RFC 9420 sections 4 and 7): who is in the group and which keys stand for which of them.

A `Tree` is a value. A step that changes it takes an `Edit`, sets and blanks nodes, adds and removes leaves, and makes
a new tree of it; hashes of untouched subtrees come along, so a commit hashes a path and not the whole. So do the
encodings of untouched blocks (`blocks.py`), and a tree that was loaded decodes a block when something in it is asked
for: a message needs the leaf of its sender and no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from keys.mls import treemath
from keys.mls.blocks import BLOCK_LEAVES, STRIDE, TreeTop, block_count, block_of, block_root, decode_block, encode_block
from keys.mls.codec import Reader, decode_all, encode_with, opaque, vector_bytes
from keys.mls.errors import DecodeError, InvalidTree
from keys.mls.nodes import LeafNode, Node, ParentNode, ratchet_tree
from keys.mls.suites import CipherSuite
from keys.mls.treemath import MAX_LEAVES


class Tree:
    """A full binary tree of `leaves` leaves, blank nodes being None.

    Read-only but for what it remembers: hashes by node, its encoding, and that of its blocks, each None as long as it
    is not known; and the blocks that were not decoded yet (`_closed`), whose nodes look blank until then.
    """

    __slots__ = ("_blocks", "_closed", "_encoding", "_hashes", "_nodes", "leaves", "suite")

    def __init__(
        self,
        suite: CipherSuite,
        nodes: list[Node | None],
        hashes: list[bytes | None] | None = None,
        blocks: list[bytes | None] | None = None,
    ) -> None:
        self.suite = suite
        self.leaves = (len(nodes) + 1) // 2
        self._nodes = nodes
        self._hashes = hashes or [None] * len(nodes)
        self._blocks = blocks or [None] * block_count(self.leaves)
        self._closed: set[int] = set()
        self._encoding: bytes | None = None

    @classmethod
    def of_one(cls, suite: CipherSuite, leaf: LeafNode) -> "Tree":
        """The tree of a group's founder."""
        return cls(suite, [leaf])

    @classmethod
    def decode(cls, suite: CipherSuite, data: bytes) -> "Tree":
        """A tree from a ratchet_tree extension (section 12.4.3.3), as claimed: only its shape is checked.

        Raises `DecodeError`, `InvalidTree`.
        """
        nodes: tuple[Node | None, ...] = decode_all(ratchet_tree, data)
        if not nodes or nodes[-1] is None:
            raise InvalidTree("the last node is blank (section 12.4.3.3)")
        leaves = treemath.leaves_for(len(nodes))
        if leaves > MAX_LEAVES:
            raise InvalidTree(f"{leaves} leaves, the limit is {MAX_LEAVES}")
        for place, node in enumerate(nodes):
            if node is not None and isinstance(node, LeafNode) != (place % 2 == 0):
                raise InvalidTree(f"node {place} is of the wrong kind (section 12.4.3.3)")
        width = treemath.node_width(leaves)
        return cls(suite, [*nodes, *[None] * (width - len(nodes))])

    def encode(self) -> bytes:
        """The ratchet_tree extension: nodes up to the last that is not blank."""
        if self._encoding is None:
            nodes = self.nodes
            used = len(nodes)
            while used and nodes[used - 1] is None:
                used -= 1
            self._encoding = encode_with(ratchet_tree, nodes[:used])
        return self._encoding

    def edit(self) -> "Edit":
        """A draft of the next tree."""
        return Edit(self.suite, list(self.nodes), list(self._hashes), list(self._blocks))

    # At rest

    def parts(self) -> dict[str, bytes]:
        """Parts `tree` and `tree-<block>`."""
        tops = tuple(self._nodes[STRIDE - 1 :: STRIDE])
        parts = {"tree": TreeTop(self.leaves, tops).encode()}  # type: ignore[arg-type]  # no leaf stands above a block
        for block, content in enumerate(self._blocks):
            if content is None:
                root_hash = self.node_hash(block_root(block, self.leaves))
                content = self._blocks[block] = encode_block(root_hash, self._nodes, block)
            parts[f"tree-{block}"] = content
        return parts

    @classmethod
    def load(cls, suite: CipherSuite, parts: Mapping[str, bytes]) -> "Tree":
        """The tree of these parts. Raises `DecodeError`, for what is inside a block when it is first asked for."""
        top = TreeTop.decode(_part(parts, "tree"))
        count = block_count(top.leaves)
        if treemath.leaves_for(treemath.node_width(top.leaves)) != top.leaves or len(top.nodes) != count - 1:
            raise DecodeError(f"no tree has {top.leaves} leaves and {len(top.nodes)} nodes above its blocks")
        nodes: list[Node | None] = [None] * treemath.node_width(top.leaves)
        nodes[STRIDE - 1 :: STRIDE] = top.nodes
        tree = cls(suite, nodes)
        for block in range(count):
            content = _part(parts, f"tree-{block}")
            tree._blocks[block] = content
            tree._hashes[block_root(block, top.leaves)] = opaque.read(Reader(content))
        tree._closed = set(range(count))
        return tree

    @property
    def nodes(self) -> Sequence[Node | None]:
        """All nodes, in the order of the array."""
        for block in list(self._closed):
            self._open(block)
        return self._nodes

    def _open(self, block: int) -> None:
        content = self._blocks[block]
        assert content is not None
        nodes = decode_block(content, self.leaves)
        self._nodes[STRIDE * block : STRIDE * block + len(nodes)] = nodes
        self._closed.discard(block)

    def _node(self, node: int) -> Node | None:
        """The node at a place, its block decoded."""
        if self._closed and (block := block_of(node)) in self._closed:
            assert block is not None
            self._open(block)
        return self._nodes[node]

    # Who is in

    def leaf(self, leaf_index: int) -> LeafNode | None:
        """The leaf at this index, or None if it is blank or outside the tree."""
        if not 0 <= leaf_index < self.leaves:
            return None
        node = self._node(2 * leaf_index)
        assert node is None or isinstance(node, LeafNode)
        return node

    def leaf_nodes(self) -> tuple[LeafNode | None, ...]:
        """All leaves by index, blank ones as None."""
        return tuple(self.nodes[::2])  # type: ignore[arg-type]  # even places hold leaves

    def members(self) -> Iterator[tuple[int, LeafNode]]:
        """Index and leaf of every member, from the left."""
        for leaf_index, node in enumerate(self.nodes[::2]):
            if node is not None:
                assert isinstance(node, LeafNode)
                yield leaf_index, node

    def parent_node(self, node: int) -> ParentNode | None:
        """The parent node at this place, or None if it is blank."""
        value = self._node(node)
        assert value is None or isinstance(value, ParentNode)
        return value

    # Resolution and paths (sections 4.1.1 and 4.1.2)

    def resolution(self, node: int) -> list[int]:
        """The nodes whose keys reach everybody under `node`."""
        value = self._node(node)
        if isinstance(value, ParentNode):
            return [node, *(2 * leaf for leaf in value.unmerged_leaves)]
        if value is not None:
            return [node]
        if node % 2 == 0:
            return []
        return self.resolution(treemath.left(node)) + self.resolution(treemath.right(node))

    def is_empty(self, node: int) -> bool:
        """Whether nothing stands in the subtree under `node`, so that its resolution is empty."""
        first, last = treemath.span(node)
        return not any(self.nodes[first : last + 1])

    def filtered_direct_path(self, leaf_index: int) -> list[tuple[int, int]]:
        """Ancestors of a leaf, each with its child on the copath, but for those where that child reaches nobody."""
        path, node = [], 2 * leaf_index
        for above in treemath.direct_path(node, self.leaves):
            other = treemath.sibling(node)
            if not self.is_empty(other):
                path.append((above, other))
            node = above
        return path

    # Tree hashes (section 7.8)

    def hash(self) -> bytes:
        """The tree hash of the root."""
        return self.node_hash(treemath.root(self.leaves))

    def node_hash(self, node: int) -> bytes:
        """The tree hash of the subtree under `node`."""
        known = self._hashes[node]
        if known is None:
            known = self._hashes[node] = self._compute_hash(node, frozenset())
        return known

    def hash_without(self, node: int, blanked: frozenset[int]) -> bytes:
        """The tree hash as it would be if these leaves were blank and nowhere unmerged (section 7.9)."""
        first, last = treemath.span(node)
        here = frozenset(leaf for leaf in blanked if first <= 2 * leaf <= last)
        return self._compute_hash(node, here) if here else self.node_hash(node)

    def _compute_hash(self, node: int, blanked: frozenset[int]) -> bytes:
        value = self._node(node)
        if node % 2 == 0:
            present = value is not None and node // 2 not in blanked
            content = b"\x01" + value.encode() if present and value is not None else b"\x00"
            return self.suite.hash(b"\x01" + (node // 2).to_bytes(4) + content)
        if isinstance(value, ParentNode) and not blanked.isdisjoint(value.unmerged_leaves):
            kept = tuple(leaf for leaf in value.unmerged_leaves if leaf not in blanked)
            value = ParentNode(value.encryption_key, value.parent_hash, kept)
        content = b"\x01" + value.encode() if value is not None else b"\x00"
        left = self.hash_without(treemath.left(node), blanked)
        right = self.hash_without(treemath.right(node), blanked)
        return self.suite.hash(b"\x02" + content + vector_bytes(left) + vector_bytes(right))

    def parent_hash(self, node: int, copath_child: int) -> bytes:
        """The parent hash of a parent node with this copath child (section 7.9)."""
        value = self.parent_node(node)
        assert value is not None
        original = self.hash_without(copath_child, frozenset(value.unmerged_leaves))
        return self.suite.hash(
            vector_bytes(value.encryption_key) + vector_bytes(value.parent_hash) + vector_bytes(original)
        )

    # Is this a tree that members could have made? (sections 7.9.2 and 12.4.3.1)

    def verify(self) -> None:
        """Check everything about the parents; the leaves' own rules are elsewhere. Raises `InvalidTree`."""
        self._verify_keys()
        for node in range(1, len(self.nodes), 2):
            value = self.parent_node(node)
            if value is not None:
                self._verify_unmerged(node, value)
        for node in range(1, len(self.nodes), 2):
            if self.nodes[node] is not None:
                self._verify_parent_hash(node)

    def _verify_keys(self) -> None:
        keys = [node.encryption_key for node in self.nodes if node is not None]
        if len(set(keys)) != len(keys):
            raise InvalidTree("an encryption key stands twice in the tree (sections 7.3 and 12.4.3.1)")
        for node in range(1, len(self.nodes), 2):
            value = self.parent_node(node)
            if value is not None:
                self.suite.hpke.kem.check_public(value.encryption_key)

    def _verify_unmerged(self, node: int, value: ParentNode) -> None:
        """Each unmerged leaf is a member below, in order, and unmerged all the way up (section 12.4.3.1)."""
        unmerged = value.unmerged_leaves
        if any(one >= other for one, other in pairwise(unmerged)):
            raise InvalidTree(f"unmerged leaves of node {node} are not in increasing order (section 7.1)")
        for leaf in unmerged:
            if not treemath.covers(node, 2 * leaf) or self.nodes[2 * leaf] is None:
                raise InvalidTree(f"unmerged leaf {leaf} is not a member under node {node} (section 12.4.3.1)")
            between = treemath.parent(2 * leaf)
            while between != node:
                below = self.parent_node(between)
                if below is not None and leaf not in below.unmerged_leaves:
                    raise InvalidTree(f"leaf {leaf} is unmerged at node {node}, not at {between} (section 12.4.3.1)")
                between = treemath.parent(between)

    def _verify_parent_hash(self, node: int) -> None:
        """Exactly one node below was set together with this one (section 7.9.2)."""
        left, right = treemath.left(node), treemath.right(node)
        chained = self._chains(node, left, right) + self._chains(node, right, left)
        if chained != 1:
            raise InvalidTree(f"node {node} is not parent-hash valid (section 7.9.2)")

    def _chains(self, node: int, child: int, sibling: int) -> bool:
        """Whether a node in the resolution of `child` vouches for `node`."""
        parent = self.parent_node(node)
        assert parent is not None
        unmerged = {2 * leaf for leaf in parent.unmerged_leaves if treemath.covers(child, 2 * leaf)}
        resolution = set(self.resolution(child))
        below = resolution - unmerged
        if len(below) != 1 or not unmerged <= resolution:
            return False
        value = self.nodes[below.pop()]
        assert value is not None
        return bool(value.parent_hash) and value.parent_hash == self.parent_hash(node, sibling)


def _part(parts: Mapping[str, bytes], name: str) -> bytes:
    content = parts.get(name)
    if content is None:
        raise DecodeError(f"the state has no part {name}")
    return content


class Edit:
    """A tree being changed, inside one step; `finish` makes the value."""

    __slots__ = ("_free", "_joined", "blocks", "hashes", "nodes", "suite")

    def __init__(
        self,
        suite: CipherSuite,
        nodes: list[Node | None],
        hashes: list[bytes | None],
        blocks: list[bytes | None],
    ) -> None:
        self.suite = suite
        self.nodes = nodes
        self.hashes = hashes
        self.blocks = blocks
        self._free = 0
        self._joined: list[int] = []

    @property
    def leaves(self) -> int:
        return (len(self.nodes) + 1) // 2

    def set(self, node: int, value: Node | None) -> None:
        """Put a node in its place, or blank it; its block and the hashes above it are no longer known."""
        self.nodes[node] = value
        self.hashes[node] = None
        if (block := block_of(node)) is not None:
            self.blocks[block] = None
        for above in treemath.direct_path(node, self.leaves):
            self.hashes[above] = None

    def blank_path(self, leaf_index: int) -> None:
        """Blank every parent above a leaf."""
        self.blocks[2 * leaf_index // STRIDE] = None
        for above in treemath.direct_path(2 * leaf_index, self.leaves):
            self.nodes[above] = None
            self.hashes[above] = None

    def update_leaf(self, leaf_index: int, leaf: LeafNode) -> None:
        """Apply an Update (section 12.1.2)."""
        self.set(2 * leaf_index, leaf)
        self.blank_path(leaf_index)

    def remove_leaf(self, leaf_index: int) -> None:
        """Apply a Remove, but for `truncate` (section 12.1.3)."""
        self.set(2 * leaf_index, None)
        self.blank_path(leaf_index)

    def truncate(self) -> None:
        """Drop the right half while it is blank (section 7.7)."""
        while self.leaves > 1 and not any(self.nodes[self.leaves :]):
            keep = self.leaves - 1
            del self.nodes[keep:]
            del self.hashes[keep:]
            if len(self.blocks) > 1:
                del self.blocks[len(self.blocks) // 2 :]
            else:
                self.blocks[0] = None

    def free_leaf(self) -> int:
        """The leftmost blank leaf; where there is none, the tree is extended to the right (section 7.7)."""
        while self._free < self.leaves and self.nodes[2 * self._free] is not None:
            self._free += 1
        leaf_index = self._free
        if leaf_index == self.leaves:
            if self.leaves >= MAX_LEAVES:
                raise InvalidTree(f"more than {MAX_LEAVES} leaves")
            grown = len(self.nodes) + 1
            self.nodes += [None] * grown
            self.hashes += [None] * grown
            self.blocks = [*self.blocks, *[None] * len(self.blocks)] if self.leaves > BLOCK_LEAVES else [None]
        return leaf_index

    def add_leaf(self, leaf: LeafNode) -> int:
        """Put a new member at the leftmost blank leaf and say where (section 12.1.1); the last thing to do."""
        leaf_index = self.free_leaf()
        self._joined.append(leaf_index)
        self.set(2 * leaf_index, leaf)
        return leaf_index

    def _mark_unmerged(self) -> None:
        """Name each new member at the parents above it, which hold keys it does not have (section 12.1.1)."""
        new: dict[int, list[int]] = {}
        for leaf_index in self._joined:
            for above in treemath.direct_path(2 * leaf_index, self.leaves):
                new.setdefault(above, []).append(leaf_index)
        for above, joined in new.items():
            value = self.nodes[above]
            if isinstance(value, ParentNode):
                unmerged = tuple(sorted((*value.unmerged_leaves, *joined)))
                self.nodes[above] = ParentNode(value.encryption_key, value.parent_hash, unmerged)
        self._joined.clear()

    def finish(self) -> Tree:
        """The new tree."""
        self._mark_unmerged()
        return Tree(self.suite, self.nodes, self.hashes, self.blocks)
