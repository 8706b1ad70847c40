"""What stands outside is shown: padded sizes on a beat of its own, each of them a checkpoint of the log's, with all of its tiles."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.asking import check_witnessed
from gateway.audit.outside import Outside, Pace
from gateway.audit.sequencer import SignedHead
from gateway.audit.tiles import LogFolder
from gateway.core import acts
from gateway.core.append import Gateway
from gateway.core.effects import Outcome
from keys.envelope import Kind
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.reader import LogReader
from keys.tlog.tile import bundles, tiles
from tests.gateway.audit.test_sequencer import KEYS, NOW, ORIGIN, VERIFIERS, Died, Fault, Place, _faulty
from tests.gateway.core.world import World
from tests.waiting import PATIENCE, until


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    await place.found()
    return place


# ---------------------------------------------------------------------- fillers


@pytest.mark.parametrize("step", [1, 2, 16, 256])
def test_the_log_is_filled_up_to_the_next_step(step: int) -> None:
    world = World()
    for _ in range(3):
        before = world.view.log_size()
        size = world.run(lambda: acts.pad(world.view, world.gateway, step, world.now, world.random))
        assert (
            size == world.view.log_size() == (before // step + 1) * step
        )  # one step at least, where it is full already
    fillers = [stored for stored in world.committed if stored.kind is Kind.FILLER]
    assert all(stored.body == b"" and len(stored.signature) == 64 for stored in fillers)
    numbers = [stored.number for stored in fillers]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


# ---------------------------------------------------------------------- a step ends right there


async def test_what_is_shown_is_a_checkpoint_of_exactly_that_size(place: Place) -> None:
    """More is accepted while the log is being filled up: it is under the next checkpoint, and not under this one."""
    sequencer = place.open()
    shown: list[SignedHead] = []
    sequencer.shown = shown.append

    async def pad() -> int:
        place.database.accept(16 - len(place.database.leaves) % 16)
        size = len(place.database.leaves)
        place.database.accept(7)
        return size

    sequencer.pad = pad
    for count in (3, 300, 1, 5_000):
        place.database.accept(count)
        assert await sequencer.step()
        sequencer.mark()
        assert await sequencer._step_to_mark()
        head = shown[-1]
        assert head.size % 16 == 0
        checkpoint = open_checkpoint(head.note, VERIFIERS, ORIGIN)
        await sequencer.drain()
        assert sequencer.head.size >= head.size + 7
        for resource in (*tiles(head.size), *bundles(head.size)):  # tlog-tiles, "Partial Tiles"
            assert (place.path / "log" / resource.path).exists(), resource
        reader = LogReader(place.fetch, checkpoint)
        assert sum(len(run.entries) for run in reader.entries()) == head.size
    place.check()


async def test_the_beat_marks_and_a_full_disk_delays_it(place: Place) -> None:
    sequencer = place.open()
    shown: list[int] = []
    sequencer.shown = lambda head: shown.append(head.size)
    failures = [OSError(errno.ENOSPC, "full")]

    async def pad() -> int | None:
        if failures:
            raise failures.pop()
        place.database.accept(16 - len(place.database.leaves) % 16)
        return len(place.database.leaves)

    sequencer.pad = pad
    sequencer.retry = 0.01
    beat = asyncio.create_task(sequencer.run())
    sequencer.mark()
    await until(lambda: shown)
    sequencer.finish()
    await asyncio.wait_for(beat, PATIENCE)
    assert shown == [16]


async def test_a_mark_that_comes_while_one_is_made_is_not_lost(place: Place) -> None:
    sequencer = place.open()
    shown: list[int] = []
    sequencer.shown = lambda head: shown.append(head.size)

    async def pad() -> int | None:
        if not shown:
            sequencer.mark()  # somebody has just come to stand outside
        place.database.accept(8)
        return len(place.database.leaves)

    sequencer.pad = pad
    beat = asyncio.create_task(sequencer.run())
    sequencer.mark()
    await until(lambda: len(shown) == 2)
    sequencer.finish()
    await asyncio.wait_for(beat, PATIENCE)
    assert shown == [8, 16]


# ---------------------------------------------------------------------- what fails on the way


@pytest.mark.parametrize("persisted", [pytest.param(False, id="failed"), pytest.param(True, id="failed but persisted")])
async def test_a_fault_at_every_durable_step_to_the_cosigned_checkpoint(tmp_path: Path, persisted: bool) -> None:
    """From the filler to `witnessed`: what is there after the restart is whole, and never ahead of the database."""
    seen = 0
    for at in range(1, 60):
        place = Place(tmp_path / str(at))
        place.path.mkdir()
        await place.found()
        place.database.accept(16)
        await place.open().drain()
        earlier = (place.path / "log" / "checkpoint").read_bytes()
        LogFolder(place.path / "log").publish_witnessed(earlier)
        fault = Fault(at, persisted=persisted)
        sequencer = _faulty(place, place.open(), fault)

        async def pad(place: Place = place) -> int:
            place.database.accept(16)
            return len(place.database.leaves)

        sequencer.pad = pad
        folder = LogFolder(place.path / "log", fault.sync)
        sequencer.shown = lambda head, folder=folder: folder.publish_witnessed(head.note)  # type: ignore[misc]
        sequencer.mark()
        try:
            await sequencer._step_to_mark()
        except (OSError, Died):
            seen += 1
        place.database.before = place.database.after = lambda: None
        again = place.open()
        log = LogFolder(place.path / "log")
        check_witnessed(log, KEYS, again.hashes())
        kept = log.witnessed()
        assert kept == earlier or open_checkpoint(kept or b"", VERIFIERS, ORIGIN).size == 32, f"fault {at}"
        await again.drain()
        assert again.head.size == 32
        place.check()
        if fault.count < at:
            assert kept != earlier
            break  # there is no such step any more
    assert 10 < seen < 58


# ---------------------------------------------------------------------- the beat


class Fillers:
    """The store's part: each decision runs at once, in a world's database."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def decide(self, decision: Callable[[Any], Outcome[int]], *, patient: bool = False) -> int:
        found: int = self.world.run(lambda: decision(self.world.view))
        return found


