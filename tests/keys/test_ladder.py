"""The ladder: one encoding, what is refused when it is saved, and how it reads."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import ladder
from keys.canonical import encode
from keys.errors import LadderRefused, Malformed
from keys.ladder import APP, RESEND, Escalated, Jump, Ladder, Rung, Stop, Why, check, duration, read_ladder, words
from tests.keys.goldens import check_golden
from tests.keys.shapes import takes_one_encoding

R = bytes(range(32))
LENA, RUTH = b"L" * 16, b"R" * 16
NOW = 1_790_000_000_000
HOUR = 3_600_000
WHOLE = Ladder(
    [Rung(120, APP, []), Rung(300, "sms", [LENA]), Rung(3600, "mail", [LENA, RUTH])],
    Stop.COUNT,
    3,
    Rung(600, APP, [RUTH]),
)
PLAIN = Ladder([Rung(10, APP, [])], Stop.ALL, 0, None)
Read = Callable[[bytes], Any]
RECORDS = [
    pytest.param(WHOLE, read_ladder, id="Ladder"),
    pytest.param(PLAIN, read_ladder, id="Ladder plain"),
    pytest.param(Escalated(R, 2, 1, "sms", Why.FALLBACK, [LENA], 1, 0), ladder.read_escalated, id="Escalated"),
    pytest.param(Jump(R, 16, R, NOW, []), ladder.read_jump, id="Jump"),
    pytest.param(Jump(R, RESEND, R, NOW, [RUTH]), ladder.read_jump, id="Jump by no rung"),
]
ROADS = st.from_regex(r"\A[a-z][a-z0-9-]{0,31}\Z")
PEOPLE = st.lists(st.binary(min_size=16, max_size=16), max_size=4, unique=True).map(sorted)
RUNGS = st.builds(Rung, st.integers(10, 86_400), ROADS, PEOPLE)
LADDERS = st.builds(
    lambda rungs, stop, count, fallback: Ladder(rungs, stop, count if stop is Stop.COUNT else 0, fallback),
    st.lists(RUNGS, min_size=1, max_size=4),
    st.sampled_from(Stop),
    st.integers(1, 10_000),
    st.none() | RUNGS.filter(lambda rung: bool(rung.people)),
)


@pytest.mark.parametrize(("value", "read"), RECORDS)
def test_one_encoding(value: object, read: Read) -> None:
    takes_one_encoding(read, value)


@pytest.mark.parametrize(("value", "read"), RECORDS)
def test_golden(value: object, read: Read, request: pytest.FixtureRequest) -> None:
    check_golden("ladder.json", request.node.callspec.id, encode(value))


@pytest.mark.parametrize(
    "jump",
    [
        pytest.param(Jump(R, 0, R, NOW, [RUTH]), id="people for a rung"),
        pytest.param(Jump(R, RESEND, R, NOW, [RUTH, RUTH]), id="somebody twice"),
        pytest.param(Jump(R, RESEND + 1, R, NOW, []), id="no such rung"),
    ],
)
def test_jumps_that_are_none(jump: Jump) -> None:
    with pytest.raises(Malformed):
        ladder.read_jump(encode(jump))


@given(LADDERS)
def test_every_ladder_comes_back(value: Ladder) -> None:
    assert read_ladder(encode(value)) == value


@pytest.mark.parametrize(("value", "read"), RECORDS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(value: object, read: Read, data: bytes) -> None:
    try:
        found = read(data)
    except Malformed:
        return
    assert encode(found) == data


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Ladder([], Stop.ALL, 0, None), id="no rung"),
        pytest.param(Ladder([Rung(60, APP, [])] * 17, Stop.ALL, 0, None), id="seventeen rungs"),
        pytest.param(Ladder([Rung(9, APP, [])], Stop.ALL, 0, None), id="after nine seconds"),
        pytest.param(Ladder([Rung(86_401, APP, [])], Stop.ALL, 0, None), id="after more than a day"),
        pytest.param(Ladder([Rung(60, "", [])], Stop.ALL, 0, None), id="a road without a name"),
        pytest.param(Ladder([Rung(60, "app\n", [])], Stop.ALL, 0, None), id="a road that ends a line"),
        pytest.param(Ladder([Rung(60, "Mail", [])], Stop.ALL, 0, None), id="a road in capitals"),
        pytest.param(Ladder([Rung(60, "m" * 33, [])], Stop.ALL, 0, None), id="a road of 33 letters"),
        pytest.param(Ladder([Rung(60, APP, [RUTH, LENA])], Stop.ALL, 0, None), id="people that fall"),
        pytest.param(Ladder([Rung(60, APP, [LENA, LENA])], Stop.ALL, 0, None), id="the same person twice"),
        pytest.param(Ladder([Rung(60, APP, [b"L" * 15])], Stop.ALL, 0, None), id="a person of fifteen bytes"),
        pytest.param(
            Ladder([Rung(60, APP, [n.to_bytes(16) for n in range(65)])], Stop.ALL, 0, None), id="65 people in a rung"
        ),
        pytest.param(Ladder([Rung(60, APP, [])], Stop.COUNT, 0, None), id="a count of nobody"),
        pytest.param(Ladder([Rung(60, APP, [])], Stop.ANY, 1, None), id="a count that nobody asked for"),
        pytest.param(Ladder([Rung(60, APP, [])], Stop.ALL, 0, Rung(60, APP, [])), id="a fallback on nobody"),
        pytest.param(
            Ladder([Rung(60, APP, [])], Stop.ALL, 0, Rung(60, APP, [RUTH, LENA])), id="a fallback on people that fall"
        ),
        pytest.param([[[60, APP, []]], 4, 0, None], id="no such stop rule"),
    ],
)
def test_what_is_no_ladder(value: object) -> None:
    with pytest.raises(Malformed):
        read_ladder(encode(value))


def test_the_largest_is_read() -> None:
    people = [n.to_bytes(16) for n in range(64)]
    rung = Rung(86_400, "m" * 32, people)
    largest = Ladder([rung] * 16, Stop.COUNT, 10_000, rung)
    assert read_ladder(encode(largest)) == largest
    said = Escalated(R, 2**53, 16, "m" * 32, Why.FALLBACK, people, 2**53, 2**53)
    assert ladder.read_escalated(encode(said)) == said


@pytest.mark.parametrize(
    ("value", "lasts", "asked", "words"),
    [
        pytest.param(WHOLE, 2 * HOUR, 0, None, id="in time"),
        pytest.param(WHOLE, 4_620_001, 0, None, id="the fallback a moment before the end"),
        pytest.param(WHOLE, 4_620_000, 0, "the fallback comes 1 h 17 min", id="the fallback at the end"),
        pytest.param(WHOLE, HOUR, 0, "rung 3 comes 1 h 7 min", id="the third rung after the end"),
        pytest.param(WHOLE, 60_000, 0, "rung 1 comes 2 min after the alert, which ends after 1 min", id="none in time"),
        pytest.param(PLAIN, -HOUR, 0, "ends after 0 s", id="an alert that has ended"),
        pytest.param(WHOLE, 2 * HOUR, 3, None, id="as many answers as people"),
        pytest.param(WHOLE, 2 * HOUR, 2, "stops at 3 answers, and the alert is for 2", id="more answers than people"),
        pytest.param(
            Ladder([Rung(60, APP, []), Rung(60, "pager", [])], Stop.ALL, 0, None),
            HOUR,
            0,
            "rung 2 goes by 'pager'; this gateway's roads are app, mail, sms",
            id="a road that is not there",
        ),
        pytest.param(
            Ladder([Rung(60, APP, [])], Stop.ALL, 0, Rung(60, "pager", [LENA])),
            HOUR,
            0,
            "the fallback goes by 'pager'",
            id="a fallback by a road that is not there",
        ),
    ],
)
def test_refused_when_saved(value: Ladder, lasts: int, asked: int, words: str | None) -> None:
    roads = {APP, "sms", "mail"}
    if words is None:
        check(value, NOW, NOW + lasts, roads, asked)
        return
    with pytest.raises(LadderRefused) as refused:
        check(value, NOW, NOW + lasts, roads, asked)
    assert words in str(refused.value)


def test_in_words() -> None:
    told = words(WHOLE, lambda person: {LENA: "Lena", RUTH: "Ruth"}[person])
    assert told == [
        "Until it stops, those who have not answered are woken:",
        "  rung 1       2 min after the alert: everybody silent, on their devices",
        "  rung 2       5 min after the one before (7 min in all): Lena, by sms",
        "  rung 3       1 h after the one before (1 h 7 min in all): Lena, Ruth, by mail",
        "  the fallback 10 min after the one before (1 h 17 min in all): Ruth, on their devices",
        "It stops at 3 answers, and with the alert's end. An answer stops the reminders to who gave it.",
    ]


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        pytest.param(Stop.ANY, "at the first answer", id="any"),
        pytest.param(Stop.ALL, "when everybody has answered", id="all"),
    ],
)
def test_the_stop_rule_in_words(stop: Stop, says: str) -> None:
    assert says in words(Ladder([Rung(60, APP, [])], stop, 0, None), str)[-1]


@pytest.mark.parametrize(
    ("stop", "count", "answered", "asked", "met"),
    [
        pytest.param(Stop.ANY, 0, 0, 3, False, id="any: none yet"),
        pytest.param(Stop.ANY, 0, 1, 3, True, id="any: one"),
        pytest.param(Stop.ALL, 0, 2, 3, False, id="all: one is silent"),
        pytest.param(Stop.ALL, 0, 3, 3, True, id="all: all"),
        pytest.param(Stop.COUNT, 2, 1, 3, False, id="two of three: one"),
        pytest.param(Stop.COUNT, 2, 2, 3, True, id="two of three: two"),
        pytest.param(Stop.COUNT, 9, 3, 3, True, id="nine of three: nobody is silent"),
        pytest.param(Stop.ALL, 0, 0, 0, True, id="asked nobody"),
    ],
)
def test_stop_rules(stop: Stop, count: int, answered: int, asked: int, met: bool) -> None:
    assert Ladder([Rung(60, APP, [])], stop, count, None).enough(answered, asked) is met


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (10, "10 s"), (90, "1 min 30 s"), (3600, "1 h"), (86_400, "24 h"), (3661, "1 h 1 min 1 s")],
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_rungs_by_number() -> None:
    assert [WHOLE.rung(n) for n in range(5)] == [*WHOLE.rungs, WHOLE.fallback, None]
    assert PLAIN.rung(1) is None
