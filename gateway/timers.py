"""The timer: wakes when a ladder is due, has the core do what is due, and sleeps again. It keeps nothing: what is due lies in the
store, so a gateway that comes up again goes on where the one before it was.

`Clock` measures the waiting: the wall clock, but never backwards (a clock that is set back would start every waiting anew) and
never standing still (after it was set back, the log's time does, until the wall has caught up). It begins where the log and
the last waiting were, so a restart does not set it back either.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from gateway.core import ladder
from gateway.core.append import Gateway
from gateway.core.rows import Stored
from gateway.core.view import View
from gateway.store.base import OURS, Damaged, DiskFull, Store, StoreError
from keys.envelope import Kind
from keys.identity import Random

LONGEST_SLEEP: Final = 5_000  # ms: so that a clock that is set ahead is seen soon
DISK_PAUSE: Final = 1.0  # s
WAKES: Final = frozenset({Kind.ALERT, Kind.SOS, Kind.CHECK_IN_PLAN, Kind.CHECK_IN, Kind.JUMP, Kind.ESCALATION})
"""Kinds after which something may be due sooner than was thought, or other notices wait."""

_log = logging.getLogger(__name__)


class Clock:
    """A clock that never runs backwards and never stands still, in ms since the epoch."""

    def __init__(self, wall: Callable[[], int], monotonic: Callable[[], float], floor: int) -> None:
        self._wall = wall
        self._monotonic = monotonic  # s
        self._last = max(wall(), floor)
        self._at = monotonic()

    def now(self) -> int:
        """As late as the wall clock says, and at least as late as the time that has passed since it was asked last."""
        elapsed = int((self._monotonic() - self._at) * 1000)
        self._last = max(self._wall(), self._last + elapsed)
        self._at += elapsed / 1000  # what is less than a millisecond counts next time, however often it is asked
        return self._last


def floor(view: View) -> int:
    """Where a clock begins at the earliest: at the log's end, and where the last waiting began."""
    return max(view.log_end().time, view.ladder_clock())


class Timers:
    """Fires what is due. `fired` is called after each rung, when its notices are durable."""

    def __init__(
        self,
        store: Store,
        gateway: Callable[[], Gateway | None],
        clock: Clock,
        random: Random,
        fired: Callable[[], None],
        fault: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._random = random
        self._fired = fired
        self._fault = fault
        self._wake = asyncio.Event()

    def committed(self, batch: Sequence[Stored]) -> None:
        """The store's watcher."""
        if any(stored.kind in WAKES for stored in batch):
            self._wake.set()

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            self._wake.clear()
            try:
                while await self.tick():
                    self._fired()
            except DiskFull:
                _log.error("the disk is full: a ladder waits")
                await asyncio.sleep(DISK_PAUSE)
                continue
            except Damaged as error:  # nobody can tell what is due; messages need not wait for that to be mended
                self._fault(error)
                await asyncio.sleep(DISK_PAUSE)
                continue
            except StoreError:
                raise
            except Exception as error:
                self._fault(error)
                await self._store.decide(lambda view: ladder.set_aside(view, self._clock.now()), urgent=OURS)
                continue
            try:
                await asyncio.wait_for(self._wake.wait(), self._pause() / 1000)
                self._fired()  # an officer may have had an alert brought again, which waits for no timer
            except TimeoutError:
                continue

    async def tick(self) -> bool:
        """Do what is due first, if anything is."""
        gateway = self._gateway()
        if gateway is None:
            return False
        with self._store.snapshot() as view:
            due = view.ladder_next()
        if due is None or due > self._clock.now():
            return False
        return await self._store.decide(
            lambda view: ladder.tick(view, gateway, self._clock.now(), self._random), urgent=OURS
        )

    def _pause(self) -> int:
        with self._store.snapshot() as view:
            due = view.ladder_next()
        return LONGEST_SLEEP if due is None else max(1, min(LONGEST_SLEEP, due - self._clock.now()))
