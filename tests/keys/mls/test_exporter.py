"""Secrets for the application: MLS-Exporter, and the safe exporter that gives each component its own once an epoch."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.mls import (
    DecodeError,
    Group,
    MissingPreSharedKey,
    Misuse,
    PreSharedKey,
    PreSharedKeys,
    Remove,
    Removed,
    cipher_suite,
)
from keys.mls.codec import Vector, encode_with
from keys.mls.exportertree import ExporterNode, ExporterTree
from keys.mls.parts import join_parts
from tests.keys.mls.people import Names, World

SUITE = cipher_suite(1)
ROOT = SUITE.hash(b"an epoch")


def plain(suite: object, root: bytes, component_id: int) -> list[bytes]:
    """The secrets from the root down to a component's leaf, written out: 16 turns, the highest bit of its ID first."""
    way = [root]
    for bit in range(15, -1, -1):
        side = b"right" if component_id >> bit & 1 else b"left"
        way.append(SUITE.expand_with_label(way[-1], b"tree", side, SUITE.hash_length))
    return way


@pytest.mark.parametrize("component_id", [0, 1, 2, 0x0006, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF])
def test_a_components_secret_is_its_leaf_of_the_tree(component_id: int) -> None:
    secret, after = ExporterTree.start(ROOT).take(SUITE, component_id)
    way = plain(SUITE, ROOT, component_id)
    assert secret == way[-1]
    assert len(after.nodes) == 16
    assert not set(way) & set(after.nodes.values())
    with pytest.raises(Misuse, match="has taken"):
        after.take(SUITE, component_id)


def test_every_component_gets_its_own_in_any_order() -> None:
    tree, taken = ExporterTree.start(ROOT), set()
    for component_id in (5, 4, 0xFFFF, 0, 0x8000, 7, 6):
        secret, tree = tree.take(SUITE, component_id)
        assert secret == plain(SUITE, ROOT, component_id)[-1]
        taken.add(secret)
        tree = ExporterTree.load(tree.part())
    assert len(taken) == 7


@pytest.mark.parametrize("component_id", [-1, 0x10000])
def test_numbers_that_are_no_component(component_id: int) -> None:
    with pytest.raises(Misuse, match="no component"):
        ExporterTree.start(ROOT).take(SUITE, component_id)


def test_the_tree_at_rest_has_one_form() -> None:
    _, tree = ExporterTree.start(ROOT).take(SUITE, 9)
    part = tree.part()
    assert ExporterTree.load(part) == tree
    assert ExporterTree.load(part).part() == part
    content = part["exporter-tree"]
    for cut in range(len(content)):
        with pytest.raises(DecodeError):
            ExporterTree.load({"exporter-tree": content[:cut]})
    with pytest.raises(DecodeError):
        ExporterTree.load({"exporter-tree": content + b"\0"})
    for odd in ((ExporterNode(3, b"x"), ExporterNode(1, b"y")), (ExporterNode(1, b"x"), ExporterNode(1, b"x")), ()):
        with pytest.raises(DecodeError, match="one form"):
            ExporterTree.load({"exporter-tree": encode_with(Vector(ExporterNode), odd)})
    ExporterTree.load(ExporterTree({0x1FFFE: b"x"}).part())
    with pytest.raises(DecodeError, match="outside"):
        ExporterTree.load(ExporterTree({0x1FFFF: b"x"}).part())
    assert ExporterTree.spent().part() == {}
    assert ExporterTree.load({}) == ExporterTree.spent()
    assert ExporterNode.decode(ExporterNode(3, b"x").encode()) == ExporterNode(3, b"x")


@given(st.binary(max_size=80))
def test_arbitrary_bytes(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert ExporterTree.load({"exporter-tree": data}).part() == {"exporter-tree": data}


def test_members_agree_and_each_epoch_has_others() -> None:
    here = World(SUITE, 3)
    seen = set()
    for _ in range(2):
        secrets = set()
        for name in here.groups:
            here.groups[name], secret = here[name].safe_export_secret(0x8001)
            secrets.add(secret)
        assert len(secrets) == 1
        seen |= secrets
        for name in here.groups:
            here.groups[name], secret = here[name].safe_export_secret(0x8002)
            assert secret not in seen
        here.accept(b"member 0", here[b"member 0"].commit(random=here.random))
    assert len(seen) == 2


def test_a_taken_secret_is_gone_from_the_state_and_stays_taken() -> None:
    here = World(SUITE, 2)
    group = here[b"member 1"]
    root = next(iter(group.exporter_tree.nodes.values()))
    assert root in join_parts(group.parts())
    after, secret = group.safe_export_secret(0x8001)
    assert after.epoch == group.epoch
    kept = join_parts(after.parts())
    for gone in (*plain(SUITE, root, 0x8001), secret):
        assert gone not in kept
    changed = {name for name, content in after.parts().items() if group.parts().get(name) != content}
    assert changed == {"exporter-tree"}
    loaded = Group.load(after.parts(), Names())
    with pytest.raises(Misuse, match="has taken"):
        loaded.safe_export_secret(0x8001)
    assert loaded.safe_export_secret(0x8000)[1] == group.safe_export_secret(0x8000)[1]
    assert loaded.exporter(b"label", b"", 32) == group.exporter(b"label", b"", 32)


def test_nothing_of_an_old_epoch_can_be_taken_later() -> None:
    here = World(SUITE, 2)
    roots = [node for group in here.groups.values() for node in group.exporter_tree.nodes.values()]
    here.accept(b"member 0", here[b"member 0"].commit(random=here.random))
    for group in here.groups.values():
        assert not any(root in join_parts(group.parts()) for root in roots)


def test_who_was_removed_takes_nothing() -> None:
    here = World(SUITE, 3)
    pending = here[b"member 0"].commit([Remove(2)], random=here.random)
    gone, _ = here[b"member 2"].process(pending.message, now_seconds=None)
    assert gone.exporter_tree == ExporterTree.spent()
    with pytest.raises(Removed):
        gone.safe_export_secret(1)


def test_a_state_from_before_the_safe_exporter_can_be_read() -> None:
    """Such a state has no such part; in its epoch nothing can be taken, in the next one it can."""
    here = World(SUITE, 2)
    parts = {name: content for name, content in here[b"member 1"].parts().items() if name != "exporter-tree"}
    here.groups[b"member 1"] = old = Group.load(parts, here.auth)
    with pytest.raises(Misuse):
        old.safe_export_secret(1)
    here.accept(b"member 0", here[b"member 0"].commit(random=here.random))
    assert here[b"member 1"].safe_export_secret(1)[1] == here[b"member 0"].safe_export_secret(1)[1]


def test_a_secret_of_one_group_enters_another_as_a_pre_shared_key() -> None:
    """What a component exports in one group it can put into another, so that whoever is in the second was in the first."""
    one, other = World(SUITE, 3, seed="one"), World(SUITE, 3, seed="other")
    held = {}
    for name in one.groups:
        one.groups[name], secret = one[name].safe_export_secret(0x8001)
        held[name] = PreSharedKeys(application={(0x8001, b"epoch 1"): secret})
    psk = PreSharedKey.application(SUITE, 0x8001, b"epoch 1", other.random)
    pending = other[b"member 0"].commit([psk], random=other.random, psks=held[b"member 0"], path=False)
    with pytest.raises(MissingPreSharedKey, match="component 0x8001"):
        other[b"member 1"].process(pending.message, now_seconds=None)
    for name in (b"member 1", b"member 2"):
        after, _ = other[name].process(pending.message, now_seconds=None, psks=held[name])
        assert after.epoch_authenticator == pending.group.epoch_authenticator
