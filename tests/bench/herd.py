"""The herd: a gateway is stopped, or killed, with everybody in session, and comes up again. How long until all are back?

    python -m tests.bench --workload HERD [--n 2000]

Each session comes again as a client's would: after the wait that the gateway named for it when it drained, or, where the gateway
was killed, after `clients.link.backoff`. Officers are back first, and send messages and, behind them, an alert; whoever comes back
must have the alert before any of those. Time is counted from the moment at which the new gateway listens.
"""

import asyncio
import time
from dataclasses import dataclass, field

from clients.link import backoff
from gateway import wire
from tests.bench.alerting import alert
from tests.bench.author import Author, Channel
from tests.bench.fleet import Fleet
from tests.bench.flow import each, following
from tests.bench.line import Gone, Line
from tests.bench.meter import Meter, Row, percentile
from tests.bench.mission import ALERTS, Device

MESSAGES = 20  # older than the alert


@dataclass
class Comer:
    """A device that comes again, and what it was sent first of what it had missed."""

    device: Device
    seen: dict[bytes, int]
    wait: float  # s until its first try
    attempts: int = 0
    back: float = 0.0
    order: list[bytes] = field(default_factory=list)  # channels, one a delivery
    line: Line | None = None

    async def come(self, fleet: Fleet, wanted: set[bytes], missed: asyncio.Event) -> None:
        """Try until there is a session, and all that was missed has come."""
        await asyncio.sleep(self.wait)
        await missed.wait()
        while True:
            done = asyncio.Event()

            def on_deliver(placed: wire.Placed, done: asyncio.Event = done) -> None:
                if placed.channel in wanted:
                    self.order.append(placed.channel)
                    if len(self.order) == MESSAGES + 1:
                        done.set()

            line = Line(self.device)
            line.on_deliver = on_deliver
            line.seen = dict(self.seen)
            try:
                await fleet.open(line)
                await line.follow()
            except (OSError, Gone):
                line.abort()
                self.order.clear()
                await asyncio.sleep(backoff(self.attempts))
                self.attempts += 1
                continue
            self.line = line
            await done.wait()
            self.back = time.monotonic()
            return


async def herd(fleet: Fleet, sessions: int = 2_000, *, kill: bool = False) -> Row:
    """`sessions` real sessions after a restart."""
    chen, dara = await fleet.enrol(2, "officer")
    people = await fleet.enrol(sessions, "agent")
    writer = await fleet.connect(chen)
    alerts, _ = await fleet.channel(writer, [dara, *people], ALERTS)
    talk, talking = await fleet.channel(writer, [dara, *people])
    lines = await each(lambda device: following(fleet, device), people)
    await asyncio.sleep(1.0)
    if kill:
        fleet.kill9()
    else:
        await asyncio.to_thread(fleet.stop)
    await asyncio.sleep(0.2)  # what lies in our socket buffers was said
    comers = [Comer(line.device, line.seen, line.retry_after / 1000 or backoff(0)) for line in lines]
    fleet.start()
    missed = asyncio.Event()
    wanted = {bytes(alerts.id), bytes(talk.id)}
    coming = [asyncio.create_task(comer.come(fleet, wanted, missed)) for comer in comers]
    await fleet.ready()
    began = time.monotonic()
    meter = Meter(fleet)
    await _missed(fleet, talk, talking, alerts, chen, dara)
    missed.set()
    await asyncio.wait_for(asyncio.gather(*coming), 120)
    meter.stop()
    times = [comer.back - began for comer in comers]
    await each(Line.close, [comer.line for comer in comers if comer.line], 200)
    return {
        "sessions": sessions,
        "killed": int(kill),
        "all_back_s": max(times),
        "p50_s": percentile(times, 0.5),
        "attempts": sum(comer.attempts for comer in comers),
        "alert_first": sum(comer.order[0] == alerts.id for comer in comers if comer.order),
        **meter.row(sessions),
    }


async def _missed(fleet: Fleet, talk: Channel, talking: Author, alerts: Channel, chen: Device, dara: Device) -> None:
    """Officers are back first: messages to everybody, and behind them an alert."""
    line, approver = await fleet.connect(chen), await fleet.connect(dara)
    await line.ask(wire.Submit(line.next_id(), talking.messages(talk, [b""] * MESSAGES)))
    one, control, beside = (
        alert(chen, dara, [alerts]),
        Author(dara, fleet.charter.control_channel),
        Author(dara, alerts.id),
    )
    for sealed in (one.announcement(control), one.sealed(beside, alerts)):
        await approver.ask(wire.Submit(approver.next_id(), [sealed]))
    await line.close()
    await approver.close()
