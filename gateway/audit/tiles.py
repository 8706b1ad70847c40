"""The log on disk: a tlog-tiles folder, which is also what the gateway serves and what an offline auditor is handed.

    checkpoint
    witnessed                                  # the newest one whose witnesses' quorum has cosigned it, with their lines
    tile/<L>/<N>[.p/<W>]
    tile/entries/<N>[.p/<W>]
    body/<hex SHA-256>                         # of published kinds: charters, certificates, lists, commits …
    receipts/<N>[.p/<W>]                       # bodies of receipts, cut like entry bundles (keys.receipts)

One writer, in this order (who decides on sizes and signs is the sequencer):

    edge = folder.edge(size, root)             # at start; refuses a folder that is not the tree last signed
    grown = folder.write(edge, entries, bodies)  # bundles and tiles of the new size, and published bodies; durable
    folder.read_back(edge, grown, bodies)      # what is on the disk leads to the root that is about to be signed
    ...sign, record the checkpoint in the database...
    folder.publish(checkpoint)                 # durable
    folder.sweep(edge.size, grown.size)        # partial tiles that full ones have replaced

Each file is written under a passing name, synced, renamed, and its folder synced, so a reader finds it whole or not at
all. A crash anywhere before `publish` leaves files that no checkpoint calls for; the next `write` from the same edge writes
them again, byte for byte, since entries have their index before they come here. Any OSError, of fsync above all, passes
through: what the disk holds is unknown then, and the process has to stop.

Files are opened by integers only; no text from outside becomes a path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from keys.receipts import receipts_path
from keys.tlog.edge import Edge
from keys.tlog.entry import decode_bundle, encode_bundle
from keys.tlog.errors import Malformed
from keys.tlog.merkle import leaf_hashes
from keys.tlog.tile import WIDTH, Bundle, Resource, Tile, bundles, partials, tiles

CHECKPOINT: Final = "checkpoint"
WITNESSED: Final = "witnessed"
PASSING: Final = ".new-"
"""Before the name of a file that is not yet whole."""


class LogFolderError(Exception):
    """The folder is not what the log's state says; the log must not go on."""


class NoLogFolder(LogFolderError):
    """There is no log here. Only `LogFolder.create` makes one."""


