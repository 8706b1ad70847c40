"""Emergency broadcast at the gateway: announced, sent, ended, answered; and everything that is refused, with its line in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace as with_

from gateway import wire
from gateway.core import limits
from gateway.core.broadcast import Ending
from gateway.core.errors import Refused
from gateway.core.ladder import RESEND_EVERY
from gateway.wire import Refusal
from keys.alert import AlertType, ladder_commitment, sign_approval, sign_writer
from keys.body import Ack, LadderOpening, Review, Withheld, read_refused_attempt
from keys.canonical import encode
from keys.envelope import Kind, Marking, read, seal
from keys.identity import ChannelId, receipt_stream
from keys.ladder import RESEND, Jump, Ladder, Rung, Stop, Why
from keys.sealing import Sealed
from keys.words import Words
from tests.gateway.core.alarm import Alarm, alarm
from tests.gateway.core.checks import accepted
from tests.gateway.core.world import Party
from tests.keys.alerts import MINUTE, Made
from tests.keys.mission import DAY

HOUR = 60 * MINUTE


@pytest.fixture
def a() -> Alarm:
    return alarm()


def refused_with(a: Alarm, refusal: Refusal, act: Callable[[], Any]) -> Any:
    """Refused so, and nothing of the alert is there; at most the line that somebody tried."""
    before = a.world.view.log_size()
    alerts = list(a.world.db.execute("SELECT * FROM alerts, alert_places"))
    answer = act()
    assert isinstance(answer, wire.Refused | Refused), answer
    assert answer.refusal is refusal, answer
    assert list(a.world.db.execute("SELECT * FROM alerts, alert_places")) == alerts
    fresh = [s for s in a.world.committed if s.index >= before]
    assert {s.kind for s in fresh} <= {Kind.REFUSED_ATTEMPT}
    return answer


def attempts(a: Alarm) -> list[tuple[bytes, int, int]]:
    found = [read_refused_attempt(s.body or b"") for s in a.world.committed if s.kind is Kind.REFUSED_ATTEMPT]
    return [(f.device, f.kind, f.refusal) for f in found]


# --- the way of an alert ---


def test_two_people_alert_two_channels(a: Alarm) -> None:
    alert = a.out(a.channel, a.other)
    row = a.world.view.alert(alert.root)
    assert row is not None
    assert (row.writer, row.approver) == (a.chen.identity.person, a.dara.identity.person)
    assert row.open
    assert not row.review_due
    assert {p.channel for p in a.world.view.alert_places(alert.root)} == {a.channel, a.other}
    assert {p.person for p in a.world.view.all_asked(alert.root)} == {a.agent.identity.person, a.guest.identity.person}
    assert not attempts(a)


def test_one_alone_is_to_be_reviewed(a: Alarm) -> None:
    alert = a.out(alone=True)
    row = a.world.view.alert(alert.root)
    assert row is not None
    assert row.approver is None
    assert row.review_due == a.world.now + 24 * HOUR


def test_promises(a: Alarm) -> None:
    alert = a.draft()
    assert accepted(a.announce(alert)).promise is not None
    assert accepted(a.send(alert)).promise is not None


def test_any_clock_and_an_old_list_do_not_stop_an_alert(a: Alarm) -> None:
    a.world.now += 80 * HOUR
    alert = a.draft()
    accepted(a.announce(alert))
    accepted(a.send(alert, time=a.world.now + DAY))


def test_the_same_again_is_no_replay(a: Alarm) -> None:
    """Identical bytes are answered as before."""
    alert = a.draft()
    control = a.world.charter.control_channel
    number, link = a.dara.numbers.get(control, (0, bytes(32)))
    first = accepted(a.announce(alert))
    a.dara.numbers[control] = (number, link)
    again = accepted(a.announce(alert))
    assert again.places == first.places


def test_a_link_lost_over_the_deadline(a: Alarm) -> None:
    """Approved in time and sent when the link is back."""
    alert = a.draft(not_after=a.world.now + 3 * HOUR)
    a.world.now = alert.draft.deadline + limits.APPROVAL_LATE
    accepted(a.announce(alert))


# --- announcements that are refused ---


def resigned(a: Alarm, alert: Made, approver: Party) -> Made:
    key, certificate = approver.device.key, approver.identity.certificate
    return replace(alert, approval=sign_approval(alert.root, alert.writer, certificate, key, a.world.now))


def revoke(a: Alarm, who: Party) -> None:
    serial = a.world.charter.verify_certificate(who.der).serial
    accepted(a.world.publish_list("Meridian", [serial], 2))


def revoked_writer(a: Alarm) -> Any:
    revoke(a, a.chen)
    return a.announce(a.draft())


def approved_late(a: Alarm) -> Any:
    return a.announce(a.draft(deadline=a.world.now + MINUTE - 1))


def sent_long_after(a: Alarm) -> Any:
    alert = a.draft(not_after=a.world.now + 3 * HOUR)
    a.world.now = alert.draft.deadline + limits.APPROVAL_LATE + 1
    return a.announce(alert)


def ended(a: Alarm) -> Any:
    alert = a.draft(alone=True)
    a.world.now = alert.draft.not_after + 1
    return a.announce(alert)


def with_ladder(a: Alarm, shown: bytes | None, signed: bytes = b"\x00") -> Any:
    salt = b"l" * 16
    alert = a.draft()
    draft = with_(alert.draft, ladder=ladder_commitment(salt, signed))
    writer = sign_writer(draft.root, a.chen.identity.certificate, a.chen.device.key, a.world.now)
    opening = None if shown is None else LadderOpening(salt, shown)
    alert = resigned(a, replace(alert, draft=draft, writer=writer, ladder=opening), a.dara)
    return a.announce(alert)


ANNOUNCED = [
    pytest.param(
        lambda a: a.announce(replace(a.draft(), writer=a.draft().writer)),
        Refusal.DENIED,
        id="attack-01 a forged writer",
    ),
    pytest.param(
        lambda a: a.announce(replace(a.draft(), approval=a.draft().approval)),
        Refusal.DENIED,
        id="attack-01 another alert's approval",
    ),
    pytest.param(
        lambda a: a.announce((x := a.draft()), body=x.announced(writer=with_(x.writer, certificate=b"x" * 32))),
        Refusal.DENIED,
        id="attack-01 a certificate that counts nowhere",
    ),
    pytest.param(
        lambda a: a.announce((x := a.draft()), body=x.announced(padding=[bytes([n]) * 32 for n in range(7)])),
        Refusal.DENIED,
        id="attack-01 another audience",
    ),
    pytest.param(
        lambda a: a.announce((x := a.draft()), body=x.announced(draft=with_(x.draft, cap=bytes(32)))),
        Refusal.DENIED,
        id="attack-01 another document",
    ),
    pytest.param(
        lambda a: a.announce(a.draft(alone=True, writer=a.agent), by=a.agent),
        Refusal.ROLE,
        id="attack-02 an agent alone",
    ),
    pytest.param(
        lambda a: a.announce(a.draft(approver=a.agent), by=a.agent), Refusal.ROLE, id="attack-02 an agent approves"
    ),
    pytest.param(lambda a: a.announce(a.draft(writer=a.guest)), Refusal.ROLE, id="attack-02 a guest writes"),
    pytest.param(lambda a: a.announce(a.draft(), by=a.chen), Refusal.ROLE, id="announced by its writer"),
    pytest.param(revoked_writer, Refusal.REVOKED, id="attack-03 a revoked officer wrote it"),
    pytest.param(lambda a: a.announce(a.out()), Refusal.REPLAY, id="attack-04 announced before"),
    pytest.param(
        lambda a: a.announce(a.draft(alert=a.out().draft.alert)), Refusal.REPLAY, id="attack-04 an id used before"
    ),
    pytest.param(ended, Refusal.EXPIRED, id="attack-04 ended"),
    pytest.param(approved_late, Refusal.EXPIRED, id="approved after the deadline"),
    pytest.param(sent_long_after, Refusal.EXPIRED, id="announced long after the deadline"),
    pytest.param(lambda a: a.announce(a.draft(approver=a.chen)), Refusal.ROLE, id="one pretends to be two"),
    pytest.param(lambda a: a.announce(a.draft(b"x" * 16)), Refusal.DENIED, id="no such channel"),
    pytest.param(lambda a: a.announce(a.draft(a.dara.create_channel())), Refusal.DENIED, id="a talk channel"),
    pytest.param(
        lambda a: a.announce(a.draft(a.dara.create_channel("alert"))), Refusal.ROLE, id="the writer is not in it"
    ),
    pytest.param(
        lambda a: a.announce(a.draft(a.chen.create_channel("alert"))), Refusal.ROLE, id="the approver is not in it"
    ),
    pytest.param(lambda a: a.announce(a.draft(exercise=True)), Refusal.TLP, id="play beyond the fence"),
    pytest.param(lambda a: with_ladder(a, b"\x01"), Refusal.DENIED, id="another ladder"),
    pytest.param(lambda a: with_ladder(a, None), Refusal.SCHEMA, id="a ladder kept back"),
    pytest.param(lambda a: with_ladder(a, b"\x00"), Refusal.SCHEMA, id="a ladder that is none"),
    pytest.param(
        lambda a: a.chen.say(Kind.APPROVAL, a.world.charter.control_channel, b"\x90"), Refusal.SCHEMA, id="no approval"
    ),
    pytest.param(
        lambda a: a.chen.say(Kind.APPROVAL, a.channel, encode(a.draft().announced()), epoch=1),
        Refusal.DENIED,
        id="in a channel",
    ),
]


@pytest.mark.parametrize(("act", "refusal"), ANNOUNCED)
def test_an_announcement_that_is_refused(a: Alarm, act: Callable[[Alarm], Any], refusal: Refusal) -> None:
    known = a.world.view.log_size()
    answer = act(a)
    assert isinstance(answer, wire.Refused | Refused), answer
    assert answer.refusal is refusal, answer
    last = [s for s in a.world.committed if s.index >= known and s.kind is Kind.REFUSED_ATTEMPT]
    assert len(last) == 1, "a refused attempt is in the log"
    assert attempts(a)[-1][1:] == (Kind.APPROVAL, refusal)


def test_alone_where_the_charter_forbids_it(a: Alarm) -> None:
    a.world.succeed(break_glass=False)
    refused_with(a, Refusal.ROLE, lambda: a.announce(a.draft(alone=True)))
    accepted(a.announce(a.draft()))


def test_a_refusal_frees_the_number_for_the_next_alert(a: Alarm) -> None:
    """An officer's next alert does not wait behind one that was refused."""
    answer = a.announce(a.draft(exercise=True))
    assert answer.statement is not None
    accepted(a.announce(a.draft(), attempt=1))


