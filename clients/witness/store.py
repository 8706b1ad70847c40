"""What a witness must never forget: for each log, whose keys count and the newest tree head that it has cosigned.

When `advance` returns True the new head is on the disk, and the one before was the one that was checked against: the check of
size and root and the change are one statement. Two requests at a time, two threads, even two processes on one file can't roll a
log back (tlog-witness, "add-checkpoint").
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from keys.tlog.checkpoint import TreeHead
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import Malformed
from keys.tlog.merkle import EMPTY_ROOT
from keys.tlog.note import NoteVerifier
from keys.tlog.witness import monitoring_path

APPLICATION_ID: Final = 0x4F757457  # "OutW"
EVIDENCE_LIMIT: Final = 64  # notes kept; the first ones say it all

_SCHEMA: Final = """
CREATE TABLE logs (
    origin TEXT PRIMARY KEY,
    path   TEXT NOT NULL UNIQUE,          -- where monitors ask for it
    keys   TEXT NOT NULL,                 -- verifier keys, one a line
    size   INTEGER NOT NULL,
    root   BLOB NOT NULL,
    time   INTEGER NOT NULL,              -- of the newest cosignature, POSIX seconds; 0 before the first
    note   BLOB NOT NULL                  -- as cosigned; empty before the first
) WITHOUT ROWID;
-- Checkpoints that a log's key signed and that contradict what it had signed before.
CREATE TABLE evidence (
    note   BLOB PRIMARY KEY,
    origin TEXT NOT NULL,
    held   BLOB NOT NULL
) WITHOUT ROWID;
"""


class WrongStore(Exception):
    """No witness's file there, or one in a place that is taken. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """A log as this witness knows it. Size 0 with an empty note: it has cosigned nothing of it yet."""

    origin: str
    vkeys: tuple[str, ...]
    size: int
    root: bytes
    time: int
    note: bytes

    @property
    def verifiers(self) -> list[NoteVerifier]:
        return [verifier_of(vkey) for vkey in self.vkeys]


class WitnessStore:
    """The file. For any number of threads."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise WrongStore(f"there is no witness at {path.parent}: check the folder, or make one with init")
        self._lock = threading.Lock()
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.set_busy_timeout(5_000)
            self._db.execute("PRAGMA synchronous = EXTRA")
            if self._db.pragma("application_id") != APPLICATION_ID:
                raise WrongStore(f"{path} is no witness's file")
        except apsw.NotADBError:
            raise WrongStore(f"{path} is no witness's file") from None

    @classmethod
    def create(cls, path: Path) -> None:
        """An empty one. Raises WrongStore where there is a file already."""
        if path.exists():
            raise WrongStore(f"{path} is there already: a witness is made once")
        db = apsw.Connection(str(path))
        db.execute("PRAGMA synchronous = EXTRA")
        with db:
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.close()
        path.chmod(0o600)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------ logs

    def trust(self, vkeys: Sequence[str], origin: str = "") -> str:
        """Cosign for the log of these keys from now on; where it is known, its keys are replaced and its head stays. Gives its
        origin: the keys' name, unless another is given.

        Raises Malformed where they are not one log's keys, or the origin is none.
        """
        names = {verifier_of(vkey).name for vkey in vkeys}
        if len(names) != 1 and not (names and origin):
            raise Malformed("the keys of one log, each a line: name+hex+base64")
        origin = TreeHead(origin or names.pop(), 0, EMPTY_ROOT).origin
        with self._lock:
            self._db.execute(
                "INSERT INTO logs VALUES (?, ?, ?, 0, ?, 0, x'') ON CONFLICT (origin) DO UPDATE SET keys = excluded.keys",
                (origin, monitoring_path(origin), "\n".join(vkeys), EMPTY_ROOT),
            )
        return origin

    def record(self, origin: str) -> Record | None:
        """The log of that origin, if it is one of ours."""
        return self._one("origin = ?", origin)

    def by_path(self, path: str) -> Record | None:
        """The log that monitors ask for at that path."""
        return self._one("path = ?", path)

    def records(self) -> list[Record]:
        """Every log, by origin."""
        with self._lock:
            return [_record(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM logs ORDER BY origin")]  # noqa: S608

    def _one(self, where: str, value: str) -> Record | None:
        with self._lock:
            row = self._db.execute(f"SELECT {_COLUMNS} FROM logs WHERE {where}", (value,)).fetchone()  # noqa: S608
        return None if row is None else _record(row)

    # ------------------------------------------------------------------ heads

    def advance(self, held: Record, head: TreeHead, time: int, note: bytes) -> bool:
        """Put a head in the place of the one held, if that is still the one held. True once it is durable.

        A crash before it returns leaves either head, and nothing was said: the log asks again and learns which.
        """
        with self._lock:
            self._db.execute(
                "UPDATE logs SET size = ?, root = ?, time = ?, note = ? WHERE origin = ? AND size = ? AND root = ?",
                (head.size, head.root, time, note, held.origin, held.size, held.root),
            )
            return self._db.changes() == 1

    def accuse(self, held: Record, note: bytes) -> None:
        """Keep a checkpoint that contradicts the one held, both of them signed by the log."""
        with self._lock:
            count = self._db.execute("SELECT count(*) FROM evidence WHERE origin = ?", (held.origin,)).fetchone()
            if count is not None and count[0] < EVIDENCE_LIMIT:
                self._db.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?)", (note, held.origin, held.note))

    def evidence(self, origin: str) -> list[tuple[bytes, bytes]]:
        """Pairs of contradicting checkpoints of a log: the one held then, and the other."""
        with self._lock:
            rows = self._db.execute("SELECT held, note FROM evidence WHERE origin = ? ORDER BY note", (origin,))
            return [(bytes(held), bytes(note)) for held, note in rows]


_COLUMNS: Final = "origin, keys, size, root, time, note"


def _record(row: tuple[str, str, int, bytes, int, bytes]) -> Record:
    origin, keys, size, root, time, note = row
    return Record(origin, tuple(keys.split("\n")), size, root, time, note)
