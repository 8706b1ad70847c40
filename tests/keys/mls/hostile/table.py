"""What a row of the table of hostile messages is, and how it is judged.

A row breaks one rule of RFC 9420 in an otherwise valid message, signed and tagged anew where an insider could do that.
It holds if everybody who can see the breach refuses the message with the error of that rule, nobody's state has changed
by a bit, and the same message without the breach goes through.
"""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from keys.mls import Group, Invalid, InvalidCredential, MLSError, PublicGroup
from tests.keys.mls.people import NOW

Step = Callable[[], object]
State = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """Who judges the message with its breach, who takes it without, and what must stay as it is."""

    hostile: Sequence[Step]
    honest: Sequence[Step]
    state: State = field(default=lambda: None)


@dataclass(frozen=True)
class Row:
    """One rule: its clause, in words, a message that breaks it, and the error that names it."""

    clause: str
    """Of the RFC, which the error's text has to name; or `ours`, for a bound or a rule of this package."""
    rule: str
    case: Callable[[], Case]
    error: type[MLSError]
    text: str


ROWS: list[tuple[Row, str]] = []
"""All rows of the modules that were imported, each with the module's name."""


def table(*rows: Row | Sequence[Row]) -> pytest.MarkDecorator:
    """The rows as tests, each named by its clause and its rule."""
    flat = [one for row in rows for one in ([row] if isinstance(row, Row) else row)]
    module = sys._getframe(1).f_globals["__name__"]
    ROWS.extend((row, module) for row in flat)
    return pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.clause} {row.rule}") for row in flat])


def judge(row: Row) -> None:
    """The row holds."""
    case = row.case()
    before = case.state()
    for step in case.hostile:
        with pytest.raises(MLSError) as refused:
            step()
        said = f"{type(refused.value).__name__}: {refused.value}"
        assert type(refused.value) is row.error, said
        assert row.text in str(refused.value), said
        theirs = isinstance(refused.value, InvalidCredential) or row.clause == "ours"
        if isinstance(refused.value, Invalid) and not theirs:
            assert re.search(rf"sections? [^)]*\b{re.escape(row.clause)}\b", str(refused.value)), said
    assert case.state() == before
    assert case.hostile
    assert case.honest
    for step in case.honest:
        step()


def state_of(*groups: Group | PublicGroup) -> State:
    """Everything that these groups would save."""
    return lambda: [dict(group.parts()) for group in groups]


def heard(
    member: Group,
    public: PublicGroup | None,
    hostile: bytes,
    honest: bytes,
    *,
    proposal: bool = False,
    psks: dict[bytes, bytes] | None = None,
    now: int | None = NOW,
) -> Case:
    """A handshake message, judged by a member and, if given, by who follows the group without its secrets."""

    def take(message: bytes) -> list[Step]:
        steps: list[Step] = [lambda: member.process(message, now_seconds=now, psks=psks)]
        if public is not None:
            step = public.proposal if proposal else public.stage
            steps.append(lambda: step(message, now))
        return steps

    return Case(take(hostile), take(honest), state_of(member, *([public] if public else [])))
