"""The log's time: whatever the machine's clock does, it never runs backwards."""

import pytest

from gateway.core import acts
from tests.gateway.core.world import World


@pytest.mark.parametrize(
    ("jumps", "times"),
    [
        pytest.param([0, 1_000, 2_000], [0, 1_000, 2_000], id="a clock that runs"),
        pytest.param(
            [0, 5_000, -60_000, 4_000, 6_000], [0, 5_000, 5_000, 5_000, 6_000], id="set back, it stands still"
        ),
        pytest.param([0, 0, 0], [0, 0, 0], id="a clock that stands"),
    ],
)
def test_the_logs_time_never_runs_backwards(jumps: list[int], times: list[int]) -> None:
    world = World()
    begin = world.now
    for jump in jumps:
        world.run(lambda at=begin + jump: acts.filler(world.view, world.gateway, at, world.random))
    written = [s.time - begin for s in world.committed[-len(jumps) :]]
    assert written == times
