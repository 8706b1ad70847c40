"""Answers and reminders over a real gateway's socket: whom an answer reaches, and who is reminded of what."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from gateway import wire
from gateway.wire import NoticeState
from keys.identity import receipt_stream
from keys.ladder import APP, Ladder, Rung, Stop
from tests.bench.alerting import Alert, alert, answer
from tests.bench.author import Author, Channel
from tests.bench.fleet import Fleet, launched
from tests.bench.line import Line, framed
from tests.bench.mission import ALERTS, Device
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet() -> AsyncIterator[Fleet]:
    fleet = await launched()
    yield fleet
    fleet.stop()
    fleet.cleanup()


@pytest_asyncio.fixture(loop_scope="module")
async def s(fleet: Fleet) -> AsyncIterator[Scene]:
    people = [*await fleet.enrol(2, "officer"), *await fleet.enrol(3, "agent")]
    first = await fleet.connect(people[0])
    channel, _ = await fleet.channel(first, people[1:], ALERTS)
    await first.close()
    scene = Scene(
        fleet, people, [], channel, Author(people[1], fleet.charter.control_channel), Author(people[1], channel.id)
    )
    scene.lines = [await scene.connect(person) for person in people[:4]]
    yield scene
    for line in scene.lines:
        await line.close()


async def quiet(*lines: Line) -> None:
    """Time for what should not come, after an answer to each: what should has been waited for by itself."""
    for line in lines:
        await line.ask(wire.GetCharter(line.next_id(), 0))
    await asyncio.sleep(0.2)


async def test_an_answer_reaches_officers_and_nobody_else(s: Scene) -> None:
    chen, dara, ayo, bea, late = s.people
    one = await s.send()
    await s.answer(s.lines[2], one.root)
    await until(lambda: s.answers(chen) and s.answers(dara) and s.answers(ayo), "the answer has come")
    await quiet(*s.lines)
    assert [p.body is not None for p in s.answers(chen)] == [True]
    assert [p.body is not None for p in s.answers(dara)] == [True]
    assert [p.body is None for p in s.answers(ayo)] == [True], "its own comes back without its body"
    assert s.answers(bea) == []
    await s.answer(s.lines[3], one.root)
    await until(lambda: len(s.answers(chen)) == 2, "and the other")
    await quiet(s.lines[2])
    assert len(s.answers(ayo)) == 1, "who answered first is not sent what others answer with the same words"
    line = await s.connect(late)  # and none by way of the backlog
    await until(lambda: s.got[late], "what is his")
    await quiet(line)
    assert s.answers(late) == []
    s.got[chen].clear()
    await s.lines[0].close()
    await s.connect(chen)
    await until(lambda: len(s.answers(chen)) == 2, "both come again")
    assert len(s.answers(chen)) == 2
    await line.close()


async def test_who_is_reminded(s: Scene) -> None:
    """The silent: at once, or when they come; not who has answered, not the officers who signed it."""
    chen, _, ayo, bea, late = s.people
    one = await s.send(LADDER)
    await s.answer(s.lines[2], one.root)
    await until(lambda: s.lines[3].reminders, "a reminder")
    [reminder] = s.lines[3].reminders
    assert (reminder.root, reminder.rung) == (one.root, 0)
    assert reminder.place is not None
    assert reminder.place.channel == s.channel.id
    line = await s.connect(late)
    await until(lambda: line.reminders, "a reminder to who came late")
    assert [r.root for r in line.reminders] == [one.root]
    assert not s.lines[0].reminders
    assert not s.lines[1].reminders
    assert not s.lines[2].reminders

    async def told() -> wire.Escalation | None:
        shown: wire.Escalation = await s.lines[1].ask(wire.GetEscalation(s.lines[1].next_id(), one.root, 0))
        return shown if all(w.state is NoticeState.SENT for w in shown.notices) else None

    escalation: wire.Escalation = await until(told, "both have been told")
    assert {(w.person, w.road, w.state) for w in escalation.notices} == {
        (bea.person, APP, NoticeState.SENT),
        (late.person, APP, NoticeState.SENT),
    }
    assert (escalation.asked, escalation.answered, escalation.next_time) == (3, 1, 0)
    assert [(f.rung, f.woken, f.unreached) for f in escalation.fired] == [(0, 2, 0)]
    again = await s.connect(bea)
    await until(lambda: again.reminders, "it again")
    assert again.reminders == [reminder], "nobody knows whether the first has arrived: it comes again under its name"
    await s.answer(again, one.root)
    await again.close()
    again = await s.connect(bea)
    await quiet(again)
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

    await until(lambda: s.lines[3].reminders, "a reminder")  # the rung was fired
    dying = await s.fleet.connect(late)
    dying.transport.pause_reading()
    dying.write(framed(wire.Follow(dying.next_id(), [])))
    await until(sent, "the gateway has written it")
    dying.transport.abort()
    assert not dying.reminders
    s.fleet.kill9()
    s.fleet.start()
    await s.fleet.ready()
    line = await s.connect(late)
    await until(lambda: line.reminders, "a reminder")
    assert [r.root for r in line.reminders] == [one.root]
    await line.close()
