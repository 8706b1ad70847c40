"""`make interop`: every scenario in every suite with every peer, and the table of what came of it.

Exit status 1 if anything failed. What a peer has no way to do is a line with the reason, not a failure.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.interop.process import HERE, Cannot, Process, Refused
from tests.interop.scenarios import PAIRS, walk
from tests.interop.world import Differs

OURS = (sys.executable, str(HERE / "peer.py"))
PEERS = {"ts-mls": ("node", "ts-mls.mjs"), "core-crypto": ("node", "core-crypto.mjs")}
HYBRIDS = (0xF001, 0xF002)
SUITES = (1, 2, 3, 5, 7, *HYBRIDS)


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one scenario in one suite with one peer."""

    scenario: str
    suite: int
    peer: str
    result: str
    reason: str = ""


def play(scenario: str, suite: int, peer: str, peers: Sequence[Process], number: int) -> Cell:
    """Play one; an exception is a result."""
    try:
        if number < len(PAIRS):
            PAIRS[number](suite, peers[0], peers[1])
        else:
            walk(suite, *peers, seed=suite)
    except Cannot as error:
        return Cell(scenario, suite, peer, "FAIL" if error.peer == peers[0].name else "cannot", str(error))
    except (Refused, Differs, AssertionError) as error:
        return Cell(scenario, suite, peer, "FAIL", f"{type(error).__name__}: {error}")
    return Cell(scenario, suite, peer, "pass")


def title(function: object) -> str:
    return str(function.__doc__).strip()


def play_all(suites: Sequence[int], names: Sequence[str], only: str) -> list[Cell]:
    """All scenarios, with fresh processes for each suite and peer."""
    cells = []
    for suite in suites:
        for name in names:
            with Process(OURS) as ours, Process(PEERS[name]) as theirs:
                for number, scenario in enumerate(PAIRS):
                    if suite in theirs.suites and only in title(scenario):
                        cells.append(show(play(title(scenario), suite, theirs.name, (ours, theirs), number)))
        row = "three implementations in one group"
        if len(names) > 1 and suite not in HYBRIDS and only in row:
            with Process(OURS) as ours, Process(PEERS[names[0]]) as one, Process(PEERS[names[1]]) as two:
                cells.append(show(play(row, suite, "both", (ours, one, two), len(PAIRS))))
    return cells


def show(cell: Cell) -> Cell:
    """A line as it happens."""
    print(f"suite {cell.suite:<5} {cell.peer:30} {cell.scenario:84} {cell.result}", flush=True)
    if cell.reason and cell.result == "FAIL":
        print(f"    {cell.reason}", flush=True)
    return cell


def table(cells: Sequence[Cell]) -> None:
    """Scenario by suite and peer, then the reasons."""
    peers = list(dict.fromkeys(cell.peer for cell in cells))
    suites = sorted({cell.suite for cell in cells})
    marks = {"pass": "pass", "FAIL": "FAIL", "cannot": " -  "}
    by = {(cell.scenario, cell.suite, cell.peer): cell for cell in cells}
    for peer in peers:
        print(f"\n{peer}\n{'':86}" + " ".join(f"{suite if suite < 256 else hex(suite):>6}" for suite in suites))
        for scenario in dict.fromkeys(cell.scenario for cell in cells if cell.peer == peer):
            row = [by.get((scenario, suite, peer)) for suite in suites]
            print(f"{scenario:86}" + " ".join(f"{marks[cell.result] if cell else '':>6}" for cell in row))
    reasons: dict[tuple[str, str, str], list[int]] = {}
    for cell in cells:
        if cell.reason:
            reasons.setdefault((cell.result, cell.peer, f"{cell.scenario}: {cell.reason}"), []).append(cell.suite)
    print()
    for (result, peer, reason), where in reasons.items():
        mark = "FAIL" if result == "FAIL" else "peer can't"
        print(f"{mark}, {peer}, suite {', '.join(str(s) if s < 256 else hex(s) for s in where)}: {reason}")


def main(arguments: Sequence[str]) -> int:
    """Play, print, and say by the exit status whether anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--suite", type=lambda text: int(text, 0), action="append", help="only this suite")
    parser.add_argument("--peer", choices=list(PEERS), action="append", help="only this peer")
    parser.add_argument("--only", default="", help="only scenarios whose title has this in it")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    cells = play_all(asked.suite or SUITES, asked.peer or list(PEERS), asked.only)
    table(cells)
    counted = Counter(cell.result for cell in cells)
    took = time.monotonic() - began
    print(f"\n{counted['pass']} passed, {counted['FAIL']} failed, {counted['cannot']} a peer can't, in {took:.0f} s")
    return 1 if counted["FAIL"] or not counted["pass"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
