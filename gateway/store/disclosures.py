"""Requests to see one message, their votes and answers: rows to values, and their effects to rows."""

from typing import Final

import apsw

from gateway.core import effects as e
from gateway.core.rows import DisclosureRow
from gateway.store.table import Rows
from keys.identity import ChannelId, PersonId

_REQUEST: Final = "SELECT stream, seq, requester, author, time FROM disclosures WHERE request = ?"


class DisclosureRows(Rows):
    """The part of `SqliteView` about disclosures."""

    def disclosure(self, request: bytes) -> DisclosureRow | None:
        row = self._row(_REQUEST, request)
        if row is None:
            return None
        votes = self._rows("SELECT person, agrees FROM disclosure_votes WHERE request = ?", request)
        answered = self._rows("SELECT device FROM disclosure_answers WHERE request = ?", request)
        return DisclosureRow(
            request,
            ChannelId(row[0]),
            row[1],
            PersonId(row[2]),
            PersonId(row[3]),
            row[4],
            frozenset(PersonId(person) for person, agrees in votes if agrees),
            frozenset(PersonId(person) for person, agrees in votes if not agrees),
            frozenset(device for (device,) in answered),
        )

    def disclosures_since(self, person: bytes, since: int) -> int:
        found = self._row("SELECT count(*) FROM disclosures WHERE requester = ? AND time > ?", person, since)
        assert found is not None  # a count
        return int(found[0])


def put_disclosure(db: apsw.Connection, effect: e.PutDisclosure) -> None:
    row = effect.row
    db.execute(
        "INSERT INTO disclosures VALUES (?, ?, ?, ?, ?, ?)",
        (row.request, row.channel, row.seq, row.requester, row.author, row.time),
    )


def put_vote(db: apsw.Connection, effect: e.PutVote) -> None:
    db.execute("INSERT INTO disclosure_votes VALUES (?, ?, ?)", (effect.request, effect.person, int(effect.agrees)))


def put_disclosed(db: apsw.Connection, effect: e.PutDisclosed) -> None:
    db.execute("INSERT INTO disclosure_answers VALUES (?, ?)", (effect.request, effect.device))
