"""The virtual clock: one heap of (time, n, action), one seed, and a hash over everything that happens."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

from tests.keys.mission import NOW
from tests.simulation.story import Happening

RECENT = 60


class Schedule:
    """What happens next. `now` in ms since the epoch; nothing but `run` moves it.

    Every part draws from a generator of its own that is made of the seed and the part's name, and so does every happening (`turn`):
    what is left out while a failure is made smaller leaves the draws of the others as they were. `only`: what happens; None: all.
    """

    def __init__(self, seed: int, only: Collection[Happening] | None = None) -> None:
        self.seed = seed
        self.only = only
        self.happened: list[Happening] = []
        self._turns: dict[str, int] = {}
        self.now = NOW
        self.steps = 0
        self.recent: deque[str] = deque(maxlen=RECENT)
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._trace = blake2b(digest_size=16)

    def random(self, name: str) -> random.Random:
        """A generator of this name; the same at every call with the same seed."""
        return random.Random(f"{self.seed} {name}")

    def turn(self, name: str) -> random.Random | None:
        """The next happening of this name: what it draws from, or None where it is left out of the story."""
        n = self._turns[name] = self._turns.get(name, 0) + 1
        if self.only is not None and (name, n) not in self.only:
            return None
        self.happened.append((name, n))
        return self.random(f"{name} {n}")

    def after(self, ms: int, action: Callable[..., None], *args: Any) -> None:
        """Do this `ms` from now; what is due at the same time goes in the order in which it was asked for."""
        self._count += 1
        heappush(self._heap, (self.now + max(0, ms), self._count, action, args))

    def note(self, text: str) -> None:
        """Something has happened: it goes into the trace, and the newest of them are printed when a run fails."""
        line = f"{self.now - NOW:>8} {text}"
        self._trace.update(line.encode())
        self.recent.append(line)

    def run(self, until: int, watch: Callable[[], None]) -> None:
        """Do all that is due up to `until`; `watch` after each."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action, args = heappop(heap)
            self.steps += 1
            action(*args)
            watch()
        self.now = until

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def __len__(self) -> int:
        return len(self._heap)
