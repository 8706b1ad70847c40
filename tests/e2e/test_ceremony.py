"""The founding from the first key to the first enrolled officer and agent, with real processes throughout.

gateway init → mission init → charter installed → gateway runs → revocation list → invite → enrol → two approvals → devices list
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clients.core.commits import Work
from clients.station import Station
from tests.e2e.processes import Gateway, Party
from tests.forked import ROOT


@dataclass
class Mission:
    """A mission whose gateway runs, and its two registrars."""

    folder: Path
    gateway: Gateway
    passphrase: Path
    apart: bool = False

    def party(self, name: str) -> Party:
        return Party(self.folder / name, self.passphrase, self.apart)

    def found(self) -> None:
        """From the gateway's keys to the running gateway, with a revocation list."""
        words = self.gateway.found()["words"]
        out = self.folder / "ceremony"
        self.party("registrar").do(
            "mission", "init", "--gateway", self.gateway.request, "--words", words, "--name", "Meridian Mission",
            "--org", "Meridian", "--out", out, "--key-passphrase-file", self.passphrase,
        )  # fmt: skip
        self.party("registrar2").do("enrol", out / "registrar-2.key", "--key-passphrase-file", self.passphrase)
        self.gateway.do("charter", out / "charter.note", "--config", self.gateway.config)
        self.gateway.start()
        (crl,) = self.party("registrar").do("devices", "crl")
        assert (crl["organisation"], crl["number"], crl["revoked"]) == ("Meridian", 1, 0)

    def invite(self, name: str, role: str, call_sign: str = "") -> Path:
        file = self.folder / f"{name}.invite"
        self.party("registrar").do(
            "invite", "new", "--role", role, "--person", name, "--call-sign", call_sign, "--file", file
        )
        return file

    def enrol(self, name: str, role: str, *, second: Party, call_sign: str = "") -> Party:
        """Invite, ask, and approve twice, with the words compared each time."""
        party, file = self.party(name), self.invite(name, role, call_sign)
        (asked,) = party.do("enrol", file, "--no-wait")
        (granted,) = self.party("registrar").do("enrol", "approve", "--words", asked["words"])
        assert granted["act"] == "granted"
        (approved,) = second.do("enrol", "approve", "--words", asked["words"], "--call-sign", call_sign or name)
        assert (approved["act"], approved["device"]) == ("approved", granted["device"])
        (done,) = party.do("enrol", "--timeout", "60s")
        assert (done["done"], done["name"], done["roles"]) == (True, name, [role])
        assert done["device"] == granted["device"]
        return party


@pytest.fixture(scope="module")
def mission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mission]:
    folder = tmp_path_factory.mktemp("mission")
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse\n")
    made = Mission(folder, Gateway(folder / "gateway"), passphrase)
    try:
        made.found()
        yield made
    finally:
        made.gateway.stop()


@pytest.fixture(scope="module")
def chen(mission: Mission) -> Party:
    """The first officer, whom the second registrar approves: there is nobody else yet."""
    return mission.enrol("Chen", "officer", second=mission.party("registrar2"), call_sign="MSO")


