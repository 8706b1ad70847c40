"""Names and places of tiles and entry bundles (c2sp.org/tlog-tiles).

A tile is 256 hashes of one level, side by side: hash i of tile n on level l is the root of the complete subtree of 256^l
entries that starts at entry (256 n + i) 256^l. The last tile of a level is partial: its width is floor(size / 256^l) mod
256, and 0 means that there is none. Bundles are cut like the tiles of level 0. So all that a tree of a given size
consists of follows from the size alone:

    >>> [tile.path for tile in tiles(700)]
    ['tile/0/000', 'tile/0/001', 'tile/0/002.p/188', 'tile/1/000.p/2']

Paths are parsed into integers and made from integers, and there is one path for each resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keys.tlog.errors import Malformed
from keys.tlog.merkle import HASH_SIZE, MAX_SIZE

WIDTH: Final = 256
"""Hashes in a full tile, entries in a full bundle."""

TILE_SIZE: Final = WIDTH * HASH_SIZE
MAX_LEVEL: Final = 7
"""The format allows 63; a tree of 2^63 - 1 entries has no tile above 7."""

_PATH: Final = re.compile(r"tile/(entries|[0-7])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Where a tile stands: level, index in its level, and how many hashes it holds."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not 0 <= self.level <= MAX_LEVEL:
            raise Malformed(f"no tile on level {self.level}")
        _check_place(self.index, self.width, WIDTH**self.level)

    @property
    def path(self) -> str:
        """`tile/<L>/<N>[.p/<W>]`."""
        return f"tile/{self.level}/{_index_path(self.index, self.width)}"

    @property
    def full(self) -> Tile:
        """The same place, once it is full."""
        return Tile(self.level, self.index)


@dataclass(frozen=True, slots=True, order=True)
class Bundle:
    """Where an entry bundle stands: its index, and how many entries it holds."""

    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        _check_place(self.index, self.width, 1)

    @property
    def path(self) -> str:
        """`tile/entries/<N>[.p/<W>]`."""
        return f"tile/entries/{_index_path(self.index, self.width)}"

    @property
    def start(self) -> int:
        """Log index of its first entry."""
        return self.index * WIDTH

    @property
    def full(self) -> Bundle:
        """The same place, once it is full."""
        return Bundle(self.index)


Resource = Tile | Bundle


def parse_path(path: str) -> Resource:
    """The tile or bundle that a path names; raises Malformed on all but the one path of each."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise Malformed("not the path of a tile")
    kind, groups, suffix = match.groups()
    index = int(groups.replace("x", "").replace("/", ""))
    width = WIDTH if suffix is None else int(suffix)
    found: Resource = Bundle(index, width) if kind == "entries" else Tile(int(kind), index, width)
    if found.path != path:  # leading x000/ groups, a suffix of 256
        raise Malformed("not the one path of its tile")
    return found


def partial_width(size: int, level: int) -> int:
    """Hashes in the partial tile of a level, 0 where there is none."""
    return (size >> 8 * level) % WIDTH


def tiles(size: int, since: int = 0) -> Iterator[Tile]:
    """The tiles of a tree, level by level; with `since`, those that a tree of that size does not have yet."""
    for level in range(MAX_LEVEL + 1):
        for index, width in _places(size >> 8 * level, since >> 8 * level):
            yield Tile(level, index, width)


def bundles(size: int, since: int = 0) -> Iterator[Bundle]:
    """The entry bundles of a tree; with `since`, those that a tree of that size does not have yet."""
    for index, width in _places(size, since):
        yield Bundle(index, width)


def partials(size: int) -> list[Tile]:
    """The partial tiles of a tree, lowest level first."""
    levels = range(MAX_LEVEL + 1)
    return [Tile(level, size >> 8 * (level + 1), width) for level in levels if (width := partial_width(size, level))]


def tile_of(level: int, index: int, size: int) -> Tile:
    """The tile that holds hash `index` of tile level `level`, as wide as a tree of that size has it."""
    number = index // WIDTH
    return Tile(level, number, min(WIDTH, (size >> 8 * level) - number * WIDTH))


def _places(count: int, since: int) -> Iterator[tuple[int, int]]:
    """(index, width) of the tiles over `count` hashes that are not among those over `since`."""
    for index in range(since // WIDTH, count // WIDTH):
        yield index, WIDTH
    if count % WIDTH and count > since:
        yield count // WIDTH, count % WIDTH


def _check_place(index: int, width: int, entries_per_hash: int) -> None:
    if not 1 <= width <= WIDTH:
        raise Malformed(f"no tile is {width} wide")
    if index < 0 or (index * WIDTH + 1) * entries_per_hash > MAX_SIZE:
        raise Malformed(f"no tree has a tile {index} there")


def _index_path(index: int, width: int) -> str:
    """Groups of three digits, an x before each but the last (tlog-tiles, "Merkle Tree")."""
    path = f"{index % 1000:03d}"
    while index := index // 1000:
        path = f"x{index % 1000:03d}/{path}"
    return path if width == WIDTH else f"{path}.p/{width}"
