"""Gateways of several checkouts beside each other, W1 in turn: `python -m tests.bench.beside before=/a/checkout now=. [--window 32]`.

On a busy machine a figure compares with one of the same minute and with no other. Each checkout's gateway runs with its own code and
schema; rounds alternate between them, and what is printed are medians, in microseconds and in verifications of the same round.
"""

import argparse
import os
import statistics
import subprocess
from pathlib import Path

import uvloop

from tests.bench.fleet import Fleet, GatewayFailed, open_files
from tests.bench.flow import Flow, Pair, each, following, pair_up, sizes, submits
from tests.bench.meter import Meter, yardstick


class Checkout(Fleet):
    """A fleet whose gateway is that of another checkout."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path.resolve()
        self._environment = {**os.environ, "PYTHONPATH": str(self._path)}

    def _run(self, *arguments: str) -> None:
        command = self._command(*arguments)
        done = subprocess.run(
            command, cwd=self._path, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise GatewayFailed(done.stdout + done.stderr)

    def start(self) -> None:
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command_line(), cwd=self._path, env=self._environment, stdout=output, stderr=output
            )


async def begun(fleet: Fleet, pairs: int, window: int, runs: int) -> Flow:
    """Its pairs, with so many runs each that wait."""
    fleet.found()
    fleet.start()
    await fleet.ready()
    await fleet.settle()
    senders, receivers = await fleet.enrol(pairs, "leader"), await fleet.enrol(pairs, "agent")
    made = await pair_up(fleet, senders, receivers)
    lines = await each(lambda device: following(fleet, device), receivers)
    waiting = sizes(window * runs, window)
    return Flow(
        [
            Pair(line, receiver, submits(line, author, channel, waiting))
            for (line, channel, author), receiver in zip(made, lines, strict=True)
        ]
    )


async def compare(asked: argparse.Namespace) -> None:
    """Rounds in turn; the first of each is to warm up."""
    fleets = {name: Checkout(Path(path)) for name, path in (spec.split("=", 1) for spec in asked.checkouts)}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in fleets}
    try:
        runs = asked.runs * (asked.rounds + 1)
        flows = {name: await begun(fleet, asked.pairs, asked.window, runs) for name, fleet in fleets.items()}
        for done in range(asked.rounds + 1):
            for name, flow in flows.items():
                before, meter = yardstick(100), Meter(fleets[name])
                await flow.phase(lambda _, upto=asked.runs * (done + 1): upto)  # type: ignore[misc]
                meter.stop()
                verify = (before + yardstick(100)) / 2
                if done:
                    found[name].append((1e6 * meter.server / flow.count, 1e6 * meter.loop / flow.count, verify))
    finally:
        for fleet in fleets.values():
            fleet.stop()
            fleet.cleanup()
    for name, rounds in found.items():
        server, loop, verify = (statistics.median(column) for column in zip(*rounds, strict=True))
        verifications = statistics.median(round_[0] / round_[2] for round_ in rounds)
        print(
            f"{name}: server_us={server:.1f}  loop_us={loop:.1f}  verify_us={verify:.1f}  verifications={verifications:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside", description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--runs", type=int, default=15, help="of each pair in a round")
    open_files()
    uvloop.run(compare(parser.parse_args()))
