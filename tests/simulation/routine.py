"""What is done by the clock in a mission that is not frantic (`Tempo.routine`): what stories of minutes never come to.

lists     each organisation's registrar renews its revocation list every eight hours: a day without one and no channel changes any
          more, three days and nobody says anything
plans     somebody on the road plans check-ins, says each in time or forgets it, and ends the plan when he is there
open      what is open of calls for help is asked after, until two people have ended it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clients.core import calling, records
from clients.core.emergencies import own_moves, own_open
from clients.core.records import AlarmKind
from clients.core.turn import Turn
from gateway.store.base import Damaged
from keys.authority import issue_revocation_list
from keys.envelope import Kind
from tests.keys.mission import DAY, House
from tests.simulation.founding import AGENTS
from tests.simulation.tempo import HOUR, MINUTE

if TYPE_CHECKING:
    from clients.core.commits import Work
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

LOOK: Final = 10 * MINUTE  # between two looks at lists and at what is open
RENEWED: Final = 8 * HOUR
LEGS: Final = (1, 2, 3, 6)
FORGETS: Final = 0.15
LATEST: Final = 30 * MINUTE  # after its time a check-in that was forgotten is said, at most


class Routine:
    """Of one run. `planned`: whether anybody ever had check-ins to say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.sim.random("routine")
        self.planned = False

    def begin(self) -> None:
        if self.world.tempo.routine:
            self.world.sim.after(LOOK, self._look)
            self.world.sim.after(self._wait(), self._plan)

    @property
    def expected(self) -> frozenset[AlarmKind]:
        """Alarms that may rightly be raised by this."""
        return frozenset({AlarmKind.MISSED} if self.planned else ())

    # --- lists, and what is open ---

    def _look(self) -> None:
        self.world.sim.after(LOOK, self._look)
        mission = self.world.mission
        for house in (mission.home, mission.partner):
            self._renew(house)
        if self.world.people.busy:
            for name in AGENTS:
                self.world.phones[name].wish(_end_what_is_open)
            self.world.sim.after(MINUTE, self.world.people.confirm)

    def _renew(self, house: House) -> None:
        """If it is time; what the gateway could not take is brought again at the next look."""
        process, now = self.world.machine.process, self.world.sim.now
        if process is None or not process.alive or process.paused > now:
            return
        try:
            with process.store.snapshot() as view:
                listed = view.revocations(house.organisation.name)
        except Damaged:
            process.machine.noticed()
            return
        if listed is not None and now < listed.this_update + RENEWED:
            return
        number, serials = (listed.number + 1, listed.serials) if listed else (1, frozenset[int]())
        registrar = house.registrars[0]
        der = issue_revocation_list(registrar.der, registrar.key, number, serials, now, now + DAY)
        self.world.office.say(process, registrar, Kind.REVOCATION_LIST, der)

    # --- plans ---

    def _wait(self) -> int:
        return int(self.world.tempo.leg * (1 + 3 * self.chance.random()))

    def _plan(self) -> None:
        """Somebody goes on the road, unless he is on it."""
        self.world.sim.after(self._wait(), self._plan)
        phone, legs = self.world.phones[self.chance.choice(AGENTS)], self.chance.choice(LEGS)
        if not self.world.people.busy or _moves(phone):
            return
        leg, grace = self.world.tempo.leg, self.world.tempo.leg // 12_000
        due = [phone.now() + leg * n for n in range(1, legs + 1)]
        alerts = self.world.alerts
        if phone.wish(lambda work: calling.start(work, alerts, due, grace, "north", [])) or _promises(phone):
            self.planned = True
            for n in range(1, legs + 1):
                self.world.sim.after(leg * n + self._said_at(grace * 1_000), self._check_in, phone, n == legs)

    def _said_at(self, grace: int) -> int:
        """How long after its time (ms) a check-in is said: a little before it, as a rule."""
        if self.chance.random() < FORGETS:
            return self.chance.randrange(LATEST)
        return self.chance.randrange(grace) - grace

    def _check_in(self, phone: Phone, last: bool) -> None:
        phone.wish(lambda work: calling.finish(work, "rosebud") if last else calling.check_in(work, "rosebud"))


def _moves(phone: Phone) -> bool:
    return any(move.device == phone.id and not move.ended for _, move in records.MOVES.scan(phone.ledger))


def _promises(phone: Phone) -> bool:
    """Whether a plan waits to be sent: its device may have died after it was written, before anybody was told."""
    return any(item.kind is Kind.CHECK_IN_PLAN for _, item in records.OUTBOX.scan(phone.ledger))


def _end_what_is_open(work: Work) -> None:
    turn: Turn = work.turn
    if own_open(turn):
        calling.ask_end(work, "rosebud")
    elif any(turn.now > move.due[-1] + LATEST for _, move in own_moves(turn)):
        calling.finish(work, "rosebud")
