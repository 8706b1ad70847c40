"""What people do with their devices: talk, look, change channels, go out of reach, alert, answer, call for help.

Drawn from the seed, as from a pack of cards: in any order, but none again before the others. So a run that is long enough has
all of it, whatever its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from clients.core import calling, conversation, issuing, records
from clients.core.commits import Work
from clients.core.freezing import Order
from clients.core.ledger import seq_of
from keys.canonical import encode
from keys.envelope import Marking, Precedence
from keys.ladder import APP, Ladder, Rung, Stop
from tests.clients.alarms import document
from tests.simulation.founding import AGENTS, GUESTS, OFFICERS
from tests.simulation.oracle import MARK
from tests.simulation.pack import Pack

if TYPE_CHECKING:
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

SOON = 60_000  # ms: who would be out of reach for longer after the healing is back at once
SHORT, BRIEF = 5_000, 40_000  # ms after which a word is gone, at least; and the half of them at most
MANY = 70  # more than the gateway reads of a channel at once
PRECEDENCES = (Precedence.ROUTINE,) * 5 + (Precedence.PRIORITY, Precedence.IMMEDIATE, Precedence.FLASH)


class People:
    """`pace`: ms between two things that somebody does, on average."""

    def __init__(self, world: World, pace: int) -> None:
        self.world = world
        self.chance = world.sim.random("people")
        self.pace = pace
        self.tempo = world.tempo
        self.count = 0
        self.busy = True
        self._roots: dict[bytes, None] = {}
        self._away: dict[str, int] = {}  # when who is out of reach comes back
        self._pacing = world.sim.random("pacing")
        self._ends = world.sim.random("ends")
        self.acts: Pack[Callable[[], None]] = Pack(
            self._pacing,
            (
                (14, self.talk),
                (2, self.change_at_once),
                (2, self.leave_and_come),
                (2, partial(self.go_away, self.two_flashes)),
                (1, partial(self.go_away, self.taken_out)),
                (1, partial(self.go_away, self.let_in)),
                (1, partial(self.go_away, self.much_is_said)),
                (1, self.alert),
                (1, self.two_person_alert),
                (1, self.call_for_help),
                (1, self.found),
            ),
        )

    def begin(self) -> None:
        self._next()
        for n, phone in enumerate(self.world.phones.values()):
            self.world.sim.after(1_000 + 700 * n, self._look, phone)

    def rest(self) -> None:
        """Nothing new is begun, and everybody comes home."""
        self.busy = False
        for name, back in list(self._away.items()):
            if back > self.world.sim.now + SOON:
                self._back(self.world.phones[name])

    def _next(self) -> None:
        if self.busy:
            self.world.sim.after(1 + int(self._pacing.expovariate(1 / self.pace)), self._act)

    def _act(self) -> None:
        self._next()
        act, chance = self.acts.draw(), self.world.sim.turn("people")
        if chance is not None:
            self.chance = chance
            act()

    def roots(self) -> list[bytes]:
        """Alerts that were frozen."""
        return list(self._roots)

    def _one(self, names: tuple[str, ...]) -> Phone:
        return self.world.phones[self.chance.choice(names)]

    # --- talk ---

    def talk(self) -> None:
        phone = self._one(AGENTS + GUESTS + OFFICERS[:1])
        channels = [c for c in (self.world.talk, *self.world.more) if self._in(phone, c)]
        if channels:
            channel, precedence = self.chance.choice(channels), self.chance.choice(PRECEDENCES)
            self._say(phone, channel, self.chance.choice((1, 1, 1, 2, 5)), precedence)

    def _say(self, phone: Phone, channel: bytes, times: int, precedence: Precedence = Precedence.ROUTINE) -> None:
        for _ in range(times):
            self.count += 1
            text = f"{MARK.decode()} {self.count} {phone.name}" + "." * self.chance.randrange(200)
            self.world.oracle.will_say(phone.name, channel, text)
            end = self._end(phone)
            phone.wish(
                lambda work, t=text, e=end: conversation.send_text(
                    work, channel, t, precedence, None, ask_ack=False, expires=e
                )
            )

    def _end(self, phone: Phone) -> int:
        """When a word ends by itself: some do, where the seed has it so, and half of these before a broken road is whole again."""
        if "endings" not in self.world.kinds or self._ends.random() < 0.6:
            return 0
        longest = BRIEF if self._ends.random() < 0.5 else self.tempo.lasts // 6
        return phone.now() + self._ends.randrange(SHORT, longest)

    def _in(self, phone: Phone, channel: bytes) -> bool:
        state = records.CHANNELS.get(phone.ledger, channel)
        return state is not None and not state.left and not state.halted

    def _look(self, phone: Phone) -> None:
        """Now and then somebody takes the device out and reads what is there."""
        self.world.sim.after(2_000 + self.chance.randrange(self.tempo.look if self.busy else 3_000), self._look, phone)
        if phone.alive:
            phone._now(phone.life, self._read, (phone,))

    def _read(self, phone: Phone) -> None:
        waiting = sorted((c.value, key) for key, c in records.UNSHOWN.scan(phone.ledger))
        for _, key in waiting[:20]:
            message = records.MESSAGES.get(phone.ledger, key)
            if message is None:
                continue
            channel, seq = key[:16], seq_of(key)
            phone.act(lambda work, c=channel, s=seq: conversation.show(work, c, s))
            self.world.oracle.saw(phone, channel, seq, message)
            if message.alert is not None and self.chance.random() < 0.7:
                self._answer(phone, message.alert.draft.root)

    def _answer(self, phone: Phone, root: bytes) -> None:
        alert = records.ALERTS.get(phone.ledger, root)
        if alert is None or records.ANSWERS.get(phone.ledger, root + phone.id) is not None:
            return
        option = self.chance.choice(alert.options) if alert.options else 0
        phone.wish(lambda work: conversation.acknowledge(work, root, option, ""))

    # --- channels ---

    def change_at_once(self) -> None:
        """Both officers change one channel in the same moment, the second twice, and go on talking."""
        channel = self.chance.choice((self.world.alerts, self.world.desk))
        officers = [self.world.phones[name] for name in self.chance.sample(OFFICERS, 2)]
        for officer in (*officers, officers[1]):
            if self._in(officer, channel):
                officer.wish(lambda work: conversation.change(work, channel, rekey=True))

    def leave_and_come(self) -> None:
        """Somebody is taken out of the talk, or let in again."""
        officer, other = self.world.phones["chen"], self._one(AGENTS + GUESTS)
        channel = self.chance.choice((self.world.talk, *self.world.more))
        if not self._in(officer, channel):
            return
        if self._in(other, channel) and self.chance.random() < 0.4:
            officer.wish(lambda work: conversation.change(work, channel, remove=[other.id]))
        else:
            officer.wish(lambda work: conversation.change(work, channel, add=[other.id]))

    def go_away(self, meanwhile: Callable[[Phone], None]) -> None:
        """Somebody is out of reach for a while: a tunnel, a cellar, a flat battery. Life goes on without him."""
        phone = self._one(AGENTS + GUESTS)
        if not phone.wants or not self._in(phone, self.world.talk):
            return
        self.world.sim.note(f"{phone.name} is out of reach")
        phone.wants = False
        phone.disconnect()
        self.world.sim.after(1_000, meanwhile, phone)
        away = self.tempo.away if self.busy else min(self.tempo.away, SOON)  # what was under way at the healing
        self._away[phone.name] = self.world.sim.now + away
        self.world.sim.after(away, self._back, phone)

    def _back(self, phone: Phone) -> None:
        if self._away.pop(phone.name, None) is None:
            return
        phone.wants = True
        phone.do(0, phone.connect)

    def _others(self, away: Phone) -> list[Phone]:
        others = [self.world.phones[name] for name in (*AGENTS, OFFICERS[0]) if name != away.name]
        return [phone for phone in others if self._in(phone, self.world.talk)]

    def two_flashes(self, away: Phone) -> None:
        """The others talk, and then two things of one person are urgent."""
        for phone in self._others(away):
            self._say(phone, self.world.talk, 2)
        self.world.sim.after(6_000, self._urgent, away)

    def _urgent(self, away: Phone) -> None:
        for phone in self._others(away)[:1]:
            self._say(phone, self.world.talk, 2, Precedence.FLASH)

    def much_is_said(self, away: Phone) -> None:
        for phone in self._others(away)[:1]:
            self._say(phone, self.world.talk, MANY)

    def taken_out(self, away: Phone) -> None:
        """He is taken out while he is away, and hears nothing of what is said then."""
        self._change(away, remove=[away.id])
        self.world.sim.after(6_000, self._goes_on, away)

    def let_in(self, away: Phone) -> None:
        """He is taken out and let in again while he is away."""
        self._change(away, remove=[away.id])
        self.world.sim.after(6_000, lambda: self._change(away, add=[away.id]))
        self.world.sim.after(12_000, self._goes_on, away)

    def _change(self, away: Phone, **change: list[bytes]) -> None:
        officer, talk = self.world.phones["chen"], self.world.talk
        if self._in(officer, talk):
            officer.wish(lambda work: conversation.change(work, talk, **change))

    def _goes_on(self, away: Phone) -> None:
        for phone in self._others(away)[:2]:
            self._say(phone, self.world.talk, 2)

    def found(self) -> None:
        if len(self.world.more) >= 2:
            return
        officer = self._one(OFFICERS)
        made = officer.wish(lambda work: conversation.create_channel(work, "narrow", Marking.GREEN, "gate"))
        if made:
            self.world.more.append(made)
            self.world.sim.after(8_000, self._fill, officer, made)

    def _fill(self, officer: Phone, channel: bytes) -> None:
        others = [p.id for p in self.world.phones.values() if p is not officer and self.chance.random() < 0.7]
        if others and self._in(officer, channel):
            officer.wish(lambda work: conversation.change(work, channel, add=others))

    # --- alerts ---

    def _order(self, now: int) -> Order:
        self.count += 1
        ladder = Ladder(
            [Rung(self.chance.randrange(*self.tempo.rungs), APP, []) for _ in range(2)],
            self.chance.choice(list(Stop)[:2]),
            0,
            None,
        )
        return Order(
            document(f"MM-{self.count}"),
            (self.world.alerts,),
            Marking.GREEN,
            now + self.tempo.lasts,
            reason="gunfire",
            ladder=encode(ladder),
        )

    def alert(self) -> None:
        officer = self._one(OFFICERS)
        if not self._in(officer, self.world.alerts):
            return
        order = self._order(officer.now())
        made = officer.wish(lambda work: issuing.alone(work, order))
        if made:
            self._roots[made[0].draft.root] = None

    def two_person_alert(self) -> None:
        writer, approver = self.world.phones["chen"], self.world.phones["omar"]
        if not (self._in(writer, self.world.desk) and self._in(writer, self.world.alerts)):
            return
        order = self._order(writer.now())
        made = writer.wish(lambda work: issuing.submit(work, order))
        if made:
            self.world.sim.after(15_000, self._approve, approver, made.draft.root)

    def _approve(self, approver: Phone, root: bytes) -> None:
        if approver.wish(lambda work: issuing.approve(work, root)) is not None:
            self._roots[root] = None

    def call_for_help(self) -> None:
        agent = self._one(AGENTS)

        def call(work: Work) -> Any:
            return calling.call(work, "help", None)

        if agent.wish(call):
            self.world.sim.after(30_000 + self.chance.randrange(60_000), self._all_well, agent)

    def _all_well(self, agent: Phone) -> None:
        agent.wish(lambda work: calling.ask_end(work, "rosebud"))
        self.world.sim.after(15_000, self.confirm)

    def confirm(self) -> None:
        officer = self._one(OFFICERS)
        roots = [r for r, e in records.EMERGENCIES.scan(officer.ledger) if not e.ended and e.requests]
        if roots:
            officer.wish(lambda work: calling.confirm(work, roots, unchecked=True))
