"""The mission's word, when a check-in is due, and how an SOS wakes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from keys.canonical import encode
from keys.emergency import (
    LEGS,
    MINUTE,
    REPEAT,
    ROADS,
    ROADS_AFTER,
    Plan,
    answer,
    digest,
    due_after,
    is_answer,
    ladder,
    read_case,
)
from keys.errors import CharterRefused, Malformed
from keys.ladder import APP, read_ladder
from keys.policy import parse, render
from tests.keys.mission import Mission
from tests.keys.shapes import FOREIGN, all_refused

HERE, THERE = b"m" * 16, b"n" * 16
NONCE, SUBJECT = b"x" * 16, b"s" * 32


@cache
def kept(word: str) -> bytes:
    """What is kept of a word here."""
    return digest(word, HERE)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("HERON", id="loud"),
        pytest.param("  her on ", id="with blanks"),
        pytest.param("ｈｅｒｏｎ", id="in another width"),
    ],
)
def test_a_word_said_under_fire_is_the_same_word(said: str) -> None:
    assert digest(said, HERE) == kept("heron")


def test_a_word_is_for_one_mission() -> None:
    assert kept("heron") != digest("heron", THERE)


@pytest.mark.parametrize(
    ("word", "nonce", "subject", "right"),
    [
        pytest.param("heron", NONCE, SUBJECT, True, id="right"),
        pytest.param("sparrow", NONCE, SUBJECT, False, id="wrong"),
        pytest.param("heron", b"y" * 16, SUBJECT, False, id="another nonce"),
        pytest.param("heron", NONCE, b"t" * 32, False, id="about another SOS"),
    ],
)
def test_an_answer_is_good_once(word: str, nonce: bytes, subject: bytes, right: bool) -> None:
    given = answer(kept("heron"), NONCE, SUBJECT)
    assert len(given) == 32
    assert is_answer(given, kept(word), nonce, subject) is right


@pytest.mark.parametrize(
    ("at", "due"),
    [
        pytest.param(0, 15, id="before all"),
        pytest.param(10, 30, id="a grace before its time counts for it"),
        pytest.param(9, 15, id="before that it counts for nothing"),
        pytest.param(20, 30, id="as late as the grace lets it"),
        pytest.param(26, None, id="the last"),
    ],
)
def test_what_is_due_next(at: int, due: int | None) -> None:
    assert due_after(at * MINUTE, [15 * MINUTE, 30 * MINUTE], 300) == (None if due is None else due * MINUTE)


def test_a_plan_has_no_more_legs_than_that() -> None:
    assert len(Plan([n * 1_000_000 for n in range(1, LEGS + 1)], 5, bytes(16)).due) == LEGS


def test_an_sos_goes_by_every_road_one_after_the_other() -> None:
    made = ladder(("mail", "sms"), 60)
    assert [(r.road, r.after) for r in made.rungs] == [(APP, 10), ("mail", 60), ("sms", 10)]
    assert read_ladder(encode(made)) == made
    assert (
        read_ladder(encode(ladder(tuple(f"road{n:02}" for n in range(40))))).rungs[ROADS].road == f"road{ROADS - 1:02}"
    )


def test_a_case_is_read_strictly() -> None:
    all_refused(read_case, FOREIGN.items(), (Malformed,))


# --- the charter ---


def test_a_charter_says_how_an_sos_wakes() -> None:
    policy = Mission(1).policy
    assert b"[sos]" not in render(policy)
    assert (policy.sos_roads_seconds, policy.sos_repeat_seconds) == (ROADS_AFTER, REPEAT)
    other = replace(policy, sos_roads_seconds=30, sos_repeat_seconds=120)
    assert parse(render(other)) == other


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("roads-after-seconds = 60", id="half of it"),
        pytest.param("roads-after-seconds = 5\nrepeat-seconds = 300", id="too soon"),
        pytest.param("roads-after-seconds = 60\nrepeat-seconds = 86400", id="once a day"),
        pytest.param("roads-after-seconds = 60\nrepeat-seconds = 300\nends-after = 1", id="an end"),
    ],
)
def test_no_such_sos_table(table: str) -> None:
    text = render(Mission(1).policy).decode()
    with pytest.raises(CharterRefused):
        parse(text.replace("[[organisation]]", f"[sos]\n{table}\n\n[[organisation]]", 1).encode())
