"""Keys for simulated runs: keyed hashes in place of curves, or the curves themselves with a seeded ephemeral key.

This is the one place where the simulation puts something in the place of the product's code, and it does so for the length
of a `with`: no option or variable of the product chooses its cryptography.

    keyed    a signature is BLAKE2b keyed with the public key, a KEM's secret a hash of its public key and its output. Whoever
             holds the public key can sign, which no simulated liar makes use of: what is tested is whether signatures
             are checked, not whether they hold
    real     Ed25519 and X25519; only the ephemeral key comes from the seed, so that a run repeats to the byte

AEAD, hashes and HMAC are the real ones in both: they are quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b, sha256
from types import SimpleNamespace
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import x25519
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as Curve

import keys.identity
import keys.mls.suites
import keys.tlog.note
from clients.core import calling, device, records
from clients.core.ledger import Shelf
from gateway.store import rows
from keys import charter
from keys.mls.errors import BadKey, BadSignature, DecryptionFailed
from keys.mls.hpke import X25519Kem, extract_and_expand
from keys.mls.hpkesuite import Hpke
from keys.mls.suites import SUITES
from keys.tlog import checkpoint

SUITE = 1
"""The cipher suite of every channel in a simulated mission."""


class Ephemeral:
    """Where ephemeral keys come from: hashes of a seed and a counter."""

    def __init__(self) -> None:
        self.begin(b"")

    def begin(self, seed: bytes) -> None:
        self._seed, self._count = seed, 0

    def next(self) -> bytes:
        self._count += 1
        return sha256(b"ephemeral" + self._seed + self._count.to_bytes(8, "big")).digest()


EPHEMERAL = Ephemeral()


class _Signed(NamedTuple):
    signature: bytes


@lru_cache(maxsize=4096)
def public_of(seed: bytes) -> bytes:
    """Real public keys, since certificates are real."""
    return bytes(Curve(seed).verify_key)


def keyed_signature(public_key: bytes, content: bytes) -> bytes:
    return blake2b(content, key=public_key).digest()


class _Public(bytes):
    def encode(self) -> bytes:
        return bytes(self)


class KeyedSeed:
    """In the place of `nacl.signing.SigningKey`."""

    def __init__(self, seed: bytes) -> None:
        self.verify_key = _Public(public_of(seed))

    def sign(self, content: bytes) -> _Signed:
        return _Signed(keyed_signature(self.verify_key, content))


def _sign_open(signed: bytes, public_key: bytes) -> bytes:
    """In the place of `nacl.bindings.crypto_sign_open`."""
    if signed[:64] != keyed_signature(public_key, signed[64:]):
        raise BadSignatureError
    return signed[64:]


def _verify_note(key: Any, message: bytes, signature: bytes, name: str) -> None:
    """In the place of `keys.tlog.note.verify_ed25519`."""
    if signature != keyed_signature(bytes(key), message):
        raise keys.tlog.note.BadSignature(f"signature of {name} fails")


class KeyedEd25519:
    """A `keys.mls.suites.SignatureScheme`."""

    def generate(self, random: Any) -> bytes:
        return bytes(random(32))

    def public_key(self, private_key: bytes) -> bytes:
        return public_of(private_key)

    def sign(self, private_key: bytes, content: bytes) -> bytes:
        return keyed_signature(public_of(private_key), content)

    def verify(self, public_key: bytes, content: bytes, signature: bytes) -> None:
        if signature != keyed_signature(public_key, content):
            raise BadSignature("signature does not verify")


class KeyedKem:
    """A `keys.mls.hpke.Kem`: the public key is a hash of the private one, the secret a hash of the public key and the output."""

    kem_id = X25519Kem.kem_id
    enc_length = 32

    def derive_key_pair(self, ikm: bytes) -> tuple[bytes, bytes]:
        private = sha256(b"private" + ikm).digest()
        return private, self.public_key(private)

    def public_key(self, private_key: bytes) -> bytes:
        return sha256(b"public" + private_key).digest()

    def encapsulate(self, public_key: bytes) -> tuple[bytes, bytes]:
        output = EPHEMERAL.next()
        return sha256(public_key + output).digest(), output

    def decapsulate(self, private_key: bytes, kem_output: bytes) -> bytes:
        return sha256(self.public_key(private_key) + kem_output).digest()

    def check_public(self, public_key: bytes) -> None:
        if len(public_key) != 32:
            raise BadKey("no key")


class SeededX25519(X25519Kem):
    """The real one, with ephemeral keys from the seed."""

    def encapsulate(self, public_key: bytes) -> tuple[bytes, bytes]:
        ephemeral = x25519.X25519PrivateKey.from_private_bytes(EPHEMERAL.next())
        output = ephemeral.public_key().public_bytes_raw()
        dh = ephemeral.exchange(self.load_public(public_key))
        return extract_and_expand(self.kem_id, dh, output + public_key, 32, "sha256"), output


class ExplicitHpke(Hpke):
    """HPKE by its own key schedule throughout, so that the KEM given is the one that is used."""

    def __init__(self, like: Hpke, kem: Any) -> None:
        for name in ("_suite", "suite_id", "_hash_name", "_key_length", "_aead"):
            setattr(self, name, getattr(like, name))
        self.kem = kem

    def seal(self, public_key: bytes, info: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
        kem_output, ciphertext = self.sealer(info)(public_key, plaintext)
        return kem_output, ciphertext

    def open(self, private_key: bytes, info: bytes, kem_output: bytes, ciphertext: bytes) -> bytes:
        if len(kem_output) != 32:
            raise DecryptionFailed("KEM output")
        schedule = self.schedule(self.kem.decapsulate(private_key, kem_output), info)
        try:
            return bytes(self._aead(schedule.key).decrypt(schedule.base_nonce, ciphertext, b""))
        except Exception as error:
            raise DecryptionFailed("HPKE ciphertext does not open") from error


@contextmanager
def remembered() -> Iterator[None]:
    """What a pure function has read from the same bytes before it does not read again: half of a run's time."""
    shelves = [shelf for shelf in vars(records).values() if isinstance(shelf, Shelf)]
    for shelf in shelves:
        shelf._read = lru_cache(maxsize=4096)(shelf._read)
    verify, decode = checkpoint.verify_checkpoint, checkpoint.Note.__dict__["decode"]
    known = lru_cache(maxsize=256)(verify)
    vars(checkpoint)["verify_checkpoint"] = lambda note, keys, origin: known(note, tuple(keys), origin)
    checkpoint.Note.decode = staticmethod(lru_cache(maxsize=256)(checkpoint.Note.decode))  # type: ignore[assignment]
    digest = vars(calling)["digest"]
    vars(calling)["digest"] = lru_cache(maxsize=8)(digest)  # 40 ms a guess: as dear as the rest of an SOS
    reopen, verifier = lru_cache(maxsize=8)(charter.reopen), charter.Charter.log_verifier
    makers = lru_cache(maxsize=8)(lambda key: charter.Ed25519Verifier(charter.VerifierKey.decode(key)))
    for module in (device, rows):
        vars(module)["reopen"] = reopen
    charter.Charter.log_verifier = lambda self: makers(self.policy.log_key)  # type: ignore[method-assign]
    try:
        yield
    finally:
        vars(calling)["digest"] = digest
        for module in (device, rows):
            vars(module)["reopen"] = charter.reopen
        charter.Charter.log_verifier = verifier  # type: ignore[method-assign]
        vars(checkpoint)["verify_checkpoint"] = verify
        checkpoint.Note.decode = decode  # type: ignore[method-assign]
        for shelf in shelves:
            shelf._read = shelf._read.__wrapped__  # type: ignore[attr-defined]


