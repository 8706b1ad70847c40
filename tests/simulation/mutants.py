"""Planted bugs are looked for one at a time: each by forty seeds, of which thirty-eight have to find it.

    python -m tests.simulation.mutants --seeds 40            every one of them; by hand, `make sim-mutants`
    python -m tests.simulation.mutants --seeds 40 NAME …

A mutant lives in a copy of the tree, in a process of its own, and two are looked for at a time. It is found by a seed if the run
of that seed fails, and the run ends there; the same seeds pass without it. The seeds go in their order until it is plain whether
enough of them find it. Every run begins with a mission that the sound product has founded: what is found is found by a run.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

from tests.simulation.crypto import cryptography
from tests.simulation.founding import founded
from tests.simulation.planted import MUTANTS, NAMES, Mutant, applied
from tests.simulation.world import Failed, World

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("keys", "gateway", "clients", "tests/keys", "tests/clients", "tests/simulation")
FIRST_SEED = 1_001
ENOUGH = 0.95
OFTEN = 3
"""How many times as often as else faults strike."""


@dataclass(frozen=True)
class Hunt:
    """What came of looking for one: seeds that found it, seeds that were run, what they said, CPU seconds."""

    found: int
    run: int
    said: Sequence[str]
    missed: Sequence[int]
    spent: float


def hunt(mutant: Mutant, seeds: int, mission: Path) -> Hunt:
    """Plant it in a copy of the tree and have a process look for it there; `mission`: as `founding` has left it."""
    with planted(mutant) as copy:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--look", str(mission), "--seeds", str(seeds), mutant.name],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return Hunt(**json.loads(done.stdout))
    except ValueError:
        return Hunt(0, 0, [f"nothing can be run with it: {done.stderr.strip()[-200:]}"], [], 0)


@contextmanager
def planted(mutant: Mutant | None) -> Iterator[Path]:
    """A copy of the tree with the bug in it."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (ROOT / "tests").glob("*.py"):
            shutil.copy(file, copy / "tests")
        if mutant is not None:
            target = copy / mutant.file
            target.write_text(applied(mutant, target.read_text()))
        yield copy


def look(mutant: Mutant, seeds: int, mission: Path) -> Hunt:
    """In the copy: run seed after seed until enough have found it, or too many have not."""
    began = process_time()
    start = pickle.loads(mission.read_bytes())
    enough = -int(-seeds * ENOUGH // 1)
    found, said, missed = 0, dict[str, None](), list[int]()
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        if found == enough or len(missed) > seeds - enough:
            break
        world = World(seed, mutant.minutes, mutant.faults.split(), keyed=True, pace=mutant.pace, often=OFTEN)
        try:
            world.run(start)
        except Failed as failure:
            found += 1
            said[str(failure).split("\n", 1)[0][:100]] = None
        else:
            missed.append(seed)
    return Hunt(found, found + len(missed), list(said)[:6], missed, round(process_time() - began, 1))


@contextmanager
def founding() -> Iterator[Path]:
    """A file with the mission that all runs begin with, made by the product as it is."""
    with tempfile.NamedTemporaryFile() as file:
        with cryptography(keyed=True):
            file.write(pickle.dumps(founded(keyed=True)))
        file.flush()
        yield Path(file.name)


def line_of(mutant: Mutant, result: Hunt) -> str:
    words = result.said[0] if result.said else ""
    missed = f" (not by {', '.join(map(str, result.missed))})" if result.missed else ""
    return f"found by {result.found:2} of {result.run:2} {result.spent:6.1f} s  {mutant.name}{missed}: {words}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--look", type=Path, default=None, help="in the copy: the mission that runs begin with")
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    if chosen.look:
        print(json.dumps(asdict(look(NAMES[chosen.names[0]], chosen.seeds, chosen.look))))
        return 0
    wanted = [mutant for mutant in MUTANTS if not chosen.names or mutant.name in chosen.names]
    results: dict[str, Hunt] = {}

    def one(mutant: Mutant) -> None:
        results[mutant.name] = hunt(mutant, chosen.seeds, mission)
        print(f"{len(results):2}/{len(wanted)} {line_of(mutant, results[mutant.name])}", flush=True)

    with founding() as mission, ThreadPoolExecutor(chosen.processes) as at_once:
        list(at_once.map(one, wanted))
    missed = [m.name for m in wanted if results[m.name].found < chosen.seeds * ENOUGH]
    print("\n| planted | found by |\n|---|---|")
    for mutant in wanted:
        print(f"| {mutant.name} | {results[mutant.name].found} of {results[mutant.name].run} |")
    spent = sum(result.spent for result in results.values())
    print(f"\n{len(wanted) - len(missed)} of {len(wanted)} found often enough, in {spent / 60:.0f} CPU minutes")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
