"""Nothing acknowledged is lost and nothing is half done, whatever a power cut leaves: and what finds that finds planted faults."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.store.sqlite import SqliteStore
from tests.crash.images import Found, Opened, campaign, record

IMAGES = 800  # and 200 more beside the log's folder: tests/crash/test_log_images.py
FEW = 40


def said(found: Found) -> str:
    return "\n".join(map(str, found.wrong[:5]))


@pytest.mark.parametrize("seed", [pytest.param(0, id="attack-80 one run"), pytest.param(1, id="attack-80 another")])
async def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(seed: int) -> None:
    found = await campaign(await record(seed, 40), seed, IMAGES // 2)
    assert found.images == IMAGES // 2
    assert not found.wrong, said(found)


async def test_the_same_seed_makes_the_same_run() -> None:
    one, two = await record(7, 10), await record(7, 10)
    assert one.states == two.states
    kinds = [Counter(type(operation) for operation in run.trace.operations) for run in (one, two)]
    assert kinds[0] == kinds[1]


# ------------------------------------------------------------------ planted


def synced(pragma: str) -> Opened:
    def opened(path: Path) -> SqliteStore:
        store = SqliteStore(path)
        store._writer.execute(f"PRAGMA synchronous = {pragma}")
        return store

    return opened


class Hasty(SqliteStore):
    """Tells who asked as soon as it has decided, and commits afterwards."""

    def _decide(self, view: Any, job: Any, batch: Any) -> None:
        super()._decide(view, job, batch)
        self._loop.call_soon_threadsafe(job.settle, job.answer, job.error)
        job.settle = lambda _answer, _error: None
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.001), self._loop).result()


class Halves(SqliteStore):
    """Commits in the middle of a transaction."""

    def _decide(self, view: Any, job: Any, batch: Any) -> None:
        super()._decide(view, job, batch)
        view.settle()
        self._writer.execute("COMMIT")
        self._writer.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize(
    "opened",
    [
        pytest.param(synced("NORMAL"), id="synchronous is NORMAL"),
        pytest.param(synced("OFF"), id="synchronous is OFF"),
        pytest.param(Hasty, id="acknowledged before COMMIT"),
        pytest.param(Halves, id="a decision committed without the rest of its transaction"),
    ],
)
async def test_a_planted_fault_is_found(opened: Opened) -> None:
    honest, planted = await record(3, 20), await record(3, 20, opened)
    planted.states[:] = honest.states
    assert (await campaign(planted, 3, FEW)).wrong
