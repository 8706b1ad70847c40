"""A device that is slow to hear, or whose channel a gateway has taken another way and never shows it."""

from __future__ import annotations

from clients.core import records
from gateway import wire
from tests.clients.relay import Line, Party, Relay, World
from tests.keys.mission import Mission


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


def rekey(party: Party, channel: bytes) -> None:
    intent = records.Intent(channel, [], [], renew=False, rekey=True, automatic=False)
    party.act(lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent))


def lost(world: World) -> tuple[Slow, Party, bytes]:
    """Ben's channel has gone another way, and he is never shown it."""
    relay = world.relay
    assert isinstance(relay, Slow)
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    channel = world.channel(mso, ben)
    relay.late = ben.line
    for _ in range(2):  # the one before the last may be within its grace
        rekey(mso, channel)
        world.run()
    return relay, ben, channel
