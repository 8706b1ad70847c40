"""The ceremony as it is typed: real files, real vaults, no gateway."""

import json
import stat
from pathlib import Path

import pytest

from clients.authority.keyfile import Purpose, open_key, read_key_file
from clients.authority.seat import SEAT
from clients.vault import Vault
from keys.charter import found, succession
from tests.clients.programs import Outrider


@pytest.fixture
def outrider(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Outrider:
    return Outrider(tmp_path, capsys)


def test_a_mission_is_founded(outrider: Outrider) -> None:
    folder = outrider.founded(quorum=2, authorities=4)
    charter = found((folder / "charter.note").read_bytes())
    assert (charter.policy.quorum, len(charter.policy.authority_keys)) == (2, 4)
    keys = sorted(f.name for f in folder.iterdir())
    assert keys == [*(f"authority-{n}.key" for n in range(1, 5)), "charter.note", "registrar-2.key", "root.key"]
    for key in folder.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        open_key(read_key_file(key.read_text()), "correct horse")


def test_the_profile_is_the_first_registrar_s_and_holds_no_other_key(outrider: Outrider) -> None:
    folder = outrider.founded()
    (organisation,) = found((folder / "charter.note").read_bytes()).policy.organisations
    with Vault.open(outrider.folder / "registrar", "correct horse") as vault:
        seat = SEAT.get(vault)
        assert vault.secrets() == ["registrar:1:der", "registrar:1:key"]
        assert vault.secret("registrar:1:der") == organisation.registrars[0]
    assert seat is not None
    assert (seat.number, seat.organisation) == (1, "Meridian")


def test_the_second_registrar_takes_her_seat_once_on_her_own_machine(outrider: Outrider) -> None:
    folder = outrider.founded()
    taken = outrider(
        "second", "enrol", folder / "registrar-2.key", "--key-passphrase-file", outrider.passphrase, "--json"
    )
    assert taken.code == 0, taken.err
    assert taken.object["registrar"] == 2
    assert outrider("second", "mission", "charter", "show", "--json").object["version"] == 1
    again = outrider("second", "enrol", folder / "registrar-2.key", "--key-passphrase-file", outrider.passphrase)
    assert again.code == 2
    first = outrider("registrar", "enrol", folder / "registrar-2.key", "--key-passphrase-file", outrider.passphrase)
    assert first.code == 2


def test_another_key_takes_no_seat(outrider: Outrider) -> None:
    folder = outrider.founded()
    for key in ("root.key", "authority-1.key"):
        ran = outrider("second", "enrol", folder / key, "--key-passphrase-file", outrider.passphrase)
        assert ran.code == 2
        assert not Vault.exists(outrider.folder / "second")


def test_nothing_is_founded_over_what_is_there(outrider: Outrider) -> None:
    folder = outrider.founded()
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    options = ["--gateway", outrider.folder / "gateway.request", "--name", "M", "--org", "M"]
    passphrases = ["--key-passphrase-file", outrider.passphrase]
    same_folder = outrider("other", "mission", "init", *options, "--out", folder, *passphrases)
    same_profile = outrider("registrar", "mission", "init", *options, "--out", outrider.folder / "new", *passphrases)
    assert (same_folder.code, same_profile.code) == (2, 2)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    assert not (outrider.folder / "new").exists()
    assert not Vault.exists(outrider.folder / "other")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--quorum", "4", "--authorities", "3"], id="a quorum that can't be reached"),
        pytest.param(["--words", "babab-babab-babab-babab-babab-babab"], id="a swapped request"),
        pytest.param(["--name", "two\nlines"], id="a name of two lines"),
    ],
)
def test_a_founding_that_is_refused_leaves_nothing(outrider: Outrider, options: list[str]) -> None:
    outrider.founded()  # makes the request
    ran = outrider(
        "other", "mission", "init", "--gateway", outrider.folder / "gateway.request", "--name", "M", "--org", "M",
        "--out", outrider.folder / "new", "--key-passphrase-file", outrider.passphrase, *options,
    )  # fmt: skip
    assert ran.code in (4, 6)
    assert not (outrider.folder / "new").exists()
    assert not Vault.exists(outrider.folder / "other")


def test_an_altered_request_is_refused(outrider: Outrider) -> None:
    outrider.founded()
    request = outrider.folder / "gateway.request"
    text = request.read_text()
    request.write_text(text.replace(text[60], "A" if text[60] != "A" else "B"))
    ran = outrider("other", "mission", "init", "--gateway", request, "--name", "M", "--org", "M", "--out", "new")
    assert ran.code in (2, 4)


def partner_added(outrider: Outrider) -> tuple[Path, Path]:
    """A proposal that names a partner, and the partner's public file."""
    house = outrider.folder / "hostpol"
    made = outrider(
        "hostpol-1", "mission", "partner", "init", "--org", "Hostpol", "--out", house,
        "--key-passphrase-file", outrider.passphrase, "--json",
    )  # fmt: skip
    assert made.code == 0, made.err
    proposal = outrider.folder / "charter-2.toml"
    added = outrider(
        "registrar", "mission", "partner", "add", house / "hostpol.org", "--until", "2099-12-31", "--roles", "guest",
        "--ceiling", "TLP:GREEN", "--words", made.object["words"], "--out", proposal,
    )  # fmt: skip
    assert added.code == 0, added.err
    return proposal, house / "hostpol.org"


