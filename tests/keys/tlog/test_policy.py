"""tlog-policy: the specification's example and each of its rules, both ways, and what a quorum makes of cosignatures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog.checkpoint import TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import Ed25519Cosigner, MlDsa44Cosigner
from keys.tlog.errors import BadSignature, Malformed, TlogError, TooLarge, UnknownKey
from keys.tlog.note import VerifierKey
from keys.tlog.policy import MAX_OF_EACH, MAX_POLICY, Group, TrustPolicy, Witness
from tests.keys.tlog.logs import LOG_KEY, LOG_KEYS, LOG_PQ_KEY, ORIGIN, TIME, only_own_errors, sign

NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
COSIGNERS = {name: Ed25519Cosigner.from_seed(f"{name.lower()}.example", name.encode() * 16) for name in NAMES}
PQ = MlDsa44Cosigner.from_seed("pq.example", b"p" * 32)
VKEY = {name: cosigner.verifier_key.encode() for name, cosigner in COSIGNERS.items()}
LOG_VKEY = LOG_KEY.verifier_key.encode()
EXAMPLE = f"""\
log {LOG_VKEY}

witness X1 {VKEY["X1"]}
witness X2 {VKEY["X2"]}
witness X3 {VKEY["X3"]}
group X-witnesses 2 X1 X2 X3

witness Y1 {VKEY["Y1"]}
witness Y2 {VKEY["Y2"]}
witness Y3 {VKEY["Y3"]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()
POLICY = TrustPolicy.decode(EXAMPLE)


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_the_example_of_the_specification() -> None:
    assert [log.key.name for log in POLICY.logs] == [ORIGIN]
    assert [w.name for w in POLICY.witnesses] == list(NAMES)
    assert POLICY.groups[0] == Group("X-witnesses", 2, ("X1", "X2", "X3"))
    assert [g.threshold for g in POLICY.groups] == [2, 1, 2]
    assert POLICY.quorum == "X-and-Y"


@pytest.mark.parametrize(
    ("names", "reached"),
    [
        pytest.param([], False, id="nobody"),
        pytest.param(["X1", "X2"], False, id="one group alone"),
        pytest.param(["X1", "Y1", "Y2", "Y3"], False, id="one short of two"),
        pytest.param(["X1", "X3", "Y2"], True, id="two and one"),
        pytest.param(NAMES, True, id="everybody"),
        pytest.param(["X-and-Y"], False, id="a group's name is no witness"),
        pytest.param(["X1", "X1", "X1", "Y1"], False, id="one that cosigned thrice is one"),
    ],
)
def test_what_makes_its_quorum(names: list[str], reached: bool) -> None:
    assert POLICY.reached(names) is reached


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(POLICY, id="the example"),
        pytest.param(TrustPolicy(), id="no cosignatures asked for"),
        pytest.param(
            TrustPolicy(
                (),
                (
                    Witness("a#b", PQ.verifier_key, "https://witness.example/x"),
                    Witness("K\udce2", VerifierKey.decode(VKEY["X1"])),
                ),
                (Group("g", 1, ("a#b",)),),
                "g",
            ),
            id="ML-DSA-44, a URL, octets that are no UTF-8",
        ),
    ],
)
def test_both_ways(policy: TrustPolicy) -> None:
    data = policy.encode()
    assert TrustPolicy.decode(data) == policy
    assert TrustPolicy.decode(data).encode() == data
    for end in range(len(data)):
        with pytest.raises(TlogError):
            TrustPolicy.decode(data[:end])
    assert TrustPolicy.decode(b"# comment\n\t \n" + data.replace(b" ", b" \t ") + b"  # more\n") == policy


W1, W2 = f"witness a {VKEY['X1']}", f"witness b {VKEY['X2']}"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(text(W1), id="no quorum line"),
        pytest.param(text(W1, "quorum a", "quorum a"), id="two quorum lines"),
        pytest.param(text("quorum a", W1), id="a quorum above its witness"),
        pytest.param(text("quorum a b", W1), id="a quorum of two words"),
        pytest.param(text(W1, "quorum c"), id="a quorum that is nobody"),
        pytest.param(text("group g any a", W1, "quorum g"), id="a group above its witness"),
        pytest.param(text(W1, "group g all a g", "quorum g"), id="a group in itself"),
        pytest.param(text(W1, "group g 2 a", "quorum g"), id="more than there are"),
        pytest.param(text(W1, "group g 0 a", "quorum g"), id="none of them"),
        pytest.param(text(W1, "group g +1 a", "quorum g"), id="a sign"),
        pytest.param(text(W1, "group g most a", "quorum g"), id="no rule"),
        pytest.param(text(W1, "group g any", "quorum g"), id="no members"),
        pytest.param(text(W1, "group g any a a", "quorum g"), id="a member twice"),
        pytest.param(text(W1, "group g any a", "group h any a", "quorum g"), id="a member of two groups"),
        pytest.param(text(W1, "group g any none", "quorum g"), id="none as a member"),
        pytest.param(text(W1, "group a any a", "quorum a"), id="a group and a witness of one name"),
        pytest.param(text(W1, f"witness a {VKEY['X2']}", "quorum a"), id="two witnesses of one name"),
        pytest.param(text(W1, f"witness b {VKEY['X1']}", "quorum a"), id="one witness under two names"),
        pytest.param(text(f"witness none {VKEY['X1']}", "quorum none"), id="a witness called none"),
        pytest.param(text(f"log {LOG_VKEY}", f"log {LOG_VKEY} https://log", "quorum none"), id="a log twice"),
        pytest.param(text(f"witness a {LOG_VKEY}", "quorum a"), id="a log's key for a witness"),
        pytest.param(text(f"log {VKEY['X1']}", "quorum none"), id="a witness's key for a log"),
        pytest.param(text("witness a x+00000000+AA==", "quorum a"), id="no verifier key"),
        pytest.param(text(W1 + " https://w extra", "quorum a"), id="a word too many"),
        pytest.param(text("witness a", "quorum none"), id="a word too few"),
        pytest.param(text("trust everybody", "quorum none"), id="an unknown line"),
        pytest.param(text(W1, "quorum a")[:-1], id="no newline at the end"),
        pytest.param(text(W1, "quorum a\r"), id="a carriage return"),
        pytest.param(text(W1, "quorum a\x7f"), id="a control character"),
    ],
)
def test_what_is_no_policy(data: bytes) -> None:
    with pytest.raises(Malformed):
        TrustPolicy.decode(data)


