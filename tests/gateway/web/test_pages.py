"""What feeds read of the store: pages are kept, until bodies are destroyed; and what they become on the wire."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway import wire
from gateway.core.effects import Destroy, Outcome
from gateway.core.lane import PAGE, page_of
from gateway.core.page import Page
from gateway.core.recipient import Recipient
from gateway.store.database import create
from gateway.store.sqlite import SqliteStore
from gateway.web.frames import TOGETHER, deliver_frames, frames_of, server_frame
from gateway.web.pages import Pages
from keys.canonical import encode, reader
from keys.envelope import Kind
from tests.crash.workload import DEVICES, STREAMS, envelope

CHANNEL = STREAMS[0]
ME = Recipient(DEVICES[1], "Meridian", directory=False, registrar=False)

_read = reader(wire.Placed)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    create(tmp_path / "gateway.db")
    store = SqliteStore(tmp_path / "gateway.db")
    for n in range(PAGE + 1):
        author = DEVICES[n % 2]
        await store.decide(envelope(CHANNEL, author, Kind.APPLICATION, b"at east gate %d" % n, bytes(16)))
    yield store
    await store.close()


async def test_pages_are_kept_until_bodies_are_destroyed(store: SqliteStore) -> None:
    pages = Pages(store)
    whole = pages.page(CHANNEL, 0, PAGE)
    await store.decide(lambda view: Outcome(None, (Destroy(CHANNEL, (1, 2, PAGE + 1)),)))
    assert pages.page(CHANNEL, 0, PAGE) is whole
    assert [_read(one).body is None for one in pages.page(CHANNEL, PAGE, PAGE).placed] == [True], "only full ones are"
    pages.forget()
    assert [_read(one).body is None for one in pages.page(CHANNEL, 0, PAGE).placed] == [True] * 2 + [False] * (PAGE - 2)


async def test_no_more_is_kept_than_so_many_bytes(store: SqliteStore) -> None:
    size = Pages(store).page(CHANNEL, 0, 8).size
    pages = Pages(store, 3 * size)
    first, _ = pages.page(CHANNEL, 0, 8), pages.page(CHANNEL, 8, 8)
    assert pages.page(CHANNEL, 0, 8) is first
    kept = [pages.page(CHANNEL, after, 8) for after in (16, 24)]
    assert pages.page(CHANNEL, 0, 8) is not first, "the oldest has gone"
    assert pages.page(CHANNEL, 24, 8) is kept[1]
    assert Pages(store, 0).page(CHANNEL, 0, 8) == first


async def test_a_page_is_what_its_envelopes_say(store: SqliteStore) -> None:
    with store.snapshot() as view:
        rows, page = view.envelopes(CHANNEL, 3, 40), view.page(CHANNEL, 3, 40)
    assert page == page_of(CHANNEL, rows)
    for part in (page, page.to(ME), page.bare(), page.part(7, 20), page.part(7, 20).to(ME)):
        assert list(part.ends) == [sum(map(len, part.placed[: n + 1])) for n in range(len(part))]


def frames(pages: Sequence[Page], *, alone: bool = False) -> list[list[wire.Placed]]:
    """What comes of them at the other end, by frame."""
    found = []
    for framed in deliver_frames(pages, alone=alone):
        payload = framed[4:] if framed[1] == 126 else framed[2:]
        assert framed == server_frame(payload)
        assert len(payload) <= wire.FRAME_LIMIT
        frame = wire.read_from_gateway(payload)
        assert encode(frame) == payload
        assert isinstance(frame, (wire.Deliver, wire.Deliveries))
        found.append([frame.placed] if isinstance(frame, wire.Deliver) else list(frame.placed))
    return found


async def test_deliveries_go_in_as_few_frames_as_hold_them(store: SqliteStore) -> None:
    with store.snapshot() as view:
        pages = [view.page(CHANNEL, 0, count) for count in (1, 15, 16, PAGE)] * 4
    expected = [_read(one) for page in pages for one in page.placed]
    together = frames(pages)
    assert [one for some in together for one in some] == expected
    assert [len(some) for some in together] == [wire.LIST_LIMIT, len(expected) - wire.LIST_LIMIT]
    assert frames(pages, alone=True) == [[one] for one in expected]


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, wire.LIST_LIMIT])
async def test_what_is_joined_is_the_one_encoding(store: SqliteStore, count: int) -> None:
    with store.snapshot() as view:
        page = view.page(CHANNEL, 0, PAGE)
    placed = [_read(one) for one in (list(page.placed) * 5)[:count]]
    frame = wire.Deliver(placed[0]) if count == 1 else wire.Deliveries(placed)
    assert wire.deliver_head(count) + b"".join(map(encode, placed)) == encode(frame)


async def test_a_frame_is_filled_to_its_bytes(store: SqliteStore) -> None:
    for _ in range(40):
        await store.decide(envelope(STREAMS[1], DEVICES[0], Kind.APPLICATION, bytes(3_900), bytes(16)))
    with store.snapshot() as view:
        page, rows = view.page(STREAMS[1], 0, PAGE), view.envelopes(STREAMS[1], 0, PAGE)
    sizes = [sum(len(encode(one)) for one in some) for some in frames([page])]
    assert all(size <= TOGETHER < size + len(page.placed[0]) for size in sizes[:-1])
    assert b"".join(deliver_frames([page])) == frames_of(rows, body=True)
    assert b"".join(deliver_frames([page.bare()])) == frames_of(rows, body=False)
