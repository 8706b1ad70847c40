"""Outrider for the rig that measures other servers: `PEER_FILES=…/tests/bench/peer.py python run.py --peer outrider`.

The rig's messages carry the moment at which they are sent, so envelopes are sealed as they go: the generator spends more than
for other peers, the gateway does not. Bodies are those of `tests.bench.author`, with the rig's 300 bytes where the ciphertext is.
"""

import importlib.metadata
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))  # the rig lies elsewhere

from core import PAYLOAD, Peer, ServerProc  # type: ignore[import-not-found]  # the rig's own

from gateway import wire
from tests.bench.author import Author, Channel
from tests.bench.fleet import CHECKOUT, Fleet
from tests.bench.line import Line, framed
from tests.bench.mission import Device

SETTLED = 2  # the channel's creation and the commit that adds its members


class Link:
    """One device's connection, in the rig's words."""

    on_msg: Any = staticmethod(lambda raw: None)
    on_ack: Any = staticmethod(lambda tag: None)

    def __init__(self, peer: "Outrider", line: Line) -> None:
        self._control = peer.fleet.charter.control_channel
        self._line = line
        self._tags: dict[int, Sequence[int]] = {}
        self._echoes: deque[bytes] = deque()
        self.echoed = False
        """Whether the sender's own envelope, when it comes back, counts as a delivery: in a broadcast it does."""
        self.place: tuple[Channel, Author] | None = None
        line.on_deliver = self._on_deliver

    @property
    def closed(self) -> bool:
        return self._line.closed

    async def follow(self) -> "Link":
        await self._line.follow()
        return self

    def sends_to(self, place: tuple[Channel, Author]) -> None:
        """From here on its submits are messages to this channel."""
        self.place = place
        self._line.on_accepted = self._on_accepted

    def _on_accepted(self, frame: wire.Accepted) -> None:
        for tag in self._tags.pop(frame.id):
            self.on_ack(tag)

    def _on_deliver(self, placed: wire.Placed) -> None:
        if placed.channel == self._control:
            return
        if placed.body is not None and self.place is None:
            start = len(placed.body) - Outrider.ciphertext
            self.on_msg(placed.body[start : start + PAYLOAD])
        elif placed.body is None and placed.place.seq > SETTLED and self._echoes:
            raw = self._echoes.popleft()
            if self.echoed:
                self.on_msg(raw)

    def send_many(self, items: Sequence[tuple[int, bytes, int]]) -> None:
        """Runs of up to 64 with one signature each; one write."""
        assert self.place is not None
        channel, author = self.place
        out = []
        for start in range(0, len(items), wire.RUN_LIMIT):
            part = items[start : start + wire.RUN_LIMIT]
            request = self._line.next_id()
            self._tags[request] = [tag for _, _, tag in part]
            self._echoes.extend(raw for _, raw, _ in part)
            out.append(framed(wire.Submit(request, author.messages(channel, [raw for _, raw, _ in part]))))
        self._line.write(b"".join(out))

    async def close(self) -> None:
        await self._line.close()


class Outrider(Peer):  # type: ignore[misc]
    name = "outrider"
    early_msg = None
    durability = "SQLite WAL, synchronous=EXTRA, group commit before Accepted; signed, checked, logged"
    ciphertext = 0  # bytes of it in a message of PAYLOAD

    def version(self) -> str:
        return importlib.metadata.version("outrider")

    def configure(self) -> list[Any]:
        self.fleet = Fleet(port=self.port, root=Path(self.root))
        self.fleet.found()
        self.devices: list[Device] = []
        self.seen: dict[int, dict[bytes, int]] = {}
        self.founded = False
        return [ServerProc(self.fleet.command_line(), cwd=str(CHECKOUT), log=self.path("output"))]

    async def ready(self) -> None:
        await self.wait_port(self.port)
        if not self.founded:
            await self.fleet.settle()
            self.founded = True

    async def provision(self, n: int) -> None:
        self._users = n
        if len(self.devices) < n:
            self.devices += await self.fleet.enrol(n - len(self.devices), "leader")

    async def _line(self, user: int) -> Line:
        line = await self.fleet.connect(self.devices[user])
        line.seen = self.seen.setdefault(user, line.seen)  # a device knows where it stands
        return line

    async def _place(self, line: Line, others: Sequence[Device]) -> tuple[Channel, Author]:
        place = await self.fleet.channel(line, others)
        Outrider.ciphertext = place[0].template.ciphertext
        return place

    async def sender(self, i: int) -> Link:
        """User i, with a channel of its own to its receiver: the one of the same place, or the first where all send to it."""
        receiver = i - self._users // 2 if self._users % 2 == 0 else 0
        line = await self._line(i)
        link = Link(self, line)
        link.sends_to(await self._place(line, [self.devices[receiver]]))
        return await link.follow()

    async def receiver(self, i: int) -> Link:
        link = Link(self, await self._line(i))
        if self.early_msg:
            link.on_msg = self.early_msg
        return await link.follow()

    async def bc_prepare(self, n: int) -> None:
        """One channel of n members; its creator sends, and what comes back to it is its delivery."""
        line = await self._line(0)
        self._speaker = Link(self, line)
        self._speaker.sends_to(await self._place(line, self.devices[1:n]))
        self._speaker.echoed = True
        await self._speaker.follow()

    async def bc_receiver(self, i: int) -> Link:
        return await self.receiver(i) if i else self._speaker

    async def bc_sender(self) -> Link:
        return self._speaker

    def bc_send(self, conn: Link, raw: bytes, tag: int) -> None:
        conn.send_many([(0, raw, tag)])


PEERS = [Outrider]
