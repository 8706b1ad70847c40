"""A device's end of a WebSocket, as cheap as Python makes it: a bare asyncio.Protocol that frames with a zero mask.

It proves who it is as a client does (keys.identity, real signatures both ways) and decodes every frame with the wire's types;
it leaves out what a client checks of a delivery, since the bench measures the other end. Its Cursors go when a client's do: after
a quarter of the window.
"""

import asyncio
import os
import ssl
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import msgspec

from clients.core.departures import CURSOR_BYTES, CURSOR_DELIVERIES
from gateway import wire
from keys.canonical import encode
from keys.charter import Charter
from keys.identity import verify
from tests.bench.mission import Device

_decode = msgspec.msgpack.Decoder(wire.FromGateway).decode
_UPGRADE = (
    b"GET /v1/socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def masked(payload: bytes) -> bytes:
    """A client's binary frame; a mask of zeros is legal and costs nothing (RFC 6455 section 5.3)."""
    size = len(payload)
    if size < 126:
        return bytes((0x82, 0x80 | size)) + bytes(4) + payload
    if size < 65_536:
        return b"\x82\xfe" + size.to_bytes(2, "big") + bytes(4) + payload
    return b"\x82\xff" + size.to_bytes(8, "big") + bytes(4) + payload


def framed(frame: wire.Frame) -> bytes:
    """The WebSocket bytes of one frame."""
    return masked(encode(frame))


class Gone(Exception):
    """The gateway has ended the connection."""


class RefusedByGateway(Exception):
    """A request was refused; the frame is its argument."""


class Line(asyncio.Protocol):
    """One connection. `on_deliver` and `on_accepted` are called from the reader; requests are awaited with `ask`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.on_deliver: Callable[[wire.Placed], None] = lambda placed: None
        self.on_accepted: Callable[[wire.Accepted], None] | None = None
        self.closed = False
        self.refusals: list[wire.Refused] = []
        self.reminders: list[wire.Remind] = []
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._first: dict[type, asyncio.Future[Any]] = {}
        self._buffer = b""
        self._upgraded = False
        self.seen: dict[bytes, int] = {}
        """The newest seq of each channel that was delivered."""
        self._said: dict[bytes, int] = {}
        self.retry_after = 0  # ms, as a gateway says that is about to stop
        self._came = 0  # deliveries since the last cursors
        self._came_bytes = 0

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        for future in (*self._answers.values(), *self._first.values()):
            if not future.done():
                future.set_exception(Gone(str(exc or "closed")))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        if not self._upgraded:
            cut = buffer.find(b"\r\n\r\n")
            if cut < 0:
                self._buffer = buffer
                return
            self._upgraded, at = True, cut + 4
            if not buffer.startswith(b"HTTP/1.1 101 "):
                self.transport.abort()
                return
        while at + 2 <= end:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                if start + 2 > end:
                    break
                size, start = buffer[start] << 8 | buffer[start + 1], start + 2
            elif size == 127:
                if start + 8 > end:
                    break
                size, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
            if start + size > end:
                break
            opcode = buffer[at] & 15
            if opcode == 2:
                self._on_frame(_decode(buffer[start : start + size]))
            elif opcode == 9:
                self.transport.write(bytes((0x8A, 0x80 | size)) + bytes(4) + buffer[start : start + size])
            at = start + size
        self._buffer = buffer[at:]
        self._came_bytes += len(data)
        if self._came >= CURSOR_DELIVERIES or (self._came and self._came_bytes >= CURSOR_BYTES):
            self._say_cursors()

    # --- frames

    def _on_frame(self, frame: Any) -> None:
        kind = type(frame)
        if kind is wire.Deliver:
            placed = frame.placed
            self.seen[placed.channel] = placed.place.seq
            self.on_deliver(placed)
            self._came += 1
            return
        if kind is wire.Deliveries:
            for placed in frame.placed:
                self.seen[placed.channel] = placed.place.seq
                self.on_deliver(placed)
            self._came += len(frame.placed)
            return
        if kind is wire.Notice:
            self.retry_after = frame.retry_after
            return
        if kind is wire.Remind:
            self.reminders.append(frame)
            return
        if kind is wire.Accepted and self.on_accepted is not None:
            self.on_accepted(frame)
            return
        if kind is wire.Refused:
            self.refusals.append(frame)
        waiting = self._answers.pop(getattr(frame, "id", -1), None) or self._first.pop(kind, None)
        if waiting is None and kind is wire.Refused and self._first:
            waiting = self._first.popitem()[1]  # of a Hello or Proof
        if waiting is not None and not waiting.done():
            if kind is wire.Refused:
                waiting.set_exception(RefusedByGateway(frame))
            else:
                waiting.set_result(frame)

    def _say_cursors(self) -> None:
        self._came = self._came_bytes = 0
        out = []
        for channel, seq in self.seen.items():
            if seq > self._said.get(channel, 0):
                self._said[channel] = seq
                out.append(framed(wire.Cursor(wire.Position(channel, seq))))
        self.transport.write(b"".join(out))

    def write(self, data: bytes) -> None:
        """Bytes made by `framed` before; nothing where the gateway has gone."""
        if not self.closed:
            self.transport.write(data)

    def next_id(self) -> int:
        return next(self._ids)

    def ask(self, frame: Any) -> asyncio.Future[Any]:
        """Send a request; the future is its answer, or RefusedByGateway."""
        future = self._answers[frame.id] = asyncio.get_running_loop().create_future()
        self.transport.write(framed(frame))
        return future

    def _await(self, kind: type) -> asyncio.Future[Any]:
        future = self._first[kind] = asyncio.get_running_loop().create_future()
        return future

    # --- the session

    async def open(self, host: str, port: int, charter: Charter, tls: ssl.SSLContext | None) -> "Line":
        """Connect and prove who this is."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, host, port, ssl=tls)
        nonce = os.urandom(32)
        challenged = self._await(wire.Challenge)
        self.transport.write(_UPGRADE + framed(wire.Hello(wire.PROTOCOL_VERSION, self.device.id, nonce)))
        challenge: wire.Challenge = await challenged
        policy, certificate = charter.policy, self.device.hash
        assert challenge.gateway_key == policy.gateway_key
        tls_key = policy.tls_keys[0]
        content = wire.Transcript(
            self.device.id, nonce, challenge.nonce, policy.gateway_key, tls_key, certificate
        ).content()
        ready = self._await(wire.Ready)
        self.transport.write(framed(wire.Proof(certificate, tls_key, self.device.key.sign("session", content))))
        verify(policy.gateway_key, "session answer", content, (await ready).signature)
        return self

    async def follow(self) -> wire.Channels:
        """Start delivery of everything from the beginning of each membership, or from what this line has seen."""
        positions = [wire.Position(channel, seq) for channel, seq in self.seen.items()]
        self._said = dict(self.seen)
        channels: wire.Channels = await self.ask(wire.Follow(self.next_id(), positions))
        return channels

    def abort(self) -> None:
        """Nothing more, whatever state it is in."""
        if hasattr(self, "transport"):
            self.transport.abort()

    async def close(self) -> None:
        if not self.closed:
            self.transport.close()
        await asyncio.sleep(0)
