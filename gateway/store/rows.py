"""Rows to values: `View` over one SQLite connection, in whatever transaction that is in."""

from collections.abc import Mapping, Sequence

import apsw

from gateway.core.view import (
    CertificateRow,
    Chain,
    Invitation,
    Member,
    Package,
    Stored,
    Stream,
    StreamKind,
    Upload,
)
from keys.authority import RevocationList, read_revocation_list
from keys.charter import Charter, reopen
from keys.envelope import NOTHING, Kind
from keys.identity import ChannelId, DeviceId, PersonId

_STORED = (
    "SELECT s.id, e.seq, e.idx, e.time, e.nonce, e.header, e.signature, e.kind, e.device, e.number, e.precedence, e.body_hash,"
    " e.body_length, {body} FROM envelopes e JOIN streams s ON s.n = e.stream "
)
_WITH_BODY = _STORED.format(body="e.body")
_WITHOUT_BODY = _STORED.format(body="NULL")
_MEMBER = (
    "SELECT stream, device, leaf, certificate, since, epoch, left_at, welcome, welcome_length, rolling FROM members "
)
_CERTIFICATE = (
    "SELECT hash, der, device, person, organisation, roles, public_key, serial, not_before, not_after, revoked, idx, seq"
    " FROM certificates "
)
_INVITATION = "SELECT id, organisation, role, expires, request, certificate, answer, seq FROM invitations "


def _stored(row: tuple) -> Stored:  # type: ignore[type-arg]
    return Stored(
        ChannelId(row[0]),
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        Kind(row[7]),
        DeviceId(row[8]),
        row[9],
        row[10],
        row[11],
        row[12],
        row[13],
    )


def _member(row: tuple) -> Member:  # type: ignore[type-arg]
    return Member(ChannelId(row[0]), DeviceId(row[1]), *row[2:])


def _certificate(row: tuple) -> CertificateRow:  # type: ignore[type-arg]
    return CertificateRow(
        row[0],
        row[1],
        DeviceId(row[2]),
        PersonId(row[3]),
        row[4],
        frozenset(row[5].split(",")),
        row[6],
        int(row[7], 16),
        row[8],
        row[9],
        bool(row[10]),
        row[11],
        row[12],
    )


class Parsed:
    """Values that cost a signature check to read, kept by the very bytes they were read from: nothing is believed longer."""

    def __init__(self) -> None:
        self._charters: dict[bytes, Charter] = {}
        self._lists: dict[tuple[bytes, bytes], RevocationList] = {}

    def charter(self, note: bytes) -> Charter:
        if note not in self._charters:
            self._charters = {note: reopen(note)}
        return self._charters[note]

    def revocations(self, der: bytes, charter: Charter) -> RevocationList:
        key = (der, charter.note)
        if key not in self._lists:
            kept = list(self._lists.items())[-63:]  # one an organisation; a few thousand bytes each
            self._lists = {**dict(kept), key: read_revocation_list(der, charter.policy.issuers)}
        return self._lists[key]


