"""An auditor's own key, and what he signs with it: the digests of a report's files, as a C2SP signed note.

    outrider audit report
    <origin>
    <size> <root in base64>
    <verdict>
    <file> <SHA-256 in hex>          for each file

The key is no device's and opens nothing. Its file is one line, in the form that Go's note package has for private keys, and is
the auditor's to keep: `PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 and the seed>`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from clients.shell import read_text, tell
from keys.tlog.errors import TlogError
from keys.tlog.note import (
    ED25519,
    Ed25519Signer,
    Note,
    NoteVerifier,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)

TITLE: Final = "outrider audit report"
SIGNATURE: Final = "report.sig"
_PREFIX: Final = "PRIVATE+KEY+"


def signer_of(file: Path) -> Ed25519Signer:
    """The key in this file; made there where there is none."""
    if not file.exists():
        return _made(file)
    text = read_text(file, 1_024).strip()
    try:
        name, key_id, encoded = text.removeprefix(_PREFIX).split("+", 2)
        secret = decode_base64(encoded)
        signer = Ed25519Signer.from_seed(name, secret[1:])
    except (ValueError, TlogError):
        raise click.UsageError(f"{file} holds no auditor's key") from None
    if secret[0] != ED25519 or signer.verifier_key.key_id.hex() != key_id:
        raise click.UsageError(f"{file} holds no auditor's key")
    return signer


def _made(file: Path) -> Ed25519Signer:
    seed = secrets.token_bytes(32)
    signer = Ed25519Signer.from_seed(f"auditor-{secrets.token_hex(4)}", seed)
    key = signer.verifier_key
    line = f"{_PREFIX}{key.name}+{key.key_id.hex()}+{encode_base64(bytes([ED25519]) + seed)}\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(line)
    tell(f"made a key to sign reports with, in {file}: hand out {key.encode()}")
    return signer


def statement(origin: str, size: int, root: bytes, verdict: str, files: Mapping[str, bytes]) -> str:
    """What is signed."""
    digests = [f"{name} {sha256(data).hexdigest()}" for name, data in files.items()]
    return "\n".join([TITLE, origin, f"{size} {encode_base64(root)}", verdict, *digests, ""])


def signed(text: str, signer: Ed25519Signer) -> bytes:
    """The signature's file."""
    return sign_note(text, [signer]).encode()


def check_signed(note: bytes, files: Mapping[str, bytes], key: NoteVerifier) -> str:
    """The verdict that was signed, if this key has signed these very files. Raises TlogError, click.UsageError."""
    opened = open_note(Note.decode(note), [key])
    lines = opened.text.split("\n")
    if len(lines) != 5 + len(files) or lines[0] != TITLE:
        raise click.UsageError("this is no signature of a report")
    if lines[4:-1] != [f"{name} {sha256(data).hexdigest()}" for name, data in files.items()]:
        raise click.UsageError("these are not the files that were signed")
    return lines[3]
