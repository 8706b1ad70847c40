"""The founding from the first key to the first enrolled officer and agent, with real processes throughout.

gateway init → mission init → charter installed → gateway runs → revocation list → invite → enrol → two approvals → devices list
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.processes import Gateway, Party


@dataclass
class Mission:
    """A mission whose gateway runs, and its two registrars."""

    folder: Path
    gateway: Gateway
    passphrase: Path

    def party(self, name: str) -> Party:
        return Party(self.folder / name, self.passphrase)

    def enrol(self, name: str, role: str, *, second: Party, call_sign: str = "") -> Party:
        """Invite, ask, and approve twice, with the words compared each time."""
        registrar, party = self.party("registrar"), self.party(name)
        file = self.folder / f"{name}.invite"
        registrar.do("invite", "new", "--role", role, "--person", name, "--call-sign", call_sign, "--file", file)
        (asked,) = party.do("enrol", file, "--no-wait")
        (granted,) = registrar.do("enrol", "approve", "--words", asked["words"])
        assert granted["act"] == "granted"
        (approved,) = second.do("enrol", "approve", "--words", asked["words"])
        assert approved["act"] == "approved"
        (done,) = party.do("enrol", "--timeout", "30s")
        assert (done["done"], done["name"], done["roles"]) == (True, name, [role])
        assert done["device"] == granted["device"]
        return party


@pytest.fixture
def mission(tmp_path: Path) -> Iterator[Mission]:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    gateway = Gateway(tmp_path / "gateway")
    made = Mission(tmp_path, gateway, passphrase)
    words = gateway.found()["words"]
    out = tmp_path / "ceremony"
    made.party("registrar").do(
        "mission", "init", "--gateway", gateway.request, "--words", words, "--name", "Meridian Mission",
        "--org", "Meridian", "--out", out, "--key-passphrase-file", passphrase,
    )  # fmt: skip
    made.party("registrar2").do("enrol", out / "registrar-2.key", "--key-passphrase-file", passphrase)
    gateway.do("charter", out / "charter.note", "--config", gateway.config)
    gateway.start()
    try:
        yield made
    finally:
        gateway.stop()


def test_from_the_first_key_to_the_first_devices(mission: Mission) -> None:
    registrar, second = mission.party("registrar"), mission.party("registrar2")
    (crl,) = registrar.do("devices", "crl")
    assert (crl["organisation"], crl["revoked"]) == ("Meridian", 0)

    chen = mission.enrol("Chen", "officer", second=second)
    mission.enrol("Ayo", "agent", second=chen, call_sign="LANCE-3")  # an officer is the second person now

    listed = {d["name"]: d for d in registrar.do("devices", "list")}
    assert {name: d["roles"] for name, d in listed.items()} == {"Chen": ["officer"], "Ayo": ["agent"]}
    assert all(not d["revoked"] for d in listed.values())
    assert len({d["person"] for d in listed.values()}) == 2


def test_words_that_differ_let_nobody_in(mission: Mission) -> None:
    registrar = mission.party("registrar")
    file = mission.folder / "invite"
    registrar.do("invite", "new", "--role", "agent", "--person", "Ayo", "--file", file)
    mission.party("ayo").do("enrol", file, "--no-wait")
    refused = registrar.run("enrol", "approve", "--words", "babab-babab-babab-babab-babab-babab")
    assert refused.code == 4
    waiting = mission.party("ayo").run("enrol", "--timeout", "1s")
    assert waiting.code == 5
    assert waiting.object["done"] is False


def test_one_registrar_does_not_approve_alone(mission: Mission) -> None:
    registrar = mission.party("registrar")
    file = mission.folder / "invite"
    registrar.do("invite", "new", "--role", "agent", "--person", "Ayo", "--file", file)
    (asked,) = mission.party("ayo").do("enrol", file, "--no-wait")
    registrar.do("enrol", "approve", "--words", asked["words"])
    assert registrar.run("enrol", "approve", "--words", asked["words"]).code == 2  # nothing waits for this profile


def test_a_cancelled_invite_lets_nobody_ask(mission: Mission) -> None:
    registrar = mission.party("registrar")
    file = mission.folder / "invite"
    registrar.do("invite", "new", "--role", "agent", "--person", "Ayo", "--file", file)
    registrar.do("invite", "cancel", "Ayo")
    assert [i["state"] for i in registrar.do("invite", "list", "--all")] == ["cancelled"]
    assert mission.party("ayo").run("enrol", file, "--no-wait").code in (2, 6)


def test_a_revoked_device_is_out_at_once(mission: Mission) -> None:
    registrar, second = mission.party("registrar"), mission.party("registrar2")
    chen = mission.enrol("Chen", "officer", second=second)
    ayo = mission.enrol("Ayo", "agent", second=chen, call_sign="LANCE-3")
    (revoked,) = registrar.do("devices", "revoke", "LANCE-3", "--reason", "phone snatched", "--yes")
    assert revoked["name"] == "Ayo"
    listed = {d["name"]: d["revoked"] for d in registrar.do("devices", "list", "--all")}
    assert listed == {"Chen": False, "Ayo": True}
    assert ayo.run("status").code in (0, 3, 6)
    assert registrar.run("devices", "revoke", "LANCE-3", "--reason", "again", "--yes").code == 2


def test_the_gateway_away_is_3(mission: Mission) -> None:
    registrar = mission.party("registrar")
    mission.gateway.stop()
    assert registrar.run("devices", "crl").code == 3
    assert registrar.run("invite", "new", "--role", "agent", "--person", "Ayo").code == 3
