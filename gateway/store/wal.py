"""What a crash may have left of the WAL, and what only a disk that forgets can have.

Every transaction has a checksum in the WAL, which SQLite looks at when it reads the WAL again after a crash: from a wrong one on it takes
all for a write that was cut off, and drops it without a word. But here each transaction is synced before the next is begun,
and the WAL's head before the first. So a crash cuts off one at most, and never the head: where two end behind the place
at which SQLite stopped, or the head is not what was written, a bit has flipped and what was promised is gone. That stops the start.
(https://sqlite.org/fileformat2.html section 4)

Only the very last transaction, flipped, passes for one cut off. If it moved the log, the log's floor has it all the same.
"""

import os
import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import apsw

from gateway.store.base import Damaged

_HEAD: Final = struct.Struct(">8I")  # magic, version, page size, number, salt, salt, checksum, checksum
# A frame's head: page, the database's size after a commit or else 0, the WAL's salts, checksum, checksum.
_FRAME: Final = struct.Struct(">6I")
_SUMS: Final = struct.Struct(">2I")
SECTOR: Final = 512  # bytes that a disk writes whole or not at all
_BIG_ENDIAN: Final = 1  # in the magic: the byte order of the words that are summed


@dataclass(frozen=True, slots=True)
class Wal:
    """The transactions that a WAL's frames say they are of, whether or not the checksums hold."""

    path: Path
    head_is_whole: bool = True
    ends: tuple[int, ...] = ()
    """Numbers, from 1, of the frames that end one."""

    page: int = 0

    @classmethod
    def of(cls, path: Path) -> "Wal":
        """As it lies there; look before SQLite does."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return cls(path)
        with file:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return cls(path)  # empty: as it is left when all is written back
            if _sum(head[:24], bool(head[3] & _BIG_ENDIAN)) != _SUMS.unpack_from(head, 24):
                return cls(path, head_is_whole=False)
            page, salts = _HEAD.unpack(head)[2], head[16:24]
            ends, number = [], 0
            while len(frame := file.read(_FRAME.size)) == _FRAME.size:
                number += 1
                if frame[8:16] == salts and frame[4:8] != bytes(4):
                    ends.append(number)
                file.seek(page, 1)
            return cls(path, ends=tuple(ends), page=page)

    def check(self, db: apsw.Connection) -> None:
        """Raises Damaged where SQLite, which has opened it now, took less than a crash must have left. What a crash did cut off goes,
        or its end would be counted again beside the next one's."""
        taken, _ = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        dropped = [end for end in self.ends if end > taken]
        synced = islice((end for end in dropped if not self._may_be_torn(end) or self._is_whole(end)), 2)
        if not self.head_is_whole or len(list(synced)) > 1:
            raise Damaged(f"{self.path} is not what was written, and what was promised is lost: look at the disk")
        if dropped:
            os.truncate(self.path, self._start(taken + 1))

    def _start(self, number: int) -> int:
        return _HEAD.size + (number - 1) * (_FRAME.size + self.page)

    def _may_be_torn(self, number: int) -> bool:
        """Whether a sector ends between what a frame's head says of an end and its salts: a write that was torn there has the salts of now
        and the end of a frame that lay there before the WAL began anew."""
        return (self._start(number) + 8) % SECTOR == 0

    def _is_whole(self, number: int) -> bool:
        """Whether a frame's checksum holds, which goes on from that of the frame before."""
        with self.path.open("rb") as file:
            big = bool(file.read(_HEAD.size)[3] & _BIG_ENDIAN)
            file.seek(self._start(number) - (_SUMS.size if number == 1 else _SUMS.size + self.page))
            before = _SUMS.unpack(file.read(_SUMS.size))
            file.seek(self._start(number))
            frame = file.read(_FRAME.size + self.page)
        if len(frame) < _FRAME.size + self.page:
            return False
        return _sum(frame[:8] + frame[_FRAME.size :], big, before) == _SUMS.unpack_from(frame, 16)


def _sum(data: bytes, big_endian: bool, before: tuple[int, ...] = (0, 0)) -> tuple[int, ...]:
    """SQLite's checksum, going on from the one before."""
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 4}I", data)
    one, two = before
    for at in range(0, len(words), 2):
        one = (one + words[at] + two) & 0xFFFFFFFF
        two = (two + words[at + 1] + one) & 0xFFFFFFFF
    return one, two
