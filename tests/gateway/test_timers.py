"""The timer over a real store: it fires what is due by itself, wakes when an alert is placed, and outlives a fault of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from gateway.store.base import Damaged
from gateway.store.database import PAGE, connect
from gateway.store.sqlite import SqliteStore
from gateway.timers import Clock, Timers, floor
from keys.ladder import APP, Ladder, Rung, Stop
from tests.checksummed import place
from tests.gateway.core.escalation import Scene
from tests.waiting import until

A, B = b"a" * 32, b"b" * 32
SHORT = Ladder([Rung(10, APP, []), Rung(10, APP, [])], Stop.ALL, 0, None)


@asynccontextmanager
async def opened(scene: Scene, folder: Path) -> AsyncIterator[SqliteStore]:
    """The scene's database as a store."""
    path = folder / "gateway.db"
    place(scene.image, path)
    store = SqliteStore(path)
    try:
        yield store
    finally:
        await store.close()


class Running:
    """A timer at work; the clock is the scene's."""

    def __init__(self, scene: Scene, store: SqliteStore) -> None:
        with store.snapshot() as view:
            clock = Clock(lambda: scene.wall, lambda: scene.passed, floor(view))
        self.store = store
        self.faults: list[BaseException] = []
        self.fired = 0
        self.timers = Timers(store, lambda: scene.gateway, clock, scene.random, self._on_fired, self.faults.append)
        self.task = asyncio.create_task(self.timers.run())

    def _on_fired(self) -> None:
        self.fired += 1

    async def until(self, root: bytes, rungs: list[int]) -> None:
        def fired() -> bool:
            with self.store.snapshot() as view:
                return [f.rung for f in view.firings(root)] == rungs

        await until(fired)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def out(root: bytes, scene: Scene | None = None) -> Scene:
    scene = scene or Scene()
    scene.approve(root, SHORT)
    scene.place(root)
    return scene


async def test_it_fires_what_is_due_and_goes_on_after_a_start(tmp_path: Path) -> None:
    scene = out(A)
    async with opened(scene, tmp_path) as store:
        running = Running(scene, store)
        await asyncio.sleep(0.2)
        scene.pass_time(10_000)
        await running.until(A, [0])
        await running.end()
        scene.pass_time(10_000)
        running = Running(scene, store)
        await running.until(A, [0, 1])
        await running.end()
        assert not running.faults
        assert running.fired


async def test_a_fault_of_ours_is_told_and_holds_up_no_other(tmp_path: Path) -> None:
    scene = out(B, out(A))
    process = scene.process()
    process.settle()
    scene.db.execute("UPDATE alerts SET ladder = x'91' WHERE root = ?", (A,))
    async with opened(scene, tmp_path) as store:
        scene.pass_time(10_000)
        running = Running(scene, store)
        await running.until(B, [0])
        await running.end()
        assert len(running.faults) == 1
        with store.snapshot() as view:
            assert list(view.firings(A)) == []


async def test_nothing_is_done_without_a_charter(tmp_path: Path) -> None:
    scene = out(A)
    async with opened(scene, tmp_path) as store:
        timers = Timers(
            store, lambda: None, Clock(lambda: scene.wall, lambda: 0.0, 0), scene.random, lambda: None, lambda _: None
        )
        assert not await timers.tick()


async def test_a_page_that_has_rotted_is_said_and_does_not_end_it(tmp_path: Path) -> None:
    scene = out(A)
    path = tmp_path / "gateway.db"
    place(scene.image, path)
    with closing(connect(path)) as db:
        ((page,),) = db.execute("SELECT pageno FROM dbstat WHERE name = 'escalations_wake'").fetchall()
    data = bytearray(path.read_bytes())
    data[page * PAGE - 100] ^= 1
    path.write_bytes(data)
    store = SqliteStore(path)
    running = Running(scene, store)
    await until(lambda: running.faults)
    assert isinstance(running.faults[0], Damaged)
    assert not running.task.done()
    await running.end()
    await store.close()
