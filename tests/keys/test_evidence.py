"""Evidence: what convicts, what does not, and that the file says it in one way only."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keys import evidence
from keys.canonical import encode
from keys.envelope import NOTHING, Entry
from keys.errors import Malformed
from keys.evidence import NoEvidence, check_fork, check_promise, check_refusal, older_root, older_root_by_leaf
from keys.statement import GatewayRefusal, Promise, sign_promise, sign_refusal
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.errors import ProofFailed
from keys.tlog.merkle import consistency_proof, frontier_of, inclusion_proof, leaf_hash, node_hash
from tests.keys.goldens import check_golden
from tests.keys.mission import Mission
from tests.keys.shapes import sample, takes_one_encoding

MISSION = Mission(1)
CHARTER = MISSION.charter


class Tree:
    """A log of made up entries; `name` makes it another one from place `since` on."""

    def __init__(self, size: int, name: bytes = b"", since: int = 0) -> None:
        header = [b"header %d" % n + (name if n >= since else b"") for n in range(size)]
        self.leaves = [encode(Entry(1, 1_000 + n, bytes(16), bytes(16), n + 1, header[n], b"")) for n in range(size)]
        self.size = size

    def hash_at(self, level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(self.leaves[index])
        return node_hash(self.hash_at(level - 1, 2 * index), self.hash_at(level - 1, 2 * index + 1))

    def root(self) -> bytes:
        return frontier_of(self.size, self.hash_at).root

    def note(self, key: Any = None) -> bytes:
        head = TreeHead(CHARTER.policy.log_origin, self.size, self.root())
        return sign_checkpoint(head, [key or MISSION.log]).encode()

    def path(self, index: int) -> Sequence[bytes]:
        return inclusion_proof(index, self.size, self.hash_at)

    def grown_from(self, size: int) -> Sequence[bytes]:
        return consistency_proof(size, self.size, self.hash_at)


ONE, OTHER = Tree(11), Tree(17, b" of another history", since=5)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(evidence.fork(CHARTER.note, ONE.note(), OTHER.note(), OTHER.grown_from(11)), id="of two sizes"),
        pytest.param(evidence.fork(CHARTER.note, ONE.note(), Tree(11, b"x", 10).note()), id="of one size"),
        pytest.param(
            evidence.fork(CHARTER.note, Tree(8).note(), OTHER.note(), OTHER.path(7), leaf_hash(OTHER.leaves[7])),
            id="of a size that is a power of two",
        ),
    ],
)
def test_a_fork_convicts(made: evidence.Evidence) -> None:
    again = evidence.read(evidence.write(made))
    assert again == made
    assert "signed" in check_fork(again, CHARTER)
    takes_one_encoding(lambda data: evidence.read(evidence.MAGIC + data), made)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(evidence.fork(CHARTER.note, ONE.note(), ONE.note()), id="the same checkpoint twice"),
        pytest.param(
            evidence.fork(CHARTER.note, ONE.note(), Tree(17).note(), Tree(17).grown_from(11)), id="it has grown from it"
        ),
        pytest.param(evidence.fork(CHARTER.note, ONE.note(), OTHER.note(), ()), id="no proof"),
        pytest.param(
            evidence.fork(CHARTER.note, ONE.note(), OTHER.note(), Tree(17).grown_from(11)), id="another tree's proof"
        ),
        pytest.param(
            evidence.fork(CHARTER.note, OTHER.note(), ONE.note(), OTHER.grown_from(11)), id="the larger first"
        ),
        pytest.param(
            evidence.fork(CHARTER.note, Tree(8).note(), OTHER.note(), OTHER.grown_from(8)),
            id="a size whose root no proof names",
        ),
        pytest.param(
            evidence.fork(CHARTER.note, ONE.note(Mission(2).log), OTHER.note(), OTHER.grown_from(11)),
            id="not the log's key",
        ),
        pytest.param(
            replace(evidence.fork(CHARTER.note, ONE.note(), OTHER.note()), notes=[ONE.note()]), id="one checkpoint"
        ),
        pytest.param(
            replace(evidence.fork(CHARTER.note, ONE.note(), OTHER.note()), kind=evidence.Kind.PROMISE),
            id="of another kind",
        ),
    ],
)
def test_no_fork(made: evidence.Evidence) -> None:
    with pytest.raises(NoEvidence):
        check_fork(made, CHARTER)


@given(st.integers(2, 40), st.integers(0, 40), st.data())
def test_the_older_root_is_the_trees_own(new: int, more: int, data: st.DataObject) -> None:
    tree, old = Tree(new + more), data.draw(st.integers(1, new + more))
    if old & (old - 1) == 0 or old == tree.size:
        with pytest.raises(ProofFailed):
            older_root(old, tree.size, tree.root(), tree.grown_from(old))
        return
    assert older_root(old, tree.size, tree.root(), tree.grown_from(old)) == Tree(old).root()
    with pytest.raises(ProofFailed):
        older_root(old, tree.size, bytes(32), tree.grown_from(old))


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_older_root_of_any_size_by_its_last_entry(old: int, more: int) -> None:
    tree = Tree(old + more)
    leaf, path = leaf_hash(tree.leaves[old - 1]), tree.path(old - 1)
    assert older_root_by_leaf(old, tree.size, tree.root(), leaf, path) == Tree(old).root()
    for wrong in ((bytes(32), path), (leaf, [*path, bytes(32)]), (leaf, path[1:])):
        with pytest.raises(ProofFailed):
            older_root_by_leaf(old, tree.size, tree.root(), *wrong)
    with pytest.raises(ProofFailed):
        older_root_by_leaf(tree.size, tree.size, tree.root(), leaf, path)


def promise(index: int, leaf: bytes, **other: Any) -> bytes:
    said = Promise(leaf_hash(leaf), bytes(16), 1, index, 60_000)
    return sign_promise(said, other.get("key", MISSION.gateway))


def broken(index: int = 6, at: int = 6, **other: Any) -> evidence.Evidence:
    said = promise(index, other.pop("leaf", ONE.leaves[6]), **other)
    return evidence.broken_promise(CHARTER.note, OTHER.note(), said, OTHER.path(at), leaf_hash(OTHER.leaves[at]))


def test_a_promise_without_its_entry_convicts() -> None:
    assert "promised another entry 6" in check_promise(broken(), CHARTER)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(broken(leaf=OTHER.leaves[6]), id="it was kept"),
        pytest.param(broken(at=7), id="the entry stands at another index"),
        pytest.param(broken(key=Mission(2).gateway), id="not the gateway's key"),
        pytest.param(replace(broken(), leaf=b""), id="no leaf"),
        pytest.param(replace(broken(), notes=[ONE.note()]), id="the entry is not under the checkpoint"),
        pytest.param(replace(broken(), path=[]), id="no way up"),
        pytest.param(replace(broken(), kind=evidence.Kind.FORK), id="of another kind"),
        pytest.param(replace(broken(), statement=b""), id="no promise"),
    ],
)
def test_no_broken_promise(made: evidence.Evidence) -> None:
    with pytest.raises(NoEvidence):
        check_promise(made, CHARTER)


def refusal(header: bytes, key: Any = None) -> bytes:
    return sign_refusal(GatewayRefusal(sha256(header).digest(), 6, 1, 5), key or MISSION.gateway)


def logged(statement: bytes) -> evidence.Evidence:
    return evidence.false_refusal(CHARTER.note, ONE.note(), statement, 4, ONE.path(4), ONE.leaves[4])


def test_a_refused_envelope_that_is_logged_convicts() -> None:
    assert "never take" in check_refusal(logged(refusal(b"header 4")), CHARTER)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(logged(refusal(b"header 5")), id="another was refused"),
        pytest.param(logged(refusal(b"header 4", Mission(2).gateway)), id="by another"),
        pytest.param(logged(promise(4, ONE.leaves[4])), id="a promise"),
    ],
)
def test_no_false_refusal(made: evidence.Evidence) -> None:
    with pytest.raises(NoEvidence):
        check_refusal(made, CHARTER)


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    for one in (data, evidence.MAGIC + data):
        try:
            evidence.read(one)
        except Malformed:
            continue
        raise AssertionError


def test_golden() -> None:
    check_golden("evidence.json", "Evidence", evidence.write(sample(evidence.Evidence)))


def test_nothing_is_named_by_an_empty_hash() -> None:
    assert broken().name not in (NOTHING, logged(b"").name)
