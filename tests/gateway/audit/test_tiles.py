"""The log on disk, in real folders: what is written is read back, and a crash after any durable step costs nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.tiles import PASSING, FolderDiffers, LogFolder, NoLogFolder
from keys.tlog.checkpoint import Checkpoint, TreeHead, open_checkpoint
from keys.tlog.edge import Edge
from keys.tlog.errors import NotFound
from keys.tlog.reader import LogReader
from keys.tlog.tile import Bundle, Tile, bundles, tiles
from tests.keys.tlog.logs import LOG_KEYS, ORIGIN, entries, flip, sign

CONTENT = entries(1300)
STEPS = [0, 1, 3, 200, 256, 257, 300, 512, 700, 1300]
EMPTY = Edge().root


def grow(folder: LogFolder, edge: Edge, size: int) -> Edge:
    """One beat of the log, as the sequencer does it."""
    grown = folder.write(edge, CONTENT[edge.size : size])
    folder.read_back(edge, grown)
    folder.publish(sign(TreeHead(ORIGIN, grown.size, grown.root)))
    folder.sweep(edge.size, grown.size)
    return grown


def published(folder: LogFolder) -> Checkpoint:
    data = folder.checkpoint()
    assert data is not None
    return open_checkpoint(data, LOG_KEYS, ORIGIN)


def check_whole(path: Path, size: int) -> None:
    """Everything in the folder, as an auditor sees it."""

    def fetch(name: str) -> bytes:
        try:
            return (path / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(name) from error

    reader = LogReader(fetch, published(LogFolder(path)))
    assert [e for run in reader.entries() for e in run.entries] == CONTENT[:size]
    names = [file.relative_to(path).as_posix() for file in sorted((path / "tile").rglob("*")) if file.is_file()]
    assert reader.check_rest(names) == []


def made(path: Path, size: int) -> Edge:
    return grow(LogFolder.create(path), Edge(), size)


def test_growing_beat_by_beat(tmp_path: Path) -> None:
    folder, edge = LogFolder.create(tmp_path / "log"), Edge()
    for size in STEPS:
        edge = grow(folder, edge, size)
        assert LogFolder(tmp_path / "log").edge(size, edge.root) == edge
        check_whole(tmp_path / "log", size)
        for resource in (*tiles(size), *bundles(size)):
            assert folder.read(resource) == (tmp_path / "log" / resource.path).read_bytes()
    at_once = made(tmp_path / "other", 1300)
    assert at_once == edge


def test_no_log_is_born_by_looking(tmp_path: Path) -> None:
    with pytest.raises(NoLogFolder):
        LogFolder(tmp_path / "log")
    LogFolder.create(tmp_path / "log")
    with pytest.raises(FileExistsError):
        LogFolder.create(tmp_path / "log")
    assert LogFolder(tmp_path / "log").checkpoint() is None
    assert LogFolder(tmp_path / "log").edge(0, EMPTY) == Edge()


def test_partial_tiles_stay_until_the_full_one_is_there(tmp_path: Path) -> None:
    """A log serves the partial tiles of every size it signed for until then (tlog-tiles, "Partial Tiles")."""
    folder, edge = LogFolder.create(tmp_path), Edge()
    for size in (100, 200, 255):
        edge = grow(folder, edge, size)
    for width in (100, 200, 255):
        assert folder.read(Tile(0, 0, width))
        assert folder.read(Bundle(0, width))
    edge = grow(folder, edge, 300)
    assert not (tmp_path / "tile/0/000.p").exists()
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert folder.read(Tile(0, 1, 44))
    assert folder.read(Tile(1, 0, 1))


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    edge = made(tmp_path, 300)
    steps: list[str] = []
    folder = LogFolder(tmp_path, after=steps.append)
    assert folder.write(edge, []) == edge
    folder.read_back(edge, edge)
    assert steps == []


# ---------------------------------------------------------------- differences


@pytest.mark.parametrize("size", [1, 255, 257, 700])
def test_a_start_refuses_another_tree(tmp_path: Path, size: int) -> None:
    edge = made(tmp_path, size)
    with pytest.raises(FolderDiffers):
        LogFolder(tmp_path).edge(size, flip(edge.root, 0))
    with pytest.raises(FolderDiffers):
        LogFolder(tmp_path).edge(size + 1, edge.root)
    with pytest.raises(FolderDiffers):
        LogFolder(tmp_path).edge(size - 1, edge.root)


EDGE_FILES = ["tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"]


@pytest.mark.parametrize("name", EDGE_FILES)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda file: file.unlink(), id="missing"),
        pytest.param(lambda file: file.write_bytes(flip(file.read_bytes(), 40)), id="altered"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-1]), id="cut"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes() + b"\x00"), id="longer"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
    ],
)
def test_a_start_refuses_a_damaged_edge(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    edge = made(tmp_path, 700)
    change(tmp_path / name)
    with pytest.raises(FolderDiffers):
        LogFolder(tmp_path).edge(700, edge.root)


NEW_FILES = [
    "tile/entries/001",
    "tile/entries/002.p/188",
    "tile/0/001",
    "tile/0/002.p/188",
    "tile/1/000.p/2",
]


@pytest.mark.parametrize("name", NEW_FILES)
def test_what_flipped_on_the_way_to_the_disk_is_not_signed_for(tmp_path: Path, name: str) -> None:
    edge = made(tmp_path, 300)
    folder = LogFolder(tmp_path)
    grown = folder.write(edge, CONTENT[300:700])
    file = tmp_path / name
    for place in (0, 1, 5, 60, file.stat().st_size - 1):
        if place >= file.stat().st_size:
            continue
        good = file.read_bytes()
        file.write_bytes(flip(good, place))
        with pytest.raises(FolderDiffers):
            folder.read_back(edge, grown)
        file.write_bytes(good)
    folder.read_back(edge, grown)
    file.unlink()
    with pytest.raises(FolderDiffers):
        folder.read_back(edge, grown)


def test_entries_that_are_signed_for_are_not_written_again_altered(tmp_path: Path) -> None:
    edge = made(tmp_path, 300)
    file = tmp_path / "tile/entries/001.p/44"
    file.write_bytes(flip(file.read_bytes(), 10))
    with pytest.raises(FolderDiffers, match=r"tile/entries/001\.p/44"):
        LogFolder(tmp_path).write(edge, CONTENT[300:310])


# ---------------------------------------------------------------- faults


class Crash(Exception):
    """The process is gone."""


class CrashAt:
    """Ends the process after its n-th durable step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, _step: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


