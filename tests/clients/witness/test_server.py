"""A witness as a process, over real sockets: its verbs, its two paths, and kill -9 at any moment."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.main import run
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.cosignature import check_cosignatures, verifier_of
from keys.tlog.witness import MAX_REQUEST, SIZE_TYPE, decode_cosignatures, decode_size, monitoring_path
from tests.clients.witness.logs import FORK, LOG, NAME, VKEYS
from tests.forked import Forked
from tests.keys.tlog.logs import LOG_KEYS, ORIGIN
from tests.waiting import PATIENCE

MONITORED = f"/{monitoring_path(ORIGIN)}"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, Forked]]:
    """A witness that runs; gives its port."""
    words = ["audit", "witness", "run", folder, "--listen", "127.0.0.1:0", "--json"]
    out, err = (folder.with_name(f"{folder.name}.{name}") for name in ("out", "err"))
    process = Forked("clients.main", words, out, err)
    try:
        said = process.readline()
        assert said, err.read_text()
        yield int(json.loads(said)["listening"].rsplit(":", 1)[1]), process
    finally:
        process.kill()
        process.wait(PATIENCE)


def say(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Content-Type")
    finally:
        connection.close()


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "witness"
    assert run(["audit", "witness", "init", str(folder), "--name", NAME, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (folder / "witness.vkey").read_text().splitlines() == made["vkeys"]
    (tmp_path / "log.vkey").write_text("".join(f"{vkey}\n" for vkey in VKEYS))
    assert run(["audit", "witness", "log", str(folder), str(tmp_path / "log.vkey")]) == 0
    assert run(["audit", "witness", "key", str(folder), "--ml-dsa"]) == 0
    assert capsys.readouterr().out == f"cosigns for {ORIGIN}\n{made['vkeys'][1]}\n"
    return folder


def test_a_witness_from_its_first_day_to_its_evidence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(folder) as (port, process):
        assert say(port, "GET", MONITORED)[0] == 404
        request = LOG.request(0, 256)
        status, body, _ = say(port, "POST", "/add-checkpoint", request.encode())
        assert status == 200
        keys = [verifier_of(vkey) for vkey in (folder / "witness.vkey").read_text().splitlines()]
        note = request.checkpoint.with_signatures(decode_cosignatures(body)).encode()
        assert len(check_cosignatures(open_checkpoint(note, LOG_KEYS, ORIGIN), keys)) == 2
        assert say(port, "GET", MONITORED) == (200, note, "text/plain; charset=utf-8")
        assert say(port, "POST", "/add-checkpoint", LOG.request(9, 300).encode()) == (409, b"256\n", SIZE_TYPE)
        assert say(port, "POST", "/add-checkpoint", FORK.request(256, 300).encode())[0] == 422
        assert say(port, "POST", "/add-checkpoint", b"rubbish")[0] == 400
        assert say(port, "POST", "/add-checkpoint", b"x" * (MAX_REQUEST + 1))[0] == 400
        assert say(port, "GET", "/add-checkpoint")[0] == 405
        assert say(port, "POST", MONITORED, b"")[0] == 405
        for path in (
            "/",
            "/add-checkpoint/",
            f"{MONITORED}?x",
            MONITORED.upper(),
            "/../witness.db",
            "//add-checkpoint",
        ):
            assert say(port, "GET", path)[0] == 404
        forked = FORK.request(256, 256).encode()
        assert say(port, "POST", "/add-checkpoint", forked)[0] == 422
        process.terminate()
        assert process.wait(PATIENCE) == 0
    capsys.readouterr()
    assert run(["audit", "witness", "list", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["origin"], told["size"], len(told["evidence"])) == (ORIGIN, 256, 1)
    assert run(["audit", "witness", "list", str(folder)]) == 1
    assert "EVIDENCE" in capsys.readouterr().out


def test_kill_9_at_any_moment_loses_no_cosignature(folder: Path) -> None:
    """What was answered is stored: after each kill the witness knows at least the largest size that anybody got a line for."""
    given = [0]
    for _ in range(2):
        with serving(folder) as (port, process):
            status, body, _ = say(port, "POST", "/add-checkpoint", LOG.request(0, 1).encode())
            held = 1 if status == 200 else decode_size(body)
            assert held >= given[-1]
            killer = threading.Timer(0.15, process.kill)
            killer.start()
            while held < 590:
                try:
                    status, body, _ = say(port, "POST", "/add-checkpoint", LOG.request(held, held + 1).encode())
                except (OSError, http.client.HTTPException):
                    break
                assert status == 200, body
                held += 1
                given.append(held)
            killer.join()
    with serving(folder) as (port, _):
        status, note, _ = say(port, "GET", MONITORED)
        assert status == 200
        newest = open_checkpoint(note, LOG_KEYS, ORIGIN)
        assert given[-1] <= newest.size <= given[-1] + 1
        assert newest.root == LOG.tree.root(newest.size)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["run", "FOLDER"], 2, id="no witness there"),
        pytest.param(["run", "FOLDER", "--listen", "8450"], 2, id="no host"),
        pytest.param(["key", "FOLDER"], 2, id="no key there"),
        pytest.param(["list", "FOLDER"], 2, id="no store there"),
        pytest.param(["log", "FOLDER", "absent.vkey"], 2, id="no such file"),
        pytest.param(["init", "FOLDER", "--name", "two words"], 2, id="a name that is none"),
    ],
)
def test_refusals(tmp_path: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(tmp_path / "nothing") if a == "FOLDER" else a for a in arguments]
    assert run(["audit", "witness", *given]) == code
    assert "outrider: " in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()
