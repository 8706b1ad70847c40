"""Entry bundles: both ways, and nothing left over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog.entry import MAX_ENTRY, decode_bundle, encode_bundle
from keys.tlog.errors import Malformed, TooLarge
from tests.keys.tlog.logs import entries, only_own_errors


def test_golden() -> None:
    assert encode_bundle([b"", b"a", b"bc"]) == bytes.fromhex("0000 0001 61 0002 6263")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_both_ways(content: list[bytes]) -> None:
    data = encode_bundle(content)
    assert decode_bundle(data, len(content)) == content
    for width in (len(content) - 1, len(content) + 1, 0, 257):
        with pytest.raises(Malformed):
            decode_bundle(data, width)


@given(st.binary(max_size=300), st.integers(1, 256))
def test_arbitrary_bytes(data: bytes, width: int) -> None:
    found = only_own_errors(lambda d: decode_bundle(d, width), data)
    assert not isinstance(found, list) or encode_bundle(found) == data


def test_cut_anywhere_or_with_a_stray_byte() -> None:
    data = encode_bundle(entries(5))
    for end in range(len(data)):
        with pytest.raises(Malformed):
            decode_bundle(data[:end], 5)
    with pytest.raises(Malformed):
        decode_bundle(data + b"\x00", 5)


def test_the_longest_entry() -> None:
    longest = b"\xff" * MAX_ENTRY
    assert decode_bundle(encode_bundle([longest]), 1) == [longest]
    with pytest.raises(TooLarge):
        encode_bundle([longest + b"\x00"])
