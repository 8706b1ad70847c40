"""Whether an entry of the log holds anything about a person or of what was said.

    python -m tests.attacks.scan [ENTRIES]      a log of 1,000,000 made by the bench, scanned, removed; by hand

An entry has no room for it: numbers, and bytes that are ids, hashes, nonces, tags and signatures by their length. So each is taken apart to its last
value, a text anywhere is a find, and so are bytes of any other length, or a word that somebody said or is called by.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from clients.auditor.source import FolderSource
from keys.tlog.entry import decode_bundle
from keys.tlog.tile import Bundle, parse_path
from tests.bench.auditlog import ENTRIES, make

LENGTHS: Final = frozenset({0, 16, 32, 64})  # nothing; an id or a nonce; a hash or a tag; a signature
HEADER: Final = 5  # place in an entry of what is an encoding itself
CONTEXT: Final = 0  # and in that


def finds(entry: bytes, words: Sequence[bytes] = ()) -> Iterator[str]:
    """What should not be there."""
    yield from (f"says {word!r}" for word in words if word in entry)
    parts = msgspec.msgpack.decode(entry)
    header = msgspec.msgpack.decode(parts[HEADER])
    yield from _odd(parts[:HEADER], parts[HEADER + 1 :], msgspec.msgpack.decode(header[CONTEXT]), header[CONTEXT + 1 :])


def _odd(*values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, list):
            yield from _odd(*value)
        elif isinstance(value, bytes):
            if len(value) not in LENGTHS:
                yield f"{len(value)} bytes: {value[:40]!r}"
        elif value is not None and not isinstance(value, int):
            yield f"{type(value).__name__}: {value!r}"


def scan(folder: Path, words: Sequence[bytes]) -> tuple[int, list[str]]:
    """How many entries a log has, and what was found in them."""
    source, found, count = FolderSource(str(folder)), list[str](), 0
    for path in source.paths():
        if isinstance(bundle := parse_path(path), Bundle):
            for entry in decode_bundle(source.fetch(path), bundle.width):
                count += 1
                found += finds(entry, words)
    return count, found


def main(arguments: list[str]) -> None:
    size = int(arguments[0]) if arguments else ENTRIES
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "log", size)
        count, found = scan(Path(folder) / "log", [b"Meridian", b"Hostpol", b"gita"])
    print(f"{count} entries, {len(found)} finds", *found[:20], sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
