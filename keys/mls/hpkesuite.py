"""HPKE (RFC 9180) in base mode: a KEM, a KDF and an AEAD together, which seal one message or export one secret.

Sealing and opening are the library's. It has no secret export (section 6.2), which external commits need (RFC 9420
section 8.3), so the key schedule behind it is written out here; and by it many are sealed to under one long info, such
as a Welcome's whole tree, which then is hashed once and not for each.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from keys.mls.errors import BadKey, DecryptionFailed
from keys.mls.hpke import Kem, labeled_expand, labeled_extract

_KDFS: Final = {
    hpke.KDF.HKDF_SHA256: (0x0001, "sha256"),
    hpke.KDF.HKDF_SHA384: (0x0002, "sha384"),
    hpke.KDF.HKDF_SHA512: (0x0003, "sha512"),
}
_AEADS: Final[dict[hpke.AEAD, tuple[int, int, type[AESGCM] | type[ChaCha20Poly1305]]]] = {
    hpke.AEAD.AES_128_GCM: (0x0001, 16, AESGCM),
    hpke.AEAD.AES_256_GCM: (0x0002, 32, AESGCM),
    hpke.AEAD.CHACHA20_POLY1305: (0x0003, 32, ChaCha20Poly1305),
}


class HpkeSchedule(NamedTuple):
    """What a shared secret gives in base mode (KeySchedule, RFC 9180 section 5.1)."""

    key: bytes
    base_nonce: bytes
    exporter_secret: bytes


class Hpke:
    """Base mode with empty associated data (RFC 9180 sections 6.1 and 6.2): one sealing or one exported secret each."""

    __slots__ = ("_aead", "_hash_name", "_key_length", "_suite", "kem", "suite_id")

    def __init__(self, kem: Kem, kem_name: hpke.KEM, kdf: hpke.KDF, aead: hpke.AEAD) -> None:
        self.kem = kem
        self._suite = hpke.Suite(kem_name, kdf, aead)
        kdf_id, self._hash_name = _KDFS[kdf]
        aead_id, self._key_length, self._aead = _AEADS[aead]
        self.suite_id = b"HPKE" + kem.kem_id.to_bytes(2) + kdf_id.to_bytes(2) + aead_id.to_bytes(2)

    def seal(self, public_key: bytes, info: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
        """KEM output and ciphertext; raises `BadKey`."""
        key = self.kem.load_public(public_key)
        try:
            sealed = self._suite.encrypt(plaintext, key, info)
        except ValueError as error:
            raise BadKey("nothing can be sealed to this key") from error
        return sealed[: self.kem.enc_length], sealed[self.kem.enc_length :]

    def sealer(self, info: bytes) -> Callable[[bytes, bytes], tuple[bytes, bytes]]:
        """What seals to many under one info: given a public key and a plaintext, it does as `seal`."""
        context = self._context(info)

        def seal(public_key: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
            shared_secret, kem_output = self.kem.encapsulate(public_key)
            schedule = self._schedule(shared_secret, context)
            return kem_output, self._aead(schedule.key).encrypt(schedule.base_nonce, plaintext, b"")

        return seal

    def open(self, private_key: bytes, info: bytes, kem_output: bytes, ciphertext: bytes) -> bytes:
        """The plaintext; raises `DecryptionFailed`."""
        key = self.kem.load_private(private_key)
        if len(kem_output) != self.kem.enc_length:
            raise DecryptionFailed(f"KEM output of {len(kem_output)} bytes")
        try:
            return self._suite.decrypt(kem_output + ciphertext, key, info)
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed("HPKE ciphertext does not open") from error

    def send_export(self, public_key: bytes, info: bytes, context: bytes, length: int) -> tuple[bytes, bytes]:
        """KEM output and exported secret (SendExportBase, RFC 9180 section 6.2); raises `BadKey`."""
        shared_secret, kem_output = self.kem.encapsulate(public_key)
        return kem_output, self.export(self.schedule(shared_secret, info), context, length)

    def receive_export(self, private_key: bytes, kem_output: bytes, info: bytes, context: bytes, length: int) -> bytes:
        """The same secret (ReceiveExportBase, RFC 9180 section 6.2); raises `DecryptionFailed`."""
        shared_secret = self.kem.decapsulate(private_key, kem_output)
        return self.export(self.schedule(shared_secret, info), context, length)

    def schedule(self, shared_secret: bytes, info: bytes) -> HpkeSchedule:
        """KeySchedule in base mode, without pre-shared key (RFC 9180 section 5.1)."""
        return self._schedule(shared_secret, self._context(info))

    def _context(self, info: bytes) -> bytes:
        """The key_schedule_context: all of the schedule that is the same for everybody."""
        psk_id_hash = labeled_extract(self.suite_id, b"", b"psk_id_hash", b"", self._hash_name)
        return b"\x00" + psk_id_hash + labeled_extract(self.suite_id, b"", b"info_hash", info, self._hash_name)

    def _schedule(self, shared_secret: bytes, context: bytes) -> HpkeSchedule:
        hash_name = self._hash_name
        secret = labeled_extract(self.suite_id, shared_secret, b"secret", b"", hash_name)

        def expand(label: bytes, length: int) -> bytes:
            return labeled_expand(self.suite_id, secret, label, context, length, hash_name)

        return HpkeSchedule(expand(b"key", self._key_length), expand(b"base_nonce", 12), expand(b"exp", len(secret)))

    def export(self, schedule: HpkeSchedule, context: bytes, length: int) -> bytes:
        """Context.Export (RFC 9180 section 5.3)."""
        return labeled_expand(self.suite_id, schedule.exporter_secret, b"sec", context, length, self._hash_name)
