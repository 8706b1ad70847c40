"""kill -9 on a process that has the store open, round after round.

    python -m tests.crash.kills --rounds 20000 [--seed N] [--minutes N]

Each round a process opens the store, says how many entries it found and what is wrong with them, then decides and says which entries
are durable; it is killed after some of them, or at any moment from its start on, the opening included. The next one must find all
that was said, without a gap. After some dozens of rounds a new database is begun.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import select
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from tests.crash.workload import DEVICES, STREAMS, envelope, gaps

NEW_DATABASE: Final = 60  # rounds
WAL_PAGES: Final = 60
WRITERS: Final = 6
PATIENCE: Final = 60.0  # s for a process that says nothing


@dataclass
class Result:
    """The figures of a run, and what is wrong (nothing, one hopes)."""

    seed: int
    rounds: int = 0
    acknowledged: int = 0
    opening: int = 0  # of them, killed before the store was open
    wrong: list[str] = field(default_factory=list)


async def _serve(path: Path, say: int, seed: int) -> None:
    """The process that is killed."""
    chance = random.Random(seed)
    store = SqliteStore(path)
    store.wal_pages = WAL_PAGES
    with store.snapshot() as view:
        wrong = gaps(view._db)
        if seed % 8 == 0:
            wrong += [str(row) for row in view._db.execute("PRAGMA integrity_check").fetchall() if row != ("ok",)]
        os.write(say, f"{view.log_size()} {wrong or ''}\n".encode())

    async def write(n: int) -> None:
        while True:
            body = chance.randbytes(chance.choice((20, 300, 300, 6_000)))
            decision = envelope(chance.choice(STREAMS), DEVICES[n], Kind.APPLICATION, body, bytes(16))
            os.write(say, f"{await store.decide(decision)}\n".encode())

    await asyncio.gather(*(write(n) for n in range(WRITERS)))


def serve(path: str, say: int, seed: int) -> NoReturn:
    """Be the process: speak to that descriptor until killed, or until something fails."""
    try:
        asyncio.run(_serve(Path(path), say, seed))
    except BaseException as error:
        os.write(say, f"-1 {type(error).__name__}: {error}\n".encode())
    os._exit(1)


def _process(path: Path, seed: int) -> tuple[int, int]:
    """A process of its own, forked from this one, which has the code loaded and no thread; gives its id and where it speaks."""
    hear, say = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(hear)
        serve(str(path), say, seed)
    os.close(say)
    return process, hear


def _heard(hear: int, seconds: float) -> bytes:
    """What it says within that time, b"" where it says nothing more."""
    return os.read(hear, 65_536) if select.select([hear], [], [], max(0.0, seconds))[0] else b""


def one_round(path: Path, chance: random.Random) -> list[str]:
    """Let a process work and kill it; gives what it has said, the half line at the end left out."""
    process, hear = _process(path, chance.randrange(2**32))
    said = bytearray()
    if chance.random() < 0.3:  # at any moment from the start on
        end = time.monotonic() + chance.uniform(0, 0.02)
        while (left := end - time.monotonic()) > 0:
            said += _heard(hear, left)
    else:
        lines = 1 + chance.randrange(60)
        while said.count(b"\n") < lines and (more := _heard(hear, PATIENCE)):
            said += more
    os.kill(process, signal.SIGKILL)
    while more := os.read(hear, 65_536):
        said += more
    os.close(hear)
    os.waitpid(process, 0)
    return said.decode().split("\n")[:-1]


def run(folder: Path, rounds: int, seed: int, minutes: float = 24 * 60.0) -> Result:
    """So many rounds in a folder, and no further one once the time is over."""
    chance, began = random.Random(seed), time.monotonic()
    result, acknowledged, path = Result(seed), 0, folder
    while result.rounds < rounds and time.monotonic() - began < 60 * minutes:
        if result.rounds % NEW_DATABASE == 0:
            path, acknowledged = folder / str(result.rounds) / "gateway.db", 0
            path.parent.mkdir()
            create(path)
        first, *rest = [*one_round(path, chance), ""][:-1] or [""]
        result.rounds += 1
        if not first:
            result.opening += 1
            continue
        size, _, wrong = first.partition(" ")
        if int(size) < acknowledged or wrong:
            result.wrong.append(f"round {result.rounds}: {acknowledged} were acknowledged, {size} found, {wrong}")
        failed = [line for line in rest if line.startswith("-1")]
        result.wrong += [f"round {result.rounds}: {line}" for line in failed]
        indices = [int(line) for line in rest if line not in failed]
        result.acknowledged += len(indices)
        acknowledged = max([acknowledged, *(index + 1 for index in indices)])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="outrider-kills-") as folder:
        result = run(Path(folder), arguments.rounds, arguments.seed, arguments.minutes)
    print(
        f"{result.rounds} rounds of kill -9 on the store's process (seed {result.seed}), {result.opening} while it opened:"
        f" {result.acknowledged} entries acknowledged, {len(result.wrong)} wrong, {time.monotonic() - began:.0f} s"
    )
    for line in result.wrong[:40]:
        print(f"WRONG: {line}")
    sys.exit(1 if result.wrong else 0)


if __name__ == "__main__":
    main()
