"""The relay behind a real TLS socket, in this process: enough of a gateway for links and stations, with the core's own greeting.

async with Harbour.open() as harbour:       # harbour.world, harbour.url, harbour.tls_key
    station = Station.create(folder, ...)
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from gateway import wire
from gateway.core import answers, requests
from gateway.core.errors import Refused
from gateway.core.session import Session, State
from keys.canonical import encode
from tests.clients.relay import Line, Relay
from tests.keys.mission import Mission


class Certificate:
    """A self-signed TLS certificate in a temporary folder."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.tls_key = sha256(spki).digest()
        self._pem = certificate.public_bytes(Encoding.PEM) + key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )

    def context(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(self._pem)
            context.load_cert_chain(file.name)
        return context


@asynccontextmanager
async def serve(
    handler: Any, certificate: Certificate, listening: socket.socket | None = None, **tls: Any
) -> AsyncIterator[str]:
    """An aiohttp server with one WebSocket handler, on a port of its own or where the test is `listening`; gives its URL."""

    async def take(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await handler(request)
        return answer

    app = web.Application()
    app.router.add_get("/v1/socket", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    bound = listening.dup() if listening else socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, bound, ssl_context=certificate.context(**tls)).start()
    try:
        yield f"https://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        await runner.cleanup()


class Harbour:
    """A relay with a door."""

    def __init__(self, mission: Mission, url: str, relay: Relay | None = None) -> None:
        self.mission = mission
        self.relay = relay or Relay(mission)
        self.url = url
        self.lines: set[web.WebSocketResponse[Any]] = set()
        self.accepting = True

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Harbour]:
        certificate = Certificate()
        harbour: list[Harbour] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            return await harbour[0].converse(request)

        async with serve(handler, certificate) as url:
            mission = Mission(7, tls_key=certificate.tls_key, url=url, now=int(time.time() * 1000))
            harbour.append(cls(mission, url))
            yield harbour[0]

    async def converse(self, request: web.Request) -> web.StreamResponse:
        open_ = web.WebSocketResponse[Any](max_msg_size=wire.FRAME_LIMIT)
        await open_.prepare(request)
        if not self.accepting:
            await open_.close()
            return open_
        self.lines.add(open_)
        session, line = Session(), None
        pump = asyncio.create_task(asyncio.sleep(0))
        try:
            async for message in open_:
                if message.type is not WSMsgType.BINARY:
                    break
                frame = wire.read_from_device(message.data)
                self.relay.now = int(time.time() * 1000)
                charter = self.relay.gateway.charter
                try:
                    if isinstance(frame, wire.Hello):
                        session, answer = session.greet(frame, charter, self.relay.random(32), self.relay.now)
                        await open_.send_bytes(encode(answer))
                    elif isinstance(frame, wire.Proof):
                        session, ready = session.prove(
                            frame, self.relay.view, charter, self.mission.gateway, self.relay.now
                        )
                        assert session.identity is not None
                        line = Line(session.identity, self.relay)
                        self.relay.sessions[session.identity.device] = line
                        await open_.send_bytes(encode(ready))
                        pump = asyncio.create_task(self._pump(open_, line))
                    elif session.state is State.READY and line is not None:
                        for real in self.relay.to_gateway(line, frame):
                            self.relay.hear(line, real)
                    else:
                        await open_.send_bytes(encode(self._stranger(frame)))
                except Refused as refused:
                    refusal = wire.Refused(getattr(frame, "id", 0), refused.refusal, refused.detail, 0, None)
                    await open_.send_bytes(encode(refusal))
        finally:
            pump.cancel()
            self.lines.discard(open_)
            if line is not None and self.relay.sessions.get(line.who.device) is line:
                del self.relay.sessions[line.who.device]
        return open_

    def _stranger(self, frame: wire.FromDevice) -> Any:
        if type(frame) in answers.OPEN:
            return answers.answer(self.relay.view, None, frame, self.relay.now)
        return self.relay._decide(
            lambda: requests.decide(self.relay.view, None, frame, self.relay.gateway, self.relay.now, self.relay.random)
        )

    async def _pump(self, open_: web.WebSocketResponse[Any], line: Line) -> None:
        with suppress(ConnectionError):
            while True:
                line.pump()
                frames, line.inbound = line.inbound, []
                for frame in frames:
                    await open_.send_bytes(encode(frame))
                await asyncio.sleep(0.002 if frames else 0.01)

    async def cut(self) -> None:
        """Every connection breaks."""
        for open_ in list(self.lines):
            await open_.close()
