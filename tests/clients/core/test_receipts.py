"""Ranges: as few as say it all; and a receipt that comes before its author is known."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clients.core import conversation, records
from clients.core.outbox import stream_of_receipts
from clients.core.receipts import covers, merged, spans
from gateway import wire
from keys.body import Receipt, read_receipt
from keys.envelope import Envelope, Marking, read
from keys.identity import ChannelId, receipt_stream
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import say, see

SEQS = st.sets(st.integers(1, 40))


@given(SEQS)
def test_spans_cover_exactly_what_they_are_of(seqs: set[int]) -> None:
    ranges = spans(sorted(seqs))
    assert {n for first, last in ranges for n in range(first, last + 1)} == seqs
    assert all(a[1] + 1 < b[0] for a, b in pairwise(ranges)), "neighbours are one range"


@given(SEQS, SEQS)
def test_merged_covers_both_and_no_more(one: set[int], other: set[int]) -> None:
    ranges = merged(spans(sorted(one)), spans(sorted(other)))
    assert [n for n in range(50) if covers(ranges, n)] == sorted(one | other)
    assert ranges == spans(sorted(one | other))


def test_a_receipt_that_overtakes_the_commit_by_which_its_author_came_in_waits_for_it() -> None:
    """The streams are told apart only by their precedence: it is no forgery that it came first, and it counts once he is known."""
    world = world_of("Chen officer", "Dara officer", "Ben agent")
    chen, dara, ben = world.parties
    channel = world.channel(chen, dara)
    dara.act(lambda work: conversation.change(work, channel, add=[ben.id]))
    for _ in range(40):  # Chen's device is slow: what is for it piles up
        for party in (dara, ben):
            party.device.session.flush = True
            party.step()
    assert chen.line is not None
    chen.line.pump()
    frames, chen.line.inbound = chen.line.inbound, []
    whole = [wire.Deliver(p) for f in frames if isinstance(f, wire.Deliveries) for p in f.placed]
    whole += [f for f in frames if not isinstance(f, wire.Deliveries)]
    deliveries = [f for f in whole if isinstance(f, wire.Deliver)]
    theirs = [f for f in deliveries if f.placed.channel == stream_of_receipts(channel) and author(f) == ben.id]
    assert theirs, "Ben's device has said what it got"
    for frame in theirs:
        chen.take(frame)
    assert not chen.alarms()
    assert records.RECEIVED.get(chen.ledger, channel + ben.id) is None
    for frame in whole:
        if frame not in theirs:
            chen.take(frame)
    world.run()
    assert not chen.alarms()
    assert records.RECEIVED.get(chen.ledger, channel + ben.id) is not None


def author(frame: wire.Deliver) -> bytes:
    return read(Envelope(frame.placed.header, frame.placed.signature)).context.device


def _receipts(world: World, channel: bytes, by: Party) -> list[Receipt]:
    stream = receipt_stream(ChannelId(channel))
    return [read_receipt(s.body or b"") for s in world.relay.view.envelopes(stream, 0, 1_000) if s.device == by.id]


def test_attack_51_receipts_do_not_track_anybody() -> None:
    """Collected and jittered, so that they tell no message's moment; what was read is told to one's own people alone."""
    world = World()
    chen, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    luis = world.party("Luis", "guest", guest=True)
    channel = world.channel(chen, ana, ben, luis, kind="detail", ceiling=Marking.GREEN)
    assert world.mission.policy.channel_class("detail").receipts == "shown"
    world.later(5_000)
    world.run(flush=False)
    before = {party.name: len(_receipts(world, channel, party)) for party in (ben, luis)}
    for n in range(5):
        say(ana, channel, f"{n}")
        world.run(flush=False)
        world.later(50)
    assert all(len(_receipts(world, channel, p)) == before[p.name] for p in (ben, luis)), "none at once"
    at = {party.name: party.device.session.receipt_at[channel] for party in (ben, luis)}
    assert at["Ben"] != at["Luis"], "each at its own moment"
    world.later(2_000)
    world.run(flush=False)
    for party in (ben, luis):
        (one,) = _receipts(world, channel, party)[before[party.name] :]
        assert [r.last - r.first + 1 for r in one.received] == [5], "one for all five"
        assert see(party) == ["0", "1", "2", "3", "4"]
    world.later(2_000)
    world.run()
    assert [r.last - r.first + 1 for r in _receipts(world, channel, ben)[-1].shown] == [5]
    assert not any(receipt.shown for receipt in _receipts(world, channel, luis)), "not to another organisation"
    told = records.RECEIVED.get(luis.ledger, channel + ben.id)
    assert told is None or not told.shown, "what Ben has read is not for him"


def test_what_is_seen_of_an_earlier_stay_spoils_no_receipt_of_this_one() -> None:
    """The gateway takes none for places before its author came in again, so nothing of them goes into one."""
    world = world_of("Chen officer", "Ben agent")
    chen, ben = world.parties
    channel = world.channel(chen, ben, kind="detail")
    say(chen, channel, "before he was taken out")
    world.run()
    ben.disconnect()
    for change in ({"remove": [ben.id]}, {"add": [ben.id]}):
        chen.act(lambda work, c=change: conversation.change(work, channel, **c))
        world.run()
    ben.connect()
    world.run()
    world.run(flush=False)
    assert see(ben) == ["before he was taken out"]
    say(chen, channel, "welcome back")
    world.run(flush=False)
    world.later(5_000)
    world.run(flush=False)
    told = records.RECEIVED.get(chen.ledger, channel + ben.id)
    assert told is not None
    assert covers(told.delivered, chen.channel(channel).seq)
