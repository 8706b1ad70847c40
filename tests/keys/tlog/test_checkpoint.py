"""Checkpoints and cosignatures: goldens, and each thing that must be refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog.checkpoint import TreeHead, absent_keys, check_same_log, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import (
    Cosignature,
    Ed25519Cosigner,
    MlDsa44Cosigner,
    check_cosignatures,
    cosignature_time,
    ed25519_message,
    ml_dsa_44_message,
    verifier_of,
)
from keys.tlog.errors import BadSignature, Inconsistent, Malformed, UnknownKey, WrongOrigin
from keys.tlog.merkle import EMPTY_ROOT
from keys.tlog.note import Ed25519Signer, Note, Signature, VerifierKey
from tests.keys.tlog.logs import LOG_KEY, LOG_KEYS, LOG_PQ_KEY, ORIGIN, TIME, flip, only_own_errors, sign

EXAMPLE = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()
HEAD = TreeHead(ORIGIN, 700, bytes(range(100, 132)))
LOG = LOG_KEYS[:1]
WITNESS = Ed25519Cosigner.from_seed("witness.example/w1", b"w" * 32)
WITNESS_PQ = MlDsa44Cosigner.from_seed("witness.example/w2", b"q" * 32)
WITNESSES = [verifier_of(WITNESS.verifier_key.encode()), verifier_of(WITNESS_PQ.verifier_key.encode())]


def test_the_example_of_the_format() -> None:
    note = Note.decode(EXAMPLE)
    assert note.encode() == EXAMPLE
    head = TreeHead.decode(note.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.encode() == note.text
    assert cosignature_time(note.signatures[1]) == 1679315147
    assert ed25519_message(head, 1679315147).decode() == "cosignature/v1\ntime 1679315147\n" + note.text


def test_golden() -> None:
    assert sign_checkpoint(HEAD, [LOG_KEY]).encode().decode() == (
        "outrider.example/log\n700\nZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=\n\n— outrider.example/log "
        "6Mr/qtTiMNTbWimrJOAYEpQwJ1xwOTiriv0C8z6dzhHoqJRdOgiT8EgwFxl33SVNH+5/idMESIJij1cpEHjpiPrQgAo=\n"
    )
    assert (
        WITNESS.cosign(HEAD, TIME).encode()
        == "— witness.example/w1 dzpsEgAAAABoTuGAL/4rD/l4qsvVXVHM0nxRuInCMaU2Yw7tXQ5srD5oS0QiDn5tREKNDhpueIKOhZJZSmZRBUChKYiMfYszvEl8BA==\n"
    )


def test_golden_of_the_message_that_ml_dsa_signs() -> None:
    assert ml_dsa_44_message("w2", HEAD, TIME) == (
        b"subtree/v1\n\x00" + b"\x02w2" + TIME.to_bytes(8, "big") + b"\x14outrider.example/log"
        + bytes(8) + (700).to_bytes(8, "big") + HEAD.root
    )  # fmt: skip


def test_signed_and_opened() -> None:
    data = sign(HEAD)
    checkpoint = open_checkpoint(data, LOG_KEYS, ORIGIN)
    assert checkpoint.head == HEAD
    assert checkpoint.encode() == data
    assert absent_keys(checkpoint, LOG_KEYS) == []
    assert open_checkpoint(data, LOG, ORIGIN).head == HEAD
    assert open_checkpoint(data, LOG_KEYS[1:], ORIGIN).head == HEAD


def test_a_checkpoint_that_lacks_one_of_the_log_s_keys_says_so() -> None:
    checkpoint = open_checkpoint(sign_checkpoint(HEAD, [LOG_KEY]).encode(), LOG_KEYS, ORIGIN)
    assert absent_keys(checkpoint, LOG_KEYS) == LOG_KEYS[1:]


def test_another_log_s_checkpoint_is_refused() -> None:
    other = sign_checkpoint(TreeHead("other.example", 700, HEAD.root), [LOG_KEY]).encode()
    with pytest.raises(WrongOrigin):
        open_checkpoint(other, LOG_KEYS, ORIGIN)


def test_a_witness_does_not_speak_for_the_log() -> None:
    stranger = Ed25519Signer.from_seed(ORIGIN, b"s" * 32)
    note = sign_checkpoint(HEAD, [stranger]).with_signatures([WITNESS.cosign(HEAD, TIME)])
    with pytest.raises(UnknownKey):
        open_checkpoint(note.encode(), LOG_KEYS, ORIGIN)


def test_every_byte_of_a_checkpoint_counts() -> None:
    data = sign(HEAD)
    for place in [*range(300), *range(300, len(data), 97)]:
        try:
            checkpoint = open_checkpoint(flip(data, place), LOG_KEYS, ORIGIN)
        except (Malformed, UnknownKey, BadSignature):
            continue
        # a name or key id of a line flipped: an unknown key's line, which only the list of absent keys tells
        assert checkpoint.head == HEAD
        assert len(absent_keys(checkpoint, LOG_KEYS)) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("o\n1\n", id="two lines"),
        pytest.param("\n1\n" + "A" * 43 + "=\n", id="no origin"),
        pytest.param("o\n01\n" + "A" * 43 + "=\n", id="leading zero"),
        pytest.param("o\n+1\n" + "A" * 43 + "=\n", id="sign"),
        pytest.param("o\n1 \n" + "A" * 43 + "=\n", id="space"),
        pytest.param("o\n١\n" + "A" * 43 + "=\n", id="another script's digit"),
        pytest.param("o\n1_0\n" + "A" * 43 + "=\n", id="underscore"),
        pytest.param(f"o\n{2**63}\n" + "A" * 43 + "=\n", id="too many entries"),
        pytest.param("o\n" + "9" * 5000 + "\n" + "A" * 43 + "=\n", id="far too many digits"),
        pytest.param("o\n1\n" + "A" * 43 + "\n", id="unpadded root"),
        pytest.param("o\n1\n" + "A" * 42 + "B=\n", id="bits to spare in the root"),
        pytest.param("o\n1\nAAAA\n", id="short root"),
        pytest.param("o\n0\n" + "A" * 43 + "=\n", id="empty tree with a root of its own"),
        pytest.param("o\n1\n" + "A" * 43 + "=\nextension\n", id="extension line"),
        pytest.param("o\n1\n" + "A" * 43 + "=\n\n", id="empty line"),
        pytest.param("o\n1\n" + "A" * 43 + "=", id="no last newline"),
        pytest.param("o" * 256 + "\n1\n" + "A" * 43 + "=\n", id="long origin"),
    ],
)
def test_no_other_tree_head(text: str) -> None:
    with pytest.raises(Malformed):
        TreeHead.decode(text)


@given(st.text(max_size=80))
def test_arbitrary_text(text: str) -> None:
    with contextlib.suppress(Malformed):
        assert TreeHead.decode(text).encode() == text


@given(st.text(min_size=1, max_size=40), st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_tree_heads_both_ways(origin: str, size: int, root: bytes) -> None:
    try:
        head = TreeHead(origin, size, root)
    except Malformed:
        return
    assert TreeHead.decode(head.encode()) == head


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    assert only_own_errors(lambda d: open_checkpoint(d, LOG_KEYS, ORIGIN), data) is None


def test_the_empty_tree() -> None:
    head = TreeHead(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign(head), LOG, ORIGIN).head == head


def test_two_roots_of_one_size() -> None:
    one, other = (
        open_checkpoint(sign(TreeHead(ORIGIN, size, root)), LOG, ORIGIN)
        for size, root in ((700, HEAD.root), (700, flip(HEAD.root, 3)))
    )
    check_same_log(one, one)
    with pytest.raises(Inconsistent):
        check_same_log(one, other)


def test_cosignatures() -> None:
    note = Note.decode(sign(HEAD)).with_signatures([WITNESS.cosign(HEAD, TIME), WITNESS_PQ.cosign(HEAD, TIME + 1)])
    checkpoint = open_checkpoint(note.encode(), LOG, ORIGIN)
    assert check_cosignatures(checkpoint, WITNESSES) == (
        Cosignature("witness.example/w1", WITNESS.verifier_key.key_id, TIME),
        Cosignature("witness.example/w2", WITNESS_PQ.verifier_key.key_id, TIME + 1),
    )
    assert check_cosignatures(checkpoint, []) == ()
    again = open_checkpoint(note.with_signatures([WITNESS.cosign(HEAD, TIME + 9)]).encode(), LOG, ORIGIN)
    assert [c.time for c in check_cosignatures(again, WITNESSES)] == [TIME + 9, TIME + 1]


@pytest.mark.parametrize("witness", [pytest.param(0, id="Ed25519"), pytest.param(1, id="ML-DSA-44")])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: flip(s, 7), id="time"),
        pytest.param(lambda s: flip(s, 0, 0x80), id="time beyond 2^63"),
        pytest.param(lambda s: flip(s, 8), id="first byte"),
        pytest.param(lambda s: flip(s, len(s) - 1), id="last byte"),
        pytest.param(lambda s: s[:-1], id="cut"),
        pytest.param(lambda s: s + b"\x00", id="longer"),
        pytest.param(lambda s: s[:8], id="only a time"),
        pytest.param(lambda s: s[8:], id="no time"),
    ],
)
def test_an_altered_cosignature_sinks_the_checkpoint(witness: int, change) -> None:  # type: ignore[no-untyped-def]
    line = (WITNESS, WITNESS_PQ)[witness].cosign(HEAD, TIME)
    bad = Signature(line.name, line.key_id, change(line.signature))
    checkpoint = open_checkpoint(Note.decode(sign(HEAD)).with_signatures([bad]).encode(), LOG, ORIGIN)
    with pytest.raises(BadSignature):
        check_cosignatures(checkpoint, WITNESSES)


@pytest.mark.parametrize("witness", [pytest.param(WITNESS, id="Ed25519"), pytest.param(WITNESS_PQ, id="ML-DSA-44")])
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(TreeHead("other.example", 700, HEAD.root), id="another origin"),
        pytest.param(TreeHead(ORIGIN, 701, HEAD.root), id="another size"),
        pytest.param(TreeHead(ORIGIN, 700, flip(HEAD.root, 0)), id="another root"),
    ],
)
def test_a_cosignature_is_for_one_tree_head(witness: Ed25519Cosigner | MlDsa44Cosigner, head: TreeHead) -> None:
    checkpoint = open_checkpoint(
        Note.decode(sign(HEAD)).with_signatures([witness.cosign(head, TIME)]).encode(), LOG, ORIGIN
    )
    with pytest.raises(BadSignature):
        check_cosignatures(checkpoint, WITNESSES)


def test_a_cosignature_covers_the_cosigner_s_name_in_ml_dsa() -> None:
    line = WITNESS_PQ.cosign(HEAD, TIME)
    other = VerifierKey("witness.example/w3", 0x06, WITNESS_PQ.verifier_key.public_key)
    with pytest.raises(BadSignature):
        verifier_of(other).verify(HEAD.encode(), line.signature)


def test_a_plain_signature_is_no_cosignature_and_back() -> None:
    """One seed under both types: neither passes for the other."""
    plain, cosigner = Ed25519Signer.from_seed("w", b"w" * 32), Ed25519Cosigner.from_seed("w", b"w" * 32)
    with pytest.raises(BadSignature):
        verifier_of(cosigner.verifier_key).verify(HEAD.encode(), bytes(8) + plain.sign(HEAD.encode()).signature)
    with pytest.raises(BadSignature):
        verifier_of(plain.verifier_key).verify(HEAD.encode(), cosigner.cosign(HEAD, TIME).signature[8:])


def test_a_cosigner_signs_within_bounds() -> None:
    for witness in (WITNESS, WITNESS_PQ):
        with pytest.raises(Malformed):
            witness.cosign(HEAD, 2**63)
        with pytest.raises(Malformed):
            witness.cosign(HEAD, -1)
        with pytest.raises(Malformed):
            type(witness).from_seed("w", b"x" * 31)
    with pytest.raises(Malformed):
        MlDsa44Cosigner.from_seed("w" * 256, b"x" * 32).cosign(HEAD, TIME)
    for size in (1311, 1313):
        with pytest.raises(Malformed):
            verifier_of(VerifierKey("w", 0x06, b"x" * size))


def test_the_log_s_second_key_signs_beside_the_first() -> None:
    assert LOG_PQ_KEY.verifier_key.key_id != LOG_KEY.verifier_key.key_id
    assert len(LOG_PQ_KEY.verifier_key.public_key) == 1312
    assert len(LOG_PQ_KEY.cosign(HEAD, TIME).signature) == 8 + 2420
