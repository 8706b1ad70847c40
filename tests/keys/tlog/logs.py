"""Small logs to test against: built in memory the plain way, and signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from keys.tlog.checkpoint import Checkpoint, TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import MlDsa44Cosigner, verifier_of
from keys.tlog.edge import Edge
from keys.tlog.entry import encode_bundle
from keys.tlog.errors import NotFound, TlogError
from keys.tlog.merkle import EMPTY_ROOT, leaf_hash, leaf_hashes, node_hash
from keys.tlog.note import Ed25519Signer
from keys.tlog.tile import bundles

ORIGIN = "outrider.example/log"
LOG_KEY = Ed25519Signer.from_seed(ORIGIN, bytes(range(32)))
LOG_PQ_KEY = MlDsa44Cosigner.from_seed(ORIGIN, bytes(range(32, 64)))
LOG_KEYS = [verifier_of(LOG_KEY.verifier_key), verifier_of(LOG_PQ_KEY.verifier_key)]
TIME = 1_750_000_000


def entry(index: int) -> bytes:
    """An entry of a length of its own, the same in every run."""
    seed = sha256(b"entry %d" % index).digest()
    return (seed * 3)[: seed[0] % 90] + b"#%d" % index


def entries(size: int) -> list[bytes]:
    return [entry(i) for i in range(size)]


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % i) for i in range(size)]


def mth(hashes: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes, word for word as in RFC 6962 section 2.1: slow, and nobody's idea but the RFC's."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(mth(hashes[:k]), mth(hashes[k:]))


class Levels:
    """The roots of all complete subtrees of a tree, and the root of each of its sizes."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.levels = [list(hashes)]
        while len(row := self.levels[-1]) > 1:
            self.levels.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])

    def hash_at(self, level: int, index: int) -> bytes:
        return self.levels[level][index]

    def root(self, size: int) -> bytes:
        found, start = list[bytes](), 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size >> level & 1:
                found.append(self.levels[level][start >> level])
                start += 1 << level
        root = found.pop() if found else EMPTY_ROOT
        while found:
            root = node_hash(found.pop(), root)
        return root


def sign(head: TreeHead) -> bytes:
    return sign_checkpoint(head, [LOG_KEY]).with_signatures([LOG_PQ_KEY.cosign(head, TIME)]).encode()


@dataclass
class Files:
    """A log folder in memory."""

    files: dict[str, bytes]

    @property
    def checkpoint(self) -> Checkpoint:
        return open_checkpoint(self.files["checkpoint"], LOG_KEYS, ORIGIN)

    def fetch(self, path: str) -> bytes:
        if path not in self.files:
            raise NotFound(path)
        return self.files[path]

    def changed(self, path: str, data: bytes | None) -> Files:
        """The same log with one file in another state, or gone."""
        files = {**self.files, path: data or b""}
        if data is None:
            del files[path]
        return Files(files)


def build(content: list[bytes]) -> Files:
    edge, full = Edge().extend(leaf_hashes(content))
    files = {data.tile.path: data.hashes for data in (*full, *edge.partials())}
    for bundle in bundles(len(content)):
        files[bundle.path] = encode_bundle(content[bundle.start : bundle.start + bundle.width])
    files["checkpoint"] = sign(TreeHead(ORIGIN, edge.size, edge.root))
    return Files(files)


def flip(data: bytes, place: int, mask: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def only_own_errors(decode: Callable[[bytes], object], data: bytes) -> object | None:
    """What a decoder gives, or None where it refuses; anything but its own error passes through and fails the test."""
    try:
        return decode(data)
    except TlogError:
        return None
