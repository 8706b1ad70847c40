"""HPKE against the vectors of draft-ietf-hpke-pq: keys, decapsulation, key schedule, encryptions and exports.

A row joins a KEM, a KDF and an AEAD. Each of its halves is checked where we have it, and what we don't have is listed
by name, so a row can't be passed over unseen.
"""

import json
from functools import cache
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hpke as library
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from keys.mls import (
    SUPPORTED,
    Add,
    BadKey,
    CipherSuite,
    DecryptionFailed,
    Group,
    Misuse,
    PendingCommit,
    PublicGroup,
    Unsupported,
    cipher_suite,
    hybrid_suites,
    new_member_proposal,
)
from keys.mls.hpke import MLKEM768_X25519, P256, P384, P521, X25519, Kem
from keys.mls.hpkesuite import Hpke
from tests.keys.mls.people import NOW, Names, Person, seeded
from tests.shared import shared

KEMS: Final[dict[int, Kem]] = {0x0010: P256, 0x0011: P384, 0x0012: P521, 0x0020: X25519, 0x647A: MLKEM768_X25519}
KDFS: Final = {1: library.KDF.HKDF_SHA256, 2: library.KDF.HKDF_SHA384, 3: library.KDF.HKDF_SHA512}
AEADS: Final = {
    1: (library.AEAD.AES_128_GCM, AESGCM),
    2: (library.AEAD.AES_256_GCM, AESGCM),
    3: (library.AEAD.CHACHA20_POLY1305, ChaCha20Poly1305),
}

NAMES: Final = {
    0x0010: "DHKEM(P-256)",
    0x0011: "DHKEM(P-384)",
    0x0020: "DHKEM(X25519)",
    0x0021: "DHKEM(X448)",
    0x0040: "ML-KEM-512",
    0x0041: "ML-KEM-768",
    0x0042: "ML-KEM-1024",
    0x0050: "MLKEM768-P256",
    0x0051: "MLKEM1024-P384",
    0x647A: "MLKEM768-X25519",
}
KDF_NAMES: Final = {
    1: "HKDF-SHA256",
    2: "HKDF-SHA384",
    0x10: "SHAKE128",
    0x11: "SHAKE256",
    0x12: "TurboSHAKE128",
    0x13: "TurboSHAKE256",
}

Row = dict[str, Any]


@cache
def rows() -> tuple[Row, ...]:
    return tuple(json.loads(shared("vectors/hpke/hpke-pq.json").read_bytes()))


def name(row: Row) -> str:
    return f"{NAMES[row['kem_id']]}, {KDF_NAMES[row['kdf_id']]}"


def test_keys_and_decapsulation() -> None:
    """ikm -> key pair, and the shared secret from the KEM output, for every KEM that a suite of ours has."""
    checked, apart = [], []
    for row in rows():
        kem = KEMS.get(row["kem_id"])
        if kem is None:
            apart.append(NAMES[row["kem_id"]])
            continue
        private, public = kem.derive_key_pair(bytes.fromhex(row["ikmR"]))
        assert private.hex() == row["skRm"]
        assert public.hex() == row["pkRm"]
        assert kem.decapsulate(private, bytes.fromhex(row["enc"])).hex() == row["shared_secret"]
        checked.append(NAMES[row["kem_id"]])
    assert checked == ["MLKEM768-X25519", "DHKEM(P-256)", "DHKEM(P-384)", "DHKEM(X25519)", "MLKEM768-X25519"]
    assert apart == [
        "ML-KEM-512",
        "ML-KEM-768",
        "ML-KEM-1024",
        "MLKEM768-P256",
        "MLKEM1024-P384",
        "DHKEM(X448)",
        "MLKEM768-P256",
        "ML-KEM-1024",
    ]


class Numbered:
    """Stands for a KEM that we don't have, where only its number counts: it is part of the key schedule."""

    def __init__(self, kem_id: int) -> None:
        self.kem_id = kem_id


