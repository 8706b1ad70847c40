"""Bodies end by rule or by two people, each with a tombstone in the same transaction; entries, handshakes and statements stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.core import limits, retention
from gateway.core.rows import Content
from gateway.wire import Refusal
from keys.canonical import encode
from keys.envelope import Kind
from keys.errors import BadSignature
from keys.identity import ChannelId, verify
from keys.retention import (
    BY_THE_GATEWAY,
    DAY,
    NO_ORDER,
    Destruction,
    Rule,
    Span,
    Tombstone,
    confirmed,
    read_destruction,
    read_tombstone,
)
from tests.gateway.core.checks import accepted, dump, scene
from tests.gateway.core.world import Party, World
from tests.restored import restored

DAYS = 30  # of the class


@dataclass
class Case:
    world: World
    agent: Party
    officer: Party
    second: Party
    channel: ChannelId

    @property
    def control(self) -> bytes:
        return self.world.charter.control_channel

    def send(self, text: bytes = b"east gate", **changes: Any) -> wire.Place:
        envelope, data = self.agent.message(self.channel, text, **changes)
        return accepted(self.agent.hand_in([(envelope, data)], self.channel)).places[0]

    def body(self, seq: int) -> bytes | None:
        stored = self.world.view.envelope(self.channel, seq)
        assert stored is not None
        return stored.body

    def sweep(self, most: int = 512) -> list[Tombstone]:
        """Everything that is due; the tombstones."""
        w, before = self.world, len(self.world.committed)
        while w.run(lambda: retention.sweep(w.view, w.gateway, w.now, w.random, most)):
            pass
        return [read_tombstone(stored.body or b"") for stored in self.world.committed[before:]]

    def order(self, *places: wire.Place, by: Party | None = None, **changes: Any) -> Any:
        author = by or self.officer
        spans = [Span(p.seq, p.seq, p.index) for p in places]
        said = {
            "certificate": author.identity.certificate,
            "channel": self.channel,
            "spans": spans,
            "reason": bytes(32),
        }
        return author.say(Kind.DESTRUCTION, self.control, encode(Destruction(**{**said, **changes})))

    def ordered(self, *places: wire.Place) -> tuple[Destruction, bytes]:
        answer = accepted(self.order(*places))
        stored = next(
            s for s in reversed(self.world.committed) if s.seq == answer.places[0].seq and s.channel == self.control
        )
        return read_destruction(stored.body or b""), sha256(stored.header).digest()

    def confirm(self, order: Destruction, name: bytes, by: Party | None = None, attempt: int = 0) -> Any:
        author = by or self.second
        stone = confirmed(order, name, author.identity.certificate)
        return author.say(Kind.TOMBSTONE, self.control, encode(stone), attempt=attempt)


@restored
def case() -> Case:
    s = scene()
    return Case(s.world, s.agent, s.officer, s.world.enrolled("officer"), s.channel)


def not_taken(c: Case, refusal: Refusal, act: Callable[[], Any]) -> None:
    before = dump(c.world)
    answer = act()
    assert isinstance(answer, wire.Refused), answer
    assert answer.refusal is refusal, answer
    assert dump(c.world) == before


# --- by rule ---


def test_content_goes_when_its_class_says_so() -> None:
    c = case()
    first = c.send()
    c.world.now += DAY
    second = c.send()
    c.world.now = first.time + DAYS * DAY
    assert c.sweep() == []
    c.world.now += 1
    (stone,) = c.sweep()
    span = Span(first.seq, first.seq, first.index)
    assert stone == Tombstone(BY_THE_GATEWAY, c.channel, Rule.CLASS, DAYS, [span], NO_ORDER)
    assert c.body(first.seq) is None
    assert c.body(second.seq) is not None
    assert c.sweep() == [], "once"


def test_the_envelope_and_what_is_no_content_stay() -> None:
    c = case()
    sent = c.send()
    kept = {s.seq: s.body for s in c.world.view.envelopes(c.channel, 0, 100) if s.kind not in retention.CONTENT}
    c.world.now += 2 * DAYS * DAY
    (stone,) = c.sweep()
    assert [(s.first, s.last) for s in stone.spans] == [(sent.seq, sent.seq)]
    after = {s.seq: s.body for s in c.world.view.envelopes(c.channel, 0, 100)}
    assert {seq: after[seq] for seq in kept} == kept
    assert after[sent.seq] is None


def test_spans_leave_out_what_lies_between() -> None:
    c = case()
    first = c.send()
    accepted(c.officer.commit(c.channel))
    c.world.now += 2 * DAYS * DAY
    (stone,) = c.sweep()
    assert [(s.first, s.last) for s in stone.spans] == [(first.seq, first.seq)]


def test_an_end_of_its_own_comes_before() -> None:
    c = case()
    sent = c.send(expires=c.world.now + 60_000)
    other = c.send()
    c.world.now += 60_000
    (stone,) = c.sweep()
    assert (stone.rule, stone.days) == (Rule.EXPIRED, 0)
    assert [(s.first, s.last, s.index) for s in stone.spans] == [(sent.seq, sent.seq, sent.index)]
    assert c.body(other.seq) is not None
    c.world.now += 2 * DAYS * DAY
    (stone,) = c.sweep()
    assert [(s.first, s.last) for s in stone.spans] == [(other.seq, other.seq)], "what is gone is not named again"


def test_what_ends_by_itself_is_named_one_by_one() -> None:
    """The end of the last would say nothing of those before it."""
    c = case()
    sent = [c.send(expires=c.world.now + 60_000) for _ in range(3)]
    c.world.now += 60_000
    (stone,) = c.sweep()
    assert [(s.first, s.last) for s in stone.spans] == [(p.seq, p.seq) for p in sent]


def test_nothing_is_due_before_its_time() -> None:
    c = case()
    sent = c.send()
    for later, due in ((DAYS * DAY, False), (DAYS * DAY + 1, True)):
        c.world.now = sent.time + later
        assert retention.is_due(c.world.view, c.world.gateway, c.world.now) is due


def test_a_long_body_goes_with_its_pieces() -> None:
    c = case()
    sent = c.send(b"x" * 3 * wire.CHUNK)
    assert c.world.db.execute("SELECT count(*) FROM pieces").fetchone() != (0,)
    before = c.world.db.execute("SELECT count(*) FROM blobs").fetchone()
    c.world.now += 2 * DAYS * DAY
    (stone,) = c.sweep()
    assert [s.last for s in stone.spans] == [sent.seq]
    (stored,) = [s for s in c.world.committed if s.index == sent.index]
    assert c.world.view.blob(stored.body_hash, 0, 10) is None
    assert before is not None
    assert c.world.db.execute("SELECT count(*) FROM blobs").fetchone() == (before[0] - 1,)


def test_a_class_that_the_charter_has_no_more_keeps_what_it_has() -> None:
    c = case()
    sent = c.send()
    classes = tuple(k for k in c.world.charter.policy.classes if k.name != "narrow")
    c.world.succeed(classes=classes)
    c.world.now += 2 * DAYS * DAY
    assert c.sweep() == []
    assert c.body(sent.seq) is not None


def test_many_go_in_parts_each_with_its_tombstone() -> None:
    c = case()
    seqs = [c.send().seq for _ in range(6)]
    c.world.now += 2 * DAYS * DAY
    stones = c.sweep(most=4)
    assert [seq for stone in stones for s in stone.spans for seq in range(s.first, s.last + 1)] == seqs
    assert len(stones) == 2


def test_spans_of_contents() -> None:
    contents = [Content(ChannelId(bytes(16)), seq, 10 + seq) for seq in (2, 3, 4, 7, 9, 10)]
    assert retention.spans_of(contents) == [Span(2, 4, 14), Span(7, 7, 17), Span(9, 10, 20)]
    assert retention.spans_of([]) == []


def test_the_gateway_signs_its_tombstones() -> None:
    c = case()
    c.send()
    c.world.now += 2 * DAYS * DAY
    c.sweep()
    stored = c.world.committed[-1]
    verify(c.world.charter.policy.gateway_key, Kind.TOMBSTONE.label, stored.header, stored.signature)
    with pytest.raises(BadSignature):
        verify(c.world.charter.policy.gateway_key, Kind.FILLER.label, stored.header, stored.signature)


# --- by two people ---


def test_two_people_destroy_one_message() -> None:
    c = case()
    sent, other = c.send(), c.send()
    order, name = c.ordered(sent)
    assert c.body(sent.seq) is not None, "one alone destroys nothing"
    accepted(c.confirm(order, name))
    assert c.body(sent.seq) is None
    assert c.body(other.seq) is not None


def test_the_same_person_does_not_confirm() -> None:
    c = case()
    order, name = c.ordered(c.send())
    not_taken(c, Refusal.ROLE, lambda: c.confirm(order, name, c.officer))
    again = c.world.enrolled("officer", person=c.officer.identity.person)
    not_taken(c, Refusal.ROLE, lambda: c.confirm(order, name, again))


@pytest.mark.parametrize("role", ["agent", "leader", "auditor"])
def test_who_may_not(role: str) -> None:
    c = case()
    sent = c.send()
    order, name = c.ordered(sent)
    other = c.world.enrolled(role)
    not_taken(c, Refusal.ROLE, lambda: c.order(sent, by=other))
    not_taken(c, Refusal.ROLE, lambda: c.confirm(order, name, other, attempt=1))


def test_a_partners_officer_decides_nothing_here() -> None:
    c = case()
    sent = c.send()
    home, partner = c.world.charter.policy.organisations
    c.world.succeed(organisations=(home, replace(partner, roles=frozenset({"guest", "officer"}))))
    c.world.mission.charter = c.world.charter
    other = c.world.enrolled("officer", house=c.world.mission.partner)
    not_taken(c, Refusal.ROLE, lambda: c.order(sent, by=other))


def test_something_else_than_was_ordered() -> None:
    c = case()
    sent, other = c.send(), c.send()
    order, name = c.ordered(sent)
    wider = Destruction(order.certificate, order.channel, [Span(sent.seq, other.seq, other.index)], order.reason)
    not_taken(c, Refusal.SCHEMA, lambda: c.confirm(wider, name))
    not_taken(c, Refusal.SCHEMA, lambda: c.confirm(order, bytes([1]) * 32, attempt=1))


def test_an_order_is_carried_out_once() -> None:
    c = case()
    order, name = c.ordered(c.send())
    accepted(c.confirm(order, name))
    not_taken(c, Refusal.REPLAY, lambda: c.confirm(order, name))


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([Span(1, 1, 0)], id="what is no message"),
        pytest.param([Span(99, 99, 99)], id="a place that nothing stands at"),
        pytest.param([Span(3, 3, 1)], id="at another log entry"),
        pytest.param([Span(2, 1, 0)], id="that end before they begin"),
        pytest.param([Span(1, 3, 0), Span(3, 4, 0)], id="that overlap"),
    ],
)
def test_an_order_names_messages(spans: list[Span]) -> None:
    c = case()
    c.send()
    not_taken(c, Refusal.SCHEMA, lambda: c.order(spans=spans))


def test_an_order_is_bounded() -> None:
    c = case()
    not_taken(c, Refusal.LIMIT, lambda: c.order(spans=[Span(1, limits.ORDERED_AT_ONCE + 1, 0)]))


def test_another_certificate_than_the_authors() -> None:
    c = case()
    sent = c.send()
    not_taken(c, Refusal.SCHEMA, lambda: c.order(sent, certificate=bytes(32)))


def test_nobody_signs_a_tombstone_by_rule() -> None:
    c = case()
    sent = c.send()
    stone = Tombstone(BY_THE_GATEWAY, c.channel, Rule.CLASS, DAYS, [Span(sent.seq, sent.seq, sent.index)], NO_ORDER)
    not_taken(c, Refusal.SCHEMA, lambda: c.second.say(Kind.TOMBSTONE, c.control, encode(stone)))
