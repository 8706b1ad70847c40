"""The bench works: a real gateway, a few devices, a few messages, alerts and answers, by the code that measures."""

import uvloop

from tests.bench.broadcast import w7, w8
from tests.bench.fleet import launched
from tests.bench.herd import herd
from tests.bench.load import w1, w4
from tests.bench.meter import Row


def test_one_to_one_and_a_backlog() -> None:
    async def run() -> tuple[Row, Row]:
        fleet = await launched()
        try:
            return (
                await w1(fleet, window=5, pairs=2, messages=20, rest=0.1),
                await w4(fleet, messages=20, window=5, senders=2, rest=0.1, drains=1),
            )
        finally:
            fleet.stop()
            fleet.cleanup()

    one, backlog = uvloop.run(run())
    assert one["messages"] == 10  # each sender's first run warms up
    assert backlog["drained"] == backlog["messages"] == 20


def test_an_alert_and_its_answers() -> None:
    async def run() -> tuple[Row, Row]:
        rows = []
        for step in (lambda fleet: w7(fleet, members=6, rounds=1), lambda fleet: w8(fleet, sessions=6, answers=12)):
            fleet = await launched()
            try:
                rows.append(await step(fleet))
            finally:
                fleet.stop()
                fleet.cleanup()
        return rows[0], rows[1]

    alerted, answered = uvloop.run(run())
    assert alerted["members"] == 6
    assert (answered["lost"], answered["board_lost"], answered["alerts"]) == (0, 0, 2)


def test_a_herd_comes_back_and_has_the_alert_before_what_is_older() -> None:
    async def run() -> Row:
        fleet = await launched()
        try:
            return await herd(fleet, sessions=8)
        finally:
            fleet.stop()
            fleet.cleanup()

    row = uvloop.run(run())
    assert (row["sessions"], row["alert_first"]) == (8, 8)
