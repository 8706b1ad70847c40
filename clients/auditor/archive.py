"""The evidence archive: a log, or a part of one, with all that it takes to check it, in one file.

    manifest   version, origin, size and root of the checkpoint; whole, or the channels of which every entry is here
    part …     path, bytes: as the log's own folder has them under the same path
                   checkpoint               with every line: the log's, and cosignatures where it has some
                   witnessed                the newest one that witnesses have cosigned, where there is one
                   tile/…  receipts/…       hashes, entries, receipts
                   body/<hex SHA-256>       charters, certificates, revocation lists, commits: whatever is published
                   entry/<index>            an entry by itself, where the archive holds a part
                   opening/<index>          a package that opens one message
    end        how many parts, and the SHA-256 of all before it

Each is one canonical msgpack array, one after another, so that it is written and read as a stream; nothing is compressed and
nothing is left over. What a part says is believed only as far as the checkpoint vouches for it. The end tells a file that was cut
or damaged from one that is whole, and no more: whoever can change the archive can write another end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgpack  # type: ignore[import-untyped]
from msgspec import Meta

from clients.auditor.source import limit_of
from clients.auditor.verify import Cause, Export
from clients.auditor.verify.export import entry_path, opening_path
from keys.canonical import Hash, Id, Record, Uint, encode, reader
from keys.disclosure import CONTENT_LIMIT
from keys.errors import Malformed
from keys.tlog.checkpoint import TreeHead
from keys.tlog.entry import MAX_BUNDLE, MAX_ENTRY
from keys.tlog.errors import NotFound, TlogError

VERSION: Final = 1
PART_LIMIT: Final = MAX_BUNDLE + 4_096
OPENING_LIMIT: Final = CONTENT_LIMIT + 256 * 1024
CHANNELS: Final = 4_096
_OWN: Final = re.compile(r"(entry|opening)/(0|[1-9][0-9]{0,18})", re.ASCII)


class Manifest(Record, frozen=True, array_like=True, tag=1):
    """What the archive says it is. `size` and `root` are those of its checkpoint."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    origin: Annotated[str, Meta(max_length=255)]
    size: Uint
    root: Hash
    whole: bool
    channels: Annotated[list[Id], Meta(max_length=CHANNELS)]


class Part(Record, frozen=True, array_like=True, tag=2):
    """One resource of the log."""

    path: Annotated[str, Meta(max_length=200)]
    data: bytes


class End(Record, frozen=True, array_like=True, tag=3):
    """The archive ends here."""

    parts: Uint
    digest: Hash


Piece = Manifest | Part | End
_read: Callable[[bytes], Piece] = reader(Piece, limit=PART_LIMIT)  # type: ignore[arg-type]


class NoArchive(Exception):
    """This file is no archive at all."""


def write_archive(file: BinaryIO, manifest: Manifest, parts: Iterable[Part]) -> int:
    """Write an archive as its parts come; gives their number."""
    digest, count = sha256(), 0
    for record in _and_all(manifest, parts):
        data = encode(record)
        digest.update(data)
        file.write(data)
        count += 1
    file.write(encode(End(count - 1, digest.digest())))
    return count - 1


def _and_all(manifest: Manifest, parts: Iterable[Part]) -> Iterator[Manifest | Part]:
    yield manifest
    yield from parts


