"""SOS, its end by two people, check-ins and the dead-man timer at the gateway; whatever is false is refused and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import apsw
import pytest

from gateway import wire
from gateway.core import ladder
from gateway.core.broadcast import AlertRow, Ending
from gateway.core.effects import PutRoads
from gateway.core.errors import Refused
from gateway.store.changes import apply
from gateway.store.rows import Parsed, SqliteView
from gateway.wire import Refusal
from keys.alert import AlertType
from keys.body import Ack
from keys.canonical import encode
from keys.emergency import Plan, Request, StandDown, read_plan, read_stand_down
from keys.envelope import Kind, Precedence
from keys.errors import Malformed
from keys.identity import ChannelId, receipt_stream
from keys.ladder import Jump, Why, read_escalated
from tests.gateway.core.alarm import Alarm, alarm
from tests.gateway.core.checks import accepted
from tests.gateway.core.world import Party
from tests.keys.mission import DAY
from tests.keys.shapes import takes_one_encoding

SECOND, MINUTE = 1_000, 60_000
DOWN = Kind.STAND_DOWN


@pytest.fixture
def a() -> Alarm:
    return alarm()


def sos(a: Alarm, by: Party | None = None, **changes: Any) -> bytes:
    """An SOS; gives its root."""
    by = by or a.agent
    changes = {"kind": Kind.SOS, "precedence": Precedence.FLASH, "time": a.world.now, **changes}
    run = [by.message(a.channel, b"help", **changes)]
    accepted(by.hand_in(run, a.channel))
    header: bytes = a.world.committed[-1].header
    return sha256(header).digest()


def ask(a: Alarm, root: bytes, by: Party | None = None) -> Any:
    return (by or a.agent).say(DOWN, a.channel, encode(StandDown(root, None)))


def request(a: Alarm) -> Request:
    """The last STAND_DOWN, to be confirmed."""
    last = next(s for s in reversed(a.world.committed) if s.kind is DOWN)
    return Request(last.seq, sha256(last.header).digest())


def confirm(a: Alarm, root: bytes, by: Party, what: Request | None = None) -> Any:
    return by.say(DOWN, a.channel, encode(StandDown(root, what or request(a))))


def tick(a: Alarm) -> list[tuple[Why, str, int]]:
    """All that is due: why, by which road, how many people."""
    before = len(a.world.committed)
    while a.world.run(lambda: ladder.tick(a.world.view, a.world.gateway, a.world.now, a.world.random)):
        pass
    said = [read_escalated(s.body or b"") for s in a.world.committed[before:] if s.kind is Kind.ESCALATION]
    return [(e.why, e.road, e.woken) for e in said]


def row(a: Alarm, root: bytes) -> AlertRow:
    found = a.world.view.alert(root)
    assert found is not None
    return found


def refused(answer: Any, refusal: Refusal) -> None:
    assert isinstance(answer, wire.Refused | Refused), answer
    assert answer.refusal is refusal, answer


def crash(a: Alarm) -> None:
    """The process is gone; what was committed comes back."""
    image = a.world.db.serialize("main")
    a.world.db = apsw.Connection(":memory:")
    a.world.db.deserialize("main", image)
    a.world.view = SqliteView(a.world.db, Parsed())


# --- SOS ---


def test_an_sos_wakes_everybody_at_once_and_never_ends_by_time(a: Alarm) -> None:
    apply(a.world.db, PutRoads(("sms",), ((a.chen.identity.person, "sms"),)))
    root = sos(a)
    assert tick(a) == [(Why.DUE, "app", 3)], "everybody in the channel but its author"
    assert tick(a) == []
    a.world.now += 60 * SECOND
    assert tick(a) == [(Why.DUE, "sms", 1)]
    for _ in range(3):
        a.world.now += 300 * SECOND
        assert tick(a) == [(Why.DUE, "app", 3)]
        a.world.now += 60 * SECOND
        assert tick(a) == [(Why.DUE, "sms", 1)]
    a.world.now += 30 * DAY
    assert tick(a) == [(Why.DUE, "app", 3)], "one after an absence, not all that were left out"
    assert row(a, root).ended is Ending.NONE


def test_a_named_persons_answer_stops_the_waking_and_not_the_sos(a: Alarm) -> None:
    root = sos(a)
    tick(a)
    beside = receipt_stream(ChannelId(a.channel))
    accepted(a.agent.say(Kind.ACK, beside, encode(Ack(root, 0, None, bytes(16)))))
    assert not row(a, root).at.stopped, "an author does not answer himself"
    accepted(a.dara.say(Kind.ACK, beside, encode(Ack(root, 0, None, bytes(16)))))
    assert row(a, root).at.stopped
    assert row(a, root).ended is Ending.NONE
    a.world.now += DAY
    assert tick(a) == []
    refused(a.dara.say(Kind.ACK, beside, encode(Ack(root, 7, None, bytes(16)))), Refusal.SCHEMA)
    refused(a.dara.say(Kind.ACK, a.channel, encode(Ack(root, 0, None, bytes(16)))), Refusal.SCHEMA)


@pytest.mark.parametrize(
    "hindered",
    [
        pytest.param(lambda a: setattr(a.world, "now", a.world.now + 200 * 3_600_000), id="revocation lists are stale"),
        pytest.param(lambda a: setattr(a.world, "now", a.world.now - DAY // 2), id="its clock is far ahead"),
    ],
)
def test_an_sos_is_not_held_back(a: Alarm, hindered: Callable[[Alarm], None]) -> None:
    time = a.world.now
    hindered(a)
    sos(a, time=time)


def test_a_guest_calls_for_help_too(a: Alarm) -> None:
    sos(a, a.guest)
    assert tick(a) == [(Why.DUE, "app", 3)]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"precedence": Precedence.ROUTINE}, Refusal.SCHEMA, id="not FLASH"),
        pytest.param({"expires": 2**50}, Refusal.SCHEMA, id="with an end"),
    ],
)
def test_no_sos(a: Alarm, changes: dict[str, Any], refusal: Refusal) -> None:
    made = a.agent.message(a.channel, kind=Kind.SOS, **{"precedence": Precedence.FLASH, **changes})
    refused(a.agent.hand_in([made], a.channel), refusal)


def test_no_sos_among_talk(a: Alarm) -> None:
    talk = a.chen.create_channel("narrow")
    made = a.chen.message(talk, kind=Kind.SOS, precedence=Precedence.FLASH)
    refused(a.chen.hand_in([made], talk), Refusal.ROLE)


# --- its end ---


def test_two_people_end_it(a: Alarm) -> None:
    root = sos(a)
    tick(a)
    accepted(ask(a, root))
    assert row(a, root).ended is Ending.NONE
    accepted(confirm(a, root, a.chen))
    assert row(a, root).ended is Ending.STOOD_DOWN
    a.world.now += DAY
    assert tick(a) == []
    refused(ask(a, root), Refusal.EXPIRED)


def _another_request(a: Alarm, root: bytes) -> Any:
    other = sos(a)
    accepted(ask(a, other))
    return confirm(a, root, a.chen)


FALSE: list[Any] = [
    pytest.param(lambda a, root: ask(a, root, a.chen), Refusal.ROLE, id="asked for by somebody else"),
    pytest.param(lambda a, root: confirm(a, root, a.agent), Refusal.ROLE, id="confirmed by its author, alone"),
    pytest.param(lambda a, root: confirm(a, root, a.guest), Refusal.ROLE, id="confirmed by who may not"),
    pytest.param(lambda a, root: confirm(a, root, a.chen, Request(1, bytes(32))), Refusal.SCHEMA, id="no request"),
    pytest.param(
        lambda a, root: confirm(a, root, a.chen, Request(request(a).seq, bytes(32))), Refusal.SCHEMA, id="a forged one"
    ),
    pytest.param(_another_request, Refusal.SCHEMA, id="a request to end another"),
    pytest.param(lambda a, root: confirm(a, bytes(32), a.chen), Refusal.DENIED, id="of no SOS"),
    pytest.param(
        lambda a, root: a.chen.say(DOWN, a.other, encode(StandDown(root, None))),
        Refusal.DENIED,
        id="in another channel",
    ),
    pytest.param(lambda a, root: a.chen.say(DOWN, a.channel, b"\x90"), Refusal.SCHEMA, id="unreadable"),
]


@pytest.mark.parametrize(("act", "refusal"), FALSE)
def test_attack_05_a_false_stand_down_of_an_sos(a: Alarm, act: Callable[[Alarm, bytes], Any], refusal: Refusal) -> None:
    root = sos(a)
    accepted(ask(a, root))
    refused(act(a, root), refusal)
    assert row(a, root).ended is Ending.NONE
    assert tick(a)[0] == (Why.DUE, "app", 3), "it goes on waking"


def test_attack_05_no_alert_ends_an_sos_and_nobody_jumps_on_it(a: Alarm) -> None:
    root = sos(a)
    ending = a.draft(type=AlertType.CANCEL, references=[root])
    refused(a.announce(ending), Refusal.SCHEMA)
    body = encode(Jump(root, 0, bytes(32), a.world.now, []))
    refused(a.chen.say(Kind.JUMP, a.world.charter.control_channel, body), Refusal.DENIED)
    assert row(a, root).ended is Ending.NONE


# --- check-ins ---


def plan(a: Alarm, *minutes: int, grace: int = 300) -> bytes:
    """A plan of the agent's; gives its root."""
    said = Plan([a.world.now + m * MINUTE for m in minutes], grace if minutes else 0, bytes(16))
    accepted(a.agent.say(Kind.CHECK_IN_PLAN, a.channel, encode(said)))
    return sha256(a.world.committed[-1].header).digest()


