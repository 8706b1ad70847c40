"""Signed notes: the example of the format, the rules of verifying, and one encoding only."""

from base64 import b64encode
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import BadSignature, Malformed, TooLarge, UnknownKey
from keys.tlog.note import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Ed25519Signer,
    Ed25519Verifier,
    Note,
    Signature,
    VerifierKey,
    open_note,
    sign_note,
)
from tests.keys.tlog.logs import flip, only_own_errors

EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
POEM = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
).encode()

ANNA = Ed25519Signer.from_seed("anna.example", b"a" * 32)
BERT = Ed25519Signer.from_seed("bert.example", b"b" * 32)
ANNA_KEY, BERT_KEY = verifier_of(ANNA.verifier_key), verifier_of(BERT.verifier_key)
TEXT = "Gate east is closed.\n\nUse gate west.\n"


def test_the_example_of_the_format() -> None:
    note = Note.decode(EXAMPLE)
    assert note.encode() == EXAMPLE
    assert VerifierKey.decode(EXAMPLE_KEY).encode() == EXAMPLE_KEY
    assert open_note(note, [verifier_of(EXAMPLE_KEY)]).text == "This is an example message.\n"


def test_every_byte_of_the_example_counts() -> None:
    """A flipped byte anywhere is not this note any more, whatever it is then."""
    for place in range(len(EXAMPLE)):
        with pytest.raises((Malformed, UnknownKey, BadSignature)):
            open_note(Note.decode(flip(EXAMPLE, place)), [verifier_of(EXAMPLE_KEY)])


def test_a_text_may_hold_empty_lines() -> None:
    note = Note.decode(POEM)
    assert note.encode() == POEM
    assert note.text.endswith("\n\ned è subito sera.\n")
    assert note.signatures[0].name == "quasimodo.example/salvatore"


def test_a_signature_made_here_is_always_the_same() -> None:
    assert sign_note("golden\n", [ANNA]).encode().decode() == (
        "golden\n\n— anna.example "
        "eJ1sQMZjSokE7+KGr73RWnXppw7bYsLfmv0yBiPuByIxZTuDa/jhLz2OWGSZH0JzCU2sySXrTDk+WhBiU5YqBrro3g8=\n"
    )
    assert ANNA.verifier_key.encode() == "anna.example+789d6c40+Aa8Go+MpFxTk81bBnJsVzRlR7G5mYqp3vgdUfyiTgzQd"


def test_signed_here_and_opened_here() -> None:
    note = sign_note(TEXT, [ANNA, BERT])
    opened = open_note(Note.decode(note.encode()), [ANNA_KEY, BERT_KEY])
    assert opened.text == TEXT
    assert [line.name for line in opened.verified] == ["anna.example", "bert.example"]
    assert opened.note == note


def test_unknown_keys_are_passed_over() -> None:
    note = sign_note(TEXT, [BERT, ANNA])
    assert [line.name for line in open_note(note, [ANNA_KEY]).verified] == ["anna.example"]
    junk = Signature("bert.example", b"\x00" * 4, b"no signature at all")
    assert open_note(note.with_signatures([junk]), [ANNA_KEY, BERT_KEY])


def test_a_name_alone_or_an_id_alone_is_another_key() -> None:
    line = sign_note(TEXT, [ANNA]).signatures[0]
    for other in (Signature("carl.example", line.key_id, b"x" * 64), Signature(line.name, b"\x00" * 4, b"x" * 64)):
        assert open_note(Note(TEXT, (other, line)), [ANNA_KEY]).verified == (line,)
        with pytest.raises(UnknownKey):
            open_note(Note(TEXT, (other,)), [ANNA_KEY])


