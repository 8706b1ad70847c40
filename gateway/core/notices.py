"""What becomes of notices once a rung has made them: tried by their road, settled, tried again, given up.

A road off the platform takes what `View.notices_queued` gives it, tries each, and says what came of it with `settled`. Between
the try and the settling the process may die: then the notice is tried again under the same name (its id), by which the other
side tells that it is the same. A notice that was withdrawn meanwhile is not tried: the road looks again just before each try.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gateway.core.broadcast import Notice
from gateway.core.effects import Outcome, SettleNotice
from gateway.core.view import View
from gateway.wire import NoticeState

FIRST_PAUSE: Final = 5_000  # ms after the first try that failed; doubled after each
LONGEST_PAUSE: Final = 5 * 60_000  # ms
TRIES: Final = 40  # some three hours
DETAIL: Final = 80  # characters


class Tried(IntEnum):
    """What came of a try."""

    SENT = 1
    LATER = 2  # the road is down, or asks for patience
    REFUSED = 3  # it will never take this one


@dataclass(frozen=True, slots=True)
class Result:
    """`detail` is a word for officers: what the road said, never an address and never what was sent."""

    tried: Tried
    detail: str = ""


def live(view: View, notice: bytes, now: int) -> Notice | None:
    """The notice, if it is still to be sent now: not withdrawn, its alert neither ended nor expired."""
    found = view.notice(notice)
    if found is None or found.state is not NoticeState.QUEUED:
        return None
    row = view.alert(found.root)
    return found if row is not None and row.open and now <= row.not_after else None


def settled(view: View, notice: bytes, result: Result, now: int) -> Outcome[NoticeState | None]:
    """Remember what came of a try; the answer is the notice's state after it."""
    found = view.notice(notice)
    if found is None:
        return Outcome(None)
    state, due = _next(found, result, now)
    effect = SettleNotice(notice, state, due, now, result.detail[:DETAIL])
    return Outcome(state, (effect,))


def _next(notice: Notice, result: Result, now: int) -> tuple[NoticeState, int]:
    if result.tried is Tried.SENT:
        return NoticeState.SENT, 0
    if result.tried is Tried.REFUSED or notice.attempts + 1 >= TRIES:
        return NoticeState.FAILED, 0
    return NoticeState.QUEUED, now + min(FIRST_PAUSE << min(notice.attempts, 16), LONGEST_PAUSE)
