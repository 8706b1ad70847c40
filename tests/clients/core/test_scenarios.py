"""Lives of channels over an honest gateway: who sees what, when, and how often."""

from __future__ import annotations

import pytest

from clients.core import conversation, issuing, records
from clients.core.errors import NotAllowed
from clients.core.freezing import Order
from clients.core.groups import roster_at
from keys.authority import read_card
from keys.envelope import Marking, Precedence
from tests.clients.alarms import CAP
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import say, see, texts
from tests.keys.mission import DAY, NOW


def members(party: Party, channel: bytes) -> set[bytes]:
    roster = roster_at(party.ledger, channel, party.channel(channel).epoch)
    assert roster is not None
    return {seat.device for seat in roster.seats}


def quiet(world: World) -> None:
    for party in world.parties:
        assert not party.alarms(), party.name
        if party.line is not None:
            assert not party.device.waiting(), party.name


def test_a_message_goes_through_its_states() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana, kind="detail")
    ana.disconnect()
    item = say(mso, channel, "convoy leaves 0600")
    assert records.SENT.get(mso.ledger, item).seq == 0  # kept
    world.run()
    accepted = records.SENT.get(mso.ledger, item)
    assert accepted.seq > 0
    assert records.RECEIVED.get(mso.ledger, channel + ana.id).delivered[-1][1] < accepted.seq
    ana.connect()
    world.run()
    assert records.RECEIVED.get(mso.ledger, channel + ana.id).delivered[-1][1] >= accepted.seq  # delivered
    assert not records.RECEIVED.get(mso.ledger, channel + ana.id).shown
    assert see(ana) == ["convoy leaves 0600"]
    world.run()
    assert records.RECEIVED.get(mso.ledger, channel + ana.id).shown == [(accepted.seq, accepted.seq)]  # read
    quiet(world)


def test_everybody_learns_names_and_purpose() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana)
    world.add(mso, channel, ben)
    for party in world.parties:
        named = {read_card(note.data).name for _, note in records.CARDS.scan(party.ledger)}
        assert named == {"Chen", "Ana", "Ben"}
        assert party.channel(channel).purpose == "east gate"
        assert members(party, channel) == {mso.id, ana.id, ben.id}
    quiet(world)


def test_a_joiner_reads_nothing_from_before() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana)
    say(mso, channel, "before Ben")
    world.run()
    world.add(mso, channel, ben)
    say(ana, channel, "welcome")
    world.run()
    assert texts(ben, channel) == ["welcome"]
    assert texts(ana, channel) == ["before Ben", "welcome"]
    quiet(world)


def test_who_is_removed_reads_nothing_afterwards_and_may_come_back() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana, ben)
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    say(mso, channel, "Ben is gone")
    world.run()
    assert ben.channel(channel).left
    assert texts(ben, channel) == []
    world.add(mso, channel, ben)
    say(ben, channel, "back")
    world.run()
    assert texts(mso, channel) == ["Ben is gone", "back"]
    assert texts(ben, channel) == ["back"]
    quiet(world)


def test_five_hundred_messages_and_three_commits_later() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    sent = []
    for n in range(500):
        if n in (100, 250, 400):
            world.intend(mso, records.Intent(channel, [], [], renew=False, rekey=True, automatic=False))
        sent.append(f"message {n}")
        say(ana if n % 2 else mso, channel, sent[-1])
        if n % 50 == 0:
            world.run()
    world.run()
    ben.connect()
    world.run()
    assert ben.channel(channel).epoch == 4
    assert sorted(texts(ben, channel)) == sorted(sent)
    assert texts(ben, channel) == texts(mso, channel) == texts(ana, channel)
    assert len(see(ben)) == 500
    assert see(ben) == []
    quiet(world)


def test_a_flash_is_seen_before_the_backlog_and_once() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    for n in range(40):
        say(ana, channel, f"routine {n}")
        world.run()
        if n in (10, 20):
            world.intend(mso, records.Intent(channel, [], [], renew=False, rekey=True, automatic=False))
    say(mso, channel, "shots at the gate", Precedence.FLASH)
    world.run()
    ben.connect()
    first: list[str] = []
    while not first:
        assert ben.step()
        first = see(ben)
    assert first[0] == "shots at the gate"
    world.run()
    assert sorted([*first, *see(ben)]) == sorted(["shots at the gate", *(f"routine {n}" for n in range(40))])
    quiet(world)


def test_two_officers_commit_at_once() -> None:
    world = world_of("Chen officer", "Diaz officer", "Ana agent", "Ben agent")
    chen, diaz, ana, ben = world.parties
    channel = world.channel(chen, diaz)

    def keep(add: Party) -> object:
        intent = records.Intent(channel, [add.id], [], renew=False, rekey=False, automatic=False)
        return lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent)

    chen.act(keep(ana))
    diaz.act(keep(ben))
    say(chen, channel, "from Chen")
    say(diaz, channel, "from Diaz")
    world.run()
    for party in world.parties:
        assert members(party, channel) == {chen.id, diaz.id, ana.id, ben.id}
        assert not list(records.INTENTS.scan(party.ledger))
    assert sorted(texts(chen, channel)) == ["from Chen", "from Diaz"]
    refused = [p for p in (chen, diaz) if list(records.REFUSED.scan(p.ledger))]
    assert len(refused) == 1, "one of the two lost the race, by a refusal the gateway signed"
    quiet(world)


