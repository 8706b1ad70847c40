"""Gateway databases for tests that need more than `create`: over another VFS, or with the rows of one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw

from gateway.store.database import CHECKSUMS, connect, create


@contextmanager
def over(vfs: str) -> Iterator[None]:
    """Databases that are opened meanwhile lie on that VFS, the checksums above it."""
    before = apsw.vfs_names()[0]
    apsw.set_default_vfs(vfs)
    _forget()
    try:
        yield
    finally:
        apsw.set_default_vfs(before)
        _forget()


def _forget() -> None:
    """The checksum VFS stands on what was the default when it was first asked for; the next asks anew."""
    if CHECKSUMS in apsw.vfs_names():
        apsw.unregister_vfs(CHECKSUMS)


def place(image: bytes, path: Path) -> None:
    """A gateway's database at that path, with the rows of one in memory."""
    memory = apsw.Connection(":memory:")
    memory.deserialize("main", image)
    create(path)
    with closing(connect(path)) as db, db:
        for (table,) in memory.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in memory.execute(f"SELECT * FROM {table}"):
                db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def file_of(image: bytes) -> bytes:
    """The bytes of such a database."""
    with TemporaryDirectory() as folder:
        place(image, Path(folder, "gateway.db"))
        return Path(folder, "gateway.db").read_bytes()
