"""What feeds read of the store (`core.lane.Backlog`), kept for a while: after a restart everybody asks for the same."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeVar

from gateway.core.following import audience
from gateway.core.page import Page
from gateway.core.recipient import Audience, Recipient
from gateway.core.rows import Stored, StreamKind
from gateway.store.base import Store
from gateway.web.sifted import Sifted
from keys.envelope import Kind

K = TypeVar("K")
V = TypeVar("V")

HELD: Final = 32 * 1024 * 1024  # bytes of pages
SIFTED: Final = 256  # pages of sparse streams
AUDIENCES: Final = 4_096
ACK_ROOT: Final = 35  # bytes of an ACK up to the end of the root that it answers
STREAMS: Final = 16_384


class Pages:
    """Pages of streams, and whom their envelopes concern."""

    def __init__(self, store: Store, most: int = HELD) -> None:
        self._store = store
        self._most = most
        self._held = 0
        self._pages: OrderedDict[tuple[bytes, int], Page] = OrderedDict()
        self._sifted: OrderedDict[tuple[bytes, int], Sifted] = OrderedDict()
        self._audiences: OrderedDict[int | bytes, Audience] = OrderedDict()
        self._streams: OrderedDict[bytes, StreamKind] = OrderedDict()

    def forget(self) -> None:
        """Bodies were destroyed: what was read is read anew."""
        self._pages.clear()
        self._held = 0
        self._sifted.clear()

    def page(self, channel: bytes, after: int, limit: int) -> Page:
        """A page; full ones are kept."""
        page = self._pages.get((channel, after))
        if page is None:
            with self._store.snapshot() as view:
                page = view.page(channel, after, limit)
            if len(page) == limit:
                self._hold((channel, after), page)
        return page

    def _hold(self, key: tuple[bytes, int], page: Page) -> None:
        self._pages[key] = page
        self._held += page.size
        while self._held > self._most:
            _, gone = self._pages.popitem(last=False)
            self._held -= gone.size

    def concerning(self, channel: bytes, after: int, limit: int, recipient: Recipient) -> tuple[Sequence[Stored], int]:
        """A page of a sparse stream, sifted: once by audience for everybody, then by recipient."""
        sifted = self._sifted.get((channel, after))
        if sifted is None:
            with self._store.snapshot() as view:
                page = view.envelopes(channel, after, limit)
            sifted = Sifted.sift(page, self.audience, after)
            if len(page) == limit:
                _keep(self._sifted, (channel, after), sifted, SIFTED)
        return sifted.concerning(recipient), sifted.last

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        """What may overtake, and the commits before it."""
        with self._store.snapshot() as view:
            return view.landmarks(channel, after, limit)

    def audience(self, stored: Stored) -> Audience:
        """Whom an envelope of a sparse stream concerns: found once, for all sessions."""
        key = stored.body[:ACK_ROOT] if stored.kind is Kind.ACK and stored.body else stored.index
        found = self._audiences.get(key)
        if found is None:
            with self._store.snapshot() as view:
                stream = view.stream(stored.channel)
                assert stream is not None  # it holds this envelope
                found = audience(view, stream, stored)
            _keep(self._audiences, key, found, AUDIENCES)
        return found

    def dense(self, stored: Stored) -> bool:
        """Whether it goes to everybody who follows its stream. What a stream is never changes."""
        kind = self._streams.get(stored.channel)
        if kind is None:
            with self._store.snapshot() as view:
                stream = view.stream(stored.channel)
            assert stream is not None  # it holds this envelope
            kind = stream.kind
            _keep(self._streams, bytes(stored.channel), kind, STREAMS)
        return kind is StreamKind.CHANNEL


def _keep(kept: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    kept[key] = value
    if len(kept) > limit:
        kept.popitem(last=False)
