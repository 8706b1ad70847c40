"""Emergency broadcast: W7, an alert to everybody connected; W8, ten thousand answers within a second.

    W7  from the moment the approving officer's device hands in the announcement (the ALERT goes behind it at once) until the last
        of the members has the alert; both signatures, both credentials and the ladder are checked on the way
    W8  answers of different people, spread evenly over one second; each is durable when its sender has Accepted. Meanwhile others
        talk in channels of their own: how much longer do they wait? Nothing is lost: the ladder has counted each, and an officer
        who watches has been sent each

In W8 a session answers as many alerts as it takes to make the number: ten thousand sessions answer one, a thousand answer ten.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway import wire
from gateway.core.limits import MEMBERS_PER_CHANNEL
from keys.canonical import encode
from keys.identity import receipt_stream
from keys.ladder import APP, Ladder, Rung, Stop
from tests.bench.alerting import OPTIONS, Alert, alert
from tests.bench.author import Author, Channel
from tests.bench.fleet import Fleet
from tests.bench.flow import each, following
from tests.bench.line import Line, masked
from tests.bench.load import WATCHED, Crowd, held
from tests.bench.meter import Meter, Row, percentile
from tests.bench.mission import ALERTS, Device

LADDER = Ladder([Rung(3_600, APP, [])], Stop.ALL, 0, None)
LASTS = 6 * 3_600_000  # ms
BEAT = 0.01  # s between two handfuls of answers
TALKERS = 10
TALK_EVERY = 0.05  # s
CALM = 3.0  # s of talk before the storm
ENOUGH = 180.0  # s


def submit(line: Line, *run: wire.Sealed) -> bytes:
    return masked(encode(wire.Submit(line.next_id(), list(run))))


# --- W7 ---


async def w7(fleet: Fleet, members: int, rounds: int = 9) -> Row:
    """An alert to `members` connected members, writer and approver among them."""
    began = time.monotonic()
    chen, dara = await fleet.enrol(2, "officer")
    others = await fleet.enrol(members - 2, "agent")
    writer, approver = await fleet.connect(chen), await fleet.connect(dara)
    channel, _ = await fleet.channel(writer, [dara, *others], ALERTS)
    founded = time.monotonic() - began
    lines = await each(lambda device: following(fleet, device), others)
    await writer.follow()
    await approver.follow()
    control, beside = Author(dara, fleet.charter.control_channel), Author(dara, channel.id)
    alerts = [alert(chen, dara, [channel], LADDER, LASTS) for _ in range(rounds + 1 + WATCHED)]
    frames = [
        submit(approver, one.announcement(control)) + submit(approver, one.sealed(beside, channel)) for one in alerts
    ]
    crowd = Crowd([approver, writer, *lines], channel)
    await asyncio.sleep(2.0)
    await crowd.broadcast(approver, frames[0])
    lasts, whole, quick, load = [], [], [], []
    for frame in frames[1 : rounds + 1]:
        gc.collect()
        meter = Meter(fleet)
        lasts.append(1000 * await crowd.broadcast(approver, frame))
        quick.append(meter.so_far())
        await asyncio.sleep(0.4)  # cursors are its work as well
        meter.stop()
        whole.append(meter.server)
        load.append(meter.others)
    watched = await held(fleet, crowd, approver, frames[rounds + 1 :])
    shown: wire.Escalation = await approver.ask(wire.GetEscalation(approver.next_id(), alerts[0].root, 0))
    assert not approver.refusals
    assert shown.asked == members - 2
    await each(Line.close, [writer, approver, *lines], 200)
    return {
        "members": members,
        "rounds": rounds,
        "last_ms": statistics.median(lasts),
        "last_min_ms": min(lasts),
        "last_max_ms": max(lasts),
        "server_us": 1e6 * statistics.mean(whole) / members,
        "until_last_us": 1e6 * statistics.mean(quick) / members,
        "found_s": founded,
        **watched,
        "others": statistics.mean(load),
    }


# --- W8 ---


@dataclass(eq=False)
class Answerer:
    """A session and its answers, ready to go; `sent` are the moments at which they were handed in, `accepted` those at which
    they were durable."""

    line: Line
    frames: list[bytes]
    sent: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)

    def wire_up(self, storm: "Storm") -> None:
        self._storm = storm
        self.line.on_accepted = self._on_accepted

    def _on_accepted(self, _: wire.Accepted) -> None:
        self.accepted.append(time.monotonic())
        self._storm.settled()


class Storm:
    """All answers, spread over a second."""

    def __init__(self, answerers: Sequence[Answerer]) -> None:
        self.answerers = answerers
        self.left = sum(len(a.frames) for a in answerers)
        self.over = asyncio.Event()
        for answerer in answerers:
            answerer.wire_up(self)

    def settled(self) -> None:
        self.left -= 1
        if not self.left:
            self.over.set()

    async def blow(self, seconds: float) -> tuple[float, float]:
        """When it began, and when the last answer was handed in."""
        most = max(len(a.frames) for a in self.answerers)
        queue = [(a, a.frames[n]) for n in range(most) for a in self.answerers if n < len(a.frames)]
        began = time.monotonic()
        beats = max(1, int(seconds / BEAT))
        for beat in range(beats):
            for answerer, frame in queue[len(queue) * beat // beats : len(queue) * (beat + 1) // beats]:
                answerer.sent.append(time.monotonic())
                answerer.line.write(frame)
            await asyncio.sleep(max(0.0, began + (beat + 1) * BEAT - time.monotonic()))
        return began, time.monotonic()


class Talk:
    """Others who talk: a message every so often, and how long each takes to its receiver."""

    def __init__(self, pairs: Sequence[tuple[Line, Line, Channel, Author]]) -> None:
        self._pairs = pairs
        self.calm: list[float] = []
        self.storm: list[float] = []
        self.into = self.calm

    async def run(self) -> None:
        """For ever."""
        await asyncio.gather(*(self._one(*pair) for pair in self._pairs))

    async def _one(self, sender: Line, receiver: Line, channel: Channel, author: Author) -> None:
        arrived = asyncio.Event()

        def on_deliver(placed: wire.Placed) -> None:
            if placed.channel == channel.id and placed.body is not None:
                arrived.set()

        receiver.on_deliver = on_deliver
        while True:
            [message] = author.messages(channel, [b""])
            arrived.clear()
            into, began = self.into, time.monotonic()
            sender.write(submit(sender, message))
            await arrived.wait()
            into.append(time.monotonic() - began)
            await asyncio.sleep(max(0.0, TALK_EVERY - into[-1]))


async def w8(fleet: Fleet, sessions: int, answers: int = 10_000, seconds: float = 1.0) -> Row:
    """`answers` to alerts by `sessions` people, in `seconds`."""
    chen, dara = await fleet.enrol(2, "officer")
    people = await fleet.enrol(sessions, "agent")
    writer, approver = await fleet.connect(chen), await fleet.connect(dara)
    size = MEMBERS_PER_CHANNEL - 2
    groups = [people[start : start + size] for start in range(0, sessions, size)]
    channels = [(await fleet.channel(writer, [dara, *group], ALERTS))[0] for group in groups]
    talk = Talk(await _talkers(fleet))
    lines = await each(lambda device: following(fleet, device), people, 64)
    watching = Watching(writer, channels)
    await writer.follow()
    alerts = await _alerted(fleet, chen, dara, approver, channels, -(-answers // sessions))
    storm = Storm(_answerers(lines, groups, channels, alerts, answers))
    talking = asyncio.create_task(talk.run())
    await asyncio.sleep(CALM)
    gc.collect()
    meter = Meter(fleet)
    talk.into = talk.storm
    began, handed_in = await storm.blow(seconds)
    await asyncio.wait_for(storm.over.wait(), ENOUGH)
    durable = max(t for a in storm.answerers for t in a.accepted)
    took = [end - start for a in storm.answerers for start, end in zip(a.sent, a.accepted, strict=True)]
    await watching.until(answers)
    meter.stop()
    await asyncio.sleep(0.5)
    talking.cancel()
    counted = [await approver.ask(wire.GetEscalation(approver.next_id(), one.root, 0)) for one in alerts]
    assert not any(line.refusals for line in lines)
    await each(Line.close, [writer, approver, *lines], 200)
    return {
        "sessions": sessions,
        "answers": answers,
        "alerts": len(alerts),
        "handed_in_s": handed_in - began,
        "durable_s": durable - began,
        "answer_p50_ms": 1000 * percentile(took, 0.5),
        "answer_max_ms": 1000 * max(took),
        "board_s": watching.last - began,
        "lost": answers - sum(shown.answered for shown in counted),
        "board_lost": answers - watching.count,
        **meter.row(answers),
        "calm_p50_ms": 1000 * percentile(talk.calm, 0.5),
        "calm_max_ms": 1000 * max(talk.calm),
        "talk_p50_ms": 1000 * percentile(talk.storm, 0.5),
        "talk_p99_ms": 1000 * percentile(talk.storm, 0.99),
        "talk_max_ms": 1000 * max(talk.storm),
        "talk_messages": len(talk.storm),
    }


class Watching:
    """An officer who watches: the answers that this session was sent."""

    def __init__(self, line: Line, channels: Sequence[Channel]) -> None:
        self._streams = {receipt_stream(channel.id) for channel in channels}
        self.count = 0
        self.last = 0.0
        line.on_deliver = self._on_deliver

    def _on_deliver(self, placed: wire.Placed) -> None:
        if placed.channel in self._streams:
            self.count += 1
            self.last = time.monotonic()

    async def until(self, count: int) -> None:
        """Until it has been sent so many, or long enough was waited."""
        for _ in range(int(ENOUGH / 0.02)):
            if self.count >= count:
                return
            await asyncio.sleep(0.02)


async def _talkers(fleet: Fleet) -> list[tuple[Line, Line, Channel, Author]]:
    senders, receivers = await fleet.enrol(TALKERS, "leader"), await fleet.enrol(TALKERS, "agent")
    made = []
    for sender, receiver in zip(senders, receivers, strict=True):
        line = await fleet.connect(sender)
        channel, author = await fleet.channel(line, [receiver])
        await line.follow()
        made.append((line, await following(fleet, receiver), channel, author))
    return made


async def _alerted(
    fleet: Fleet, chen: Device, dara: Device, approver: Line, channels: Sequence[Channel], count: int
) -> list[Alert]:
    """So many alerts, each to all channels."""
    control = Author(dara, fleet.charter.control_channel)
    beside = {channel.id: Author(dara, channel.id) for channel in channels}
    alerts = [alert(chen, dara, channels, LADDER, LASTS) for _ in range(count)]
    for one in alerts:
        await approver.ask(wire.Submit(approver.next_id(), [one.announcement(control)]))
        for channel in channels:
            await approver.ask(wire.Submit(approver.next_id(), [one.sealed(beside[channel.id], channel)]))
    return alerts


def _answerers(
    lines: Sequence[Line],
    groups: Sequence[Sequence[Device]],
    channels: Sequence[Channel],
    alerts: Sequence[Alert],
    answers: int,
) -> list[Answerer]:
    """Every session with its answers sealed and framed: `answers` in all."""
    where = {device.id: channel for group, channel in zip(groups, channels, strict=True) for device in group}
    made = []
    for line in lines:
        author = Author(line.device, receipt_stream(where[line.device.id].id))
        frames = [submit(line, author.answer(one.root, OPTIONS[0])) for one in alerts[: min(len(alerts), answers)]]
        answers -= len(frames)
        made.append(Answerer(line, frames))
    return made
