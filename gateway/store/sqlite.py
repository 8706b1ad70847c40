"""The embedded store: SQLite in WAL mode with one writer thread that commits in groups.

What arrives while one transaction is being synced runs in the next, so nobody waits longer than for the disk, and a thousand
envelopes may share one fsync. `synchronous` is EXTRA before the switch to WAL and stays so: with less, the unlinking of the
rollback journal may be lost in a power cut and roll the new database back; and FULL alone has lost rows on strict file systems.

A crash before COMMIT returns leaves the batch unsaid and undone; after it, done and perhaps unsaid, and the same requests get
the same answers again. An I/O error from the disk stops the store for good: what it holds may not be what it wrote. That goes for the
WAL's way back into the database too, which is gone here and not within COMMIT: SQLite would keep its errors to itself.

A full disk refuses what is asked, and gives up its reserve for what is urgent (`gateway.store.reserve`). Nothing else is taken until
the reserve can be had again; that is tried with each batch.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import apsw

from gateway.core import limits
from gateway.core.effects import Append, Outcome
from gateway.core.rows import Stored
from gateway.core.view import View
from gateway.store.base import Broken, Conflict, Decision, DiskFull, Settle, T, Urgent, Watcher, WrongStore
from gateway.store.database import SCHEMA_VERSION, connect, damaged, existing, hold, rotten, version_of, whole
from gateway.store.helpers import Helpers
from gateway.store.reserve import Reserve
from gateway.store.rows import Parsed, SqliteView
from gateway.store.writer import WriterView

WAL_PAGES: Final = 4_000  # after which the WAL is written back into the database
LEISURE: Final = 60.0  # s without a decision after which it is too: pages have checksums there


@dataclass(slots=True)
class _Job:
    """A decision waiting for its transaction, and who waits for the answer."""

    decision: Decision[Any]
    settle: Settle[Any]
    urgent: Urgent = None
    ahead: Callable[[], None] | None = None
    begun: bool = False
    answer: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Handful:
    """What one turn of the event loop has asked for. The writer is woken once for all of it."""

    jobs: list[_Job] = field(default_factory=list)
    patient: list[_Job] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """What one transaction has done, on its way to those who wait."""

    jobs: list[_Job] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)


class SqliteStore:
    """`base.Store`. Open it inside the event loop that will use it."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._lock = hold(path)
        self._reserve = Reserve(path.with_suffix(".reserve"))
        try:
            self._writer = self._open_at_all(path)
        except BaseException:
            self._lock.close()
            raise
        self._path = path
        self.wal_pages = WAL_PAGES
        self.leisure = LEISURE
        self._pages = 0  # in the WAL
        self._full = False
        self._writer.set_wal_hook(self._committed)
        self._parsed = Parsed()
        self._readers: list[apsw.Connection] = []
        self._watchers: list[Watcher] = []
        self._asked: _Handful | None = None
        self._handed: queue.SimpleQueue[_Handful | None] = queue.SimpleQueue()  # None: that was the last
        self._jobs: deque[_Job] = deque()
        self._patient: deque[_Job] = deque()
        self._helpers = Helpers()
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def _open_at_all(self, path: Path) -> apsw.Connection:
        """Also where the disk is full: opening takes a little room."""
        try:
            return self._open(path)
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError):
            if not self._reserve.give_up():
                raise
            return self._open(path)

    def _open(self, path: Path) -> apsw.Connection:
        db = existing(path)
        version = version_of(path, db)
        if version < SCHEMA_VERSION:
            db.close()
            raise WrongStore(
                f"{path} has schema {version} and this gateway needs {SCHEMA_VERSION}: back the folder up, then"
                " `outrider-gateway migrate`; no older gateway opens it afterwards"
            )
        db.execute("PRAGMA wal_autocheckpoint = 0")  # `_write_back`
        db.execute("PRAGMA cache_size = -65536")
        return db

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    @property
    def full(self) -> bool:
        """The disk is full: only what is urgent is taken. From any thread."""
        return self._full and not self._reserve.has_room()

    async def decide(self, decision: Decision[T], *, patient: bool = False, urgent: Urgent = None) -> T:
        done: asyncio.Future[T] = self._loop.create_future()

        def settle(answer: T | None, error: BaseException | None) -> None:
            if done.done():
                return  # nobody waits any more
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast(T, answer))

        self.submit(decision, settle, patient=patient, urgent=urgent)
        return await done

    def submit(
        self,
        decision: Decision[T],
        settle: Settle[T],
        *,
        patient: bool = False,
        urgent: Urgent = None,
        ahead: Callable[[], None] | None = None,
    ) -> None:
        if self._broken is not None:
            raise _failed(self._broken)
        if self._asked is None:
            self._asked = _Handful()
            self._loop.call_soon(self._hand_over)
        (self._asked.patient if patient else self._asked.jobs).append(_Job(decision, settle, urgent, ahead))

    def _hand_over(self) -> None:
        if self._asked is not None:
            self._handed.put(self._asked)
            self._helpers.offer(self._asked.jobs)
            self._helpers.offer(self._asked.patient)
            self._asked = None

    async def swap_checkpoint(self, old_size: int, new_size: int, note: bytes) -> None:
        def swap() -> None:
            held = self._writer.execute("SELECT size FROM checkpoint").fetchone()
            if (held[0] if held else 0) != old_size:
                raise Conflict(f"the checkpoint is of size {held}, not {old_size}")
            self._writer.execute(
                "INSERT INTO checkpoint VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size, note = excluded.note",
                (new_size, note),
            )

        await self._in_writer(swap)

    async def _in_writer(self, change: Callable[[], None]) -> None:
        """Run a change of the store's own in the next transaction."""

        def decision(_: View) -> Outcome[None]:
            change()
            return Outcome(None)

        await self.decide(decision)

    @contextmanager
    def snapshot(self) -> Iterator[SqliteView]:
        try:
            db = self._readers.pop()  # also in other threads than the loop's
        except IndexError:
            db = self._open_reader()
        db.execute("BEGIN")  # a read transaction: one state from the first look-up to the last
        try:
            with whole():
                yield SqliteView(db, self._parsed)
        finally:
            if db.in_transaction:  # SQLite ends it by itself where a page can't be read
                db.execute("COMMIT")
            self._readers.append(db)

    def _open_reader(self) -> apsw.Connection:
        db = connect(self._path, apsw.SQLITE_OPEN_READONLY)
        db.execute("PRAGMA cache_size = -16384")
        return db

    async def close(self) -> None:
        self._hand_over()
        self._handed.put(None)
        await asyncio.to_thread(self._thread.join)
        self._helpers.close()
        for reader in self._readers:
            reader.close()
        if self._broken is not None:  # nothing more is written, the WAL's way back into the database neither
            self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._writer.close()
        self._lock.close()

    # --- the writer thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        view = WriterView(self._writer, self._parsed)
        ending = False
        while not ending or self._jobs or self._patient:
            jobs, ending = self._gather(ending)
            if not jobs:
                continue
            self._full = not self._reserve.take()
            if self._full:
                self._spare(view, jobs)
            else:
                self._transact(view, jobs)
            self._write_back(1 if self._full else self.wal_pages)

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _write_back(self, pages: int) -> None:
        """Bring a WAL of so many pages into the database; those who asked have been told before. A crash here loses nothing: the WAL has
        it all."""
        if self._broken is not None or self._pages < pages:
            return
        try:
            there, done = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._pages = there - done  # some stay where somebody reads an older state
        except (apsw.FullError, apsw.BusyError, apsw.LockedError):
            return  # the next time
        except apsw.Error as error:
            self._broken = error  # said to the next who asks

    def _spare(self, view: WriterView, jobs: Sequence[_Job]) -> None:
        """While the disk is full: what is urgent alone, each by itself, so that it is known whose share it uses up."""
        for job in jobs:
            if job.urgent is None or not self._reserve.allows(job.urgent):
                job.error = DiskFull("the gateway's disk is full")
                self._loop.call_soon_threadsafe(self._settle, _Batch([job]))
            else:
                job.error = None
                before = self._size()
                self._transact(view, [job])
                self._reserve.charge(job.urgent, self._size() - before)

    def _size(self) -> int:
        """Bytes of the database, with what of it is in the WAL yet."""
        try:
            return int(self._writer.pragma("page_count")) * int(self._writer.pragma("page_size"))
        except apsw.Error as error:
            self._broken = error  # said to the next who asks
            return 0

    def _rest(self) -> float | None:
        """How long to wait for more before the WAL is written back; None: it has nothing."""
        return self.leisure if self._pages else None

    def _gather(self, ending: bool) -> tuple[list[_Job], bool]:
        """The next batch: what has come in, up to its bound, and a few of the patient. Waits only where nothing is to be done."""
        wait = not (self._jobs or self._patient)
        while len(self._jobs) < limits.BATCH and not ending:
            try:
                handful = self._handed.get(wait, self._rest() if wait else None)
            except queue.Empty:
                if not wait:
                    break
                self._write_back(1)
                continue
            wait = False
            if handful is None:
                ending = True
            else:
                self._jobs += handful.jobs
                self._patient += handful.patient
        jobs = [self._jobs.popleft() for _ in range(min(limits.BATCH, len(self._jobs)))]
        jobs += [self._patient.popleft() for _ in range(min(limits.PATIENT, len(self._patient)))]
        return jobs, ending

    def _transact(self, view: WriterView, jobs: Sequence[_Job]) -> None:
        batch = _Batch(list(jobs))
        try:
            if (
                self._broken is not None
            ):  # what came in before it was known: after a failed write nothing is said any more
                raise self._broken
            self._writer.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._decide(view, job, batch)
            view.settle()
            self._writer.execute("COMMIT")  # returns after the fsync: before it nothing below is said
        except apsw.FullError:
            self._give_up(view, batch, DiskFull("the gateway's disk is full"))
            if self._broken is None and self._reserve.held and self._reserve.give_up():
                self._full = True
                self._spare(view, jobs)
                return
        except Exception as error:
            said = _of_one(error)
            if said is None:
                self._broken = error
            self._give_up(view, batch, said or _failed(error))
            if self._broken is None and len(jobs) > 1:  # only its own caller is to suffer for it
                for job in jobs:
                    job.error = None
                    self._transact(view, [job])
                return
        self._loop.call_soon_threadsafe(self._settle, batch)

    def _decide(self, view: WriterView, job: _Job, batch: _Batch) -> None:
        job.begun = True
        try:
            outcome = job.decision(view)
        except apsw.Error:
            raise
        except Exception as error:  # Refused, or a fault of ours: its own caller hears it, the others don't
            job.error = error
            return
        for effect in outcome.effects:
            view.apply(effect)
            if type(effect) is Append:
                batch.stored += effect.run
        job.answer = outcome.answer

    def _give_up(self, view: WriterView, batch: _Batch, error: BaseException) -> None:
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except apsw.Error as failed:
                self._broken = failed
        view.forget()
        batch.stored.clear()
        for job in batch.jobs:
            job.error = error

    def _settle(self, batch: _Batch) -> None:
        """In the event loop: those who watch first, then those who wait."""
        if batch.stored:
            for watcher in self._watchers:
                watcher(batch.stored)
        for job in batch.jobs:
            try:
                job.settle(None if job.error else job.answer, job.error)
            except Exception as error:  # a fault of who asked: the others are told all the same
                self._loop.call_exception_handler({"message": "an answer was not taken", "exception": error})


def _failed(error: BaseException) -> Broken:
    return Broken(f"the database failed: {error}")


def _of_one(error: Exception) -> Exception | None:
    """What is amiss with one decision alone, as its caller hears it: it is wrong (a fault of ours), or needs a page that has rotted."""
    if isinstance(error, apsw.ConstraintError):
        return error
    return damaged(error) if isinstance(error, apsw.IOError) and rotten(error) else None
