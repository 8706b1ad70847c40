"""The gateway dies between any two steps of an escalation: every one of them, one after the other.

An escalation is played to its end once without a crash, and what was there is noted at every step (a decision before and after its
commit, a notice before and after it left, before and after that was remembered). Then the process is dropped at each of them and
the rest is played: its memory is gone, the database is what was committed. What people then have got is the same: each rung once, each notice
once by its name, nobody left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.core.broadcast import Ending
from gateway.core.notices import Result, Tried
from gateway.wire import NoticeState
from keys.identity import PersonId
from keys.ladder import APP, Ladder, Rung, Stop
from tests.gateway.core.escalation import CHANNELS, DEPUTY, PEOPLE, ROADS, Process, Scene

A, B = b"a" * 32, b"b" * 32
FIRST = Ladder(
    [Rung(30, APP, []), Rung(60, "mail", []), Rung(60, "sms", [DEPUTY]), Rung(30, "gone", [PEOPLE[2]])],
    Stop.ALL,
    0,
    Rung(60, "sms", [PEOPLE[1], DEPUTY]),
)
SECOND = Ladder([Rung(20, "sms", [PEOPLE[1]]), Rung(150, APP, [])], Stop.COUNT, 2, None)
BEAT = 10_000  # ms
LASTS = 300_000
HAPPENS = {  # beat -> what people do
    0: ("approve", A, FIRST),
    1: ("place", A, CHANNELS[0]),
    2: ("approve", B, SECOND),
    3: ("place", B, CHANNELS[1]),
    5: ("ack", A, PEOPLE[3]),
    7: ("place", A, CHANNELS[1]),
    9: ("jump", A, 0),
    12: ("ack", B, PEOPLE[4], CHANNELS[1]),
    21: ("ack", A, PEOPLE[0]),
    26: ("end", B),
}


@dataclass(frozen=True)
class Told:
    """What has come of it: what must not depend on any crash."""

    rungs: tuple[tuple[int, ...], ...]
    entries: tuple[tuple[int, ...], ...]
    sent: frozenset[bytes]
    states: tuple[tuple[bytes, NoticeState], ...]
    ended: tuple[Ending, ...]


def act(scene: Scene, what: tuple) -> None:
    name, root, *values = what
    if name == "approve":
        scene.approve(root, values[0], LASTS)
    elif name == "end":
        scene.end([root], Ending.CANCELLED)
    else:
        assert getattr(scene, name)(root, *values) is None


def moments(process: Process) -> Iterator[str]:
    """One beat of a gateway, step by step. Abandon it anywhere: what it has in its hands is lost with it."""
    while True:
        yield "before the timer's decision is committed"
        if not process.tick():
            break
        yield "after it was committed"
    for road in (APP, *ROADS):
        yield from process.steps(road, lambda notice: _result(process, notice.person))


def _result(process: Process, person: PersonId) -> Result:
    """The roads are down for two people for a while."""
    until = {PEOPLE[0]: 300, PEOPLE[1]: 150}.get(person, 0)
    down = process.scene.passed < until
    return Result(Tried.LATER, "down") if down else Result(Tried.SENT)


@dataclass(frozen=True)
class Moment:
    """A step at which a process may die: what it was about, and what outlives it."""

    about: str
    beat: int
    image: bytes
    wall: int
    passed: float
    made: int
    sent: tuple[tuple[int, bytes], ...]


BEATS = LASTS // BEAT + 18


def played() -> tuple[Scene, list[Moment]]:
    """The whole story without a crash, and its steps."""
    scene, steps = Scene(), list[Moment]()
    process = scene.process()
    for beat in range(BEATS):
        if beat in HAPPENS:
            act(scene, HAPPENS[beat])
        for about in moments(process):
            steps.append(Moment(about, beat, scene.image, scene.wall, scene.passed, scene.made, tuple(scene.sent)))
        scene.pass_time(BEAT)
    return scene, steps


def survived(died: Moment, away: int = 0) -> Scene:
    """The rest of the story: another process begins after so many ms."""
    scene = Scene(died.wall, died.passed, died.made, list(died.sent))
    scene.load(died.image)
    scene.pass_time(away)
    process = scene.process()
    for beat in range(died.beat, BEATS):
        if beat in HAPPENS and beat > died.beat:
            act(scene, HAPPENS[beat])
        for _ in moments(process):  # its first beat begins at once
            pass
        scene.pass_time(BEAT)
    return scene


def told(scene: Scene) -> Told:
    roots = (A, B)
    return Told(
        rungs=tuple(tuple(scene.rungs(root)) for root in roots),
        entries=tuple(tuple(entry.rung for entry in scene.entries(root)) for root in roots),
        sent=frozenset(name for _, name in scene.sent),
        states=tuple(sorted((n.id, n.state) for root in roots for n in scene.notices(root))),
        ended=tuple(scene.row(root).ended for root in roots),
    )


@pytest.fixture(scope="module")
def whole() -> tuple[Scene, list[Moment]]:
    return played()


def test_the_story_has_everything_in_it(whole: tuple[Scene, list[Moment]]) -> None:
    """All rungs, a jump, the fallback out of turn, notices sent, withdrawn and without an address, both ends."""
    scene, steps = whole
    expected = told(scene)
    assert expected.rungs == ((0, 0, 1, 2, 3, 4), (0, 1))
    assert expected.entries == expected.rungs
    assert {state for _, state in expected.states} == {NoticeState.SENT, NoticeState.FAILED, NoticeState.WITHDRAWN}
    assert expected.ended == (Ending.EXPIRED, Ending.CANCELLED)
    assert len(scene.sent) == len(expected.sent)
    assert len(steps) > 150


def test_a_crash_between_any_two_steps(whole: tuple[Scene, list[Moment]]) -> None:
    expected, twice = told(whole[0]), dict[str, int]()
    for number, died in enumerate(whole[1]):
        scene = survived(died)
        assert told(scene) == expected, f"a crash at step {number}, {died.about}"
        again = len(scene.sent) - len(expected.sent)
        twice[died.about] = max(again, twice.get(died.about, 0))
    known = {about for about, again in twice.items() if again}
    assert known <= {f"{road}: tried, nobody knows" for road in (APP, *ROADS)}
    assert max(twice.values()) == 1


@pytest.mark.parametrize("away", [15_000, 45_000], ids=["15 s", "45 s"])
def test_a_crash_and_a_while_until_it_is_back(whole: tuple[Scene, list[Moment]], away: int) -> None:
    """Later, but nothing is lost: each rung is fired in its turn, and by the same roads."""
    for died in whole[1][::7]:
        scene = survived(died, away)
        for root, ways in ((A, FIRST), (B, SECOND)):
            rungs = scene.rungs(root)
            assert [e.rung for e in scene.entries(root)] == rungs, died.about
            assert scene.row(root).ended is not Ending.NONE
            assert all(firing.road == ways.rung(firing.rung).road for firing in scene.firings(root))  # type: ignore[union-attr]
            names = [n.id for n in scene.notices(root)]
            assert len(set(names)) == len(names)
        assert set(range(5)) == set(scene.rungs(A)), died.about
        assert len(scene.sent) - len({name for _, name in scene.sent}) <= 1
