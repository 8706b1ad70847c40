"""How long MLS takes: `python -m tests.bench.mls [--suite 1 0xF001] [--sizes 10 100 1000] [--rounds 5] [--peers]`.

Medians in milliseconds, wall time and CPU time beside it, for groups of N members:

    create_add      found a group and add the others in one Commit, Welcome with the tree inside
    join            one of them comes in, every leaf and parent checked
    update_worst    the first path above blank parents: one seal a member       update_steady   later on: one a level
    process_...     another member follows                                      encrypt, decrypt   300 bytes
    serialise       the whole state to parts                                    load    and back, as far as it is needed
    save_message    what is written anew for a message that came                save_commit     for a steady Commit

With `--peers`, ts-mls and OpenMLS (as core-crypto) do the same in the same run (tests/interop/bench.mjs; node and
`make interop`'s modules are needed), and the last columns are ours over the better of the two: of wall time, and of CPU
time, which a machine that others use as well disturbs less.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from keys.mls import Add, Credential, Group, KeyPackage, KeyPackageSecrets, Remove, cipher_suite, new_key_package
from keys.mls.group import PendingCommit
from tests.keys.mls.people import DAY, NOW, Names, seeded

T = TypeVar("T")

TEXT: Final = bytes(300)
PADDING: Final = 1
"""None: neither of the peers pads a text of this length."""
MESSAGES: Final = 50
PEERS: Final = ("ts-mls", "core-crypto")
PEER_SCRIPT: Final = Path(__file__).parent.parent / "interop" / "bench.mjs"


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds."""

    wall: float
    cpu: float


@dataclass(slots=True)
class Figures:
    """One size of group in one suite."""

    times: dict[str, Cost] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def time(self, name: str, step: Callable[[], T], rounds: int) -> T:
        """The median of several rounds of a step that leaves its input as it was; its last result."""
        walls, cpus = [], []
        for _ in range(rounds):
            wall, cpu = time.perf_counter(), time.process_time()
            result = step()
            walls.append(1000 * (time.perf_counter() - wall))
            cpus.append(1000 * (time.process_time() - cpu))
        self.times[name] = Cost(statistics.median(walls), statistics.median(cpus))
        return result


class Cast:
    """Everybody who may be in the group, with KeyPackages made beforehand, and the members that are played."""

    def __init__(self, suite: int, count: int) -> None:
        self.suite, self.count = suite, count
        self.figures, self.auth = Figures(), Names()
        self.random = seeded(("bench", suite, count))
        self.members: list[Group] = []
        self.keys = [cipher_suite(suite).generate_signature_key(self.random) for _ in range(count + 1)]
        self.packages = [self._package(index) for index in range(count + 1)]

    def _package(self, index: int) -> tuple[KeyPackage, KeyPackageSecrets]:
        return new_key_package(
            cipher_suite(self.suite),
            Credential.basic(b"member %d" % index),
            self.keys[index],
            not_before=NOW - DAY,
            not_after=NOW + DAY,
            random=self.random,
        )

    def create(self) -> PendingCommit:
        """A group, and the Commit that brings everybody else in."""
        founder = Group.create(
            cipher_suite(self.suite),
            b"bench",
            Credential.basic(b"member 0"),
            self.keys[0],
            self.auth,
            not_before=NOW - DAY,
            not_after=NOW + DAY,
            random=self.random,
        )
        adds = [Add(package) for package, _ in self.packages[1 : self.count]]
        return founder.commit(adds, random=self.random, now_seconds=NOW, path=False, with_tree=True)

    def join(self, index: int, welcome: bytes) -> Group:
        """One that was added; the Welcome has the tree inside."""
        package, secrets = self.packages[index]
        return Group.join(welcome, package, secrets, self.keys[index], self.auth, now_seconds=NOW)

    def accept(self, by: int, pending: PendingCommit) -> None:
        """The members that are played follow a Commit."""
        self.members = [
            member.merge(pending, now_seconds=NOW) if place == by else follow(member, pending)
            for place, member in enumerate(self.members)
        ]


def follow(member: Group, pending: PendingCommit) -> Group:
    """A member after somebody's Commit."""
    return member.process(pending.message, now_seconds=NOW)[0]


