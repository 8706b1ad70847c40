"""A TOML table, read strictly: each key once and of its type, and what nobody asked for is refused."""

from base64 import b64decode, b64encode
from datetime import datetime
from typing import TypeVar
from unicodedata import is_normalized

from keys.envelope import Marking
from keys.errors import CharterRefused, KeysError
from keys.policy.values import Distinct

T = TypeVar("T")


class Table:
    """A TOML table that is emptied as it is read: what is left over was unknown. Whatever is not as asked is CharterRefused."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise CharterRefused(f"{where} is not a table")
        self._values = dict(values)
        self._where = where

    def take(self, key: str, kind: type[T]) -> T:
        value = self._values.pop(key, None)
        if type(value) is not kind:
            raise CharterRefused(f"{self._where}: {key} must be {kind.__name__}")
        return value

    def number(self, key: str, low: int, high: int) -> int:
        value = self.take(key, int)
        if not low <= value <= high:
            raise CharterRefused(f"{self._where}: {key} must be {low} to {high}")
        return value

    def name(self, key: str) -> str:
        value = self.take(key, str)
        if not 0 < len(value) <= 100 or not _plain(value):
            raise CharterRefused(f"{self._where}: {key} must be 1 to 100 printable characters")
        return value

    def millis(self, key: str) -> int:
        value = self.take(key, datetime)
        if value.utcoffset() is None:
            raise CharterRefused(f"{self._where}: {key} needs a UTC offset")
        if value.microsecond or value.year < 1970:
            raise CharterRefused(f"{self._where}: {key} must be in whole seconds, from 1970 on")
        return max(0, int(value.timestamp())) * 1000

    def strings(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list)
        if not all(isinstance(v, str) and _plain(v) for v in values) or len(set(values)) != len(values):
            raise CharterRefused(f"{self._where}: {key} must be different printable strings")
        return tuple(values)

    def raw(self, key: str) -> bytes:
        return _unbase64(self.take(key, str), f"{self._where}: {key}")

    def raws(self, key: str) -> tuple[bytes, ...]:
        return tuple(_unbase64(v, f"{self._where}: {key}") for v in self.strings(key))

    def text(self, key: str) -> str:
        value = self.take(key, str)
        if len(value) > 100 or not _plain(value):
            raise CharterRefused(f"{self._where}: {key} must be up to 100 printable characters")
        return value

    def distinct(self, key: str) -> Distinct:
        try:
            return Distinct(self.take(key, str))
        except ValueError:
            raise CharterRefused(f"{self._where}: {key} must be {', '.join(Distinct)}") from None

    def marking(self, key: str) -> Marking:
        try:
            return Marking.parse(self.take(key, str))
        except KeysError as error:
            raise CharterRefused(f"{self._where}: {error}") from None

    def tables(self, key: str) -> "tuple[Table, ...]":
        values = self._values.pop(key, [])
        if not isinstance(values, list):
            raise CharterRefused(f"{self._where}: {key} must be tables")
        return tuple(Table(v, f"{key} {n}") for n, v in enumerate(values, 1))

    def table(self, key: str) -> "Table":
        return Table(self._values.pop(key, None), key)

    def has(self, key: str) -> bool:
        return key in self._values

    def end(self) -> None:
        if self._values:
            raise CharterRefused(f"{self._where}: unknown {', '.join(sorted(self._values))}")


def _plain(text: str) -> bool:
    """No control and no direction marks, and in the one form (NFC), so that two names which look the same are the same."""
    return text.isprintable() and is_normalized("NFC", text)


def _unbase64(text: str, where: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise CharterRefused(f"{where} is not base64") from None
    if b64encode(data).decode() != text:
        raise CharterRefused(f"{where} is not canonical base64")
    return data
