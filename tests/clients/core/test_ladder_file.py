"""A ladder's file, as an officer writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.errors import Unknown
from clients.core.ladder_file import FILE_LIMIT, LadderFileRefused, read
from keys.ladder import Ladder, Rung, Stop

PEOPLE = {"Dara": b"D" * 16, "Lena": b"L" * 16}
WHOLE = """
stop = "all"
[[rung]]
after = "2m"
road = "app"
[[rung]]
after = "1h"
road = "sms"
people = ["Lena", "Dara", "Lena"]
[fallback]
after = "30s"
road = "mail"
people = ["Dara"]
"""


def person(name: str) -> bytes:
    if name not in PEOPLE:
        raise Unknown(f"nobody is called {name}")
    return PEOPLE[name]


def test_a_file_is_a_ladder() -> None:
    assert read(WHOLE.encode(), person) == Ladder(
        [Rung(120, "app", []), Rung(3600, "sms", [PEOPLE["Dara"], PEOPLE["Lena"]])],
        Stop.ALL,
        0,
        Rung(30, "mail", [PEOPLE["Dara"]]),
    )
    assert read(b'stop = 3\n[[rung]]\nafter = "10s"', person) == Ladder([Rung(10, "app", [])], Stop.COUNT, 3, None)
    assert read(b'stop = "any"\n[[rung]]\nafter = "24h"', person).stop is Stop.ANY


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param("stop = ", "not TOML", id="not TOML"),
        pytest.param(WHOLE.replace('"all"', '"most"'), "stop must be", id="a stop rule unknown"),
        pytest.param(WHOLE.replace('"all"', "0"), "stop must be", id="no answers"),
        pytest.param(WHOLE.replace('"all"', "true"), "stop must be", id="a truth"),
        pytest.param(WHOLE.replace('stop = "all"', ""), "stop must be", id="no stop rule"),
        pytest.param('stop = "all"', "no ladder", id="no rung"),
        pytest.param(WHOLE.replace('"2m"', '"2"'), "rung 1: after must be", id="no unit"),
        pytest.param(WHOLE.replace('"2m"', '"9s"'), "rung 1: after must be", id="too soon"),
        pytest.param(WHOLE.replace('"1h"', '"25h"'), "rung 2: after must be", id="too late"),
        pytest.param(WHOLE.replace('"2m"', "120"), "rung 1: after is no str", id="a bare number"),
        pytest.param(WHOLE.replace('"sms"', '"SMS 1"'), "no ladder", id="a road that is none"),
        pytest.param(WHOLE.replace("road =", "rode ="), "unknown rode", id="a slip of the pen"),
        pytest.param("wake = 1\n" + WHOLE, "unknown wake", id="a key unknown"),
        pytest.param(WHOLE.replace('["Dara"]', '"Dara"'), "fallback: people is no list", id="people as a text"),
        pytest.param(WHOLE.replace('["Dara"]', "[1]"), "people are names", id="people as numbers"),
        pytest.param(
            WHOLE.replace('["Dara"]', "[]"), "no ladder: a fallback names its people", id="a fallback of nobody"
        ),
        pytest.param("rung = 1\n" + 'stop = "all"', "rung is no list", id="a rung that is none"),
        pytest.param('rung = [1]\nstop = "all"', "rung 1 is not a table", id="a rung of one number"),
        pytest.param("#" * (FILE_LIMIT + 1), "at most", id="too long"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_says_where(source: str, why: str) -> None:
    with pytest.raises(LadderFileRefused, match=why):
        read(source.encode(), person)


def test_a_name_that_nobody_bears_is_told() -> None:
    with pytest.raises(Unknown, match="nobody is called Emil"):
        read(WHOLE.replace("Lena", "Emil").encode(), person)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_ladder_or_refused(data: bytes) -> None:
    with pytest.raises(LadderFileRefused):
        read(data, person)
