"""An alert channel beside a talk channel: made with it, kept in step with it, with all officers in it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clients.core import beside, changes, conversation, records
from clients.core.commits import Work
from clients.core.errors import NotAllowed
from clients.core.groups import roster_at
from keys.body import ChannelTerms
from keys.envelope import Marking
from tests.clients.relay import Party, World, world_of


def members(party: Party, channel: bytes) -> set[str]:
    roster = roster_at(party.ledger, channel, party.channel(channel).epoch)
    assert roster is not None
    names = {p.id: p.name for p in party.world.parties}
    return {names[s.device] for s in roster.seats}


def pair(owner: Party, *others: Party) -> tuple[bytes, bytes]:
    """A talk channel with these members, and the alert channel beside it."""
    world = owner.world
    talk, _ = owner.act(lambda work: changes.create(work, "narrow", Marking.AMBER, "east gate"))
    alarm = owner.act(lambda work: conversation.create_beside(work, talk, "east gate-alerts"))
    world.run()
    if others:
        owner.act(lambda work: conversation.change(work, talk, add=[o.id for o in others]))
        settle(world)
    return bytes(talk), bytes(alarm)


def settle(world: World) -> None:
    """Time passes, and everybody looks at the directory again."""
    for _ in range(12):
        world.run()
        world.later(beside.STEP)
        for party in world.parties:
            if party.line is not None:
                party._do(party.device.tick(world.now))
    world.run()


def again(*parties: Party) -> None:
    for party in parties:
        party.disconnect()
        party.connect()
    parties[0].world.run()


def test_who_is_added_and_removed_is_so_in_both() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    chen, ana, ben = world.parties
    talk, alarm = pair(chen, ana)
    assert members(chen, talk) == members(chen, alarm) == {"Chen", "Ana"}
    assert ana.channel(alarm).beside == talk
    chen.act(lambda work: conversation.change(work, talk, add=[ben.id]))
    settle(world)
    assert members(ana, alarm) == {"Chen", "Ana", "Ben"}
    chen.act(lambda work: conversation.change(work, talk, remove=[ana.id]))
    settle(world)
    assert members(ben, alarm) == {"Chen", "Ben"}
    assert ana.channel(alarm).left
    assert [a for p in world.parties for a in p.alarms()] == []


def test_every_officer_is_in_it_and_not_in_the_talk() -> None:
    world = world_of("Chen officer", "Ana agent")
    chen, ana = world.parties
    talk, alarm = pair(chen, ana)
    dara = world.party("Dara", "officer")
    again(chen)
    settle(world)
    assert members(chen, alarm) == {"Chen", "Ana", "Dara"}
    assert members(chen, talk) == {"Chen", "Ana"}
    assert records.CHANNELS.get(dara.ledger, talk) is None
    chen.act(lambda work: conversation.change(work, talk, remove=[ana.id]))
    settle(world)
    assert members(dara, alarm) == {"Chen", "Dara"}


def test_all_officers_come_in_by_the_first_commit() -> None:
    """An alert that is sent as soon as its author's channel stands misses nobody of them."""
    world = world_of("Chen officer", "Dara officer", "Eve officer", "Ana agent")
    chen, dara, eve, _ = world.parties
    again(chen)
    talk, _ = chen.act(lambda work: changes.create(work, "narrow", Marking.AMBER, "east gate"))
    alarm = chen.act(lambda work: conversation.create_beside(work, talk, "east gate-alerts"))
    assert set(chen.act(lambda work: beside.absent(work.turn, alarm))) == {dara.id, eve.id}
    world.run()  # no time passes: nobody's turn comes
    assert members(chen, alarm) == {"Chen", "Dara", "Eve"}
    assert chen.channel(alarm).epoch == 1, "one commit"
    assert chen.act(lambda work: beside.absent(work.turn, alarm)) == []
    assert members(dara, alarm) == members(eve, alarm) == {"Chen", "Dara", "Eve"}


def test_an_officer_without_key_packages_keeps_nobody_out() -> None:
    world = world_of("Chen officer", "Dara officer", "Eve officer")
    chen, dara, eve = world.parties
    again(chen)

    def none_left(work: Work) -> None:
        peer = records.PEERS.get(work.turn.draft, eve.id)
        assert peer is not None
        records.PEERS.put(work.turn.draft, eve.id, replace(peer, packages=0))

    chen.act(none_left)
    talk, _ = chen.act(lambda work: changes.create(work, "narrow", Marking.AMBER, "east gate"))
    alarm = chen.act(lambda work: conversation.create_beside(work, talk, "east gate-alerts"))
    (first,) = [i for _, i in records.INTENTS.scan(chen.ledger) if i.channel == alarm]
    assert first.add == [dara.id]
    settle(world)
    assert members(chen, alarm) == {"Chen", "Dara", "Eve"}


def test_what_another_left_undone_is_a_duty() -> None:
    """A leader changes the talk with a program that knows of no alert channel; an officer who is in both brings it in step."""
    world = world_of("Chen officer", "Bea leader", "Ana agent", "Ben agent")
    chen, bea, ana, ben = world.parties
    talk, alarm = pair(chen, bea, ana)
    world.channel(chen, bea, ben)  # so that Bea knows Ben
    again(chen, bea)
    settle(world)
    chen.disconnect()
    for add, remove in (([], [ana.id]), ([ben.id], [])):
        world.intend(bea, records.Intent(talk, add, remove, renew=False, rekey=False, automatic=False))
    assert members(bea, alarm) >= {"Ana"}
    assert members(bea, talk) == {"Chen", "Bea", "Ben"}
    chen.connect()
    settle(world)
    assert members(chen, alarm) == {"Chen", "Bea", "Ben"}
    assert [a for p in world.parties for a in p.alarms()] == []


def test_an_alert_channel_stands_beside_one_talk_channel() -> None:
    world = world_of("Chen officer")
    (chen,) = world.parties
    talk, alarm = pair(chen)
    for channel in (talk, alarm):
        with pytest.raises(NotAllowed, match="already"):
            chen.act(lambda work, c=channel: conversation.create_beside(work, c, "again"))


def test_it_has_the_ceiling_of_its_talk() -> None:
    world = world_of("Chen officer")
    (chen,) = world.parties
    talk, alarm = pair(chen)
    assert chen.channel(alarm).ceiling == chen.channel(talk).ceiling
    assert chen.channel(alarm).channel_class == "alert"
    assert beside.alert_channel(chen.ledger, talk) == alarm


def test_talk_stands_beside_nothing() -> None:
    """Neither the gateway nor a member takes a talk channel that says it stands beside another."""
    from clients.core.groups import check_terms
    from keys.errors import NotPermitted

    world = World()
    terms = ChannelTerms(1, "narrow", Marking.AMBER, b"T" * 16)
    with pytest.raises(NotPermitted, match="alone stands beside"):
        check_terms(world.mission.policy, terms, 1)
