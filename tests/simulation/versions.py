"""The same seeds under several Pythons: the same stories to the byte, or which seed differs.

    python -m tests.simulation.versions PYTHON … [--seeds 1-10] [--minutes 10]

Each PYTHON is an interpreter that has the project installed (`python3.13 -m venv V && V/bin/pip install -e '.[test]'`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

STORIES = """
import sys
from tests.simulation.world import World
first, last, minutes = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
for seed in range(first, last + 1):
    print(seed, World(seed, minutes).run().trace, flush=True)
for keyed in (True, False):
    print("keyed" if keyed else "real", World(first, minutes, keyed=keyed).run().trace, flush=True)
"""


def stories(python: str, first: str, last: str, minutes: float) -> list[str]:
    done = subprocess.run(
        [python, "-c", STORIES, first, last, str(minutes)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.versions")
    parser.add_argument("pythons", nargs="+")
    parser.add_argument("--seeds", default="1-10", help="FIRST-LAST")
    parser.add_argument("--minutes", type=float, default=10)
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition("-")
    mine = stories(sys.executable, first, last or first, chosen.minutes)
    differ = 0
    for python in chosen.pythons:
        theirs = stories(python, first, last or first, chosen.minutes)
        wrong = [a.split()[0] for a, b in zip(mine, theirs, strict=True) if a != b]
        differ += len(wrong)
        said = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"{said}: {len(mine)} stories,", f"other ones: {' '.join(wrong)}" if wrong else "the same", flush=True)
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
