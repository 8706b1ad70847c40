"""EIO below the running gateway, under traffic: its process ends with its code and a line, and the next finds all that was accepted.

    python -m tests.crash.eio --rounds 100
    fiu-run -x python -m tests.crash.eio --rounds 100        (Debian's fiu-utils: the log's folder fails too)

As `tests.e2e.chaos`, but in place of being killed the gateway meets a disk that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from tests.crash.failing import FAULTS, POINTS, FailingMission
from tests.e2e import chaos
from tests.e2e.chaos import Result


async def run(folder: Path, rounds: int, seed: int, minutes: float = 24 * 60.0) -> tuple[Result, FailingMission]:
    """So many failures, each of another kind than the one before."""
    missions: list[FailingMission] = []

    class Kept(FailingMission):
        faults = cycle(POINTS if "fiu" in os.environ.get("LD_PRELOAD", "") else FAULTS)

        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            missions.append(self)

    result = await chaos.run(folder, rounds, seed, minutes, Kept)
    result.wrong += missions[0].wrong
    return result, missions[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outrider-eio-") as folder:
        result, mission = asyncio.run(run(Path(folder), arguments.rounds, arguments.seed, arguments.minutes))
    print(
        f"{result.rounds} disks failed (seed {result.seed}): {result.accepted} accepted, {result.lost} lost,"
        f" {result.doubled} shown twice, log of {result.log_size} entries, {result.seconds:.0f} s"
    )
    for end, count in mission.ends.most_common():
        print(f"{count:6} ended: {end}")
    for line in result.wrong[: chaos.SHOWN]:
        print(f"WRONG: {line}")
    sys.exit(1 if result.wrong else 0)


if __name__ == "__main__":
    main()
