"""Every frame: both ways, one encoding, a golden, and nothing but `Malformed` for everything else."""

from typing import get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway import wire
from gateway.wire import FRAME_LIMIT, FromDevice, FromGateway, Transcript, read_from_device, read_from_gateway
from keys.canonical import encode, reader
from keys.envelope import HEADER_LIMIT
from keys.errors import Malformed
from tests.keys.goldens import check_golden
from tests.keys.shapes import sample, takes_one_encoding, values

DEVICE = get_args(FromDevice)
GATEWAY = get_args(FromGateway)
BOTH = [(frame, read_from_device) for frame in DEVICE] + [(frame, read_from_gateway) for frame in GATEWAY]
CASES = [pytest.param(frame, read, id=frame.__name__) for frame, read in BOTH]


def test_every_frame_is_listed() -> None:
    declared = {v for v in vars(wire).values() if isinstance(v, type) and issubclass(v, wire.Frame)} - {wire.Frame}
    assert declared == {*DEVICE, *GATEWAY}


def test_tags_are_unique_and_say_who_speaks() -> None:
    tags = [frame.__struct_config__.tag for frame in (*DEVICE, *GATEWAY)]
    assert len(set(tags)) == len(tags)
    assert all(frame.__struct_config__.tag < 64 for frame in DEVICE)
    assert all(64 <= frame.__struct_config__.tag < 128 for frame in GATEWAY)


@pytest.mark.parametrize(("frame", "read"), CASES)
def test_one_encoding(frame: type[Struct], read: object) -> None:
    takes_one_encoding(read, sample(frame))  # type: ignore[arg-type]
    takes_one_encoding(read, sample(frame, none=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(("frame", "read"), CASES)
def test_golden(frame: type[Struct], read: object) -> None:
    check_golden("wire.json", frame.__name__, encode(sample(frame)))


@pytest.mark.parametrize(("frame", "read"), CASES)
def test_another_msgpack_reads_the_same(frame: type[Struct], read: object) -> None:
    data = encode(sample(frame))
    tag, *_ = fields = msgpack.unpackb(data)
    assert tag == frame.__struct_config__.tag
    assert len(fields) == 1 + len(frame.__struct_fields__)
    assert msgpack.packb(fields) == data


@pytest.mark.parametrize(("union", "read"), [(FromDevice, read_from_device), (FromGateway, read_from_gateway)])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_value_comes_back(union: object, read: object, data: st.DataObject) -> None:
    value = data.draw(values(union))
    encoded = encode(value)
    if len(encoded) <= FRAME_LIMIT:
        assert read(encoded) == value  # type: ignore[operator]


@pytest.mark.parametrize("read", [read_from_device, read_from_gateway])
@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=300)
    | st.builds(lambda tag, rest: bytes([0x94, tag]) + rest, st.integers(1, 90), st.binary())
)
def test_arbitrary_bytes(read: object, data: bytes) -> None:
    try:
        value = read(data)  # type: ignore[operator]
    except Malformed:
        return
    assert encode(value) == data


@pytest.mark.parametrize("frame", [pytest.param(f, id=f.__name__) for f in GATEWAY])
def test_the_gateway_takes_no_frame_of_its_own_kind(frame: type[Struct]) -> None:
    with pytest.raises(Malformed):
        read_from_device(encode(sample(frame)))


@pytest.mark.parametrize("frame", [pytest.param(f, id=f.__name__) for f in DEVICE])
def test_a_device_takes_no_frame_of_its_own_kind(frame: type[Struct]) -> None:
    with pytest.raises(Malformed):
        read_from_gateway(encode(sample(frame)))


def chunk(length: int) -> bytes:
    return encode(wire.PutChunk(1, bytes(32), length, 0, bytes(length)))


BOUNDS = [
    pytest.param(encode(wire.Cursor(wire.Position(bytes(15), 1))), id="an id of 15 bytes"),
    pytest.param(encode(wire.Cursor(wire.Position(bytes(17), 1))), id="an id of 17 bytes"),
    pytest.param(encode(wire.Cursor(wire.Position(bytes(16), -1))), id="a seq below zero"),
    pytest.param(encode(wire.Cursor(wire.Position(bytes(16), 2**53 + 1))), id="a seq over 2^53"),
    pytest.param(encode(wire.Submit(1, [])), id="an empty run"),
    pytest.param(encode(wire.Submit(1, [wire.Sealed(b"h", b"", None)] * 65)), id="a run of 65"),
    pytest.param(encode(wire.Submit(1, [wire.Sealed(b"", b"", None)])), id="an empty header"),
    pytest.param(encode(wire.Submit(1, [wire.Sealed(b"h", bytes(65), None)])), id="a signature of 65 bytes"),
    pytest.param(
        encode(wire.Submit(1, [wire.Sealed(bytes(HEADER_LIMIT + 1), b"", None)])), id="a header over its limit"
    ),
    pytest.param(encode(wire.Hello(0, bytes(16), bytes(32))), id="protocol version 0"),
    pytest.param(encode(wire.Hello(256, bytes(16), bytes(32))), id="protocol version 256"),
    pytest.param(encode(wire.GetEnrolments(2**32)), id="a request id over 32 bits"),
    pytest.param(chunk(wire.CHUNK + 1), id="a chunk over its limit"),
    pytest.param(encode(wire.GetBody(1, bytes(32), wire.BODY_LIMIT + 1)), id="an offset beyond any body"),
    pytest.param(encode(wire.PutInvite(1, bytes(32), "x" * 401, "agent", 1)), id="a text too long"),
    pytest.param(encode(wire.PutInvite(1, bytes(32), "x", "agent", 253_402_300_800_000)), id="a time after 9999"),
    pytest.param(encode(wire.GetCertificates(1, [])), id="no hash asked for"),
    pytest.param(encode(wire.GetCertificates(1, [bytes(32)] * 65)), id="65 hashes asked for"),
    pytest.param(encode(wire.Grant(1, bytes(32), b"", b"")), id="an empty certificate"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"\xc0", id="nil"),
    pytest.param(b"\x90", id="an empty array"),
    pytest.param(b"\x92\x16\x01", id="an unknown tag"),
    pytest.param(b"\x92\xa1\x0e\x01", id="a tag as text"),
]


@pytest.mark.parametrize("data", BOUNDS)
def test_beyond_a_bound(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_from_device(data)


def test_the_largest_chunk_fits_a_frame_and_nothing_larger_is_read() -> None:
    assert len(chunk(wire.CHUNK)) <= FRAME_LIMIT
    assert read_from_device(chunk(wire.CHUNK))
    with pytest.raises(Malformed, match="the limit is 65536"):
        read_from_device(b"\xc0" * (FRAME_LIMIT + 1))


def test_a_refusal_that_is_not_listed() -> None:
    refused = encode(wire.Refused(1, wire.Refusal.DENIED, "", 0, None))
    assert read_from_gateway(refused)
    with pytest.raises(Malformed):
        read_from_gateway(refused.replace(b"\x01\x04", b"\x01\x7f", 1))


def test_transcript() -> None:
    transcript = sample(Transcript)
    takes_one_encoding(reader(Transcript), transcript)
    check_golden("wire.json", "Transcript", transcript.content())
    other = [encode(changed) for changed in changes(transcript)]
    assert len({transcript.content(), *other}) == len(other) + 1


def changes(transcript: Transcript) -> list[Transcript]:
    fields = [getattr(transcript, name) for name in transcript.__struct_fields__]
    return [Transcript(*fields[:n], bytes(len(f)), *fields[n + 1 :]) for n, f in enumerate(fields)]
