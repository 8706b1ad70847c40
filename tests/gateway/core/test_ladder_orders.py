"""Over random orders of everything that can happen to alerts, held against what a person would expect of them.

The clock is set by the test; the gateway dies and comes back at any point; roads fail. Whatever the order:

* nobody is told of an alert that was cancelled, updated, cleared or has expired, nor after an answer of that person's;
* no rung is fired before its time, twice by the timer, or after the stop rule was met (but by a jump);
* every rung is one entry in the log, with the notices that it says;
* and once everything works again, no rung is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.broadcast import Ending, Notice
from gateway.core.notices import Result, Tried
from gateway.timers import Clock
from gateway.wire import NoticeState
from keys.identity import PersonId
from keys.ladder import APP, Ladder, Rung, Stop, Why
from tests.gateway.core.escalation import CHANNELS, DEPUTY, HOUR, PEOPLE, ROADS, Scene

ROOTS = [bytes([n]) * 32 for n in range(1, 4)]
RUNGS = st.builds(
    Rung,
    st.sampled_from([10, 60, 300]),
    st.sampled_from([APP, *ROADS, "gone"]),
    st.sampled_from([[], [PEOPLE[0]], [PEOPLE[1], DEPUTY], [DEPUTY]]),
)
LADDERS = st.builds(
    lambda rungs, stop, count, fallback: Ladder(rungs, stop, count if stop is Stop.COUNT else 0, fallback),
    st.lists(RUNGS, min_size=1, max_size=3),
    st.sampled_from(Stop),
    st.integers(1, 5),
    st.none() | RUNGS.filter(lambda rung: bool(rung.people)),
)
ROOT = st.sampled_from(ROOTS)
EVENTS = st.one_of(
    st.tuples(st.just("approve"), ROOT, LADDERS | st.none(), st.sampled_from([120_000, 900_000, HOUR])),
    st.tuples(st.just("place"), ROOT, st.sampled_from(CHANNELS)),
    st.tuples(st.just("ack"), ROOT, st.sampled_from(PEOPLE), st.sampled_from(CHANNELS)),
    st.tuples(st.just("end"), ROOT, st.sampled_from([Ending.UPDATED, Ending.CANCELLED, Ending.CLEARED])),
    st.tuples(st.just("jump"), ROOT, st.integers(0, 4)),
    st.tuples(st.just("pass"), st.sampled_from([1, 5_000, 10_000, 60_000, 300_000])),
    st.tuples(st.just("clock"), st.sampled_from([-HOUR, -1_000, 60_000])),
    st.tuples(st.just("tick")),
    st.tuples(st.just("send"), st.sampled_from([APP, *ROADS]), st.sampled_from(Tried)),
    st.tuples(st.just("crash")),
)


@dataclass
class Known:
    """An alert as a person would keep it in mind."""

    ladder: Ladder | None
    not_after: int
    placed: list[int] = field(default_factory=list)  # when, by the gateway's clock
    targets: set[PersonId] = field(default_factory=set)
    answered: dict[PersonId, int] = field(default_factory=dict)  # person -> how many rungs had been fired
    ended: bool = False
    jumps: int = 0

    def met(self) -> bool:
        """Whether its stop rule holds now."""
        answers = len(self.targets & self.answered.keys())
        return self.ladder is None or self.ladder.enough(answers, len(self.targets))


class Story:
    """Plays events, and looks after each whether everything is as it should be."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.process = self.scene.process()
        self.known: dict[bytes, Known] = {}
        self.fired: dict[bytes, int] = {}

    @property
    def now(self) -> int:
        return self.process.clock.now()

    def play(self, event: tuple) -> None:
        name, *values = event
        if name == "pass":
            self.scene.pass_time(values[0])
        else:
            getattr(self, name)(*values)
        self.look()

    def approve(self, root: bytes, ladder: Ladder | None, lasts: int) -> None:
        if root not in self.known:
            self.known[root] = Known(ladder, self.scene.wall + lasts)
            self.scene.approve(root, ladder, lasts)

    def place(self, root: bytes, channel: bytes) -> None:
        alert = self.known.get(root)
        if alert is None or alert.ended or self.scene.view.alert_stands(root, channel):
            return  # refused before it comes to the ladder
        self.scene.place(root, CHANNELS[CHANNELS.index(channel)])
        alert.placed.append(self.now)
        alert.targets |= set(PEOPLE[:4] if channel == CHANNELS[0] else PEOPLE[3:])

    def ack(self, root: bytes, person: PersonId, channel: bytes) -> None:
        self.scene.ack(root, person, CHANNELS[CHANNELS.index(channel)])
        alert = self.known.get(root)
        named = alert and alert.ladder and any(person in r.people for r in alert.ladder.rungs)
        named = named or (alert and alert.ladder and alert.ladder.fallback and person in alert.ladder.fallback.people)
        if alert is not None and self.scene.view.alert_stands(root, channel) and (person in alert.targets or named):
            alert.answered.setdefault(person, len(self.scene.firings(root)))

    def end(self, root: bytes, ending: Ending) -> None:
        self.scene.end([root], ending)
        if root in self.known:
            self.known[root].ended = True

    def jump(self, root: bytes, rung: int) -> None:
        if self.scene.jump(root, rung) is None:
            self.known[root].jumps += 1

    def clock(self, step: int) -> None:
        self.scene.wall += step

    def tick(self) -> None:
        before = {root: self.scene.row(root) for root in self.known}
        self.process.tick()
        for root, row in before.items():
            self.judge(root, self.known[root], row.at.due, row.at.since)

    def judge(self, root: bytes, alert: Known, due: int, since: int) -> None:
        """What a tick has fired, it was right to fire."""
        firings = self.scene.firings(root)
        if len(firings) == self.fired.get(root, 0):
            return
        last = firings[-1]
        assert len(firings) == self.fired.get(root, 0) + 1
        assert alert.placed
        assert not alert.ended
        assert alert.ladder is not None
        assert self.now <= alert.not_after
        if last.why is not Why.JUMP:
            assert not alert.met()
        if last.why is Why.DUE:
            assert due <= self.now
            assert due - since == alert.ladder.rungs[last.rung].after * 1000
        self.fired[root] = len(firings)

    def send(self, road: str, tried: Tried) -> None:
        def result(notice: Notice) -> Result:
            alert = self.known[notice.root]
            assert not alert.ended, "an ended alert wakes somebody"
            assert self.now <= alert.not_after, "an expired alert wakes somebody"
            assert notice.person not in alert.answered, "somebody who has answered is woken"
            return Result(tried)

        self.process.send(road, result)

    def crash(self) -> None:
        self.scene.load(self.scene.image)
        self.process = self.scene.process()

    def look(self) -> None:
        """What holds at every moment."""
        for root, alert in self.known.items():
            row, firings, entries = self.scene.row(root), self.scene.firings(root), self.scene.entries(root)
            assert [(f.number, f.rung, f.road, f.why) for f in firings] == [
                (e.firing, e.rung, e.road, e.why) for e in entries
            ]
            notices = self.scene.notices(root)
            for firing in firings:
                mine = [n for n in notices if n.firing == firing.number]
                assert len(mine) == firing.woken + firing.unreached
                assert len({n.person for n in mine}) == len(mine)
                answered = {p for p, at in alert.answered.items() if at < firing.number}
                assert not answered & {n.person for n in mine}
            queued = {n.person for n in notices if n.state is NoticeState.QUEUED}
            assert not queued & alert.answered.keys()
            assert (row.asked, row.answered) == (len(alert.targets), len(alert.targets & alert.answered.keys()))
            if alert.ended:
                assert not queued

    def finish(self) -> None:
        """Everything works again: what is still to do is done in its time."""
        self.crash()
        for _ in range(400):
            while True:
                size = sum(len(self.scene.firings(root)) for root in self.known)
                self.tick()
                due = self.scene.view.ladder_next()
                if size == sum(len(self.scene.firings(root)) for root in self.known) and (
                    due is None or due > self.now
                ):
                    break
            for road in (APP, *ROADS):
                self.send(road, Tried.SENT)
            due = self.scene.view.ladder_next()
            if due is None:
                break
            self.scene.pass_time(max(1, due - self.now))
        self.look()
        for root, alert in self.known.items():
            self.whole(root, alert)

    def whole(self, root: bytes, alert: Known) -> None:
        """No rung is missing of an alert that lasted long enough and was never stopped, and each once but for jumps."""
        firings = [f for f in self.scene.firings(root) if f.why is not Why.JUMP]
        row = self.scene.row(root)
        if alert.placed:
            assert row.ended is not Ending.NONE
        if alert.jumps or alert.ladder is None or not alert.placed or alert.ended or alert.met():
            return
        in_order = [f.rung for f in firings if f.why is Why.DUE]
        assert in_order == list(range(len(in_order)))
        falls = [f for f in firings if f.why is Why.FALLBACK]
        assert len(falls) <= 1
        if len(in_order) < len(alert.ladder.rungs):  # the end came first
            waited = row.at.since + alert.ladder.rungs[len(in_order)].after * 1000
            assert waited > alert.not_after or not row.at.since  # or it had ended before the timer saw it


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_any_order(events: list[tuple]) -> None:
    story = Story()
    for event in events:
        story.play(event)
    story.finish()


@settings(deadline=None)
@given(LADDERS, st.lists(EVENTS, max_size=30))
def test_any_order_once_one_is_out(ladder: Ladder, events: list[tuple]) -> None:
    story = Story()
    story.play(("approve", ROOTS[0], ladder, HOUR))
    story.play(("place", ROOTS[0], CHANNELS[0]))
    for event in events:
        story.play(event)
    story.finish()


def test_a_clock_that_was_set_back_goes_on_however_often_it_is_asked() -> None:
    """What is less than a millisecond between two questions is not lost, or a busy gateway's ladders would stand still."""
    at = [0.0]
    clock = Clock(lambda: 0, lambda: at[0], floor=5_000)
    for _ in range(10_000):
        at[0] += 0.0003
        clock.now()
    assert clock.now() in (7_999, 8_000)
