"""`outrider audit`: what an auditor does. `verify` needs no gateway, no member's key and no profile.

Exit 0 sound, 1 a claim failed, 7 nothing failed and something could not be checked.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from clients.auditor import report
from clients.auditor.remote import RemoteSource
from clients.auditor.source import FolderSource, LogSource
from clients.auditor.verify import Asked, OutsideHead, Verdict, log_keys, open_head, read_state, verify_log
from clients.auditor.verify.state import LIMIT
from clients.shell import Lazy, Verb, Verbs, asked, profile, read_bytes, read_text, tell
from keys.charter import NOTE_LIMIT, Charter, reopen
from keys.errors import CharterRefused
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import TlogError
from keys.tlog.note import MAX_NOTE, NoteVerifier

EXITS: Final = {Verdict.WHOLE: 0, Verdict.CONSISTENT: 0, Verdict.FAIL: 1, Verdict.UNCHECKED: 7}
LONG: Final = 20_000  # entries from which progress is told
KEY_PIN: Final = "log.vkey"  # in the profile
CHARTER_PIN: Final = "charter"

_FILE: Final = click.Path(path_type=Path)


WITNESS: Final = Lazy("clients.witness.command:witness", "Run a witness: cosign other organisations' logs.")


DESK: Final = {
    "request": Lazy("clients.auditor.desk:request", "Ask to see one message."),
    "requests": Lazy("clients.auditor.desk:requests", "List your requests and how each stands."),
    "open": Lazy("clients.auditor.desk:open_package", "Open one disclosed message and check it against the log."),
}


@click.group(cls=Verbs, lazy={"witness": WITNESS, **DESK})
def audit() -> None:
    """Check a log, from its own bytes and what was kept outside.

    Example: outrider audit verify /media/export/log --key log.vkey --head head
    """


@audit.command("verify", cls=Verb)
@click.argument("source")
@click.option("--head", type=_FILE, metavar="FILE", help="A checkpoint kept outside the log: only then it is WHOLE.")
@click.option("--since", type=_FILE, metavar="FILE", help="Go on from what an earlier verification saved.")
@click.option("--save", type=_FILE, metavar="FILE", help="If all is sound, save what the next one may go on from.")
@click.option("--log-only", is_flag=True, help="Check the tree alone, not what the entries say.")
@click.option("--every-signature", is_flag=True, help="Check each signature, also where the chain vouches for it.")
@click.option("--key", metavar="VKEY|FILE", help="The log's verifier key; else the charter's or the profile's.")
@click.option("--charter", "charter_file", type=_FILE, metavar="FILE", help="A charter that the log must descend to.")
@click.option("--token", "token_file", type=_FILE, metavar="FILE", help="The auditor's token, for a log by its URL.")
@click.option("--ca", type=_FILE, metavar="FILE", help="Trust this authority for TLS, where no charter is at hand.")
def verify(
    source: str,
    head: Path | None,
    since: Path | None,
    save: Path | None,
    log_only: bool,
    every_signature: bool,
    key: str | None,
    charter_file: Path | None,
    token_file: Path | None,
    ca: Path | None,
) -> None:
    """Check the log in SOURCE, a folder or the URL of a log, and say PASS, FAIL or UNCHECKED of each claim.

    Example: outrider audit verify gateway/log --key log.vkey --head head
    """
    if log_only and save is not None:
        raise click.UsageError("--save keeps what entries say, and --log-only does not read it")
    charter = charter_of(charter_file)
    keys = keys_of(key, charter)
    question = Asked(
        keys=keys,
        now=time.time_ns() // 1_000_000,
        head=None if head is None or not keys else _head(head, keys),
        since=None if since is None else read_state(read_bytes(since, LIMIT)),
        charter=charter,
        log_only=log_only,
        every_signature=every_signature,
    )
    log = source_of(source, charter, token_file, ca)
    verified = verify_log(log.fetch, log.paths(), question, _Progress())
    for line in report.json_lines(verified) if asked().json else report.page(verified, source):
        click.echo(line)
    if save is not None:
        _save(save, verified.state)
    click.get_current_context().exit(EXITS[verified.verdict])


def _save(file: Path, state: bytes | None) -> None:
    """Put the state in place, over an older one, whole or not at all."""
    if state is None:
        tell(f"nothing was saved in {file}: only a log that is sound throughout can be gone on from")
        return
    passing = file.with_name(f".new-{file.name}")
    with passing.open("wb") as opened:
        opened.write(state)
        opened.flush()
        os.fsync(opened.fileno())
    passing.replace(file)


class _Progress:
    """Tells on stderr, for long logs, how far it is."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, size: int) -> None:
        if size >= LONG and (done - self._told >= size // 10 or done == size):
            self._told = done
            tell(f"{done} of {size} entries")


def source_of(source: str, charter: Charter | None, token_file: Path | None, ca: Path | None) -> LogSource:
    if source.startswith(("https://", "http://")):
        token = "" if token_file is None else read_text(token_file, 1_024).strip()
        pins = frozenset() if charter is None else frozenset(charter.policy.tls_keys)
        return RemoteSource(source, token, pins, ca)
    if not Path(source).is_dir():
        raise click.UsageError(f"{source} is neither a folder nor the URL of a log")
    return FolderSource(Path(source))


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
        return [verifier_of(charter.policy.log_key)]
    if given is None and not pin.is_file():
        return []
    try:
        text = read_text(pin) if given is None else given
        return log_keys(text if _is_key(text) else read_text(Path(text)))
    except TlogError as error:
        raise click.UsageError(f"not the key of a log: {error}") from None


def _is_key(text: str) -> bool:
    try:
        log_keys(text)
    except TlogError:
        return False
    return True


def _head(file: Path, keys: Sequence[NoteVerifier]) -> OutsideHead:
    try:
        return open_head(read_bytes(file, MAX_NOTE), keys)
    except TlogError as error:
        raise click.UsageError(f"{file} is no head of this log: {error}") from None


if __name__ == "__main__":
    audit()
