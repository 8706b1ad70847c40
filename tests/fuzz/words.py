"""A fuzzer's dictionary: the short words and byte strings that stand in the modules which a decoder is written in."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from tests.fuzz import OURS

LONGEST = 40


def of(read: Callable[[bytes], Any]) -> set[bytes]:
    """The words of the modules that `read` is made of."""
    return {word for module in _modules(read) for word in _constants(module)}


def dictionary(words: Iterable[bytes]) -> str:
    """As libFuzzer reads it: a quoted word a line."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in sorted(words))


def _modules(value: object, depth: int = 3) -> Iterator[ModuleType]:
    """Of ours, where this stands; for a function of the tests, where what it names and closes over does."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
    if name.partition(".")[0] in OURS or name in OURS:
        yield sys.modules[name]
    elif depth and isinstance(value, FunctionType):
        named = [value.__globals__.get(name) for name in value.__code__.co_names]
        for other in [*named, *(cell.cell_contents for cell in value.__closure__ or ())]:
            yield from _modules(other, depth - 1)


def _constants(module: ModuleType) -> Iterator[bytes]:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            word = node.value.encode(errors="replace") if isinstance(node.value, str) else node.value
            if 0 < len(word) <= LONGEST:
                yield word
