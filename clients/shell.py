"""What every verb of `outrider` shares: its options in any position, where the profile is, the passphrase, and how it prints.

    @click.command(cls=Verb)
    def status() -> None:
        with opened_vault() as vault: ...
        show({"link": "down"}, "link     down")

Data goes to stdout, progress to stderr. With `--json` a verb prints one JSON object a line, each with `"schema": 1`; without it,
lines for people, in which whatever others wrote has gone through `clients.core.text.visible`. Verbs are loaded when they are
called, so `outrider --version` and `--help` start without keys, vault or network.
"""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import click

T = TypeVar("T")
SCHEMA: Final = 1
PASSPHRASE_LIMIT: Final = 1_024  # bytes of a passphrase file that are read
USAGE: Final = 2


@dataclass(slots=True)
class Asked:
    """What the options that every verb has said, wherever they stood on the line."""

    json: bool = False
    profile: Path | None = None
    passphrase_file: Path | None = None
    narrow: bool = False
    secret: str = ""  # the profile's passphrase, once it has been asked for


def asked() -> Asked:
    """The options of the verb that is running."""
    context = click.get_current_context(silent=True)
    return Asked() if context is None else context.find_root().ensure_object(Asked)


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:  # an option that was not given here may have been given elsewhere on the line
        setattr(context.find_root().ensure_object(Asked), str(parameter.name), value)


def shared_options() -> list[click.Parameter]:
    """The options that every verb and every group of verbs has."""
    path = click.Path(path_type=Path)
    return [
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_keep, help="Print JSON, one object a line."
        ),
        click.Option(
            ["--profile"], type=path, metavar="DIR", expose_value=False, callback=_keep, help="Use the profile in DIR."
        ),
        click.Option(
            ["--passphrase-file"],
            type=path,
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help="Read the profile's passphrase from the first line of FILE.",
        ),
        click.Option(
            ["--narrow"],
            is_flag=True,
            expose_value=False,
            callback=_keep,
            help="For a link of a few kbit/s: small pieces, what is urgent first (or OUTRIDER_LINK=narrow).",
        ),
    ]


class Verb(click.Command):
    """A verb: a command with the options that all have."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.params = [*self.params, *shared_options()]


class Lazy(NamedTuple):
    """How a verb is had, by module:attribute or by making it, and its line in its group's `--help`, shown without loading it."""

    target: str | Callable[[], click.Command]
    help: str


class Verbs(click.Group):
    """A group of verbs, each loaded when it is called. With `default` set, what is no verb's name is that verb's argument."""

    command_class = Verb
    group_class = type

    def __init__(
        self, name: str | None = None, *, lazy: Mapping[str, Lazy] | None = None, default: str = "", **values: Any
    ) -> None:
        super().__init__(name, **values)
        self._lazy = dict(lazy or {})
        self._default = default
        self.params = [*self.params, *shared_options()]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._lazy, *(name for name in super().list_commands(ctx) if name not in self._lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        target = self._lazy[cmd_name].target
        return _adopted(_loaded(cmd_name, target) if isinstance(target, str) else target())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self._default:
            at = _first_word(args)
            if at == len(args) or args[at] not in (*self.list_commands(ctx), "--help"):
                args = [*args[:at], self._default, *args[at:]]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self._short_help(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)

    def _short_help(self, ctx: click.Context, name: str) -> str:
        if name in self._lazy:
            return self._lazy[name].help
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=90) if command else ""


def _first_word(args: list[str]) -> int:
    """The place of the first argument after the shared options."""
    at = 0
    while at < len(args) and args[at].split("=")[0] in ("--json", "--narrow", "--profile", "--passphrase-file"):
        at += 1 if args[at] in ("--json", "--narrow") or "=" in args[at] else 2
    return min(at, len(args))


def _loaded(verb: str, target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    try:
        command = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise NotInstalled(verb, str(error.name)) from None
    assert isinstance(command, click.Command)
    return command


class NotInstalled(click.ClickException):
    """A verb whose code, or whose extra, is not installed."""

    exit_code = USAGE

    def __init__(self, verb: str, module: str) -> None:
        super().__init__(f"{verb} needs {module}, which is not installed here")


def _adopted(command: click.Command) -> click.Command:
    """A command of plain click with the shared options too; where it has a `--json` of its own, it follows the others'."""
    if isinstance(command, (Verb, Verbs)):
        return command
    own = {option for parameter in command.params for option in parameter.opts}
    command.params += [option for option in shared_options() if not own & set(option.opts)]
    for parameter in command.params:
        if "--json" in parameter.opts and parameter.expose_value:
            parameter.callback = _either
    if isinstance(command, click.Group):
        for name in list(command.commands):
            command.commands[name] = _adopted(command.commands[name])
    return command


def _either(context: click.Context, _: click.Parameter, value: object) -> bool:
    return bool(value) or context.find_root().ensure_object(Asked).json


# --- profile and passphrase ---


def profile() -> Path:
    """The profile's folder: `--profile`, else OUTRIDER_HOME, else $XDG_STATE_HOME/outrider."""
    chosen = asked().profile or os.environ.get("OUTRIDER_HOME")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "outrider"


def narrow() -> bool:
    """Whether the link is said to be narrow."""
    return asked().narrow or os.environ.get("OUTRIDER_LINK") == "narrow"


def passphrase(*, new: bool = False) -> str:
    """The profile's passphrase: from the file named, else asked for at the terminal (twice when it is `new`)."""
    file = asked().passphrase_file or os.environ.get("OUTRIDER_PASSPHRASE_FILE")
    if file:
        return read_passphrase(Path(file))
    if not asked().secret:
        prompt = f"New passphrase of {profile()}" if new else f"Passphrase of {profile()}"
        asked().secret = ask_passphrase(prompt, new=new)
    return asked().secret


def read_passphrase(file: Path) -> str:
    """The first line of a passphrase file."""
    text = read_text(file, PASSPHRASE_LIMIT).split("\n", 1)[0].rstrip("\r")
    if not text:
        raise click.UsageError(f"the first line of {file} is empty: it should be the passphrase")
    return text


def ask_passphrase(prompt: str, *, new: bool) -> str:
    """Ask at the terminal; where there is none, say what to do instead."""
    if not interactive():
        raise click.UsageError(
            "no terminal to ask for the passphrase: use --passphrase-file or OUTRIDER_PASSPHRASE_FILE"
        )
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True))


