"""ATTACKS 16: a database that was restored from an old backup. The start is refused; the way out is another origin, by the quorum."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clients.auditor.source import FolderSource
from clients.auditor.verify import Asked, Cause, Claim, Outcome, Topic, Verdict, Verified, verify_log
from clients.authority.ceremony import Plan, found_mission, propose, with_log
from clients.main import run
from gateway.config import load
from gateway.core import acts
from gateway.core.append import Gateway
from gateway.exits import run_loop
from gateway.home import open_keys
from gateway.running import clock, opened
from keys.body import Act
from keys.charter import Charter, pinned, refounded, reopen, sign, succeed
from keys.errors import CharterRefused
from keys.policy import render
from keys.request import read_request
from keys.tlog.checkpoint import TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import MlDsa44Cosigner, verifier_of
from keys.tlog.errors import Inconsistent, WrongOrigin
from keys.tlog.merkle import EMPTY_ROOT
from keys.tlog.note import Ed25519Signer
from tests.gateway.web.live import Done, command, founded
from tests.keys.mission import Mission

PLAN = Plan("Meridian Mission", "Meridian", not_after=2**42)


def say(folder: Path, count: int) -> None:
    """Entries of the gateway's own, under a checkpoint."""

    async def work() -> None:
        async with opened(load(folder / "gateway.toml")) as held:
            with held.store.snapshot() as view:
                charter = view.charter()
            assert charter is not None
            gateway = Gateway(charter, held.keys.gateway)
            for _ in range(count):
                await held.store.decide(lambda v: acts.act(v, gateway, Act.START, "test", clock(), os.urandom))
            await held.sequencer.drain()

    run_loop(work())


