"""What people do with their devices: talk, look, change channels, alert, answer, call for help. Drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable
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

if TYPE_CHECKING:
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

HOUR = 3_600_000
PRECEDENCES = (Precedence.ROUTINE,) * 5 + (Precedence.PRIORITY, Precedence.IMMEDIATE, Precedence.FLASH)


class People:
    """`pace`: ms between two things that somebody does, on average."""

    def __init__(self, world: World, pace: int) -> None:
        self.world = world
        self.chance = world.sim.random("people")
        self._pacing = world.sim.random("pacing")
        self.pace = pace
        self.count = 0
        self.busy = True
        self._roots: dict[bytes, None] = {}
        self.acts: list[tuple[int, Callable[[], None]]] = [
            (60, self.talk),
            (6, self.rekey),
            (5, self.leave_and_come),
            (3, self.alert),
            (2, self.two_person_alert),
            (2, self.call_for_help),
            (3, self.found),
        ]

    def begin(self) -> None:
        self._next()
        for n, phone in enumerate(self.world.phones.values()):
            self.world.sim.after(1_000 + 700 * n, self._look, phone)

    def _next(self) -> None:
        if self.busy:
            self.world.sim.after(1 + int(self._pacing.expovariate(1 / self.pace)), self._act)

    def _act(self) -> None:
        self._next()
        chance = self.world.sim.turn("people")
        if chance is None:
            return
        self.chance = chance
        weights = [weight for weight, _ in self.acts]
        self.chance.choices(self.acts, weights)[0][1]()

    def roots(self) -> list[bytes]:
        """Alerts that were frozen."""
        return list(self._roots)

    def _one(self, names: tuple[str, ...]) -> Phone:
        return self.world.phones[self.chance.choice(names)]

    # --- talk ---

    def talk(self) -> None:
        phone = self._one(AGENTS + GUESTS + OFFICERS[:1])
        channels = [c for c in (self.world.talk, *self.world.more) if self._in(phone, c)]
        if not channels:
            return
        channel = self.chance.choice(channels)
        precedence = self.chance.choice(PRECEDENCES)
        for _ in range(self.chance.choice((1, 1, 1, 2, 5))):
            self.count += 1
            text = f"{MARK.decode()} {self.count} {phone.name}" + "." * self.chance.randrange(200)
            self.world.oracle.will_say(phone.name, channel, text)
            phone.wish(
                lambda work, t=text: conversation.send_text(
                    work, channel, t, precedence, None, ask_ack=False, expires=0
                )
            )

    def _in(self, phone: Phone, channel: bytes) -> bool:
        state = records.CHANNELS.get(phone.ledger, channel)
        return state is not None and not state.left and not state.halted

    def _look(self, phone: Phone) -> None:
        """Now and then somebody takes the device out and reads what is there."""
        self.world.sim.after(2_000 + self.chance.randrange(12_000 if self.busy else 3_000), self._look, phone)
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

    def rekey(self) -> None:
        for phone in {p.name: p for p in (self._one(OFFICERS), self._one(OFFICERS))}.values():
            channel = self.chance.choice((self.world.talk, self.world.alerts))
            if self._in(phone, channel):
                phone.wish(lambda work, c=channel: conversation.change(work, c, rekey=True))

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
            [Rung(self.chance.randrange(10, 40), APP, []) for _ in range(2)],
            self.chance.choice(list(Stop)[:2]),
            0,
            None,
        )
        return Order(
            document(f"MM-{self.count}"),
            (self.world.alerts,),
            Marking.GREEN,
            now + HOUR,
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
        self.world.sim.after(15_000, self._confirm)

    def _confirm(self) -> None:
        officer = self._one(OFFICERS)
        roots = [r for r, e in records.EMERGENCIES.scan(officer.ledger) if not e.ended and e.requests]
        if roots:
            officer.wish(lambda work: calling.confirm(work, roots, unchecked=True))
