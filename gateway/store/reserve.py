"""Room on the disk that is given up for emergencies when there is no other.

    held        a file beside the database, really allocated, that holds nothing
    given up    the disk was full: the file is gone, and what it held is for alerts and their ladders alone
    taken back  once the disk has that much room, and some besides

Whoever fills a disk, other programs included, leaves as much of it as alerts need. Of what was given up one half is the gateway's own,
for ladders; of the other a person may use up so much that no more than a share of what is left is theirs. So whoever
raises one SOS after the other is soon refused, and whoever comes after always finds a share. It is counted in memory: a
restart forgets who has used what.
"""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.core import limits
from gateway.store.base import OURS

SHARE: Final = 8  # of what is left for people, one person may have one in so many
MARGIN: Final = 1024 * 1024  # bytes that must be free besides, or what was given up would be taken back at once


class Reserve:
    """The file, and whether it is there."""

    def __init__(self, path: Path, size: int = limits.EMERGENCY_RESERVE) -> None:
        self._path = path
        self._size = size
        self._used: Counter[bytes] = Counter()  # bytes of what was given up, by person
        self.held = False

    def take(self) -> bool:
        """Have it; False where the disk has no room for it now."""
        if not self.held:
            self.held = self._is_whole() or self._allocate()
            if self.held:
                self._used.clear()
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

    def allows(self, who: bytes) -> bool:
        """Whether something of what was given up is there for this person, or OURS."""
        if who == OURS:
            return True  # as far as the disk goes
        left = self._size // 2 - sum(used for person, used in self._used.items() if person != OURS)
        return self._used[who] <= left // SHARE

    def charge(self, who: bytes, size: int) -> None:
        """That one has used up so many bytes."""
        if size > 0:
            self._used[who] += size

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