@contextmanager
def cryptography(*, keyed: bool) -> Iterator[None]:
    """Simulated runs happen within this."""
    suite, identity, note = SUITES[SUITE], keys.identity, keys.tlog.note
    kept = suite.hpke, suite.signature, identity._Seed, identity.nacl, note.ed25519_private, note.ed25519_public
    verify_note = note.verify_ed25519
    object.__setattr__(suite, "hpke", ExplicitHpke(suite.hpke, KeyedKem() if keyed else SeededX25519()))
    if keyed:
        object.__setattr__(suite, "signature", KeyedEd25519())
        vars(identity)["_Seed"] = KeyedSeed
        vars(identity)["nacl"] = SimpleNamespace(bindings=SimpleNamespace(crypto_sign_open=_sign_open))
        vars(note)["ed25519_private"] = KeyedSeed
        vars(note)["ed25519_public"] = lambda key, kind: _Public(key.public_key)
        vars(note)["verify_ed25519"] = _verify_note
    try:
        with remembered():
            yield
    finally:
        object.__setattr__(suite, "hpke", kept[0])
        object.__setattr__(suite, "signature", kept[1])
        vars(identity)["_Seed"], vars(identity)["nacl"] = kept[2:4]
        vars(note)["ed25519_private"], vars(note)["ed25519_public"] = kept[4:6]
        vars(note)["verify_ed25519"] = verify_note
