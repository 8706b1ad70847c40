"""`python -m tests.simulation --seeds 100 --minutes 10`: simulated runs, with figures, or the first that failed made small."""

from __future__ import annotations

import argparse
import time
import traceback

from tests.simulation import schedule
from tests.simulation.oracle import Violated
from tests.simulation.world import Failed, World


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="50", help="how many, or FIRST-LAST, or one: =SEED")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--faults", default=None, help="the kinds that are on, instead of as the seed draws them")
    parser.add_argument("-v", action="store_true")
    parser.add_argument(
        "--recent", type=int, default=schedule.RECENT, help="how many of the last events a failure shows"
    )
    parser.add_argument("--pace", type=int, default=0, help="ms between two things that somebody does; 0: as drawn")
    chosen = parser.parse_args()
    schedule.RECENT = chosen.recent
    kinds = None if chosen.faults is None else chosen.faults.split()
    failed, simulated, faults, entries, began = 0, 0, 0, 0, time.process_time()
    seeds = seeds_of(chosen.seeds)
    for seed in seeds:
        at = time.process_time()
        world = World(seed, chosen.minutes, kinds, pace=chosen.pace)
        try:
            figures = world.run()
        except Failed as failure:
            failed += 1
            if not isinstance(failure.__cause__, Violated):
                traceback.print_exception(failure.__cause__)
            print(failure if chosen.v or failed == 1 else str(failure).split("\nthe last of")[0], flush=True)
            continue
        simulated += figures.simulated
        faults += figures.faults
        entries += figures.entries
        if chosen.v:
            spent = time.process_time() - at
            print(seed, figures.trace, f"{spent:.2f} s", figures, " ".join(world.kinds), flush=True)
    spent = time.process_time() - began
    hours = simulated / 3_600_000
    if hours:
        print(
            f"{len(seeds)} seeds, {failed} failed, {hours:.1f} simulated hours in {spent:.1f} s CPU: {simulated / 1000 / spent:.0f} "
            f"times real time, {faults / hours:.0f} faults and {entries / hours:.0f} entries a simulated hour"
        )
    return 1 if failed else 0


def seeds_of(text: str) -> list[int]:
    if text.startswith("="):
        return [int(text[1:])]
    if "-" in text:
        first, last = text.split("-")
        return list(range(int(first), int(last) + 1))
    return list(range(1, int(text) + 1))


if __name__ == "__main__":
    raise SystemExit(main())
