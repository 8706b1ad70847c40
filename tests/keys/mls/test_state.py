"""A group at rest: what a step rewrites of it in a group of a thousand, and that nothing rests on what is only remembered."""

import random
from collections.abc import Callable

import pytest

from keys.mls import Add, DecodeError, Group, PendingCommit, Remove, cipher_suite
from keys.mls.blocks import BLOCK_LEAVES, TreeBlock
from keys.mls.nodes import Node, ParentNode
from keys.mls.tree import Tree
from tests.keys.mls.people import NOW, Names, Person, World, seeded

SUITE = cipher_suite(1)
Nodes = tuple[Node | None, ...]
COUNT = 1000


class Thousand:
    """A group of a thousand: its founder, who has just added the others, and one of them."""

    def __init__(self) -> None:
        self.auth, self.random = Names(), seeded("a thousand")
        people = [Person.named(SUITE, b"member %d" % number) for number in range(COUNT)]
        packages = [person.key_package() for person in people[1:]]
        pending = (
            people[0].found(self.auth).commit([Add(package) for package, _ in packages], random=self.random, path=False)
        )
        self.founder = pending.group
        package, secrets = packages[0]
        self.other = Group.join(
            pending.welcome or b"",
            package,
            secrets,
            people[1].signature_private_key,
            self.auth,
            ratchet_tree=pending.group.tree_bytes(),
        )

    def commits(self) -> None:
        """The founder sends a path, the other follows."""
        pending = self.founder.commit(random=self.random)
        self.other, _ = self.other.process(pending.message, now_seconds=NOW)
        self.founder = self.founder.merge(pending, now_seconds=NOW)


@pytest.fixture(scope="module")
def thousand() -> Thousand:
    made = Thousand()
    made.commits()
    return made


def rewritten(before: Group, after: Group) -> dict[str, int]:
    """The parts that a store writes anew, and how long they are."""
    old = before.parts()
    return {name: len(content) for name, content in after.parts().items() if old.get(name) != content}


def loaded(group: Group) -> Group:
    return Group.load(group.parts(), group.public.auth)


