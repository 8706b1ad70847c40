"""The Merkle tree of RFC 6962: hashes, the compact range of a tree, and proofs both made and checked.

A tree over n entries splits at the largest power of two strictly below n. The same tree comes out of pairing hashes level
by level and carrying an odd last one up unhashed, which is how `root_of` does it.

Proofs are made from the hashes of *complete* subtrees alone: `HashAt(level, index)` is the root over the entries
`index << level` to `(index + 1) << level`. They are checked with the algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2,
which share no code with the making.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from typing import Final

from keys.tlog.errors import Inconsistent, Malformed, ProofFailed, TooLarge

HASH_SIZE: Final = 32
MAX_SIZE: Final = 2**63 - 1
MAX_PROOF: Final = 63
"""Hashes in the longest proof of a tree of MAX_SIZE entries (tlog-witness allows as many)."""

EMPTY_ROOT: Final = sha256(b"").digest()

HashAt = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Hash of an entry, without the length that stands before it in a bundle (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: bytes) -> bytes:
    """Root over hashes laid end to end, as in a tile; each stands for a complete subtree, the last may be smaller."""
    if not hashes:
        return EMPTY_ROOT
    while (length := len(hashes)) > HASH_SIZE:
        paired = length - length % 64
        odd = hashes[paired:]
        hashes = b"".join([sha256(b"\x01" + hashes[i : i + 64]).digest() for i in range(0, paired, 64)]) + odd
    return hashes


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """The leaf hashes of entries, laid end to end."""
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


@dataclass(frozen=True, slots=True)
class Frontier:
    """The compact range of a tree: the roots of its complete subtrees, largest first, one for each bit of its size.

    All that a witness or a resuming auditor has to keep of a tree. `encode` is uint64 size || hashes.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise TooLarge(f"a tree of {self.size} entries")
        if len(self.hashes) != self.size.bit_count() or any(len(h) != HASH_SIZE for h in self.hashes):
            raise Malformed(f"{len(self.hashes)} hashes are not the compact range of {self.size} entries")

    @property
    def root(self) -> bytes:
        """Root of the tree; that of the empty tree is SHA-256 of nothing."""
        return _join(self.hashes) if self.hashes else EMPTY_ROOT

    def append(self, leaf: bytes) -> Frontier:
        """The tree with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """The tree with more leaf hashes."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            carry = size
            while carry & 1:
                leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
                carry >>= 1
            hashes.append(leaf)
            size += 1
        return Frontier(size, tuple(hashes))

    def encode(self) -> bytes:
        """uint64 size || hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def decode(cls, data: bytes) -> Frontier:
        """The opposite of `encode`; raises Malformed."""
        size = int.from_bytes(data[:8], "big")
        if size > MAX_SIZE or len(data) != 8 + HASH_SIZE * size.bit_count():
            raise Malformed("not the compact range of a tree")
        return cls(size, tuple(data[i : i + HASH_SIZE] for i in range(8, len(data), HASH_SIZE)))


def frontier_of(size: int, hash_at: HashAt) -> Frontier:
    """The compact range of the first `size` entries of a tree at least as large."""
    return Frontier(size, tuple(hash_at(level, index) for level, index in complete_subtrees(0, size)))


def complete_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """(level, index) of the complete subtrees that make up D[start:end], a range that RFC 6962's splitting makes."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> tuple[bytes, ...]:
    """PATH(index, D[size]), from the leaf's sibling up (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofFailed(f"no entry {index} in a tree of {size}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(middle, end, hash_at))
            end = middle
        else:
            path.append(_subtree(start, middle, hash_at))
            start = middle
    return tuple(reversed(path))


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raises ProofFailed unless the leaf hash stands at `index` in the tree of that size and root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofFailed(f"no entry {index} in a tree of {size}")
    _check_hashes(proof)
    here, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofFailed("inclusion proof is too long")
        if here & 1 or here == last:
            found = node_hash(sibling, found)
            here, last = _past_carries(here, last)
        else:
            found = node_hash(found, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofFailed("inclusion proof is too short")
    if found != root:
        raise ProofFailed(f"inclusion proof of entry {index} leads to another root")


def consistency_proof(old: int, new: int, hash_at: HashAt) -> tuple[bytes, ...]:
    """PROOF(old, D[new]) (RFC 6962 section 2.1.2); empty where old is 0 (tlog-witness) or new."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofFailed(f"a tree of {new} does not grow from one of {old}")
    if old in (0, new):
        return ()
    start, end, path = 0, new, []
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_subtree(middle, end, hash_at))
            end = middle
        else:
            path.append(_subtree(start, middle, hash_at))
            start = middle
    if start:  # a proof leaves out the old tree's own root: its checker has it
        path.append(_subtree(start, end, hash_at))
    return tuple(reversed(path))


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises unless the tree (new, new_root) starts with the entries of (old, old_root) (RFC 9162 2.1.4.2).

    Inconsistent where the two can't both be: same size, other root; or an empty tree with a root of its own.
    ProofFailed where it is the proof that does not hold.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofFailed(f"a tree of {new} does not grow from one of {old}")
    _check_hashes(proof)
    if old == 0 and old_root != EMPTY_ROOT:
        raise Inconsistent("an empty tree with a root of its own")
    if old == new and old_root != new_root:
        raise Inconsistent(f"two roots for {old} entries")
    if old in (0, new):
        if proof:
            raise ProofFailed("a proof where none is called for")
        return
    if old & (old - 1) == 0:
        proof = (old_root, *proof)
    if not proof:
        raise ProofFailed("consistency proof is too short")
    _climb_both(old, old_root, new, new_root, proof)


def _climb_both(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    found_old = found_new = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            raise ProofFailed("consistency proof is too long")
        if here & 1 or here == last:
            found_old = node_hash(sibling, found_old)
            found_new = node_hash(sibling, found_new)
            here, last = _past_carries(here, last)
        else:
            found_new = node_hash(found_new, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofFailed("consistency proof is too short")
    if found_old != old_root:
        raise ProofFailed(f"consistency proof leads to another root of {old} entries")
    if found_new != new_root:
        raise ProofFailed(f"consistency proof leads to another root of {new} entries")


def _past_carries(here: int, last: int) -> tuple[int, int]:
    """Up the levels on which the right edge has no sibling and is carried unhashed."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last


def _check_hashes(proof: Sequence[bytes]) -> None:
    if len(proof) > MAX_PROOF:
        raise ProofFailed(f"proof of {len(proof)} hashes, over {MAX_PROOF}")
    if any(len(h) != HASH_SIZE for h in proof):
        raise ProofFailed("a hash in a proof has 32 bytes")


def _split(size: int) -> int:
    """Largest power of two strictly below size."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(start: int, end: int, hash_at: HashAt) -> bytes:
    return _join([hash_at(level, index) for level, index in complete_subtrees(start, end)])


def _join(hashes: Sequence[bytes]) -> bytes:
    return reduce(lambda right, left: node_hash(left, right), reversed(hashes))
