"""Journey 3, steps 9 to 12: an auditor asks for one message, others agree, a participant opens it, and the proof stands alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
from msgspec.structs import replace

from clients.core import disclosures
from clients.station import Station
from keys.canonical import encode
from keys.disclosure import read_package
from keys.envelope import Marking, read_entry
from tests.e2e.mission import PASSPHRASE, RealMission
from tests.e2e.processes import Ended, Party
from tests.waiting import until


def index_of(station: Station, channel: bytes, text: str) -> int:
    """The log index of a message, as its reader was told it."""
    shown = next(s for s in station.history(channel) if s.text == text)
    return disclosures.index_of(station.vault, channel, shown.seq)


async def test_one_message_is_disclosed_and_nothing_else(tmp_path: Path) -> None:
    async with RealMission.found(tmp_path) as mission:
        people = [("officer", "Chen"), ("officer", "Dara"), ("agent", "Ana"), ("agent", "Ben"), ("auditor", "Gita")]
        await mission.enrol_all(*((role, name, "Meridian") for role, name in people))
        for name in ("Chen", "Ana", "Ben"):
            await mission.online(name)
        channel = await mission.channel("Chen", "narrow", Marking.AMBER, "Ana", "Ben")
        await mission.offline("Ana")
        ana, ben = mission.stations["Ana"], mission.stations["Ben"]
        for text in ("one", "two: the ambassador's car", "three"):
            ana.send(channel, text)
        await mission.online("Ana")
        await until(lambda: len(ben.history(channel)) >= 3, "the run comes")
        entry = index_of(ben, channel, "two: the ambassador's car")
        for name in list(mission.links):
            await mission.offline(name)
        for name in list(mission.stations):
            mission.stations.pop(name).close()
        secret = tmp_path / "passphrase"
        secret.write_text(PASSPHRASE + "\n")
        parties = [Party(tmp_path / "profiles" / name, secret) for _, name in people]
        await mission.covered()
        await asyncio.to_thread(steps, mission, tmp_path, entry, *parties)
        await mission.covered()
        await asyncio.to_thread(audited, mission, *parties)


def steps(
    mission: RealMission, folder: Path, entry: int, chen: Party, dara: Party, ana: Party, ben: Party, gita: Party
) -> None:
    log = mission.log
    (asked,) = gita.do(
        "audit", "request", entry, "--log", log, "--case", "CMP-44", "--reason", "complaint of the embassy"
    )
    request = str(asked["request"])
    (seen,) = dara.do("disclose", "list")
    assert (seen["case"], seen["reason"]) == ("CMP-44", "complaint of the embassy")
    (seen,) = ben.do("disclose", "list")
    assert (seen["case"], seen["request"]) == ("", request), "a participant is told of it, and not why"
    assert ana.run("disclose", "approve", request).code == 6, "who wrote it has no vote"
    chen.do("disclose", "approve", request)
    assert ben.run("disclose", "give", request).code == 6, "one of two have agreed"
    dara.do("disclose", "approve", request)
    ben.do("disclose", "give", request)
    (ready,) = gita.do("audit", "requests")
    assert len(ready["disclosed"]) == 1
    package = folder / "disclosed"
    (opened,) = gita.do("audit", "open", request, "--out", package, "--log", log)
    assert (opened["text"], opened["entry"], opened["matches"]) == ("two: the ambassador's car", entry, True)
    alone(mission, folder, package, entry)
    proved(folder, ben, entry)
    destroyed(mission, chen, dara, ben)


def audited(mission: RealMission, *parties: Party) -> None:
    """What the auditor's verifier says of it all, and that nobody was alarmed."""
    verified = parties[-1].do("audit", "verify", mission.log, "--charter", mission.folder / "charter-2.note")
    (claim,) = [c for c in verified if c.get("claim") == "disclosures"]
    assert claim["outcome"] == "PASS"
    assert "1 asked for, 1 given" in str(claim["rule"])
    (claim,) = [c for c in verified if c.get("claim") == "tombstones"]
    assert (claim["outcome"], "1 by order of two" in str(claim["rule"])) == ("PASS", True)
    for party in parties:
        (status,) = party.do("status")
        assert not status["alarms"], status


def alone(mission: RealMission, folder: Path, package: Path, entry: int) -> None:
    """Anybody checks the package, with no gateway, no profile and no log."""
    anybody = Party(folder / "nobody", folder / "passphrase")
    charter = folder / "charter-2.note"

    def check(file: Path, *more: object) -> Ended:
        return anybody.run("audit", "open", file, "--charter", charter, *more)

    assert check(package).object["matches"] is True
    whole = read_package(package.read_bytes())
    changes = {
        "other words": replace(whole, content=whole.content[:-3] + b"van"),
        "another entry": replace(whole, entry=whole.entry[:-1] + bytes([whole.entry[-1] ^ 1])),
    }
    for name, changed in changes.items():
        file = folder / name
        file.write_bytes(encode(changed))
        ended = check(file)
        assert (ended.code, ended.object["matches"]) == (1, False), name
    for neighbour in (b"one", b"three"):
        assert neighbour not in whole.content
    assert check(package, "--log", mission.log).object["entry"] == entry


def proved(folder: Path, ben: Party, entry: int) -> None:
    """A participant proves a message to a third party of his own accord: no request, no vote."""
    (channel,) = [c["channel"] for c in ben.do("channel", "list")]
    opened = read_entry(read_package((folder / "disclosed").read_bytes()).entry)
    file = folder / "proved"
    ben.do("disclose", "prove", f"{channel}#{opened.seq}", "--out", file)
    ended = Party(folder / "nobody", folder / "passphrase").run(
        "audit", "open", file, "--charter", folder / "charter-2.note"
    )
    assert (ended.object["entry"], ended.object["text"]) == (entry, "two: the ambassador's car")


def destroyed(mission: RealMission, chen: Party, dara: Party, ben: Party) -> None:
    """Step 13: what was destroyed by order of two people is gone from the gateway's disk and from who had read it."""
    (channel,) = [c["channel"] for c in ben.do("channel", "list")]
    opened = read_entry(read_package((mission.folder / "disclosed").read_bytes()).entry)
    database = apsw.Connection(str(mission.gateway / "gateway.db"), flags=apsw.SQLITE_OPEN_READONLY)
    place = (bytes.fromhex(str(channel)), opened.seq)
    stored = "SELECT e.body FROM envelopes e JOIN streams s ON s.n = e.stream WHERE s.id = ? AND e.seq = ?"
    ((body,),) = database.execute(stored, place).fetchall()
    assert body is not None
    (order,) = chen.do("retention", "destroy", f"{channel}#{opened.seq}", "--reason", "said in error")
    assert chen.run("retention", "confirm", order["order"]).code == 6, "another person confirms it"
    dara.do("retention", "confirm", order["order"])
    assert database.execute(stored, place).fetchall() == [(None,)]
    database.close()
    ben.do("status")  # its device hears of it
    assert ben.run("disclose", "prove", f"{channel}#{opened.seq}", "--out", mission.folder / "again").code != 0
