"""Ladders, obeyed and not: what a gateway says it did, against what two people had signed it should do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from clients.auditor.verify import Cause, Topic, Verdict
from keys.alert import AlertType, Audience, Opening, ladder_commitment
from keys.body import Ack, LadderOpening
from keys.canonical import encode
from keys.envelope import Kind, Marking
from keys.franking import franking_tag
from keys.identity import ChannelId, receipt_stream
from keys.ladder import RESEND, Escalated, Jump, Ladder, Rung, Stop, Why
from tests.clients.auditor.logs import Party
from tests.clients.auditor.test_content import Scene, against, check
from tests.keys.alerts import Made, draft_of, signed


class Ladders(Scene):
    """An alert channel of two officers, a leader and an agent, and an alert with a ladder of two rungs and a fallback."""

    def __init__(self, stop: Stop = Stop.ALL, **draft: Any) -> None:
        super().__init__()
        self.dara = self.book.enrolled("officer")
        self.alerts = self.chen.found("alert", Marking.AMBER, suite=0xF001)
        self.chen.add(self.alerts, self.ayo, self.bea, self.dara)
        deputy, duty = (p.device.certified.person for p in (self.bea, self.chen))  # type: ignore[union-attr]
        self.ladder = Ladder([Rung(120, "app", []), Rung(300, "sms", [deputy])], stop, 0, Rung(600, "mail", [duty]))
        self.deputy, self.duty = deputy, duty
        self.made = self.prepared(**draft)
        self.announced = self.announce()
        self.sent = self.send()
        self.firings = 0

    def prepared(self, **draft: Any) -> Made:
        text, salt = b"shelter", b"f" * 16
        opening = LadderOpening(b"l" * 16, encode(self.ladder))
        openings = (Opening(self.alerts, self.book.random(16), franking_tag(salt, text)),)
        audience = Audience.of(openings, self.book.random)
        values = {"ladder": ladder_commitment(opening.salt, opening.ladder), **draft}
        made = draft_of(audience, self.book.mission, self.book.now, **values)
        return signed(made, openings, audience, self.chen.device, self.dara.device, self.book.now, opening)  # type: ignore[arg-type]

    def announce(self, **changes: Any) -> int:
        return self.dara.say(Kind.APPROVAL, self.book.control, encode(self.made.announced(**changes)))

    def send(self) -> int:
        fields = self.made.fields(self.alerts)
        return self.dara.message(
            self.alerts, b"shelter", salt=b"f" * 16, kind=Kind.ALERT, alert=fields, marking=Marking.AMBER
        )

    def fire(self, rung: int, why: Why = Why.DUE, **changes: Any) -> int:
        self.firings += 1
        named = self.ladder.rung(rung)
        assert named is not None
        said = Escalated(self.made.root, self.firings, rung, named.road, why, named.people, 1, 0)
        return self.book.gateway.say(Kind.ESCALATION, self.book.control, encode(replace(said, **changes)))

    def ack(self, by: Party) -> int:
        stream = receipt_stream(ChannelId(self.alerts))
        return by.say(
            Kind.ACK, stream, encode(Ack(self.made.root, 1, None, bytes(16))), heard=self.book.heard(self.alerts)
        )

    def wait(self, seconds: int) -> None:
        """Time goes by, and the gateway is there: it logs a filler twice a minute."""
        end = self.book.now + seconds * 1000
        while self.book.now + 30_000 < end:
            self.book.now += 30_000
            self.book.filler()
        self.book.now = end


def obeyed(s: Ladders) -> None:
    s.wait(120)
    s.fire(0)
    s.wait(300)
    s.fire(1)
    s.wait(600)
    s.fire(2, Why.FALLBACK)
    s.wait(600)


def answered_by_all(s: Ladders) -> None:
    s.ack(s.bea)
    s.wait(120)
    s.fire(0)
    s.ack(s.ayo)
    s.wait(900)


def answered_by_one(s: Ladders) -> None:
    s.ack(s.ayo)
    s.wait(900)


def the_gateway_was_away(s: Ladders) -> None:
    s.book.now += 3_600_000 // 2
    s.fire(0)
    s.wait(250)


def jumped(s: Ladders) -> None:
    values = {"root": s.made.root, "rung": 1, "reason": bytes(32), "time": s.book.now, "people": []}
    jump = encode(Jump(**{name: values[name] for name in Jump.__struct_fields__}))
    s.chen.say(Kind.JUMP, s.book.control, jump)
    s.fire(1, Why.JUMP)
    s.wait(300)


def brought_again(s: Ladders) -> None:
    """By an officer's word and no rung: it counts among the firings, and the ladder goes on as it stands."""
    values = {"root": s.made.root, "rung": RESEND, "reason": bytes(32), "time": s.book.now, "people": []}
    s.chen.say(Kind.JUMP, s.book.control, encode(Jump(**{name: values[name] for name in Jump.__struct_fields__})))
    s.firings += 1
    s.wait(120)
    s.fire(0)
    s.wait(200)


