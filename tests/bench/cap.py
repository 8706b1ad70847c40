"""What the check of a CAP document costs, in CPU time of this process: the promise is 50 ms for a small one, 300 for 500 kB.

python -m tests.bench.cap        # a line a shape: best and worst of five runs, in ms; exit 1 where the best breaks the promise
"""

from __future__ import annotations

import sys
from time import process_time

from clients.core.cap import check
from tests.clients.core.cap.test_large import LARGE
from tests.clients.core.documents import SAMPLE

SMALL, HALF_A_MEGABYTE = 50.0, 300.0  # ms


def costs(document: bytes) -> list[float]:
    """CPU ms of five runs, the cheapest first."""
    runs = []
    for _ in range(5):
        begun = process_time()
        check(document)
        runs.append((process_time() - begun) * 1000)
    return sorted(runs)


def main() -> int:
    shapes = [("a small document", SAMPLE.read_bytes(), SMALL)]
    shapes += [(str(case.id), case.values[0].encode(), HALF_A_MEGABYTE) for case in LARGE]
    broken = 0
    for name, document, bound in shapes:
        best, *_, worst = costs(document)
        broken += best > bound
        print(f"{name:32} {len(document):8} B  {best:7.1f} to {worst:7.1f} ms  (at most {bound:.0f})")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
