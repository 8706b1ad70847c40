"""Bodies are destroyed by rule: each time a TOMBSTONE is logged in the same transaction, by the gateway or by a second person.

`sweep` is asked again and again by the shell's timer; it does a part and says whether there is more. Entries stay for ever, and
so do bodies that are not content: handshakes, statements, answers.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

from gateway.core import acts, limits
from gateway.core.append import Gateway
from gateway.core.effects import Destroy, Effect, Outcome, PutDestruction, PutSwept
from gateway.core.errors import Refused
from gateway.core.run import Run, check_control, check_verb
from gateway.core.view import Content, DestructionRow, Stream, View
from gateway.wire import Refusal
from keys.canonical import encode
from keys.envelope import Kind
from keys.errors import Malformed
from keys.identity import Random
from keys.policy import Verb
from keys.retention import (
    BY_THE_GATEWAY,
    DAY,
    NO_ORDER,
    RANGES,
    Destruction,
    Rule,
    Span,
    Tombstone,
    read_destruction,
    read_tombstone,
)

T = TypeVar("T", Destruction, Tombstone)
CONTENT: Final = frozenset({Kind.APPLICATION, Kind.ALERT, Kind.SOS, Kind.CHECK_IN})

# --- by rule ---


def sweep(view: View, gateway: Gateway, now: int, random: Random, most: int = limits.SWEPT_AT_ONCE) -> Outcome[bool]:
    """Destroy some of what is due, of one channel; gives whether there may be more."""
    expired = view.expired(now, most)
    if expired:
        first = expired[0].channel
        found = [content for content in expired if content.channel == first]
        return _destroyed(view, gateway, Rule.EXPIRED, 0, found, now, random)
    for channel, class_name, swept in view.channels_kept():
        days = _days(gateway, class_name)
        if not days:
            continue
        found = list(view.content(channel, swept, now - days * DAY, most))
        if found:
            done = PutSwept(channel, found[-1].seq)
            return _destroyed(view, gateway, Rule.CLASS, days, found, now, random, done)
    return Outcome(False)


def _days(gateway: Gateway, class_name: str) -> int:
    """How long the charter in force keeps content of a class; 0 where it has no such class any more: nothing is destroyed."""
    return next((c.retention_days for c in gateway.charter.policy.classes if c.name == class_name), 0)


def _destroyed(
    view: View,
    gateway: Gateway,
    rule: Rule,
    days: int,
    found: Sequence[Content],
    now: int,
    random: Random,
    *more: Effect,
) -> Outcome[bool]:
    spans = spans_of(found)[:RANGES]
    last = spans[-1].last
    seqs = tuple(content.seq for content in found if content.seq <= last)
    channel = found[0].channel
    stone = Tombstone(BY_THE_GATEWAY, channel, rule, days, spans, NO_ORDER)
    if more and last != found[-1].seq:
        more = (PutSwept(channel, last),)
    said = acts.say(view, gateway, Kind.TOMBSTONE, encode(stone), now, random, Destroy(channel, seqs), *more)
    return Outcome(True, said.effects)


def spans_of(found: Sequence[Content]) -> list[Span]:
    """The fewest spans with these and no other content between them. What lies between two of them in the channel is not content,
    so it stays."""
    if not found:
        return []
    breaks = [n for n, (a, b) in enumerate(pairwise(found), 1) if b.seq != a.seq + 1]
    parts = [found[a:b] for a, b in pairwise([0, *breaks, len(found)])]
    return [Span(part[0].seq, part[-1].seq, part[-1].index) for part in parts]


# --- by two people ---


def destruction(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """One person of the mission's own orders it. Nothing is destroyed yet."""
    check_control(run)
    _check_may(run)
    verified, data = run.one()
    order = _read(run, read_destruction, data)
    _check_spans(view, order)
    return run.stream, (PutDestruction(DestructionRow(verified.header_hash, run.who.person, data, done=False)),)


def tombstone(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Another person confirms an order: the bodies are destroyed with this very entry."""
    check_control(run)
    _check_may(run)
    _, data = run.one()
    stone = _read(run, read_tombstone, data)
    row = view.destruction(stone.order)
    if stone.rule is not Rule.ORDERED or row is None:
        raise Refused(Refusal.SCHEMA, "a tombstone by a person confirms an order that is there")
    order = read_destruction(row.body)
    if (stone.channel, stone.spans) != (order.channel, order.spans):
        raise Refused(Refusal.SCHEMA, "it confirms something else than was ordered")
    if row.person == run.who.person:
        raise Refused(Refusal.ROLE, "another person confirms it")
    if row.done:
        raise Refused(Refusal.REPLAY, "that order was carried out")
    found = [c for span in order.spans for c in view.content_between(order.channel, span.first, span.last)]
    destroyed = Destroy(order.channel, tuple(content.seq for content in found))
    return run.stream, (destroyed, PutDestruction(DestructionRow(row.order, row.person, row.body, done=True)))


def _check_may(run: Run) -> None:
    check_verb(run, Verb.DESTROY)
    if run.who.organisation != run.charter.policy.home.name:
        raise Refused(Refusal.ROLE, "people of the mission's own organisation decide what is destroyed")


def _read(run: Run, read: Callable[[bytes], T], data: bytes) -> T:
    try:
        said = read(data)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if said.certificate != run.who.certificate:
        raise Refused(Refusal.SCHEMA, "it names another certificate than its author's")
    return said


def _check_spans(view: View, order: Destruction) -> None:
    """Not too many; and each span ends with content, at the log entry that it names."""
    if sum(span.last - span.first + 1 for span in order.spans) > limits.ORDERED_AT_ONCE:
        raise Refused(Refusal.LIMIT, f"at most {limits.ORDERED_AT_ONCE} places in one order")
    for span in order.spans:
        last = view.envelope(order.channel, span.last)
        if last is None or last.index != span.index or last.kind not in CONTENT:
            raise Refused(Refusal.SCHEMA, "this order names no message at that place")
