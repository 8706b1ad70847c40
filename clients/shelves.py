"""Shelves and secrets in one SQLite database, whatever stands behind it: a vault's file, or the memory of its side."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import apsw

from clients.core.ledger import Change


class Shelves:
    """Shelves and secrets in one database."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none; durable when it ends. Blocks inside a block belong to the outer one."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # --- shelves: the view that the device's core reads ---

    def get(self, shelf: str, key: bytes) -> bytes | None:
        """What stands there, or None."""
        row = self._connection.execute("SELECT value FROM item WHERE shelf = ? AND key = ?", (shelf, key)).fetchone()
        return None if row is None else bytes(row[0])

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Everything whose key begins with `prefix` and is greater than `after`, in the order of the keys."""
        rows = self._connection.execute(
            "SELECT key, value FROM item WHERE shelf = ? AND key > ? AND key >= ? AND (? IS NULL OR key < ?) ORDER BY key",
            (shelf, after, prefix, _beyond(prefix), _beyond(prefix)),
        )
        for key, value in rows:
            yield bytes(key), bytes(value)

    def put(self, shelf: str, key: bytes, value: bytes) -> None:
        """Put or replace."""
        self._connection.execute(
            "INSERT OR REPLACE INTO item (shelf, key, value) VALUES (?, ?, ?)", (shelf, key, value)
        )

    def delete(self, shelf: str, key: bytes) -> None:
        """Take away, if there."""
        self._connection.execute("DELETE FROM item WHERE shelf = ? AND key = ?", (shelf, key))

    def apply(self, changes: Iterable[Change]) -> None:
        """The writes of one decision, in one transaction."""
        with self.transaction():
            for change in changes:
                if change.value is None:
                    self.delete(change.shelf, change.key)
                else:
                    self.put(change.shelf, change.key, change.value)

    def corner(self, name: str) -> "Corner":
        """A part of the shelves that stands by itself: an authority keeps several identities in one vault."""
        return Corner(self, f"{name}/" if name else "")

    # --- secrets ---

    def secret(self, name: str) -> bytes | None:
        """The secret of this name, or None."""
        row = self._connection.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_secret(self, name: str, value: bytes | None) -> None:
        """Keep a secret, replace it, or (None) destroy it."""
        with self.transaction():
            if value is None:
                self._connection.execute("DELETE FROM secret WHERE name = ?", (name,))
            else:
                self._connection.execute("INSERT OR REPLACE INTO secret (name, value) VALUES (?, ?)", (name, value))

    def secrets(self, prefix: str = "") -> list[str]:
        """The names that begin so, sorted."""
        rows = self._connection.execute("SELECT name FROM secret ORDER BY name")
        return [str(name) for (name,) in rows if str(name).startswith(prefix)]


def _beyond(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None where there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


class Corner:
    """Shelves under a name of their own; otherwise as the vault's."""

    def __init__(self, vault: Shelves, prefix: str) -> None:
        self._vault = vault
        self._prefix = prefix

    def get(self, shelf: str, key: bytes) -> bytes | None:
        return self._vault.get(self._prefix + shelf, key)

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        return self._vault.scan(self._prefix + shelf, prefix, after)

    def apply(self, changes: Iterable[Change]) -> None:
        """The writes of one decision, in one transaction."""
        self._vault.apply(Change(self._prefix + c.shelf, c.key, c.value) for c in changes)
