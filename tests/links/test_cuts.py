"""A station's connection breaks after any byte of a conversation, either way: nothing is lost, and nothing is shown twice.

Two people on one channel; Ben's connections go through the proxy. Each round he comes back from having been away, with something to
hear and something to say, and the first connection breaks after so many bytes: in the handshake, the greeting, a delivery, a
Submit, its acceptance. `OUTRIDER_THOROUGH=1` cuts 400 times.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

from aiohttp import web

from clients.station import Station
from keys.envelope import Marking, Precedence
from tests.clients.harbour import Certificate, Harbour, serve
from tests.clients.test_station import Town
from tests.keys.mission import Mission
from tests.links.proxy import CLEAR, Link, Weather
from tests.waiting import until

SEED = 6
CUTS = 400 if os.environ.get("OUTRIDER_THOROUGH") == "1" else 10


@asynccontextmanager
async def town_behind_a_link(folder: Path) -> AsyncIterator[tuple[Town, Link]]:
    """As `Harbour.open`, with the proxy before its door."""
    certificate, harbour = Certificate(), list[Harbour]()

    async def handler(request: web.Request) -> web.StreamResponse:
        return await harbour[0].converse(request)

    async with (
        serve(handler, certificate) as inner,
        Link.to("127.0.0.1", int(inner.rpartition(":")[2]), seed=SEED) as link,
    ):
        url = f"https://127.0.0.1:{link.address[1]}"
        mission = Mission(7, tls_key=certificate.tls_key, url=url, now=int(time.time() * 1000))
        harbour.append(Harbour(mission, url))
        town = Town(harbour[0], folder)
        await town.found()
        yield town, link
        town.close()


async def stopped(run: asyncio.Task[None]) -> None:
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run


class Talk:
    """Chen, who is always there, and Ben, who comes and goes."""

    def __init__(self, town: Town, link: Link, chen: Station, ben: Station) -> None:
        self.town, self.link, self.chen, self.ben = town, link, chen, ben
        self.said: list[tuple[Station, str]] = []
        self.shown: dict[Station, list[str]] = {chen: [], ben: []}
        self.channel = b""

    async def begin(self) -> None:
        self.channel = self.chen.create_channel("narrow", Marking.AMBER, "gate")
        self.chen.add(self.channel, [self.ben.device])
        await until(lambda: any(c.epoch for c in self.ben.channels()), "Ben is in")

    async def round(self, first: Weather) -> tuple[int, int]:
        """Both say something while Ben is away; he comes back over a connection of that weather. Gives the bytes that it carried
        up and down, when all is quiet."""
        number = len(self.said)
        for n, (who, precedence) in enumerate(
            ((self.chen, Precedence.ROUTINE), (self.chen, Precedence.FLASH), (self.ben, Precedence.PRIORITY))
        ):
            self.said.append((who, f"{number + n}"))
            who.send(self.channel, f"{number + n}", precedence=precedence)
        self.link.first.append(first)
        place = len(self.link.roads)
        run = asyncio.create_task(self.ben.run())
        try:
            await until(self.rests, f"all is quiet after {first}")
        finally:
            await stopped(run)
        return self.link.roads[place].up, self.link.roads[place].down

    def rests(self) -> bool:
        both = (self.chen, self.ben)
        return all(
            s.online and not s.device_core.waiting() and len(s.history(self.channel, 10_000)) >= len(self.said)
            for s in both
        )

    async def look(self) -> None:
        """Each is shown what the other said, once."""
        for station, shown in self.shown.items():
            shown += [s.text async for s in station.read(self.channel)]
            assert sorted(shown, key=int) == [text for who, text in self.said if who is not station]


async def test_a_conversation_cut_after_any_byte_is_whole(tmp_path: Path) -> None:
    chance = Random(SEED)
    async with town_behind_a_link(tmp_path) as (town, link):
        chen, ben = await town.enrol("officer", "Chen"), await town.enrol("agent", "Ben")
        talk = Talk(town, link, chen, ben)
        running = [asyncio.create_task(station.run()) for station in (chen, ben)]
        await until(talk.rests, "both are there, with what everybody knows")
        await talk.begin()
        await stopped(running[1])
        up, down = await talk.round(CLEAR)
        cuts = [Weather(cut_up=chance.randint(1, up)) for _ in range(CUTS // 2)]
        cuts += [Weather(cut_down=chance.randint(1, down)) for _ in range(CUTS - CUTS // 2)]
        broken = 0
        for cut in cuts:
            carried = await talk.round(cut)
            broken += carried[0 if cut.cut_up else 1] == cut.cut_up + cut.cut_down
            await talk.look()
        assert broken > CUTS // 4, "else hardly any was cut"
        assert not chen.alarms()
        assert not ben.alarms()
        await stopped(running[0])
        ben.close()
        chen.close()