def test_schedule_encryptions_and_exports() -> None:
    """Shared secret -> key, nonce, exporter secret, and all that follows, for every KDF that a suite of ours has."""
    checked, apart = [], []
    for row in rows():
        if row["kdf_id"] not in KDFS:
            apart.append(name(row))
            continue
        aead, cipher = AEADS[row["aead_id"]]
        kem: Any = KEMS.get(row["kem_id"]) or Numbered(row["kem_id"])
        suite = Hpke(kem, library.KEM.X25519, KDFS[row["kdf_id"]], aead)
        assert suite.suite_id.hex() == row["suite_id"]
        schedule = suite.schedule(bytes.fromhex(row["shared_secret"]), bytes.fromhex(row["info"]))
        assert schedule.key.hex() == row["key"]
        assert schedule.base_nonce.hex() == row["base_nonce"]
        assert schedule.exporter_secret.hex() == row["exporter_secret"]
        for number, given in enumerate(row["encryptions"]):
            nonce = (int.from_bytes(schedule.base_nonce) ^ number).to_bytes(12)
            sealed = cipher(schedule.key).encrypt(nonce, bytes.fromhex(given["pt"]), bytes.fromhex(given["aad"]))
            assert (nonce.hex(), sealed.hex()) == (given["nonce"], given["ct"])
        for given in row["exports"]:
            exported = suite.export(schedule, bytes.fromhex(given["exporter_context"]), given["L"])
            assert exported.hex() == given["exported_value"]
        checked.append(name(row))
    assert checked == [
        "ML-KEM-512, HKDF-SHA256",
        "ML-KEM-768, HKDF-SHA256",
        "ML-KEM-1024, HKDF-SHA384",
        "MLKEM768-P256, HKDF-SHA256",
        "MLKEM768-X25519, HKDF-SHA256",
        "MLKEM1024-P384, HKDF-SHA384",
    ]
    assert apart == [
        "DHKEM(P-256), SHAKE128",
        "DHKEM(P-384), SHAKE256",
        "DHKEM(X25519), TurboSHAKE128",
        "DHKEM(X448), TurboSHAKE256",
        "MLKEM768-P256, SHAKE128",
        "MLKEM768-X25519, SHAKE256",
        "ML-KEM-1024, TurboSHAKE256",
    ]


suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)


@suites
def test_an_exported_secret_is_shared_by_sender_and_receiver_only(suite: CipherSuite) -> None:
    private, public = suite.derive_key_pair(b"secret")
    kem_output, sent = suite.hpke.send_export(public, b"info", b"context", 48)
    assert len(sent) == 48
    assert suite.hpke.receive_export(private, kem_output, b"info", b"context", 48) == sent
    other = suite.derive_key_pair(b"other")[0]
    for key, info, context in ((other, b"info", b"context"), (private, b"", b"context"), (private, b"info", b"")):
        assert suite.hpke.receive_export(key, kem_output, info, context, 48) != sent
    again, fresh = suite.hpke.send_export(public, b"info", b"context", 48)
    assert again != kem_output
    assert fresh != sent


@suites
def test_what_is_sealed_by_hand_opens_with_the_library(suite: CipherSuite) -> None:
    """Both ways to the same key: the library's single shot, and our encapsulation with our schedule."""
    private, public = suite.derive_key_pair(b"secret")
    shared_secret, kem_output = suite.hpke.kem.encapsulate(public)
    schedule = suite.hpke.schedule(shared_secret, b"info")
    sealed = suite.aead(schedule.key).encrypt(schedule.base_nonce, b"plaintext", b"")
    assert suite.hpke.open(private, b"info", kem_output, sealed) == b"plaintext"
    kem_output, sealed = suite.hpke.seal(public, b"info", b"plaintext")
    schedule = suite.hpke.schedule(suite.hpke.kem.decapsulate(private, kem_output), b"info")
    assert suite.aead(schedule.key).decrypt(schedule.base_nonce, sealed, b"") == b"plaintext"


