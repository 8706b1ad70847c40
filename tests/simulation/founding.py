"""The mission that every simulated run begins with: founded once a process, and copied for each run.

Two officers, two agents and a guest; a talk channel with an alert channel beside it, and the officers' desk. Every class has
MLS's cipher suite 1.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

from clients.core import changes, conversation
from gateway.audit.floor import Floor
from keys.charter import found, sign
from keys.envelope import Marking
from keys.policy import DEFAULT_CLASSES, render
from keys.tlog.edge import Edge
from tests.checksummed import file_of
from tests.clients.relay import Party, Relay, World
from tests.keys.mission import Mission
from tests.simulation.crypto import EPHEMERAL, SUITE
from tests.simulation.log import Folder

OFFICERS = ("chen", "omar")
AGENTS = ("ana", "ben")
GUESTS = ("gus",)
KEPT = {"narrow": 1}  # days, by class


@dataclass(frozen=True)
class Founded:
    """What a run copies: the gateway's files and log, and each device's shelves."""

    mission: Mission
    database: bytes
    folder: Folder
    floor: Floor
    shelves: dict[str, dict[str, dict[bytes, bytes]]]
    talk: bytes
    alerts: bytes
    desk: bytes
    now: int


class _Mission(Mission):
    def __init__(self) -> None:
        super().__init__(1)
        classes = tuple(
            replace(kind, suite=SUITE, retention_days=KEPT.get(kind.name, kind.retention_days))
            for kind in DEFAULT_CLASSES
        )
        self.policy = replace(self.policy, classes=classes)
        self.charter = found(sign(render(self.policy), self.authorities[:2]))


class _World(World):
    def __init__(self) -> None:
        self.mission = _Mission()
        self.random = random.Random("founding").randbytes
        self.relay = Relay(self.mission)
        self.parties: list[Party] = []
        for house in (self.mission.home, self.mission.partner):
            self.revoke(house.registrars[0], [])


@cache
def founded(*, keyed: bool) -> Founded:
    """Within `crypto.cryptography` of the same kind."""
    EPHEMERAL.begin(b"founding")
    world = _World()
    officers = [world.party(name, "officer") for name in OFFICERS]
    agents = [world.party(name, "agent") for name in AGENTS]
    guests = [world.party(name, "guest", guest=True) for name in GUESTS]
    chen = officers[0]
    talk = world.channel(chen, *agents, *guests, ceiling=Marking.AMBER)
    alerts: bytes = chen.act(lambda work: conversation.create_beside(work, talk, "alerts"))
    world.run()
    desk: bytes = chen.act(lambda work: changes.create(work, "desk", Marking.AMBER_STRICT, "desk")[0])
    world.run()
    world.add(chen, desk, officers[1])
    world.add(chen, alerts, officers[1], *agents, *guests)
    for _ in range(20):  # what is kept in step takes its time
        world.later(2_500)
        for party in world.parties:
            party._do(party.device.tick(world.now))
        world.run()
    for party in world.parties:
        assert not party.alarms(), party.alarms()
        assert not party.device.waiting(), (party.name, party.device.waiting())
        assert alerts in dict(party.device.view.scan("channel", b"", b"")), party.name
    return _export(world, talk, alerts, desk)


def _export(world: World, talk: bytes, alerts: bytes, desk: bytes) -> Founded:
    relay = world.relay
    edge, _ = Edge().extend(b"".join(relay.leaves))
    note = relay.checkpoint()
    relay.db.execute("INSERT INTO checkpoint VALUES (1, ?, ?)", (edge.size, note))
    shelves = {party.name: party.ledger.shelves for party in world.parties}
    return Founded(
        relay.mission,
        file_of(relay.db.serialize("main")),
        Folder(b"".join(relay.leaves), note),
        Floor(edge.size, edge.root),
        shelves,
        bytes(talk),
        bytes(alerts),
        bytes(desk),
        world.now,
    )
