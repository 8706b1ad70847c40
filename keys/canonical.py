"""One value, one encoding: strict msgpack for everything that is signed or sent.

msgspec by itself drops elements too many, takes integers that are longer than they need be and the last of two equal keys.
So `decode` encodes what it has read and compares: bytes that are not the one encoding of the value are `Malformed`. Types
have no untyped field and do not nest in themselves, so depth is bounded by the type.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, MsgspecError, Struct

from keys.errors import Malformed, NotCanonical

T = TypeVar("T")

MAX_INTEGER: Final = 2**53  # what every JSON reader of our output holds exactly

Id = Annotated[bytes, Meta(min_length=16, max_length=16)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Uint = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Positive = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
MAX_MILLIS: Final = 253_402_300_799_999  # the end of the year 9999, the last that a calendar of ours can show
Millis = Annotated[int, Meta(ge=0, le=MAX_MILLIS)]  # milliseconds since the epoch, UTC

_encode = msgspec.msgpack.Encoder().encode


class Record(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value that travels or is signed: a msgpack array of its fields in the order declared."""


def encode(value: object) -> bytes:
    """The one encoding of a `Record` (or a list of them)."""
    return _encode(value)


def encode_each(values: Iterable[object]) -> list[bytes]:
    """`encode` of many, without a call of ours for each."""
    return list(map(_encode, values))


def reader(kind: type[T], *, limit: int = 65_536) -> Callable[[bytes], T]:
    """A strict decoder of one type, compiled once; `kind` may be a union of tagged records.

    The function returned raises `Malformed`: not msgpack, not of this type, not the one encoding, something left over,
    or more than `limit` bytes.
    """
    decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)

    def read(data: bytes) -> T:
        if len(data) > limit:
            raise Malformed(f"{len(data)} bytes, the limit is {limit}")
        try:
            value = decoder.decode(data)
        except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(str(error)) from None
        if _encode(value) != data:
            raise NotCanonical("not the one encoding of this value")
        return value

    return read
