"""Alerts, ladders and notices: rows to values (`core.broadcast.Broadcasts`), and their effects to rows."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import apsw

from gateway.core import effects as e
from gateway.core.broadcast import (
    AlertRow,
    Asked,
    Ending,
    Fallback,
    Firing,
    Notice,
    Placing,
    Position,
    Waiting,
)
from gateway.store.table import Rows
from gateway.wire import NoticeState
from keys.identity import ChannelId, PersonId
from keys.ladder import APP, Why

_ALERT: Final = (
    "SELECT a.root, a.id, a.draft, a.ladder, a.writer, a.approver, a.seq, a.not_after, a.review_due, x.begun, x.ended, x.asked,"
    " x.answered, x.rung, x.waiting, x.due, x.since, x.fallback, x.stopped, x.firings, a.emergency"
    " FROM alerts a JOIN escalations x ON x.root = a.root "
)
_DUE: Final = (
    _ALERT + "WHERE x.root = (SELECT root FROM escalations WHERE waiting != 0 AND wake <= ? ORDER BY wake LIMIT 1)"
)
_NOTICE: Final = "SELECT n.id, n.root, n.firing, n.rung, n.person, n.road, n.state, n.due, n.time, n.attempts, n.detail, n.n FROM notices n "
_OPEN: Final = (
    "JOIN escalations x ON x.root = n.root JOIN alerts a ON a.root = n.root"
    " WHERE n.state = 1 AND x.ended = 0 AND a.not_after >= ?1 "
)
_REMINDING: Final = (
    "JOIN escalations x ON x.root = n.root JOIN alerts a ON a.root = n.root WHERE n.state IN (1, 2) AND x.ended = 0"
    " AND a.not_after >= ?1 AND (n.state = 1 OR n.n = (SELECT max(m.n) FROM notices m WHERE m.person = n.person"
    " AND m.root = n.root AND m.road = n.road)) AND NOT EXISTS (SELECT 1 FROM alert_people p WHERE p.root = n.root"
    " AND p.person = n.person AND p.answered != 0) "
)
_CHAIN: Final = (
    "WITH RECURSIVE chain (root) AS (VALUES {roots} UNION SELECT r.reference FROM alert_references r JOIN chain USING (root)"
    " UNION SELECT r.root FROM alert_references r JOIN chain c ON r.reference = c.root) SELECT root FROM chain"
)


def _notice(row: tuple) -> Notice:  # type: ignore[type-arg]
    return Notice(row[0], row[1], row[2], row[3], PersonId(row[4]), row[5], NoticeState(row[6]), *row[7:])


class BroadcastRows(Rows):
    """The part of `SqliteView` about alerts."""

    def _alert(self, row: tuple | None) -> AlertRow | None:  # type: ignore[type-arg]
        if row is None:
            return None
        return AlertRow(
            root=row[0],
            id=row[1],
            draft=row[2],
            ladder=row[3],
            writer=PersonId(row[4]),
            approver=PersonId(row[5]) if row[5] is not None else None,
            seq=row[6],
            not_after=row[7],
            review_due=row[8],
            begun=row[9],
            ended=Ending(row[10]),
            asked=row[11],
            answered=row[12],
            at=Position(row[13], Waiting(row[14]), row[15], row[16], Fallback(row[17]), bool(row[18]), row[19]),
            emergency=row[20],
        )

    def alert(self, root: bytes) -> AlertRow | None:
        return self._alert(self._row(_ALERT + "WHERE a.root = ?", root))

    def alert_of(self, alert: bytes) -> AlertRow | None:
        return self._alert(self._row(_ALERT + "WHERE a.id = ?", alert))

    def alert_chain(self, roots: Sequence[bytes]) -> Sequence[bytes]:
        if not roots:
            return ()
        return [root for (root,) in self._rows(_CHAIN.format(roots=", ".join(["(?)"] * len(roots))), *roots)]

    def alert_references(self, root: bytes) -> Sequence[bytes]:
        rows = self._rows("SELECT reference FROM alert_references WHERE root = ? ORDER BY reference", root)
        return [reference for (reference,) in rows]

    def alert_places(self, root: bytes) -> Sequence[Placing]:
        rows = self._rows(
            "SELECT p.stream, p.seq FROM alert_places p JOIN streams s ON s.id = p.stream"
            " JOIN envelopes e ON e.stream = s.n AND e.seq = p.seq WHERE p.root = ? ORDER BY e.idx",
            root,
        )
        return [Placing(ChannelId(channel), seq) for channel, seq in rows]

    def alert_stands(self, root: bytes, channel: bytes) -> bool:
        return self._row("SELECT 1 FROM alert_places WHERE root = ? AND stream = ?", root, channel) is not None

    def asked(self, root: bytes, person: bytes) -> Asked | None:
        row = self._row("SELECT target, answered FROM alert_people WHERE root = ? AND person = ?", root, person)
        return Asked(PersonId(person), bool(row[0]), row[1]) if row else None

    def all_asked(self, root: bytes) -> Sequence[Asked]:
        rows = self._rows("SELECT person, target, answered FROM alert_people WHERE root = ? ORDER BY person", root)
        return [Asked(PersonId(person), bool(target), answered) for person, target, answered in rows]

    def silent(self, root: bytes) -> Sequence[PersonId]:
        sql = "SELECT person FROM alert_people WHERE root = ? AND target = 1 AND answered = 0 ORDER BY person"
        return [PersonId(person) for (person,) in self._rows(sql, root)]

    def people(self, channel: bytes) -> AbstractSet[PersonId]:
        sql = (
            "SELECT DISTINCT c.person FROM members m JOIN certificates c ON c.hash = m.certificate"
            " WHERE m.stream = ? AND m.left_at = 0"
        )
        return frozenset(PersonId(person) for (person,) in self._rows(sql, channel))

    def organisations(self, channel: bytes) -> AbstractSet[str]:
        sql = (
            "SELECT DISTINCT c.organisation FROM members m JOIN certificates c ON c.hash = m.certificate"
            " WHERE m.stream = ? AND m.left_at = 0"
        )
        return frozenset(organisation for (organisation,) in self._rows(sql, channel))

    def plan(self, channel: bytes, device: bytes) -> AlertRow | None:
        sql = _ALERT + "JOIN plans p ON p.root = a.root WHERE p.stream = ? AND p.device = ? AND x.ended = 0"
        return self._alert(self._row(sql, channel, device))

    def ladder_due(self, now: int) -> AlertRow | None:
        return self._alert(self._row(_DUE, now))

    def ladder_next(self) -> int | None:
        row = self._row("SELECT min(wake) FROM escalations WHERE waiting != 0")
        return row[0] if row else None

    def ladder_clock(self) -> int:
        row = self._row("SELECT max(since) FROM escalations")
        return (row[0] or 0) if row else 0

    def firings(self, root: bytes) -> Sequence[Firing]:
        rows = self._rows(
            "SELECT number, rung, road, why, time, seq, woken, unreached FROM firings WHERE root = ? ORDER BY number",
            root,
        )
        return [Firing(number, rung, road, Why(why), *rest) for number, rung, road, why, *rest in rows]

    def notice(self, notice: bytes) -> Notice | None:
        row = self._row(_NOTICE + "WHERE n.id = ?", notice)
        return _notice(row) if row else None

    def notices(self, root: bytes, after: int, limit: int) -> Sequence[Notice]:
        return [
            _notice(r) for r in self._rows(_NOTICE + "WHERE root = ? AND n > ? ORDER BY n LIMIT ?", root, after, limit)
        ]

    def notices_queued(self, road: str, now: int, limit: int) -> Sequence[Notice]:
        sql = _NOTICE + _OPEN + "AND n.road = ?2 AND n.due <= ?1 ORDER BY n.due, n.n LIMIT ?3"
        return [_notice(row) for row in self._rows(sql, now, road, limit)]

    def notices_next(self, road: str) -> int | None:
        row = self._row("SELECT min(due) FROM notices WHERE state = 1 AND road = ?", road)
        return row[0] if row else None

    def reminders_after(self, number: int, now: int, limit: int) -> Sequence[Notice]:
        sql = _NOTICE + _OPEN + "AND n.n > ?2 AND n.road = ?3 ORDER BY n.n LIMIT ?4"
        return [_notice(row) for row in self._rows(sql, now, number, APP, limit)]

    def reminders(self, person: bytes, now: int, limit: int) -> Sequence[Notice]:
        sql = _NOTICE + _REMINDING + "AND n.person = ?2 AND n.road = ?3 ORDER BY n.n LIMIT ?4"
        return [_notice(row) for row in self._rows(sql, now, person, APP, limit)]

    def roads(self) -> AbstractSet[str]:
        return frozenset(name for (name,) in self._rows("SELECT name FROM roads"))

    def reached_by(self, road: str) -> AbstractSet[PersonId]:
        return frozenset(PersonId(p) for (p,) in self._rows("SELECT person FROM contacts WHERE road = ?", road))


# --- effects ---


def put_alert(db: apsw.Connection, effect: e.PutAlert) -> None:
    r = effect.row
    db.execute(
        "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (r.root, r.id, r.draft, r.ladder, r.writer, r.approver, r.seq, r.not_after, r.review_due, r.emergency),
    )
    db.executemany(
        "INSERT INTO alert_references VALUES (?, ?)", [(r.root, reference) for reference in effect.references]
    )
    db.execute(
        "INSERT INTO escalations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (r.root, r.begun, int(r.ended), r.asked, r.answered, *_position(r.at)),
    )


def put_plan(db: apsw.Connection, effect: e.PutPlan) -> None:
    db.execute(
        "INSERT INTO plans VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET root = excluded.root",
        (effect.channel, effect.device, effect.root),
    )


def _position(at: Position) -> tuple[int, ...]:
    return at.rung, int(at.waiting), at.due, at.since, int(at.fallback), int(at.stopped), at.firings, at.wake


def place_alert(db: apsw.Connection, effect: e.PlaceAlert) -> None:
    root, placing = effect.root, effect.placing
    db.execute("INSERT INTO alert_places VALUES (?, ?, ?)", (root, placing.channel, placing.seq))
    db.executemany(
        "INSERT INTO alert_people VALUES (?, ?, 1, 0) ON CONFLICT DO UPDATE SET target = 1",
        [(root, person) for person in effect.people],
    )
    db.execute(
        "UPDATE escalations SET begun = CASE begun WHEN 0 THEN ?2 ELSE begun END, (asked, answered) = (SELECT"
        " count(*), count(nullif(answered, 0)) FROM alert_people WHERE root = ?1 AND target = 1) WHERE root = ?1",
        (root, effect.begun),
    )


def put_position(db: apsw.Connection, effect: e.PutPosition) -> None:
    db.execute(
        "UPDATE escalations SET rung = ?, waiting = ?, due = ?, since = ?, fallback = ?, stopped = ?, firings = ?, wake = ?"
        " WHERE root = ?",
        (*_position(effect.at), effect.root),
    )


def end_alert(db: apsw.Connection, effect: e.EndAlert) -> None:
    db.execute(
        "UPDATE escalations SET ended = ?, waiting = 0 WHERE root = ? AND ended = 0", (int(effect.ending), effect.root)
    )
    withdraw_notices(db, e.WithdrawNotices(effect.root, effect.time))


def withdraw_notices(db: apsw.Connection, effect: e.WithdrawNotices) -> None:
    db.execute("UPDATE notices SET state = 4, time = ? WHERE state = 1 AND root = ?", (effect.time, effect.root))


def put_firing(db: apsw.Connection, effect: e.PutFiring) -> None:
    f = effect.firing
    # The primary keys guard the write against a decision made twice.
    db.execute(
        "INSERT INTO firings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (effect.root, f.number, f.rung, f.road, int(f.why), f.time, f.seq, f.woken, f.unreached),
    )
    db.executemany(
        "INSERT INTO notices (id, root, firing, rung, person, road, state, due, time, attempts, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (n.id, n.root, n.firing, n.rung, n.person, n.road, int(n.state), n.due, n.time, n.attempts, n.detail)
            for n in effect.notices
        ],
    )


def settle_notice(db: apsw.Connection, effect: e.SettleNotice) -> None:
    # What was sent was sent, even if it was withdrawn meanwhile; what was withdrawn is not queued again.
    db.execute(
        "UPDATE notices SET state = CASE WHEN state = 4 AND ?2 != 2 THEN 4 ELSE ?2 END, due = ?3, time = ?4,"
        " attempts = attempts + 1, detail = ?5 WHERE id = ?1 AND state IN (1, 4)",
        (effect.id, int(effect.state), effect.due, effect.time, effect.detail),
    )


def put_roads(db: apsw.Connection, effect: e.PutRoads) -> None:
    db.execute("DELETE FROM roads")
    db.execute("DELETE FROM contacts")
    db.executemany("INSERT INTO roads VALUES (?)", [(name,) for name in effect.roads])
    db.executemany("INSERT INTO contacts VALUES (?, ?)", effect.reached)


def set_review(db: apsw.Connection, effect: e.SetReview) -> None:
    db.execute("UPDATE alerts SET review_due = ? WHERE root = ?", (effect.review_due, effect.root))
