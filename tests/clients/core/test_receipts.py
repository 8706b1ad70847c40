"""Ranges: as few as say it all."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clients.core.receipts import covers, merged, spans

SEQS = st.sets(st.integers(1, 40))


@given(SEQS)
def test_spans_cover_exactly_what_they_are_of(seqs: set[int]) -> None:
    ranges = spans(sorted(seqs))
    assert {n for first, last in ranges for n in range(first, last + 1)} == seqs
    assert all(a[1] + 1 < b[0] for a, b in pairwise(ranges)), "neighbours are one range"


@given(SEQS, SEQS)
def test_merged_covers_both_and_no_more(one: set[int], other: set[int]) -> None:
    ranges = merged(spans(sorted(one)), spans(sorted(other)))
    assert [n for n in range(50) if covers(ranges, n)] == sorted(one | other)
    assert ranges == spans(sorted(one | other))
