"""How a verb ends: one table from what was raised to the exit code of CLI.md, and a report of what nobody foresaw.

    0  done, verified, everyone answered        4  identity not trusted or changed
    1  the answer is no                         5  time limit, partial result printed
    2  usage or configuration                   6  not enrolled, not permitted, refused by the charter
    3  gateway or disk not reachable            7  could not be checked
    70 a fault of ours                          130 interrupted

The sentence that an error carries says what to do next; here it is only printed. What stands in no row is a bug of ours: its
trace goes to `reports/<id>.txt` in the profile, and the user is told the id.
"""

import json
import os
import platform
import secrets
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from clients import vault
from clients.core import errors
from clients.core.cap import CapRefused
from clients.core.text import visible_lines
from clients.shell import SCHEMA, Asked, profile, tell
from keys import errors as keys
from keys.tlog.errors import TlogError

DONE, NO, USAGE, UNREACHABLE, UNTRUSTED, TIME_LIMIT, FORBIDDEN, UNCHECKED = range(8)
FAULT: Final = 70
INTERRUPTED: Final = 130

EXITS: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (click.Abort, INTERRUPTED),
    (KeyboardInterrupt, INTERRUPTED),
    (errors.NotEnrolled, FORBIDDEN),
    (errors.NotAllowed, FORBIDDEN),
    (errors.NotNow, NO),
    (errors.Unknown, USAGE),
    (errors.Untrusted, UNTRUSTED),
    (errors.NotReached, UNREACHABLE),
    (errors.ClientError, NO),
    (CapRefused, NO),
    (vault.NoVault, FORBIDDEN),
    (vault.WrongPassphrase, FORBIDDEN),
    (vault.VaultBusy, UNREACHABLE),
    (vault.VaultDamaged, UNREACHABLE),
    (vault.VaultError, USAGE),
    (keys.BadSignature, UNTRUSTED),
    (keys.NotTrusted, UNTRUSTED),
    (keys.NotPermitted, FORBIDDEN),
    (keys.Expired, FORBIDDEN),
    (keys.Revoked, FORBIDDEN),
    (keys.CharterRefused, FORBIDDEN),
    (keys.LadderRefused, NO),
    (keys.Malformed, USAGE),
    (TlogError, UNCHECKED),
    (TimeoutError, TIME_LIMIT),
    (OSError, UNREACHABLE),
)
"""The first row that fits counts. A `click.ClickException` brings its own code."""


def exit_code(error: BaseException) -> int:
    """The exit code for what was raised; FAULT where the table has no row."""
    if isinstance(error, click.ClickException):
        return error.exit_code
    return next((code for kind, code in EXITS if isinstance(error, kind)), FAULT)


def ended(error: BaseException, asked: Asked) -> int:
    """Tell on stderr how it ended, as JSON where that was asked for, and give the exit code."""
    code = exit_code(error)
    if code == INTERRUPTED:
        message = "interrupted"
    elif code == FAULT:
        message = f"a fault of ours: report {report(error, asked)}"
    else:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if asked.json:
        click.echo(
            json.dumps({"schema": SCHEMA, "error": type(error).__name__, "message": message, "exit": code}), err=True
        )
    else:
        for line in visible_lines(f"outrider: {message or type(error).__name__}"):
            tell(line)
        _usage_hint(error)
    return code


def _usage_hint(error: BaseException) -> None:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)


def report(error: BaseException, asked: Asked) -> str:
    """Write the trace to a file in the profile and say its id, and where it is."""
    now = datetime.now(tz=UTC)
    name = f"{now:%Y%m%d}-{secrets.token_hex(3)}"
    text = "".join(traceback.format_exception(error))
    whole = f"report {name}\ntime {now:%Y-%m-%dT%H:%M:%SZ}\npython {platform.python_version()}\n\n{text}"
    folder = (asked.profile or profile()) / "reports"
    try:
        return f"{name} ({_write(folder, name, whole)})"
    except OSError:
        click.echo(whole, err=True)
        return f"{name} (above: {folder} can't be written)"


def _write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{name}.txt"
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    return file
