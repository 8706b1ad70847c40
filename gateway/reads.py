"""Auditors' reads are entries too: before an auditor is given anything of the log but its head, an AUDITOR_READ says so.

One covers a while, so that reading a month's log does not fill it. It is durable before the first byte is given; where it can't
be written, nothing is.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.core import acts
from gateway.core.append import Gateway
from gateway.store.base import Store
from keys.identity import Random

COVERED: Final = 600_000  # ms of reading that one entry covers


class Reads:
    """Who reads, and until when that is said."""

    def __init__(
        self,
        store: Store,
        gateway: Callable[[], Gateway | None],
        clock: Callable[[], int],
        random: Random,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._random = random
        self._until: dict[str, int] = {}
        self._one = asyncio.Lock()

    async def note(self, name: str) -> None:
        """Say that this auditor reads, unless that is said. Raises DiskFull, Broken: then nothing may be given."""
        async with self._one:
            now, gateway = self._clock(), self._gateway()
            if now < self._until.get(name, 0) or gateway is None:
                return
            until = now + COVERED
            await self._store.decide(lambda view: acts.auditor_read(view, gateway, name, until, now, self._random))
            self._until[name] = until
