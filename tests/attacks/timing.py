"""How long a refusal takes, by hand: whether who is refused learns from it what the refusal itself does not say.

    python -m tests.attacks.timing                         the core's decisions, 10^5 of each answer
    python -m tests.attacks.timing --socket                a gateway of its own, over TLS and a socket, 10^4 of each

Each pair is one question with two answers that look alike: about what is there and not for who asks, and about what is not there at
all. They are asked in an order drawn anew each time, the slowest tenth is left out, and once more the slower half (the machine's own doing), and
Welch's t is printed: below 4.5 nothing is to be seen. The first pair is one question twice, which shows what the measure sees by itself. No test
asks for any of it: time decides none; two answers that differ end it. What a test holds to is that both take the same steps (`test_timing.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from random import Random
from statistics import fmean, variance
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from gateway.core.errors import Refused
from tests.attacks.probes import NAMES, Pair, Probe, core_pairs, core_world, over_sockets

SEEN = 4.5
KEPT = (0.9, 0.5)  # of all answers, the quickest: what the machine does besides makes the others slow


Answer = tuple[int, str, int]


def timed(pair: Pair, samples: int, chance: Random) -> tuple[list[int], list[int], set[Answer]]:
    """Nanoseconds of each answer to either question, and what the answers were."""
    taken: tuple[list[int], list[int]] = ([], [])
    answers = set()
    for _ in range(2 * samples):
        which = chance.randrange(2)
        spent, answer = once(chance.choice(pair[which]))
        taken[which].append(spent)
        answers.add(answer)
    return *taken, answers


def once(probe: Probe) -> tuple[int, Answer]:
    ready = probe()
    begun = perf_counter_ns()
    try:
        ready()
    except Refused as said:
        return perf_counter_ns() - begun, (said.refusal, said.detail, said.retry_after)
    raise AssertionError("what may not be was not refused")


def welch(one: Sequence[int], other: Sequence[int], kept: float) -> tuple[float, float, float]:
    """The two means in microseconds, and t, of what took no longer than so many of all together did."""
    bound = sorted([*one, *other])[int((len(one) + len(other) - 1) * kept)]
    first, second = ([spent for spent in times if spent <= bound] for times in (one, other))
    spread = sqrt(variance(first) / len(first) + variance(second) / len(second))
    return fmean(first) / 1_000, fmean(second) / 1_000, (fmean(first) - fmean(second)) / spread


def report(name: str, one: Sequence[int], other: Sequence[int]) -> None:
    found = [welch(one, other, kept) for kept in KEPT]
    figures = "   ".join(f"{there:9.1f} µs {none:9.1f} µs  t {t:6.1f}" for there, none, t in found)
    print(f"{name:<38} {figures}   {'SEEN' if any(abs(t) >= SEEN for *_, t in found) else 'not seen'}", flush=True)


def measure(pairs: dict[str, Pair], names: Sequence[str], samples: int, seed: int) -> None:
    for name in names:
        pair = pairs[name]
        there, none, answers = timed(pair, samples, Random(seed))
        report(name, there, none)
        assert len(answers) == 1, f"{name}: told apart by the answer itself: {answers}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Times refusals that say the same.")
    parser.add_argument("--pair", action="append", choices=NAMES, help="only this one; may be said again")
    parser.add_argument("--samples", type=int, default=0, help="of each answer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--socket", action="store_true", help="against a gateway of its own")
    asked = parser.parse_args()
    if not asked.socket:
        measure(core_pairs(core_world()), asked.pair or NAMES, asked.samples or 100_000, asked.seed)
        return
    with TemporaryDirectory() as folder, over_sockets(Path(folder) / "gateway") as pairs:
        measure(pairs, asked.pair or NAMES, asked.samples or 10_000, asked.seed)


if __name__ == "__main__":
    main()
