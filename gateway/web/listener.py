"""Listening: who is let in is decided when a connection comes, before a byte of TLS.

A handshake is the dearest thing that a stranger can ask for, and one that is never finished holds some 50 kB for as long as it is
waited for. So connections are accepted here and not by the loop's own server, which knows no address until TLS is done: the door
counts them from the first moment, and turns away by closing.
"""

import asyncio
import errno
import logging
import socket
import ssl
from typing import Final

from gateway.web.door import Door
from gateway.web.server import HANDSHAKE_SECONDS, Connection, Server

BACKLOG: Final = 1_024
AT_ONCE: Final = 64  # accepted in one turn of the loop
PAUSE: Final = 1.0  # s without accepting, where the system has no room for one more
NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)


class Listener:
    """The sockets of one address. Make it in the loop that it is to accept in."""

    def __init__(
        self, server: Server, listening: list[socket.socket], context: ssl.SSLContext | None, door: Door | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._listening = listening
        self._context = context
        self._door = door
        self._greetings: set[asyncio.Task[None]] = set()
        self.turned_away = 0
        """Connections, since it listens."""
        for one in listening:
            one.setblocking(False)
            self._loop.add_reader(one.fileno(), self._accept, one)

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._listening[0].getsockname()[1])

    def close(self) -> None:
        """Accept no more. Connections that are there stay."""
        for one in self._listening:
            if one.fileno() >= 0:
                self._loop.remove_reader(one.fileno())
                one.close()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                _log.error("no room for another connection: %s", errno.errorcode[error.errno or 0])
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(PAUSE, self._go_on, listening)
                return
            self._knock(connection, str(address[0]))

    def _go_on(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _knock(self, connection: socket.socket, address: str) -> None:
        name = "" if self._door is None else self._door.enter(address, self._loop.time())
        if name is None or self._server.open >= self._server.limit:
            if name is not None:
                self._leave(name)
            self.turned_away += 1
            connection.close()
            return
        connection.setblocking(False)
        protocol = self._server.connection(lambda: self._leave(name))
        greeting = self._loop.create_task(self._greet(connection, protocol))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)

    def _leave(self, name: str) -> None:
        if self._door is not None:
            self._door.leave(name)

    async def _greet(self, connection: socket.socket, protocol: Connection) -> None:
        """Up to the end of the TLS handshake; from there on the protocol hears of everything itself."""
        seconds = HANDSHAKE_SECONDS if self._context else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        except OSError:  # what a stranger does to TLS, or leaves undone: ssl.SSLError and timeouts are among them
            connection.close()
            protocol.gone()


async def listen(
    server: Server, host: str, port: int, context: ssl.SSLContext | None, door: Door | None = None
) -> Listener:
    """Start listening; raises OSError where the address is taken."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listening: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listening.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
    except BaseException:
        for one in listening:
            one.close()
        raise
    return Listener(server, listening, context, door)
