"""Every path that the gateway answers.

    /v1/socket                       WebSocket: devices
    /log/…                           with a token: auditors and witnesses
    /livez  /readyz                  anybody
    /metrics                         on the metrics listener alone

Paths are compared as raw text: nothing is decoded, joined or normalised. Whatever is not there, or is not for who asks, is
the same 404.
"""

import asyncio
from contextlib import suppress
from random import shuffle
from typing import Any, Final

from aiohttp import web

from gateway.web.hub import Hub
from gateway.web.log import Found, LogReadPath
from gateway.web.server import Connection
from gateway.web.service import Service
from gateway.web.socket import HEARTBEAT, Conversation
from gateway.wire import FRAME_LIMIT

SOCKET: Final = "/v1/socket"
LOG: Final = "/log/"
CHECKPOINT_AGE: Final = 30.0  # s that entries may wait for a checkpoint before /readyz says so
DISK_LOW: Final = 64 * 1024 * 1024
RETRY_AFTER: Final = "5"
COME_AGAIN: Final = 200  # ms after which the first may come again when the gateway stops
COME_AGAIN_APART: Final = 5  # ms between one device and the next: what two greetings take
AT_ONCE: Final = 128  # conversations told, and ended, in one go
_CLOSE_SECONDS: Final = 2.0
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Max-Age": "86400",
}


class App:
    """The gateway's HTTP side: the handler of its listeners."""

    def __init__(self, service: Service, hub: Hub, log: LogReadPath) -> None:
        self._service = service
        self._hub = hub
        self._log = log
        self._conversations: set[Conversation] = set()

    # ------------------------------------------------------------------ for devices, auditors and witnesses

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request to the public listener."""
        path = request.raw_path
        response: web.StreamResponse
        if request.method == "GET" and path == SOCKET:
            response = await self._socket(request)
        elif path.startswith(LOG) and request.method in ("GET", "HEAD", "OPTIONS"):
            response = await self._read_log(request, path[len(LOG) :])
        else:
            response = self._health(request)
        if not response.prepared:
            response.headers["Server"] = "outrider"  # and not which versions of what
        return response

    async def _socket(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._service.draining:
            return web.Response(status=503, headers={"Retry-After": RETRY_AFTER})
        socket: web.WebSocketResponse[Any] = web.WebSocketResponse(
            timeout=_CLOSE_SECONDS,
            autoping=False,
            heartbeat=HEARTBEAT,
            compress=False,
            max_msg_size=FRAME_LIMIT + 1,  # aiohttp's limit is the first size that is refused
            decode_text=False,
        )
        await socket.prepare(request)
        connection = request.protocol
        assert isinstance(connection, Connection)  # `Server` makes no other
        if connection.transport is None:
            return socket
        conversation = Conversation(socket, connection, self._service, self._hub)
        conversation.proved = connection.known
        self._conversations.add(conversation)
        try:
            await conversation.run()
        finally:
            self._conversations.discard(conversation)
        return socket

    async def _read_log(self, request: web.BaseRequest, path: str) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_CORS)
        found: Found | None = await self._log.get(path, request.headers.get("Authorization", ""))
        if found is None:
            return web.Response(status=404, headers=_CORS)
        headers = _CORS | {"Content-Type": found.content_type, "Cache-Control": found.cache, "Vary": "Authorization"}
        return web.Response(body=found.data, headers=headers)

    # ------------------------------------------------------------------ for the operator

    async def answer_metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request to the metrics listener."""
        if request.method == "GET" and request.raw_path == "/metrics":
            return web.Response(
                body=self._service.metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4"}
            )
        return self._health(request)

    def _health(self, request: web.BaseRequest) -> web.Response:
        if request.method in ("GET", "HEAD") and request.raw_path == "/livez":
            return web.Response(text="ok\n")
        if request.method in ("GET", "HEAD") and request.raw_path == "/readyz":
            wrong = self.not_ready()
            lines = wrong or ["ok", *self._service.remarks()]
            return web.Response(status=503 if wrong else 200, text="".join(f"{line}\n" for line in lines))
        return web.Response(status=404)

    def not_ready(self) -> list[str]:
        """What keeps the gateway from its work, in words that name nobody."""
        service = self._service
        wrong = []
        if service.charter is None:
            wrong.append("no charter is installed")
        if service.draining:
            wrong.append("draining")
        if service.disk_free() < DISK_LOW:
            wrong.append("the disk is full")
        with service.store.snapshot() as view:
            behind = view.log_size() > service.sequencer.head.size
        if behind and service.now() - service.sequencer.signed_at > CHECKPOINT_AGE * 1000:
            wrong.append("entries wait for a checkpoint")
        return wrong

    async def drain(self, code: int, seconds: float) -> None:
        """Tell everybody when to come again, wait for what is being decided, and close.

        Each gets a time of its own, so that the next gateway's door sees a queue and no crowd: those who alert first.
        """
        self._service.draining = True
        talking = list(self._conversations)
        shuffle(talking)
        talking.sort(key=lambda conversation: not conversation.alerting)
        for place, conversation in enumerate(talking):
            conversation.drain(COME_AGAIN + COME_AGAIN_APART * place)
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(c.idle() for c in talking)), seconds)
        for start in range(0, len(talking), AT_ONCE):
            some = talking[start : start + AT_ONCE]
            await asyncio.gather(*(c.end(code, "draining") for c in some), return_exceptions=True)
