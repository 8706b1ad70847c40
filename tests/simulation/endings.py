"""What ends: words with an end of their own, classes that are kept for a day, and what two officers have destroyed by order.

Sweeper    what `gateway.retaining` does, in one life of the gateway
Endings    a part of the oracle: nothing goes before its time or without its tombstone, what is due goes, at the gateway and at home
order      two officers have something destroyed; drawn from the seed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from clients.core import records, retention
from clients.core.commits import Work
from clients.core.ledger import seq_of
from gateway.core.append import Gateway
from gateway.core.retention import CONTENT, is_due, sweep
from gateway.core.view import View
from gateway.retaining import BREATH, PAUSE
from gateway.store.base import Broken, Damaged, DiskFull
from keys.envelope import Envelope, Kind, read
from keys.retention import Rule, Tombstone, ends, read_tombstone
from tests.simulation.founding import OFFICERS
from tests.simulation.tempo import MINUTE
from tests.simulation.violated import need

if TYPE_CHECKING:
    from tests.simulation.gateway import Process
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

LATE: Final = 3 * MINUTE  # what is due at the gateway is gone by then
CONFIRMED: Final = 15_000  # ms until the second officer looks
PLACES: Final = 100_000


class Sweeper:
    """The gateway looks now and then, and destroys what is due a part at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def look(self) -> None:
        process = self._process
        gateway = Gateway(process.charter, process.key)
        try:
            with process.store.snapshot() as view:
                due = is_due(view, gateway, process.now())
        except Damaged:
            process.machine.noticed()
            due = False
        if due:
            process.decide(lambda view: sweep(view, gateway, process.now(), process.random), self._swept)
        else:
            self._again(PAUSE)

    def _again(self, seconds: float) -> None:
        self._process.do(int(seconds * 1_000), self.look)

    def _swept(self, more: Any, error: BaseException | None) -> None:
        if isinstance(error, Broken):
            self._process.stop(error)
        elif isinstance(error, Damaged):
            self._process.machine.noticed()
            self._again(PAUSE)
        elif error is not None and not isinstance(error, DiskFull):
            raise error
        else:
            self._again(BREATH if more else PAUSE)


class Endings:
    """What the log says was destroyed, held against what was to be."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.buried: dict[tuple[bytes, int], Rule] = {}
        self._read = 0  # seq of the control channel up to which tombstones were read
        self._unread: dict[tuple[bytes, int], str] = {}  # places that somebody could not read, and who

    def days(self, view: View, channel: bytes) -> int:
        stream = view.stream(channel)
        assert stream is not None
        return self.world.mission.policy.channel_class(stream.channel_class).retention_days

    def unreadable(self, phone: Phone, channel: bytes, seq: int) -> None:
        """A word that a device was never given: in the end it is seen whether it was destroyed."""
        self._unread[channel, seq] = phone.name

    def look(self, view: View) -> None:
        """At tombstones that are new: each was due when it was logged."""
        control = self.world.mission.charter.control_channel
        for stored in view.envelopes(control, self._read, PLACES):
            if stored.kind is Kind.TOMBSTONE and stored.body is not None:
                self._bury(view, read_tombstone(stored.body), stored.time)
            self._read = stored.seq  # not before: a page that is needed may have rotted

    def _bury(self, view: View, stone: Tombstone, time: int) -> None:
        days = self.days(view, stone.channel)
        for span in stone.spans:
            for seq in range(span.first, span.last + 1):
                stored = view.envelope(stone.channel, seq)
                need(stored is not None, f"seq {seq} was destroyed before it was there")
                assert stored is not None
                if stored.kind not in CONTENT:
                    continue
                expires = read(Envelope(stored.header, stored.signature)).context.expires
                end = ends(days, stored.time, expires)
                need(stone.rule is Rule.ORDERED or end <= time, f"seq {seq} was destroyed {end - time} ms too early")
                self.buried[bytes(stone.channel), seq] = stone.rule

    def kept(self, view: View) -> None:
        """A body of content is at the gateway as long as no tombstone names it, and no longer."""
        self.look(view)
        for channel in self.world.known_channels():
            there = {content.seq for content in view.content_between(channel, 1, PLACES)}
            for stored in view.envelopes(channel, 0, PLACES, bodies=False):
                if stored.kind in CONTENT:
                    gone = (channel, stored.seq) in self.buried
                    need(not gone or stored.seq not in there, f"seq {stored.seq} was destroyed and is there")
                    need(gone or stored.seq in there, f"the body of seq {stored.seq} is gone without a tombstone")

    def done(self, process: Process, view: View) -> None:
        """In the end: all that is due has gone, and what was not given to somebody was destroyed."""
        self.kept(view)
        now = process.now() - LATE
        need(not is_due(view, Gateway(process.charter, process.key), now), "what is due to be destroyed is still there")
        for (channel, seq), name in self._unread.items():
            need((channel, seq) in self.buried, f"{name} can't read seq {seq}, which nobody destroyed")

    def at_home(self, phone: Phone) -> None:
        """In the end: what had ended when the device looked for it last has gone there too."""
        policy, looked = self.world.mission.policy, self.world.sim.now - retention.EVERY - MINUTE
        for channel, state in records.CHANNELS.scan(phone.ledger):
            days = policy.channel_class(state.channel_class).retention_days
            for key, message in records.MESSAGES.scan(phone.ledger, channel):
                ended = ends(days, message.placed, message.expires) < looked
                ordered = self.buried.get((channel, seq_of(key))) is Rule.ORDERED and "mix" not in self.world.kinds
                gone = ended or (ordered and message.kind in CONTENT)
                need(not (gone and message.content), f"{phone.name} still has the content of seq {seq_of(key)}")


# --- by order of two officers ---


def order(world: World, chance: Random) -> None:
    """One asks that something he has read be destroyed; the other confirms what waits."""
    one, other = (world.phones[name] for name in chance.sample(OFFICERS, 2))
    read_here = [
        (channel, seq_of(key))
        for channel, state in records.CHANNELS.scan(one.ledger)
        for key, message in records.MESSAGES.scan(one.ledger, channel)
        if message.content and message.kind is Kind.APPLICATION and not state.left
    ]
    if read_here:
        channel, seq = chance.choice(read_here)
        near = [s for c, s in read_here if c == channel and seq <= s < seq + 5]
        one.wish(lambda work: retention.order(work, channel, near, b"said in error"))
        world.sim.after(CONFIRMED, other.wish, _confirm)


def _confirm(work: Work) -> None:
    waiting = [n for n, o in retention.orders(work.turn.draft) if not o.done and o.person != work.turn.me.person]
    for name in waiting:
        retention.confirm(work, name)


EVENTS: Final[Mapping[str, tuple[Callable[[World, Random], None], int]]] = MappingProxyType({"endings": (order, 120)})
"""With the seconds between two orders, on average. They are no faults, and not counted as such."""
