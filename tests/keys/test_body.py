"""The bodies that are not encrypted: both ways, one encoding, their bounds."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import body
from keys.body import Range, Receipt, read_receipt
from keys.canonical import encode
from keys.errors import Malformed
from tests.keys.goldens import check_golden
from tests.keys.shapes import sample, takes_one_encoding, values

R = bytes(32)
BODIES = [
    pytest.param(body.ChannelTerms, body.read_terms, id="channel terms"),
    pytest.param(body.ChannelCreated, body.read_channel_created, id="channel created"),
    pytest.param(body.Commit, body.read_commit, id="commit"),
    pytest.param(body.CommitRefused, body.read_commit_refused, id="commit refused"),
    pytest.param(body.Receipt, body.read_receipt, id="receipt"),
    pytest.param(body.Complaint, body.read_complaint, id="complaint"),
    pytest.param(body.Approval, body.read_approval, id="approval"),
    pytest.param(body.RefusedAttempt, body.read_refused_attempt, id="refused attempt"),
    pytest.param(body.Withheld, body.read_withheld, id="withheld"),
    pytest.param(body.Review, body.read_review, id="review"),
    pytest.param(body.Ack, body.read_ack, id="ack"),
    pytest.param(body.ResyncApproval, body.read_resync_approval, id="resync approval"),
    pytest.param(body.GatewayAct, body.read_gateway_act, id="gateway act"),
    pytest.param(body.AuditorRead, body.read_auditor_read, id="auditor read"),
]
Read = Callable[[bytes], Any]


@pytest.mark.parametrize(("kind", "read"), BODIES)
def test_one_encoding(kind: type, read: Read) -> None:
    takes_one_encoding(read, sample(kind))
    takes_one_encoding(read, sample(kind, none=True))


@pytest.mark.parametrize(("kind", "read"), BODIES)
def test_golden(kind: type, read: Read) -> None:
    check_golden("bodies.json", kind.__name__, encode(sample(kind)))


def test_terms_are_written_as_the_extension_has_them() -> None:
    terms = body.ChannelTerms(3, "detail", body.Marking.AMBER_STRICT)
    assert body.read_terms(terms.encode()) == terms
    beside = body.ChannelTerms(3, "alert", body.Marking.AMBER_STRICT, b"D" * 16)
    assert body.read_terms(beside.encode()) == beside


@pytest.mark.parametrize(("kind", "read"), [case for case in BODIES if case.id != "receipt"])
@given(data=st.data())
def test_every_value_comes_back(kind: type, read: Read, data: st.DataObject) -> None:
    value = data.draw(values(kind))
    assert read(encode(value)) == value


@pytest.mark.parametrize(("kind", "read"), BODIES)
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes(kind: type, read: Read, data: bytes) -> None:
    try:
        value = read(data)
    except Malformed:
        return
    assert encode(value) == data


@given(st.lists(st.integers(1, 50), unique=True, max_size=12).map(sorted))
def test_ranges_that_rise(places: list[int]) -> None:
    ranges = [Range(a, b, R) for a, b in zip(places[::2], places[1::2], strict=False)]
    receipt = Receipt(bytes(16), ranges, [], ranges, None)
    assert read_receipt(encode(receipt)) == receipt


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**53), st.binary(min_size=32, max_size=32))
def test_a_confirmation_is_of_one_channel_epoch_and_key_schedule(channel: bytes, epoch: int, secret: bytes) -> None:
    one = body.confirmation(channel, epoch, secret)
    assert len(one) == 32
    assert secret not in one
    others = [(bytes(16), epoch, secret), (channel, epoch + 1, secret), (channel, epoch, secret + b"x")]
    assert one not in [body.confirmation(*other) for other in others if other != (channel, epoch, secret)]


RANGES = [
    pytest.param([Range(5, 4, R)], id="a range that ends before it begins"),
    pytest.param([Range(1, 2, R), Range(1, 2, R)], id="a range twice"),
    pytest.param([Range(1, 4, R), Range(4, 6, R)], id="ranges that share a place"),
    pytest.param([Range(5, 6, R), Range(1, 2, R)], id="ranges that fall"),
    pytest.param([Range(1, 9, R), Range(3, 4, R)], id="a range inside another"),
    pytest.param([Range(0, 1, R)], id="a range from nothing"),
    pytest.param([Range(2 * n, 2 * n, R) for n in range(1, 34)], id="33 ranges"),
]


@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize("ranges", RANGES)
def test_ranges_in_another_way(ranges: list[Range], place: int) -> None:
    fields: list[Any] = [bytes(16), [], [], [], None, None]
    fields[place] = ranges
    with pytest.raises(Malformed):
        read_receipt(encode(Receipt(*fields)))


@pytest.mark.parametrize(
    ("read", "value"),
    [
        pytest.param(body.read_terms, body.ChannelTerms(0, "detail", body.Marking.RED), id="charter version 0"),
        pytest.param(body.read_terms, body.ChannelTerms(1, "", body.Marking.RED), id="no class"),
        pytest.param(body.read_terms, body.ChannelTerms(1, "x" * 101, body.Marking.RED), id="a class of 101 letters"),
        pytest.param(body.read_terms, [1, "detail", 5], id="no such marking"),
        pytest.param(body.read_ack, body.Ack(bytes(31), 0, None, bytes(16)), id="a root of 31 bytes"),
        pytest.param(body.read_ack, body.Ack(R, 256, None, bytes(16)), id="option 256"),
        pytest.param(body.read_complaint, body.Complaint(0, R), id="a complaint of nothing"),
        pytest.param(body.read_commit, body.Commit(b"", b"", R), id="a welcome without a hash"),
        pytest.param(body.read_gateway_act, [max(body.Act) + 1, ""], id="no such act"),
        pytest.param(body.read_commit_refused, body.CommitRefused(1, R, "x" * 201), id="a rule too long"),
    ],
)
def test_beyond_a_bound(read: Read, value: object) -> None:
    with pytest.raises(Malformed):
        read(encode(value))


@pytest.mark.parametrize(
    ("read", "value"),
    [
        pytest.param(body.read_terms, body.ChannelTerms(2**53, "𝄞" * 100, body.Marking.RED), id="channel terms"),
        pytest.param(body.read_commit_refused, body.CommitRefused(2**53, R, "𝄞" * 200), id="commit refused"),
        pytest.param(body.read_gateway_act, body.GatewayAct(body.Act.START, "𝄞" * 400), id="gateway act"),
        pytest.param(
            body.read_auditor_read, body.AuditorRead("𝄞" * 100, 2**53, 253_402_300_799_999), id="auditor read"
        ),
        pytest.param(
            body.read_receipt,
            Receipt(
                bytes(16),
                *([[Range(2**52 + n, 2**52 + n, R) for n in range(32)]] * 3),
                body.Seen(2**53, R),
                body.Confirmed(2**53, R),
            ),
            id="receipt",
        ),
    ],
)
def test_the_largest_is_read(read: Read, value: object) -> None:
    assert read(encode(value)) == value
