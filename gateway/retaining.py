"""What of retention runs: now and then, and at the start, what is due is destroyed by rule, a part at a time."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gateway.core import retention
from gateway.core.append import Gateway
from gateway.store.base import Damaged, DiskFull, Store
from keys.identity import Random

_log = logging.getLogger(__name__)
PAUSE: Final = 60.0  # s between two looks
BREATH: Final = 0.05  # s between two parts, so that nobody waits behind a month's messages


class Retaining:
    """A gateway's retention. `destroyed` is called after each part: what is kept in memory of those bodies goes too."""

    def __init__(
        self,
        store: Store,
        gateway: Callable[[], Gateway | None],
        clock: Callable[[], int],
        random: Random,
        destroyed: Callable[[], None],
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._random = random
        self._destroyed = destroyed

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            try:
                await self.sweep()
            except DiskFull:
                _log.error("the disk is full: what is due to be destroyed waits")
            except Damaged as error:
                _log.error("what is due to be destroyed waits: %s", error)
            await asyncio.sleep(PAUSE)

    async def sweep(self) -> int:
        """Destroy all that is due; gives in how many parts."""
        parts = 0
        while (gateway := self._gateway()) is not None and self._due(gateway):
            now = self._clock()
            if not await self._store.decide(lambda view, g=gateway, n=now: retention.sweep(view, g, n, self._random)):  # type: ignore[misc]
                break
            self._destroyed()
            parts += 1
            await asyncio.sleep(BREATH)
        return parts

    def _due(self, gateway: Gateway) -> bool:
        """Whether anything is: looked at beside the writer, which has better to do."""
        with self._store.snapshot() as view:
            return retention.is_due(view, gateway, self._clock())
