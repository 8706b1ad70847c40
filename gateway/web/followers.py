"""Who follows which stream. Officers are kept apart: what concerns a few is not held against everybody who follows it.

Ten thousand answers to an alert go to the officers of a stream that five thousand follow: fifty million looks in the one case,
and a few ten thousand in the other.
"""

from collections.abc import Mapping
from typing import Protocol

from gateway import wire
from gateway.core.feed import Feed
from gateway.core.recipient import Audience, Recipient
from gateway.core.rows import Identity


class Peer(Protocol):
    """A session with a device that has proved who it is, as the hub sees it."""

    feed: Feed | None
    newest: int
    """Highest log index that it submitted or was delivered, -1 for none."""
    logged: int
    """Size of the checkpoint it was told of last."""
    joined: dict[bytes, int]
    """Channels it follows, and the seq from which it is in."""

    writable: bool
    """Whether it takes more: it is not about to end, and its buffer has room."""

    @property
    def who(self) -> Identity: ...
    def push(self, framed: bytes) -> None:
        """Put a whole WebSocket frame on the wire at the end of this turn of the loop; only while `writable`."""
        ...

    def pass_on(self, framed: bytes) -> None:
        """The same at once, where nothing else is due."""
        ...

    def say(self, frame: wire.FromGateway) -> None: ...
    def cut(self, reason: str) -> None: ...
    def replace(self) -> None: ...
    @property
    def restless(self) -> bool: ...
    def sweep(self, now: float) -> None: ...


class Followers:
    """Sessions by stream. `peers` are all sessions, by device."""

    def __init__(self, peers: Mapping[bytes, Peer]) -> None:
        self._peers = peers
        self._all: dict[bytes, dict[Peer, None]] = {}
        self._officers: dict[bytes, dict[Peer, None]] = {}

    def add(self, stream: bytes, peer: Peer) -> None:
        """It follows this stream from here on."""
        self._all.setdefault(stream, {})[peer] = None
        if peer.feed is not None and _office(peer.feed.recipient):
            self._officers.setdefault(stream, {})[peer] = None

    def remove(self, stream: bytes, peer: Peer) -> None:
        """It does so no more."""
        for kept in (self._all, self._officers):
            followers = kept.get(stream)
            if followers is not None:
                followers.pop(peer, None)
                if not followers:
                    del kept[stream]

    def __contains__(self, stream: bytes) -> bool:
        return stream in self._all

    def everybody(self, stream: bytes) -> tuple[Peer, ...]:
        """All that follow it."""
        return tuple(self._all.get(stream, ()))

    def concerned(self, stream: bytes, audience: Audience, author: bytes) -> tuple[Peer, ...]:
        """Those of them whom an envelope by `author` concerns."""
        if audience.everyone:
            return self.everybody(stream)
        found: dict[Peer, None] = {}
        if audience.directory or audience.alerting or audience.officers_of is not None:
            for peer in self._officers.get(stream, ()):
                if peer.feed is not None and audience.includes(peer.feed.recipient):
                    found[peer] = None
        followers = self._all.get(stream, {})
        for device in (author, *audience.devices):
            known = self._peers.get(device)
            if known is not None and known in followers:
                found[known] = None
        return tuple(found)

    def sort_anew(self) -> None:
        """Who holds an office may have changed."""
        self._officers = {}
        for stream, followers in self._all.items():
            for peer in followers:
                if peer.feed is not None and _office(peer.feed.recipient):
                    self._officers.setdefault(stream, {})[peer] = None


def _office(recipient: Recipient) -> bool:
    return recipient.directory or recipient.registrar or recipient.alerting
