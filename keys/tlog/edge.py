"""The right edge of a tree in tiles: what a log keeps between two checkpoints, and what an auditor keeps while it reads.

An edge holds the hashes of each level's partial tile, nothing else; a full tile leaves it and one hash takes its place on
the level above. It is a value: `extend` gives the next edge and the tiles that became full on the way.

    edge, done = Edge().extend(leaf_hashes(entries))
    edge.root                                  # of the tree so far
    [*done, *edge.partials()]                  # every tile to write
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from keys.tlog.errors import Malformed, TooLarge
from keys.tlog.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE, Frontier, root_of
from keys.tlog.tile import MAX_LEVEL, TILE_SIZE, Tile, partial_width, partials


@dataclass(frozen=True, slots=True)
class TileData:
    """A tile and its hashes, laid end to end."""

    tile: Tile
    hashes: bytes


@lru_cache(maxsize=2)  # a beat asks for it several times: signed, noted as the floor, published
def _root(levels: tuple[bytes, ...]) -> bytes:
    below = b""
    for hashes in levels:
        below = root_of(hashes + below) if hashes or below else b""
    return below or EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Edge:
    """Size of a tree, and the hashes of its partial tile on each level, lowest first, up to the last that has any."""

    size: int = 0
    levels: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise TooLarge(f"a tree of {self.size} entries")
        widths = [partial_width(self.size, level) * HASH_SIZE for level in range(MAX_LEVEL + 1)]
        while widths and widths[-1] == 0:
            widths.pop()
        if [len(hashes) for hashes in self.levels] != widths:
            raise Malformed(f"these partial tiles are not the edge of {self.size} entries")

    @classmethod
    def of_tiles(cls, size: int, tiles: Mapping[Tile, bytes]) -> Edge:
        """The edge that the partial tiles of a tree make; raises Malformed where one is absent or has another length."""
        needed = {tile.level: tile for tile in partials(size)}
        if any(tile not in tiles for tile in needed.values()):
            raise Malformed(f"a partial tile of {size} entries is absent")
        top = max(needed, default=-1)
        return cls(size, tuple(tiles[needed[k]] if k in needed else b"" for k in range(top + 1)))

    @property
    def root(self) -> bytes:
        """Root of the tree. Each level's hashes are a row of complete subtrees; what is below comes last in it."""
        return _root(self.levels)

    @property
    def frontier(self) -> Frontier:
        """The compact range of the same tree."""
        found: list[bytes] = []
        for hashes in reversed(self.levels):
            start = 0
            while width := (len(hashes) - start) // HASH_SIZE:
                stop = start + HASH_SIZE * (1 << width.bit_length() - 1)
                found.append(root_of(hashes[start:stop]))
                start = stop
        return Frontier(self.size, tuple(found))

    def extend(self, leaves: bytes) -> tuple[Edge, list[TileData]]:
        """The edge after more leaf hashes (laid end to end), and the tiles that are full now, lowest level first."""
        if len(leaves) % HASH_SIZE:
            raise Malformed("leaf hashes have 32 bytes each")
        size = self.size + len(leaves) // HASH_SIZE
        levels, done = list(self.levels), list[TileData]()
        arrived, level = leaves, 0
        while arrived:
            if level == len(levels):
                levels.append(b"")
            row = levels[level] + arrived
            full = len(row) // TILE_SIZE
            first = self.size >> 8 * (level + 1)
            complete = [row[i * TILE_SIZE : (i + 1) * TILE_SIZE] for i in range(full)]
            done += [TileData(Tile(level, first + i), hashes) for i, hashes in enumerate(complete)]
            levels[level] = row[full * TILE_SIZE :]
            arrived, level = b"".join([root_of(hashes) for hashes in complete]), level + 1
        while levels and not levels[-1]:
            levels.pop()
        return Edge(size, tuple(levels)), done

    def partials(self) -> list[TileData]:
        """The partial tiles, lowest level first."""
        return [TileData(tile, self.levels[tile.level]) for tile in partials(self.size)]
