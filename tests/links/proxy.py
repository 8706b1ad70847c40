"""A bad link between two programs: a TCP proxy on loopback that is slow, late, stalls, cuts and falls silent, by a seed.

    async with Link.to(host, port, Weather(rate=2_000, stalls=0.3), seed=7) as link:
        ...                                  # connect to link.address
        link.freeze()                        # half-open: accepted and never forwarded; freeze("down"): what is sent arrives, and
                                             # nothing comes back
        link.cut()                           # both ends see the connection break
        link.up, link.down                   # bytes carried
        link.roads[-1].up                    # the same of one connection

`link.weather` holds for connections to come, but for the next ones, which `link.first` names one by one; `roads[n].weather` is that of
one that stands.

The rate is that of the narrow hop itself, and little waits inside: some two kilobytes. What a sender's own kernel holds back is
its own affair: a program that wants its FLASH to go first must not write what it can't take back.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

QUANTUM: Final = 64  # bytes that cross at once, at most: the granularity of rate and cuts
WAYS: Final = ("up", "down")
BUFFER: Final = 2_048  # bytes that wait on either side of the hop


@dataclass(frozen=True, slots=True)
class Weather:
    """What the link is like. `rate` in bits a second each way, 0 without limit; `latency` and `stall` in seconds; `stalls` is
    the share of quanta that are held up for `stall`, as a lost packet would be; after exactly `cut_up` bytes to the target, or
    `cut_down` bytes back, the connection breaks (0: never)."""

    rate: int = 0
    latency: float = 0.0
    stalls: float = 0.0
    stall: float = 0.5
    cut_up: int = 0
    cut_down: int = 0

    def cut(self, way: str) -> int:
        """After how many bytes this way it breaks."""
        return self.cut_up if way == "up" else self.cut_down


CLEAR: Final = Weather()


@dataclass(slots=True, eq=False)
class Road:
    """One connection. `weather` may be changed at any time."""

    weather: Weather
    up: int = 0
    down: int = 0


@dataclass(slots=True, eq=False)
class Link:
    """The proxy."""

    target: tuple[str, int]
    weather: Weather
    random: Random
    address: tuple[str, int] = ("", 0)
    first: list[Weather] = field(default_factory=list)
    roads: list[Road] = field(default_factory=list)
    _flows: set[asyncio.Task[None]] = field(default_factory=set)
    _thawed: dict[str, asyncio.Event] = field(default_factory=lambda: {way: asyncio.Event() for way in WAYS})

    @classmethod
    @asynccontextmanager
    async def to(cls, host: str, port: int, weather: Weather = CLEAR, *, seed: int = 1) -> AsyncIterator[Link]:
        """A proxy before `host`:`port`, for the length of the block."""
        link = cls((host, port), weather, Random(seed))
        link.thaw()
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER
        )  # before accept, or the window is large already
        server = await asyncio.start_server(link._accept, sock=listening, limit=BUFFER)
        link.address = listening.getsockname()[:2]
        try:
            yield link
        finally:
            server.close()
            link.cut()
            await asyncio.gather(*link._flows, return_exceptions=True)
            await server.wait_closed()

    @property
    def up(self) -> int:
        """Bytes carried to the target."""
        return sum(road.up for road in self.roads)

    @property
    def down(self) -> int:
        """Bytes carried back."""
        return sum(road.down for road in self.roads)

    def cut(self) -> None:
        """Break every connection, at whatever byte it stands."""
        for flow in list(self._flows):
            flow.cancel()

    def freeze(self, *ways: str) -> None:
        """Nothing crosses any more (`up`, `down` or both), and nobody is told."""
        for way in ways or WAYS:
            self._thawed[way].clear()

    def thaw(self) -> None:
        """It goes on where it stood."""
        for thawed in self._thawed.values():
            thawed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._flows.add(task)
        road = Road(self.first.pop(0) if self.first else self.weather)
        self.roads.append(road)
        beyond: asyncio.StreamWriter | None = None
        ended = False
        try:
            behind = socket.socket()
            behind.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            behind.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(behind, self.target)
            except BaseException:
                behind.close()
                raise
            back, beyond = await asyncio.open_connection(sock=behind, limit=BUFFER)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._flow(reader, beyond, road, "up"))
                group.create_task(self._flow(back, writer, road, "down"))
            ended = True
        except* (OSError, _Cut):
            pass
        except* asyncio.CancelledError:
            pass
        finally:
            self._flows.discard(task)
            for end in (writer, beyond):
                if end is not None:
                    end.close() if ended else _break(end)
            await asyncio.sleep(0)  # closing is done by the loop

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, road: Road, way: str) -> None:
        """One direction: each quantum crosses the hop in its time, and arrives later by the latency, in order."""
        writer.transport.set_write_buffer_limits(high=BUFFER)
        arriving: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._arrive(arriving, writer, way))
            await self._cross(reader, arriving, road, way)

    async def _cross(
        self, reader: asyncio.StreamReader, arriving: asyncio.Queue[tuple[float, bytes | None]], road: Road, way: str
    ) -> None:
        loop, carried, free = asyncio.get_running_loop(), 0, 0.0
        while True:
            await self._thawed[way].wait()
            weather = road.weather
            end = weather.cut(way)
            most = QUANTUM if weather.rate else BUFFER
            data = await reader.read(min(most, end - carried) if end else most)
            free = max(free, loop.time())
            if weather.rate:
                free += len(data) * 8 / weather.rate
            if weather.stalls and self.random.random() < weather.stalls:
                free += weather.stall
            await asyncio.sleep(max(0.0, free - loop.time()))
            await self._thawed[way].wait()
            carried += len(data)
            setattr(road, way, getattr(road, way) + len(data))
            arriving.put_nowait((loop.time() + weather.latency, data))
            if carried == end:
                arriving.put_nowait((loop.time() + weather.latency, None))
            if not data or carried == end:
                return

    async def _arrive(
        self, arriving: asyncio.Queue[tuple[float, bytes | None]], writer: asyncio.StreamWriter, way: str
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            when, data = await arriving.get()
            await asyncio.sleep(max(0.0, when - loop.time()))
            await self._thawed[way].wait()
            if data is None:
                raise _Cut
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof() if writer.can_write_eof() else writer.close()
                return
            writer.write(data)
            await writer.drain()


def _break(end: asyncio.StreamWriter) -> None:
    """Close so that the other side is told of a reset and not of an orderly end, wherever its bytes stand."""
    plain = end.get_extra_info("socket")
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


class _Cut(Exception):
    """The link broke here."""
