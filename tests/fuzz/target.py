"""What a target is: a decoder, its errors, its way back, and a second reading where there is one.

A target is sound under some bytes when its decoder gives a value or raises one of its own errors, when the value's encoding is those
very bytes (where the format has one encoding), and when a second reading says the same (where there is one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from keys.canonical import encode
from keys.errors import KeysError
from tests.fuzz import plain, seeds
from tests.keys.shapes import sample

Bytes = Callable[[bytes], Any]


class Unsound(AssertionError):
    """A decoder did what none may."""


@dataclass(frozen=True)
class Target:
    """A decoder. `back` writes a value as the bytes that it must have come from, `second` raises ValueError or gives what
    `compare` makes of the value."""

    read: Bytes
    errors: tuple[type[Exception], ...]
    start: Iterable[bytes] = ()
    back: Bytes | None = None
    second: Bytes | None = None
    compare: Bytes = field(default=lambda value: value)
    stricter: bool = False  # the decoder may refuse what the second reading takes
    ahead: int = 0  # bytes that stand before a record

    def check(self, data: bytes) -> None:
        """Raises Unsound, or whatever a broken decoder raises."""
        try:
            value = self.read(data)
        except self.errors:
            self._refused(data)
            return
        if self.back is not None and self.back(value) != data:
            raise Unsound(f"a second encoding: {data.hex()}")
        if self.second is None:
            return
        try:
            other = self.second(data)
        except ValueError as error:
            raise Unsound(f"taken, where a second reading refuses it ({error}): {data.hex()}") from None
        if other != self.compare(value):
            raise Unsound(f"two readings: {self.compare(value)!r} and {other!r} of {data.hex()}")

    def _refused(self, data: bytes) -> None:
        if self.second is None or self.stricter:
            return
        try:
            self.second(data)
        except ValueError:
            return
        raise Unsound(f"refused, where a second reading takes it: {data.hex()}")


def record(read: Bytes, *start: object) -> Target:
    """A record of ours: strict msgpack, which the msgpack library must read and write alike. It begins from golden files, by name,
    and from one value of each type."""
    golden = [name for name in start if isinstance(name, str)]
    samples = [encode(sample(kind)) for kind in start if not isinstance(kind, str)]
    return Target(
        read,
        (KeysError,),
        [*(seeds.goldens(*golden) if golden else ()), *samples],
        back=encode,
        second=plain.message_pack,
        compare=lambda value: plain.message_pack(encode(value)),
        stricter=True,
    )


def loose_reader(kind: Any) -> Bytes:
    """`keys.canonical.reader` without what it is for: msgspec by itself. Not sound, and so a test of the tests."""
    decoder = msgspec.msgpack.Decoder(kind)

    def read(data: bytes) -> Any:
        try:
            return decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise KeysError(str(error)) from None

    return read


def text(read: Callable[[str], Any]) -> Bytes:
    def of_bytes(data: bytes) -> Any:
        return read(data.decode("utf-8", "surrogateescape"))

    return of_bytes
