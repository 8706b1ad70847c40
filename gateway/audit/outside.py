"""What stands outside sees: a checkpoint on a fixed beat, at a padded size, so that the log's growth tells no tempo.

A witness sees no entry; but a size that grows by nine at three in the morning tells it that a detail is busy. So witnesses, and
whoever reads with a witness's token, are shown a checkpoint every `beat` seconds and never between, and before each one the log
is filled up with FILLER entries to the next multiple of `step`, by one at least. While fewer than `step` entries come in a beat,
every beat looks like every other.

Where nobody stands outside there is nothing to hide; then a log in which nothing was said for a beat gets one FILLER, so that
whoever audits it sees that it lives.

Officers, auditors and the mission's devices see the log's newest checkpoint. Devices learn the index of each entry that they are
given in any case.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.audit.sequencer import Sequencer
from gateway.core import acts
from gateway.core.append import Gateway
from gateway.store.base import Store
from keys.identity import Random

LOOK: Final = 1.0  # s between two looks at who stands outside


@dataclass(frozen=True, slots=True)
class Pace:
    """`beat` in seconds, `step` in entries."""

    beat: float = 60.0
    step: int = 8


class Outside:
    """The slower beat. `gateway` is None before the first charter; `watched` says whether anybody stands outside."""

    def __init__(
        self,
        store: Store,
        sequencer: Sequencer,
        pace: Pace,
        gateway: Callable[[], Gateway | None],
        watched: Callable[[], bool],
        now: Callable[[], int],
        random: Random,
        look: float = LOOK,
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._pace = pace
        self._gateway = gateway
        self._watched = watched
        self._now = now
        self._random = random
        self._look = look
        sequencer.pad = self.pad

    async def run(self) -> None:
        """Beat for ever; the first time at once, and when somebody comes to stand outside. However long a step takes, the beat
        is kept."""
        loop = asyncio.get_running_loop()
        due, watched = loop.time(), False
        while True:
            watched, before = self._watched(), watched
            if watched and not before:
                due = loop.time()
            if loop.time() >= due:
                self._sequencer.mark()
                due = max(due + self._pace.beat, loop.time())
            await asyncio.sleep(max(0.0, min(due - loop.time(), self._look)))

    async def pad(self) -> int | None:
        """Fill the log up; gives the size to be shown, or None where this beat shows nothing.

        Raises:
            DiskFull, Broken: as any decision.
        """
        gateway = self._gateway()
        if gateway is None:
            return None
        step = self._pace.step if self._watched() else 1
        if step == 1 and self._now() - self._sequencer.signed_at < self._pace.beat * 1000:
            return None
        return await self._store.decide(lambda view: acts.pad(view, gateway, step, self._now(), self._random))
