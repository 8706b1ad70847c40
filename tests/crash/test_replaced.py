"""The database replaced by an older one, or its WAL taken away, beside a log that has gone on: the start refuses. A stale -shm does no harm."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.floor import FloorFile
from gateway.audit.sequencer import LogRefused, Sequencer, found_log
from gateway.audit.tiles import LogFolder
from gateway.store.base import StoreError
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from tests.crash.images import DATABASE, ask, place
from tests.crash.log_images import FLOOR, KEYS, LOG, NOW, filling, now


async def grown(folder: Path) -> Path:
    """A gateway's files at two moments of its life, `early` and `late`, copied from under it: the WAL is not written back."""
    live = folder / "live"
    live.mkdir()
    create(live / DATABASE)
    store = SqliteStore(live / DATABASE)
    await found_log(store, live / LOG, live / FLOOR, KEYS, NOW)
    sequencer = Sequencer.open(store, LogFolder(live / LOG), FloorFile(live / FLOOR), KEYS, now)
    for moment in ("early", "late"):
        await ask(store, filling(20))
        await sequencer.drain()
        shutil.copytree(live, folder / moment)
    await store.close()
    return folder / "late"


async def start(folder: Path) -> int:
    """As the gateway does; gives the size of the log."""
    store = SqliteStore(folder / DATABASE)
    try:
        return Sequencer.open(store, LogFolder(folder / LOG), FloorFile(folder / FLOOR), KEYS, now).head.size
    finally:
        await store.close()


def older(folder: Path) -> None:
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        shutil.copy(folder.parent / "early" / name, folder / name)


def older_with_log(folder: Path) -> None:
    older(folder)
    shutil.rmtree(folder / LOG)
    shutil.copytree(folder.parent / "early" / LOG, folder / LOG)


def no_wal(folder: Path) -> None:
    (folder / f"{DATABASE}-wal").unlink()


def stale_shm(folder: Path) -> None:
    shutil.copy(folder.parent / "early" / f"{DATABASE}-shm", folder / f"{DATABASE}-shm")


def no_shm(folder: Path) -> None:
    (folder / f"{DATABASE}-shm").unlink()


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        pytest.param(older, False, id="attack-82 an older database"),
        pytest.param(older_with_log, False, id="attack-82 an older database with its log, the floor apart"),
        pytest.param(no_wal, False, id="attack-82 the WAL deleted"),
        pytest.param(stale_shm, True, id="attack-82 a stale -shm"),
        pytest.param(no_shm, True, id="attack-82 no -shm"),
        pytest.param(lambda _folder: None, True, id="as it was"),
    ],
)
async def test_a_database_that_was_swapped(change: Callable[[Path], None], goes_on: bool) -> None:
    with place() as folder:
        late = await grown(folder)
        change(late)
        if goes_on:
            assert await start(late) == 40
        else:
            with pytest.raises((LogRefused, StoreError)):
                await start(late)