def test_a_revoked_device_goes_before_another_word_is_said() -> None:
    world = world_of("Chen officer", "Ana agent", "Ben agent")
    mso, ana, ben = world.parties
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    world.revoke(world.mission.home.registrars[0], [ben.enrolled.certified.serial])
    say(ana, channel, "Ben's phone was taken")
    world.run()
    assert members(mso, channel) == members(ana, channel) == {mso.id, ana.id}
    assert texts(mso, channel) == ["Ben's phone was taken"]
    commit = min(e.seq for _, e in records.EPOCHS.scan(mso.ledger, channel) if e.removed)
    spoken = next(k for k, m in records.MESSAGES.scan(mso.ledger, channel) if b"phone" in m.content)
    assert commit < int.from_bytes(spoken[16:], "big")
    quiet(world)


def test_an_expired_guest_goes_too() -> None:
    world = world_of("Chen officer")
    (mso,) = world.parties
    guest = world.party("Luis", "guest", guest=True, life=(NOW - DAY, NOW + 3_600_000))
    channel = world.channel(mso, guest, kind="liaison", ceiling=Marking.GREEN)
    guest.disconnect()
    world.later(2 * 3_600_000)
    say(mso, channel, "the visit is over")
    world.run()
    assert members(mso, channel) == {mso.id}
    quiet(world)


@pytest.mark.parametrize(
    ("roles", "action"),
    [
        pytest.param(
            ("agent",),
            lambda w, c: conversation.create_channel(w, "narrow", Marking.GREEN, ""),
            id="an agent founds a channel",
        ),
        pytest.param(("agent",), lambda w, c: conversation.change(w, c, add=[bytes(16)]), id="an agent adds somebody"),
        pytest.param(
            ("officer",),
            lambda w, c: conversation.send_text(w, c, "x", Precedence.ROUTINE, Marking.RED, ask_ack=False, expires=0),
            id="content above the ceiling",
        ),
        pytest.param(
            ("officer",),
            lambda w, c: conversation.create_channel(w, "liaison", Marking.RED, ""),
            id="a channel above its class",
        ),
        pytest.param(
            ("officer",),
            lambda w, c: conversation.send_text(w, c, "x", Precedence.ROUTINE, None, ask_ack=False, expires=NOW - 1),
            id="a message that has expired",
        ),
        pytest.param(
            ("officer",),
            lambda w, c: issuing.alone(w, Order(CAP, (c,), Marking.GREEN, NOW + 60_000, reason="why")),
            id="an alert in a talk channel",
        ),
    ],
)
def test_what_may_not_be_done_spends_no_number(roles: tuple[str, ...], action: object) -> None:
    world = World()
    mso, other = world.party("Chen", "officer"), world.party("Ana", *roles)
    channel = world.channel(mso, other)
    with pytest.raises(NotAllowed):
        other.act(lambda work: action(work, channel))  # type: ignore[operator]
    assert not list(records.OUTBOX.scan(other.ledger))


def test_urgent_things_get_their_numbers_first() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana)
    ana.disconnect()
    for text, precedence in [
        ("r1", Precedence.ROUTINE),
        ("p", Precedence.PRIORITY),
        ("r2", Precedence.ROUTINE),
        ("f", Precedence.FLASH),
        ("i", Precedence.IMMEDIATE),
    ]:
        say(ana, channel, text, precedence)
    ana.connect()
    world.run()
    assert texts(mso, channel) == ["f", "i", "p", "r1", "r2"]
    quiet(world)


def test_one_question_at_a_time_on_a_narrow_link() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    ana.device.session.narrow = True
    channel = world.channel(mso, ana)
    most = 0
    for n in range(5):
        say(ana, channel, f"{n}")
    for _ in range(200):
        world.run()
        most = max(most, len(ana.device.session.errands.asked))
    assert texts(mso, channel) == [f"{n}" for n in range(5)]
    assert most <= 1
    quiet(world)


def test_a_long_message_travels_in_chunks() -> None:
    world = world_of("Chen officer", "Ana agent")
    mso, ana = world.parties
    channel = world.channel(mso, ana)
    words = "ſ" * 16_000 + ""
    assert len(words.encode()) < 48 * 1024
    long = "€" * 16_000  # 48,000 bytes, and the padding over a chunk
    say(mso, channel, words)
    say(mso, channel, long + "")
    world.run()
    assert texts(ana, channel) == [words, long]
    quiet(world)
