"""Effects that every message has, many at once: one statement writes up to 64 rows.

Each statement lets go of the interpreter and has to get it back, and costs some 5 us besides its rows; so one with 64 rows is worth a
tenth of 64 statements. What they write is what the functions of `changes` would, one by one.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

import apsw

from gateway.core import effects as e
from gateway.core.rows import Stream

SIZES: Final = (64, 32, 16, 8, 4, 2, 1)  # rows of a statement; few sizes, so that each is compiled once


def append(db: apsw.Connection, appended: Iterable[e.Append], row_of: Callable[[bytes], int]) -> None:
    """New envelopes. UNIQUE (stream, seq), UNIQUE (stream, device, number) and the primary key guard against any wrong decision."""
    rows: list[tuple[object, ...]] = []
    for effect in appended:
        run = effect.run
        stream, last = row_of(run[0].channel), run[-1]
        rows += [
            (
                s.index,
                stream,
                s.seq,
                s.time,
                s.nonce,
                s.header,
                s.signature,
                s.kind,
                s.device,
                s.number,
                s.precedence,
                s.body_hash,
                s.body_length,
                s.body,
                effect.rolling if s is last else b"",
            )
            for s in run
        ]
    _write(db, "INSERT INTO envelopes VALUES", rows, "")


def row_of(db: apsw.Connection, channel: bytes) -> int:
    """The short name of a stream, which never changes."""
    row = db.execute("SELECT n FROM streams WHERE id = ?", (channel,)).fetchone()
    assert row is not None  # its row is written before its envelopes
    return int(row[0])


def put_streams(db: apsw.Connection, streams: Collection[Stream]) -> None:
    """New streams, and those that have changed."""
    rows = [
        (
            s.id,
            s.kind,
            s.parent,
            s.epoch,
            s.channel_class,
            s.ceiling,
            s.suite,
            s.grace_until,
            s.expires,
            s.blocked,
            s.beside,
        )
        for s in streams
    ]
    _write(
        db,
        "INSERT INTO streams (id, kind, parent, epoch, class, ceiling, suite, grace_until, expires, blocked, beside)"
        " VALUES",
        rows,
        "ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, epoch = excluded.epoch, class = excluded.class, ceiling = excluded.ceiling, suite = excluded.suite,"
        " grace_until = excluded.grace_until, expires = excluded.expires, blocked = excluded.blocked, beside = excluded.beside",
    )


def put_answers(db: apsw.Connection, answers: Collection[e.PutAnswer]) -> None:
    """First answers of people: each is counted, and what waits for that person is withdrawn."""
    _write(
        db,
        "INSERT INTO alert_people VALUES",
        [(a.root, a.person, int(a.target), a.time) for a in answers],
        "ON CONFLICT DO UPDATE SET answered = excluded.answered",
    )
    _write(
        db,
        "WITH answered (root, person, time) AS (VALUES",
        [(a.root, a.person, a.time) for a in answers if a.woken],
        ") UPDATE notices SET state = 4, time = answered.time FROM answered"
        " WHERE notices.state = 1 AND notices.person = answered.person AND notices.root = answered.root",
    )
    counts: dict[bytes, int] = {}
    for answer in answers:
        counts[answer.root] = counts.get(answer.root, 0) + answer.target
    for root, count in counts.items():
        db.execute("UPDATE escalations SET answered = answered + ? WHERE root = ?", (count, root))


def _write(db: apsw.Connection, head: str, rows: Sequence[tuple[object, ...]], tail: str) -> None:
    at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            values = tuple(chain.from_iterable(rows[at : at + size]))
            db.execute(_statement(head, len(rows[at]), size, tail), values)
            at += size


@lru_cache
def _statement(head: str, width: int, size: int, tail: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{head} {', '.join([row] * size)} {tail}"
