"""`outrider alert`: check a CAP document, send it, and see who answered.

The exit code of `alert show` is the answer to "has everyone answered?": 0 yes, 1 not yet.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import click

from clients.core import cap
from clients.core.errors import Unknown
from clients.core.text import visible
from clients.device import SYNC, alert_lines, alert_object, device, not_reached, short, sync_for_channel
from clients.moments import iso
from clients.shell import Verb, asked, read_bytes, run, show, table, tell
from clients.station import Station
from clients.views import Answered, Answers

NOT_ALL: Final = 1
REFUSED: Final = 6
ROUND: Final = 2.0


@click.command(cls=Verb)
@click.option("--alone", is_flag=True, help="You send it without a second officer; everyone is told so.")
@click.option("--reason", help="Why alone: it is shown with the alert, and reviewed.")
@click.option(
    "--cap", "file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The CAP 1.2 document."
)
@click.option(
    "--to", "channels", multiple=True, required=True, metavar="CHANNEL", help="An alert channel; may be repeated."
)
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def send(alone: bool, reason: str | None, file: Path, channels: tuple[str, ...], timeout: float) -> int:
    """Send the CAP document in FILE to alert channels, as one officer alone.

    Example: outrider alert send --alone --reason "deputy not reachable" --cap crowd.cap --to residence-alerts
    """
    if not alone or not reason:
        raise click.UsageError("an alert by one officer needs both --alone and --reason")
    document = read_bytes(file, cap.LONGEST)
    with device() as station:
        targets = [sync_for_channel(station, name, timeout).id for name in channels]
        sent = station.alert_alone(targets, document, reason)
        report = run(station.sync(timeout))
        deliveries = [station.delivery(item) for item in sent.items]
    kept = [d for d in deliveries if d.state == "kept"]
    refused = [d.refused for d in deliveries if d.refused]
    show(
        {
            "root": sent.root.hex(),
            "alert": sent.alert.hex(),
            "channels": [
                {"channel": t.hex(), "state": d.state, "seq": d.seq, "refused": d.refused}
                for t, d in zip(targets, deliveries, strict=True)
            ],
        },
        f"{'KEPT' if kept else 'SENT'} alert {short(sent.root)} to {len(targets)} channels",
    )
    for reason_given in refused:
        tell(f"outrider: refused: {visible(reason_given)}")
    if refused:
        return REFUSED
    return not_reached(report.error, "the alert is kept and goes first") if kept else 0


@click.command("list", cls=Verb)
def list_alerts() -> None:
    """List the alerts that this device sent or received. Needs no gateway.

    Example: outrider alert list --json
    """
    with device() as station:
        alerts = station.alerts()
    if asked().json:
        for one in alerts:
            show(alert_object(one))
        return
    rows = [(short(a.root), f"until {iso(a.not_after)}", "ALONE" if a.alone else "", _headline(a.cap)) for a in alerts]
    for line in table(rows):
        click.echo(line)
    if not rows:
        tell("no alerts")


def _headline(document: bytes) -> str:
    try:
        infos = cap.open_alert(document).infos
    except cap.CapRefused:
        return "(not a CAP document)"
    return visible(infos[0].headline or infos[0].event) if infos else ""


@click.command("show", cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option(
    "--wait", type=click.FloatRange(0, 86_400), default=0.0, metavar="SECONDS", help="Wait until all have answered."
)
@click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds for the gateway."
)
def show_alert(root: str, wait: float, timeout: float) -> int:
    """Show ALERT, named by the beginning of its id: who answered what, who has it, and who is silent. Exit 0 if all answered.

    Example: outrider alert show 3fa29c01 --wait 60
    """
    with device() as station:
        report = run(station.sync(timeout))
        fits = [a for a in station.alerts() if a.root.hex().startswith(root.lower())]
        if len(fits) != 1:
            raise Unknown(f"{len(fits)} alerts begin with {root}: see `outrider alert list`")
        (view,) = fits
        answers = run(_answers(station, view.root, wait))
        show(alert_object(view) | answers_object(station, answers), *alert_lines(view)[:-1], *_lines(station, answers))
    if not report.connected:
        tell("outrider: gateway not reached; shown is what this device has")
    return NOT_ALL if answers.silent else 0


async def _answers(station: Station, root: bytes, wait: float) -> Answers:
    """The answers as they stand, or once nobody is silent or the time is over."""
    end = monotonic() + wait
    while True:
        answers = station.answers(root)
        if not answers.silent or monotonic() >= end:
            return answers
        await station.sync(min(ROUND, max(0.1, end - monotonic())))
        await asyncio.sleep(0.2)


def answers_object(station: Station, answers: Answers) -> dict[str, object]:
    """Who answered, as `--json` prints it."""
    return {
        "targeted": [d.hex() for d in answers.targeted],
        "delivered": [d.hex() for d in answers.delivered],
        "shown": [d.hex() for d in answers.shown],
        "silent": [d.hex() for d in answers.silent],
        "answered": [_answer(station, a) for a in answers.answered],
    }


def _answer(station: Station, a: Answered) -> dict[str, object]:
    return {
        "device": a.device.hex(),
        "name": a.name or station.name(a.device),
        "option": a.option,
        "text": a.text,
        "time": iso(a.time),
        "words": a.words,
    }


def _lines(station: Station, answers: Answers) -> list[str]:
    delivered, shown = set(answers.delivered), set(answers.shown)
    lines = [f"  {len(answers.answered)} of {len(answers.targeted)} answered"]
    rows = [
        (visible(a.name) or short(a.device), visible(a.text) or "seen", iso(a.time), visible(a.words))
        for a in answers.answered
    ]
    rows += [(_name(station, d), _got(d, delivered, shown), "", "") for d in answers.silent]
    return lines + [f"    {line}" for line in table(rows)]


def _name(station: Station, silent: bytes) -> str:
    return visible(station.name(silent)) or short(silent)


def _got(silent: bytes, delivered: Sequence[bytes] | set[bytes], shown: Sequence[bytes] | set[bytes]) -> str:
    if silent in shown:
        return "SILENT, has seen it"
    return "SILENT, has it" if silent in delivered else "SILENT, not delivered"