@suites
def test_what_is_no_kem_output_is_refused(suite: CipherSuite) -> None:
    private, public = suite.derive_key_pair(b"secret")
    kem_output, _ = suite.hpke.send_export(public, b"", b"", 32)
    for wrong in (b"", kem_output[:-1], kem_output + b"\0", bytes(len(kem_output))):
        with pytest.raises(DecryptionFailed):
            suite.hpke.receive_export(private, wrong, b"", b"", 32)
    for wrong in (b"", public[:-1], public + b"\0"):
        with pytest.raises(BadKey):
            suite.hpke.send_export(wrong, b"", b"", 32)


def test_the_hybrid_rows_are_those_of_the_draft() -> None:
    """draft-ietf-mls-pq-ciphersuites-06, section 3.1: KEM, KDF and AEAD by number, and the hash."""
    for number, hash_length, suite_id in ((0xF001, 32, "48504b45647a00010001"), (0xF002, 48, "48504b45647a00020002")):
        suite = cipher_suite(number)
        assert suite.hpke.suite_id.hex() == suite_id
        assert suite.hash_length == hash_length
        assert suite.signature_public_key(bytes(32)) == cipher_suite(1).signature_public_key(bytes(32))


def test_the_hybrid_rows_stand_at_other_numbers_where_that_is_agreed() -> None:
    suites = hybrid_suites(0x004F, 0x004E)
    assert cipher_suite(0x004F, suites).name == cipher_suite(0xF001).name
    assert cipher_suite(0x004E, suites).hash_length == 48
    assert cipher_suite(1, suites).name == cipher_suite(1).name
    with pytest.raises(Unsupported):
        cipher_suite(0xF001, suites)
    with pytest.raises(Unsupported):
        cipher_suite(0x004F)


@pytest.mark.parametrize(("first", "second"), [(1, 0xF002), (0xF001, 0xF001), (0, 0xF002), (0xF001, 0x10000)])
def test_numbers_that_are_taken_or_none(first: int, second: int) -> None:
    with pytest.raises(Misuse):
        hybrid_suites(first, second)


def test_a_group_lives_at_other_numbers() -> None:
    """Founding, Welcome, coming in from outside, asking to be added, and every way of keeping it."""
    suites, auth, random = hybrid_suites(0x004F, 0x004E), Names(), seeded("others")
    suite = cipher_suite(0x004E, suites)
    people = [Person.named(suite, b"member %d" % number) for number in range(4)]
    group = people[0].found(auth)
    package, secrets = people[1].key_package()
    pending = PendingCommit.decode(
        group.commit([Add(package)], random=random, with_tree=True).encode(), auth, suites=suites
    )
    group = group.merge(pending)
    joined = Group.join(pending.welcome or b"", package, secrets, people[1].signature_private_key, auth, suites=suites)
    with pytest.raises(Unsupported, match="0x004e"):
        Group.join(pending.welcome or b"", package, secrets, people[1].signature_private_key, auth)
    outside = Group.join_externally(
        group.group_info(external=True, with_tree=True),
        people[2].credential,
        people[2].signature_private_key,
        auth,
        random=random,
        suites=suites,
    )
    joined, _ = joined.process(outside.message, now_seconds=NOW)
    asked = new_member_proposal(
        joined.group_id, joined.epoch, people[3].key_package()[0], people[3].signature_private_key, suites=suites
    )
    joined, received = joined.process(asked, now_seconds=NOW)
    loaded = Group.load(joined.parts(), auth, suites=suites)
    assert loaded.epoch_authenticator == outside.group.epoch_authenticator
    assert len(PublicGroup.decode(loaded.public.encode(), auth, suites).proposals) == 1
    assert received.sender_leaf is None
    with pytest.raises(Unsupported, match="0x004e"):
        PublicGroup.decode(loaded.public.encode(), auth)
