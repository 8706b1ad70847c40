"""What was destroyed is not in the files any more: neither as a row nor in a page that was given up."""

from __future__ import annotations

from pathlib import Path

from gateway.core.effects import Append, Destroy, Effect, Outcome
from gateway.core.view import View
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from tests.gateway.store.test_promise import CHANNEL, append, stored

SECRET = b"ciphertext that was destroyed " * 40


def put(view: View) -> Outcome[int]:
    """One more envelope, with a body to look for."""
    outcome = append(view)
    return Outcome(outcome.answer, tuple(_with_body(view, effect) for effect in outcome.effects))


def _with_body(view: View, effect: Effect) -> Effect:
    return Append([stored(view, SECRET)], effect.rolling) if isinstance(effect, Append) else effect


def left(folder: Path) -> list[str]:
    """The files that still hold any of it."""
    return [file.name for file in folder.iterdir() if b"ciphertext that was destroyed" in file.read_bytes()]


async def test_a_destroyed_body_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    create(path)
    store = SqliteStore(path)
    seq = await store.decide(put)
    await store.close()
    assert left(tmp_path) == ["gateway.db"]
    store = SqliteStore(path)
    await store.decide(lambda _: Outcome(None, (Destroy(CHANNEL, (seq,)),)))
    await store.close()
    assert not left(tmp_path)