def check_in(a: Alarm, **changes: Any) -> Any:
    return a.agent.hand_in([a.agent.message(a.channel, b"ok", kind=Kind.CHECK_IN, **changes)], a.channel)


def test_a_missed_check_in_warns_officers_and_leaders(a: Alarm) -> None:
    root = plan(a, 15, 30)
    a.world.now += 20 * MINUTE - 1
    assert tick(a) == []
    a.world.now += 1
    assert tick(a) == [(Why.MISSED, "app", 2)], "both officers, neither its author nor the guest"
    a.world.now += 300 * SECOND
    assert tick(a) == [(Why.MISSED, "app", 2)], "again, until somebody answers"
    accepted(a.chen.say(Kind.ACK, receipt_stream(ChannelId(a.channel)), encode(Ack(root, 0, None, bytes(16)))))
    a.world.now += DAY
    assert tick(a) == []


def test_whoever_checks_in_is_not_missed(a: Alarm) -> None:
    root = plan(a, 15, 30, 45)
    a.world.now += 14 * MINUTE
    accepted(check_in(a))
    a.world.now += 16 * MINUTE
    assert tick(a) == []
    a.world.now += 4 * MINUTE  # late, within the grace
    accepted(check_in(a))
    a.world.now += 10 * MINUTE
    assert tick(a) == []
    accepted(check_in(a))
    assert row(a, root).ended is Ending.DONE, "the last one ends the plan"


