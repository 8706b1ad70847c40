"""The floor: a size and root that the log never goes below, in a file apart from the database.

A database restored from a backup, or put in the place of ours, would let the gateway sign a second history. It shows when
the gateway starts: the database's checkpoint is smaller than the floor, or does not contain it. So this file belongs in no
backup of the database; and where the folder was restored as a whole, only a witness or an auditor's own head can tell.

One line: size, root in base64.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keys.tlog.merkle import EMPTY_ROOT, HASH_SIZE


class FloorRefused(Exception):
    """The file is absent or not readable as a floor: nobody knows how far the log had come."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A tree head that has been signed and may have been shown."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class FloorFile:
    """Where the floor is kept. `sync` is there to be failed."""

    def __init__(self, path: Path, sync: Callable[[int], None] = os.fsync) -> None:
        self._path = path
        self._sync = sync

    def create(self) -> None:
        """An empty log's floor; raises FileExistsError."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.close(descriptor)
        self.write(Floor())

    def read(self) -> Floor:
        """Raises FloorRefused."""
        try:
            line = self._path.read_bytes()
            size, root = line.decode("ascii").removesuffix("\n").split(" ")
            floor = Floor(int(size), b64decode(root, validate=True))
        except (OSError, ValueError) as error:
            raise FloorRefused(f"{self._path}: {error}") from None
        if len(floor.root) != HASH_SIZE or _line(floor) != line:
            raise FloorRefused(f"{self._path}: not a size and a root")
        return floor

    def write(self, floor: Floor) -> None:
        """Durable once it returns. A crash within leaves the floor before, which is lower: it holds as well."""
        passing = self._path.with_name(f".new-{self._path.name}")
        with passing.open("wb") as file:
            file.write(_line(floor))
            file.flush()
            self._sync(file.fileno())
        passing.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(folder)
        finally:
            os.close(folder)


def _line(floor: Floor) -> bytes:
    return f"{floor.size} {b64encode(floor.root).decode()}".encode() + b"\n"
