"""An alert's root: what it binds, and that an answer's number tells nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clients.core import alerts, conversation, records
from clients.core.alerts import root_of
from clients.core.content import AlertContent
from clients.core.errors import NotAllowed, Unknown
from keys.envelope import Marking
from keys.errors import BadSignature
from tests.clients.relay import Party, World
from tests.clients.talk import see

CAP = b"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>MM-1</identifier><sender>mso@meridian.example</sender>
<sent>2026-09-21T14:00:00-00:00</sent><status>Exercise</status><msgType>Alert</msgType><scope>Private</scope>
<addresses>detail</addresses><note>drill</note><info><category>Security</category><event>Shelter</event><urgency>Immediate</urgency>
<severity>Extreme</severity><certainty>Observed</certainty><headline>Shelter now</headline>
<parameter><valueName>response-option</valueName><value>SAFE</value></parameter>
<parameter><valueName>response-option</valueName><value>NEED HELP</value></parameter></info></alert>"""

CHANNELS = [bytes([n]) * 16 for n in (1, 2, 3)]
ISSUER = b"i" * 16


def composed() -> tuple[bytes, dict[bytes, AlertContent]]:
    world = World()
    mso = world.party("Chen", "officer")
    made = mso.act(lambda work: alerts.compose_alone(work.turn, CAP, CHANNELS, "gunfire"))
    return made.fields.root, dict(made.contents)


def test_every_channel_opens_the_same_root() -> None:
    root, contents = composed()
    issuer_roots = {root_of(c, ISSUER, channel) for channel, c in contents.items()}
    assert len(issuer_roots) == 1
    assert root not in issuer_roots, "another issuer, another root"
    assert len({c.leaf_salt for c in contents.values()}) == len(CHANNELS)
    assert len({tuple(c.options) for c in contents.values()}) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"cap": b"<alert/>"}, id="document"),
        pytest.param({"options": [1, 2]}, id="what the answers mean"),
        pytest.param({"reason": "other"}, id="reason"),
        pytest.param({"not_after": 1}, id="end"),
        pytest.param({"alert": bytes(16)}, id="id"),
        pytest.param({"salt": bytes(16)}, id="salt"),
    ],
)
def test_whatever_is_changed_changes_the_root(change: dict[str, object]) -> None:
    _, contents = composed()
    channel, content = next(iter(contents.items()))
    assert root_of(replace(content, **change), ISSUER, channel) != root_of(content, ISSUER, channel)


def test_a_content_opens_for_its_own_channel_only() -> None:
    _, contents = composed()
    with pytest.raises(BadSignature):
        root_of(contents[CHANNELS[0]], ISSUER, CHANNELS[1])
    unsorted = replace(contents[CHANNELS[0]], leaves=contents[CHANNELS[0]].leaves[::-1])
    with pytest.raises(BadSignature):
        root_of(unsorted, ISSUER, CHANNELS[0])


def alert(world: World, mso: Party, *channels: bytes) -> bytes:
    made, _ = mso.act(lambda work: conversation.alert_alone(work, list(channels), CAP, "gunfire at the gate"))
    world.run()
    return bytes(made.fields.root)


def test_two_audiences_one_alert_and_who_is_silent() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    guest = world.party("Luis", "guest", guest=True)
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
    world = World()
    mso, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(mso, ana, kind="alert")
    with pytest.raises(NotAllowed):
        ana.act(lambda work: conversation.alert_alone(work, [channel], CAP, "why not"))
    with pytest.raises(NotAllowed):
        mso.act(lambda work: conversation.alert_alone(work, [channel], CAP, " "))


def test_an_alert_channel_carries_no_talk() -> None:
    world = World()
    mso, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(mso, ana, kind="alert")
    from tests.clients.talk import say

    with pytest.raises(NotAllowed):
        say(mso, channel, "hello")
    assert see(ana) == []
