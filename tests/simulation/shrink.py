"""A failing story made small: fewer minutes, plain settings, fewer kinds of faults, then fewer single happenings.

    small = shrink(story, failure, attempt, left)

`attempt(story)` runs one and gives its `Failure`, or None where it passes; what fails in another way counts as passing, so that the
small story is of the same bug. `left()` says whether there is time for one more; when there is none, what is small by then is the
answer. Each fault and each thing that people do draws from a generator of its own, so most of what is left out leaves the rest alone;
what hangs on the exact millisecond may need its surroundings, and then stays larger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tests.simulation.story import Failure, Happening, Story

T = TypeVar("T")

SHORTER: Final = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass
class Small:
    """The smallest story so far that fails, how it fails, and how many were tried."""

    story: Story
    failure: Failure
    tries: int = 0


class Shrinking:
    def __init__(
        self,
        story: Story,
        failure: Failure,
        attempt: Callable[[Story], Failure | None],
        left: Callable[[], bool],
    ) -> None:
        self.small = Small(story, failure)
        self._attempt = attempt
        self._left = left

    def shrink(self) -> Small:
        self._minutes()
        self._plain()
        self._kinds()
        self._happenings()
        self._minutes()
        return self.small

    def fails(self, story: Story) -> bool:
        """Whether it fails in the same way; then it is the smallest."""
        if story == self.small.story or not self._left():
            return False
        self.small.tries += 1
        failure = self._attempt(story)
        if failure is None or failure.kind != self.small.failure.kind:
            return False
        self.small.story, self.small.failure = story, failure
        return True

    def _minutes(self) -> None:
        """To where it failed, or healing earlier."""
        story, failure = self.small.story, self.small.failure
        if failure.at < story.minutes:
            self.fails(replace(story, minutes=_rounded(failure.at + 0.01)))
        while any(
            self.fails(replace(self.small.story, minutes=_rounded(self.small.story.minutes * f))) for f in SHORTER
        ):
            pass

    def _plain(self) -> None:
        if self.small.story.pace:
            self.fails(replace(self.small.story, pace=0))
        if not self.small.story.keyed:
            self.fails(replace(self.small.story, keyed=True))
        fewer(self.small.story.knobs, lambda knobs: self.fails(replace(self.small.story, knobs=tuple(knobs))))

    def _kinds(self) -> None:
        fewer(self.small.story.kinds, lambda kinds: self.fails(replace(self.small.story, kinds=tuple(kinds))))

    def _happenings(self) -> None:
        def still(happened: Sequence[Happening]) -> bool:
            return self.fails(replace(self.small.story, only=frozenset(happened)))

        fewer(self.small.failure.happened, still)


def fewer(what: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Zeller's ddmin: as few of them as still fail, each half, quarter, … left out in turn. All of them do fail."""
    if not what or fails(()):
        return ()
    parts = 2
    while len(what) > 1:
        size = -(-len(what) // parts)
        for begin in range(0, len(what), size):
            rest = [*what[:begin], *what[begin + size :]]
            if fails(rest):
                what, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(what), parts * 2)
    return what


def _rounded(minutes: float) -> float:
    return max(0.05, round(minutes, 2))


def shrink(
    story: Story, failure: Failure, attempt: Callable[[Story], Failure | None], left: Callable[[], bool]
) -> Small:
    """The smallest that could be found."""
    return Shrinking(story, failure, attempt, left).shrink()
