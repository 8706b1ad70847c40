"""Hashes, compact ranges and proofs: against the RFC's own recursion, for every small size and around tile widths."""

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog import merkle
from keys.tlog.errors import Inconsistent, Malformed, ProofFailed, TooLarge
from keys.tlog.merkle import (
    EMPTY_ROOT,
    MAX_PROOF,
    MAX_SIZE,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_proof,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    root_of,
)
from tests.keys.tlog.logs import Levels, flip, leaves, mth, only_own_errors

SMALL = 70
LARGE = 65_537
LEAVES = leaves(SMALL)
TREE = Levels(LEAVES)
BIG_CASES = [
    pytest.param(size, old, id=f"{old} in {size}")
    for size in (255, 256, 257, 65_535, 65_536, 65_537)
    for old in sorted({1, 2, 3, 128, 255, 256, 257, size // 2, size - 256, size - 2, size - 1, size})
    if 0 < old <= size
]


@cache
def big() -> Levels:
    return Levels(leaves(LARGE))


# Inputs and roots that the certificate-transparency implementations share.
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    hashes = leaf_hashes(bytes.fromhex(leaf) for leaf in CT_LEAVES[:size])
    assert root_of(hashes).hex() == CT_ROOTS[size]


@pytest.mark.parametrize("size", range(SMALL + 1))
def test_every_way_to_a_root_agrees(size: int) -> None:
    expected = mth(LEAVES[:size])
    assert root_of(b"".join(LEAVES[:size])) == expected
    assert Frontier().extend(LEAVES[:size]).root == expected
    assert frontier_of(size, TREE.hash_at) == Frontier().extend(LEAVES[:size])
    assert TREE.root(size) == expected


def test_frontier_appends_one_by_one() -> None:
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES):
        assert frontier == Frontier().extend(LEAVES[:size])
        frontier = frontier.append(leaf)


def test_frontier_encodes_both_ways() -> None:
    for size in range(SMALL + 1):
        frontier = Frontier().extend(LEAVES[:size])
        data = frontier.encode()
        assert Frontier.decode(data) == frontier
        for end in range(len(data)):
            with pytest.raises(Malformed):
                Frontier.decode(data[:end])
        with pytest.raises(Malformed):
            Frontier.decode(data + b"\x00")


@given(st.binary(max_size=200))
def test_frontier_decodes_nothing_but_itself(data: bytes) -> None:
    found = only_own_errors(Frontier.decode, data)
    assert found is None or (isinstance(found, Frontier) and found.encode() == data)


def test_frontier_keeps_its_bounds() -> None:
    with pytest.raises(TooLarge):
        Frontier(MAX_SIZE + 1, ())
    with pytest.raises(Malformed):
        Frontier(3, (LEAVES[0],))
    with pytest.raises(Malformed):
        Frontier(1, (b"short",))
    full = Frontier(MAX_SIZE, tuple(LEAVES[:63]))
    with pytest.raises(TooLarge):
        full.append(LEAVES[0])


@pytest.mark.parametrize("size", range(1, SMALL + 1))
def test_inclusion_of_every_entry(size: int) -> None:
    root = mth(LEAVES[:size])
    for index in range(size):
        proof = inclusion_proof(index, size, TREE.hash_at)
        check_inclusion(LEAVES[index], index, size, proof, root)
        refuse_inclusion(LEAVES[index], index, size, proof, root)


@pytest.mark.parametrize(("size", "old"), BIG_CASES)
def test_inclusion_around_tile_widths(size: int, old: int) -> None:
    index, root = old - 1, big().root(size)
    proof = inclusion_proof(index, size, big().hash_at)
    check_inclusion(big().hash_at(0, index), index, size, proof, root)
    refuse_inclusion(big().hash_at(0, index), index, size, proof, root)


def refuse_inclusion(leaf: bytes, index: int, size: int, proof: tuple[bytes, ...], root: bytes) -> None:
    """Nothing about a proof can change and it still holds."""
    wrong = [
        (flip(leaf, 0), index, size, proof, root),
        (leaf, index, size, proof, flip(root, 31)),
        (leaf, index, size, (*proof, leaf), root),
        (leaf, size, size, proof, root),
        (leaf, -1, size, proof, root),
        *((leaf, index, size, (*proof[:i], flip(h, i % 32), *proof[i + 1 :]), root) for i, h in enumerate(proof)),
        *((leaf, index, size, (*proof[:i], b, a, *proof[i + 2 :]), root) for i, (a, b) in enumerate(pairwise(proof))),
        *((leaf, other, size, proof, root) for other in (index - 1, index + 1, index ^ 1) if other != index),
    ]
    if proof:
        wrong += [(leaf, index, size, proof[:-1], root), (leaf, index, size, proof[1:], root)]
    for case in wrong:
        with pytest.raises(ProofFailed):
            check_inclusion(*case)


@pytest.mark.parametrize("size", range(SMALL + 1))
def test_consistency_of_every_pair(size: int) -> None:
    root = mth(LEAVES[:size])
    for old in range(size + 1):
        proof = consistency_proof(old, size, TREE.hash_at)
        check_consistency(old, mth(LEAVES[:old]), size, root, proof)
        refuse_consistency(old, mth(LEAVES[:old]), size, root, proof)


@pytest.mark.parametrize(("size", "old"), BIG_CASES)
def test_consistency_around_tile_widths(size: int, old: int) -> None:
    proof = consistency_proof(old, size, big().hash_at)
    check_consistency(old, big().root(old), size, big().root(size), proof)
    refuse_consistency(old, big().root(old), size, big().root(size), proof)


def refuse_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: tuple[bytes, ...]) -> None:
    wrong = [
        (old, flip(old_root, 0), new, new_root, proof),
        (old, old_root, new, new_root, (*proof, old_root)),
        (new + 1, old_root, new, new_root, proof),
        (-1, old_root, new, new_root, proof),
        *((old, old_root, new, new_root, (*proof[:i], flip(h, 5), *proof[i + 1 :])) for i, h in enumerate(proof)),
    ]
    if old:  # any tree grows from the empty one
        wrong.append((old, old_root, new, flip(new_root, 0), proof))
    if proof:
        wrong += [(old, old_root, new, new_root, proof[:-1]), (old, old_root, new, new_root, proof[1:])]
    for case in wrong:
        with pytest.raises((ProofFailed, Inconsistent)):
            check_consistency(*case)


