"""The beginning of a session: each thing that could be somebody in between."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clients.core import records
from clients.core.errors import Untrusted
from clients.core.greeting import Greeting
from gateway import wire
from keys.identity import SigningKey, verify
from tests.clients.relay import World, world_of

NONCE = bytes(range(32))


def greeting(tls_key: bytes = bytes(32)) -> tuple[World, Greeting, SigningKey]:
    world = world_of("Chen officer")
    (party,) = world.parties
    me = records.IDENTITY.get(party.ledger)
    assert me is not None
    return world, Greeting(me, party.device.charter, tls_key, NONCE), party.enrolled.key


def challenge(world: World) -> wire.Challenge:
    return wire.Challenge(bytes(32), world.mission.gateway.public, 1, bytes(32), world.now)


def transcript(world: World, greeting: Greeting, asked: wire.Challenge) -> bytes:
    me = greeting.me
    return wire.Transcript(
        me.device, NONCE, asked.nonce, world.mission.gateway.public, greeting.tls_key, me.certificate_hash
    ).content()


def test_both_sign_the_same_conversation() -> None:
    world, begun, key = greeting()
    asked = challenge(world)
    assert begun.hello() == wire.Hello(1, begun.me.device, NONCE)
    proof = begun.prove(asked, key)
    signed = transcript(world, begun, asked)
    verify(key.public, "session", signed, proof.signature)
    begun.check(asked, wire.Ready(world.mission.gateway.sign("session answer", signed), world.now))


def test_a_tls_key_that_the_charter_does_not_name() -> None:
    _, begun, _ = greeting(bytes([1]) * 32)
    with pytest.raises(Untrusted, match="TLS"):
        begun.hello()


def test_another_gateway() -> None:
    world, begun, key = greeting()
    asked = replace(challenge(world), gateway_key=SigningKey(bytes(32)).public)
    with pytest.raises(Untrusted, match="another gateway"):
        begun.prove(asked, key)


@pytest.mark.parametrize("label", ["session", "session answer"])
def test_a_gateway_that_does_not_hold_its_key(label: str) -> None:
    """Not even the device's own signature, handed back, passes for the gateway's."""
    world, begun, key = greeting()
    asked = challenge(world)
    signed = transcript(world, begun, asked)
    with pytest.raises(Untrusted, match="prove"):
        begun.check(asked, wire.Ready(key.sign(label, signed), world.now))


def test_an_answer_to_another_session() -> None:
    world, begun, _ = greeting()
    asked = challenge(world)
    other = replace(asked, nonce=bytes([7]) * 32)
    answer = world.mission.gateway.sign("session answer", transcript(world, begun, other))
    with pytest.raises(Untrusted, match="prove"):
        begun.check(asked, wire.Ready(answer, world.now))