def test_one_public_key_under_two_names_is_one() -> None:
    """Duplicates are told by the key and not by name and id (tlog-policy, "Public key representation")."""
    other = VerifierKey("other.example", 0x04, COSIGNERS["X1"].verifier_key.public_key).encode()
    with pytest.raises(Malformed):
        TrustPolicy.decode(text(W1, f"witness b {other}", "quorum a"))


def test_its_limits() -> None:
    keys = [Ed25519Cosigner.from_seed("w.example", bytes([n]) * 32).verifier_key for n in range(MAX_OF_EACH + 1)]
    lines = [f"witness w{n} {key.encode()}" for n, key in enumerate(keys)]
    assert MAX_OF_EACH >= 32
    assert len(TrustPolicy.decode(text(*lines[:-1], "quorum w0")).witnesses) == MAX_OF_EACH
    with pytest.raises(TooLarge):
        TrustPolicy.decode(text(*lines, "quorum w0"))
    with pytest.raises(TooLarge):
        TrustPolicy.decode(b"#" * MAX_POLICY + b"\n")


@given(st.binary(max_size=300) | st.text(alphabet="# \t\nwitnesgroupqumlanykX1", max_size=200).map(str.encode))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    found = only_own_errors(TrustPolicy.decode, data)
    if isinstance(found, TrustPolicy):
        assert TrustPolicy.decode(found.encode()) == found


# ---------------------------------------------------------------------- of a checkpoint

HEAD = TreeHead(ORIGIN, 7, b"r" * 32)
SIGNED = open_checkpoint(sign(HEAD), LOG_KEYS, ORIGIN)


def cosigned(*names: str) -> bytes:
    return SIGNED.note.with_signatures(COSIGNERS[name].cosign(HEAD, TIME + n) for n, name in enumerate(names)).encode()


def test_a_checkpoint_is_held_against_the_quorum() -> None:
    assert not POLICY.witnessed(SIGNED).reached
    assert POLICY.witnessed(SIGNED).time == 0
    some = POLICY.witnessed(open_checkpoint(cosigned("Y1", "X1"), LOG_KEYS, ORIGIN))
    assert (some.names, some.reached, some.time) == (("X1", "Y1"), False, TIME + 1)
    enough = POLICY.witnessed(open_checkpoint(cosigned("X1", "X2", "Y1"), LOG_KEYS, ORIGIN))
    assert enough.reached
    assert TrustPolicy().witnessed(SIGNED).reached


def test_both_types_of_key_count() -> None:
    policy = TrustPolicy((), (Witness("pq", PQ.verifier_key),), (), "pq")
    note = SIGNED.note.with_signatures([PQ.cosign(HEAD, TIME)]).encode()
    assert policy.witnessed(open_checkpoint(note, LOG_KEYS, ORIGIN)).reached


def test_a_line_of_a_witness_that_fails_sinks_the_note() -> None:
    other = COSIGNERS["X1"].cosign(TreeHead(ORIGIN, 8, b"r" * 32), TIME)
    note = SIGNED.note.with_signatures([other, *(COSIGNERS[n].cosign(HEAD, TIME) for n in ("X2", "X3", "Y1"))]).encode()
    with pytest.raises(BadSignature):
        POLICY.witnessed(open_checkpoint(note, LOG_KEYS, ORIGIN))


def test_a_policys_logs_open_its_checkpoints() -> None:
    policy = TrustPolicy.decode(text(f"log {LOG_PQ_KEY.verifier_key.encode()}", f"log {LOG_VKEY}", "quorum none"))
    checkpoint, witnessed = policy.open(sign(HEAD))
    assert (checkpoint.head, len(checkpoint.verified), witnessed.reached) == (HEAD, 2, True)
    assert not POLICY.open(sign(HEAD))[1].reached
    assert POLICY.open(cosigned("X1", "X2", "Y1"))[1].reached
    with pytest.raises(UnknownKey):
        TrustPolicy().open(sign(HEAD))
    with pytest.raises(UnknownKey):  # a log speaks for its own origin alone
        policy.open(sign_checkpoint(TreeHead("other.example", 7, b"r" * 32), [LOG_KEY]).encode())
    with pytest.raises(BadSignature):
        policy.open(sign(HEAD).replace(b"\n7\n", b"\n8\n"))
