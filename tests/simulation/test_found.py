"""What the simulation has found, each as the shortest story that shows it; `tests/SCORECARD.md` names them."""

from __future__ import annotations

from msgspec.structs import replace

from clients.core import outbox, receipts, records
from clients.renewing import take
from gateway import wire
from keys.credential import issue_device
from keys.envelope import Kind, Precedence
from keys.identity import ChannelId, SigningKey, receipt_stream
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.talk import say, texts
from tests.keys.mission import DAY, Device, Mission


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


def rekey(party: Party, channel: bytes) -> None:
    intent = records.Intent(channel, [], [], renew=False, rekey=True, automatic=False)
    party.act(lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent))


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


class Slow(Relay):
    """What `late` is to be sent waits; `submitted` are the runs that it has handed over."""

    late: Line | None = None

    def __init__(self, mission: Mission) -> None:
        super().__init__(mission)
        self.held: list[wire.FromGateway] = []
        self.submitted: list[wire.Submit] = []

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if line is self.late and isinstance(frame, wire.Deliver | wire.Deliveries):
            self.held.append(frame)
            return []
        return [frame]

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        if line is self.late and isinstance(frame, wire.Submit):
            self.submitted.append(frame)
        return [frame]


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
    house, old, key = world.mission.home, ben.enrolled.certified, SigningKey.generate(world.random)
    life = (world.now, world.now + 30 * DAY)
    der = issue_device(
        house.registrars[0].der,
        house.registrars[0].key,
        key.public,
        old.person,
        old.device,
        old.roles,
        life,
        world.random,
    )
    world.relay.control(house.registrars[1], Kind.CERTIFICATE, der)
    renewed = world.mission.charter.verify_certificate(der)
    ben.act(lambda work: take(work, renewed, key.seed, b""))
    ben.enrolled = Device(key, renewed)
    ben.disconnect()
    ben.connect()
    world.run()
    assert {world.relay.view.member(channel, ben.id).certificate for channel in channels} == {renewed.hash}  # type: ignore[union-attr]
    say(ben, channels[0], "under a new name")
    world.run()
    assert texts(mso, channels[0]) == ["under a new name"]


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
