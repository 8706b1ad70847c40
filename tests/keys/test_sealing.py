"""Sealed words: read by each reader, by nobody else, for one purpose, in one place, unchanged."""

import random
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import encode, reader
from keys.errors import KeysError, Malformed, NotTrusted
from keys.identity import SigningKey
from keys.sealing import PADDING, READERS, Sealed, open_for, seal_for

KEYS = [SigningKey(bytes([n]) * 32) for n in range(3)]
RANDOM = random.Random(1).randbytes
WORDS = b"case CMP-44"
SEALED = seal_for([key.public for key in KEYS[:2]], "test", b"here", WORDS, RANDOM)
READ = reader(Sealed)


@pytest.mark.parametrize("key", KEYS[:2], ids=["one reader", "another"])
def test_each_reader_reads(key: SigningKey) -> None:
    assert open_for(key, "test", b"here", READ(encode(SEALED))) == WORDS


@pytest.mark.parametrize(
    ("key", "purpose", "binding"),
    [
        pytest.param(KEYS[2], "test", b"here", id="somebody else"),
        pytest.param(KEYS[0], "other", b"here", id="for another purpose"),
        pytest.param(KEYS[0], "test", b"there", id="in another place"),
        pytest.param(KEYS[0], "test\0", b"ere", id="purpose and place run together"),
    ],
)
def test_nobody_else_reads(key: SigningKey, purpose: str, binding: bytes) -> None:
    with pytest.raises(NotTrusted):
        open_for(key, purpose, binding, SEALED)


def test_every_changed_byte_is_noticed() -> None:
    for at in range(len(SEALED.text)):
        text = bytearray(SEALED.text)
        text[at] ^= 1
        with pytest.raises(NotTrusted):
            open_for(KEYS[0], "test", b"here", Sealed(SEALED.places, bytes(text)))


@given(st.binary(max_size=3 * PADDING))
def test_any_words_come_back_and_lengths_come_in_steps(words: bytes) -> None:
    sealed = seal_for([KEYS[0].public], "test", b"", words, RANDOM)
    assert open_for(KEYS[0], "test", b"", sealed) == words
    assert (len(sealed.text) - 16) % PADDING == 0


def test_places_stand_in_an_order_that_says_nothing() -> None:
    assert SEALED.places == sorted(SEALED.places)


def test_what_was_not_padded_is_refused() -> None:
    """As `seal_for` seals, without the padding."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    from keys import sealing

    info = sealing._info("test", b"")
    for words in (b"", b"bare", bytes(256), b"\x80" + bytes(PADDING)):
        place = sealing._SUITE.encrypt(bytes(32), sealing.exchange_key(KEYS[0].public), info=info)
        sealed = Sealed([place], ChaCha20Poly1305(bytes(32)).encrypt(bytes(12), words, info))
        with pytest.raises(Malformed):
            open_for(KEYS[0], "test", b"", sealed)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_our_errors(data: bytes) -> None:
    with pytest.raises(KeysError):
        open_for(KEYS[0], "test", b"", READ(data))


def test_keys_that_are_none_and_readers_too_many() -> None:
    with pytest.raises(Malformed):
        seal_for([next(key for n in count() if _no_point(key := bytes([n] * 32)))], "test", b"", b"", RANDOM)
    with pytest.raises(Malformed):
        seal_for([KEYS[0].public] * (READERS + 1), "test", b"", b"", RANDOM)


def _no_point(key: bytes) -> bool:
    from keys.unlock import can_hear

    return not can_hear(key)
