"""Worlds that are built once and given out as often as they are asked for, each time as they were when they had been built.

    @restored
    def scene() -> Scene: ...        # the first call builds it; each call gives a copy that shares nothing that can change

A copy is what `pickle` makes of it, except for what can't change, which all copies share (`FIXED`), and databases in memory, which
SQLite copies.
"""

from __future__ import annotations

import functools
import io
import pickle
import types
from collections.abc import Callable, Hashable
from typing import Any, Final, ParamSpec, TypeVar

import apsw
import msgspec

from keys.charter import Charter
from keys.credential import Certified
from keys.identity import SigningKey
from keys.mls.codec import Struct
from keys.mls.suites import CipherSuite
from keys.policy import Policy
from keys.tlog.note import Ed25519Signer

P = ParamSpec("P")
T = TypeVar("T")

FIXED: Final = (
    *(msgspec.Struct, Struct, Certified, Charter, CipherSuite, Ed25519Signer, Policy, SigningKey),
    *(type, types.BuiltinFunctionType, types.FunctionType, types.ModuleType),
)
"""Values that never change, nor does anything that they name."""


class _Keeper(pickle.Pickler):
    """Writes a world down; what is fixed goes into `shared`, and its place there into the world."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.shared: list[object] = []
        self._places: dict[int, int] = {}

    def persistent_id(self, value: object) -> int | None:
        if not isinstance(value, FIXED):
            return None
        assert not getattr(value, "__closure__", None), f"{value} may hold what changes"
        assert not isinstance(value, msgspec.Struct) or value.__struct_config__.frozen, f"{value} may change"
        place = self._places.setdefault(id(value), len(self.shared))
        if place == len(self.shared):
            self.shared.append(value)
        return place

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, apsw.Connection):
            return _database, (value.serialize("main"),)
        return NotImplemented


class _Giver(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: list[object]) -> None:
        super().__init__(file)
        self.shared = shared

    def persistent_load(self, place: int) -> object:
        return self.shared[place]


def _database(image: bytes) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", image)
    return connection


def restored(make: Callable[P, T]) -> Callable[P, T]:
    """A function that builds a world once for each set of its arguments, and gives a fresh copy of it at each call."""

    @functools.cache
    def built(*args: Hashable, **options: Hashable) -> tuple[bytes, list[object]]:
        file = io.BytesIO()
        keeper = _Keeper(file)
        keeper.dump(make(*args, **options))  # type: ignore[arg-type]
        return file.getvalue(), keeper.shared

    @functools.wraps(make)
    def give(*args: P.args, **options: P.kwargs) -> T:
        data, shared = built(*args, **options)  # type: ignore[arg-type]
        world: T = _Giver(io.BytesIO(data), shared).load()
        return world

    return give
