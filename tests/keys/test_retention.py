"""Tombstones and orders: one encoding, and nothing that contradicts itself."""

from __future__ import annotations

import pytest

from keys.canonical import encode
from keys.errors import Malformed
from keys.retention import (
    BY_THE_GATEWAY,
    DAY,
    NO_ORDER,
    Destruction,
    Rule,
    Span,
    Tombstone,
    confirmed,
    ends,
    read_destruction,
    read_tombstone,
)
from tests.keys.shapes import almost

CHANNEL, SOMEBODY, ORDER = bytes(range(16)), b"c" * 32, b"o" * 32
SPANS = [Span(2, 4, 9), Span(7, 7, 12)]
BY_CLASS = Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.CLASS, 30, SPANS, NO_ORDER)
EXPIRED = Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.EXPIRED, 0, [Span(2, 2, 7), Span(3, 3, 8)], NO_ORDER)
WISH = Destruction(SOMEBODY, CHANNEL, SPANS, bytes(32))
ORDERED = confirmed(WISH, ORDER, SOMEBODY)


@pytest.mark.parametrize("stone", [BY_CLASS, EXPIRED, ORDERED], ids=["by class", "expired", "ordered"])
def test_each_has_one_encoding(stone: Tombstone) -> None:
    assert read_tombstone(encode(stone)) == stone
    for _, data in almost(stone):
        with pytest.raises(Malformed):
            read_tombstone(data)


def test_an_order_has_one_encoding() -> None:
    assert read_destruction(encode(WISH)) == WISH
    for _, data in almost(WISH):
        with pytest.raises(Malformed):
            read_destruction(data)


@pytest.mark.parametrize(
    "stone",
    [
        pytest.param(Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.CLASS, 0, SPANS, NO_ORDER), id="a class without days"),
        pytest.param(
            Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.EXPIRED, 30, [Span(2, 2, 7)], NO_ORDER), id="days without a class"
        ),
        pytest.param(
            Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.EXPIRED, 0, SPANS, NO_ORDER), id="expired ones in one span"
        ),
        pytest.param(Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.CLASS, 30, SPANS, ORDER), id="a class with an order"),
        pytest.param(Tombstone(SOMEBODY, CHANNEL, Rule.ORDERED, 0, SPANS, NO_ORDER), id="ordered without an order"),
        pytest.param(Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.ORDERED, 0, SPANS, ORDER), id="ordered by nobody"),
        pytest.param(Tombstone(SOMEBODY, CHANNEL, Rule.CLASS, 30, SPANS, NO_ORDER), id="by a person, without an order"),
    ],
)
def test_what_contradicts_itself(stone: Tombstone) -> None:
    with pytest.raises(Malformed):
        read_tombstone(encode(stone))


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([Span(4, 2, 9)], id="backwards"),
        pytest.param([Span(2, 4, 9), Span(4, 5, 10)], id="overlapping"),
        pytest.param([Span(7, 7, 12), Span(2, 4, 9)], id="falling"),
    ],
)
def test_spans_are_written_in_one_way(spans: list[Span]) -> None:
    with pytest.raises(Malformed):
        read_destruction(encode(Destruction(SOMEBODY, CHANNEL, spans, bytes(32))))
    with pytest.raises(Malformed):
        read_tombstone(encode(Tombstone(BY_THE_GATEWAY, CHANNEL, Rule.CLASS, 30, spans, NO_ORDER)))


def test_the_sooner_end_counts() -> None:
    assert ends(30, 1_000, 0) == 1_000 + 30 * DAY
    assert ends(30, 1_000, 5_000) == 5_000
    assert ends(1, 1_000, 5 * DAY) == 1_000 + DAY
