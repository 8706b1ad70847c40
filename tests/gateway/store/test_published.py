"""The partial index of published bodies is over the very kinds that are published: else every look-up would read the whole log."""

import apsw
import pytest

from gateway.store.database import lay_out
from gateway.store.rows import Parsed, SqliteView


@pytest.mark.parametrize("ask", ["published", "published_bodies"])
def test_published_bodies_are_found_by_their_index(ask: str) -> None:
    db = apsw.Connection(":memory:")
    lay_out(db, 0)
    statements: list[tuple[str, object]] = []

    def trace(_cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        statements.append((sql, bindings))
        return True

    db.exec_trace = trace
    view = SqliteView(db, Parsed())
    view.published(bytes(32)) if ask == "published" else view.published_bodies(0, 10, 100)
    db.exec_trace = None
    (sql, bindings) = statements[0]
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings))
    assert ("envelopes_published" if ask == "published" else "PRIMARY KEY") in plan, plan