def test_one_failing_line_of_a_known_key_sinks_the_note() -> None:
    good, bad = sign_note(TEXT, [ANNA]).signatures[0], sign_note("Other.\n", [BERT]).signatures[0]
    assert open_note(Note(TEXT, (good, bad)), [ANNA_KEY])
    for lines in ((good, bad), (bad, good)):
        with pytest.raises(BadSignature):
            open_note(Note(TEXT, lines), [ANNA_KEY, BERT_KEY])
    forged = Signature(good.name, good.key_id, flip(good.signature, 0))
    for lines in ((good, forged), (forged, good)):  # a second line of the same key counts as well
        with pytest.raises(BadSignature):
            open_note(Note(TEXT, lines), [ANNA_KEY])


@pytest.mark.parametrize("length", [1, 63, 65])
def test_a_signature_of_another_length_fails(length: int) -> None:
    line = Signature("anna.example", ANNA.verifier_key.key_id, b"x" * length)
    with pytest.raises(BadSignature):
        open_note(Note(TEXT, (line,)), [ANNA_KEY])


def test_nobody_known_is_no_note() -> None:
    with pytest.raises(UnknownKey):
        open_note(sign_note(TEXT, [ANNA]), [BERT_KEY])
    with pytest.raises(UnknownKey):
        open_note(sign_note(TEXT, [ANNA]), [])


@dataclass(frozen=True)
class Namesake:
    """Another key that shares name and id with one of ours."""

    name: str
    key_id: bytes

    def verify(self, text: str, signature: bytes) -> None:
        """Would take anything."""


def test_two_trusted_keys_must_not_be_mistaken() -> None:
    with pytest.raises(Malformed):
        open_note(sign_note(TEXT, [ANNA]), [ANNA_KEY, Namesake(ANNA_KEY.name, ANNA_KEY.key_id)])


LINE = EXAMPLE.decode().split("\n")[2]
SPACED = LINE.replace("foo", "f\u00a0o")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"text\n", id="no signatures"),
        pytest.param(b"text\n\n", id="no signature lines"),
        pytest.param(f"text\n{LINE}\n".encode(), id="no empty line"),
        pytest.param(f"\n{LINE}\n".encode(), id="no text"),
        pytest.param(f"text\n\n{LINE}".encode(), id="no last newline"),
        pytest.param(f"text\n\n{LINE}\n\n".encode(), id="an empty line at the end"),
        pytest.param(f"text\n\n{LINE}\nmore\n".encode(), id="text after signatures"),
        pytest.param(f"te\rxt\n\n{LINE}\n".encode(), id="carriage return"),
        pytest.param(f"te\x00xt\n\n{LINE}\n".encode(), id="zero byte"),
        pytest.param(b"te\xffxt\n\n" + LINE.encode() + b"\n", id="not UTF-8"),
        pytest.param(f"text\n\n{LINE.replace('—', '-')}\n".encode(), id="hyphen for a dash"),
        pytest.param(f"text\n\n{LINE.replace('foo ', 'foo  ')}\n".encode(), id="two spaces"),
        pytest.param(f"text\n\n{LINE} \n".encode(), id="trailing space"),
        pytest.param(f"text\n\n{LINE.replace('foo', 'f+o')}\n".encode(), id="plus in a name"),
        pytest.param(f"text\n\n{SPACED}\n".encode(), id="no-break space in a name"),
        pytest.param(f"text\n\n{LINE.replace('example.com/foo', '')}\n".encode(), id="no name"),
        pytest.param(f"text\n\n{LINE.replace('=', '')}\n".encode(), id="unpadded"),
        pytest.param(f"text\n\n{LINE.replace('aQM=', 'aQN=')}\n".encode(), id="bits to spare"),
        pytest.param(f"text\n\n{LINE.replace('Uw2', 'Uw-')}\n".encode(), id="other alphabet"),
        pytest.param("text\n\n— a AAAA\n".encode(), id="no key id"),
        pytest.param("text\n\n— a AAAAAA==\n".encode(), id="no signature after the key id"),
        pytest.param("text\n\n— a\n".encode(), id="only a name"),
    ],
)
def test_no_other_note(data: bytes) -> None:
    with pytest.raises(Malformed):
        Note.decode(data)


