"""The log read once more, a part at a time: entries in the database and in the folder, the tiles over them up to the signed root, and
what is published beside them. Each part gives what is wrong with it, in a line for the operator.

An entry stands in three places: in the database, in its bundle, and as its hash in a tile of level 0. One that has rotted is told by
the other two, and everything above follows from them; so whatever is wrong is named, and one flipped bit names one file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from gateway.audit.batch import Rows, next_receipts
from gateway.audit.tiles import LogFolder, body_path
from gateway.store.base import Damaged
from keys.receipts import receipts_path
from keys.tlog.edge import Edge, TileData
from keys.tlog.entry import decode_bundle
from keys.tlog.errors import Malformed
from keys.tlog.merkle import HASH_SIZE, leaf_hashes
from keys.tlog.tile import Bundle, Tile, bundles

Part = Sequence[str]
"""What is wrong with a part."""

BODIES: Final = 1 << 40  # bytes: all of a bundle's


class Snapshots(Protocol):
    """The part of `gateway.store.base.Store` that is read here."""

    def snapshot(self) -> AbstractContextManager[Rows]: ...


def log(store: Snapshots, folder: LogFolder, size: int, root: bytes) -> Iterator[Part]:
    """A bundle in each part, and at last the root. The folder may go on growing meanwhile."""
    edge = Edge()
    for bundle in bundles(size):
        leaves, found = _entries(store, folder, bundle)
        found += _published(store, folder, bundle)
        edge, full = edge.extend(leaves)
        found += [line for data in full if (line := _tile(folder, data))]
        yield found
    found = [line for data in edge.partials() if (line := _tile(folder, data))]
    if edge.root != root:
        found.append(f"the entries lead to another root than was signed for at {size} entries")
    yield found


def _entries(store: Snapshots, folder: LogFolder, bundle: Bundle) -> tuple[bytes, list[str]]:
    """Their leaf hashes, as most of the three places have them, and the places that have others."""
    place = f"entries {bundle.start} to {bundle.start + bundle.width - 1}"
    tile = Tile(0, bundle.index, bundle.width)
    copies = {
        f"the database's {place}": _in_database(store, bundle),
        f"log/{bundle.path}": _in_folder(folder, bundle),
        f"log/{tile.path}": _read(folder, tile),
    }
    leaves, agree = Counter(copies.values()).most_common(1)[0]
    if agree == 1 or leaves is None:
        return bytes(bundle.width * HASH_SIZE), [f"{place}: no two of the places that hold them agree"]
    return leaves, [f"{name}: not what was written" for name, hashes in copies.items() if hashes != leaves]


def _in_database(store: Snapshots, bundle: Bundle) -> bytes | None:
    try:
        with store.snapshot() as rows:
            entries = rows.entries(bundle.start, bundle.width)
    except Damaged:
        return None
    return leaf_hashes(entries) if len(entries) == bundle.width else None


def _in_folder(folder: LogFolder, bundle: Bundle) -> bytes | None:
    for one in (bundle, bundle.full):  # a partial one goes once the full one is there
        try:
            return leaf_hashes(decode_bundle(folder.read(one), one.width)[: bundle.width])
        except FileNotFoundError:
            continue
        except (Malformed, OSError):
            return None
    return None


def _read(folder: LogFolder, tile: Tile) -> bytes | None:
    for one in (tile, tile.full):
        try:
            data = folder.read(one)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return data[: tile.width * HASH_SIZE] if len(data) == one.width * HASH_SIZE else None
    return None


def _tile(folder: LogFolder, data: TileData) -> str:
    """Those of level 0 were compared with the entries."""
    if data.tile.level == 0 or _read(folder, data.tile) == data.hashes:
        return ""
    return f"log/{data.tile.path}: not what was written"


def _published(store: Snapshots, folder: LogFolder, bundle: Bundle) -> list[str]:
    """Bodies and receipts that lie in the folder for auditors."""
    end = bundle.start + bundle.width
    try:
        with store.snapshot() as rows:
            bodies = rows.published_bodies(bundle.start, bundle.width, BODIES)
            receipts = next_receipts(rows, bundle.start, end)
    except Damaged:
        return [f"bodies of entries {bundle.start} to {end - 1} can't be read in the database"]
    files = [(body_path(body), body) for _, body in bodies]
    if bundle == bundle.full or folder.beside(receipts_path(bundle.full)) is None:
        files += receipts  # or a longer file has taken this one's place meanwhile
    return [f"log/{path}: not what was written" for path, data in files if folder.beside(path) != data]
