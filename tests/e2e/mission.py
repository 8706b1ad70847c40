"""A mission on real processes: a gateway process in its own folder, its charter, registrars and stations in this process.

async with RealMission.found(tmp_path) as mission:
    chen = await mission.enrol("officer", "Chen")
    mission.kill(); await mission.start()
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw

from clients.authority.ceremony import Plan, found_mission, signed_by, with_partner
from clients.authority.house import OrganisationFile, found_house
from clients.demo.company import GATEWAY, Company, Process, ended, free_port, prepare
from clients.enrolments import Enrolled
from clients.registrar import Registrar
from clients.station import Station
from clients.vault import CHEAP, Vault
from keys.charter import sign
from keys.credential import Certified
from keys.envelope import Marking
from keys.policy import render
from keys.request import read_request
from keys.tlog.checkpoint import TreeHead
from keys.tlog.note import Note
from tests.waiting import PATIENCE, until

DAY = 86_400_000
PASSPHRASE = "correct horse battery staple"


def now() -> int:
    return int(time.time() * 1000)


class RealMission:
    """A gateway process and everybody around it."""

    def __init__(self, folder: Path, tap: Callable[[str, bytes], None] | None = None) -> None:
        self.folder = folder
        self.tap = tap
        prepare()
        self.company = Company(folder)
        self.process: Process | None = None
        self.stations: dict[str, Station] = {}
        self.certified: dict[str, Certified] = {}
        self.links: dict[str, asyncio.Task[None]] = {}
        self.registrars: dict[str, list[Registrar]] = {}

    @property
    def gateway(self) -> Path:
        return self.folder / "gateway"

    @property
    def config(self) -> Path:
        return self.gateway / "gateway.toml"

    @property
    def log(self) -> Path:
        return self.gateway / "log"

    @classmethod
    @asynccontextmanager
    async def found(cls, folder: Path, *, listen: str = "", url: str = "") -> AsyncIterator[RealMission]:
        """With a `url` its devices reach the gateway by another address than it listens on."""
        mission = cls(folder)
        try:
            await mission._found(listen or f"127.0.0.1:{free_port()}", url)
            yield mission
        finally:
            await mission.close()

    async def _found(self, address: str, url: str) -> None:
        await self.company.run(
            GATEWAY,
            "init",
            "--dir",
            self.gateway,
            "--listen",
            address,
            "--metrics",
            "127.0.0.1:0",
            "--url",
            url or f"https://{address}",
        )
        request = read_request((self.gateway / "gateway.request").read_text())
        plan = Plan("Meridian Mission", "Meridian", not_after=now() + 365 * DAY, auditors=("gita",))
        founding = found_mission(request, plan, now(), os.urandom)
        partner = found_house("Hostpol", now(), os.urandom)
        signers = [a.signer for a in founding.authorities[:2]]
        public = OrganisationFile(partner.name, partner.root_der, [r.der for r in partner.registrars])
        policy = with_partner(founding.charter.policy, public, Marking.AMBER, now() + 90 * DAY, ["guest"])
        policy = replace(policy, version=2)
        second = sign(render(policy), signers)
        assert len(signed_by(second, policy)) == 2
        self.notes = [founding.charter.note, second]
        for n, note in enumerate(self.notes, 1):
            path = self.folder / f"charter-{n}.note"
            path.write_bytes(note)
            await self.company.run(GATEWAY, "charter", path, "--config", self.config)
        await self.start()
        for house in (founding.home, partner):
            self.registrars[house.name] = []
            for n, registrar in enumerate(house.registrars, 1):
                vault = Vault.create(self.folder / "seats" / f"{house.name}-{n}", PASSPHRASE, cost=CHEAP)
                vault.set_secret(f"registrar:{n}:key", registrar.key.seed)
                vault.set_secret(f"registrar:{n}:der", registrar.der)
                self.registrars[house.name].append(Registrar.open(vault, n, self.notes))
            await self.registrars[house.name][0].publish_revocations([])

    async def start(self) -> None:
        """Start the gateway's process and wait until it listens."""
        self.process, _ = await self.company.start_gateway(self.config)

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        await ended(self.process)

    async def stop(self) -> None:
        """SIGTERM: the gateway drains, however long it takes; nothing is killed."""
        assert self.process is not None
        if self.process.is_alive():
            self.process.terminate()
            async with asyncio.timeout(PATIENCE):
                await ended(self.process)

    async def covered(self) -> None:
        """Wait until the published checkpoint covers all that is accepted by now. Accepted is durable, with its index; the
        log's folder has it a beat later, and that is what auditors read."""
        last = self.stored("SELECT max(idx) FROM envelopes")
        await until(lambda: self.published() > last, f"a checkpoint that covers entry {last}")

    def stored(self, question: str, *values: int) -> int:
        """A number that the gateway's database has for good."""
        database = apsw.Connection(str(self.gateway / "gateway.db"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            ((number,),) = database.execute(question, values).fetchall()
        finally:
            database.close()
        return int(number)

    def published(self) -> int:
        """How many entries the published checkpoint covers."""
        return TreeHead.decode(Note.decode((self.log / "checkpoint").read_bytes()).text).size

    async def head(self) -> Path:
        """The newest checkpoint, of all that is accepted by now, in a file: as the operator hands it out. The log's folder has it."""
        await self.covered()
        _, note = await self.company.run(GATEWAY, "log", "checkpoint", "--config", self.config)
        (self.folder / "head").write_text(note)
        size = TreeHead.decode(Note.decode(note.encode()).text).size
        await until(lambda: self.published() >= size, f"a published checkpoint of {size} entries")
        return self.folder / "head"

    async def enrol(self, role: str, name: str, house: str = "Meridian", *, life_days: int = 30) -> Station:
        """A new person's station, enrolled and with its link up."""
        first, second = self.registrars[house]
        station = Station.create(self.folder / "profiles" / name, PASSPHRASE, cost=CHEAP, tap=self.tap)
        invite = first.invite(role, expires=now() + 600_000)
        await first.put_invite(invite)
        joining = asyncio.create_task(station.enrol(invite.link(), timeout=PATIENCE))
        while not any(p.invite == invite.id for p in await first.pending_enrolments()):  # noqa: ASYNC110  (asks the gateway)
            await asyncio.sleep(0.02)
        self.certified[name] = await first.grant(invite, name, name.upper(), life_days=life_days)
        await second.approve(invite.id)
        enrolled = await joining
        assert enrolled.done
        self.stations[name] = station
        report = await station.sync(PATIENCE)  # its KeyPackages lie at the gateway: it can be added
        assert report.idle, report
        await self.online(name)
        return station

    async def enrol_all(self, *people: tuple[str, str, str]) -> None:
        """Many at once, (role, name, house) each, and offline again: everybody asks, then the registrars look at one after the other."""
        asking: dict[str, asyncio.Task[Enrolled]] = {}
        invites = {}
        for role, name, house in people:
            station = self.stations[name] = Station.create(
                self.folder / "profiles" / name, PASSPHRASE, cost=CHEAP, tap=self.tap
            )
            invites[name] = self.registrars[house][0].invite(role, expires=now() + 600_000)
            await self.registrars[house][0].put_invite(invites[name])
            asking[name] = asyncio.create_task(station.enrol(invites[name].link(), timeout=PATIENCE))
        for _, name, house in people:
            first, second = self.registrars[house]
            while not any(p.invite == invites[name].id for p in await first.pending_enrolments()):  # noqa: ASYNC110  (asks the gateway)
                await asyncio.sleep(0.02)
            self.certified[name] = await first.grant(invites[name], name, name.upper(), life_days=30)
            await second.approve(invites[name].id)
        assert all(enrolled.done for enrolled in await asyncio.gather(*asking.values()))
        reports = await asyncio.gather(
            *(self.stations[name].sync(PATIENCE) for name in asking)
        )  # their KeyPackages lie at the gateway
        assert all(report.idle for report in reports), reports

    async def online(self, name: str) -> None:
        if name not in self.links:
            self.links[name] = asyncio.create_task(self.stations[name].run())

    async def offline(self, name: str) -> None:
        link = self.links.pop(name, None)
        if link is not None:
            link.cancel()
            await asyncio.gather(link, return_exceptions=True)

    async def channel(self, owner: str, kind: str, marking: Marking, *members: str) -> bytes:
        """A channel with these members, all of whom have joined."""
        station = self.stations[owner]
        channel = station.create_channel(kind, marking, f"{kind} {secrets.token_hex(4)}")
        if members:
            intent = station.add(channel, [self.stations[m].device for m in members])
            await until(lambda: station.outcome(intent) is not None, "the members are added")
            assert station.outcome(intent) == "", station.outcome(intent)
        for name in members:
            await until(lambda n=name: any(c.id == channel and c.epoch for c in self.stations[n].channels()), name)
        return channel

    async def close(self) -> None:
        for name in list(self.links):
            await self.offline(name)
        for station in self.stations.values():
            station.close()
        for registrars in self.registrars.values():
            for registrar in registrars:
                registrar.close()
        if self.process is not None:
            await self.stop()
