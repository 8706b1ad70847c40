"""The secret tree: each key once, disorder within bounds, and no way back."""

import pytest

from keys.mls import Duplicate, Limits, Misuse, OutOfRange, cipher_suite
from keys.mls.secrettree import APPLICATION, DEFAULT_LIMITS, HANDSHAKE, KeyNonce, Ratchet, SecretTree

SUITE = cipher_suite(1)
SECRET = b"\x42" * 32


def keys(leaf: int, count: int, kind: int = APPLICATION) -> list[KeyNonce]:
    """The keys of the first generations, in order."""
    tree, found = SecretTree.start(8, SECRET), []
    for generation in range(count):
        at, key, tree = tree.next_key(SUITE, leaf, kind)
        assert at == generation
        found.append(key)
    return found


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([0, 1, 2, 3], id="in order"),
        pytest.param([3, 2, 1, 0], id="backwards"),
        pytest.param([2, 0, 5, 1, 4, 3], id="mixed"),
        pytest.param([32, *range(32)], id="as many kept as may be"),
    ],
)
def test_any_order_within_bounds_gives_the_same_keys_once(order: list[int]) -> None:
    expected, tree = keys(3, max(order) + 1), SecretTree.start(8, SECRET)
    for generation in order:
        key, tree = tree.take_key(SUITE, 3, APPLICATION, generation, DEFAULT_LIMITS)
        assert key == expected[generation]
    for generation in order:
        with pytest.raises(Duplicate):
            tree.take_key(SUITE, 3, APPLICATION, generation, DEFAULT_LIMITS)


def test_the_oldest_skipped_keys_go_first() -> None:
    expected, tree = keys(0, 41), SecretTree.start(8, SECRET)
    _, tree = tree.take_key(SUITE, 0, APPLICATION, 40, DEFAULT_LIMITS)
    for lost in (0, 7):
        with pytest.raises(OutOfRange):
            tree.take_key(SUITE, 0, APPLICATION, lost, DEFAULT_LIMITS)
    key, tree = tree.take_key(SUITE, 0, APPLICATION, 8, DEFAULT_LIMITS)
    assert key == expected[8]
    with pytest.raises(Duplicate):
        tree.take_key(SUITE, 0, APPLICATION, 8, DEFAULT_LIMITS)


@pytest.mark.parametrize("generation", [1001, 0xFFFFFFFE, 0xFFFFFFFF])
def test_a_generation_too_far_ahead_is_refused(generation: int) -> None:
    with pytest.raises(OutOfRange, match="ahead"):
        SecretTree.start(8, SECRET).take_key(SUITE, 0, APPLICATION, generation, DEFAULT_LIMITS)


def test_the_furthest_generation_is_taken() -> None:
    limits = Limits(kept_keys=2, forward=50)
    key, tree = SecretTree.start(8, SECRET).take_key(SUITE, 0, APPLICATION, 50, limits)
    assert key == keys(0, 51)[50]
    assert len(tree.ratchets[0].application.skipped) == 2


def test_a_leaf_outside_the_tree_is_refused() -> None:
    for leaf in (8, 0xFFFFFFFF):
        with pytest.raises(OutOfRange):
            SecretTree.start(8, SECRET).take_key(SUITE, leaf, APPLICATION, 0, DEFAULT_LIMITS)


def test_the_last_generation_seals_nothing() -> None:
    with pytest.raises(Misuse):
        Ratchet(SECRET, 0xFFFFFFFF, 0, ()).next(SUITE)


def test_kinds_and_leaves_have_keys_of_their_own() -> None:
    found = {key for leaf in range(8) for kind in (HANDSHAKE, APPLICATION) for key in keys(leaf, 2, kind)}
    assert len(found) == 32


def test_what_was_used_to_get_there_is_gone() -> None:
    """Section 9.2's example: after D's generation 1, the keys above D are gone and those beside it are not."""
    tree = SecretTree.start(4, SECRET)
    (_, tree) = tree.take_key(SUITE, 3, APPLICATION, 1, DEFAULT_LIMITS)
    right = SUITE.expand_with_label(SECRET, b"tree", b"right", 32)
    leaf = SUITE.expand_with_label(right, b"tree", b"right", 32)
    first = SUITE.expand_with_label(leaf, b"application", b"", 32)
    second = SUITE.expand_with_label(first, b"secret", (0).to_bytes(4), 32)
    key0 = SUITE.expand_with_label(first, b"key", (0).to_bytes(4), 16)
    key1 = SUITE.expand_with_label(second, b"key", (1).to_bytes(4), 16)
    state = tree.encode_nodes() + b"".join(ratchets.encode() for ratchets in tree.ratchets.values())
    for gone in (SECRET, right, leaf, first, second, key1):
        assert gone not in state
    for kept in (
        key0,
        SUITE.expand_with_label(SECRET, b"tree", b"left", 32),
        SUITE.expand_with_label(right, b"tree", b"left", 32),
        SUITE.expand_with_label(leaf, b"handshake", b"", 32),
    ):
        assert kept in state
