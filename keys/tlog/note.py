"""Signed notes: a text and the lines of those who signed it (c2sp.org/signed-note).

    text, ending in a newline
    (an empty line)
    — name base64(key id[4] || signature)

A `Note` is what the bytes claim. `open_note` gives an `OpenNote`, and only that says who signed: lines of unknown keys are
passed over, one line of a known key that fails sinks the whole note, and without one that holds there is no note.

Text and signers' names are str, since a note is UTF-8 by definition; there is one encoding for each note.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, Protocol

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from keys.tlog.errors import BadSignature, Malformed, TooLarge, UnknownKey

MAX_NOTE: Final = 1 << 20
MAX_SIGNATURES: Final = 64
"""The format asks for at least 16."""

ED25519: Final = 0x01
KEY_ID_SIZE: Final = 4
ED25519_KEY_SIZE: Final = 32
ED25519_SIGNATURE_SIZE: Final = 64

_DASH: Final = "\u2014 "
_CONTROLS: Final = frozenset(map(chr, range(0x20))) - {"\n"}


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who is said to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.key_id) != KEY_ID_SIZE or not self.signature:
            raise Malformed("a signature line holds a key id of 4 bytes and a signature")

    def encode(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"

    @classmethod
    def decode(cls, line: str) -> Signature:
        """A line without its newline; raises Malformed."""
        if not line.startswith(_DASH):
            raise Malformed("a signature line starts with a dash and a space")
        name, space, encoded = line[len(_DASH) :].partition(" ")
        if not space:
            raise Malformed("a signature line has a name and a signature")
        blob = decode_base64(encoded)
        return cls(name, blob[:KEY_ID_SIZE], blob[KEY_ID_SIZE:])


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it claims to be: text with its last newline, and signature lines that nobody has checked."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        check_text(self.text)
        if not self.signatures:
            raise Malformed("a note has at least one signature line")
        if len(self.signatures) > MAX_SIGNATURES:
            raise TooLarge(f"{len(self.signatures)} signature lines, over {MAX_SIGNATURES}")

    def encode(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(line.encode() for line in self.signatures)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Note:
        """The opposite of `encode`; raises Malformed, or TooLarge over 1 MiB or 64 lines."""
        if len(data) > MAX_NOTE:
            raise TooLarge(f"a note of {len(data)} bytes, over {MAX_NOTE}")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise Malformed("a note is UTF-8") from error
        blank = whole.rfind("\n\n")  # the last empty line parts text and signatures; the text may have its own
        if blank < 0 or not whole.endswith("\n"):
            raise Malformed("a note is text, an empty line and signature lines")
        lines = whole[blank + 2 :].split("\n")[:-1]
        if len(lines) > MAX_SIGNATURES:
            raise TooLarge(f"{len(lines)} signature lines, over {MAX_SIGNATURES}")
        return cls(whole[: blank + 1], tuple(Signature.decode(line) for line in lines))

    def with_signatures(self, signatures: Iterable[Signature]) -> Note:
        """The same note with more lines at its end; a line it has already is not repeated."""
        new = tuple(line for line in dict.fromkeys(signatures) if line not in self.signatures)
        return replace(self, signatures=self.signatures + new)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A vkey: `name+hex(key id)+base64(type || public key)`."""

    name: str
    type: int
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 0 <= self.type <= 0xFF or not self.public_key:
            raise Malformed("a verifier key is a type and a public key")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key), the first four bytes."""
        return key_id(self.name, self.type, self.public_key)

    def encode(self) -> str:
        """One line, without a newline."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.type]) + self.public_key)}"

    @classmethod
    def decode(cls, vkey: str) -> VerifierKey:
        """The opposite of `encode`; raises Malformed, also where the key id is not that of the key."""
        parts = vkey.split("+", 2)  # base64 may hold a plus as well; a name may not
        if len(parts) != 3:
            raise Malformed("a verifier key has three parts")
        blob = decode_base64(parts[2])
        if not blob:
            raise Malformed("a verifier key is a type and a public key")
        found = cls(parts[0], blob[0], blob[1:])
        if found.key_id.hex() != parts[1]:
            raise Malformed("a verifier key's id is not that of its key")
        return found


class NoteVerifier(Protocol):
    """One trusted key. `verify` raises BadSignature, and reads nothing but its arguments."""

    @property
    def name(self) -> str:
        """Key name, as on the signature line."""

    @property
    def key_id(self) -> bytes:
        """Key id, four bytes."""

    def verify(self, text: str, signature: bytes) -> None:
        """Raises BadSignature unless this key signed the text."""


