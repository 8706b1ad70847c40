"""What one turn of the event loop writes to a connection goes out in one system call.

A system call costs more than all else that a delivery does. So frames are put together until the turn ends; connections are then
written one after another, a few milliseconds at a time: five thousand of them are no reason to keep a new one waiting.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

SLICE: Final = 0.004  # s that writing holds the loop at once
LOOK: Final = 16  # connections between two looks at the clock


class Sender(Protocol):
    """A connection with something to write."""

    def flush(self) -> None: ...


class Outbox:
    """Connections with something to write, in the order in which they came."""

    def __init__(self) -> None:
        self._due: deque[Sender] = deque()

    def add(self, sender: Sender) -> None:
        """It has something to write, and did not before."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._write)
        self._due.append(sender)

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + SLICE
        while self._due:
            for _ in range(min(LOOK, len(self._due))):
                self._due.popleft().flush()
            if loop.time() >= ends and self._due:
                loop.call_soon(self._write)
                return
