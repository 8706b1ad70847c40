"""EIO from below: the store's process under libfiu (`fiu-run`, Debian's fiu-utils), where one fdatasync in fifty fails.

    python -m tests.crash.libfiu --rounds 40

Each process must end by itself with Broken, and the next one find everything that it has acknowledged.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from gateway.store.database import create

FAULT: Final = "enable_random name=posix/io/sync/fdatasync,probability=0.02,failinfo=5"
SERVE: Final = "import sys; from tests.crash.kills import serve; serve(sys.argv[1], 1, int(sys.argv[2]))"
PATIENCE: Final = 120.0  # s


def one_round(path: Path, number: int) -> list[str]:
    """What a process says until it ends by itself."""
    line = ["fiu-run", "-x", "-c", FAULT, sys.executable, "-c", SERVE, str(path), str(number)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout.split("\n")[:-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    if shutil.which("fiu-run") is None:
        sys.exit("fiu-run is not installed: Debian has it in fiu-utils")
    ends: Counter[str] = Counter()
    wrong, acknowledged = [], 0
    with tempfile.TemporaryDirectory(prefix="outrider-libfiu-") as folder:
        path = Path(folder) / "gateway.db"
        create(path)
        for n in range(arguments.rounds):
            first, *said = one_round(path, n * 8)
            if first.startswith("-1"):  # it failed while it opened
                ends[first] += 1
                continue
            size, _, what = first.partition(" ")
            if int(size) < acknowledged or what:
                wrong.append(f"round {n + 1}: {acknowledged} were acknowledged, {size} found, {what}")
            indices = [int(line) for line in said if not line.startswith("-1")]
            acknowledged = max([acknowledged, *(index + 1 for index in indices)])
            ends[said[-1] if said else "said nothing"] += 1
    print(f"{arguments.rounds} processes, {acknowledged} entries acknowledged, {len(wrong)} wrong")
    for end, count in ends.most_common():
        print(f"{count:6} ended: {end}")
    sys.exit("\n".join(wrong) or (0 if all("Broken" in end or "I/O" in end for end in ends) else 1))


if __name__ == "__main__":
    main()
