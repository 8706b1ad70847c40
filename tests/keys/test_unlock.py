"""What a device says when it is unlocked: one length, and only for those to whom it is sealed."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import Malformed
from keys.identity import SigningKey
from keys.unlock import LENGTH, PLACES, can_hear, open_unlock, seal_unlock

BINDING = b"b" * 32
KEYS = [SigningKey.generate(os.urandom) for _ in range(PLACES + 2)]


@pytest.mark.parametrize("warning", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, PLACES])
def test_each_officer_reads_it_and_nobody_else(count: int, warning: bool) -> None:
    body = seal_unlock(warning, [key.public for key in KEYS[:count]], BINDING, os.urandom)
    assert len(body) == LENGTH
    assert [open_unlock(body, key, BINDING) for key in KEYS] == [warning] * count + [None] * (len(KEYS) - count)


def test_of_too_many_officers_some_read_it() -> None:
    body = seal_unlock(True, [key.public for key in KEYS], BINDING, os.urandom)
    assert [open_unlock(body, key, BINDING) for key in KEYS].count(True) == PLACES


def test_it_is_for_its_own_envelope_alone() -> None:
    body = seal_unlock(True, [KEYS[0].public], BINDING, os.urandom)
    assert open_unlock(body, KEYS[0], b"c" * 32) is None


def test_no_key_of_a_device() -> None:
    assert [can_hear(key) for key in (KEYS[0].public, bytes(32), b"short")] == [True, False, False]
    with pytest.raises(Malformed):
        seal_unlock(True, [bytes(32)], BINDING, os.urandom)


@pytest.mark.parametrize("length", [0, LENGTH - 1, LENGTH + 1])
def test_another_length_is_none(length: int) -> None:
    with pytest.raises(Malformed):
        open_unlock(bytes(length), KEYS[0], BINDING)


@given(st.binary(min_size=LENGTH, max_size=LENGTH))
def test_arbitrary_bytes_are_for_nobody(body: bytes) -> None:
    assert open_unlock(body, KEYS[0], BINDING) is None
