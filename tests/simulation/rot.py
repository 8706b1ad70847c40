"""Bits that flip on the gateway's disk, and whoever keeps the gateway putting the pages back once it was noticed.

A flipped page is read by nobody (`gateway.store.database`), so it never finds its way into another; it is there until it is written
over or put back. The WAL is left alone: what its flips do is `tests/crash/test_rot.py`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulation.disk import Disk
from tests.simulation.log import Folder
from tests.simulation.store import DATABASE

PAGE: Final = 4_096


def flipped(data: bytes, chance: Random) -> bytes:
    """One bit is another."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


@dataclass(frozen=True)
class Page:
    """Where a bit has flipped, and what stood there."""

    offset: int
    rotten: bytes
    good: bytes

    def mend(self, data: bytearray) -> None:
        """Put it back, unless something else was written there since."""
        end = self.offset + PAGE
        if data[self.offset : end] == self.rotten:
            data[self.offset : end] = self.good


class Rot:
    """What has rotted and was not put back."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.leaf: tuple[int, bytes] | None = None  # where a hash of the log's tiles is another, and what stood there
        self.noticed = 0

    def __bool__(self) -> bool:
        return bool(self.pages) or self.leaf is not None

    def in_database(self, disk: Disk, chance: Random) -> str:
        """A bit somewhere in it; gives in which page, or nothing where all of it is being written."""
        file = disk.files[DATABASE]
        if file.unsynced or not file.data:
            return ""
        offset = chance.randrange(len(file.data) // PAGE) * PAGE
        good = bytes(file.data[offset : offset + PAGE])
        page = Page(offset, flipped(good, chance), good)
        self.pages.append(page)
        for data in (file.data, file.platter):
            data[offset : offset + PAGE] = page.rotten
        return f"page {offset // PAGE + 1}"

    def in_folder(self, folder: Folder, chance: Random) -> None:
        """A bit of a hash in the log's tiles."""
        if self.leaf is None:
            rotten = flipped(folder.leaves, chance)
            at = next(n for n, (was, now) in enumerate(zip(folder.leaves, rotten, strict=True)) if was != now)
            self.leaf = at, folder.leaves[at : at + 1]
            folder.leaves = rotten

    def mend(self, disk: Disk | None, kept: list[dict[str, bytes]], folder: Folder) -> None:
        """All that rotted is put back, on the disk in use and in copies of files."""
        pages, self.pages = self.pages[::-1], []
        for page in pages:
            if disk is not None:
                page.mend(disk.files[DATABASE].data)
                page.mend(disk.files[DATABASE].platter)
            for files in kept:
                files[DATABASE] = _mended(files, page)
        if self.leaf is not None:  # the log may have grown since
            (at, good), self.leaf = self.leaf, None
            folder.leaves = folder.leaves[:at] + good + folder.leaves[at + 1 :]


def _mended(files: Mapping[str, bytes], page: Page) -> bytes:
    data = bytearray(files[DATABASE])
    page.mend(data)
    return bytes(data)
