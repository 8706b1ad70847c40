"""A device with a ledger and, at times, a connection: the shell around `clients.core.device.Device`.

It does the machine's bidding in the one right order: write the changes, then send the frames, then tell whoever waits. All
state is in the vault, so the object may be dropped at any moment; the next one goes on from there. Several commands in turn
on one profile are the normal case: open, say what is wanted, `sync`, close.

    run     stay connected until cancelled, connecting again whenever the line breaks
    sync    connect, do all there is to do, and come back
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from clients.core import records
from clients.core.commits import Work
from clients.core.device import Device, charter_of
from clients.core.errors import ClientError, NotAllowed, NotEnrolled, NotNow, NotReached, Unknown, Untrusted
from clients.core.greeting import Greeting
from clients.core.ledger import Change, View
from clients.core.records import AlarmKind
from clients.core.turn import Answered, Draining, Event, Outcome
from clients.link import OPEN_NARROW_SECONDS, OPEN_SECONDS, WAIT_MOST, Link, Tap, backoff
from gateway import wire
from keys.charter import Charter
from keys.identity import SigningKey

T = TypeVar("T")

LOOK_SECONDS: Final = 0.02  # between two looks whether all has been said
QUIET_LOOKS: Final = 4  # without a frame and with nothing to do: it has. A process that stood still has not looked
GREETING_SECONDS: Final = 15.0
GREETING_NARROW_SECONDS: Final = 60.0
TICK_SECONDS: Final = 0.1
REST_SECONDS: Final = 1.0  # between two looks at the clock while nothing is under way
ANSWER_SECONDS: Final = 20.0
CLOCK_OFF: Final = 5 * 60_000  # ms between this device's clock and the gateway's that are worth a word


def now_ms() -> int:
    """The clock: ms since the epoch, UTC."""
    return time.time_ns() // 1_000_000


class Ledger(View, Protocol):
    """A vault, or a corner of one."""

    def apply(self, changes: Iterable[Change]) -> None:
        """All of it in one transaction, durable on return."""
        ...


@dataclass(frozen=True, slots=True)
class SyncReport:
    """How a `sync` ended. `idle`: nothing is left to do. `left` says what is, `error` why the gateway was not reached."""

    connected: bool
    idle: bool
    error: str
    left: tuple[str, ...]


class Connected:
    """A device (or registrar) over a ledger."""

    def __init__(self, ledger: Ledger, *, tap: Tap | None = None, narrow: bool = False) -> None:
        self._ledger = ledger
        self._tap = tap
        self._narrow = narrow
        self._device: Device | None = None
        self._link: Link | None = None
        self._outgoing: asyncio.Queue[wire.FromDevice] = asyncio.Queue()
        self._news = asyncio.Event()
        self._moved = asyncio.Event()  # a turn was taken, or failed
        self._questions: dict[int, asyncio.Future[wire.FromGateway]] = {}
        self._last_frame = 0.0
        self._come_again = 0.0  # s, as the gateway asked that is about to stop
        self.clock_off = 0
        """ms by which the gateway's clock is ahead of this device's, at the last greeting."""

    # --- the machine ---

    @property
    def device_core(self) -> Device:
        """The machine; raises NotEnrolled before there is an identity."""
        if self._device is None:
            if records.IDENTITY.get(self._ledger) is None:
                raise NotEnrolled("this profile has no identity yet: enrol first")
            self._device = Device(self._ledger, os.urandom, narrow=self._narrow)
        return self._device

    @property
    def identity(self) -> records.Identity:
        """Who this is; raises NotEnrolled."""
        me = records.IDENTITY.get(self._ledger)
        if me is None:
            raise NotEnrolled("this profile has no identity yet: enrol first")
        return me

    @property
    def charter(self) -> Charter:
        """The charter in force, as far as this device knows; raises NotEnrolled."""
        return self._device.charter if self._device is not None else charter_of(self._ledger)

    @property
    def online(self) -> bool:
        """Whether a session is open now."""
        return self._device is not None and self._device.session.ready

    def act(self, action: Callable[[Work], T]) -> T:
        """One turn of the machine: drafted, written, sent. What it raises has changed nothing."""
        device = self.device_core
        try:
            result, outcome = device.act(now_ms(), action)
            self._do(outcome)
        except ClientError:
            raise
        except BaseException:
            self._drop()
            raise
        return result

    def _do(self, outcome: Outcome) -> None:
        """Write, send, tell: in this order."""
        if outcome.changes:
            self._ledger.apply(outcome.changes)
        if self._link is not None:
            for frame in outcome.frames:
                self._outgoing.put_nowait(frame)
        for event in outcome.events:
            self._tell(event)
        self._moved.set()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Answered):
            question = self._questions.pop(event.id, None)
            if question is not None and not question.done():
                question.set_result(event.frame)
        elif isinstance(event, Draining):
            self._come_again = min(event.retry_after / 1000, WAIT_MOST)
        self._news.set()

    def _drop(self) -> None:
        """A turn failed: memory may be ahead of the ledger, so the machine is made anew from it."""
        if self._device is not None:
            self._device.end()
        self._device = None
        self._moved.set()

    async def ask(self, make: Callable[[int], wire.FromDevice]) -> wire.FromGateway:
        """Put a question to the gateway in the open session.

        Raises:
            NotReached: no answer came.
        """
        request, outcome = self.device_core.ask(now_ms(), make)
        future: asyncio.Future[wire.FromGateway] = asyncio.get_running_loop().create_future()
        self._questions[request] = future
        self._do(outcome)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except TimeoutError:
            raise NotReached("the gateway does not answer") from None
        finally:
            self._questions.pop(request, None)

    # --- sessions ---

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises:
            Untrusted: somebody else than the gateway answers.
            NotAllowed, Unknown: the gateway has no session for this device: it was revoked, or its certificate has ended.
        """
        attempt = 0
        while True:
            try:
                async with self.session():
                    attempt = 0
                    await asyncio.Future()
            except (NotReached, NotNow):
                asked, self._come_again = self._come_again, 0.0
                await asyncio.sleep(asked or backoff(attempt))
                attempt += not asked
            except _Again:
                attempt = 0

    async def sync(self, timeout: float = 10.0, *, receipts: bool = True) -> SyncReport:  # noqa: ASYNC109
        """Do all that can be done within `timeout` seconds: catch up, send, give receipts, get proofs.

        Nothing is lost when it ends early. Raises as `run`.
        """
        if self.online:
            return await self._settle(timeout, receipts=receipts)
        left = time.monotonic() + timeout
        while (rest := left - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(rest), self.session():
                    return await self._settle(left - time.monotonic(), receipts=receipts)
            except _Again:
                continue
            except NotReached as error:
                return SyncReport(connected=False, idle=False, error=str(error), left=self._left())
            except TimeoutError:
                break
        return SyncReport(connected=False, idle=False, error="no time", left=self._left())

    def _left(self) -> tuple[str, ...]:
        return tuple(self.device_core.waiting())

    async def _settle(self, timeout: float, *, receipts: bool) -> SyncReport:  # noqa: ASYNC109
        """Wait until nothing is under way, for a moment without any frame."""
        core = self.device_core
        core.session.flush = receipts
        self._turn(core.tick)
        until, last, quiet = time.monotonic() + timeout, self._last_frame, 0
        while time.monotonic() < until:
            if not self.online:
                return SyncReport(connected=False, idle=False, error="the connection broke", left=self._left())
            quiet = quiet + 1 if self._last_frame == last else 0
            last = self._last_frame
            if quiet >= QUIET_LOOKS and self._outgoing.empty() and not core.waiting():
                core.session.flush = False
                return SyncReport(connected=True, idle=True, error="", left=())
            await asyncio.sleep(LOOK_SECONDS)
        core.session.flush = False
        return SyncReport(connected=True, idle=False, error="", left=self._left())

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """A session for the length of the block. Raises NotReached or Untrusted, also when it breaks meanwhile."""
        if self.online:
            yield
            return
        link = await self._greet()
        mine = asyncio.current_task()
        asked = mine.cancelling() if mine is not None else 0
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work(link)) for work in (self._hear, self._speak, self._tick)]
                tasks.append(group.create_task(self._beside()))
                yield
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as many:
            if mine is not None and mine.cancelling() > asked:
                raise asyncio.CancelledError from None  # which a group whose tasks fail meanwhile does not pass on
            raise _first(many) from None
        finally:
            self._link = None
            if self._device is not None:
                self._device.end()
            for question in self._questions.values():
                if not question.done():
                    question.set_exception(NotReached("the connection broke"))
            self._news.set()
            await link.close()

    async def _greet(self) -> Link:
        core = self.device_core
        link, challenge = await self._knock()
        try:
            early = await self._first(link)
        except BaseException:
            await link.close()
            raise
        self._outgoing = asyncio.Queue()
        self._moved = asyncio.Event()  # of this session's loop: a verb may run one after the other
        self._link, self._last_frame = link, time.monotonic()
        self._do(core.begin(now_ms(), challenge.charter_version))
        if early:
            self._turn(partial(core.receive, early))
        if abs(self.clock_off) > CLOCK_OFF:
            minutes = self.clock_off // 60_000
            self.act(lambda work: work.turn.alarm(AlarmKind.CLOCK, f"the gateway's clock differs by {minutes} minutes"))
        return link

    async def _first(self, link: Link) -> list[wire.FromGateway]:  # noqa: ARG002 (for those below)
        """What is said before anything is followed; gives what came meanwhile."""
        return []

    async def _knock(self) -> tuple[Link, wire.Challenge]:
        """Connect and greet: each has proved to the other who it is."""
        me = self.identity
        patience = OPEN_NARROW_SECONDS if self._narrow else OPEN_SECONDS
        policy = self.charter.policy
        link = await Link.open(policy.gateway_url, policy.tls_keys, tap=self._tap, patience=patience)
        try:
            seed = records.SEEDS.get(self._ledger, me.certificate_hash)
            assert seed is not None, "an identity comes with its key"
            greeting = Greeting(me, self.charter, link.tls_key, os.urandom(32))
            async with asyncio.timeout(GREETING_NARROW_SECONDS if self._narrow else GREETING_SECONDS):
                await link.send(greeting.hello())
                challenge = await _expect(link, wire.Challenge)
                await link.send(greeting.prove(challenge, SigningKey(seed.seed)))
                ready = await _expect(link, wire.Ready)
            greeting.check(challenge, ready)
        except TimeoutError:
            await link.close()
            raise NotReached("the gateway does not answer the greeting") from None
        except BaseException:
            await link.close()
            raise
        self.clock_off = ready.time - now_ms()
        return link, challenge

    async def _hear(self, link: Link) -> None:
        while True:
            frames = await link.receive()
            self._last_frame = time.monotonic()
            self._turn(partial(self.device_core.receive, frames))
            await asyncio.sleep(0)

    async def _speak(self, link: Link) -> None:
        while True:
            await link.send(await self._outgoing.get())

    async def _tick(self, link: Link) -> None:  # noqa: ARG002 (one form with the other two)
        while True:
            await self._pause()
            if self.device_core.session.reconnect:
                raise _Again  # whether or not anything more comes
            if not self.online:
                raise _Again  # somebody's turn failed and the machine was made anew: it knows nothing of this session
            if self.device_core.due(now_ms()):
                self._turn(self.device_core.tick)

    async def _pause(self) -> None:
        """A moment; a longer one while nothing is under way, until the next turn or the moment that a step waits for."""
        self._moved.clear()
        await asyncio.sleep(TICK_SECONDS)
        core, now = self.device_core, now_ms()
        if self.online and not core.session.reconnect and not core.due(now):
            with suppress(TimeoutError):
                async with asyncio.timeout(min(REST_SECONDS, (core.rests_until - now) / 1000)):
                    await self._moved.wait()

    async def _beside(self) -> None:
        """What else goes on in a session; for those below."""

    def _turn(self, step: Callable[[int], Outcome]) -> None:
        try:
            self._do(step(now_ms()))
        except BaseException:
            self._drop()
            raise


class _Again(Exception):
    """This session is to be opened anew: the device has another certificate now, or its machine has begun again."""


def _first(many: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that a session ended with: what is wrong before what is only gone."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [many]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(error.exceptions)
        else:
            flat.append(error)
    order = (Untrusted, _Again, NotReached)
    return min(flat, key=lambda e: next((n for n, kind in enumerate(order, 1) if isinstance(e, kind)), 0))


F = TypeVar("F", bound=wire.Frame)


async def _expect(link: Link, kind: type[F]) -> F:
    frame = (await link.receive())[0]
    if isinstance(frame, kind):
        return frame
    if isinstance(frame, wire.Refused):
        raise refusal(frame)
    raise Untrusted(f"the gateway answered {type(frame).__name__} in place of {kind.__name__}")


def refusal(frame: wire.Refused) -> ClientError:
    """What a refusal means to the user."""
    text = f"{frame.refusal.name}: {frame.detail}"
    if frame.refusal in (wire.Refusal.ROLE, wire.Refusal.TLP, wire.Refusal.REVOKED, wire.Refusal.EXPIRED):
        return NotAllowed(text)
    if frame.refusal is wire.Refusal.DENIED:
        return Unknown(text)
    return NotNow(text)
