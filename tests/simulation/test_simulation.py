"""Fifty seeds of ten simulated minutes, those that have failed once, and the promise that a seed repeats.

By hand: `make sim SEEDS=1-1000 MINUTES=60`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from math import ceil
from pathlib import Path

import pytest

from clients.core.proof import ANSWERED_WITHIN
from tests.simulation.knobs import KNOBS, turned
from tests.simulation.phone import SOON
from tests.simulation.world import World

MINUTES = 10
REGRESSIONS = [
    line.split(maxsplit=2)
    for line in (Path(__file__).parent / "regressions.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed", range(1, 51))
def test_whatever_happens(seed: int) -> None:
    World(seed, MINUTES).run()


@pytest.mark.parametrize(
    ("seed", "minutes", "faults"), [pytest.param(*line, id=f"seed-{line[0]}") for line in REGRESSIONS]
)
def test_what_failed_once(seed: str, minutes: str, faults: str) -> None:
    World(int(seed), float(minutes), None if faults == "drawn" else faults.split()).run()


TURNS = [name for name, knob in KNOBS.items() if {"turn", "hands"} & knob.keys()]
WORDS = 100


@pytest.mark.parametrize("names", [names for n in range(len(TURNS) + 1) for names in combinations(TURNS, n)], ids=str)
def test_no_device_is_later_than_the_gateway_may_be(names: tuple[str, ...]) -> None:
    """Or what it has in its own hands would be LATE."""
    knobs = turned(names)
    assert ceil(WORDS / knobs.turn) * (SOON + knobs.hands) < ANSWERED_WITHIN


TRACE = """
from tests.simulation.world import World
for keyed in (True, False):
    print(World(7, 2, keyed=keyed).run().trace)
"""


def test_a_seed_is_one_story() -> None:
    """To the byte, whatever the order in which this Python keeps its sets."""
    stories = {
        subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(stories) == 1
