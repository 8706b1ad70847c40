"""Bugs planted one at a time: each a line of the product that is not what it should be, and the faults that bring it to light.

    python -m tests.simulation.mutants --seeds 40            every one of them; by hand, `make sim-mutants`
    python -m tests.simulation.mutants --seeds 40 NAME …

A mutant lives in a copy of the tree. It is found by a seed if the run of that seed fails; the same seeds pass without it. That each
still applies, and to one place alone, is checked with every change (`test_mutants.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("keys", "gateway", "clients", "tests/keys", "tests/clients", "tests/simulation")
FIRST_SEED = 1_001
ENOUGH = 0.95
OFTEN = 3


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file`. `faults` are on in its runs, OFTEN times as often as else; `pace` ms lie between two things that people do."""

    name: str
    file: str
    old: str
    new: str
    faults: str
    minutes: float = 10
    pace: int = 5_000


MUTANTS = (
    Mutant(
        "acknowledged before it is synced",
        "gateway/store/sqlite.py",
        '        db = _connect(path, apsw.SQLITE_OPEN_READWRITE)\n        db.execute("PRAGMA synchronous = EXTRA")',
        '        db = _connect(path, apsw.SQLITE_OPEN_READWRITE)\n        db.execute("PRAGMA synchronous = OFF")',
        "power",
    ),
    Mutant(
        "a failed batch is told all the same",
        "gateway/store/sqlite.py",
        "        batch.stored.clear()\n",
        "",
        "full eio",
    ),
    Mutant(
        "the writer's memory outlives a rollback",
        "gateway/store/sqlite.py",
        "        view.forget()\n        batch.stored.clear()",
        "        batch.stored.clear()",
        "full eio",
    ),
    Mutant(
        "a failed transaction is answered as if it were done",
        "gateway/store/sqlite.py",
        "        for job in batch.jobs:\n            job.error = error\n",
        "",
        "full eio",
    ),
    Mutant(
        "a stream's state is not written before the commit",
        "gateway/store/writer.py",
        '        """The transaction is about to be committed."""\n        self.flush()\n',
        '        """The transaction is about to be committed."""\n',
        "kill",
    ),
    Mutant(
        "a log that was rolled back is taken for whole",
        "gateway/audit/sequencer.py",
        "    if older.size > size:\n        raise LogRefused(",
        "    if older.size > size:\n        return LogRefused(",
        "backup kill",
    ),
    Mutant(
        "a commit does not end its epoch",
        "gateway/core/roster.py",
        "        stream,\n        epoch=staged.next.epoch,",
        "        stream,\n        epoch=stream.epoch,",
        "",
    ),
    Mutant(
        "a message of an epoch long over is taken",
        "gateway/core/kinds.py",
        "        if epoch != current and not (epoch == current - 1 and run.now <= run.stream.grace_until):",
        "        if False:",
        "partition insider",
    ),
    Mutant(
        "no check of the chain",
        "gateway/core/submit.py",
        "    if first.previous != chain.link:",
        "    if False:",
        "insider",
    ),
    Mutant(
        "a gap in a device's numbers is taken",
        "gateway/core/submit.py",
        "    if first.number != chain.number + 1:",
        "    if False:",
        "insider",
    ),
    Mutant(
        "a used number hears the acceptance of another content",
        "gateway/core/submit.py",
        "        if before is None or (before.header, before.signature) != (now.envelope.header, now.envelope.signature):",
        "        if before is None:",
        "restored",
    ),
    Mutant(
        "a signed refusal is not remembered",
        "gateway/core/submit.py",
        "        attempts=tuple((v.context.number, v.context.attempt) for v in run.verified),",
        "        attempts=(),",
        "slow partition",
    ),
    Mutant(
        "the place in the chain is not moved on",
        "gateway/core/append.py",
        "    chained = PutChain(stream.id, last.context.device, last.context.number, last.envelope.link)",
        "    chained = PutChain(stream.id, last.context.device, last.context.number, run[0].envelope.link)",
        "partition",
    ),
    Mutant(
        "the log's time runs with a clock that was set back",
        "gateway/core/append.py",
        "    now = max(now, end.time)\n",
        "",
        "clock",
    ),
    Mutant(
        "the cursor is off by one",
        "gateway/core/following.py",
        "    start = max(positions.get(member.channel, 0), member.since)",
        "    start = max(positions.get(member.channel, 0), member.since) + 1",
        "cut",
    ),
    Mutant(
        "who was added while away is not told",
        "gateway/core/following.py",
        "        if start < member.since and not member.left and member.welcome:",
        "        if False:",
        "partition cut",
    ),
    Mutant(
        "who was removed is sent what comes after",
        "gateway/core/following.py",
        "    feed.follow(stream.id, start, stream.seq, dense=True, until=member.left)\n    if member.left:\n        return\n",
        "    feed.follow(stream.id, start, stream.seq, dense=True, until=0)\n    if member.left:\n        return\n",
        "cut",
    ),
    Mutant(
        "what came while a page was full is passed over",
        "gateway/core/feed.py",
        "        lane.loaded = last\n        lane.page.extend(rows)",
        "        lane.loaded = lane.head\n        lane.page.extend(rows[:1])",
        "cut partition",
    ),
    Mutant(
        "an alert's ladder is not begun",
        "gateway/core/ladder.py",
        "        at = replace(_rest(row, row.at), stopped=True) if met else replace(row.at, waiting=Waiting.ARM, stopped=False)",
        "        at = replace(_rest(row, row.at), stopped=True)",
        "partition",
        12,
    ),
    Mutant(
        "a ladder waits anew from each look",
        "gateway/core/ladder.py",
        "        return Outcome(True, (PutPosition(row.root, _wait(row, ladder, at, now)),))",
        "        return Outcome(False)",
        "kill",
    ),
    Mutant(
        "a rung is fired and its position not moved",
        "gateway/core/ladder.py",
        "        PutFiring(row.root, fired, notices),\n        PutPosition(row.root, at),",
        "        PutFiring(row.root, fired, notices),",
        "kill",
    ),
    Mutant(
        "a device forgets its place in its own chain",
        "clients/core/outbox.py",
        "        _remember(turn, key, after)\n    records.OWN.put(turn.draft, stream, own)\n",
        "        _remember(turn, key, after)\n",
        "",
    ),
    Mutant(
        "a refused number is sealed again as the same attempt",
        "clients/core/settling.py",
        "Counter(item.attempt + 1))",
        "Counter(item.attempt))",
        "slow partition",
    ),
    Mutant(
        "what was accepted stays in the outbox",
        "clients/core/settling.py",
        "    records.OUTBOX.delete(turn.draft, key)\n    for blob in [*item.uploads, sha256(item.body).digest()]:",
        "    for blob in [*item.uploads, sha256(item.body).digest()]:",
        "",
    ),
    Mutant(
        "an acceptance settles whatever is sealed",
        "clients/core/settling.py",
        "    return run if run and run[0][1].run == errand.number else []",
        "    return run",
        "mix double narrow",
    ),
    Mutant(
        "a new ratchet is not written down",
        "clients/core/groups.py",
        "                if before.get(name) != data:",
        "                if name not in before:",
        "death",
    ),
    Mutant(
        "what was shown waits to be shown",
        "clients/core/conversation.py",
        "    records.UNSHOWN.delete(work.turn.draft, key)\n    receipts.shown",
        "    receipts.shown",
        "",
    ),
    Mutant(
        "questions of a session that broke are never asked again",
        "clients/core/session.py",
        "        self.errands = Errands()\n",
        "",
        "cut loss",
    ),
    Mutant(
        "half a run is taken",
        "clients/core/timeline.py",
        "            if placed is None:\n                return None\n",
        "            if placed is None:\n                return run or None\n",
        "mix narrow cut",
    ),
    Mutant(
        "the signed end of a run is opened twice",
        "clients/core/receive.py",
        "            if not ahead and records.AHEAD.get(self.turn.draft, at(channel, item.placed.place.seq)) is not None:",
        "            if False:",
        "mix partition",
    ),
    Mutant(
        "a receipt is trusted unsigned",
        "clients/core/receipts.py",
        "        check_body(_by_any(claimed, keys), body)\n",
        "",
        "liar",
    ),
    Mutant(
        "a commit that has lost is still pending",
        "clients/core/settling.py",
        "        if pending is not None and pending.item == key:",
        "        if False:",
        "slow",
    ),
    Mutant(
        "an own commit is merged though another won",
        "clients/core/changes.py",
        "    if pending is None or pending.item != item:",
        "    if pending is None:",
        "slow mix",
    ),
)
NAMES = {mutant.name: mutant for mutant in MUTANTS}


