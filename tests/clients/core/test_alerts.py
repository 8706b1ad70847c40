"""An alert's root: what it binds, and that an answer's number tells nothing."""

from __future__ import annotations

import pytest

from clients.core import alerts, conversation, records
from clients.core.errors import NotAllowed, Unknown
from keys.envelope import Marking
from tests.clients.alarms import CAP, alone
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import see


def alert(world: World, mso: Party, *channels: bytes, cap: bytes = CAP) -> bytes:
    """Chen alone; gives the root."""
    root = alone(mso, *channels, cap=cap)
    world.run()
    return root


def test_two_audiences_one_alert_and_who_is_silent() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent", "Luis guest")
    mso, ana, ben, guest = world.parties
    detail = world.channel(mso, ana, ben, kind="alert", ceiling=Marking.AMBER)
    desk = world.channel(mso, guest, kind="alert", ceiling=Marking.GREEN)
    root = alert(world, mso, detail, desk)
    for party in (ana, ben, guest):
        known = records.ALERTS.get(party.ledger, root)
        assert known is not None
        assert known.cap == CAP
        assert len(known.places) == 1, "a guest sees its own audience and no other"
        assert not party.alarms()
    number = records.ALERTS.get(ana.ledger, root).options[1]
    ana.act(lambda work: conversation.acknowledge(work, root, "need help", "two wounded"))
    guest.act(lambda work: conversation.acknowledge(work, root, 0, ""))
    world.run()
    given = dict(alerts.answers(mso.ledger, root))
    assert {d: a.option for d, a in given.items()} == {ana.id: number, guest.id: 0}
    assert given[ana.id].text == "two wounded"
    assert alerts.option_text(records.ALERTS.get(mso.ledger, root), number) == "NEED HELP"
    assert set(records.ALERTS.get(mso.ledger, root).targets) == {ana.id, ben.id, guest.id}
    with pytest.raises(Unknown):
        ana.act(lambda work: conversation.acknowledge(work, root, "LUNCH", ""))


def test_an_agent_alerts_nobody() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana, kind="alert")
    with pytest.raises(NotAllowed):
        alone(ana, channel)
    with pytest.raises(NotAllowed):
        alone(mso, channel, reason=" ")


def test_an_alert_channel_carries_no_talk() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana, kind="alert")
    from tests.clients.talk import say

    with pytest.raises(NotAllowed):
        say(mso, channel, "hello")
    assert see(ana) == []
