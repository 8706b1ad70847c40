"""The promise of `gateway.store.base`, held by every store there is; what a kill leaves of it is `tests/crash/test_kills.py`'s."""

import asyncio
import threading
from collections.abc import AsyncIterator
from hashlib import sha256
from importlib import resources
from pathlib import Path

import apsw
import pytest

from gateway.core import limits
from gateway.core.effects import Append, Outcome, PutStream
from gateway.core.rows import Stored, Stream, StreamKind
from gateway.core.view import View
from gateway.store.base import Conflict, Decision, DiskFull, WrongStore
from gateway.store.database import APPLICATION_ID, SCHEMA_VERSION, connect, create, migrate, reserve_checksums
from gateway.store.sqlite import SqliteStore
from keys.envelope import NOTHING, Kind
from keys.identity import ChannelId, DeviceId
from tests.waiting import PATIENCE, until

CHANNEL = ChannelId(b"c" * 16)
DEVICE = DeviceId(b"d" * 16)


def stored(view: View, body: bytes = b"body") -> Stored:
    """The next envelope of the test's one stream, as a decision would make it from what it sees."""
    stream = view.stream(CHANNEL)
    seq = (stream.seq if stream else 0) + 1
    index = view.log_size()
    return Stored(
        CHANNEL,
        seq,
        index,
        1,
        b"n" * 16,
        b"h%d" % seq,
        b"",
        Kind.FILLER,
        DEVICE,
        seq,
        3,
        sha256(body).digest(),
        4,
        body,
    )


def append(view: View) -> Outcome[int]:
    """A decision: one more envelope."""
    one = stored(view)
    stream = Stream(CHANNEL, StreamKind.CONTROL, one.seq, NOTHING)
    return Outcome(one.seq, (PutStream(stream), Append([one], NOTHING)))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    yield store
    await store.close()


async def test_decisions_see_what_earlier_ones_of_the_same_batch_did(store: SqliteStore) -> None:
    seqs = await asyncio.gather(*(store.decide(append) for _ in range(300)))
    assert seqs == list(range(1, 301))
    with store.snapshot() as view:
        assert [e.seq for e in view.envelopes(CHANNEL, 0, 1000)] == seqs
        assert view.log_size() == 300


async def test_the_patient_let_others_go_first_and_are_all_done(store: SqliteStore) -> None:
    """A thousand that came sooner: who comes after them waits for a few of them, not for all; among themselves they keep order."""
    order: list[str] = []
    asked = threading.Event()

    def held(_: View) -> Outcome[None]:
        assert asked.wait(PATIENCE)  # nothing is made until all have come
        return Outcome(None)

    def named(name: str) -> Decision[int]:
        def decision(view: View) -> Outcome[int]:
            order.append(name)
            return append(view)

        return decision

    first = asyncio.create_task(store.decide(held))
    patient = [asyncio.create_task(store.decide(named(f"patient {n}"), patient=True)) for n in range(1_000)]
    await asyncio.sleep(0)
    urgent = [asyncio.create_task(store.decide(named("urgent"))) for _ in range(10)]
    await asyncio.sleep(0)
    asked.set()
    await asyncio.gather(first, *patient, *urgent)
    places = [n for n, name in enumerate(order) if name == "urgent"]
    assert len(order) == 1_010
    assert max(places) <= 10 + 2 * limits.PATIENT  # the batch that was being made, and their own
    assert [name for name in order if name != "urgent"] == [f"patient {n}" for n in range(1_000)]


async def test_the_patient_are_done_before_the_end(tmp_path: Path) -> None:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    tasks = [asyncio.create_task(store.decide(append, patient=True)) for _ in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*tasks) == list(range(1, 301))


async def test_what_needs_no_view_is_done_ahead_where_many_wait(store: SqliteStore) -> None:
    helped, answered = threading.Event(), asyncio.Event()
    answers: list[object] = []

    def slow(_: View) -> Outcome[str]:
        assert helped.wait(PATIENCE)  # meanwhile the others wait, and a helper has begun with the last of them
        return Outcome("slow")

    def settle(answer: object, error: BaseException | None) -> None:
        answers.append(error or answer)
        if len(answers) == 101:
            answered.set()

    store.submit(slow, settle)
    for n in range(100):
        store.submit(lambda _, n=n: Outcome(n), settle, ahead=helped.set)
    await answered.wait()
    assert answers == ["slow", *range(100)]


async def test_a_taker_that_fails_harms_no_other(store: SqliteStore) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def fail(_answer: object, _error: BaseException | None) -> None:
        raise KeyError

    store.submit(append, fail)
    assert await store.decide(append) == 2
    assert [type(fault) for fault in faults] == [KeyError]


async def test_a_decision_that_raises_keeps_nothing_and_harms_no_other(store: SqliteStore) -> None:
    def refuse(view: View) -> Outcome[int]:
        raise ValueError("refused")

    results = await asyncio.gather(
        store.decide(append), store.decide(refuse), store.decide(append), return_exceptions=True
    )
    assert results[0] == 1
    assert isinstance(results[1], ValueError)
    assert results[2] == 2


async def test_watchers_hear_of_envelopes_before_the_caller(store: SqliteStore) -> None:
    heard: list[int] = []
    store.watch(lambda batch: heard.extend(s.seq for s in batch))
    for expected in range(1, 4):
        await store.decide(append)
        assert heard[-1] == expected


