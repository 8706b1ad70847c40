"""Words to an answer: for their readers alone, with this answer of this device, and the same for all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from keys.canonical import reader
from keys.errors import BadSignature, KeysError, Malformed, NotTrusted
from keys.identity import SigningKey
from keys.sealing import seal_for
from keys.words import WORDS_LIMIT, Words, open_words, seal_words
from tests.keys.shapes import takes_one_encoding

CHEN, DARA, BEN = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
ROOT, AYO, EVE = b"R" * 32, b"A" * 16, b"E" * 16


def random(n: int) -> bytes:
    return b"7" * n


def said(text: str = "two wounded") -> Words:
    return seal_words(text, [CHEN.public, DARA.public], ROOT, AYO, random)


@pytest.mark.parametrize("text", ["", "two wounded", "dos heridos · ñ", "x" * WORDS_LIMIT])
def test_each_reader_reads_them(text: str) -> None:
    for key in (CHEN, DARA):
        assert open_words(said(text), key, ROOT, AYO) == text


@pytest.mark.parametrize(
    ("open_", "error"),
    [
        pytest.param(lambda w: open_words(w, BEN, ROOT, AYO), NotTrusted, id="somebody else in the channel"),
        pytest.param(lambda w: open_words(w, CHEN, ROOT, EVE), NotTrusted, id="with another's answer"),
        pytest.param(lambda w: open_words(w, CHEN, EVE * 2, AYO), NotTrusted, id="with an answer to another alert"),
        pytest.param(lambda w: open_words(replace(w, tag=bytes(32)), CHEN, ROOT, AYO), BadSignature, id="another tag"),
    ],
)
def test_nobody_else_reads_them(open_: Callable[[Words], str], error: type[KeysError]) -> None:
    with pytest.raises(error):
        open_(said())


def test_two_officers_are_not_told_two_things() -> None:
    """Whoever seals one text to each signs one tag."""
    other = seal_for([DARA.public], "words to an answer", ROOT + AYO, random(16) + b"all is well", random)
    with pytest.raises(BadSignature):
        open_words(Words(said().tag, other), DARA, ROOT, AYO)


def test_what_is_no_text() -> None:
    from keys.franking import franking_tag

    sealed = seal_for([CHEN.public], "words to an answer", ROOT + AYO, random(16) + b"\xff", random)
    with pytest.raises(Malformed):
        open_words(Words(franking_tag(random(16), b"\xff"), sealed), CHEN, ROOT, AYO)


def test_their_length_tells_little() -> None:
    assert len(said("yes").sealed.text) == len(said("no, and " * 20).sealed.text)


def test_too_long() -> None:
    with pytest.raises(Malformed):
        said("x" * (WORDS_LIMIT + 1))


def test_one_encoding() -> None:
    takes_one_encoding(reader(Words, limit=8_192), said("no"))