# --- alerts that are refused ---


def unannounced(a: Alarm) -> Any:
    return a.send(a.draft())


def hidden_channel(a: Alarm) -> Any:
    """A channel whose leaf stood in the announcement as padding: the officers and the gateway were not told of it."""
    both = a.draft(a.channel, a.other)
    shown = [o for o in both.openings if o.channel == a.channel]
    accepted(a.announce(both, body=both.announced(channels=shown, padding=both.audience.padding(shown))))
    return a.send(both, channel=a.other)


def twice(a: Alarm) -> Any:
    return a.send(a.out())


def other_signatures(a: Alarm) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(resigned(a, replace(alert), a.dara))


def approver_left_out(a: Alarm) -> Any:
    """What two approved is sent as if one had: the other way round of pretending."""
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert, by=a.chen, fields=with_(alert.fields(a.channel), approval=None))


def by_the_writer(a: Alarm) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert, by=a.chen)


def ended_since(a: Alarm) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    a.world.now = alert.draft.not_after + 1
    return a.send(alert)


def agreement_over(a: Alarm) -> Any:
    partner = a.world.charter.policy.organisations[1]
    a.world.succeed(organisations=(a.world.charter.policy.organisations[0], replace(partner, ceiling=Marking.GREEN)))
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert)


