"""Where the nodes of a full binary tree lie in an array (RFC 9420 appendix C).

Leaf `L` is node `2 * L`; a tree of `n` leaves, `n` a power of two, has `2 * n - 1` nodes. Arithmetic only.
"""

from typing import Final

MAX_LEAVES: Final = 1 << 16
"""Largest tree that is looked at."""

MAX_DEPTH: Final = 16
"""The longest path in it."""


def level(node: int) -> int:
    """Height above the leaves: the number of low one bits."""
    return (~node & (node + 1)).bit_length() - 1


def node_width(leaves: int) -> int:
    """Number of nodes in a tree of `leaves` leaves."""
    return 2 * leaves - 1 if leaves else 0


def root(leaves: int) -> int:
    """The root of a tree of `leaves` leaves (a power of two)."""
    return leaves - 1


def left(node: int) -> int:
    """The left child of a parent node."""
    return node ^ (1 << (level(node) - 1))


def right(node: int) -> int:
    """The right child of a parent node."""
    return node ^ (3 << (level(node) - 1))


def parent(node: int) -> int:
    """The parent; the caller knows that `node` is not the root."""
    k = level(node)
    return (node | (1 << k)) & ~(1 << (k + 1))


def sibling(node: int) -> int:
    """The other child of the node's parent."""
    return node ^ (1 << (level(node) + 1))


def direct_path(node: int, leaves: int) -> list[int]:
    """The ancestors of `node`, from its parent to the root."""
    top = root(leaves)
    path = []
    while node != top:
        node = parent(node)
        path.append(node)
    return path


def span(node: int) -> tuple[int, int]:
    """First and last node of the subtree under `node`."""
    reach = (1 << level(node)) - 1
    return node - reach, node + reach


def covers(node: int, other: int) -> bool:
    """Whether `other` lies in the subtree under `node` (itself included)."""
    first, last = span(node)
    return first <= other <= last


def common_ancestor(one: int, other: int) -> int:
    """The lowest node above both of two different leaves (given as nodes)."""
    node = one
    while not covers(node, other):
        node = parent(node)
    return node


def leaves_for(width: int) -> int:
    """The smallest power of two whose tree has room for `width` nodes."""
    leaves = 1
    while node_width(leaves) < width:
        leaves *= 2
    return leaves
