"""Each road has its own queue: a store with notices for several, real servers, and what gets through while one hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core import ladder, notices
from gateway.core.broadcast import AlertRow, Ending, Firing, Notice, Placing, Position, notice_id
from gateway.core.effects import Effect, Outcome, PlaceAlert, PutAlert, PutFiring, PutPosition
from gateway.core.view import View
from gateway.roads.base import Message
from gateway.roads.contacts import Contacts
from gateway.roads.post import Post
from gateway.roads.settings import RoadSettings, SmtpSettings, SmtpTls, WebhookSettings
from gateway.roads.worker import Worker
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from gateway.wire import NoticeState
from keys.alert import AlertType, Draft
from keys.canonical import encode
from keys.identity import ChannelId, PersonId
from keys.ladder import Why
from tests.gateway.roads.servers import HOST, Hook, MailServer
from tests.waiting import PATIENCE, until

ROOT = b"r" * 32
PEOPLE = [PersonId(bytes([n]) * 16) for n in range(1, 21)]
CHANNEL = ChannelId(b"c" * 16)
NOW = 1_790_000_000_000


def draft(exercise: bool = False) -> Draft:
    return Draft(b"i" * 16, AlertType.ALERT, exercise, [], b"c" * 32, bytes(32), [], NOW + 3_600_000, NOW, b"a" * 32)


def fired(road: str, number: int, exercise: bool = False) -> tuple[Effect, ...]:
    """A rung for everybody by this road, as the timer leaves it."""
    made = tuple(
        Notice(notice_id(ROOT, number, p, road), ROOT, number, 0, p, road, NoticeState.QUEUED, 0, NOW) for p in PEOPLE
    )
    firing = Firing(number, 0, road, Why.DUE, NOW, 1, len(made), 0)
    return PutFiring(ROOT, firing, made), PutPosition(ROOT, Position(firings=number))


def begun(exercise: bool = False) -> tuple[Effect, ...]:
    row = AlertRow(ROOT, b"i" * 16, encode(draft(exercise)), b"", PersonId(b"W" * 16), None, 1, NOW + 3_600_000)
    return PutAlert(row), PlaceAlert(ROOT, Placing(CHANNEL, 1), tuple(PEOPLE), NOW)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    yield store
    await store.close()


FOR_EVER = 3_600  # s


async def do(store: SqliteStore, *effects: Effect) -> None:
    await store.decide(lambda _: Outcome(None, effects))


class Office:
    """A post office at work."""

    def __init__(self, store: SqliteStore, folder: Path, *settings: RoadSettings) -> None:
        contacts = folder / "contacts.toml"
        names = [s.name for s in settings]
        contacts.write_text(
            "".join(
                f"[{p.hex()}]\n" + "".join(f'{name} = "person{n}@example.org"\n' for name in names)
                for n, p in enumerate(PEOPLE)
            )
        )
        self.faults: list[BaseException] = []
        self.store, self.now = store, NOW
        self.post = Post(settings, contacts, "OUTRIDER {code}")
        self.tasks = [asyncio.create_task(c) for c in self.post.work(store, lambda: self.now, self.faults.append)]

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.post.close()
        assert not self.faults

    async def until(self, road: str, state: NoticeState, count: int, *, passing: int = 0) -> None:
        """Until so many of a road's notices are in this state; between two looks so many ms pass for the office."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with self.store.snapshot() as view:
                    found = view.notices(ROOT, 0, 1_000)
                if sum(n.road == road and n.state is state for n in found) >= count:
                    return
                if passing:
                    self.now += passing
                    self.post.wake()
                await asyncio.sleep(0.05)


def mail(port: int, timeout: int = 20) -> SmtpSettings:
    return SmtpSettings("mail", HOST, port, "outrider@gateway.example", SmtpTls.NONE, timeout)


def pager(hook: Hook, folder: Path, timeout: int = 20) -> WebhookSettings:
    secret = folder / "secret"
    secret.write_text("0123456789abcdef")
    return WebhookSettings("pager", hook.url, secret, timeout)


async def test_a_road_that_hangs_holds_up_no_other(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("mail", 1), *fired("pager", 2))
    async with MailServer(hangs="EHLO").serving() as server, Hook().serving() as hook:
        office = Office(store, tmp_path, mail(server.port, FOR_EVER), pager(hook, tmp_path))
        await office.until("pager", NoticeState.SENT, len(PEOPLE))
        with store.snapshot() as view:
            stuck = [n for n in view.notices(ROOT, 0, 1_000) if n.road == "mail"]
        assert {n.state for n in stuck} == {NoticeState.QUEUED}
        await office.close()
    assert len(hook.got) == len(PEOPLE)


async def test_the_other_way_about(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("pager", 1), *fired("mail", 2))
    async with MailServer().serving() as server, Hook(hangs=True).serving() as hook:
        office = Office(store, tmp_path, mail(server.port), pager(hook, tmp_path, FOR_EVER))
        await office.until("mail", NoticeState.SENT, len(PEOPLE))
        await office.close()
    assert len(server.got) == len(PEOPLE)


