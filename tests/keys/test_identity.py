"""Keys, labels and words."""

import random
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from keys.envelope import Kind
from keys.errors import BadSignature, Malformed
from keys.identity import (
    SigningKey,
    control_channel,
    gateway_device,
    receipt_stream,
    signed_content,
    verify,
    words,
)
from tests.keys.goldens import check_golden

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(range(1, 33)))
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the Ed25519 base point
OTHER_LABELS = [
    "session",
    "session answer",
    "card",
    "enrolment request",
    "renewal proof",
    "renewal",
    "gateway refusal",
    "gateway promise",
    "gateway request",
    "organisation",
]


def test_signed_content_is_that_of_rfc_9420() -> None:
    assert signed_content("card", b"abc") == b"\x0fOutrider 1 card" + b"\x03abc"


@pytest.mark.parametrize(
    ("length", "head"),
    [
        pytest.param(63, "3f", id="the longest of one byte"),
        pytest.param(64, "4040", id="the shortest of two"),
        pytest.param(16_383, "7fff", id="the longest of two"),
        pytest.param(16_384, "80004000", id="the shortest of four"),
    ],
)
def test_vector_lengths(length: int, head: str) -> None:
    assert signed_content("x", bytes(length))[13:] == bytes.fromhex(head) + bytes(length)


def test_sign_and_verify() -> None:
    signature = KEY.sign("card", b"content")
    verify(KEY.public, "card", b"content", signature)
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(signature, signed_content("card", b"content"))
    check_golden("keys.json", "signature of a card", signature)


def high(signature: bytes) -> bytes:
    """The same signature with S + L: it holds for who doesn't check (RFC 8032 section 5.1.7)."""
    s = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + s.to_bytes(32, "little")


GOOD = KEY.sign("card", b"content")
FORGED = [
    pytest.param(OTHER.public, "card", b"content", GOOD, id="another key"),
    pytest.param(KEY.public, "session", b"content", GOOD, id="another label"),
    pytest.param(KEY.public, "card", b"contenT", GOOD, id="other content"),
    pytest.param(KEY.public, "card", b"content", bytes([GOOD[0] ^ 1]) + GOOD[1:], id="another R"),
    pytest.param(KEY.public, "card", b"content", GOOD[:-1] + bytes([GOOD[-1] ^ 1]), id="another S"),
    pytest.param(KEY.public, "card", b"content", high(GOOD), id="S beyond the order"),
    pytest.param(KEY.public, "card", b"content", GOOD[:-1], id="63 bytes"),
    pytest.param(KEY.public, "card", b"content", GOOD + b"\x00", id="65 bytes"),
    pytest.param(KEY.public, "card", b"content", b"", id="no signature"),
    pytest.param(KEY.public, "card", b"content", KEY.sign("card\x07", b"ontent"), id="a label moved into the content"),
    pytest.param(KEY.public[:-1], "card", b"content", GOOD, id="a key of 31 bytes"),
    pytest.param(KEY.public + b"\x00", "card", b"content", GOOD, id="a key of 33 bytes"),
    pytest.param(b"", "card", b"content", GOOD, id="no key"),
    pytest.param(bytes(32), "card", b"content", bytes(64), id="a key of small order"),
    pytest.param(
        b"\x01" + bytes(31), "card", b"content", b"\x01" + bytes(63), id="the neutral element signs everything"
    ),
    pytest.param(b"\xff" * 32, "card", b"content", GOOD, id="no point of the curve"),
]


@pytest.mark.parametrize(("key", "label", "content", "signature"), FORGED)
def test_forged(key: bytes, label: str, content: bytes, signature: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(key, label, content, signature)


def test_a_signature_never_borrows_its_last_byte_from_the_label() -> None:
    """63 bytes that are a whole signature together with the first byte of what is signed."""
    contents = (n.to_bytes(2, "big") for n in range(1_000))
    tried = ((content, KEY._key.sign(signed_content("card", content)[1:]).signature) for content in contents)
    content, whole = next(found for found in tried if found[1][63] == signed_content("card", found[0])[0])
    with pytest.raises(BadSignature):
        verify(KEY.public, "card", content, whole[:63])


@given(st.binary(max_size=40), st.binary(max_size=70), st.binary(max_size=20))
def test_arbitrary_keys_and_signatures(key: bytes, signature: bytes, content: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(key, "card", content, signature)


def test_every_label_is_its_own() -> None:
    labels = [kind.label for kind in Kind] + OTHER_LABELS
    assert len(set(labels)) == len(labels)
    assert all(label.isascii() and len(label) < 50 for label in labels)


def test_a_signature_under_one_label_holds_under_no_other() -> None:
    for one, other in combinations([kind.label for kind in Kind] + OTHER_LABELS, 2):
        signature = KEY.sign(one, b"content")
        with pytest.raises(BadSignature):
            verify(KEY.public, other, b"content", signature)


@given(
    st.text(st.characters(codec="ascii"), max_size=70),
    st.binary(max_size=80),
    st.text(st.characters(codec="ascii"), max_size=70),
    st.binary(max_size=80),
)
def test_signed_content_is_injective(label: str, content: bytes, other: str, another: bytes) -> None:
    same = (label, content) == (other, another)
    assert (signed_content(label, content) == signed_content(other, another)) is same


def test_generate_takes_32_bytes_and_shows_none() -> None:
    key = SigningKey.generate(random.Random(1).randbytes)
    assert key.seed == random.Random(1).randbytes(32)
    assert key.seed.hex()[:8] not in repr(key)
    assert key.public.hex()[:16] in repr(key)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_another_length(length: int) -> None:
    with pytest.raises(Malformed):
        SigningKey(bytes(length))


def test_ids_made_of_names() -> None:
    ids = [control_channel("log.test/a"), control_channel("log.test/b"), gateway_device(KEY.public)]
    ids += [receipt_stream(ids[0]), receipt_stream(ids[1]), gateway_device(OTHER.public)]  # type: ignore[arg-type]
    assert len(set(ids)) == len(ids)
    assert all(len(i) == 16 for i in ids)
    check_golden("keys.json", "control channel of log.test/a", ids[0])
    check_golden("keys.json", "receipt stream of it", ids[3])
    check_golden("keys.json", "gateway device", ids[2])


@pytest.mark.parametrize(
    ("data", "spoken"),
    [
        pytest.param("7f000001", "lusab-babad", id="127.0.0.1, of the paper"),
        pytest.param("3f54dcc1", "gutih-tugad", id="63.84.220.193, of the paper"),
        pytest.param("ffff0000", "zuzuz-babab", id="the ends"),
    ],
)
def test_words_are_proquints(data: str, spoken: str) -> None:
    assert words(bytes.fromhex(data), 2) == spoken


def test_words_never_stand_for_bytes_that_are_not_there() -> None:
    assert len(words(bytes(12)).split("-")) == 6
    with pytest.raises(AssertionError):
        words(bytes(11))
