"""The KEMs of HPKE (RFC 9180 sections 4 and 7.1, draft-ietf-hpke-pq-04), on raw bytes.

`cryptography` seals and opens (`hpkesuite.py`); what it lacks is DeriveKeyPair, the raw form of hybrid keys, and
encapsulation on its own, and those are here. When it encapsulates, the library draws its own randomness.

The private key of MLKEM768-X25519 is a seed of 32 bytes; SHAKE256 stretches it to the ML-KEM seed (64) and the
X25519 scalar (32). Its public key is the ML-KEM key (1184) followed by the X25519 key (32).
"""

import hashlib
import hmac
from collections.abc import Callable
from hashlib import sha3_256, shake_256
from typing import Any, Final, Protocol, TypeVar

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

    def encapsulate(self, public_key: bytes) -> tuple[bytes, bytes]:
        """A fresh shared secret and the KEM output that carries it (Encap, RFC 9180 section 4); raises `BadKey`."""
        ...

    def decapsulate(self, private_key: bytes, kem_output: bytes) -> bytes:
        """The shared secret (Decap, RFC 9180 section 4); raises `BadKey`, `DecryptionFailed`."""
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


def kem_suite_id(kem_id: int) -> bytes:
    """The suite_id inside a KEM (RFC 9180 section 4.1)."""
    return b"KEM" + kem_id.to_bytes(2)


def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, ikm: bytes, algorithm: str) -> bytes:
    """LabeledExtract (RFC 9180 section 4)."""
    return hmac.digest(salt, b"HPKE-v1" + suite_id + label + ikm, algorithm)


def labeled_expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int, algorithm: str) -> bytes:
    """LabeledExpand (RFC 9180 section 4)."""
    return hkdf_expand(prk, length.to_bytes(2) + b"HPKE-v1" + suite_id + label + info, length, algorithm)


def extract_and_expand(kem_id: int, dh: bytes, kem_context: bytes, length: int, algorithm: str) -> bytes:
    """A DHKEM's shared secret (ExtractAndExpand, RFC 9180 section 4.1)."""
    suite_id = kem_suite_id(kem_id)
    prk = labeled_extract(suite_id, b"", b"eae_prk", dh, algorithm)
    return labeled_expand(suite_id, prk, b"shared_secret", kem_context, length, algorithm)


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
        suite_id = kem_suite_id(self.kem_id)
        prk = labeled_extract(suite_id, b"", b"dkp_prk", ikm, "sha256")
        private = labeled_expand(suite_id, prk, b"sk", b"", 32, "sha256")
        return private, self.public_key(private)

    def public_key(self, private_key: bytes) -> bytes:
        return self.load_private(private_key).public_key().public_bytes_raw()

    def encapsulate(self, public_key: bytes) -> tuple[bytes, bytes]:
        ephemeral = x25519.X25519PrivateKey.generate()
        kem_output = ephemeral.public_key().public_bytes_raw()
        dh = ephemeral.exchange(self.load_public(public_key))
        return extract_and_expand(self.kem_id, dh, kem_output + public_key, 32, "sha256"), kem_output

    def decapsulate(self, private_key: bytes, kem_output: bytes) -> bytes:
        private = self.load_private(private_key)
        dh = private.exchange(sent_key(self.load_public, kem_output))
        kem_context = kem_output + private.public_key().public_bytes_raw()
        return extract_and_expand(self.kem_id, dh, kem_context, 32, "sha256")

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
        suite_id = kem_suite_id(self._kem_id)
        prk = labeled_extract(suite_id, b"", b"dkp_prk", ikm, self._algorithm)
        for counter in range(256):
            candidate = bytearray(
                labeled_expand(suite_id, prk, b"candidate", bytes([counter]), self._size, self._algorithm)
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

    def encapsulate(self, public_key: bytes) -> tuple[bytes, bytes]:
        ephemeral = ec.generate_private_key(self._curve)
        kem_output = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        dh = ephemeral.exchange(ec.ECDH(), self.load_public(public_key))
        return self._shared_secret(dh, kem_output + public_key), kem_output

    def decapsulate(self, private_key: bytes, kem_output: bytes) -> bytes:
        dh = self.load_private(private_key).exchange(ec.ECDH(), sent_key(self.load_public, kem_output))
        return self._shared_secret(dh, kem_output + self.public_key(private_key))

    def _shared_secret(self, dh: bytes, kem_context: bytes) -> bytes:
        length = hashlib.new(self._algorithm).digest_size
        return extract_and_expand(self._kem_id, dh, kem_context, length, self._algorithm)

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


Public = TypeVar("Public")


def sent_key(load: Callable[[bytes], Public], kem_output: bytes) -> Public:
    """The ephemeral public key that a KEM output is; raises `DecryptionFailed`."""
    try:
        return load(kem_output)
    except BadKey as error:
        raise DecryptionFailed("the KEM output is no public key") from error


class HybridKem:
    """MLKEM768-X25519 (draft-ietf-hpke-pq-04 section 4), number 0x647a, also known as X-Wing."""

    kem_id: Final = 0x647A
    enc_length: Final = 1120
    combiner_label: Final = b"\\.//^\\"

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

    def encapsulate(self, public_key: bytes) -> tuple[bytes, bytes]:
        self.check_public(public_key)
        post_secret, post_output = mlkem.MLKEM768PublicKey.from_public_bytes(public_key[:1184]).encapsulate()
        ephemeral = x25519.X25519PrivateKey.generate()
        output = ephemeral.public_key().public_bytes_raw()
        secret = ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(public_key[1184:]))
        return self._combine(post_secret, secret, output, public_key[1184:]), post_output + output

    def decapsulate(self, private_key: bytes, kem_output: bytes) -> bytes:
        post, classical = self._halves(private_key)
        if len(kem_output) != self.enc_length:
            raise DecryptionFailed(f"hybrid KEM output of {len(kem_output)} bytes")
        post_secret, output = post.decapsulate(kem_output[:1088]), kem_output[1088:]
        secret = classical.exchange(sent_key(X25519.load_public, output))
        return self._combine(post_secret, secret, output, classical.public_key().public_bytes_raw())

    def _combine(self, post_secret: bytes, secret: bytes, output: bytes, public_key: bytes) -> bytes:
        """Both secrets in one, bound to the classical half's exchange; ML-KEM binds its own."""
        return sha3_256(post_secret + secret + output + public_key + self.combiner_label).digest()

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
