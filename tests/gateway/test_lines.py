"""What the process says on stderr: whatever others wrote stands in it as text."""

from __future__ import annotations

import io
import logging

import pytest

from gateway.lines import Lines

FORGED = "2026-11-21 20:00:00,000 INFO gateway: all is well"


def said(text: str, error: Exception | None = None) -> list[str]:
    """The lines of one record that quotes somebody."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Lines())
    logger = logging.Logger("gateway.witnesses")
    logger.addHandler(handler)
    logger.warning("witness %s: late", text, exc_info=error)
    return out.getvalue().removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("hostpol.example", "hostpol.example", id="a name"),
        pytest.param("Ľubica \u4e2d", "Ľubica \u4e2d", id="letters of any script"),
        pytest.param("\x1b[2J\x1b[31m", r"\x1b[2J\x1b[31m", id="attack-74 what a terminal obeys"),
        pytest.param(f"x\r{FORGED}", rf"x\r{FORGED}", id="attack-74 a carriage return"),
        pytest.param(f"x\u2028{FORGED}", rf"x\u2028{FORGED}", id="attack-74 a line separator"),
        pytest.param("\u202etxt.exe", r"\u202etxt.exe", id="attack-74 letters turned round"),
        pytest.param("\udcff", r"\udcff", id="attack-74 half a surrogate"),
    ],
)
def test_it_is_one_line_and_shows_the_text(text: str, shown: str) -> None:
    (line,) = said(text)
    assert line.endswith(f"WARNING gateway.witnesses: witness {shown}: late")


@pytest.mark.parametrize(
    "error", [None, ValueError(f"no\n{FORGED}")], ids=["attack-74 a text", "attack-74 an error's text"]
)
def test_no_other_line_begins_at_the_margin(error: Exception | None) -> None:
    first, *further = said(f"x\n{FORGED}", error)
    assert "WARNING gateway.witnesses" in first
    assert further
    assert all(line.startswith("    ") for line in further)
