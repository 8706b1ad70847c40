"""An auditor's reading is an entry, durable before anything is given, and one covers a while."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit.tiles import LogFolder
from gateway.core import acts
from gateway.core.append import Gateway
from gateway.reads import COVERED, Reads
from gateway.store.base import DiskFull
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from gateway.web.log import LogReadPath, Role, Tokens
from keys.body import AuditorRead, read_auditor_read
from keys.envelope import Kind, read_entry
from tests.keys.mission import NOW, Mission

MISSION = Mission()
RANDOM = random.Random(5).randbytes


class Office:
    """A store with a charter in force, a clock, and what is read."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.now = NOW
        self.reads = Reads(store, lambda: Gateway(MISSION.charter, MISSION.gateway), lambda: self.now, RANDOM)

    def said(self) -> list[AuditorRead]:
        with self.store.snapshot() as view:
            control = MISSION.charter.control_channel
            found = [e for e in view.envelopes(control, 0, 100) if e.kind is Kind.AUDITOR_READ]
            assert all(read_entry(e.leaf()).channel == control for e in found)
            return [read_auditor_read(e.body or b"") for e in found]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    key, log_key = MISSION.gateway, MISSION.policy.log_key
    await store.decide(lambda view: acts.install_charter(view, MISSION.charter.note, key, log_key, NOW, RANDOM))
    yield Office(store)
    await store.close()


async def test_one_entry_covers_a_while_of_one_auditor(office: Office) -> None:
    await office.reads.note("gita")
    await office.reads.note("gita")
    assert office.said() == [AuditorRead("gita", 1, NOW + COVERED)]
    await office.reads.note("hana")
    office.now += COVERED
    await office.reads.note("gita")
    assert [(read.auditor, read.size) for read in office.said()] == [("gita", 1), ("hana", 2), ("gita", 3)]


async def test_nothing_is_given_that_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "log" / "tile" / "entries").mkdir(parents=True)
    (tmp_path / "log" / "tile" / "entries" / "000").write_bytes(b"entries")
    tokens, said = Tokens(tmp_path / "tokens"), list[str]()
    token = tokens.issue(Role.AUDITOR, "gita", RANDOM)
    full = True

    async def note(name: str) -> None:
        if full:
            raise DiskFull
        said.append(name)

    read = LogReadPath(
        LogFolder(tmp_path / "log"), tokens, lambda: MISSION.charter, lambda: 256, lambda _: b"body", noted=note
    )
    for path in ("tile/entries/000", "body/" + "0" * 64):
        with pytest.raises(DiskFull):
            await read.get(path, f"Bearer {token}")
    full = False
    assert await read.get("tile/entries/000", f"Bearer {token}") is not None
    assert said == ["gita"]


async def test_a_head_is_no_reading(tmp_path: Path) -> None:
    (tmp_path / "log" / "tile").mkdir(parents=True)
    (tmp_path / "log" / "checkpoint").write_bytes(b"note")
    tokens, said = Tokens(tmp_path / "tokens"), list[str]()
    token = tokens.issue(Role.AUDITOR, "gita", RANDOM)

    async def note(name: str) -> None:
        said.append(name)

    read = LogReadPath(
        LogFolder(tmp_path / "log"), tokens, lambda: MISSION.charter, lambda: 0, lambda _: None, noted=note
    )
    assert await read.get("checkpoint", f"Bearer {token}") is not None
    assert not said
