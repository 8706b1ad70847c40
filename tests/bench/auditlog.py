"""How fast `audit verify` is: a log of any length, made once, and the CPU time and memory of checking it.

    python -m tests.bench.auditlog make FOLDER [ENTRIES]
    python -m tests.bench.auditlog check FOLDER

`make` writes 60 devices talking in 10 channels, each with a real roster; headers are real and signed a run of 8 at a time. `check`
measures, each in a process of its own: hashes only, everything by chain, and everything with every signature.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from clients.auditor.source import FolderSource
from clients.auditor.verify import Asked, log_keys, verify_log
from gateway.audit.tiles import LogFolder
from keys.envelope import Kind, Marking
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from tests.clients.auditor.logs import Book, Party

CHANNELS: Final = 10
MEMBERS: Final = 5  # of each channel, besides its leader
RUN: Final = 8
STEP: Final = 50_000  # entries written at once


def make(folder: Path, size: int) -> None:
    """Write a log of about that many entries."""
    book = Book()
    rooms = [_room(book) for _ in range(CHANNELS)]
    log = LogFolder.create(folder, sync=lambda _: None)
    edge = Edge()
    begun = time.process_time()
    turn = 0
    while edge.size + len(book.leaves) < size:
        channel, members = rooms[turn % CHANNELS]
        party = members[turn // CHANNELS % len(members)]
        for place in range(RUN):
            _speak(book, party, channel, last=place == RUN - 1)
        turn += 1
        if len(book.leaves) >= STEP:
            edge = _flush(book, log, edge)
    edge = _flush(book, log, edge)
    for path, data in book.bodies.items():
        if len(data) != 32:  # the messages' own are not published
            (folder / "body").mkdir(exist_ok=True)
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
        Kind.APPLICATION, channel, epoch=1, heard=book.heard(channel), marking=Marking.AMBER, franking=data
    )
    party.log(context, data, signed=last)
    book.bodies.popitem()


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


def main(arguments: list[str]) -> None:
    folder = Path(arguments[1])
    if arguments[0] == "make":
        make(folder, int(arguments[2]) if len(arguments) > 2 else 100_000)
    elif arguments[0] == "run":
        run(folder, arguments[2])
    else:
        print(f"for comparison, SHA-256 of 300 bytes here and now: {_sha256():.2f} µs CPU")
        for what in ("hashes", "chains", "every signature"):
            command = [sys.executable, "-m", "tests.bench.auditlog", "run", str(folder), what]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
