"""What a device remembers, and how a decision is written down.

The core reads through a `View` and never writes: a `Draft` over the view collects what a decision changes, is read in its
place while the decision goes on, and leaves as a list of `Change`s, which the shell puts into the vault in one transaction
before anything goes out. So "new MLS state, message, receipt and queue row in one transaction" holds by construction.

A shelf holds records of one type under keys that sort as bytes. `Shelf` is the typed door to it:

    POSITIONS.put(draft, channel, position)
    for key, message in MESSAGES.scan(draft, channel): ...
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Generic, Protocol, TypeVar

from clients.core.watch import ALL, KEYS, LONG, Watch
from keys.canonical import Record, encode, reader

R = TypeVar("R", bound=Record)

LARGEST = 64 * 1024 * 1024


class View(Protocol):
    """Read-only look-ups in what is durable."""

    def get(self, shelf: str, key: bytes) -> bytes | None:
        """What stands there, or None."""
        ...

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Everything whose key begins with `prefix` and is greater than `after`, in the order of the keys."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """A write: put, or delete where the value is None."""

    shelf: str
    key: bytes
    value: bytes | None


@dataclass(slots=True)
class Draft:
    """A view with one decision's changes over it. What is read and what is changed is reported to the `watch`."""

    view: View
    watch: Watch = field(default_factory=Watch)
    _changes: dict[str, dict[bytes, bytes | None]] = field(default_factory=dict)

    def get(self, shelf: str, key: bytes) -> bytes | None:
        self.watch.looked(shelf, key)
        return self._get(shelf, key)

    def _get(self, shelf: str, key: bytes) -> bytes | None:
        changed = self._changes.get(shelf)
        if changed is not None and key in changed:
            return changed[key]
        return self.view.get(shelf, key)

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
        self.watch.looked(shelf, prefix if len(prefix) >= LONG else ALL)
        return self._scan(shelf, prefix, after)

    def keys(self, shelf: str) -> list[bytes]:
        """Every key of a shelf, in order, whatever stands there."""
        self.watch.looked(shelf, KEYS)
        return [key for key, _ in self._scan(shelf, b"", b"")]

    def _scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
        changed, kept = self._changes.get(shelf), self.view.scan(shelf, prefix, after)
        if not changed:
            return iter(kept)
        fresh = sorted((k, v) for k, v in changed.items() if v is not None and k.startswith(prefix) and k > after)
        return merge(((k, v) for k, v in kept if k not in changed), fresh)

    def put(self, shelf: str, key: bytes, value: bytes) -> None:
        before = self._get(shelf, key)
        if before == value:
            return
        self._changes.setdefault(shelf, {})[key] = value
        self.watch.changed(shelf, key)
        if before is None:
            self.watch.keys_changed(shelf)

    def delete(self, shelf: str, key: bytes) -> None:
        self._changes.setdefault(shelf, {})[key] = None
        self.watch.changed(shelf, key)
        self.watch.keys_changed(shelf)

    def changes(self) -> list[Change]:
        """What is to be written, in one transaction."""
        return [Change(s, k, v) for s, items in self._changes.items() for k, v in items.items()]


class Shelf(Generic[R]):
    """The records of one type, under one name."""

    def __init__(self, name: str, kind: type[R]) -> None:
        self.name = name
        self._read: Callable[[bytes], R] = reader(kind, limit=LARGEST)

    def get(self, view: View, key: bytes = b"") -> R | None:
        """The record under this key, or None."""
        data = view.get(self.name, key)
        return None if data is None else self._read(data)

    def scan(self, view: View, prefix: bytes = b"", after: bytes = b"") -> Iterator[tuple[bytes, R]]:
        """Keys and records in order. With `after` those beyond that key only."""
        for key, data in view.scan(self.name, prefix, after):
            yield key, self._read(data)

    def put(self, draft: Draft, key: bytes, value: R) -> None:
        """Put or replace, unless it stands there so already."""
        draft.put(self.name, key, encode(value))

    def delete(self, draft: Draft, key: bytes) -> None:
        """Take away."""
        draft.delete(self.name, key)


def at(channel: bytes, seq: int) -> bytes:
    """The key of a place in a channel: sorts by seq."""
    return channel + seq.to_bytes(8, "big")


def seq_of(key: bytes) -> int:
    """The seq in such a key."""
    return int.from_bytes(key[-8:], "big")
