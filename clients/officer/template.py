"""`outrider alert template`: the mission's templates, and the examples that come with the program."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from clients.core import playbook
from clients.core.commits import Work
from clients.core.content import TEMPLATE_LIMIT
from clients.core.errors import NotAllowed
from clients.core.playbook import Entry
from clients.core.template_file import read
from clients.core.templates import Template
from clients.core.text import visible, visible_lines
from clients.device import SYNC, device, not_reached
from clients.moments import now
from clients.officer.preview import columns
from clients.shell import Verb, asked, read_bytes, run, show, table, tell
from clients.station import Station
from keys.policy import Verb as Permission

STALE: Final = 180  # days after which a drill with a template is due again


def examples() -> list[Template]:
    """The templates that come with the program."""
    folder = files("clients.officer").joinpath("examples")
    return [read(file.read_bytes()) for file in sorted(folder.iterdir(), key=lambda f: f.name)]


@click.command("list", cls=Verb)
def list_templates() -> None:
    """List the templates: the mission's own, and examples where it has none of that name. Needs no gateway.

    Example: outrider alert template list
    """
    with device() as station:
        entries = playbook.entries(station.vault, examples())
        if asked().json:
            for entry in entries:
                show(template_object(station, entry))
            return
    newest = {entry.template.name: entry for entry in entries}
    for line in table(_row(entry) for entry in newest.values()):
        click.echo(line if len(line) <= columns() else line[: columns() - 1] + "…")


def _row(entry: Entry) -> tuple[str, ...]:
    template = entry.template
    return (
        f"{template.name} {template.version}",
        "FLASH" if template.is_flash else "",
        " ".join(template.languages),
        "DISPUTED" if entry.disputed else "example" if entry.example else _tested(template),
        visible(template.about),
    )


def _tested(template: Template) -> str:
    if template.tested is None:
        return "never tested"
    days = (datetime.fromtimestamp(now() / 1000, tz=UTC).date() - template.tested).days
    return f"tested {template.tested}" + (f" ({days} days ago)" if days > STALE else "")


@click.command("show", cls=Verb)
@click.argument("name")
@click.option("--version", type=click.IntRange(1), default=None, metavar="N", help="That version, not the newest.")
def show_template(name: str, version: int | None) -> None:
    """Show template NAME: its slots, and its file as it is kept. Needs no gateway.

    Example: outrider alert template show crowd-threat
    """
    with device() as station:
        entry = playbook.find(station.vault, name, version or 0, examples())
        source = entry.template.source.decode()
        if asked().json:
            show(template_object(station, entry) | {"source": source})
            return
        click.echo(f"# {origin(station, entry)}")
        for line in visible_lines(source, lines=1_000):
            click.echo(line)


def origin(station: Station, entry: Entry) -> str:
    """Where a template comes from, and when it was drilled last."""
    given = "an example that comes with the program" if entry.example else f"from {visible(station.name(entry.device))}"
    return f"{given}, {_tested(entry.template)}"


@click.command("check", cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
def check_template(file: Path) -> None:
    """Check a template's FILE without keeping it. Needs no profile.

    Example: outrider alert template check crowd-threat.toml
    """
    template = read(read_bytes(file, TEMPLATE_LIMIT))
    show(_fields(template), f"{template.name} {template.version}: good", *_slot_lines(template))


@click.command("add", cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def add_template(file: Path, timeout: float) -> int:
    """Add the template in FILE to the mission's: a new name, or the next version of one. It goes to the other officers too.

    Example: outrider alert template add crowd-threat.toml
    """
    source = read_bytes(file, TEMPLATE_LIMIT)
    with device() as station:
        policy = station.charter.policy
        if not policy.permits(station.identity.roles, Permission.ALERT):
            raise NotAllowed("only who may alert adds templates")
        template, desks = station.act(lambda work: _added(work, source))
        report = run(station.sync(timeout))
    if not desks:
        tell("outrider: there is no desk channel yet: the other officers get it with the first desk they are added to")
    show(_fields(template), f"ADDED {template.name} {template.version}", *_slot_lines(template))
    return 0 if report.connected else not_reached(report.error, "it is kept, and goes to the other officers later")


def _added(work: Work, source: bytes) -> tuple[Template, int]:
    """Keep a template and put it on the desk; gives it, and how many desks there are."""
    template = playbook.add(work.turn.draft, source, work.turn.me.device, work.turn.now)
    desks = playbook.desks(work.turn)
    for desk in desks:
        playbook.share(work.turn, desk, [template])
    return template, len(desks)


def _slot_lines(template: Template) -> list[str]:
    lines = [f"  slot {slot.name}: {visible(slot.ask)}" for slot in template.slots]
    return [*lines, f"  languages: {', '.join(template.languages)}"]


def _fields(template: Template) -> dict[str, object]:
    return {
        "name": template.name,
        "version": template.version,
        "owner": template.owner,
        "tested": template.tested.isoformat() if template.tested else None,
        "about": template.about,
        "flash": template.is_flash,
        "marking": template.marking.label,
        "languages": list(template.languages),
        "translations": [text.translation for text in template.texts],
        "slots": [
            {"slot": slot.name, "ask": slot.ask, "longest": slot.longest, "words": slot.words}
            for slot in template.slots
        ],
    }


def template_object(station: Station, entry: Entry) -> dict[str, object]:
    """A template as `--json` prints it."""
    given = "" if entry.example else entry.device.hex()
    return _fields(entry.template) | {
        "example": entry.example,
        "disputed": entry.disputed,
        "device": given,
        "from": station.name(entry.device) if given else "",
    }
