"""A machine whose steps rest beside one that looks everywhere at every turn: told the same, they have to say the same.

`python -m tests.simulation.twins 1-40 10`: these seeds, so many minutes each, with a twin on every phone. `… 1-4 240 quiet`: of that tempo.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from clients.core.device import Device
from clients.core.ledger import View
from clients.core.turn import Outcome
from clients.core.watch import Place, Step, Watch
from keys.identity import Random
from tests.simulation.crypto import EPHEMERAL
from tests.simulation.founding import Founded
from tests.simulation.oracle import Violated
from tests.simulation.world import World


class Restless(Watch):
    """Nobody rests."""

    def _rest(self, step: Step, looked: set[Place], until: int) -> None: ...


class Twin(Device):
    """The machine under test, which answers; and the other, which is asked the same of the same ledger with the same draws."""

    def __init__(self, view: View, random: Random, *, narrow: bool, watch: Watch) -> None:
        self._random, self._drawn = random, list[bytes]()
        super().__init__(view, self._draw, narrow=narrow, watch=watch)
        self.other = Device(view, self._draw_again, narrow=narrow, watch=Restless())

    def _draw(self, length: int) -> bytes:
        self._drawn.append(self._random(length))
        return self._drawn[-1]

    def _draw_again(self, length: int) -> bytes:
        drawn = self._drawn.pop(0) if self._drawn else b""
        if len(drawn) != length:
            raise Violated("a step that rested would have drawn at random")
        return drawn

    def _both(self, ask: Callable[[Device], Any], outcome_of: Callable[[Any], Outcome]) -> Any:
        """What the machine says, once the other has said the same."""
        began = EPHEMERAL._count
        self._drawn.clear()
        self.other.session.flush = self.session.flush
        said, error = _said(ask, _Bare(self))
        ended, EPHEMERAL._count = EPHEMERAL._count, began
        other, other_error = _said(ask, self.other)
        if type(error) is not type(other_error) or EPHEMERAL._count != ended or self._drawn:
            raise Violated(f"a step rested that had something to do: {error} and {other_error}")
        if error is not None:
            raise error
        one, two = outcome_of(said), outcome_of(other)
        for name in ("changes", "frames", "events"):
            mine, others = getattr(one, name), getattr(two, name)
            if mine != others:
                missing = [what for what in others if what not in mine]
                raise Violated(f"a step rested that had something to do: {name} {str(missing)[:400]}")
        return said

    def begin(self, now: int, newest_charter: int = 0) -> Outcome:
        return self._both(lambda d: d.begin(now, newest_charter), lambda said: said)

    def end(self) -> None:
        super().end()
        self.other.end()

    def receive(self, frames: Any, now: int) -> Outcome:
        return self._both(lambda d: d.receive(frames, now), lambda said: said)

    def tick(self, now: int) -> Outcome:
        return self._both(lambda d: d.tick(now), lambda said: said)

    def act(self, now: int, action: Callable[[Any], Any]) -> tuple[Any, Outcome]:
        return self._both(lambda d: d.act(now, action), lambda said: said[1])


class _Bare:
    """The twin as the machine that it is."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def __getattr__(self, name: str) -> Any:
        return getattr(super(Twin, self._twin), name)


def _said(ask: Callable[[Any], Any], device: Any) -> tuple[Any, Exception | None]:
    try:
        return ask(device), None
    except Exception as error:
        return None, error


class Twins(World):
    """A world with a twin on every phone."""

    watch: type[Watch] = Watch

    def _set_up(self, mission: Founded) -> None:
        super()._set_up(mission)
        for phone in self.phones.values():
            phone.machine = self._twin
            phone.core = self._twin(phone.ledger, phone.random, narrow=phone.narrow)

    def _twin(self, view: View, random: Random, *, narrow: bool) -> Twin:
        return Twin(view, random, narrow=narrow, watch=self.watch())


if __name__ == "__main__":
    first, last = (int(n) for n in sys.argv[1].split("-"))
    for seed in range(first, last + 1):
        print(seed, Twins(seed, float(sys.argv[2]), tempo=(sys.argv[3:] or ["frantic"])[0]).run(), flush=True)
