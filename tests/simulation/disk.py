"""A disk in memory, with what disks do wrong: an APSW VFS that remembers what was written and not synced.

A power cut keeps of each unsynced write all, nothing, or the first sectors, each by itself: the order in which they reach the
platter is nobody's business until a sync. A sync that fails may have lost what it was to keep, and says so once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import apsw

from tests.checksummed import over

SECTOR = 512
VFS_NAME = "simulated disk"


class Dead(Exception):
    """The machine has lost its power within a write: nothing that came of it is to be told to anybody."""


class File:
    """A file's bytes as the process sees them, as the platter has them, and what lies between."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.platter = bytearray(data)
        self.unsynced: list[tuple[int, bytes | None]] = []

    def write(self, data: bytes, offset: int) -> None:
        _put(self.data, data, offset)
        self.unsynced.append((offset, data))

    def truncate(self, size: int) -> None:
        _cut(self.data, size)
        self.unsynced.append((size, None))

    def sync(self) -> None:
        for offset, data in self.unsynced:
            _cut(self.platter, offset) if data is None else _put(self.platter, data, offset)
        self.unsynced.clear()

    def survives(self, chance: Random) -> bytes:
        """What is there after a power cut."""
        after = bytearray(self.platter)
        for offset, data in self.unsynced:
            fate = chance.random()
            if fate < 0.4:
                continue
            if data is None:
                _cut(after, offset)
            elif fate < 0.8:
                _put(after, data, offset)
            else:
                _put(after, data[: chance.randrange(len(data) // SECTOR + 1) * SECTOR], offset)
        return bytes(after)


def _put(into: bytearray, data: bytes, offset: int) -> None:
    if len(into) < offset:
        into.extend(bytes(offset - len(into)))
    into[offset : offset + len(data)] = data


def _cut(what: bytearray, size: int) -> None:
    if size < len(what):
        del what[size:]
    else:
        what.extend(bytes(size - len(what)))


class Disk:
    """The files of one machine. `room` is how many bytes they may have together; -1: as many as they like.

    `fail_sync` and `fail_write` are how many syncs or writes go well before one fails with EIO (-1: none does); `die_in` how
    many of either until the power goes (-1: it stays).
    """

    def __init__(self, files: dict[str, bytes], chance: Random) -> None:
        self.files = {name: File(data) for name, data in files.items()}
        self.chance = chance
        self.room = -1
        self.fail_sync = self.fail_write = self.die_in = -1
        self.writes = self.syncs = 0
        self.dead: dict[str, bytes] | None = None

    def image(self) -> dict[str, bytes]:
        """What the process sees."""
        return {name: bytes(file.data) for name, file in self.files.items()}

    def power_cut(self) -> dict[str, bytes]:
        """What is left after one, now or when it came within a write."""
        if self.dead is not None:
            return self.dead
        return {name: file.survives(self.chance) for name, file in self.files.items()}

    def wrote(self, grows: int) -> None:
        """Before a write."""
        self._wear()
        self.writes += 1
        if self.room >= 0 and grows and sum(len(f.data) for f in self.files.values()) + grows > self.room:
            raise apsw.FullError("no room")
        if self.fail_write == 0:
            self.fail_write = -1
            raise apsw.IOError("EIO on write")
        self.fail_write -= self.fail_write > 0

    def synced(self, file: File) -> None:
        """A sync of a file."""
        self._wear()
        self.syncs += 1
        if self.fail_sync == 0:
            self.fail_sync = -1
            file.platter = bytearray(file.survives(self.chance))
            file.unsynced.clear()  # the pages are clean now, whatever the platter has
            raise apsw.IOError("EIO on fsync")
        self.fail_sync -= self.fail_sync > 0
        file.sync()

    def _wear(self) -> None:
        if self.die_in == 0 and self.dead is None:
            self.dead = {name: file.survives(self.chance) for name, file in self.files.items()}
        self.die_in -= self.die_in > 0

    @contextmanager
    def mounted(self) -> Iterator[str]:
        """Whatever database is opened meanwhile lies on this disk; gives the folder's name."""
        vfs = _vfs()
        vfs.disks[f"{id(self):x}"] = self
        apsw.connection_hooks.append(_alone)
        try:
            with over(VFS_NAME):
                yield f"/{id(self):x}"
        finally:
            apsw.connection_hooks.remove(_alone)

    def unmount(self) -> None:
        """Nobody has it open any more."""
        _vfs().disks.pop(f"{id(self):x}", None)


def _alone(connection: Any) -> None:
    """WAL without shared memory: one connection has the file to itself."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")


class _Handle:
    """An open file, as APSW asks for it."""

    def __init__(self, disk: Disk | None, name: str | None) -> None:
        self._disk = disk
        self._file = disk.files.setdefault(name, File()) if disk is not None and name is not None else File()

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: Any, offset: int) -> None:
        if self._disk is not None:
            self._disk.wrote(max(0, offset + len(data) - len(self._file.data)))
        self._file.write(bytes(data), offset)

    def xTruncate(self, size: int) -> None:
        self._file.truncate(size)

    def xSync(self, flags: int) -> None:
        if self._disk is not None:
            self._disk.synced(self._file)

    def xFileSize(self) -> int:
        return len(self._file.data)

    def xClose(self) -> None: ...

    def xLock(self, level: int) -> None: ...

    def xUnlock(self, level: int) -> None: ...

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0


class _Vfs(apsw.VFS):
    """All simulated disks of this process: the folder in a file's name says which."""

    def __init__(self) -> None:
        super().__init__(VFS_NAME, "")
        self.disks: dict[str, Disk] = {}

    def _find(self, name: str) -> tuple[Disk, str]:
        _, disk, file = name.split("/")
        return self.disks[disk], file

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        if name is None:
            return _Handle(None, None)
        return _Handle(*self._find(name.filename() if isinstance(name, apsw.URIFilename) else name))

    def xAccess(self, name: str, flags: int) -> bool:
        disk, file = self._find(name)
        return file in disk.files

    def xDelete(self, name: str, sync: bool) -> None:
        disk, file = self._find(name)
        disk.files.pop(file, None)

    def xFullPathname(self, name: str) -> str:
        return name


_kept: list[_Vfs] = []


def _vfs() -> _Vfs:
    if not _kept:
        _kept.append(_Vfs())
    return _kept[0]
