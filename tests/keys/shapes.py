"""Values of every record's shape, made from its declaration, and the many ways in which bytes can almost be such a value.

`sample` gives one fixed value of a type (for goldens), `values` a hypothesis strategy of all of them, and `almost` encodings
that a lax decoder would take for the value, or for another, each with a name that reads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st
from msgspec import Struct, inspect

from keys.canonical import encode
from keys.errors import Malformed

DEEP = b"\x91" * 1_200 + b"\xc0"
FOREIGN = {
    "an ext type": b"\xd4\x01\x00",
    "a timestamp": b"\xd6\xff\x00\x00\x00\x00",
    "not a number": b"\xcb\x7f\xf8" + bytes(6),
    "a float": b"\xcb\x3f\xf0" + bytes(6),
    "a map": b"\x80",
    "a map with equal keys": b"\x82\x01\x01\x01\x02",
    "nested too deep": DEEP,
    "text that is not UTF-8": b"\xa1\xff",
    "a number below zero": b"\xff",
    "2^64 - 1": b"\xcf" + b"\xff" * 8,
    "a byte that means nothing": b"\xc1",
}


def sample(kind: object, *, none: bool = False) -> Any:
    """One value of a type, always the same; with `none` whatever may be None is."""
    return _sample(inspect.type_info(kind), none)


def _sample(info: inspect.Type, none: bool) -> Any:
    match info:
        case inspect.StructType(cls=cls, fields=fields):
            return cls(*(_sample(f.type, none) for f in fields))
        case inspect.UnionType(types=types):
            optional = any(isinstance(t, inspect.NoneType) for t in types)
            return None if none and optional else _sample(types[0], none)
        case inspect.ListType(item_type=item, min_length=low):
            return [_sample(item, none)] * max(1, low or 0)
        case inspect.EnumType(cls=cls):
            return list(cls)[-1]
        case inspect.BoolType():
            return True
        case inspect.IntType(ge=low, le=high):
            return max(low or 0, min(300, high or 300))
        case inspect.BytesType(min_length=low, max_length=high):
            return bytes(range(1, (low or min(high or 3, 3)) + 1))
        case inspect.StrType(pattern=None, min_length=low):
            return "détail".ljust(low or 0, "é")
        case inspect.StrType():
            return "app"
        case inspect.TupleType(item_types=items):
            return tuple(_sample(item, none) for item in items)
    raise AssertionError(info)


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """All values of a type; made once, since a test that draws asks for each example."""
    return _values(inspect.type_info(kind))


def _values(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, *(_values(f.type) for f in fields))
        case inspect.UnionType(types=types):
            return st.one_of(*map(_values, types))
        case inspect.NoneType():
            return st.none()
        case inspect.ListType(item_type=item, min_length=low):
            return st.lists(_values(item), min_size=low or 0, max_size=max(3, low or 0))
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=low, le=high):
            return st.integers(low, high)
        case inspect.BytesType(min_length=low, max_length=high):
            return st.binary(min_size=low or 0, max_size=min(high or 40, (low or 0) + 40))
        case inspect.StrType(min_length=low, max_length=high):
            return st.text(st.characters(exclude_categories=["Cs"]), min_size=low or 0, max_size=min(high or 9, 9))
    raise AssertionError(info)


def almost(value: object) -> Iterator[tuple[str, bytes]]:
    """Encodings that differ from `encode(value)` in one place."""
    whole = encode(value)
    yield from ((f"cut to {n} bytes", whole[:n]) for n in range(len(whole)))
    yield "a byte left over", whole + b"\x00"
    yield "the value twice", whole + whole
    yield from ((name, data) for name, data in _changed(value) if data != whole)
    yield from FOREIGN.items()


def _changed(value: object) -> Iterator[tuple[str, bytes]]:
    """Each node longer than need be or of a foreign type; each record with another arity."""
    for long in _longer(value):
        yield f"a longer form of {value!r:.30}", long
    if isinstance(value, Struct | list):
        parts = _parts(value)
        written = [encode(p) for p in parts]
        if isinstance(value, Struct):
            yield f"{type(value).__name__} with an element more", _array([*written, b"\xc0"])
            yield f"{type(value).__name__} with the last element twice", _array([*written, written[-1]])
            yield f"{type(value).__name__} with an element less", _array(written[:-1])
            yield f"{type(value).__name__} as a map", _map(written)
        for n, part in enumerate(parts):
            rest = written[n + 1 :]
            for name, foreign in FOREIGN.items():
                yield f"{name} at {n} of {type(value).__name__}", _array([*written[:n], foreign, *rest])
            for name, changed in _changed(part):
                yield f"{name} at {n} of {type(value).__name__}", _array([*written[:n], changed, *rest])


def _parts(value: Struct | list[Any]) -> list[Any]:
    if isinstance(value, list):
        return value
    tag = value.__struct_config__.tag
    fields = [getattr(value, name) for name in value.__struct_fields__]
    return fields if tag is None else [tag, *fields]


def _array(parts: list[bytes]) -> bytes:
    head = bytes([0x90 | len(parts)]) if len(parts) < 16 else b"\xdc" + len(parts).to_bytes(2, "big")
    return head + b"".join(parts)


def _map(parts: list[bytes]) -> bytes:
    return bytes([0x80 | min(len(parts), 15)]) + b"".join(bytes([n]) + p for n, p in enumerate(parts[:15]))


def _longer(value: object) -> Iterator[bytes]:
    """The same value in msgpack's longer forms, and in forms that read alike."""
    match value:
        case None:
            return
        case bool():
            yield b"\x01" if value else b"\x00"
        case int() | IntEnum():
            number = int(value)
            yield b"\xcf" + number.to_bytes(8, "big")
            yield b"\xd3" + number.to_bytes(8, "big")
            yield b"\xcb" + struct.pack(">d", number)
            if number < 1 << 16:
                yield b"\xce" + number.to_bytes(4, "big")
            if number < 1 << 7:
                yield b"\xcc" + bytes([number])
        case bytes():
            yield b"\xc6" + len(value).to_bytes(4, "big") + value
            yield b"\xdb" + len(value).to_bytes(4, "big") + value
        case str():
            text = value.encode()
            yield b"\xdb" + len(text).to_bytes(4, "big") + text
            yield b"\xc4" + bytes([len(text)]) + text
        case Struct() | list():
            parts = [encode(p) for p in _parts(value)]
            yield b"\xdd" + len(parts).to_bytes(4, "big") + b"".join(parts)


def all_refused(
    read: Callable[[bytes], object],
    cases: Iterable[tuple[str, bytes]],
    errors: tuple[type[Exception], ...] = (Malformed,),
) -> None:
    """None of these is read, and nothing but these errors comes out."""
    for name, data in cases:
        try:
            read(data)
        except errors:
            continue
        pytest.fail(f"accepted: {name}: {data.hex()}")


def takes_one_encoding(read: Callable[[bytes], object], value: object) -> None:
    """Both ways, and nothing that is almost the value: `Malformed` is all that comes out."""
    assert read(encode(value)) == value
    all_refused(read, almost(value))
