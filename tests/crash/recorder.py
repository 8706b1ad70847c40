"""Records what the real store and the real log do to their files, while they do it.

DatabaseRecorder   an APSW VFS over the system's own and under the checksums: each write, sync, cut and name of SQLite's files goes into the trace. When
                   SQLite syncs a folder is its own affair, below the VFS: with the first sync of a new journal or WAL, and when
                   a file is deleted and that is to be durable. So it is recorded where the system's VFS does it
FolderRecorder     for files that are written in Python: `sync` and `after` are given to those who write, and at each call the
                   folder is compared with what it was. Nothing is synced between two calls, so nothing durable is missed
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from tests.checksummed import over
from tests.crash.trace import FOLDER, Cut, Named, Sync, SyncFolder, Trace, Write, folder_of

VFS: Final = "recorder"
_UNDER: Final = "unix"
_NEW_NAME_SYNCED: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


class DatabaseRecorder(apsw.VFS):
    """Records every database that is opened under `place` meanwhile. `fail` is called before each write and sync, and may raise."""

    def __init__(
        self, place: Path, trace: Trace, fail: Callable[[str, str], None] = lambda _operation, _path: None
    ) -> None:
        super().__init__(VFS, _UNDER)
        self.place = place
        self.trace = trace
        self.fail = fail
        self.numbers: dict[str, int] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        try:
            with over(VFS):
                yield
        finally:
            self.unregister()

    def relative(self, name: str) -> str:
        return str(Path(name).relative_to(self.place))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:  # of no name: nobody will look for it
            return apsw.VFSFile(_UNDER, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        there = Path(path).exists()
        file = _Recorded(self, name, flags, self.relative(path))
        if not there:
            self.numbers[file.path] = self.trace.new_file(file.path)
            file.name_unsynced = bool(flags[0] & _NEW_NAME_SYNCED)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        path = self.relative(filename)
        self.numbers.pop(path, None)
        self.trace.add(Named(folder_of(path), {path: None}))
        if syncdir:
            self.trace.add(SyncFolder(folder_of(path)))


class _Recorded(apsw.VFSFile):
    def __init__(self, recorder: DatabaseRecorder, name: Any, flags: list[int], path: str) -> None:
        super().__init__(_UNDER, name, flags)
        self._recorder = recorder
        self.path = path
        self.name_unsynced = False

    @property
    def _number(self) -> int:
        return self._recorder.numbers[self.path]

    def xWrite(self, data: Any, offset: int) -> None:
        self._recorder.fail("write", self.path)
        super().xWrite(data, offset)
        self._recorder.trace.add(Write(self._number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._recorder.trace.add(Cut(self._number, newsize))

    def xSync(self, flags: int) -> None:
        self._recorder.fail("sync", self.path)
        self._recorder.trace.add(Sync(self._number))  # without troubling the disk: nobody pulls this machine's plug
        if self.name_unsynced:
            self.name_unsynced = False
            self._recorder.trace.add(SyncFolder(folder_of(self.path)))


class FolderRecorder:
    """Records what lies at some paths under `place`, files or whole folders. Who writes there calls `sync` in place of os.fsync."""

    def __init__(self, place: Path, trace: Trace, *paths: str) -> None:
        self._place = place
        self._trace = trace
        self._paths = paths
        self._seen: dict[str, tuple[int, ...]] = {}
        self._numbers: dict[str, int] = {}

    def sync(self, descriptor: int) -> None:
        self.look()
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(self._place))
        path = "" if path == "." else path
        if path in self._numbers and self._numbers[path] != FOLDER:
            self._trace.add(Sync(self._numbers[path]))
        else:
            self._trace.add(SyncFolder(path))

    def after(self, _step: object = None) -> None:
        self.look()

    def look(self) -> None:
        """Record what has changed since the last look."""
        now = dict(self._stand())
        gone = {path: self._seen[path] for path in self._seen.keys() - now.keys()}
        for path in sorted(now):
            if now[path] != self._seen.get(path):
                self._changed(path, now[path], gone)
        for path in sorted(gone, reverse=True):  # what is in a folder before the folder
            del self._numbers[path]
            self._trace.add(Named(folder_of(path), {path: None}))
        self._seen = now

    def _changed(self, path: str, mark: tuple[int, ...], gone: dict[str, tuple[int, ...]]) -> None:
        before = next((old for old, old_mark in gone.items() if old_mark == mark), None)
        if before is not None:  # renamed, over what may have been there
            del gone[before]
            self._numbers[path] = self._numbers.pop(before)
            self._trace.add(Named(folder_of(path), {before: None, path: self._numbers[path]}))
        elif not mark:
            self._numbers[path] = FOLDER
            self._trace.add(Named(folder_of(path), {path: FOLDER}))
        else:
            data = (self._place / path).read_bytes()
            if path in self._seen:
                self._trace.add(Cut(self._numbers[path], 0))
            else:
                self._numbers[path] = self._trace.new_file(path)
            if data:
                self._trace.add(Write(self._numbers[path], 0, data))

    def _stand(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name in self._paths:
            top = self._place / name
            if top.is_dir():
                yield name, ()
                for folder, folders, files in os.walk(top):
                    within = Path(folder).relative_to(self._place)
                    yield from ((str(within / one), ()) for one in folders)
                    yield from ((str(within / one), _mark(Path(folder, one))) for one in files)
            elif top.exists():
                yield name, _mark(top)


def _mark(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