class ArchiveSource:
    """An archive as a log: `fetch` gives the part of a path, `export` says what the archive holds and what is wrong with its form.

    The file is gone through once and its parts are looked up afterwards, so memory holds their places alone.
    """

    def __init__(self, path: Path) -> None:
        """Raises NoArchive where the file does not begin as one, OSError."""
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._faults: list[tuple[Cause, str]] = []
        self.manifest = self._scan()

    @property
    def export(self) -> Export:
        """What it holds."""
        own = [match.groups() for match in map(_OWN.fullmatch, self._places) if match]
        return Export(
            TreeHead(self.manifest.origin, self.manifest.size, self.manifest.root),
            self.manifest.whole,
            frozenset(self.manifest.channels),
            tuple(sorted(int(index) for kind, index in own if kind == "entry")),
            tuple(sorted(int(index) for kind, index in own if kind == "opening")),
            tuple(self._faults),
        )

    def fetch(self, path: str) -> bytes:
        """The bytes of one part. Raises NotFound, OSError."""
        if path not in self._places:
            raise NotFound(path)
        start, length = self._places[path]
        with self._path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, start)

    def paths(self) -> Iterator[str]:
        """The path of every tile and bundle in it."""
        return (path for path in self._places if path.startswith("tile/"))

    # ------------------------------------------------------------------ the file, once

    def _scan(self) -> Manifest:
        manifest: Manifest | None = None
        end: End | None = None
        digest = sha256()
        for raw, after in self._records():
            try:
                if end is not None:
                    raise Malformed("it goes on behind its end")
                record = _read(raw)
                if manifest is None and not isinstance(record, Manifest):
                    raise Malformed("it does not begin with a manifest")
                if manifest is not None and isinstance(record, Manifest):
                    raise Malformed("it has two manifests")
                if isinstance(record, Part):
                    self._place(record, after)
            except Malformed as error:
                if manifest is None:
                    raise NoArchive(str(error)) from None
                self._fault(Cause.ALTERED, f"at byte {after - len(raw)}: {error}")
                digest.update(raw)
                continue
            if isinstance(record, End):
                end = record
                self._check_end(end, digest.digest())
            elif isinstance(record, Manifest):
                manifest = record
            digest.update(raw)
        if manifest is None:
            raise NoArchive("it is empty")
        try:
            TreeHead(manifest.origin, manifest.size, manifest.root)
        except TlogError as error:
            raise NoArchive(f"its manifest names no tree: {error}") from None
        if end is None:
            self._fault(Cause.CUT, "it has no end: the file was cut, or is not written yet")
        return manifest

    def _records(self) -> Iterator[tuple[bytes, int]]:
        """Each msgpack value of the file as its bytes, and where it ends."""
        with self._path.open("rb") as file:
            unpacker = msgpack.Unpacker(file, max_buffer_size=2 * PART_LIMIT)
            size = os.fstat(file.fileno()).st_size
            start = 0
            while start < size:
                try:
                    unpacker.skip()
                except (msgpack.UnpackException, ValueError) as error:
                    if not start:
                        raise NoArchive("it is no msgpack") from None
                    cause = Cause.CUT if isinstance(error, msgpack.OutOfData) else Cause.ALTERED
                    self._fault(cause, f"what stands at byte {start} is not a whole part")
                    return
                end = unpacker.tell()
                yield os.pread(file.fileno(), end - start, start), end
                start = end

    def _place(self, part: Part, after: int) -> None:
        if part.path in self._places:
            raise Malformed(f"{part.path} is there twice")
        if len(part.data) > limit_in_archive(part.path):
            raise Malformed(f"{part.path} is longer than any")
        if part.path.startswith("body/") and sha256(part.data).hexdigest() != part.path[5:]:
            self._fault(Cause.ALTERED, f"{part.path} is not what its name says")
        self._places[part.path] = (after - len(part.data), len(part.data))  # a part ends with its bytes

    def _check_end(self, end: End, digest: bytes) -> None:
        if end.digest != digest or end.parts != len(self._places):
            self._fault(Cause.ALTERED, "its bytes are not those that were written")

    def _fault(self, cause: Cause, rule: str) -> None:
        self._faults.append((cause, rule))


def limit_in_archive(path: str) -> int:
    """How many bytes the part of this path can have; raises Malformed for what is no path of an archive."""
    if _OWN.fullmatch(path):
        return MAX_ENTRY if path.startswith("entry/") else OPENING_LIMIT
    try:
        return limit_of(path)
    except NotFound:
        raise Malformed("not the path of a part") from None


def entry_part(index: int, leaf: bytes) -> Part:
    """An entry by itself."""
    return Part(entry_path(index), leaf)


def opening_part(index: int, package: bytes) -> Part:
    """The package that opens the message of an entry."""
    return Part(opening_path(index), package)
