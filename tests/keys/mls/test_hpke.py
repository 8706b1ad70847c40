"""Keys: the hybrid against its published vectors, and what is no key."""

import json

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec

from keys.mls import (
    SUPPORTED,
    BadKey,
    BadSignature,
    CipherSuite,
    DecryptionFailed,
    cipher_suite,
    ref_hash,
    sign_content,
    sign_with_label,
    verify_with_label,
)
from keys.mls.hpke import LOW_ORDER, MLKEM768_X25519, NistKem
from keys.mls.suites import HPKECiphertext
from tests.keys.mls.people import seeded
from tests.shared import shared

suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)


def test_hybrid_keys_follow_from_their_input_as_published() -> None:
    cases = json.loads(shared("vectors/hpke/hpke-pq.json").read_bytes())
    hybrid = [case for case in cases if case["kem_id"] == 0x647A]
    assert len(hybrid) == 2
    for case in hybrid:
        private, public = MLKEM768_X25519.derive_key_pair(bytes.fromhex(case["ikmR"]))
        assert private.hex() == case["skRm"]
        assert public.hex() == case["pkRm"]


@suites
def test_sealed_to_a_derived_key_opens_with_it(suite: CipherSuite) -> None:
    private, public = suite.derive_key_pair(b"secret")
    assert suite.derive_key_pair(b"secret") == (private, public)
    assert suite.hpke.kem.public_key(private) == public
    sealed = suite.encrypt_with_label(public, b"label", b"context", b"plaintext")
    assert suite.decrypt_with_label(private, b"label", b"context", sealed) == b"plaintext"
    for damaged in (
        HPKECiphertext(sealed.kem_output, sealed.ciphertext[:-1]),
        HPKECiphertext(sealed.kem_output[:-1], sealed.ciphertext),
        HPKECiphertext(sealed.kem_output, b""),
        HPKECiphertext(bytes(len(sealed.kem_output)), sealed.ciphertext),
    ):
        with pytest.raises(DecryptionFailed):
            suite.decrypt_with_label(private, b"label", b"context", damaged)
    with pytest.raises(DecryptionFailed):
        suite.decrypt_with_label(private, b"label", b"another", sealed)
    with pytest.raises(DecryptionFailed):
        suite.decrypt_with_label(private, b"other", b"context", sealed)


@suites
def test_what_is_sealed_to_many_opens_for_each(suite: CipherSuite) -> None:
    encrypt = suite.encrypter_with_label(b"label", bytes(5000))
    for number in range(3):
        private, public = suite.derive_key_pair(bytes([number]))
        sealed = encrypt(public, b"plaintext %d" % number)
        assert suite.decrypt_with_label(private, b"label", bytes(5000), sealed) == b"plaintext %d" % number
    with pytest.raises(BadKey):
        encrypt(b"", b"plaintext")


@suites
def test_what_is_no_key_is_refused(suite: CipherSuite) -> None:
    private, public = suite.derive_key_pair(b"secret")
    for wrong in (b"", public[:-1], public + b"\0", b"\xff" * len(public), b"\x04" + b"\xff" * (len(public) - 1)):
        if suite.hpke.kem.kem_id == 0x0020 and len(wrong) == 32:
            continue  # any 32 bytes are an X25519 key
        with pytest.raises(BadKey):
            suite.hpke.kem.check_public(wrong)
        with pytest.raises(BadKey):
            suite.encrypt_with_label(wrong, b"label", b"", b"")
    for wrong in (b"", private[:-1], private + b"\0"):
        with pytest.raises(BadKey):
            suite.hpke.kem.public_key(wrong)


def test_a_scalar_of_zero_is_refused() -> None:
    with pytest.raises(BadKey):
        cipher_suite(2).hpke.kem.public_key(bytes(32))


@pytest.mark.parametrize("key", sorted(LOW_ORDER), ids=lambda key: key.hex()[:16])
def test_keys_of_low_order_are_refused(key: bytes) -> None:
    high = key[:31] + bytes([key[31] | 0x80])
    for variant in (key, high):
        with pytest.raises(BadKey, match="low order"):
            cipher_suite(1).hpke.kem.check_public(variant)
        post = MLKEM768_X25519.derive_key_pair(b"x")[1][:1184]
        with pytest.raises(BadKey, match="low order"):
            MLKEM768_X25519.check_public(post + variant)


@suites
def test_signatures_count_under_their_label_and_key_only(suite: CipherSuite) -> None:
    private = suite.generate_signature_key(seeded("key"))
    public = suite.signature_public_key(private)
    other = suite.signature_public_key(suite.generate_signature_key(seeded("other")))
    signature = sign_with_label(suite, private, b"label", b"content")
    verify_with_label(suite, public, b"label", b"content", signature)
    for key, label, content, claimed in (
        (other, b"label", b"content", signature),
        (public, b"lab", b"elcontent", signature),
        (public, b"label", b"another", signature),
        (public, b"label", b"content", signature[:-1]),
        (public, b"label", b"content", b""),
        (public, b"label", b"content", signature + b"\0"),
    ):
        with pytest.raises(BadSignature):
            verify_with_label(suite, key, label, content, claimed)
    for wrong in (b"", public[:-1], public + b"\0"):
        with pytest.raises(BadKey):
            verify_with_label(suite, wrong, b"label", b"content", signature)
    for wrong in (b"", private[:-1], private + b"\0"):
        with pytest.raises(BadKey):
            suite.sign_with_label(wrong, b"label", b"content")
    assert ref_hash(suite, b"a", b"bc") != ref_hash(suite, b"ab", b"c")


def test_signed_content_has_one_form() -> None:
    assert sign_content(b"Outrider 1 x", b"abc") == b"\x0cOutrider 1 x\x03abc"


def test_randomness_that_never_gives_a_scalar_is_given_up() -> None:
    with pytest.raises(BadKey, match="randomness"):
        cipher_suite(2).generate_signature_key(bytes)


def test_a_published_hybrid_ciphertext_opens() -> None:
    """The library's combiner and key schedule are those of the draft; the vectors use associated data, we don't."""
    cases = json.loads(shared("vectors/hpke/hpke-pq.json").read_bytes())
    case = next(case for case in cases if (case["kem_id"], case["kdf_id"]) == (0x647A, 1))
    library = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    private = MLKEM768_X25519.load_private(bytes.fromhex(case["skRm"]))
    sealed = case["encryptions"][0]
    opened = openssl.hpke._decrypt_with_aad(
        library,
        bytes.fromhex(case["enc"] + sealed["ct"]),
        private,
        bytes.fromhex(case["info"]),
        bytes.fromhex(sealed["aad"]),
    )
    assert opened == bytes.fromhex(sealed["pt"])


def test_an_input_from_which_no_scalar_follows_is_given_up() -> None:
    """RFC 9180 section 7.1.3: 256 candidates, and then no key; here all are far above the curve's order."""
    with pytest.raises(BadKey, match="no key follows"):
        NistKem(0x0010, ec.SECP256R1(), "sha256", 40, 0xFF).derive_key_pair(b"secret")
