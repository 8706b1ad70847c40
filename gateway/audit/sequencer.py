"""The sequencer: takes what the database has accepted into the log, and signs for it.

Entries have their index and are durable before they come here. One step is, in this order (AUDIT 1.13):

    1  bundles, tiles and bodies of the new size    LogFolder.write      fsynced
    2  read back from the disk and recompute        LogFolder.read_back
    3  sign, and swap the checkpoint in the store   compare-and-set      fsynced
    4  raise the floor                              FloorFile            fsynced
    5  publish the checkpoint file                  LogFolder.publish    fsynced
    6  sweep partial tiles that full ones replaced

The swap is the moment from which the checkpoint counts: nobody is shown one before it, and at a start the database's
checkpoint says how far the log is. `Sequencer.open` compares the folder, the floor and the published file with it, refuses
to start on any difference that a crash can't explain, and finishes the step that a crash interrupted. Nothing else may
write the folder: the gateway's lock sees to that.

A step runs as soon as something is new, but not within BEAT of the one before, so that a burst makes few checkpoints. All of
it but the swap is done in a thread: the loop has better to do than to read, hash and sign.

Who stands outside the mission is shown other checkpoints than these, on a slower beat and at padded sizes (`gateway.audit.outside`):
`mark` asks that a step end at such a size, exactly, so that what is shown there is one of these checkpoints after all.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from gateway.audit.batch import Rows, next_batch, next_receipts
from gateway.audit.floor import Floor, FloorFile, FloorRefused
from gateway.audit.hashes import TileCache, TreeHashes
from gateway.audit.tiles import LogFolder, LogFolderError
from gateway.store.base import DiskFull
from keys.tlog.checkpoint import Checkpoint, TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import MlDsa44Cosigner, verifier_of
from keys.tlog.edge import Edge
from keys.tlog.errors import TlogError
from keys.tlog.merkle import MAX_SIZE, leaf_hashes
from keys.tlog.note import Ed25519Signer
from keys.tlog.tile import WIDTH

BEAT: Final = 0.5  # s between two checkpoints at least
RETRY: Final = 5.0  # s, while the disk is full
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger(__name__)


class LogRefused(Exception):
    """Database, folder and floor don't agree, and no crash explains it. The gateway must not sign: an operator decides."""


def disk_full(error: OSError | DiskFull) -> bool:
    """Whether it says no more than that: then the same step may be tried again."""
    return isinstance(error, DiskFull) or error.errno in _FULL


