"""What stories of hours have found, each as the shortest story that shows it; and the campaign that tells them."""

from __future__ import annotations

from pathlib import Path

from clients.core.refusals import RETRY, SELDOM
from keys.envelope import Precedence
from tests.clients.relay import World
from tests.clients.strayed import Slow, lost
from tests.clients.talk import say
from tests.simulation.hours import Campaign, Told
from tests.simulation.tempo import HOUR, MINUTE, TEMPOS, drawn


def test_a_commit_that_never_comes_is_waited_for_more_and_more_patiently() -> None:
    """A gateway that has taken the channel another way refuses what is of this device's epoch, and never brings the next."""
    world = World(relay=Slow)
    relay, ben, channel = lost(world)
    say(ben, channel, "shots at the gate", Precedence.FLASH)
    for _ in range(3 * HOUR // RETRY):
        world.later(RETRY)
        ben._do(ben.device.tick(world.now))
        ben.step()
    assert 3 * HOUR // SELDOM < len(relay.submitted) < 3 * HOUR // SELDOM + 10


def test_a_seed_draws_how_busy_its_mission_is_and_long_stories_are_calm() -> None:
    told = [drawn(seed) for seed in range(200)]
    assert {tempo.name for tempo, _ in told} == set(TEMPOS)
    assert all(minutes in tempo.minutes for tempo, minutes in told)
    assert min(TEMPOS["quiet"].minutes) * MINUTE > max(TEMPOS["frantic"].minutes) * MINUTE


def test_a_campaign_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    kept = tmp_path / "hours.jsonl"
    first = Campaign(kept, 2)
    first._keep(Told(7, "usual", HOUR, 4.0, 300, 200, "commit 1"))
    first._keep(
        Told(8, "quiet", HOUR // 2, 1.0, 50, 30, "commit 1", "lost", "python -m tests.simulation --seeds =8", "steps")
    )
    again = Campaign(kept, 2)
    assert (again.told, again.done) == (first.told, 1.5)
    assert next(again.seeds(7)) == 9
    assert "2 stories, 1 failed, 5 s CPU, 1080 times real time, 233 faults and 153 entries an hour" in again.summary()
    assert "--seeds =8" in again.summary()
    again.forget_failed()
    assert next(again.seeds(7)) == 8
