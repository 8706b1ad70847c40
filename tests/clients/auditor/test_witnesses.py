"""The claim about cosignatures: by the checkpoint itself, or by the newest one that was shown to witnesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.auditor.archive import ArchiveSource, write_archive
from clients.auditor.exporting import Chosen, Exporting
from clients.auditor.verify import Asked, Cause, Claim, Outcome, Topic, verify_log
from keys.tlog.checkpoint import TreeHead
from keys.tlog.cosignature import Ed25519Cosigner, MlDsa44Cosigner
from keys.tlog.note import Note
from keys.tlog.policy import Group, TrustPolicy, Witness
from tests.keys.tlog.logs import LOG_KEYS, ORIGIN, TIME, Files, build, entries, flip, sign

OURS = Ed25519Cosigner.from_seed("ours.example", b"o" * 32)
HOSTPOL = MlDsa44Cosigner.from_seed("hostpol.example", b"h" * 32)
POLICY = TrustPolicy(
    (),
    (Witness("ours", OURS.verifier_key), Witness("hostpol", HOSTPOL.verifier_key)),
    (Group("both", 2, ("ours", "hostpol")),),
    "both",
)
LOG, EARLIER = build(entries(300)), build(entries(256))


def cosigned(files: Files, *cosigners: Ed25519Cosigner | MlDsa44Cosigner) -> bytes:
    checkpoint = files.checkpoint
    return checkpoint.note.with_signatures(c.cosign(checkpoint.head, TIME) for c in cosigners).encode()


def claim(files: Files, policy: TrustPolicy = POLICY) -> Claim:
    verified = verify_log(files.fetch, [], Asked(LOG_KEYS, TIME * 1000, log_only=True, policy=policy))
    [found] = [c for c in verified.claims if c.claim is Topic.COSIGNATURES]
    return found


def broken(note: bytes) -> bytes:
    line = note.rindex("—".encode())
    return flip(note, line + 60)


@pytest.mark.parametrize(
    ("path", "note", "outcome", "cause", "says"),
    [
        pytest.param("checkpoint", cosigned(LOG, OURS, HOSTPOL), Outcome.PASS, None, "300 of 300", id="the newest itself"),
        pytest.param("witnessed", cosigned(EARLIER, OURS, HOSTPOL), Outcome.PASS, None, "256 of 300", id="an earlier one"),
        pytest.param("witnessed", cosigned(EARLIER, OURS), Outcome.UNCHECKED, None, "by ours", id="attack-63 too few of them"),
        pytest.param("witnessed", None, Outcome.UNCHECKED, None, "by nobody", id="none of them"),
        pytest.param(
            "witnessed", cosigned(build(entries(301)), OURS, HOSTPOL), Outcome.FAIL, Cause.CUT, "only 300 are left", id="attack-15 more than is left"
        ),
        pytest.param(
            "witnessed", cosigned(build([b"x"] * 256), OURS, HOSTPOL), Outcome.FAIL, Cause.FORKED, "first 256", id="attack-14 another tree"
        ),
        pytest.param(
            "witnessed", broken(cosigned(EARLIER, HOSTPOL, OURS)), Outcome.FAIL, Cause.BAD_SIGNATURE, "ours", id="a line that fails"
        ),
        pytest.param(
            "checkpoint", broken(cosigned(LOG, HOSTPOL, OURS)), Outcome.FAIL, Cause.BAD_SIGNATURE, "ours", id="a line that fails on the newest"
        ),
        pytest.param("witnessed", b"rubbish", Outcome.FAIL, Cause.BAD_SIGNATURE, "hold", id="no note"),
    ],
)  # fmt: skip
def test_who_has_cosigned(path: str, note: bytes | None, outcome: Outcome, cause: Cause | None, says: str) -> None:
    found = claim(LOG if note is None else LOG.changed(path, note))
    assert (found.outcome, found.cause) == (outcome, cause)
    assert says in found.rule


def test_a_witnesss_line_for_another_tree_head_does_not_count() -> None:
    other = HOSTPOL.cosign(TreeHead(ORIGIN, 300, b"r" * 32), TIME)
    note = Note.decode(sign(LOG.checkpoint.head)).with_signatures([other]).encode()
    assert claim(LOG.changed("checkpoint", note)).cause is Cause.BAD_SIGNATURE


def test_a_log_that_grows_while_it_is_read_was_not_cut() -> None:
    """A live log: its checkpoint is read, and a moment later what was cosigned meanwhile."""
    later = build(entries(320))
    held = later.changed("witnessed", cosigned(later, OURS, HOSTPOL))
    first = [LOG.files["checkpoint"]]

    def fetch(path: str) -> bytes:
        return first.pop() if path == "checkpoint" and first else held.fetch(path)

    verified = verify_log(
        lambda path: fetch(path) if path in ("checkpoint", "witnessed") else LOG.fetch(path),
        [],
        Asked(LOG_KEYS, TIME * 1000, log_only=True, policy=POLICY),
    )
    [found] = [c for c in verified.claims if c.claim is Topic.COSIGNATURES]
    assert (found.outcome, "verify it again" in found.rule) == (Outcome.UNCHECKED, True)


def test_where_nobody_is_asked_for_nothing_is_claimed() -> None:
    verified = verify_log(LOG.fetch, [], Asked(LOG_KEYS, TIME * 1000, log_only=True, policy=TrustPolicy()))
    assert Topic.COSIGNATURES not in {c.claim for c in verified.claims}


@pytest.mark.parametrize(
    ("witnessed", "outcome"),
    [
        pytest.param(cosigned(EARLIER, OURS, HOSTPOL), Outcome.PASS, id="an earlier one goes along"),
        pytest.param(cosigned(build(entries(301)), OURS, HOSTPOL), Outcome.UNCHECKED, id="a newer one stays behind"),
        pytest.param(b"rubbish", Outcome.UNCHECKED, id="what is no checkpoint stays behind"),
    ],
)
def test_an_archive_holds_what_was_cosigned(tmp_path: Path, witnessed: bytes, outcome: Outcome) -> None:
    held = LOG.changed("witnessed", witnessed)
    exporting = Exporting(held, held.checkpoint, Chosen())  # type: ignore[arg-type]
    file = tmp_path / "archive"
    with file.open("wb") as opened:
        write_archive(opened, exporting.manifest, exporting.parts())
    archive = ArchiveSource(file)
    asked = Asked(LOG_KEYS, TIME * 1000, log_only=True, policy=POLICY, export=archive.export)
    verified = verify_log(archive.fetch, archive.paths(), asked)
    assert next(c.outcome for c in verified.claims if c.claim is Topic.COSIGNATURES) is outcome
