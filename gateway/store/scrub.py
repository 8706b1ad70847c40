"""Everything in the database read once more, a part at a time: who reads seldom finds a page that rots only when nothing is left
to mend it from. Each part gives what is wrong with it, in a line for the operator; so a gateway can go over its disk slowly while it
runs, and `outrider-gateway doctor` at once.

    pages     each against its checksum, the free ones too
    bodies    each against its hash, those that lie apart too
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

import apsw

from gateway.store.base import Damaged
from gateway.store.database import PAGE, connect, holds, whole
from gateway.store.rows import Parsed, SqliteView

PAGES: Final = 128  # in a part: so few that nobody waits for the interpreter
ENTRIES: Final = 256
APART: Final = 64

Part = Sequence[str]
"""What is wrong with a part."""


class Reader:
    """`base.Store.snapshot` by itself: beside a gateway that runs, or without one."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path, apsw.SQLITE_OPEN_READONLY)
        self._parsed = Parsed()

    @contextmanager
    def snapshot(self) -> Iterator[SqliteView]:
        """A consistent, durable state to read from; one at a time."""
        self._db.execute("BEGIN")
        try:
            with whole():
                yield SqliteView(self._db, self._parsed)
        finally:
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


def pages(path: Path) -> Iterator[Part]:
    """The file as it lies there. What is only in the WAL yet is no part of it."""
    with (
        closing(connect(path, apsw.SQLITE_OPEN_READONLY)),
        closing(apsw.Connection(":memory:")) as sums,
        path.open("rb") as file,
    ):
        for first in count(0, PAGES):
            end = -(-os.fstat(file.fileno()).st_size // PAGE)
            if first >= end:
                return
            # One that is being written this moment is looked at again.
            yield [
                f"{path.name}: page {n + 1} is not what was written"
                for n in range(first, min(first + PAGES, end))
                if not holds(_page(file, n), sums) and not holds(_page(file, n), sums)
            ]


def _page(file: BinaryIO, number: int) -> bytes:
    try:
        return os.pread(file.fileno(), PAGE, number * PAGE)
    except OSError:
        return b""  # of which no checksum holds


def bodies(reader: Reader) -> Iterator[Part]:
    """What envelopes carry, then what lies apart for being long."""
    first, end = 0, 1
    while first < end:
        found: list[str] = []
        try:
            with reader.snapshot() as view:
                end = view.log_size()
                for index, digest, body in view.bodies_kept(first, ENTRIES):
                    if sha256(body).digest() != digest:
                        found.append(f"the body of entry {index} is not what was stored")
        except Damaged as error:
            found.append(f"bodies of entries {first} to {first + ENTRIES - 1}: {error}")
        yield found
        first += ENTRIES
    yield from _apart(reader)


def _apart(reader: Reader) -> Iterator[Part]:
    after: bytes | None = b""
    while after is not None:
        found: list[str] = []
        try:
            with reader.snapshot() as view:
                kept = view.blobs_kept(after, APART)
                after = kept[-1] if kept else None
                found += [
                    f"the body {d.hex()} is not what was stored" for d in kept if sha256(view.partial(d)).digest() != d
                ]
        except Damaged as error:
            found.append(f"bodies that lie apart: {error}")
            after = None  # the page that can't be read is named among the pages
        yield found
