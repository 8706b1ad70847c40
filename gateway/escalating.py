"""What of escalation runs: the timer, the reminders on the platform, and the roads off it. Put together here, for `running`."""

import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from gateway.core.append import Gateway
from gateway.core.rows import Stored
from gateway.roads.contacts import Contacts
from gateway.roads.post import Post
from gateway.store.base import DiskFull, Store
from gateway.timers import Clock, Timers, floor
from gateway.web.hub import Hub
from gateway.web.reminders import Reminders
from gateway.web.service import Service
from keys.identity import Random

_log = logging.getLogger(__name__)


class Escalating:
    """A gateway's escalations. Make it once the database is open; nothing runs before `work` does."""

    def __init__(self, service: Service, store: Store, hub: Hub, post: Post, random: Random) -> None:
        self._service = service
        self._store = store
        self._post = post
        self._reminders = Reminders(service, hub)
        with store.snapshot() as view:
            self._clock = Clock(service.now, time.monotonic, floor(view))
        self._timers = Timers(store, self._gateway, self._clock, random, self._fired, service.fault)

    def _gateway(self) -> Gateway | None:
        charter = self._service.charter
        return Gateway(charter, self._service.key) if charter else None

    def _fired(self) -> None:
        self._reminders.wake()
        self._post.wake()

    def committed(self, batch: Sequence[Stored]) -> None:
        """The store's watcher."""
        self._timers.committed(batch)

    async def publish(self, known: Contacts | None = None) -> None:
        """Take these contacts, or those read at the start."""
        try:
            await self._post.publish(self._store, known or self._post.contacts)
        except DiskFull:
            _log.error("the disk is full: the roads are as they were")

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for ever, each in a task of its own."""
        roads = self._post.work(self._store, self._clock.now, self._service.fault)
        return [self._timers.run(), self._reminders.run(), *roads]
