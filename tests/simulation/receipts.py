"""What devices hand over, above all receipts, and what the others make of those: a part of the oracle.

Nobody seals or hands over one thing again and again. Nobody is said to have what he has given no receipt for; and in the end nobody
has what its author does not know to be delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from clients.core import records
from clients.core.ledger import seq_of
from clients.core.records import Fate
from clients.core.refusals import SELDOM
from gateway import wire
from keys.body import read_receipt
from keys.envelope import Context, Envelope, Kind, read
from keys.errors import KeysError
from tests.simulation.violated import Violated, need

if TYPE_CHECKING:
    from tests.simulation.phone import Phone
    from tests.simulation.world import World


AGAIN = 60
"""Times at most that a device seals one number, or hands over one envelope in a session: of a story of hours one more for each time that it may
try by the clock alone."""


class Receipts:
    """All that were sent in a run, by whoever is honest."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handed: dict[tuple[bytes, bytes], tuple[bytes, int]] = {}  # header and times, by device and channel
        self.sealed: dict[
            tuple[bytes, bytes], tuple[int, int]
        ] = {}  # number and attempts before, by device and channel
        self.given: dict[tuple[bytes, bytes], set[int]] = {}  # seqs, by channel and device

    def follows(self, phone: Phone) -> None:
        """A session begins."""
        for key in [key for key in self.handed if key[0] == phone.id]:
            del self.handed[key]
            self.sealed.pop(key, None)

    def gives(self, phone: Phone, frame: wire.Submit) -> None:
        """A device sends something: perhaps receipts. Raises Violated where nobody can read it, or it was sealed again and again."""
        most = AGAIN + (self.world.sim.now - self.world.began) // SELDOM
        for sealed in frame.run:
            try:
                context = read(Envelope(sealed.header, sealed.signature)).context
            except KeysError as error:
                raise Violated(f"{phone.name} sends what is no envelope: {error}") from None
            attempts = context.attempt - self._before(phone, context)
            need(attempts <= most, f"{phone.name} has sealed number {context.number} {context.attempt} times")
            before, times = self.handed.get((phone.id, context.channel), (b"", 0))
            self.handed[phone.id, context.channel] = sealed.header, times + 1 if before == sealed.header else 1
            need(times <= most, f"{phone.name} has handed over number {context.number} {times} times")
            if context.kind is Kind.RECEIPT and sealed.body is not None:
                receipt = read_receipt(sealed.body)
                seqs = self.given.setdefault((bytes(receipt.channel), phone.id), set())
                seqs.update(seq for part in receipt.decrypted for seq in range(part.first, part.last + 1))

    def _before(self, phone: Phone, context: Context) -> int:
        """How often it was sealed before this session: in a story of hours each session may try anew."""
        if not self.world.tempo.routine:
            return 0
        key = phone.id, context.channel
        number, before = self.sealed.get(key, (0, 0))
        if number != context.number:
            before = context.attempt
            self.sealed[key] = context.number, before
        return before

    def believed(self, phone: Phone) -> None:
        """Nobody is said to have what he has given no receipt for."""
        others = {other.id: other for other in self.world.phones.values() if not other.spoiled}
        for key, received in records.RECEIVED.scan(phone.ledger):
            other, channel = others.get(key[16:]), key[:16]
            if other is None:
                continue
            mine, first = self.given.get((channel, other.id), set()), self.world.first_seqs.get(channel, 0)
            said = {seq for part in received.delivered for seq in range(max(part[0], first + 1), part[1] + 1)}
            need(said <= mine, f"{phone.name} believes a receipt that {other.name} has not given")

    def known(self, phone: Phone) -> None:
        """What this device has sent and another has given a receipt for is known here to be delivered.

        Nobody can tell in a stream with gaps what another frame has overtaken, so this is not asked where the order is mixed.
        """
        if "mix" in self.world.kinds:
            return
        for channel, state in records.CHANNELS.scan(phone.ledger):
            for other in self.world.phones.values():
                theirs, given = records.CHANNELS.get(other.ledger, channel), records.GIVEN.get(other.ledger, channel)
                if other.spoiled or other is phone or state.left or theirs is None or theirs.left or given is None:
                    continue
                received = records.RECEIVED.get(phone.ledger, channel + other.id)
                said = received.delivered if received else []
                for seq in self._reached(phone, other, channel, max(theirs.since, state.since), given.upto):
                    there = any(first <= seq <= last for first, last in said)
                    need(there, f"{phone.name} does not know that {other.name} has seq {seq}")

    def _reached(self, phone: Phone, other: Phone, channel: bytes, since: int, upto: int) -> Iterator[int]:
        """Seqs of what one device has sent and the other could read."""
        for key, line in records.LINES.scan(phone.ledger, channel):
            if since < seq_of(key) <= upto and line.fate is Fate.OWN:
                his = records.LINES.get(other.ledger, key)
                if his is not None and his.fate is Fate.TAKEN:
                    yield seq_of(key)
