"""Bodies are destroyed by rule: each time a TOMBSTONE is logged in the same transaction, by the gateway or by a second person.

`sweep` is asked again and again by the shell's timer; it does a part and says whether there is more. Entries stay for ever, and
so do bodies that are not content: handshakes, statements, answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gateway.core import acts, limits
from gateway.core.append import Gateway
from gateway.core.effects import Destroy, Effect, Outcome, PutDestruction, PutSwept
from gateway.core.errors import Refused
from gateway.core.rows import Content, DestructionRow, Stream
from gateway.core.run import Run, check_control, check_verb, read_named
from gateway.core.view import View
from gateway.wire import Refusal
from keys.canonical import encode
from keys.envelope import Kind
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

CONTENT: Final = frozenset({Kind.APPLICATION, Kind.ALERT, Kind.SOS, Kind.CHECK_IN})

# --- by rule ---


@dataclass(frozen=True, slots=True)
class _Due:
    """Some of one channel's content that has come to its end, by seq."""

    rule: Rule
    days: int
    found: Sequence[Content]


def sweep(view: View, gateway: Gateway, now: int, random: Random, most: int = limits.SWEPT_AT_ONCE) -> Outcome[bool]:
    """Destroy some of what is due, of one channel; gives whether there may be more."""
    due = _due(view, gateway, now, most)
    return Outcome(False) if due is None else _destroyed(view, gateway, due, now, random)


def is_due(view: View, gateway: Gateway, now: int) -> bool:
    """Whether anything is to be destroyed now."""
    return _due(view, gateway, now, 1) is not None


def _due(view: View, gateway: Gateway, now: int, most: int) -> _Due | None:
    expired = view.expired(now, most)
    if expired:
        return _Due(Rule.EXPIRED, 0, [content for content in expired if content.channel == expired[0].channel])
    for channel, class_name, swept in view.channels_kept():
        days = _days(gateway, class_name)
        found = view.content(channel, swept, now - days * DAY, most) if days else ()
        if found:
            return _Due(Rule.CLASS, days, found)
    return None


def _days(gateway: Gateway, class_name: str) -> int:
    """How long the charter in force keeps content of a class; 0 where it has no such class any more: nothing is destroyed."""
    return next((c.retention_days for c in gateway.charter.policy.classes if c.name == class_name), 0)


def _destroyed(view: View, gateway: Gateway, due: _Due, now: int, random: Random) -> Outcome[bool]:
    by_class = due.rule is Rule.CLASS
    each = [Span(content.seq, content.seq, content.index) for content in due.found]
    spans = (spans_of(due.found) if by_class else each)[:RANGES]
    channel, last = due.found[0].channel, spans[-1].last
    seqs = tuple(content.seq for content in due.found if content.seq <= last)
    stone = Tombstone(BY_THE_GATEWAY, channel, due.rule, due.days, spans, NO_ORDER)
    swept = [PutSwept(channel, last)] if by_class else []
    said = acts.say(view, gateway, Kind.TOMBSTONE, encode(stone), now, random, Destroy(channel, seqs), *swept)
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
    name, order = read_named(run, read_destruction)
    _check_spans(view, order)
    return run.stream, (PutDestruction(DestructionRow(name, run.who.person, encode(order), done=False)),)


def tombstone(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Another person confirms an order: the bodies are destroyed with this very entry."""
    check_control(run)
    _check_may(run)
    _, stone = read_named(run, read_tombstone)
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


def _check_spans(view: View, order: Destruction) -> None:
    """Not too many; and each span ends with content, at the log entry that it names."""
    if sum(span.last - span.first + 1 for span in order.spans) > limits.ORDERED_AT_ONCE:
        raise Refused(Refusal.LIMIT, f"at most {limits.ORDERED_AT_ONCE} places in one order")
    for span in order.spans:
        last = view.envelope(order.channel, span.last)
        if last is None or last.index != span.index or last.kind not in CONTENT:
            raise Refused(Refusal.SCHEMA, "this order names no message at that place")