@pytest.mark.parametrize("size", [4, 7, 8, 64, 70])
def test_a_proof_is_for_one_size(size: int) -> None:
    """Of the same root with another size: sizes that the algorithm can't tell apart have the same shape of path."""
    proof = inclusion_proof(0, size, TREE.hash_at)
    root = mth(LEAVES[:size])
    with pytest.raises(ProofFailed):
        check_inclusion(LEAVES[0], 0, 2 * size + 1, proof, root)
    with pytest.raises(ProofFailed):
        check_inclusion(LEAVES[0], 0, size // 2, proof, root)


def test_a_proof_ends_at_the_root() -> None:
    """Even where a root is made to fit: one hash too many above the tree, or a root from half-way up."""
    above = merkle.node_hash(LEAVES[9], mth(LEAVES[:8]))
    path = inclusion_proof(3, 8, TREE.hash_at)
    with pytest.raises(ProofFailed, match="too long"):
        check_inclusion(LEAVES[3], 3, 8, (*path, LEAVES[9]), above)
    with pytest.raises(ProofFailed, match="too short"):
        check_inclusion(LEAVES[3], 3, 8, path[:-1], mth(LEAVES[:4]))
    grown = consistency_proof(3, 4, TREE.hash_at)
    with pytest.raises(ProofFailed, match="too short"):
        check_consistency(3, mth(LEAVES[:3]), 8, mth(LEAVES[:4]), grown)
    over = (merkle.node_hash(LEAVES[9], mth(LEAVES[:3])), merkle.node_hash(LEAVES[9], mth(LEAVES[:4])))
    with pytest.raises(ProofFailed, match="too long"):
        check_consistency(3, over[0], 4, over[1], (*grown, LEAVES[9]))


def test_two_roots_of_one_size_are_evidence() -> None:
    with pytest.raises(Inconsistent):
        check_consistency(5, LEAVES[0], 5, LEAVES[1], ())
    with pytest.raises(Inconsistent):
        check_consistency(0, LEAVES[0], 5, LEAVES[1], ())


def test_another_history_has_no_proof() -> None:
    other = Levels([*LEAVES[:10], leaf_hash(b"instead"), *LEAVES[11:]])
    for old in range(11, 40):
        for proof in (consistency_proof(old, 40, TREE.hash_at), consistency_proof(old, 40, other.hash_at)):
            with pytest.raises((ProofFailed, Inconsistent)):
                check_consistency(old, other.root(old), 40, TREE.root(40), proof)


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param((b"\x00" * 31,), id="short hash"),
        pytest.param((b"\x00" * 33,), id="long hash"),
        pytest.param((b"\x00" * 32,) * (MAX_PROOF + 1), id="more hashes than any tree has"),
    ],
)
def test_proofs_are_bounded(proof: tuple[bytes, ...]) -> None:
    with pytest.raises(ProofFailed, match=r"32 bytes|over 63"):
        check_inclusion(LEAVES[0], 0, 2, proof, LEAVES[1])
    with pytest.raises(ProofFailed, match=r"32 bytes|over 63"):
        check_consistency(1, LEAVES[0], 2, LEAVES[1], proof)


def test_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ProofFailed):
        inclusion_proof(5, 5, TREE.hash_at)
    with pytest.raises(ProofFailed):
        consistency_proof(6, 5, TREE.hash_at)


def test_the_longest_proof_fits() -> None:
    """A tree as large as sizes go; its subtrees are all one hash, which is no matter to the arithmetic."""
    rows = [LEAVES[0]]
    for _ in range(63):
        rows.append(merkle.node_hash(rows[-1], rows[-1]))
    same = Frontier(MAX_SIZE, tuple(rows[level] for level in range(62, -1, -1)))
    for index in (0, 1, MAX_SIZE // 2, MAX_SIZE - 1):
        proof = inclusion_proof(index, MAX_SIZE, lambda level, _: rows[level])
        check_inclusion(LEAVES[0], index, MAX_SIZE, proof, same.root)
    proof = consistency_proof(1, MAX_SIZE, lambda level, _: rows[level])
    check_consistency(1, LEAVES[0], MAX_SIZE, same.root, proof)


def test_empty_tree() -> None:
    assert Frontier().root == EMPTY_ROOT == root_of(b"")