def interactive() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(prompt: str, option: str) -> str:
    """A line from the terminal; without one, the option that says the same."""
    if not interactive():
        raise click.UsageError(f"no terminal to ask at: use {option}")
    return str(click.prompt(prompt, err=True))


def agree(question: str, option: str) -> None:
    """Go on only if whoever sits there says yes; without a terminal, only with the option that says so."""
    if not interactive():
        raise click.UsageError(f"{question}\nno terminal to ask at: use {option}")
    if not click.confirm(question, err=True):
        raise Declined("not done, as you said")


def same_words(question: str, option: str) -> None:
    """Go on only if whoever sits there says that the words are the same."""
    try:
        agree(question, option)
    except Declined:
        raise WordsDiffer(
            "the words differ: somebody may have swapped something on its way. Nothing was done."
        ) from None


class Declined(click.ClickException):
    """Somebody was asked, and said no."""

    exit_code = 1


class WordsDiffer(click.ClickException):
    """What came is not what was sent, or comes from somebody else."""

    exit_code = 4


def fit_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """For an option that gives somebody or something a name: refused is what others would be deceived by."""
    from clients.core.text import unfit_name

    if value is not None and (why := unfit_name(value)):
        raise click.BadParameter(f"{why}: type it anew")
    return value


# --- waiting ---

LAST_WORDS: Final = 0.02  # seconds in which closed connections leave the loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what a verb waits for."""

    import asyncio  # what only prints starts without it

    async def whole() -> T:
        try:
            return await work
        finally:
            await asyncio.sleep(LAST_WORDS)

    return asyncio.run(whole())


# --- printing and files ---


def show(value: Mapping[str, object], *lines: str) -> None:
    """One result on stdout: as JSON, or as lines for people."""
    if asked().json:
        click.echo(json.dumps({"schema": SCHEMA, **value}))
    else:
        for line in lines:
            click.echo(line)


def tell(line: str) -> None:
    """Progress and errors, for people, on stderr: a sentence longer than the screen is broken between words there."""
    for part in _folded(line) if sys.stderr.isatty() else [line]:
        click.echo(part, err=True)


def _folded(line: str) -> list[str]:
    width = max(40, min(100, shutil.get_terminal_size((80, 24)).columns - 1))
    return textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) or [line]


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as lines, their columns under each other."""
    listed = [tuple(row) for row in rows]
    widths = [max(len(row[n]) for row in listed) for n in range(len(listed[0]))] if listed else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in listed]


def read_text(file: Path, limit: int = 256 * 1024) -> str:
    """A file's text, up to `limit` bytes of it; a UsageError that names the file where it can't be read."""
    try:
        return read_bytes(file, limit).decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is no text file") from None


def read_bytes(file: Path, limit: int = 256 * 1024) -> bytes:
    """A file's bytes; a UsageError where it can't be read or is larger than any such file is."""
    try:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        _unreadable(file, error)
    if len(data) > limit:
        raise click.UsageError(f"{file} is larger than {limit} bytes: not such a file")
    return data


def _unreadable(file: Path, error: Exception) -> NoReturn:
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    raise click.UsageError(f"{file}: {reason}") from None


def write_new(file: Path, data: bytes, *, secret: bool = False) -> None:
    """Write a file that is not there yet, durably; never over one that is."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    except FileExistsError:
        raise click.UsageError(f"{file} is there already: it is not overwritten") from None
    except OSError as error:
        _unreadable(file, error)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def replace_file(file: Path, data: bytes) -> None:
    """Write a file anew, whole or not at all."""
    making = file.with_name(file.name + ".new")
    making.unlink(missing_ok=True)
    write_new(making, data)
    making.replace(file)


LISTS: Final = {
    "channel": ": see `outrider channel list`",
    "device": ": see `outrider devices list`",
    "person": ": see `outrider devices list`",
}


def pick(candidates: Iterable[T], wanted: str, names: Callable[[T], Iterable[str]], what: str) -> T:
    """The one candidate that a person means: by a name of its in full, or by the beginning of an id that fits one only."""
    listed = list(candidates)
    exact = [c for c in listed if wanted in names(c)]
    near = exact or [c for c in listed if any(n.lower().startswith(wanted.lower()) for n in names(c))]
    if len(near) == 1 and wanted:
        return near[0]
    several = (
        f"{len(near)} {what}s fit {wanted!r}: give more of the name"
        if near
        else f"no {what} {wanted!r} here{LISTS.get(what, '')}"
    )
    raise click.UsageError(several)
