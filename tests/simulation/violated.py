"""How an invariant says that it does not hold."""

from __future__ import annotations


class Violated(AssertionError):
    """An invariant does not hold."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Violated(what)
