"""JOURNEYS 1, steps 4, 8, 9, 11 and 12, on real processes: a check-in missed while the phone and, for a while, the gateway are dead;
an SOS, and its end by two people."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.core.content import Position
from clients.core.errors import NotAllowed
from clients.emergencies import standing
from clients.station import Station
from clients.views import Shown
from keys.envelope import Kind, Marking
from tests.e2e.mission import RealMission
from tests.waiting import until


@pytest.fixture
async def mission(tmp_path: Path) -> AsyncIterator[RealMission]:
    async with RealMission.found(tmp_path) as found:
        yield found


def ms() -> int:
    return int(time.time() * 1000)


class Screens:
    """What the stations have shown, each message until it is asked for."""

    def __init__(self) -> None:
        self._shown: dict[Station, list[Shown]] = defaultdict(list)

    async def __call__(self, station: Station, kind: Kind, word: str) -> str:
        """The next message of this kind with this word in it that the station shows, or has shown."""
        screen = self._shown[station]

        async def look() -> Shown | None:
            screen.extend([shown async for shown in station.read()])
            return next((shown for shown in screen if shown.kind is kind and word in shown.text), None)

        found: Shown = await until(look, f"{kind.name} with {word!r}")
        screen.remove(found)
        return found.text


async def test_a_dead_phone_is_missed_and_an_sos_takes_two_to_end(mission: RealMission) -> None:
    heard = Screens()
    chen, bea = await mission.enrol("officer", "chen"), await mission.enrol("leader", "bea")
    ayo = await mission.enrol("agent", "ayo")
    channel = await mission.channel("chen", "alert", Marking.AMBER, "bea", "ayo")
    words = chen.set_word("heron")
    await until(lambda: all(chen.delivery(item).seq for item in words), "the word is set")

    # a plan; the phone dies, the gateway is killed between plan and due time
    begun = ms()
    ayo.start_move(channel, [begun + 12_000, begun + 3_600_000], 5, "RED-ROUTE", ["gate", "airport"])
    await until(lambda: any(m.mine for m in ayo.moves()), "the plan is taken")
    assert "RED-ROUTE: leg 1 of 2 gate" in await heard(bea, Kind.CHECK_IN_PLAN, "RED-ROUTE")
    await mission.offline("ayo")
    await mission.kill()
    await asyncio.sleep(max(0.0, (begun + 14_000 - ms()) / 1000))
    await mission.start()
    assert "MISSED CHECK-IN" in await heard(bea, Kind.CHECK_IN_PLAN, "MISSED")
    assert "MISSED CHECK-IN" in await heard(chen, Kind.CHECK_IN_PLAN, "MISSED")
    assert ms() >= begun + 17_000, "not before its grace was over"
    await until(lambda: any(alarm.kind.name == "MISSED" for alarm in chen.alarms()), "the log says so too")

    # the phone is back: late, and shown as such
    assert "MISSED CHECK-IN" in await heard(ayo, Kind.CHECK_IN_PLAN, "CHECK-IN")
    await mission.online("ayo")
    ayo.check_in("heron")
    assert "LATE" in await heard(bea, Kind.CHECK_IN, "checked in")
    assert not any(m.missed for m in bea.moves())

    # SOS
    items = ayo.sos("shots at the gate", Position.of(40.4168, -3.7038, 15, 4))
    assert await heard(bea, Kind.SOS, "shots") == "shots at the gate"
    assert await heard(chen, Kind.SOS, "shots") == "shots at the gate"
    await until(lambda: ayo.emergencies()[0].seen, "somebody has seen it")
    root = ayo.emergencies()[0].root
    bea.ack(root)
    await until(lambda: ayo.emergencies()[0].answered == ["bea"], "its author knows who has it in hand")
    assert standing(chen)[0].startswith("!!! SOS !!! ayo")
    assert all(len(line) <= 80 for line in standing(chen))
    await until(lambda: all(ayo.delivery(item).seq for item in items), "all of it is accepted")

    # a wrong word: the same screen, no end; then the right one and a second person
    ayo.ask_end("sparrow")
    await until(lambda: bea.emergencies()[0].word == "WRONG", "the leader is told")
    with pytest.raises(NotAllowed):
        bea.confirm_end([root])
    await until(lambda: any(alarm.kind.name == "DURESS" for alarm in chen.alarms()), "the officer is warned")
    assert not ayo.alarms()
    asked = bea.emergencies()[0].asked
    ayo.ask_end("heron")
    await until(lambda: bea.emergencies()[0].word == "right" and bea.emergencies()[0].asked > asked, "asked again")
    assert not ayo.emergencies()[0].ended
    bea.confirm_end([root])
    for station in (ayo, bea, chen):
        await until(lambda s=station: s.emergencies()[0].ended, "it is over")
    assert ayo.emergencies()[0].confirmed_by == "bea"
