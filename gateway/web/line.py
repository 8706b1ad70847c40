"""The line to one device: what goes out on a connection, what takes too long there, and how it ends.

What one turn of the loop writes goes out in one system call (`gateway.web.outbox`). A device that does not read is not written to
any further, and cut off in the end: its mail stays in the store.
"""

import asyncio
import logging
from typing import Any, Final

from aiohttp import web

from gateway import wire
from gateway.web.frames import server_frame
from gateway.web.guard import POLICY_VIOLATION, Fault
from gateway.web.server import Connection
from gateway.web.service import Service
from gateway.wire import FRAME_LIMIT, Alarm, Refusal
from keys.canonical import encode

FRAME_SECONDS: Final = 30.0  # from the first byte of a message to its last
SLOW_SECONDS: Final = 20.0  # that what was written may lie there and not move
BUFFER_LIMIT: Final = 1024 * 1024
AT_ONCE: Final = 64 * 1024  # bytes for one device that are written without waiting for the end of the turn

GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
FAULT: Final = 1011
CUT_OFF: Final = 4003
REPLACED: Final = 4009

_log = logging.getLogger(__name__)


class Line:
    """A connection, as far as something goes out on it."""

    def __init__(self, socket: web.WebSocketResponse[Any], connection: Connection, service: Service) -> None:
        self._socket = socket
        self._connection = connection
        transport = connection.transport
        assert transport is not None  # the handshake is done
        self._transport = transport
        self._service = service
        # An idle session has no task, and a set of its own would weigh.
        self._tasks: frozenset[asyncio.Task[None]] = frozenset()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._stalled: tuple[float, int] | None = None
        self._ending = False
        self.writable = not connection.writing_paused

    def push(self, framed: bytes) -> None:
        """Put a whole WebSocket frame on the wire at the end of this turn of the loop, with what else it has for this device."""
        if self._ending or self._transport.is_closing():
            return
        if not self._unsent:
            self._service.outbox.add(self)
        self._unsent.append(framed)
        self._unsent_bytes += len(framed)
        if self._unsent_bytes >= AT_ONCE:  # so that the transport knows how much waits
            self.flush()

    def pass_on(self, framed: bytes) -> None:
        """As `push`, at once where nothing else is due: what goes to everybody has no company."""
        if self._unsent:
            self.push(framed)
        else:
            self._transport.write(framed)

    def flush(self) -> None:
        """Write what is due."""
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        if unsent and not self._transport.is_closing():
            self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def say(self, frame: wire.FromGateway) -> None:
        """Send a frame. One that has grown over the limit is a request for too much."""
        data = encode(frame)
        if len(data) > FRAME_LIMIT:
            self._refuse(
                wire.Refused(getattr(frame, "id", 0), Refusal.LIMIT, "the answer is too long: ask for less", 0, None)
            )
            return
        self.push(server_frame(data))

    def _refuse(self, refused: wire.Refused) -> None:
        self._service.metrics.refused.labels(refused.refusal.name).inc()
        self.say(refused)

    async def end(self, code: int, reason: str) -> None:
        """Close, with a code of RFC 6455 section 7.4 or of PROTOCOL.md."""
        if not self._ending:
            self._ending, self.writable = True, False
            self._service.metrics.cut.labels(reason).inc()
        self.flush()
        await self._socket.close(code=code, message=reason.encode())

    def _end_soon(self, code: int, reason: str) -> None:
        if not self._ending:
            self._spawn(self.end(code, reason))

    def _on_fault(self, fault: Fault) -> None:
        _log.info("connection closed: %s", fault.reason)
        self._end_soon(fault.code, "frames")

    def cut(self, reason: str) -> None:
        """End the session: the device may not have one any more."""
        if not self._ending:
            self.say(wire.Notice(Alarm.CUT_OFF, reason))
        self._end_soon(FAULT if reason == "fault" else CUT_OFF, reason)

    def replace(self) -> None:
        """The same device has come in by another connection."""
        self._end_soon(REPLACED, "replaced")

    def drain(self, retry_after: int) -> None:
        """The gateway is about to stop; this device may come again after so many ms."""
        self.say(wire.Notice(Alarm.DRAINING, "the gateway is about to stop: come again in a moment", retry_after))

    @property
    def restless(self) -> bool:
        """Whether something is on its way that may take too long."""
        guard = self._connection.guard
        return (
            self._connection.writing_paused
            or self._stalled is not None
            or (guard is not None and guard.begun is not None)
        )

    def sweep(self, now: float) -> None:
        """Once a second while `restless`: what takes too long. `now` is the loop's time."""
        guard = self._connection.guard
        if guard is not None and guard.begun is not None and now - guard.begun > FRAME_SECONDS:
            self._end_soon(POLICY_VIOLATION, "frame too slow")
        if not self._connection.writing_paused:
            self._stalled = None
            return
        waiting = self._transport.get_write_buffer_size()
        if self._stalled is None or (waiting < BUFFER_LIMIT and waiting != self._stalled[1]):
            self._stalled = now, waiting  # it still moves
        elif now - self._stalled[0] > SLOW_SECONDS:
            self._service.metrics.cut.labels("slow").inc()
            self._ending, self.writable = True, False
            self._transport.abort()  # its mail stays in the store

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks |= {task}
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks -= {task}
        if not task.cancelled() and (error := task.exception()) is not None:
            self._service.fault(error)
            self.cut("fault")
