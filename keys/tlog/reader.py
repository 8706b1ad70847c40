"""A stored log, read by someone who believes only its checkpoint.

The partial tiles must lead to the checkpoint's root; then each full tile to its hash in the tile above it, and each entry
to its hash in the tile of level 0. No hash counts before the one above it did: a reader that checks only the way to what
it was asked for can be handed junk beside it (CVE-2026-56865).

    reader = LogReader(fetch, checkpoint, report=faults.append)
    for run in reader.entries():               # checked entries, in order, a bundle at a time
        ...
    reader.check_rest(paths)                   # files the checkpoint does not call for

Where something is wrong, `report` is told the file, and the entry where it is one, and reading goes on with what can still
be checked: a tile that is altered or gone is recomputed from what lies below it, if that leads to the hash above. Without
`report` the first fault is raised as `Damaged`. What is never told apart: a tree that is sound in itself and is not the one
that was signed (`FORKED`).

The reader keeps one tile a level, whatever the log's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from keys.tlog.blame import EntryRun, examine, settle
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.edge import Edge
from keys.tlog.entry import split_bundle
from keys.tlog.errors import Cause, Damaged, Fault, Malformed, NotFound, ProofFailed
from keys.tlog.merkle import HASH_SIZE, Frontier, frontier_of, leaf_hashes, root_of
from keys.tlog.tile import TILE_SIZE, WIDTH, Bundle, Resource, Tile, bundles, parse_path, partials, tile_of

Fetch = Callable[[str], bytes]
"""The bytes of a resource of the log by its path; raises NotFound. What it gives is checked, so it may lie."""


_Stored = tuple[str, bytes | None]  # path that was read, and its bytes where there are any
_Choice = tuple[bytes, ...]  # what one hash may be: as stored, then as it follows from below


def refuse(fault: Fault) -> NoReturn:
    """Raises the first fault."""
    raise Damaged(fault)


class LogReader:
    """Reads a log under one checkpoint. Not for two threads at once."""

    def __init__(self, fetch: Fetch, checkpoint: Checkpoint, report: Callable[[Fault], None] = refuse) -> None:
        self._fetch = fetch
        self._size = checkpoint.size
        self._root = checkpoint.root
        self._report = report
        self._edge: Edge | None = None
        self._edge_known = False
        self._rows: dict[int, tuple[int, bytes | None]] = {}  # the last full tile of each level, checked

    # ------------------------------------------------------------------ what a caller asks for

    def entries(self, start: int = 0) -> Iterator[EntryRun]:
        """Every entry from log index `start` on that is what the checkpoint says, in order, in runs of at most 256.

        A gap between two runs has been reported. Tiles below `start` are read only as far as the path up needs them.
        """
        for number in range(start // WIDTH, -(-self._size // WIDTH)):
            bundle = Bundle(number, min(WIDTH, self._size - number * WIDTH))
            for run in self._bundle(bundle):
                skipped = max(0, start - run.first)
                if skipped < len(run.entries):
                    yield EntryRun(run.first + skipped, run.entries[skipped:]) if skipped else run

    def check_tiles(self) -> None:
        """Checks every tile without reading an entry (an auditor that is handed leaf hashes for what it may not see)."""
        for number in range(-(-self._size // WIDTH)):
            self._row(0, number)

    def hash_at(self, level: int, index: int) -> bytes:
        """Checked root of a complete subtree, for making proofs (`merkle.HashAt`); raises Damaged where there is none to be had."""
        if not 0 <= index << level < (index + 1) << level <= self._size:
            raise ProofFailed(f"no complete subtree {index} on level {level} in a tree of {self._size}")
        tile_level, height = divmod(level, 8)
        first = index << height
        row = self._row(tile_level, first // WIDTH)
        if row is None:
            raise Damaged(Fault(tile_of(tile_level, first, self._size).path, Cause.ALTERED, None, "can't be checked"))
        start = first % WIDTH * HASH_SIZE
        return root_of(row[start : start + (HASH_SIZE << height)])

    def frontier(self, size: int) -> Frontier:
        """The compact range of the first `size` entries: its root tells whether an older checkpoint is this log's."""
        return frontier_of(size, self.hash_at)

    def check_rest(self, paths: Iterable[str]) -> list[str]:
        """Checks stored files that the checkpoint does not call for: partial tiles and bundles of smaller trees.

        Gives back the paths that it says nothing about: beyond its size, or no path of a log.
        """
        needed = {tile.path for tile in partials(self._size)}
        needed |= {bundle.path for bundle in bundles(self._size, self._size // WIDTH * WIDTH)}
        unknown: list[str] = []
        for path in paths:
            try:
                resource = parse_path(path)
            except Malformed:
                unknown.append(path)
                continue
            if not self._covers(resource):
                unknown.append(path)
            elif resource.width < WIDTH and path not in needed:
                self._check_partial(resource)
        return unknown

    # ------------------------------------------------------------------ entries

    def _bundle(self, bundle: Bundle) -> list[EntryRun]:
        row = self._row(0, bundle.index)
        path, data = self._get(bundle)
        if data is None:
            self._report(Fault(path, Cause.MISSING, bundle.start, f"{bundle.width} entries are missing"))
            return []
        if row is None:  # reported: nothing vouches for these entries
            return []
        return self._compare(bundle, path, data, row)

    def _compare(self, bundle: Bundle, path: str, data: bytes, row: bytes) -> list[EntryRun]:
        """The entries of a bundle that agree with its leaf hashes; reports the others."""
        entries, rest = split_bundle(data, bundle.width)
        longer = path != bundle.path  # the full bundle in place of a partial one: what follows is not ours to check
        if leaf_hashes(entries) == row[: HASH_SIZE * bundle.width] and (longer or not rest):
            return [EntryRun(bundle.start, entries)]
        runs, faults = examine(bundle, path, data, row)
        for fault in faults:
            if fault.index is not None or not longer:
                self._report(fault)
        return runs

    # ------------------------------------------------------------------ tiles, from the top down

    def _row(self, level: int, number: int) -> bytes | None:
        """The hashes of a tile, checked; None where nothing that is stored leads to the hash above it."""
        if number == self._size >> 8 * (level + 1):
            edge = self._right_edge()
            return edge.levels[level] if edge else None
        kept = self._rows.get(level)
        if kept is None or kept[0] != number:
            kept = (number, self._full_row(Tile(level, number)))
            self._rows[level] = kept
        return kept[1]

    def _full_row(self, tile: Tile) -> bytes | None:
        above = self._row(tile.level + 1, tile.index // WIDTH)
        path, stored = self._stored(tile, self._report)
        if above is None:
            return None
        place = tile.index % WIDTH * HASH_SIZE
        expected = above[place : place + HASH_SIZE]
        if stored is not None and root_of(stored) == expected:
            return stored
        settled = settle(self._options(tile, stored), lambda hashes: root_of(hashes) == expected)
        if stored is not None:
            self._report(Fault(path, Cause.ALTERED, None, _why(tile, stored, settled)))
        return settled

    def _right_edge(self) -> Edge | None:
        """The partial tiles, checked against the root; all of them, since the root covers each of their hashes."""
        if not self._edge_known:
            self._edge = self._find_edge()
            self._edge_known = True  # only now: a fault that was raised is raised again
        return self._edge

    def _find_edge(self) -> Edge | None:
        places = partials(self._size)
        stored = [self._stored(tile, self._report) for tile in places]
        rows = [row for _, row in stored if row is not None]
        if len(rows) == len(places) and self._leads_to_root(places, b"".join(rows)):
            return _edge_of(self._size, places, b"".join(rows))
        options = [self._options(tile, row) for tile, (_, row) in zip(places, stored, strict=True)]
        settled = settle([choice for row in options for choice in row], lambda h: self._leads_to_root(places, h))
        if settled is None and len(rows) == len(places) and not any(map(_in_doubt, options)):
            why = f"tiles and entries make a sound tree of {self._size} entries, and not the one that was signed"
            self._report(Fault("checkpoint", Cause.FORKED, None, why))
        self._blame_edge(places, stored, settled, options)
        return None if settled is None else _edge_of(self._size, places, settled)

    def _blame_edge(
        self, places: list[Tile], stored: list[_Stored], settled: bytes | None, options: list[list[_Choice]]
    ) -> None:
        """Names the partial tiles that are not those of the signed tree or, if that can't be told, disagree with what is
        below them."""
        start = 0
        for tile, (path, row), choices in zip(places, stored, options, strict=True):
            end = start + tile.width * HASH_SIZE
            right = None if settled is None else settled[start:end]
            if row is not None and (_in_doubt(choices) if right is None else row != right):
                self._report(Fault(path, Cause.ALTERED, None, _why(tile, row, right)))
            start = end

    def _leads_to_root(self, places: list[Tile], hashes: bytes) -> bool:
        return _edge_of(self._size, places, hashes).root == self._root

    # ------------------------------------------------------------------ what is stored

    def _stored(self, tile: Tile, report: Callable[[Fault], None]) -> _Stored:
        """A tile's path and bytes, unchecked but for their number; None where it is missing or cut short."""
        path, data = self._get(tile)
        size = tile.width * HASH_SIZE
        if data is None:
            report(Fault(path, Cause.MISSING, None, f"the tile of {tile.width} hashes is missing"))
            return path, None
        fault = _wrong_size(path, data, size if path == tile.path else TILE_SIZE)
        if fault is not None:
            report(fault)
        return path, None if fault and fault.cause is Cause.CUT else data[:size]

    def _get(self, resource: Resource) -> _Stored:
        """A resource, or for a partial one that is gone the full one (tlog-tiles, "Partial Tiles"), and its path."""
        for one in dict.fromkeys((resource, resource.full)):
            try:
                return one.path, self._fetch(one.path)
            except NotFound:
                continue
        return resource.path, None

    def _options(self, tile: Tile, stored: bytes | None) -> list[_Choice]:
        """For each hash of a tile what is stored there, and what follows from what is stored below it."""
        columns = [] if stored is None else [_hashes(stored)]
        first, width = tile.index * WIDTH, tile.width
        if tile.level == 0:
            columns.append(self._leaves_below(Bundle(tile.index, width)))
        else:
            below = [Tile(tile.level - 1, first + i) for i in range(width)]
            columns.append([self._root_below(child) for child in below])
        if tile.level == 1:
            columns.append([root_of(b"".join(self._leaves_below(Bundle(first + i)))) for i in range(width)])
        return [tuple(c[i] for c in columns if i < len(c) and len(c[i]) == HASH_SIZE) for i in range(width)]

    def _root_below(self, tile: Tile) -> bytes:
        _, stored = self._stored(tile, _quietly)
        return b"" if stored is None else root_of(stored)

    def _leaves_below(self, bundle: Bundle) -> list[bytes]:
        _, data = self._get(bundle)
        return [] if data is None else _hashes(leaf_hashes(split_bundle(data, bundle.width)[0]))

    def _covers(self, resource: Resource) -> bool:
        level = resource.level if isinstance(resource, Tile) else 0
        return resource.index * WIDTH + resource.width <= self._size >> 8 * level

    def _check_partial(self, resource: Resource) -> None:
        """Checks a partial tile or bundle of a smaller tree: its hashes are the first ones of the place it has now."""
        level = resource.level if isinstance(resource, Tile) else 0
        row = self._row(level, resource.index)
        if row is None:
            return
        try:
            data = self._fetch(resource.path)
        except NotFound:
            return
        if isinstance(resource, Bundle):
            self._compare(resource, resource.path, data, row)
        elif fault := _wrong_size(resource.path, data, HASH_SIZE * resource.width):
            self._report(fault)
        elif data != row[: HASH_SIZE * resource.width]:
            self._report(Fault(resource.path, Cause.ALTERED, None, _why(resource, data, row)))


def _edge_of(size: int, places: list[Tile], hashes: bytes) -> Edge:
    """The edge whose partial tiles lie end to end in `hashes`, lowest level first."""
    found: dict[Tile, bytes] = {}
    start = 0
    for tile in places:
        found[tile] = hashes[start : (start := start + tile.width * HASH_SIZE)]
    return Edge.of_tiles(size, found)


def _wrong_size(path: str, data: bytes, size: int) -> Fault | None:
    if len(data) == size:
        return None
    cause = Cause.CUT if len(data) < size else Cause.ALTERED
    return Fault(path, cause, None, f"has {len(data)} bytes in place of {size}")


def _in_doubt(choices: Iterable[_Choice]) -> bool:
    return any(len(set(choice)) > 1 for choice in choices)


def _hashes(row: bytes) -> list[bytes]:
    return [row[i : i + HASH_SIZE] for i in range(0, len(row), HASH_SIZE)]


def _why(tile: Tile, stored: bytes, right: bytes | None) -> str:
    """How much of a tile is wrong, where that is known."""
    if right is None:
        return "does not lead to the hash above it, and neither does what lies below it"
    wrong = [i for i, (a, b) in enumerate(zip(_hashes(stored), _hashes(right), strict=False)) if a != b]
    first = f"hash {wrong[0]}" if wrong else "its length"
    return f"{first} of tile {tile.index} on level {tile.level} is wrong ({max(1, len(wrong))} in all)"


def _quietly(_fault: Fault) -> None:
    """A tile below that is damaged is reported when it is read in its turn."""