def measure(suite: int, count: int, rounds: int) -> Figures:
    """All figures for one size of group."""
    cast = Cast(suite, count)
    figures, few = cast.figures, max(1, rounds // 2)
    made = figures.time("create_add", cast.create, few)
    assert made.welcome is not None
    welcome = made.welcome
    figures.sizes |= {"bytes_welcome": len(welcome), "bytes_add_commit": len(made.message)}
    joined = figures.time("join", lambda: cast.join(1, welcome), few)
    levels = range(1, (count - 1).bit_length())
    cast.members = [made.group, joined, *(cast.join(1 << level, welcome) for level in levels)]
    _handshake(cast, "update_worst", "process_worst", few, lambda group: group.commit(random=cast.random))
    for by in range(1, len(cast.members)):
        cast.accept(by, cast.members[by].commit(random=cast.random))
    pending = _handshake(
        cast, "update_steady", "process_steady", rounds, lambda group: group.commit(random=cast.random)
    )
    figures.sizes["save_commit"] = rewritten(cast.members[1], follow(cast.members[1], pending))
    _one_more_and_one_less(cast, rounds)
    _messages(cast)
    _at_rest(cast, rounds)
    return figures


def _handshake(
    cast: Cast, make: str, process: str, rounds: int, step: Callable[[Group], PendingCommit]
) -> PendingCommit:
    """The founder makes a Commit, the first joiner follows; nobody keeps it."""
    pending = cast.figures.time(make, lambda: step(cast.members[0]), rounds)
    cast.figures.time(process, lambda: follow(cast.members[1], pending), rounds)
    cast.figures.sizes[f"bytes_{make}"] = len(pending.message)
    return pending


def _one_more_and_one_less(cast: Cast, rounds: int) -> None:
    package, _ = cast.packages[cast.count]
    last = max(index for index, _ in cast.members[0].tree.members())
    pending = _handshake(
        cast,
        "add_one",
        "process_add",
        rounds,
        lambda group: group.commit([Add(package)], random=cast.random, now_seconds=NOW, path=False, with_tree=True),
    )
    cast.figures.sizes["bytes_welcome_one"] = len(pending.welcome or b"")
    _handshake(
        cast, "remove_one", "process_remove", rounds, lambda group: group.commit([Remove(last)], random=cast.random)
    )


def _messages(cast: Cast) -> None:
    """Each message follows on the one before, as it does in life."""
    sender, receiver = cast.members[0], cast.members[1]
    sent: list[bytes] = []

    def encrypt() -> None:
        nonlocal sender
        sender, message = sender.protect(TEXT, padding=PADDING, random=cast.random)
        sent.append(message)

    def decrypt() -> None:
        nonlocal receiver
        receiver, _ = receiver.process(next(unread), now_seconds=NOW)

    cast.figures.time("encrypt", encrypt, MESSAGES)
    unread = iter(sent)
    cast.figures.time("decrypt", decrypt, MESSAGES - 1)
    cast.figures.sizes["bytes_message"] = len(sent[0])
    before = receiver
    decrypt()
    cast.figures.sizes["save_message"] = rewritten(before, receiver)


def _at_rest(cast: Cast, rounds: int) -> None:
    parts = cast.members[0].parts()

    def fresh() -> Group:
        """Without what the value remembers of its own encoding."""
        return Group.load(parts, cast.auth)

    loaded = iter([fresh() for _ in range(rounds)])
    cast.figures.time("serialise", lambda: next(loaded).parts(), rounds)
    cast.figures.time("load", fresh, rounds)
    _, message = cast.members[1].protect(TEXT, padding=PADDING, random=cast.random)
    cast.figures.time("load_and_read", lambda: fresh().process(message, now_seconds=NOW)[0].parts(), rounds)
    cast.figures.sizes["bytes_state"] = sum(map(len, parts.values()))


def rewritten(before: Group, after: Group) -> int:
    """Bytes that a store has to write, whose rows are the parts."""
    old, new = before.parts(), after.parts()
    return sum(len(content) for name, content in new.items() if old.get(name) != content)


# What others take


def measure_peer(peer: str, suite: int, count: int, rounds: int) -> dict[str, float]:
    """The same by another implementation, empty where it does not have the suite."""
    command = ["node", str(PEER_SCRIPT), "--peer", peer, "--n", str(count), "--suite", str(suite)]
    done = subprocess.run([*command, "--rounds", str(rounds)], stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode == 3:
        return {}
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: are its modules there (make interop)?")
    figures = json.loads(done.stdout.splitlines()[-1])
    return {name: value for name, value in figures.items() if isinstance(value, int | float)}


# On paper


def show(suite: int, sizes: Sequence[int], columns: Sequence[Figures]) -> Iterable[str]:
    """Our figures, a column for each size."""
    yield f"suite {suite:#06x}, medians in ms: wall (CPU)" + "".join(f"{f'N={size}':>22}" for size in sizes)
    for name in columns[0].times:
        costs = [column.times[name] for column in columns]
        yield f"{name:43}" + "".join(f"{f'{cost.wall:.3f} ({cost.cpu:.3f})':>22}" for cost in costs)
    for name in columns[0].sizes:
        yield f"{name:43}" + "".join(f"{column.sizes[name]:>22,}" for column in columns)


def compare(suite: int, size: int, ours: Figures, peers: dict[str, dict[str, float]]) -> Iterable[str]:
    """Ours beside the peers', and our share of the better one's figure."""
    heads = ("ours", *peers, "ratio", "of CPU")
    yield f"suite {suite:#06x}, N={size}, ms or bytes".ljust(36) + "".join(f"{name:>13}" for name in heads)
    rows = {name: cost.wall for name, cost in ours.times.items()} | dict(ours.sizes)
    for name, value in rows.items():
        theirs = [figures.get(name) for figures in peers.values()]
        if any(theirs):
            shown = [number(other, name) for other in (value, *theirs)] + [f"{share(value, theirs):.2f}"]
            if name in ours.times:
                cpu = [figures.get(f"cpu_{name}") for figures in peers.values()]
                shown.append(f"{share(ours.times[name].cpu, cpu):.2f}")
            yield f"{name:36}" + "".join(f"{text:>13}" for text in shown)


def share(value: float, theirs: Iterable[float | None]) -> float:
    """Ours over the better of theirs."""
    return value / min(other for other in theirs if other)


def number(value: float | None, name: str) -> str:
    """Bytes whole, milliseconds with three places, nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if name.startswith(("bytes_", "save_")) else f"{value:,.3f}"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mls", description="How long MLS takes.")
    parser.add_argument("--suite", type=lambda text: int(text, 0), nargs="+", default=[1, 0xF001])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="ts-mls and OpenMLS in the same run")
    options = parser.parse_args(arguments)
    for suite in options.suite:
        columns = []
        for size in options.sizes:
            columns.append(measure(suite, size, options.rounds))
            if options.peers:
                peers = {peer: measure_peer(peer, suite, size, options.rounds) for peer in PEERS}
                print("\n".join(compare(suite, size, columns[-1], peers)), end="\n\n", flush=True)
        print("\n".join(show(suite, options.sizes, columns)), end="\n\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
