"""What stands between an alert and a person: each lack by itself, on devices that have really talked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from clients.core.ledger import Draft
from clients.core.reaching import ENDING, SILENT, Lack, Limits, Reach, Sighting, reach
from clients.core.records import PEERS, Peer
from clients.core.turn import DAY, HOUR
from keys.envelope import Marking
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import say
from tests.restored import restored

ROAD = Sighting(False, 0, ("sms",))
USUAL = Limits()


@dataclass
class Scene:
    world: World
    chen: Party
    ana: Party

    def reach(self, sightings: dict[bytes, Sighting] | None = None, limits: Limits = USUAL) -> Reach:
        """How Ana can be reached, as Chen's device knows it."""
        person = self.ana.enrolled.certified.person
        (found,) = self.chen.act(lambda work: reach(work, sightings, [person], limits))
        assert isinstance(found, Reach)
        return found

    def peer(self, device: bytes, **changes: object) -> None:
        """Change what the directory says of a device."""
        draft = Draft(self.chen.ledger)
        known = PEERS.get(draft, device)
        person = self.ana.enrolled.certified.person
        values = known or Peer(person, "Meridian", ["agent"], bytes(32), self.world.now + 30 * DAY, False, 5)
        PEERS.put(draft, device, replace(values, **changes))
        self.chen.ledger.apply(draft.changes())


@pytest.fixture
@restored
def scene() -> Scene:
    world = world_of("Chen officer", "Ana agent")
    chen, ana = world.parties
    channel = world.channel(chen, ana, kind="narrow")
    world.channel(chen, ana, kind="alert", ceiling=Marking.AMBER)
    say(chen, channel, "are you there")  # what Ana's device answers with a receipt
    world.run()
    chen.disconnect()
    chen.connect()
    world.run()
    return Scene(world, chen, ana)


def test_a_receipt_is_a_sign(scene: Scene) -> None:
    found = scene.reach()
    assert found.reachable
    assert found.lacks == (Lack.ONE_DEVICE,)
    assert 0 < found.seen <= scene.world.now
    assert found.roads is None


def test_a_device_without_a_sign_for_too_long(scene: Scene) -> None:
    scene.world.relay.now += SILENT + HOUR
    found = scene.reach()
    assert (found.reachable, Lack.SILENT in found.lacks) == (False, True)
    assert scene.reach(limits=Limits(silent=SILENT + 2 * HOUR)).reachable
    here = scene.reach({scene.ana.id: Sighting(True, 0, ())})
    assert (here.reachable, here.connected, here.seen) == (True, True, scene.world.now)
    lately = scene.reach({scene.ana.id: Sighting(False, scene.world.now - HOUR, ())})
    assert (lately.reachable, lately.connected) == (True, False)
    ahead = scene.reach({scene.ana.id: Sighting(False, scene.world.now + DAY, ())})
    assert ahead.seen == scene.world.now  # a gateway's clock that runs ahead makes nobody fresher than now


def test_a_device_that_was_never_seen(scene: Scene) -> None:
    late = scene.world.party("Ben", "agent")
    scene.ana = late
    scene.peer(late.id)
    assert scene.reach().lacks == (Lack.NO_CHANNEL, Lack.NEVER_SEEN, Lack.ONE_DEVICE)


def test_roads_are_the_gateways_to_tell(scene: Scene) -> None:
    assert Lack.NO_SECOND_ROAD not in scene.reach(None).lacks
    assert Lack.NO_SECOND_ROAD in scene.reach({}).lacks
    told = scene.reach({scene.ana.id: ROAD})
    assert (told.roads, Lack.NO_SECOND_ROAD in told.lacks) == (("sms",), False)


def test_a_certificate_about_to_end_or_over(scene: Scene) -> None:
    scene.peer(scene.ana.id, not_after=scene.world.now + ENDING - 1)
    assert scene.reach().lacks == (Lack.ENDING, Lack.ONE_DEVICE)
    scene.peer(scene.ana.id, not_after=scene.world.now)
    over = scene.reach({scene.ana.id: ROAD})
    assert (over.lacks, over.reachable, over.devices, over.roads) == ((Lack.NO_DEVICE,), False, 0, ("sms",))


def test_every_device_revoked(scene: Scene) -> None:
    scene.peer(scene.ana.id, revoked=True)
    gone = scene.reach()
    assert (gone.gone, gone.lacks) == (True, (Lack.REVOKED,))
    scene.peer(b"2" * 16)
    second = scene.reach()
    assert (second.gone, second.devices) == (False, 1)


def test_two_devices(scene: Scene) -> None:
    scene.peer(b"2" * 16)
    assert scene.reach().lacks == ()


def test_nobody_of_that_id(scene: Scene) -> None:
    (found,) = scene.chen.act(lambda work: reach(work, None, [bytes(16)]))
    assert (found.lacks, found.reachable, found.gone) == ((Lack.NO_DEVICE,), False, False)


def test_who_cannot_be_reached_stands_first(scene: Scene) -> None:
    everybody = scene.chen.act(lambda work: reach(work, None))
    assert scene.chen.enrolled.certified.person in {one.person for one in everybody}
    assert [one.reachable for one in everybody] == sorted(one.reachable for one in everybody)
