"""How a verification reads: a page for a person, or JSON Lines."""

import json
from base64 import b64encode
from collections.abc import Iterator
from shutil import get_terminal_size
from textwrap import wrap
from typing import Final

from clients.auditor.verify import Claim, Outcome, Verdict, Verified
from clients.core.text import visible

SCHEMA: Final = 1
WIDEST: Final = 100  # columns; a narrower terminal has fewer
NARROWEST: Final = 60

SAYS: Final = {
    Verdict.WHOLE: "The log is whole: nothing that the head kept outside covers was changed, moved or taken away.",
    Verdict.CONSISTENT: "The log is sound in itself. Whether its end was cut off only a head kept outside tells: --head FILE.",
    Verdict.UNCHECKED: "Nothing speaks against the log, but not everything could be checked: see UNCHECKED above.",
    Verdict.FAIL: "The log is not what it claims to be: see FAIL above. Keep the files as they are; they are evidence.",
}


def json_lines(verified: Verified) -> Iterator[str]:
    """One object a claim, then the verdict."""
    for claim in verified.claims:
        yield json.dumps(
            {
                "schema": SCHEMA,
                "claim": claim.claim,
                "outcome": claim.outcome,
                "index": claim.index,
                "tile": claim.tile,
                "rule": claim.rule,
                "cause": claim.cause,
            }
        )
    checkpoint = verified.checkpoint
    yield json.dumps(
        {
            "schema": SCHEMA,
            "verdict": verified.verdict,
            "whole": verified.whole,
            "size": None if checkpoint is None else checkpoint.size,
            "root": None if checkpoint is None else b64encode(checkpoint.root).decode(),
        }
    )


def page(verified: Verified, source: str) -> Iterator[str]:
    """The same for somebody who has never seen one."""
    checkpoint = verified.checkpoint
    width = columns()
    yield from wrap(f"Log in {visible(source)}", width)
    if checkpoint is not None:
        head = f"{visible(checkpoint.origin)}, {checkpoint.size} entries, root {b64encode(checkpoint.root).decode()}"
        yield from wrap(head, width)
    yield ""
    for claim in verified.claims:
        yield from _lines(claim, width)
    yield ""
    yield from wrap(f"{verified.verdict}  {SAYS[verified.verdict]}", width)


def columns() -> int:
    """How wide lines may be here."""
    return max(NARROWEST, min(WIDEST, get_terminal_size((80, 24)).columns))


def _lines(claim: Claim, width: int) -> Iterator[str]:
    head = f"{claim.outcome:<9}  {claim.claim:<13}  "
    text = visible(claim.rule)
    if claim.outcome is Outcome.FAIL and claim.cause is not None:
        text = f"{claim.cause}: {text}"
    if place := _place(claim):
        text = f"{place}: {text}"
    first, *rest = wrap(text, width - len(head)) or [""]
    yield head + first
    yield from (" " * len(head) + line for line in rest)


def _place(claim: Claim) -> str:
    if claim.index is None:
        return visible(claim.tile or "")
    return f"entry {claim.index}" + (f" in {visible(claim.tile)}" if claim.tile else "")
