"""Cipher suites (RFC 9420 sections 5.1, 5.2 and 17.1): every use of a key goes through one of these.

1, 2, 3, 5 and 7 are the RFC's (4 and 6 need X448, which we don't have). Rows 1 and 2 of
draft-ietf-mls-pq-ciphersuites-06 join X25519 with ML-KEM-768, for secrets that must outlast a quantum computer; their
signatures stay Ed25519. The draft has no numbers for them yet: here they stand at 0xF001 and 0xF002, for private use,
and where peers agreed on others, `hybrid_suites(first, second)` gives the table that `Group.load` and its like take:

    suites = hybrid_suites(0x004F, 0x004E)
    group = Group.create(cipher_suite(0x004F, suites), ...)
    group = Group.load(parts, auth, suites=suites)
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hpke as library
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from keys.mls.codec import Struct, opaque, struct, vector_bytes
from keys.mls.errors import BadKey, BadSignature, BadTag, DecryptionFailed, Misuse, Unsupported
from keys.mls.hpke import MLKEM768_X25519, P256, P384, P521, X25519, Random, hkdf_expand, load_point, load_scalar
from keys.mls.hpkesuite import Hpke


@struct
class HPKECiphertext(Struct):
    """What EncryptWithLabel gives (section 7.6)."""

    kem_output: Annotated[bytes, opaque]
    ciphertext: Annotated[bytes, opaque]


def sign_content(full_label: bytes, content: bytes) -> bytes:
    """The bytes that are signed for `content` under a label (SignContent, section 5.1.2).

    MLS's own labels begin with "MLS 1.0 "; an application that signs in the same form uses its own prefix.
    """
    return vector_bytes(full_label) + vector_bytes(content)


class SignatureScheme(Protocol):
    """Signing and verifying on raw bytes."""

    def generate(self, random: Random) -> bytes: ...

    def public_key(self, private_key: bytes) -> bytes: ...

    def sign(self, private_key: bytes, content: bytes) -> bytes: ...

    def verify(self, public_key: bytes, content: bytes, signature: bytes) -> None: ...


class Ed25519:
    """Ed25519; private keys are seeds of 32 bytes."""

    def _load(self, private_key: bytes) -> Ed25519PrivateKey:
        if len(private_key) != 32:
            raise BadKey(f"Ed25519 private key of {len(private_key)} bytes")
        return Ed25519PrivateKey.from_private_bytes(private_key)

    def generate(self, random: Random) -> bytes:
        return random(32)

    def public_key(self, private_key: bytes) -> bytes:
        return self._load(private_key).public_key().public_bytes_raw()

    def sign(self, private_key: bytes, content: bytes) -> bytes:
        return self._load(private_key).sign(content)

    def verify(self, public_key: bytes, content: bytes, signature: bytes) -> None:
        if len(public_key) != 32:
            raise BadKey(f"Ed25519 public key of {len(public_key)} bytes")
        if len(signature) != 64:
            raise BadSignature(f"Ed25519 signature of {len(signature)} bytes")
        try:  # libsodium: twice as fast as the other library, and refuses keys of small order
            crypto_sign_open(signature + content, public_key)
        except BadSignatureError as error:
            raise BadSignature("signature does not verify") from error


class Ecdsa:
    """ECDSA with DER signatures; private keys are big-endian scalars, public keys uncompressed points."""

    def __init__(self, curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm, size: int, mask: int) -> None:
        self._curve = curve
        self._algorithm = algorithm
        self._size = size
        self._mask = mask

    def generate(self, random: Random) -> bytes:
        for _ in range(256):
            candidate = bytearray(random(self._size))
            candidate[0] &= self._mask
            try:
                load_scalar(self._curve, bytes(candidate), self._size)
            except BadKey:
                continue
            return bytes(candidate)
        raise BadKey("the source of randomness gives no key")

    def public_key(self, private_key: bytes) -> bytes:
        public = load_scalar(self._curve, private_key, self._size).public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def sign(self, private_key: bytes, content: bytes) -> bytes:
        return load_scalar(self._curve, private_key, self._size).sign(content, ec.ECDSA(self._algorithm))

    def verify(self, public_key: bytes, content: bytes, signature: bytes) -> None:
        key = load_point(self._curve, public_key, 2 * self._size + 1)
        try:
            key.verify(signature, content, ec.ECDSA(self._algorithm))
        except InvalidSignature as error:
            raise BadSignature("signature does not verify") from error


@dataclass(frozen=True, slots=True, eq=False)
class CipherSuite:
    """One row of section 17.1, with the operations of sections 5.1, 5.2 and 8 over it."""

    id: int
    name: str
    hpke: Hpke
    hash_name: str
    aead: Callable[[bytes], AESGCM | ChaCha20Poly1305]
    key_length: int
    signature: SignatureScheme
    hash_length: int = field(init=False)
    zero: bytes = field(init=False)
    nonce_length: int = field(init=False, default=12)

    def __post_init__(self) -> None:
        size = hashlib.new(self.hash_name).digest_size
        object.__setattr__(self, "hash_length", size)
        object.__setattr__(self, "zero", bytes(size))

    def __repr__(self) -> str:
        return f"cipher_suite({self.id:#06x})"

    # Hash, MAC, KDF (sections 5.1 and 8)

    def hash(self, data: bytes) -> bytes:
        return hashlib.new(self.hash_name, data).digest()

    def ref_hash(self, label: bytes, value: bytes) -> bytes:
        """RefHash (section 5.2)."""
        return self.hash(vector_bytes(label) + vector_bytes(value))

    def mac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.hash_name)

    def verify_mac(self, key: bytes, data: bytes, tag: bytes) -> None:
        """Raise `BadTag` unless the whole confirmation tag is right (section 6.1); in constant time."""
        if not hmac.compare_digest(hmac.digest(key, data, self.hash_name), tag):
            raise BadTag("the confirmation tag does not fit (section 6.1)")

    def extract(self, salt: bytes, ikm: bytes) -> bytes:
        """KDF.Extract."""
        return hmac.digest(salt, ikm, self.hash_name)

    def expand_with_label(self, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        """ExpandWithLabel (section 8)."""
        info = length.to_bytes(2) + vector_bytes(b"MLS 1.0 " + label) + vector_bytes(context)
        return hkdf_expand(secret, info, length, self.hash_name)

    def derive_secret(self, secret: bytes, label: bytes) -> bytes:
        """DeriveSecret (section 8)."""
        return self.expand_with_label(secret, label, b"", self.hash_length)

    # AEAD

    def seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        return self.aead(key).encrypt(nonce, plaintext, aad)

    def open(self, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        """The plaintext; raises `DecryptionFailed`."""
        try:
            return self.aead(key).decrypt(nonce, ciphertext, aad)
        except InvalidTag as error:
            raise DecryptionFailed("ciphertext does not open") from error

    # Signatures (section 5.1.2)

    def generate_signature_key(self, random: Random) -> bytes:
        """A fresh private signature key."""
        return self.signature.generate(random)

    def signature_public_key(self, private_key: bytes) -> bytes:
        """The public key of a private signature key; raises `BadKey`."""
        return self.signature.public_key(private_key)

    def sign_with_label(self, private_key: bytes, label: bytes, content: bytes) -> bytes:
        return self.signature.sign(private_key, sign_content(b"MLS 1.0 " + label, content))

    def verify_with_label(self, public_key: bytes, label: bytes, content: bytes, signature: bytes) -> None:
        """Raise `BadSignature`, which names the label, or `BadKey` unless it verifies."""
        try:
            self.signature.verify(public_key, sign_content(b"MLS 1.0 " + label, content), signature)
        except BadSignature as error:
            raise BadSignature(f"{label.decode('ascii', 'backslashreplace')}: {error}") from error

    # Public key encryption (section 5.1.3)

    def derive_key_pair(self, secret: bytes) -> tuple[bytes, bytes]:
        """Private and public HPKE key that follow from a secret."""
        return self.hpke.kem.derive_key_pair(secret)

    def encrypt_with_label(self, public_key: bytes, label: bytes, context: bytes, plaintext: bytes) -> HPKECiphertext:
        info = vector_bytes(b"MLS 1.0 " + label) + vector_bytes(context)
        return HPKECiphertext(*self.hpke.seal(public_key, info, plaintext))

    def encrypter_with_label(self, label: bytes, context: bytes) -> Callable[[bytes, bytes], HPKECiphertext]:
        """EncryptWithLabel to many: takes public key and plaintext, and has read the context once."""
        seal = self.hpke.sealer(vector_bytes(b"MLS 1.0 " + label) + vector_bytes(context))

        def encrypt(public_key: bytes, plaintext: bytes) -> HPKECiphertext:
            return HPKECiphertext(*seal(public_key, plaintext))

        return encrypt

    def decrypt_with_label(self, private_key: bytes, label: bytes, context: bytes, sealed: HPKECiphertext) -> bytes:
        """The plaintext; raises `DecryptionFailed`."""
        info = vector_bytes(b"MLS 1.0 " + label) + vector_bytes(context)
        return self.hpke.open(private_key, info, sealed.kem_output, sealed.ciphertext)


def sign_with_label(suite: CipherSuite, private_key: bytes, label: bytes, content: bytes) -> bytes:
    """SignWithLabel (section 5.1.2)."""
    return suite.sign_with_label(private_key, label, content)


def verify_with_label(suite: CipherSuite, public_key: bytes, label: bytes, content: bytes, signature: bytes) -> None:
    """VerifyWithLabel (section 5.1.2); raises `BadSignature`."""
    suite.verify_with_label(public_key, label, content, signature)


def ref_hash(suite: CipherSuite, label: bytes, value: bytes) -> bytes:
    """RefHash (section 5.2)."""
    return suite.ref_hash(label, value)


_KEM, _KDF, _AEAD = library.KEM, library.KDF, library.AEAD
_X25519_AES = Hpke(X25519, _KEM.X25519, _KDF.HKDF_SHA256, _AEAD.AES_128_GCM)
_X25519_CHACHA = Hpke(X25519, _KEM.X25519, _KDF.HKDF_SHA256, _AEAD.CHACHA20_POLY1305)
_P256_AES = Hpke(P256, _KEM.P256, _KDF.HKDF_SHA256, _AEAD.AES_128_GCM)
_P521_AES = Hpke(P521, _KEM.P521, _KDF.HKDF_SHA512, _AEAD.AES_256_GCM)
_HYBRID_AES_128 = Hpke(MLKEM768_X25519, _KEM.MLKEM768_X25519, _KDF.HKDF_SHA256, _AEAD.AES_128_GCM)
_HYBRID_AES_256 = Hpke(MLKEM768_X25519, _KEM.MLKEM768_X25519, _KDF.HKDF_SHA384, _AEAD.AES_256_GCM)
_P384_AES = Hpke(P384, _KEM.P384, _KDF.HKDF_SHA384, _AEAD.AES_256_GCM)
_ED25519 = Ed25519()
_ECDSA_P256 = Ecdsa(ec.SECP256R1(), hashes.SHA256(), 32, 0xFF)
_ECDSA_P384 = Ecdsa(ec.SECP384R1(), hashes.SHA384(), 48, 0xFF)
_ECDSA_P521 = Ecdsa(ec.SECP521R1(), hashes.SHA512(), 66, 0x01)

SuiteTable = Mapping[int, CipherSuite]
"""Cipher suites by number."""


def hybrid_suites(first: int, second: int) -> SuiteTable:
    """All suites, with rows 1 and 2 of draft-ietf-mls-pq-ciphersuites-06 at these numbers."""
    suites = (
        CipherSuite(1, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", _X25519_AES, "sha256", AESGCM, 16, _ED25519),
        CipherSuite(2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", _P256_AES, "sha256", AESGCM, 16, _ECDSA_P256),
        CipherSuite(
            3,
            "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
            _X25519_CHACHA,
            "sha256",
            ChaCha20Poly1305,
            32,
            _ED25519,
        ),
        CipherSuite(5, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", _P521_AES, "sha512", AESGCM, 32, _ECDSA_P521),
        CipherSuite(7, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", _P384_AES, "sha384", AESGCM, 32, _ECDSA_P384),
        CipherSuite(
            first,
            "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519",
            _HYBRID_AES_128,
            "sha256",
            AESGCM,
            16,
            _ED25519,
        ),
        CipherSuite(
            second,
            "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519",
            _HYBRID_AES_256,
            "sha384",
            AESGCM,
            32,
            _ED25519,
        ),
    )
    table = {suite.id: suite for suite in suites}
    if len(table) != len(suites) or not all(0 < number < 0x10000 for number in table):
        raise Misuse(f"{first:#06x} and {second:#06x} are not two free cipher suite numbers (section 17.1)")
    return MappingProxyType(table)


SUITES: Final = hybrid_suites(0xF001, 0xF002)
"""The suites by their usual numbers."""

SUPPORTED: Final = tuple(SUITES)
"""Those numbers."""


def cipher_suite(number: int, suites: SuiteTable = SUITES) -> CipherSuite:
    """The suite with this number; raises `Unsupported`."""
    suite = suites.get(number)
    if suite is None:
        raise Unsupported(f"cipher suite {number:#06x}")
    return suite
