"""The TLS presentation language as MLS uses it (RFC 9420 section 2.1): one value, one encoding.

A format is declared once, in the specification's order and with its names, as a frozen dataclass whose annotations
name the codec of each field:

    @struct
    class HPKECiphertext(Struct):
        kem_output: Annotated[bytes, opaque]
        ciphertext: Annotated[bytes, opaque]

`encode` and `decode` both follow from that list. Decoding is strict: lengths in their shortest form, known tags,
nothing left over; it raises `DecodeError` and nothing else. Nothing is as large as its sender says: a message has
`MAX_SIZE` bytes at most, a string never more than its message, a vector so many elements as it says itself (a few
bytes can stand for many times their size in objects). Since one value has one encoding, what was decoded keeps the bytes it came from where that saves work (`@struct(cached=True)`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from struct import error, pack, unpack
from typing import Annotated, Any, Final, Protocol, Self, TypeVar, dataclass_transform, get_args, get_origin, overload

from keys.mls.errors import DecodeError, EncodeError

MAX_SIZE: Final = 1 << 24
"""Longest message, in bytes, that is looked at: a Welcome with the tree of 5,000 members in the hybrid suite."""

FEW: Final = 256
"""Most elements of a vector that somebody lists: extensions, capabilities, certificates, pre-shared keys."""

T = TypeVar("T")


class Reader:
    """A place in a byte string; every step either moves it forward or raises `DecodeError`."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_SIZE:
            raise DecodeError(f"{len(data)} bytes, the limit is {MAX_SIZE}")
        self.data = bytes(data)
        self.pos = 0
        self.end = len(data)

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        start = self.pos
        stop = start + length
        if stop > self.end:
            raise DecodeError(f"{length} bytes expected at {start}, {self.end - start} left")
        self.pos = stop
        return self.data[start:stop]

    def varint(self) -> int:
        """A length header (section 2.1.2)."""
        value, self.pos = read_varint(self.data, self.pos)
        return value

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.end - self.pos)

    def finish(self) -> None:
        """Raise unless everything was read."""
        if self.pos != self.end:
            raise DecodeError(f"{self.end - self.pos} bytes left over")


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """The length header at `start` and where it ends: its two high bits give its own size, the shortest form is the only one
    (section 2.1.2); raises `DecodeError`."""
    if start >= len(data):
        raise DecodeError(f"length expected at {start}, nothing left")
    first = data[start]
    if first < 0x40:
        return first, start + 1
    if first >= 0xC0:
        raise DecodeError(f"length prefix 0b11 at {start}")
    size, least, most = (2, 0x40, 0x3FFF) if first < 0x80 else (4, 0x4000, 0x3FFFFFFF)
    end = start + size
    if end > len(data):
        raise DecodeError(f"{size} bytes expected at {start}, {len(data) - start} left")
    value = int.from_bytes(data[start:end]) & most
    if value < least:
        raise DecodeError(f"length {value} at {start} is not in its shortest form")
    return value, end


def varint(value: int) -> bytes:
    """The shortest length header for `value`."""
    if value < 0x40:
        return value.to_bytes(1)
    if value < 0x4000:
        return (value | 0x4000).to_bytes(2)
    if value < 0x40000000:
        return (value | 0x80000000).to_bytes(4)
    raise EncodeError(f"{value} is longer than a vector can be")


def vector_bytes(value: bytes) -> bytes:
    """`opaque value<V>`: the header, then the bytes."""
    length = len(value)
    return (length.to_bytes(1) if length < 0x40 else varint(length)) + value


def vector_end(data: bytes, start: int) -> int:
    """Where the `opaque value<V>` that begins at `start` ends, which may be behind the end of `data`; raises `DecodeError`."""
    length, end = read_varint(data, start)
    return end + length


class Codec(Protocol[T]):
    """How one kind of field is written and read; a `Struct` class is the codec of its own values."""

    def write(self, value: T, out: bytearray) -> None: ...

    def read(self, reader: Reader) -> T: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Uint:
    """An unsigned integer of `size` bytes, big-endian."""

    size: int

    def write(self, value: int, out: bytearray) -> None:
        try:
            out += value.to_bytes(self.size)
        except OverflowError as error:
            raise EncodeError(f"{value} does not fit {self.size} bytes") from error

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.take(self.size))


class Opaque:
    """`opaque x<V>`: bytes behind their length."""

    def write(self, value: bytes, out: bytearray) -> None:
        out += varint(len(value))
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(reader.varint())


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    """`opaque x[size]`: bytes of a fixed number."""

    size: int

    def write(self, value: bytes, out: bytearray) -> None:
        if len(value) != self.size:
            raise EncodeError(f"{len(value)} bytes for a field of {self.size}")
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(self.size)


@dataclasses.dataclass(frozen=True, slots=True)
class Vector:
    """`T x<V>`: elements behind their total length in bytes, at most so many."""

    element: Any
    most: int = FEW

    def write(self, value: tuple[Any, ...], out: bytearray) -> None:
        if len(value) > self.most:
            raise EncodeError(f"{len(value)} elements, the limit is {self.most}")
        inner = bytearray()
        write = self.element.write
        for item in value:
            write(item, inner)
        out += varint(len(inner))
        out += inner

    def read(self, reader: Reader) -> tuple[Any, ...]:
        length = reader.varint()
        outer, stop = reader.end, reader.pos + length
        if stop > outer:
            raise DecodeError(f"vector of {length} bytes at {reader.pos}, {outer - reader.pos} left")
        reader.end = stop
        items: list[Any] = []
        read = self.element.read
        while reader.pos < stop:
            if len(items) == self.most:
                raise DecodeError(f"more than {self.most} elements at {reader.pos}")
            items.append(read(reader))
        reader.end = outer
        return tuple(items)


