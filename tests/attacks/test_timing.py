"""Attack 50: who is refused learns nothing from how long it took, since the same steps are taken either way.

Time itself is measured by hand (`timing`). Here the calls are written down, of Python's functions and of C's, as the interpreter makes
them: what is asked about something that is there and what is asked about nothing have to make the same ones, in the same order.
"""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

import pytest

from gateway.core.errors import Refused
from tests.attacks.probes import NAMES, Pair, Probe, core_pairs, core_world


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    return core_pairs(core_world())


def calls(probe: Probe) -> list[str]:
    """What is called until it is refused."""
    made: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            made.append(frame.f_code.co_name)
        elif event == "c_call":
            made.append(argument.__name__)

    for _ in range(2):  # the second time: what is kept once it was read is kept
        ready = probe()
        made.clear()
        gc.disable()  # which calls what it likes, when it likes
        sys.setprofile(note)
        try:
            ready()
        except Refused:
            continue
        finally:
            sys.setprofile(None)
            gc.enable()
        raise AssertionError("it was not refused")
    return made


def said(probe: Probe) -> tuple[int, str, int]:
    try:
        probe()()
    except Refused as refused:
        return refused.refusal, refused.detail, refused.retry_after
    raise AssertionError("it was not refused")


@pytest.mark.parametrize("name", [pytest.param(name, id=f"attack-49 {name}") for name in NAMES])
def test_a_refusal_says_the_same_whether_it_is_there_or_not(pairs: dict[str, Pair], name: str) -> None:
    """However often it is asked: 0 bits. `timing` asks 10^5 times."""
    assert len({said(probe) for side in pairs[name] for probe in side}) == 1


@pytest.mark.parametrize("name", [pytest.param(name, id=f"attack-50 {name}") for name in NAMES])
def test_a_refusal_takes_the_same_steps_whether_it_is_there_or_not(pairs: dict[str, Pair], name: str) -> None:
    there, none = ({tuple(calls(probe)) for probe in side} for side in pairs[name])
    assert len(there) == len(none) == 1
    assert there == none
    (steps,) = there
    assert len(steps) > 5, "it was asked"
