"""Bodies by their hash: what is given out is what was stored."""

from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from gateway.core.effects import Outcome, PutMember
from gateway.core.rows import Member
from gateway.store.base import Damaged
from gateway.store.database import connect, create
from gateway.store.sqlite import SqliteStore
from keys.envelope import Kind
from tests.crash.workload import DEVICES, STREAMS, envelope

CHANNEL, READER = STREAMS[0], DEVICES[1]
BODY = b"the bus leaves at six " * 100


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    await store.decide(lambda view: Outcome(None, (PutMember(Member(CHANNEL, READER, 1, bytes(32), 0, 0)),)))
    await store.decide(envelope(CHANNEL, DEVICES[0], Kind.APPLICATION, BODY, bytes(16)))
    await store.close()
    return tmp_path / "gateway.db"


def alter(path: Path) -> None:
    """Other bytes than were stored, under a page whose own checksum holds."""
    with connect(path, apsw.SQLITE_OPEN_READWRITE) as db:
        db.execute("UPDATE envelopes SET body = ?", (BODY[:-1] + b"!",))
    db.close()


@pytest.mark.parametrize("damaged", [pytest.param(False, id="as stored"), pytest.param(True, id="altered")])
async def test_a_body_is_held_against_its_hash_however_it_is_read(path: Path, damaged: bool) -> None:
    if damaged:
        alter(path)
    store = SqliteStore(path)
    with store.snapshot() as view:
        reads = [
            lambda: view.short_body(sha256(BODY).digest(), READER),
            lambda: view.page(CHANNEL, 0, 9).placed[0][-len(BODY) :],
            lambda: view.envelopes(CHANNEL, 0, 9)[0].body,
            lambda: view.envelope(CHANNEL, 1).body,
        ]
        for read in reads:
            if damaged:
                with pytest.raises(Damaged):
                    read()
            else:
                assert read() == BODY
    await store.close()
