"""One run: a mission, its gateway, its devices and people, under one seed.

    world = World(seed, minutes=10)
    world.run()              # raises Failed, with the seed, the faults that were on, and what happened last

First things go wrong for as long as was asked for, then everything heals, and within `HEALING` all has to be at rest and whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final

from clients.core import records
from gateway.audit.floor import Floor
from tests.simulation import faults
from tests.simulation.crypto import EPHEMERAL, cryptography
from tests.simulation.endings import EVENTS as ENDINGS
from tests.simulation.founding import Founded, founded
from tests.simulation.gateway import Process
from tests.simulation.knobs import draw, turned
from tests.simulation.ladders import SOON
from tests.simulation.lies import Honest, Liars
from tests.simulation.log import FloorHeld
from tests.simulation.machine import Machine
from tests.simulation.network import Line, Weather
from tests.simulation.office import EVENTS as OFFICIAL
from tests.simulation.office import EXPECTED, Office
from tests.simulation.oracle import Oracle, Violated
from tests.simulation.people import People
from tests.simulation.phone import Phone
from tests.simulation.routine import Routine
from tests.simulation.schedule import Schedule
from tests.simulation.store import DATABASE
from tests.simulation.story import Failure, Happening, Story, commit
from tests.simulation.tempo import TEMPOS
from tests.simulation.violated import need

MINUTE = 60_000
HEALING = 3 * MINUTE  # twice that where hands are slow: one question at a time, and a second and a half between two
LOOK = 500  # ms between two looks whether all is at rest
REST = 15_000  # ms that it has to be, one after the other
INSIDER = "gus"
REAL = 20  # one seed in so many has real keys
EVENTS: Final = {**faults.EVENTS, **OFFICIAL, **ENDINGS}
CAUSES: Final = {**faults.CAUSES, **EXPECTED}


class Failed(AssertionError):
    """A run broke an invariant."""

    def __init__(self, text: str, story: Story, failure: Failure) -> None:
        super().__init__(text)
        self.story = story
        self.failure = failure


@dataclass(frozen=True)
class Figures:
    """What a run came to."""

    trace: str
    steps: int
    simulated: int  # ms
    faults: int
    entries: int
    said: int
    seen: int


class World:
    """`kinds` are the faults that are on; None: as the seed draws them. `tempo`: how busy the mission is (`tests.simulation.tempo`).
    `pace`: ms between two things that people do; 0: as drawn. `often`: how many times more often faults strike. `only`: what happens of all that would; None: everything.
    `knobs` are what is set otherwise than usual; None: as the seed draws them, where it draws the kinds too."""

    def __init__(
        self,
        seed: int,
        minutes: float = 10,
        kinds: Sequence[str] | None = None,
        *,
        keyed: bool | None = None,
        pace: int = 0,
        often: int = 1,
        only: Collection[Happening] | None = None,
        knobs: Sequence[str] | None = None,
        tempo: str = "frantic",
    ) -> None:
        self.seed = seed
        self.tempo = TEMPOS[tempo]
        self.keyed = seed % REAL != 0 if keyed is None else keyed
        self.sim = Schedule(seed, only)
        self.kinds = faults.draw(self.sim.random("swarm")) if kinds is None else tuple(kinds)
        drawn = draw(self.sim.random("knobs")) if kinds is None else ()
        self.turned = drawn if knobs is None else tuple(knobs)
        self.knobs = turned(self.turned)
        if "rot" in self.kinds:
            self.knobs = replace(self.knobs, cache=12)  # or SQLite would have the whole database in memory
        self.minutes = minutes
        self.pace = pace
        self.often = often
        self.counts: dict[str, int] = {}

    def fault(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    # --- a run ---

    def run(self, mission: Founded | None = None) -> Figures:
        """From a mission that was founded before, or the usual one. Raises Failed."""
        with cryptography(keyed=self.keyed):
            self._set_up(mission or founded(keyed=self.keyed))
            try:
                return self._live()
            except Exception as error:
                failure = self._failure(error)
                raise Failed(self._text(failure), self.story, failure) from error

    def _set_up(self, mission: Founded) -> None:
        sim = self.sim
        EPHEMERAL.begin(self.seed.to_bytes(8, "big"))
        self.mission = mission.mission
        self.talk, self.alerts, self.desk = mission.talk, mission.alerts, mission.desk
        self.more: list[bytes] = []
        self.old_vaults: list[dict[str, dict[bytes, bytes]]] = []
        self.tls_key = mission.mission.policy.tls_keys[0]
        self.roads, self.disks, self.chaos = sim.random("roads"), sim.random("disks"), sim.random("chaos")
        self.whims = sim.random("store")
        self.gateway_random = sim.random("gateway").randbytes
        self.unreachable: dict[str, int] = {}
        self.hurt = True
        self.lies = self._liars()
        self.founded_at = mission.floor.size
        sim.now = max(sim.now, mission.now)
        self.began = sim.now
        self.weather = self._drawn_weather = self._weather()
        self.lull = False
        self.machine = Machine(
            self, {DATABASE: mission.database}, mission.folder.copy(), FloorHeld(Floor(*_pair(mission.floor)))
        )
        self.oracle = Oracle(self)
        self.first_seqs = _seqs(mission)
        self.phones = {
            name: Phone(self, name, {shelf: dict(rows) for shelf, rows in shelves.items()})
            for name, shelves in mission.shelves.items()
        }
        if "insider" in self.kinds:
            self.phones[INSIDER].spoiled = "insider"
        self.office = Office(self)
        self.people = People(self, self.pace or sim.random("pace").choice(self.tempo.paces))
        self.routine = Routine(self)

    def _weather(self) -> Weather:
        chance, weather = self.sim.random("weather"), Weather()
        dense = self.often / self.tempo.calm
        if "loss" in self.kinds:
            weather.loss = chance.choice((0.002, 0.01, 0.03)) / self.tempo.calm
        if "double" in self.kinds:
            weather.double = dense * chance.choice((0.01, 0.05))
        if "mix" in self.kinds:
            weather.mix = dense * chance.choice((0.01, 0.05))
        if "narrow" in self.kinds:
            weather.delay, weather.jitter, weather.bytes_per_ms = 300, 200, 8.0
        return weather

    def _liars(self) -> Honest:
        down, insider = "liar" in self.kinds, "insider" in self.kinds
        return Liars(self, down=down, device=INSIDER if insider else "") if down or insider else Honest(self)

    def known_channels(self) -> tuple[bytes, ...]:
        return (self.talk, self.alerts, self.desk, *self.more)

    def _live(self) -> Figures:
        sim = self.sim
        sim.note(f"seed {self.seed} faults {' '.join(self.kinds)} knobs {' '.join(self.turned)}")
        self.machine.start()
        for n, phone in enumerate(self.phones.values()):
            phone.do(50 * n, phone.connect)
        self.people.begin()
        self.routine.begin()
        for kind in self.kinds:
            if kind in EVENTS:
                self._plan(kind, sim.random(f"times of {kind}"))
        if any(self.tempo.lull):
            spells = sim.random("lulls")
            self.lull = spells.random() < 0.5
            self._spell(spells)
        sim.after(MINUTE, self._backups)
        sim.run(self.began + int(self.minutes * MINUTE), _nothing)
        self._heal()
        self._come_to_rest(sim.now + self._healing())
        if "liar" in self.kinds:
            self.oracle.harmless()
            return self._ended()
        need(not (why := self.office.unsettled()), f"not at rest after the healing: {why}")
        causes = (CAUSES.get(kind, frozenset()) for kind in self.kinds)
        self.oracle.end(self.routine.expected.union(*causes))
        self.office.end()
        return self._ended()

    def _healing(self) -> int:
        """How long all may take to come to rest (ms); after lies nobody waits for it."""
        if "liar" in self.kinds:
            return MINUTE
        return HEALING * (2 if self.knobs.hands > LOOK else 1)

    def _come_to_rest(self, deadline: int) -> None:
        """Until nothing has been left to do for a while: what is on the roads, or is refused for now, is nobody's to name.

        Rungs that are due soon are waited for as long as there is time; what is to come after that need not have been. What the last
        one has set going is given its own time.
        """
        since, ladders = self.sim.now, self.oracle.ladders
        while self.sim.now < min(deadline, since + REST):
            self.sim.run(self.sim.now + LOOK, _nothing)
            if self.unsettled() or ladders.next() < SOON:
                since = self.sim.now
        while self.sim.now < deadline + MINUTE and self.unsettled() and ladders.busy(REST):
            self.sim.run(self.sim.now + LOOK, _nothing)

    def unsettled(self) -> str:
        """Why not all is at rest yet; empty when it is."""
        return self.oracle.settled() or self.office.unsettled()

    def _ended(self) -> Figures:
        self.machine.process_ended()
        self.sim.note("end")
        return self.figures()

    def figures(self) -> Figures:
        oracle = self.oracle
        return Figures(
            self.sim.trace,
            self.sim.steps,
            self.sim.now - self.began,
            sum(self.counts.values()),
            len(oracle.log),
            len(oracle.said),
            len(oracle.seen),
        )

    def _backups(self) -> None:
        if self.hurt and {"backup", "restored"} & set(self.kinds):
            faults.take_backup(self)
            self.sim.after(2 * MINUTE * self.tempo.calm, self._backups)

    def _spell(self, chance: Random) -> None:
        """From now on things strike, or nothing does, until it is the other way round. A road keeps the weather that it began with."""
        if not self.hurt:
            return
        self.lull = not self.lull
        self.sim.note("a lull" if self.lull else "no lull any more")
        fair = {"loss": 0.0, "double": 0.0, "mix": 0.0} if self.lull else {}
        self.weather = replace(self._drawn_weather, **fair)
        self.sim.after(chance.randint(*self.tempo.lull), self._spell, chance)

    def _plan(self, kind: str, times: Random) -> None:
        _, seconds = EVENTS[kind]
        self.sim.after(
            int(times.expovariate(self.often / seconds / self.tempo.calm) * 1_000), self._strike, kind, times
        )

    def _strike(self, kind: str, times: Random) -> None:
        if not self.hurt:
            return
        chance = None if self.lull else self.sim.turn(kind)
        if chance is not None:
            action, _ = EVENTS[kind]
            if kind in faults.EVENTS:
                self.fault(kind)
            self.sim.note(f"fault {kind}")
            action(self, chance)
        self._plan(kind, times)

    def _heal(self) -> None:
        """Everything is as it should be from here on."""
        self.sim.note("healing")
        self.hurt = False
        self.people.rest()
        self.healed_at = self.sim.now
        self.weather.loss = self.weather.double = self.weather.mix = 0.0
        self.unreachable.clear()
        machine = self.machine
        machine.skew, machine.slow, machine.held_down = 0, 1, False
        machine.mend()
        if machine.process is not None:
            disk = machine.process.disk
            disk.room = disk.fail_sync = disk.fail_write = disk.die_in = -1
            machine.process.paused = 0
            machine.process.clock_set()
        machine.step_of_death = -1
        for phone in self.phones.values():
            phone.skew = phone.paused = 0
            phone.full, phone.boundaries = False, -1
            if phone.line is not None:
                phone.line.break_()

    # --- roads ---

    def connect(self, phone: Phone) -> None:
        """A device tries to connect."""
        sim = self.sim
        if self.unreachable.get(phone.name, 0) > sim.now or self.machine.process is None:
            sim.after(1_000, phone._now, phone.life, phone.not_opened, ())
            return
        sim.after(self.weather.delay, partial(self._connected, phone, phone.life))

    def _connected(self, phone: Phone, life: int) -> None:
        process = self.machine.process
        if phone.life != life or not phone.alive or phone.line is not None:
            return
        if process is None:
            phone.do(500, phone.not_opened)
            return
        line = Line(self, phone.name, copy(self.weather))
        process.accept(line)
        phone._now(life, phone.opened, (line,))

    def hindered(self, process: Process) -> bool:
        """Whether the gateway can't be expected to do anything in time."""
        disk, machine = process.disk, self.machine
        return disk.room >= 0 or machine.slow > 1 or process.paused > self.sim.now - 1_000

    # --- when it went wrong ---

    @property
    def story(self) -> Story:
        only = None if self.sim.only is None else frozenset(self.sim.only)
        return Story(
            self.seed, self.minutes, self.kinds, self.keyed, self.turned, only, self.pace, self.often, self.tempo.name
        )

    def _failure(self, error: Exception) -> Failure:
        what = str(error) if isinstance(error, Violated) else f"{type(error).__name__}: {error}"
        at = min(self.minutes, (self.sim.now - self.began) / MINUTE)
        return Failure(what, at, tuple(self.sim.happened))

    def _text(self, failure: Failure) -> str:
        lines = "\n".join(self.sim.recent)
        return f"{failure.what}\n{self.story.command()}\n{commit()}\nthe last of {self.sim.steps} steps:\n{lines}"


def _nothing() -> None: ...


def _pair(floor: Floor) -> tuple[int, bytes]:
    return floor.size, floor.root


def _seqs(mission: Founded) -> dict[bytes, int]:
    """How far each channel had come when the mission was founded."""
    found: dict[bytes, int] = {}
    for shelves in mission.shelves.values():
        for key, data in shelves.get("channel", {}).items():
            found[key] = max(found.get(key, 0), records.CHANNELS._read(data).seq)
        for key, data in shelves.get("position", {}).items():
            found[key] = max(found.get(key, 0), records.POSITIONS._read(data).value)
    return found
