"""`outrider alert roads`: what an officer reads of an alert's notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from msgspec.structs import replace

from clients.officer import roads
from gateway import wire
from gateway.wire import NoticeState
from keys.ladder import Why

TIME = 1_790_000_000_000
LENA, RUTH, JO = b"L" * 16, b"R" * 16, b"J" * 16
STANDS = wire.Escalation(
    1,
    asked=4,
    answered=1,
    ended=0,
    stopped=False,
    next_rung=1,
    next_time=TIME + 60_000,
    fired=[wire.Fired(1, 0, "mail", int(Why.DUE), TIME, 9, 2, 1)],
    notices=[],
)
NOTICES = [
    wire.Woken(1, 1, LENA, "mail", NoticeState.SENT, TIME + 1_000, 1, ""),
    wire.Woken(
        2, 1, RUTH, "mail", NoticeState.QUEUED, TIME + 2_000, 3, "the mail server can't be reached: TimeoutError"
    ),
    wire.Woken(3, 1, JO, "mail", NoticeState.FAILED, TIME, 0, "no address"),
]


@dataclass
class Person:
    person: bytes
    name: str
    call_sign: str = ""


class Directory:
    """Who is known here: all that the screen asks of a station."""

    def directory(self) -> list[Person]:
        return [Person(LENA, "Lena"), Person(RUTH, "Ruth\x1b[2J")]


def lines(stands: wire.Escalation = STANDS, notices: list[wire.Woken] = NOTICES) -> list[str]:
    return list(roads._lines(cast(Any, Directory()), stands, notices))


def test_the_screen() -> None:
    assert lines() == [
        "1 of 4 have answered; rung 2 at 14:14:20",
        "14:13:20 rung 1 (due), by mail: 2 woken",
        "  4a4a4a4a                 FAILED 14:13:20: no address",
        "  Ruth<U+001B>[2J          waits after 3 tries 14:13:22: the mail server can't be reached: TimeoutError",
        "  Lena                     sent 14:13:21",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"next_time": 0}, "no rung is to come", id="nothing left"),
        pytest.param({"stopped": True}, "enough have: its ladder has stopped", id="stopped"),
        pytest.param({"ended": 3}, "it has ended (cancelled) and wakes nobody", id="cancelled"),
        pytest.param({"ended": 99}, "it has ended (ended) and wakes nobody", id="an ending that is not known here"),
    ],
)
def test_how_it_stands(changes: dict[str, Any], says: str) -> None:
    assert lines(replace(STANDS, **changes))[0] == f"1 of 4 have answered; {says}"


def test_before_the_first_rung() -> None:
    assert lines(replace(STANDS, fired=[]), [])[-1] == "no rung was fired yet"


def test_as_json() -> None:
    shown = roads._object(b"r" * 32, STANDS, NOTICES)
    assert shown["next_rung"] == 2
    assert [n["state"] for n in cast(list[dict[str, Any]], shown["notices"])] == ["sent", "queued", "failed"]
