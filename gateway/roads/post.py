"""The post office: every road that gateway.toml names, each with its worker, and the contacts file that they share."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from gateway.core.effects import Outcome, PutRoads
from gateway.core.view import View
from gateway.roads import contacts
from gateway.roads.base import Road, RoadRefused
from gateway.roads.contacts import Contacts
from gateway.roads.notify import AppriseRoad
from gateway.roads.settings import AppriseSettings, RoadSettings, SmtpSettings, is_mail_address
from gateway.roads.smtp import SmtpRoad
from gateway.roads.webhook import WebhookRoad
from gateway.roads.worker import Worker
from gateway.store.base import Store


def make(settings: RoadSettings) -> Road:
    """A road as gateway.toml has it. Raises RoadRefused."""
    if isinstance(settings, SmtpSettings):
        return SmtpRoad(settings)
    return AppriseRoad(settings) if isinstance(settings, AppriseSettings) else WebhookRoad(settings)


def check_addresses(known: Contacts, roads: Sequence[Road]) -> None:
    """Raises RoadRefused, naming person and road, for an address with which its road could do nothing."""
    by_name = {road.name: road for road in roads}
    for (person, name), address in sorted(known.addresses.items()):
        road = by_name[name]
        if isinstance(road, SmtpRoad) and not is_mail_address(address):
            raise RoadRefused(f"contacts: [{person.hex()}]: {name} must be a mail address")
        if isinstance(road, AppriseRoad) and not road.understands(address):
            raise RoadRefused(f"contacts: [{person.hex()}]: apprise does not understand the address for {name}")


class Post:
    """All roads off the platform of one gateway.

    Raises:
        RoadRefused: a road, its secret, or the contacts file can't be used; with a sentence for the operator.
    """

    def __init__(self, settings: Sequence[RoadSettings], path: Path, text: str) -> None:
        self.roads = tuple(make(one) for one in settings)
        self._workers: tuple[Worker, ...] = ()
        self._text = text
        self.contacts = self.read(path)

    def read(self, path: Path) -> Contacts:
        """The contacts file, checked against the roads. Raises RoadRefused."""
        known = contacts.load(path, [road.name for road in self.roads])
        check_addresses(known, self.roads)
        return known

    async def publish(self, store: Store, known: Contacts) -> None:
        """Take these contacts, and tell the core who has an address where (never the address)."""
        self.contacts = known
        names = tuple(sorted(road.name for road in self.roads))

        def decision(view: View) -> Outcome[None]:
            reached = {(person, road) for road in view.roads() for person in view.reached_by(road)}
            same = view.roads() == set(names) and reached == set(known.reached)
            return Outcome(None, () if same else (PutRoads(names, known.reached),))

        await store.decide(decision)

    def work(
        self, store: Store, now: Callable[[], int], fault: Callable[[BaseException], None]
    ) -> list[Coroutine[Any, Any, None]]:
        """One worker a road, to be run each in a task of its own."""
        self._workers = tuple(
            Worker(road, store, now, lambda: self.contacts, lambda: self._text, fault) for road in self.roads
        )
        return [worker.run() for worker in self._workers]

    def wake(self) -> None:
        """A rung was fired."""
        for worker in self._workers:
            worker.wake()

    async def close(self) -> None:
        """Let go of connections and threads; what is being tried is tried again after the next start."""
        await asyncio.gather(*(road.close() for road in self.roads))
