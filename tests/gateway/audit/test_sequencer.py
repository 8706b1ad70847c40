"""The sequencer: one order of durable steps, and whatever fails or dies at any of them leaves a log that goes on, whole."""

import asyncio
import errno
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.audit.batch import next_batch
from gateway.audit.floor import Floor, FloorFile
from gateway.audit.hashes import TileCache, TreeHashes
from gateway.audit.sequencer import BEAT, LogKeys, LogRefused, Sequencer, found_log
from gateway.audit.tiles import LogFolder
from gateway.store.base import Conflict
from keys.receipts import receipts_path
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.cosignature import MlDsa44Cosigner, verifier_of
from keys.tlog.edge import Edge
from keys.tlog.entry import decode_bundle
from keys.tlog.errors import NotFound
from keys.tlog.merkle import (
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
)
from keys.tlog.note import Ed25519Signer
from keys.tlog.reader import LogReader
from keys.tlog.tile import bundles
from tests.waiting import PATIENCE

ORIGIN = "log.test/meridian"
KEYS = LogKeys(ORIGIN, Ed25519Signer.from_seed(ORIGIN, b"e" * 32), MlDsa44Cosigner.from_seed(ORIGIN, b"m" * 32))
VERIFIERS = [verifier_of(KEYS.ed25519.verifier_key), verifier_of(KEYS.ml_dsa.verifier_key)]
NOW = 1_790_000_000_000


def now() -> int:
    return NOW


class Died(Exception):
    """The process ended here."""


class Database:
    """What the sequencer reads and writes of the store, in memory; it survives a `Died` as a database does."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.note: bytes | None = None
        self.size = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def accept(self, count: int) -> None:
        start = len(self.leaves)
        self.leaves += [b"entry %d " % n + bytes(n % 40) for n in range(start, start + count)]

    @contextmanager
    def snapshot(self) -> Iterator["Database"]:
        yield self

    def log_size(self) -> int:
        return len(self.leaves)

    def entries(self, first: int, limit: int) -> Sequence[bytes]:
        return self.leaves[first : first + limit]

    def checkpoint(self) -> bytes | None:
        return self.note

    def published_bodies(self, first: int, limit: int, most: int) -> Sequence[tuple[int, bytes]]:
        found = []
        for index in (n for n in range(first, min(first + limit, len(self.leaves))) if n % 100 == 0):
            if sum(len(body) for _, body in found) >= most:
                break
            found.append((index, body_of(index)))
        return found

    def receipt_bodies(self, first: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return [(n, b"receipt %d" % n) for n in range(first, min(first + limit, len(self.leaves))) if n % 7 == 3]

    async def swap_checkpoint(self, old_size: int, new_size: int, note: bytes) -> None:
        self.before()
        if old_size != self.size:
            raise Conflict("another size")
        self.size, self.note = new_size, note
        self.after()


def body_of(index: int) -> bytes:
    """The body published with every hundredth entry."""
    return b"body of entry %d" % index


class Place:
    """A log's folder, floor and database, and what to do at each fsync and step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database()

    async def found(self) -> None:
        await found_log(self.database, self.path / "log", self.path / "log.floor", KEYS, NOW)

    def open(self, sync: Callable[[int], None] = os.fsync, after: Callable[[int], None] = lambda _: None) -> Sequencer:
        folder = LogFolder(self.path / "log", sync)
        return Sequencer.open(self.database, folder, FloorFile(self.path / "log.floor", sync), KEYS, now, after)

    def check(self) -> None:
        """Read the whole log as an auditor does, against the published checkpoint, which the floor and database name too."""
        published = (self.path / "log" / "checkpoint").read_bytes()
        checkpoint = open_checkpoint(published, VERIFIERS, ORIGIN)
        assert published == self.database.note
        assert len(checkpoint.verified) == 2
        assert FloorFile(self.path / "log.floor").read() == Floor(checkpoint.size, checkpoint.root)
        reader = LogReader(self.fetch, checkpoint)
        found = [entry for run in reader.entries() for entry in run.entries]
        reader.check_tiles()
        assert found == self.database.leaves[: checkpoint.size]
        for index in range(0, checkpoint.size, 100):
            body = body_of(index)
            assert self.fetch(f"body/{sha256(body).hexdigest()}") == body
        for bundle in bundles(checkpoint.size):
            places = range(bundle.start, bundle.start + bundle.width)
            bodies = [b"receipt %d" % n if n % 7 == 3 else b"" for n in places]
            if any(bodies):
                assert decode_bundle(self.fetch(receipts_path(bundle)), bundle.width) == bodies

    def fetch(self, path: str) -> bytes:
        try:
            return (self.path / "log" / path).read_bytes()
        except FileNotFoundError:
            raise NotFound(path) from None


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    await place.found()
    return place


