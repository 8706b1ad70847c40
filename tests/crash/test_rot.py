"""A bit that flips on the disk: in the log's folder the start or the reader finds it, in the database the start or the read, and what is
given out is what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import apsw
import pytest

from gateway.core.view import Stored
from gateway.store.base import Damaged, StoreError
from gateway.store.sqlite import SqliteStore, create
from keys.envelope import Kind
from tests.crash.images import place
from tests.crash.workload import DEVICES, STREAMS, envelope

BODY = b"the bus leaves at six " * 40


async def made(folder: Path) -> Path:
    create(folder / "gateway.db")
    store = SqliteStore(folder / "gateway.db")
    for n in range(30):
        await store.decide(envelope(STREAMS[0], DEVICES[0], Kind.APPLICATION, BODY + b"%d" % n, bytes(16)))
    await store.close()
    return folder / "gateway.db"


async def read(path: Path) -> list[Stored | None]:
    """Every envelope by itself; None for one that the store does not give out."""
    store = SqliteStore(path)
    found: list[Stored | None] = []
    try:
        for seq in range(1, 31):
            try:
                with store.snapshot() as view:
                    found.append(view.envelope(STREAMS[0], seq))
            except Damaged:
                found.append(None)
    finally:
        await store.close()
    return found


async def test_a_body_with_a_flipped_bit_is_given_to_nobody_and_the_others_are() -> None:
    with place() as folder:
        path = await made(folder)
        whole = await read(path)
        data = bytearray(path.read_bytes())
        at = data.index(BODY + b"7")
        data[at + 100] ^= 4
        path.write_bytes(data)
        assert await read(path) == [*whole[:7], None, *whole[8:]]


@pytest.mark.parametrize("seed", [pytest.param(1, id="one seed")])
async def test_bits_flipped_anywhere_give_no_other_body(seed: int) -> None:
    """What is signed by devices they check for themselves; what the store answers for is the body under its hash."""
    chance = Random(seed)
    with place() as folder:
        path = await made(folder)
        whole, good = await read(path), path.read_bytes()
        bodies = {one.body_hash: one.body for one in whole if one is not None}
        noticed = 0
        for _ in range(60):
            data = bytearray(good)
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
            for beside in ("-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            try:
                found: Sequence[Stored | None] = await read(path)
            except (StoreError, apsw.Error, ValueError, AssertionError, KeyError):
                noticed += 1
                continue
            noticed += found != whole
            assert all(one is None or one.body is None or bodies.get(one.body_hash) == one.body for one in found)
        assert noticed
