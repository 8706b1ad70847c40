"""How a device tells that it has stored what came: not at every step, and never later than the window needs it; and deliveries by the frame."""

from clients.core.departures import CURSOR_DELIVERIES
from clients.core.turn import Draining
from gateway import wire
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.talk import say, see


class Listening(Relay):
    """Keeps the cursors that come in."""

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        if isinstance(frame, wire.Cursor):
            self.cursors = [*getattr(self, "cursors", []), (bytes(line.who.device), frame.position)]
        return [frame]

    def of(self, party: Party, channel: bytes) -> list[int]:
        return [p.seq for device, p in getattr(self, "cursors", []) if (device, p.channel) == (party.id, channel)]


def scene() -> tuple[World, Listening, Party, Party, bytes]:
    world = World(1, Listening)
    chen, ana = world.party("Chen", "officer"), world.party("Ana", "agent")
    channel = world.channel(chen, ana)
    assert isinstance(world.relay, Listening)
    world.relay.cursors = []
    return world, world.relay, chen, ana, channel


def test_no_cursor_for_a_little() -> None:
    world, relay, chen, ana, channel = scene()
    for n in range(3):
        say(chen, channel, f"news {n}")
        world.run()
    world.later(60_000)
    world.run()
    assert not relay.of(ana, channel)


def test_a_backlog_is_told_by_quarters_of_the_window() -> None:
    world, relay, chen, ana, channel = scene()
    ana.disconnect()
    for n in range(CURSOR_DELIVERIES + 10):
        say(chen, channel, f"news {n}")
    world.run()
    ana.connect()
    world.run()
    assert relay.of(ana, channel)
    assert relay.of(ana, channel)[-1] >= CURSOR_DELIVERIES


def test_several_deliveries_in_a_frame_are_taken_as_if_each_had_come_alone() -> None:
    world, _, chen, ana, channel = scene()
    ana.disconnect()
    for n in range(5):
        say(chen, channel, f"news {n}")
    world.run()
    ana.connect()
    line = ana.line
    assert line is not None
    line.pump()
    came = [frame.placed for frame in line.inbound if isinstance(frame, wire.Deliver)]
    assert len(came) >= 5
    others: list[wire.FromGateway] = [frame for frame in line.inbound if not isinstance(frame, wire.Deliver)]
    line.inbound = [*others, wire.Deliveries(came)]
    world.run()
    assert see(ana) == [f"news {n}" for n in range(5)]
    assert not ana.alarms()


def test_a_gateway_that_stops_says_when_to_come_again() -> None:
    _, _, _, ana, _ = scene()
    ana.take(wire.Notice(wire.Alarm.DRAINING, "the gateway is about to stop", 4_200))
    assert [event for event in ana.events if isinstance(event, Draining)] == [Draining(4_200)]
    assert not ana.alarms()
