"""What a process asked of its files, in order, and what of it a disk holds when the power goes.

A `Trace` is a list of operations: bytes into a file, a file cut, a name given or taken, a file or a folder synced, and what was told
to somebody in between. `Platter` goes through it and can be asked at any place for an image: what is synced is there, and each thing
that is not is there, or not, or there in part.

    bytes     each unsynced write by itself: kept, lost, or torn at 512 bytes. Any subset, so any order of writing back
    names     STRICT: a name is durable once its folder was synced, and each unsynced one is kept or lost by itself (POSIX promises
              no more). JOURNALLED: names are durable in their order, at the latest with the next sync of anything (ext4)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from random import Random
from typing import Final

SECTOR: Final = 512
FOLDER: Final = 0  # stands for a folder where a file's number would


@dataclass(frozen=True, slots=True)
class Write:
    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """To a size; longer than it was: with zeros."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    file: int


@dataclass(frozen=True, slots=True)
class Named:
    """Names of one folder and what they stand for from now on, at one moment; None: nothing."""

    folder: str
    names: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class SyncFolder:
    folder: str


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody outside has learnt something that must hold from now on."""

    what: object


Operation = Write | Cut | Sync | Named | SyncFolder | Told


def folder_of(path: str) -> str:
    """`""` is the place itself."""
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


@dataclass
class Trace:
    """Operations in the order in which they were asked for. Files have numbers from 1; paths are relative to the place."""

    operations: list[Operation] = field(default_factory=list)
    files: int = 0

    def add(self, operation: Operation) -> None:
        self.operations.append(operation)

    def new_file(self, path: str) -> int:
        """A file that was not there."""
        self.files += 1
        self.add(Named(folder_of(path), {path: self.files}))
        return self.files

    def told(self, what: object) -> None:
        self.add(Told(what))


class Model(Enum):
    """What a file system makes of names."""

    STRICT = auto()
    JOURNALLED = auto()


class Fate(Enum):
    """What an image does with what is not synced."""

    LOST = auto()
    KEPT = auto()
    TORN = auto()
    MIXED = auto()
    """Each by itself: kept, lost or torn."""


Image = dict[str, bytes | None]
"""Files by path; None is a folder."""


class Platter:
    """What is durable at one place of a trace, and what is on its way."""

    def __init__(self, trace: Trace, model: Model) -> None:
        self._trace = trace
        self._model = model
        self._bytes: dict[int, bytearray] = {}
        self._unsynced: dict[int, list[Write | Cut]] = {}
        self._names: dict[str, int | None] = {}
        self._naming: list[Named] = []
        self.at = 0
        """How many operations were asked for."""

    def advance(self, to: int) -> Iterator[object]:
        """Go on to a place of the trace; gives what was told on the way."""
        while self.at < to:
            operation = self._trace.operations[self.at]
            self.at += 1
            if isinstance(operation, Told):
                yield operation.what
            else:
                self._do(operation)

    def _do(self, operation: Write | Cut | Sync | Named | SyncFolder) -> None:
        match operation:
            case Write(file) | Cut(file):
                self._unsynced.setdefault(file, []).append(operation)
            case Named():
                self._naming.append(operation)
            case Sync(file):
                into = self._bytes.setdefault(file, bytearray())
                for change in self._unsynced.pop(file, ()):
                    _apply(into, change)
                if self._model is Model.JOURNALLED:
                    self._settle_names(None)
            case SyncFolder(folder):
                self._settle_names(folder if self._model is Model.STRICT else None)

    def _settle_names(self, folder: str | None) -> None:
        still = []
        for named in self._naming:
            if folder is None or named.folder == folder:
                self._names.update(named.names)
            else:
                still.append(named)
        self._naming = still

    def image(self, fate: Fate, chance: Random) -> Image:
        """What is there after a power cut at this place."""
        names = dict(self._names)
        for named in self._kept_names(fate, chance):
            names.update(named.names)
        image: Image = {}
        for path in sorted(names):  # a folder before what is in it
            file, folder = names[path], folder_of(path)
            if file is None or (folder and image.get(folder, b"") is not None):
                continue  # gone, or in a folder that is not there
            image[path] = None if file == FOLDER else self._survives(file, fate, chance)
        return image

    def _kept_names(self, fate: Fate, chance: Random) -> list[Named]:
        if fate is Fate.LOST:
            return []
        if fate is Fate.KEPT:
            return self._naming
        if self._model is Model.JOURNALLED:
            return self._naming[: chance.randint(0, len(self._naming))]
        return [named for named in self._naming if chance.random() < 0.5]

    def _survives(self, file: int, fate: Fate, chance: Random) -> bytes:
        after = bytearray(self._bytes.get(file, b""))
        for change in self._unsynced.get(file, ()):
            own = chance.choice((Fate.LOST, Fate.KEPT, Fate.TORN)) if fate is Fate.MIXED else fate
            if own is Fate.KEPT or (own is Fate.TORN and isinstance(change, Cut) and chance.random() < 0.5):
                _apply(after, change)
            elif own is Fate.TORN and isinstance(change, Write):
                for piece in _sectors(change):
                    if chance.random() < 0.5:
                        _apply(after, piece)
        return bytes(after)


def _sectors(write: Write) -> Iterator[Write]:
    """A write, cut where the sectors of its file end."""
    start, end = write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield Write(write.file, start, write.data[start - write.offset : stop - write.offset])
        start = stop


def _apply(into: bytearray, change: Write | Cut) -> None:
    end = change.offset if isinstance(change, Write) else change.size
    if len(into) < end:
        into.extend(bytes(end - len(into)))
    if isinstance(change, Write):
        into[change.offset : change.offset + len(change.data)] = change.data
    else:
        del into[change.size :]


def put(image: Image, place: Path) -> None:
    """Lay an image out in an empty folder."""
    for path, data in image.items():
        if data is None:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(data)
