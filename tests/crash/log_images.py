"""Crash images of the log's folder, its floor and the database together: the real sequencer over the real store.

Whatever the images leave of files that were on their way, a start mends it, and never by going back:

    the store opens, the sequencer opens and finishes the log;
    every checkpoint that anybody can have seen, in the folder or the database, is a beginning of the log that comes of it;
    the folder's tiles and bundles, read as an auditor reads them, hold the database's entries, and lead to the root that is signed;
    the database's checkpoint, the published one and the floor name the same tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import apsw

from gateway.audit.floor import Floor, FloorFile
from gateway.audit.sequencer import LogKeys, LogRefused, Sequencer
from gateway.audit.tiles import PASSING, LogFolder, LogFolderError
from gateway.store.base import StoreError
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.cosignature import MlDsa44Cosigner, verifier_of
from keys.tlog.edge import Edge
from keys.tlog.errors import NotFound, TlogError
from keys.tlog.merkle import leaf_hashes, root_of
from keys.tlog.note import Ed25519Signer
from keys.tlog.reader import LogReader
from tests.crash.images import CREATED, DATABASE, FATES, Found, Wrong, ask, lay_out, place
from tests.crash.recorder import DatabaseRecorder, FolderRecorder
from tests.crash.trace import Model, Platter, Told, Trace
from tests.crash.workload import DEVICES, STREAMS, Transaction, envelope, transactions

ORIGIN: Final = "log.test/crash"
KEYS: Final = LogKeys(ORIGIN, Ed25519Signer.from_seed(ORIGIN, b"e" * 32), MlDsa44Cosigner.from_seed(ORIGIN, b"m" * 32))
VERIFIERS: Final = [verifier_of(KEYS.ed25519.verifier_key), verifier_of(KEYS.ml_dsa.verifier_key)]
LOG: Final = "log"
FLOOR: Final = "log.floor"
NOW: Final = 1_790_000_000_000


def now() -> int:
    return NOW


@dataclass
class Recorded:
    """A run: what it did to its files, and the leaf hashes of the log that came of it, end to end."""

    trace: Trace
    leaves: bytes = b""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint of so many entries is there for everybody."""

    size: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """So many entries were acknowledged."""

    size: int


async def record(seed: int, steps: int = 8, *, synced: bool = True) -> Recorded:
    """A log from its founding on, over the edge of its first full tile. `synced`: False is the planted fault of a log that syncs none of
    its files."""
    trace, chance = Trace(), Random(seed)
    with place() as folder, DatabaseRecorder(folder, trace).recording():
        beside = FolderRecorder(folder, trace, LOG, FLOOR, PASSING + FLOOR)
        create(folder / DATABASE, beside.sync)
        store = SqliteStore(folder / DATABASE)
        store.wal_pages = 30
        log = LogFolder.create(folder / LOG, beside.sync)
        FloorFile(folder / FLOOR, beside.sync).create()
        await found_log_at(store, log)
        beside.look()
        trace.told(CREATED)
        sync = beside.sync if synced else beside.after
        log = LogFolder(folder / LOG, sync, beside.after)
        sequencer = Sequencer.open(store, log, FloorFile(folder / FLOOR, sync), KEYS, now, beside.after)
        sequencer.listeners.append(lambda head: trace.told(Published(head.size)))
        await accept(store, trace, filling(chance.randint(240, 256)))
        for transaction in transactions(seed, steps, logged=True):
            await accept(store, trace, transaction)
            if chance.random() < 0.8:
                await sequencer.step()
        await accept(store, trace, filling(300))
        await sequencer.drain()
        beside.look()
        with store.snapshot() as view:
            leaves = leaf_hashes(view.entries(0, 10_000))
        await store.close()
    return Recorded(trace, leaves)


async def accept(store: SqliteStore, trace: Trace, transaction: Transaction) -> None:
    await ask(store, transaction)
    with store.snapshot() as view:
        trace.told(Accepted(view.log_size()))


async def found_log_at(store: SqliteStore, log: LogFolder) -> None:
    """As `found_log`, in a folder that is recorded."""
    head = KEYS.sign(Edge(), NOW)
    await store.swap_checkpoint(0, 0, head.note)
    log.publish(head.note)


def filling(count: int) -> Transaction:
    return [envelope(STREAMS[0], DEVICES[0], Kind.FILLER, b"filling", bytes(16)) for _ in range(count)]


async def campaign(recorded: Recorded, seed: int, images: int) -> Found:
    """Build so many images of a run, half by each model of a file system, and start from each of them."""
    found, chance = Found(), Random(seed)
    operations = recorded.trace.operations
    founded = operations.index(Told(CREATED)) + 1
    with place() as folder:
        for model in Model:
            platter, published, accepted = Platter(recorded.trace, model), 0, 0
            for at in sorted(chance.randint(founded, len(operations)) for _ in range(images // len(Model))):
                for told in platter.advance(at):
                    if isinstance(told, Published):
                        published = told.size
                    elif isinstance(told, Accepted):
                        accepted = told.size
                fate = chance.choice(FATES)
                lay_out(platter.image(fate, chance), folder)
                found.images += 1
                try:
                    what = await judge(folder, recorded.leaves, published, accepted)
                except (StoreError, apsw.Error, LogRefused, LogFolderError, TlogError, OSError) as error:
                    what = f"{type(error).__name__}: {error}"
                if what:
                    found.wrong.append(Wrong(seed, at, model, fate, what))
    return found


async def judge(folder: Path, leaves: bytes, published: int, accepted: int) -> str:
    """Start, as the gateway does, finish the log, and read all of it; gives what is wrong, "" where nothing is. Raises what the start
    raises: no crash may make it refuse."""
    store = SqliteStore(folder / DATABASE)
    try:
        log = LogFolder(folder / LOG, lambda _descriptor: None)
        sequencer = Sequencer.open(store, log, FloorFile(folder / FLOOR, lambda _descriptor: None), KEYS, now)
        if sequencer.head.size < published:
            return f"the log goes back: {published} entries were published, and it starts at {sequencer.head.size}"
        await sequencer.drain()
        with store.snapshot() as view:
            entries, note = view.entries(0, 10_000), view.checkpoint()
    finally:
        await store.close()
    if len(entries) < accepted:
        return f"{accepted} entries were acknowledged, and {len(entries)} are there"
    hashes = leaf_hashes(entries)
    if hashes != leaves[: len(hashes)]:
        return "the entries are others"
    return check(folder, entries, root_of(hashes), note)


def check(folder: Path, entries: Sequence[bytes], root: bytes, note: bytes | None) -> str:
    """Read the log as an auditor does."""
    text = (folder / LOG / "checkpoint").read_bytes()
    if text != note:
        return "the published checkpoint is not the database's"
    checkpoint = open_checkpoint(text, VERIFIERS, ORIGIN)
    if (checkpoint.size, checkpoint.root) != (len(entries), root):
        return f"the checkpoint is of {checkpoint.size} entries, or of another tree"
    if FloorFile(folder / FLOOR).read() != Floor(checkpoint.size, root):
        return "the floor is not at the checkpoint"

    def fetch(path: str) -> bytes:
        try:
            return (folder / LOG / path).read_bytes()
        except FileNotFoundError:
            raise NotFound(path) from None

    reader = LogReader(fetch, checkpoint)
    if [entry for run in reader.entries() for entry in run.entries] != list(entries):
        return "the bundles hold other entries"
    reader.check_tiles()
    return ""
