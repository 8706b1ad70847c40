"""A story: all that a run is made of, so that it can be told again, by a command line, and be told shorter."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

Happening = tuple[str, int]
"""The n-th strike of a kind of fault, or the n-th thing that people did (`people`); counted from 1."""

_NOISE: Final = re.compile(r"\[.*|'.*?'|\b[0-9a-f]{8,}\b|\d+|\b(ana|ben|gus|chen|omar|rita)\b")


@dataclass(frozen=True)
class Story:
    """`kinds` are the faults that are on; `knobs` what is set otherwise than usual (`tests.simulation.knobs`), each as NAME or
    NAME=VALUE; `only` what happens of all that would, None: everything."""

    seed: int
    minutes: float
    kinds: tuple[str, ...]
    keyed: bool
    knobs: tuple[str, ...] = ()
    only: frozenset[Happening] | None = None
    pace: int = 0
    often: int = 1
    tempo: str = "frantic"

    def command(self) -> str:
        """What tells it again."""
        words = ["python -m tests.simulation", f"--seeds ={self.seed}", f"--minutes {self.minutes:g}"]
        words.append(f"--faults {quoted(self.kinds)}")
        words.append(f"--knobs {quoted(self.knobs)}")
        words.append("--keys keyed" if self.keyed else "--keys real")
        words += [f"--tempo {self.tempo}"] * (self.tempo != "frantic")
        words += [f"--pace {self.pace}"] * bool(self.pace) + [f"--often {self.often}"] * (self.often != 1)
        if self.only is not None:
            words.append(f"--only {quoted(write(self.only).split())}")
        return " ".join(words)


@dataclass(frozen=True)
class Failure:
    """How a run failed: `what` in words, `at` how many minutes after its beginning (at most the story's own: the healing comes
    after them), and what had happened by then."""

    what: str
    at: float
    happened: tuple[Happening, ...] = field(repr=False)

    @property
    def kind(self) -> str:
        """The words without names and numbers: two runs with the same have failed in the same way."""
        return _NOISE.sub("", self.what.split("\n", 1)[0])


def quoted(words: Iterable[str]) -> str:
    return f"'{' '.join(words)}'"


def write(only: Collection[Happening]) -> str:
    """As `kill:2,5-7 people:1`."""
    parts = []
    for name in sorted({name for name, _ in only}):
        spans: list[list[int]] = []
        for n in sorted(n for other, n in only if other == name):
            if spans and spans[-1][1] == n - 1:
                spans[-1][1] = n
            else:
                spans.append([n, n])
        parts.append(f"{name}:" + ",".join(f"{a}-{b}" if b > a else str(a) for a, b in spans))
    return " ".join(parts)


def parse(text: str) -> frozenset[Happening]:
    """What `write` has written."""
    found: list[Happening] = []
    for part in text.split():
        name, spans = part.split(":")
        for span in spans.split(","):
            first, _, last = span.partition("-")
            found += [(name, n) for n in range(int(first), int(last or first) + 1)]
    return frozenset(found)


def commit() -> str:
    """Which state of the project this is."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", ":/")
    name = git("rev-parse", "--short=12", "HEAD")
    return f"commit {name}{' with changes' if changed else ''}" if name else "of no commit"
