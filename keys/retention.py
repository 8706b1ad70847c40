"""When bodies are destroyed, and what stays to prove by which rule.

An entry of the log never goes. The body of an envelope with content is ciphertext at the gateway; it is destroyed

    by its class     so many days after its entry, as the charter's channel class has it
    by its own end   when the `expires` of its header has passed
    by order         of two people: a DESTRUCTION by one, and the TOMBSTONE by another who names it

and each time a TOMBSTONE is logged in the same moment, by the gateway or by the second person. So whoever finds a body missing
finds who let it go, and a body that is missing without one was not destroyed by rule. That no copy is left anywhere can't be
proved by anybody.
"""

from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Hash, Id, Positive, Record, Uint, reader
from keys.errors import Malformed

RANGES: Final = 64  # in one tombstone
DAY: Final = 86_400_000  # ms
NO_ORDER: Final = bytes(32)
BY_THE_GATEWAY: Final = bytes(32)


class Rule(IntEnum):
    """Why a body was destroyed."""

    CLASS = 1
    EXPIRED = 2
    ORDERED = 3


class Span(Record, frozen=True, array_like=True):
    """The envelopes with content among the seqs first to last of a channel; `index` is the log entry of the last."""

    first: Positive
    last: Positive
    index: Uint


Spans = Annotated[list[Span], Meta(min_length=1, max_length=RANGES)]


class Destruction(Record, frozen=True, array_like=True):
    """One person orders bodies to be destroyed; nothing happens until another confirms it. `certificate` is its author's, `reason`
    a salted hash."""

    certificate: Hash
    channel: Id
    spans: Spans
    reason: Hash


class Tombstone(Record, frozen=True, array_like=True):
    """These bodies were destroyed at this entry. `certificate` is its author's (zeros for the gateway), `days` the class's rule (0
    for others), `order` the header hash of the DESTRUCTION (zeros for others)."""

    certificate: Hash
    channel: Id
    rule: Rule
    days: Uint
    spans: Spans
    order: Hash


_read_destruction = reader(Destruction, limit=4_096)
_read_tombstone = reader(Tombstone, limit=4_096)


def read_destruction(data: bytes) -> Destruction:
    """Raises Malformed, also where its spans do not rise."""
    order = _read_destruction(data)
    _check_spans(order.spans)
    return order


def read_tombstone(data: bytes) -> Tombstone:
    """Raises Malformed, also where it contradicts itself."""
    stone = _read_tombstone(data)
    _check_spans(stone.spans)
    if stone.rule is Rule.EXPIRED and any(span.first != span.last for span in stone.spans):
        raise Malformed("what ends by itself is named one by one: the end of one says nothing of those before it")
    if (stone.rule is Rule.CLASS) != (stone.days > 0):
        raise Malformed("the days of a class's rule stand exactly where a body was destroyed by it")
    ordered = stone.rule is Rule.ORDERED
    if ordered != (stone.order != NO_ORDER) or ordered != (stone.certificate != BY_THE_GATEWAY):
        raise Malformed("an order, and a person's certificate, stand exactly where a body was destroyed by one")
    return stone


def _check_spans(spans: list[Span]) -> None:
    if any(s.first > s.last for s in spans) or any(a.last >= b.first for a, b in pairwise(spans)):
        raise Malformed("spans rise, and none overlaps another")


def confirmed(order: Destruction, header_hash: bytes, certificate: bytes) -> Tombstone:
    """What a second person signs for an order."""
    return Tombstone(certificate, order.channel, Rule.ORDERED, 0, order.spans, header_hash)


def ends(class_days: int, time: int, expires: int) -> int:
    """When (ms) the body of an entry of that time (ms) is destroyed by rule; `expires` is 0 where its header names no end."""
    by_class = time + class_days * DAY
    return min(by_class, expires) if expires else by_class
