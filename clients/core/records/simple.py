"""Records of one thing: bytes, a number, a key's seed."""

from typing import Annotated

from msgspec import Meta

from keys.canonical import Hash, Record, Uint

Chained = Annotated[bytes, Meta(max_length=32)]


class Note(Record, frozen=True, array_like=True):
    """Bytes that are kept as they came: a charter's note, a checkpoint, a blob to put or got."""

    data: bytes


class Counter(Record, frozen=True, array_like=True):
    value: Uint


class Seed(Record, frozen=True, array_like=True):
    """The seed of a signing key of this device."""

    seed: Hash
