"""The workloads W1 to W6 of ARCHITECTURE section 13, on Outrider's own gateway: each gives a row of plain numbers.

    W1  one to one: a message is complete when its sender has Accepted (after the fsync) and its receiver the delivery
    W2  broadcast: one message to all connected members of one channel, until the last has it
    W3  resident memory of an idle session
    W4  backlog: messages for a device that is away, then how fast it gets them
    W5  kill -9 in mid-traffic: what was accepted and does not come
    W6  fsyncs a message, one sender at window 1

Runs are sealed before the clock starts. `server_us` is the gateway's CPU, user and system, for each message or delivery: it is
the figure to compare, as a multiple of `verify_us`; rates and latencies depend on who else uses the machine (`others`) and on
what its host takes away (`stolen`), both in cores.
"""

import asyncio
import gc
import json
import re
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Sequence

from gateway import wire
from keys.envelope import Precedence
from tests.bench.author import Channel
from tests.bench.fleet import Fleet
from tests.bench.flow import PATIENCE, Flow, Pair, each, following, pair_up, sizes, submits
from tests.bench.line import Line
from tests.bench.meter import Meter, Row, percentile
from tests.bench.mission import Device

WATCHED = 3  # broadcasts during which the event loop is watched


async def w1(fleet: Fleet, window: int, pairs: int = 100, messages: int = 20_000, rest: float = 1.5) -> Row:
    """One to one."""
    senders, receivers = await fleet.enrol(pairs, "leader"), await fleet.enrol(pairs, "agent")
    made = await pair_up(fleet, senders, receivers)
    lines = await each(lambda device: following(fleet, device), receivers)
    per_sender = max(window, messages // pairs)
    flow = Flow(
        [
            Pair(line, receiver, submits(line, author, channel, sizes(per_sender, window)))
            for (line, channel, author), receiver in zip(made, lines, strict=True)
        ]
    )
    await asyncio.sleep(rest)
    await flow.phase(lambda pair: max(1, len(pair.frames) // 6))
    gc.collect()
    meter = Meter(fleet)
    await flow.phase(lambda pair: len(pair.frames))
    meter.stop()
    count, refused = len(flow.deliveries), sum(len(pair.sender.refusals) for pair in flow.pairs)
    await each(Line.close, [line for line, _, _ in made] + lines)
    assert count == flow.count
    assert not refused
    return {
        "window": window,
        "pairs": pairs,
        "messages": count,
        **meter.row(count),
        "rate": count / meter.seconds,
        "p50_ms": percentile(flow.deliveries, 0.5) / 1e6,
        "p99_ms": percentile(flow.deliveries, 0.99) / 1e6,
        "accept_p50_ms": percentile(flow.accepts, 0.5) / 1e6,
        "accept_p99_ms": percentile(flow.accepts, 0.99) / 1e6,
    }


async def w2(fleet: Fleet, members: int, rounds: int = 9, precedence: Precedence = Precedence.ROUTINE) -> Row:
    """Broadcast to `members` connected members, the sender (whose own envelope comes back to it) among them."""
    began = time.monotonic()
    [creator], others = await fleet.enrol(1, "leader"), await fleet.enrol(members - 1, "agent")
    sender = await fleet.connect(creator)
    channel, author = await fleet.channel(sender, others)
    founded = time.monotonic() - began
    lines = await each(lambda device: following(fleet, device), others)
    await sender.follow()
    joined = time.monotonic() - began - founded
    [(warm, _), *frames] = submits(sender, author, channel, [1] * (rounds + 1 + WATCHED))
    crowd = Crowd([sender, *lines], channel)
    await asyncio.sleep(2.0)
    await crowd.broadcast(sender, warm)
    lasts, whole, quick, clients, others_load = [], [], [], [], []
    for frame, _ in frames[:rounds]:
        gc.collect()
        meter = Meter(fleet)
        took = await crowd.broadcast(sender, frame)
        quick.append(meter.so_far())
        await asyncio.sleep(0.4)  # cursors are its work as well
        meter.stop()
        lasts.append(1000 * took)
        whole.append(meter.server)
        clients.append(meter.client)
        others_load.append(meter.others)
    watched = await held(fleet, crowd, sender, [frame for frame, _ in frames[rounds:]])
    await each(Line.close, [sender, *lines], 200)
    return {
        "members": members,
        "rounds": rounds,
        "last_ms": statistics.median(lasts),
        "last_min_ms": min(lasts),
        "last_max_ms": max(lasts),
        "server_us": 1e6 * statistics.mean(whole) / members,
        "until_last_us": 1e6 * statistics.mean(quick) / members,
        "client_us": 1e6 * statistics.mean(clients) / members,
        "found_s": founded,
        "join_s": joined,
        **watched,
        "others": statistics.mean(others_load),
    }


async def held(fleet: Fleet, crowd: "Crowd", sender: Line, frames: Sequence[bytes]) -> Row:
    """How long broadcasts hold the event loop; not in the rounds that are measured, since asking costs."""
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.probe", str(fleet.metrics), str(fleet.pid)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(1.0)
    for frame in frames:
        await crowd.broadcast(sender, frame)
        await asyncio.sleep(0.4)
    told, _ = await probe.communicate(b"end\n")
    figures: dict[str, float] = json.loads(told)
    return {f"loop_{name}": value for name, value in figures.items()}


class Crowd:
    """The members of one channel, all connected."""

    def __init__(self, lines: Sequence[Line], channel: Channel) -> None:
        self._channel = channel.id
        self._size = len(lines)
        self._missing = 0
        for line in lines:
            line.on_deliver = self._on_deliver

    def _on_deliver(self, placed: wire.Placed) -> None:
        if placed.channel == self._channel:
            self._missing -= 1
            if not self._missing:
                self._last = time.monotonic()
                self._over.set()

    async def broadcast(self, sender: Line, frame: bytes) -> float:
        """Seconds until the last has it."""
        self._missing, self._over = self._size, asyncio.Event()
        began = time.monotonic()
        sender.write(frame)
        await asyncio.wait_for(self._over.wait(), PATIENCE)
        return self._last - began


async def w3(fleet: Fleet, sessions: int = 2_000) -> Row:
    """Idle sessions: what each keeps in the gateway's memory (the kernel's socket buffers are not in it)."""
    devices = await fleet.enrol(sessions, "agent")
    await asyncio.sleep(3.0)
    empty, spent = fleet.rss(), fleet.cpu()
    began = time.monotonic()
    lines = await each(lambda device: following(fleet, device), devices)
    took, spent = time.monotonic() - began, fleet.cpu() - spent
    await asyncio.sleep(4.0)
    full = fleet.rss()
    idle = fleet.cpu()
    await asyncio.sleep(2.0)
    idle = (fleet.cpu() - idle) / 2
    alive = sum(not line.closed for line in lines)
    await each(Line.close, lines, 200)
    return {
        "sessions": sessions,
        "alive": alive,
        "base_mib": empty / 2**20,
        "kib_each": (full - empty) / 1024 / sessions,
        "connect_us": 1e6 * spent / sessions,
        "connects_per_s": sessions / took,
        "idle_cores": idle,
    }


async def store_backlog(
    fleet: Fleet, receiver: Device, messages: int, window: int, senders: int
) -> tuple[list[Line], Flow]:
    """Senders with a channel each to a receiver that is away, and the flow of their messages, ready to go."""
    devices = await fleet.enrol(senders, "leader")
    made = await pair_up(fleet, devices, [receiver] * senders)
    pairs = [
        Pair(line, None, submits(line, author, channel, sizes(messages // senders, window)))
        for line, channel, author in made
    ]
    return [line for line, _, _ in made], Flow(pairs)


async def drained(
    fleet: Fleet, receiver: Device, expected: int | None, quiet: float
) -> tuple[list[tuple[bytes, bytes]], float, float, Line]:
    """Connect and take everything: what came (channel and header), seconds to the first and to the last of it."""
    got: list[tuple[bytes, bytes]] = []
    over, times = asyncio.Event(), [0.0, 0.0]

    def on_deliver(placed: wire.Placed) -> None:
        if placed.body is None or placed.channel == control:
            return
        got.append((placed.channel, placed.header))
        times[1] = time.monotonic()
        times[0] = times[0] or times[1]
        if len(got) == expected:
            over.set()

    control = fleet.charter.control_channel
    began = time.monotonic()
    line = await fleet.connect(receiver)
    line.on_deliver = on_deliver
    await line.follow()
    while not over.is_set():
        try:
            await asyncio.wait_for(over.wait(), 0.1)
        except TimeoutError:
            if time.monotonic() - max(times[1], began) > quiet:
                break
    return got, times[0] - began, times[1] - began, line


async def w4(
    fleet: Fleet, messages: int = 10_000, window: int = 32, senders: int = 8, rest: float = 2.0, drains: int = 5
) -> Row:
    """Backlog, drained several times, each time from a gateway that has just been started. The figures are those of the cheapest."""
    [receiver] = await fleet.enrol(1, "agent")
    lines, flow = await store_backlog(fleet, receiver, messages, window, senders)
    total = sum(size for pair in flow.pairs for _, size in pair.frames)
    storing = Meter(fleet)
    await flow.phase(lambda pair: len(pair.frames))
    storing.stop()
    await each(Line.close, lines)
    drained_in: list[Row] = []
    for _ in range(drains):
        await asyncio.sleep(rest)  # the log's beat has caught up
        fleet.kill9()
        fleet.start()
        await fleet.ready()
        await asyncio.sleep(rest)
        gc.collect()
        draining = Meter(fleet)
        got, first, last, line = await drained(fleet, receiver, total, PATIENCE)
        draining.stop()
        await line.close()
        took = {"drained": len(got), "rate": len(got) / last, "first_ms": 1000 * first, "last_ms": 1000 * last}
        drained_in.append(draining.row(max(1, len(got))) | took)
    return {
        "messages": total,
        "store_server_us": 1e6 * storing.server / total,
        "store_rate": total / storing.seconds,
        "drains": drains,
        "median_us": statistics.median(row["server_us"] for row in drained_in),
        "best_rate": max(row["rate"] for row in drained_in),
        **min(drained_in, key=lambda row: row["server_us"]),
    }


async def w5(fleet: Fleet, rounds: int = 3, seconds: float = 1.2, window: int = 32, senders: int = 4) -> Row:
    """kill -9 while messages to a device that is away are being accepted; then a start, and what comes."""
    accepted_in_all = lost = twice = 0
    for _ in range(rounds):
        [receiver] = await fleet.enrol(1, "agent")
        lines, flow = await store_backlog(fleet, receiver, 64_000, window, senders)
        accepted: set[tuple[bytes, int]] = set()
        for pair in flow.pairs:
            _remember(pair, accepted)
        phase = asyncio.create_task(flow.phase(lambda pair: len(pair.frames)))
        await asyncio.sleep(seconds)
        fleet.kill9()
        await asyncio.sleep(0.2)  # what lies in our socket buffers was said
        phase.cancel()
        said = set(accepted)
        fleet.start()
        await fleet.ready()
        got, _, _, line = await drained(fleet, receiver, None, 3.0)
        places = {(channel, header) for channel, header in got}
        twice += len(got) - len(places)
        lost += _lost(flow, said, {header for _, header in places})
        accepted_in_all += sum(size for _, size in _frames(flow, said))
        await line.close()
        await each(Line.close, lines)
    return {"rounds": rounds, "accepted": accepted_in_all, "lost": lost, "twice": twice}


def _remember(pair: Pair, accepted: set[tuple[bytes, int]]) -> None:
    before = pair.sender.on_accepted
    assert before is not None

    def on_accepted(frame: wire.Accepted) -> None:
        accepted.add((pair.sender.device.id, frame.id))
        before(frame)

    pair.sender.on_accepted = on_accepted


def _frames(flow: Flow, said: set[tuple[bytes, int]]) -> list[tuple[wire.Submit, int]]:
    """The Submits that were accepted, read again from the bytes that were sent."""
    found = []
    for pair in flow.pairs:
        for data, size in pair.frames[: pair.next]:
            frame = wire.read_from_device(data[8:] if data[1] & 0x7F == 126 else data[6:])
            assert isinstance(frame, wire.Submit)
            if (pair.sender.device.id, frame.id) in said:
                found.append((frame, size))
    return found


def _lost(flow: Flow, said: set[tuple[bytes, int]], headers: set[bytes]) -> int:
    return sum(sealed.header not in headers for frame, _ in _frames(flow, said) for sealed in frame.run)


async def w6(fleet: Fleet, messages: int = 200) -> Row:
    """fsync and fdatasync of the gateway for each message, by what is synced; needs strace."""
    if shutil.which("strace") is None:
        return {"messages": 0, "error": "no strace"}
    [receiver] = await fleet.enrol(1, "agent")
    lines, flow = await store_backlog(fleet, receiver, messages, 1, 1)
    await asyncio.sleep(1.5)
    trace = fleet.root / "strace"
    tracer = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-y", "-e", "trace=fsync,fdatasync,sync_file_range", "-o", str(trace), "-p", str(fleet.pid)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    await asyncio.sleep(1.5)
    before = len(_synced(trace.read_text()))
    began = time.monotonic()
    await flow.phase(lambda pair: len(pair.frames))
    took = time.monotonic() - began
    synced = _synced(trace.read_text())[before:]
    tracer.send_signal(signal.SIGINT)
    await tracer.wait()
    await each(Line.close, lines)
    database = sum("gateway.db" in path for path in synced)
    return {
        "messages": flow.count,
        "seconds": took,
        "syncs_each": len(synced) / flow.count,
        "database_syncs_each": database / flow.count,
        "log_syncs_per_s": (len(synced) - database) / took,
    }


def _synced(trace: str) -> list[str]:
    return re.findall(r"(?:fsync|fdatasync|sync_file_range)\(\d+<([^>]*)>", trace)
