"""A witness's HTTP: two paths, and nothing else.

    POST /add-checkpoint                             a log asks for cosignatures
    GET  /<hex SHA-256 of the origin>/checkpoint     monitors ask what was cosigned last

No one is asked who they are: the log's signature is all that counts. A request is judged in a thread, since it waits for the
disk; connections are kept alive, as the specification asks.
"""

import asyncio
import logging
import re
import signal
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

import apsw
from aiohttp import web

from clients.witness.judge import Answer, Judge
from keys.tlog.witness import ADD_CHECKPOINT, MAX_REQUEST

CONNECTIONS: Final = 1_024
AT_ONCE: Final = 16  # requests being judged
BODY_SECONDS: Final = 15.0
_CHECKPOINT: Final = re.compile(r"/([0-9a-f]{64}/checkpoint)", re.ASCII)
_log = logging.getLogger(__name__)


class _Server(web.Server):
    """aiohttp's low-level server, up to `CONNECTIONS`."""

    def __call__(self) -> web.RequestHandler:
        handler = super().__call__()
        if len(self.connections) >= CONNECTIONS:
            handler.force_close()
        return handler


class WitnessServer:
    """A judge behind a socket."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._stop = asyncio.Event()
        self._broken: apsw.Error | None = None

    async def run(self, host: str, port: int, context: ssl.SSLContext | None, said: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT; `said` is told the URL once it listens.

        Raises OSError where the address is taken, apsw.Error where the disk fails: what it holds may not be what was written.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._stop.set)
        server = _Server(cast(Any, self.answer), access_log=None, max_line_size=1_024, max_headers=64)
        listener = await loop.create_server(
            cast(Callable[[], asyncio.Protocol], server),
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=None if context is None else BODY_SECONDS,
        )
        try:
            shown = f"[{host}]" if ":" in host else host
            said(f"{'http' if context is None else 'https'}://{shown}:{listener.sockets[0].getsockname()[1]}")
            await self._stop.wait()
        finally:
            listener.close()
            await server.shutdown(BODY_SECONDS)
        if self._broken is not None:
            raise self._broken

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; paths are compared as raw text."""
        path = request.raw_path
        try:
            if path == f"/{ADD_CHECKPOINT}":
                found = await self._add(request) if request.method == "POST" else Answer(405)
            elif match := _CHECKPOINT.fullmatch(path):
                found = await self._ask(match[1]) if request.method in ("GET", "HEAD") else Answer(405)
            else:
                found = Answer(404)
        except apsw.Error as error:
            _log.error("nothing was cosigned: %s: %s", type(error).__name__, error)
            found = Answer(500)
            if not isinstance(error, (apsw.FullError, apsw.BusyError)):  # those leave the store as it was
                self._broken = error
                self._stop.set()
        headers = {"Content-Type": found.content_type, "Cache-Control": "no-store", "Server": "outrider"}
        return web.Response(status=found.status, body=found.body, headers=headers)

    async def _add(self, request: web.BaseRequest) -> Answer:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in request.content.iter_any():
                    body += piece
                    if len(body) > MAX_REQUEST:
                        return Answer(400)
        except TimeoutError:
            return Answer(408)
        async with self._turns:
            answer = await asyncio.to_thread(self._judge.add_checkpoint, bytes(body))
        if answer.status not in (200, 409):
            _log.warning("add-checkpoint: %d %s", answer.status, answer.body.decode("utf-8", "replace").strip())
        return answer

    async def _ask(self, path: str) -> Answer:
        return await asyncio.to_thread(self._judge.checkpoint, path)
