"""`peer.py` against itself: the scenarios of the interop tests, played by two processes of ours without node."""

import sys
from collections.abc import Iterator

import pytest

from tests.interop.inside import theirs_seals_handshakes
from tests.interop.process import HERE, Process, Refused
from tests.interop.scenarios import PAIRS, Scenario, walk
from tests.interop.world import World

OURS = (sys.executable, "-I", str(HERE / "peer.py"))

ONLY_PEERS = {theirs_seals_handshakes}
"""We never seal handshakes: the gateway has to read them."""


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Process, Process]]:
    with Process(OURS) as one, Process(OURS) as other:
        yield one, other


PLAYED = [scenario for scenario in PAIRS if scenario not in ONLY_PEERS]


@pytest.mark.parametrize("scenario", [pytest.param(one, id=str(one.__doc__)) for one in PLAYED])
def test_scenario(two: tuple[Process, Process], scenario: Scenario) -> None:
    scenario(1, *two)


@pytest.mark.parametrize("suite", [2, 3, 5, 7, 0xF001, 0xF002])
def test_each_suite(two: tuple[Process, Process], suite: int) -> None:
    walk(suite, *two, seed=suite, steps=6)


@pytest.mark.parametrize(
    ("op", "values", "says"),
    [
        pytest.param("_client", {}, "no such request", id="not a request"),
        pytest.param("commit", {"client": "nobody"}, "a bad request", id="an unknown client"),
        pytest.param("client", {"client": "x", "suite": "1"}, "a bad request", id="a suite that is a string"),
        pytest.param("client", {"client": "x", "suite": 4, "identity": b""}, "cipher suite", id="a suite we don't do"),
    ],
)
def test_a_bad_request_is_answered(two: tuple[Process, Process], op: str, values: dict[str, object], says: str) -> None:
    with pytest.raises(Exception, match=says):
        two[0].ask(op, **values)


def test_a_refused_message_changes_nothing(two: tuple[Process, Process]) -> None:
    world = World(1)
    one = world.found(two[0])
    (other,) = world.add(one, two[1])
    message = world.say(one, b"once")
    world.hear(one, message, b"once")
    with pytest.raises(Refused, match="Duplicate"):
        other.ask("process", group=world.group, message=message)
    world.talk()