def test_too_soon_counts_for_nothing_later(a: Alarm) -> None:
    plan(a, 15)
    a.world.now += 5 * MINUTE
    accepted(check_in(a))
    a.world.now += 15 * MINUTE
    assert tick(a) == [(Why.MISSED, "app", 2)]


def test_a_late_check_in_withdraws_what_was_not_sent_and_waits_for_the_next(a: Alarm) -> None:
    root = plan(a, 15, 30)
    a.world.now += 20 * MINUTE
    tick(a)
    a.world.now += MINUTE
    accepted(check_in(a))
    assert {n.state for n in a.world.view.notices(root, 0, 10)} == {wire.NoticeState.WITHDRAWN}
    a.world.now += 14 * MINUTE - 1
    assert tick(a) == []
    a.world.now += 1
    assert tick(a) == [(Why.MISSED, "app", 2)]


def test_a_check_in_that_lay_on_the_road_counts_for_when_it_was_sealed(a: Alarm) -> None:
    plan(a, 15, 30)
    sealed = a.world.now + 14 * MINUTE
    a.world.now += 36 * MINUTE
    tick(a)
    accepted(check_in(a, time=sealed))
    a.world.now += 10 * MINUTE
    assert tick(a) == [(Why.MISSED, "app", 2)], "what was sealed before the first proves nothing of the second"


