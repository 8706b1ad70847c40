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
from pathlib import Path
from typing import Final

import apsw

from gateway.store.base import Damaged

_HEAD: Final = struct.Struct(">8I")  # magic, version, page size, number, salt, salt, checksum, checksum
_FRAME: Final = struct.Struct(
    ">6I"
)  # page, size of the database after a commit or 0, the head's salts, checksum, checksum
_BIG_ENDIAN: Final = 1  # in the magic: the byte order of the words that are summed
_WORDS: Final = 6  # of the head, under its checksum


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
            if not _sums(head):
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
        dropped = sum(end > taken for end in self.ends)
        if not self.head_is_whole or dropped > 1:
            raise Damaged(f"{self.path} is not what was written, and what was promised is lost: look at the disk")
        if dropped:
            os.truncate(self.path, _HEAD.size + taken * (_FRAME.size + self.page))


def _sums(head: bytes) -> bool:
    """Whether a head's checksum holds."""
    words = struct.unpack((">" if head[3] & _BIG_ENDIAN else "<") + f"{_WORDS}I", head[: 4 * _WORDS])
    one = two = 0
    for at in range(0, _WORDS, 2):
        one = (one + words[at] + two) & 0xFFFFFFFF
        two = (two + words[at + 1] + one) & 0xFFFFFFFF
    return _HEAD.unpack(head)[6:] == (one, two)
