"""Bodies by their hash: short ones lie with their envelope, longer ones in pieces, as they came."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from gateway.core.rows import Upload
from gateway.store.base import Damaged
from gateway.store.table import Rows
from keys.envelope import PUBLISHED

IN_PUBLISHED: Final = f"IN ({', '.join(str(int(kind)) for kind in sorted(PUBLISHED))})"
"""As the partial index of published bodies has it, so that SQLite takes that index."""


class BodyRows(Rows):
    """The part of `SqliteView` about bodies."""

    def upload(self, body_hash: bytes) -> Upload | None:
        row = self._row("SELECT hash, length, held, time FROM blobs WHERE hash = ?", body_hash)
        return Upload(*row) if row else None

    def uploads_open(self, device: bytes) -> Sequence[Upload]:
        rows = self._rows(
            "SELECT hash, length, held, time FROM blobs WHERE device = ? AND open = 1 ORDER BY time", device
        )
        return [Upload(*row) for row in rows]

    def partial(self, body_hash: bytes) -> bytes:
        pieces = self._rows("SELECT data FROM pieces WHERE hash = ? ORDER BY start", body_hash)
        return b"".join(data for (data,) in pieces)

    def blob(self, body_hash: bytes, offset: int, length: int) -> bytes | None:
        upload = self.upload(body_hash)
        if upload is None or upload.held < upload.length:
            return None
        pieces = self._rows(  # length() of a blob reads its header alone, so pieces before the offset cost nothing
            "SELECT start, data FROM pieces WHERE hash = ?1 AND start < ?3 AND start + length(data) > ?2 ORDER BY start",
            body_hash,
            offset,
            offset + length,
        )
        return b"".join(data[max(0, offset - start) : offset + length - start] for start, data in pieces)

    def may_read(self, body_hash: bytes, device: bytes) -> bool:
        return (
            self._row(
                "SELECT 1 FROM readers r WHERE r.hash = ?1 AND (r.device = ?2 OR EXISTS (SELECT 1 FROM members m"
                " WHERE m.stream = r.stream AND m.device = ?2 AND m.since <= r.seq AND (m.left_at = 0 OR r.seq <= m.left_at))"
                " OR EXISTS (SELECT 1 FROM streams s WHERE s.id = r.stream AND s.kind = 1)) LIMIT 1",
                body_hash,
                device,
            )
            is not None
        )

    def short_body(self, body_hash: bytes, device: bytes) -> bytes | None:
        row = self._row(
            "SELECT e.body FROM envelopes e JOIN streams s ON s.n = e.stream JOIN members m ON m.stream = s.id"
            " WHERE e.body_hash = ?1 AND e.body_length > 1024 AND e.body IS NOT NULL AND m.device = ?2 AND m.since < e.seq"
            " AND (m.left_at = 0 OR e.seq <= m.left_at) LIMIT 1",
            body_hash,
            device,
        )
        if row is None:
            return None
        if sha256(row[0]).digest() != body_hash:
            raise Damaged("a body is not what was stored: look at the disk")
        return bytes(row[0])

    def published_bodies(self, first: int, limit: int, most: int) -> Sequence[tuple[int, bytes]]:
        rows = self._rows(
            "SELECT idx, body_hash, body_length FROM envelopes WHERE idx >= ? AND idx < ?"
            f" AND kind {IN_PUBLISHED} ORDER BY idx",
            first,
            first + limit,
        )
        found: list[tuple[int, bytes]] = []
        held = 0
        for index, digest, length in rows:
            if held >= most:
                break
            row = self._row("SELECT body FROM envelopes WHERE idx = ?", index)
            body = row[0] if row and row[0] is not None else self.blob(digest, 0, length)
            if body is not None:
                found.append((index, body))
                held += length
        return found

    def receipt_bodies(self, first: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._rows(
            "SELECT idx, body FROM envelopes WHERE idx >= ? AND idx < ? AND kind = 6 AND body IS NOT NULL ORDER BY idx",
            first,
            first + limit,
        )

    def bodies_kept(self, first: int, limit: int) -> Sequence[tuple[int, bytes, bytes]]:
        """Log index, hash and body of those that lie with their entry; unchecked."""
        return self._rows(
            "SELECT idx, body_hash, body FROM envelopes WHERE idx >= ? AND idx < ? AND body IS NOT NULL ORDER BY idx",
            first,
            first + limit,
        )

    def blobs_kept(self, after: bytes, limit: int) -> Sequence[bytes]:
        """Hashes of those that lie apart and are whole, in their order; unchecked."""
        rows = self._rows("SELECT hash FROM blobs WHERE hash > ? AND held = length ORDER BY hash LIMIT ?", after, limit)
        return [digest for (digest,) in rows]
