"""What goes wrong, and how often. The seed first draws which kinds are on: some runs are calm and long, some violent.

Each kind is a function that does it once, and when it does so again is drawn from its own generator: so a kind can be taken
away from a failing run and the others stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from clients.core.records import AlarmKind
from gateway.store.base import Damaged
from tests.simulation.phone import Ledger

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.world import World

SECOND: Final = 1_000
RESTORED: Final = "ben"


def cut(world: World, chance: Random) -> None:
    """A connection breaks, or goes silent in one direction."""
    lines = [p.line for p in world.phones.values() if p.line is not None]
    if lines:
        line = chance.choice(lines)
        way = chance.randrange(3)
        world.sim.note(f"{line.name} is cut {('up', 'down', 'both')[way]}")
        line.break_() if way == 2 else line.fall_silent(way)


def partition(world: World, chance: Random) -> None:
    """Some devices have no road to the gateway for a while."""
    names = [name for name in world.phones if chance.random() < 0.5]
    until = world.sim.now + chance.randrange(2, 40) * SECOND
    for name in names:
        world.unreachable[name] = until
        line = world.phones[name].line
        if line is not None:
            line.silent = [True, True]
            line.fall_silent(0)
    world.sim.note(f"no road for {' '.join(names)}")


def kill(world: World, chance: Random) -> None:
    """kill -9 of the gateway."""
    world.sim.note("gateway killed")
    world.machine.process_ended()


def power(world: World, chance: Random) -> None:
    """The power goes: now, within one of the next transactions, or between two steps of the log."""
    process, how = world.machine.process, chance.randrange(4)
    if process is None:
        return
    if how == 0:
        world.machine.power_cut("at rest")
    elif how == 1:
        world.machine.step_of_death = chance.choice((2, 3, 4, 5))
    else:
        process.disk.die_in = chance.randrange(12)


def pause(world: World, chance: Random) -> None:
    """A process stands still: swapped out, or its machine was suspended."""
    victim = chance.choice([world.machine.process, *world.phones.values()])
    if victim is not None:
        victim.paused = world.sim.now + chance.choice((300, 2_000, 15_000))


def eio(world: World, chance: Random) -> None:
    """A write or a sync of the gateway's database fails."""
    process = world.machine.process
    if process is not None:
        if chance.random() < 0.6:
            process.disk.fail_sync = chance.randrange(3)
        else:
            process.disk.fail_write = chance.randrange(12)


def full(world: World, chance: Random) -> None:
    """The gateway's disk is full for a while."""
    process = world.machine.process
    if process is not None:
        process.disk.room = sum(len(f.data) for f in process.disk.files.values()) + chance.randrange(8_192)

        def room() -> None:
            process.disk.room = -1

        world.sim.after(chance.randrange(1, 20) * SECOND, room)


def rot(world: World, chance: Random) -> None:
    """A bit flips in the gateway's database or in its log's folder, now and then found by the next start."""
    machine = world.machine
    if machine.process is None or machine.old is not None:
        return
    how = chance.randrange(4)
    if how == 0:
        machine.process_ended()
        machine.rot.in_folder(machine.folder, chance)
        return
    world.sim.note(f"a bit flips in {machine.rot.in_database(machine.process.disk, chance)}")
    if how == 1:
        machine.process_ended()


def slow(world: World, chance: Random) -> None:
    """The gateway's disk takes its time."""
    world.machine.slow = chance.choice((20, 100, 400))

    def quick() -> None:
        world.machine.slow = 1

    world.sim.after(chance.randrange(2, 15) * SECOND, quick)


def clock(world: World, chance: Random) -> None:
    """A wall clock is set: the gateway's or a device's."""
    jump = chance.choice((-120, -30, -2, 2, 30, 120)) * SECOND
    victim = chance.choice([world.machine, *world.phones.values()])
    victim.skew = jump if victim.skew == 0 else 0
    if world.machine.process is not None:
        world.machine.process.clock_set()


def death(world: World, chance: Random) -> None:
    """A device's process dies at one of the next boundaries between writing, sending and telling."""
    victim = chance.choice(list(world.phones.values()))
    victim.boundaries = chance.randrange(12)


