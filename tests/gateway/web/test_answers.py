"""Answers and reminders over a real gateway's socket: whom an answer reaches, and who is reminded of what."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway import wire
from gateway.wire import NoticeState
from keys.identity import receipt_stream
from keys.ladder import APP, Ladder, Rung, Stop
from tests.bench.alerting import Alert, alert, answer
from tests.bench.author import Author, Channel
from tests.bench.fleet import Fleet, launched
from tests.bench.line import Line, framed
from tests.bench.mission import ALERTS, Device

LADDER = Ladder([Rung(10, APP, [])], Stop.ALL, 0, None)


@dataclass
class Scene:
    """Two officers and three agents in an alert channel; the third agent is away. `got` is what each was delivered."""

    fleet: Fleet
    people: list[Device]
    lines: list[Line]
    channel: Channel
    control: Author
    beside: Author
    got: dict[Device, list[wire.Placed]] = field(default_factory=lambda: defaultdict(list))

    async def connect(self, device: Device) -> Line:
        line = await self.fleet.connect(device)
        line.on_deliver = lambda placed: self.got[device].append(placed)
        await line.follow()
        return line

    async def send(self, ladder: Ladder | None = None) -> Alert:
        one = alert(self.people[0], self.people[1], [self.channel], ladder)
        for sealed in (one.announcement(self.control), one.sealed(self.beside, self.channel)):
            await self.lines[1].ask(wire.Submit(self.lines[1].next_id(), [sealed]))
        return one

    async def answer(self, line: Line, root: bytes) -> None:
        await line.ask(wire.Submit(line.next_id(), [answer(line.device, self.channel, root)]))

    def answers(self, device: Device) -> list[wire.Placed]:
        return [p for p in self.got[device] if p.channel == receipt_stream(self.channel.id)]


@pytest.fixture
async def s() -> AsyncIterator[Scene]:
    fleet = await launched()
    try:
        people = [*await fleet.enrol(2, "officer"), *await fleet.enrol(3, "agent")]
        first = await fleet.connect(people[0])
        channel, _ = await fleet.channel(first, people[1:], ALERTS)
        await first.close()
        scene = Scene(
            fleet, people, [], channel, Author(people[1], fleet.charter.control_channel), Author(people[1], channel.id)
        )
        scene.lines = [await scene.connect(person) for person in people[:4]]
        yield scene
    finally:
        fleet.stop()
        fleet.cleanup()


async def settled(condition: object, seconds: float = 5.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.05)


async def test_an_answer_reaches_officers_and_nobody_else(s: Scene) -> None:
    chen, dara, ayo, bea, late = s.people
    one = await s.send()
    await s.answer(s.lines[2], one.root)
    await settled(lambda: s.answers(chen) and s.answers(dara) and s.answers(ayo))
    await asyncio.sleep(0.5)
    assert [p.body is not None for p in s.answers(chen)] == [True]
    assert [p.body is not None for p in s.answers(dara)] == [True]
    assert [p.body is None for p in s.answers(ayo)] == [True], "its own comes back without its body"
    assert s.answers(bea) == []
    await s.answer(s.lines[3], one.root)
    await settled(lambda: len(s.answers(chen)) == 2)
    await asyncio.sleep(0.5)
    assert len(s.answers(ayo)) == 1, "who answered first is not sent what others answer with the same words"
    line = await s.connect(late)  # and none by way of the backlog
    await asyncio.sleep(0.5)
    assert s.answers(late) == []
    s.got[chen].clear()
    await s.lines[0].close()
    await s.connect(chen)
    await settled(lambda: len(s.answers(chen)) == 2)
    assert len(s.answers(chen)) == 2
    await line.close()


async def test_who_is_reminded(s: Scene) -> None:
    """The silent: at once, or when they come; not who has answered, not the officers who signed it."""
    chen, _, ayo, bea, late = s.people
    one = await s.send(LADDER)
    await s.answer(s.lines[2], one.root)
    await settled(lambda: s.lines[3].reminders, 30.0)
    [reminder] = s.lines[3].reminders
    assert (reminder.root, reminder.rung) == (one.root, 0)
    assert reminder.place is not None
    assert reminder.place.channel == s.channel.id
    line = await s.connect(late)
    await settled(lambda: line.reminders)
    assert [r.root for r in line.reminders] == [one.root]
    assert not s.lines[0].reminders
    assert not s.lines[1].reminders
    assert not s.lines[2].reminders

    async def shown() -> wire.Escalation:
        found: wire.Escalation = await s.lines[1].ask(wire.GetEscalation(s.lines[1].next_id(), one.root, 0))
        return found

    for _ in range(100):
        escalation = await shown()
        if all(w.state is NoticeState.SENT for w in escalation.notices):
            break
        await asyncio.sleep(0.05)
    assert {(w.person, w.road, w.state) for w in escalation.notices} == {
        (bea.person, APP, NoticeState.SENT),
        (late.person, APP, NoticeState.SENT),
    }
    assert (escalation.asked, escalation.answered, escalation.next_time) == (3, 1, 0)
    assert [(f.rung, f.woken, f.unreached) for f in escalation.fired] == [(0, 2, 0)]
    again = await s.connect(bea)
    await settled(lambda: again.reminders)
    assert again.reminders == [reminder], "nobody knows whether the first has arrived: it comes again under its name"
    await s.answer(again, one.root)
    await again.close()
    again = await s.connect(bea)
    await asyncio.sleep(0.3)
    assert not again.reminders, "who has answered is left alone"
    await again.close()
    await line.close()
    assert ayo.person not in {w.person for w in escalation.notices}
    assert chen.person not in {w.person for w in escalation.notices}


async def test_ladders_are_shown_to_officers_only(s: Scene) -> None:
    one = await s.send(LADDER)
    for line, root, refusal in (
        (s.lines[2], one.root, wire.Refusal.ROLE),
        (s.lines[0], b"r" * 32, wire.Refusal.DENIED),
    ):
        with pytest.raises(Exception, match=refusal.name):
            await line.ask(wire.GetEscalation(line.next_id(), root, 0))


async def test_a_reminder_to_a_session_that_was_already_dead_comes_again(s: Scene) -> None:
    """Written to a socket is not read: a device that lost its line, or a gateway that was killed, must not cost the reminder."""
    late = s.people[4]
    one = await s.send(LADDER)

    async def sent() -> bool:
        shown: wire.Escalation = await s.lines[1].ask(wire.GetEscalation(s.lines[1].next_id(), one.root, 0))
        return any(w.person == late.person and w.state is NoticeState.SENT for w in shown.notices)

    await settled(lambda: s.lines[3].reminders, 30.0)  # the rung was fired
    dying = await s.fleet.connect(late)
    dying.transport.pause_reading()
    dying.write(framed(wire.Follow(dying.next_id(), [])))
    for _ in range(100):
        if await sent():
            break
        await asyncio.sleep(0.05)
    dying.transport.abort()
    assert not dying.reminders
    s.fleet.kill9()
    s.fleet.start()
    await s.fleet.ready()
    line = await s.connect(late)
    await settled(lambda: line.reminders)
    assert [r.root for r in line.reminders] == [one.root]
    await line.close()
