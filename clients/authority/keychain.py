"""Key files on disk: written with a passphrase each, opened again, and never printed."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from clients.authority.keyfile import Kept, KeyFile, Purpose, open_key, read_key_file, seal_key
from clients.shell import PASSPHRASE_LIMIT, ask_passphrase, read_passphrase, read_text, write_new
from clients.vault import Cost


@dataclass(frozen=True, slots=True)
class ToKeep:
    """A key that is to be written: the file's name, what it is for, and what is sealed."""

    file: str
    purpose: Purpose
    name: str
    kept: Kept


def passphrases(keys: list[ToKeep], file: Path | None) -> list[str]:
    """A passphrase for each key: from the file's lines in order (one line: the same for all), else asked for."""
    if file is None:
        return [
            ask_passphrase(f"New passphrase of {key.file} ({key.purpose} key {key.name})", new=True) for key in keys
        ]
    lines = [line for line in read_text(file, PASSPHRASE_LIMIT * len(keys)).splitlines() if line]
    if len(lines) not in (1, len(keys)):
        names = ", ".join(key.file for key in keys)
        raise click.UsageError(f"{file} needs one line, or {len(keys)}: a passphrase each for {names}")
    return lines if len(lines) == len(keys) else lines * len(keys)


def seal_all(keys: list[ToKeep], secrets: list[str]) -> list[tuple[str, KeyFile]]:
    """The key files, by name, ready to be written. Argon2id is slow on purpose; the files are sealed side by side."""

    def seal(pair: tuple[ToKeep, str]) -> tuple[str, KeyFile]:
        key, secret = pair
        return key.file, seal_key(key.purpose, key.name, key.kept, secret, os.urandom, Cost())

    with ThreadPoolExecutor() as pool:
        return list(pool.map(seal, zip(keys, secrets, strict=True)))


def write_all(folder: Path, files: list[tuple[str, KeyFile]]) -> None:
    """Write key files that are not there yet, for their owner's eyes only."""
    for name, file in files:
        write_new(folder / name, file.text().encode(), secret=True)


def open_file(path: Path, purpose: Purpose, passphrase_file: Path | None) -> tuple[KeyFile, Kept]:
    """Open a key file with its passphrase.

    Raises:
        click.UsageError: it is for another purpose, or can't be read.
        Malformed, BadSignature: it is none, or that is not its passphrase.
    """
    file = read_key_file(read_text(path))
    if file.purpose is not purpose:
        raise click.UsageError(f"{path} is a {file.purpose} key, a {purpose} key is needed here")
    prompt = f"Passphrase of {path} ({file.purpose} key {file.name})"
    secret = read_passphrase(passphrase_file) if passphrase_file else ask_passphrase(prompt, new=False)
    return file, open_key(file, secret)
