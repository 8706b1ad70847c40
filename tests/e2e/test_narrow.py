"""FLASH goes first on a link of few kilobits, both ways, with a full outbox and a full inbox: a real gateway behind a bad road.

What is counted is bytes, never seconds: those that crossed the narrow hop between handing a FLASH over and its being there.
"""

from __future__ import annotations

import os
from pathlib import Path

from clients.demo.company import free_port
from clients.station import Station
from keys.envelope import Marking, Precedence
from tests.e2e.mission import PASSPHRASE, RealMission, until
from tests.links.proxy import CLEAR, Link, Weather

THOROUGH = os.environ.get("OUTRIDER_THOROUGH") == "1"
NARROW = Weather(rate=2_000, latency=0.3, stalls=0.05) if THOROUGH else Weather(rate=24_000, latency=0.02)
PATIENCE = 240.0 if THOROUGH else 60.0
UNDER_WAY = 5_000  # bytes: the piece in flight, the FLASH, receipts and cursors, with what TLS and WebSocket add
INBOX, OUTBOX = 40, 10


async def test_a_flash_waits_for_the_piece_in_flight_both_ways(tmp_path: Path) -> None:
    port = free_port()
    async with (
        Link.to("127.0.0.1", port) as link,
        RealMission.found(tmp_path, listen=f"127.0.0.1:{port}", url=f"https://127.0.0.1:{link.address[1]}") as mission,
    ):
        chen, ben = await mission.enrol("officer", "Chen"), await mission.enrol("agent", "Ben")
        channel = await mission.channel("Chen", "detail", Marking.AMBER_STRICT, "Ben")
        await until(lambda: not ben.device_core.waiting(), "Ben is at rest")
        await mission.offline("Ben")
        ben.close()
        said = [chen.send(channel, f"{n} " + "in " * 300) for n in range(INBOX)]
        await until(lambda: all(chen.delivery(item).state != "kept" for item in said), "the inbox is full")
        ben = mission.stations["Ben"] = Station.open(tmp_path / "profiles" / "Ben", PASSPHRASE, narrow=True)
        kept = [ben.send(channel, f"{n} " + "out " * 500) for n in range(OUTBOX)]
        link.weather = NARROW
        await mission.online("Ben")
        await until(lambda: ben.online and link.roads[-1].down > 6_000, "the inbox is on its way", PATIENCE)
        road = link.roads[-1]

        before = road.up
        flash = ben.send(channel, "shots fired", precedence=Precedence.FLASH)
        await until(lambda: ben.delivery(flash).state != "kept", "Ben's FLASH is accepted", PATIENCE)
        out = road.up - before
        assert any(ben.delivery(item).state == "kept" for item in kept), "the outbox was full all the while"

        before = road.down
        chen.send(channel, "take cover", precedence=Precedence.FLASH)
        await until(lambda: any(s.text == "take cover" for s in ben.history(channel, 100)), "Chen's is here", PATIENCE)
        came = road.down - before
        texts = [s.text for s in ben.history(channel, 100)]
        assert sum(text.startswith(tuple("0123456789")) and " in" in text for text in texts) < INBOX, "so was the inbox"
        print(
            f"narrow: {out} bytes up and {came} down between a FLASH and its being there, of {link.up} and {link.down}"
        )
        assert out <= UNDER_WAY
        assert came <= UNDER_WAY

        road.weather = link.weather = CLEAR
        await until(lambda: not ben.device_core.waiting(), "everything has come and gone", PATIENCE)
        await until(lambda: len(chen.history(channel, 100)) == len(ben.history(channel, 100)), "at both ends", PATIENCE)
        assert len(ben.history(channel, 100)) == INBOX + OUTBOX + 2
        assert len({s.id for s in ben.history(channel, 100)}) == INBOX + OUTBOX + 2
        assert not ben.alarms()
        assert not chen.alarms()
