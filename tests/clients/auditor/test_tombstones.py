"""What was destroyed against the rules is found: too soon, by one person, by nobody's order, under another rule."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from clients.auditor.verify import Cause, Outcome, Topic, Verdict
from keys.canonical import encode
from keys.envelope import Kind, Marking
from keys.retention import BY_THE_GATEWAY, DAY, NO_ORDER, Destruction, Rule, Span, Tombstone, confirmed
from tests.clients.auditor.logs import Book, Party
from tests.clients.auditor.test_content import against, check
from tests.keys.mission import Device
from tests.restored import restored

DAYS = 30


class Scene:
    """A message in a channel that keeps its content for thirty days, and two officers."""

    def __init__(self) -> None:
        self.book = Book()
        self.chen, self.dara = self.book.enrolled("officer"), self.book.enrolled("officer")
        self.bea = self.book.enrolled("leader")
        self.channel = self.bea.found("narrow", Marking.AMBER)
        self.bea.add(self.channel, self.chen)
        self.message = self.bea.message(self.channel)
        self.brief = self.bea.message(self.channel, expires=self.book.now + DAY)
        self.span, self.brief_span = self.span_of(self.message), self.span_of(self.brief)

    def span_of(self, index: int) -> Span:
        seq = self.book.entry(index).seq
        return Span(seq, seq, index)

    def certificate(self, party: Party) -> bytes:
        assert isinstance(party.device, Device)
        return party.device.certified.hash

    def bury(self, rule: Rule = Rule.CLASS, days: int = DAYS, span: Span | None = None, channel: bytes = b"") -> int:
        """By the gateway, now."""
        stone = Tombstone(BY_THE_GATEWAY, channel or self.channel, rule, days, [span or self.span], NO_ORDER)
        return self.book.gateway.say(Kind.TOMBSTONE, self.book.control, encode(stone))

    def order(self, by: Party) -> tuple[Destruction, bytes]:
        said = Destruction(self.certificate(by), self.channel, [self.span], bytes(32))
        at = by.say(Kind.DESTRUCTION, self.book.control, encode(said))
        return said, sha256(self.book.entry(at).header).digest()

    def confirm(self, by: Party, said: Destruction, name: bytes) -> int:
        return by.say(Kind.TOMBSTONE, self.book.control, encode(confirmed(said, name, self.certificate(by))))


@restored
def scene() -> Scene:
    return Scene()


def test_what_went_by_rule_or_by_two_is_sound() -> None:
    s = scene()
    s.confirm(s.dara, *s.order(s.chen))
    s.book.now += DAY
    s.bury(Rule.EXPIRED, 0, s.brief_span)
    s.book.now += DAYS * DAY
    s.bury()
    verified = check(s.book)
    (claim,) = [c for c in verified.claims if c.claim is Topic.TOMBSTONES]
    assert claim.outcome is Outcome.PASS, against(verified)
    assert "1 by class, 1 at their own end, 1 by order of two" in claim.rule
    assert verified.verdict is not Verdict.FAIL, against(verified)


def too_soon(s: Scene) -> int:
    s.book.now += DAYS * DAY - 60_000
    return s.bury()


def after_other_days(s: Scene) -> int:
    s.book.now += 20 * DAY
    return s.bury(days=10)


def before_its_own_end(s: Scene) -> int:
    return s.bury(Rule.EXPIRED, 0, s.brief_span)


def without_an_own_end(s: Scene) -> int:
    s.book.now += DAY
    return s.bury(Rule.EXPIRED, 0)


def naming_another_entry(s: Scene) -> int:
    s.book.now += 2 * DAYS * DAY
    return s.bury(span=Span(s.span.first, s.span.last, s.message - 1))


def by_one_person(s: Scene) -> int:
    return s.confirm(s.chen, *s.order(s.chen))


def by_who_may_not(s: Scene) -> int:
    s.order(s.bea)
    return len(s.book.leaves) - 1


def without_an_order(s: Scene) -> int:
    said, _ = s.order(s.chen)
    return s.confirm(s.dara, said, bytes([1]) * 32)


def something_else_than_ordered(s: Scene) -> int:
    said, name = s.order(s.chen)
    return s.confirm(s.dara, Destruction(said.certificate, said.channel, [s.brief_span], said.reason), name)


def a_rule_signed_by_a_person(s: Scene) -> int:
    s.book.now += 2 * DAYS * DAY
    stone = Tombstone(BY_THE_GATEWAY, s.channel, Rule.CLASS, DAYS, [s.span], NO_ORDER)
    return s.chen.say(Kind.TOMBSTONE, s.book.control, encode(stone))


def an_order_carried_out_by_the_gateway(s: Scene) -> int:
    said, name = s.order(s.chen)
    stone = confirmed(said, name, s.certificate(s.dara))
    return s.book.gateway.say(Kind.TOMBSTONE, s.book.control, encode(stone))


@pytest.mark.parametrize(
    ("breaking", "cause"),
    [
        pytest.param(too_soon, Cause.INJECTED, id="before its days were over"),
        pytest.param(after_other_days, Cause.INJECTED, id="after other days than the class's"),
        pytest.param(before_its_own_end, Cause.INJECTED, id="before its own end"),
        pytest.param(without_an_own_end, Cause.INJECTED, id="at an end that it had not"),
        pytest.param(naming_another_entry, Cause.INJECTED, id="naming another entry"),
        pytest.param(by_one_person, Cause.SELF_APPROVAL, id="ordered and confirmed by one"),
        pytest.param(by_who_may_not, Cause.SELF_APPROVAL, id="ordered by who may not"),
        pytest.param(without_an_order, Cause.INJECTED, id="without an order"),
        pytest.param(something_else_than_ordered, Cause.INJECTED, id="something else than was ordered"),
        pytest.param(a_rule_signed_by_a_person, Cause.INJECTED, id="by rule, signed by a person"),
        pytest.param(an_order_carried_out_by_the_gateway, Cause.INJECTED, id="an order carried out by the gateway"),
    ],
)
def test_each_rule_is_missed(breaking: Callable[[Scene], int], cause: Cause) -> None:
    s = scene()
    index = breaking(s)
    found = [(c.index, c.cause) for c in against(check(s.book)) if c.claim is Topic.TOMBSTONES]
    assert (index, cause) in found, against(check(s.book))
