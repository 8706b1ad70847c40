"""How a refusal is held to its word: of this class, with nothing changed, and the uniform one with the same bytes always."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gateway import wire
from gateway.core.errors import Refused, denied
from gateway.wire import Refusal
from keys.envelope import Envelope
from keys.identity import ChannelId
from keys.statement import GatewayRefusal, verify_refusal
from tests.gateway.core.world import Party, World
from tests.restored import restored


@dataclass
class Scene:
    """An officer's channel with an agent in it; both may send."""

    world: World
    officer: Party
    agent: Party
    channel: ChannelId


@restored
def scene(seed: int = 1, name: str = "narrow", **terms: Any) -> Scene:
    world = World(seed)
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    channel = officer.create_channel(name, **terms)
    accepted(officer.add(channel, agent))
    agent.join(officer, channel)
    return Scene(world, officer, agent, channel)


def accepted(answer: Any) -> wire.Accepted:
    assert isinstance(answer, wire.Accepted), answer
    return answer


def done(answer: Any) -> int:
    assert isinstance(answer, wire.Done), answer
    return answer.value


def refused(world: World, refusal: Refusal, act: Callable[[], Any]) -> Refused:
    """`act` is refused so, and the database is bit for bit as before."""
    before = world.snapshot()
    answer = act()
    assert isinstance(answer, Refused), answer
    assert answer.refusal is refusal, answer
    assert world.snapshot() == before
    if refusal is Refusal.DENIED:
        assert (answer.detail, answer.retry_after) == (denied().detail, 0)
    return answer


def sealed_again(world: World, refusal: Refusal, envelope: Envelope, act: Callable[[], Any]) -> GatewayRefusal:
    """`act` is refused by a signed statement about this header; only that refusal is remembered."""
    before = dump(world)
    answer = act()
    assert isinstance(answer, wire.Refused), answer
    assert answer.refusal is refusal
    assert dump(world) == before
    assert answer.statement is not None
    said = verify_refusal(answer.statement, world.charter.policy.gateway_key, sha256(envelope.header).digest())
    assert said.refusal == refusal
    return said


def given_up(world: World, refusal: Refusal, act: Callable[[], Any]) -> None:
    """`act` is refused for good, signed, so that its number is free for something else; only that refusal is remembered."""
    before = dump(world)
    answer = act()
    assert isinstance(answer, wire.Refused), answer
    assert (answer.refusal, answer.statement is not None) == (refusal, True), answer
    assert dump(world) == before


def dump(world: World) -> dict[str, list[Any]]:
    """All rows but the remembered refusals."""
    names = [
        n for (n,) in world.db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'refusals'")
    ]
    return {name: sorted(world.db.execute(f"SELECT * FROM {name}").fetchall()) for name in names}
