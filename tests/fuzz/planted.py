"""Three bugs on purpose, for the tool to find before it is trusted: `make fuzz` begins with them.

One is behind three magic bytes (branches lead there), one behind a word (the dictionary has it), one behind a record's fields (changes
that keep a record a record find it).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from keys.canonical import Hash, Id, Record, encode, reader
from keys.errors import Malformed
from tests.fuzz.target import Target
from tests.keys.shapes import sample


class Order(Record, frozen=True, array_like=True):
    """A record with nothing in it that is rare."""

    id: Id
    hash: Hash
    number: Annotated[int, Meta(ge=1, le=200)]
    names: list[str]


_read = reader(Order)


def behind_magic(data: bytes) -> int:
    """Raises Malformed, and IndexError where it should not."""
    if len(data) < 4:
        raise Malformed("too short")
    if data[0] == 0x4F and data[1] == 0x55 and data[2] == 0x54:
        return data[data[3]]
    raise Malformed("not ours")


def behind_a_word(data: bytes) -> int:
    """Raises Malformed, and IndexError where it should not."""
    if data.startswith(b"outrider-planted:"):
        return data[100]
    raise Malformed("not ours")


def behind_a_record(data: bytes) -> str:
    """Raises Malformed, and IndexError where an order with more than two names is numbered 128."""
    order = _read(data)
    if len(order.names) > 2 and order.number == 128:
        return order.names[len(order.names)]
    return order.names[0] if order.names else ""


PLANTED = {
    "planted-behind-magic": Target(behind_magic, (Malformed,), (b"nothing of the kind",)),
    "planted-behind-a-word": Target(behind_a_word, (Malformed,), (b"nothing of the kind",)),
    "planted-behind-a-record": Target(behind_a_record, (Malformed,), (encode(sample(Order)),)),
}
