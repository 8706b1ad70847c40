"""FLASH first (ARCHITECTURE section 8): what it overtakes is read afterwards, whatever MLS's own bounds say, and then its keys go."""

from clients.core import records
from clients.core.records import Intent
from keys.envelope import Precedence
from keys.mls.group import Group
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import say, see

HOUR = 3_600_000


def group_of(party: Party, channel: bytes) -> Group:
    group = party.device.session.groups.get(party.ledger, channel)
    assert group is not None
    return group


def parts(party: Party, channel: bytes) -> list[str]:
    return [key[16:].decode() for key, _ in party.ledger.scan(records.GROUPS, channel, b"")]


def first_shown(party: Party) -> list[str]:
    """What is shown first, when frames come one at a time."""
    assert party.line is not None
    while True:
        party.line.pump()
        while party.line.inbound:
            party.take(party.line.inbound.pop(0))
            if shown := see(party):
                return shown


def rekey(world: World, party: Party, channel: bytes) -> None:
    world.intend(party, Intent(channel, [], [], renew=False, rekey=True, automatic=False))


def test_what_a_flash_overtakes_is_read_whatever_the_distance() -> None:
    """Beyond the keys that MLS keeps of one sender, beyond its epochs, and after its hour."""
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    routine = [f"routine {n}" for n in range(150)]
    for n, text in enumerate(routine):
        say(ana, channel, text)
        world.run()
        if n in (50, 60, 70):
            rekey(world, mso, channel)
    say(ana, channel, "shots at the gate", Precedence.FLASH)
    world.run()
    world.later(2 * HOUR)
    ben.connect()
    assert first_shown(ben) == ["shots at the gate"]
    group = group_of(ben, channel)
    assert group.backlog is not None
    assert len(group.past) == 3
    assert {"backlog", "announced-4-1-0"} <= set(parts(ben, channel))
    ben.disconnect()
    world.later(2 * HOUR)
    ben.connect()
    world.run()
    assert see(ben) == routine
    assert not ben.alarms()
    world.run()
    assert group_of(ben, channel).backlog is None
    assert not [name for name in parts(ben, channel) if name.startswith(("announced-", "backlog", "past-"))]


def test_epochs_that_are_over_go_in_an_hour_though_nothing_comes() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana)
    rekey(world, mso, channel)
    world.run()
    for party in (mso, ana):
        assert [name for name in parts(party, channel) if name.startswith("past-")]
    world.later(HOUR + 60_000)
    for party in (mso, ana):
        party.step()
        assert not [name for name in parts(party, channel) if name.startswith("past-")]
        assert len([name for name in parts(party, channel) if name.startswith("secret-tree-")]) == 1
