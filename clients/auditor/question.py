"""What every verb that reads a log is asked: which log, and what the auditor holds from outside to check it by.

@audit.command("show", cls=Verb)
@of_a_log
def show(log: Log, ...):
    verified = log.verified(watch)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from clients.auditor.archive import ArchiveSource, NoArchive
from clients.auditor.remote import RemoteSource
from clients.auditor.source import FolderSource, LogSource
from clients.auditor.verify import Asked, Export, OutsideHead, Verified, log_keys, open_head, verify_log
from clients.auditor.verify.watching import Watch
from clients.shell import profile, read_bytes, read_text, tell
from keys.charter import NOTE_LIMIT, Charter, reopen
from keys.errors import CharterRefused
from keys.evidence import MAGIC
from keys.tlog.errors import TlogError
from keys.tlog.note import MAX_NOTE, NoteVerifier
from keys.tlog.policy import MAX_POLICY, TrustPolicy

LONG: Final = 20_000  # entries from which progress is told
KEY_PIN: Final = "log.vkey"  # in the profile
CHARTER_PIN: Final = "charter"

_FILE: Final = click.Path(path_type=Path)
_OPTIONS: Final = (
    click.argument("source"),
    click.option(
        "--head", type=_FILE, metavar="FILE", help="A checkpoint kept outside the log: only then it is WHOLE."
    ),
    click.option("--key", metavar="VKEY|FILE", help="The log's verifier key; else the charter's or the profile's."),
    click.option("--charter", type=_FILE, metavar="FILE", help="A charter that the log must descend to."),
    click.option(
        "--policy", type=_FILE, metavar="FILE", help="Who must have cosigned (tlog-policy); else the charter's."
    ),
    click.option("--token", type=_FILE, metavar="FILE", help="The auditor's token, for a log by its URL."),
    click.option("--ca", type=_FILE, metavar="FILE", help="Trust this authority for TLS, where no charter is at hand."),
)


@dataclass(frozen=True, slots=True)
class Log:
    """A log and what it is to be checked against; `name` is what was typed."""

    name: str
    source: LogSource
    asked: Asked

    def verified(self, asked: Asked | None = None) -> Verified:
        """Check it, with progress told on stderr."""
        return verify_log(self.source.fetch, self.source.paths(), asked or self.asked, Progress())


def of_a_log(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a verb the options that say which log; it is called with a `Log` first."""

    @wraps(verb)
    def with_log(**values: Any) -> Any:
        names = ("source", "head", "key", "charter", "policy", "token", "ca")
        return verb(log_of(**{name: values.pop(name) for name in names}), **values)

    command: Callable[..., Any] = with_log
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def watching(asked: Asked, watch: Watch) -> Asked:
    """The same question, with somebody who looks on."""
    return replace(asked, watch=watch)


def log_of(
    source: str,
    head: Path | None,
    key: str | None,
    charter: Path | None,
    policy: Path | None,
    token: Path | None,
    ca: Path | None,
) -> Log:
    """The log that is meant, and the question about it so far."""
    pinned = charter_of(charter)
    keys = keys_of(key, pinned)
    log = source_of(source, pinned, token, ca)
    outside = None if head is None or not keys else head_of(head, keys)
    now = time.time_ns() // 1_000_000
    export: Export | None = log.export if isinstance(log, ArchiveSource) else None
    return Log(source, log, Asked(keys, now, outside, charter=pinned, policy=_policy_of(policy), export=export))


def source_of(source: str, charter: Charter | None, token_file: Path | None, ca: Path | None) -> LogSource:
    """A log by its URL, an archive, or a folder."""
    if source.startswith(("https://", "http://")):
        token = "" if token_file is None else read_text(token_file, 1_024).strip()
        pins = frozenset() if charter is None else frozenset(charter.policy.tls_keys)
        return RemoteSource(source, token, pins, ca)
    path = Path(source)
    if path.is_dir():
        return FolderSource(path)
    try:
        if path.is_file():
            if is_evidence(path):
                raise click.UsageError(f"{source} is a file of evidence: outrider audit evidence {source}")
            return ArchiveSource(path)
    except NoArchive as error:
        raise click.UsageError(f"{source} is no archive that can be read: {error}") from None
    raise click.UsageError(f"{source} is neither a folder, an archive nor the URL of a log")


def is_evidence(path: Path) -> bool:
    """Whether a file says that it is one of evidence (`keys.evidence`)."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def charter_of(file: Path | None) -> Charter | None:
    """The charter given, else the profile's pin."""
    pin = profile() / CHARTER_PIN
    if file is None and not pin.is_file():
        return None
    found = file or pin
    try:
        return reopen(read_bytes(found, NOTE_LIMIT))
    except CharterRefused as error:
        raise click.UsageError(f"{found} is no charter: {error}") from None


def keys_of(given: str | None, charter: Charter | None) -> Sequence[NoteVerifier]:
    """The log's keys: given, else the charter's, else the profile's pin; none where nobody names them."""
    pin = profile() / KEY_PIN
    if given is None and charter is not None:
        return charter.policy.log_verifiers
    if given is None and not pin.is_file():
        return []
    try:
        text = read_text(pin) if given is None else given
        return log_keys(text if _is_key(text) else read_text(Path(text)))
    except TlogError as error:
        raise click.UsageError(f"not the key of a log: {error}") from None


def check_covered(index: int, size: int) -> None:
    """Raises UsageError for an entry that a checkpoint of this size doesn't cover."""
    if index >= size:
        raise click.UsageError(
            f"entry {index} is not under that log's checkpoint, which covers {size}: "
            "what has just been accepted is covered a moment later; ask again"
        )


def head_of(file: Path, keys: Sequence[NoteVerifier]) -> OutsideHead:
    """A head that was kept outside."""
    try:
        return open_head(read_bytes(file, MAX_NOTE), keys)
    except TlogError as error:
        raise click.UsageError(f"{file} is no head of this log: {error}") from None


def _policy_of(file: Path | None) -> TrustPolicy | None:
    if file is None:
        return None
    try:
        return TrustPolicy.decode(read_bytes(file, MAX_POLICY))
    except TlogError as error:
        raise click.UsageError(f"{file} is no tlog-policy: {error}") from None


def _is_key(text: str) -> bool:
    try:
        log_keys(text)
    except TlogError:
        return False
    return True


class Progress:
    """Tells on stderr, for long logs, how far it is."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, size: int) -> None:
        if size >= LONG and (done - self._told >= size // 10 or done == size):
            self._told = done
            tell(f"{done} of {size} entries")
