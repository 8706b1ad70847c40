"""A signature that was checked ahead of its decision is the very one that the decision asks for, or it is checked again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway import wire
from gateway.core import requests
from gateway.core.ahead import Ahead
from gateway.core.errors import Refused
from gateway.wire import Refusal
from keys.errors import BadSignature
from keys.identity import SigningKey
from tests.gateway.core.world import Party, World, founded


@pytest.fixture(scope="module")
def world() -> World:
    return founded()


def frame_of(party: Party, channel: bytes, signature: bytes | None = None) -> wire.Submit:
    envelope, data = party.message(channel)
    return wire.Submit(1, [wire.Sealed(envelope.header, signature or envelope.signature, data)])


def ways(party: Party, ahead: Ahead, frame: wire.Submit) -> Any:
    """The decision, with what was found before."""
    world = party.world
    return requests.decide(
        world.view, party.identity, frame, world.gateway, world.now, world.random, ahead.verify
    ).answer


@pytest.mark.parametrize(
    "look", [pytest.param(Ahead.look, id="checked ahead"), pytest.param(lambda _: None, id="nobody had the time")]
)
def test_either_way_the_decision_is_the_same(world: World, look: Callable[[Ahead], None]) -> None:
    officer = world.enrolled("officer")
    channel = officer.create_channel()
    good = frame_of(officer, channel)
    forged = frame_of(officer, channel, bytes(64))
    for frame in (good, forged):
        ahead = Ahead(officer.identity, frame)
        look(ahead)
        if frame is good:
            assert isinstance(ways(officer, ahead, frame), wire.Accepted)
            continue
        with pytest.raises(Refused) as refused:
            ways(officer, ahead, frame)
        assert refused.value.refusal is Refusal.DENIED


def test_what_holds_for_one_holds_for_no_other(world: World) -> None:
    """Another key, label, header or signature is checked for itself."""
    officer, other = world.enrolled("officer"), SigningKey.generate(world.random)
    channel = officer.create_channel()
    frame = frame_of(officer, channel)
    sealed, key, label = frame.run[0], officer.identity.public_key, "envelope application"
    ahead = Ahead(officer.identity, frame)
    ahead.look()
    ahead.verify(key, label, sealed.header, sealed.signature)
    for wrong in (
        (other.public, label, sealed.header, sealed.signature),
        (key, "envelope ack", sealed.header, sealed.signature),
        (key, label, sealed.header + b"\0", sealed.signature),
        (key, label, sealed.header, bytes(64)),
    ):
        with pytest.raises(BadSignature):
            ahead.verify(*wrong)


def test_another_key_of_the_session_helps_nobody(world: World) -> None:
    """Where the session's key is not the one that signed, nothing is found ahead, and the decision finds it wanting."""
    officer = world.enrolled("officer")
    frame = frame_of(officer, officer.create_channel())
    stranger = replace(officer.identity, public_key=SigningKey.generate(world.random).public)
    ahead = Ahead(stranger, frame)
    ahead.look()
    assert ahead._holds is None
    assert isinstance(ways(officer, ahead, frame), wire.Accepted)


@pytest.mark.parametrize("header", [b"", b"\x93", bytes(40), b"\x93\xc4\x28" + bytes(40)])
def test_what_is_no_header_is_left_to_the_decision(world: World, header: bytes) -> None:
    officer = world.enrolled("officer")
    ahead = Ahead(officer.identity, wire.Submit(1, [wire.Sealed(header, bytes(64), b"")]))
    ahead.look()
    assert ahead._holds is None
