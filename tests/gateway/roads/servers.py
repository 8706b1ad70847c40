"""Other people's servers, small and honest: a mail server (RFC 5321) and a webhook, on loopback, that do what a test tells them."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from pathlib import Path

from aiohttp import web

from gateway.web.tls import make_certificate
from tests.waiting import until

HOST = "127.0.0.1"


@dataclass
class MailServer:
    """Takes mail. `answers` are codes for commands, in place of what it would say; `hangs` says nothing after this command."""

    context: ssl.SSLContext | None = None
    implicit: bool = False
    password: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    hangs: str = ""
    got: list[tuple[str, Mail]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[MailServer]:
        context = self.context if self.implicit else None
        server = await asyncio.start_server(self._serve, HOST, port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        recipient = ""
        await say("220 test")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self.commands.append(verb)
            if verb == self.hangs:
                await asyncio.sleep(3600)
            if verb in self.answers:
                await say(self.answers[verb])
            elif verb == "EHLO":
                starttls = ["250-STARTTLS"] if self.context and not self.implicit else []
                for one in ["250-test", *starttls, "250-AUTH PLAIN", "250 8BITMIME"]:
                    await say(one)
            elif verb == "STARTTLS":
                await say("220 go on")
                assert self.context is not None
                await writer.start_tls(self.context)
            elif verb == "AUTH":
                given = base64.b64decode(rest.split()[-1]).decode().split("\0")[-1]
                await say("235 known" if given == self.password else "535 no")
            elif verb == "RCPT":
                recipient = rest.removeprefix("TO:<").partition(">")[0]
                await say("250 ok")
            elif verb == "DATA":
                await say("354 go on")
                data = await reader.readuntil(b"\r\n.\r\n")
                self.got.append((recipient, message_from_bytes(data[:-3], policy=default)))
                await say(self.answers.get(".", "250 taken"))
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 ok")


@dataclass
class Hook:
    """Takes POSTs. `status` is what it answers, `hangs` whether it does."""

    status: int = 200
    hangs: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/in"

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Hook]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def until(self, asked: int) -> None:
        """Until it was asked so often."""
        await until(lambda: self.asked >= asked, f"{asked} questions")

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        body = await request.read()
        if 200 <= self.status < 300:
            self.got.append((dict(request.headers), body))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"} if self.status == 302 else {})


def certificate(folder: Path, now: int) -> tuple[ssl.SSLContext, Path]:
    """A server's context for `localhost`, and the file that a client takes as its authority."""
    made, key = make_certificate("localhost", now)
    certificate_path, key_path = folder / "server.pem", folder / "server.key"
    certificate_path.write_bytes(made)
    key_path.write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path, key_path)
    return context, certificate_path