def vault(world: World, chance: Random) -> None:
    """A device can't write for a while."""
    victim = chance.choice(list(world.phones.values()))
    victim.full = True

    def room() -> None:
        victim.full = False

    world.sim.after(chance.randrange(1, 10) * SECOND, room)


def backup(world: World, chance: Random) -> None:
    """Somebody puts an old copy of the gateway's database in the place of the present one."""
    machine = world.machine
    if machine.process is None or machine.old is not None:
        return
    machine.process_ended()
    if machine.backups and machine.process is None:
        old, size = chance.choice(machine.backups)
        if size < machine.floor.floor.size:  # of one that is as long nobody can tell that it is old
            machine.restore(old)


def restored(world: World, chance: Random) -> None:
    """A device's vault is put back from an old copy, and then perhaps from another. Nothing is asked of it any more, but that it harms nobody."""
    victim = world.phones[RESTORED]
    if victim.spoiled not in ("", "backup") or not world.old_vaults or not victim.alive:
        return
    victim.die()
    victim.spoiled = "backup"
    victim.ledger = Ledger(chance.choice(world.old_vaults))


def take_backup(world: World) -> None:
    world.old_vaults.append(world.phones[RESTORED].ledger.copy())
    process = world.machine.process
    if process is not None and len(world.machine.backups) < 4:
        try:
            with process.store.snapshot() as view:
                size = view.log_size()
        except Damaged:
            return
        world.machine.backups.append((process.disk.image(), size))


EVENTS: Final[Mapping[str, tuple[Callable[[World, Random], None], int]]] = MappingProxyType(
    {
        "cut": (cut, 20),
        "partition": (partition, 60),
        "kill": (kill, 70),
        "power": (power, 50),
        "pause": (pause, 40),
        "eio": (eio, 80),
        "full": (full, 90),
        "slow": (slow, 60),
        "rot": (rot, 40),
        "clock": (clock, 90),
        "death": (death, 10),
        "vault": (vault, 60),
        "backup": (backup, 150),
        "restored": (restored, 200),
    }
)
"""Each with the seconds between two of its kind, on average."""

WEATHER: Final = ("loss", "narrow", "double", "mix")
OFFICE: Final = ("revoked", "renewal", "endings")
"""No fault, but what a run may have or not (`tests.simulation.office`, `tests.simulation.endings`)."""
LIES: Final = ("liar", "insider")
HONEST: Final = (*EVENTS, *WEATHER)
ALL: Final = (*HONEST, *OFFICE, *LIES)

DOWN: Final = frozenset({AlarmKind.LATE, AlarmKind.PROMISE, AlarmKind.WITHHELD})
INSIDE: Final = frozenset(
    {
        AlarmKind.UNREADABLE,
        AlarmKind.SUSPICION,
        AlarmKind.MISDIRECTED,
        AlarmKind.ATTEMPT,
        AlarmKind.FORGED,
        AlarmKind.NOT_PERMITTED,
    }
)
"""What the others may rightly say of a member that lies."""
CAUSES: Final[Mapping[str, frozenset[AlarmKind]]] = MappingProxyType(
    {
        "kill": DOWN,
        "power": DOWN,
        "eio": DOWN,
        "full": DOWN,
        "slow": DOWN,
        "rot": DOWN,
        "pause": DOWN,
        "backup": DOWN,
        "partition": DOWN,
        "clock": DOWN | {AlarmKind.CLOCK, AlarmKind.MISSED},
        "double": frozenset({AlarmKind.GATEWAY}),
        "mix": frozenset(
            {AlarmKind.GATEWAY, AlarmKind.GAP, AlarmKind.SHRUNK, AlarmKind.WITHHELD}
        ),  # a list of channels, or an order to destroy, that was overtaken
        "insider": INSIDE,
        "cut": DOWN,
        "loss": DOWN,
        "vault": DOWN,
        "death": DOWN,
    }
)
"""Which alarms a fault may rightly raise."""


def draw(chance: Random) -> tuple[str, ...]:
    """Which kinds are on in a run: each with a chance that is drawn first."""
    likely = chance.choice((0.15, 0.35, 0.6))
    honest = [name for name in HONEST if chance.random() < likely]
    lies = [name for name in LIES if chance.random() < 0.1]
    return (*honest, *lies, *(name for name in OFFICE if chance.random() < 0.25))
