"""What a device keeps up by itself: the charter in force, KeyPackages in stock, lists that are young enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clients.core import conversation, packages, records
from clients.core.errors import NotNow
from clients.core.records import AlarmKind
from gateway.core import acts
from keys.charter import sign
from keys.envelope import Marking, Precedence
from keys.policy import Policy, render
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import say, texts
from tests.keys.mission import DAY


def install(world: World, policy: Policy) -> None:
    mission = world.mission
    note = sign(render(policy), mission.authorities[:2])
    world.relay._decide(
        lambda: acts.install_charter(
            world.relay.view, note, mission.gateway, mission.log.verifier_key.encode(), world.now, world.random
        )
    )


def test_a_successor_charter_is_fetched_and_followed() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana)
    install(world, world.mission.successor())
    world.run()
    for party in (mso, ana):
        assert party.device.charter.policy.version == 2
        assert len(list(records.CHARTERS.scan(party.ledger))) == 2
        party.restart()
        party.connect()
        world.run()
        assert party.device.charter.policy.version == 2, "it is durable"
    say(ana, channel, "still here")
    world.run()
    assert texts(mso, channel) == ["still here"]
    assert not mso.alarms()
    assert not ana.alarms()


def test_a_class_that_another_charter_drops_makes_no_more_channels() -> None:
    world = world_of("Chen officer")
    (mso,) = world.parties
    fewer = tuple(c for c in world.mission.policy.classes if c.name != "narrow")
    install(world, replace(world.mission.successor(), classes=fewer))
    world.run()
    with pytest.raises(conversation.Unknown):
        mso.act(lambda work: conversation.create_channel(work, "narrow", Marking.GREEN, ""))


def held(party: Party, suite: int) -> list[records.Package]:
    return [p for _, p in records.PACKAGES.scan(party.ledger) if p.suite == suite and not p.used]


def test_key_packages_are_kept_in_stock() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    for suite in {c.suite for c in world.mission.policy.classes}:
        stock = held(ana, suite)
        assert sum(not p.last_resort for p in stock) == packages.STOCK
        assert sum(p.last_resort for p in stock) == 1
        assert all(p.put for p in stock)
    before = {p.package for p in held(ana, 1)}
    world.channel(mso, ana)
    after = held(ana, 1)
    used = before - {p.package for p in after}
    assert len(used) == 1, "the secrets of the one that was used are gone"
    assert sum(not p.last_resort for p in after) == packages.STOCK, "and another took its place"


def test_two_channels_never_share_a_key_package() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    first, second = world.channel(mso, ana), world.channel(mso, ana)
    assert ana.channel(first).epoch == ana.channel(second).epoch == 1
    assert not ana.alarms()


def test_the_last_resort_admits_and_is_replaced() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    ana.disconnect()
    world.relay.db.execute("DELETE FROM packages WHERE last_resort = 0 AND device = ?", (ana.id,))
    channel = world.channel(mso, ana)
    before = {p.package for _, p in records.PACKAGES.scan(ana.ledger) if p.last_resort}
    ana.connect()
    world.run()
    assert ana.channel(channel).epoch == 1
    fresh = [p for _, p in records.PACKAGES.scan(ana.ledger) if p.last_resort and not p.used and p.suite == 1]
    assert len(fresh) == 1
    assert fresh[0].package not in before
    assert not ana.alarms()


def test_a_list_too_old_stops_talk_but_not_what_saves_lives() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana)
    world.later(4 * DAY)
    say(ana, channel, "small talk")
    world.run()
    assert texts(mso, channel) == []
    assert AlarmKind.STALE_LIST.name in ana.kinds()
    with pytest.raises(NotNow):
        mso.act(lambda work: conversation.create_channel(work, "narrow", Marking.GREEN, ""))
    world.revoke(world.mission.home.registrars[0], [])
    world.run()
    assert texts(mso, channel) == ["small talk"]


def test_what_was_sealed_by_who_was_revoked_since_is_refused_by_log_order() -> None:
    """Sealed before the list, accepted after it: the gateway would refuse it, and so does every client."""
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    say(ben, channel, "in my outbox", Precedence.FLASH)
    world.revoke(world.mission.home.registrars[0], [ben.enrolled.certified.serial])
    world.run()
    assert texts(mso, channel) == []
    assert not any(
        seat.device == ben.id for _, r in list(records.ROSTERS.scan(mso.ledger, channel))[-1:] for seat in r.seats
    )
