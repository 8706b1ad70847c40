"""Drafts over a view: what a decision writes is read back in its place, and nothing leaks before it is applied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.ledger import Change, Draft, Shelf, at, seq_of
from clients.core.records import Counter
from keys.errors import Malformed
from tests.clients.relay import MemoryLedger

KEYS = st.binary(max_size=3)
WRITES = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=2)), max_size=12)


@given(WRITES, WRITES, KEYS, KEYS)
def test_a_draft_reads_as_if_it_were_applied(
    before: list[tuple[bytes, bytes | None]],
    after: list[tuple[bytes, bytes | None]],
    prefix: bytes,
    beyond: bytes,
) -> None:
    ledger = MemoryLedger()
    ledger.apply([Change("s", k, v) for k, v in before])
    draft = Draft(ledger)
    for key, value in after:
        draft.put("s", key, value) if value is not None else draft.delete("s", key)
    seen = list(draft.scan("s", prefix, beyond)), {k: draft.get("s", k) for k, _ in before + after}
    untouched = list(ledger.scan("s", b"", b""))
    assert untouched == list(MemoryLedger_of(before).scan("s", b"", b""))
    ledger.apply(draft.changes())
    assert seen[0] == list(ledger.scan("s", prefix, beyond))
    assert seen[1] == {k: ledger.get("s", k) for k, _ in before + after}


def MemoryLedger_of(writes: list[tuple[bytes, bytes | None]]) -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.apply([Change("s", k, v) for k, v in writes])
    return ledger


def test_what_stands_there_already_is_no_change() -> None:
    shelf, ledger = Shelf("n", Counter), MemoryLedger()
    draft = Draft(ledger)
    shelf.put(draft, b"k", Counter(1))
    ledger.apply(draft.changes())
    again = Draft(ledger)
    shelf.put(again, b"k", Counter(1))
    assert again.changes() == []


def test_a_record_of_another_hand_is_refused() -> None:
    ledger = MemoryLedger()
    ledger.apply([Change("n", b"k", b"\x91\xcd\x00\x01")])  # 1, in an encoding longer than it need be
    with pytest.raises(Malformed):
        Shelf("n", Counter).get(ledger, b"k")


@pytest.mark.parametrize("seq", [0, 1, 255, 256, 2**40])
def test_places_sort_by_seq(seq: int) -> None:
    assert seq_of(at(bytes(16), seq)) == seq
    assert at(bytes(16), seq) < at(bytes(16), seq + 1)
