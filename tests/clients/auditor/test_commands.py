"""`outrider audit verify` as it is typed: exits, JSON Lines, pins, and what it says when it can't."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from clients.main import run
from keys.tlog.checkpoint import TreeHead
from keys.tlog.cosignature import Ed25519Cosigner
from keys.tlog.note import Note, decode_base64
from keys.tlog.policy import Group, TrustPolicy, Witness
from tests.clients.auditor.logs import Book, honest
from tests.keys.tlog.logs import flip


@cache
def log() -> Book:
    return honest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profile of the test's own; a log in `log`, its key, charter and head beside it."""
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "profile"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile").mkdir()
    log().files().write(tmp_path / "log")
    (tmp_path / "log.vkey").write_text(log().mission.log.verifier_key.encode() + "\n")
    (tmp_path / "charter").write_bytes(log().charter.note)
    (tmp_path / "head").write_bytes(log().head())
    (tmp_path / "head.old").write_bytes(log().head(20))
    return tmp_path


def damage(home: Path) -> None:
    file = home / "log" / "tile" / "entries" / "000.p" / "30"
    file.write_bytes(flip(file.read_bytes(), 5_000))


@pytest.mark.parametrize(
    ("arguments", "verdict", "code"),
    [
        pytest.param("--key log.vkey", "CONSISTENT", 0, id="a key"),
        pytest.param("--charter charter", "CONSISTENT", 0, id="a charter names the key"),
        pytest.param("--key log.vkey --head head", "WHOLE", 0, id="a head"),
        pytest.param("--key log.vkey --head head.old", "WHOLE", 0, id="an older head"),
        pytest.param("--key log.vkey --head head --log-only", "WHOLE", 0, id="the tree alone"),
        pytest.param("--key log.vkey --every-signature", "CONSISTENT", 0, id="every signature"),
        pytest.param("", "UNCHECKED", 7, id="no key"),
        pytest.param("--head head", "UNCHECKED", 7, id="a head and no key"),
    ],
)
def test_exits(arguments: str, verdict: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "log", *arguments.split()]) == code
    printed = capsys.readouterr()
    assert verdict in printed.out
    assert not printed.err
    assert run(["--json", "audit", "verify", "log", *arguments.split()]) == code
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(list(line) == ["schema", "claim", "outcome", "index", "tile", "rule", "cause"] for line in lines[:-1])
    assert list(lines[-1]) == ["schema", "verdict", "whole", "size", "root"]
    assert (lines[-1]["verdict"], lines[-1]["whole"]) == (verdict, verdict == "WHOLE")


def test_a_key_on_the_line_is_as_good_as_a_file() -> None:
    assert run(["audit", "verify", "log", "--key", log().mission.log.verifier_key.encode()]) == 0


@pytest.mark.parametrize("pin", ["log.vkey", "charter"])
def test_the_profile_s_pins_stand_in(home: Path, pin: str) -> None:
    (home / "profile" / pin).write_bytes((home / pin).read_bytes())
    assert run(["audit", "verify", "log"]) == 0


def test_an_altered_log_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(home)
    assert run(["audit", "verify", "log", "--key", "log.vkey", "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = [line for line in lines[:-1] if line["outcome"] == "FAIL"]
    assert [(line["claim"], line["tile"], line["cause"]) for line in failed] == [
        ("tree", "tile/entries/000.p/30", "altered")
    ]
    assert isinstance(failed[0]["index"], int)
    assert lines[-1]["verdict"] == "FAIL"
    assert run(["audit", "verify", "log", "--key", "log.vkey"]) == 1
    assert f"entry {failed[0]['index']} in tile/entries/000.p/30: altered" in capsys.readouterr().out


def test_saved_and_gone_on_from(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "log", "--key", "log.vkey", "--save", "state"]) == 0
    assert run(["audit", "verify", "log", "--key", "log.vkey", "--since", "state", "--head", "head"]) == 0
    assert "since" in capsys.readouterr().out
    damage(home)
    before = (home / "state").read_bytes()
    assert run(["audit", "verify", "log", "--key", "log.vkey", "--save", "state"]) == 1
    assert "nothing was saved" in capsys.readouterr().err
    assert (home / "state").read_bytes() == before


@pytest.mark.parametrize(
    ("names", "code", "outcome"),
    [
        pytest.param("one two", 0, "PASS", id="both have cosigned"),
        pytest.param("one", 7, "UNCHECKED", id="one has, and two are asked for"),
        pytest.param("", 7, "UNCHECKED", id="nobody has"),
        pytest.param("one forged", 1, "FAIL", id="a line that does not hold"),
    ],
)
def test_witnesses_of_a_policy(
    names: str, code: int, outcome: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    witnesses = {name: Ed25519Cosigner.from_seed(f"{name}.test", name.ljust(32).encode()) for name in ("one", "two")}
    group = Group("both", 2, ("one", "two"))
    keys = tuple(Witness(name, witness.verifier_key) for name, witness in witnesses.items())
    (home / "policy").write_bytes(TrustPolicy(witnesses=keys, groups=(group,), quorum="both").encode())
    note = Note.decode((home / "log" / "checkpoint").read_bytes())
    size, root = int(note.text.split("\n")[1]), decode_base64(note.text.split("\n")[2])
    head = TreeHead(log().mission.log.name, size, root)
    lines = [witnesses[name].cosign(head, 1_790_000_000) for name in names.split() if name in witnesses]
    if "forged" in names:
        lines.append(replace(witnesses["two"].cosign(head, 1_790_000_000), signature=bytes(72)))
    (home / "log" / "checkpoint").write_bytes(note.with_signatures(lines).encode())
    assert run(["--json", "audit", "verify", "log", "--key", "log.vkey", "--policy", "policy"]) == code
    claims = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (claim,) = [one for one in claims if one.get("claim") == "cosignatures"]
    assert claim["outcome"] == outcome


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_fit_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(["audit", "verify", "log", "--key", "log.vkey"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("audit verify log --key log.vkey --policy head", id="a policy that is none"),
        pytest.param("audit verify head --key log.vkey", id="an archive that is none"),
        pytest.param("audit export log --out x", id="an export of a log that nobody names"),
        pytest.param("audit export log --key log.vkey --out x --channel abc", id="no channel"),
        pytest.param("audit export log --key log.vkey --out x --entry 999", id="no such entry"),
        pytest.param("audit verify nowhere --key log.vkey", id="no such folder"),
        pytest.param("audit verify log --key nowhere", id="no such key"),
        pytest.param("audit verify log --key charter", id="a key that is none"),
        pytest.param("audit verify log --charter log.vkey", id="a charter that is none"),
        pytest.param("audit verify log --key log.vkey --head charter", id="a head that is none"),
        pytest.param("audit verify log --key log.vkey --since charter", id="a state that is none"),
        pytest.param("audit verify log --key log.vkey --log-only --save state", id="nothing to save"),
    ],
)
def test_what_can_t_be_asked(arguments: str) -> None:
    assert run(arguments.split()) == 2


@pytest.mark.parametrize("url", ["http://gateway.example/log", "https://127.0.0.1:1/log", "https:///log"])
def test_a_url_that_can_t_be_asked_is_no_verdict(url: str) -> None:
    assert run(["audit", "verify", url, "--key", "log.vkey"]) == 3
