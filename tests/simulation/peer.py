"""A conversation over one line, as the simulated gateway has it: what `gateway.web.socket` does without sockets and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway import wire
from gateway.core import answers, limits, requests
from gateway.core.append import Gateway
from gateway.core.feed import Feed
from gateway.core.following import fetch, follow, recipient_of
from gateway.core.lane import page_of
from gateway.core.rows import Identity
from gateway.core.session import Session
from gateway.store.base import Broken, Damaged
from gateway.web.refusals import ANSWERED, refusal
from gateway.web.request import beside
from keys.canonical import reader
from keys.envelope import peek
from keys.errors import Malformed
from tests.simulation.network import DOWN, Line

if TYPE_CHECKING:
    from tests.simulation.gateway import Process

read_placed = reader(wire.Placed)


class Peer:
    """A conversation over one line; what `web.socket.Conversation` does."""

    def __init__(self, process: Process, line: Line) -> None:
        self.process = process
        self.line = line
        self.session = Session()
        self.feed: Feed | None = None
        self.newest = -1
        self.logged = 0
        self.joined: dict[bytes, int] = {}
        self.deciding = 0
        self.ended = False

    @property
    def who(self) -> Identity:
        assert self.session.identity is not None
        return self.session.identity

    def say(self, frame: wire.FromGateway) -> None:
        if not self.ended:
            for data in self.process.world.lies.to_device(self, frame):
                self.line.send(DOWN, data)

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.line.close(DOWN)
            self.process.leave(self)

    def cut(self, reason: str) -> None:
        self.say(wire.Notice(wire.Alarm.CUT_OFF, reason))
        self.end()

    # --- what comes in ---

    def hear(self, data: bytes) -> None:
        if self.ended:
            return
        self.process.world.oracle.at_the_relay(data)
        try:
            frame = wire.read_from_device(data)
        except Malformed as error:
            self._refuse(refusal(0, error))
            self.end()
            return
        try:
            self._dispatch(frame)
        except Broken as error:
            self.process.stop(error)
        except ANSWERED as error:
            self._refuse(refusal(getattr(frame, "id", 0), error))
            if isinstance(frame, wire.Hello | wire.Proof):
                self.end()
        except Damaged:
            self.damaged()

    def damaged(self) -> None:
        """What it needs can't be read: a fault, as `web.socket` has it, and somebody looks at the disk."""
        self.process.machine.noticed()
        self.end()

    def _refuse(self, frame: wire.Refused) -> None:
        self.say(frame)

    def _dispatch(self, frame: wire.FromDevice) -> None:
        process, who = self.process, self.session.identity
        if isinstance(frame, wire.Hello | wire.Proof):
            self._greet(frame)
        elif isinstance(frame, wire.Cursor) and who is not None:
            self._cursor(frame)
        elif isinstance(frame, wire.Taken) and who is not None:
            if self.feed is not None:
                self.feed.taken(frame.count)
                process.pump(self)
        elif isinstance(frame, wire.Follow) and who is not None:
            self._follow(frame)
        elif isinstance(frame, wire.Fetch) and who is not None:
            self._fetch(frame)
        elif isinstance(frame, wire.Prove) and who is not None:
            process.prove(self, frame)
        elif type(frame) in answers.ANSWERS:
            with process.store.snapshot() as view:
                self.say(answers.answer(view, who, frame, process.now()))
        else:
            self.decide(frame)

    def _greet(self, frame: wire.Hello | wire.Proof) -> None:
        process = self.process
        charter = process.charter
        if isinstance(frame, wire.Hello):
            self.session, challenge = self.session.greet(frame, charter, process.random(32), process.now())
            self.say(challenge)
            return
        with process.store.snapshot() as view:
            self.session, ready = self.session.prove(frame, view, charter, process.key, process.now())
        process.enter(self)
        self.say(ready)

    def _follow(self, frame: wire.Follow) -> None:
        process = self.process
        with process.store.snapshot() as view:
            following = follow(view, self.who, process.charter, frame)
            low = not self.who.registrar and view.packages_left(self.who.device) < limits.KEY_PACKAGES_LOW
        self.joined = {state.channel: state.since for state in following.channels.channels}
        self.say(following.channels)
        for joined in following.joined:
            self.say(joined)
        if low:
            self.say(wire.Notice(wire.Alarm.LOW_KEY_PACKAGES, "few KeyPackages are left: put more"))
        self.feed = following.feed
        process.greet(self)
        process.pump(self)

    def _fetch(self, frame: wire.Fetch) -> None:
        process = self.process
        with process.store.snapshot() as view:
            rows = fetch(view, self.who, process.charter, frame)
        recipient = self.feed.recipient if self.feed is not None else recipient_of(self.who, process.charter)
        for one in page_of(frame.channel, rows).to(recipient).placed:
            process.deliver(self, read_placed(one))
        self.say(wire.Done(frame.id, len(rows)))

    def _cursor(self, frame: wire.Cursor) -> None:
        if self.feed is not None:
            self.feed.stored(frame.position.channel, frame.position.seq)
            self.process.pump(self)

    def decide(self, frame: wire.FromDevice) -> None:
        """In the store's order of calls; answered once it is durable."""
        process, who = self.process, self.session.identity
        self.deciding += 1

        def decision(view: Any) -> Any:
            charter = view.charter()
            gateway = Gateway(charter, process.key)
            return requests.decide(view, who, frame, gateway, process.now(), process.random)

        def done(answer: Any, error: BaseException | None) -> None:
            self.deciding -= 1
            if isinstance(error, Broken):
                process.stop(error)
            elif isinstance(error, ANSWERED):
                self._refuse(refusal(getattr(frame, "id", 0), error))
            elif isinstance(error, Damaged):
                self.damaged()
            elif error is not None:
                raise error  # a fault of the core: the run ends with it
            elif answer is not None:
                if isinstance(answer, wire.Accepted):
                    self.newest = max(self.newest, answer.places[-1].index)
                    process.world.oracle.accepted(who, frame, answer)
                self.say(answer)

        process.decide(decision, done, patient=isinstance(frame, wire.Submit) and beside(*peek(frame.run[-1].header)))
