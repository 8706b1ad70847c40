"""Unlocks at the gateway: of one length, in a stream of their own, and delivered to officers alone."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.following import audience, recipient_of
from gateway.wire import Refusal
from keys.envelope import Kind
from keys.unlock import LENGTH
from tests.gateway.core.checks import Scene, accepted, refused, scene

BODY = bytes(LENGTH)


@pytest.fixture
def a() -> Scene:
    return scene()


def unlock(a: Scene, body: bytes = BODY, channel: bytes | None = None, kind: Kind = Kind.UNLOCK, **changes: Any) -> Any:
    return a.agent.say(kind, channel or a.world.charter.unlock_stream, body, **changes)


def test_an_unlock_stands_in_its_own_stream_and_goes_to_officers(a: Scene) -> None:
    for _ in range(2):
        accepted(unlock(a))
    stored = a.world.committed[-1]
    assert (stored.channel, stored.seq, stored.kind) == (a.world.charter.unlock_stream, 2, Kind.UNLOCK)
    stream = a.world.view.stream(stored.channel)
    assert stream is not None
    told, other = audience(a.world.view, stream, stored), a.world.enrolled("agent")
    for who, hears in ((a.officer, True), (other, False)):
        assert told.includes(recipient_of(who.identity, a.world.charter)) is hears


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"body": BODY[1:]}, Refusal.SCHEMA, id="shorter"),
        pytest.param({"body": BODY + b"1"}, Refusal.SCHEMA, id="longer"),
        pytest.param({"epoch": 1}, Refusal.DENIED, id="of an epoch"),
        pytest.param({"expires": 10**13}, Refusal.DENIED, id="with an end"),
    ],
)
def test_no_unlock(a: Scene, changes: dict[str, Any], refusal: Refusal) -> None:
    refused(a.world, refusal, lambda: unlock(a, **changes))


def test_an_unlock_stands_nowhere_else(a: Scene) -> None:
    for channel in (a.world.charter.control_channel, a.channel, bytes(16)):
        refused(a.world, Refusal.DENIED, lambda c=channel: unlock(a, channel=c))  # type: ignore[misc]


def test_nothing_else_stands_among_the_unlocks(a: Scene) -> None:
    accepted(unlock(a))
    for kind in (Kind.CERTIFICATE, Kind.REVOCATION_LIST, Kind.JUMP, Kind.ACK, Kind.RECEIPT):
        refused(a.world, Refusal.DENIED, lambda k=kind: unlock(a, kind=k))  # type: ignore[misc]
