"""What the simulation has found, each as the shortest story that shows it; `tests/SCORECARD.md` names them."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import pytest
from msgspec.structs import replace

from clients.core import outbox, receipts, records
from clients.core.packages import AT_ONCE, LIFE, STOCK, restock
from clients.core.refusals import RETRY
from clients.core.timeline import claim
from clients.core.turn import HOUR
from gateway import wire
from keys.canonical import encode
from keys.emergency import Plan
from keys.envelope import Kind, Precedence
from keys.identity import ChannelId, receipt_stream
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.strayed import Slow, rekey
from tests.clients.talk import say, texts
from tests.keys.mission import Mission


class EchoFirst(Relay):
    """The envelope comes back to its author before its acceptance does, and a turn lies between."""

    late: list[tuple[Line, wire.FromGateway]]

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Accepted) and hasattr(self, "late"):
            self.late.append((line, frame))
            return []
        return [frame]

    def tell(self) -> None:
        late, self.late = self.late, []
        for line, frame in late:
            line.inbound.append(frame)


def test_an_acceptance_settles_its_own_commit_and_not_the_next() -> None:
    world = World(relay=EchoFirst)
    relay = world.relay
    assert isinstance(relay, EchoFirst)
    mso, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(mso, ana)
    before = mso.channel(channel).epoch
    relay.late = []
    rekey(mso, channel)
    rekey(mso, channel)
    for _ in range(20):
        for party in world.parties:
            party.step()
    while relay.late:
        relay.tell()
        world.run()
    assert not mso.alarms()
    assert mso.channel(channel).epoch == ana.channel(channel).epoch == before + 2
    say(mso, channel, "still here")
    while relay.late:
        relay.tell()
    world.run()
    assert texts(ana, channel) == ["still here"]


class EndFirst(EchoFirst):
    """Of a run that comes back envelope by envelope the signed end comes first, then the acceptance, then the rest."""

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Deliver) and hasattr(self, "late"):
            claimed = claim(frame.placed)
            if claimed is not None and not claimed.signed:
                self.late.append((line, frame))
                return []
        return super().to_device(line, frame)


def test_a_run_whose_urgent_end_came_back_first_is_accepted_all_the_same() -> None:
    world = World(relay=EndFirst)
    relay = world.relay
    assert isinstance(relay, EndFirst)
    mso, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(mso, ana)
    ana.disconnect()
    for text in ("shots", "two of them", "at the gate"):
        say(ana, channel, text, Precedence.FLASH)
    relay.late = []
    ana.connect()
    world.run()
    assert len(list(records.OUTBOX.scan(ana.ledger))) == 2, "the end is known to be taken"
    relay.late.sort(key=lambda held: not isinstance(held[1], wire.Accepted))
    relay.tell()
    world.run()
    assert not ana.alarms()
    assert texts(ana, channel) == texts(mso, channel) == ["shots", "two of them", "at the gate"]


def test_a_list_of_channels_that_comes_twice_is_no_shrunk_one() -> None:
    world = World()
    mso, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(mso, ana)
    ana.disconnect()
    heard: list[wire.FromGateway] = []
    ana.connect()
    assert ana.line is not None
    heard += [frame for frame in ana.line.inbound if isinstance(frame, wire.Channels)]
    world.run()
    say(mso, channel, "one more")
    world.run()
    ana.take(heard[0])
    assert ana.kinds() <= {"GATEWAY"}


def test_two_flashes_of_one_run_overtake_together() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    for n in range(6):
        say(mso, channel, f"routine {n}")
        world.run()
    ana.disconnect()
    for text in ("shots at the gate", "two of them"):
        say(ana, channel, text, Precedence.FLASH)
    ana.connect()
    world.run()
    ben.connect()
    assert ben.line is not None
    for _ in range(200):
        ben.line.pump()
        if ben.line.inbound:
            ben.take(ben.line.inbound.pop(0))
    world.run()
    assert not ben.alarms()
    assert sorted(texts(ben, channel)) == sorted(texts(mso, channel))


def test_who_was_taken_out_and_let_in_again_while_away_is_in() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    say(mso, channel, "Ben is gone")
    world.run()
    world.add(mso, channel, ben)
    say(mso, channel, "Ben is back")
    world.run()
    ben.connect()
    world.run()
    assert not ben.alarms()
    assert texts(ben, channel) == ["Ben is back"]
    say(ben, channel, "I am")
    world.run()
    assert texts(ana, channel) == ["Ben is gone", "Ben is back", "I am"]
    assert not [alarm for party in world.parties for alarm in party.alarms()]


def test_a_clock_that_was_ahead_keeps_nobody_out_of_a_channel() -> None:
    world = World()
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    channel = world.channel(mso)
    ben.disconnect()
    world.add(mso, channel, ben)
    world.run()
    ahead = world.now + 1_000 * LIFE + HOUR
    _, outcome = ben.device.act(ahead, lambda work: restock(work.turn, 1))
    ben._do(outcome)
    ben.connect()
    world.run()
    assert not ben.alarms()
    assert ben.channel(channel).epoch == mso.channel(channel).epoch


def test_a_receipt_from_before_a_removal_blocks_no_answer() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    say(mso, channel, "the bus leaves at six")
    world.run()
    ben.disconnect()
    ben.act(
        lambda work: records.GIVEN.put(
            work.turn.draft, channel, replace(records.GIVEN.get(work.turn.draft, channel), upto=1)
        )
    )
    ben.act(lambda work: receipts.give(work.turn, work.trust, channel, ben.channel(channel)))
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    world.add(mso, channel, ben)
    ben.connect()
    world.run()
    say(mso, channel, "at seven")
    world.run()
    assert texts(ben, channel) == ["the bus leaves at six", "at seven"]
    assert not ben.device.waiting()
    received = records.RECEIVED.get(mso.ledger, channel + ben.id)
    assert received is not None
    assert received.delivered[-1][1] == ben.channel(channel).seq


def test_who_is_taken_out_still_says_what_has_come() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    ben.device.session.quiet[receipt_stream(channel)] = world.now + 60_000  # the gateway has no time for its receipts
    sent = say(mso, channel, "the bus leaves at six")
    world.run()
    assert texts(ben, channel)
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    assert ben.channel(channel).left
    world.later(60_000)
    ben._do(ben.device.tick(world.now))
    world.run()
    place = records.SENT.get(mso.ledger, sent)
    received = records.RECEIVED.get(mso.ledger, channel + ben.id)
    assert place is not None
    assert received is not None
    assert received.delivered[-1][1] >= place.seq
    assert not [item for _, item in records.OUTBOX.scan(ben.ledger)]


def test_who_was_let_in_and_taken_out_again_while_away_is_out() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    ben.disconnect()
    out = records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False)
    world.intend(mso, out)
    say(mso, channel, "Ben is gone")
    world.run()
    world.add(mso, channel, ben)
    say(mso, channel, "Ben is back")
    world.run()
    world.intend(mso, out)
    say(mso, channel, "and gone")
    world.run()
    for _ in range(2):
        ben.connect()
        world.run()
        assert not ben.alarms()
        assert ben.channel(channel).left
        assert texts(ben, channel) == ["Ben is back"]
        ben.disconnect()


def test_what_was_sealed_for_an_epoch_that_is_over_waits_for_the_next() -> None:
    world = World(relay=Slow)
    relay = world.relay
    assert isinstance(relay, Slow)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    relay.late = ben.line
    for _ in range(2):  # the one before the last may be within its grace
        rekey(mso, channel)
        world.run()
    say(ben, channel, "shots at the gate", Precedence.FLASH)
    for _ in range(20):
        ben.step()
    assert len(relay.submitted) == 1
    line, relay.late = relay.late, None
    assert line is not None
    line.inbound += relay.held
    world.run()
    assert texts(ana, channel) == ["shots at the gate"]


def test_an_answer_to_a_channel_that_was_left_keeps_nobody_waiting() -> None:
    world = World()
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    world.run()
    assert ben.channel(channel).left
    answer = outbox.Kept(receipt_stream(ChannelId(channel)), Kind.ACK, b"whatever he answers")
    ben.act(lambda work: outbox.keep(work.turn, answer))
    world.run()
    assert not ben.device.waiting()


def test_a_renewed_certificate_goes_into_every_leaf() -> None:
    world = World()
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    channels = [world.channel(mso, ben), world.channel(mso, ben)]
    world.renew(ben)
    ben.disconnect()
    ben.connect()
    world.run()
    renewed = ben.enrolled.certified.hash
    assert {world.relay.view.member(channel, ben.id).certificate for channel in channels} == {renewed}  # type: ignore[union-attr]
    say(ben, channels[0], "under a new name")
    world.run()
    assert texts(mso, channels[0]) == ["under a new name"]


class Unproved(Relay):
    """`late` is not shown yet that the log has what it asks about."""

    late: bytes = b""

    def __init__(self, mission: Mission) -> None:
        super().__init__(mission)
        self.held: list[wire.FromGateway] = []

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if line.who.device == self.late and isinstance(frame, wire.Proven):
            self.held.append(frame)
            return []
        return [frame]


def test_a_receipt_between_a_renewal_and_its_commit_is_no_forged_one() -> None:
    world = World(relay=Unproved)
    relay = world.relay
    assert isinstance(relay, Unproved)
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    channel = world.channel(mso, ben)
    relay.late = ben.id
    old = world.renew(ben)
    ben.disconnect()
    ben.connect()
    sent = [say(mso, channel, "at six")]
    world.run()
    assert world.relay.view.member(channel, ben.id).certificate == old.hash  # type: ignore[union-attr]
    received = records.RECEIVED.get(mso.ledger, channel + ben.id)
    relay.late = b""
    assert ben.line is not None
    ben.line.inbound += relay.held
    world.run()
    sent.append(say(mso, channel, "at seven"))
    world.run()
    assert not mso.alarms()
    after = records.RECEIVED.get(mso.ledger, channel + ben.id)
    for item, known in zip(sent, (received, after), strict=True):
        place = records.SENT.get(mso.ledger, item)
        assert place is not None
        assert known is not None
        assert known.delivered[-1][1] >= place.seq > 0


def lost_race() -> tuple[World, Slow, Party, Party, bytes]:
    """Ben's commit has lost to another, which does not come yet."""
    world = World(relay=Slow)
    relay = world.relay
    assert isinstance(relay, Slow)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    relay.late = ben.line
    rekey(mso, channel)
    world.run()
    rekey(ben, channel)
    for _ in range(20):
        ben.step()
    return world, relay, ana, ben, channel


