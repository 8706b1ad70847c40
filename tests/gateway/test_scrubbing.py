"""Everything is read once more: one flipped bit names one place, wherever it is, and what is whole is never named."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from gateway.audit.floor import FloorFile
from gateway.audit.sequencer import Sequencer, found_log
from gateway.audit.tiles import LogFolder
from gateway.main import main
from gateway.scrubbing import Scrubbing, everything
from gateway.store.database import connect, create, hold
from gateway.store.scrub import Reader
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from keys.tlog.edge import Edge
from tests.crash.images import DATABASE, ask, place
from tests.crash.log_images import FLOOR, KEYS, LOG, NOW, filling, now
from tests.crash.rot import flipped
from tests.crash.workload import DEVICES, STREAMS, envelope
from tests.gateway.web.live import founded

PAGE = 4_096


async def grow(folder: Path) -> None:
    """A log over the edge of its second full tile, with receipts, published bodies and a body that lies apart."""
    create(folder / DATABASE)
    store = SqliteStore(folder / DATABASE)
    await found_log(store, folder / LOG, folder / FLOOR, KEYS, NOW)
    kinds = (Kind.RECEIPT, Kind.COMMIT, Kind.APPLICATION)
    await ask(store, [envelope(STREAMS[1], DEVICES[1], kind, b"%d" % kind, bytes(16)) for kind in kinds])
    await ask(store, [envelope(STREAMS[1], DEVICES[1], Kind.APPLICATION, bytes(9_000), bytes(16))])
    await ask(store, filling(520))
    sequencer = Sequencer.open(store, LogFolder(folder / LOG), FloorFile(folder / FLOOR), KEYS, now)
    await sequencer.drain()
    await store.close()


@pytest.fixture(scope="module")
def whole() -> Iterator[Path]:
    with place() as folder:
        asyncio.run(grow(folder))
        yield folder


@pytest.fixture
def copy(whole: Path) -> Iterator[Path]:
    with place() as folder:
        shutil.copytree(whole, folder / "g")
        yield folder / "g"


def signed(folder: Path) -> Edge:
    with closing(Reader(folder / DATABASE)) as reader, reader.snapshot() as view:
        note = view.checkpoint()
    assert note is not None
    head = KEYS.open(note)
    return Edge(head.size, ()) if not head.size else LogFolder(folder / LOG).edge(head.size, head.root)


def findings(folder: Path, edge: Edge) -> list[str]:
    with closing(Reader(folder / DATABASE)) as reader:
        parts = everything(folder / DATABASE, reader, LogFolder(folder / LOG), edge.size, edge.root)
        return [line for part in parts for line in part]


def test_what_is_whole_has_no_finding(whole: Path) -> None:
    assert findings(whole, signed(whole)) == []


def test_attack_81_a_bit_in_each_file_of_the_log_names_that_file_and_no_other(copy: Path) -> None:
    edge, chance = signed(copy), Random(1)
    files = [
        path for path in (copy / LOG).rglob("*") if path.is_file() and path.name not in ("checkpoint", "witnessed")
    ]
    assert {path.relative_to(copy / LOG).parts[0] for path in files} == {"tile", "receipts", "body"}
    for path in files:
        data = path.read_bytes()
        path.write_bytes(flipped(data, chance.randrange(8 * len(data))))
        name = path.relative_to(copy).as_posix()
        assert findings(copy, edge) == [f"{name}: not what was written"], name
        path.unlink()
        assert findings(copy, edge) == [f"{name}: not what was written"], name
        path.write_bytes(data)


def test_attack_81_a_bit_in_any_page_names_that_page(copy: Path) -> None:
    edge, chance = signed(copy), Random(2)
    data = (copy / DATABASE).read_bytes()
    pages = len(data) // PAGE
    for number in chance.sample(range(2, pages + 1), 12):
        (copy / DATABASE).write_bytes(flipped(data, 8 * PAGE * (number - 1) + chance.randrange(8 * PAGE)))
        found = findings(copy, edge)
        assert found[0] == f"{DATABASE}: page {number} is not what was written"
        assert not [line for line in found if "page" in line and f"page {number} " not in line and "a page" not in line]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param("UPDATE envelopes SET body = x'00' WHERE idx = 2", "the body of entry 2 is not", id="a body"),
        pytest.param(
            "UPDATE pieces SET data = x'00' WHERE start = 0", "is not what was stored", id="a body that lies apart"
        ),
        pytest.param(
            "UPDATE envelopes SET time = time + 1 WHERE idx = 300", "database's entries 256 to 511", id="an entry"
        ),
        pytest.param("DELETE FROM envelopes WHERE idx = 5", "database's entries 0 to 255", id="an entry that is gone"),
    ],
)
def test_a_row_that_was_wrong_before_it_was_written(copy: Path, change: str, says: str) -> None:
    edge = signed(copy)
    with closing(connect(copy / DATABASE)) as db:
        db.execute(change)
    (found,) = findings(copy, edge)
    assert says in found


async def test_a_log_that_grows_meanwhile_is_whole(copy: Path) -> None:
    """Its partial tiles and bundles have gone once the full ones are there."""
    edge = signed(copy)
    store = SqliteStore(copy / DATABASE)
    sequencer = Sequencer.open(store, LogFolder(copy / LOG), FloorFile(copy / FLOOR), KEYS, now)
    scrubbing = Scrubbing(copy / DATABASE, LogFolder(copy / LOG), lambda: edge)
    scrubbing.pause = 0.0
    reading = asyncio.create_task(scrubbing.read())
    for _ in range(3):
        await ask(store, filling(300))
        await sequencer.drain()
        await asyncio.sleep(0)
    assert await reading == 0
    assert await scrubbing.read() == 0
    await store.close()
    assert scrubbing.remarks() == []


def test_the_operators_verb(tmp_path: Path) -> None:
    founded(tmp_path / "gateway")
    words = ["doctor", "--config", str(tmp_path / "gateway" / "gateway.toml")]
    sound = CliRunner().invoke(main, words)
    assert (sound.exit_code, sound.stdout.split(":")[0]) == (0, "sound")
    with hold(tmp_path / "gateway" / "gateway.db"):  # as a gateway that runs does
        assert CliRunner().invoke(main, words).exit_code == 0
    path = tmp_path / "gateway" / "log" / "tile" / "entries" / "000.p"
    (bundle,) = path.iterdir()
    bundle.write_bytes(flipped(bundle.read_bytes(), 77))
    rotted = CliRunner().invoke(main, [*words, "--json"])
    assert rotted.exit_code == 1
    assert f"log/tile/entries/000.p/{bundle.name}: not what was written" in rotted.stdout
    database = tmp_path / "gateway" / "gateway.db"
    database.write_bytes(flipped(database.read_bytes(), 8 * 20))
    beyond = CliRunner().invoke(main, words)
    assert beyond.exit_code == 1
    assert "page 1 is not what was written" in beyond.stdout
