"""Ratchet trees (RFC 9420 sections 7.1, 7.8, 7.9 and 12.4.3): a GroupInfo that a member signed, for a tree that is not real.

The tree has seven members and parents set by several Commits; leaf 3 is unmerged at nodes 3 and 7, leaf 7 is blank.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from keys.mls import BadKey, DecodeError, InvalidGroupInfo, InvalidTree, PublicGroup, Remove
from keys.mls.codec import encode_with
from keys.mls.messages import GroupInfo
from keys.mls.nodes import FromCommit, LeafNode, Node, ParentNode, ratchet_tree
from keys.mls.tree import MAX_LEAVES, Tree
from tests.keys.mls.hostile.scene import GUEST, LOW, SUITE
from tests.keys.mls.hostile.table import Case, Row, judge, state_of, table
from tests.keys.mls.insider import info_for
from tests.keys.mls.people import Person, World

LATE = Person.named(SUITE, b"late")


@cache
def grown() -> World:
    world = World(SUITE, 7)
    world.accept(b"member 2", world[b"member 2"].commit([Remove(3)], random=world.random))
    world.accept(b"member 4", world[b"member 4"].commit(random=world.random))
    world.add(b"member 0", [LATE], path=False)
    return world


def test_the_tree_is_the_one_the_rows_speak_of() -> None:
    tree = grown().public.tree
    assert [place for place in range(1, 15, 2) if tree.parent_node(place)] == [1, 3, 7, 9, 11]
    parents = {place: tree.parent_node(place) for place in (1, 3, 7, 9, 11)}
    assert [place for place, node in parents.items() if node and 3 in node.unmerged_leaves] == [3, 7]


def _judged(tree: Tree, info: GroupInfo | None = None) -> Callable[[], object]:
    chosen = info or info_for(grown()[b"member 0"], tree)
    return lambda: PublicGroup.from_info(SUITE, chosen, tree.encode(), grown().auth, None)


def tree_with(change: Callable[[Tree], Tree]) -> Callable[[], Case]:
    def case() -> Case:
        honest = grown().public.tree
        return Case([_judged(change(honest))], [_judged(honest)], state_of(grown().public))

    return case


def node(place: int, make: Callable[[Node], Node | None]) -> Callable[[], Case]:
    """One node changed."""

    def change(tree: Tree) -> Tree:
        edit = tree.edit()
        old = edit.nodes[place]
        assert old is not None
        edit.set(place, make(old))
        return edit.finish()

    return tree_with(change)


def parent(place: int, **changes: object) -> Callable[[], Case]:
    return node(place, lambda old: replace(old, **changes))  # type: ignore[arg-type]


def same_key(place: int, other: int) -> Callable[[], Case]:
    """A parent with the key of another node."""

    def make(old: Node) -> Node:
        source = grown().public.tree.nodes[other]
        assert source is not None
        return replace(old, encryption_key=source.encryption_key)

    return node(place, make)


def another_hash() -> Case:
    group = grown()[b"member 0"]
    tree = group.tree
    edit = tree.edit()
    edit.set(12, None)
    return Case([_judged(tree, info_for(group, edit.finish()))], [_judged(tree)])


UNMERGED = "unmerged leaves of node 7 are not in increasing order"
NOT_VALID = "is not parent-hash valid"


@table(
    Row(
        "12.4.3.1", "the tree hash is that of the GroupInfo", another_hash, InvalidGroupInfo, "the tree is not the one"
    ),
    Row("7.1", "unmerged leaves are in increasing order", parent(7, unmerged_leaves=(3, 2)), InvalidTree, UNMERGED),
    Row("7.1", "no unmerged leaf stands twice", parent(7, unmerged_leaves=(3, 3)), InvalidTree, UNMERGED),
    Row(
        "12.4.3.1",
        "an unmerged leaf is not blank",
        parent(7, unmerged_leaves=(3, 7)),
        InvalidTree,
        "unmerged leaf 7 is not a member under node 7",
    ),
    Row(
        "12.4.3.1",
        "an unmerged leaf is below its parent",
        parent(11, unmerged_leaves=(3,)),
        InvalidTree,
        "unmerged leaf 3 is not a member under node 11",
    ),
    Row(
        "12.4.3.1",
        "an unmerged leaf is inside the tree",
        parent(3, unmerged_leaves=(900,)),
        InvalidTree,
        "unmerged leaf 900 is not a member under node 3",
    ),
    Row(
        "12.4.3.1",
        "a leaf is unmerged at every parent between",
        parent(3, unmerged_leaves=()),
        InvalidTree,
        "leaf 3 is unmerged at node 7, not at 3",
    ),
    Row("7.9.2", "a leaf unmerged below is unmerged above", parent(7, unmerged_leaves=()), InvalidTree, NOT_VALID),
    Row(
        "7.9.2",
        "who vouches for a parent is not unmerged there",
        parent(1, unmerged_leaves=(0,)),
        InvalidTree,
        NOT_VALID,
    ),
    Row("7.9.2", "a parent's parent hash is right", parent(3, parent_hash=bytes(32)), InvalidTree, NOT_VALID),
    Row("7.9.2", "a parent hash is not empty below another parent", parent(3, parent_hash=b""), InvalidTree, NOT_VALID),
    Row(
        "7.9.2",
        "a leaf's parent hash is right",
        node(8, lambda old: replace(old, leaf_node_source=FromCommit(bytes(32)))),  # type: ignore[call-arg]
        InvalidTree,
        NOT_VALID,
    ),
    Row(
        "7.9.2",
        "somebody vouches for the root's key",
        parent(7, encryption_key=SUITE.derive_key_pair(b"mallory")[1]),
        InvalidTree,
        NOT_VALID,
    ),
    Row("7.9.2", "no link of the chain is missing", node(11, lambda old: None), InvalidTree, NOT_VALID),
    Row(
        "7.9.2",
        "a parent over a blank subtree is vouched for",
        tree_with(lambda tree: _over_nobody(tree)),
        InvalidTree,
        NOT_VALID,
    ),
    Row("12.4.3.1", "no two parents have one key", same_key(7, 3), InvalidTree, "an encryption key stands twice"),
    Row("12.4.3.1", "no parent has a leaf's key", same_key(7, 4), InvalidTree, "an encryption key stands twice"),
    Row("5.1.1", "a parent's key is usable", parent(7, encryption_key=LOW), BadKey, "low order"),
    Row("5.1.1", "a parent's key is a key of the suite", parent(7, encryption_key=b"short"), BadKey, "of 5 bytes"),
)
def test_a_tree_that_members_could_not_have_made(row: Row) -> None:
    judge(row)


def _over_nobody(tree: Tree) -> Tree:
    """A parent in place of the blank above leaves 6 and 7, whose key an insider holds."""
    edit = tree.edit()
    edit.set(13, ParentNode(SUITE.derive_key_pair(b"mallory")[1], b"", ()))
    return edit.finish()


LEAF: LeafNode = GUEST.key_package()[0].leaf_node
PARENT = ParentNode(b"key", b"", ())


def shape(*nodes: Node | None, extra: bytes = b"") -> Callable[[], Case]:
    """A ratchet_tree extension of these nodes."""
    hostile, honest = encode_with(ratchet_tree, nodes) + extra, encode_with(ratchet_tree, (LEAF,))
    return lambda: Case([lambda: Tree.decode(SUITE, hostile)], [lambda: Tree.decode(SUITE, honest)])


@table(
    Row("12.4.3.3", "there is a node", shape(), InvalidTree, "the last node is blank"),
    Row("12.4.3.3", "the last node is not blank", shape(LEAF, None), InvalidTree, "the last node is blank"),
    Row("12.4.3.3", "at odd places are parents", shape(LEAF, LEAF, LEAF), InvalidTree, "node 1 is of the wrong kind"),
    Row("12.4.3.3", "at even places are leaves", shape(PARENT), InvalidTree, "node 0 is of the wrong kind"),
    Row("ours", "the tree is of bearable size", shape(*[None] * (1 << 17), LEAF), InvalidTree, "the limit is"),
    Row("2.1.2", "nothing follows the tree", shape(LEAF, extra=b"\0"), DecodeError, "left over"),
)
def test_a_tree_of_no_shape(row: Row) -> None:
    judge(row)


def grown_beyond() -> Case:
    """One more leaf than there may be."""
    full = grown().public.tree.edit()
    full.nodes = [LEAF] * (2 * MAX_LEAVES - 1)
    return Case([lambda: full.add_leaf(LEAF)], [lambda: grown().public.tree.edit().add_leaf(LEAF)])


@table(Row("ours", "the tree grows to a bearable size", grown_beyond, InvalidTree, "more than 65536 leaves"))
def test_a_tree_that_grows(row: Row) -> None:
    judge(row)
