"""Who is told who can be reached, and what they are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from gateway import wire
from gateway.core import limits
from gateway.core.answers import reach
from gateway.core.effects import Outcome, PutRoads
from gateway.core.errors import Refused
from gateway.wire import FRAME_LIMIT, Refusal
from keys.canonical import encode
from tests.gateway.core.checks import accepted
from tests.gateway.core.world import Party, World, founded


@pytest.fixture
def world() -> World:
    return founded()


@dataclass
class There:
    """Who is connected, as a running gateway would know it."""

    now: set[bytes] = field(default_factory=set)
    before: Mapping[bytes, int] = field(default_factory=dict)

    def connected(self, device: bytes) -> bool:
        return device in self.now

    def seen(self, device: bytes) -> int:
        return self.before.get(device, 0)


def ask(party: Party, presence: There | None = None, after: bytes = bytes(16)) -> wire.Reach:
    world = party.world
    return reach(world.view, party.identity, wire.GetReach(7, after), presence or There(), world.now)


def denied(party: Party) -> Refusal:
    with pytest.raises(Refused) as refused:
        ask(party)
    return refused.value.refusal


def test_an_officer_learns_who_is_there_and_by_which_roads(world: World) -> None:
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    roads = PutRoads(("mail", "sms"), ((agent.identity.person, "sms"),))
    world.run(lambda: Outcome(None, [roads]))
    told = ask(officer, There({officer.id}, {agent.id: 5_000}))
    assert told.roads == ["mail", "sms"]
    assert {d.device: (d.connected, d.seen, d.roads) for d in told.devices} == {
        officer.id: (True, 0, []),
        agent.id: (False, 5_000, ["sms"]),
    }
    assert [d.device for d in ask(officer, after=told.devices[0].device).devices] == [told.devices[1].device]
    assert ask(officer, after=told.devices[1].device).devices == []


def test_nobody_else_is_told(world: World) -> None:
    agent, guest = world.enrolled("agent"), world.enrolled("guest", house=world.mission.partner)
    assert denied(agent) is denied(guest) is Refusal.ROLE
    officer = world.enrolled("officer")
    accepted(world.publish_list("Meridian", [officer.device.certified.serial], number=2))
    assert denied(officer) is Refusal.REVOKED


def test_a_page_fits_its_frame(world: World) -> None:
    officer = world.enrolled("officer")
    names = tuple(f"road-{n:02}-{'x' * 20}" for n in range(wire.ROADS_LIMIT))
    world.run(lambda: Outcome(None, [PutRoads(names, tuple((officer.identity.person, n) for n in names))]))
    told = ask(officer)
    assert told.roads == list(names) == told.devices[0].roads
    assert len(encode(told)) * limits.LISTED > FRAME_LIMIT  # so a page is cut by its bytes
    assert len(encode(told)) < limits.ANSWER_BYTES
