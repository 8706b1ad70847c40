"""Who is let in at the door before it has proved anything: so many a second, so many in all, so many from one address."""

import asyncio
import ssl
from collections.abc import Iterator

import pytest
from aiohttp import web

from gateway.web.door import HANDSHAKE_BURST, HANDSHAKES_PER_SECOND, STRANGERS, STRANGERS_PER_ADDRESS, Door
from gateway.web.listener import listen
from gateway.web.server import Server
from tests.clients.harbour import Certificate
from tests.waiting import until


def addresses() -> Iterator[str]:
    """Each another one."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(2**24))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", id="attack-75 one address"),
        pytest.param("2001:db8::1", "2001:db8::ffff:1", id="attack-75 one network of IPv6"),
        pytest.param("203.0.113.7", "::ffff:203.0.113.7", id="attack-75 IPv4 written as IPv6"),
    ],
)
def test_one_who_comes_again_and_again(one: str, other: str) -> None:
    door = Door()
    names = [door.enter(one if n % 2 else other, 0.0) for n in range(STRANGERS_PER_ADDRESS)]
    assert None not in names
    assert door.enter(one, 0.0) is None
    assert door.enter(other, 0.0) is None
    assert door.enter("198.51.100.1", 0.0) is not None, "nobody else is kept out"
    door.leave(names[0] or "")
    assert door.enter(one, 0.0) is not None, "whoever has proved itself or has gone makes room"


def test_attack_75_many_from_everywhere_wait_for_their_second() -> None:
    door, far = Door(), addresses()
    for _ in range(int(HANDSHAKE_BURST)):
        name = door.enter(next(far), 0.0)
        assert name is not None
        door.leave(name)
    assert door.enter(next(far), 0.0) is None
    let_in = sum(door.enter(next(far), 1.0) is not None for _ in range(1_000))
    assert let_in == HANDSHAKES_PER_SECOND


def test_attack_75_strangers_that_stay_have_a_bound() -> None:
    door, far = Door(), addresses()
    let_in = sum(door.enter(next(far), float(n)) is not None for n in range(STRANGERS + 10))
    assert let_in == STRANGERS


def test_a_proxy_on_this_host_stands_before_everybody() -> None:
    door = Door()
    assert all(door.enter("127.0.0.1", 0.0) == "" for _ in range(STRANGERS_PER_ADDRESS + 1))


class Narrow(Door):
    """Lets two in, whoever they are."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0

    def enter(self, address: str, now: float) -> str | None:
        if self.inside == 2:
            return None
        self.inside += 1
        return address

    def leave(self, name: str) -> None:
        self.inside -= 1


async def answer(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")


@pytest.mark.parametrize("tls", [True, False], ids=["attack-75 before TLS", "attack-75 behind a proxy"])
async def test_who_may_not_come_in_is_turned_away_before_it_has_said_a_word(tls: bool) -> None:
    """Half-open handshakes are counted as what they are; whoever goes makes room."""
    door, server = Narrow(), Server(answer, 100)
    listener = await listen(server, "127.0.0.1", 0, Certificate().context() if tls else None, door)
    silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(3)]
    assert await silent[2][0].read() == b"", "closed, and not a word"
    assert (door.inside, server.open, listener.turned_away) == (2, 2, 1)
    for _, writer in silent:
        writer.close()
    await empty(server)
    assert door.inside == 0
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=anybody() if tls else None)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    listener.close()
    await empty(server)
    assert door.inside == 0
    await server.shutdown(1.0)


async def test_attack_75_there_is_a_bound_on_all_of_them() -> None:
    server = Server(answer, 2)
    listener = await listen(server, "127.0.0.1", 0, None)
    silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(3)]
    assert await silent[2][0].read() == b""
    assert (server.open, listener.turned_away) == (2, 1)
    for _, writer in silent:
        writer.close()
    listener.close()
    await server.shutdown(1.0)


async def empty(server: Server) -> None:
    """Until nobody is connected any more; TLS says its goodbye in its own time."""
    await until(lambda: not server.open)


def anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