async def test_a_wrong_decision_can_not_take_a_place_twice(store: SqliteStore) -> None:
    await store.decide(append)

    def again(view: View) -> Outcome[int]:
        first = view.envelope(CHANNEL, 1)
        assert first is not None
        return Outcome(1, (Append([first], NOTHING),))

    with pytest.raises(Exception, match="UNIQUE"):
        await store.decide(again)


async def test_the_checkpoint_moves_by_compare_and_swap_only(store: SqliteStore) -> None:
    await store.swap_checkpoint(0, 5, b"five")
    with pytest.raises(Conflict):
        await store.swap_checkpoint(0, 6, b"six")
    await store.swap_checkpoint(5, 5, b"five again")
    with store.snapshot() as view:
        assert view.checkpoint() == b"five again"


async def test_a_snapshot_is_one_state_from_first_to_last_look(store: SqliteStore) -> None:
    await store.decide(append)
    with store.snapshot() as view:
        before = view.log_size()
        await store.decide(append)
        assert view.log_size() == before
    with store.snapshot() as view:
        assert view.log_size() == before + 1


async def test_what_was_said_is_there_after_reopening(tmp_path: Path) -> None:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    await asyncio.gather(*(store.decide(append) for _ in range(10)))
    await store.close()
    again = SqliteStore(tmp_path / "gateway.db")
    with again.snapshot() as view:
        assert view.log_size() == 10
        assert view.chain(CHANNEL, DEVICE).number == 10
    await again.close()


async def test_a_second_gateway_on_the_same_folder_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(WrongStore, match="another gateway"):
        SqliteStore(tmp_path / "gateway.db")


async def test_a_wrong_path_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(WrongStore, match="no database"):
        SqliteStore(tmp_path / "wrong.db")
    assert not (tmp_path / "wrong.db").exists()


@pytest.mark.parametrize(
    ("pragma", "words"),
    [
        pytest.param("user_version = 99", "install the newer", id="a newer schema"),
        pytest.param("application_id = 7", "no database of this gateway", id="another program's file"),
    ],
)
async def test_a_foreign_or_newer_database_is_refused(tmp_path: Path, pragma: str, words: str) -> None:
    create(tmp_path / "gateway.db")
    db = connect(tmp_path / "gateway.db")
    db.execute(f"PRAGMA {pragma}")
    db.close()
    with pytest.raises(WrongStore, match=words):
        SqliteStore(tmp_path / "gateway.db")


async def test_create_never_touches_what_is_there(tmp_path: Path) -> None:
    create(tmp_path / "gateway.db")
    with pytest.raises(WrongStore, match="already"):
        create(tmp_path / "gateway.db")


async def test_at_leisure_all_is_written_back(tmp_path: Path) -> None:
    """To where pages have checksums, while the gateway goes on."""
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    written = sha256((tmp_path / "gateway.db").read_bytes())
    store.leisure = 0.01
    assert await store.decide(append) == 1
    await until(lambda: sha256((tmp_path / "gateway.db").read_bytes()).digest() != written.digest())
    assert await store.decide(append) == 2
    await store.close()


async def test_a_full_disk_refuses_the_batch_and_loses_nothing(store: SqliteStore) -> None:
    await store.decide(append)
    writer = store._writer  # SQLite's own bound stands in for a small disk: the same error, without root
    writer.pragma("max_page_count", writer.pragma("page_count"))

    def large(view: View) -> Outcome[int]:
        one = stored(view, bytes(40_000))
        return Outcome(
            one.seq, (PutStream(Stream(CHANNEL, StreamKind.CONTROL, one.seq, NOTHING)), Append([one], NOTHING))
        )

    with pytest.raises(DiskFull):
        await store.decide(large)
    with store.snapshot() as view:
        assert view.log_size() == 1
    writer.pragma("max_page_count", 1_000_000)
    assert await store.decide(large) == 2


def older(path: Path) -> None:
    """A database of the first schema, with a row."""
    db = connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    reserve_checksums(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(resources.files("gateway.store.schema").joinpath("1.sql").read_text())
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO charters VALUES (1, x'00')")
    db.close()


def laid_out(path: Path) -> list[tuple[str, ...]]:
    db = apsw.Connection(str(path))
    return sorted(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


async def test_an_older_schema_is_brought_up_when_asked_and_never_by_the_way(tmp_path: Path) -> None:
    path, fresh = tmp_path / "gateway.db", tmp_path / "fresh.db"
    older(path)
    before = laid_out(path)
    with pytest.raises(WrongStore, match="outrider-gateway migrate"):
        SqliteStore(path)
    assert laid_out(path) == before
    assert migrate(path) == (1, SCHEMA_VERSION)
    assert migrate(path) == (SCHEMA_VERSION, SCHEMA_VERSION)
    create(fresh)
    assert laid_out(path) == laid_out(fresh)
    store = SqliteStore(path)
    with store.snapshot() as view:
        assert view.charter_notes() == [b"\0"]
        assert view.ladder_next() is None
    with pytest.raises(WrongStore, match="another gateway is running"):
        migrate(path)
    await store.close()


def test_what_is_not_brought_up(tmp_path: Path) -> None:
    with pytest.raises(WrongStore, match="there is no database"):
        migrate(tmp_path / "none.db")
    path = tmp_path / "newer.db"
    create(path)
    connect(path).execute("PRAGMA user_version = 99")
    with pytest.raises(WrongStore, match="install the newer gateway"):
        migrate(path)
