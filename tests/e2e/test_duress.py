"""Journey 1, step 14, on real processes: whoever has the phone sees a dull inbox, and the officers see DURESS by name.

The passphrase is set at a terminal, each verb is a process, and the log that tells nothing of it is held to be whole.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.clients.test_terminal import converse
from tests.e2e.mission import PASSPHRASE, RealMission
from tests.e2e.terminal import Terminal
from tests.e2e.test_broadcast import fits, rows
from tests.waiting import PATIENCE

DURESS = "correct horse cattery stable"
REAL = "the convoy leaves at six"
DULL = """
[[channel]]
purpose = "laundry"
messages = ["Pat: Pick-up is on Tuesday.", "Me: Thanks.", "Pat: Two shirts are left over, whose are they?"]
"""


def at(mission: RealMission, name: str, passphrase: str) -> Terminal:
    file = mission.folder / f"passphrase-{len(passphrase)}-{passphrase[-3:]}"
    file.write_text(f"{passphrase}\n")
    return Terminal(mission.folder / "profiles" / name, file)


async def test_a_decoy_for_whoever_has_the_phone_and_a_warning_for_the_officers(tmp_path: Path) -> None:
    async with RealMission.found(tmp_path) as mission:
        for role, name in (("officer", "Chen"), ("agent", "Ayo")):
            await mission.enrol(role, name)
        for name, station in mission.stations.items():
            await mission.offline(name)
            station.close()
        mission.stations.clear()
        chen, ayo = at(mission, "Chen", PASSPHRASE), at(mission, "Ayo", PASSPHRASE)
        device = mission.certified["Ayo"].device.hex()
        create = ("channel", "create", "--class", "narrow", "--marking", "TLP:AMBER", "--purpose", "residence")
        await chen.do(*create, "--add", device)
        await ayo.do("status")
        await chen.do("send", "--to", "residence", REAL)
        assert REAL in await ayo.do("read")
        await set_at_the_terminal(mission)
        await ayo.do("status")
        assert "DURESS" not in await chen.do("status")

        watching = await follow(mission)
        try:
            thief = at(mission, "Ayo", DURESS)
            await nothing_real(thief, chen, ayo)
            assert await asyncio.wait_for(warning(watching), PATIENCE)
        finally:
            watching.kill()
            await watching.wait()
        listed = await chen.do("alert", "list")
        assert listed.startswith("!!! DURESS !!! Ayo"), listed
        fits(listed)
        assert REAL in await ayo.do("read", "--since", "2020-01-01")
        assert "DURESS" not in "".join(ayo.said + thief.said)
        await whole(mission)


async def set_at_the_terminal(mission: RealMission) -> None:
    dull = mission.folder / "dull.toml"
    dull.write_text(DULL)
    ayo = mission.folder / "profiles" / "Ayo"
    near = [("Passphrase of", PASSPHRASE), ("Duress passphrase", PASSPHRASE[:-1]), ("epeat", PASSPHRASE[:-1])]
    code, screen = await asyncio.to_thread(converse, ["--profile", ayo, "duress", "set"], near)
    assert code == 2, screen
    assert "fewer than 2 places" in " ".join(screen.split())
    answers = [
        ("Passphrase of", PASSPHRASE),
        ("Duress passphrase", DURESS),
        ("epeat", DURESS),
        ("File with", str(dull)),
    ]
    code, screen = await asyncio.to_thread(converse, ["--profile", ayo, "duress", "set"], answers)
    assert code == 0, screen
    assert "duress passphrase set" in screen
    assert DURESS not in screen


async def nothing_real(thief: Terminal, chen: Terminal, ayo: Terminal) -> None:
    """The same verbs and forms, and nothing that is true."""
    read = await thief.do("read")
    assert "Two shirts are left over" in read
    assert (await thief.do("send", "--to", "laundry", "mine, sorry")).startswith("ACCEPTED")
    assert "laundry" in await thief.do("channel", "list")
    assert "Pat" in await thief.do("channel", "show", "laundry")
    own, other = await ayo.ask("status"), await thief.ask("status")
    assert own.keys() == other.keys()
    assert (other["name"], other["link"], other["mission"]) == ("Ayo", True, own["mission"])
    assert await thief.refused(2, "send", "--to", "residence", "hello")
    wrong = Terminal(thief.profile, thief.passphrase.with_name("wrong"))
    wrong.passphrase.write_text("no such passphrase\n")
    assert "not the passphrase" in (await wrong("status")).err
    for secret in ("residence", REAL, "Chen"):
        assert secret not in "".join(s for s in thief.said if "no channel" not in s), secret


async def follow(mission: RealMission) -> asyncio.subprocess.Process:
    program = [sys.executable, "-c", "from clients.main import main; main()", "read", "--follow"]
    passphrase = at(mission, "Chen", PASSPHRASE).passphrase
    where = ["--profile", str(mission.folder / "profiles" / "Chen"), "--passphrase-file", str(passphrase)]
    return await asyncio.create_subprocess_exec(*program, *where, stdout=asyncio.subprocess.PIPE)


async def warning(watching: asyncio.subprocess.Process) -> bool:
    assert watching.stdout is not None
    async for line in watching.stdout:
        if line.startswith(b"!!! DURESS !!! Ayo"):
            return True
    return False


async def whole(mission: RealMission) -> None:
    """The auditor's verdict over a log in which both unlocks stand."""
    head = await mission.head()
    (mission.folder / "charter").write_bytes(mission.notes[0])
    gita = Terminal(mission.folder / "gita", head)
    outside = ("--head", head, "--key", mission.gateway / "log.vkey")
    claims = rows(
        await gita.do("audit", "verify", mission.log, *outside, "--charter", mission.folder / "charter", "--json")
    )
    assert claims.pop()["verdict"] == "WHOLE"
    assert {claim["outcome"] for claim in claims} == {"PASS"}