async def test_a_road_that_comes_back(store: SqliteStore, tmp_path: Path) -> None:
    """While it is down one notice at a time asks for it; then all are sent, each once."""
    await do(store, *begun(), *fired("pager", 1))
    hook = Hook(503)
    async with hook.serving():
        office = Office(store, tmp_path, pager(hook, tmp_path))
        await hook.until(len(PEOPLE))
        hook.status = 200
        office.now += 60_000
        office.post.wake()
        await office.until("pager", NoticeState.SENT, len(PEOPLE))
        await office.close()
    assert len({headers["Idempotency-Key"] for headers, _ in hook.got}) == len(hook.got) == len(PEOPLE)


async def test_who_answers_and_what_ends_is_not_sent_any_more(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("pager", 1))
    async with Hook(503).serving() as hook:
        office = Office(store, tmp_path, pager(hook, tmp_path))
        await hook.until(8)

        def ack(view: View) -> Outcome[None]:
            row = view.alert(ROOT)
            assert row is not None
            return Outcome(None, ladder.answered(view, row, PEOPLE[0], NOW))

        await store.decide(ack)
        hook.status = 200
        # Who was told 503 only now is asked again a while after now: time goes on until nobody waits any more.
        await office.until("pager", NoticeState.SENT, len(PEOPLE) - 1, passing=5_000)
        await office.close()
    told = {body.partition(b'"to": "')[2].partition(b'"')[0] for _, body in hook.got}
    assert told == {b"person%d@example.org" % n for n in range(1, 20)}
    with store.snapshot() as view:
        states = {n.person: n.state for n in view.notices(ROOT, 0, 1_000)}
    assert states.pop(PEOPLE[0]) is NoticeState.WITHDRAWN


async def test_an_alert_that_has_ended_is_not_sent(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("pager", 1))
    await store.decide(lambda view: Outcome(None, ladder.ended(view, [ROOT], Ending.CANCELLED, NOW)))
    async with Hook().serving() as hook:
        office = Office(store, tmp_path, pager(hook, tmp_path))
        await asyncio.sleep(0.5)
        await office.close()
        assert hook.asked == 0


async def test_an_alert_that_has_expired_is_not_sent(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("pager", 1))
    async with Hook().serving() as hook:
        office = Office(store, tmp_path, pager(hook, tmp_path))
        office.now = NOW + 3_600_001
        await asyncio.sleep(0.5)
        await office.close()
        assert hook.asked == 0


async def test_the_text_of_an_exercise(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(True), *fired("pager", 1))
    async with Hook().serving() as hook:
        office = Office(store, tmp_path, pager(hook, tmp_path))
        await office.until("pager", NoticeState.SENT, 1)
        await office.close()
    assert b"EXERCISE EXERCISE EXERCISE OUTRIDER " in hook.got[0][1]


async def test_an_address_that_was_taken_out(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("pager", 1))
    async with Hook().serving() as hook:
        office = Office(store, tmp_path, pager(hook, tmp_path))
        contacts = tmp_path / "contacts.toml"
        contacts.write_text("")
        await office.post.publish(store, office.post.read(contacts))
        await office.until("pager", NoticeState.FAILED, len(PEOPLE))
        await office.close()
    with store.snapshot() as view:
        assert view.notices(ROOT, 0, 1)[0].detail == "the address was taken out of the contacts file"
        assert view.roads() == {"pager"}
        assert view.reached_by("pager") == frozenset()


async def test_only_a_name_is_settled(store: SqliteStore) -> None:
    result = notices.Result(notices.Tried.SENT)
    assert await store.decide(lambda view: notices.settled(view, b"x" * 32, result, NOW)) is None


class Faulty:
    """A road of ours with a fault in it."""

    name = "pager"

    def __init__(self) -> None:
        self.asked = 0

    async def send(self, message: Message) -> notices.Result:
        self.asked += 1
        raise ValueError("a fault")

    async def close(self) -> None: ...


async def test_a_fault_of_ours_is_no_reason_to_try_at_once_again(store: SqliteStore, tmp_path: Path) -> None:
    await do(store, *begun(), *fired("pager", 1))
    contacts = Contacts({(person, "pager"): "somewhere" for person in PEOPLE})
    road, faults = Faulty(), list[BaseException]()
    worker = Worker(road, store, lambda: NOW, lambda: contacts, lambda: "OUTRIDER", faults.append)
    task = asyncio.create_task(worker.run())

    def tried() -> bool:
        with store.snapshot() as view:
            return all(n.attempts for n in view.notices(ROOT, 0, 100))

    await until(tried)
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert road.asked == len(faults) == len(PEOPLE)
    with store.snapshot() as view:
        found = view.notices(ROOT, 0, 100)
    assert {(n.state, n.attempts, n.detail) for n in found} == {(NoticeState.QUEUED, 1, "a fault of the gateway's own")}
