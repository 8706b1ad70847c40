"""Waiting in tests: for the event that implies what is asserted next, and with patience, which is spent only where it never comes.

No test holds to a time: the machine may be slow, and any process may stand still for a second or more. What must *not* come is looked
for after something that comes later, and a test that looks too early can only miss it.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

PATIENCE: Final = 180.0  # s
_LOOK: Final = 0.02  # s between two looks


async def until(
    look: Callable[[], Any | Awaitable[Any]], what: str = "it comes about", seconds: float = PATIENCE
) -> Any:
    """Wait until `look` (a coroutine function, perhaps) gives something true, and give that; fails naming what never came."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        await asyncio.sleep(_LOOK)


def wait(look: Callable[[], Any], what: str = "it comes about", seconds: float = PATIENCE) -> Any:
    """The same where no loop runs."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(_LOOK)
    return seen