def test_from_the_first_key_to_the_first_devices_each_verb_a_process(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    mission = Mission(tmp_path, Gateway(tmp_path / "gateway"), passphrase, apart=True)
    try:
        mission.found()
        mission.enrol("Chen", "officer", second=mission.party("registrar2"))
        listed = {d["name"]: d for d in mission.party("registrar").do("devices", "list")}
        assert {name: d["roles"] for name, d in listed.items()} == {"Chen": ["officer"]}
    finally:
        mission.gateway.stop()


def test_an_officer_is_the_second_person_from_then_on(mission: Mission, chen: Party) -> None:
    ayo = mission.enrol("Ayo", "agent", second=chen, call_sign="LANCE-3")
    listed = {d["name"]: d for d in mission.party("registrar").do("devices", "list")}
    assert {name: d["roles"] for name, d in listed.items()} == {"Chen": ["officer"], "Ayo": ["agent"]}
    assert all(not d["revoked"] for d in listed.values())
    assert len({d["person"] for d in listed.values()}) == 2
    assert {d["call_sign"] for d in chen.do("devices", "list")} == {
        "MSO",
        "LANCE-3",
    }  # the second by the officer's own note
    (told,) = ayo.do("status")
    assert (told["name"], told["roles"], told["link"], told["alarms"]) == ("Ayo", ["agent"], True, 0)


def test_a_message_and_its_answer(mission: Mission, chen: Party) -> None:
    ayo = mission.party("Ayo")
    (made,) = chen.do(
        "channel",
        "create",
        "--class",
        "detail",
        "--marking",
        "AMBER+STRICT",
        "--purpose",
        "motorcade",
        "--add",
        "LANCE-3",
    )
    assert (made["purpose"], made["members"]) == ("motorcade", 2)
    assert [m["text"] for m in ayo.do("read")] == []
    (sent,) = ayo.do("send", "--to", "motorcade", "--precedence", "flash", "--ask-ack", "Crowd at the fountain")
    assert sent["state"] == "accepted"
    (read,) = chen.do("read", "motorcade")
    assert (read["text"], read["precedence"], read["name"]) == ("Crowd at the fountain", "flash", "Ayo")
    assert chen.do("read") == []  # each message once
    (answered,) = chen.do("ack", str(read["id"])[:8])
    assert answered["state"] == "accepted"


def test_who_can_not_follow_is_let_in_again(mission: Mission, chen: Party) -> None:
    ayo = mission.party("Ayo")

    def lose_keys(work: Work) -> None:
        """As a damaged disk would: the next commit is sealed to keys that Ayo no longer has."""
        for channel, state in work.turn.channels():
            group = work.groups.get(work.turn.draft, channel)
            if state.purpose == "motorcade" and group is not None:
                work.groups.put(channel, replace(group, private={node: os.urandom(32) for node in group.private}))

    with Station.open(mission.folder / "Ayo", "correct horse") as station:
        station.act(lose_keys)
    chen.do("channel", "rekey", "motorcade")
    (stranded,) = ayo.do("status")
    assert stranded["alarms"] == 1
    refused = ayo.run("send", "--to", "motorcade", "anybody there?")
    assert refused.code != 0
    assert "channel resync" in refused.err
    assert ayo.run("channel", "resync", "motorcade", "MSO").code == 6
    (approved,) = chen.do("channel", "resync", "motorcade", "LANCE-3")
    assert (approved["act"], approved["done"]) == ("resynced", True)
    ayo.do("status")
    ayo.do("send", "--to", "motorcade", "back again")
    assert [m["text"] for m in chen.do("read", "motorcade")] == ["back again"]


def test_an_alert_and_who_answered_it(mission: Mission, chen: Party) -> None:
    ayo = mission.party("Ayo")
    chen.do("channel", "create", "--class", "alert", "--marking", "AMBER", "--purpose", "alerts", "--add", "LANCE-3")
    cap = ROOT / "clients" / "demo" / "sample.cap"
    (sent,) = chen.do("alert", "send", "--alone", "--reason", "deputy not reachable", "--cap", cap, "--to", "alerts")
    root = str(sent["root"])[:8]
    silent = chen.run("alert", "show", root)
    assert (silent.code, len(silent.object["silent"])) == (1, 1)
    (read,) = ayo.do("read", "alerts")
    assert read["alert"]["alone"] is True
    assert [o["text"] for o in read["alert"]["options"]] == ["SAFE", "NEED HELP", "CANNOT COMPLY"]
    ayo.do("ack", root, "need help", "--text", "two with us")
    (shown,) = chen.do("alert", "show", root)
    assert shown["silent"] == []
    assert [(a["name"], a["text"], a["words"]) for a in shown["answered"]] == [("Ayo", "NEED HELP", "two with us")]
    assert ayo.run("ack", root, "maybe").code == 2
    assert ayo.run("alert", "send", "--alone", "--reason", "x", "--cap", cap, "--to", "alerts").code == 6


def test_a_partner_comes_in_while_the_gateway_runs(mission: Mission, chen: Party) -> None:
    """Its keys are its own; it sees what was agreed, and no more."""
    folder, secret = mission.folder, ["--key-passphrase-file", mission.passphrase]
    registrar, theirs = mission.party("registrar"), mission.party("hostpol")
    (made,) = theirs.do("mission", "partner", "init", "--org", "Hostpol", "--out", folder / "hostpol", *secret)
    first, text, note = folder / "ceremony" / "charter.note", folder / "charter-2.toml", folder / "charter-2.note"
    registrar.do(
        "mission", "partner", "add", made["file"], "--words", made["words"], "--until", "2099-12-31", "--out", text
    )
    for n, options in ((1, [text, "--out", note]), (2, [note, "--against", first])):
        key = folder / "ceremony" / f"authority-{n}.key"
        (signed,) = registrar.do("mission", "charter", "sign", *options, "--key", key, *secret, "--yes")
    assert signed["complete"] is True
    mission.gateway.reload(note)
    (shown,) = registrar.do("mission", "charter", "show", note)
    theirs.do("mission", "charter", "accept", first, note, "--words", shown["words"])
    theirs.do("devices", "crl")
    file, emil = folder / "emil.invite", mission.party("Emil")
    theirs.do("invite", "new", "--role", "guest", "--person", "Emil", "--file", file)
    (asked,) = emil.do("enrol", file, "--no-wait")
    theirs.do("enrol", "approve", "--words", asked["words"])
    chen.do("enrol", "approve", "--words", asked["words"], "--person", "Emil")
    emil.do("enrol", "--timeout", "60s")
    chen.do("channel", "create", "--class", "liaison", "--marking", "AMBER", "--purpose", "liaison", "--add", "Emil")
    assert chen.run("channel", "add", "motorcade", "Emil").code == 6  # AMBER+STRICT stays at home
    (sent,) = emil.do("send", "--to", "liaison", "cordon set")
    assert sent["state"] == "accepted"
    assert [m["text"] for m in chen.do("read", "liaison")] == ["cordon set"]
    (told,) = registrar.do("devices", "crl")
    assert told["organisation"] == "Meridian"
    assert [o["name"] for o in registrar.do("mission", "partner", "list")] == ["Meridian", "Hostpol"]


def test_words_that_differ_let_nobody_in(mission: Mission) -> None:
    registrar, zoe = mission.party("registrar"), mission.party("Zoe")
    zoe.do("enrol", mission.invite("Zoe", "agent"), "--no-wait")
    refused = registrar.run("enrol", "approve", "Zoe", "--words", "babab-babab-babab-babab-babab-babab")
    assert refused.code == 4
    waiting = zoe.run("enrol", "--timeout", "1s")
    assert (waiting.code, waiting.object["done"]) == (5, False)


def test_one_registrar_does_not_approve_alone(mission: Mission) -> None:
    registrar, yan = mission.party("registrar"), mission.party("Yan")
    (asked,) = yan.do("enrol", mission.invite("Yan", "agent"), "--no-wait")
    registrar.do("enrol", "approve", "Yan", "--words", asked["words"])
    assert registrar.run("enrol", "approve", "Yan", "--words", asked["words"]).code == 2  # nothing of Yan waits for it
    assert yan.run("enrol", "--timeout", "1s").code == 5


def test_a_cancelled_invite_lets_nobody_ask(mission: Mission) -> None:
    registrar, file = mission.party("registrar"), mission.invite("Wim", "agent")
    registrar.do("invite", "cancel", "Wim")
    assert "cancelled" in [i["state"] for i in registrar.do("invite", "list", "--all") if i["person"] == "Wim"]
    assert mission.party("Wim").run("enrol", file, "--no-wait").code == 2


def test_who_may_not_is_refused(mission: Mission, chen: Party) -> None:
    registrar = mission.party("registrar")
    assert registrar.run("invite", "new", "--role", "guest", "--person", "Eve").code == 6  # not the root's to grant
    assert registrar.run("invite", "new", "--role", "agent", "--org", "Hostpol", "--person", "Eve").code == 2
    assert chen.run("invite", "new", "--role", "agent", "--person", "Eve").code == 6
    assert chen.run("devices", "revoke", "LANCE-3", "--reason", "x", "--yes").code == 6
    ayo = mission.party("Ayo")
    made = ayo.run("channel", "create", "--class", "detail", "--marking", "AMBER", "--purpose", "own")
    assert made.code == 6
    assert ayo.run("send", "--to", "motorcade", "--marking", "RED", "too strict for the channel").code == 6


def test_a_revoked_device_is_out_at_once(mission: Mission, chen: Party) -> None:
    registrar, ayo = mission.party("registrar"), mission.party("Ayo")
    (revoked,) = registrar.do("devices", "revoke", "LANCE-3", "--reason", "phone snatched", "--yes")
    assert revoked["name"] == "Ayo"
    listed = {d["name"]: d["revoked"] for d in registrar.do("devices", "list", "--all")}
    assert (listed["Chen"], listed["Ayo"]) == (False, True)
    assert ayo.run("status").code == 6
    chen.do("send", "--to", "motorcade", "after")
    (shown,) = chen.do("channel", "show", "motorcade")
    assert [p["name"] for p in shown["people"]] == ["Chen"]
    assert registrar.run("devices", "revoke", "LANCE-3", "--reason", "again", "--yes").code == 2


def test_the_gateway_away_is_3_and_what_was_said_is_kept(mission: Mission, chen: Party) -> None:
    mission.gateway.stop()
    registrar = mission.party("registrar")
    assert registrar.run("devices", "crl").code == 3
    assert registrar.run("invite", "new", "--role", "agent", "--person", "Uma").code == 3
    kept = chen.run("send", "--to", "motorcade", "--timeout", "1", "while nobody listens")
    assert (kept.code, kept.object["state"]) == (3, "kept")
    assert chen.run("status", "--timeout", "1").code == 3
    mission.gateway.start()
    (told,) = chen.do("status")
    assert told["outbox"] == 0
