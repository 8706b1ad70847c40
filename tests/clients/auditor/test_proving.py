"""A proof written out of a log's folder and read without it (tlog-proof)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clients.main import run
from keys.charter import sign
from keys.policy import render
from keys.tlog.cosignature import Ed25519Cosigner
from keys.tlog.merkle import leaf_hash
from keys.tlog.policy import TrustPolicy
from keys.tlog.proof import TlogProof
from tests.keys.mission import Mission
from tests.keys.tlog.logs import LOG_KEY, LOG_KEYS, ORIGIN, TIME, build, entries, entry, flip

WITNESS = Ed25519Cosigner.from_seed("w.example", b"w" * 32)
LOG, EARLIER = build(entries(300)), build(entries(256))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, data in {**EARLIER.files, **LOG.files}.items():
        file = tmp_path / "log" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    head = EARLIER.checkpoint
    note = head.note.with_signatures([WITNESS.cosign(head.head, TIME)])
    (tmp_path / "log" / "witnessed").write_bytes(note.encode())
    (tmp_path / "log.vkey").write_text(LOG_KEY.verifier_key.encode())
    (tmp_path / "policy").write_text(f"witness w {WITNESS.verifier_key.encode()}\nquorum w\n")
    return tmp_path


def audit(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> tuple[int, str]:
    shared = ["--key", str(folder / "log.vkey"), "--profile", str(folder / "none")]
    capsys.readouterr()
    code = run(["audit", *map(str, arguments), *shared])
    return code, capsys.readouterr().out


@pytest.mark.parametrize(
    ("index", "size", "code"),
    [
        pytest.param(0, 256, 0, id="the first, cosigned"),
        pytest.param(255, 256, 0, id="the last that is cosigned"),
        pytest.param(299, 300, 7, id="newer than what is cosigned"),
    ],
)
def test_a_proof_is_written_and_read(
    folder: Path, capsys: pytest.CaptureFixture[str], index: int, size: int, code: int
) -> None:
    file = folder / "one.tlog-proof"
    assert audit(capsys, folder, "prove", folder / "log", index, "--out", file)[0] == 0
    proof = TlogProof.decode(file.read_bytes())
    assert proof.check(leaf_hash(entry(index)), LOG_KEYS, ORIGIN).size == size
    assert audit(capsys, folder, "proof", file)[0] == 0
    ended, out = audit(capsys, folder, "proof", file, "--policy", folder / "policy", "--json")
    told = json.loads(out)
    assert (ended, told["index"], told["size"], told["witnesses"]["quorum"]) == (code, index, size, code == 0)


def test_a_proof_that_was_changed_does_not_hold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "one.tlog-proof"
    assert audit(capsys, folder, "prove", folder / "log", 7, "--out", file)[0] == 0
    good = file.read_bytes()
    for place in (40, good.index(b"index") + 6, good.index(b"index") + 20):
        file.write_bytes(flip(good, place))
        assert audit(capsys, folder, "proof", file)[0] == 1
    file.write_bytes(TlogProof(7, TlogProof.decode(good).hashes, TlogProof.decode(good).checkpoint).encode())
    assert audit(capsys, folder, "proof", file)[0] == 1


def test_what_is_not_there_is_not_proved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(capsys, folder, "prove", folder / "log", 300, "--out", folder / "x")[0] == 7
    assert not (folder / "x").exists()


def test_the_charters_quorum_is_printed_for_tools_by_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mission = Mission()
    lines = (f"witness w {WITNESS.verifier_key.encode()}", "quorum w")
    note = sign(render(replace(mission.policy, witnesses=lines)), mission.authorities[:2])
    (tmp_path / "charter").write_bytes(note)
    capsys.readouterr()
    assert run(["audit", "policy", "--charter", str(tmp_path / "charter")]) == 0
    policy = TrustPolicy.decode(capsys.readouterr().out.encode())
    assert [log.key.encode() for log in policy.logs] == [mission.policy.log_key]
    assert (policy.quorum, [w.key for w in policy.witnesses]) == ("w", [WITNESS.verifier_key])
    assert run(["audit", "policy", "--profile", str(tmp_path)]) == 0
    assert run(["audit", "policy", "--profile", str(tmp_path / "none")]) == 2
