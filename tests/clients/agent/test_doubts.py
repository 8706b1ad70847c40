"""What a device tells of a gateway that lies: whose log is another, by name; that every channel is halted; and the evidence, as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clients.core import records
from clients.core.ledger import Draft
from clients.core.records import Alarm, AlarmKind, Note
from clients.main import run
from clients.moments import now
from clients.vault import CHEAP, Vault
from keys import evidence as files
from keys.authority import Card, sign_card
from keys.canonical import encode
from tests.clients.relay import founding
from tests.keys.mission import Mission
from tests.keys.test_evidence import ONE, OTHER

WORDS = "correct horse battery staple"
CHANNEL = bytes(range(16))


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ana's profile: Ben's device saw another log, and the log's key has signed two."""
    folder = tmp_path_factory.mktemp("doubts")
    mission = Mission(1)
    ana, ben = mission.device("agent"), mission.device("agent")
    vault = Vault.create(folder / "ana", WORDS, cost=CHEAP)
    vault.apply(founding(mission, ana, "Ana"))
    draft = Draft(vault)
    registrar = mission.home.registrars[0]
    card = Card(ben.certified.person, ben.id, "Ben Oduya", "KESTREL", "Meridian", registrar.device, b"")
    records.CARDS.put(draft, ben.id, Note(encode(sign_card(card, registrar.key))))
    suspicion = Alarm(AlarmKind.SUSPICION, CHANNEL, 7, ben.id, "it was shown another log", now() - 5_000, halts=False)
    fork = Alarm(AlarmKind.FORKED, b"", 0, b"", "the log's key signed two trees", now() - 4_000, halts=True)
    for number, alarm in enumerate((suspicion, fork)):
        records.ALARMS.put(draft, bytes([number]) * 16, alarm)
    found = files.fork(mission.charter.note, ONE.note(), OTHER.note(), OTHER.grown_from(11))
    records.EVIDENCE.put(draft, found.name, Note(files.write(found)))
    records.FORKED.put(draft, mission.policy.log_origin.encode(), Note(found.name))
    vault.apply(draft.changes())
    vault.close()
    (folder / "passphrase").write_text(WORDS + "\n")
    return folder


def ran(profile: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    shared = ["--profile", str(profile / "ana"), "--passphrase-file", str(profile / "passphrase")]
    capsys.readouterr()
    run([*words, *shared])
    return capsys.readouterr().out


def test_status_names_who_and_what(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, Any] = json.loads(ran(profile, capsys, "status", "--offline", "--json"))
    suspicion, fork = said["alarm_list"]
    assert (suspicion["kind"], suspicion["name"], suspicion["halts"]) == ("suspicion", "Ben Oduya", False)
    assert (fork["kind"], fork["name"], fork["halts"]) == ("forked", "", True)
    assert "signed two logs" in said["halted"]
    assert len(said["evidence"]) == 1
    page = ran(profile, capsys, "status", "--offline")
    assert "SUSPICION channel 00010203 #7 device Ben Oduya (" in page
    assert "HALTED   every channel" in page
    assert "EVIDENCE " in page


def test_read_tells_it_beside_the_messages(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = ran(profile, capsys, "read", "--timeout", "0")
    assert "!! SUSPICION Ben Oduya (" in page
    assert "!! FORKED" in page
    assert max(map(len, page.splitlines())) <= 80
    told = [json.loads(line) for line in ran(profile, capsys, "read", "--timeout", "0", "--json").splitlines()]
    assert [(one["suspicion"], one["name"]) for one in told] == [("suspicion", "Ben Oduya"), ("forked", "")]


def test_the_file_needs_nothing_of_the_profile(
    profile: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = json.loads(ran(profile, capsys, "status", "--offline", "--json", "--evidence", str(tmp_path / "out")))
    assert ran(profile, capsys, "status", "--offline", "--evidence", str(tmp_path / "out")), (
        "once more is the same file"
    )
    (file,) = said["files"]
    assert [str(one) for one in (tmp_path / "out").iterdir()] == [file]
    assert run(["audit", "evidence", file, "--profile", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= 80
    assert "PASS  forked: the log's key signed a tree of 17 entries" in page
    assert run(["audit", "verify", file, "--profile", str(tmp_path)]) == 2
    assert f"outrider audit evidence {file}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda data: data[:-40] + bytes(40), id="altered"),
        pytest.param(lambda data: b"hello", id="no file of evidence"),
        pytest.param(lambda data: data + b"\0", id="something left over"),
        pytest.param(lambda _: files.write(files.fork(Mission(1).charter.note, ONE.note(), ONE.note())), id="one log"),
    ],
)
def test_what_proves_nothing_fails(
    harm: Any, profile: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = json.loads(ran(profile, capsys, "status", "--offline", "--json", "--evidence", str(tmp_path / "out")))
    (tmp_path / "bad.evidence").write_bytes(harm(Path(said["files"][0]).read_bytes()))
    assert run(["audit", "evidence", str(tmp_path / "bad.evidence"), "--profile", str(tmp_path)]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_another_missions_evidence(profile: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It may prove what it says of its own charter; of the mission that one knows it says nothing."""
    said = json.loads(ran(profile, capsys, "status", "--offline", "--json", "--evidence", str(tmp_path / "out")))
    (tmp_path / "charter").write_bytes(Mission(2).charter.note)
    words = ["audit", "evidence", said["files"][0], "--charter", str(tmp_path / "charter"), "--profile", str(tmp_path)]
    assert run(words) == 1
    assert "other keys" in " ".join(capsys.readouterr().out.split())