class NoteSigner(Protocol):
    """One key that signs notes."""

    def sign(self, text: str) -> Signature:
        """The signature line for a text that ends in a newline."""


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """A plain Ed25519 key (type 0x01), which signs the text with its last newline."""

    key: VerifierKey
    _public: VerifyKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_public", ed25519_public(self.key, ED25519))

    @property
    def name(self) -> str:
        """Key name."""
        return self.key.name

    @property
    def key_id(self) -> bytes:
        """Key id."""
        return self.key.key_id

    def verify(self, text: str, signature: bytes) -> None:
        """Raises BadSignature unless this key signed the text."""
        verify_ed25519(self._public, text.encode(), signature, self.name)


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """A plain Ed25519 key (type 0x01) that signs; made of its 32-byte seed, which is never shown."""

    name: str
    _key: SigningKey = field(repr=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Ed25519Signer:
        """The key of a seed; raises Malformed unless it has 32 bytes and the name is one."""
        check_name(name)
        return cls(name, ed25519_private(seed))

    @property
    def verifier_key(self) -> VerifierKey:
        """The vkey to hand out."""
        return VerifierKey(self.name, ED25519, self._key.verify_key.encode())

    def sign(self, text: str) -> Signature:
        """The signature line for a text that ends in a newline."""
        return Signature(self.name, self.verifier_key.key_id, self._key.sign(text.encode()).signature)


@dataclass(frozen=True, slots=True)
class OpenNote:
    """A note that a trusted key has signed, with the lines that hold and nothing else."""

    text: str
    verified: tuple[Signature, ...]
    note: Note


def sign_note(text: str, signers: Iterable[NoteSigner]) -> Note:
    """A text (ending in a newline) signed by each; raises Malformed where the text can't be a note's."""
    check_text(text)
    return Note(text, tuple(signer.sign(text) for signer in signers))


def open_note(note: Note, verifiers: Iterable[NoteVerifier]) -> OpenNote:
    """The note, as far as keys we trust vouch for it (signed-note, "Signatures").

    Raises BadSignature where a line of a known key fails, UnknownKey where no line is of a known key, Malformed where two
    verifiers share name and key id.
    """
    known = _by_line(verifiers)
    verified: list[Signature] = []
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is not None:
            verifier.verify(note.text, line.signature)
            verified.append(line)
    if not verified:
        raise UnknownKey("no trusted key has signed this note")
    return OpenNote(note.text, tuple(verified), note)


def _by_line(verifiers: Iterable[NoteVerifier]) -> dict[tuple[str, bytes], NoteVerifier]:
    known: dict[tuple[str, bytes], NoteVerifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) is not verifier:
            raise Malformed(f"two trusted keys share the name {verifier.name} and a key id")
    return known


def key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """The recommended key id, four bytes (signed-note, "Signatures")."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:KEY_ID_SIZE]


def check_name(name: str) -> None:
    """Raises Malformed unless this is a key name: not empty, no spaces, no plus, no control characters."""
    if not name or any(c == "+" or c.isspace() or c in _CONTROLS for c in name) or not _encodable(name):
        raise Malformed("a key name is not empty and has no space and no plus")


def check_text(text: str) -> None:
    """Raises Malformed unless this can be a note's text: ends in a newline, UTF-8, no other control character."""
    if not text.endswith("\n"):
        raise Malformed("a note's text ends in a newline")
    if not _CONTROLS.isdisjoint(text) or not _encodable(text):
        raise Malformed("a note has no control characters but newlines")


def ed25519_public(key: VerifierKey, kind: int) -> VerifyKey:
    """The Ed25519 key of a vkey that must be of that type; raises Malformed."""
    if key.type != kind or len(key.public_key) != ED25519_KEY_SIZE:
        raise Malformed(f"verifier key {key.name} is no Ed25519 key of type {kind:#04x}")
    return VerifyKey(key.public_key)


def ed25519_private(seed: bytes) -> SigningKey:
    """The Ed25519 key of a 32-byte seed; raises Malformed."""
    if len(seed) != ED25519_KEY_SIZE:
        raise Malformed("an Ed25519 seed has 32 bytes")
    return SigningKey(seed)


def verify_ed25519(key: VerifyKey, message: bytes, signature: bytes, name: str) -> None:
    """Raises BadSignature, naming the key, unless it signed the message."""
    if len(signature) != ED25519_SIGNATURE_SIZE:
        raise BadSignature(f"signature of {name} has a wrong length")
    try:
        key.verify(message, signature)
    except BadSignatureError as error:
        raise BadSignature(f"signature of {name} fails") from error


def encode_base64(data: bytes) -> str:
    """Standard base64 (RFC 4648 section 4)."""
    return b64encode(data).decode()


def decode_base64(encoded: str) -> bytes:
    """Standard base64 in its one encoding: padded, nothing else in it, no bits to spare; raises Malformed."""
    try:
        data = b64decode(encoded, validate=True)
    except ValueError as error:
        raise Malformed("not base64") from error
    if encode_base64(data) != encoded:
        raise Malformed("base64 with bits to spare")
    return data


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
