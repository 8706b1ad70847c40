"""A link that carries little: what is urgent waits for the one piece under way and for nothing else, and nothing is lost.

A round is one exchange: what the gateway has for Ben crosses, then what Ben answers. Bytes are counted as frames are written.
"""

from __future__ import annotations

import pytest

from clients.core import records
from clients.core.device import Device
from clients.core.proof import PROVED_NARROW
from clients.core.records import AlarmKind
from clients.core.timeline import NARROW_PATIENCE
from gateway import wire
from keys.canonical import encode
from keys.envelope import Envelope, Kind, Precedence, read
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.talk import say, see, texts
from tests.restored import restored

PIECE = wire.WINDOW_LEAST
FRAME = PIECE + 1_024  # the longest frame that holds a piece, or a short body with its header and place
FLASH, ROUTINE = Precedence.FLASH, Precedence.ROUTINE


class Scales(Relay):
    """Weighs every frame of one device."""

    who: bytes = b""
    sent: list[wire.FromDevice]
    given: list[wire.FromGateway]

    def weigh(self, device: bytes) -> None:
        self.who, self.sent, self.given = device, [], []

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if line.who.device == self.who:
            self.given.append(frame)
        return [frame]

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        if line.who.device == self.who:
            self.sent.append(frame)
        return [frame]


class Road:
    """Chen at a desk, Ben on a narrow link, both in a channel."""

    def __init__(self) -> None:
        self.world = World(1, Scales)
        self.chen, self.ben = self.world.party("Chen", "officer"), self.world.party("Ben", "agent")
        self.channel = self.world.channel(self.chen, self.ben)
        say(self.chen, self.channel, "first")
        self.world.run()
        see(self.ben)
        self.ben.disconnect()
        self.ben.device = Device(self.ben.ledger, self.world.random, narrow=True)

    @property
    def scales(self) -> Scales:
        assert isinstance(self.world.relay, Scales)
        return self.world.relay

    def connect(self) -> None:
        self.ben.connect()
        self.scales.weigh(self.ben.id)


begun = restored(Road)


@pytest.fixture
def road() -> Road:
    return begun()


def submitted(frame: wire.FromDevice) -> list[Precedence]:
    if not isinstance(frame, wire.Submit):
        return []
    return [read(Envelope(s.header, s.signature)).context.precedence for s in frame.run]


def delivered(frame: wire.FromGateway) -> Precedence | None:
    if not isinstance(frame, wire.Deliver):
        return None
    return read(Envelope(frame.placed.header, frame.placed.signature)).context.precedence


def rounds(party: Party, count: int) -> None:
    for _ in range(count):
        party.step()


@pytest.mark.parametrize("length", [40, 900, 3_000], ids="a text of {} letters".format)
@pytest.mark.parametrize("busy", [0, 2, 5], ids="after {} rounds".format)
def test_a_flash_goes_out_before_a_full_outbox(road: Road, length: int, busy: int) -> None:
    for n in range(8):
        say(road.ben, road.channel, f"{n} " + "x" * length)
    road.connect()
    rounds(road.ben, busy)
    before = len(road.scales.sent)
    say(road.ben, road.channel, "shots fired", FLASH)
    while not any(FLASH in submitted(frame) for frame in road.scales.sent):
        assert road.ben.step()
    after = road.scales.sent[before:]
    place = next(n for n, frame in enumerate(after) if FLASH in submitted(frame))
    asked = [frame for frame in after[:place] if not isinstance(frame, wire.Cursor | wire.Taken)]
    assert len(asked) <= 1, [type(frame).__name__ for frame in asked]
    assert sum(len(encode(frame)) for frame in after[:place]) <= FRAME
    road.world.run()
    assert sorted(texts(road.chen, road.channel)) == sorted(texts(road.ben, road.channel))
    assert len(texts(road.chen, road.channel)) == 10
    assert not road.ben.device.waiting()
    assert not road.ben.alarms()