def revoked_since(a: Alarm) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    revoke(a, a.chen)
    return a.send(alert)


def to_another_channel(a: Alarm) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert, channel=a.other, fields=alert.fields(a.channel))


def other_content(a: Alarm) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert, franking=b"t" * 32)


def marked(a: Alarm, marking: Marking) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert, marking=marking)


def kept_until(a: Alarm, later: int) -> Any:
    alert = a.draft()
    accepted(a.announce(alert))
    return a.send(alert, expires=a.world.now + later)


SENT = [
    pytest.param(to_another_channel, Refusal.DENIED, id="attack-01 for another channel"),
    pytest.param(other_content, Refusal.DENIED, id="attack-01 another content"),
    pytest.param(
        lambda a: a.send(a.draft(alone=True, writer=a.agent), by=a.agent), Refusal.ROLE, id="attack-02 an agent"
    ),
    pytest.param(revoked_since, Refusal.REVOKED, id="attack-03 its writer was revoked since"),
    pytest.param(twice, Refusal.REPLAY, id="attack-04 sent here before"),
    pytest.param(ended_since, Refusal.EXPIRED, id="attack-04 ended since"),
    pytest.param(other_signatures, Refusal.REPLAY, id="announced with another signature"),
    pytest.param(approver_left_out, Refusal.REPLAY, id="its approver left out"),
    pytest.param(lambda a: kept_until(a, 366 * DAY), Refusal.EXPIRED, id="kept beyond its class"),
    pytest.param(lambda a: kept_until(a, 0), Refusal.EXPIRED, id="destroyed at once"),
    pytest.param(by_the_writer, Refusal.ROLE, id="sealed by its writer"),
    pytest.param(hidden_channel, Refusal.ROLE, id="a channel that was not announced"),
    pytest.param(agreement_over, Refusal.TLP, id="AMBER where the agreement covers GREEN"),
    pytest.param(lambda a: marked(a, Marking.AMBER_STRICT), Refusal.TLP, id="AMBER+STRICT to a partner"),
]