def test_who_was_told_that_an_epoch_is_over_makes_no_other_commit_in_it() -> None:
    world, relay, ana, ben, channel = lost_race()
    assert len(relay.submitted) == 1
    line, relay.late = relay.late, None
    assert line is not None
    line.inbound += relay.held
    world.run()
    assert ana.channel(channel).epoch == ben.channel(channel).epoch == 3
    assert not list(records.INTENTS.scan(ben.ledger))


def test_a_commit_that_has_lost_holds_up_nothing_urgent() -> None:
    _, _, ana, ben, channel = lost_race()
    say(ben, channel, "shots at the gate", Precedence.FLASH)
    for _ in range(20):
        ben.step()
        ana.step()
    assert texts(ana, channel) == ["shots at the gate"]  # of the epoch before, within its grace
    assert not ana.alarms()


def test_a_removal_by_a_clock_that_was_ahead_blocks_nothing_once_the_epoch_is_over() -> None:
    world = World()
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    ana = world.party("Ana", "agent", life=(world.now - 60_000, world.now + 60_000))
    channel = world.channel(mso, ana, ben)
    world.relay.now += 61_000
    item = say(ben, channel, "is she out?")  # his device takes her out before it sends anything
    world.relay.now -= 61_000
    world.run()
    world.renew(ana)
    ana.disconnect()
    ana.connect()
    world.run()
    assert texts(ana, channel) == texts(mso, channel) == ["is she out?"]
    place = records.SENT.get(ben.ledger, item)
    assert place is not None
    assert place.seq
    assert not ben.device.waiting()