def test_a_plan_is_replaced_and_ended(a: Alarm) -> None:
    first, second = plan(a, 15), plan(a, 60)
    assert row(a, first).ended is Ending.DONE
    a.world.now += 30 * MINUTE
    assert tick(a) == []
    plan(a)
    assert row(a, second).ended is Ending.DONE
    a.world.now += DAY
    assert tick(a) == []


def test_a_check_in_without_a_plan_is_taken(a: Alarm) -> None:
    accepted(check_in(a))


def test_a_plan_is_due_from_now_on_and_within_two_days(a: Alarm) -> None:
    for attempt, minutes in enumerate(([0], [1, 60 * 48 + 1])):
        said = Plan([a.world.now + m * MINUTE for m in minutes], 5, bytes(16))
        refused(a.agent.say(Kind.CHECK_IN_PLAN, a.channel, encode(said), attempt=attempt), Refusal.EXPIRED)


def test_a_gateway_that_crashes_anywhere_fires_once(a: Alarm) -> None:
    """Crashed between any two steps: plan, due time, firing, answer."""
    root = plan(a, 15)
    for _ in range(4):
        crash(a)
        a.world.now += 5 * MINUTE - 1
        tick(a)
    crash(a)
    a.world.now += 4
    assert tick(a) == [(Why.MISSED, "app", 2)]
    crash(a)
    assert tick(a) == []
    assert [f.rung for f in a.world.view.firings(root)] == [0]
    help_ = sos(a)
    crash(a)
    assert tick(a) == [(Why.DUE, "app", 3)]
    crash(a)
    assert tick(a) == []
    accepted(ask(a, help_))
    crash(a)
    accepted(confirm(a, help_, a.chen))
    crash(a)
    a.world.now += DAY
    assert [why for why, _, _ in tick(a)] == [Why.MISSED], "the SOS is over, the plan is not"


# --- the records ---


@pytest.mark.parametrize(
    ("read_it", "value"),
    [
        pytest.param(read_stand_down, StandDown(b"r" * 32, None), id="a request"),
        pytest.param(read_stand_down, StandDown(b"r" * 32, Request(7, b"h" * 32)), id="a confirmation"),
        pytest.param(read_plan, Plan([1_000_000, 2_000_000], 300, bytes(16)), id="a plan"),
        pytest.param(read_plan, Plan([], 0, bytes(16)), id="the end of one"),
    ],
)
def test_one_encoding(read_it: Callable[[bytes], object], value: object) -> None:
    takes_one_encoding(read_it, value)


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan([], 5, bytes(16)), id="a grace for nothing"),
        pytest.param(Plan([1], 0, bytes(16)), id="no grace"),
        pytest.param(Plan([1, 1 + 2 * 300_000], 300, bytes(16)), id="closer than twice the grace"),
        pytest.param(Plan([2, 1], 300, bytes(16)), id="backwards"),
    ],
)
def test_no_plan(plan: Plan) -> None:
    with pytest.raises(Malformed):
        read_plan(encode(plan))