async def test_an_empty_log_opens(place: Place) -> None:
    sequencer = place.open()
    assert sequencer.head.size == 0
    assert not await sequencer.step()
    place.check()


async def test_each_step_grows_the_log_and_tells_those_who_wait(place: Place) -> None:
    sequencer = place.open()
    heads = []
    sequencer.listeners.append(lambda head: heads.append(head.size))
    for count in (1, 255, 1, 300, 5_000):
        place.database.accept(count)
        waiting = asyncio.create_task(sequencer.covered(len(place.database.leaves)))
        await asyncio.sleep(0)
        await sequencer.drain()
        await asyncio.wait_for(waiting, PATIENCE)
        place.check()
    assert heads == sorted(set(heads))
    assert heads[-1] == 5_557


async def test_founding_twice_is_refused(place: Place) -> None:
    with pytest.raises(FileExistsError):
        await place.found()


@pytest.mark.parametrize(
    ("first", "most", "entries", "bodies"),
    [
        pytest.param(0, 1_000, 250, [0, 100, 200], id="all that is there"),
        pytest.param(0, 1, 1, [0], id="no more bodies than a step can hold"),
        pytest.param(1, 1, 100, [100], id="up to the body that is the last"),
        pytest.param(201, 1, 49, [], id="no bodies"),
    ],
)
def test_what_one_step_takes(first: int, most: int, entries: int, bodies: list[int]) -> None:
    database = Database()
    database.accept(250)
    assert next_batch(database, first, most) == (
        database.leaves[first : first + entries],
        [body_of(index) for index in bodies],
    )