@pytest.mark.parametrize(
    ("charter", "watched", "idle", "padded"),
    [
        pytest.param(True, True, False, 16, id="somebody is outside"),
        pytest.param(True, True, True, 16, id="somebody is outside, and nothing was said"),
        pytest.param(True, False, True, 1, id="nobody is, and nothing was said: a heartbeat"),
        pytest.param(True, False, False, 0, id="nobody is: nothing to hide"),
        pytest.param(False, True, True, 0, id="no charter yet: nobody may sign a filler"),
    ],
)
async def test_when_the_log_is_filled_up(place: Place, charter: bool, watched: bool, idle: bool, padded: int) -> None:
    world, clock = World(), [NOW]
    gateway = Gateway(world.charter, world.mission.gateway) if charter else None
    sequencer = place.open()
    outside = Outside(
        Fillers(world),  # type: ignore[arg-type]
        sequencer,
        Pace(60, 16),
        lambda: gateway,
        lambda: watched,
        lambda: clock[0],
        world.random,
    )
    assert sequencer.pad == outside.pad
    clock[0] = sequencer.signed_at + (60_000 if idle else 59_000)
    before = world.view.log_size()
    size = await outside.pad()
    assert world.view.log_size() == (size or before)
    assert (size or before) - before == (0 if not padded else padded - before % padded)


async def test_the_first_beat_is_at_once_and_when_somebody_comes(place: Place) -> None:
    sequencer = place.open()
    marks: list[float] = []
    sequencer.mark = lambda: marks.append(asyncio.get_running_loop().time())  # type: ignore[method-assign]
    watched = [False]
    outside = Outside(
        Fillers(World()),  # type: ignore[arg-type]
        sequencer,
        Pace(3600, 16),
        lambda: None,
        lambda: watched[0],
        lambda: NOW,
        lambda n: bytes(n),
        look=0.01,
    )
    task = asyncio.create_task(outside.run())
    await until(lambda: marks)
    await asyncio.sleep(0.1)
    assert len(marks) == 1
    watched[0] = True
    await until(lambda: len(marks) > 1)
    await asyncio.sleep(0.1)
    assert len(marks) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_folder_keeps_what_was_cosigned_beside_the_newest(place: Place) -> None:
    folder = LogFolder(place.path / "log")
    assert folder.witnessed() is None
    folder.publish_witnessed(b"note")
    assert folder.witnessed() == b"note"
    assert folder.checkpoint() != b"note"
