"""Single bits flipped at random in a log and its archive, and each of them found.

    python -m tests.clients.auditor.flips [FLIPS] [SEED]        10,000 by hand (make flips); the suite tries 500

    entries        the bytes of an entry, in its bundle           tiles         any byte of any hash
    bundles        the lengths between entries                    checkpoint    text, the log's line, blanks
    cosignatures   the witnesses' lines, all of whom the policy asks for
    resigned       an entry changed and the tree built and signed anew by the log's own key, against the head kept outside
    bodies         what is published beside the entries           receipts      their bundles
    archive        any byte of an export of all of it

Found is: the verdict is FAIL. What makes a witness's line one of a key that nobody knows leaves the policy unmet: UNCHECKED, which is
found too. An archive may also not be one any more.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.auditor.archive import ArchiveSource, NoArchive, write_archive
from clients.auditor.exporting import Chosen, Exporting
from clients.auditor.verify import Asked, Export, Verdict, open_checkpoint_of, open_head, verify_log
from keys.body import Range, Receipt
from keys.canonical import encode
from keys.envelope import Kind
from keys.identity import ChannelId, receipt_stream
from keys.tlog.checkpoint import TreeHead
from keys.tlog.cosignature import Ed25519Cosigner, MlDsa44Cosigner, verifier_of
from keys.tlog.edge import Edge
from keys.tlog.merkle import leaf_hashes
from keys.tlog.note import Note
from keys.tlog.policy import Group, TrustPolicy, Witness
from tests.clients.auditor.logs import Files
from tests.clients.auditor.test_content import Scene

ENTRIES = 300
SEED = 20261121
TARGETS = ("entries", "bundles", "tiles", "checkpoint", "cosignatures", "resigned", "bodies", "receipts", "archive")
NEEDS_CONTENT = ("bodies", "receipts")  # which a check of the tree alone does not read


@dataclass(frozen=True)
class Victim:
    """A sound log, in files and as an archive, with what it is checked against."""

    scene: Scene
    files: dict[str, bytes]
    archive: bytes
    asked: Asked


def victim() -> Victim:
    """A channel, receipts, fillers past a full bundle, and a checkpoint cosigned by two witnesses."""
    scene = Scene()
    book = scene.book
    for n in range(20):
        scene.ayo.message(scene.channel)
        heard = book.heard(scene.channel)
        ranges = [Range(1, heard.seq, heard.rolling)]
        body = encode(Receipt(scene.channel, ranges, ranges, [], None))
        if n % 4 == 0:
            stream = receipt_stream(ChannelId(scene.channel))
            scene.chen.say(Kind.RECEIPT, stream, body, heard=heard)
    while len(book.leaves) < ENTRIES:
        book.filler()
    witnesses = Ed25519Cosigner.from_seed("one.test", b"1" * 32), MlDsa44Cosigner.from_seed("two.test", b"2" * 32)
    files = book.published().files
    edge, _ = Edge().extend(leaf_hashes(book.leaves))
    head = TreeHead(book.mission.log.name, edge.size, edge.root)
    note = Note.decode(files["checkpoint"]).with_signatures([w.cosign(head, book.now // 1000) for w in witnesses])
    files["checkpoint"] = note.encode()
    keys = [verifier_of(book.mission.log.verifier_key)]
    policy = TrustPolicy(
        witnesses=tuple(Witness(f"w{n}", w.verifier_key) for n, w in enumerate(witnesses)),
        groups=(Group("both", 2, ("w0", "w1")),),
        quorum="both",
    )
    asked = Asked(keys, book.now, open_head(book.head(), keys), policy=policy)
    archive = io.BytesIO()
    source = Files(files)
    exporting = Exporting(source, open_checkpoint_of(source.fetch, keys), Chosen())  # type: ignore[arg-type]
    write_archive(archive, exporting.manifest, exporting.parts())
    return Victim(scene, files, archive.getvalue(), asked)


def verdict(files: Files | ArchiveSource, asked: Asked, *, content: bool, export: Export | None = None) -> Verdict:
    question = Asked(
        asked.keys,
        asked.now,
        asked.head,
        policy=asked.policy,
        log_only=not content,
        export=export,
        charter=asked.charter,
    )
    return verify_log(files.fetch, files.paths(), question).verdict


def flipped(data: bytes, bit: int) -> bytes:
    place = bit // 8
    return data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :]


class Campaign:
    """Flips, one after another, by one seed. `folder` is for the archive."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.tried: Counter[str] = Counter()
        self.missed: list[str] = []
        self._random = random.Random(seed)
        self._victim = victim()
        self._file = folder / "archive"
        self._flip: dict[str, Callable[[], Verdict | None]] = {
            name: getattr(self, f"_{name}") for name in ("resigned", "archive")
        }

    def sound(self) -> bool:
        """Whether the log is WHOLE as long as nothing is flipped."""
        v = self._victim
        self._file.write_bytes(v.archive)
        archive = ArchiveSource(self._file)
        whole = verdict(Files(v.files), v.asked, content=True)
        return {whole, verdict(archive, v.asked, content=True, export=archive.export)} == {Verdict.WHOLE}

    def run(self, flips: int) -> None:
        """So many, over all targets in turn."""
        for n in range(flips):
            turn, place = divmod(n, len(TARGETS))
            target = TARGETS[place]
            if target in NEEDS_CONTENT and turn % 5:  # a check of the content takes ten times as long
                target = "entries"
            self.tried[target] += 1
            found = self._flip[target]() if target in self._flip else self._in_files(target)
            uncosigned = found is Verdict.UNCHECKED and target in ("cosignatures", "archive")
            if found is not None and found is not Verdict.FAIL and not uncosigned:
                self.missed.append(f"flip {n} in {target}: {found}")

    def _bit(self, start: int, end: int) -> int:
        return self._random.randrange(start * 8, end * 8)

    def _in_files(self, target: str) -> Verdict:
        path, start, end = self._random.choice(list(self._places(target)))
        bit = self._bit(start, end)
        files = self._victim.files | {path: flipped(self._victim.files[path], bit)}
        return verdict(Files(files), self._victim.asked, content=target in NEEDS_CONTENT)

    def _places(self, target: str) -> Iterator[tuple[str, int, int]]:
        """Stretches of bytes of that sort: path, first, end."""
        files = self._victim.files
        if target in ("checkpoint", "cosignatures"):
            data = files["checkpoint"]
            lines = data.index("— one.test".encode())
            yield ("checkpoint", 0, lines) if target == "checkpoint" else ("checkpoint", lines, len(data))
            return
        prefix = {"tiles": "tile/", "bodies": "body/", "receipts": "receipts/"}.get(target, "tile/entries/")
        for path, data in files.items():
            if not path.startswith(prefix) or (target == "tiles" and path.startswith("tile/entries/")):
                continue
            if target not in ("entries", "bundles"):
                yield path, 0, len(data)
                continue
            at = 0
            while at < len(data):
                end = at + 2 + int.from_bytes(data[at : at + 2], "big")
                yield (path, at + 2, end) if target == "entries" else (path, at, at + 2)
                at = end

    def _resigned(self) -> Verdict:
        book = self._victim.scene.book
        index = self._random.randrange(len(book.leaves))
        kept = book.leaves[index]
        book.leaves[index] = flipped(kept, self._bit(0, len(kept)))
        files = book.files()
        book.leaves[index] = kept
        return verdict(files, self._victim.asked, content=False)

    def _archive(self) -> Verdict | None:
        data = self._victim.archive
        self._file.write_bytes(flipped(data, self._bit(0, len(data))))
        try:
            archive = ArchiveSource(self._file)
        except NoArchive:
            return None
        return verdict(archive, self._victim.asked, content=False, export=archive.export)


def main(arguments: list[str]) -> int:
    flips = int(arguments[0]) if arguments else 10_000
    seed = int(arguments[1]) if len(arguments) > 1 else SEED
    with tempfile.TemporaryDirectory() as passing:
        campaign = Campaign(seed, Path(passing))
        assert campaign.sound()
        campaign.run(flips)
    for target, tried in campaign.tried.items():
        print(f"{target:<13} {tried} flipped")
    print("\n".join(campaign.missed) or f"all {flips} found, seed {seed}")
    return 1 if campaign.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
