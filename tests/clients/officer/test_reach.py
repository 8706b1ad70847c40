"""Journey 2, step 1: who could not be reached, and why."""

from __future__ import annotations

from typing import Any

import pytest

from clients.core.reaching import Lack
from tests.clients.officer.conftest import Post


def lacks(told: dict[str, Any]) -> dict[str, list[str]]:
    return {one["name"]: one["lacks"] for one in told["lacking"]}


def test_everybody_who_gave_a_sign_today_can_be_reached(post: Post) -> None:
    ran = post("Chen", "reach")
    lines = ran.out.splitlines()
    assert " reachable on the platform" in lines[0]
    assert lines[1] == "no road off the platform is set up at the gateway: nobody has a second one"
    for name, house in (("Ayo", "Meridian"), ("Dara", "Meridian"), ("Lena", "Meridian"), ("Emil", "Hostpol")):
        assert f"  thin: {name}, {house}: one device only" in lines
    assert max(map(len, lines)) <= 80


def test_reasons_are_named_for_each_person(post: Post) -> None:
    for _ in range(50):  # the others may have been here less than a second ago
        ran = post("Chen", "reach", "--silent", "1s", "--ending", "60d", "--json")
        told = dict(ran.object)
        if told["reachable"] == 1:  # who asks is here
            break
    assert (ran.code, told["reachable"]) == (1, 1)
    assert told["roads"] == []
    found = lacks(told)
    assert found["Lena"] == [Lack.SILENT, Lack.ENDING, Lack.ONE_DEVICE, Lack.NO_SECOND_ROAD]
    assert found["Chen"] == [Lack.ENDING, Lack.ONE_DEVICE, Lack.NO_SECOND_ROAD]
    shown = post("Chen", "reach", "--silent", "1s")
    assert "! OUT OF REACH: Lena, Meridian: not seen for" in shown.out


def test_it_is_shown_to_officers_only(post: Post) -> None:
    for who in ("Ayo", "Emil"):
        ran = post(who, "reach")
        assert (ran.code, ran.out) == (6, "")


def test_an_alert_tells_of_its_receivers(post: Post) -> None:
    ran = post("Chen", "alert", "new", "--template", "shelter", "--set", "place=Gate 2", "--to", "residence alerts")
    assert ran.code == 0, ran.err
    assert "  thin: Lena, Meridian: one device only" in ran.out
    assert "Emil" not in ran.out


@pytest.fixture
def _down(post: Post) -> Any:
    post.runner.run(post.mission.stop())
    yield
    post.runner.run(post.mission.start())


@pytest.mark.usefixtures("_down")
def test_without_the_gateway_it_says_what_this_device_knows(post: Post) -> None:
    ran = post("Chen", "reach", "--timeout", "1", "--json")
    assert ran.code == 3
    assert "gateway not reached" in ran.err
    told = dict(ran.object)
    assert told["roads"] is None
    assert all(Lack.NO_SECOND_ROAD not in one for one in lacks(told).values())
    made = post(
        "Chen",
        "alert",
        "new",
        "--template",
        "shelter",
        "--set",
        "place=G",
        "--to",
        "residence alerts",
        "--timeout",
        "1",
    )
    assert made.code == 0
    assert "who is in the channels is as this device knows it" in made.err
