"""Key files: they open with their passphrase and with nothing else, and are read in one encoding."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.authority.keyfile import PREFIX, Kept, KeyFile, Purpose, open_key, read_key_file, seal_key
from clients.vault import CHEAP
from keys.errors import BadSignature, KeysError, Malformed

KEPT = Kept(bytes(range(32)), b"certificate", 2, b"charter")


@pytest.fixture(scope="module")
def file() -> KeyFile:
    return seal_key(Purpose.REGISTRAR, "Meridian", KEPT, "open sesame", random.Random(1).randbytes, CHEAP)


def test_a_file_opens_with_its_passphrase(file: KeyFile) -> None:
    assert read_key_file(file.text()) == file
    assert open_key(read_key_file(file.text()), "open sesame") == KEPT


def test_a_file_shows_neither_seed_nor_certificate(file: KeyFile) -> None:
    assert KEPT.seed not in file.sealed
    assert KEPT.certificate not in file.sealed


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "Hostpol"}, id="another name"),
        pytest.param({"purpose": Purpose.AUTHORITY}, id="another purpose"),
        pytest.param({"salt": bytes(16)}, id="another salt"),
        pytest.param({"nonce": bytes(24)}, id="another nonce"),
        pytest.param({"sealed": bytes(80)}, id="another content"),
        pytest.param({"sealed": b""}, id="no content"),
    ],
)
def test_an_altered_file_does_not_open(file: KeyFile, changes: dict[str, object]) -> None:
    values = {name: getattr(file, name) for name in KeyFile.__struct_fields__}
    with pytest.raises(BadSignature):
        open_key(KeyFile(**(values | changes)), "open sesame")


def test_another_passphrase_does_not_open(file: KeyFile) -> None:
    with pytest.raises(BadSignature):
        open_key(file, "open says me")


def test_a_file_cut_anywhere_is_none(file: KeyFile) -> None:
    text = file.text()
    for end in range(len(text)):
        with pytest.raises(Malformed):
            read_key_file(text[:end])


def test_a_file_with_something_behind_is_none(file: KeyFile) -> None:
    for more in ("\n", "A\n", " "):
        with pytest.raises(Malformed):
            read_key_file(file.text() + more)


@given(st.text())
def test_any_text_is_refused_as_malformed(text: str) -> None:
    for whole in (text, PREFIX + text + "\n"):
        with pytest.raises(Malformed):
            read_key_file(whole)


@given(st.binary(max_size=400))
def test_any_content_raises_errors_of_keys_only(content: bytes) -> None:
    file = KeyFile(1, Purpose.ROOT, "n", CHEAP, bytes(16), bytes(24), content)
    with pytest.raises(KeysError):
        open_key(file, "p")
