"""Room on the disk that is given up for emergencies when there is no other.

    held        a file beside the database, really allocated, that holds nothing
    given up    the disk was full: the file is gone, and what it held is for alerts and their ladders alone
    taken back  once the disk has that much room, and some besides

Whoever fills a disk, other programs included, leaves as much of it as alerts need.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.core import limits

MARGIN: Final = 1024 * 1024  # bytes that must be free besides, or what was given up would be taken back at once


class Reserve:
    """The file, and whether it is there."""

    def __init__(self, path: Path, size: int = limits.EMERGENCY_RESERVE) -> None:
        self._path = path
        self._size = size
        self.held = False

    def take(self) -> bool:
        """Have it; False where the disk has no room for it now."""
        if not self.held:
            self.held = self._is_whole() or self._allocate()
        return self.held

    def has_room(self) -> bool:
        """Whether the disk has room for it now."""
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize >= self._size + MARGIN

    def give_up(self) -> bool:
        """Let its room be used; False where there was none to give up."""
        self.held = False
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def _is_whole(self) -> bool:
        """From the run before."""
        try:
            found = self._path.stat()
        except OSError:
            return False
        return found.st_size == self._size and found.st_blocks * 512 >= self._size

    def _allocate(self) -> bool:
        if not self.has_room():
            return False
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(descriptor, 0, self._size)
                else:
                    os.write(descriptor, bytes(self._size))
            finally:
                os.close(descriptor)
        except OSError:
            with suppress(OSError):
                self._path.unlink()
            return False
        return True
