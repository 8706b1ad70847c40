"""A mission's life on real processes: kills, races, long absences, roles and revocation."""

import time
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest

from clients.core.errors import ClientError
from clients.station import Station
from keys.envelope import Marking
from tests.e2e import chaos
from tests.e2e.mission import RealMission
from tests.waiting import PATIENCE, until

CAP = files("clients.demo").joinpath("sample.cap").read_bytes()


@pytest.fixture
async def mission(tmp_path: Path) -> AsyncIterator[RealMission]:
    async with RealMission.found(tmp_path) as found:
        yield found


async def shown(station: Station, count: int) -> list[str]:
    """The texts of the next `count` messages that this station shows."""
    texts: list[str] = []

    async def look() -> bool:
        texts.extend([message.text async for message in station.read()])
        return len(texts) >= count

    await until(look, f"{count} messages are shown")
    return texts


async def test_twenty_kills_lose_nothing_and_show_nothing_twice(tmp_path: Path) -> None:
    result = await chaos.run(tmp_path, rounds=20, seed=time.time_ns() % 2**32)
    assert not result.wrong, (result.seed, result.wrong)
    assert result.accepted > 20


async def test_two_officers_committing_at_once_both_get_their_way(mission: RealMission) -> None:
    chen, dara = await mission.enrol("officer", "chen"), await mission.enrol("officer", "dara")
    people = {name: await mission.enrol("agent", name) for name in ("ayo", "bea", "jo")}
    channel = await mission.channel("chen", "detail", Marking.AMBER, "dara", "jo")
    item = people["jo"].send(channel, "while they race")
    intents = {chen: chen.add(channel, [people["ayo"].device]), dara: dara.add(channel, [people["bea"].device])}
    for station, intent in intents.items():
        await until(lambda s=station, i=intent: s.outcome(i) is not None, "the intent is settled")
        assert station.outcome(intent) == ""
    await until(lambda: people["jo"].delivery(item).state != "kept", "the message is accepted")
    for station in (chen, dara):
        assert await shown(station, 1) == ["while they race"]
    epochs = {c.epoch for s in (chen, dara) for c in s.channels() if c.id == channel}
    await until(lambda: all(len(s.members(channel)) == 5 for s in (chen, dara)), "both see five members")
    assert epochs
    assert not chen.alarms()
    assert not dara.alarms()


async def test_an_agent_back_after_three_commits_and_five_hundred_messages_has_all_in_order(
    mission: RealMission,
) -> None:
    chen = await mission.enrol("officer", "chen")
    ayo = await mission.enrol("agent", "ayo")
    channel = await mission.channel("chen", "detail", Marking.AMBER, "ayo")
    await mission.offline("ayo")
    texts = [f"message {n}" for n in range(500)]
    for n, text in enumerate(texts):
        if n in (100, 250, 400):
            await until(lambda: not chen.status().outbox, "what was sent before the change of keys is accepted")
            intent = chen.rekey(channel)
            await until(lambda i=intent: chen.outcome(i) is not None, "the keys are changed")
            assert chen.outcome(intent) == ""
        chen.send(channel, text)
    await until(lambda: not chen.status().outbox, "everything is accepted")
    await mission.online("ayo")
    assert await shown(ayo, 500) == texts
    assert not ayo.alarms()


async def test_a_revoked_device_is_cut_off_and_refused_afterwards(mission: RealMission) -> None:
    chen, ayo = await mission.enrol("officer", "chen"), await mission.enrol("agent", "ayo")
    channel = await mission.channel("chen", "detail", Marking.AMBER, "ayo")
    ayo.send(channel, "before")
    assert await shown(chen, 1) == ["before"]
    await mission.registrars["Meridian"][0].publish_revocations([mission.certified["ayo"].serial])
    await until(lambda: not ayo.online, "the revoked device is cut off")
    await until(lambda: len(chen.members(channel)) == 1, "an officer's device has removed the leaf")
    item = ayo.send(channel, "after")
    with pytest.raises(ClientError, match="REVOKED"):
        await ayo.sync(PATIENCE)
    assert ayo.delivery(item).state == "kept"
    assert not ayo.online
    later = chen.send(channel, "we are alone again")
    await until(lambda: chen.delivery(later).state != "kept", "the channel goes on without the revoked leaf")


async def test_an_agent_can_not_issue_an_alert(mission: RealMission) -> None:
    await mission.enrol("officer", "chen")
    ayo = await mission.enrol("agent", "ayo")
    channel = await mission.channel("chen", "alert", Marking.AMBER, "ayo")
    with pytest.raises(ClientError):
        ayo.alert_alone([channel], CAP, "because")


async def test_a_guest_sees_its_channels_and_their_members_only(mission: RealMission) -> None:
    chen = await mission.enrol("officer", "chen")
    ayo = await mission.enrol("agent", "ayo")
    emil = await mission.enrol("guest", "emil", "Hostpol")
    detail = await mission.channel("chen", "detail", Marking.AMBER_STRICT, "ayo")
    liaison = await mission.channel("chen", "liaison", Marking.AMBER, "emil")
    chen.send(detail, "for the detail only")
    chen.send(liaison, "for the police too")
    assert await shown(emil, 1) == ["for the police too"]
    assert [c.id for c in emil.channels()] == [liaison]
    await emil.refresh_directory()
    assert {p.device for p in emil.directory()} <= {emil.device, chen.device}
    intent = chen.add(detail, [emil.device])
    await until(lambda: chen.outcome(intent) is not None, "the add is decided")
    assert chen.outcome(intent), "a guest was added above its marking"
    assert ayo.device not in {p.device for p in emil.directory()}


async def test_an_alert_is_shown_answered_and_the_silent_are_named(mission: RealMission) -> None:
    chen = await mission.enrol("officer", "chen")
    ayo, bea = await mission.enrol("agent", "ayo"), await mission.enrol("agent", "bea")
    channel = await mission.channel("chen", "alert", Marking.AMBER, "ayo", "bea")
    sent = chen.alert_alone([channel], CAP, "deputy not reachable")
    await until(lambda: any(a.root == sent.root for a in ayo.alerts()), "the alert has come")
    alert = next(a for a in ayo.alerts() if a.root == sent.root)
    assert alert.cap == CAP
    ayo.ack(alert.root, alert.options[0][0])
    await until(lambda: len(chen.answers(sent.root).answered) == 1, "the answer has come")
    answers = chen.answers(sent.root)
    assert [a.device for a in answers.answered] == [ayo.device]
    assert answers.answered[0].text == alert.options[0][1]
    assert answers.silent == [bea.device]
