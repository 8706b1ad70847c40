"""What an archive holds, checked: its form, the entries that it has one by one, and the messages that it opens.

A whole archive is a log in one file and is checked like a folder. A part has every tile, so the hash of every leaf and the whole
tree, and of the entries only some: those of chosen channels, with their receipts and the control channel, each of these streams
from its first entry on; and single ones. Streams are judged as in a whole log. A single entry stands where it says, which is all
that can be told of it. That a channel's last entries were left out of a part shows by nothing in it, so a part is never WHOLE.
"""

from collections.abc import Callable
from dataclasses import dataclass

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import read_leaf
from clients.auditor.verify.heads import Fetch, Tree
from clients.auditor.verify.reading import Reading
from keys.charter import Charter
from keys.disclosure import check_package, read_package
from keys.envelope import Entry, read_entry
from keys.errors import KeysError, Malformed
from keys.identity import ChannelId, receipt_stream
from keys.tlog.checkpoint import TreeHead
from keys.tlog.errors import Damaged, NotFound
from keys.tlog.merkle import leaf_hash


def entry_path(index: int) -> str:
    """Where an archive has an entry by itself."""
    return f"entry/{index}"


def opening_path(index: int) -> str:
    """Where an archive has the package that opens the message of an entry (`keys.disclosure.Package`)."""
    return f"opening/{index}"


@dataclass(frozen=True, slots=True)
class Export:
    """What an archive says of itself; believed by nobody.

    `head` is the tree that it says it is of, `channels` are those of which it claims to hold every entry, `entries` and `openings` the
    log indices of what it has by itself, `faults` what is wrong with its form.
    """

    head: TreeHead
    whole: bool
    channels: frozenset[bytes] = frozenset()
    entries: tuple[int, ...] = ()
    openings: tuple[int, ...] = ()
    faults: tuple[tuple[Cause, str], ...] = ()


class Part:
    """Reads the entries of an archive that holds a part of the log."""

    def __init__(self, fetch: Fetch, tree: Tree, export: Export, findings: Findings) -> None:
        self.streams = export.channels | {receipt_stream(ChannelId(channel)) for channel in export.channels}
        self._fetch = fetch
        self._tree = tree
        self._export = export
        self._findings = findings

    def read(self, reading: Reading | None, progress: Callable[[int, int], None]) -> None:
        """Check each entry against the tree, and have those of whole streams judged."""
        self._tree.reader.check_tiles()
        streams = self.streams if reading is None else self.streams | {reading.streams.control}
        for place, index in enumerate(self._export.entries, 1):
            leaf = self._leaf(index)
            if leaf is None:
                continue
            placed = read_leaf(index, leaf, self._findings)
            if reading is not None and placed is not None and placed.entry.channel in streams:
                reading.read += 1
                reading.judge(index, leaf)
            progress(place, len(self._export.entries))

    def entry_at(self, index: int) -> Entry | None:
        """The entry at an index, checked; None where the archive has it not."""
        leaf = self._leaf(index) if index in self._export.entries else None
        try:
            return None if leaf is None else read_entry(leaf)
        except Malformed:
            return None

    def _leaf(self, index: int) -> bytes | None:
        path = entry_path(index)
        try:
            leaf, expected = self._fetch(path), self._tree.reader.hash_at(0, index)
        except NotFound:
            self._findings.fail(Topic.TREE, Cause.MISSING, "the archive names this entry and has it not", index, path)
            return None
        except Damaged:  # its tile: reported
            return None
        if leaf_hash(leaf) == expected:
            return leaf
        self._findings.fail(Topic.TREE, Cause.ALTERED, "its hash is not the leaf hash in the tile", index, path)
        return None


def check_form(export: Export, head: TreeHead, findings: Findings) -> None:
    """What the archive's own form says for or against it, beside the tree head that its checkpoint has."""
    for cause, rule in export.faults:
        findings.fail(Topic.ARCHIVE, cause, rule)
    if export.head != head:
        findings.fail(Topic.ARCHIVE, Cause.ALTERED, "its manifest is of another checkpoint than the one in it")
    if export.whole:
        findings.note(Topic.ARCHIVE, "the whole log")
    else:
        here = f"{len(export.entries)} of {head.size} entries are here, the others by their leaf hashes"
        findings.note(Topic.ARCHIVE, f"a part of the log: {here}")


def check_openings(fetch: Fetch, tree: Tree, export: Export, charter: Charter | None, findings: Findings) -> None:
    """Each message that the archive opens: content against the franking tag, author by signature, place under this very tree."""
    for index in export.openings:
        path = opening_path(index)
        if charter is None:
            findings.unchecked(Topic.OPENINGS, "no charter says who may have written this", index)
            continue
        try:
            package = read_package(fetch(path))
            opened = check_package(package, charter, charter.policy.log_verifiers)
            if opened.index != index or tree.reader.hash_at(0, index) != leaf_hash(package.entry):
                rule = "what is opened here is another entry than the log has at this place"
                findings.fail(Topic.OPENINGS, Cause.ALTERED, rule, index, path)
        except KeysError as error:
            findings.fail(Topic.OPENINGS, Cause.ALTERED, str(error), index, path)
        except NotFound:
            findings.fail(Topic.OPENINGS, Cause.MISSING, "the archive names this opening and has it not", index, path)
        except Damaged:  # its tile: reported
            continue
    findings.note(Topic.OPENINGS, f"{len(export.openings)} opened")