@pytest.mark.parametrize(("act", "refusal"), SENT)
def test_an_alert_that_is_refused(a: Alarm, act: Callable[[Alarm], Any], refusal: Refusal) -> None:
    answer = act(a)
    assert isinstance(answer, wire.Refused | Refused), answer
    assert answer.refusal is refusal, answer
    assert attempts(a)[-1][1:] == (Kind.ALERT, refusal)


def test_an_alert_waits_for_its_announcement(a: Alarm) -> None:
    """GAP is "not yet", and nobody's attempt."""
    refused_with(a, Refusal.GAP, lambda: unannounced(a))
    assert not attempts(a)


def test_talk_channels_carry_no_alerts(a: Alarm) -> None:
    talk = a.dara.create_channel()
    refused_with(a, Refusal.ROLE, lambda: a.send(a.draft(talk), channel=talk))


def test_strict_stays_in_the_house_and_goes_round_in_it(a: Alarm) -> None:
    alert = a.draft(a.other)
    accepted(a.announce(alert))
    accepted(a.send(alert, channel=a.other, marking=Marking.AMBER_STRICT))


def test_an_exercise_reaches_who_has_joined(a: Alarm) -> None:
    home, partner = a.world.charter.policy.organisations
    a.world.succeed(organisations=(home, replace(partner, drills=True)))
    a.out(exercise=True)


def test_an_exercise_stops_at_the_fence_when_the_agreement_ends(a: Alarm) -> None:
    home, partner = a.world.charter.policy.organisations
    a.world.succeed(organisations=(home, replace(partner, drills=True)))
    alert = a.draft(exercise=True)
    accepted(a.announce(alert))
    a.world.succeed(organisations=(home, partner))
    refused_with(a, Refusal.TLP, lambda: a.send(alert))


# --- chains ---


def follow(a: Alarm, kind: AlertType, *before: Made, **changes: Any) -> Made:
    return a.draft(type=kind, references=sorted(m.root for m in before), **changes)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        pytest.param(AlertType.UPDATE, Ending.UPDATED, id="update"),
        pytest.param(AlertType.CANCEL, Ending.CANCELLED, id="cancel"),
        pytest.param(AlertType.ALL_CLEAR, Ending.CLEARED, id="all-clear"),
    ],
)
def test_what_follows_ends_what_was_before_when_it_is_sent(a: Alarm, kind: AlertType, ending: Ending) -> None:
    first = a.out()
    after = follow(a, kind, first)
    accepted(a.announce(after))
    row = a.world.view.alert(first.root)
    assert row is not None
    assert row.ended is Ending.NONE, "announced is not yet told"
    accepted(a.send(after))
    row = a.world.view.alert(first.root)
    assert row is not None
    assert row.ended is ending


