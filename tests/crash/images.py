"""Crash images of the real store: recorded once, cut off anywhere, opened again.

A run records `SqliteStore` from `create` on, through some dozens of transactions with SQLite's own checkpoints between. Each image
is what one file system might hold had the power gone at one moment of that. The real store opens it, and then

    integrity_check says ok;
    the rows, all of them, are those after some transaction: none is half there;
    that transaction is not before the last that somebody was told of, and not after the last that was asked for;
    log indices and seqs have no gap, and the checkpoint is not ahead of the entries;
    and the store goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import apsw

from gateway.store.base import Conflict, StoreError
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from tests.crash.recorder import DatabaseRecorder, FolderRecorder
from tests.crash.trace import Fate, Image, Model, Platter, Trace, put
from tests.crash.workload import (
    DEVICES,
    STREAMS,
    Checkpoint,
    Refusing,
    Transaction,
    contents,
    envelope,
    gaps,
    transactions,
)

DATABASE: Final = "gateway.db"
CREATED: Final = "created"
WAL_PAGES: Final = 30  # after which the WAL is written back: in the workload every few transactions
FATES: Final = (Fate.LOST, Fate.KEPT, Fate.TORN, Fate.MIXED, Fate.MIXED)
GOES_ON: Final = 8  # one image of so many is written to after it was opened


@contextmanager
def place() -> Iterator[Path]:
    """A folder in memory, where there is one: what is tested here are images, not this disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="outrider-crash-", dir=memory) as folder:
        yield Path(folder).resolve()


@dataclass
class Recorded:
    """A run: what it did to its files, and all rows after each transaction (`states[0]`: of a new database)."""

    trace: Trace
    states: list[bytes]


@dataclass
class Wrong:
    """An image that breaks the promise, by what makes it again."""

    seed: int
    at: int
    model: Model
    fate: Fate
    what: str


@dataclass
class Found:
    """What a campaign has seen."""

    images: int = 0
    wrong: list[Wrong] = field(default_factory=list)

    def add(self, other: Found) -> None:
        self.images += other.images
        self.wrong += other.wrong


Opened = Callable[[Path], SqliteStore]


async def ask(store: SqliteStore, transaction: Transaction) -> None:
    """One transaction: everything asked for in one turn of the loop; returns when it was answered."""
    with store.snapshot() as view:
        size, held = view.log_size(), view.checkpoint()
    asked = [
        store.swap_checkpoint(int(held or b"0"), size, b"%d" % size)
        if isinstance(one, Checkpoint)
        else store.decide(one)
        for one in transaction
    ]
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, BaseException) and not isinstance(answer, (Refusing, Conflict)):
            raise answer


async def record(seed: int, count: int, opened: Opened = SqliteStore) -> Recorded:
    """Run a workload on the real store and keep what it did."""
    trace, states = Trace(), []
    with place() as folder, DatabaseRecorder(folder, trace).recording():
        path = folder / DATABASE
        create(path, FolderRecorder(folder, trace).sync)
        trace.told(CREATED)
        store = opened(path)
        store.wal_pages = WAL_PAGES
        with store.snapshot() as view:
            states.append(contents(view._db))
        for n, transaction in enumerate(transactions(seed, count), 1):
            await ask(store, transaction)
            trace.told(n)
            with store.snapshot() as view:
                states.append(contents(view._db))
        await store.close()
    return Recorded(trace, states)


async def campaign(recorded: Recorded, seed: int, images: int) -> Found:
    """Build so many images of a run, half by each model of a file system, and open each of them."""
    found, chance = Found(), Random(seed)
    end = len(recorded.trace.operations)
    with place() as folder:
        for model in Model:
            platter, last = Platter(recorded.trace, model), -1
            for at in sorted(chance.randint(1, end) for _ in range(images // len(Model))):
                for told in platter.advance(at):
                    last = 0 if told == CREATED else int(str(told))
                fate = chance.choice(FATES)
                image = platter.image(fate, chance)
                found.images += 1
                what = await judge(image, folder, recorded.states, last, goes_on=found.images % GOES_ON == 0)
                if what:
                    found.wrong.append(Wrong(seed, at, model, fate, what))
    return found


def lay_out(image: Image, folder: Path) -> None:
    """The image, and nothing else."""
    for old in folder.iterdir():
        old.unlink() if old.is_file() else shutil.rmtree(old)
    put(image, folder)


async def judge(image: Image, folder: Path, states: Sequence[bytes], last: int, *, goes_on: bool) -> str:
    """Open an image with the real store; gives what is wrong with it, "" where nothing is. `last` is the transaction that was told of
    last, 0 when the database was made, -1 before that: then there may be none, or none that can be used."""
    lay_out(image, folder)
    try:
        store = SqliteStore(folder / DATABASE)
    except (StoreError, apsw.Error) as error:
        return "" if last < 0 else f"it does not open: {error}"
    try:
        return await _judge(store, states, max(last, 0), goes_on=goes_on)
    except (StoreError, apsw.Error) as error:
        return f"it can't be used: {error}"
    finally:
        await store.close()


async def _judge(store: SqliteStore, states: Sequence[bytes], last: int, *, goes_on: bool) -> str:
    db = store._writer  # which nobody writes with now; another connection would cost as much again
    sound = db.execute("PRAGMA integrity_check").fetchall()
    if sound != [("ok",)]:
        return f"integrity_check: {sound[:3]}"
    held, wrong = contents(db), gaps(db)
    if held not in states:
        return "; ".join([f"no state that there was, after {last} were told", *wrong])
    if held not in states[last : last + 2]:
        at = len(states) - 1 - states[::-1].index(held)
        return f"{last} transactions were told of, and it holds {at}"
    if goes_on and not wrong:
        with store.snapshot() as view:
            size = view.log_size()
        index = await store.decide(envelope(STREAMS[0], DEVICES[0], Kind.FILLER, b"after", b"n" * 16))
        if index != size:
            return f"the next entry has index {index} after {size}"
    return "; ".join(wrong)