class FailingDisk:
    """fsync that fails the n-th time, having written or not."""

    def __init__(self, time: int, persisted: bool) -> None:
        self.left = time
        self.persisted = persisted

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left == 0:
            if self.persisted:
                os.fsync(descriptor)
            raise OSError(errno.EIO, "input/output error")


FROM, TO = 250, 600  # full bundles and tiles, partial ones, and new folders


def steps_of_a_beat(path: Path) -> list[str]:
    edge = made(path, FROM)
    steps: list[str] = []
    grow(LogFolder(path, after=steps.append), edge, TO)
    return steps


def recover(path: Path, old: Edge) -> None:
    """What a start does after a crash: takes the tree that was signed last, and goes on from it."""
    folder = LogFolder(path)
    head = published(folder).head
    edge = folder.edge(head.size, head.root)
    assert edge.size in (old.size, TO)
    check_published(path, edge.size)
    folder.sweep(0, edge.size)
    assert not list(path.rglob(f"{PASSING}*"))
    edge = grow(folder, edge, TO)
    assert (path / "checkpoint").read_bytes()
    grow(folder, edge, 1300)
    check_whole(path, 1300)


def check_published(path: Path, size: int) -> None:
    """Whatever else lies there, the published checkpoint's tree is whole."""
    folder = LogFolder(path)
    for resource in (*tiles(size), *bundles(size)):
        assert folder.read(resource)


def test_a_crash_after_every_durable_step(tmp_path: Path) -> None:
    steps = steps_of_a_beat(tmp_path / "counted")
    assert sum(step.startswith("wrote") for step in steps) == len([*tiles(TO, FROM), *bundles(TO, FROM)]) + 1
    for number, step in enumerate(steps, 1):
        path = tmp_path / str(number)
        old = made(path, FROM)
        with pytest.raises(Crash):
            grow(LogFolder(path, after=CrashAt(number)), old, TO)
        try:
            recover(path, old)
        except Exception as error:
            raise AssertionError(f"after a crash at step {number}: {step}") from error


@pytest.mark.parametrize("persisted", [pytest.param(False, id="failed"), pytest.param(True, id="failed but persisted")])
def test_every_failing_fsync_is_heard_and_survived(tmp_path: Path, persisted: bool) -> None:
    number = 0
    while True:
        number += 1
        path = tmp_path / str(number)
        old = made(path, FROM)
        disk = FailingDisk(number, persisted)
        try:
            grow(LogFolder(path, sync=disk), old, TO)
        except OSError:
            assert disk.left == 0
            recover(path, old)
        else:
            assert disk.left > 0
            break
    assert number > 20


def test_a_published_checkpoint_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    made(tmp_path, 3)
    before = (tmp_path / "checkpoint").read_bytes()
    with pytest.raises(Crash):
        LogFolder(tmp_path, after=CrashAt(1)).publish(b"new")
    assert (tmp_path / "checkpoint").read_bytes() == before
    with pytest.raises(Crash):
        LogFolder(tmp_path, after=CrashAt(2)).publish(b"new")
    assert (tmp_path / "checkpoint").read_bytes() == b"new"


def test_creating_a_log_is_durable(tmp_path: Path) -> None:
    synced: list[int] = []
    LogFolder.create(tmp_path / "deep" / "log", sync=lambda fd: synced.append(os.fstat(fd).st_ino))
    assert set(synced) == {p.stat().st_ino for p in (tmp_path / "deep/log", tmp_path / "deep", tmp_path)}


def test_all_is_durable_before_the_checkpoint_is(tmp_path: Path) -> None:
    """Each new file is synced, then its name, and the folders above it; only then the checkpoint is written."""
    edge = made(tmp_path, FROM)
    events: list[int | str] = []
    folder = LogFolder(tmp_path, sync=lambda fd: events.append(os.fstat(fd).st_ino), after=events.append)
    grow(folder, edge, TO)
    done = events.index(f"wrote {PASSING}checkpoint") - 1  # the sync of the checkpoint's own bytes comes before
    named = max(i for i, event in enumerate(events[:done]) if str(event).startswith("renamed"))
    for resource in (*tiles(TO, FROM), *bundles(TO, FROM)):
        file = tmp_path / resource.path
        assert file.stat().st_ino in events[:named]
        assert file.parent.stat().st_ino in events[named:done]
        for above in file.parent.relative_to(tmp_path / "tile").parents:
            assert (tmp_path / "tile" / above).stat().st_ino in events[:done]
    assert events[-2:] == [tmp_path.stat().st_ino, f"synced {tmp_path.name}/"]
    assert events[-3] == "renamed checkpoint"
