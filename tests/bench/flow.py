"""Senders at full window: each hands in its next run when the one before is accepted and delivered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway import wire
from keys.canonical import encode
from tests.bench.author import Author, Channel
from tests.bench.fleet import Fleet
from tests.bench.line import Line, masked
from tests.bench.mission import Device

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 120.0  # s until a workload is given up


async def each(step: Callable[[T], Awaitable[R]], items: Iterable[T], at_once: int = 32) -> list[R]:
    """`step` of each item, some at once, results in order."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with gate:
            return await step(item)

    return await asyncio.gather(*(one(item) for item in items))


def submits(line: Line, author: Author, channel: Channel, sizes: Iterable[int]) -> list[tuple[bytes, int]]:
    """Submit frames of runs of these sizes, as WebSocket bytes, and how many messages each holds."""
    runs = (author.messages(channel, [b""] * size) for size in sizes)
    return [(masked(encode(wire.Submit(line.next_id(), run))), len(run)) for run in runs]


def sizes(total: int, window: int) -> list[int]:
    """`total` messages in runs of `window`."""
    whole, rest = divmod(total, window)
    return [window] * whole + ([rest] if rest else [])


@dataclass(eq=False)
class Pair:
    """A sender, its receiver, and the runs that wait. The next run goes when the one before is accepted and delivered."""

    sender: Line
    receiver: Line | None
    frames: list[tuple[bytes, int]]
    upto: int = 0  # runs that may be sent in this phase
    next: int = 0
    accepted: bool = True
    missing: int = 0
    sent_at: int = 0

    def wire_up(self, flow: "Flow") -> None:
        self._flow = flow
        self.sender.on_accepted = self._on_accepted
        if self.receiver is not None:
            self.receiver.on_deliver = self._on_deliver

    def send(self) -> None:
        if self.next >= self.upto:
            self._flow.finished()
            return
        data, size = self.frames[self.next]
        self.next += 1
        self.accepted, self.missing = False, size if self.receiver else 0
        self.sent_at = time.monotonic_ns()
        self.sender.write(data)

    def _on_accepted(self, frame: wire.Accepted) -> None:
        self._flow.accepts.append(time.monotonic_ns() - self.sent_at)
        self._flow.count += len(frame.places)
        self.accepted = True
        if not self.missing:
            self.send()

    def _on_deliver(self, placed: wire.Placed) -> None:
        if placed.body is None or not self.missing:
            return
        self._flow.deliveries.append(time.monotonic_ns() - self.sent_at)
        self.missing -= 1
        if self.accepted and not self.missing:
            self.send()


class Flow:
    """All pairs at once, phase by phase."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        self.accepts: list[int] = []
        self.deliveries: list[int] = []
        self.count = 0
        for pair in pairs:
            pair.wire_up(self)

    def finished(self) -> None:
        self._left -= 1
        if not self._left:
            self._over.set()

    async def phase(self, runs: Callable[[Pair], int]) -> None:
        """Let every pair send up to its `runs`; returns when the last is through."""
        self.accepts, self.deliveries, self.count = [], [], 0
        self._left, self._over = len(self.pairs), asyncio.Event()
        for pair in self.pairs:
            pair.upto = runs(pair)
            pair.send()
        await asyncio.wait_for(self._over.wait(), PATIENCE)


async def pair_up(
    fleet: Fleet, senders: Sequence[Device], receivers: Sequence[Device]
) -> list[tuple[Line, Channel, Author]]:
    """A session and a channel for each sender, with its receiver in."""

    async def one(pair: tuple[Device, Device]) -> tuple[Line, Channel, Author]:
        line = await fleet.connect(pair[0])
        channel, author = await fleet.channel(line, [pair[1]])
        await line.follow()
        return line, channel, author

    return await each(one, list(zip(senders, receivers, strict=True)), 16)


async def following(fleet: Fleet, device: Device) -> Line:
    line = await fleet.connect(device)
    await line.follow()
    return line
