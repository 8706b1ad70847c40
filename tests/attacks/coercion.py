"""How long a screen takes under either passphrase, by hand: whether whoever looks on learns by the clock which one was given.

    python -m tests.attacks.coercion --samples 200

A station and its decoy on one profile, with a channel each, opened in an order drawn anew; the gateway is on loopback. Timed is, from the passphrase on,
what `outrider status` shows without a link, and then the exchange with the gateway that `status`, `read` and `send` wait for.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from clients.agent.status import status_lines
from clients.unlocking import furnish, opened
from clients.vault import Vault
from tests.attacks.timing import report
from tests.clients.harbour import Harbour
from tests.clients.test_duress import DURESS, ROOMS, people
from tests.clients.test_station import WORDS, Town

Times = dict[str, tuple[list[int], list[int]]]


async def timed(folder: Path, samples: int, chance: Random) -> Times:
    times: Times = {name: ([], []) for name in ("the screen, from the passphrase on", "the exchange with the gateway")}
    screen, exchange = times.values()
    for _ in range(2 * samples):
        which = chance.randrange(2)
        begun = perf_counter_ns()
        with opened(Vault.open(folder, (WORDS, DURESS)[which])) as station:
            status_lines(station.status(), "DOWN")
            shown = perf_counter_ns()
            assert (await station.sync(30)).idle
            status_lines(station.status(), "GOOD")
            screen[which].append(shown - begun)
            exchange[which].append(perf_counter_ns() - shown)
    return times


async def measure(samples: int, seed: int) -> Times:
    with TemporaryDirectory() as folder:
        async with Harbour.open() as harbour:
            town = Town(harbour, Path(folder))
            await town.found()
            _, ana, _ = await people(town)
            furnish(ana.vault, ROOMS)
            ana.vault.set_duress(DURESS)
            ana.close()
            times = await timed(ana.vault.folder, samples, Random(seed))
            town.close()
            return times


def main() -> None:
    parser = argparse.ArgumentParser(description="Times both unlocks.")
    parser.add_argument("--samples", type=int, default=200, help="of each passphrase")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for name, (own, under) in asyncio.run(measure(asked.samples, asked.seed)).items():
        report(name, own, under)


if __name__ == "__main__":
    main()