def test_an_all_clear_names_all_that_holds(a: Alarm) -> None:
    first = a.out(a.channel)
    second = follow(a, AlertType.UPDATE, first, alert=b"2" * 16)
    accepted(a.announce(second))
    accepted(a.send(second))
    refused_with(a, Refusal.SCHEMA, lambda: a.announce(follow(a, AlertType.ALL_CLEAR, first)))
    clear = follow(a, AlertType.ALL_CLEAR, first, second)
    accepted(a.announce(clear, attempt=1))
    accepted(a.send(clear))


FALSE = [
    pytest.param(lambda a, x: follow(a, AlertType.CANCEL, x, alone=True), Refusal.ROLE, id="attack-05 alone"),
    pytest.param(
        lambda a, x: a.draft(type=AlertType.CANCEL, references=[b"r" * 32]), Refusal.SCHEMA, id="attack-05 of no alert"
    ),
    pytest.param(
        lambda a, x: follow(a, AlertType.CANCEL, x, exercise=True), Refusal.ROLE, id="attack-05 play for a real one"
    ),
    pytest.param(
        lambda a, x: a.draft(a.other, type=AlertType.CANCEL, references=[x.root]),
        Refusal.SCHEMA,
        id="attack-05 to a channel that was never told",
    ),
]


@pytest.mark.parametrize(("make", "refusal"), FALSE)
def test_a_false_stand_down(a: Alarm, make: Callable[[Alarm, Made], Made], refusal: Refusal) -> None:
    first = a.out()
    refused_with(a, refusal, lambda: a.announce(make(a, first)))
    row = a.world.view.alert(first.root)
    assert row is not None
    assert row.open, "and the alert goes on"
    assert attempts(a)[-1][1:] == (Kind.APPROVAL, refusal)


# --- answers ---


def ack(a: Alarm, who: Party, alert: Made, option: int, channel: bytes | None = None) -> Any:
    return who.say(
        Kind.ACK, receipt_stream(ChannelId(channel or a.channel)), encode(Ack(alert.root, option, None, bytes(16)))
    )


def test_an_answer_counts_for_its_person(a: Alarm) -> None:
    alert = a.out()
    accepted(ack(a, a.agent, alert, 17))
    asked = a.world.view.asked(alert.root, a.agent.identity.person)
    assert asked is not None
    assert asked.answered
    assert set(a.world.view.silent(alert.root)) == {a.guest.identity.person}


def test_seen_answers_what_offers_no_choice_alone(a: Alarm) -> None:
    """Where there is something to choose, who has only seen it is reminded until the choice is made."""
    asking, telling = a.out(), a.out(options=[])
    for alert in (asking, telling):
        accepted(ack(a, a.agent, alert, 0))
    asked = [a.world.view.asked(alert.root, a.agent.identity.person) for alert in (asking, telling)]
    assert [bool(one and one.answered) for one in asked] == [False, True]
    accepted(ack(a, a.agent, asking, 17))
    assert set(a.world.view.silent(asking.root)) == {a.guest.identity.person}


def test_an_answer_after_the_end_is_kept_as_said(a: Alarm) -> None:
    alert = a.out()
    a.world.now = alert.draft.not_after + 1
    accepted(ack(a, a.agent, alert, 17))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda a, x: ack(a, a.agent, x, 18), Refusal.SCHEMA, id="attack-07 a number of no option"),
        pytest.param(lambda a, x: ack(a, a.agent, x, 17, a.other), Refusal.DENIED, id="attack-07 in another channel"),
        pytest.param(
            lambda a, x: a.agent.say(Kind.ACK, a.channel, encode(Ack(b"m" * 32, 1, None, bytes(16))), epoch=1),
            Refusal.SCHEMA,
            id="attack-07 an option for a message",
        ),
        pytest.param(
            lambda a, x: a.agent.say(Kind.ACK, a.channel, encode(Ack(x.root, 0, None, bytes(16))), epoch=1),
            Refusal.SCHEMA,
            id="in the channel, where everybody would be sent it",
        ),
        pytest.param(
            lambda a, _: a.agent.say(Kind.ACK, receipt_stream(a.channel), encode(Ack(b"m" * 32, 0, None, bytes(16)))),
            Refusal.DENIED,
            id="beside the channel, to what is no alert",
        ),
        pytest.param(
            lambda a, x: a.agent.say(
                Kind.ACK, receipt_stream(a.channel), encode(Ack(x.root, 17, None, bytes(16))), epoch=1
            ),
            Refusal.DENIED,
            id="beside the channel, with an epoch",
        ),
        pytest.param(
            lambda a, x: a.agent.say(
                Kind.ACK, receipt_stream(a.channel), encode(Ack(x.root, 17, None, bytes(16))) + b"\0"
            ),
            Refusal.SCHEMA,
            id="a byte left over",
        ),
    ],
)
def test_an_answer_that_is_refused(a: Alarm, act: Callable[[Alarm, Made], Any], refusal: Refusal) -> None:
    alert = a.out()
    answer = act(a, alert)
    assert answer.refusal is refusal, answer
    asked = a.world.view.asked(alert.root, a.agent.identity.person)
    assert asked is not None
    assert not asked.answered, "the ladder goes on"
    assert not attempts(a)


