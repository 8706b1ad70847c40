"""A disk that fails, and one that is full: the store stops for the one and waits for the other, and never says what is not so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from gateway.core import limits
from gateway.store.base import OURS, Broken, DiskFull, StoreError
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from tests.crash.images import place
from tests.crash.recorder import DatabaseRecorder
from tests.crash.small import fill, mounted
from tests.crash.trace import Trace
from tests.crash.workload import DEVICES, STREAMS, envelope

Fail = Callable[[str, str], None]


def one(size: int = 100) -> Callable[..., object]:
    return envelope(STREAMS[0], DEVICES[0], Kind.FILLER, bytes(size), bytes(16))  # type: ignore[return-value]


async def until(
    error: type[StoreError], store: SqliteStore, size: int = 100, *, urgent: bytes | None = None
) -> list[int]:
    """Ask until it is answered with this; gives the answers before."""
    answers: list[int] = []
    try:
        while len(answers) < 3_000:
            answers.append(await store.decide(one(size), urgent=urgent))
    except error:
        return answers
    raise AssertionError(f"{len(answers)} were answered")


class Failing:
    """Lets the nth write or sync of a file fail, once, as a disk does that has remapped the sector meanwhile."""

    def __init__(self, operation: str, name: str) -> None:
        self._what = operation, name
        self.armed = False
        self.tried = 0

    def __call__(self, operation: str, path: str) -> None:
        if self.armed and operation == self._what[0] and path.endswith(self._what[1]):
            self.tried += 1
            if self.tried == 1:
                raise apsw.IOError("EIO")


@pytest.mark.parametrize(
    ("operation", "name", "pages"),
    [
        pytest.param("sync", "-wal", 10_000, id="attack-19 fsync of a commit"),
        pytest.param("write", "-wal", 10_000, id="attack-19 write of a commit"),
        pytest.param("sync", "-wal", 1, id="attack-19 fsync before the WAL is written back"),
        pytest.param("sync", ".db", 1, id="attack-19 fsync of the database after the WAL was written back"),
        pytest.param("write", ".db", 1, id="attack-19 write of the WAL into the database"),
    ],
)
async def test_after_an_io_error_nothing_more_is_said_and_nothing_is_tried_again(
    operation: str, name: str, pages: int
) -> None:
    failing, told = Failing(operation, name), []
    with place() as folder:
        with DatabaseRecorder(folder, Trace(), failing).recording():
            create(folder / "gateway.db")
            store = SqliteStore(folder / "gateway.db")
            told += [await store.decide(one()) for _ in range(3)]
            store.wal_pages, failing.armed = pages, True
            told += await until(Broken, store)  # what a write back meets is said to the next who asks
            assert failing.tried == 1
            for _ in range(3):
                with pytest.raises(Broken):
                    await store.decide(one())
            await store.close()
            assert failing.tried == 1
        again = SqliteStore(folder / "gateway.db")
        with again.snapshot() as view:
            assert view.log_size() >= len(told)
        assert await again.decide(one()) >= len(told)
        await again.close()


# ------------------------------------------------------------------ a full disk


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, 16):
        yield tmp_path


async def test_attack_79_a_full_disk_refuses_spares_what_is_urgent_and_recovers_by_itself(small: Path) -> None:
    create(small / "gateway.db")
    store = SqliteStore(small / "gateway.db")
    await store.decide(one())
    other = fill(small)
    held = 1 + len(await until(DiskFull, store, 3_000))
    assert store.full
    for _ in range(100):
        assert await store.decide(one(3_000), urgent=OURS) == held
        held += 1
    with pytest.raises(DiskFull):
        await store.decide(one())
    both = await asyncio.gather(store.decide(one()), store.decide(one(), urgent=OURS), return_exceptions=True)
    assert isinstance(both[0], DiskFull)
    assert both[1] == held
    other.unlink()
    assert await store.decide(one(9_000)) == held + 1
    assert not store.full
    with store.snapshot() as view:
        assert view.log_size() == held + 2
        assert view._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert (small / "gateway.reserve").stat().st_size == limits.EMERGENCY_RESERVE
    await store.close()


async def test_it_starts_on_a_full_disk_and_takes_what_is_urgent(small: Path) -> None:
    create(small / "gateway.db")
    store = SqliteStore(small / "gateway.db")
    await store.decide(one())
    await store.close()
    other = fill(small)
    store = SqliteStore(small / "gateway.db")
    with pytest.raises(DiskFull):
        await store.decide(one())
    assert await store.decide(one(), urgent=OURS) == 1
    other.unlink()
    assert await store.decide(one()) == 2
    await store.close()


async def test_attack_79_nobody_uses_up_more_of_the_reserve_than_a_share_of_what_is_left(small: Path) -> None:
    """One stolen phone raises SOS after SOS, and then ten do."""
    create(small / "gateway.db")
    store = SqliteStore(small / "gateway.db")
    await store.decide(one())
    other = fill(small)
    await until(DiskFull, store, 3_000)
    taken = [len(await until(DiskFull, store, 3_000, urgent=b"thief %d" % n)) for n in range(10)]
    assert taken[0] * 3_000 < limits.EMERGENCY_RESERVE // 8
    assert all(count > 5 for count in taken)
    for n in range(100):
        await store.decide(one(300), urgent=b"person %d" % n)
    with pytest.raises(DiskFull):
        await store.decide(one(300), urgent=b"thief 0")
    assert len(await until(DiskFull, store, 3_000, urgent=OURS)) * 3_000 > limits.EMERGENCY_RESERVE // 3
    other.unlink()
    await store.decide(one())
    other = fill(small)
    await until(DiskFull, store, 3_000)
    assert (
        len(await until(DiskFull, store, 3_000, urgent=b"thief 0")) > taken[0] // 2
    )  # what was used is forgotten with the shortage
    other.unlink()
    await store.close()


async def test_the_last_of_the_reserve_is_refused_too_and_nothing_is_lost(small: Path) -> None:
    create(small / "gateway.db")
    store = SqliteStore(small / "gateway.db")
    await store.decide(one())
    other = fill(small)
    held = 1 + len(await until(DiskFull, store, 3_000))
    spared = len(await until(DiskFull, store, 3_000, urgent=OURS))
    assert (
        spared * 4_096 > limits.EMERGENCY_RESERVE // 2
    )  # of the reserve most is for them: the WAL is used again and again
    await store.close()
    other.unlink()
    again = SqliteStore(small / "gateway.db")
    assert await again.decide(one()) == held + spared
    await again.close()
