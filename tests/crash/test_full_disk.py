"""The disk of a real gateway fills up: messages wait on their devices, an SOS goes through, and all goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keys.envelope import Kind, Marking
from tests.crash.small import fill, mounted
from tests.e2e.chaos import Result, check_prefixes, checkpoint_of
from tests.e2e.mission import RealMission
from tests.waiting import PATIENCE, until


@pytest.fixture
async def mission(tmp_path: Path) -> AsyncIterator[RealMission]:
    (tmp_path / "gateway").mkdir()
    with mounted(tmp_path / "gateway", 24):
        async with RealMission.found(tmp_path) as found:
            yield found


async def test_attack_79_messages_wait_an_sos_goes_through_and_all_goes_on_by_itself(mission: RealMission) -> None:
    chen, ayo = await mission.enrol("officer", "chen"), await mission.enrol("agent", "ayo")
    alerts = await mission.channel("chen", "alert", Marking.AMBER, "ayo")
    talk = await mission.channel("chen", "detail", Marking.AMBER, "ayo")
    head = checkpoint_of(mission)
    other = fill(mission.gateway)

    text = chen.send(talk, "the bus leaves at six")
    await asyncio.sleep(1.0)
    assert chen.delivery(text).state == "kept"

    called = ayo.sos("shots at the gate", None)
    shown: list[Kind] = []

    async def read() -> None:
        while Kind.SOS not in shown:
            shown.extend([message.kind async for message in chen.read(alerts)])
            await asyncio.sleep(0.05)

    await asyncio.wait_for(read(), PATIENCE)
    await until(lambda: all(ayo.delivery(item).seq for item in called), "its author knows")
    assert chen.delivery(text).state == "kept"
    assert mission.process is not None
    assert mission.process.is_alive()

    other.unlink()
    await until(lambda: chen.delivery(text).seq, "the message is taken")
    await mission.stop()
    result = Result(0, 0)
    check_prefixes(mission, [head], result)
    assert not result.wrong
    assert result.log_size > head.size