def test_a_commit_of_an_earlier_stay_is_merged_into_nothing() -> None:
    world = World(relay=EchoFirst)
    relay = world.relay
    assert isinstance(relay, EchoFirst)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    rekey(ben, channel)
    while relay.view.stream(channel).epoch == 1:  # type: ignore[union-attr]
        ben.step()
    ben.disconnect()  # the gateway has taken it, and he has not heard so
    world.run()
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    world.add(mso, channel, ben)
    relay.late = []
    ben.connect()
    world.run()
    assert ben.channel(channel).epoch == 4
    while relay.late:
        relay.tell()
        world.run()
    say(ben, channel, "here again")
    for _ in range(3):
        world.run()
        relay.tell()
    world.run()
    assert texts(ana, channel) == ["here again"]
    assert not ben.device.waiting()


def test_what_was_urgent_before_somebody_came_in_is_no_gap_after() -> None:
    world = World(relay=Slow)
    relay = world.relay
    assert isinstance(relay, Slow)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, kind="narrow")
    ben.disconnect()
    relay.late = ana.line
    world.add(mso, channel, ben)
    say(mso, channel, "welcome")
    world.run()
    for precedence in (Precedence.FLASH, Precedence.IMMEDIATE):
        say(ana, channel, "of before", precedence)
        for _ in range(20):
            ana.step()
    line, relay.late = relay.late, None
    assert line is not None
    line.inbound += relay.held
    world.run()
    say(ana, channel, "of now")
    world.run()
    ben.device.session.narrow = True  # what is urgent is opened before what it has overtaken
    ben.connect()
    world.run()
    assert not ben.alarms()
    assert texts(ben, channel) == ["welcome", "of now"]


