"""What a byzantine gateway or a byzantine device does to frames. The honest ones do nothing.

A lying gateway holds all keys of the gateway and the log, and says to one device now and then what is not so: it alters, withholds,
repeats, renumbers, takes what it does not keep, and makes up receipts that nobody gave. A lying device has its own key: what it
alters it signs anew, so that nothing but the rules stands in its way; above all it lies in its own chain. Each kind of lie is told
before any is told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from clients.core import records
from gateway import wire
from keys.body import Range, read_receipt
from keys.canonical import encode
from keys.envelope import Context, Envelope, Heard, Kind, Marking, read, seal
from keys.errors import KeysError
from keys.identity import SigningKey
from tests.simulation.pack import Pack

if TYPE_CHECKING:
    from tests.simulation.peer import Peer
    from tests.simulation.phone import Phone
    from tests.simulation.world import World


BESIDE = 4_000_000_000
"""The id of a lie: what it is answered concerns nobody."""


class Honest:
    """Every frame as it is."""

    def __init__(self, world: World) -> None:
        self.world = world

    def to_device(self, peer: Peer, frame: Any) -> Sequence[bytes]:
        return (encode(frame),)

    def to_gateway(self, phone: Phone, frame: Any) -> Sequence[bytes]:
        if isinstance(frame, wire.Submit):
            self.world.oracle.receipts.gives(phone, frame)
        elif isinstance(frame, wire.Follow):
            self.world.oracle.deliveries.follows(phone, frame)
            self.world.oracle.receipts.follows(phone)
        return (encode(frame),)


def flipped(data: bytes, chance: Random) -> bytes:
    """One bit is another."""
    if not data:
        return b"\0"
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


class Liars(Honest):
    """`often`: the chance that a frame is lied about, by a gateway (`down`) or by the device of that name."""

    def __init__(self, world: World, *, down: bool, device: str) -> None:
        super().__init__(world)
        self.chance = world.sim.random("lies")
        self.down = down
        self.device = device
        self.often = world.often * self.chance.choice((0.01, 0.03, 0.08)) if down else 0.5
        self.kept: list[wire.FromGateway] = []
        self.deliveries = Pack(
            self.chance,
            (
                (1, self._withheld),
                (1, self._repeated),
                (2, self._altered),
                (1, self._unsigned),
                (1, self._renumbered),
                (1, self._body),
                (2, self._made_up),
            ),
        )
        self.others = Pack(self.chance, ((1, self._withheld), (1, self._repeated), (1, self._forged)))
        self.submissions = Pack(self.chance, ((2, self._rough), (4, self._signed), (3, self._out_of_line)))

    def _lies(self) -> bool:
        return self.world.hurt and self.chance.random() < self.often

    # --- the gateway's ---

    def to_device(self, peer: Peer, frame: Any) -> Sequence[bytes]:
        if not self.down or not isinstance(
            frame, wire.Deliver | wire.Accepted | wire.Proven | wire.Logged | wire.BodyChunk
        ):
            return (encode(frame),)
        if isinstance(frame, wire.Deliver) and len(self.kept) < 200:
            self.kept.append(frame)
        if not self._lies():
            return (encode(frame),)
        self.world.fault("lie")
        lie = (self.deliveries if isinstance(frame, wire.Deliver) else self.others).draw()
        self.world.sim.note(f"lie to {peer.line.name}: {lie.__name__[1:]} {type(frame).__name__}")
        return tuple(encode(told) for told in lie(frame))

    def _withheld(self, frame: Any) -> list[Any]:
        return []

    def _repeated(self, frame: Any) -> list[Any]:
        return [frame, self.chance.choice(self.kept)] if self.kept else [frame, frame]

    def _altered(self, frame: wire.Deliver) -> list[Any]:
        return [wire.Deliver(replace(frame.placed, header=flipped(frame.placed.header, self.chance)))]

    def _unsigned(self, frame: wire.Deliver) -> list[Any]:
        signature = self.chance.choice((b"", flipped(frame.placed.signature, self.chance)[:64]))
        return [wire.Deliver(replace(frame.placed, signature=signature))]

    def _body(self, frame: wire.Deliver) -> list[Any]:
        body = frame.placed.body
        return [wire.Deliver(replace(frame.placed, body=flipped(body, self.chance) if body else b"\0"))]

    def _renumbered(self, frame: wire.Deliver) -> list[Any]:
        place = frame.placed.place
        other = replace(
            place,
            seq=max(1, place.seq + self.chance.choice((-1, 1, 2))),
            index=place.index + self.chance.choice((0, 1)),
        )
        return [wire.Deliver(replace(frame.placed, place=other))]

    def _made_up(self, frame: wire.Deliver) -> list[Any]:
        """A receipt of somebody who gave another: of all that is in the channel, and in no key's name."""
        placed = frame.placed
        try:
            context = read(Envelope(placed.header, placed.signature)).context
            receipt = read_receipt(placed.body or b"")
        except KeysError:
            return self._body(frame)
        with_all = max((part.last for part in receipt.received), default=0) + 1
        more = Range(with_all, with_all, self.chance.randbytes(32))
        body = encode(replace(receipt, received=[more], decrypted=[more], shown=[]))
        envelope = seal(context, body, SigningKey(self.chance.randbytes(32)))
        return [wire.Deliver(replace(placed, header=envelope.header, signature=envelope.signature, body=body))]

    def _forged(self, frame: wire.Accepted | wire.Proven | wire.Logged | wire.BodyChunk) -> list[Any]:
        if isinstance(frame, wire.Accepted):
            places = [replace(p, seq=p.seq + 1, index=p.index + 1) for p in frame.places]
            return [replace(frame, places=places)]
        if isinstance(frame, wire.BodyChunk):
            return [replace(frame, data=flipped(frame.data, self.chance))]
        return [replace(frame, checkpoint=flipped(frame.checkpoint, self.chance))]

    # --- a device's ---

    def to_gateway(self, phone: Phone, frame: Any) -> Sequence[bytes]:
        if phone.name != self.device or not isinstance(frame, wire.Submit | wire.PutChunk) or not self._lies():
            return super().to_gateway(phone, frame)
        self.world.fault("insider")
        if isinstance(frame, wire.PutChunk):
            return (encode(replace(frame, data=flipped(frame.data, self.chance))),)
        lie = self.submissions.draw()
        told = replace(lie(phone, frame), id=BESIDE)
        self.world.sim.note(f"{phone.name} lies: {lie.__name__[1:]}")
        return encode(told), encode(frame)

    def _rough(self, phone: Phone, frame: wire.Submit) -> wire.Submit:
        run = list(frame.run)
        at = self.chance.randrange(len(run))
        which = self.chance.choice(("header", "signature", "body"))
        run[at] = replace(run[at], **{which: flipped(getattr(run[at], which) or b"", self.chance)})
        return replace(frame, run=run)

    def _signed(self, phone: Phone, frame: wire.Submit) -> wire.Submit:
        """One envelope with something else in it, signed as it should be."""
        sealed, chance = frame.run[-1], self.chance
        try:
            context = read(Envelope(sealed.header, sealed.signature)).context
        except KeysError:
            return frame
        others = [p.id for p in self.world.phones.values() if p is not phone]
        changes: dict[str, Any] = chance.choice(
            (
                {"attempt": context.attempt + 1},
                {"epoch": context.epoch + 1},
                {"epoch": max(0, context.epoch - 1)},
                {"device": chance.choice(others)},
                {"channel": chance.choice((self.world.desk, self.world.alerts, self.world.talk))},
                {"marking": Marking.RED},
                {"heard": Heard(context.heard.seq + 1, bytes(32))},
                {"kind": chance.choice((Kind.APPLICATION, Kind.ALERT, Kind.COMMIT, Kind.RECEIPT, Kind.PROPOSAL))},
            )
        )
        return self._instead(phone, frame, replace(context, **changes), sealed.body or b"")

    def _out_of_line(self, phone: Phone, frame: wire.Submit) -> wire.Submit:
        """The first of a run, alone and whole, but not where this device's chain has come to; its content is bound to it."""
        sealed, chance = frame.run[0], self.chance
        try:
            context = read(Envelope(sealed.header, sealed.signature)).context
        except KeysError:
            return frame
        changes: dict[str, Any] = chance.choice(
            (
                {"number": context.number + 1},
                {"number": context.number - 1 or 2},
                {"previous": bytes(31) + b"\1"},
                {"previous": flipped(context.previous, chance)},
            )
        )
        other: Context = replace(context, **changes)
        body = sealed.body or b""
        group = phone.core.session.groups.get(phone.ledger, context.channel)
        if context.kind is Kind.APPLICATION and group is not None:
            _, body = group.protect(
                chance.randbytes(40),
                authenticated_data=other.authenticated_data(),
                padding=256,
                random=chance.randbytes,
            )
        return self._instead(phone, frame, other, body)

    def _instead(self, phone: Phone, frame: wire.Submit, context: Context, body: bytes) -> wire.Submit:
        me = records.IDENTITY.get(phone.ledger)
        seed = records.SEEDS.get(phone.ledger, me.certificate_hash) if me else None
        assert seed is not None
        envelope = seal(context, body, SigningKey(seed.seed))
        return replace(frame, run=[wire.Sealed(envelope.header, envelope.signature, body)])
