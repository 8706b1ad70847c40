"""The machine that looks only where it must, beside one that looks everywhere, under all that the simulation does to it."""

from __future__ import annotations

import pytest

from clients.core import records
from clients.core.watch import Place, Watch
from tests.simulation.twins import Twins
from tests.simulation.world import Failed

KINDS = ["cut", "kill", "death", "clock", "narrow", "mix", "double", "loss"]


def test_a_machine_that_rests_says_what_one_that_looks_everywhere_says() -> None:
    Twins(11, 2, KINDS).run()


class Deaf(Watch):
    """Does not hear that something is put into the outbox."""

    def _tell(self, place: Place) -> None:
        if place[0] != records.OUTBOX.name:
            super()._tell(place)


class WithDeaf(Twins):
    watch = Deaf


def test_a_step_that_is_not_woken_is_found() -> None:
    with pytest.raises(Failed, match="a step rested that had something to do"):
        WithDeaf(11, 2, []).run()