def test_what_was_refused_to_who_was_out_goes_once_he_is_in_again() -> None:
    world = World(relay=Slow)
    relay = world.relay
    assert isinstance(relay, Slow)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    relay.late = ben.line
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    say(ben, channel, "I know nothing of it")
    world.run()
    assert relay.submitted
    line, relay.late = relay.late, None
    assert line is not None
    line.inbound += relay.held
    world.add(mso, channel, ben)
    world.run()
    assert not ben.channel(channel).left
    assert texts(mso, channel) == ["I know nothing of it"]


class Losing(Relay):
    """What `lost` hands over does not come."""

    lost: Line | None = None

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        return [] if line is self.lost and isinstance(frame, wire.Submit) else [frame]


def test_an_answer_that_was_sealed_before_a_removal_blocks_no_receipt() -> None:
    world = World(relay=Losing)
    relay = world.relay
    assert isinstance(relay, Losing)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana, ben)
    relay.lost = ben.line
    answer = outbox.Kept(receipt_stream(ChannelId(channel)), Kind.ACK, b"whatever he answers")
    ben.act(lambda work: outbox.keep(work.turn, answer))
    sent = say(mso, channel, "the bus leaves at six")
    world.run()
    ben.act(lambda work: receipts.give(work.turn, work.trust, channel, ben.channel(channel)))
    world.intend(mso, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    assert ben.channel(channel).left
    ben.disconnect()
    ben.connect()
    world.run()
    place, received = records.SENT.get(mso.ledger, sent), records.RECEIVED.get(mso.ledger, channel + ben.id)
    assert place is not None
    assert received is not None
    assert received.delivered[-1][1] >= place.seq
    assert not [item for _, item in records.OUTBOX.scan(ben.ledger)]


def out_and_in(world: World, channel: bytes, mso: Party, ana: Party) -> None:
    world.intend(mso, records.Intent(channel, [], [ana.id], renew=False, rekey=False, automatic=False))
    world.add(mso, channel, ana)


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param(lambda *_: None, id="in the epoch before"),
        pytest.param(lambda _world, channel, mso, _ana: rekey(mso, channel), id="long before"),
        pytest.param(out_and_in, id="before its author was out and in again"),
    ],
)
def test_what_was_stated_before_somebody_came_in_counts_there(
    meanwhile: Callable[[World, bytes, Party, Party], None],
) -> None:
    world = World(relay=Losing)
    relay = world.relay
    assert isinstance(relay, Losing)
    mso, ana, dara = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Dara", "officer")
    channel = world.channel(mso, ana, kind="alert")
    relay.lost = ana.line
    plan = encode(Plan([world.now + HOUR], 300, bytes(16)))
    ana.act(lambda work: outbox.keep(work.turn, outbox.Kept(channel, Kind.CHECK_IN_PLAN, plan, Precedence.IMMEDIATE)))
    world.run()
    ana.disconnect()
    world.add(mso, channel, dara)
    meanwhile(world, channel, mso, ana)
    world.run()
    ana.connect()
    world.run()
    for party in (mso, ana, dara):
        assert not party.alarms()
        assert [move.device for _, move in records.MOVES.scan(party.ledger)] == [ana.id]


class Counting(Relay):
    """It counts how often KeyPackages are put."""

    puts = 0

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        self.puts += isinstance(frame, wire.PutKeyPackages)
        return [frame]


def test_on_the_last_day_of_a_certificate_its_packages_are_enough() -> None:
    world = World(relay=Counting)
    relay = world.relay
    assert isinstance(relay, Counting)
    ana = world.party("Ana", "agent")
    world.run()
    before, suites = relay.puts, {kind.suite for kind in ana.device.charter.policy.classes}
    for hours in (2, 1):
        ana.disconnect()
        world.later(ana.enrolled.certified.not_after - hours * HOUR - world.now)
        ana.connect()
        for _ in range(40):
            ana.step()
    assert relay.puts - before == len(suites) * ceil(STOCK / AT_ONCE)


class Full(Relay):
    """It can't write as long as its disk is full."""

    full = False

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        if not (self.full and isinstance(frame, wire.Submit)):
            return [frame]
        line.inbound.append(wire.Refused(frame.id, wire.Refusal.STORAGE, "the gateway can't write now", 0, None))
        return []


def test_what_was_refused_for_now_goes_again_though_nothing_else_happens() -> None:
    world = World(relay=Full)
    relay = world.relay
    assert isinstance(relay, Full)
    mso, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(mso, ana)
    relay.full = True
    say(mso, channel, "the bus leaves at six")
    world.run()
    relay.full = False
    assert not mso.device.waiting()  # people are told that it was refused
    assert not mso.device.due(world.now)
    world.later(RETRY)
    assert mso.device.due(world.now)
    world.run()
    assert texts(ana, channel) == ["the bus leaves at six"]
    assert not mso.device.due(world.now)
