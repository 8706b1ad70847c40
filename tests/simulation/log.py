"""The log's folder and floor in memory, and the gateway's own sequencer over them, step by step without threads.

What is durable here is durable at once: torn and lost files of the folder are the business of `tests/gateway/audit`. The power
may go between any two steps (`after`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.audit.batch import next_batch
from gateway.audit.floor import Floor
from gateway.audit.prove import RETRY
from gateway.audit.sequencer import LogKeys, LogRefused, Sequencer, SignedHead
from gateway.audit.tiles import FolderDiffers
from gateway.core.errors import Refused
from gateway.wire import Path, Prove, Proven, Refusal
from keys.tlog.checkpoint import Checkpoint, TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import verifier_of
from keys.tlog.edge import Edge
from keys.tlog.errors import TlogError
from keys.tlog.merkle import HASH_SIZE, consistency_proof, inclusion_proof, leaf_hashes, root_of
from keys.tlog.note import Ed25519Signer
from keys.tlog.tile import WIDTH, Tile


@dataclass(slots=True)
class Folder:
    """As much of a `LogFolder` as the sequencer asks for: leaf hashes, laid end to end, and the published checkpoint."""

    leaves: bytes = b""
    published: bytes | None = None

    def edge(self, size: int, root: bytes) -> Edge:
        edge, _ = Edge().extend(self.leaves[: size * HASH_SIZE])
        if edge.size != size or edge.root != root:
            raise FolderDiffers("tile", "the tiles lead to another root")
        return edge

    def write(self, edge: Edge, entries: Sequence[bytes], bodies: Sequence[bytes] = ()) -> Edge:
        hashes = leaf_hashes(entries)
        self.leaves = self.leaves[: edge.size * HASH_SIZE] + hashes
        return edge.extend(hashes)[0]

    def read(self, tile: Tile) -> bytes:
        """A full tile."""
        span = WIDTH**tile.level * HASH_SIZE
        first = tile.index * WIDTH
        return b"".join(
            root_of(self.leaves[n * span : (n + 1) * span]) if tile.level else self.leaves[n * span : (n + 1) * span]
            for n in range(first, first + WIDTH)
        )

    def publish(self, checkpoint: bytes) -> None:
        self.published = checkpoint

    def checkpoint(self) -> bytes | None:
        return self.published

    def copy(self) -> Folder:
        return Folder(self.leaves, self.published)


@dataclass(slots=True)
class FloorHeld:
    """As much of a `FloorFile`."""

    floor: Floor = field(default_factory=Floor)

    def read(self) -> Floor:
        return self.floor

    def write(self, floor: Floor) -> None:
        self.floor = floor


@dataclass(frozen=True, slots=True)
class Keys(LogKeys):
    """The log's Ed25519 key alone: a checkpoint a second by ML-DSA would be most of a run's time."""

    def sign(self, edge: Edge, now: int) -> SignedHead:
        bare = sign_checkpoint(TreeHead(self.origin, edge.size, edge.root), [self.ed25519]).encode()
        return SignedHead(edge, bare, bare)

    def open(self, note: bytes) -> Checkpoint:
        try:
            return open_checkpoint(note, [verifier_of(self.ed25519.verifier_key)], self.origin)
        except TlogError as error:
            raise LogRefused(f"a checkpoint that this log's key has not signed: {error}") from None


def log_keys(origin: str, signer: Ed25519Signer) -> Keys:
    unused: Any = None
    return Keys(origin, signer, unused)


class Beat(Sequencer):
    """`Sequencer` with the steps of `Sequencer.step` in one thread. Its checks at the start are the product's."""

    async def step(self) -> bool:
        if self._unpublished is not None:
            self._make_known(*self._unpublished)
        edge = self.head.edge
        with self._store.snapshot() as rows:
            entries, bodies = next_batch(rows, edge.size)
        if not entries:
            return False
        grown = self._folder.write(edge, entries, bodies)
        self._after(2)
        head = self._keys.sign(grown, self._now())
        await self._store.swap_checkpoint(edge.size, grown.size, head.note)
        self._after(3)
        self._make_known(edge, head)
        return True

    def _make_known(self, edge: Edge, head: SignedHead) -> None:
        self._floor.write(Floor(head.size, head.edge.root))
        self._after(4)
        self._folder.publish(head.note)
        self._after(5)
        self._unpublished = None
        self.head = head
        for listener in self.listeners:
            listener(head)

    def _hash_at(self, level: int, index: int) -> bytes:
        """Complete subtrees alone are asked for, and those never change."""
        if not hasattr(self, "_known"):
            self._known: dict[tuple[int, int], bytes] = {}
        found = self._known.get((level, index))
        if found is None:
            found = self._known[level, index] = self.hashes().hash_at(level, index)
        return found

    def proven(self, frame: Prove) -> Proven:
        """As `gateway.audit.prove` answers once a checkpoint covers what was asked."""
        head, hash_at = self.head, self._hash_at
        consistency = consistency_proof(frame.held, head.size, hash_at)
        paths = [Path(index, list(inclusion_proof(index, head.size, hash_at))) for index in frame.indices]
        return Proven(frame.id, head.bare, list(consistency), paths)


def not_covered() -> Refused:
    return Refused(Refusal.BUSY, "no checkpoint covers this yet", RETRY)
