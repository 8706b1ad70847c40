"""The MLS bench works: a group of four in both suites, every row, on paper beside a peer that is twice as slow."""

import pytest

from tests.bench.mls import compare, measure, show


@pytest.mark.parametrize("suite", [1, 0xF001])
def test_every_row_is_measured(suite: int) -> None:
    figures = measure(suite, 4, rounds=1)
    assert all(cost.wall > 0 for cost in figures.times.values())
    assert all(size > 0 for size in figures.sizes.values())
    shown = list(show(suite, [4], [figures]))
    assert len(shown) == 1 + len(figures.times) + len(figures.sizes)
    peer = {name: 2 * cost.wall for name, cost in figures.times.items()}
    peer |= {f"cpu_{name}": 4 * cost.cpu for name, cost in figures.times.items()}
    rows = list(compare(suite, 4, figures, {"absent": {}, "slow": peer}))
    assert len(rows) == 1 + len(figures.times)
    assert all(row.split()[-2:] == ["0.50", "0.25"] and row.split()[2] == "-" for row in rows[1:])
