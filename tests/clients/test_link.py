"""The link: whom it speaks to, and what it puts up with."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
from aiohttp import web

from clients.core.errors import NotReached, Untrusted
from clients.link import PINGS_A_MINUTE, WAIT_MOST, Link, backoff
from gateway import wire
from keys.canonical import encode
from tests.clients.harbour import Certificate, serve


class Server:
    """Answers every frame with the frames it was given; remembers whether anybody got as far as HTTP."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.requests = 0
        self.heard: list[bytes] = []
        self.pings = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        socket: web.WebSocketResponse[Any] = web.WebSocketResponse()
        await socket.prepare(request)
        for _ in range(self.pings):
            await socket.ping()
        async for message in socket:
            self.heard.append(message.data)
            for answer in self.answers:
                await socket.send_bytes(answer)
        return socket


DONE = wire.Done(1, 2)


async def test_frames_go_and_come_and_the_tap_sees_them() -> None:
    certificate, server, seen = Certificate(), Server(encode(DONE), encode(DONE)), list[tuple[str, bytes]]()
    async with serve(server, certificate) as url:
        link = await Link.open(url, [certificate.tls_key], tap=lambda way, data: seen.append((way, data)))
        await link.send(wire.GetCharter(1, 0))
        got = await link.receive()
        while len(got) < 2:
            got += await link.receive()
        await link.close()
        await link.close()
    assert got == [DONE, DONE]
    assert server.heard == [encode(wire.GetCharter(1, 0))]
    assert seen == [("sent", server.heard[0]), ("received", encode(DONE)), ("received", encode(DONE))]
    assert link.tls_key == certificate.tls_key


async def test_another_key_is_told_nothing() -> None:
    certificate, server = Certificate(), Server()
    async with serve(server, certificate) as url:
        with pytest.raises(Untrusted):
            await Link.open(url, [bytes(32)])
        await asyncio.sleep(0.05)
        assert server.requests == 0, "checked before the first byte of HTTP"
        link = await Link.open(url, None)
        assert link.tls_key == certificate.tls_key, "without pins it says whom it saw"
        await link.close()


async def test_tls_12_is_refused() -> None:
    certificate, server = Certificate(), Server()
    async with serve(server, certificate, version=ssl.TLSVersion.TLSv1_2) as url:
        with pytest.raises((Untrusted, NotReached)):
            await Link.open(url, [certificate.tls_key])
        assert server.requests == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1", "wss://127.0.0.1:1"])
async def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(Untrusted):
        await Link.open(url, None)


async def test_nobody_there() -> None:
    with pytest.raises(NotReached):
        await Link.open("https://127.0.0.1:9", None)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x93\x44\x01", id="cut"),
        pytest.param(encode(DONE) + b"\0", id="a byte too many"),
        pytest.param(b"\x93\x44\xcd\x00\x01\x02", id="another encoding"),
        pytest.param(encode(wire.GetCharter(1, 0)), id="a frame of devices"),
    ],
)
async def test_what_is_no_frame(answer: bytes) -> None:
    certificate = Certificate()
    async with serve(Server(answer), certificate) as url:
        link = await Link.open(url, [certificate.tls_key])
        await link.send(wire.GetCharter(1, 0))
        with pytest.raises(Untrusted):
            await link.receive()
        await link.close()


async def test_more_than_a_frame_may_be() -> None:
    certificate = Certificate()
    async with serve(Server(bytes(wire.FRAME_LIMIT + 1)), certificate) as url:
        link = await Link.open(url, [certificate.tls_key])
        await link.send(wire.GetCharter(1, 0))
        with pytest.raises(NotReached):
            await link.receive()
        await link.close()


async def test_pings_have_a_budget() -> None:
    certificate, server = Certificate(), Server()
    server.pings = PINGS_A_MINUTE + 1
    async with serve(server, certificate) as url:
        link = await Link.open(url, [certificate.tls_key])
        with pytest.raises(NotReached, match="pings"):
            await link.receive()
        await link.close()


async def test_a_frame_that_came_before_the_end_is_not_lost() -> None:
    certificate = Certificate()

    async def last_words(request: web.Request) -> web.StreamResponse:
        socket: web.WebSocketResponse[Any] = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(encode(DONE))
        await socket.close()
        return socket

    async with serve(last_words, certificate) as url:
        link = await Link.open(url, [certificate.tls_key])
        assert await link.receive() == [DONE]
        with pytest.raises(NotReached):
            await link.receive()
        await link.close()


def test_backoff_grows_to_a_bound_and_scatters() -> None:
    for attempt in range(100):
        assert 0 < backoff(attempt) <= WAIT_MOST
    assert max(backoff(0) for _ in range(50)) <= 0.2
    assert min(backoff(50) for _ in range(50)) >= WAIT_MOST / 2
    assert len({backoff(20) for _ in range(20)}) > 10
