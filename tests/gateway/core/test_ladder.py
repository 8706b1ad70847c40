"""Ladders at the gateway: when rungs are fired, whom they wake, and what stops them."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from gateway.core import ladder
from gateway.core.broadcast import Ending, notice_id
from gateway.core.effects import PutStream
from gateway.core.errors import Refused
from gateway.core.notices import FIRST_PAUSE, LONGEST_PAUSE, TRIES, Result, Tried
from gateway.wire import NoticeState, Refusal
from keys.errors import Malformed
from keys.identity import PersonId
from keys.ladder import APP, Ladder, Rung, Stop, Why
from tests.gateway.core.escalation import APPROVER, CHANNELS, DEPUTY, DESK, HOUR, PEOPLE, WRITER, Scene

A, B = b"a" * 32, b"b" * 32
THREE = Ladder([Rung(120, APP, []), Rung(300, "sms", [DEPUTY]), Rung(60, "mail", [])], Stop.ALL, 0, None)
FALLING = Ladder([Rung(60, "sms", [PEOPLE[0]]), Rung(300, APP, [])], Stop.ALL, 0, Rung(600, "sms", [DEPUTY]))


def begun(ways: Ladder | None = THREE, root: bytes = A, lasts: int = 4 * HOUR) -> Scene:
    scene = Scene()
    scene.approve(root, ways, lasts)
    scene.place(root)
    return scene


def test_nothing_is_due_before_its_time() -> None:
    scene = begun()
    process = scene.process()
    assert process.settle() == 1  # armed
    scene.pass_time(119_999)
    assert process.settle() == 0
    scene.pass_time(1)
    assert process.settle() == 1
    assert scene.rungs(A) == [0]


def test_an_approved_alert_waits_for_nobody_until_it_is_sent() -> None:
    scene = Scene()
    scene.approve(A, THREE)
    scene.pass_time(HOUR)
    assert scene.process().settle() == 0
    assert scene.view.ladder_next() is None


def test_each_rung_after_the_one_before() -> None:
    scene = begun()
    process = scene.process()
    for _ in range(700):
        process.settle()
        scene.pass_time(1_000)
    assert scene.rungs(A) == [0, 1, 2]
    assert [f.why for f in scene.firings(A)] == [Why.DUE] * 3
    times = [f.time for f in scene.firings(A)]
    assert [b - a for a, b in pairwise(times)] == [300_000, 60_000]
    assert [(e.rung, e.road, e.people) for e in scene.entries(A)] == [
        (0, APP, []),
        (1, "sms", [DEPUTY]),
        (2, "mail", []),
    ]


def test_whom_it_is_for_and_whom_a_rung_wakes() -> None:
    """Everybody in the channel but who has signed it; a rung for everybody wakes the silent, a named one its own."""
    scene = begun()
    assert {a.person for a in scene.view.all_asked(A)} == set(PEOPLE[:4])
    scene.ack(A, PEOPLE[2])
    process = scene.process()
    process.settle()
    for seconds in (120, 300, 60):
        scene.pass_time(seconds * 1000)
        process.settle()
    woken = {(n.rung, n.road): [] for n in scene.notices(A)}
    for notice in scene.notices(A):
        woken[notice.rung, notice.road].append((notice.person, notice.state))
    queued, failed = NoticeState.QUEUED, NoticeState.FAILED
    assert woken == {
        (0, APP): [(PEOPLE[0], queued), (PEOPLE[1], queued), (PEOPLE[3], queued)],
        (1, "sms"): [(DEPUTY, queued)],
        (2, "mail"): [(PEOPLE[0], queued), (PEOPLE[1], queued), (PEOPLE[3], failed)],
    }
    assert [(f.woken, f.unreached) for f in scene.firings(A)] == [(3, 0), (1, 0), (2, 1)]
    assert [(e.woken, e.unreached) for e in scene.entries(A)] == [(3, 0), (1, 0), (2, 1)]


def test_officers_in_every_alert_channel_are_not_asked_beside_a_talk_channel() -> None:
    """The fourth is in both; the others of the alert channel are there as its officers."""
    scene = Scene()
    scene.approve(A, THREE)
    stream = scene.view.stream(CHANNELS[0])
    assert stream is not None
    scene.apply([PutStream(replace(stream, beside=CHANNELS[1]))])
    assert ladder.targets(scene.view, scene.row(A), CHANNELS[0]) == {PEOPLE[3]}
    scene.apply([PutStream(replace(stream, beside=DESK))])
    assert ladder.targets(scene.view, scene.row(A), CHANNELS[0]) == set(PEOPLE[:4])


def test_an_answer_stops_the_reminders_to_that_person_only() -> None:
    scene = begun()
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    scene.ack(A, PEOPLE[0])
    states = {n.person: n.state for n in scene.notices(A)}
    assert states.pop(PEOPLE[0]) is NoticeState.WITHDRAWN
    assert set(states.values()) == {NoticeState.QUEUED}
    process.send_all()
    assert notice_id(A, 1, PEOPLE[0], APP) not in {name for _, name in scene.sent}
    assert len(scene.sent) == 3
    for _ in range(8):
        scene.pass_time(60_000)
        process.settle()
    assert PEOPLE[0] not in {n.person for n in scene.notices(A) if n.firing > 1}


@pytest.mark.parametrize(
    ("stop", "count", "answers", "goes_on"),
    [
        pytest.param(Stop.ANY, 0, 0, True, id="any: nobody"),
        pytest.param(Stop.ANY, 0, 1, False, id="any: one"),
        pytest.param(Stop.COUNT, 2, 1, True, id="two: one"),
        pytest.param(Stop.COUNT, 2, 2, False, id="two: two"),
        pytest.param(Stop.COUNT, 99, 4, False, id="more than there are: all"),
        pytest.param(Stop.ALL, 0, 3, True, id="all: one is silent"),
        pytest.param(Stop.ALL, 0, 4, False, id="all: all"),
    ],
)
def test_stop_rules(stop: Stop, count: int, answers: int, goes_on: bool) -> None:
    scene = begun(replace_stop(THREE, stop, count))
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    for person in PEOPLE[:answers]:
        scene.ack(A, person)
    queued = [n for n in scene.notices(A) if n.state is NoticeState.QUEUED]
    assert bool(queued) is goes_on
    scene.pass_time(600_000)
    process.settle()
    assert (len(scene.rungs(A)) > 1) is goes_on
    assert scene.row(A).answered == answers


def replace_stop(ways: Ladder, stop: Stop, count: int) -> Ladder:
    return Ladder(ways.rungs, stop, count, ways.fallback)


def test_who_was_not_asked_stops_nothing() -> None:
    """Forged, foreign or idle acks: of a person it is not for, in a channel where it does not stand, of no such alert."""
    scene = begun(replace_stop(THREE, Stop.ANY, 0))
    scene.ack(A, WRITER)
    scene.ack(A, APPROVER)
    scene.ack(A, PersonId(b"x" * 16))
    scene.ack(A, PEOPLE[4])
    scene.ack(A, PEOPLE[3], CHANNELS[1])
    scene.ack(B, PEOPLE[0])
    assert (scene.row(A).answered, scene.row(A).at.stopped) == (0, False)
    scene.ack(A, PEOPLE[3])
    assert (scene.row(A).answered, scene.row(A).at.stopped) == (1, True)


def test_a_second_answer_changes_nothing() -> None:
    scene = begun()
    scene.ack(A, PEOPLE[0])
    before = scene.row(A)
    assert ladder.answered(scene.view, before, PEOPLE[0], scene.wall) == ()
    scene.ack(A, PEOPLE[0])
    assert scene.row(A) == before


def test_people_of_a_second_channel_are_waited_for_though_the_first_had_all_answered() -> None:
    scene = begun()
    for person in PEOPLE[:4]:
        scene.ack(A, person)
    assert scene.row(A).at.stopped
    scene.place(A, CHANNELS[1])
    assert (scene.row(A).asked, scene.row(A).answered, scene.row(A).at.stopped) == (6, 4, False)
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    assert {n.person for n in scene.notices(A)} == {PEOPLE[4], PEOPLE[5]}


def test_an_alert_for_nobody_wakes_nobody() -> None:
    """Not those that its ladder names either, until there is somebody to wait for."""
    scene = Scene()
    scene.approve(A, THREE)
    scene.place(A, DESK)
    process = scene.process()
    scene.pass_time(HOUR)
    process.settle()
    assert (scene.row(A).asked, scene.rungs(A)) == (0, [])
    scene.place(A, CHANNELS[0])
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    assert scene.rungs(A) == [0]


# --- fallback ---


def test_the_fallback_comes_after_the_last_rung() -> None:
    scene = begun(Ladder([Rung(60, APP, [])], Stop.ALL, 0, Rung(600, "sms", [DEPUTY])))
    process = scene.process()
    process.settle()
    for seconds in (60, 599):
        scene.pass_time(seconds * 1000)
        process.settle()
    assert scene.rungs(A) == [0]
    scene.pass_time(1_000)
    process.settle()
    assert [(f.rung, f.why) for f in scene.firings(A)] == [(0, Why.DUE), (1, Why.FALLBACK)]
    scene.pass_time(HOUR)
    process.settle()
    assert scene.rungs(A) == [0, 1]


def test_the_fallback_comes_at_once_when_no_road_leads_to_anybody() -> None:
    """And once: what follows goes on at its own pace."""
    scene = begun(FALLING)
    process = scene.process()
    process.settle()
    scene.pass_time(60_000)
    assert process.settle() == 2
    assert [(f.rung, f.why, f.woken, f.unreached) for f in scene.firings(A)] == [
        (0, Why.DUE, 0, 1),
        (2, Why.FALLBACK, 1, 0),
    ]
    scene.pass_time(300_000)
    process.settle()
    scene.pass_time(HOUR)
    process.settle()
    assert scene.rungs(A) == [0, 2, 1]


def test_no_fallback_where_nobody_is_left_to_wake() -> None:
    """A rung whose people have all answered found no road to nobody."""
    scene = begun(FALLING)
    scene.ack(A, PEOPLE[0])
    process = scene.process()
    process.settle()
    scene.pass_time(60_000)
    process.settle()
    assert [(f.rung, f.woken, f.unreached) for f in scene.firings(A)] == [(0, 0, 0)]


# --- jumps ---


def test_a_jump_fires_its_rung_at_once_and_goes_on_from_there() -> None:
    scene = begun()
    process = scene.process()
    process.settle()
    assert scene.jump(A, 1) is None
    assert process.settle() == 1
    assert [(f.rung, f.why) for f in scene.firings(A)] == [(1, Why.JUMP)]
    scene.pass_time(60_000)
    process.settle()
    assert scene.rungs(A) == [1, 2]


def test_a_jump_back_wakes_the_silent_again() -> None:
    scene = begun()
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    scene.ack(A, PEOPLE[0])
    assert scene.jump(A, 0) is None
    process.settle()
    assert scene.rungs(A) == [0, 0]
    again = [n for n in scene.notices(A) if n.firing == 2]
    assert [n.person for n in again] == list(PEOPLE[1:4])
    assert not {n.id for n in again} & {n.id for n in scene.notices(A) if n.firing == 1}


def test_a_jump_after_the_stop_rule_is_fired_and_nothing_after_it() -> None:
    scene = begun(replace_stop(THREE, Stop.ANY, 0))
    process = scene.process()
    scene.ack(A, PEOPLE[0])
    assert scene.jump(A, 0) is None
    process.settle()
    scene.pass_time(HOUR)
    process.settle()
    assert scene.rungs(A) == [0]


def test_a_jump_that_waits_is_made_though_the_stop_rule_is_met_before_the_timer_comes() -> None:
    scene = begun(replace_stop(THREE, Stop.ANY, 0))
    process = scene.process()
    process.settle()
    assert scene.jump(A, 0) is None
    scene.ack(A, PEOPLE[0])
    process.settle()
    assert scene.rungs(A) == [0]
    assert PEOPLE[0] not in {n.person for n in scene.notices(A)}


@pytest.mark.parametrize(
    ("case", "refusal"),
    [
        pytest.param("unknown", Refusal.DENIED, id="no such alert"),
        pytest.param("unsent", Refusal.SCHEMA, id="not sent yet"),
        pytest.param("no rung", Refusal.SCHEMA, id="no such rung"),
        pytest.param("no ladder", Refusal.SCHEMA, id="no ladder"),
        pytest.param("answered", Refusal.SCHEMA, id="everybody has answered"),
        pytest.param("ended", Refusal.EXPIRED, id="cancelled"),
        pytest.param("expired", Refusal.EXPIRED, id="past its end"),
        pytest.param("twice", Refusal.BUSY, id="while another waits"),
    ],
)
def test_jumps_that_are_refused(case: str, refusal: Refusal) -> None:
    scene = Scene()
    scene.approve(A, None if case == "no ladder" else THREE)
    if case != "unsent":
        scene.place(A)
    if case == "answered":
        for person in PEOPLE[:4]:
            scene.ack(A, person)
    if case == "ended":
        scene.end([A], Ending.CANCELLED)
    if case == "expired":
        scene.pass_time(4 * HOUR + 1)
    if case == "twice":
        assert scene.jump(A, 1) is None
    refused = scene.jump(B if case == "unknown" else A, 3 if case == "no rung" else 0)
    assert isinstance(refused, Refused)
    assert refused.refusal is refusal


# --- ends ---


@pytest.mark.parametrize("ending", [Ending.UPDATED, Ending.CANCELLED, Ending.CLEARED])
def test_an_ended_alert_wakes_nobody(ending: Ending) -> None:
    scene = begun()
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    scene.end([A], ending)
    assert {n.state for n in scene.notices(A)} == {NoticeState.WITHDRAWN}
    process.send_all()
    scene.pass_time(HOUR)
    process.settle()
    assert (scene.sent, scene.rungs(A), scene.row(A).ended) == ([], [0], ending)
    assert scene.view.ladder_next() is None


def test_an_expired_alert_wakes_nobody_even_if_the_timer_comes_late() -> None:
    scene = begun(lasts=HOUR)
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    scene.pass_time(HOUR)
    process.send_all()  # before the timer has closed it
    assert scene.sent == []
    process.settle()
    assert (scene.rungs(A), scene.row(A).ended) == ([0], Ending.EXPIRED)
    assert {n.state for n in scene.notices(A)} == {NoticeState.WITHDRAWN}


def test_an_alert_ends_in_time_though_its_next_rung_would_come_later() -> None:
    scene = begun(lasts=90_000)
    process = scene.process()
    process.settle()
    scene.pass_time(90_001)
    process.settle()
    assert (scene.row(A).ended, scene.rungs(A)) == (Ending.EXPIRED, [])


def test_an_alert_without_a_ladder_ends_too() -> None:
    scene = begun(None, lasts=HOUR)
    process = scene.process()
    assert process.settle() == 0
    scene.pass_time(HOUR + 1)
    process.settle()
    assert scene.row(A).ended is Ending.EXPIRED


def test_what_replaces_an_alert_ends_with_it() -> None:
    """An all-clear of the update ends what that had updated; of the first alone it leaves the update standing, and says so."""
    scene = begun()
    scene.approve(B, THREE, references=(A,))
    scene.place(B)
    assert ladder.still_open(scene.view, [A], b"c" * 32) == (B,)
    assert ladder.still_open(scene.view, [A, B], b"c" * 32) == ()
    assert ladder.still_open(scene.view, [A], B) == ()
    scene.end([B], Ending.CLEARED)
    assert (scene.row(A).ended, scene.row(B).ended) == (Ending.CLEARED, Ending.CLEARED)


def test_the_first_end_stands() -> None:
    scene = begun()
    scene.end([A], Ending.UPDATED)
    scene.end([A], Ending.CANCELLED)
    assert scene.row(A).ended is Ending.UPDATED


# --- what is begun ---


def test_an_alert_is_approved_once() -> None:
    scene = begun()
    for row in (scene.row(A), replace(scene.row(A), root=B)):
        with pytest.raises(Refused) as refused:
            ladder.begin(scene.view, row)
        assert refused.value.refusal is Refusal.REPLAY


def test_what_is_no_ladder_is_refused() -> None:
    scene = begun()
    with pytest.raises(Refused) as refused:
        ladder.begin(scene.view, replace(scene.row(A), root=B, id=b"i" * 16, ladder=b"\x91\x00"))
    assert refused.value.refusal is Refusal.SCHEMA


def test_an_alert_that_cannot_be_gone_on_with_holds_up_no_other() -> None:
    scene = begun()
    scene.approve(B, THREE)
    scene.place(B)
    process = scene.process()
    process.settle()
    scene.db.execute("UPDATE alerts SET ladder = x'91' WHERE root = ?", (A,))  # a fault of ours
    scene.pass_time(120_000)
    with pytest.raises(Malformed):
        process.tick()
    assert scene.run(ladder.set_aside(scene.view, process.clock.now()))
    process.settle()
    assert (scene.rungs(A), scene.rungs(B)) == ([], [0])
    assert not scene.run(ladder.set_aside(scene.view, process.clock.now()))


# --- clocks and absence ---


def test_after_hours_of_absence_one_rung_is_fired_and_its_people_have_their_time() -> None:
    scene = begun()
    scene.process().settle()
    scene.pass_time(HOUR)
    process = scene.process()
    process.settle()
    assert scene.rungs(A) == [0]
    scene.pass_time(299_999)
    process.settle()
    assert scene.rungs(A) == [0]
    scene.pass_time(1)
    process.settle()
    assert scene.rungs(A) == [0, 1]


def test_a_clock_set_ahead_fires_one_rung() -> None:
    scene = begun(lasts=48 * HOUR)
    process = scene.process()
    process.settle()
    scene.wall += 24 * HOUR
    process.settle()
    assert scene.rungs(A) == [0]


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "started anew"])
def test_a_clock_set_back_delays_nothing(restart: bool) -> None:
    scene = begun(lasts=48 * HOUR)
    process = scene.process()
    process.settle()
    scene.wall -= 24 * HOUR
    process = scene.process() if restart else process
    for _ in range(120):
        scene.pass_time(1_000)
        process.settle()
    assert scene.rungs(A) == [0]
    for _ in range(300):
        scene.pass_time(1_000)
        process.settle()
    assert scene.rungs(A) == [0, 1]


def test_an_alert_that_comes_while_the_clock_stands_back_has_its_whole_time() -> None:
    """The log's time stands still until the wall has caught up; the ladder's does not."""
    scene = begun(lasts=48 * HOUR)
    process = scene.process()
    process.settle()
    scene.wall -= HOUR
    for _ in range(30):
        scene.pass_time(60_000)
        process.settle()
    assert scene.rungs(A) == [0, 1, 2]
    scene.approve(B, THREE, lasts=48 * HOUR)
    scene.place(B)
    process.settle()
    scene.pass_time(119_000)
    process.settle()
    assert scene.rungs(B) == []
    scene.pass_time(1_000)
    process.settle()
    assert scene.rungs(B) == [0]


# --- roads ---


def test_a_road_that_is_down_is_tried_again_ever_more_seldom() -> None:
    scene = begun(Ladder([Rung(60, "sms", [DEPUTY])], Stop.ALL, 0, None), lasts=24 * HOUR)
    process = scene.process()
    process.settle()
    scene.pass_time(60_000)
    process.settle()
    tried: list[int] = []

    def down(_: object) -> Result:
        tried.append(scene.wall)
        return Result(Tried.LATER, "connection refused")

    for _ in range(4 * 3600):
        process.send("sms", down)
        scene.pass_time(1_000)
    pauses = [b - a for a, b in pairwise(tried)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == LONGEST_PAUSE
    assert len(tried) == TRIES
    [notice] = scene.notices(A)
    assert (notice.state, notice.attempts, notice.detail) == (NoticeState.FAILED, TRIES, "connection refused")


def test_a_refusal_for_good_is_not_tried_again() -> None:
    scene = begun(Ladder([Rung(60, "sms", [DEPUTY])], Stop.ALL, 0, None))
    process = scene.process()
    process.settle()
    scene.pass_time(60_000)
    process.settle()
    process.send("sms", lambda _: Result(Tried.REFUSED, "550"))
    scene.pass_time(HOUR)
    process.send("sms")
    assert scene.sent == []
    assert [n.state for n in scene.notices(A)] == [NoticeState.FAILED]


def test_what_was_sent_was_sent_though_the_answer_came_meanwhile() -> None:
    scene = begun()
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    steps = process.steps(APP, lambda _: Result(Tried.SENT))
    next(steps), next(steps)
    scene.ack(A, PEOPLE[0])
    next(steps)
    assert {n.person: n.state for n in scene.notices(A)}[PEOPLE[0]] is NoticeState.SENT


def test_what_was_withdrawn_during_a_try_that_failed_stays_withdrawn() -> None:
    scene = begun()
    process = scene.process()
    process.settle()
    scene.pass_time(120_000)
    process.settle()
    steps = process.steps(APP, lambda _: Result(Tried.LATER))
    next(steps), next(steps)
    scene.ack(A, PEOPLE[0])
    next(steps)
    assert {n.person: n.state for n in scene.notices(A)}[PEOPLE[0]] is NoticeState.WITHDRAWN
