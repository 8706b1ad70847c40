"""What goes into an archive: the whole log, or the part of it that a partner's auditor may see.

A part has every tile, the entries of the channels named (their receipts and the control channel with them, or nothing of theirs
could be judged), single entries, and the bodies that those name, but none that tells of other channels: who an alert was for, whom its
ladder wakes, what was disclosed or destroyed. Of all other entries it has the leaf hash, which tells nothing: each entry holds a
random nonce. What a partner's auditor so learns beside the channels named: which certificates there are, by ids that are no names.

The parts come in one order and hold no time of their own, so two exports of one log are the same bytes.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from clients.auditor.archive import Manifest, Part, entry_part, opening_part
from clients.auditor.source import CHECKPOINT, WITNESSED, LogSource
from clients.auditor.verify.reading import NOT_IN_A_PART
from keys.canonical import encode
from keys.disclosure import Package
from keys.envelope import PUBLISHED, Kind, read, read_entry
from keys.errors import Malformed
from keys.identity import ChannelId, control_channel, receipt_stream
from keys.receipts import receipts_path
from keys.tlog.checkpoint import Checkpoint, TreeHead
from keys.tlog.entry import split_bundle
from keys.tlog.errors import NotFound, TlogError
from keys.tlog.note import Note
from keys.tlog.tile import Bundle, Resource, bundles, tiles


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be exported: everything where neither channels nor entries are named."""

    channels: frozenset[bytes] = frozenset()
    entries: frozenset[int] = frozenset()
    openings: tuple[tuple[int, Package], ...] = ()

    @property
    def whole(self) -> bool:
        return not self.channels and not self.entries


class Exporting:
    """The parts of one archive, as they are read from a log. `absent` counts what the log should have and has not."""

    def __init__(self, log: LogSource, checkpoint: Checkpoint, chosen: Chosen) -> None:
        self.absent = 0
        self._log = log
        self._checkpoint = checkpoint
        self._chosen = chosen
        self._bodies: dict[
            str, bytes
        ] = {}  # by path, in the order of their entries; empty where it is still to be fetched

    @property
    def manifest(self) -> Manifest:
        """What the archive says it is."""
        head = self._checkpoint
        return Manifest(1, head.origin, head.size, head.root, self._chosen.whole, sorted(self._chosen.channels))

    def parts(self) -> Iterator[Part]:
        """All parts, in their order."""
        yield Part(CHECKPOINT, self._checkpoint.encode())
        yield from self._cosigned()
        for tile in tiles(self._checkpoint.size):
            yield from self._resource(tile)
        yield from self._whole() if self._chosen.whole else self._some()
        for path, data in self._bodies.items():
            yield from self._optional(path) if not data else (Part(path, data),)
        for index, package in self._chosen.openings:
            yield opening_part(index, encode(package))

    def _cosigned(self) -> Iterator[Part]:
        """The newest checkpoint that witnesses have cosigned, unless it is newer than the one that this archive is of."""
        with suppress(TlogError):
            note = self._log.fetch(WITNESSED)
            if TreeHead.decode(Note.decode(note).text).size <= self._checkpoint.size:
                yield Part(WITNESSED, note)

    def _whole(self) -> Iterator[Part]:
        for bundle in bundles(self._checkpoint.size):
            for part in self._resource(bundle):
                for leaf in split_bundle(part.data, bundle.width)[0]:
                    self._name_body(leaf, b"")
                yield part
            yield from self._beside(bundle)

    def _some(self) -> Iterator[Part]:
        control = control_channel(self._checkpoint.origin)
        streams = {control, *self._chosen.channels}
        streams |= {receipt_stream(ChannelId(channel)) for channel in self._chosen.channels}
        for bundle in bundles(self._checkpoint.size):
            data = next((part.data for part in self._resource(bundle)), b"")
            receipts = self._receipts(bundle)
            for index, leaf in enumerate(split_bundle(data, bundle.width)[0], bundle.start):
                if self._wanted(index, leaf, streams):
                    self._name_body(leaf, receipts[index - bundle.start] if receipts else b"")
                    yield entry_part(index, leaf)

    def _wanted(self, index: int, leaf: bytes, streams: Collection[bytes]) -> bool:
        if index in self._chosen.entries:
            return True
        try:
            return read_entry(leaf).channel in streams
        except Malformed:  # in no channel; a whole export has it
            return False

    def _receipts(self, bundle: Bundle) -> list[bytes]:
        """The bodies beside the entries of a bundle; none where the log has no receipts there."""
        return next((split_bundle(part.data, bundle.width)[0] for part in self._beside(bundle)), [])

    def _beside(self, bundle: Bundle) -> Iterator[Part]:
        """The file of receipts of a bundle, or of the full one in its place; nothing where there is none."""
        for one in dict.fromkeys((bundle, bundle.full)):
            path = receipts_path(one)
            try:
                yield Part(path, self._log.fetch(path))
            except NotFound:
                continue
            return

    def _name_body(self, leaf: bytes, receipt: bytes) -> None:
        """Which body goes with this entry. A receipt's stands by its hash in a part: its file has those of other channels too."""
        try:
            claimed = read(read_entry(leaf).envelope)
        except Malformed:
            return
        path = f"body/{claimed.header.body_hash.hex()}"
        kind = claimed.context.kind
        if kind in PUBLISHED and (self._chosen.whole or kind not in NOT_IN_A_PART):
            self._bodies[path] = b""
        elif kind is Kind.RECEIPT and receipt:
            self._bodies[path] = receipt

    def _resource(self, resource: Resource) -> Iterator[Part]:
        """A tile or bundle, or the full one in place of a partial one that is gone."""
        for one in dict.fromkeys((resource, resource.full)):
            try:
                yield Part(one.path, self._log.fetch(one.path))
            except NotFound:
                continue
            return
        self.absent += 1

    def _optional(self, path: str) -> Iterator[Part]:
        try:
            yield Part(path, self._log.fetch(path))
        except NotFound:
            self.absent += path.startswith("body/")