class SqliteView:
    """`core.view.View` over one connection."""

    def __init__(self, connection: apsw.Connection, parsed: Parsed) -> None:
        self._db = connection
        self._parsed = parsed

    def _row(self, sql: str, *values: object) -> tuple | None:  # type: ignore[type-arg]
        return self._db.execute(sql, values).fetchone()

    def _rows(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        return self._db.execute(sql, values).fetchall()

    def charter(self) -> Charter | None:
        row = self._row("SELECT note FROM charters ORDER BY version DESC LIMIT 1")
        return self._parsed.charter(row[0]) if row else None

    def charter_notes(self) -> Sequence[bytes]:
        return [note for (note,) in self._rows("SELECT note FROM charters ORDER BY version")]

    def stream(self, channel: bytes) -> Stream | None:
        row = self._row(
            "SELECT kind, seq, rolling, parent, epoch, class, ceiling, suite, grace_until, expires, blocked"
            " FROM streams WHERE id = ?",
            channel,
        )
        return Stream(ChannelId(channel), StreamKind(row[0]), *row[1:]) if row else None

    def chain(self, channel: bytes, device: bytes) -> Chain:
        row = self._row("SELECT number, link FROM chains WHERE stream = ? AND device = ?", channel, device)
        return Chain(*row) if row else Chain(0, NOTHING)

    def refused_attempts(self, channel: bytes, device: bytes, first: int, last: int) -> Mapping[int, int]:
        rows = self._rows(
            "SELECT number, attempt FROM refusals WHERE stream = ? AND device = ? AND number BETWEEN ? AND ?",
            channel,
            device,
            first,
            last,
        )
        return dict(rows)

    def envelope_at(self, channel: bytes, device: bytes, number: int) -> Stored | None:
        row = self._row(_WITH_BODY + "WHERE s.id = ? AND e.device = ? AND e.number = ?", channel, device, number)
        return _stored(row) if row else None

    def envelopes(self, channel: bytes, after: int, limit: int, *, bodies: bool = True) -> Sequence[Stored]:
        sql = (_WITH_BODY if bodies else _WITHOUT_BODY) + "WHERE s.id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
        return [_stored(row) for row in self._rows(sql, channel, after, limit)]

    def envelope(self, channel: bytes, seq: int) -> Stored | None:
        row = self._row(_WITH_BODY + "WHERE s.id = ? AND e.seq = ?", channel, seq)
        return _stored(row) if row else None

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        sql = _WITH_BODY + (
            "WHERE e.stream = (SELECT n FROM streams WHERE id = ?) AND e.seq > ?"
            " AND (e.kind IN (3, 4, 8) OR e.precedence = 0) ORDER BY e.seq LIMIT ?"
        )
        return [_stored(row) for row in self._rows(sql, channel, after, limit)]

    def authors(self, channel: bytes, first: int, last: int) -> frozenset[bytes]:
        rows = self._rows(
            "SELECT DISTINCT device FROM envelopes WHERE stream = (SELECT n FROM streams WHERE id = ?) AND seq BETWEEN ? AND ?",
            channel,
            first,
            last,
        )
        return frozenset(device for (device,) in rows)

    def member(self, channel: bytes, device: bytes) -> Member | None:
        row = self._row(_MEMBER + "WHERE stream = ? AND device = ? ORDER BY since DESC LIMIT 1", channel, device)
        return _member(row) if row else None

    def members(self, channel: bytes) -> Sequence[Member]:
        return [_member(r) for r in self._rows(_MEMBER + "WHERE stream = ? AND left_at = 0 ORDER BY leaf", channel)]

    def memberships(self, device: bytes) -> Sequence[Member]:
        sql = (
            _MEMBER
            + "WHERE device = ?1 AND since = (SELECT max(since) FROM members m WHERE m.device = ?1 AND m.stream = members.stream)"
        )
        return [_member(row) for row in self._rows(sql, device)]

    def share_channel(self, device: bytes, other: bytes) -> bool:
        return (
            self._row(
                "SELECT 1 FROM members a JOIN members b ON b.stream = a.stream"
                " WHERE a.device = ? AND b.device = ? AND a.left_at = 0 AND b.left_at = 0 LIMIT 1",
                device,
                other,
            )
            is not None
        )

    def group(self, channel: bytes) -> Mapping[str, bytes]:
        return dict(self._rows("SELECT part, value FROM groups WHERE stream = ?", channel))

    def tree(self, channel: bytes, seq: int) -> tuple[bytes, int] | None:
        row = self._row("SELECT hash, length FROM trees WHERE stream = ? AND seq = ?", channel, seq)
        return (row[0], row[1]) if row else None

    def earliest_end(self, channel: bytes) -> int | None:
        row = self._row(
            "SELECT min(c.not_after) FROM members m JOIN certificates c ON c.hash = m.certificate"
            " WHERE m.stream = ? AND m.left_at = 0",
            channel,
        )
        return row[0] if row else None

    def certificate(self, certificate_hash: bytes) -> CertificateRow | None:
        row = self._row(_CERTIFICATE + "WHERE hash = ?", certificate_hash)
        return _certificate(row) if row else None

    def certificates(self, device: bytes) -> Sequence[CertificateRow]:
        return [_certificate(r) for r in self._rows(_CERTIFICATE + "WHERE device = ? ORDER BY idx DESC", device)]

    def directory(self, after: bytes, limit: int) -> Sequence[CertificateRow]:
        sql = _CERTIFICATE + (
            "WHERE device > ? AND idx = (SELECT max(idx) FROM certificates c WHERE c.device = certificates.device)"
            " ORDER BY device LIMIT ?"
        )
        return [_certificate(row) for row in self._rows(sql, after, limit)]

    def revocations(self, organisation: str) -> RevocationList | None:
        row = self._row("SELECT der FROM revocations WHERE organisation = ?", organisation)
        charter = self.charter()
        if row is None or charter is None:
            return None
        return self._parsed.revocations(row[0], charter)

    def invitation(self, invite: bytes) -> Invitation | None:
        row = self._row(_INVITATION + "WHERE id = ?", invite)
        return Invitation(*row) if row else None

    def granted(self, certificate: bytes) -> Invitation | None:
        row = self._row(_INVITATION + "WHERE certificate = ? AND seq = 0", certificate)
        return Invitation(*row) if row else None

    def pending(self, limit: int) -> Sequence[Invitation]:
        rows = self._rows(_INVITATION + "WHERE length(request) > 0 AND seq = 0 ORDER BY expires LIMIT ?", limit)
        return [Invitation(*row) for row in rows]

    def package(self, device: bytes, suite: int) -> Package | None:
        row = self._row(
            "SELECT n, device, suite, data, last_resort FROM packages WHERE device = ? AND suite = ?"
            " ORDER BY last_resort, n LIMIT 1",
            device,
            suite,
        )
        return Package(row[0], DeviceId(row[1]), row[2], row[3], bool(row[4])) if row else None

    def packages_left(self, device: bytes, suite: int | None = None) -> int:
        row = self._row(
            "SELECT count(*) FROM packages WHERE device = ? AND last_resort = 0 AND (?2 IS NULL OR suite = ?2)",
            device,
            suite,
        )
        return int(row[0]) if row else 0

    def claims_since(self, device: bytes, since: int) -> int:
        row = self._row("SELECT count(*) FROM claims WHERE claimer = ? AND time > ?", device, since)
        return int(row[0]) if row else 0

    def upload(self, body_hash: bytes) -> Upload | None:
        row = self._row("SELECT hash, length, held FROM blobs WHERE hash = ?", body_hash)
        return Upload(*row) if row else None

    def uploads_open(self, device: bytes) -> int:
        row = self._row("SELECT count(*) FROM blobs WHERE device = ? AND held < length", device)
        return int(row[0]) if row else 0

    def partial(self, body_hash: bytes) -> bytes:
        pieces = self._rows("SELECT data FROM pieces WHERE hash = ? ORDER BY start", body_hash)
        return b"".join(data for (data,) in pieces)

    def blob(self, body_hash: bytes, offset: int, length: int) -> bytes | None:
        upload = self.upload(body_hash)
        if upload is None or upload.held < upload.length:
            return None
        pieces = self._rows(
            "SELECT start, data FROM pieces WHERE hash = ? AND start < ? ORDER BY start", body_hash, offset + length
        )
        wanted = [
            data[max(0, offset - start) : offset + length - start]
            for start, data in pieces
            if start + len(data) > offset
        ]
        return b"".join(wanted)

    def may_read(self, body_hash: bytes, device: bytes) -> bool:
        return (
            self._row(
                "SELECT 1 FROM readers r WHERE r.hash = ?1 AND (r.device = ?2 OR EXISTS"
                " (SELECT 1 FROM members m WHERE m.stream = r.stream AND m.device = ?2)) LIMIT 1",
                body_hash,
                device,
            )
            is not None
        )

    def published(self, body_hash: bytes) -> Stored | None:
        sql = _WITH_BODY + "WHERE e.body_hash = ? AND e.kind IN (1, 3, 4, 17, 18, 22, 23, 26) LIMIT 1"
        row = self._row(sql, body_hash)
        return _stored(row) if row else None

    def cursor(self, device: bytes, channel: bytes) -> int:
        row = self._row("SELECT seq FROM cursors WHERE device = ? AND stream = ?", device, channel)
        return int(row[0]) if row else 0

    def log_size(self) -> int:
        row = self._row("SELECT max(idx) FROM envelopes")
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    def entries(self, first: int, limit: int) -> Sequence[bytes]:
        rows = self._rows(_WITHOUT_BODY + "WHERE e.idx >= ? ORDER BY e.idx LIMIT ?", first, limit)
        return [_stored(row).leaf() for row in rows]

    def checkpoint(self) -> bytes | None:
        row = self._row("SELECT note FROM checkpoint")
        return row[0] if row else None
