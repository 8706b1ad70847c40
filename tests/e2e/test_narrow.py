"""A link of few kilobits that stalls: what a message costs there, and that a FLASH goes first. A real gateway behind a bad road.

What is counted is bytes, never seconds: those that crossed the narrow hop, TLS and WebSocket and all.

* A PRIORITY out and a FLASH in, and whatever follows them until the line is silent: receipts both ways, echoes, proofs. The payload
  is the two envelopes as they are signed and sealed, and all that crossed, both ways, is at most `MOST` times as much.
* A FLASH out of a full outbox and into a full inbox: how much crosses between handing it over and its being there.
"""

from __future__ import annotations

import os
from pathlib import Path

from clients.demo.company import free_port
from clients.station import Station
from gateway import wire
from keys.envelope import Envelope, Kind, Marking, Precedence
from keys.envelope import read as claimed
from tests.e2e.mission import PASSPHRASE, RealMission
from tests.links.proxy import CLEAR, Link, Weather
from tests.waiting import PATIENCE, until

THOROUGH = os.environ.get("OUTRIDER_THOROUGH") == "1"
NARROW = Weather(rate=2_000, latency=0.3, stalls=0.05) if THOROUGH else Weather(rate=24_000, latency=0.02)
BAD = Weather(rate=2_000, latency=0.3, stalls=0.3) if THOROUGH else Weather(rate=48_000, stalls=0.3, stall=0.01)
MOST = 3  # times the payload
FORM = (
    "Vehicle 2, red Seat, plate 4411, two men, stands at gate C since 16:20. Driver has left it, going north on foot."
)
PATIENT = 2 * PATIENCE  # s: the road is slow by nature
UNDER_WAY = 5_000  # bytes: the piece in flight, the FLASH, receipts and cursors, with what TLS and WebSocket add
INBOX, OUTBOX = 40, 10


class Scales:
    """A station's tap: weighs the envelopes with content that cross."""

    def __init__(self) -> None:
        self.payload = 0

    def __call__(self, way: str, data: bytes) -> None:
        read = wire.read_from_device if way == "sent" else wire.read_from_gateway
        frame = read(data)
        if isinstance(frame, wire.Submit):
            for one in frame.run:
                self.weigh(one.header, one.signature, one.body)
        elif isinstance(frame, wire.Deliver):
            placed = frame.placed
            self.weigh(placed.header, placed.signature, placed.body)

    def weigh(self, header: bytes, signature: bytes, body: bytes | None) -> None:
        """An echo has no body; what is not said by people is no payload."""
        if body and claimed(Envelope(header, signature)).context.kind is Kind.APPLICATION:
            self.payload += len(header) + len(signature) + len(body)


async def there_and_back(
    link: Link, chen: Station, ben: Station, channel: bytes, scales: Scales
) -> tuple[int, int, int]:
    """Ben's PRIORITY and Chen's FLASH, until nothing follows any more: bytes of payload, up and down."""
    road = link.roads[-1]
    road.weather = BAD
    up, down, scales.payload = road.up, road.down, 0
    form = ben.send(channel, FORM, precedence=Precedence.PRIORITY)
    await until(lambda: any(s.text == FORM for s in chen.history(channel)), "Chen has the form", PATIENT)
    flash = chen.send(channel, FORM[::-1], precedence=Precedence.FLASH)
    await until(lambda: any(s.text == FORM[::-1] for s in ben.history(channel)), "Ben has the FLASH", PATIENT)
    for station, item in ((chen, flash), (ben, form)):
        await until(lambda s=station, i=item: s.delivery(i).state == "delivered", "its receipt", PATIENT)
    await until(lambda: not ben.device_core.waiting(), "nothing follows", PATIENT)
    road.weather = CLEAR
    return scales.payload, road.up - up, road.down - down


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
        scales = Scales()
        ben = mission.stations["Ben"] = Station.open(tmp_path / "profiles" / "Ben", PASSPHRASE, narrow=True, tap=scales)
        await mission.online("Ben")
        await until(lambda: ben.online and not ben.device_core.waiting(), "Ben is back")
        morning = chen.send(channel, "good morning")
        await until(lambda: chen.delivery(morning).state == "delivered", "Ben has it, and Chen his receipt")
        await until(lambda: ben.device_core.session.prove_rest, "Ben has the proof that he asks for once in a while")
        await until(lambda: not ben.device_core.waiting() and not chen.device_core.waiting(), "both are at rest")
        payload, up, down = await there_and_back(link, chen, ben, channel, scales)
        print(f"narrow: {payload} bytes of payload, {up} up and {down} down: {(up + down) / payload:.2f} times as many")
        assert up + down <= MOST * payload
        await mission.offline("Ben")
        ben.close()
        said = [chen.send(channel, f"{n} " + "in " * 300) for n in range(INBOX)]
        await until(lambda: all(chen.delivery(item).state != "kept" for item in said), "the inbox is full")
        ben = mission.stations["Ben"] = Station.open(tmp_path / "profiles" / "Ben", PASSPHRASE, narrow=True)
        kept = [ben.send(channel, f"{n} " + "out " * 500) for n in range(OUTBOX)]
        link.weather = NARROW
        await mission.online("Ben")
        await until(lambda: ben.online and link.roads[-1].down > 6_000, "the inbox is on its way", PATIENT)
        road = link.roads[-1]

        before = road.up
        flash = ben.send(channel, "shots fired", precedence=Precedence.FLASH)
        await until(lambda: ben.delivery(flash).state != "kept", "Ben's FLASH is accepted", PATIENT)
        out = road.up - before
        assert any(ben.delivery(item).state == "kept" for item in kept), "the outbox was full all the while"

        before = road.down
        chen.send(channel, "take cover", precedence=Precedence.FLASH)
        await until(lambda: any(s.text == "take cover" for s in ben.history(channel, 100)), "Chen's is here", PATIENT)
        came = road.down - before
        texts = [s.text for s in ben.history(channel, 100)]
        assert sum(text.startswith(tuple("0123456789")) and " in" in text for text in texts) < INBOX, "so was the inbox"
        print(
            f"narrow: {out} bytes up and {came} down between a FLASH and its being there, of {link.up} and {link.down}"
        )
        assert out <= UNDER_WAY
        assert came <= UNDER_WAY

        road.weather = link.weather = CLEAR
        await until(lambda: not ben.device_core.waiting(), "everything has come and gone", PATIENT)
        await until(lambda: len(chen.history(channel, 100)) == len(ben.history(channel, 100)), "at both ends", PATIENT)
        assert len(ben.history(channel, 100)) == INBOX + OUTBOX + 5
        assert len({s.id for s in ben.history(channel, 100)}) == INBOX + OUTBOX + 5
        assert not ben.alarms()
        assert not chen.alarms()
