"""What becomes of alerts that nobody answers: a part of the oracle.

Each rung due is fired in time while the gateway is up, no firing is forgotten, and no ladder stands still before it has done anything, or
begins anew to wait for what it has waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.core.broadcast import Ending, Waiting
from keys.ladder import read_ladder
from tests.simulation.violated import need

if TYPE_CHECKING:
    from tests.simulation.gateway import Process
    from tests.simulation.world import World

LATE = 20_000  # ms that a rung may be fired after it was due, the gateway being up
SOON = 45_000  # ms: each rung of a frantic mission is due within so long
NEVER = 1 << 62


class Ladders:
    """Of all alerts that were sent in a run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.firings: dict[bytes, int] = {}
        self.due: tuple[int | None, int] = (None, 0)
        self.since: dict[bytes, tuple[int, int]] = {}  # by root: firings, and since when the next rung is waited for
        self.latest = 0
        """When a rung was fired last."""

    def begin(self) -> None:
        """A new life of the gateway."""
        self.firings.clear()
        self.due = None, self.world.sim.now

    def clock_set(self) -> None:
        """What was not due a moment ago may be due for long."""
        self.due = None, self.world.sim.now

    def fired(self, process: Process) -> None:
        """A rung: none before it is forgotten."""
        self.latest = self.world.sim.now
        with process.store.snapshot() as view:
            for root in self.world.people.roots():
                row = view.alert(root)
                if row is not None:
                    firings = row.at.firings
                    need(firings >= self.firings.get(root, 0), "a firing was forgotten")
                    self.firings[root] = firings

    def look(self, process: Process) -> None:
        """Nothing is due for long while nothing stands in the way, and what nobody answers is under way."""
        with process.store.snapshot() as view:
            due = view.ladder_next()
            rows = {root: view.alert(root) for root in self.world.people.roots()}
        now, clock = self.world.sim.now, process.clock.now()
        if due is None or due > clock or due != self.due[0] or self.world.hindered(process):
            self.due = due, now
        else:
            late = now - max(self.due[1], now - (clock - due))
            need(late <= LATE, f"a rung is {late} ms late")
        for root, row in rows.items():
            need(_done(row) or not row.at.stopped, "a ladder stands still though nobody has answered")
            if row is not None and row.at.waiting is Waiting.DUE:
                since = row.at.firings, row.at.since
                before = self.since.setdefault(root, since)
                need(before[0] < since[0] or before == since, "a ladder has begun to wait anew")
                self.since[root] = since

    def next(self) -> int:
        """In how many ms a rung is due; 0 is now."""
        process = self.world.machine.process
        if process is None:
            return NEVER
        with process.store.snapshot() as view:
            due = view.ladder_next()
        return NEVER if due is None else max(0, due - process.clock.now())

    def busy(self, ms: int) -> bool:
        """Whether one is due, or was fired within this time."""
        return not self.next() or self.world.sim.now < self.latest + ms

    def done(self, process: Process, view: Any) -> None:
        """In the end."""
        for root in self.world.people.roots():
            row = view.alert(root)
            waits = row is not None and row.at.due > process.clock.now()  # a rung that is still to come
            need(_done(row) or waits, "an alert was neither answered nor escalated")


def _done(row: Any) -> bool:
    """Whether an alert, as the gateway keeps it, asks nothing of its ladder any more, or has none."""
    if (
        row is None
        or not row.ladder
        or not row.begun
        or row.emergency
        or row.ended is not Ending.NONE
        or row.at.firings
    ):
        return True
    return bool(row.at.stopped and read_ladder(row.ladder).enough(row.answered, row.asked))
