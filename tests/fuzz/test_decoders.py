"""No decoder is without a target: what stands in the product's text, held against the list."""

from __future__ import annotations

from tests.fuzz.decoders import FUZZED, NOT_FUZZED, decoders
from tests.fuzz.targets import TARGETS


def test_each_decoder_is_fuzzed_or_it_is_said_why_not() -> None:
    assert sorted(decoders()) == sorted([*FUZZED, *NOT_FUZZED])


def test_each_is_fuzzed_by_a_target_that_there_is() -> None:
    assert set(FUZZED.values()) <= set(TARGETS)
