"""One connection, asked in SQL: what every part of `SqliteView` stands on."""

import apsw


class Rows:
    """Rows as tuples, in whatever transaction the connection is in."""

    _db: apsw.Connection

    def _row(self, sql: str, *values: object) -> tuple | None:  # type: ignore[type-arg]
        return self._db.execute(sql, values).fetchone()

    def _rows(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        return self._db.execute(sql, values).fetchall()
