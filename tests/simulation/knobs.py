"""What the seed sets otherwise than usual: batches of one, pages of two, a store that says no now and then, timers that come early or late.

The cores carry no hooks for tests, so this is done at the seams that the simulation owns: the store below the core, the shell around
it, the shell around a device. Nothing here is a fault: everything must go on as well as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Knobs:
    """As they are unless the seed says otherwise."""

    batch: int = 512
    """Decisions in one transaction of the gateway, at most."""
    busy: float = 0.0
    """The chance that the store refuses a decision as it does when the disk is full."""
    cache: int = 0
    """Pages of the database that SQLite keeps in memory; 0: as the product sets it."""
    checkpoint: int = 20
    """Transactions until the WAL is written back into the database."""
    page: int = 1_000
    """Envelopes that the hub reads at once, at most."""
    beat: int = 3_000
    """ms between two checkpoints of the log: with one a second most of a run would be proofs."""
    sweep: int = 1_000
    """ms between two looks at what is due."""
    narrow: bool = False
    """Every second device says that its link is narrow: small windows, one question at a time."""
    turn: int = 1_000
    """Frames that a device takes in one turn, at most."""
    hands: int = 60
    """ms that a device may let frames wait."""
    tick: int = 900
    """ms between two looks of a device at its clock."""


KNOBS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "one-a-batch": {"batch": 1},
        "three-a-batch": {"batch": 3},
        "busy": {"busy": 0.05},
        "small-cache": {"cache": 12},
        "early-checkpoint": {"checkpoint": 1},
        "late-checkpoint": {"checkpoint": 2_000},
        "page-of-one": {"page": 1},
        "page-of-three": {"page": 3},
        "quick-beat": {"beat": 400},
        "slow-beat": {"beat": 9_000},
        "quick-sweep": {"sweep": 250},
        "slow-sweep": {"sweep": 4_000},
        "narrow-windows": {"narrow": True},
        "frame-by-frame": {"turn": 1, "hands": 60},  # at usual hands: else seventy words take a minute
        "slow-hands": {"turn": 1_000, "hands": 1_500},
        "early-timers": {"tick": 150},
        "late-timers": {"tick": 5_000},
    }
)


def draw(chance: Random) -> tuple[str, ...]:
    """Which are set in a run: none in one of three."""
    likely = chance.choice((0.0, 0.1, 0.25))
    return tuple(name for name in KNOBS if chance.random() < likely)


def turned(names: Iterable[str]) -> Knobs:
    """Raises KeyError for one that there is not. Of two that speak of the same the later counts."""
    knobs = Knobs()
    for name in names:
        knobs = replace(knobs, **KNOBS[name])
    return knobs