@dataclass
class Scene:
    """A gateway that was rolled back from 8 entries to 5."""

    mission: Mission
    charter: Charter
    old: Path
    head: Path
    new: Path

    def init(self, *more: str | Path) -> Done:
        listening = ("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
        return command("init", "--dir", self.new, *listening, *more)

    def successor(self, signers: Sequence[Ed25519Signer] | None = None) -> bytes:
        """The charter that the authorities sign for the new gateway's request."""
        request = read_request((self.new / "gateway.request").read_text())
        policy = propose(with_log(self.charter.policy, request), version=2)
        return sign(render(policy), self.mission.authorities[:2] if signers is None else signers)

    def install(self, note: bytes, folder: Path | None = None) -> Done:
        file = self.old.parent / "next.note"
        file.write_bytes(note)
        return command("charter", file, "--config", (folder or self.new) / "gateway.toml")

    def verified(self, note: bytes, pin: Charter | None) -> Verified:
        keys = reopen(note).log_verifiers
        source = FolderSource(self.new / "log")
        old = FolderSource(self.old / "log")
        return verify_log(source.fetch, source.paths(), Asked(keys, clock(), charter=pin, before=old.fetch))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    place = tmp_path_factory.mktemp("succession")
    old = place / "old"
    mission, _, charter = founded(old)
    say(old, 4)
    shutil.copy(old / "gateway.db", place / "backup.db")
    say(old, 3)
    head = place / "head"
    shutil.copy(old / "log" / "checkpoint", head)
    for rest in old.glob("gateway.db-*"):
        rest.unlink()
    shutil.copy(place / "backup.db", old / "gateway.db")
    return Scene(mission, charter, old, head, place / "new")


@pytest.fixture
def scene(template: Scene, tmp_path: Path) -> Scene:
    for name in ("old", "head"):
        made = template.old.parent / name
        (shutil.copytree if made.is_dir() else shutil.copy)(made, tmp_path / name)
    return replace(template, old=tmp_path / "old", head=tmp_path / "head", new=tmp_path / "new")


def claim(verified: Verified, topic: Topic) -> Claim:
    return next(c for c in verified.claims if c.claim is topic)


def test_attack_16_the_start_is_refused_and_a_new_origin_is_the_way_out(scene: Scene) -> None:
    refused = command("check", "--config", scene.old / "gateway.toml")
    assert (refused.returncode, "ROLLBACK" in refused.stderr) == (1, True), refused.stderr
    made = scene.init("--succeeds", scene.old)
    assert made.returncode == 0, made.stderr
    assert "8 entries signed for, 3 of them lost" in made.stdout
    note = scene.successor()
    before = reopen(note).policy.predecessor
    assert before is not None
    assert (before.origin, before.size, before.missing) == (scene.charter.policy.log_origin, 8, range(5, 8))
    installed = scene.install(note)
    assert installed.returncode == 0, installed.stderr
    assert "version 2" in installed.stdout
    assert scene.install(note).stdout.endswith("is in force already\n")
    say(scene.new, 2)
    # Devices that knew the mission find their way by the succession, an auditor by either charter.
    notes = [scene.charter.note, note]
    assert pinned(notes, scene.charter.hash) == succeed(scene.charter, note)
    for pin, says in (
        (None, "entries 5 to 7 of it are lost"),
        (scene.charter, "follows version 1"),
        (reopen(note), "version 2 is the one given"),
    ):
        found = scene.verified(note, pin)
        assert found.verdict is Verdict.CONSISTENT, found.claims
        assert says in claim(found, Topic.CHARTER).rule
        assert "8 of the 8 entries" in claim(found, Topic.PREDECESSOR).rule
    command_line = ["verify", scene.new / "log", "--before", scene.old / "log", "--key", scene.new / "log.vkey"]
    assert run(["audit", *map(str, command_line), "--profile", str(scene.new)]) == 0
    old = FolderSource(scene.old / "log")
    checkpoint = open_checkpoint(old.fetch("checkpoint"), before.verifiers, before.origin)
    assert before.check(checkpoint) == 8


def test_another_log_does_not_pass_for_the_predecessor(scene: Scene) -> None:
    """Cut, forked, gone, or that of another mission: each is named."""
    assert scene.init("--succeeds", scene.old).returncode == 0
    note = scene.successor()
    assert scene.install(note).returncode == 0
    log, vkey = scene.old / "log", verifier_of(scene.charter.policy.log_key)
    good = (log / "checkpoint").read_bytes()
    found = claim(scene.verified(note, None), Topic.PREDECESSOR)
    assert found.outcome is Outcome.PASS
    keys = open_keys(load(scene.old / "gateway.toml")).log
    for head, cause in (
        (TreeHead(keys.origin, 8, b"x" * 32), Cause.FORKED),
        (TreeHead(keys.origin, 9, b"x" * 32), Cause.FORKED),
        (TreeHead(keys.origin, 7, b"x" * 32), Cause.MISSING),
        (TreeHead(keys.origin, 0, EMPTY_ROOT), Cause.CUT),
    ):
        (log / "checkpoint").write_bytes(sign_checkpoint(head, [keys.ed25519]).encode())
        assert claim(scene.verified(note, None), Topic.PREDECESSOR).cause is cause
    (log / "checkpoint").write_bytes(good.replace(vkey.name.encode(), b"another.example", 1))
    assert claim(scene.verified(note, None), Topic.PREDECESSOR).cause is Cause.BAD_SIGNATURE
    (log / "checkpoint").unlink()
    assert claim(scene.verified(note, None), Topic.PREDECESSOR).cause is Cause.MISSING


def test_another_missions_charter_does_not_pass_for_the_predecessors(scene: Scene) -> None:
    assert scene.init("--succeeds", scene.old).returncode == 0
    note = scene.successor()
    assert scene.install(note).returncode == 0
    stranger = Mission(99).charter
    found = scene.verified(note, stranger)
    assert claim(found, Topic.CHARTER).outcome is Outcome.FAIL


def test_the_newest_head_that_anybody_kept_is_cited(scene: Scene) -> None:
    """Also where the whole folder was restored, so that nothing in it knows better; and where nothing is left of it."""
    backup = scene.old / "log" / "checkpoint"
    backup.unlink()
    assert scene.init("--succeeds", scene.old, "--head", scene.head).returncode == 0
    request = read_request((scene.new / "gateway.request").read_text())
    assert request.ended is not None
    assert request.ended.kept == 5
    assert b"\n8\n" in request.ended.checkpoint
    shutil.rmtree(scene.new)
    charter = scene.old.parent / "charter-1.note"
    charter.write_bytes(scene.charter.note)
    made = scene.init("--old-charter", charter, "--head", scene.head)
    assert made.returncode == 0, made.stderr
    assert "8 entries signed for, 8 of them lost" in made.stdout
    assert scene.install(scene.successor()).returncode == 0


def test_what_is_refused(scene: Scene) -> None:
    other = Ed25519Signer.from_seed(scene.charter.policy.log_origin, b"x" * 32)
    forged = scene.old.parent / "forged"
    forged.write_bytes(sign_checkpoint(TreeHead(other.name, 0, EMPTY_ROOT), [other]).encode())
    for more in (
        ("--succeeds", scene.old, "--head", forged),
        ("--succeeds", scene.old.parent / "nowhere"),
        ("--succeeds", scene.old, "--origin", scene.charter.policy.log_origin),
        ("--succeeds", scene.old, "--old-charter", scene.head),
        ("--head", scene.head),
        ("--old-charter", scene.head, "--head", scene.head),
    ):
        assert scene.init(*more).returncode == 2, more
    assert not scene.new.exists()
    assert scene.init("--succeeds", scene.old).returncode == 0
    note = scene.successor()
    for signers in (scene.mission.authorities[:1], [scene.mission.authorities[2]]):
        assert scene.install(scene.successor(signers)).returncode == 1
    with pytest.raises(CharterRefused, match="put it into that mission's charter"):
        found_mission(read_request((scene.new / "gateway.request").read_text()), PLAN, clock(), os.urandom)
    another = MlDsa44Cosigner.from_seed(reopen(note).policy.log_origin, b"y" * 32).verifier_key.encode()
    wrong = render(replace(reopen(note).policy, log_key_pq=another))
    named = scene.install(sign(wrong, scene.mission.authorities[:2]))
    assert (named.returncode, "names another gateway or log" in named.stderr) == (2, True)
    # The old gateway never takes it: the charter names another gateway and log than its.
    assert scene.install(note, scene.old).returncode == 1


def test_a_successor_that_says_nothing_of_the_old_log_is_refused(scene: Scene) -> None:
    assert scene.init("--succeeds", scene.old).returncode == 0
    good = reopen(scene.successor()).policy
    assert good.predecessor is not None
    for wrong in (
        replace(good, predecessor=None),
        replace(good, predecessor=replace(good.predecessor, origin="x", keys=(verifier_named("x"),))),
        replace(good, predecessor=replace(good.predecessor, keys=(verifier_named(good.predecessor.origin),))),
    ):
        with pytest.raises(CharterRefused, match="predecessor"):
            succeed(scene.charter, sign(render(wrong), scene.mission.authorities[:2]))
    second = succeed(scene.charter, sign(render(good), scene.mission.authorities[:2]))
    third = replace(good, version=3, predecessor=None)
    with pytest.raises(CharterRefused, match="log before"):
        succeed(second, sign(render(third), scene.mission.authorities[:2]))
    with pytest.raises(CharterRefused, match="begins with"):
        refounded(scene.charter.note)


def verifier_named(name: str) -> str:
    return Ed25519Signer.from_seed(name, b"v" * 32).verifier_key.encode()


def test_heads_of_the_old_log_that_others_kept(scene: Scene) -> None:
    """Whoever holds a newer head than the one cited, or another, has evidence against who founded the new log."""
    assert scene.init("--succeeds", scene.old).returncode == 0
    before = reopen(scene.successor()).policy.predecessor
    assert before is not None
    assert before.covers(before.head)
    assert before.covers(TreeHead(before.origin, 3, b"r" * 32))
    assert not before.covers(TreeHead(before.origin, 9, b"r" * 32))
    with pytest.raises(Inconsistent):
        before.covers(TreeHead(before.origin, 8, b"r" * 32))
    with pytest.raises(WrongOrigin):
        before.covers(TreeHead("other", 8, before.root))
    assert [verifier_of(key).name for key in before.keys] == [before.origin]
