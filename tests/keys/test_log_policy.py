"""What a charter says of its log: the second key, the witnesses and their quorum, the log before it; and how that may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clients.auditor.verify.claims import Findings, Outcome, Topic
from clients.auditor.verify.heads import check_charter_keys
from clients.authority.ceremony import with_witnesses
from clients.main import run
from keys.charter import Charter, found, sign, succeed
from keys.errors import CharterRefused, Malformed
from keys.policy import Policy, parse, render
from keys.request import Ended, GatewayRequest, read_request, write_request
from keys.tlog.checkpoint import TreeHead, absent_keys, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import Ed25519Cosigner, MlDsa44Cosigner
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Signer, Signature, VerifierKey
from keys.tlog.policy import TrustPolicy
from keys.tlog.succession import Predecessor
from tests.keys.mission import Mission

MISSION = Mission(4)
ORIGIN = MISSION.policy.log_origin
SECOND = MlDsa44Cosigner.from_seed(ORIGIN, b"2" * 32)
OTHER = MlDsa44Cosigner.from_seed(ORIGIN, b"3" * 32)
WITNESS = Ed25519Cosigner.from_seed("witness.hostpol.example", b"w" * 32)
LINES = (
    f"witness hostpol {WITNESS.verifier_key.encode()} https://w.example/",
    "group all-of-them all hostpol",
    "quorum all-of-them",
)
BEFORE = Predecessor(
    "log.test/old", (Ed25519Signer.from_seed("log.test/old", b"o" * 32).verifier_key.encode(),), 9, b"r" * 32, 4
)


def policy(**changes: Any) -> Policy:
    return replace(MISSION.policy, **changes)


def charter(**changes: Any) -> Charter:
    return found(sign(render(policy(**changes)), MISSION.authorities[:2]))


def after(held: Charter, **changes: Any) -> Charter:
    changed = replace(held.policy, version=held.policy.version + 1, **changes)
    return succeed(held, sign(render(changed), MISSION.authorities[:2]))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"log_key_pq": SECOND.verifier_key.encode()}, id="a second key"),
        pytest.param({"witnesses": LINES}, id="witnesses"),
        pytest.param({"witnesses": ("quorum none",)}, id="a quorum of nobody"),
        pytest.param({"predecessor": BEFORE}, id="a log before it"),
    ],
)
def test_both_ways(changes: dict[str, Any]) -> None:
    given = policy(**changes)
    text = render(given)
    assert parse(text) == given
    assert render(parse(text)) == text
    assert len(text) > len(render(MISSION.policy))


def vkey(cosigner: Ed25519Cosigner | MlDsa44Cosigner, kind: int, name: str) -> str:
    return VerifierKey(name, kind, cosigner.verifier_key.public_key).encode()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"log_key_pq": "rubbish"}, "key-pq", id="a second key that is none"),
        pytest.param({"log_key_pq": MISSION.log.verifier_key.encode()}, "key-pq", id="an Ed25519 key as the second"),
        pytest.param({"log_key_pq": vkey(SECOND, 6, "log.test/x")}, "named as its origin", id="a second key of another name"),
        pytest.param({"witnesses": LINES[:1]}, "witnesses", id="witnesses without a quorum"),
        pytest.param({"witnesses": ("somebody",)}, "witnesses", id="no tlog-policy"),
        pytest.param({"witnesses": (f"log {MISSION.log.verifier_key.encode()}", "quorum none")}, r"\[log\]", id="a log line"),
        pytest.param(
            {"witnesses": (f"witness w {VerifierKey('w.example', 4, MISSION.log.verifier_key.public_key).encode()}", "quorum w")},
            "key of its own",
            id="the log as its own witness",
        ),
        pytest.param(
            {"witnesses": (f"witness w {VerifierKey('w.example', 4, MISSION.gateway.public).encode()}", "quorum w")},
            "key of its own",
            id="the gateway as a witness",
        ),
        pytest.param(
            {"log_key_pq": SECOND.verifier_key.encode(), "witnesses": (f"witness w {vkey(SECOND, 6, 'w.example')}", "quorum w")},
            "key of its own",
            id="the log's second key as a witness",
        ),
        pytest.param(
            {"witnesses": (f"witness w {vkey(WITNESS, 4, ORIGIN)}", "quorum w")}, "not named", id="a witness named as the log"
        ),
        pytest.param(
            {"predecessor": replace(BEFORE, origin=ORIGIN, keys=(MISSION.log.verifier_key.encode(),))},
            "of its own",
            id="a log before itself",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(CharterRefused, match=why):
        parse(render(policy(**changes)))


def test_a_table_of_the_log_before_it_is_read_strictly() -> None:
    text = render(policy(predecessor=BEFORE)).decode()
    for wrong in (
        text.replace("kept = 4", "kept = 10"),
        text.replace("size = 9", "size = 0"),
        text.replace("kept = 4", "kept = 4\nwhy = 1"),
        text.replace('origin = "log.test/old"', 'origin = "log.test/new"'),
    ):
        assert wrong != text
        with pytest.raises(CharterRefused, match="predecessor"):
            parse(wrong.encode())
    with pytest.raises(TlogError):
        replace(BEFORE, keys=())


def test_a_second_key_may_come_and_never_go() -> None:
    first = charter()
    second = after(first, log_key_pq=SECOND.verifier_key.encode())
    third = after(second, witnesses=LINES)
    assert [v.key_id for v in third.log_verifiers] == [MISSION.log.verifier_key.key_id, SECOND.verifier_key.key_id]
    for key in ("", OTHER.verifier_key.encode()):
        with pytest.raises(CharterRefused, match="keeps the log's keys"):
            after(second, log_key_pq=key)
    with pytest.raises(CharterRefused, match="log before"):
        after(first, predecessor=BEFORE)


def test_a_checkpoint_without_the_second_line_is_noticed() -> None:
    """Whoever audits asks for a line of each key that the charter names: an altered line is one of an unknown key."""
    named = charter(log_key_pq=SECOND.verifier_key.encode())
    head = TreeHead(ORIGIN, 5, b"r" * 32)
    bare = sign_checkpoint(head, [MISSION.log])
    for lines, absent in (((), 1), ((OTHER.cosign(head, 1),), 1), ((SECOND.cosign(head, 1),), 0)):
        note = bare.with_signatures(lines).encode()
        checkpoint = open_checkpoint(note, named.log_verifiers, ORIGIN)
        assert len(absent_keys(checkpoint, named.log_verifiers)) == absent


@pytest.mark.parametrize(
    ("line", "fails"),
    [
        pytest.param(SECOND.cosign(TreeHead(ORIGIN, 5, b"r" * 32), 1), False, id="it holds"),
        pytest.param(SECOND.cosign(TreeHead(ORIGIN, 6, b"r" * 32), 1), True, id="it is of another tree"),
        pytest.param(OTHER.cosign(TreeHead(ORIGIN, 5, b"r" * 32), 1), True, id="it is by another key"),
        pytest.param(None, True, id="it is not there"),
    ],
)
def test_an_auditor_who_has_one_key_checks_the_other_as_the_charter_names_it(
    line: Signature | None, fails: bool
) -> None:
    named = charter(log_key_pq=SECOND.verifier_key.encode())
    note = sign_checkpoint(TreeHead(ORIGIN, 5, b"r" * 32), [MISSION.log]).with_signatures([line] if line else [])
    findings = Findings()
    check_charter_keys(open_checkpoint(note.encode(), [named.log_verifier()], ORIGIN), named, findings)
    assert [c.outcome for c in findings.claims([Topic.CHECKPOINT])] == [Outcome.FAIL if fails else Outcome.PASS]


def test_the_charters_quorum_is_a_tlog_policy() -> None:
    assert charter().witness_policy == TrustPolicy()
    given = charter(witnesses=LINES).witness_policy
    assert [w.name for w in given.witnesses] == ["hostpol"]
    assert given.reached(["hostpol"])
    assert not given.reached([])


# ---------------------------------------------------------------------- the ceremony


def test_witnesses_come_from_a_file_of_others_making(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy"
    file.write_text(
        "# who cosigns\n" + f"log {MISSION.log.verifier_key.encode()}\n" + "".join(f" {line}\n" for line in LINES)
    )
    assert with_witnesses(MISSION.policy, file.read_bytes()).witnesses == LINES
    assert with_witnesses(policy(witnesses=LINES), b"quorum none\n").witnesses == ()
    held = tmp_path / "charter"
    held.write_bytes(MISSION.charter.note)
    out = tmp_path / "next.toml"
    arguments = ["mission", "charter", "propose", "--from", str(held), "--witnesses", str(file), "--out", str(out)]
    assert run(arguments) == 0
    assert parse(out.read_bytes()).witnesses == LINES
    capsys.readouterr()
    assert run(["mission", "charter", "show", str(out)]) == 0
    assert "witness  hostpol; quorum all-of-them" in capsys.readouterr().out


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(b"rubbish", id="no policy"),
        pytest.param(
            b"log " + Ed25519Signer.from_seed("x", b"x" * 32).verifier_key.encode().encode() + b"\nquorum none\n", id="of another log"
        ),
        pytest.param(b"witness \xff " + WITNESS.verifier_key.encode().encode() + b"\nquorum \xff\n", id="no UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_witnesses(file: bytes) -> None:
    with pytest.raises(CharterRefused):
        with_witnesses(MISSION.policy, file)


def test_a_request_names_both_keys_and_the_log_before(tmp_path: Any) -> None:
    request = GatewayRequest(
        "https://gw.example",
        ORIGIN,
        MISSION.log.verifier_key.encode(),
        MISSION.gateway.public,
        [bytes(32)],
        SECOND.verifier_key.encode(),
        Ended(b"note", 7),
    )
    assert read_request(write_request(request, MISSION.gateway)) == request
    for wrong in (
        {"log_key_pq": vkey(SECOND, 6, "log.test/x")},
        {"log_key_pq": "rubbish"},
        {"origin": "log.test/x"},
    ):
        with pytest.raises(Malformed):
            write_request(
                GatewayRequest(**({f: getattr(request, f) for f in request.__struct_fields__} | wrong)), MISSION.gateway
            )
