"""The safe application interface: labels by component, the data dictionary, and what marks a last resort."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.mls import (
    SUPPORTED,
    BadSignature,
    CipherSuite,
    DecodeError,
    DecryptionFailed,
    Extension,
    cipher_suite,
)
from keys.mls.components import (
    APP_DATA_DICTIONARY,
    AppDataDictionary,
    ComponentData,
    component_data,
    component_label,
    marks_last_resort,
    safe_decrypt_with_label,
    safe_encrypt_with_label,
    safe_sign_with_label,
    safe_verify_with_label,
)
from tests.keys.mls.people import Person, World, seeded

suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)
SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")


def test_the_label_is_that_of_the_draft() -> None:
    assert component_label(0x8001, b"poll") == b"\x0dMLS Component" + b"\x80\x01" + b"\x04poll"


@suites
def test_a_signature_counts_for_its_component_alone(suite: CipherSuite) -> None:
    private = suite.generate_signature_key(seeded("key"))
    public = suite.signature_public_key(private)
    signature = safe_sign_with_label(suite, private, 0x8001, b"poll", b"yes")
    safe_verify_with_label(suite, public, 0x8001, b"poll", b"yes", signature)
    suite.verify_with_label(public, component_label(0x8001, b"poll"), b"yes", signature)
    for component, label, content in ((0x8002, b"poll", b"yes"), (0x8001, b"pol", b"lyes"), (0x8001, b"poll", b"no")):
        with pytest.raises(BadSignature):
            safe_verify_with_label(suite, public, component, label, content, signature)
    with pytest.raises(BadSignature):
        suite.verify_with_label(public, b"poll", b"yes", signature)


@suites
def test_what_is_sealed_opens_for_its_component_alone(suite: CipherSuite) -> None:
    private, public = suite.derive_key_pair(b"leaf")
    sealed = safe_encrypt_with_label(suite, public, 0x8001, b"poll", b"context", b"yes")
    assert safe_decrypt_with_label(suite, private, 0x8001, b"poll", b"context", sealed) == b"yes"
    for component, label, context in ((0x8002, b"poll", b"context"), (0x8001, b"", b"context"), (0x8001, b"poll", b"")):
        with pytest.raises(DecryptionFailed):
            safe_decrypt_with_label(suite, private, component, label, context, sealed)
    with pytest.raises(DecryptionFailed):
        suite.decrypt_with_label(private, b"poll", b"context", sealed)


def test_a_members_keys_serve_a_component() -> None:
    """Keys of the leaves, and those that the group holds for them."""
    here = World(SUITE, 2)
    one, other = here[b"member 0"], here[b"member 1"]
    signature = safe_sign_with_label(SUITE, one.signature_private_key, 0x8001, b"poll", b"yes")
    safe_verify_with_label(SUITE, other.members[0].signature_key, 0x8001, b"poll", b"yes", signature)
    sealed = safe_encrypt_with_label(SUITE, other.members[0].encryption_key, 0x8001, b"poll", b"", b"yes")
    assert safe_decrypt_with_label(SUITE, one.private[0], 0x8001, b"poll", b"", sealed) == b"yes"


ENTRIES = (ComponentData(1, b"a"), ComponentData(4, b""), ComponentData(0x8001, b"b"))


def test_the_dictionary_has_one_form() -> None:
    encoded = AppDataDictionary(ENTRIES).encode()
    assert AppDataDictionary.decode(encoded) == AppDataDictionary(ENTRIES)
    assert encoded.hex() == "0b" + "00010161" + "000400" + "80010162"
    for cut in range(len(encoded)):
        with pytest.raises(DecodeError):
            AppDataDictionary.decode(encoded[:cut])
    with pytest.raises(DecodeError):
        AppDataDictionary.decode(encoded + b"\0")


@pytest.mark.parametrize(
    ("extensions", "component_id", "data"),
    [
        pytest.param((), 4, None, id="no dictionary"),
        pytest.param((Extension(1, b"x"),), 4, None, id="another extension"),
        pytest.param((AppDataDictionary(()).extension(),), 4, None, id="an empty one"),
        pytest.param((AppDataDictionary(ENTRIES).extension(),), 3, None, id="not of this component"),
        pytest.param((AppDataDictionary(ENTRIES).extension(),), 4, b"", id="empty data"),
        pytest.param((AppDataDictionary(ENTRIES).extension(),), 0x8001, b"b", id="data"),
    ],
)
def test_what_a_component_attached(extensions: tuple[Extension, ...], component_id: int, data: bytes | None) -> None:
    assert component_data(extensions, component_id) == data


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(AppDataDictionary(ENTRIES[::-1]).encode(), id="in falling order"),
        pytest.param(AppDataDictionary((*ENTRIES, ENTRIES[2])).encode(), id="one component twice"),
        pytest.param(b"\x03\x00\x04", id="cut short"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_dictionaries_that_are_none(content: bytes) -> None:
    extensions = (Extension(APP_DATA_DICTIONARY, content),)
    with pytest.raises(DecodeError):
        component_data(extensions, 4)
    assert not marks_last_resort(extensions)


@given(st.binary(max_size=80))
def test_arbitrary_bytes(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert AppDataDictionary.decode(data).encode() == data
    extensions = (Extension(APP_DATA_DICTIONARY, data),)
    with contextlib.suppress(DecodeError):
        component_data(extensions, 4)
    marks_last_resort(extensions)
