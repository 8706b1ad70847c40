"""The gateway's machine: its disk and clock outlive the process, and somebody starts it again when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from gateway.audit.sequencer import LogRefused
from gateway.store.base import Damaged, StoreError
from tests.simulation.gateway import Process
from tests.simulation.log import FloorHeld, Folder
from tests.simulation.rot import Rot

if TYPE_CHECKING:
    from tests.simulation.world import World


class Machine:
    """`skew` is how far its wall clock is off (ms), `slow` how much slower its disk is than usual."""

    def __init__(self, world: World, files: dict[str, bytes], folder: Folder, floor: FloorHeld) -> None:
        self.world = world
        self.files = files
        self.folder = folder
        self.floor = floor
        self.skew = 0
        self.slow = 1
        self.process: Process | None = None
        self.held_down = False
        self.step_of_death = -1
        self.backups: list[tuple[dict[str, bytes], int]] = []  # each with how long the log in it is
        self.refusals: list[str] = []
        self.down_since = world.sim.now
        self.downtime: list[tuple[int, int]] = []
        self.old: dict[str, bytes] | None = None
        self.rot = Rot()
        self._mending = False

    def latency(self) -> int:
        """How long a transaction takes, with its fsync (ms)."""
        return (1 + self.world.disks.randrange(6)) * self.slow

    def dies_after(self, step: int) -> bool:
        if self.step_of_death == step:
            self.step_of_death = -1
            return True
        return False

    def start(self) -> None:
        """Start the gateway, if it does not run and nobody keeps it down."""
        if self.process is not None or self.held_down:
            return
        sim = self.world.sim
        try:
            self.process = Process(self.world, self)
        except (LogRefused, StoreError, apsw.Error) as error:
            self.refusals.append(f"{type(error).__name__}: {error}")
            sim.note(f"gateway does not start: {type(error).__name__}")
            self.world.oracle.refused_to_start(error)
            self.operator()
            sim.after(2_000, self.start)
            return
        if self.old is not None:
            self.world.oracle.started_from_backup()
        sim.note(f"gateway starts at {self.process.sequencer.head.size}")
        self.downtime.append((self.down_since, sim.now))
        process = self.process
        try:
            self.world.oracle.recovered(process)
            process.begin()
        except Damaged as error:
            process.stop(error)

    def operator(self) -> None:
        """Whoever keeps the gateway puts back what was there before the backup, and what has rotted."""
        if self.old is not None:
            self.files, self.old = self.old, None
        self.noticed()

    def noticed(self) -> None:
        """What could not be read is put back in a while."""
        if self.rot and not self._mending:
            self._mending = True
            self.rot.noticed += 1
            self.world.sim.after(2_000 + self.world.chaos.randrange(20_000), self.mend)

    def mend(self) -> None:
        """Each rotten page from the mirror."""
        self._mending = False
        kept = [self.files] if self.old is None else [self.files, self.old]
        self.rot.mend(self.process.disk if self.process else None, kept, self.folder)
        self.world.sim.note("pages put back")

    def restore(self, backup: dict[str, bytes]) -> None:
        """An old copy of the database in the place of the present one; the gateway is down."""
        self.old, self.files = self.files, backup

    def power_cut(self, why: str) -> None:
        """All that was not synced may be gone, in any part."""
        process = self.process
        if process is None:
            return
        self.world.sim.note(f"power cut {why}")
        self.files = process.disk.power_cut()
        self._down(silent=True)

    def process_ended(self) -> None:
        """Killed, or it has stopped by itself: what the system had in memory is still written."""
        process = self.process
        if process is None:
            return
        self.files = process.disk.image()
        self._down(silent=False)

    def _down(self, *, silent: bool) -> None:
        process, self.process = self.process, None
        assert process is not None
        process.alive = False
        process.store.abandon()
        self.down_since = self.world.sim.now
        self.step_of_death = -1
        for peer in list(process.lines):
            peer.ended = True
            peer.line.open[1] = False
            if not peer.line.cut:
                peer.line.silent = [True, True]
                peer.line.fall_silent(1, 8_000) if silent else peer.line.break_()
        self.world.oracle.image(self.files)
        self.world.sim.after(500 + self.world.chaos.randrange(4_000), self.start)