@dataclasses.dataclass(frozen=True, slots=True)
class Uints:
    """`uintN x<V>`: integers behind their total length in bytes, all read at once."""

    element: Uint
    most: int = FEW

    def write(self, value: tuple[int, ...], out: bytearray) -> None:
        if len(value) > self.most:
            raise EncodeError(f"{len(value)} elements, the limit is {self.most}")
        out += varint(self.element.size * len(value))
        try:
            out += pack(self._format(len(value)), *value)
        except error as cause:
            raise EncodeError(f"an integer that does not fit {self.element.size} bytes") from cause

    def read(self, reader: Reader) -> tuple[int, ...]:
        length = reader.varint()
        count, over = divmod(length, self.element.size)
        if over:
            raise DecodeError(f"{length} bytes of integers of {self.element.size} at {reader.pos}")
        if count > self.most:
            raise DecodeError(f"more than {self.most} elements at {reader.pos}")
        return unpack(self._format(count), reader.take(length))

    def _format(self, count: int) -> str:
        return f">{count}{_LETTERS[self.element.size]}"


_LETTERS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""Unsigned integers by their size, as `struct` names them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Optional:
    """`optional<T>` (section 2.1.1): absent is 0, present is 1 and the value."""

    element: Any

    def write(self, value: Any, out: bytearray) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(1)
            self.element.write(value, out)

    def read(self, reader: Reader) -> Any:
        match reader.take(1):
            case b"\x00":
                return None
            case b"\x01":
                return self.element.read(reader)
            case other:
                raise DecodeError(f"presence octet {other.hex()}")


class Tagged:
    """A `select`: the tag says which of the listed structs follows; an unlisted tag is refused."""

    __slots__ = ("by_tag", "by_type", "tag")

    def __init__(self, tag: Uint, by_tag: "Mapping[int, type[Struct]]") -> None:
        self.tag = tag
        self.by_tag = dict(by_tag)
        self.by_type = {kind: number for number, kind in by_tag.items()}

    def write(self, value: "Struct", out: bytearray) -> None:
        self.tag.write(self.by_type[type(value)], out)
        value.write(out)

    def read(self, reader: Reader) -> "Struct":
        tag = self.tag.read(reader)
        kind = self.by_tag.get(tag)
        if kind is None:
            raise DecodeError(f"unknown tag {tag} at {reader.pos - self.tag.size}")
        return kind.read(reader)


uint8: Final = Uint(1)
uint16: Final = Uint(2)
uint32: Final = Uint(4)
uint64: Final = Uint(8)
opaque: Final = Opaque()
uint16s: Final = Uints(uint16)


class Struct:
    """A frozen value with one encoding. Subclasses are declared with `@struct`."""

    __slots__ = ("_encoding",)
    _codecs: tuple[tuple[str, Any], ...] = ()
    _cached = False
    _encoding: bytes

    def write(self, out: bytearray) -> None:
        """Append the encoding to `out`."""
        if self._cached:
            out += self.encode()
        else:
            self._write_fields(out)

    def _write_fields(self, out: bytearray) -> None:
        for name, codec in self._codecs:
            codec.write(getattr(self, name), out)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read one value where the reader stands; raises `DecodeError`."""
        start = reader.pos
        value = cls(*[codec.read(reader) for _, codec in cls._codecs])
        if cls._cached:
            object.__setattr__(value, "_encoding", reader.data[start : reader.pos])
        return value

    def encode(self) -> bytes:
        """The one encoding of this value; raises `EncodeError` if a field does not fit."""
        try:
            return self._encoding
        except AttributeError:
            out = bytearray()
            self._write_fields(out)
            encoding = bytes(out)
            object.__setattr__(self, "_encoding", encoding)
            return encoding

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The value whose encoding `data` is; raises `DecodeError`."""
        reader = Reader(data)
        value = cls.read(reader)
        reader.finish()
        return value


def codec_of(annotation: Any) -> Any:
    """The codec that a field's annotation names."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[1]
    assert isinstance(annotation, type), annotation
    assert issubclass(annotation, Struct), annotation
    return annotation


S = TypeVar("S", bound=type)


@overload
def struct(cls: S) -> S: ...
@overload
def struct(*, cached: bool = ...) -> Callable[[S], S]: ...
@dataclass_transform(frozen_default=True)
def struct(cls: Any = None, *, cached: bool = False) -> Any:
    """Make a `Struct` of a class: a frozen, slotted dataclass whose fields are its encoding, in order."""

    def build(plain: Any) -> Any:
        made: Any = dataclasses.dataclass(frozen=True, slots=True)(plain)
        made._codecs = tuple((field.name, codec_of(field.type)) for field in dataclasses.fields(made))
        made._cached = cached
        return made

    return build if cls is None else build(cls)


def decode_all(codec: Any, data: bytes) -> Any:
    """Decode `data` with a bare codec (a vector, say) and see that nothing is left over."""
    reader = Reader(data)
    value = codec.read(reader)
    reader.finish()
    return value


def encode_with(codec: Any, value: Any) -> bytes:
    """Encode `value` with a bare codec."""
    out = bytearray()
    codec.write(value, out)
    return bytes(out)
