"""Rows to values: `View` over one SQLite connection, in whatever transaction that is in."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import apsw

from gateway.core.rows import (
    CertificateRow,
    Chain,
    End,
    Invitation,
    Member,
    Package,
    RefusedAttempt,
    Stream,
    StreamKind,
)
from gateway.store.bodies import BodyRows
from gateway.store.broadcasts import BroadcastRows
from gateway.store.disclosures import DisclosureRows
from gateway.store.envelopes import EnvelopeRows
from gateway.store.retention import RetentionRows
from gateway.wire import Refusal
from keys.authority import RevocationList
from keys.charter import Charter, reopen
from keys.envelope import NOTHING, Envelope
from keys.identity import ChannelId, DeviceId, PersonId, receipt_stream

_MEMBER = (
    "SELECT stream, device, leaf, certificate, since, epoch, left_at, welcome, welcome_length, rolling FROM members "
)
_MEMBER_OF = _MEMBER + "WHERE stream = ? AND device = ? ORDER BY since"
_STREAM = (
    "SELECT s.kind, e.seq, e.rolling, s.parent, s.epoch, s.class, s.ceiling, s.suite, s.grace_until, s.expires, s.blocked, s.beside"
    " FROM streams s LEFT JOIN envelopes e ON e.stream = s.n AND e.seq = (SELECT max(seq) FROM envelopes WHERE stream = s.n)"
    " WHERE s.id = ?"
)
_NEWEST_OF = (
    "SELECT number, header, signature FROM envelopes"
    " WHERE stream = coalesce((SELECT n FROM streams WHERE id = ?), 0) AND device = ? ORDER BY number DESC LIMIT 1"
)
_REFUSED_LAST = "SELECT max(number) FROM refusals WHERE stream = ? AND device = ?"
_MEMBER_ANYWHERE = _MEMBER + "WHERE device = ? ORDER BY stream, since"
_CERTIFICATE = (
    "SELECT hash, der, device, person, organisation, roles, public_key, serial, not_before, not_after, revoked, idx, seq"
    " FROM certificates "
)
_NEAREST = _CERTIFICATE + (
    "WHERE hash = coalesce((SELECT max(hash) FROM certificates WHERE hash <= ?1), (SELECT min(hash) FROM certificates))"
)
_INVITATION = "SELECT id, organisation, role, expires, request, certificate, answer, seq FROM invitations "
_INVITE = _INVITATION + "INDEXED BY invites WHERE id = ? AND role != 'renewal'"


def _member(row: tuple) -> Member:  # type: ignore[type-arg]
    return Member(ChannelId(row[0]), DeviceId(row[1]), *row[2:])


@lru_cache(256)
def _roles(names: str) -> frozenset[str]:
    """One set for all who have the same roles: every session keeps it."""
    return frozenset(names.split(","))


def _certificate(row: tuple) -> CertificateRow:  # type: ignore[type-arg]
    return CertificateRow(
        row[0],
        row[1],
        DeviceId(row[2]),
        PersonId(row[3]),
        row[4],
        _roles(row[5]),
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

    def charter(self, note: bytes) -> Charter:
        if note not in self._charters:
            self._charters = {note: reopen(note)}
        return self._charters[note]


class SqliteView(EnvelopeRows, BodyRows, BroadcastRows, DisclosureRows, RetentionRows):
    """`core.view.View` over one connection."""

    def __init__(self, connection: apsw.Connection, parsed: Parsed) -> None:
        self._db = connection
        self._parsed = parsed

    def charter(self) -> Charter | None:
        row = self._row("SELECT note FROM charters ORDER BY version DESC LIMIT 1")
        return self._parsed.charter(row[0]) if row else None

    def charter_notes(self) -> Sequence[bytes]:
        return [note for (note,) in self._rows("SELECT note FROM charters ORDER BY version")]

    def stream(self, channel: bytes) -> Stream | None:
        row = self._row(_STREAM, channel)
        if row is None:
            return None
        kind, seq, rolling, *rest = row
        return Stream(ChannelId(channel), StreamKind(kind), seq or 0, rolling or NOTHING, *rest)

    def chain(self, channel: bytes, device: bytes) -> Chain:
        newest = self._row(_NEWEST_OF, channel, device)
        refused = self._row(_REFUSED_LAST, channel, device)
        assert refused is not None  # of null, where there is nothing
        number, link = (newest[0], Envelope(newest[1], newest[2]).link) if newest else (0, NOTHING)
        return Chain(number, link, refused[0] or 0)

    def refused_attempts(self, channel: bytes, device: bytes, first: int, last: int) -> Mapping[int, RefusedAttempt]:
        rows = self._rows(
            "SELECT number, attempt, refusal, header_hash, statement FROM refusals"
            " WHERE stream = ? AND device = ? AND number BETWEEN ? AND ?",
            channel,
            device,
            first,
            last,
        )
        return {row[0]: RefusedAttempt(row[1], Refusal(row[2]), row[3], row[4]) for row in rows}

    def member(self, channel: bytes, device: bytes) -> Member | None:
        rows = self._rows(
            _MEMBER_OF, channel, device
        )  # in the order of the key; a backward scan takes six times as long
        return _member(rows[-1]) if rows else None

    def member_beside(self, receipts: bytes, device: bytes) -> Member | None:
        rows = [r for r in self._rows(_MEMBER_ANYWHERE, device) if receipt_stream(ChannelId(r[0])) == receipts]
        return _member(rows[-1]) if rows else None

    def members(self, channel: bytes) -> Sequence[Member]:
        return [_member(r) for r in self._rows(_MEMBER + "WHERE stream = ? AND left_at = 0 ORDER BY leaf", channel)]

    def present_between(self, channel: bytes, first: int, last: int) -> Sequence[DeviceId]:
        sql = "SELECT DISTINCT device FROM members WHERE stream = ? AND since < ? AND (left_at = 0 OR left_at >= ?)"
        return [DeviceId(row[0]) for row in self._rows(sql, channel, last, first)]

    def memberships(self, device: bytes) -> Sequence[Member]:
        sql = (
            _MEMBER
            + "WHERE device = ?1 AND since = (SELECT max(since) FROM members m WHERE m.device = ?1 AND m.stream = members.stream)"
        )
        return [_member(row) for row in self._rows(sql, device)]

    # CROSS JOIN: from the channels of who asks, so that what it takes says nothing of the other
    def share_channel(self, device: bytes, other: bytes) -> bool:
        return (
            self._row(
                "SELECT 1 FROM members a CROSS JOIN members b ON b.stream = a.stream"
                " WHERE a.device = ? AND b.device = ? AND a.left_at = 0 AND b.left_at = 0 LIMIT 1",
                device,
                other,
            )
            is not None
        )

    def shared_channel(self, device: bytes, other: bytes) -> bool:
        return (
            self._row(
                "SELECT 1 FROM members a CROSS JOIN members b ON b.stream = a.stream WHERE a.device = ? AND b.device = ?"
                " AND (b.left_at = 0 OR a.since < b.left_at) AND (a.left_at = 0 OR b.since < a.left_at) LIMIT 1",
                device,
                other,
            )
            is not None
        )

    def channels_of(self, device: bytes) -> int:
        row = self._row("SELECT count(*) FROM members WHERE device = ? AND left_at = 0", device)
        return int(row[0]) if row else 0

    def group(self, channel: bytes) -> Mapping[str, bytes]:
        return dict(self._rows("SELECT part, value FROM groups WHERE stream = ?", channel))

    def tree(self, channel: bytes, seq: int) -> tuple[bytes, int] | None:
        row = self._row("SELECT hash, length FROM trees WHERE stream = ? AND seq = ?", channel, seq)
        return (row[0], row[1]) if row else None

    def resync(self, channel: bytes, device: bytes) -> int | None:
        row = self._row("SELECT epoch FROM resyncs WHERE stream = ? AND device = ?", channel, device)
        return row[0] if row else None

    def ends(self, channel: bytes) -> Mapping[bytes, End]:
        rows = self._rows(
            "SELECT m.device, c.not_after, c.revoked FROM members m JOIN certificates c ON c.hash = m.certificate"
            " WHERE m.stream = ? AND m.left_at = 0",
            channel,
        )
        return {device: End(not_after, bool(revoked)) for device, not_after, revoked in rows}

    def certificate(self, certificate_hash: bytes) -> CertificateRow | None:
        row = self._row(_CERTIFICATE + "WHERE hash = ?", certificate_hash)
        return _certificate(row) if row else None

    def nearest_certificate(self, certificate_hash: bytes) -> CertificateRow | None:
        row = self._row(_NEAREST, certificate_hash)
        return _certificate(row) if row else None

    def revoked(self, certificate_hash: bytes) -> bool | None:
        row = self._row("SELECT revoked FROM certificates WHERE hash = ?", certificate_hash)
        return bool(row[0]) if row else None

    def certificates(self, device: bytes) -> Sequence[CertificateRow]:
        return [_certificate(r) for r in self._rows(_CERTIFICATE + "WHERE device = ? ORDER BY idx DESC", device)]

    def directory(self, after: bytes, limit: int, near: bytes | None = None) -> Sequence[CertificateRow]:
        sql = _CERTIFICATE + (
            "WHERE device > ?1 AND idx = (SELECT max(idx) FROM certificates c WHERE c.device = certificates.device)"
            " AND (?3 IS NULL OR device = ?3 OR device IN (SELECT b.device FROM members a JOIN members b"
            " ON b.stream = a.stream WHERE a.device = ?3 AND a.left_at = 0 AND b.left_at = 0)) ORDER BY device LIMIT ?2"
        )
        return [_certificate(row) for row in self._rows(sql, after, limit, near)]

    def revocations(self, organisation: str) -> RevocationList | None:
        row = self._row(
            "SELECT der, number, this_update, next_update, serials, signer FROM revocations WHERE organisation = ?",
            organisation,
        )
        if row is None:
            return None
        serials = frozenset(int.from_bytes(row[4][at : at + 16]) for at in range(0, len(row[4]), 16))
        return RevocationList(row[0], organisation, row[1], row[2], row[3], serials, int(row[5], 16))

    def list_made(self, organisation: str) -> int | None:
        row = self._row("SELECT this_update FROM revocations WHERE organisation = ?", organisation)
        return row[0] if row else None

    def invitation(self, invite: bytes) -> Invitation | None:
        row = self._row(_INVITATION + "WHERE id = ?", invite)
        return Invitation(*row) if row else None

    def invite(self, invite: bytes) -> Invitation | None:
        row = self._row(_INVITE, invite)
        return Invitation(*row) if row else None

    def granted(self, certificate: bytes) -> Invitation | None:
        row = self._row(_INVITATION + "WHERE certificate = ? AND seq = 0", certificate)
        return Invitation(*row) if row else None

    def invites_open(self, organisation: str, now: int) -> int:
        row = self._row(
            "SELECT count(*) FROM invitations WHERE organisation = ? AND role != 'renewal' AND seq = 0 AND expires >= ?",
            organisation,
            now,
        )
        return int(row[0]) if row else 0

    def pending(self, organisation: str | None, granted: bool | None, ends: int, limit: int) -> Sequence[Invitation]:
        rows = self._rows(
            _INVITATION + "WHERE length(request) > 0 AND seq = 0 AND (?1 IS NULL OR organisation = ?1)"
            " AND (?2 IS NULL OR (length(certificate) > 0) = ?2) AND expires >= ?3 ORDER BY expires, id LIMIT ?4",
            organisation,
            granted,
            ends,
            limit,
        )
        return [Invitation(*row) for row in rows]

    def package(self, device: bytes, suite: int, now_seconds: int) -> Package | None:
        row = self._row(
            "SELECT n, device, suite, data, last_resort FROM packages WHERE device = ? AND suite = ? AND taken = 0"
            " AND not_after >= ? ORDER BY last_resort, n LIMIT 1",
            device,
            suite,
            now_seconds,
        )
        return Package(row[0], DeviceId(row[1]), row[2], row[3], bool(row[4])) if row else None

    def package_known(self, package_hash: bytes) -> bool:
        return self._row("SELECT 1 FROM packages WHERE hash = ?", package_hash) is not None

    def packages_left(self, device: bytes, suite: int | None = None, now_seconds: int = 0) -> int:
        row = self._row(
            "SELECT count(*) FROM packages WHERE device = ?1 AND taken = 0 AND last_resort = 0"
            " AND (?2 IS NULL OR suite = ?2) AND not_after >= ?3",
            device,
            suite,
            now_seconds,
        )
        return int(row[0]) if row else 0

    def claims_since(self, claimer: bytes, since: int, device: bytes | None = None) -> int:
        row = self._row(
            "SELECT count(*) FROM claims WHERE claimer = ?1 AND time > ?2 AND (?3 IS NULL OR device = ?3)",
            claimer,
            since,
            device,
        )
        return int(row[0]) if row else 0

    def checkpoint(self) -> bytes | None:
        row = self._row("SELECT note FROM checkpoint")
        return row[0] if row else None