class FolderDiffers(LogFolderError):
    """Files are missing or are not those of the tree that was signed; `path` is the first such file."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class LogFolder:
    """A tlog-tiles folder. `sync` and `after` are there to be failed and to be counted: fsync, and each durable step."""

    def __init__(
        self,
        path: Path,
        sync: Callable[[int], None] = os.fsync,
        after: Callable[[str], None] = lambda _step: None,
    ) -> None:
        if not (path / "tile").is_dir():
            raise NoLogFolder(f"no log in {path}")
        self._path = path
        self._sync = sync
        self._after = after
        self._known = {path, path / "tile"}  # folders that are durable, and need no look

    @classmethod
    def create(cls, path: Path, sync: Callable[[int], None] = os.fsync) -> LogFolder:
        """An empty log's folder, durable; raises FileExistsError where one is already."""
        above = [folder for folder in path.parents if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        (path / "tile").mkdir()
        for folder in (path, *above, path.parent if not above else above[-1].parent):
            _sync_folder(folder, sync)
        return cls(path, sync)

    # ------------------------------------------------------------------ reading

    def read(self, resource: Resource) -> bytes:
        """A tile's or bundle's bytes as they lie there; raises FileNotFoundError."""
        return (self._path / resource.path).read_bytes()

    def receipts(self, bundle: Bundle) -> bytes:
        """The bodies of the receipts in a bundle, as they lie there; raises FileNotFoundError."""
        return (self._path / receipts_path(bundle)).read_bytes()

    def beside(self, path: str) -> bytes | None:
        """What lies at a path that `body_path` or `receipts_path` has made; None where nothing does."""
        return self._note(path)

    def checkpoint(self) -> bytes | None:
        """The published checkpoint, unchecked; None before the first."""
        return self._note(CHECKPOINT)

    def witnessed(self) -> bytes | None:
        """The newest checkpoint that the witnesses' quorum has cosigned, unchecked; None before the first."""
        return self._note(WITNESSED)

    def _note(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def edge(self, size: int, root: bytes) -> Edge:
        """The right edge of the tree that was signed last; raises FolderDiffers where the folder does not hold it.

        Looks at the edge alone (at most nine files), so that a start takes no longer as the log grows; the whole is for
        `outrider audit verify`.
        """
        found = {tile: self._expect(tile) for tile in partials(size)}
        try:
            edge = Edge.of_tiles(size, found)
        except Malformed as error:
            raise FolderDiffers(f"tile of {size} entries", str(error)) from error
        if edge.root != root:
            raise FolderDiffers(f"tile of {size} entries", "the partial tiles lead to another root")
        if size % WIDTH:
            self._last_entries(edge)
        return edge

    # ------------------------------------------------------------------ writing

    def write(
        self,
        edge: Edge,
        entries: Sequence[bytes],
        bodies: Sequence[bytes] = (),
        receipts: Sequence[tuple[str, bytes]] = (),
    ) -> Edge:
        """Writes what `entries` add to the tree of that edge, the bodies published with them, and files of receipts by path;
        durable once it returns. Raises OSError, FolderDiffers.

        Writing again what a crash left behind does no harm.
        """
        before = self._last_entries(edge)
        grown, full = edge.extend(leaf_hashes(entries))
        files = self._bundle_files(edge.size, grown.size, [*before, *entries])
        new = set(tiles(grown.size, edge.size))
        files += [(data.tile, data.hashes) for data in (*full, *grown.partials()) if data.tile in new]
        self._put(
            [*((resource.path, data) for resource, data in files), *((body_path(b), b) for b in bodies), *receipts]
        )
        return grown

    def read_back(
        self, edge: Edge, grown: Edge, bodies: Sequence[bytes] = (), receipts: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Reads every file that `write` made for this step and recomputes the tree; raises FolderDiffers, OSError.

        Starts from the edge that is already signed, goes over the entries on the disk, and ends at the new root: a bit
        that flipped on the way to the disk is found before it is signed for.
        """
        again, size = edge, edge.size
        full: dict[Tile, bytes] = {}
        for bundle in bundles(grown.size, edge.size):
            entries = self._entries(bundle)
            fresh = entries[size - bundle.start :]
            self._compare_old(edge, bundle, entries[: size - bundle.start])
            again, done = again.extend(leaf_hashes(fresh))
            full.update((data.tile, data.hashes) for data in done)
            size = again.size
        if again != grown:
            raise FolderDiffers("tile/entries", f"the entries lead to another root of {grown.size} entries")
        full.update((data.tile, data.hashes) for data in grown.partials())
        for tile in tiles(grown.size, edge.size):
            if self._expect(tile) != full[tile]:
                raise FolderDiffers(tile.path, "is not what was written")
        for path, data in (*((body_path(body), body) for body in bodies), *receipts):
            if (self._path / path).read_bytes() != data:
                raise FolderDiffers(path, "is not what was written")

    def publish(self, checkpoint: bytes) -> None:
        """Puts the checkpoint in place, durable once it returns. What it calls for must be written already."""
        self._put_file(self._path / CHECKPOINT, checkpoint)
        self._sync_folder(self._path)

    def publish_witnessed(self, checkpoint: bytes) -> None:
        """Puts a cosigned checkpoint in place, durable once it returns. Its tree is a beginning of the published one's."""
        self._put_file(self._path / WITNESSED, checkpoint)
        self._sync_folder(self._path)

    def sweep(self, since: int, size: int) -> None:
        """Removes partial tiles and bundles whose full ones came between two sizes, and what a crash left half written.

        A partial one stays until its full one is there: a log must serve those of every size it signed a checkpoint for
        (tlog-tiles, "Partial Tiles"). Sweep up to the checkpoint before the published one, and readers of that still
        find all of its files; they may also take the full tile instead.
        """
        replaced: list[Resource] = [tile for tile in tiles(size, since) if tile.width == WIDTH]
        replaced += [bundle for bundle in bundles(size, since) if bundle.width == WIDTH]
        paths = [resource.path for resource in replaced]
        paths += [receipts_path(bundle) for bundle in replaced if isinstance(bundle, Bundle)]
        for path in paths:
            folder = self._path / f"{path}.p"
            with suppress(FileNotFoundError):
                for file in list(folder.iterdir()):
                    file.unlink()
                folder.rmdir()
        for file in self._path.rglob(f"{PASSING}*") if since == 0 else ():
            if file.name != f"{PASSING}{WITNESSED}":  # which is written beside the sequencer
                file.unlink()

    # ------------------------------------------------------------------ within

    def _bundle_files(self, old: int, new: int, entries: list[bytes]) -> list[tuple[Resource, bytes]]:
        """The bundles of a step; `entries` start with those of the old partial bundle."""
        first = old // WIDTH * WIDTH
        return [
            (bundle, encode_bundle(entries[bundle.start - first : bundle.start - first + bundle.width]))
            for bundle in bundles(new, old)
        ]

    def _last_entries(self, edge: Edge) -> list[bytes]:
        """Entries of the partial bundle, checked against the edge."""
        width = edge.size % WIDTH
        if not width:
            return []
        bundle = Bundle(edge.size // WIDTH, width)
        entries = self._entries(bundle)
        self._compare_old(edge, bundle, entries)
        return entries

    def _compare_old(self, edge: Edge, bundle: Bundle, entries: list[bytes]) -> None:
        """Entries that are signed for already must still hash to the edge's leaves."""
        if entries and leaf_hashes(entries) != edge.levels[0]:
            raise FolderDiffers(bundle.path, "its entries are not those that were signed for")

    def _entries(self, bundle: Bundle) -> list[bytes]:
        try:
            return decode_bundle(self._expect(bundle), bundle.width)
        except Malformed as error:
            raise FolderDiffers(bundle.path, str(error)) from error

    def _expect(self, resource: Resource) -> bytes:
        try:
            return self.read(resource)
        except FileNotFoundError as error:
            raise FolderDiffers(resource.path, "is missing") from error

    def _put(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Writes files, then makes their names durable. After a crash between, some names may be gone: nothing needs them."""
        folders: dict[Path, None] = {}
        for name, data in files:
            path = self._path / name
            self._make_folder(path.parent)
            self._put_file(path, data)
            folders[path.parent] = None
        for folder in folders:
            self._sync_folder(folder)

    def _put_file(self, path: Path, data: bytes) -> None:
        passing = path.with_name(PASSING + path.name)
        with passing.open("wb") as file:
            file.write(data)
            file.flush()
            self._sync(file.fileno())
            _drop_cache(file.fileno())
        self._after(f"wrote {passing.name}")
        passing.replace(path)
        self._after(f"renamed {path.name}")

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it, each durable in its parent before anything is put into it."""
        if folder in self._known:
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._sync_folder(folder.parent)  # also where it was there: a crash may have come before its sync
        if folder.suffix != ".p":  # those go again with `sweep`
            self._known.add(folder)

    def _sync_folder(self, folder: Path) -> None:
        _sync_folder(folder, self._sync)
        self._after(f"synced {folder.name}/")


def body_path(body: bytes) -> str:
    """Where a published body lies: by its hash, so that it is the right one or none."""
    return f"body/{sha256(body).hexdigest()}"


def _drop_cache(descriptor: int) -> None:
    """Asks that `read_back` gets the bytes from the disk and not from memory, where the system can be asked."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path, sync: Callable[[int], None]) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
