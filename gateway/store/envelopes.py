"""Envelopes, as streams and as the log: rows to values. A stretch of a stream is what a backlog reads, by the ten thousand."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from gateway.core.page import Page
from gateway.core.rows import LogEnd, Stored
from gateway.store.base import Damaged
from gateway.store.bodies import IN_PUBLISHED
from gateway.store.table import Rows
from keys.canonical import encode
from keys.envelope import Entry, Kind
from keys.identity import ChannelId

_COLUMNS: Final = (
    "e.seq, e.idx, e.time, e.nonce, e.header, e.signature, e.kind, e.device, e.number, e.precedence, e.body_hash,"
    " e.body_length, {body} FROM envelopes e "
)
_WITH_BODY: Final = "SELECT s.id, " + _COLUMNS.format(body="e.body") + "JOIN streams s ON s.n = e.stream "
_PLACES: Final = "WHERE e.stream = (SELECT n FROM streams WHERE id = ?) AND e.seq > ? {which} ORDER BY e.seq LIMIT ?"
_STORED: Final = "SELECT " + _COLUMNS.format(body="e.body") + _PLACES.format(which="")
_BODILESS: Final = "SELECT " + _COLUMNS.format(body="NULL") + _PLACES.format(which="")
_LANDMARKS: Final = (
    "SELECT " + _COLUMNS.format(body="e.body") + _PLACES.format(which="AND (e.kind IN (3, 4, 8) OR e.precedence = 0)")
)
_PAGE: Final = (
    "SELECT seq, idx, time, nonce, header, signature, kind, device, precedence, body, body_hash FROM envelopes e "
    + _PLACES.format(which="")
)
_ENTRIES: Final = (
    "SELECT e.time, e.nonce, s.id, e.seq, e.header, e.signature FROM envelopes e JOIN streams s ON s.n = e.stream"
    " WHERE e.idx >= ? ORDER BY e.idx LIMIT ?"
)
_KINDS: Final = {kind.value: kind for kind in Kind}


def _damaged(index: int) -> Damaged:
    """A body that is not what was stored is given to nobody."""
    return Damaged(f"the body of entry {index} is not what was stored: look at the disk")


def _stored(channel: ChannelId, rows: Sequence[tuple]) -> list[Stored]:  # type: ignore[type-arg]
    """Rows of `_COLUMNS`."""
    found = []
    for seq, index, time, nonce, header, signature, kind, device, number, precedence, digest, length, body in rows:
        if body is not None and sha256(body).digest() != digest:
            raise _damaged(index)
        place = channel, seq, index, time, nonce
        found.append(Stored(*place, header, signature, _KINDS[kind], device, number, precedence, digest, length, body))
    return found


class EnvelopeRows(Rows):
    """The part of `SqliteView` about envelopes and the log."""

    def _envelope(self, where: str, *values: object) -> Stored | None:
        row = self._row(_WITH_BODY + where, *values)
        return _stored(ChannelId(row[0]), [row[1:]])[0] if row else None

    def envelope_at(self, channel: bytes, device: bytes, number: int) -> Stored | None:
        return self._envelope("WHERE s.id = ? AND e.device = ? AND e.number = ?", channel, device, number)

    def envelope(self, channel: bytes, seq: int) -> Stored | None:
        return self._envelope("WHERE s.id = ? AND e.seq = ?", channel, seq)

    def published(self, body_hash: bytes) -> Stored | None:
        return self._envelope(f"WHERE e.body_hash = ? AND e.kind {IN_PUBLISHED} LIMIT 1", body_hash)

    def envelopes(self, channel: bytes, after: int, limit: int, *, bodies: bool = True) -> Sequence[Stored]:
        return _stored(ChannelId(channel), self._rows(_STORED if bodies else _BODILESS, channel, after, limit))

    def page(self, channel: bytes, after: int, limit: int) -> Page:
        rows = self._rows(_PAGE, channel, after, limit)
        for row in rows:  # ten thousand times in a backlog: no call that can be spared
            if (body := row[9]) is not None and sha256(body).digest() != row[10]:
                raise _damaged(row[1])
        return Page.of(channel, rows)

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        return _stored(ChannelId(channel), self._rows(_LANDMARKS, channel, after, limit))

    def authors(self, channel: bytes, first: int, last: int) -> frozenset[bytes]:
        rows = self._rows(
            "SELECT DISTINCT device FROM envelopes WHERE stream = (SELECT n FROM streams WHERE id = ?) AND seq BETWEEN ? AND ?",
            channel,
            first,
            last,
        )
        return frozenset(device for (device,) in rows)

    def log_end(self) -> LogEnd:
        row = self._row("SELECT idx + 1, time FROM envelopes ORDER BY idx DESC LIMIT 1")
        return LogEnd(*row) if row else LogEnd(0, 0)

    def log_size(self) -> int:
        row = self._row("SELECT max(idx) FROM envelopes")
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    def entries(self, first: int, limit: int) -> Sequence[bytes]:
        return [encode(Entry(1, *row)) for row in self._rows(_ENTRIES, first, limit)]