def test_a_message_rewrites_its_ratchet_and_reads_one_block(thousand: Thousand) -> None:
    sender, message = loaded(thousand.founder).protect(bytes(300), random=thousand.random)
    assert rewritten(thousand.founder, sender).keys() == {"secret-tree-2", "ratchet-2-0"}
    sender, second = sender.protect(bytes(300), random=thousand.random)
    before = loaded(thousand.other)
    reader, _ = before.process(message, now_seconds=NOW)
    assert sum(rewritten(before, reader).values()) < 1500  # the first: the way down to the sender's leaf
    after, _ = loaded(reader).process(second, now_seconds=NOW)
    assert rewritten(reader, after) == {"ratchet-2-0": 84}
    assert len(after.tree._closed) == -(-COUNT // BLOCK_LEAVES) - 1
    assert after.parts() == loaded(after).parts()


def test_a_commit_rewrites_a_path_and_not_the_tree(thousand: Thousand) -> None:
    whole = sum(len(content) for content in thousand.other.parts().values())
    for sizes in (
        rewritten(thousand.other, loaded(thousand.other).process(_commit(thousand), now_seconds=NOW)[0]),
        rewritten(thousand.founder, thousand.founder.merge(thousand.founder.commit(random=thousand.random))),
    ):
        assert {name for name in sizes if name.startswith("tree")} == {"tree", "tree-0"}
        assert sum(sizes.values()) < 20_000 < whole / 8


def _commit(thousand: Thousand) -> bytes:
    return thousand.founder.commit(random=thousand.random).message


def test_what_others_hold_open_is_no_part_of_a_pending_commit(thousand: Thousand) -> None:
    """Its encoding has no past epoch."""
    kept = PendingCommit.decode(thousand.founder.commit(random=thousand.random).encode(), thousand.auth)
    assert not [name for name in kept.group.parts() if name.startswith("past-")]


# What is remembered, and what is so


def same(tree: Tree) -> None:
    """Everything a tree remembers is what a tree without memory works out."""
    bare = Tree(tree.suite, list(tree.nodes))
    assert [tree.node_hash(node) for node in range(len(tree.nodes))] == [
        bare.node_hash(node) for node in range(len(tree.nodes))
    ]
    assert tree.parts() == bare.parts()
    assert tree.encode() == bare.encode()


@pytest.mark.parametrize("seed", range(8))
def test_hashes_and_blocks_are_those_of_a_tree_without_memory(seed: int) -> None:
    """Leaves come, go and change, paths are set and blanked, the tree grows over many blocks and shrinks again."""
    choose, fresh = random.Random(seed), seeded(("tree", seed))
    leaf = Person.named(SUITE, b"anybody").key_package()[0].leaf_node
    tree = Tree.of_one(SUITE, leaf)
    for step in range(120):
        edit = tree.edit()
        members = [index for index, _ in tree.members()]
        shrinking = step > 80
        for _ in range(choose.choice((1, 1, 2, 9))):
            change: str = choose.choice(["remove", "remove", "path"] if shrinking else ["add", "add", "path", "update"])
            match change:
                case "add":
                    edit.add_leaf(Person.named(SUITE, fresh(4)).key_package()[0].leaf_node)
                case "remove" if len(members) > 1:
                    edit.remove_leaf(members.pop())
                case "update":
                    edit.update_leaf(choose.choice(members), Person.named(SUITE, fresh(4)).key_package()[0].leaf_node)
                case _:
                    place = choose.randrange(1, max(2, len(tree.nodes)), 2)
                    if place < len(edit.nodes):
                        edit.set(place, ParentNode(fresh(32), b"", ()))
        edit.truncate()
        tree = edit.finish()
        if step % 3:
            tree.hash()
        if step % 4 == 0:
            kept = tree.parts()
            tree = Tree.load(SUITE, kept)
            assert tree.hash() == Tree(SUITE, list(Tree.load(SUITE, kept).nodes)).hash()
        if step % 10 == 0:
            same(tree)
    same(tree)


def test_a_step_does_not_change_the_tree_it_came_from() -> None:
    world = World(SUITE, 9)
    tree = world[b"member 1"].tree
    before = (list(tree.nodes), tree.parts(), tree.hash())
    world.accept(b"member 0", world[b"member 0"].commit([Remove(8), Remove(7)], random=world.random))
    assert (list(tree.nodes), tree.parts(), tree.hash()) == before


def test_leaves_are_found_before_and_after_a_block_is_opened(thousand: Thousand) -> None:
    tree = Tree.load(SUITE, thousand.founder.tree.parts())
    whole = thousand.founder.tree.leaf_nodes()
    assert tree.leaf(69) == whole[69]
    assert tree.leaf(1023) is None
    assert tree.leaf(1024) is None
    assert len(tree._closed) == 32 - 2
    assert tree.leaf_nodes() == whole
    assert not tree._closed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"tree": b""}, "expected", id="an empty top"),
        pytest.param({"tree": b"\0\0\0\3\0"}, "no tree has 3 leaves", id="a size no tree has"),
        pytest.param({"tree": b"\0\0\0\0\0"}, "no tree has 0 leaves", id="no leaves"),
        pytest.param({"tree": b"\0\0\0\x40\0"}, "no tree has 64 leaves and 0 nodes", id="a top without nodes"),
        pytest.param({"tree-1": None}, "no part tree-1", id="a block missing"),
        pytest.param({"tree-1": b"\x20" + bytes(32) + b"\0"}, "not the one of the context", id="another block's hash"),
    ],
)
def test_a_tree_that_is_not_the_groups_is_refused(
    thousand: Thousand, change: dict[str, bytes | None], reason: str
) -> None:
    parts = {**thousand.other.parts(), **change}
    kept = {name: content for name, content in parts.items() if content is not None}
    with pytest.raises(DecodeError, match=reason):
        Group.load(kept, thousand.auth)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        pytest.param(lambda nodes: nodes[:-1], "62 nodes in a block", id="too few"),
        pytest.param(lambda nodes: (None, nodes[0], *nodes[2:]), "wrong kind", id="a leaf among the parents"),
    ],
)
def test_a_block_that_is_none_is_refused_when_it_is_opened(
    thousand: Thousand, nodes: Callable[[Nodes], Nodes], reason: str
) -> None:
    parts = dict(thousand.founder.tree.parts())
    block = TreeBlock.decode(parts["tree-0"])
    parts["tree-0"] = TreeBlock(block.hash, nodes(block.nodes)).encode()
    tree = Tree.load(SUITE, parts)
    assert tree.leaf(32) is not None
    with pytest.raises(DecodeError, match=reason):
        tree.leaf(0)
