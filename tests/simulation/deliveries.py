"""What the gateway sends to whom: a part of the oracle.

Of a channel nothing goes to who was not in it at that place; and all goes in its order, from where the device says that it stands,
but for what is urgent and the commits before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import wire
from keys.envelope import Envelope, Kind, Precedence, read
from tests.simulation.violated import need

if TYPE_CHECKING:
    from tests.simulation.gateway import Process
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

OVERTAKING = (Kind.COMMIT, Kind.PROPOSAL, Kind.ALERT)


class Deliveries:
    """Of each device's present session."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stands: dict[bytes, dict[bytes, int]] = {}  # seq by channel, by device: as it said itself
        self.went: dict[tuple[bytes, bytes], set[int]] = {}  # by device and channel

    def follows(self, phone: Phone, frame: wire.Follow) -> None:
        """A device says where it stands: from there on it is sent everything."""
        self.stands[phone.id] = {position.channel: position.seq for position in frame.positions}
        for channel in self.world.known_channels():
            self.went.pop((phone.id, channel), None)

    def sent(self, process: Process, device: bytes, placed: wire.Placed) -> None:
        """About to be delivered."""
        channel, seq = placed.channel, placed.place.seq
        if channel not in self.world.known_channels():
            return  # receipts and answers stand beside it
        with process.store.snapshot() as view:
            member = view.member(channel, device)
        inside = member is not None and member.since <= seq and (not member.left or seq <= member.left)
        need(inside, f"seq {seq} is sent to who was not in the channel then")
        assert member is not None
        went = self.went.setdefault((device, channel), set())
        went.add(seq)
        context = read(Envelope(placed.header, placed.signature)).context
        if context.kind in OVERTAKING or context.precedence == Precedence.FLASH:
            return
        start = max(self.stands.get(device, {}).get(channel, 0), member.since)
        first = next((before for before in range(start + 1, seq) if before not in went), None)
        need(first is None, f"seq {seq} is sent, and seq {first} was passed over")
