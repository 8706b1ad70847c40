"""kill -9 on the gateway under traffic, round after round: nothing accepted is lost, nothing is shown twice, the log never goes back.

    python -m tests.e2e.chaos --rounds 200 [--seed N] [--minutes N]

Four devices write in one channel as fast as they can; at a random moment the gateway's process is killed and started again. After
the last round everybody catches up, and then: whatever a device was told is accepted has been shown to each of the others exactly
once, in one order; every checkpoint that was ever published is a prefix of the final log; and `audit verify` finds it sound.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clients.auditor.source import FolderSource
from clients.station import Station
from keys.envelope import Marking
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.note import Ed25519Verifier, VerifierKey
from keys.tlog.reader import LogReader
from tests.e2e.mission import RealMission
from tests.waiting import until

WRITERS = ("chen", "dara", "ayo", "bea")
SHOWN = 40  # findings that are printed
WAITING = 8  # messages that a device lets wait before it writes on: all four share one process here


@dataclass
class Traffic:
    """What was sent and what was shown, by device."""

    stations: dict[str, Station]
    channel: bytes
    sent: dict[bytes, str] = field(default_factory=dict)  # item: text
    shown: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    known: dict[bytes, str] = field(default_factory=dict)  # accepted, as their devices were told
    running: bool = True

    async def write(self, name: str) -> None:
        n, station = 0, self.stations[name]
        while self.running:
            if station.status().outbox < WAITING:
                text = f"{name} {n}"
                self.sent[station.send(self.channel, text)] = text
                n += 1
            await asyncio.sleep(0.05)

    async def read(self, name: str) -> None:
        shown = self.shown.setdefault(name, [])
        while True:
            async for message in self.stations[name].read(self.channel):
                shown.append((message.seq, message.text))
            await asyncio.sleep(0.05)

    def accepted(self) -> dict[bytes, str]:
        """Items that their device was told are accepted. Each is asked about until it is: the loop must not starve."""
        for item, text in self.sent.items():
            if item not in self.known and self.stations[text.split()[0]].delivery(item).state != "kept":
                self.known[item] = text
        return self.known


@dataclass
class Result:
    """The figures of a run, and what is wrong (nothing, one hopes)."""

    rounds: int
    seed: int
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    log_size: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def ended(tasks: Iterable[asyncio.Task[None]]) -> list[BaseException | None]:
    """What ended tasks that should still run."""
    return [task.exception() for task in tasks if task.done() and not task.cancelled()]


def where(task: asyncio.Task[None]) -> str:
    """Where a task stands now, from the outside in."""
    names, waited = [], task.get_coro()
    while waited is not None:
        frame = getattr(waited, "cr_frame", None) or getattr(waited, "ag_frame", None)
        names.append(f"{frame.f_code.co_name}:{frame.f_lineno}" if frame else type(waited).__name__)
        waited = getattr(waited, "cr_await", None) or getattr(waited, "ag_await", None)
    return " > ".join(names)


async def stopped(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def checkpoint_of(mission: RealMission) -> Checkpoint:
    key = VerifierKey.decode((mission.gateway / "log.vkey").read_text().strip())
    return open_checkpoint((mission.log / "checkpoint").read_bytes(), [Ed25519Verifier(key)], key.name)


def check_prefixes(mission: RealMission, heads: list[Checkpoint], result: Result) -> None:
    """Every checkpoint seen is a prefix of the final log, whose every tile and entry hashes up to its root."""
    final = checkpoint_of(mission)
    reader = LogReader(FolderSource(mission.log).fetch, final)
    count = sum(len(run.entries) for run in reader.entries(0))
    result.log_size = final.size
    if count != final.size:
        result.wrong.append(f"{count} entries in a log of {final.size}")
    for head in heads:
        if head.size > final.size or reader.frontier(head.size).root != head.root:
            result.wrong.append(f"the checkpoint of size {head.size} is no prefix of the final log")


def check_traffic(traffic: Traffic, result: Result) -> None:
    accepted = traffic.accepted()
    result.accepted = len(accepted)
    for name, shown in traffic.shown.items():
        texts = Counter(text for _, text in shown)
        expected = {text for text in accepted.values() if text.split()[0] != name}
        lost = expected - set(texts)
        doubled = [text for text, n in texts.items() if n > 1]
        result.lost += len(lost)
        result.doubled += len(doubled)
        result.wrong += [f"{name} was never shown {text!r}" for text in sorted(lost)[:5]]
        result.wrong += [f"{name} was shown {text!r} twice" for text in sorted(doubled)[:5]]
        order = [seq for seq, _ in shown]
        if order != sorted(order):
            result.wrong.append(f"{name} was shown messages out of order")


async def run(
    folder: Path, rounds: int, seed: int, minutes: float = 24 * 60.0, kind: type[RealMission] = RealMission
) -> Result:
    """The whole campaign in a new folder: so many rounds, and no further one once its time is over. `kind` says how it is killed."""
    chance, started = random.Random(seed), time.monotonic()
    result = Result(0, seed)
    async with kind.found(folder) as mission:
        for name in WRITERS:
            await mission.enrol("officer" if name == "chen" else "agent", name)
        channel = await mission.channel("chen", "detail", Marking.AMBER, *WRITERS[1:])
        traffic = Traffic(mission.stations, channel)
        readers = [asyncio.create_task(traffic.read(name)) for name in WRITERS]
        writers = [asyncio.create_task(traffic.write(name)) for name in WRITERS]
        heads = []
        while result.rounds < rounds and time.monotonic() - started < 60 * minutes:
            await asyncio.sleep(chance.uniform(0.05, 0.7))
            await mission.kill()
            heads.append(checkpoint_of(mission))
            await mission.start()
            result.rounds += 1
            if sys.stderr.isatty():
                print(f"\rround {result.rounds} of {rounds}, {len(traffic.sent)} sent", end="", file=sys.stderr)
        traffic.running = False
        traffic.accepted()
        await asyncio.sleep(1.0)
        await asyncio.gather(*writers)
        try:
            await until(lambda: len(traffic.accepted()) == len(traffic.sent), "everything sent is accepted")
        except AssertionError:
            result.wrong += [f"{n}: {mission.stations[n].status()}" for n in WRITERS]
            result.wrong += [f"{n} waits for {mission.stations[n].device_core.waiting()}" for n in WRITERS]
            result.wrong += [f"{n} stands at {where(mission.links[n])}" for n in WRITERS]
        others = {n: sum(t.split()[0] != n for t in traffic.sent.values()) for n in WRITERS}
        try:
            await until(lambda: all(len(traffic.shown[n]) >= others[n] for n in WRITERS), "all of it is shown")
        except AssertionError:
            result.wrong.append("not all of it was shown in time")
        await asyncio.sleep(0.5)  # what would be shown twice shows itself now
        result.wrong[:0] = [f"a task ended by itself: {e!r}" for e in ended((*readers, *mission.links.values()))]
        await stopped(readers)
        result.wrong += [f"{n}: {a.detail}" for n in WRITERS for a in mission.stations[n].alarms()]
        await mission.stop()
        check_traffic(traffic, result)
        check_prefixes(mission, heads, result)
    result.seconds = time.monotonic() - started
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="no further round after these")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outrider-chaos-") as folder:
        result = asyncio.run(run(Path(folder), arguments.rounds, arguments.seed, arguments.minutes))
    print(
        f"{result.rounds} rounds of kill -9 (seed {result.seed}): {result.accepted} accepted, {result.lost} lost, "
        f"{result.doubled} shown twice, log of {result.log_size} entries, {result.seconds:.0f} s"
    )
    for line in result.wrong[:SHOWN]:
        print(f"WRONG: {line}")
    if len(result.wrong) > SHOWN:
        print(f"… and {len(result.wrong) - SHOWN} more")
    sys.exit(1 if result.wrong else 0)


if __name__ == "__main__":
    main()
