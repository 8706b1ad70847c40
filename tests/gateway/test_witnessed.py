"""A gateway and a witness as processes: cosigned over real sockets, late, back again, and in the end the one who remembers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import pytest

from clients.core.cosigned import judge
from clients.main import run
from gateway import wire
from keys.body import Act, read_gateway_act
from keys.charter import found, sign
from keys.policy import render
from keys.request import read_request
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from tests.clients.witness.test_server import serving
from tests.gateway.core.world import Party
from tests.gateway.web.live import Live, Process, command, run_command, terminate
from tests.gateway.web.test_live import page
from tests.keys.mission import Mission
from tests.waiting import wait


def founded(folder: Path, witness: str) -> Live:
    """A mission whose charter names one witness."""
    made = command("init", "--dir", folder, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    assert made.returncode == 0, made.stderr
    request = read_request((folder / "gateway.request").read_text())
    mission = Mission(3, now=time.time_ns() // 1_000_000_000 * 1000)
    mission.policy = replace(
        mission.policy,
        gateway_key=request.gateway_key,
        gateway_url=request.url,
        tls_keys=tuple(request.tls_keys),
        log_origin=request.origin,
        log_key=request.log_key,
        log_key_pq=request.log_key_pq,
        witnesses=(f"witness hostpol {witness}", "quorum hostpol"),
    )
    mission.charter = found(sign(render(mission.policy), mission.authorities[:2]))
    note = folder.parent / "charter"
    note.write_bytes(mission.charter.note)
    assert command("charter", note, "--config", folder / "gateway.toml").returncode == 0
    return Live(folder, mission, request, None, mission.charter)  # type: ignore[arg-type]


@dataclass
class Scene:
    """The gateway's folder, the witness's folder, and what runs."""

    live: Live
    witness: Path
    running: ExitStack

    def begin_witness(self, config: Path | None = None) -> None:
        port, _ = self.running.enter_context(serving(self.witness))
        file = config or self.live.folder / "gateway.toml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith(("outside", "witness"))]
        lines += ["outside-beat-seconds = 1", "outside-step = 4", "witness-late-seconds = 2"]
        lines += [f'witnesses = {{ hostpol = "http://127.0.0.1:{port}" }}', ""]
        file.write_text("\n".join(lines))

    def begin_gateway(self) -> None:
        live = self.live
        live.gateway = Process.start(live.folder)
        live.registrars = live.registrars or {
            house.organisation.name: [Party(live, r) for r in house.registrars]  # type: ignore[arg-type]
            for house in (live.mission.home, live.mission.partner)
        }

    def cosigned(self) -> Checkpoint | None:
        """What lies in the log's folder, if the charter's quorum is on it."""
        file = self.live.folder / "log" / "witnessed"
        if not file.exists():
            return None
        charter = self.live.charter
        checkpoint = open_checkpoint(file.read_bytes(), charter.log_verifiers, charter.policy.log_origin)
        assert charter.witness_policy.witnessed(checkpoint).reached
        return checkpoint

    def cosigned_since(self, size: int) -> Checkpoint | None:
        found = self.cosigned()
        return found if found is not None and found.size > size else None


@pytest.fixture
def scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Scene]:
    witness = tmp_path / "witness"
    assert run(["audit", "witness", "init", str(witness), "--name", "w.hostpol.example", "--json"]) == 0
    vkey = json.loads(capsys.readouterr().out)["vkeys"][0]
    live = founded(tmp_path / "gateway", vkey)
    vkeys = [str(live.folder / name) for name in ("log.vkey", "log-mldsa44.vkey")]
    assert run(["audit", "witness", "log", str(witness), *vkeys]) == 0
    with ExitStack() as running:
        scene = Scene(live, witness, running)
        scene.begin_witness()
        scene.begin_gateway()
        try:
            yield scene
        finally:
            live.end()


def test_a_witness_from_the_first_cosignature_to_the_rollback_it_remembers(scene: Scene) -> None:
    live = scene.live
    for name in live.registrars:
        live.publish_list(name)
    officer = live.enrolled("officer")
    wait(lambda: scene.cosigned_since(0), "a first cosignature")
    first = scene.cosigned()
    assert first is not None
    assert first.size % 4 == 0

    # A device asks what witnesses have seen.
    link = live.link(officer)
    proven = link.prove([])
    held = open_checkpoint(proven.checkpoint, [live.charter.log_verifier()], live.charter.policy.log_origin)
    told = judge(live.charter, held, link.ask(wire.GetWitnessed(2, held.size)))
    assert (told.names, told.reached, told.wrong) == (("hostpol",), True, "")
    assert not told.stale(live.now)
    assert link.ask(wire.GetWitnessed(3, 10**9)).refusal is wire.Refusal.DENIED

    # Last night's backup: the whole folder, floor and all.
    backup = live.folder.parent / "backup"
    terminate(live.gateway)
    live.disconnect()
    shutil.copytree(live.folder, backup)
    scene.begin_gateway()

    # The witness dies: nothing is held back, and somebody is told.
    scene.running.close()
    channel = officer.create_channel()
    accepted = officer.send(channel)
    assert live.link(officer).prove([accepted.places[0].index]).paths
    live.gateway.says("witnesses: no quorum has cosigned")  # which the officers are sent, too
    wait(
        lambda: "no quorum of witnesses" in page(live, "/readyz"), "a remark"
    )  # it may have been late before, and come again
    assert page(live, "/readyz").startswith("ok\n")
    assert "\noutrider_witnesses_late 1.0" in page(live, "/metrics")
    assert officer.send(channel).places

    # It comes back, with all that it has missed.
    before = scene.cosigned()
    assert before is not None
    terminate(live.gateway)
    live.disconnect()
    scene.begin_witness()
    scene.begin_witness(backup / "gateway.toml")
    scene.begin_gateway()
    wait(lambda: scene.cosigned_since(before.size), "more is cosigned")
    terminate(live.gateway)
    assert "fault" not in live.gateway.errors
    assert "Traceback" not in live.gateway.errors
    db = apsw.Connection(str(live.folder / "gateway.db"))
    acts = [read_gateway_act(b) for (b,) in db.execute("SELECT body FROM envelopes WHERE kind = 23 ORDER BY idx")]
    db.close()
    assert [act.detail for act in acts if act.act is Act.WITNESSES]

    # And whoever starts the backup is told so by the one who remembers.
    refused = command("check", "--config", backup / "gateway.toml")
    assert refused.returncode == 1, refused.stderr
    assert "ROLLBACK: witness hostpol has seen" in refused.stderr
    newest = (backup / "newest-known.note").read_bytes()
    assert open_checkpoint(newest, live.charter.log_verifiers, live.charter.policy.log_origin).size >= before.size
    assert run_command(backup).returncode == 1
