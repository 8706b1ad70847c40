"""`python -m tests.fuzz [TARGET …] --seconds 60`: libFuzzer (atheris) over each target in turn, in a process of its own.

First the three planted bugs are looked for: a tool that does not find those is not used. A new fault's input is kept in
tests/fuzz/found/, so that the suite replays it, and the run ends with exit code 1. Each line says how many runs a target had, how
many branches the seeds and then the run took, and what came of it. With `--corpus` what was reached is kept, and gone on from next time.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256
from pathlib import Path

from tests.fuzz import FOUND

FIRST = 90  # seconds in which a planted bug is found; five, where nobody else is at work


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="all, where none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", type=Path, help="a folder in which inputs that reach something new are kept")
    asked = parser.parse_args()
    try:
        from tests.fuzz import engine
    except ImportError:
        sys.exit("atheris is not installed: make fuzz does that (CPython up to 3.13)")
    targets, planted = engine.load()  # instrumented, so before anything else of ours is imported
    unknown = set(asked.targets) - set(targets)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(targets)}")
    for name, target in planted.items():
        run = engine.run(name, target, FIRST)
        if not run.finds:
            print(f"not found, though planted: {name:20} {run}")
            return 1
    faults = []
    for name in asked.targets or targets:
        run = engine.run(name, targets[name], asked.seconds, asked.corpus)
        print(f"{name:20} {run}", flush=True)
        for data in run.finds:
            FOUND.mkdir(exist_ok=True)
            (FOUND / f"{name}-{sha256(data).hexdigest()[:12]}").write_bytes(data)
        faults += [] if run.sound else [name]
    print(
        f"{len(asked.targets or targets)} targets, {len(faults)} with a fault{': ' if faults else ''}{', '.join(faults)}"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