class Fault:
    """Fails at the nth durable moment: before it is done (`fsync` raises), or after (the process dies just then)."""

    def __init__(self, at: int, *, persisted: bool) -> None:
        self.at = at
        self.persisted = persisted
        self.count = 0

    def sync(self, descriptor: int) -> None:
        self.count += 1
        if self.count == self.at and not self.persisted:
            raise OSError(errno.EIO, "fsync failed")
        os.fsync(descriptor)
        if self.count == self.at:
            raise Died

    def moment(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise Died if self.persisted else OSError(errno.EIO, "write failed")


FAULTS = 70
"""More than there are durable moments in the steps below; the test says so if there come to be more."""


@pytest.mark.parametrize("persisted", [pytest.param(False, id="failed"), pytest.param(True, id="failed but persisted")])
@pytest.mark.parametrize("before", [pytest.param(0, id="empty log"), pytest.param(255, id="tile about to fill")])
async def test_a_fault_at_every_durable_step_is_recovered_from(tmp_path: Path, before: int, persisted: bool) -> None:
    seen = 0
    for at in range(1, FAULTS):
        path = tmp_path / str(at)
        path.mkdir()
        place = Place(path)
        await place.found()
        place.database.accept(before)
        await place.open().drain()
        fault = Fault(at, persisted=persisted)
        sequencer = place.open()
        sequencer = _faulty(place, sequencer, fault)
        place.database.accept(300)
        try:
            await sequencer.drain()
        except (OSError, Died):
            seen += 1
        else:
            break  # there is no such moment any more
        place.database.before = place.database.after = lambda: None
        place.database.accept(7)  # the gateway starts anew, and more has come meanwhile
        again = place.open()
        await again.drain()
        assert again.head.size == before + 307, f"fault {at}"
        place.check()
    assert 10 < seen < FAULTS - 1


def _faulty(place: Place, sequencer: Sequencer, fault: Fault) -> Sequencer:
    """The same sequencer over a disk and a database that fail."""
    folder = LogFolder(place.path / "log", fault.sync)
    place.database.before = fault.moment if not fault.persisted else lambda: None
    place.database.after = fault.moment if fault.persisted else lambda: None
    floor = FloorFile(place.path / "log.floor", fault.sync)
    return Sequencer(place.database, folder, floor, KEYS, sequencer.head, now)


@pytest.mark.parametrize("step", range(1, 7))
async def test_dying_after_each_named_step_is_recovered_from(place: Place, step: int) -> None:
    def die(done: int) -> None:
        if done == step:
            raise Died

    place.database.accept(700)
    with pytest.raises(Died):
        await place.open(after=die).drain()
    place.database.accept(1)
    again = place.open()
    await again.drain()
    assert again.head.size == 701
    place.check()


async def test_a_full_disk_is_waited_out_in_the_same_process(place: Place) -> None:
    fail = [True]

    def sync(descriptor: int) -> None:
        if fail[0]:
            raise OSError(errno.ENOSPC, "full")
        os.fsync(descriptor)

    sequencer = place.open()
    sequencer._folder = LogFolder(place.path / "log", sync)
    place.database.accept(10)
    with pytest.raises(OSError, match="full"):
        await sequencer.step()
    fail[0] = False
    await sequencer.drain()
    place.check()


# ---------------------------------------------------------------------- what must stop the start


async def _grown(place: Place, *counts: int) -> None:
    for count in counts:
        place.database.accept(count)
        await place.open().drain()


async def test_a_database_rolled_back_is_refused(place: Place) -> None:
    await _grown(place, 10)
    old = (list(place.database.leaves), place.database.note, place.database.size)
    await _grown(place, 10)
    place.database.leaves, place.database.note, place.database.size = old
    with pytest.raises(LogRefused, match="ROLLBACK"):
        place.open()


async def test_a_folder_and_database_rolled_back_together_are_refused_by_the_floor(place: Place) -> None:
    await _grown(place, 10)
    note = (place.path / "log" / "checkpoint").read_bytes()
    old = (list(place.database.leaves), place.database.note, place.database.size)
    await _grown(place, 10)
    place.database.leaves, place.database.note, place.database.size = old
    (place.path / "log" / "checkpoint").write_bytes(note)
    with pytest.raises(LogRefused, match="ROLLBACK: the floor"):
        place.open()


async def test_another_history_of_the_same_length_is_refused(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await _grown(place, 10)
    other = Place(tmp_path_factory.mktemp("other"))
    await other.found()
    other.database.leaves = [b"other"] * 11
    await other.open().drain()
    (other.path / "log.floor").write_bytes((place.path / "log.floor").read_bytes())
    with pytest.raises(LogRefused, match="FORK"):
        other.open()


async def test_entries_lost_from_the_database_are_refused(place: Place) -> None:
    await _grown(place, 10)
    place.database.leaves.pop()
    with pytest.raises(LogRefused, match="rolled back"):
        place.open()


async def test_entries_changed_in_the_database_are_refused(place: Place) -> None:
    await _grown(place, 10)
    place.database.leaves[4] = b"changed"
    with pytest.raises(LogRefused, match="last entries"):
        place.open()


async def test_a_changed_tile_is_refused(place: Place) -> None:
    await _grown(place, 300)
    tile = place.path / "log" / "tile" / "0" / "001.p" / "44"
    tile.write_bytes(bytes(len(tile.read_bytes())))
    with pytest.raises(LogRefused, match="folder"):
        place.open()


async def test_a_checkpoint_of_another_key_is_refused(place: Place) -> None:
    await _grown(place, 3)
    other = LogKeys(ORIGIN, Ed25519Signer.from_seed(ORIGIN, b"x" * 32), MlDsa44Cosigner.from_seed(ORIGIN, b"y" * 32))
    edge, _ = Edge().extend(leaf_hashes(place.database.leaves))
    place.database.note = other.sign(edge, NOW).note
    with pytest.raises(LogRefused, match="keys have not signed"):
        place.open()


async def test_a_floor_that_is_gone_is_refused(place: Place) -> None:
    (place.path / "log.floor").unlink()
    with pytest.raises(LogRefused):
        place.open()


async def test_no_checkpoint_in_the_database_is_refused(place: Place) -> None:
    place.database.note = None
    with pytest.raises(LogRefused, match="init"):
        place.open()


# ---------------------------------------------------------------------- hashes for proofs


async def test_proofs_come_from_tiles_and_edge(place: Place) -> None:
    await _grown(place, 70_000)
    sequencer = place.open()
    hashes = sequencer.hashes()
    root, size = sequencer.head.edge.root, sequencer.head.size
    chance = random.Random(7)
    for index in [0, 255, 256, 65_535, 65_536, size - 1, *(chance.randrange(size) for _ in range(50))]:
        proof = inclusion_proof(index, size, hashes.hash_at)
        check_inclusion(leaf_hash(place.database.leaves[index]), index, size, proof, root)
    for old in [1, 255, 256, 257, 65_536, size - 1, *(chance.randrange(1, size) for _ in range(20))]:
        proof = consistency_proof(old, size, hashes.hash_at)
        check_consistency(old, hashes.root(old), size, root, proof)


async def test_few_tiles_are_kept(place: Place) -> None:
    await _grown(place, 3_000)
    edge = place.open().head.edge
    cache = TileCache(LogFolder(place.path / "log"), limit=2)
    hashes = TreeHashes(edge, cache)
    assert hashes.root(3_000) == edge.root
    assert hashes.root(2_999) != edge.root
    assert len(cache._kept) <= 2


async def test_the_beat_makes_few_checkpoints_of_a_burst(place: Place) -> None:
    sequencer = place.open()
    heads = []
    sequencer.listeners.append(heads.append)
    loop = asyncio.get_running_loop()
    begun, beat = loop.time(), asyncio.create_task(sequencer.run())
    for _ in range(40):
        place.database.accept(5)
        sequencer.wake()
        await asyncio.sleep(0.01)
    await asyncio.wait_for(sequencer.covered(200), PATIENCE)
    beat.cancel()
    assert 1 <= len(heads) <= 2 + (loop.time() - begun) / BEAT, "one at once, and then one a beat"
    place.check()