def test_a_forged_answer_is_nobody_s(a: Alarm) -> None:
    """attack-07: signed by another key than that of the member's leaf."""
    alert = a.out()
    body = encode(Ack(alert.root, 17, None, bytes(16)))
    stream = receipt_stream(a.channel)
    forged = seal(a.agent.context(Kind.ACK, stream), body, a.guest.device.key)
    answer = a.agent.hand_in([(forged, body)], stream)
    assert answer.refusal is Refusal.DENIED
    asked = a.world.view.asked(alert.root, a.agent.identity.person)
    assert asked is not None
    assert not asked.answered


def test_a_message_is_acknowledged(a: Alarm) -> None:
    accepted(a.dara.send(a.channel, b"a card"))
    message = a.world.committed[-1]
    named = sha256(message.header).digest()
    for attempt, (data, changes, refusal) in enumerate(
        (
            (encode(Ack(named, 0, None, bytes(16))), {"marking": Marking.RED}, Refusal.TLP),
            (encode(Ack(named, 0, None, bytes(16))), {"expires": a.world.now + 1}, Refusal.SCHEMA),
            (encode(Ack(named, 0, None, bytes(16))), {"epoch": 3}, Refusal.SCHEMA),
            (encode(Ack(named, 0, None, bytes(16))) + b"\0", {}, Refusal.SCHEMA),
            (encode(Ack(named, 0, Words(bytes(32), Sealed([], b"")), bytes(16))), {}, Refusal.SCHEMA),
        )
    ):
        answer = a.agent.say(Kind.ACK, a.channel, data, **{"epoch": 1, "attempt": attempt, **changes})
        assert answer.refusal is refusal, answer
        assert answer.statement is not None, "and its number is free for what the person does next"
    accepted(a.agent.say(Kind.ACK, a.channel, encode(Ack(named, 0, None, bytes(16))), epoch=1, attempt=5))


# --- jumps ---


def laddered(a: Alarm) -> Made:
    ladder = encode(Ladder([Rung(60, "app", [])], Stop.ALL, 0, None))
    salt, plain = b"l" * 16, a.draft()
    draft = with_(plain.draft, ladder=ladder_commitment(salt, ladder))
    writer = sign_writer(draft.root, a.chen.identity.certificate, a.chen.device.key, a.world.now)
    alert = resigned(a, replace(plain, draft=draft, writer=writer, ladder=LadderOpening(salt, ladder)), a.dara)
    accepted(a.announce(alert))
    accepted(a.send(alert))
    return alert


def test_an_officer_jumps(a: Alarm) -> None:
    alert = laddered(a)
    body = encode(Jump(alert.root, 0, bytes(32), a.world.now, []))
    accepted(a.chen.say(Kind.JUMP, a.world.charter.control_channel, body))


@pytest.mark.parametrize(
    ("who", "body", "refusal"),
    [
        pytest.param("agent", None, Refusal.ROLE, id="an agent"),
        pytest.param("guest", None, Refusal.ROLE, id="a guest"),
        pytest.param("chen", b"\x90", Refusal.SCHEMA, id="no jump"),
        pytest.param("chen", encode(Jump(bytes(32), 0, bytes(32), 1, [])), Refusal.DENIED, id="of no alert"),
    ],
)
def test_a_jump_that_is_refused(a: Alarm, who: str, body: bytes | None, refusal: Refusal) -> None:
    alert = laddered(a)
    data = body or encode(Jump(alert.root, 0, bytes(32), a.world.now, []))
    answer = getattr(a, who).say(Kind.JUMP, a.world.charter.control_channel, data)
    assert answer.refusal is refusal, answer


