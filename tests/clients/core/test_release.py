"""Who would be shown an alert, and whether its marking lets it go there: TLP 2.0 and the agreements of the charter."""

from __future__ import annotations

import pytest

from clients.core import conversation, release
from clients.core.errors import ClientError, NotAllowed, NotNow, Unknown
from keys.envelope import Marking
from tests.clients.relay import Party, World


class Scene:
    """Chen, Dara and Ana of home, Luis of a partner; an alert channel for home and one with the guest."""

    def __init__(self) -> None:
        self.world = World()
        self.chen, self.dara = self.world.party("Chen", "officer"), self.world.party("Dara", "officer")
        self.ana = self.world.party("Ana", "agent")
        self.luis = self.world.party("Luis", "guest", guest=True)
        self.inside = self.world.channel(self.chen, self.dara, self.ana, kind="alert", ceiling=Marking.AMBER)
        self.liaison = self.world.channel(self.chen, self.dara, self.luis, kind="alert", ceiling=Marking.AMBER)

    def check(self, marking: Marking, *channels: bytes, by: Party | None = None) -> None:
        (by or self.chen).act(lambda work: release.check(work, channels, marking))

    def refusal(self, marking: Marking, *channels: bytes, by: Party | None = None) -> tuple[type[ClientError], str]:
        with pytest.raises(ClientError) as refused:
            self.check(marking, *channels, by=by)
        kind = NotAllowed if isinstance(refused.value, NotAllowed) else type(refused.value)
        return kind, str(refused.value)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_each_person_is_named_once_with_devices_and_channels(scene: Scene) -> None:
    found = scene.chen.act(lambda work: release.receivers(work, [scene.inside, scene.liaison, scene.inside]))
    assert [(r.name, r.outside, r.you) for r in found] == [
        ("Ana", False, False),
        ("Chen", False, True),
        ("Dara", False, False),
        ("Luis", True, False),
    ]
    assert found[0].devices == (scene.ana.id,)
    assert found[0].channels == (scene.inside,)
    assert found[2].channels == (scene.inside, scene.liaison)
    assert found[3].organisation == "Hostpol"


def test_a_person_with_two_devices_is_one_person() -> None:
    world = World()
    chen = world.party("Chen", "officer")
    person = world.mission.device("agent").certified.person
    phone, laptop = world.party("Ana", "agent", person=person), world.party("Ana", "agent", person=person)
    channel = world.channel(chen, phone, laptop, kind="alert")
    ana = next(r for r in chen.act(lambda work: release.receivers(work, [channel])) if not r.you)
    assert set(ana.devices) == {phone.id, laptop.id}


def test_what_may_go(scene: Scene) -> None:
    for marking in (Marking.CLEAR, Marking.GREEN, Marking.AMBER):
        scene.check(marking, scene.inside, scene.liaison)


def test_amber_strict_stays_in_its_organisation(scene: Scene) -> None:
    kind, said = scene.refusal(Marking.AMBER_STRICT, scene.inside, scene.liaison)
    assert kind is NotAllowed
    assert said.startswith("TLP:AMBER+STRICT stays in Meridian, and people of Hostpol would get it. Leave ")


def test_red_goes_to_no_channel(scene: Scene) -> None:
    kind, said = scene.refusal(Marking.RED, scene.inside)
    assert (kind, "named one by one" in said) == (NotAllowed, True)


def test_a_marking_above_the_channel(scene: Scene) -> None:
    kind, said = scene.refusal(Marking.AMBER_STRICT, scene.inside)
    assert (kind, "goes up to TLP:AMBER" in said) == (NotAllowed, True)


def test_an_agreement_that_has_ended() -> None:
    scene = Scene()
    until = scene.world.mission.charter.policy.organisation("Hostpol").until
    scene.check(Marking.GREEN, scene.liaison)
    scene.world.relay.now = until + 1
    kind, said = scene.refusal(Marking.GREEN, scene.liaison)
    assert (kind, said.startswith("the agreement with Hostpol has ended. Leave ")) == (NotAllowed, True)


def test_channels_that_are_none(scene: Scene) -> None:
    assert scene.refusal(Marking.GREEN)[0] is Unknown
    assert scene.refusal(Marking.GREEN, bytes(16))[0] is Unknown
    talk = scene.world.channel(scene.chen, scene.ana, kind="narrow")
    kind, said = scene.refusal(Marking.GREEN, talk)
    assert (kind, "carries talk" in said) == (NotAllowed, True)


def test_a_channel_that_was_left(scene: Scene) -> None:
    world = scene.world
    channel = world.channel(scene.chen, scene.dara, kind="alert")
    scene.dara.act(lambda work: conversation.change(work, channel, remove=[scene.chen.id]))
    world.run()
    assert scene.refusal(Marking.GREEN, channel)[0] is NotNow


def test_outsiders_get_amber_only_with_a_reason(scene: Scene) -> None:
    def check(marking: Marking, reason: str, *channels: bytes) -> None:
        scene.chen.act(lambda work: release.check_reason(work, channels, marking, reason))

    check(Marking.AMBER, "", scene.inside)
    check(Marking.GREEN, "", scene.liaison)
    check(Marking.AMBER, "joint cordon", scene.inside, scene.liaison)
    with pytest.raises(NotAllowed, match="TLP:AMBER goes to Hostpol"):
        check(Marking.AMBER, " ", scene.inside, scene.liaison)


def test_an_organisation_that_the_charter_does_not_name(scene: Scene) -> None:
    said = scene.chen.act(
        lambda work: (release.withheld(work, "Nobody", Marking.GREEN), release.withheld(work, "", Marking.GREEN))
    )
    assert said[0] == "the charter names no organisation Nobody"
    assert "not known here" in said[1]
