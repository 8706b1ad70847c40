"""Connections: aiohttp's low-level server with a guard before its WebSocket reader, a bound on connections, and timeouts.

There is no router and no middleware: `App` gets the raw path of every request and knows all of them. What stands before TLS is in
`gateway.web.listener`.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web

from gateway.web.guard import Guard, Reader

HANDSHAKE_SECONDS: Final = 15.0  # TLS handshake, and the headers of a request: what 2 kbit/s take for some 3 kB
UNSENT: Final = 64 * 1024  # bytes that the system may hold unsent, so that a FLASH does not wait behind a full buffer
WRITE_HIGH: Final = 64 * 1024
WRITE_LOW: Final = 16 * 1024

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """One connection. `guard` is there once it has become a WebSocket."""

    __slots__ = ("_leave", "_open", "guard", "on_room")

    def __init__(self, manager: "Server", leave: Callable[[], None], **options: Any) -> None:
        super().__init__(manager, **options)
        self._leave: Callable[[], None] | None = leave
        self._open = True
        manager.open += 1
        self.guard: Guard | None = None
        self.on_room: Callable[[bool], None] | None = None
        """Told when the buffer is full, and when it has room again; when the connection is gone there is none any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        cast(asyncio.Transport, transport).set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        if (raw := transport.get_extra_info("socket")) is not None and sys.platform == "linux":
            with suppress(OSError):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.gone()
        super().connection_lost(exc)
        if self.on_room is not None:
            self.on_room(False)

    def known(self) -> None:
        """It has said who it is, or is gone: among the strangers it is no more."""
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave()

    def gone(self) -> None:
        """It is open no more; or never was, where TLS came to nothing."""
        if self._open:
            self._open = False
            cast(Server, self._manager).open -= 1
            self.known()

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """From here on the bytes are WebSocket frames: the guard sees them first. What was there for HTTP goes: no other request comes,
        and a session may last for days."""
        self.guard = Guard(cast(Reader, parser), self._loop.time)
        super().set_parser(cast(Any, self.guard), data_received_cb)
        self._parser = None
        self._messages = cast(Any, ())

    def data_received(self, data: bytes) -> None:
        """What the session takes at once goes by the library's reader, its queue and a task that has to wake."""
        if self.guard is not None and self.guard.direct:
            data = self.guard.hand_over(data)
        if data:
            super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.on_room is not None:
            self.on_room(False)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_room is not None:
            self.on_room(True)


class Server(web.Server):
    """Makes a `Connection` for each, up to `limit`."""

    def __init__(self, handler: Handler, limit: int) -> None:
        super().__init__(cast(Any, handler), handler_cancellation=False)
        self.limit = limit
        self.open = 0

    def connection(self, leave: Callable[[], None]) -> Connection:
        """The next connection's protocol: it counts as open from here on, until it is `gone`. `leave` is called when it is no
        stranger any more."""
        return Connection(
            self,
            leave,
            loop=self._loop,
            keepalive_timeout=HANDSHAKE_SECONDS,  # also the time for a request's headers to come
            lingering_time=0.0,
            access_log=None,
            max_line_size=1_024,
            max_field_size=4_096,
            max_headers=64,
        )