def applied(mutant: Mutant, text: str) -> str:
    """The file with the bug in it; raises ValueError unless its place is there exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its place stands {text.count(mutant.old)} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)


def hunt(mutant: Mutant, seeds: int) -> tuple[int, list[str], float]:
    """How many seeds find it, the first words of what they say, and the CPU seconds that it took."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (ROOT / "tests").glob("*.py"):
            shutil.copy(file, copy / "tests")
        target = copy / mutant.file
        target.write_text(applied(mutant, target.read_text()))
        spent = os.times()
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation.mutants", "--run", mutant.name, "--seeds", str(seeds)],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
    try:
        found, said = json.loads(done.stdout)
    except ValueError:  # it does not even come to its first seed
        found, said = seeds, [done.stderr.strip().rsplit("\n", 1)[-1]]
    return found, said, after.children_user - spent.children_user


def run(mutant: Mutant, seeds: int) -> None:
    """In the copy: print how many seeds find it."""
    from tests.simulation.world import Failed, World

    found, said = 0, set()
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        if seed - FIRST_SEED - found > seeds * (1 - ENOUGH):
            break  # not found often enough, whatever the others say
        try:
            World(seed, mutant.minutes, mutant.faults.split(), keyed=True, pace=mutant.pace, often=OFTEN).run()
        except Failed as failure:
            found += 1
            said.add(str(failure).split("\n", 1)[0][:90])
        except Exception as error:  # before a run begins
            found += 1
            said.add(f"{type(error).__name__} at the founding")
    print(json.dumps([found, sorted(said)[:4]]))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--run", default="")
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    if chosen.run:
        run(NAMES[chosen.run], chosen.seeds)
        return 0
    missed = 0
    for mutant in MUTANTS:
        if chosen.names and mutant.name not in chosen.names:
            continue
        found, said, spent = hunt(mutant, chosen.seeds)
        share = found / chosen.seeds
        missed += share < ENOUGH
        words = said[0] if said else ""
        print(f"{found:3}/{chosen.seeds} {share:4.0%} {spent:6.1f} s  {mutant.name}: {words}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
