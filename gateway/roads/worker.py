"""One road's queue and who works it off.

The queue lies in the store. The worker takes what is due, a few at a time, looks at each once more just before it tries it (an
answer or the alert's end may have come meanwhile), and settles what came of it. It shares nothing with the other roads' workers
but the store. While the road does not work it tries one at a time.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.core import notices
from gateway.core.broadcast import Notice
from gateway.core.notices import Result, Tried
from gateway.roads.base import Message, Road, brevity
from gateway.roads.contacts import Contacts
from gateway.store.base import OURS, Damaged, DiskFull, Store
from keys.alert import Draft
from keys.canonical import reader

AT_ONCE: Final = 4
LONGEST_SLEEP: Final = 5_000  # ms
DISK_PAUSE: Final = 1.0  # s

_log = logging.getLogger(__name__)
_read_draft: Final = reader(Draft)


class Worker:
    """Works off one road's queue. `contacts` and `text` are asked for each time, since they may change."""

    def __init__(
        self,
        road: Road,
        store: Store,
        now: Callable[[], int],
        contacts: Callable[[], Contacts],
        text: Callable[[], str],
        fault: Callable[[BaseException], None],
    ) -> None:
        self._road = road
        self._store = store
        self._now = now
        self._contacts = contacts
        self._text = text
        self._fault = fault
        self._wake = asyncio.Event()
        self._tries: dict[bytes, asyncio.Task[None]] = {}
        self._works = True

    @property
    def road(self) -> Road:
        return self._road

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Serve for ever."""
        try:
            while True:
                self._wake.clear()
                try:
                    self._begin()
                    pause = self._pause() / 1000
                except Damaged as error:  # nobody can tell who waits for a notice; the others go on
                    self._fault(error)
                    pause = DISK_PAUSE
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
        finally:
            for task in self._tries.values():
                task.cancel()

    def _begin(self) -> None:
        """Start as many tries as there is room for."""
        room = (AT_ONCE if self._works else 1) - len(self._tries)
        if room <= 0:
            return
        with self._store.snapshot() as view:
            due = view.notices_queued(self._road.name, self._now(), room + len(self._tries))
        for notice in due:
            if notice.id not in self._tries and room > 0:
                room -= 1
                task = self._tries[notice.id] = asyncio.create_task(self._try(notice))
                task.add_done_callback(lambda _, name=notice.id: self._done(name))  # type: ignore[misc]

    def _done(self, name: bytes) -> None:
        task = self._tries.pop(name)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault(error)
        self._wake.set()

    async def _try(self, notice: Notice) -> None:
        with self._store.snapshot() as view:
            row = view.alert(notice.root) if notices.live(view, notice.id, self._now()) else None
        if row is None:
            return
        address = self._contacts().address(notice.person, self._road.name)
        if address is None:
            result = Result(Tried.REFUSED, "the address was taken out of the contacts file")
        else:
            exercise = bool(row.draft) and _read_draft(row.draft).exercise  # an SOS has none
            text = brevity(self._text(), notice.root, exercise)
            result = await self._sent(Message(notice.id, address, text, notice.time))
        # A crash here: it has left, and nobody knows. It is tried again under the same name.
        await self._settle(notice, result)

    async def _sent(self, message: Message) -> Result:
        """A road's fault is ours, and one more reason to try again later, not at once."""
        try:
            return await self._road.send(message)
        except Exception as error:
            self._fault(error)
            return Result(Tried.LATER, "a fault of the gateway's own")

    async def _settle(self, notice: Notice, result: Result) -> None:
        self._works = result.tried is not Tried.LATER
        if not self._works:
            _log.warning("road %s: %s", self._road.name, result.detail)
        while True:
            try:
                await self._store.decide(
                    lambda view: notices.settled(view, notice.id, result, self._now()), urgent=OURS
                )
                return
            except DiskFull:
                await asyncio.sleep(DISK_PAUSE)

    def _pause(self) -> int:
        """ms until it is worth looking again; what ends meanwhile wakes it."""
        if self._tries:
            return LONGEST_SLEEP
        with self._store.snapshot() as view:
            due = view.notices_next(self._road.name)
        return LONGEST_SLEEP if due is None else max(10, min(LONGEST_SLEEP, due - self._now()))
