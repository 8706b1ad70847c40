"""Strict msgpack: one value, one encoding, and `Malformed` is all that comes out."""

from enum import IntEnum
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from keys.canonical import (
    MAX_INTEGER,
    MAX_MILLIS,
    Hash,
    Id,
    Key,
    Millis,
    Positive,
    Record,
    Signature,
    Uint,
    encode,
    reader,
)
from keys.errors import Malformed
from tests.keys.shapes import DEEP, sample, takes_one_encoding, values


class Colour(IntEnum):
    RED = 1
    BLUE = 200


class Inner(Record, frozen=True, array_like=True):
    number: Uint
    text: str


class Outer(Record, frozen=True, array_like=True):
    id: Id
    hash: Hash
    key: Key
    signature: Signature
    number: Positive
    time: Millis
    small: Annotated[int, Meta(ge=0, le=255)]
    colour: Colour
    flag: bool
    inner: Inner
    list: list[Inner]
    perhaps: Inner | None


class Left(Record, frozen=True, array_like=True, tag=1):
    value: Uint


class Right(Record, frozen=True, array_like=True, tag=2):
    value: Uint


READERS = [
    pytest.param(Outer, id="a record of everything"),
    pytest.param(Inner, id="a small record"),
    pytest.param(Left | Right, id="a union of tagged records"),
]


@pytest.mark.parametrize("kind", READERS)
def test_one_encoding(kind: type[object]) -> None:
    takes_one_encoding(reader(kind), sample(kind))
    takes_one_encoding(reader(kind), sample(kind, none=True))


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_every_value_comes_back(kind: type[object], data: st.DataObject) -> None:
    value = data.draw(values(kind))
    assert reader(kind)(encode(value)) == value


@pytest.mark.parametrize("kind", READERS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(kind: type[object], data: bytes) -> None:
    try:
        value = reader(kind)(data)
    except Malformed:
        return
    assert encode(value) == data


LAX = [
    pytest.param(b"\x93\x07\xa1x\xc0", Inner, id="attack-71 drops an element too many"),
    pytest.param(b"\x92\xcd\x00\x07\xa1x", Inner, id="attack-71 takes an integer that is longer than it need be"),
    pytest.param(b"\x92\x07\xd9\x01x", Inner, id="attack-71 takes a text whose length is longer than it need be"),
    pytest.param(b"\xdc\x00\x02\x07\xa1x", Inner, id="attack-71 takes an array whose length is longer than it need be"),
]


@pytest.mark.parametrize(("data", "kind"), LAX)
def test_what_msgspec_takes_and_we_do_not(data: bytes, kind: type[object]) -> None:
    lax = msgspec.msgpack.Decoder(msgspec.defstruct("Lax", [("number", int), ("text", str)], array_like=True))
    assert msgspec.to_builtins(lax.decode(data)) == [7, "x"]
    with pytest.raises(Malformed):
        reader(kind)(data)


def test_the_limit_is_the_last_length_that_is_read() -> None:
    data = encode(Inner(1, "x"))
    assert reader(Inner, limit=len(data))(data) == Inner(1, "x")
    with pytest.raises(Malformed, match=f"{len(data)} bytes, the limit is {len(data) - 1}"):
        reader(Inner, limit=len(data) - 1)(data)


@pytest.mark.parametrize("depth", [1_200, 60_000])
def test_nesting_that_would_end_the_stack(depth: int) -> None:
    for data in (b"\x91" * depth + b"\xc0", b"\x93\x07\xa1x" + b"\x91" * depth + b"\xc0"):
        with pytest.raises(Malformed):
            reader(Inner)(data)
    assert len(DEEP) > 1_000


@pytest.mark.parametrize(
    ("value", "sound"),
    [
        pytest.param(MAX_INTEGER, True, id="2^53"),
        pytest.param(MAX_INTEGER + 1, False, id="2^53 + 1"),
        pytest.param(0, True, id="nothing"),
        pytest.param(-1, False, id="less than nothing"),
    ],
)
def test_bounds_of_integers(value: int, sound: bool) -> None:
    data = encode(Inner(value, ""))
    if sound:
        assert reader(Inner)(data).number == value
    else:
        with pytest.raises(Malformed):
            reader(Inner)(data)


def test_times_end_with_the_calendar() -> None:
    read = reader(Annotated[int, Meta(ge=0, le=MAX_MILLIS)])
    assert read(encode(MAX_MILLIS)) == MAX_MILLIS
    with pytest.raises(Malformed):
        read(encode(MAX_MILLIS + 1))
