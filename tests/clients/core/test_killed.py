"""Killed at any moment: between deciding and writing, writing and sending, sending one frame and the next, sending and telling.

Whatever the moment, what was said is said once, what was shown is not shown again, commits are neither lost nor applied
twice, and nobody raises an alarm.
"""

from __future__ import annotations

import random

import pytest

from clients.core import changes, records
from keys.envelope import Marking
from tests.clients.relay import Killed, Party, World, world_of
from tests.clients.talk import say, see, texts

LIVES = 25


def mortal(party: Party, seed: int) -> None:
    """Dies up to LIVES times, each life some boundaries long."""
    chance = random.Random(seed)
    left = iter(range(LIVES))
    party.fate = lambda: chance.randrange(0, 14) if next(left, None) is not None else -1
    party.die_at = party.fate()


@pytest.mark.parametrize("victim", ["sender", "receiver", "adder", "joiner"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_lost_or_doubled(victim: str, seed: int) -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent", seed=seed)
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana)
    dying = {"sender": ana, "receiver": mso, "adder": mso, "joiner": ben}[victim]
    mortal(dying, seed)
    said: list[str] = []
    for n in range(4):
        keep_said(ana, channel, f"before {n}", said)
        world.run()
    while not intended(mso, channel):
        try:
            world.add(mso, channel, ben)
        except Killed:
            mso.revive()
    world.run()
    for n in range(4):
        keep_said(ana, channel, f"after {n}", said)
        world.run()
    assert dying.deaths > 5, "the test is about deaths"
    dying.fate, dying.die_at = None, -1
    world.run()
    assert sorted(texts(mso, channel)) == sorted(said)
    assert sorted(texts(ana, channel)) == sorted(said)
    assert sorted(texts(ben, channel)) == sorted(t for t in said if t.startswith("after"))
    for party in world.parties:
        assert not party.alarms(), party.name
        assert not list(records.OUTBOX.scan(party.ledger)), party.name
        assert party.channel(channel).epoch == ana.channel(channel).epoch
    assert len({party.channel(channel).rolling for party in world.parties}) == 1


def intended(mso: Party, channel: bytes) -> bool:
    """Whether the wish is durable, or done."""
    pending = any(i.channel == channel for _, i in records.INTENTS.scan(mso.ledger))
    return pending or mso.channel(channel).epoch > 1


def keep_said(party: Party, channel: bytes, text: str, said: list[str]) -> None:
    """Say it once: a person looks into the outbox and the history before saying it again."""
    while True:
        try:
            say(party, channel, text)
        except Killed:
            party.revive()
            waiting = any(text.encode() in i.content for _, i in records.OUTBOX.scan(party.ledger))
            if not waiting and text not in texts(party, channel):
                continue
        said.append(text)
        return


@pytest.mark.parametrize("boundary", range(3))
def test_a_message_is_never_shown_twice(boundary: int) -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana)
    for n in range(3):
        say(mso, channel, f"{n}")
    world.run()
    ana.die_at = boundary
    seen: list[str] = []
    try:
        seen += see(ana)
    except Killed:
        ana.revive()
    seen += see(ana)
    assert len(seen) == len(set(seen))
    assert all(m.shown for _, m in records.MESSAGES.scan(ana.ledger, channel))


def test_a_channel_founded_as_the_battery_died() -> None:
    for boundary in range(4):
        world = World(boundary)
        mso = world.party("Chen", "officer")
        mso.die_at = boundary
        try:
            mso.act(lambda work: changes.create(work, "narrow", Marking.GREEN, "gate"))
        except Killed:
            mso.revive()
        world.run()
        known = list(records.CHANNELS.scan(mso.ledger))
        assert len(known) == (0 if boundary == 0 else 1)
        assert all(state.seq == 1 for _, state in known)
        assert not mso.alarms()
