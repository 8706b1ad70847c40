"""A bit that flips on the disk: the start is refused, or the reading of what it was in, and nothing else is ever read for what was written.
In the log's folder the start or the reader finds it (`tests/gateway/audit`, `tests/clients/auditor/test_flips.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.effects import Outcome
from gateway.core.rows import Stored
from gateway.core.view import View
from gateway.store.base import Damaged, StoreError
from gateway.store.database import connect, create
from gateway.store.sqlite import SqliteStore
from gateway.store.wal import Wal
from keys.envelope import Kind
from tests.crash.images import place
from tests.crash.rot import WAL, Grown, flipped, grown, judge, run
from tests.crash.workload import DEVICES, STREAMS, envelope

BODY = b"the bus leaves at six " * 40
SEQS = range(1, 31)
FRAME = 24 + 4096  # of a WAL, after its head of 32


async def made(folder: Path) -> Path:
    create(folder / "gateway.db")
    store = SqliteStore(folder / "gateway.db")
    for n in SEQS:
        await store.decide(envelope(STREAMS[0], DEVICES[0], Kind.APPLICATION, BODY + b"%d" % n, bytes(16)))
    await store.close()
    return folder / "gateway.db"


def read(store: SqliteStore) -> list[Stored | None]:
    """Every envelope by itself; None for one that the store does not give out."""
    found: list[Stored | None] = []
    for seq in SEQS:
        try:
            with store.snapshot() as view:
                found.append(view.envelope(STREAMS[0], seq))
        except Damaged:
            found.append(None)
    return found


@pytest.mark.parametrize("seed", [pytest.param(1, id="attack-81 one seed")])
async def test_bits_flipped_anywhere_in_the_database_or_its_wal(seed: int) -> None:
    result = await run(50, seed)
    assert result.wrong == []
    assert result.met["read refused"] > 5
    assert result.met["start refused: Damaged"] > 5


@pytest.mark.parametrize(
    "bits",
    [
        pytest.param(range(8), id="attack-81 what kind of file it is"),
        pytest.param(range(8 * 16, 8 * 18), id="attack-81 the size of a page"),
        pytest.param(range(8 * 20, 8 * 21), id="attack-81 that its pages have checksums"),
    ],
)
async def test_what_the_head_says(bits: Iterable[int]) -> None:
    with place() as folder:
        data = (await made(folder)).read_bytes()
        for bit in bits:
            (folder / "gateway.db").write_bytes(flipped(data, bit))
            with pytest.raises(StoreError):
                SqliteStore(folder / "gateway.db")


async def test_attack_81_a_body_that_was_wrong_before_it_was_written_is_given_to_nobody_and_the_others_are() -> None:
    """In memory, say, so that the page's checksum holds."""
    with place() as folder:
        path = await made(folder)
        whole = [*read(store := SqliteStore(path))]
        await store.close()
        db = connect(path)
        db.execute("UPDATE envelopes SET body = ? WHERE seq = 8", (flipped(BODY + b"8", 100),))
        db.close()
        found = read(store := SqliteStore(path))
        await store.close()
        assert found == [*whole[:7], None, *whole[8:]]


async def test_attack_81_who_needs_a_page_that_has_rotted_is_refused_and_the_others_of_the_batch_are_not() -> None:
    with place() as folder:
        path = await made(folder)
        data = path.read_bytes()
        path.write_bytes(flipped(data, 8 * data.index(BODY + b"7")))
        store = SqliteStore(path)
        write = envelope(STREAMS[1], DEVICES[1], Kind.FILLER, b"", bytes(16))

        def reads_first(view: View) -> Outcome[int]:
            view.envelope(STREAMS[0], 7)
            return write(view)

        answers = await asyncio.gather(
            store.decide(write), store.decide(reads_first), store.decide(write), return_exceptions=True
        )
        assert answers[0] == 30
        assert isinstance(answers[1], Damaged)
        assert answers[2] == 31
        found = read(store)
        await store.close()
        assert found[6] is None
        assert found[29] is not None


def a_crash_cut_off(folder: Path, whole: Grown, ends: Sequence[int]) -> None:
    """The last transaction, or so it seems: it is gone from the file too, and what comes next is counted by itself."""
    (folder / "gateway.db").write_bytes(whole.database)
    (folder / WAL).write_bytes(flipped(whole.wal, 8 * (32 + (ends[-1] - 1) * FRAME + 100)))
    wal = Wal.of(folder / WAL)
    assert wal.ends == ends
    with closing(connect(folder / "gateway.db")) as db:
        assert db.execute("SELECT count(*) FROM envelopes").fetchall()
        wal.check(db)
        assert Wal.of(folder / WAL).ends == ends[:-1]


async def killed(folder: Path) -> Grown:
    (folder / "made").mkdir()
    return await grown(folder / "made", 3, written_back=False)


async def test_attack_81_a_wal_whose_head_or_middle_has_rotted_stops_the_start_and_stays_as_it_is() -> None:
    """SQLite would take the rest for what a crash has cut off, and go on without it."""
    with place() as folder:
        whole = await killed(folder)
        (folder / "now").mkdir()
        (folder / "now" / WAL).write_bytes(whole.wal)
        ends = Wal.of(folder / "now" / WAL).ends
        for at in (0, 9, 17, 30, 32, 32 + 3 * FRAME + 8, 32 + (ends[-2] - 1) * FRAME + 100):
            wal = flipped(whole.wal, 8 * at)
            assert await judge(folder / "now", whole.database, wal, whole, goes_on=False) == (
                "start refused: Damaged",
                "",
            )
            assert (folder / "now" / WAL).read_bytes() == wal
        a_crash_cut_off(folder / "now", whole, ends)
        last = flipped(whole.wal, 8 * (32 + (ends[-1] - 1) * FRAME + 100))
        assert (await judge(folder / "now", whole.database, last, whole, goes_on=True))[1] == ""
        assert await judge(folder / "now", whole.database, whole.wal, whole, goes_on=True) == ("as it was", "")


async def test_a_torn_head_of_a_frame_is_no_end() -> None:
    """Found by the images: the WAL has begun anew, and of a frame's head the first sector is still the old one's, which was an end."""
    with place() as folder:
        whole = await killed(folder)
        (folder / "now").mkdir()
        (folder / "now" / WAL).write_bytes(whole.wal)
        ends = Wal.of(folder / "now" / WAL).ends
        torn = next(
            n for n in range(42, ends[-1], 64) if n not in ends and n - 1 not in ends
        )  # where a sector ends in the head
        last = next(end for end in ends if end > torn)
        wal = bytearray(whole.wal[: 32 + last * FRAME])
        first = 1 + max(end for end in ends if end < torn)
        wal[32 + (first - 1) * FRAME + 100] ^= 1
        wal[32 + (torn - 1) * FRAME + 7] = 1
        (folder / "now" / WAL).write_bytes(wal)
        found = Wal.of(folder / "now" / WAL).ends
        assert last in found
        assert torn in found
        (folder / "now" / "gateway.db").write_bytes(whole.database)
        await SqliteStore(folder / "now" / "gateway.db").close()
