"""A gateway that lies, behind a real door: TLS and a WebSocket on loopback. Whoever it lies to is a person's station over a vault, as it
is in the shells; the others of its world are in this process.

    async with shore.ben(scene, folder) as ben:      # a Station; scene.rogue is what it speaks to
        await ben.sync()

The mission began eleven minutes ago by the real clock, which is the station's: what is older than ten minutes is old.
"""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from clients.core import records
from clients.core.ledger import Change
from clients.core.records import AlarmKind
from clients.station import Station
from clients.vault import CHEAP, Vault
from gateway import wire
from gateway.core.rows import Stored
from tests.attacks.rogue import Rogue
from tests.clients.alarms import alone, desk
from tests.clients.harbour import Certificate, Harbour, serve
from tests.clients.relay import Line, Party, World
from tests.clients.talk import say, see
from tests.keys.mission import Mission
from tests.restored import restored
from tests.waiting import until

AGO = 11 * 60_000  # ms
WORDS = "correct horse battery staple"

CERTIFICATE = Certificate()
LISTENING = socket.create_server(("127.0.0.1", 0))
URL = f"https://127.0.0.1:{LISTENING.getsockname()[1]}"

Lie = Callable[[wire.FromGateway], list[wire.FromGateway]]


class Liar(Rogue):
    """Says to one device what `lie` makes of each frame."""

    victim: bytes = b""
    lie: Lie | None = None

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        said = super().to_device(line, frame)
        if self.lie is None or line.who.device != self.victim:
            return said
        return [real for one in said for real in self.lie(one)]


class Scene:
    """Chen and Dara, officers, Ana and Ben in a channel and in the alert channel beside it. Ben is the one who is lied to: he is away,
    and has seen the first message and the first alert."""

    def __init__(self) -> None:
        now = int(time.time() * 1000) - AGO
        self.world = World(1, Liar, Mission(7, tls_key=CERTIFICATE.tls_key, url=URL, now=now))
        self.chen, self.dara = self.world.party("Chen", "officer"), self.world.party("Dara", "officer")
        self.ana, self.ben = self.world.party("Ana", "agent"), self.world.party("Ben", "agent")
        self.channel = self.world.channel(self.chen, self.ana, self.ben)
        desk(self.world, self.chen, self.dara)
        self.alerts = self.world.channel(self.chen, self.dara, self.ana, self.ben, kind="alert")
        say(self.chen, self.channel, "first")
        self.first = alone(self.chen, self.alerts)
        for _ in range(2):
            self.world.run()
            self.world.later(2_000)
        see(self.ben)
        said = self.said(self.ben, "understood")
        self.own = self._stored(said)
        self.rogue.victim = self.ben.id
        self.ben.disconnect()

    @property
    def rogue(self) -> Liar:
        assert isinstance(self.world.relay, Liar)
        return self.world.relay

    def said(self, by: Party, text: str) -> bytes:
        """A message that the gateway has taken; gives its item."""
        item = say(by, self.channel, text)
        self.world.run()
        return item

    def _stored(self, item: bytes) -> Stored:
        """What became of Ben's item at the gateway."""
        sent = records.SENT.get(self.ben.ledger, item)
        assert sent is not None
        stored = self.rogue.view.envelope(self.channel, sent.seq)
        assert stored is not None
        return stored


scene = restored(Scene)


@asynccontextmanager
async def station(of: Scene, party: Party, folder: Path) -> AsyncIterator[Station]:
    """What the party had on its ledger, in a vault; from here on it speaks over the socket."""
    vault = Vault.create(folder / party.name, WORDS, cost=CHEAP)
    vault.apply(
        Change(shelf, key, value) for shelf, items in party.ledger.shelves.items() for key, value in items.items()
    )
    harbour = Harbour(of.world.mission, URL, of.rogue)
    async with serve(harbour.converse, CERTIFICATE, LISTENING):
        with Station(vault) as ashore:
            yield ashore


async def noticed(ashore: Station, kind: AlarmKind) -> list[records.Alarm]:
    """Wait for this alarm; gives all of its kind."""
    return list(await until(lambda: [a for a in ashore.alarms() if a.kind is kind], kind.name))