def test_bounds() -> None:
    line = f"— a {b64encode(b'x' * 10).decode()}\n"
    assert len(Note.decode(("t\n\n" + line * MAX_SIGNATURES).encode()).signatures) == MAX_SIGNATURES >= 16
    with pytest.raises(TooLarge):
        Note.decode(("t\n\n" + line * (MAX_SIGNATURES + 1)).encode())
    with pytest.raises(TooLarge):
        Note.decode(b"t" * (MAX_NOTE + 1))
    many = tuple(Signature("a", b"abcd", bytes([i])) for i in range(MAX_SIGNATURES + 1))
    with pytest.raises(TooLarge):
        Note("t\n", many[:-1]).with_signatures(many[-1:])


def test_cut_anywhere() -> None:
    note = sign_note(TEXT, [ANNA]).encode()
    for end in range(len(note)):
        with pytest.raises((Malformed, UnknownKey)):
            open_note(Note.decode(note[:end]), [ANNA_KEY])


@given(st.binary(max_size=200) | st.builds(lambda a, b: a + b"\n\n" + b, st.binary(max_size=40), st.just(EXAMPLE[29:])))
def test_arbitrary_bytes(data: bytes) -> None:
    found = only_own_errors(Note.decode, data)
    assert not isinstance(found, Note) or found.encode() == data


@given(st.text(max_size=60), st.text(max_size=10), st.binary(min_size=1, max_size=80))
def test_whatever_can_be_made_can_be_read(text: str, name: str, signature: bytes) -> None:
    try:
        note = Note(text + "\n", (Signature(name, b"abcd", signature),))
    except Malformed:
        return
    assert Note.decode(note.encode()) == note


@pytest.mark.parametrize(
    "vkey",
    [
        pytest.param("", id="nothing"),
        pytest.param("example.com/foo", id="name only"),
        pytest.param(EXAMPLE_KEY.replace("530d903a", "530d903b"), id="another key id"),
        pytest.param(EXAMPLE_KEY.replace("530d903a", "530D903A"), id="upper case"),
        pytest.param(EXAMPLE_KEY.replace("foo", "f o"), id="space in the name"),
        pytest.param(EXAMPLE_KEY.replace("foo", "bar"), id="another name"),
        pytest.param(EXAMPLE_KEY + "\n", id="newline"),
        pytest.param(EXAMPLE_KEY[:-1], id="cut"),
        pytest.param("example.com/foo+530d903a+", id="no key"),
    ],
)
def test_no_other_vkey(vkey: str) -> None:
    with pytest.raises(Malformed):
        VerifierKey.decode(vkey)


@given(st.text(max_size=80), st.integers(0, 255), st.binary(min_size=1, max_size=60))
def test_vkeys_both_ways(text: str, kind: int, public: bytes) -> None:
    found = only_own_errors(lambda data: VerifierKey.decode(data.decode()), text.encode(errors="replace"))
    assert found is None
    key = VerifierKey("a.example", kind, public)
    assert VerifierKey.decode(key.encode()) == key


def test_a_key_is_of_its_type() -> None:
    with pytest.raises(Malformed):
        Ed25519Verifier(VerifierKey("a", 0x04, b"x" * 32))
    with pytest.raises(Malformed):
        Ed25519Verifier(VerifierKey("a", 0x01, b"x" * 33))
    for kind in (0x02, 0x05, 0xFF):
        with pytest.raises(Malformed):
            verifier_of(VerifierKey("a", kind, b"x" * 32))
    with pytest.raises(Malformed):
        Ed25519Signer.from_seed("a", b"x" * 31)


def test_a_seed_is_never_shown() -> None:
    assert "aaaa" not in repr(ANNA)
    assert b64encode(b"a" * 32).decode() not in repr(ANNA)


@pytest.mark.parametrize("text", ["", "no newline", "car\rriage\n", "tab\t\n", "\ud800\n"])
def test_no_other_text_is_signed(text: str) -> None:
    with pytest.raises(Malformed):
        sign_note(text, [ANNA])
