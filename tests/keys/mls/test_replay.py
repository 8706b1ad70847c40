"""`replay.py` as it is run by hand: on the published file, on damaged ones, and on histories that we write ourselves."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keys.mls import SUPPORTED, cipher_suite
from tests.keys.mls.recorder import record, record_successor
from tests.keys.mls.replay import main
from tests.shared import shared

SCRIPT = Path(__file__).with_name("replay.py")


def replay(*files: Path, cwd: Path) -> tuple[int, list[str], str]:
    """Exit status, lines, and what went to standard error, as a process of its own.

    It is isolated: nothing of the tests is importable, wherever it is started.
    """
    command = [sys.executable, "-I", str(SCRIPT), *map(str, files)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.fixture
def published() -> Path:
    return shared("vectors/mls/passive-client-welcome.json")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_the_published_file_passes(published: Path, tmp_path: Path, packed: bool) -> None:
    path = published
    if packed:
        path = tmp_path / "passive-client-welcome.json.gz"
        path.write_bytes(gzip.compress(published.read_bytes(), 1))
    code, lines, errors = replay(path, cwd=tmp_path)
    assert (code, errors) == (0, "")
    assert lines == ["16 unsupported (8 in suite 4, 8 in suite 6)", "40 passed, 0 failed"]


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    """One history in each suite, short ones where the suite is slow."""
    return [record(cipher_suite(number), seed, 8) for seed, number in enumerate(SUPPORTED)]


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_recorded_histories_pass(recorded: list[dict[str, Any]], tmp_path: Path) -> None:
    code, lines, errors = replay(write(tmp_path / "ours.json", recorded), cwd=tmp_path)
    assert (code, lines, errors) == (0, [f"{len(SUPPORTED)} passed, 0 failed"], "")


def here(capsys: pytest.CaptureFixture[str], *files: Path) -> tuple[int, list[str]]:
    """The same without a process, for many cases."""
    code = main([str(file) for file in files])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("seed", range(20, 26))
def test_more_histories_pass(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "ours.json", [record(cipher_suite(1), seed)])
    assert here(capsys, path) == (0, ["1 passed, 0 failed"]), f"seed {seed}"


@pytest.mark.parametrize("reinit", [False, True], ids=["a branch", "a group begun anew"])
def test_what_follows_a_group_passes_after_it_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reinit: bool
) -> None:
    """Its Welcome names the old group's resumption PSK: the replay has it from the case before."""
    cases = record_successor(cipher_suite(1), 7, reinit=reinit)
    assert here(capsys, write(tmp_path / "both.json", cases)) == (0, ["2 passed, 0 failed"])
    code, lines = here(capsys, write(tmp_path / "alone.json", cases[1:]))
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")
    assert "case 0, suite 1, joining: MissingPreSharedKey: no resumption pre-shared key" in lines[0]


def flipped(text: str) -> str:
    """The same hexadecimal text with its last bit turned."""
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


def damage(case: dict[str, Any], *path: str | int, value: object = None) -> None:
    """Turn one bit of what lies at a path, or put a value there."""
    inside: Any = case
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = flipped(inside[path[-1]]) if value is None else value


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        pytest.param(("welcome",), None, "suite 1, joining: ", id="a bit in the welcome"),
        pytest.param(("key_package",), None, "suite 1, joining: ", id="a bit in the key package"),
        pytest.param(("init_priv",), None, "suite 1, joining: ", id="a bit in the init key"),
        pytest.param(("encryption_priv",), None, "suite 1, joining: Misuse", id="a bit in the leaf key"),
        pytest.param(("signature_priv",), None, "suite 1, joining: Misuse", id="a bit in the signature key"),
        pytest.param(("initial_epoch_authenticator",), None, "joining: Mismatch", id="another first authenticator"),
        pytest.param(("epochs", 3, "commit"), None, "epoch entry 3 (from epoch ", id="a bit in a commit"),
        pytest.param(("epochs", 7, "epoch_authenticator"), None, "epoch entry 7 (from", id="another authenticator"),
        pytest.param(("epochs", 2, "commit"), "xyz", "epochs[2]: commit is not hexadecimal", id="not hexadecimal"),
        pytest.param(("epochs", 2), [], "epochs[2] is not an object", id="an epoch that is a list"),
        pytest.param(("epochs",), {}, "epochs is not a list", id="epochs that are an object"),
        pytest.param(("welcome",), 7, "welcome is not a string", id="a welcome that is a number"),
        pytest.param(("cipher_suite",), "1", "cipher_suite is not a number", id="a suite that is a string"),
        pytest.param(("cipher_suite",), 99, "suite 99, joining: Unsupported", id="a suite nobody knows"),
    ],
)
def test_a_damaged_case_is_named_and_the_others_are_played(
    recorded: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: tuple[str | int, ...],
    value: object,
    says: str,
) -> None:
    good, bad = json.loads(json.dumps(recorded[0])), json.loads(json.dumps(recorded[0]))
    damage(bad, *path, value=value)
    code, lines = here(capsys, write(tmp_path / "damaged.json", [good, bad, good]))
    assert (code, len(lines)) == (1, 2)
    assert lines[0].startswith("FAILED ")
    assert "damaged.json: case 1" in lines[0]
    assert says in lines[0]
    assert lines[1] == "2 passed, 1 failed"


def test_a_proposal_counts_only_where_a_commit_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The format's description: the Commit is applied with those of the proposals that it incorporates."""
    case = record(cipher_suite(1), 3, 12)
    idle, needed = json.loads(json.dumps(case)), json.loads(json.dumps(case))
    entry = next(place for place, epoch in enumerate(idle["epochs"]) if epoch["proposals"])
    proposals = idle["epochs"][entry]["proposals"]
    proposals.append(flipped(proposals[0]))
    damage(needed, "epochs", entry, "proposals", 0)
    code, lines = here(capsys, write(tmp_path / "both.json", [idle, needed]))
    assert (code, lines[-1]) == (1, "1 passed, 1 failed")
    assert f"case 1, suite 1, epoch entry {entry} " in lines[0]
    assert "; proposal 0 was refused: Bad" in lines[0]


def test_a_damaged_file_fails_the_process(recorded: list[dict[str, Any]], tmp_path: Path) -> None:
    bad = json.loads(json.dumps(recorded[0]))
    damage(bad, "welcome")
    code, lines, errors = replay(write(tmp_path / "damaged.json", [bad]), cwd=tmp_path)
    assert (code, lines[-1], errors) == (1, "0 passed, 1 failed", "")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"[{", "not JSON", id="cut short"),
        pytest.param(b"\xff\xfe\xff", "not JSON", id="not text"),
        pytest.param(b"{}", "not a list of cases", id="an object"),
        pytest.param(gzip.compress(b"[]")[:-6], "can't be read", id="a packed file cut short"),
        pytest.param(b"\x1f\x8bnothing", "can't be read", id="not really packed"),
        pytest.param(None, "can't be read", id="no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, says: str
) -> None:
    path = tmp_path / "cases.json"
    if data is not None:
        path.write_bytes(data)
    code, lines = here(capsys, path)
    assert code == 1
    assert says in lines[0]
    assert "cases.json" in lines[0]
    assert lines[-1] == "0 passed, 1 failed"


def test_nothing_to_replay_is_a_mistake(tmp_path: Path) -> None:
    code, lines, errors = replay(cwd=tmp_path)
    assert (code, lines) == (2, [])
    assert errors.startswith("usage: replay.py FILE…")
