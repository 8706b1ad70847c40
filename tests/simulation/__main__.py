"""`python -m tests.simulation --seeds 100 --minutes 10`: simulated runs, with figures, or the first that failed made small."""

from __future__ import annotations

import argparse
import time
import traceback

from tests.simulation import schedule
from tests.simulation.oracle import Violated
from tests.simulation.reporting import made_small
from tests.simulation.story import commit, parse
from tests.simulation.tempo import TEMPOS
from tests.simulation.world import Failed, World


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", default="50", help="how many, or FIRST-LAST, or one: =SEED")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--faults", default=None, help="the kinds that are on, instead of as the seed draws them")
    parser.add_argument(
        "--knobs", default=None, help="what is set otherwise than usual, instead of as the seed draws it"
    )
    parser.add_argument("--keys", choices=("drawn", "keyed", "real"), default="drawn")
    parser.add_argument("--only", default=None, help="what happens of all that would, as `kill:2,5-7 people:1`")
    parser.add_argument("--tempo", choices=TEMPOS, default="frantic", help="how busy the mission is")
    parser.add_argument("--pace", type=int, default=0, help="ms between two things that somebody does; 0: as drawn")
    parser.add_argument("--often", type=int, default=1, help="how many times more often faults strike")
    parser.add_argument(
        "--recent", type=int, default=schedule.RECENT, help="how many of the last events a failure shows"
    )
    parser.add_argument("--shrink", type=float, default=120, help="CPU seconds to make the first failure small; 0: no")
    parser.add_argument("-v", action="store_true", help="a line for each seed")
    return parser.parse_args()


def world_of(seed: int, chosen: argparse.Namespace) -> World:
    return World(
        seed,
        chosen.minutes,
        None if chosen.faults is None else chosen.faults.split(),
        keyed={"drawn": None, "keyed": True, "real": False}[chosen.keys],
        pace=chosen.pace,
        often=chosen.often,
        only=None if chosen.only is None else parse(chosen.only),
        knobs=None if chosen.knobs is None else chosen.knobs.split(),
        tempo=chosen.tempo,
    )


def main() -> int:
    chosen = arguments()
    schedule.RECENT = chosen.recent
    failures: list[Failed] = []
    simulated, faults, entries, began = 0, 0, 0, time.process_time()
    seeds = seeds_of(chosen.seeds)
    for seed in seeds:
        at = time.process_time()
        world = world_of(seed, chosen)
        try:
            figures = world.run()
        except Failed as failed:
            tell(failed, whole=chosen.v or not failures)
            failures.append(failed)
            continue
        simulated += figures.simulated
        faults += figures.faults
        entries += figures.entries
        if chosen.v:
            print(seed, f"{time.process_time() - at:.2f} s", figures, world.story.command(), flush=True)
    spent, hours = time.process_time() - began, simulated / 3_600_000
    if hours:
        print(
            f"{len(seeds)} seeds, {len(failures)} failed, {hours:.1f} simulated hours in {spent:.1f} s CPU: "
            f"{simulated / 1000 / spent:.0f} times real time, {faults / hours:.0f} faults and {entries / hours:.0f} entries "
            f"a simulated hour, {commit()}"
        )
    if failures and chosen.shrink:
        print(made_small(failures[0], chosen.shrink))
    return 1 if failures else 0


def tell(failed: Failed, *, whole: bool) -> None:
    if not isinstance(failed.__cause__, Violated):
        traceback.print_exception(failed.__cause__)
    print(failed if whole else str(failed).split("\nthe last of")[0], flush=True)


def seeds_of(text: str) -> list[int]:
    if text.startswith("="):
        return [int(text[1:])]
    if "-" in text:
        first, last = text.split("-")
        return list(range(int(first), int(last) + 1))
    return list(range(1, int(text) + 1))


if __name__ == "__main__":
    raise SystemExit(main())
