"""Which of two stored things that disagree is the wrong one, told by a hash above them that is known to be right.

A log is stored twice over: a tile's hashes can be computed from the tiles, or the entries, below it. Where they differ,
the parent's hash decides, hash by hash, so that one altered byte leads to one name and all the rest still counts as checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice, product
from typing import Final

from keys.tlog.entry import MAX_ENTRY
from keys.tlog.errors import Cause, Fault
from keys.tlog.merkle import HASH_SIZE, leaf_hash
from keys.tlog.tile import Bundle

MAX_TRIES: Final = 256
"""Combinations tried before a tile is given up: eight hashes in doubt between two values."""


@dataclass(frozen=True, slots=True)
class EntryRun:
    """Entries that stand in the log one after another, the first at log index `first`; each is checked."""

    first: int
    entries: list[bytes]


def settle(options: Sequence[Sequence[bytes]], holds: Callable[[bytes], bool]) -> bytes | None:
    """The one choice of a hash for each place that holds, laid end to end; None where none does or too much is in doubt.

    Each place offers what is stored there first, then what follows from below. Beyond MAX_TRIES combinations only the
    choice of one and the same column everywhere is tried: a tile that is altered throughout.
    """
    if not all(options):
        return None
    choices = [tuple(dict.fromkeys(option)) for option in options]
    for column in range(max(map(len, choices))):
        tried = b"".join([choice[min(column, len(choice) - 1)] for choice in choices])
        if holds(tried):
            return tried
    for combination in islice(product(*choices), MAX_TRIES):
        tried = b"".join(combination)
        if holds(tried):
            return tried
    return None


def examine(bundle: Bundle, path: str, data: bytes, row: bytes) -> tuple[list[EntryRun], list[Fault]]:
    """What of a bundle is as the leaf hashes `row` (laid end to end, checked) say, and what is not.

    Entries next to each other that are wrong make one fault, named by the first. A length that was altered is found by
    looking for the end at which the entry hashes right, once in a bundle, so that it costs only its own entry.
    """
    wanted = [row[i : i + HASH_SIZE] for i in range(0, HASH_SIZE * bundle.width, HASH_SIZE)]
    runs, faults = _Runs(), _Stretches(path)
    place, may_search = 0, True
    for index, leaf in enumerate(wanted, bundle.start):
        entry, after = _take(data, place)
        if entry is not None and leaf_hash(entry) == leaf:
            runs.add(index, entry)
            place = after
            continue
        if may_search and (entry is None or not _goes_on(data, after, wanted[index + 1 - bundle.start :])):
            may_search = False
            length = _true_length(data, place + 2, leaf)
            if length is not None:
                faults.add(index, Cause.ALTERED, "the length before it is altered")
                place += 2 + length
                continue
        if entry is None:
            faults.add_end(index, f"the bundle of {bundle.width} entries ends in it")
            return runs.found, faults.found
        moved = leaf_hash(entry) in wanted
        faults.add(index, *_REORDERED if moved else _ALTERED)
        place = after
    if place < len(data):
        faults.found.append(Fault(path, Cause.ALTERED, None, f"{len(data) - place} bytes after its last entry"))
    return runs.found, faults.found


_REORDERED: Final = (Cause.REORDERED, "another entry of this bundle stands here")
_ALTERED: Final = (Cause.ALTERED, "its hash is not the leaf hash in the tile")


class _Runs:
    """Collects checked entries into runs."""

    def __init__(self) -> None:
        self.found: list[EntryRun] = []

    def add(self, index: int, entry: bytes) -> None:
        if self.found and self.found[-1].first + len(self.found[-1].entries) == index:
            self.found[-1].entries.append(entry)
        else:
            self.found.append(EntryRun(index, [entry]))


class _Stretches:
    """Collects faults; one that follows directly on another of the same cause joins it."""

    def __init__(self, path: str) -> None:
        self.found: list[Fault] = []
        self._path = path
        self._last = -2

    def add(self, index: int, cause: Cause, why: str) -> None:
        joins = self.found and self._last + 1 == index and self.found[-1].cause is cause
        if not joins:
            self.found.append(Fault(self._path, cause, index, why))
        self._last = index

    def add_end(self, index: int, why: str) -> None:
        """The bundle ends too soon; after an entry that was wrong already that is no wonder."""
        if self._last + 1 != index:
            self.add(index, Cause.CUT, why)


def _take(data: bytes, place: int) -> tuple[bytes | None, int]:
    """The entry that starts there and where the next one does; None where the bundle ends in it."""
    if place + 2 > len(data):
        return None, len(data)
    after = place + 2 + int.from_bytes(data[place : place + 2], "big")
    return (data[place + 2 : after], after) if after <= len(data) else (None, len(data))


def _goes_on(data: bytes, place: int, rest: Sequence[bytes]) -> bool:
    """Whether the next entry, or the end after the last, is where this one's length says."""
    if not rest:
        return place == len(data)
    entry, _ = _take(data, place)
    return entry is not None and leaf_hash(entry) == rest[0]


def _true_length(data: bytes, start: int, leaf: bytes) -> int | None:
    """The length at which the bytes from `start` hash to that leaf."""
    digest = sha256(b"\x00")
    for length in range(min(MAX_ENTRY, len(data) - start) + 1):
        if digest.digest() == leaf:
            return length
        digest.update(data[start + length : start + length + 1])
    return None
