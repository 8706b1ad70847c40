"""What a failure says of itself when it was made small."""

from __future__ import annotations

import time

from tests.simulation.shrink import shrink
from tests.simulation.story import Failure, Story, commit
from tests.simulation.world import Failed, World


def world_of(story: Story) -> World:
    return World(
        story.seed,
        story.minutes,
        story.kinds,
        keyed=story.keyed,
        pace=story.pace,
        often=story.often,
        only=story.only,
        knobs=story.knobs,
        tempo=story.tempo,
    )


def made_small(failed: Failed, seconds: float) -> str:
    """Spends at most so many CPU seconds, and one run more."""
    until = time.process_time() + seconds
    texts = {failed.story: str(failed)}

    def attempt(story: Story) -> Failure | None:
        try:
            world_of(story).run()
        except Failed as again:
            texts[story] = str(again)
            return again.failure
        return None

    small = shrink(failed.story, failed.failure, attempt, lambda: time.process_time() < until)
    acts = sum(name == "people" for name, _ in small.failure.happened)
    return (
        f"made small in {small.tries} runs: {small.story.minutes:g} minutes of {failed.story.minutes:g}, "
        f"{len(small.failure.happened) - acts} faults of {_faults(failed)}, {acts} acts of people of "
        f"{len(failed.failure.happened) - _faults(failed)}; {commit()}\n{texts[small.story]}"
    )


def _faults(failed: Failed) -> int:
    return sum(name != "people" for name, _ in failed.failure.happened)
