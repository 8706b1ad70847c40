"""Which bodies are due, and their end: rows to values, and effects to rows. The writer's connection overwrites what it deletes
(`secure_delete`), so that a body's bytes do not stay in a free page."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

import apsw

from gateway.core import effects as e
from gateway.core.retention import CONTENT
from gateway.core.rows import Content, DestructionRow, StreamKind
from gateway.store.table import Rows
from keys.identity import ChannelId, PersonId

_KINDS: Final = f"({', '.join(str(int(kind)) for kind in sorted(CONTENT))})"
_KEPT: Final = f"e.kind IN {_KINDS} AND (e.body IS NOT NULL OR e.body_hash IN (SELECT r.hash FROM readers r WHERE r.stream = s.id AND r.seq = e.seq))"
_CONTENT: Final = (
    f"SELECT s.id, e.seq, e.idx, e.time FROM envelopes e JOIN streams s ON s.n = e.stream WHERE s.id = ? AND {_KEPT} "
)
_EXPIRED: Final = (
    "SELECT s.id, e.seq, e.idx FROM expiries x JOIN streams s ON s.id = x.stream JOIN envelopes e ON e.stream = s.n AND e.seq = x.seq"
    f" WHERE x.at <= ? AND {_KEPT} ORDER BY x.stream, x.seq LIMIT ?"
)


def _content(row: tuple) -> Content:  # type: ignore[type-arg]
    return Content(ChannelId(row[0]), row[1], row[2])


class RetentionRows(Rows):
    """The part of `SqliteView` about what is due to be destroyed."""

    def expired(self, now: int, limit: int) -> Sequence[Content]:
        return [_content(row) for row in self._rows(_EXPIRED, now, limit)]

    def channels_kept(self) -> Sequence[tuple[ChannelId, str, int]]:
        rows = self._rows(
            "SELECT s.id, s.class, coalesce(w.seq, 0) FROM streams s LEFT JOIN sweeps w ON w.stream = s.id WHERE s.kind = ? ORDER BY s.n",
            int(StreamKind.CHANNEL),
        )
        return [(ChannelId(channel), name, swept) for channel, name, swept in rows]

    def content(self, channel: bytes, after: int, before: int, limit: int) -> Sequence[Content]:
        # Times rise with seq: the first that is too young ends the search, and no younger ones are read.
        rows = self._rows(_CONTENT + "AND e.seq > ? ORDER BY e.seq LIMIT ?", channel, after, limit)
        return [_content(row) for row in takewhile(lambda row: row[3] < before, rows)]

    def content_between(self, channel: bytes, first: int, last: int) -> Sequence[Content]:
        return [
            _content(row)
            for row in self._rows(_CONTENT + "AND e.seq BETWEEN ? AND ? ORDER BY e.seq", channel, first, last)
        ]

    def destruction(self, order: bytes) -> DestructionRow | None:
        row = self._row("SELECT person, body, done FROM destructions WHERE request = ?", order)
        return None if row is None else DestructionRow(order, PersonId(row[0]), row[1], bool(row[2]))


def put_expiry(db: apsw.Connection, effect: e.PutExpiry) -> None:
    db.execute("INSERT OR IGNORE INTO expiries VALUES (?, ?, ?)", (effect.at, effect.channel, effect.seq))


def put_swept(db: apsw.Connection, effect: e.PutSwept) -> None:
    db.execute("INSERT OR REPLACE INTO sweeps VALUES (?, ?)", (effect.channel, effect.seq))


def put_destruction(db: apsw.Connection, effect: e.PutDestruction) -> None:
    row = effect.row
    db.execute(
        "INSERT OR REPLACE INTO destructions VALUES (?, ?, ?, ?)", (row.order, row.person, row.body, int(row.done))
    )


def destroy(db: apsw.Connection, effect: e.Destroy) -> None:
    """A body that lies apart goes when its last reader has gone: another place may hold the same."""
    for seq in effect.seqs:
        found = db.execute(
            "UPDATE envelopes SET body = NULL WHERE stream = (SELECT n FROM streams WHERE id = ?) AND seq = ? RETURNING body_hash",
            (effect.channel, seq),
        ).fetchall()
        db.execute("DELETE FROM expiries WHERE stream = ? AND seq = ?", (effect.channel, seq))
        for (body_hash,) in found:
            db.execute(
                "DELETE FROM readers WHERE hash = ? AND stream = ? AND seq = ?", (body_hash, effect.channel, seq)
            )
            if db.execute("SELECT 1 FROM readers WHERE hash = ? LIMIT 1", (body_hash,)).fetchone() is None:
                db.execute("DELETE FROM pieces WHERE hash = ?", (body_hash,))
                db.execute("DELETE FROM blobs WHERE hash = ?", (body_hash,))
