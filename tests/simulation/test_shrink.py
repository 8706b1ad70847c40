"""A failing story is made small: what is needed stays, and it can be told again from what is printed."""

from __future__ import annotations

import shlex

import pytest

from tests.simulation.shrink import fewer, shrink
from tests.simulation.story import Failure, Happening, Story, parse, write

LONG = tuple(sorted({(kind, n) for kind in ("cut", "kill", "people") for n in range(1, 41)}))


@pytest.mark.parametrize(
    ("needed"),
    [
        pytest.param((), id="nothing"),
        pytest.param((3,), id="one"),
        pytest.param((0, 99), id="the first and the last"),
        pytest.param((7, 8, 50, 51), id="two and two"),
    ],
)
def test_fewer_keeps_what_is_needed(needed: tuple[int, ...]) -> None:
    tried: list[int] = []

    def fails(what: object) -> bool:
        assert isinstance(what, list | tuple)
        tried.append(len(what))
        return set(needed) <= set(what)

    assert list(fewer(range(100), fails)) == list(needed)
    assert len(tried) < 80


def attempt(story: Story) -> Failure | None:
    """The run of a world with a bug: after the second kill, once somebody has acted a fifth time, within four minutes."""
    happened = tuple(h for h in LONG if story.only is None or h in story.only)
    happened = tuple((kind, n) for kind, n in happened if kind == "people" or kind in story.kinds)
    if not {("kill", 2), ("people", 5)} <= set(happened):
        return None
    if story.minutes < 4:
        return Failure("quite another thing", 1, happened)
    return Failure(f"acknowledged and lost: seq {len(happened)}", 4, happened)


STORY = Story(1, 60, ("cut", "kill", "power"), False, ("small-window", "one-a-batch"))


def test_a_story_is_made_small() -> None:
    failure = attempt(STORY)
    assert failure is not None
    small = shrink(STORY, failure, attempt, lambda: True)
    assert small.story == Story(1, 4.01, ("kill",), True, (), frozenset({("kill", 2), ("people", 5)}))
    assert small.failure.kind == failure.kind
    assert small.tries < 60


def test_it_stops_when_its_time_is_over() -> None:
    failure = attempt(STORY)
    assert failure is not None
    left = [True] * 5
    small = shrink(STORY, failure, attempt, lambda: bool(left) and left.pop())
    assert small.tries == 5
    assert attempt(small.story) is not None


@pytest.mark.parametrize(
    ("only", "text"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([("kill", 2)], "kill:2", id="one"),
        pytest.param([("kill", 2), ("cut", 1), ("cut", 2), ("cut", 3), ("cut", 7)], "cut:1-3,7 kill:2", id="spans"),
    ],
)
def test_what_happens_is_written_and_read(only: list[Happening], text: str) -> None:
    assert write(only) == text
    assert parse(text) == frozenset(only)


def test_the_command_line_has_it_all() -> None:
    story = Story(7, 2.5, ("kill", "mix"), True, ("small-window",), frozenset({("kill", 2)}), 500, 3)
    words = shlex.split(story.command())
    assert words[:3] == ["python", "-m", "tests.simulation"]
    assert dict(zip(words[3::2], words[4::2], strict=True)) == {
        "--seeds": "=7",
        "--minutes": "2.5",
        "--faults": "kill mix",
        "--knobs": "small-window",
        "--keys": "keyed",
        "--pace": "500",
        "--often": "3",
        "--only": "kill:2",
    }
