"""Threads that do ahead what of a decision needs no view, where many wait for the one writer.

The writer takes the jobs from their beginning; a helper takes each handful from its end, so they meet once and not at each job. Nothing
rests on it: what was not done ahead the decision does itself.
"""

import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

ENOUGH: Final = 8  # jobs that are worth waking a helper for
MOST: Final = 3


class Job(Protocol):
    """A decision that waits."""

    begun: bool
    """Whether somebody works on it."""

    @property
    def ahead(self) -> Callable[[], None] | None: ...


class Helpers:
    """One less than there are processors, and at least one."""

    def __init__(self) -> None:
        self._offered: queue.SimpleQueue[Sequence[Job] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"helper-{n}", daemon=True)
            for n in range(max(1, min(MOST, (os.cpu_count() or 1) - 1)))
        ]
        for thread in self._threads:
            thread.start()

    def offer(self, jobs: Sequence[Job]) -> None:
        """These wait."""
        if len(jobs) < ENOUGH:
            return
        share = -(-len(jobs) // len(self._threads))
        for start in range(0, len(jobs), share):
            self._offered.put(jobs[start : start + share])

    def close(self) -> None:
        """Let the threads end."""
        for _ in self._threads:
            self._offered.put(None)

    def _run(self) -> None:
        while (jobs := self._offered.get()) is not None:
            for job in reversed(jobs):
                if job.ahead is not None and not job.begun:
                    job.begun = True
                    job.ahead()
