"""How a ratchet tree is cut for keeping, so that a Commit rewrites some kilobytes of it, and a message reads as few.

    node   0 ........ 62   63   64 ....... 126   127   ...
           block 0         top  block 1          top

A block is a subtree of 32 leaves, kept with the tree hash of its root; what stands above the blocks is the top. A path
goes through one block and the top.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from keys.mls import treemath
from keys.mls.codec import Optional, Struct, Tagged, Vector, opaque, struct, uint8, uint32
from keys.mls.errors import DecodeError
from keys.mls.nodes import LeafNode, Node, ParentNode
from keys.mls.treemath import MAX_LEAVES

BLOCK_LEAVES: Final = 32
STRIDE: Final = 2 * BLOCK_LEAVES
"""Nodes from the beginning of one block to that of the next; the last of them belongs to the top."""


@struct(cached=True)
class TreeTop(Struct):
    """Part `tree`: its size, and the nodes above the blocks."""

    leaves: Annotated[int, uint32]
    nodes: Annotated[tuple[ParentNode | None, ...], Vector(Optional(ParentNode), MAX_LEAVES // BLOCK_LEAVES)]


@struct
class TreeBlock(Struct):
    """Part `tree-<block>`: its nodes, and the tree hash of the whole (section 7.8)."""

    hash: Annotated[bytes, opaque]
    nodes: Annotated[tuple[Node | None, ...], Vector(Optional(Tagged(uint8, {1: LeafNode, 2: ParentNode})), STRIDE - 1)]


def block_count(leaves: int) -> int:
    """How many blocks a tree of so many leaves has."""
    return max(1, leaves // BLOCK_LEAVES)


def block_root(block: int, leaves: int) -> int:
    """The node at the top of a block; a smaller tree is one block."""
    return STRIDE * block + treemath.root(min(leaves, BLOCK_LEAVES))


def block_of(node: int) -> int | None:
    """The block in which a node stands; None for one of the top."""
    block, place = divmod(node, STRIDE)
    return None if place == STRIDE - 1 else block


def encode_block(root_hash: bytes, nodes: Sequence[Node | None], block: int) -> bytes:
    """Part `tree-<block>` of these nodes."""
    return TreeBlock(root_hash, tuple(nodes[STRIDE * block : STRIDE * (block + 1) - 1])).encode()


def decode_block(content: bytes, leaves: int) -> tuple[Node | None, ...]:
    """The nodes of a block. Raises `DecodeError`."""
    nodes = TreeBlock.decode(content).nodes
    if len(nodes) != treemath.node_width(min(leaves, BLOCK_LEAVES)):
        raise DecodeError(f"{len(nodes)} nodes in a block of the tree")
    for place, node in enumerate(nodes):
        if node is not None and isinstance(node, LeafNode) != (place % 2 == 0):
            raise DecodeError(f"node {place} of a block is of the wrong kind")
    return nodes
