"""Changes that keep bytes a record: a node of the msgpack tree is put in another's place, doubled, taken out, or changed itself.

Records carry records as byte strings (a header in an envelope, a context in a header), so a byte string that reads as one is a node
to go into. Half of all changes are libFuzzer's own, of the plain bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgpack

Mutate = Callable[[bytes, int], bytes]

SCALARS = (
    None,
    False,
    True,
    0,
    1,
    127,
    128,
    255,
    256,
    2**16,
    2**32,
    2**53,
    2**53 + 1,
    2**63,
    2**64 - 1,
    -1,
    -33,
    -(2**63),
    1.5,
)
BYTES = (b"", bytes(16), bytes(32), bytes(64), b"\xff" * 32)
TEXTS = ("", "a", "é", "\x00", "\u202e", "\U0001f6a8", "a" * 256)


class Inner(list[Any]):
    """An array that stands there as a byte string."""


def is_record(data: bytes) -> bool:
    """Whether these are the bytes of a msgpack array."""
    return isinstance(_tree(data), Inner)


def by_structure(mutate: Mutate, ahead: int = 0) -> Callable[[bytes, int, int], bytes]:
    """A mutator for atheris of records with so many bytes before them; `mutate` is libFuzzer's own."""

    def mutator(data: bytes, longest: int, seed: int) -> bytes:
        chance = random.Random(seed)
        tree = _tree(data[ahead:])
        if not isinstance(tree, Inner) or chance.random() < 0.5:
            return mutate(data, longest)
        for _ in range(chance.choice((1, 1, 2, 4))):
            _change(tree, chance, mutate)
        changed = data[:ahead] + _plain(tree)
        return changed if len(changed) <= longest else mutate(data, longest)

    return mutator


def _tree(value: Any, depth: int = 0) -> Any:
    """With each byte string that is an array's encoding as `Inner`."""
    if isinstance(value, bytes) and value and depth < 8 and (0x90 <= value[0] <= 0x9F or value[0] in (0xDC, 0xDD)):
        try:
            inside = msgpack.unpackb(value, raw=False, strict_map_key=False)
        except Exception:  # the library has a dozen
            return value
        return Inner(_tree(item, depth + 1) for item in inside) if isinstance(inside, list) else value
    if isinstance(value, list):
        return [_tree(item, depth + 1) for item in value]
    return value


def _plain(value: Any) -> Any:
    """The opposite of `_tree`."""
    if not isinstance(value, list):
        return value
    items = [_plain(item) for item in value]
    return msgpack.packb(items, use_bin_type=True) if isinstance(value, Inner) else items


def _nodes(tree: list[Any]) -> list[tuple[list[Any], int]]:
    found = [(tree, n) for n in range(len(tree))]
    for item in tree:
        if isinstance(item, list):
            found += _nodes(item)
    return found


def _change(tree: list[Any], chance: random.Random, mutate: Mutate) -> None:
    """One change, in place."""
    nodes = _nodes(tree)
    if not nodes:
        tree.append(chance.choice(SCALARS))
        return
    where, n = chance.choice(nodes)
    match chance.randrange(6):
        case 0:
            where[n] = chance.choice((*SCALARS, *BYTES, *TEXTS, []))
        case 1:
            there, m = chance.choice(nodes)
            where[n] = _copy(there[m])
        case 2:
            where.insert(n, _copy(where[n]))
        case 3:
            del where[n]
        case _:
            where[n] = _changed(where[n], chance, mutate)


def _copy(value: Any) -> Any:
    return type(value)(map(_copy, value)) if isinstance(value, list) else value


def _changed(value: Any, chance: random.Random, mutate: Mutate) -> Any:
    match value:
        case bool() | None | float():
            return chance.choice(SCALARS)
        case int():
            return max(
                -(2**63),
                min(
                    2**64 - 1, chance.choice((value + 1, value - 1, value ^ 1 << chance.randrange(60), *SCALARS[3:13]))
                ),
            )
        case bytes():
            return mutate(value, len(value) + chance.choice((0, 0, 8)))
        case str():
            return mutate(value.encode(errors="replace"), len(value) + 8).decode(errors="replace")
        case list():
            chance.shuffle(value)
    return value
