"""A step rests exactly as long as it would find nothing: held against machines that never rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.ledger import Change, Draft, View
from clients.core.watch import ALL, KEYS, Marks, Place, Step, Table, Watch
from tests.clients.relay import MemoryLedger, World

CHANNELS = [letter * 16 for letter in (b"a", b"b", b"c")]


class Restless(Watch):
    def _rest(self, step: Step, looked: set[Place], until: int) -> None: ...


@dataclass(frozen=True)
class Rule:
    """A step: adds up what it looks at, and where that comes to a multiple of `every`, and it is time, adds to a place."""

    reads: tuple[int, ...]
    scans: bool
    every: int
    after: int
    writes: int


class Machine:
    """Steps over a ledger and a table, in the order of the rules."""

    def __init__(self, watch: Watch, rules: list[Rule]) -> None:
        self.watch, self.ledger, self.table = watch, MemoryLedger(), Table[bytes, int](watch, "table")
        self.taken = 0
        self.steps = [self._step(rule) for rule in rules]

    def _step(self, rule: Rule) -> Callable[[None, Draft], None]:
        def step(_: None, draft: Draft) -> None:
            self.taken += 1
            values = [self._value(draft, n) for n in rule.reads]
            if rule.scans:
                values += [len(value) for _, value in draft.scan("shelf", b"", b"")]
            if sum(values) % rule.every == 0 and self.watch.reached(rule.after):
                self._set(draft, rule.writes, 1 + self._value(draft, rule.writes) % 7)

        return step

    def _value(self, draft: Draft, n: int) -> int:
        """The first three places are of the ledger, the others of the table."""
        return len(draft.get("shelf", CHANNELS[n]) or b"") if n < 3 else self.table.get(CHANNELS[n - 3], 0)

    def _set(self, draft: Draft, n: int, value: int) -> None:
        if n < 3:
            draft.put("shelf", CHANNELS[n], bytes(value))
        else:
            self.table[CHANNELS[n - 3]] = value

    def turn(self, now: int, n: int, value: int) -> list[Change]:
        self.watch.begin(now)
        draft = Draft(self.ledger, self.watch)
        self._set(draft, n, value)
        for step in self.steps:
            self.watch.look(None, draft, step)
        self.ledger.apply(draft.changes())
        return draft.changes()


PLACES = st.integers(0, 5)
RULES = st.builds(
    Rule, st.lists(PLACES, max_size=3).map(tuple), st.booleans(), st.integers(2, 5), st.integers(0, 60), PLACES
)
TURNS = st.lists(st.tuples(st.integers(-5, 20), PLACES, st.integers(0, 3)), min_size=1, max_size=20)


@given(st.lists(RULES, min_size=1, max_size=6), TURNS)
def test_whoever_rests_does_what_whoever_never_rests_does(rules: list[Rule], turns: list[tuple[int, int, int]]) -> None:
    resting, restless = Machine(Watch(), rules), Machine(Restless(), rules)
    now = 0
    for passed, n, value in turns:
        now += passed  # a clock may be set back
        assert resting.turn(now, n, value) == restless.turn(now, n, value)
    assert resting.table.items() == restless.table.items()
    assert resting.taken <= restless.taken


def taken_again(look: Callable[[Draft, Watch], object], change: Callable[[Draft, Watch], object], now: int = 1) -> bool:
    """Whether a step that looks so is taken again after that change."""
    watch, ledger, taken = Watch(), MemoryLedger(), list[int]()
    ledger.apply([Change("s", key, b"1") for key in CHANNELS[:2]])

    def step(_: None, draft: Draft) -> None:
        taken.append(watch.now)
        look(draft, watch)

    watch.begin(0)
    watch.look(None, Draft(ledger, watch), step)
    watch.begin(now)
    draft = Draft(ledger, watch)
    change(draft, watch)
    watch.look(None, draft, step)
    return len(taken) == 2


A, B, C = CHANNELS


@pytest.mark.parametrize(
    ("look", "change", "again"),
    [
        pytest.param(lambda d, _: d.get("s", A), lambda d, _: d.put("s", A, b"2"), True, id="what it read is another"),
        pytest.param(lambda d, _: d.get("s", A), lambda d, _: d.put("s", A, b"1"), False, id="written as it was"),
        pytest.param(lambda d, _: d.get("s", A), lambda d, _: d.put("s", B, b"2"), False, id="another channel's"),
        pytest.param(lambda d, _: d.get("s", A), lambda d, _: d.put("t", A, b"2"), False, id="on another shelf"),
        pytest.param(lambda d, _: d.get("s", A), lambda d, _: d.delete("s", A), True, id="deleted"),
        pytest.param(lambda d, _: d.get("s", C), lambda d, _: d.put("s", C, b"1"), True, id="not there before"),
        pytest.param(lambda d, _: d.scan("s", A, A), lambda d, _: d.put("s", A + b"1", b""), True, id="of its channel"),
        pytest.param(lambda d, _: d.scan("s", b"", b""), lambda d, _: d.put("s", B, b"2"), True, id="the whole shelf"),
        pytest.param(lambda d, _: d.scan("s", b"a", b""), lambda d, _: d.put("s", A, b"2"), True, id="short prefix"),
        pytest.param(lambda d, _: d.keys("s"), lambda d, _: d.put("s", A, b"2"), False, id="the same keys"),
        pytest.param(lambda d, _: d.keys("s"), lambda d, _: d.put("s", C, b"2"), True, id="a key more"),
        pytest.param(lambda d, _: d.keys("s"), lambda d, _: d.delete("s", A), True, id="a key fewer"),
        pytest.param(lambda _, w: w.reached(1), lambda _, w: None, True, id="its time has come"),
        pytest.param(lambda _, w: w.reached(2), lambda _, w: None, False, id="its time is to come"),
        pytest.param(lambda _, w: w.reached(0), lambda _, w: None, False, id="its time was over"),
        pytest.param(lambda _, w: w.clock(), lambda _, w: None, True, id="it read the clock"),
        pytest.param(lambda _, w: None, lambda _, w: w.everything(), True, id="everybody looks again"),
        pytest.param(lambda d, _: d.put("s", A, b"2"), lambda _, w: None, False, id="wrote without having looked"),
        pytest.param(
            lambda d, _: (d.get("s", A), d.put("s", A, b"2")), lambda _, w: None, True, id="changed what it looked at"
        ),
    ],
)
def test_what_wakes_a_step(
    look: Callable[[Draft, Watch], object], change: Callable[[Draft, Watch], object], again: bool
) -> None:
    assert taken_again(look, change) is again


def test_a_clock_that_was_set_back_was_looked_at_by_everybody() -> None:
    assert taken_again(lambda _, w: w.reached(0), lambda _, w: None, now=-1)


class Telling(Watch):
    told: list[Place]

    def _tell(self, place: Place) -> None:
        self.told.append(place)


def test_tables_and_marks_report_what_changes() -> None:
    watch, told = Telling(), list[Place]()
    watch.told = told
    table, marks = Table[bytes, int](watch, "t"), Marks[bytes](watch, "m")
    table[A] = 1
    table[A] = 1
    table.pop(A)
    table.pop(A, None)
    marks.update((B, B))
    marks.discard(B)
    marks.discard(B)
    assert told == [("t", A), ("t", ALL)] * 2 + [("m", B), ("m", ALL)] * 2
    assert KEYS not in {key for _, key in told}


class Counted:
    """A view that counts how often it is read."""

    def __init__(self, view: View) -> None:
        self.view, self.reads = view, 0

    def get(self, shelf: str, key: bytes) -> bytes | None:
        self.reads += 1
        return self.view.get(shelf, key)

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        self.reads += 1
        return self.view.scan(shelf, prefix, after)


def test_whether_anything_is_under_way_is_looked_up_once_after_a_turn() -> None:
    """A device that lies in a pocket asks it again and again."""
    world = World()
    device = world.party("Ben", "agent").device
    world.run()
    counted = device.view = Counted(device.view)
    assert not device.due(world.now)
    looked = counted.reads
    assert looked
    assert not any(device.due(world.now) for _ in range(100))
    assert counted.reads == looked
    device.tick(world.now)
    between = counted.reads
    assert not device.due(world.now)
    assert counted.reads > between
    between = counted.reads
    device.session.flush = not device.session.flush
    device.due(world.now)
    assert counted.reads > between
