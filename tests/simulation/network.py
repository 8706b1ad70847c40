"""Lines between devices and the gateway, and what roads do to them.

A line is a TLS connection: in each direction frames come whole, in order and once, until it breaks; then what was under way
is gone, and each side notices in its own time, or only by silence. A carrier that sits inside the TLS connection, or a
proxy gone mad, may also double frames and mix their order: a fault of its own (`Weather.double`, `Weather.mix`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from tests.simulation.world import World

UP, DOWN = 0, 1  # to the gateway, to the device


@dataclass(slots=True)
class Weather:
    """How the roads are: ms, and chances a frame."""

    delay: int = 8
    jitter: int = 12
    bytes_per_ms: float = 0.0  # 0: no bound
    loss: float = 0.0
    double: float = 0.0
    mix: float = 0.0


class Line:
    """One connection. Each end has a `heard(data)` and a `broke()`."""

    def __init__(self, world: World, name: str, weather: Weather) -> None:
        self.world = world
        self.name = name
        self.weather = weather
        self.heard: list[Callable[[bytes], None]] = [lambda _: None, lambda _: None]
        self.broke: list[Callable[[], None]] = [lambda: None, lambda: None]
        self.open = [True, True]  # as the one who sends in this direction sees it
        self.silent = [False, False]
        self.cut = False
        self.under_way = [0, 0]
        self._last = [0, 0]

    def send(self, way: int, data: bytes) -> None:
        """Put a frame on the road, if this end believes that there is one."""
        sim, chance, w = self.world.sim, self.world.roads, self.weather
        if not self.open[way] or self.cut or self.silent[way]:
            return
        if w.loss and chance.random() < w.loss:
            sim.note(f"{self.name} loses a frame {'up' if way == UP else 'down'}")
            self.world.fault("loss")
            self.fall_silent(way)
            return
        slow = int(len(data) / w.bytes_per_ms) if w.bytes_per_ms else 0
        wait = w.delay + slow + (chance.randrange(w.jitter) if w.jitter else 0)
        due = sim.now + wait
        if w.mix and chance.random() < w.mix:
            self.world.fault("mix")
            due += chance.randrange(400)
        else:
            due = self._last[way] = max(due, self._last[way])
        self.under_way[way] += 1
        sim.after(due - sim.now, self._arrive, way, data)
        if w.double and chance.random() < w.double:
            self.world.fault("double")
            self.under_way[way] += 1
            sim.after(due - sim.now + chance.randrange(200), self._arrive, way, data)

    def _arrive(self, way: int, data: bytes) -> None:
        self.under_way[way] -= 1
        if self.cut or not self.open[1 - way]:
            return
        self.world.sim.note(f"{self.name} {'>' if way == UP else '<'} {len(data)} {crc32(data):08x}")
        self.heard[way](data)

    def fall_silent(self, way: int, most: int = 20_000) -> None:
        """Nothing comes through in this direction any more; somebody notices in the end."""
        self.silent[way] = True
        self.world.sim.after(500 + self.world.roads.randrange(most), self.break_)

    def break_(self) -> None:
        """The connection is gone; what was under way with it."""
        if self.cut:
            return
        self.cut = True
        for way in (UP, DOWN):
            if self.open[way]:
                self.world.sim.after(self.world.roads.randrange(300), self._notice, way)

    def _notice(self, way: int) -> None:
        if self.open[way]:
            self.open[way] = False
            self.broke[way]()

    def close(self, way: int) -> None:
        """This end lets go; the other hears of it."""
        if self.open[way]:
            self.open[way] = False
            other = 1 - way
            if self.open[other] and not self.cut:
                self.world.sim.after(self.weather.delay, self._notice, other)