@pytest.mark.parametrize("length", [40, 3_000], ids="texts of {} letters".format)
@pytest.mark.parametrize("busy", [0, 3, 12], ids="after {} rounds".format)
def test_a_flash_comes_in_before_a_full_inbox(road: Road, length: int, busy: int) -> None:
    for n in range(24):
        say(road.chen, road.channel, f"{n} " + "x" * length)
        road.world.run()
    road.connect()
    rounds(road.ben, busy)
    before = len(road.scales.given)
    say(road.chen, road.channel, "take cover", FLASH)
    road.chen.step()
    while "take cover" not in texts(road.ben, road.channel):
        assert road.ben.step()
    after = road.scales.given[before:]
    place = next(n for n, frame in enumerate(after) if delivered(frame) is FLASH)
    assert sum(len(encode(frame)) for frame in after[:place]) <= 2 * FRAME, "what was under way, and an answer"
    assert see(road.ben)[0] == "take cover"
    road.world.run()
    assert sorted(texts(road.ben, road.channel)) == sorted(texts(road.chen, road.channel))
    assert len(texts(road.ben, road.channel)) == 26
    group = road.ben.device.session.groups.get(road.ben.ledger, road.channel)
    assert group is not None
    assert group.backlog is None, "the keys of what was overtaken are gone once all has come"
    assert not road.ben.alarms()


def test_a_run_longer_than_the_window_comes_in_and_a_flash_before_its_end(road: Road) -> None:
    road.chen.disconnect()
    for n in range(40):
        say(road.chen, road.channel, f"{n} " + "x" * 300)
    road.chen.connect()
    road.world.run()  # all forty in one run: one signature, at its end
    road.connect()
    rounds(road.ben, 6)
    assert len(texts(road.ben, road.channel)) == 1, "nothing of a run is taken before its signature"
    before = len(road.scales.given)
    say(road.chen, road.channel, "take cover", FLASH)
    road.chen.step()
    while "take cover" not in texts(road.ben, road.channel):
        assert road.ben.step()
    after = road.scales.given[before:]
    place = next(n for n, frame in enumerate(after) if delivered(frame) is FLASH)
    assert sum(len(encode(frame)) for frame in after[:place]) <= 2 * FRAME
    road.world.run()
    assert len(texts(road.ben, road.channel)) == 42
    assert not road.ben.alarms()


def test_nothing_large_crosses_a_narrow_link_in_one_piece(road: Road) -> None:
    say(road.ben, road.channel, "x" * 8_000)
    for n in range(5):
        say(road.chen, road.channel, f"{n} " + "y" * 8_000)
        road.world.run()
    road.connect()
    road.world.run()
    assert len(texts(road.ben, road.channel)) == 7
    assert max(len(encode(frame)) for frame in road.scales.sent) <= FRAME
    bodies = [f for f in road.scales.given if isinstance(f, wire.Deliver | wire.BodyChunk)]
    assert max(len(encode(frame)) for frame in bodies) <= FRAME


def test_a_run_that_made_way_is_sent_after_it_once(road: Road) -> None:
    say(road.ben, road.channel, "x" * 6_000)
    road.connect()
    rounds(road.ben, 3)
    sealed = [i for _, i in records.OUTBOX.scan(road.ben.ledger) if i.number]
    assert [i.precedence for i in sealed] == [ROUTINE], "its number was given, and it is still being put"
    say(road.ben, road.channel, "shots fired", FLASH)
    road.world.run()
    assert [len(text) for text in texts(road.chen, road.channel)] == [5, 11, 6_000]
    numbers = [
        read(Envelope(line.header, line.signature)).context.number
        for _, line in records.LINES.scan(road.chen.ledger, road.channel)
        if line.header and read(Envelope(line.header, line.signature)).context.device == road.ben.id
    ]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert not road.chen.alarms()


