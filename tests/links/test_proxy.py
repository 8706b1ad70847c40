"""The tool before what it is used on: it carries every byte in order, no faster than it says, and breaks when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest

from tests.links.proxy import Link, Weather

DATA = Random(3).randbytes(20_000)


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[str, int]]:
    """A server that says everything again."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.transport.abort() if writer.transport.is_closing() else writer.close()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        await server.wait_closed()


async def exchange(link: Link, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*link.address)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        await closed(writer)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


WEATHERS = [
    pytest.param(Weather(), id="clear"),
    pytest.param(Weather(rate=4_000_000, latency=0.01), id="slow and far"),
    pytest.param(Weather(rate=4_000_000, stalls=0.3, stall=0.001), id="stalling"),
]


@pytest.mark.parametrize("weather", WEATHERS)
async def test_every_byte_arrives_in_order(weather: Weather) -> None:
    async with echo() as server, Link.to(*server, weather) as link:
        assert await exchange(link, DATA) == DATA
        assert (link.up, link.down, len(link.roads)) == (len(DATA), len(DATA), 1)


@pytest.mark.parametrize(
    ("weather", "seconds"),
    [
        pytest.param(Weather(rate=64_000), 2_000 * 8 / 64_000, id="a rate"),
        pytest.param(Weather(latency=0.1), 0.2, id="a latency, both ways"),
        pytest.param(
            Weather(rate=10**9, stalls=1.0, stall=0.01), 2_000 / 64 * 0.01, id="stalls, one a piece of 64 bytes"
        ),
    ],
)
async def test_it_is_no_faster_than_it_says(weather: Weather, seconds: float) -> None:
    async with echo() as server, Link.to(*server, weather) as link:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await exchange(link, DATA[:2_000]) == DATA[:2_000]
        assert loop.time() - began >= seconds


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1_000, 4_097])
async def test_a_connection_is_cut_after_the_byte_named(length: int) -> None:
    """Either way: exactly so many have been carried, and then it breaks."""
    async with echo() as server, Link.to(*server) as link:
        link.first = [Weather(cut_up=length), Weather(cut_down=length)]
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await exchange(link, DATA)
        assert (link.roads[0].up, link.roads[1].down) == (length, length)
        assert await exchange(link, DATA) == DATA, "and no other connection is"


async def test_half_open_and_going_on() -> None:
    async with echo() as server, Link.to(*server) as link:
        reader, writer = await asyncio.open_connection(*link.address)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        link.freeze()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readexactly(3)
        link.thaw()
        writer.write(b"six")
        assert await reader.readexactly(6) == b"twosix"
        await closed(writer)


async def test_one_way_frozen() -> None:
    """What is sent arrives, and nothing comes back."""
    async with echo() as server, Link.to(*server) as link:
        reader, writer = await asyncio.open_connection(*link.address)
        link.freeze("down")
        writer.write(b"one")
        while link.up < 3:  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.001)
        assert link.down == 0
        link.thaw()
        assert await reader.readexactly(3) == b"one"
        await closed(writer)


async def test_what_is_carried_before_a_cut_depends_on_nothing_else() -> None:
    """So a run can be done again, however slow the link."""
    carried = []
    for _ in range(2):
        async with echo() as server, Link.to(*server, Weather(cut_up=777, stalls=0.5, stall=0.001), seed=5) as link:
            with pytest.raises(ConnectionError):
                await exchange(link, DATA)
            carried.append(link.up)
    assert carried == [777, 777]
