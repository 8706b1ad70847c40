"""Where an auditor gets a stored log from: a promise, and a folder that keeps it.

A source hands out bytes by path and vouches for nothing; `keys.tlog.reader` checks them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from keys.body import BODY_LIMIT
from keys.receipts import parse_receipts_path
from keys.tlog.entry import MAX_BUNDLE
from keys.tlog.errors import Malformed, NotFound
from keys.tlog.note import MAX_NOTE
from keys.tlog.tile import parse_path

CHECKPOINT: Final = "checkpoint"
WITNESSED: Final = "witnessed"  # the newest one that witnesses' quorum has cosigned
_BODY: Final = re.compile(r"body/[0-9a-f]{64}", re.ASCII)


class LogSource(Protocol):
    """A stored log.

    `fetch` gives the bytes of `checkpoint`, of a tile or bundle, of receipts, or of a published body under `body/<hex SHA-256>`, as they
    are stored, whole, and raises NotFound where there are none; any other path is NotFound too. `paths` names every file stored as a tile or bundle. Both may raise
    OSError where the storage itself fails; that is no verdict on the log.
    """

    def fetch(self, path: str) -> bytes:
        """The bytes of one resource."""

    def paths(self) -> Iterator[str]:
        """The path of every stored tile and bundle, and of whatever else lies among them, in order."""


def limit_of(path: str) -> int:
    """How many bytes the resource at this path can have; raises NotFound for what is no path of a log."""
    if path in (CHECKPOINT, WITNESSED):
        return MAX_NOTE
    if _BODY.fullmatch(path):
        return BODY_LIMIT
    try:
        parse = parse_receipts_path if path.startswith("receipts/") else parse_path
        parse(path)  # which takes the one spelling of each
    except Malformed as error:
        raise NotFound(path) from error
    return MAX_BUNDLE


class FolderSource:
    """A tlog-tiles folder, as the gateway keeps it or as someone copied it."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def fetch(self, path: str) -> bytes:
        """The bytes of one file, at most one byte over what the largest can have."""
        limit = limit_of(path)  # so that nothing but a resource is ever opened
        try:
            with open(f"{self._folder}/{path}", "rb", buffering=0) as file:
                there = os.fstat(file.fileno()).st_size
                return file.read(min(limit, there) + 1) or b""
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(path) from error

    def paths(self) -> Iterator[str]:
        """Every file below `tile/`, in order."""
        yield from _files(f"{self._folder}/tile", "tile")


def _files(folder: str, path: str) -> Iterator[str]:
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in found:
        below = f"{path}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, below)
        elif entry.is_file():
            yield below
