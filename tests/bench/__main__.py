"""How fast is our gateway: `python -m tests.bench --workload W1,W2 [--window N] [--n N] [--json FILE] [--profile]`.

Every step has a fresh gateway in a fresh folder. A row a step on stdout; JSON lines with `--json`, like those of the peers' rig.
`--profile` prints where the time of each of the gateway's threads goes; its figures are dearer than real ones.
"""

import argparse
import json
import platform
import pstats
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from keys.envelope import Precedence
from tests.bench.broadcast import w7, w8
from tests.bench.fleet import Fleet, launched, open_files
from tests.bench.herd import herd
from tests.bench.load import w1, w2, w3, w4, w5, w6
from tests.bench.meter import Row, yardstick

PLAIN = ("-m", "gateway.main")
W1_MESSAGES = {1: 20_000, 32: 96_000}
HEADLINE = 45  # lines of a profile


@dataclass(frozen=True)
class Step:
    """One workload with its parameters."""

    workload: str
    run: Callable[[Fleet], Awaitable[Row]]
    tls: bool = False


def steps(asked: argparse.Namespace) -> Iterator[Step]:
    """What the command line asks for."""
    wanted = asked.workload.split(",")
    if "W1" in wanted:
        for window in [asked.window] if asked.window else [1, 32]:
            messages = asked.messages or W1_MESSAGES.get(window, 20_000)
            yield Step("W1", partial(w1, window=window, pairs=asked.pairs, messages=messages), asked.tls)
    if "W2" in wanted:
        precedence = Precedence.FLASH if asked.flash else Precedence.ROUTINE
        for members in [asked.n] if asked.n else [1_000, 5_000]:
            yield Step("W2", partial(w2, members=members, precedence=precedence), asked.tls)
    if "W3" in wanted:
        for tls in [True] if asked.tls else [False, True]:
            yield Step("W3", partial(w3, sessions=asked.n or 2_000), tls)
    if "W4" in wanted:
        yield Step("W4", partial(w4, messages=asked.messages or 10_000), asked.tls)
    if "W5" in wanted:
        yield Step("W5", w5, asked.tls)
    if "W6" in wanted:
        yield Step("W6", w6, asked.tls)
    if "W7" in wanted:
        for members in [asked.n] if asked.n else [1_000, 5_000]:
            yield Step("W7", partial(w7, members=members), asked.tls)
    if "HERD" in wanted:
        for kill in (False, True):
            yield Step("HERD", partial(herd, sessions=asked.n or 2_000, kill=kill), asked.tls)
    if "W8" in wanted:
        answers = asked.messages or 10_000
        yield Step("W8", partial(w8, sessions=asked.n or 2_500, answers=answers), asked.tls)


async def measured(step: Step, starter: tuple[str, ...]) -> Row:
    """A fresh gateway, the workload, and nothing left behind."""
    fleet = await launched(tls=step.tls, starter=starter)
    try:
        verify_us = yardstick()
        row = await step.run(fleet)
        row["verify_us"] = (verify_us + yardstick()) / 2
    except BaseException:
        sys.stderr.write(fleet.output()[-4_000:])
        raise
    finally:
        fleet.stop()
        fleet.cleanup()
    return {"peer": "outrider", "workload": step.workload, "tls": int(step.tls), **row}


def told(row: Row) -> str:
    """One line for people."""
    figures = (f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items())
    return "  ".join(figures)


def show_profiles(folder: Path) -> None:
    """The functions that take most CPU, of the event loop and of the store's writer."""
    for path in (folder / "loop.pstats", folder / "store.pstats"):
        print(f"\n--- thread {path.stem}", flush=True)
        stats = pstats.Stats(str(path), stream=sys.stdout)
        stats.strip_dirs().sort_stats("tottime").print_stats(HEADLINE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--workload", default="W1,W2,W3,W4,W5,W6,W7,W8,HERD")
    parser.add_argument("--window", type=int, default=0, help="W1: this window only (1 to 64)")
    parser.add_argument("--pairs", type=int, default=100, help="W1: senders, and receivers")
    parser.add_argument("--messages", type=int, default=0, help="W1, W4: how many; W8: answers")
    parser.add_argument("--n", type=int, default=0, help="W2, W7: members; W3, W8, HERD: sessions")
    parser.add_argument("--flash", action="store_true", help="W2: precedence FLASH")
    parser.add_argument(
        "--tls", action="store_true", help="the gateway's own TLS; plain otherwise, as the peers were measured"
    )
    parser.add_argument("--json", type=Path, help="append rows to this file, as JSON lines")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the gateway ends with its bench
    open_files()
    print(f"# python {platform.python_version()}, {platform.machine()}; bodies: random ciphertext of the real length")
    for step in steps(asked):
        holder: AbstractContextManager[str] = tempfile.TemporaryDirectory() if asked.profile else nullcontext("")
        with holder as folder:
            starter = ("-m", "tests.bench.starter", folder) if asked.profile else PLAIN
            row = uvloop.run(measured(step, starter))
            print(told(row), flush=True)
            if asked.profile:
                show_profiles(Path(folder))
        if asked.json:
            with asked.json.open("a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
