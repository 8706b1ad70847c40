"""Bits that flip on the disk while nobody looks: each once, the real store started on what is left, and all of it read.

    python -m tests.crash.rot --flips 5000 [--seed N] [--minutes N]

Half of them in the database, half in a WAL that a kill has left. Either the start is refused, or every table reads as it was
written, or the look-up says Damaged: nothing else is ever read. Of a WAL the last transaction may be gone, as a crash within
it would have it; none before. And what is written afterwards is taken, or refused as Damaged, and is there if it was taken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.store.base import Damaged, StoreError
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from tests.crash.images import DATABASE, ask, place
from tests.crash.workload import DEVICES, STREAMS, envelope, transactions

WAL: Final = f"{DATABASE}-wal"
TRANSACTIONS: Final = 40
GOES_ON: Final = 8  # one of so many is written to

Tables = Mapping[str, Sequence[object] | None]
"""All rows of each table; None for one of which some can't be read."""


@dataclass(frozen=True)
class Grown:
    """A store's files and rows, whole."""

    database: bytes
    wal: bytes
    rows: Tables
    rows_before: Tables
    """As they were before the last transaction."""


@dataclass
class Rotted:
    """What a run has met, by what became of it, and what is wrong (nothing, one hopes)."""

    flips: int = 0
    met: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def tables(store: SqliteStore) -> Tables:
    """Everything that can be read."""
    with store.snapshot() as view:
        names = [name for (name,) in view._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    found: dict[str, Sequence[object] | None] = {}
    for name in names:
        try:
            with store.snapshot() as view:
                found[name] = view._db.execute(f"SELECT * FROM {name}").fetchall()
        except Damaged:
            found[name] = None
    return found


async def grown(folder: Path, seed: int, *, written_back: bool) -> Grown:
    """A store that a workload has run on: closed, or killed with all of it in the WAL but the first part."""
    path = folder / DATABASE
    create(path)
    store = SqliteStore(path)
    before = rows = tables(store)
    for transaction in transactions(seed, TRANSACTIONS):
        await ask(store, transaction)
        now = tables(store)
        before, rows = (rows, now) if now != rows else (before, rows)
    wal = (folder / WAL).read_bytes()
    database = path.read_bytes()
    await store.close()
    return Grown(path.read_bytes(), b"", rows, rows) if written_back else Grown(database, wal, rows, before)


def flipped(data: bytes, bit: int) -> bytes:
    """One bit is another."""
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


def _put(folder: Path, database: bytes, wal: bytes) -> None:
    """These files and nothing else."""
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / DATABASE).write_bytes(database)
    if wal:
        (folder / WAL).write_bytes(wal)


async def judge(folder: Path, database: bytes, wal: bytes, whole: Grown, *, goes_on: bool) -> tuple[str, str]:
    """What became of it, and what is wrong with that, "" where nothing is."""
    _put(folder, database, wal)
    try:
        store = SqliteStore(folder / DATABASE)
    except StoreError as error:
        return f"start refused: {type(error).__name__}", ""
    try:
        try:
            found = tables(store)
        except Damaged:
            return "read refused", ""  # not even the tables' names
        wrong = [name for name, rows in found.items() if rows is not None and rows != whole.rows.get(name)]
        if wrong and wal and found == whole.rows_before:
            return "last transaction gone", ""
        if wrong or found.keys() != whole.rows.keys():
            return "wrong", f"{wrong} are other than they were written"
        if goes_on and (said := await _write(store)):
            return "wrong", said
        return "read refused" if None in found.values() else "as it was", ""
    finally:
        await store.close()


async def _write(store: SqliteStore) -> str:
    """Whether the store goes on from there as it should; gives what is wrong with that."""
    try:
        index = await store.decide(envelope(STREAMS[0], DEVICES[0], Kind.FILLER, b"after", bytes(16)))
        with store.snapshot() as view:
            return "" if view.log_size() == index + 1 else f"{index} was taken, and {view.log_size()} are there"
    except Damaged:
        return ""


async def run(flips: int, seed: int, minutes: float = 24 * 60.0) -> Rotted:
    """So many flips, each of one bit in the whole; half in the database, half in the WAL."""
    chance, began, result = random.Random(seed), time.monotonic(), Rotted()
    with place() as folder:
        (folder / "closed").mkdir()
        (folder / "killed").mkdir()
        (folder / "now").mkdir()
        closed = await grown(folder / "closed", seed, written_back=True)
        killed = await grown(folder / "killed", seed, written_back=False)
        while result.flips < flips and time.monotonic() - began < 60 * minutes:
            result.flips += 1
            goes_on = result.flips % GOES_ON < 2
            if result.flips % 2:
                bit = chance.randrange(8 * len(closed.database))
                what = await judge(folder / "now", flipped(closed.database, bit), b"", closed, goes_on=goes_on)
            else:
                bit = chance.randrange(8 * len(killed.wal))
                wal = flipped(killed.wal, bit)
                what = await judge(folder / "now", killed.database, wal, killed, goes_on=goes_on)
            result.met[what[0]] += 1
            if what[1]:
                result.wrong.append(f"bit {bit} of the {'database' if result.flips % 2 else 'WAL'}: {what[1]}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    arguments = parser.parse_args()
    began = time.monotonic()
    result = asyncio.run(run(arguments.flips, arguments.seed, arguments.minutes))
    met = ", ".join(f"{count} {what}" for what, count in result.met.most_common())
    print(
        f"{result.flips} flipped bits (seed {arguments.seed}): {met}; {len(result.wrong)} wrong, {time.monotonic() - began:.0f} s"
    )
    for line in result.wrong[:40]:
        print(f"WRONG: {line}")
    sys.exit(1 if result.wrong else 0)


if __name__ == "__main__":
    main()
