"""The hub's task with one session that keeps what it is told."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from gateway import wire
from gateway.core.following import follow
from gateway.core.rows import Identity
from gateway.core.view import View
from gateway.web.followers import Peer
from gateway.web.hub import Hub
from gateway.web.pages import Pages
from gateway.web.service import Service
from keys.envelope import Kind
from tests.gateway.core.world import World, founded


@dataclass
class Held:
    """A store that is the world's."""

    world: World

    @contextmanager
    def snapshot(self) -> Iterator[View]:
        yield cast(View, self.world.view)


@dataclass(eq=False)
class Session:
    """The hub's `Peer`: what is written to it is kept."""

    who: Identity
    feed: Any = None
    newest: int = -1
    logged: int = 0
    joined: dict[bytes, int] = field(default_factory=dict)
    writable: bool = True
    restless: bool = False
    written: list[bytes] = field(default_factory=list)
    said: list[wire.FromGateway] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    sent: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, framed: bytes) -> None:
        self.written.append(framed)
        self.sent.set()

    pass_on = push

    def say(self, frame: wire.FromGateway) -> None:
        self.said.append(frame)

    def cut(self, reason: str) -> None:
        self.ended.append(reason)

    def replace(self) -> None:
        self.ended.append("replaced")

    def sweep(self, now: float) -> None: ...


async def test_a_narrow_link_stays_narrow_under_another_charter() -> None:
    world = founded()
    agent = world.enrolled("agent")
    store: Any = Held(world)
    nothing: Any = None
    service = Service(store, nothing, nothing, lambda: world.now, bytes, nothing, lambda: 0, charter=world.charter)
    hub = Hub(service, Pages(store))
    session = Session(agent.identity)
    hub.enter(cast(Peer, session))
    asked = wire.Follow(1, [], wire.WINDOW_LEAST)
    hub.begin(cast(Peer, session), follow(cast(View, world.view), agent.identity, world.charter, asked).feed)
    running = asyncio.create_task(hub.run())
    await session.sent.wait()  # what stands in the control channel
    session.feed.taken(1)
    session.sent.clear()
    world.succeed()
    hub.committed([world.committed[-1]])
    await session.sent.wait()
    running.cancel()
    assert world.committed[-1].kind is Kind.CHARTER
    assert service.charter == world.charter
    assert [type(frame) for frame in session.said] == [wire.Notice]
    assert session.feed.recipient.window == wire.WINDOW_LEAST
    assert session.feed.recipient.narrow
    assert not session.ended
