"""Who signs a charter, and what may follow what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.charter import NOTE_LIMIT, Charter, found, pinned, reopen, sign, succeed, succession
from keys.errors import CharterRefused, Expired, NotPermitted, NotTrusted
from keys.identity import control_channel, gateway_device
from keys.policy import Policy, Verb, render
from keys.tlog.note import Ed25519Signer, Note, Signature
from tests.keys.mission import NOW, Mission

MISSION = Mission()
FIRST = MISSION.charter
A, B, C = MISSION.authorities
STRANGERS = [Ed25519Signer.from_seed(f"authority-{n}", bytes([n]) * 32) for n in range(3)]
TEXT = render(MISSION.policy)


def note(policy: Policy, *signers: Ed25519Signer) -> bytes:
    return sign(render(policy), signers)


def second(*signers: Ed25519Signer, **changes: Any) -> bytes:
    return note(MISSION.successor(**changes), *signers)


def keyed(*signers: Ed25519Signer) -> tuple[str, ...]:
    return tuple(s.verifier_key.encode() for s in signers)


def doubled(data: bytes) -> bytes:
    """The note with its first signature line once more."""
    last = data.rindex(b"\n\n") + 2
    line = data[last:].split(b"\n")[0] + b"\n"
    return data + line


def misattributed(data: bytes) -> bytes:
    """A's valid signature under B's name and key id as well."""
    made = Note.decode(data)
    (line,) = made.signatures
    key = B.verifier_key
    return replace(made, signatures=(line, Signature(key.name, key.key_id, line.signature))).encode()


def test_found() -> None:
    for signers in ([A, B], [B, C], [C, A], [A, B, C]):
        charter = found(note(MISSION.policy, *signers))
        assert charter.policy == MISSION.policy
        assert charter.hash == FIRST.hash, "a signature more or less makes no other charter"
        assert charter.text == TEXT


NO_FOUNDING = [
    pytest.param(note(MISSION.policy, A), "1 of the 2", id="attack-27 one signature of a quorum of two"),
    pytest.param(doubled(note(MISSION.policy, A)), "1 of the 2", id="attack-27 one signature twice"),
    pytest.param(misattributed(note(MISSION.policy, A)), "fails", id="attack-27 one signature under two names"),
    pytest.param(
        note(MISSION.policy, A, STRANGERS[1]), "1 of the 2", id="one signature and a stranger of the same name"
    ),
    pytest.param(note(MISSION.policy, *STRANGERS), "no trusted key", id="attack-27 strangers only"),
    pytest.param(note(MISSION.policy, MISSION.log, A), "1 of the 2", id="the log's key does not count"),
    pytest.param(note(replace(MISSION.policy, version=2), A, B), "begins with version 1", id="version 2"),
    pytest.param(TEXT, "text, an empty line|signature", id="a text without signatures"),
    pytest.param(FIRST.note.replace(b"quorum = 2", b"quorum = 1"), "fails", id="the quorum lowered afterwards"),
    pytest.param(FIRST.note[:-1], None, id="cut by a byte"),
    pytest.param(FIRST.note + b"\n", None, id="a byte left over"),
    pytest.param(FIRST.note + bytes(NOTE_LIMIT), "at most", id="longer than a frame carries"),
    pytest.param(b"", None, id="nothing"),
    pytest.param(b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n", None, id="not UTF-8"),
    pytest.param(sign(TEXT, [A, B]).replace(b"mission = ", b"extra = 1\nmission = "), "unknown", id="an unknown key"),
]


@pytest.mark.parametrize(("data", "why"), NO_FOUNDING)
def test_no_founding(data: bytes, why: str | None) -> None:
    with pytest.raises(CharterRefused, match=why):
        found(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    for read in (found, reopen, lambda d: succeed(FIRST, d), lambda d: pinned([d], bytes(32))):
        with pytest.raises(CharterRefused):
            read(data)


def test_one_byte_changed_anywhere() -> None:
    """Any byte with `OUTRIDER_THOROUGH=1`; else each 41st, some on each line."""
    data = FIRST.note
    for n in range(0, len(data), 1 if os.environ.get("OUTRIDER_THOROUGH") == "1" else 41):
        changed = data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :]
        with pytest.raises(CharterRefused):
            found(changed)


def test_succeed() -> None:
    third = succeed(succeed(FIRST, second(A, B)), note(replace(MISSION.policy, version=3), B, C))
    assert third.policy.version == 3


def test_authorities_hand_over_when_both_sides_sign() -> None:
    new = STRANGERS
    handed = second(A, B, *new[:2], authority_keys=keyed(*new), quorum=2)
    charter = succeed(FIRST, handed)
    after = note(replace(charter.policy, version=3), *new[1:])
    assert succeed(charter, after).policy.version == 3
    with pytest.raises(CharterRefused):
        succeed(charter, note(replace(charter.policy, version=3), A, B))


@pytest.mark.parametrize("gone", [A, B, C], ids=["the first", "the second", "the third"])
def test_attack_26_an_authority_key_that_is_lost_or_stolen_is_replaced_by_the_others(gone: Ed25519Signer) -> None:
    """A quorum of those that are left names another in its place; from then on it counts for nothing."""
    rest = [key for key in (A, B, C) if key is not gone]
    fresh = Ed25519Signer.from_seed("authority-d", b"d" * 32)
    after = succeed(FIRST, second(*rest, authority_keys=keyed(*rest, fresh)))
    third = replace(after.policy, version=3)
    with pytest.raises(CharterRefused, match="1 of the 2"):
        succeed(after, note(third, gone, rest[0]))
    assert succeed(after, note(third, fresh, rest[1])).policy.version == 3


NEW = {"authority_keys": keyed(*STRANGERS), "quorum": 2}
GROWN = {"authority_keys": keyed(A, B, C, Ed25519Signer.from_seed("authority-d", b"d" * 32)), "quorum": 3}
NO_SUCCESSOR = [
    pytest.param(second(A), "1 of the 2", id="one signature"),
    pytest.param(doubled(second(A)), "1 of the 2", id="one signature twice"),
    pytest.param(second(*STRANGERS), "no trusted key", id="strangers"),
    pytest.param(
        second(*STRANGERS, **NEW), "no trusted key", id="attack-26 a stolen policy that names its own authorities"
    ),
    pytest.param(
        second(A, *STRANGERS, **NEW), "1 of the 2", id="attack-26 one stolen key that names its own authorities"
    ),
    pytest.param(second(A, B, **NEW), "no trusted key", id="the old quorum for new keys that have not signed"),
    pytest.param(second(A, B, STRANGERS[0], **NEW), "1 of the 2", id="the old quorum and too few of the new"),
    pytest.param(second(A, B, **GROWN), "2 of the 3", id="the quorum raised and not yet reached"),
    pytest.param(second(A, **(GROWN | {"quorum": 1})), "1 of the 2", id="the quorum lowered by one key alone"),
    pytest.param(FIRST.note, "can't follow", id="the version held"),
    pytest.param(
        note(replace(MISSION.policy, mission="x"), A, B), "can't follow", id="another charter of the version held"
    ),
    pytest.param(note(replace(MISSION.policy, version=3), A, B), "can't follow", id="a version skipped"),
    pytest.param(second(A, B, mission="Other"), "keeps the mission", id="another mission"),
    pytest.param(
        second(
            A,
            B,
            log_origin="log.test/x",
            log_key=Ed25519Signer.from_seed("log.test/x", bytes(32)).verifier_key.encode(),
        ),
        "keeps the mission",
        id="another log",
    ),
    pytest.param(
        second(A, B, log_key=Ed25519Signer.from_seed("log.test/meridian", bytes(32)).verifier_key.encode()),
        "keeps the mission",
        id="another key of the log",
    ),
]


@pytest.mark.parametrize(("data", "why"), NO_SUCCESSOR)
def test_no_successor(data: bytes, why: str | None) -> None:
    with pytest.raises(CharterRefused, match=why):
        succeed(FIRST, data)


def test_a_version_before_the_one_held() -> None:
    held = succeed(FIRST, second(A, B))
    with pytest.raises(CharterRefused, match="version 1 can't follow version 2"):
        succeed(held, FIRST.note)


NOTES = [FIRST.note, second(A, B), note(replace(MISSION.policy, version=3), B, C)]
HASHES = [charter.hash for charter in succession(NOTES)]


def test_succession() -> None:
    assert [c.policy.version for c in succession(NOTES)] == [1, 2, 3]
    assert len(set(HASHES)) == 3


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param([], id="none"),
        pytest.param(NOTES[1:], id="the first missing"),
        pytest.param([NOTES[0], NOTES[2]], id="one in the middle missing"),
        pytest.param([NOTES[1], NOTES[0]], id="in another order"),
        pytest.param([*NOTES, NOTES[2]], id="the last twice"),
    ],
)
def test_no_succession(notes: Sequence[bytes]) -> None:
    with pytest.raises(CharterRefused):
        succession(notes)


@pytest.mark.parametrize("pin", [pytest.param(h, id=f"version {n}") for n, h in enumerate(HASHES, 1)])
def test_pinned_gives_the_newest(pin: bytes) -> None:
    assert pinned(NOTES, pin).policy.version == 3


def test_a_pin_that_is_in_no_version() -> None:
    with pytest.raises(CharterRefused, match="new invite"):
        pinned(NOTES, bytes(32))
    with pytest.raises(CharterRefused, match="new invite"):
        pinned(NOTES[:2], HASHES[2])


def test_a_stranger_s_mission_has_not_the_pin() -> None:
    other = Mission(seed=2)
    with pytest.raises(CharterRefused):
        pinned([other.charter.note], FIRST.hash)
    with pytest.raises(CharterRefused):
        pinned([FIRST.note, sign(render(other.successor()), other.authorities)], FIRST.hash)


def test_false_beginnings_lead_to_the_pinned_version_all_the_same() -> None:
    """Anybody can write a version 1 that "precedes" the pinned text; what is returned is the pinned version itself."""
    false = replace(MISSION.policy, authority_keys=keyed(*STRANGERS))
    joined = sign(render(MISSION.successor()), STRANGERS, second(A, B))
    assert pinned([note(false, *STRANGERS), joined], HASHES[1]).policy == MISSION.successor()


def test_reopen_checks_the_quorum_again() -> None:
    assert reopen(NOTES[2]).policy.version == 3
    with pytest.raises(CharterRefused):
        reopen(second(A))


def test_signatures_are_gathered_one_after_the_other() -> None:
    one = sign(TEXT, [A])
    both = sign(TEXT, [B], one)
    assert found(both).policy == MISSION.policy
    assert sign(TEXT, [A, B], both) == both, "nobody signs twice"
    assert len(Note.decode(both).signatures) == 2


@pytest.mark.parametrize(
    ("text", "signed", "why"),
    [
        pytest.param(b"mission = 1\n", None, None, id="no policy"),
        pytest.param(TEXT, note(MISSION.successor(), A), "another text", id="beside signatures of another text"),
        pytest.param(TEXT, b"rubbish", None, id="beside no note"),
        pytest.param(TEXT.rstrip(b"\n"), None, "newline", id="a text that does not end its line"),
    ],
)
def test_what_nobody_signs(text: bytes, signed: bytes | None, why: str | None) -> None:
    with pytest.raises(CharterRefused, match=why):
        sign(text, [A], signed)


def test_without_signers() -> None:
    with pytest.raises(CharterRefused):
        sign(TEXT, [])


def test_what_the_charter_names() -> None:
    assert FIRST.control_channel == control_channel("log.test/meridian")
    assert FIRST.gateway_device == gateway_device(MISSION.gateway.public)
    assert FIRST.log_verifier().key == MISSION.log.verifier_key
    assert isinstance(FIRST, Charter)


def test_verbs_come_from_the_certificate_s_roles() -> None:
    officer, agent = MISSION.device("officer").certified, MISSION.device("agent").certified
    FIRST.check_verb(officer, Verb.ALERT)
    with pytest.raises(NotPermitted, match="agent: may not alert"):
        FIRST.check_verb(agent, Verb.ALERT)
    registrar = FIRST.verify_certificate(MISSION.home.registrars[0].der)
    with pytest.raises(NotPermitted, match="no role: may not send"):
        FIRST.check_verb(registrar, Verb.SEND)


def test_a_charter_that_drops_a_registrar_drops_what_it_issued() -> None:
    device = MISSION.device("agent").certified
    stays = Mission(seed=3).house("Meridian", home=True, roles=MISSION.home.organisation.roles).organisation
    charter = succeed(FIRST, second(A, B, organisations=(stays, MISSION.partner.organisation)))
    with pytest.raises(NotTrusted):
        charter.verify_certificate(device.der)


def test_the_end_is_a_warning() -> None:
    end = MISSION.policy.not_after
    FIRST.check_time(NOW)
    FIRST.check_time(end)
    with pytest.raises(Expired, match="successor is due"):
        FIRST.check_time(end + 1)
    assert succeed(FIRST, second(A, B)), "past its end a charter is succeeded as ever"