def nobody_was_reached(s: Ladders) -> None:
    s.wait(120)
    s.fire(0)
    s.fire(2, Why.FALLBACK)
    s.wait(300)
    s.fire(1)
    s.wait(100)


def ended_by_an_all_clear(s: Ladders) -> None:
    s.made = s.prepared(type=AlertType.ALL_CLEAR, references=[s.made.root], alert=b"o" * 16)
    s.announce()
    s.send()
    s.wait(60)


@pytest.mark.parametrize(
    ("story", "stop"),
    [
        pytest.param(obeyed, Stop.ALL, id="every rung in its time"),
        pytest.param(answered_by_all, Stop.ALL, id="answered by all"),
        pytest.param(answered_by_one, Stop.ANY, id="one answer was enough"),
        pytest.param(the_gateway_was_away, Stop.ALL, id="the gateway was away, and went on when it came back"),
        pytest.param(jumped, Stop.ALL, id="an officer jumped"),
        pytest.param(brought_again, Stop.ALL, id="an officer had it brought again"),
        pytest.param(nobody_was_reached, Stop.ALL, id="the fallback out of turn"),
        pytest.param(ended_by_an_all_clear, Stop.ALL, id="ended by an all-clear"),
    ],
)
def test_ladders_that_were_obeyed(story: Callable[[Ladders], None], stop: Stop) -> None:
    s = Ladders(stop)
    story(s)
    verified = check(s.book)
    assert verified.verdict is Verdict.CONSISTENT, against(verified)


def test_a_drill_may_stand_still() -> None:
    s = Ladders(exercise=True)
    s.wait(1_800)
    assert check(s.book).verdict is Verdict.CONSISTENT


Found = tuple[int, Cause]


def never_fired(s: Ladders) -> Found:
    s.wait(600)
    return s.sent, Cause.ESCALATION_SKIPPED


def not_fired_before_it_ended(s: Ladders) -> Found:
    s.wait(900)
    sent = s.sent
    s.made = s.prepared(type=AlertType.ALL_CLEAR, references=[s.made.root], alert=b"o" * 16)
    s.announce()
    s.send()
    return sent, Cause.ESCALATION_SKIPPED


def fired_an_hour_late(s: Ladders) -> Found:
    s.wait(1_800)
    s.fire(0)
    return s.sent, Cause.ESCALATION_SKIPPED


def a_rung_left_out(s: Ladders) -> Found:
    s.wait(120)
    return s.fire(1), Cause.ESCALATION_SKIPPED


def a_second_rung_never_fired(s: Ladders) -> Found:
    s.wait(120)
    s.fire(0)
    s.wait(900)
    return s.sent, Cause.ESCALATION_SKIPPED


def fired_twice(s: Ladders) -> Found:
    s.wait(120)
    s.fire(0)
    return s.fire(0), Cause.INJECTED


def by_another_road(s: Ladders) -> Found:
    s.wait(120)
    return s.fire(0, road="mail"), Cause.INJECTED


def to_people_who_are_not_named(s: Ladders) -> Found:
    s.wait(120)
    s.fire(0)
    s.wait(300)
    return s.fire(1, people=[b"x" * 16]), Cause.INJECTED


def a_firing_left_out(s: Ladders) -> Found:
    s.wait(120)
    return s.fire(0, firing=2), Cause.INJECTED


def after_its_end(s: Ladders) -> Found:
    first = s.made
    s.made = s.prepared(type=AlertType.ALL_CLEAR, references=[first.root], alert=b"o" * 16)
    s.announce()
    s.send()
    return s.fire(0, root=first.root), Cause.INJECTED


def no_escalation_at_all(s: Ladders) -> Found:
    return s.book.gateway.say(Kind.ESCALATION, s.book.control, b"\x90"), Cause.INJECTED


def a_ladder_of_somebody_s_own(s: Ladders) -> Found:
    s.made = s.prepared(alert=b"n" * 16)
    assert s.made.ladder is not None
    return s.announce(ladder=replace(s.made.ladder, salt=b"x" * 16)), Cause.INJECTED


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(story, id=story.__name__.replace("_", " "))
        for story in (
            never_fired,
            not_fired_before_it_ended,
            fired_an_hour_late,
            a_rung_left_out,
            a_second_rung_never_fired,
            fired_twice,
            by_another_road,
            to_people_who_are_not_named,
            a_firing_left_out,
            after_its_end,
            no_escalation_at_all,
            a_ladder_of_somebody_s_own,
        )
    ],
)
def test_a_ladder_that_was_not_obeyed(story: Callable[[Ladders], Found]) -> None:
    s = Ladders()
    index, cause = story(s)
    found = [(c.claim, c.index, c.cause) for c in against(check(s.book))]
    assert found == [(Topic.ESCALATION, index, cause)]


def test_without_its_announcement_a_ladder_is_not_known() -> None:
    s = Ladders()
    s.wait(900)
    files = s.book.files()
    approval = encode(s.made.announced())
    path = next(path for path, data in s.book.bodies.items() if data == approval)
    verified = check(s.book, files.changed(path, None))
    assert verified.verdict is Verdict.UNCHECKED
