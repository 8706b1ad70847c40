"""A restored world is the one that was built, to the byte, and touches no other copy."""

from __future__ import annotations

import pytest

from tests.clients.relay import World, world_of
from tests.clients.talk import say, texts
from tests.restored import restored


@restored
def pair() -> tuple[World, bytes]:
    world = world_of("Chen officer", "Ana agent")
    return world, world.channel(*world.parties)


def ledgers(world: World) -> list[dict[str, dict[bytes, bytes]]]:
    return [party.ledger.shelves for party in world.parties]


def talk(world: World, channel: bytes) -> None:
    for party in world.parties:
        say(party, channel, f"{party.name} speaking")
    world.run()


def test_two_copies_go_the_same_way_and_apart() -> None:
    (first, channel), (second, _) = pair(), pair()
    before = second.relay.db.serialize("main")
    talk(first, channel)
    assert second.relay.db.serialize("main") == before
    assert texts(second.parties[0], channel) == []
    talk(second, channel)
    assert ledgers(first) == ledgers(second), "one seed, one history"
    assert first.relay.checkpoint() == second.relay.checkpoint()


def test_a_copy_goes_the_way_of_what_was_built() -> None:
    made = []

    @restored
    def kept() -> tuple[World, bytes]:
        made.append(pair())
        return made[0]

    copied, channel = kept()
    (built, _) = made[0]
    for world in (built, copied):
        talk(world, channel)
    assert ledgers(built) == ledgers(copied)


def test_what_may_hold_the_world_in_a_closure_is_not_copied() -> None:
    def make() -> list[object]:
        world: list[object] = []
        return [world, lambda: world]

    with pytest.raises(AssertionError, match="may hold what changes"):
        restored(make)()
