"""How fast `audit verify` is: a log of any length, made once, and the CPU time and memory of checking it.

    python -m tests.bench.auditlog                          a log of 1,000,000 in a folder of its own, made, checked, removed
    python -m tests.bench.auditlog make FOLDER [ENTRIES]
    python -m tests.bench.auditlog check FOLDER

`make` writes 60 devices in 10 channels, each with a real roster that commits change now and then. Headers, chains and signatures
are real; devices speak alone and in runs of up to 64, and every fourth turn is a receipt or a filler. `check` measures, each in a
process of its own: hashes only, everything by chain, and everything with every signature. CPU time, since wall time is others'.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from clients.auditor.source import FolderSource
from clients.auditor.verify import Asked, log_keys, verify_log
from gateway.audit.tiles import LogFolder
from keys.body import Range, Receipt
from keys.canonical import encode
from keys.envelope import Kind, Marking
from keys.identity import ChannelId, receipt_stream
from keys.receipts import receipt_files
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from tests.clients.auditor.logs import Book, Party

CHANNELS: Final = 10
MEMBERS: Final = 5  # of each channel, besides its leader
RUNS: Final = (1, 8, 64, 1, 32, 4)  # envelopes handed over together; of the first turn, the next, and so on
COMMIT: Final = 25_000  # entries between two commits
ENTRIES: Final = 1_000_000
STEP: Final = 50_000  # entries written at once


def make(folder: Path, size: int) -> None:
    """Write a log of about that many entries."""
    book = Book()
    rooms = [_room(book) for _ in range(CHANNELS)]
    log = LogFolder.create(folder, sync=lambda _: None)
    edge = Edge()
    begun = time.process_time()
    receipts: dict[int, bytes] = {}
    turn = commits = 0
    while edge.size + len(book.leaves) < size:
        channel, members = rooms[turn % CHANNELS]
        party = members[turn // CHANNELS % len(members)]
        if turn % 4 == 3:
            _aside(book, party, channel, receipts, edge.size + len(book.leaves), filler=turn % 8 == 7)
        else:
            run = RUNS[turn % len(RUNS)]
            for place in range(run):
                _speak(book, party, channel, last=place == run - 1)
        if edge.size + len(book.leaves) > COMMIT * (commits + 1):
            commits += 1
            party.commit(channel)
        turn += 1
        if len(book.leaves) >= STEP:
            edge = _flush(book, log, edge)
    edge = _flush(book, log, edge)
    for path, data in book.bodies.items():
        if data:  # a filler's is nothing
            (folder / "body").mkdir(exist_ok=True)
            (folder / path).write_bytes(data)
    for path, data in receipt_files(receipts, 0, edge.size):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    log.publish(sign_checkpoint(TreeHead(book.mission.log.name, edge.size, edge.root), [book.mission.log]).encode())
    (folder.parent / "log.vkey").write_text(book.mission.log.verifier_key.encode())
    print(f"made {edge.size} entries in {time.process_time() - begun:.1f} s CPU")


def _room(book: Book) -> tuple[bytes, list[Party]]:
    leader = book.enrolled("leader")
    members = [book.enrolled("agent") for _ in range(MEMBERS)]
    channel = leader.found("narrow", Marking.AMBER)
    leader.add(channel, *members)
    return channel, [leader, *members]


def _speak(book: Book, party: Party, channel: bytes, *, last: bool) -> None:
    """A message whose body is only a name: nobody reads it, so nobody seals it."""
    data = book.random(32)
    context = party.context(
        Kind.APPLICATION,
        channel,
        epoch=party.groups[channel].epoch,
        heard=book.heard(channel),
        marking=Marking.AMBER,
        franking=data,
    )
    party.log(context, data, signed=last)
    book.bodies.popitem()


def _aside(book: Book, party: Party, channel: bytes, receipts: dict[int, bytes], index: int, *, filler: bool) -> None:
    if filler:
        book.filler()
        return
    heard = book.heard(channel)
    ranges = [Range(1, heard.seq, heard.rolling)]
    receipt = encode(Receipt(channel, ranges, ranges, [], None))
    party.say(Kind.RECEIPT, receipt_stream(ChannelId(channel)), receipt, heard=heard)
    book.bodies.popitem()
    receipts[index] = receipt


def _flush(book: Book, log: LogFolder, edge: Edge) -> Edge:
    leaves, book.leaves = book.leaves, []
    return log.write(edge, leaves)


def run(folder: Path, what: str) -> None:
    """One measurement, in this process."""
    source, keys = FolderSource(folder), log_keys((folder.parent / "log.vkey").read_text())
    begun, wall = time.process_time(), time.perf_counter()
    asked = Asked(keys, 2**45, log_only=what == "hashes", every_signature=what == "every signature")
    verified = verify_log(source.fetch, source.paths(), asked)
    cpu, wall = time.process_time() - begun, time.perf_counter() - wall
    assert verified.checkpoint is not None
    size, memory = verified.checkpoint.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    each = cpu / size * 1e6
    print(
        f"{what:<16} {verified.verdict:<11} {size} entries: {cpu:.2f} s CPU ({each:.2f} µs each), {wall:.2f} s, {memory} MB"
    )


def _sha256(rounds: int = 200_000) -> float:
    data, begun = bytes(300), time.process_time()
    for _ in range(rounds):
        sha256(data).digest()
    return (time.process_time() - begun) / rounds * 1e6


def check(folder: Path) -> None:
    """All measurements, each in a process of its own."""
    print(f"for comparison, SHA-256 of 300 bytes here and now: {_sha256():.2f} µs CPU")
    for what in ("hashes", "chains", "every signature"):
        command = [sys.executable, "-m", "tests.bench.auditlog", "run", str(folder), what]
        subprocess.run(command, check=True)


def main(arguments: list[str]) -> None:
    if not arguments:
        with tempfile.TemporaryDirectory() as passing:
            make(Path(passing) / "log", ENTRIES)
            check(Path(passing) / "log")
        return
    folder = Path(arguments[1])
    if arguments[0] == "make":
        make(folder, int(arguments[2]) if len(arguments) > 2 else ENTRIES)
    elif arguments[0] == "run":
        run(folder, arguments[2])
    else:
        check(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
