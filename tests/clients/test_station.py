"""Stations over real sockets and vaults: enrolment, talk, dropping everything and going on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.core import records
from clients.core.errors import NotAllowed, NotEnrolled, NotNow, NotReached, Unknown
from clients.core.groups import seat_of
from clients.link import Link
from clients.registrar import Registrar
from clients.station import Station
from clients.unlocking import opened
from clients.vault import CHEAP, Vault
from keys.envelope import Marking, Precedence
from tests.clients.harbour import Harbour
from tests.waiting import PATIENCE, until

WORDS = "correct horse battery staple"


def now() -> int:
    return int(time.time() * 1000)


class Town:
    """A harbour, both registrars of the home organisation, and people's stations."""

    def __init__(self, harbour: Harbour, folder: Path) -> None:
        self.harbour = harbour
        self.folder = folder
        self.seats: list[Registrar] = []

    async def found(self) -> None:
        house = self.harbour.mission.home
        for n, registrar in enumerate(house.registrars, 1):
            vault = Vault.create(self.folder / f"seat-{n}", WORDS, cost=CHEAP)
            vault.set_secret(f"registrar:{n}:key", registrar.key.seed)
            vault.set_secret(f"registrar:{n}:der", registrar.der)
            self.seats.append(Registrar.open(vault, n, [self.harbour.mission.charter.note]))
        await self.seats[0].publish_revocations([])

    async def enrol(self, role: str, name: str) -> Station:
        station = Station.create(self.folder / name, WORDS, cost=CHEAP)
        first, second = self.seats
        invite = first.invite(role, expires=now() + 600_000)
        await first.put_invite(invite)
        undone = await station.enrol(invite.link(), timeout=0.1)  # it has asked, however long that takes
        assert not undone.done
        assert undone.words == station.enrolment_words()
        pending = [p for p in await first.pending_enrolments() if p.invite == invite.id]
        assert [p.words for p in pending] == [undone.words]
        with pytest.raises(NotNow):
            await second.approve(invite.id)
        await first.grant(invite, name, name.upper())
        with pytest.raises(NotAllowed):
            first.invite("guest", expires=now())
        await second.approve(invite.id)
        enrolled = await station.enrol(invite.link(), timeout=PATIENCE)
        assert (enrolled.done, enrolled.name, enrolled.roles) == (True, name, [role])
        return station

    def reopen(self, station: Station) -> Station:
        """The process was killed: nothing was closed in order, only the lock is gone with it."""
        folder = station.vault.folder
        station.vault.close()
        return Station.open(folder, WORDS)

    def close(self) -> None:
        for seat in self.seats:
            seat.close()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with Harbour.open() as harbour:
        town = Town(harbour, tmp_path)
        await town.found()
        yield town
        town.close()


async def test_a_day_of_two_stations(town: Town) -> None:
    chen, ana = await town.enrol("officer", "Chen"), await town.enrol("agent", "Ana")
    for station in (ana, chen):
        report = await station.sync(PATIENCE)
        assert (report.connected, report.idle) == (True, True), report
    channel = chen.create_channel("narrow", Marking.AMBER, "east gate")
    intent = chen.add(channel, [ana.device])
    assert chen.outcome(intent) is None
    assert (await chen.sync(PATIENCE)).idle
    assert chen.outcome(intent) == ""
    assert (await ana.sync(PATIENCE)).idle
    assert [(c.purpose, c.members) for c in ana.channels()] == [("east gate", 2)]
    item = ana.send(channel, "vehicle clear", precedence=Precedence.PRIORITY, ask_ack=True)
    assert ana.delivery(item).state == "kept"
    ana = town.reopen(ana)
    assert (await ana.sync(PATIENCE)).idle
    assert ana.delivery(item).state == "accepted"
    assert (await chen.sync(PATIENCE)).idle
    (shown,) = [s async for s in chen.read(channel)]
    assert (shown.name, shown.text, shown.ask_ack, shown.warnings) == ("Ana", "vehicle clear", True, [])
    chen = town.reopen(chen)
    assert [s async for s in chen.read()] == []
    chen.ack(shown.id)
    assert (await chen.sync(PATIENCE)).idle
    assert (await ana.sync(PATIENCE)).idle
    assert ana.delivery(item).state == "acknowledged"
    assert ana.answers(shown.id).answered[0].name == "Chen"
    assert {p.name for p in ana.members(channel)} == {"Ana", "Chen"}
    assert ana.alarms() == chen.alarms() == []
    assert not ana.status().unproven
    ana.close()
    chen.close()


