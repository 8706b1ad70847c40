"""A key to carry away: one line of text that opens with a passphrase of its own.

`mission init` writes one for each authority key, for the organisation's root and for the second registrar; on a stick in a safe
they are of no use to who finds them. The line is a prefix and the canonical record in base64url; what it is for and its name
stand open and are authenticated, the key itself is sealed with XChaCha20-Poly1305 under Argon2id (RFC 9106).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from typing import Annotated, Final

from argon2.low_level import Type, hash_secret_raw
from msgspec import Meta
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt
from nacl.exceptions import CryptoError

from clients.vault import Cost
from keys.canonical import Hash, Id, Record, Uint, encode, reader
from keys.errors import BadSignature, Malformed
from keys.identity import Random

PREFIX: Final = "outrider-key:"
FILE_LIMIT: Final = 128 * 1024  # characters: a registrar's file holds a charter as well
NONCE_LENGTH: Final = 24


class Purpose(StrEnum):
    """What the key in a file is for."""

    AUTHORITY = "authority"
    ROOT = "root"
    REGISTRAR = "registrar"


class Kept(Record, frozen=True, array_like=True):
    """What is sealed: the key's seed; a root's or registrar's certificate; and for a registrar which one it is of its
    organisation (0 for other keys), and the mission's first charter, where there is one yet."""

    seed: Hash
    certificate: Annotated[bytes, Meta(max_length=1_024)] = b""
    number: Uint = 0
    charter: Annotated[bytes, Meta(max_length=48 * 1024)] = b""


class KeyFile(Record, frozen=True, array_like=True):
    """The file, as anybody reads it."""

    version: Annotated[int, Meta(ge=1, le=1)]
    purpose: Purpose
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    cost: Cost
    salt: Id
    nonce: Annotated[bytes, Meta(min_length=NONCE_LENGTH, max_length=NONCE_LENGTH)]
    sealed: Annotated[bytes, Meta(max_length=52 * 1024)]

    def text(self) -> str:
        """The file's one line."""
        return PREFIX + urlsafe_b64encode(encode(self)).decode().rstrip("=") + "\n"

    def _open_part(self) -> bytes:
        return encode([self.version, str(self.purpose), self.name])


_read_file = reader(KeyFile)
_read_kept = reader(Kept)


def _key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    return hash_secret_raw(passphrase.encode(), salt, cost.passes, cost.memory, cost.lanes, 32, Type.ID)


def seal_key(purpose: Purpose, name: str, kept: Kept, passphrase: str, random: Random, cost: Cost) -> KeyFile:
    """A key file that opens with this passphrase."""
    empty = KeyFile(1, purpose, name, cost, random(16), random(NONCE_LENGTH), b"")
    sealed = _encrypt(encode(kept), empty._open_part(), empty.nonce, _key(passphrase, empty.salt, cost))
    return KeyFile(1, purpose, name, cost, empty.salt, empty.nonce, sealed)


def is_key_file(text: str) -> bool:
    """Whether a text says of itself that it is a key file."""
    return text.startswith(PREFIX)


def read_key_file(text: str) -> KeyFile:
    """The file in a text, not opened yet.

    Raises:
        Malformed: it is none, or was cut or changed on its way.
    """
    if not is_key_file(text) or not text.endswith("\n") or len(text) > FILE_LIMIT:
        raise Malformed(f"not a key file: it begins with {PREFIX} and is one whole line")
    encoded = text[len(PREFIX) : -1]
    try:
        file = _read_file(urlsafe_b64decode(encoded.encode("ascii") + b"=" * (-len(encoded) % 4)))
    except ValueError:
        raise Malformed("this key file was cut or changed") from None
    if file.text() != text:
        raise Malformed("this key file was changed")
    return file


def open_key(file: KeyFile, passphrase: str) -> Kept:
    """The key in a file.

    Raises:
        BadSignature: another passphrase, or the file was altered.
        Malformed: what is sealed is no key.
    """
    try:
        data = _decrypt(file.sealed, file._open_part(), file.nonce, _key(passphrase, file.salt, file.cost))
    except (CryptoError, ValueError):
        raise BadSignature(
            f"not the passphrase of the {file.purpose} key {file.name}, or the file was altered"
        ) from None
    return _read_kept(data)
