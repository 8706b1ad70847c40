"""tlog-proof files: both ways, checked with nothing but the log's keys, and refused when anything in them changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog.errors import BadSignature, Malformed, ProofFailed, TlogError, TooLarge, UnknownKey, WrongOrigin
from keys.tlog.merkle import leaf_hash
from keys.tlog.proof import MAX_TLOG_PROOF, TlogProof, prove
from keys.tlog.reader import LogReader
from tests.keys.tlog.logs import LOG_KEYS, ORIGIN, build, entries, entry, flip, only_own_errors

LOG = build(entries(300))
PROOF = prove(257, LOG.checkpoint, LogReader(LOG.fetch, LOG.checkpoint).hash_at)


def test_both_ways() -> None:
    for proof in (PROOF, TlogProof(0, (), PROOF.checkpoint, b"extra")):
        assert TlogProof.decode(proof.encode()) == proof
    lines = PROOF.encode().split(b"\n")
    assert lines[0] == b"c2sp.org/tlog-proof@v1"
    assert lines[1] == b"index 257"
    assert lines[2 + len(PROOF.hashes)] == b""


@pytest.mark.parametrize("index", [0, 1, 255, 256, 298, 299])
def test_every_entry_is_proved(index: int) -> None:
    data = prove(index, LOG.checkpoint, LogReader(LOG.fetch, LOG.checkpoint).hash_at, b"context").encode()
    checkpoint = TlogProof.decode(data).check(leaf_hash(entry(index)), LOG_KEYS, ORIGIN)
    assert checkpoint == LOG.checkpoint
    with pytest.raises(ProofFailed):
        TlogProof.decode(data).check(leaf_hash(entry(index + 1)), LOG_KEYS, ORIGIN)


def test_every_byte_before_the_signatures_counts() -> None:
    data = PROOF.encode()
    for place in range(data.index("—".encode()) + 120):
        with pytest.raises(TlogError):
            TlogProof.decode(flip(data, place)).check(leaf_hash(entry(257)), LOG_KEYS[:1], ORIGIN)


def test_the_checkpoint_is_checked_first() -> None:
    leaf = leaf_hash(entry(257))
    with pytest.raises(UnknownKey):
        PROOF.check(leaf, [], ORIGIN)
    with pytest.raises(WrongOrigin):
        PROOF.check(leaf, LOG_KEYS, "other.example")
    forged = PROOF.encode().replace(b"\n300\n", b"\n301\n")
    with pytest.raises(BadSignature):
        TlogProof.decode(forged).check(leaf, LOG_KEYS, ORIGIN)


GOOD = PROOF.encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(GOOD.replace(b"@v1", b"@v2"), id="another version"),
        pytest.param(GOOD.replace(b"index 257\n", b""), id="no index"),
        pytest.param(GOOD.replace(b"index 257", b"index 0257"), id="leading zero"),
        pytest.param(GOOD.replace(b"index 257", b"index -1"), id="negative"),
        pytest.param(GOOD.replace(b"index 257", b"index  257"), id="two spaces"),
        pytest.param(GOOD.replace(b"index 257", b"extra \nindex 257"), id="empty extra"),
        pytest.param(GOOD.replace(b"index 257", b"extra AB==\nindex 257"), id="bits to spare in extra"),
        pytest.param(GOOD.replace(b"index 257", b"index 257\nindex 257"), id="two indexes"),
        pytest.param(GOOD.replace(b"index 257", b"extra AA==\nextra AA==\nindex 257"), id="two extras"),
        pytest.param(GOOD.replace(b"index 257", b"index 257\r"), id="carriage return"),
        pytest.param(GOOD.replace(b"index 257", b"index 257\n" + b"\n".join([b"A" * 43 + b"="] * 64)), id="too long"),
        pytest.param(GOOD.replace(b"index 257", b"index 257\nAAAA"), id="short hash"),
        pytest.param(GOOD.replace(b"\n\noutrider", b"\noutrider"), id="no empty line"),
        pytest.param(GOOD + b"x", id="trailing byte"),
    ],
)
def test_no_other_proof(data: bytes) -> None:
    with pytest.raises(Malformed):
        TlogProof.decode(data)


def test_cut_anywhere() -> None:
    for end in range(0, len(GOOD) - 1, 3):
        with pytest.raises((Malformed, UnknownKey)):
            TlogProof.decode(GOOD[:end]).check(leaf_hash(entry(257)), LOG_KEYS[1:], ORIGIN)


def test_too_large() -> None:
    with pytest.raises(TooLarge):
        TlogProof.decode(b"c" * (MAX_TLOG_PROOF + 1))


@given(st.binary(max_size=200) | st.builds(lambda a: GOOD[:33] + a + GOOD[33:], st.binary(max_size=60)))
def test_arbitrary_bytes(data: bytes) -> None:
    found = only_own_errors(TlogProof.decode, data)
    assert not isinstance(found, TlogProof) or found.encode() == data