def sign(outrider: Outrider, file: Path, key: Path, *options: object) -> int:
    ran = outrider.plain(
        "mission",
        "charter",
        "sign",
        file,
        "--key",
        key,
        "--key-passphrase-file",
        outrider.passphrase,
        "--yes",
        *options,
    )
    return ran.code


def test_a_partner_comes_in_with_the_next_charter(outrider: Outrider) -> None:
    folder = outrider.founded()
    proposal, _ = partner_added(outrider)
    note = outrider.folder / "charter-2.note"
    assert sign(outrider, proposal, folder / "authority-3.key", "--out", note) == 0
    assert outrider("registrar", "mission", "charter", "accept", note).code == 6  # one of two has signed
    assert sign(outrider, note, folder / "authority-1.key", "--against", folder / "charter.note") == 0
    accepted = outrider("registrar", "mission", "charter", "accept", note, "--json")
    assert accepted.code == 0, accepted.err
    words = accepted.object["words"]
    charters = succession([(folder / "charter.note").read_bytes(), note.read_bytes()])
    assert [o.name for o in charters[-1].policy.organisations] == ["Meridian", "Hostpol"]
    listed = outrider("registrar", "mission", "partner", "list", "--json").objects
    assert [(o["name"], o["ceiling"]) for o in listed] == [("Meridian", "TLP:RED"), ("Hostpol", "TLP:GREEN")]
    theirs = outrider("hostpol-1", "mission", "charter", "accept", folder / "charter.note", note, "--words", words)
    assert theirs.code == 0, theirs.err
    assert outrider("hostpol-1", "mission", "charter", "show", "--json").object["version"] == 2


def test_words_that_differ_stop_a_partner_and_a_charter(outrider: Outrider) -> None:
    folder = outrider.founded()
    wrong = "babab-babab-babab-babab-babab-babab"
    _, file = partner_added(outrider)
    out = outrider.folder / "again.toml"
    added = outrider(
        "registrar", "mission", "partner", "add", file, "--until", "2099-12-31", "--words", wrong, "--out", out
    )
    assert (added.code, out.exists()) == (4, False)
    accepted = outrider("hostpol-1", "mission", "charter", "accept", folder / "charter.note", "--words", wrong)
    assert accepted.code in (4, 6)
    assert outrider("hostpol-1", "mission", "charter", "show").code == 6


def test_a_stranger_s_key_signs_no_charter(outrider: Outrider, tmp_path: Path) -> None:
    folder = outrider.founded()
    proposal, _ = partner_added(outrider)
    stranger = Outrider(tmp_path / "elsewhere", outrider.capture)
    stranger.folder.mkdir()
    key = stranger.founded(quorum=1, authorities=1) / "authority-1.key"
    note = outrider.folder / "charter-2.note"
    assert sign(outrider, proposal, key, "--out", note, "--against", folder / "charter.note") == 6
    assert not note.exists()


def test_a_proposal_changes_the_end_and_says_so(outrider: Outrider) -> None:
    folder = outrider.founded()
    out = outrider.folder / "next.toml"
    ran = outrider.plain(
        "mission",
        "charter",
        "propose",
        "--from",
        folder / "charter.note",
        "--not-after",
        "2098-01-01",
        "--out",
        out,
        "--json",
    )
    assert ran.code == 0, ran.err
    assert ran.object["version"] == 2
    assert any("2098-01-01" in str(line) for line in json.loads(ran.out)["changes"])
    nothing = outrider.plain("mission", "charter", "propose", "--from", folder / "charter.note", "--out", "x.toml")
    assert nothing.code == 2


def test_a_proposal_edited_by_hand_is_checked(outrider: Outrider) -> None:
    folder = outrider.founded()
    text = (folder / "charter.note").read_text().split("\n\n— ")[0] + "\n"
    edited = outrider.folder / "edited.toml"
    for changed, code in (
        (text.replace('name = "leader"', 'name = "chief"'), 6),
        (text.replace("hours = 24", "hours = 12"), 0),
    ):
        edited.write_text(changed)
        out = outrider.folder / f"out-{code}.toml"
        ran = outrider.plain(
            "mission", "charter", "propose", "--from", folder / "charter.note", "--text", edited, "--out", out
        )
        assert (ran.code, out.exists()) == (code, code == 0)


def test_the_charter_is_shown_with_who_signed_it(outrider: Outrider) -> None:
    folder = outrider.founded()
    shown = outrider.plain("mission", "charter", "show", folder / "charter.note", "--json").object
    assert shown["signed_by"] == ["authority-1.meridian", "authority-2.meridian"]
    assert shown["complete"] is True
    text = outrider.plain("mission", "charter", "show", folder / "charter.note")
    assert "Meridian Mission, charter version 1" in text.out
    assert text.err == ""


def test_key_files_for_other_uses_sign_no_charter(outrider: Outrider) -> None:
    folder = outrider.founded()
    assert read_key_file((folder / "root.key").read_text()).purpose is Purpose.ROOT
    assert sign(outrider, folder / "charter.note", folder / "root.key") == 2
