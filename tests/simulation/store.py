"""The gateway's own store without its thread and its event loop, on a simulated disk.

`SimulatedStore` is `SqliteStore`: its batches, its transactions, what it does after an error. In place of the thread the
simulation calls `work` when the disk is at leisure; in place of the loop a `Later` puts what is to be said on the heap.
`drive` goes on with a coroutine of the product each time that what it waits for has come.
"""

from __future__ import annotations

import pathlib
import queue
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from gateway.core.view import View
from gateway.store.base import Decision, DiskFull, Settle, T
from gateway.store.database import whole
from gateway.store.reserve import Reserve
from gateway.store.rows import Parsed, SqliteView
from gateway.store.sqlite import SqliteStore
from gateway.store.writer import WriterView
from tests.simulation.disk import Disk
from tests.simulation.knobs import Knobs

DATABASE = "gateway.db"


class Promise:
    """What a coroutine waits for, and what comes of it."""

    def __init__(self) -> None:
        self._done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._then: list[Callable[[], None]] = []

    def done(self) -> bool:
        return self._done

    def set_result(self, result: Any) -> None:
        self._settle(result, None)

    def set_exception(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        self._done, self._result, self._error = True, result, error
        then, self._then = self._then, []
        for go_on in then:
            go_on()

    def then(self, go_on: Callable[[], None]) -> None:
        go_on() if self._done else self._then.append(go_on)

    def __await__(self) -> Generator[Promise, None, Any]:
        if not self._done:
            yield self
        if self._error is not None:
            raise self._error
        return self._result


def drive(coroutine: Coroutine[Any, Any, Any], done: Callable[[Any, BaseException | None], None]) -> None:
    """Go on with it whenever what it waits for is there; `done` is told its result or its error."""
    try:
        promise = coroutine.send(None)
    except StopIteration as end:
        done(end.value, None)
    except Exception as error:
        done(None, error)
    else:
        promise.then(lambda: drive(coroutine, done))


class Later:
    """As much of an event loop as a store asks for."""

    def __init__(self, later: Callable[..., None]) -> None:
        self.call_soon_threadsafe = later

    def call_soon(self, action: Callable[[], None]) -> None:
        """Handing over: the simulation does so itself, before each turn of the writer."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise context["exception"]

    def create_future(self) -> Promise:
        return Promise()


class Path:
    """The name of the database: as much of a path as opening it asks for."""

    def __init__(self, folder: str) -> None:
        self.name = f"{folder}/{DATABASE}"

    def is_file(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.name


class NoHelpers:
    """Other threads, of which the simulation has none."""

    def offer(self, jobs: Sequence[Any]) -> None: ...


def _no_room(_: View) -> Any:
    raise DiskFull("there is no room just now")


class SimulatedStore(SqliteStore):
    """Opens the database on the disk as it is; raises what opening raises. `later` puts a call on the heap."""

    def __init__(self, disk: Disk, later: Callable[..., None], knobs: Knobs, chance: Random) -> None:
        self._loop: Any = Later(later)
        self.disk = disk
        self.knobs = knobs
        self._chance = chance
        with disk.mounted() as folder:
            self._writer = self._open(Path(folder))  # type: ignore[arg-type]
        if knobs.cache:
            self._writer.execute(f"PRAGMA cache_size = {knobs.cache}")
        self.worked = 0
        self._pages = 0  # nobody comes to rest here
        self._parsed = Parsed()
        self._watchers = []
        self._asked = None
        self._handed = queue.SimpleQueue()
        self._jobs = deque()
        self._patient = deque()
        self._broken = None
        self._helpers: Any = NoHelpers()
        self._full, self._reserve = (
            False,
            Reserve(pathlib.Path()),
        )  # never held: what is urgent is refused here like the rest
        self._view = WriterView(self._writer, self._parsed)
        self._reader = SqliteView(self._writer, self._parsed)

    @property
    def waiting(self) -> int:
        """Decisions that wait for the writer."""
        asked = len(self._asked.jobs) + len(self._asked.patient) if self._asked is not None else 0
        return asked + self._handed.qsize() + len(self._jobs) + len(self._patient)

    def submit(self, decision: Decision[T], settle: Settle[T], **ways: Any) -> None:
        if self.knobs.busy and self._chance.random() < self.knobs.busy:
            decision = _no_room
        super().submit(decision, settle, **ways)

    def _gather(self, ending: bool) -> tuple[list[Any], bool]:
        jobs, ending = super()._gather(ending)
        most = self.knobs.batch
        self._jobs.extendleft(reversed(jobs[most:]))
        return jobs[:most], ending

    def work(self) -> None:
        """One turn of the writer's thread."""
        if not self.waiting:
            return
        self._hand_over()
        jobs, _ = self._gather(ending=False)
        if jobs:
            self._transact(self._view, jobs)
            self.worked += 1
            if self.worked % self.knobs.checkpoint == 0:
                self._write_back(0)

    @contextmanager
    def snapshot(self) -> Iterator[SqliteView]:
        with whole():
            yield self._reader

    def abandon(self) -> None:
        """The process is gone; its memory with it."""
        self.disk.fail_write = self.disk.fail_sync = self.disk.die_in = self.disk.room = -1
        self._writer.close()
        self.disk.unmount()
