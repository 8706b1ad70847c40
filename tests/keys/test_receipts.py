"""Receipts beside the log: one path each, cut as entry bundles are, and no file where there is no receipt."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.receipts import decode_receipts, parse_receipts_path, receipt_files, receipts_path
from keys.tlog.entry import decode_bundle, encode_bundle
from keys.tlog.errors import Malformed
from keys.tlog.tile import Bundle


@pytest.mark.parametrize(
    ("bundle", "path"),
    [
        pytest.param(Bundle(0, 1), "receipts/000.p/1", id="the first entry"),
        pytest.param(Bundle(0), "receipts/000", id="a full bundle"),
        pytest.param(Bundle(1_234_067, 12), "receipts/x001/x234/067.p/12", id="far in"),
    ],
)
def test_one_path(bundle: Bundle, path: str) -> None:
    assert receipts_path(bundle) == path
    assert parse_receipts_path(path) == bundle


@pytest.mark.parametrize(
    "path",
    [
        "receipts/",
        "receipts/0",
        "receipts/000.p/256",
        "receipts/x000/000",
        "receipts/../checkpoint",
        "receipts/%30%30%30",
        "receipts/entries/000",
        "receipts/tile/0/000",
        "tile/entries/000",
    ],
)
def test_no_other_path(path: str) -> None:
    with pytest.raises(Malformed):
        parse_receipts_path(path)


def test_files_grow_with_the_log_and_are_whole_again_when_they_do() -> None:
    bodies = {3: b"three", 255: b"last", 600: b"six"}
    assert dict(receipt_files(bodies, 0, 3)) == {}, "no receipt among the first three"
    (partial,) = receipt_files(bodies, 3, 5)
    assert partial[0] == "receipts/000.p/5"
    assert decode_bundle(partial[1], 5) == [b"", b"", b"", b"three", b""]
    grown = dict(receipt_files(bodies, 5, 601))
    assert list(grown) == ["receipts/000", "receipts/002.p/89"], "none for the bundle between"
    assert decode_bundle(grown["receipts/000"], 256)[255] == b"last"
    assert decode_bundle(grown["receipts/002.p/89"], 89)[88] == b"six"


@given(st.lists(st.one_of(st.just(b""), st.binary(max_size=300)), min_size=1, max_size=256))
def test_receipts_are_decoded_as_a_bundle_is(bodies: list[bytes]) -> None:
    data = encode_bundle(bodies)
    assert decode_receipts(data, len(bodies)) == decode_bundle(data, len(bodies)) == bodies
    for other in (data[:-1], data + b"\x00", data + b"\x00\x00"):
        with pytest.raises(Malformed):
            decode_receipts(other, len(bodies))


@given(st.binary(max_size=600), st.integers(1, 256))
def test_arbitrary_bytes_are_receipts_where_they_are_a_bundle(data: bytes, width: int) -> None:
    def outcome(decode: Callable[[bytes, int], list[bytes]]) -> list[bytes] | None:
        try:
            return decode(data, width)
        except Malformed:
            return None

    assert outcome(decode_receipts) == outcome(decode_bundle)
