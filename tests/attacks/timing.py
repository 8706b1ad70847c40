"""How long a refusal takes, by hand: whether a stranger learns from it what the refusal itself does not say.

    python -m tests.attacks.timing --samples 100000

Each pair is one question with two answers that look alike. Both are asked in an order drawn anew each time, the slowest tenth is left out (the
machine's own doing), and Welch's t is printed: below 4.5 nothing is to be seen. Only the core's decision is timed, without TLS and the loop,
which hide rather than show. No test asks for it: time decides none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import sqrt
from random import Random
from statistics import fmean, variance
from time import perf_counter_ns

from gateway.core.errors import Refused
from keys.body import Ack
from keys.canonical import encode
from keys.envelope import NOTHING, Kind
from keys.identity import SigningKey
from tests.gateway.core.checks import scene
from tests.gateway.core.test_session import Meeting
from tests.gateway.core.world import Party, World

Act = Callable[[], object]
SEEN = 4.5
KEPT = 0.9


def proof(world: World, party: Party) -> Act:
    """A proof by a key that is nobody's."""
    meeting = Meeting(world, party)
    meeting.key = SigningKey(bytes(32))
    session, _ = meeting.greet()
    said = meeting.proof()

    def act() -> None:
        try:
            session.prove(said, world.view, world.charter, world.gateway.key, world.now)
        except Refused:
            return
        raise AssertionError("a proof that does not hold was taken")

    return act


def proofs() -> tuple[Act, Act]:
    """Of a device that is there, and of one that is not."""
    world = World()
    return proof(world, world.enrolled("agent")), proof(world, Party(world, world.mission.device("agent")))


def submits() -> tuple[Act, Act]:
    """To a channel that a stranger is not in, and to one that is not there."""
    s = scene()
    stranger = s.world.enrolled("agent")
    data = encode(Ack(bytes(32), 0))
    there, none = (
        lambda channel=channel: stranger.say(Kind.ACK, channel, data, epoch=1, previous=NOTHING)
        for channel in (s.channel, b"no such channel!")
    )
    return there, none


def same() -> tuple[Act, Act]:
    """One question twice: what is seen here is the measure's own fault."""
    there, _ = submits()
    return there, there


PAIRS: dict[str, Callable[[], tuple[Act, Act]]] = {
    "the same twice": same,
    "a device that is there, and none": proofs,
    "a channel that is there, and none": submits,
}


def timed(pair: tuple[Act, Act], samples: int, chance: Random) -> tuple[list[int], list[int]]:
    taken: tuple[list[int], list[int]] = ([], [])
    for _ in range(2 * samples):
        which = chance.randrange(2)
        begun = perf_counter_ns()
        pair[which]()
        taken[which].append(perf_counter_ns() - begun)
    return taken


def welch(one: list[int], other: list[int]) -> tuple[float, float, float]:
    """The two means in microseconds, and t."""
    first, second = (sorted(times)[: int(len(times) * KEPT)] for times in (one, other))
    spread = sqrt(variance(first) / len(first) + variance(second) / len(second))
    return fmean(first) / 1_000, fmean(second) / 1_000, (fmean(first) - fmean(second)) / spread


def main() -> None:
    parser = argparse.ArgumentParser(description="Times refusals that say the same.")
    parser.add_argument("--samples", type=int, default=10_000, help="of each answer")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for name, make in PAIRS.items():
        one, other, t = welch(*timed(make(), asked.samples, Random(asked.seed)))
        print(f"{name:<36} {one:9.1f} µs {other:9.1f} µs   t {t:8.1f}   {'SEEN' if abs(t) >= SEEN else 'not seen'}")


if __name__ == "__main__":
    main()
