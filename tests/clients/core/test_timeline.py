"""An inbox: which deliveries make the next run, what may overtake, what is a gap."""

from __future__ import annotations

import pytest

from clients.core.timeline import PATIENCE, Inbox
from gateway import wire
from keys.alert import AlertFields
from keys.envelope import NOTHING, Context, Envelope, Heard, Kind, Marking, Precedence, seal
from keys.identity import SigningKey
from tests.clients.relay import MemoryLedger
from tests.keys.shapes import sample

CHANNEL, ANA, BEN = bytes(16), b"a" * 16, b"b" * 16
KEY = SigningKey(bytes(32))
NOW = 1_790_000_000_000


def placed(
    seq: int,
    number: int,
    *,
    device: bytes = ANA,
    signed: bool = True,
    kind: Kind = Kind.APPLICATION,
    precedence: Precedence = Precedence.ROUTINE,
) -> wire.Placed:
    context = Context(
        version=1,
        kind=kind,
        device=device,
        channel=CHANNEL,
        epoch=1,
        number=number,
        attempt=0,
        previous=NOTHING if number == 1 else bytes([1]) * 32,
        heard=Heard(0, NOTHING),
        time=NOW,
        precedence=precedence,
        marking=Marking.GREEN,
        expires=0,
        franking=bytes([2]) * 32 if kind in (Kind.APPLICATION, Kind.ALERT) else b"",
        alert=sample(AlertFields) if kind is Kind.ALERT else None,
    )
    envelope: Envelope = seal(context, b"x", KEY if signed else None)
    return wire.Placed(CHANNEL, wire.Place(seq, seq, NOW, bytes(16)), envelope.header, envelope.signature, b"x")


def inbox(*deliveries: wire.Placed) -> Inbox:
    box = Inbox()
    for delivery in deliveries:
        box.add(delivery)
    return box


@pytest.mark.parametrize(
    ("deliveries", "run"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([placed(6, 1)], [6], id="one that is signed"),
        pytest.param([placed(7, 1)], None, id="one is missing before"),
        pytest.param([placed(6, 1, signed=False)], None, id="a run not closed yet"),
        pytest.param([placed(6, 1, signed=False), placed(7, 2)], [6, 7], id="a run of two"),
        pytest.param([placed(6, 1, signed=False), placed(8, 3)], None, id="a run with a hole"),
        pytest.param([placed(6, 1, signed=False), placed(7, 1, device=BEN)], [6], id="closed by somebody else: alone"),
        pytest.param([placed(6, 1, signed=False), placed(7, 3)], [6], id="a number left out: alone"),
    ],
)
def test_next_run(deliveries: list[wire.Placed], run: list[int] | None) -> None:
    found = inbox(*deliveries).next_run(5)
    assert (None if found is None else [p.place.seq for p in found]) == run


FLASH = placed(9, 2, precedence=Precedence.FLASH)
ALERT = placed(9, 2, kind=Kind.ALERT)
COMMIT = placed(7, 2, kind=Kind.COMMIT)


@pytest.mark.parametrize(
    ("deliveries", "ahead"),
    [
        pytest.param([FLASH], [9], id="a FLASH"),
        pytest.param([ALERT], [9], id="an alert, whatever its precedence"),
        pytest.param([COMMIT, FLASH], [7, 9], id="with the commit it needs"),
        pytest.param([COMMIT], [], id="a commit alone waits for what needs it"),
        pytest.param([placed(9, 2)], [], id="routine does not overtake"),
        pytest.param([placed(9, 2, precedence=Precedence.FLASH, signed=False)], [], id="nor does what nobody signed"),
    ],
)
def test_what_overtakes(deliveries: list[wire.Placed], ahead: list[int]) -> None:
    assert [p.place.seq for p in inbox(*deliveries).jumped(MemoryLedger(), CHANNEL, 6)] == ahead


def test_a_gap_is_fetched_at_once_unless_something_overtook() -> None:
    plain = inbox(placed(9, 2))
    assert plain.missing(5, NOW) == (6, 8)
    overtaken = inbox(FLASH)
    assert overtaken.missing(5, NOW) is None
    assert overtaken.missing(5, NOW + PATIENCE) == (6, 8)
    assert inbox(placed(6, 1), placed(9, 2)).missing(5, NOW) is None, "what is next is here"
