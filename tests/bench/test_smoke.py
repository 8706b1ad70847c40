"""The bench works: a real gateway, two pairs, twenty messages, by the code that measures."""

import uvloop

from tests.bench.fleet import launched
from tests.bench.load import w1, w4
from tests.bench.meter import Row


def test_one_to_one_and_a_backlog() -> None:
    async def run() -> tuple[Row, Row]:
        fleet = await launched()
        try:
            return (
                await w1(fleet, window=5, pairs=2, messages=20, rest=0.1),
                await w4(fleet, messages=20, window=5, senders=2, rest=0.1),
            )
        finally:
            fleet.stop()
            fleet.cleanup()

    one, backlog = uvloop.run(run())
    assert one["messages"] == 10  # each sender's first run warms up
    assert backlog["drained"] == backlog["messages"] == 20
