"""Hashes of a log's tree, taken from its tiles: what proofs and old roots are made of.

Full tiles never change, so those read once are kept, as many as fit; the partial ones are in the edge that the sequencer
holds. So a proof about recent entries touches no disk.
"""

from collections import OrderedDict
from typing import Final

from gateway.audit.tiles import LogFolder
from keys.tlog.edge import Edge
from keys.tlog.merkle import HASH_SIZE, frontier_of, root_of
from keys.tlog.tile import WIDTH, Tile, tile_of

KEPT_TILES: Final = 512  # 4 MiB
_TILE_HEIGHT: Final = 8


class TileCache:
    """Full tiles, the last used longest."""

    def __init__(self, folder: LogFolder, limit: int = KEPT_TILES) -> None:
        self._folder = folder
        self._limit = limit
        self._kept: OrderedDict[Tile, bytes] = OrderedDict()

    def read(self, tile: Tile) -> bytes:
        """A full tile's hashes; raises OSError where it can't be read."""
        hashes = self._kept.get(tile)
        if hashes is None:
            hashes = self._folder.read(tile)
            self._kept[tile] = hashes
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(tile)
        return hashes


class TreeHashes:
    """The hashes of the tree with this right edge."""

    def __init__(self, edge: Edge, cache: TileCache) -> None:
        self.edge = edge
        self._cache = cache

    def hash_at(self, level: int, index: int) -> bytes:
        """Root over the entries `index << level` to `(index + 1) << level`: a `keys.tlog.merkle.HashAt`."""
        tile_level, below = divmod(level, _TILE_HEIGHT)
        first = index << below
        tile = tile_of(tile_level, first, self.edge.size)
        hashes = self._cache.read(tile) if tile.width == WIDTH else self.edge.levels[tile_level]
        start = first % WIDTH * HASH_SIZE
        return root_of(hashes[start : start + (HASH_SIZE << below)])

    def root(self, size: int) -> bytes:
        """The root that the tree had at an earlier size."""
        return frontier_of(size, self.hash_at).root