async def test_connections_that_break_while_running(town: Town) -> None:
    chen, ana = await town.enrol("officer", "Chen"), await town.enrol("agent", "Ana")
    runs = [asyncio.create_task(s.run()) for s in (chen, ana)]
    await until(lambda: all(s.online and not s.device_core.waiting() for s in (chen, ana)), "both are at rest")
    channel = chen.create_channel("narrow", Marking.AMBER, "gate")
    chen.add(channel, [ana.device])
    await until(lambda: any(c.epoch for c in ana.channels()), "Ana is in")
    for n in range(12):
        ana.send(channel, f"{n}")
        if n % 3 == 0:
            await town.harbour.cut()
    await until(lambda: len(chen.history(channel)) == 12, "all twelve are here")
    assert sorted(int(s.text) for s in chen.history(channel)) == list(range(12))
    read = asyncio.create_task(_first(chen, 12))
    assert len(await asyncio.wait_for(read, PATIENCE)) == 12
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    assert chen.alarms() == ana.alarms() == []
    chen.close()
    ana.close()


async def _first(station: Station, count: int) -> list[str]:
    found = []
    async for shown in station.read(follow=True):
        found.append(shown.text)
        if len(found) == count:
            break
    return found


class Breaking(Station):
    """Its connection breaks when it is told to."""

    breaks: asyncio.Event

    async def _hear(self, link: Link) -> None:
        await self.breaks.wait()
        raise NotReached("the connection broke")


async def test_who_stops_it_as_the_connection_breaks_is_heard(town: Town) -> None:
    """Ctrl-C is a cancelled task: it must not come back as a session that is to be opened again."""
    chen = await town.enrol("officer", "Chen")
    chen.close()
    for first_broken in (True, False):
        with Breaking.open(town.folder / "Chen", WORDS) as breaking:
            assert isinstance(breaking, Breaking)
            breaking.breaks = asyncio.Event()
            run = asyncio.create_task(breaking.run())
            await until(lambda s=breaking: s.online, "it is connected")
            for act in (breaking.breaks.set, run.cancel)[:: 1 if first_broken else -1]:
                act()
            await asyncio.wait([run], timeout=PATIENCE)
            assert run.cancelled()


def leaf(station: Station, channel: bytes) -> bytes:
    """The certificate in a device's own leaf, as the device itself has it."""
    state = records.CHANNELS.get(station.vault, channel)
    seat = seat_of(station.vault, channel, state.epoch, station.device) if state else None
    return seat.certificate if seat else b""


async def test_renewal_reaches_every_channel(town: Town) -> None:
    chen, ana = await town.enrol("officer", "Chen"), await town.enrol("agent", "Ana")
    await ana.sync(PATIENCE)
    await chen.sync(PATIENCE)
    channel = chen.create_channel("narrow", Marking.AMBER, "gate")
    chen.add(channel, [ana.device])
    await chen.sync(PATIENCE)
    await ana.sync(PATIENCE)
    ana.close()
    ana = opened(Vault.open(town.folder / "Ana", WORDS))  # as the commands do
    before = ana.identity.certificate_hash
    ana.renew()
    runs = [asyncio.create_task(s.run()) for s in (chen, ana)]
    first, second = town.seats
    pending = []
    async with asyncio.timeout(PATIENCE):
        while not pending:
            pending = [p for p in await first.pending_enrolments() if p.role == "renewal"]
    await first.grant_renewal(pending[0].invite)
    await second.approve(pending[0].invite)
    await until(lambda: ana.identity.certificate_hash != before, "the new certificate is taken")
    assert records.IDENTITY.get(ana.vault.side) == ana.identity  # which tells of unlocks under it too
    await until(lambda: leaf(ana, channel) == ana.identity.certificate_hash, "the leaf is renewed")
    item = ana.send(channel, "under my new key")
    await until(lambda: ana.delivery(item).state == "delivered", "Chen has it")
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    assert [s.text for s in chen.history(channel)] == ["under my new key"]
    assert ana.alarms() == chen.alarms() == []
    ana.close()
    chen.close()


async def test_not_reached_keeps_everything(town: Town) -> None:
    chen = await town.enrol("officer", "Chen")
    assert (await chen.sync(PATIENCE)).idle
    town.harbour.accepting = False
    channel = chen.create_channel("narrow", Marking.GREEN, "gate")
    report = await chen.sync(2)
    assert not report.idle
    assert report.error
    town.harbour.accepting = True
    assert (await chen.sync(PATIENCE)).idle
    assert [(c.id, c.seq) for c in chen.channels()] == [(channel, 1)]
    chen.close()


async def test_what_can_be_asked_before_enrolment(tmp_path: Path, town: Town) -> None:
    with Station.create(tmp_path / "new", WORDS, cost=CHEAP) as station:
        assert not station.enrolled
        with pytest.raises(NotEnrolled):
            _ = station.device
        with pytest.raises(NotEnrolled):
            station.enrolment_words()
        with pytest.raises(NotEnrolled):
            station.create_channel("narrow", Marking.GREEN, "")
        with pytest.raises(Unknown):
            await station.enrol("outrider-invite:nonsense")
        invite = town.seats[0].invite("agent", expires=now() + 60_000)
        with pytest.raises(Unknown):
            await station.enrol(invite.link(), timeout=PATIENCE)  # the gateway was never told of it