def test_an_officer_has_it_brought_again(a: Alarm) -> None:
    """Without any ladder, to one of the silent; once in a while; to nobody who has answered."""
    alert = a.out()
    control, guest, agent = a.world.charter.control_channel, a.guest.identity.person, a.agent.identity.person

    def again(*people: bytes) -> Any:
        return a.chen.say(Kind.JUMP, control, encode(Jump(alert.root, RESEND, bytes(32), a.world.now, list(people))))

    answer = accepted(again(guest))
    (firing,) = a.world.view.firings(alert.root)
    assert (firing.rung, firing.why, firing.woken, firing.seq) == (RESEND, Why.ASKED, 1, answer.places[0].seq)
    assert [(n.person, n.road) for n in a.world.view.notices(alert.root, 0, 9)] == [(guest, "app")]
    late = again()
    assert (late.refusal, late.statement is not None) == (Refusal.LIMIT, True)
    a.world.now += RESEND_EVERY
    accepted(a.chen.say(Kind.JUMP, control, encode(Jump(alert.root, RESEND, bytes(32), a.world.now, [])), attempt=1))
    assert {n.person for n in a.world.view.notices(alert.root, 0, 9) if n.firing == 2} == {guest, agent}
    a.world.now += RESEND_EVERY
    accepted(ack(a, a.guest, alert, 17))
    assert again(guest).refusal is Refusal.SCHEMA


def test_a_partner_s_officer_jumps_on_no_ladder() -> None:
    a = alarm()
    home, partner = a.world.charter.policy.organisations
    a.world.succeed(organisations=(home, replace(partner, roles=frozenset({"guest", "officer"}))))
    a.world.mission.charter = a.world.charter
    theirs = a.world.enrolled("officer", house=a.world.mission.partner)
    alert = laddered(a)
    body = encode(Jump(alert.root, 0, bytes(32), a.world.now, []))
    answer = theirs.say(Kind.JUMP, a.world.charter.control_channel, body)
    assert answer.refusal is Refusal.ROLE


# --- attempts ---


def test_an_attempt_says_who_and_why_and_nothing_else(a: Alarm) -> None:
    a.announce(a.draft(exercise=True))
    stored = next(s for s in a.world.committed if s.kind is Kind.REFUSED_ATTEMPT)
    assert attempts(a) == [(a.dara.id, Kind.APPROVAL, Refusal.TLP)]
    assert read(_envelope(stored)).context.device == a.world.charter.gateway_device


def _envelope(stored: Any) -> Any:
    from keys.envelope import Envelope

    return Envelope(stored.header, stored.signature)


def test_a_stranger_s_attempt_tells_him_nothing(a: Alarm) -> None:
    """Of a channel that is there, and of none: the same bytes, and a line in the log each time."""
    stranger = a.world.enrolled("officer")
    answers = []
    for channel in (a.channel, b"no such channel!"):
        fields = a.draft(channel).fields(channel)
        answer = stranger.say(Kind.ALERT, channel, b"", franking=bytes(32), alert=fields, epoch=1)
        assert answer.refusal is Refusal.DENIED
        answers.append(encode(answer))
    assert answers[0] == answers[1]
    assert [device for device, _, _ in attempts(a)] == [stranger.id] * 2


def test_attempts_do_not_fill_the_log(a: Alarm) -> None:
    for attempt in range(8):
        assert a.announce(a.draft(exercise=True), attempt=attempt).refusal is Refusal.TLP
    assert len(attempts(a)) == limits.ATTEMPTS_OF_ONE
    a.world.now += MINUTE + 1
    assert a.announce(a.draft(exercise=True), attempt=8).refusal is Refusal.TLP
    assert len(attempts(a)) == limits.ATTEMPTS_OF_ONE + 1


def test_attempts_of_many_do_not_fill_it_either(a: Alarm) -> None:
    many = [a.world.enrolled("agent") for _ in range(limits.ATTEMPTS_NOTED + 4)]
    alert = a.draft()
    for party in many:
        assert a.announce(alert, by=party).refusal is Refusal.ROLE
    assert len(attempts(a)) == limits.ATTEMPTS_NOTED