def test_a_run_whose_acceptance_was_lost_makes_way_for_nothing(road: Road) -> None:
    """The gateway took it and let its pieces go, so it holds nothing of the body: that does not mean it was never submitted."""
    say(road.ben, road.channel, "x" * 3_000)
    road.connect()
    while not any(submitted(frame) for frame in road.scales.sent):
        assert road.ben.line is not None
        road.ben.line.inbound = [f for f in road.ben.line.inbound if not isinstance(f, wire.Accepted)]
        assert road.ben.step()
    road.ben.disconnect()  # before it has heard
    assert [i.number > 0 for _, i in records.OUTBOX.scan(road.ben.ledger)] == [True]
    road.ben.device = Device(road.ben.ledger, road.world.random, narrow=True)
    road.connect()
    say(road.ben, road.channel, "shots fired", FLASH)
    line = road.ben.line
    assert line is not None
    late: list[wire.FromGateway] = []
    for _ in range(8):  # deliveries, its own echo among them, are slow to come
        line.pump()
        late += [f for f in line.inbound if isinstance(f, wire.Deliver)]
        line.inbound = [f for f in line.inbound if not isinstance(f, wire.Deliver)]
        road.ben.step()
    line.inbound += late
    road.world.run()
    assert [len(text) for text in texts(road.chen, road.channel)] == [5, 3_000, 11], "each once"
    assert not road.ben.alarms()
    assert not road.chen.alarms()
    assert not road.ben.device.waiting()


def test_a_device_that_dies_on_a_narrow_link_sends_everything_once(road: Road) -> None:
    for n in range(4):
        say(road.ben, road.channel, f"{n} " + "x" * 2_500)
    say(road.ben, road.channel, "shots fired", FLASH)
    for lives in range(12):
        road.ben.device = Device(road.ben.ledger, road.world.random, narrow=True)
        road.connect()
        rounds(road.ben, 1 + lives % 4)
        road.ben.disconnect()
    road.ben.device = Device(road.ben.ledger, road.world.random, narrow=True)
    road.connect()
    road.world.run()
    kinds = [Kind.APPLICATION for _ in texts(road.chen, road.channel)]
    assert len(kinds) == 6
    assert texts(road.chen, road.channel)[1] == "shots fired"
    assert not road.chen.alarms()


def test_proofs_wait_for_a_better_link_but_for_one_in_a_while(road: Road) -> None:
    """Each is as long as a message or two. What was not asked for is held against nobody, and is asked for in the end."""
    road.connect()
    for n in range(12):
        say(road.chen, road.channel, f"{n}")
        road.world.run()
        road.world.later(PROVED_NARROW // 10)
    proofs = [frame for frame in road.scales.sent if isinstance(frame, wire.Prove)]
    assert len(proofs) == 2
    assert len(list(records.UNPROVEN.scan(road.ben.ledger))) > 12
    assert not road.ben.alarms()
    assert not road.ben.device.waiting()
    road.ben.disconnect()
    road.ben.device = Device(road.ben.ledger, road.world.random)
    road.ben.connect()
    road.world.run()
    assert not list(records.UNPROVEN.scan(road.ben.ledger))
    assert not road.ben.alarms()


def test_a_backlog_that_takes_minutes_is_not_withheld(road: Road) -> None:
    """What a FLASH has overtaken is known of and not there; it comes, a piece every seven seconds. Then nothing comes any more."""
    for n in range(16):
        say(road.chen, road.channel, f"{n} " + "x" * 600)
        road.world.run()
    road.connect()
    rounds(road.ben, 3)
    say(road.chen, road.channel, "take cover", FLASH)
    road.chen.step()
    heard = len(texts(road.ben, road.channel))
    for _ in range(8):
        road.world.later(7_000)
        road.ben.step()
    assert heard < len(texts(road.ben, road.channel)) < 18
    assert not road.ben.alarms()
    road.world.later(NARROW_PATIENCE + 1)
    road.ben.act(lambda work: None)
    assert [alarm.kind for alarm in road.ben.alarms()] == [AlarmKind.WITHHELD]
