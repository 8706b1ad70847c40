"""One device's conversation over /v1/socket: bytes to frames, frames to decisions and answers, and what comes back.

Frames that write are decided in the order in which they came and answered when they are durable, so a device may send the next
before it has the answer, up to IN_FLIGHT; then it is not read any further. What comes by the thousand (`_take_at_once`) is
handed from the guard straight to the store, and its answer comes back by a call: no task, queue or future of its own. All
else, and whatever has to wait, is for the one task that reads (`run`). Deliveries are written by the hub. How anything goes out is
`gateway.web.line`'s concern.

Nothing here decides: `core.session` says who this is, `core.requests` and `core.answers` what is done and told.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import WSMsgType, web

from gateway import wire
from gateway.audit.prove import prove, witnessed
from gateway.core import answers, limits
from gateway.core.errors import Refused
from gateway.core.feed import Feed
from gateway.core.following import fetch, follow, recipient_of
from gateway.core.lane import page_of
from gateway.core.rows import Identity
from gateway.core.session import Session, State
from gateway.core.view import View
from gateway.store.base import Broken
from gateway.web.frames import deliver_frames
from gateway.web.guard import POLICY_VIOLATION
from gateway.web.hub import Hub
from gateway.web.line import FAULT, UNSUPPORTED, Line
from gateway.web.refusals import ANSWERED, refusal
from gateway.web.request import Request
from gateway.web.server import Connection
from gateway.web.service import Service
from gateway.wire import Alarm, Refusal
from keys.errors import Malformed

IN_FLIGHT: Final = 64  # requests of one session that are being decided
GREETING_SECONDS: Final = 15.0  # to the first frame, and from Hello to Proof
STRANGER_SECONDS: Final = 60.0  # a stranger's silence, while it waits for its enrolment
STRANGER_FRAMES: Final = 1_000
HEARTBEAT: Final = 60.0  # s of silence until a ping; half of it until its pong
DRAIN_RETRY: Final = 5_000  # ms


class Conversation(Line):
    """A connection, from its first frame to its last; after the proof also the hub's `Peer`."""

    def __init__(self, socket: web.WebSocketResponse[Any], connection: Connection, service: Service, hub: Hub) -> None:
        super().__init__(socket, connection, service)
        self._hub = hub
        self._session = Session()
        self._deciding = 0
        self._settled_one: asyncio.Event | None = None  # while somebody waits for a decision; an idle session has none
        self._heard = 0
        self._again: asyncio.Event | None = None  # while somebody waits for room in the buffer
        self.proved: Callable[[], None] = lambda: None
        """Called once, when the device has proved who it is."""
        self.feed: Feed | None = None
        self.newest = -1
        self.logged = 0
        self.joined: dict[bytes, int] = {}

    @property
    def alerting(self) -> bool:
        """Whether somebody is at the other end who writes or approves alerts."""
        return self.feed is not None and self.feed.recipient.alerting

    @property
    def who(self) -> Identity:
        assert self._session.identity is not None  # only the hub asks, and only after the proof
        return self._session.identity

    async def run(self) -> None:
        """Converse until either side ends it."""
        guard = self._connection.guard
        assert guard is not None  # the handshake is done
        self._guard = guard
        guard.on_fault = self._on_fault
        guard.on_message = self._take_at_once
        self._connection.on_room = self._on_room
        try:
            if guard.fault is not None:
                self._on_fault(guard.fault)
            while await self._hear():
                pass
        finally:
            self._connection.on_room = None
            self.writable = False
            if self._session.identity is not None:
                self._hub.leave(self)
            await self.idle()  # what was asked is still decided; only the answers have nobody to go to

    async def idle(self) -> None:
        """Until nothing is being decided any more."""
        await self._until(0)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _until(self, most: int) -> None:
        """Until at most so many requests are being decided."""
        while self._deciding > most:
            if self._settled_one is None or self._settled_one.is_set():
                self._settled_one = asyncio.Event()  # one for all who wait now
            await self._settled_one.wait()

    async def _hear(self) -> bool:
        """Take one message; False when the conversation is over."""
        # Nothing that came before waits here any more, nor half of a message in the reader.
        self._guard.direct = self._session.state is State.READY and self._guard.begun is None
        try:
            message = await self._socket.receive(self._patience())
        except TimeoutError:
            await self.end(POLICY_VIOLATION, "silence")
            return False
        self._guard.direct = False
        if message.type is WSMsgType.BINARY:
            return await self._take(cast(bytes, message.data))
        if message.type is WSMsgType.PING:
            await self._socket.pong(cast(bytes, message.data))
            return True
        if message.type is WSMsgType.PONG:
            return True
        if message.type is WSMsgType.TEXT:
            await self.end(UNSUPPORTED, "text")
        return False

    def _patience(self) -> float | None:
        """How long the next message may take to come; a session that is ready is watched by its heartbeat."""
        if self._session.state is State.READY:
            return None
        return STRANGER_SECONDS if self._heard and self._session.state is State.GREETING else GREETING_SECONDS

    async def _take(self, data: bytes) -> bool:
        try:
            frame = wire.read_from_device(data)
        except Malformed as error:
            self._refuse(refusal(0, error))
            await self.end(POLICY_VIOLATION, "frame")
            return False
        if isinstance(frame, (wire.Cursor, wire.Taken)) and self._session.identity is not None:
            self._note(frame)
            return True
        self._heard += 1
        if self._session.state is not State.READY and self._heard > STRANGER_FRAMES:
            await self.end(POLICY_VIOLATION, "stranger")
            return False
        await self._drained()
        return await self._guarded(frame)

    def _take_at_once(self, data: bytes) -> bool:
        """Take a message of those that come by the thousand; False: it has to wait for something, or is of another kind."""
        if self._deciding >= IN_FLIGHT or self._connection.writing_paused or self._ending or self._service.draining:
            return False
        try:
            frame = wire.read_from_device(data)
        except Malformed:
            return False
        if isinstance(frame, (wire.Cursor, wire.Taken)):
            self._note(frame)
        elif isinstance(frame, wire.Submit):
            self._ask(self._session.identity, frame)
        else:
            return False
        return True

    async def _drained(self) -> None:
        """A device that does not read its answers is not heard any further."""
        while self._connection.writing_paused and not self._transport.is_closing():
            if self._again is None or self._again.is_set():
                self._again = asyncio.Event()
            with suppress(TimeoutError):  # nobody says so when the connection dies meanwhile
                await asyncio.wait_for(self._again.wait(), 1.0)

    def _on_room(self, room: bool) -> None:
        self.writable = room and not self._ending
        if room:
            if self._again is not None:
                self._again.set()
            if self._session.identity is not None:
                self._hub.ready(self)

    async def _guarded(self, frame: wire.FromDevice) -> bool:
        request = getattr(frame, "id", 0)
        try:
            await self._dispatch(frame)
        except Broken as error:
            self._service.stop(error)
            await self.end(FAULT, "broken")
            return False
        except ANSWERED as error:
            self._refuse(refusal(request, error))
            if isinstance(frame, (wire.Hello, wire.Proof)):
                await self.end(POLICY_VIOLATION, "proof")
                return False
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            self._service.fault(error)
            await self.end(FAULT, "fault")
            return False
        return True

    async def _dispatch(self, frame: wire.FromDevice) -> None:
        if isinstance(frame, (wire.Hello, wire.Proof)):
            self._greet(frame)
            return
        who = self._session.identity
        special = SPECIAL.get(type(frame))
        if who is not None and special is not None:
            await special(self, frame)
        elif type(frame) in answers.ANSWERS:
            with self._service.store.snapshot() as view:
                answer = answers.answer(view, who, frame, self._service.now())
            self.say(answer)
        else:
            await self._write(who, frame)

    # ------------------------------------------------------------------ who is this

    def _greet(self, frame: wire.Hello | wire.Proof) -> None:
        service, charter = self._service, self._service.charter
        if charter is None:
            raise Refused(Refusal.CHARTER, "no charter is installed at this gateway yet")
        if isinstance(frame, wire.Hello):
            self._session, answer = self._session.greet(frame, charter, service.random(32), service.now())
            self.say(answer)
            return
        with service.store.snapshot() as view:
            self._session, ready = self._session.prove(frame, view, charter, service.key, service.now())
        self.proved()
        self._hub.enter(self)
        self.say(ready)

    # ------------------------------------------------------------------ delivery

    async def _follow(self, frame: wire.Follow) -> None:
        charter = self._service.charter
        assert charter is not None  # there is a session
        with self._service.store.snapshot() as view:
            following = follow(view, self.who, charter, frame)
            low = self._packages_low(view)
        self.joined = {state.channel: state.since for state in following.channels.channels}
        self.say(following.channels)
        for joined in following.joined:
            self.say(joined)
        if low:
            self.say(wire.Notice(Alarm.LOW_KEY_PACKAGES, "few KeyPackages are left: put more"))
        self._hub.begin(self, following.feed)

    def _packages_low(self, view: View) -> bool:
        return not self.who.registrar and view.packages_left(self.who.device) < limits.KEY_PACKAGES_LOW

    async def _fetch(self, frame: wire.Fetch) -> None:
        charter = self._service.charter
        assert charter is not None  # there is a session
        with self._service.store.snapshot() as view:
            rows = fetch(view, self.who, charter, frame)
        recipient = self.feed.recipient if self.feed is not None else recipient_of(self.who, charter)
        page = page_of(frame.channel, rows).to(recipient)
        for framed in deliver_frames([page], alone=recipient.narrow):
            await self._drained()
            self.push(framed)
        self.newest = max([self.newest, *page.indices[-1:]])
        self.say(wire.Done(frame.id, len(rows)))

    async def _witnessed(self, frame: wire.GetWitnessed) -> None:
        charter = self._service.charter
        assert charter is not None  # there is a session
        self.say(witnessed(self._service.sequencer, frame, charter.witness_policy))

    async def _reach(self, frame: wire.GetReach) -> None:
        with self._service.store.snapshot() as view:
            answer = answers.reach(view, self.who, frame, self._hub, self._service.now())
        self.say(answer)

    def _note(self, frame: wire.Cursor | wire.Taken) -> None:
        """Opens the window. Nothing of it is kept: the device knows where it stands, and says so in Follow."""
        feed = self.feed
        if feed is None:
            return
        if isinstance(frame, wire.Cursor):
            feed.stored(frame.position.channel, frame.position.seq)
        else:
            feed.taken(frame.count)
        if feed.waiting:
            self._hub.ready(self)

    # ------------------------------------------------------------------ requests

    async def _prove(self, frame: wire.Prove) -> None:
        with self._service.store.snapshot() as view:
            log_size = view.log_size()
        await self._until(IN_FLIGHT - 1)
        self._deciding += 1
        self._spawn(self._answer_proof(frame, log_size))

    async def _answer_proof(self, frame: wire.Prove, log_size: int) -> None:
        try:
            self.say(await prove(self._service.sequencer, frame, log_size))
        except Refused as error:
            self._refuse(refusal(frame.id, error))
        finally:
            self._settled()

    async def _write(self, who: Identity | None, frame: wire.FromDevice) -> None:
        if self._service.draining:
            raise Refused(Refusal.BUSY, "the gateway is about to stop", DRAIN_RETRY)
        if self._service.charter is None:
            raise Refused(Refusal.CHARTER, "no charter is installed at this gateway yet")
        await self._until(IN_FLIGHT - 1)
        self._ask(who, frame)

    def _ask(self, who: Identity | None, frame: wire.FromDevice) -> None:
        try:
            Request(self, self._service, who, frame).submit()
        except Broken as error:
            self._service.stop(error)
            return
        self._deciding += 1

    def _settled(self) -> None:
        self._deciding -= 1
        if self._settled_one is not None:
            self._settled_one.set()

    def failed(self, frame: wire.FromDevice, error: BaseException) -> None:
        """A request was not taken."""
        self._settled()
        if isinstance(error, Broken):
            self._service.stop(error)
        elif isinstance(error, ANSWERED):
            self._refuse(refusal(getattr(frame, "id", 0), error))
        else:
            self._service.fault(error)
            self.cut("fault")

    def answered(self, answer: wire.FromGateway) -> None:
        """A request was decided, and what it has changed is durable."""
        self._settled()
        if isinstance(answer, wire.Accepted):
            self.newest = max(self.newest, answer.places[-1].index)
            self._hub.submitted(self)
        if isinstance(answer, wire.Refused):
            self._refuse(answer)
        else:
            self.say(answer)


SPECIAL: Final[Mapping[type, Any]] = {
    wire.Follow: Conversation._follow,
    wire.Fetch: Conversation._fetch,
    wire.Prove: Conversation._prove,
    wire.GetReach: Conversation._reach,
    wire.GetWitnessed: Conversation._witnessed,
}
"""What only a session may ask, and what is answered here and not by the core's front doors."""