class CheckpointStore(Protocol):
    """The part of `gateway.store.base.Store` that the sequencer needs; the promises are written there."""

    def snapshot(self) -> AbstractContextManager[Rows]: ...
    async def swap_checkpoint(self, old_size: int, new_size: int, note: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The log's keys, both of them named as its origin."""

    origin: str
    ed25519: Ed25519Signer
    ml_dsa: MlDsa44Cosigner

    def sign(self, edge: Edge, now: int) -> "SignedHead":
        """Sign for a tree, `now` in ms. Its caller makes sure that it has grown from the one signed before."""
        head = TreeHead(self.origin, edge.size, edge.root)
        bare = sign_checkpoint(head, [self.ed25519])
        return SignedHead(edge, bare.with_signatures([self.ml_dsa.cosign(head, now // 1000)]).encode(), bare.encode())

    def open(self, note: bytes) -> Checkpoint:
        """A checkpoint of this log that both keys have signed; raises LogRefused."""
        verifiers = [verifier_of(self.ed25519.verifier_key), verifier_of(self.ml_dsa.verifier_key)]
        try:
            checkpoint = open_checkpoint(note, verifiers, self.origin)
        except TlogError as error:
            raise LogRefused(f"a checkpoint that this log's keys have not signed: {error}") from None
        if len({line.key_id for line in checkpoint.verified}) != len(verifiers):
            raise LogRefused("a checkpoint that only one of this log's keys has signed")
        return checkpoint


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A tree that has been signed for: its right edge, the note with both signatures, and with the Ed25519 one alone."""

    edge: Edge
    note: bytes
    bare: bytes

    @property
    def size(self) -> int:
        return self.edge.size


class Sequencer:
    """The one writer of the log. `after` is called with the number of each durable step that is done: for fault tests."""

    def __init__(
        self,
        store: CheckpointStore,
        folder: LogFolder,
        floor: FloorFile,
        keys: LogKeys,
        head: SignedHead,
        now: Callable[[], int],
        after: Callable[[int], None] = lambda _step: None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._floor = floor
        self._keys = keys
        self._now = now
        self._after = after
        self._cache = TileCache(folder)
        self._swept = head.size
        self._unpublished: tuple[Edge, SignedHead] | None = None
        self._new = asyncio.Event()
        self._finishing = False
        self._marking = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.head = head
        """What was signed for last, recorded and published."""
        self.signed_at = now()
        self.retry = RETRY
        """Seconds between two tries while the disk is full."""
        self.hold: Callable[[], bool] = lambda: False
        """Whether the log must wait: what is left of the disk is for others. Entries have their places without it."""
        self.listeners: list[Callable[[SignedHead], None]] = []
        """Called in the event loop with each checkpoint, once it is published."""
        self.pad: Callable[[], Awaitable[int | None]] | None = None
        """Fills the log up, and gives the size at which a checkpoint is to be shown outside; None: not now."""
        self.shown: Callable[[SignedHead], None] = lambda _head: None
        """Called in the event loop with each checkpoint that is to be shown outside."""

    @classmethod
    def open(
        cls,
        store: CheckpointStore,
        folder: LogFolder,
        floor: FloorFile,
        keys: LogKeys,
        now: Callable[[], int],
        after: Callable[[int], None] = lambda _step: None,
    ) -> "Sequencer":
        """Check database, folder and floor against each other, and finish what a crash interrupted.

        Raises:
            LogRefused: a difference that no crash explains: a rollback, a fork, or damage.
            OSError: the disk.
        """
        with store.snapshot() as rows:
            note, held = rows.checkpoint(), rows.log_size()
            if note is None:
                raise LogRefused("the database has no checkpoint: only `outrider-gateway init` makes a log")
            signed = keys.open(note)
            edge = _right_edge(folder, signed)
            if held < signed.size:
                raise LogRefused(
                    f"the database has {held} entries, and {signed.size} are signed for: it was rolled back"
                )
            start = signed.size // WIDTH * WIDTH
            tail = rows.entries(start, signed.size - start) if signed.size > start else []
        if tail and leaf_hashes(tail) != edge.levels[0]:
            raise LogRefused("the database's last entries are not those that were signed for")
        head = SignedHead(edge, note, sign_checkpoint(signed.head, [keys.ed25519]).encode())
        hashes = TreeHashes(edge, TileCache(folder))
        check_contains(hashes, _read_floor(floor), "the floor")
        published = folder.checkpoint()
        if published is not None:
            checkpoint = keys.open(published)
            check_contains(hashes, Floor(checkpoint.size, checkpoint.root), "the published checkpoint")
        # From here on as if the swap had just returned: a crash after it may have left either of these undone.
        floor.write(Floor(edge.size, edge.root))
        if published != note:
            folder.publish(note)
        return cls(store, folder, floor, keys, head, now, after)

    # ------------------------------------------------------------------ the beat

    def wake(self) -> None:
        """Something is new in the database."""
        self._new.set()

    def mark(self) -> None:
        """The time has come for a checkpoint that is shown outside."""
        self._marking = True
        self._new.set()

    async def run(self) -> None:
        """Step until `finish`.

        Raises:
            Whatever makes it unsafe to go on: the process must stop and start anew. A full disk is waited out.
        """
        loop = asyncio.get_running_loop()
        self._new.set()  # what was accepted before the last stop
        while not self._finishing:
            await self._new.wait()
            self._new.clear()
            begun = loop.time()
            try:
                if self.hold():
                    raise DiskFull("what is left of it is for others")
                if await (self._step_to_mark() if self._marking else self.step()):
                    self._new.set()  # a step takes a batch; there may be more
            except (OSError, DiskFull) as error:
                if not disk_full(error):
                    raise
                _log.error("the disk is full: the log waits")
                self._new.set()
                await asyncio.sleep(self.retry)
            await asyncio.sleep(max(0.0, begun + BEAT - loop.time()))

    def finish(self) -> None:
        """Let `run` return once the step that it is in is done. It must not be cancelled: a thread may be writing."""
        self._finishing = True
        self._new.set()

    async def drain(self) -> None:
        """Step until nothing is new: the last checkpoint before a stop."""
        while await self.step():
            pass

    async def _step_to_mark(self) -> bool:
        """Have the log filled up, and end a step right there. Nobody else steps, so none has gone past it."""
        self._marking = False  # whoever marks from here on means the next one
        try:
            size = None if self.pad is None else await self.pad()
            while size is not None and self.head.size < size:
                await self.step(size)
        except BaseException:
            self._marking = True  # a full disk is waited out, and then it is due still
            raise
        if size is not None:
            self.shown(self.head)
        return True

    async def step(self, limit: int = MAX_SIZE) -> bool:
        """Take what is new into the log, a batch at most, and no entry from index `limit` on; False when nothing was.

        Raises:
            OSError, LogFolderError, gateway.store.base.Conflict: nothing more may be signed by this process, but for a
            full disk, after which the same step may be tried again.
        """
        if self._unpublished is not None:
            await self._publish(*self._unpublished)
        edge = self.head.edge
        head = await asyncio.to_thread(self._make, edge, limit)
        if head is None:
            return False
        await self._store.swap_checkpoint(edge.size, head.size, head.note)
        self._unpublished = edge, head
        self._after(3)
        # A crash here leaves the checkpoint in the database alone: `open` raises the floor and publishes it. Nobody has
        # seen it, and it is never replaced by another of its size, since a step starts from it.
        await self._publish(edge, head)
        return True

    def _make(self, edge: Edge, limit: int) -> SignedHead | None:
        """Steps 1 and 2, and the signature of 3; None where nothing is new."""
        with self._store.snapshot() as rows:
            entries, bodies = next_batch(rows, edge.size, limit=limit)
            receipts = next_receipts(rows, edge.size, edge.size + len(entries))
        if not entries:
            return None
        return self._keys.sign(self._write(edge, entries, bodies, receipts), self._now())

    def _write(
        self,
        edge: Edge,
        entries: Sequence[bytes],
        bodies: Sequence[bytes],
        receipts: Sequence[tuple[str, bytes]],
    ) -> Edge:
        grown = self._folder.write(edge, entries, bodies, receipts)
        self._after(1)
        # A crash here leaves tiles that no checkpoint calls for. The same entries stand at the same indices in the
        # database, so the next step writes the same files again; with more entries it writes wider ones beside them.
        self._folder.read_back(edge, grown, bodies, receipts)
        self._after(2)
        # As after 1.
        return grown

    async def _publish(self, edge: Edge, head: SignedHead) -> None:
        await asyncio.to_thread(self._make_known, edge, head)
        self._unpublished = None
        self.head = head
        self.signed_at = self._now()
        self._release()
        for listener in self.listeners:
            listener(head)

    def _make_known(self, edge: Edge, head: SignedHead) -> None:
        self._floor.write(Floor(head.size, head.edge.root))
        self._after(4)
        # A crash here leaves an older file published than the floor: `open` publishes the database's.
        self._folder.publish(head.note)
        self._after(5)
        # A crash here leaves partial tiles that are not needed any more; they do no harm.
        self._folder.sweep(self._swept, edge.size)  # readers of the checkpoint before still find all of its files
        self._swept = edge.size
        self._after(6)

    # ------------------------------------------------------------------ for those who wait and prove

    def hashes(self) -> TreeHashes:
        """The hashes of the tree signed for last."""
        return TreeHashes(self.head.edge, self._cache)

    def witnessed(self) -> bytes | None:
        """The newest checkpoint that was cosigned by the witnesses' quorum; its tree is a beginning of this one."""
        return self._folder.witnessed()

    async def covered(self, size: int) -> None:
        """Return once a published checkpoint covers `size` entries."""
        if self.head.size >= size:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((size, waiter))
        await waiter

    def _release(self) -> None:
        still = []
        for size, waiter in self._waiting:
            if waiter.done():
                continue
            if size <= self.head.size:
                waiter.set_result(None)
            else:
                still.append((size, waiter))
        self._waiting = still


async def found_log(store: CheckpointStore, folder: Path, floor: Path, keys: LogKeys, now: int) -> None:
    """Make an empty log: folder, floor, and the checkpoint of nothing. Only `init` does this.

    Raises:
        FileExistsError: there is one already.
    """
    log = LogFolder.create(folder)
    FloorFile(floor).create()
    head = keys.sign(Edge(), now)
    await store.swap_checkpoint(0, 0, head.note)
    log.publish(head.note)


def _right_edge(folder: LogFolder, signed: Checkpoint) -> Edge:
    try:
        return folder.edge(signed.size, signed.root)
    except LogFolderError as error:
        raise LogRefused(f"the log's folder is not the tree that was signed for: {error}") from None


def _read_floor(floor: FloorFile) -> Floor:
    try:
        return floor.read()
    except FloorRefused as error:
        raise LogRefused(str(error)) from None


def check_contains(hashes: TreeHashes, older: Floor, what: str) -> None:
    """Refuse unless the tree that the database signed for has grown from `older`."""
    size = hashes.edge.size
    if older.size > size:
        raise LogRefused(f"ROLLBACK: {what} has {older.size} entries, the database signed for {size}: it is an old one")
    if hashes.root(older.size) != older.root:
        raise LogRefused(f"FORK: {what} at {older.size} entries is not of the tree that the database signed for")
