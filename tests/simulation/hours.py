"""Simulated hours: stories of all tempos, one after the other, on several processes, until there are enough of them.

    python -m tests.simulation.hours 1000            by hand, `make sim-hours HOURS=1000`

A seed draws how busy its mission is and how long its story (`tests.simulation.tempo`). A story that fails is told at once and the
campaign goes on. Each story is a line of the file of `--kept` (build/sim-hours.jsonl); what stands there is not run again, so a campaign
that was broken off goes on where it was, also with other code: each line has its commit. `--again` runs what has failed once more. CPU seconds are those of the runs; founding the
mission, once a process, is not in them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

from tests.simulation import story
from tests.simulation.crypto import cryptography
from tests.simulation.founding import founded
from tests.simulation.oracle import Violated
from tests.simulation.tempo import HOUR, TEMPOS, drawn
from tests.simulation.world import Failed, World

FIRST: Final = 100_001
EVERY: Final = 60  # s between two lines of progress
KEPT: Final = Path("build/sim-hours.jsonl")


@dataclass(frozen=True)
class Told:
    """What became of one story. `failed`: how it failed, and what tells it again; empty where it passed."""

    seed: int
    tempo: str
    simulated: int  # ms
    spent: float  # CPU seconds
    faults: int
    entries: int
    commit: str
    failed: str = ""
    command: str = ""
    last: str = ""
    """Its last steps, where it failed."""


_commit = cache(story.commit)


def tell(seed: int) -> Told:
    """Run the story of this seed."""
    tempo, minutes = drawn(seed)
    world = World(seed, minutes, tempo=tempo.name)
    with cryptography(keyed=world.keyed):
        mission = founded(keyed=world.keyed)
    began, failed, last = time.process_time(), "", ""
    try:
        world.run(mission)
    except Failed as error:
        failed, last = error.failure.what, str(error)
        if not isinstance(error.__cause__, Violated):
            last += "\n" + "".join(traceback.format_exception(error.__cause__))
    figures, spent = world.figures(), round(time.process_time() - began, 2)
    command = world.story.command() if failed else ""
    return Told(
        seed,
        tempo.name,
        figures.simulated,
        spent,
        figures.faults,
        figures.entries,
        _commit(),
        failed.split("\n", 1)[0],
        command,
        last,
    )


class Campaign:
    """What was told, and the file that remembers it."""

    def __init__(self, kept: Path, hours: float) -> None:
        self.kept = kept
        self.hours = hours
        self._told: dict[int, Told] = {}
        if kept.exists():
            for line in kept.read_text().splitlines():
                told = Told(**json.loads(line))
                self._told[told.seed] = told
        kept.parent.mkdir(parents=True, exist_ok=True)

    @property
    def told(self) -> list[Told]:
        """The newest word of each story."""
        return list(self._told.values())

    @property
    def done(self) -> float:
        return sum(told.simulated for told in self.told) / HOUR

    def forget_failed(self) -> None:
        """Those that failed are run again: with other code, as a rule."""
        self._told = {seed: told for seed, told in self._told.items() if not told.failed}

    def seeds(self, first: int) -> Iterator[int]:
        """Those that were not run yet."""
        known = frozenset(self._told)
        return (seed for seed in count(first) if seed not in known)

    def run(self, processes: int, first: int) -> None:
        seeds, shown = self.seeds(first), time.monotonic()
        with ProcessPoolExecutor(processes) as pool:
            open_: set[Future[Told]] = set()
            while open_ or self.done < self.hours:
                while len(open_) < processes and self.done < self.hours:
                    open_.add(pool.submit(tell, next(seeds)))
                ended, open_ = wait(open_, timeout=EVERY, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._keep(future.result())
                if time.monotonic() - shown > EVERY:
                    shown = time.monotonic()
                    print(figures("so far", self.told), flush=True)

    def _keep(self, told: Told) -> None:
        self._told[told.seed] = told
        with self.kept.open("a") as file:
            file.write(json.dumps(asdict(told)) + "\n")
        if told.failed:
            print(f"FAILED {told.failed}\n    {told.command}\n    {told.commit}", flush=True)

    def summary(self) -> str:
        failed = [told for told in self.told if told.failed]
        lines = [figures(name, [told for told in self.told if told.tempo == name]) for name in TEMPOS]
        lines.append(figures("in all", self.told))
        for told in failed:
            lines += [f"{told.failed}", f"    {told.command}", f"    {told.commit}"]
        return "\n".join(lines)


def figures(name: str, told: Sequence[Told]) -> str:
    hours, spent = sum(one.simulated for one in told) / HOUR, sum(one.spent for one in told)
    if not hours or not spent:
        return f"{name}: nothing"
    faults, entries = sum(one.faults for one in told), sum(one.entries for one in told)
    failed = sum(bool(one.failed) for one in told)
    return (
        f"{name}: {hours:.1f} simulated hours, {len(told)} stories, {failed} failed, {spent:.0f} s CPU, "
        f"{hours * 3600 / spent:.0f} times real time, {faults / hours:.0f} faults and {entries / hours:.0f} entries an hour"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hours")
    parser.add_argument("hours", type=float)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=FIRST, help="the seed to begin with")
    parser.add_argument("--again", action="store_true", help="what failed before is run again")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the file with what was done")
    chosen = parser.parse_args()
    campaign = Campaign(chosen.kept, chosen.hours)
    if chosen.again:
        campaign.forget_failed()
    try:
        campaign.run(chosen.processes, chosen.first)
    except KeyboardInterrupt:
        print("broken off", flush=True)
    print(campaign.summary())
    return 1 if any(told.failed for told in campaign.told) else 0


if __name__ == "__main__":
    raise SystemExit(main())
