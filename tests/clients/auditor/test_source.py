"""A folder as a source: gives what the log has, opens nothing else."""

from pathlib import Path

import pytest

from clients.auditor.source import FolderSource
from keys.tlog.errors import NotFound
from keys.tlog.reader import LogReader
from tests.keys.tlog.logs import build, entries

LOG = build(entries(300))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, data in LOG.files.items():
        (tmp_path / "log" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "log" / path).write_bytes(data)
    (tmp_path / "secret").write_bytes(b"not the log's")
    return tmp_path / "log"


def test_what_is_stored(folder: Path) -> None:
    source = FolderSource(folder)
    assert {path: source.fetch(path) for path in (*source.paths(), "checkpoint")} == LOG.files
    reader = LogReader(source.fetch, LOG.checkpoint)
    assert [e for run in reader.entries() for e in run.entries] == entries(300)
    assert reader.check_rest(source.paths()) == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "tile",
        "tile/0",
        "../secret",
        "tile/0/../../../secret",
        "/etc/passwd",
        "tile/0/009",
        "tile/0/000/x",
        "body/00",
    ],
)
def test_nothing_else(folder: Path, path: str) -> None:
    with pytest.raises(NotFound):
        FolderSource(folder).fetch(path)


def test_no_folder_at_all(tmp_path: Path) -> None:
    source = FolderSource(tmp_path / "gone")
    assert list(source.paths()) == []
    with pytest.raises(NotFound):
        source.fetch("checkpoint")
