"""How busy a mission is. In a campaign the seed draws it (`drawn`), with how long the story is; a run by hand is frantic unless it is
told otherwise.

    frantic   somebody does something every few seconds, and something breaks four times a minute; all is short, since minutes are told
    usual     an ordinary day: hours with minutes between two words
    quiet     half an hour between two words, hours in which nothing breaks and sessions last, and hours in which much does; people who are out of reach for half a day, ladders and
              check-ins of hours; one day or two. What waits for hours is met here alone
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Tempo:
    """Times in ms."""

    name: str
    paces: tuple[int, ...]
    """Between two things that people do, on average: one of these, as the seed draws it."""
    calm: int
    """How many times more rarely faults strike than in a frantic mission."""
    lull: tuple[int, int]
    """How long nothing strikes at all, once in a while: from, and at most; as long as that, on average, things do strike. (0, 0): no lulls."""
    look: int
    """Somebody looks at the device again within so long."""
    away: int
    """Somebody who goes out of reach is back after so long."""
    rungs: tuple[int, int]
    """Seconds that a rung of an alert's ladder waits: from, and less than."""
    leg: int
    """Between two check-ins of somebody on the road."""
    lasts: int
    """How long an alert is valid."""
    minutes: tuple[int, ...]
    """How long a story of a campaign is."""
    weight: int
    """How many of a hundred stories of a campaign are of this tempo."""
    sleep: int = MINUTE
    """How long the gateway rests at most when nothing happens and nothing is due; 0: it looks at every sweep."""
    routine: bool = True
    """Whether what is done by the clock is done: lists are renewed, check-ins are planned, open emergencies are looked after."""


FRANTIC: Final = Tempo(
    name="frantic",
    paces=(12 * SECOND, 30 * SECOND, 60 * SECOND),
    calm=1,
    lull=(0, 0),
    look=12 * SECOND,
    away=25 * SECOND,
    rungs=(10, 40),
    leg=10 * MINUTE,
    lasts=HOUR,
    minutes=(10, 30),
    weight=56,
    sleep=0,
    routine=False,
)
USUAL: Final = Tempo(
    name="usual",
    paces=(2 * MINUTE, 5 * MINUTE, 10 * MINUTE),
    calm=2,
    lull=(0, 0),
    look=2 * MINUTE,
    away=5 * MINUTE,
    rungs=(20, 400),
    leg=10 * MINUTE,
    lasts=2 * HOUR,
    minutes=(60, 240),
    weight=40,
)
QUIET: Final = Tempo(
    name="quiet",
    paces=(15 * MINUTE, 30 * MINUTE),
    calm=1,
    lull=(1 * HOUR, 5 * HOUR),
    look=20 * MINUTE,
    away=3 * HOUR,
    rungs=(300, 7_200),
    leg=HOUR,
    lasts=12 * HOUR,
    minutes=(8 * 60, 24 * 60, 54 * 60),
    weight=4,
)
TEMPOS: Final[Mapping[str, Tempo]] = MappingProxyType({tempo.name: tempo for tempo in (FRANTIC, USUAL, QUIET)})


def drawn(seed: int) -> tuple[Tempo, int]:
    """How busy the mission of this seed is in a campaign, and how many minutes its story has."""
    chance = Random(f"{seed} tempo")
    (tempo,) = chance.choices(list(TEMPOS.values()), [tempo.weight for tempo in TEMPOS.values()])
    return tempo, chance.choice(tempo.minutes)
