"""As many crash images as one likes, or as its time allows.

    python -m tests.crash --images 100000 [--seed N] [--minutes N]

Each run of the workload gives a thousand images, and each run of the log beside it as many of hundred.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time

from tests.crash import images, log_images
from tests.crash.images import Found

PER_RUN = 1_000
PER_LOG_RUN = 100
TRANSACTIONS = 60


async def run(count: int, seed: int, minutes: float) -> tuple[Found, Found]:
    """One image in ten beside the log's folder."""
    began, chance = time.monotonic(), random.Random(seed)
    database, log = Found(), Found()
    while database.images + log.images < count and time.monotonic() - began < 60 * minutes:
        one = chance.randrange(2**32)
        recorded = await images.record(one, TRANSACTIONS)
        database.add(await images.campaign(recorded, one, PER_RUN - PER_LOG_RUN))
        log.add(await log_images.campaign(await log_images.record(one), one, PER_LOG_RUN))
        if sys.stderr.isatty():
            print(f"\r{database.images + log.images} of {count}", end="", file=sys.stderr)
    return database, log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    arguments = parser.parse_args()
    began = time.monotonic()
    database, log = asyncio.run(run(arguments.images, arguments.seed, arguments.minutes))
    wrong = [*database.wrong, *log.wrong]
    print(
        f"{database.images} images of the database and {log.images} of the database with the log's folder (seed {arguments.seed}):"
        f" {len(wrong)} wrong, {time.monotonic() - began:.0f} s"
    )
    for line in wrong[:40]:
        print(f"WRONG: {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
