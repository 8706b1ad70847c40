"""The hub: who is connected and follows what, and one task that sends everybody what is new.

After each batch the store names its envelopes. The hub marks the sessions that they concern as due, and the task serves those
one after another, a few frames each, and lets the loop go after a few milliseconds: five thousand sessions are no reason
to keep a sixth one waiting. A frame is encoded once and its bytes are shared. A session whose buffer is full is left alone
until its transport says that it drains; its mail stays in the store.

The hub decides nothing: `core.feed` says what goes next, `core.following` whom an envelope concerns.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from gateway import wire
from gateway.audit.sequencer import SignedHead
from gateway.core.feed import Feed, Going
from gateway.core.following import follow_channel, joined_frame, recipient_of
from gateway.core.rows import Member, Stored
from gateway.core.stretch import Stretch, stretches
from gateway.web.followers import Followers, Peer
from gateway.web.frames import deliver_frames, frames_of, server_frame
from gateway.web.pages import Pages
from gateway.web.service import Service
from keys.canonical import encode
from keys.envelope import Kind
from keys.identity import ChannelId, receipt_stream

SLICE: Final = 0.002  # s that the task holds the loop at once
WRITES: Final = 96  # frames written in a slice: the system is handed them after it, some 8 us each
AT_ONCE: Final = 32  # sessions between two looks at the clock
BURST: Final = 64  # deliveries to one session before the next one has its turn
LOOKED_UP: Final = 64  # certificates in one snapshot
SWEEP: Final = 1.0  # s
TURNS: Final = 5  # sweeps in which every session has been looked at

_log = logging.getLogger(__name__)
_ROSTER: Final = frozenset({Kind.COMMIT, Kind.CHANNEL_CREATED})


class Hub:
    """Everybody who is connected."""

    def __init__(self, service: Service, pages: Pages) -> None:
        self._service = service
        self._pages = pages
        self._peers: dict[bytes, Peer] = {}
        self._left: dict[bytes, int] = {}  # one time a device that ever had a session here
        self._followers = Followers(self._peers)
        self._fresh: deque[Stretch] = deque()
        self._due: OrderedDict[Peer, None] = OrderedDict()
        self._head: SignedHead | None = None
        self._newest_head: SignedHead | None = None
        self._submitters: dict[Peer, None] = {}
        self._written = 0
        self._wake = asyncio.Event()
        self._slice_ends = 0.0
        self.on_begin: Callable[[Peer], None] = lambda _: None
        """Called when a session begins to follow."""

    # ------------------------------------------------------------------ who is there

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def due(self) -> int:
        """Sessions that wait for their turn."""
        return len(self._due)

    def peers(self) -> list[Peer]:
        """All of them now."""
        return list(self._peers.values())

    def connected(self, device: bytes) -> bool:
        """Whether it has a session now."""
        return device in self._peers

    def seen(self, device: bytes) -> int:
        """When its last session ended since the gateway started (ms), 0 for none."""
        return self._left.get(device, 0)

    def enter(self, peer: Peer) -> None:
        """A device has proved who it is. An older session of it ends: that one's line is most likely dead."""
        before = self._peers.pop(peer.who.device, None)
        if before is not None:
            self._forget(before)
            before.replace()
        self._peers[peer.who.device] = peer

    def leave(self, peer: Peer) -> None:
        """Its connection has ended."""
        if self._peers.get(peer.who.device) is peer:
            del self._peers[peer.who.device]
            self._left[peer.who.device] = self._service.now()
        self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        self._due.pop(peer, None)
        self._submitters.pop(peer, None)
        for channel in peer.feed.channels if peer.feed else ():
            self._followers.remove(channel, peer)

    def begin(self, peer: Peer, feed: Feed) -> None:
        """It has said where it stands: delivery begins (anew)."""
        self._forget(peer)
        peer.feed = feed
        for channel in feed.channels:
            self._followers.add(channel, peer)
        self.ready(peer)
        self.on_begin(peer)

    def ready(self, peer: Peer) -> None:
        """There may be something to send to it, and room to send it."""
        if peer.feed is not None and peer.feed.waiting and peer.feed.open:
            self._due[peer] = None
            self._wake.set()

    # ------------------------------------------------------------------ what happens

    def committed(self, batch: Sequence[Stored]) -> None:
        """The store's watcher: quick, since those who submitted wait behind it."""
        self._fresh.extend(stretches(batch))
        self._service.metrics.accepted.inc(len(batch))
        self._wake.set()

    def submitted(self, peer: Peer) -> None:
        """Something of this session's is accepted: it is told of the next checkpoint at once."""
        if self._peers.get(peer.who.device) is peer:
            self._submitters[peer] = None

    def signed(self, head: SignedHead) -> None:
        """The sequencer's listener."""
        self._head = self._newest_head = head
        self._wake.set()

    async def run(self) -> None:
        """Serve for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._begin_slice(loop)
            while self._fresh or self._due or self._head:
                if self._fresh:
                    await self._spread(self._fresh.popleft())
                if self._due:
                    peer, _ = self._due.popitem(last=False)
                    self._guarded(peer, self._pump)
                if self._head and not self._fresh:
                    head, self._head = self._head, None
                    await self._tell(head)
                await self._breathe()

    async def _breathe(self) -> None:
        """Let the loop go when the slice is over."""
        loop = asyncio.get_running_loop()
        if self._written >= WRITES or loop.time() >= self._slice_ends:
            await asyncio.sleep(0)
            self._begin_slice(loop)

    def _begin_slice(self, loop: asyncio.AbstractEventLoop) -> None:
        self._slice_ends = loop.time() + SLICE
        self._written = 0

    async def _spread(self, stretch: Stretch) -> None:
        """New envelopes: to whom they go, and what they change for who is connected."""
        envelopes = stretch.envelopes
        first = envelopes[0]
        if first.kind in _ROSTER:
            await self._follow_roster(first)
        elif first.kind is Kind.CHARTER:
            await self._follow_charter()
        elif first.kind is Kind.REVOCATION_LIST:
            await self._cut_revoked()
        if first.channel not in self._followers:
            return
        followers = self._followed(first)
        alone = len(followers) >= AT_ONCE  # what goes to a few may have company: another run, or its author's answer
        whole = bare = b""
        sent, index = 0, envelopes[-1].index
        for n, peer in enumerate(followers):
            feed = peer.feed
            if feed is None:
                continue
            going = feed.pass_on(stretch) if peer.writable else Going.NOT
            if going:
                if going is Going.WHOLE:
                    framed = whole = whole or frames_of(envelopes, body=True)
                else:
                    framed = bare = bare or frames_of(envelopes, body=False)
                if alone:
                    peer.pass_on(framed)
                else:
                    peer.push(framed)
                peer.newest = index
                self._written += 1
                sent += len(envelopes)
            elif sum(feed.arrived(stored) for stored in envelopes) and peer.writable:
                self._guarded(peer, self._pump)
            if n % AT_ONCE == AT_ONCE - 1:
                await self._breathe()
        if sent:
            self._service.metrics.delivered.inc(sent)

    def _followed(self, stored: Stored) -> tuple[Peer, ...]:
        """To whom a new envelope goes: in a channel to everybody there, in a sparse stream to those whom it concerns."""
        if self._pages.dense(stored):
            return self._followers.everybody(stored.channel)
        return self._followers.concerned(stored.channel, self._pages.audience(stored), stored.device)

    def _guarded(self, peer: Peer, serve: Callable[[Peer], None]) -> None:
        """Nobody's fault ends the delivery to all."""
        try:
            serve(peer)
        except Exception as error:
            self._service.fault(error)
            peer.cut("fault")

    def _pump(self, peer: Peer) -> None:
        """Send one session what goes next, until it has had its turn, its window is shut or its buffer full."""
        feed = peer.feed
        if feed is None:
            return
        drawn = feed.draw(self._pages, BURST) if peer.writable else []
        if drawn:
            for framed in deliver_frames(drawn, alone=feed.recipient.narrow):
                peer.push(framed)
                self._written += 1
            peer.newest = max(peer.newest, *(page.indices[-1] for page in drawn))
            self._service.metrics.delivered.inc(sum(map(len, drawn)))
        if feed.waiting and feed.open and peer.writable:
            self._due[peer] = None

    async def _tell(self, head: SignedHead) -> None:
        """The checkpoint to those whose own entries it covers. Who was delivered something has its turn in a sweep: after a
        broadcast that is everybody."""
        framed = server_frame(encode(wire.Logged(head.bare)))
        for n, peer in enumerate(tuple(self._submitters)):
            if peer.newest < head.size:
                self._submitters.pop(peer, None)
            self._tell_one(peer, head, framed)
            if n % AT_ONCE == AT_ONCE - 1:
                await self._breathe()

    def _tell_one(self, peer: Peer, head: SignedHead, framed: bytes) -> None:
        if peer.feed is not None and peer.feed.recipient.narrow:
            return  # it asks for proofs when its link has room for them
        if peer.logged <= peer.newest and peer.logged < head.size and peer.writable:
            peer.push(framed)
            peer.logged = head.size
            self._written += 1

    # ------------------------------------------------------------------ what changes for who is connected

    async def _follow_roster(self, stored: Stored) -> None:
        """A commit: whoever it added is told and follows the channel, whoever it removed is sent no more after it."""
        with self._service.store.snapshot() as view:
            members = {bytes(member.device): member for member in view.members(stored.channel)}
        for peer in self.peers():
            if peer.feed is None:
                continue
            member = members.get(peer.who.device)
            if member is None:
                if peer.joined.pop(stored.channel, None) is not None:
                    self._part(peer, peer.feed, stored.channel)
            elif peer.joined.get(stored.channel) != member.since:
                self._join(peer, member)
                await self._breathe()

    def _join(self, peer: Peer, member: Member) -> None:
        assert peer.feed is not None
        peer.joined[member.channel] = member.since
        if member.welcome:
            peer.say(joined_frame(member))
        with self._service.store.snapshot() as view:
            stream = view.stream(member.channel)
            assert stream is not None  # it has members
            follow_channel(peer.feed, view, stream, member, {})
        for channel in (member.channel, receipt_stream(member.channel)):
            self._followers.add(channel, peer)
        self.ready(peer)

    def _part(self, peer: Peer, feed: Feed, channel: bytes) -> None:
        """It is sent the commit that removed it, and nothing after it."""
        with self._service.store.snapshot() as view:
            member = view.member(channel, peer.who.device)
        feed.leave(channel, member.left if member else 0)
        receipts = receipt_stream(ChannelId(channel))
        feed.leave(receipts, 0)
        self._followers.remove(receipts, peer)

    async def _follow_charter(self) -> None:
        """Another charter: roles may mean something else, and who is not in it any more has no session."""
        self._service.take_charter()
        charter = self._service.charter
        assert charter is not None
        registrars = {sha256(der).digest() for issuers in charter.policy.issuers for der in issuers.registrars}
        organisations = {organisation.name for organisation in charter.policy.organisations}
        for peer in self.peers():
            gone = (
                peer.who.certificate not in registrars
                if peer.who.registrar
                else peer.who.organisation not in organisations
            )
            if gone:
                peer.cut("charter")
                continue
            peer.say(wire.Notice(wire.Alarm.CHARTER, "a new version of the charter is in force"))
            if peer.feed is not None:
                peer.feed.recipient = recipient_of(peer.who, charter, peer.feed.recipient.window)
            await self._breathe()
        self._followers.sort_anew()

    async def _cut_revoked(self) -> None:
        devices = [peer for peer in self.peers() if not peer.who.registrar]
        for start in range(0, len(devices), LOOKED_UP):
            some = devices[start : start + LOOKED_UP]
            with self._service.store.snapshot() as view:
                rows = [view.certificate(peer.who.certificate) for peer in some]
            for peer, row in zip(some, rows, strict=True):
                if row is None or row.revoked:
                    peer.cut("revoked")
            await self._breathe()

    async def sweep(self) -> None:
        """Every second a fifth of the sessions: whether its certificate has ended, whether its connection stalls; and it is told of
        the newest checkpoint, if it was delivered something since the one before."""
        loop = asyncio.get_running_loop()
        turn = 0
        while True:
            await asyncio.sleep(SWEEP)
            turn += 1
            now, head = self._service.now(), self._newest_head
            framed = server_frame(encode(wire.Logged(head.bare))) if head else b""
            for n, peer in enumerate(self.peers()[turn % TURNS :: TURNS]):
                if now > peer.who.not_after:
                    peer.cut("expired")
                if peer.restless:
                    peer.sweep(loop.time())
                if head:
                    self._tell_one(peer, head, framed)
                if n % AT_ONCE == AT_ONCE - 1:
                    await self._breathe()
