"""Public key encryption: what of HPKE (RFC 9180) MLS needs, over the sealing that `cryptography` has.

A KEM here works on raw bytes. Sealing and opening are the library's; what it lacks is DeriveKeyPair (RFC 9180
section 7.1.3, draft-ietf-hpke-pq for the hybrid) and the raw form of hybrid keys, and those are here.

The private key of MLKEM768-X25519 is a seed of 32 bytes; SHAKE256 stretches it to the ML-KEM seed (64) and the
X25519 scalar (32). Its public key is the ML-KEM key (1184) followed by the X25519 key (32).
"""

import hmac
from collections.abc import Callable
from hashlib import shake_256
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.mls.errors import BadKey, DecryptionFailed

Random = Callable[[int], bytes]
"""Gives that many fresh random bytes."""

LOW_ORDER: Final = frozenset(
    (value % (1 << 255)).to_bytes(32, "little")
    for p in [(1 << 255) - 19]
    for value in (
        0,
        1,
        p - 1,
        p,
        p + 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)
"""X25519 keys with which every agreement gives zero (RFC 7748 section 6.1): nobody could seal to them."""


class Kem(Protocol):
    """A key encapsulation mechanism by its registered number, on raw bytes."""

    @property
    def kem_id(self) -> int: ...

    @property
    def enc_length(self) -> int:
        """Length of the KEM output in bytes."""
        ...

    def derive_key_pair(self, ikm: bytes) -> tuple[bytes, bytes]:
        """Private and public key that follow from `ikm`."""
        ...

    def public_key(self, private_key: bytes) -> bytes:
        """The public key of a private one; raises `BadKey`."""
        ...

    def load_public(self, public_key: bytes) -> Any:
        """The library's object for a public key; raises `BadKey`."""
        ...

    def load_private(self, private_key: bytes) -> Any:
        """The library's object for a private key; raises `BadKey`."""
        ...

    def check_public(self, public_key: bytes) -> None:
        """Raise `BadKey` unless somebody could seal to this key."""
        ...


def labeled_extract(kem_id: int, label: bytes, ikm: bytes, algorithm: str) -> bytes:
    """LabeledExtract of a KEM with an empty salt (RFC 9180 section 4)."""
    suite_id = b"KEM" + kem_id.to_bytes(2)
    return hmac.digest(bytes(64), b"HPKE-v1" + suite_id + label + ikm, algorithm)


def labeled_expand(kem_id: int, prk: bytes, label: bytes, info: bytes, length: int, algorithm: str) -> bytes:
    """LabeledExpand of a KEM (RFC 9180 section 4)."""
    suite_id = b"KEM" + kem_id.to_bytes(2)
    return hkdf_expand(prk, length.to_bytes(2) + b"HPKE-v1" + suite_id + label + info, length, algorithm)


def hkdf_expand(prk: bytes, info: bytes, length: int, algorithm: str) -> bytes:
    """HKDF-Expand (RFC 5869 section 2.3)."""
    block = hmac.digest(prk, info + b"\x01", algorithm)
    out = block
    counter = 2
    while len(out) < length:
        block = hmac.digest(prk, block + info + counter.to_bytes(1), algorithm)
        out += block
        counter += 1
    return out[:length]


class X25519Kem:
    """DHKEM(X25519, HKDF-SHA256), number 0x0020."""

    kem_id: Final = 0x0020
    enc_length: Final = 32

    def derive_key_pair(self, ikm: bytes) -> tuple[bytes, bytes]:
        prk = labeled_extract(self.kem_id, b"dkp_prk", ikm, "sha256")
        private = labeled_expand(self.kem_id, prk, b"sk", b"", 32, "sha256")
        return private, self.public_key(private)

    def public_key(self, private_key: bytes) -> bytes:
        return self.load_private(private_key).public_key().public_bytes_raw()

    def load_public(self, public_key: bytes) -> x25519.X25519PublicKey:
        self.check_public(public_key)
        return x25519.X25519PublicKey.from_public_bytes(public_key)

    def load_private(self, private_key: bytes) -> x25519.X25519PrivateKey:
        if len(private_key) != 32:
            raise BadKey(f"X25519 private key of {len(private_key)} bytes")
        return x25519.X25519PrivateKey.from_private_bytes(private_key)

    def check_public(self, public_key: bytes) -> None:
        if len(public_key) != 32:
            raise BadKey(f"X25519 public key of {len(public_key)} bytes")
        if public_key[:31] + bytes([public_key[31] & 0x7F]) in LOW_ORDER:
            raise BadKey("X25519 public key of low order")


class NistKem:
    """DHKEM over a NIST curve, numbers 0x0010, 0x0011 and 0x0012; private keys are big-endian scalars of the field's length."""

    def __init__(self, kem_id: int, curve: ec.EllipticCurve, algorithm: str, size: int, mask: int) -> None:
        self._kem_id = kem_id
        self._curve = curve
        self._algorithm = algorithm
        self._size = size
        self._mask = mask

    @property
    def kem_id(self) -> int:
        return self._kem_id

    @property
    def enc_length(self) -> int:
        return 2 * self._size + 1

    def derive_key_pair(self, ikm: bytes) -> tuple[bytes, bytes]:
        prk = labeled_extract(self._kem_id, b"dkp_prk", ikm, self._algorithm)
        for counter in range(256):
            candidate = bytearray(
                labeled_expand(self._kem_id, prk, b"candidate", bytes([counter]), self._size, self._algorithm)
            )
            candidate[0] &= self._mask
            private = bytes(candidate)
            try:
                return private, self.public_key(private)
            except BadKey:
                continue  # zero or above the order: the next candidate (RFC 9180 section 7.1.3)
        raise BadKey("no key follows from this input")

    def public_key(self, private_key: bytes) -> bytes:
        public = self.load_private(private_key).public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def load_public(self, public_key: bytes) -> ec.EllipticCurvePublicKey:
        return load_point(self._curve, public_key, self.enc_length)

    def load_private(self, private_key: bytes) -> ec.EllipticCurvePrivateKey:
        return load_scalar(self._curve, private_key, self._size)

    def check_public(self, public_key: bytes) -> None:
        self.load_public(public_key)


def load_point(curve: ec.EllipticCurve, public_key: bytes, length: int) -> ec.EllipticCurvePublicKey:
    """An uncompressed point that lies on the curve; raises `BadKey`."""
    if len(public_key) != length or public_key[0] != 4:
        raise BadKey(f"not an uncompressed point of {curve.name}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, public_key)
    except ValueError as error:
        raise BadKey(f"not a point of {curve.name}") from error


def load_scalar(curve: ec.EllipticCurve, private_key: bytes, length: int) -> ec.EllipticCurvePrivateKey:
    """A private key from its scalar; raises `BadKey`."""
    if len(private_key) != length:
        raise BadKey(f"private key of {len(private_key)} bytes for {curve.name}")
    try:
        return ec.derive_private_key(int.from_bytes(private_key), curve)
    except ValueError as error:
        raise BadKey(f"not a private key of {curve.name}") from error


class HybridKem:
    """MLKEM768-X25519 (draft-ietf-hpke-pq), number 0x647a."""

    kem_id: Final = 0x647A
    enc_length: Final = 1120

    def derive_key_pair(self, ikm: bytes) -> tuple[bytes, bytes]:
        label = b"DeriveKeyPair"
        labeled = b"HPKE-v1" + b"KEM" + self.kem_id.to_bytes(2) + len(label).to_bytes(2) + label + (32).to_bytes(2)
        private = shake_256(ikm + labeled).digest(32)
        return private, self.public_key(private)

    def _halves(self, private_key: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
        if len(private_key) != 32:
            raise BadKey(f"hybrid private key of {len(private_key)} bytes")
        stretched = shake_256(private_key).digest(96)
        return (
            mlkem.MLKEM768PrivateKey.from_seed_bytes(stretched[:64]),
            x25519.X25519PrivateKey.from_private_bytes(stretched[64:]),
        )

    def public_key(self, private_key: bytes) -> bytes:
        post, classical = self._halves(private_key)
        return post.public_key().public_bytes_raw() + classical.public_key().public_bytes_raw()

    def load_public(self, public_key: bytes) -> hpke.MLKEM768X25519PublicKey:
        if len(public_key) != 1216:
            raise BadKey(f"hybrid public key of {len(public_key)} bytes")
        if public_key[1184:1215] + bytes([public_key[1215] & 0x7F]) in LOW_ORDER:
            raise BadKey("X25519 half of low order")
        try:
            post = mlkem.MLKEM768PublicKey.from_public_bytes(public_key[:1184])
        except ValueError as error:
            raise BadKey("not an ML-KEM-768 public key") from error
        return hpke.MLKEM768X25519PublicKey(post, x25519.X25519PublicKey.from_public_bytes(public_key[1184:]))

    def load_private(self, private_key: bytes) -> hpke.MLKEM768X25519PrivateKey:
        return hpke.MLKEM768X25519PrivateKey(*self._halves(private_key))

    def check_public(self, public_key: bytes) -> None:
        self.load_public(public_key)


X25519: Final = X25519Kem()
P256: Final = NistKem(0x0010, ec.SECP256R1(), "sha256", 32, 0xFF)
P384: Final = NistKem(0x0011, ec.SECP384R1(), "sha384", 48, 0xFF)
P521: Final = NistKem(0x0012, ec.SECP521R1(), "sha512", 66, 0x01)
MLKEM768_X25519: Final = HybridKem()


class Hpke:
    """Single-shot SealBase and OpenBase with empty associated data (RFC 9180 section 6.1)."""

    __slots__ = ("_suite", "kem")

    def __init__(self, kem: Kem, kem_name: hpke.KEM, kdf: hpke.KDF, aead: hpke.AEAD) -> None:
        self.kem = kem
        self._suite = hpke.Suite(kem_name, kdf, aead)

    def seal(self, public_key: bytes, info: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
        """KEM output and ciphertext; raises `BadKey`."""
        key = self.kem.load_public(public_key)
        try:
            sealed = self._suite.encrypt(plaintext, key, info)
        except ValueError as error:
            raise BadKey("nothing can be sealed to this key") from error
        return sealed[: self.kem.enc_length], sealed[self.kem.enc_length :]

    def open(self, private_key: bytes, info: bytes, kem_output: bytes, ciphertext: bytes) -> bytes:
        """The plaintext; raises `DecryptionFailed`."""
        key = self.kem.load_private(private_key)
        if len(kem_output) != self.kem.enc_length:
            raise DecryptionFailed(f"KEM output of {len(kem_output)} bytes")
        try:
            return self._suite.decrypt(kem_output + ciphertext, key, info)
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed("HPKE ciphertext does not open") from error
