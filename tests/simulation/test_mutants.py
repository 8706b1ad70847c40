"""Every planted bug still has its place: `make sim-mutants` looks for them by hand."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import ROOT
from tests.simulation.planted import MUTANTS, NAMES, Mutant, applied


@pytest.mark.parametrize("mutant", [pytest.param(m, id=m.name.replace(" ", "-")) for m in MUTANTS])
def test_it_still_applies(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = applied(mutant, text)
    compile(changed, mutant.file, "exec")
    assert changed != text


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) == len(MUTANTS) >= 25