def withheld(a: Alarm, who: Party, what: Kind = Kind.ALERT, why: Refusal = Refusal.TLP, **changes: Any) -> Any:
    return who.say(Kind.WITHHELD, a.world.charter.control_channel, encode(Withheld(what, why)), **changes)


def test_a_device_says_what_it_refused_its_own_user(a: Alarm) -> None:
    """Anybody's does, since whoever may not alert at all is refused too; its entry stands under its own signature."""
    for who in (a.dara, a.world.enrolled("agent"), a.world.enrolled("guest", house=a.world.mission.partner)):
        accepted(withheld(a, who))
        stored = a.world.committed[-1]
        assert (stored.kind, stored.device, stored.body) == (
            Kind.WITHHELD,
            who.id,
            encode(Withheld(Kind.ALERT, Refusal.TLP)),
        )
    assert attempts(a) == []


@pytest.mark.parametrize(
    ("what", "why", "changes", "refusal"),
    [
        pytest.param(Kind.SOS, Refusal.TLP, {}, Refusal.SCHEMA, id="of another kind"),
        pytest.param(Kind.ALERT, Refusal.BUSY, {}, Refusal.SCHEMA, id="for what no device withholds"),
        pytest.param(Kind.ALERT, 99, {}, Refusal.SCHEMA, id="for what is no refusal"),
        pytest.param(Kind.ALERT, Refusal.TLP, {"epoch": 1}, Refusal.DENIED, id="at an epoch"),
    ],
)
def test_a_statement_that_is_refused(a: Alarm, what: Kind, why: int, changes: Any, refusal: Refusal) -> None:
    body = encode(Withheld(what, why))
    assert a.dara.say(Kind.WITHHELD, a.world.charter.control_channel, body, **changes).refusal is refusal


def test_statements_do_not_fill_the_log(a: Alarm) -> None:
    """The one too many is refused for good, and signed: no alert waits behind it."""
    for _ in range(limits.ATTEMPTS_OF_ONE):
        accepted(withheld(a, a.dara))
    late = withheld(a, a.dara)
    assert (late.refusal, late.statement is not None) == (Refusal.LIMIT, True)
    a.world.now += MINUTE + 1
    accepted(withheld(a, a.dara, attempt=1))


# --- reviews ---


def review(a: Alarm, who: Party, root: bytes, **changes: Any) -> Any:
    body = encode(Review(root, bytes(32)))
    return who.say(Kind.REVIEW, a.world.charter.control_channel, body, **changes)


def test_what_was_sent_alone_is_reviewed_by_another(a: Alarm) -> None:
    alert = a.out(alone=True)
    accepted(review(a, a.dara, alert.root))
    row = a.world.view.alert(alert.root)
    assert row is not None
    assert not row.review_due
    assert review(a, a.dara, alert.root).refusal is Refusal.SCHEMA


def partner_officer(a: Alarm) -> Party:
    home, partner = a.world.charter.policy.organisations
    a.world.succeed(organisations=(home, replace(partner, roles=frozenset({"guest", "officer"}))))
    a.world.mission.charter = a.world.charter
    return a.world.enrolled("officer", house=a.world.mission.partner)


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda a: review(a, a.chen, a.out(alone=True).root), Refusal.ROLE, id="of his own"),
        pytest.param(lambda a: review(a, a.agent, a.out(alone=True).root), Refusal.ROLE, id="by an agent"),
        pytest.param(lambda a: review(a, partner_officer(a), a.out(alone=True).root), Refusal.ROLE, id="by a partner"),
        pytest.param(lambda a: review(a, a.dara, a.out().root), Refusal.SCHEMA, id="of what two sent"),
        pytest.param(lambda a: review(a, a.dara, bytes(32)), Refusal.DENIED, id="of no alert"),
        pytest.param(
            lambda a: a.dara.say(Kind.REVIEW, a.world.charter.control_channel, b"\x90"), Refusal.SCHEMA, id="no review"
        ),
        pytest.param(
            lambda a: a.dara.say(Kind.REVIEW, a.channel, encode(Review(bytes(32), bytes(32))), epoch=1),
            Refusal.DENIED,
            id="in a channel",
        ),
    ],
)
def test_a_review_that_is_refused(a: Alarm, act: Callable[[Alarm], Any], refusal: Refusal) -> None:
    answer = act(a)
    assert answer.refusal is refusal, answer
