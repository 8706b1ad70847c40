"""`outrider alert list` and `alert show`: alerts sent and received, and drafts that wait for their approval.

The exit code of `alert show` is the answer to "has everyone answered?": 0 yes, 1 not yet; of a draft, 0.
"""

import asyncio
from time import monotonic
from typing import Final

import click

from clients.board import Board
from clients.core.cap import open_alert
from clients.core.errors import Unknown
from clients.core.text import visible_name
from clients.device import (
    SYNC,
    alert_headline,
    alert_lines,
    alert_object,
    alert_standing,
    device,
    directory,
    short,
)
from clients.emergencies import (
    duress_lines,
    duress_object,
    emergency_lines,
    emergency_object,
    move_lines,
    move_object,
    warned,
)
from clients.moments import iso, now
from clients.officer import preview, screens
from clients.officer.preview import Preview, columns
from clients.officer.reach import ways
from clients.shell import Verb, asked, run, show, table, tell
from clients.station import Station, Waiting
from clients.views import AlertView
from keys.alert import AlertType

NOT_ALL: Final = 1
ROUND: Final = 2.0


@click.command("list", cls=Verb)
@click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds for the gateway."
)
def list_alerts(timeout: float) -> None:
    """List the drafts that wait for approval, and the alerts that this device sent or received. Without the gateway: what this
    device has.

    Example: outrider alert list --json
    """
    with device() as station:
        if not run(station.sync(timeout)).connected:
            tell("outrider: gateway not reached; shown is what this device has")
        waiting = [w for w in station.waiting() if not w.fate]
        alerts = station.alerts()
        emergencies, moves = station.emergencies(), [m for m in station.moves() if m.missed]
        tried = [(_name(station, who), at, what) for who, at, what in station.withheld()]
        forced, forced_lines = [duress_object(station, a) for a in warned(station)], duress_lines(station)
    if asked().json:
        for warning in forced:
            show(warning)
        for emergency in emergencies:
            show(emergency_object(emergency))
        for move in moves:
            show(move_object(move))
        for who, at, what in tried:
            show({"withheld": what, "by": who, "time": iso(at)})
        for draft in waiting:
            show(waiting_object(draft))
        for one in alerts:
            show(alert_object(one))
        return
    above = forced_lines + [line for e in emergencies for line in emergency_lines(e)]
    above += [x for m in moves for x in move_lines(m)]
    for who, at, what in tried:
        above += preview.wrapped(f"{iso(at)[5:16].replace('T', ' ')}  REFUSED by the device: ", f"{who} tried {what}")
    for line in above:
        click.echo(line)
    rows = [(short(w.root), _kind(w.type, exercise=w.exercise), _waits(w), alert_headline(w.cap)) for w in waiting]
    rows += [(short(a.root), _kind(a.type, exercise=a.exercise), _stands(a), alert_headline(a.cap)) for a in alerts]
    for line in table(rows):
        click.echo(line if len(line) <= columns() else line[: columns() - 1] + "…")
    if not rows and not above:
        tell("no alerts, and no drafts that wait")


def _kind(type_: AlertType, *, exercise: bool) -> str:
    return ("EXERCISE " if exercise else "") + type_.name.replace("_", "-").lower()


def _waits(draft: Waiting) -> str:
    return f"WAITS for approval until {iso(draft.deadline)[11:19]}"


def _stands(view: AlertView) -> str:
    if view.how:
        return alert_standing(view)
    return f"{'ALONE, ' if view.alone else ''}until {iso(view.not_after)[:16]}"


@click.command("show", cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option(
    "--wait", type=click.FloatRange(0, 86_400), default=0.0, metavar="SECONDS", help="Wait until all have answered."
)
@click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds for the gateway."
)
def show_alert(root: str, wait: float, timeout: float) -> int:
    """Show ALERT, named by the beginning of its id. Of a draft that waits: its words to compare, what it says and everybody it
    would reach. Of an alert: who signed it, who answered what, and who is silent. Exit 0 if all have answered.

    Example: outrider alert show 3fa29c01 --wait 60
    """
    with device() as station:
        report = run(station.sync(timeout))
        found = find(station, root)
        if isinstance(found, Waiting):
            show(waiting_object(found), *waiting_lines(station, found), *_next(station, found))
            return 0
        board = run(_board(station, found.root, wait))
        if report.connected and board.silent:
            board = station.board(found.root, run(ways(station, found.root)))
        lines = [*alert_lines(board.alert)[: None if board.alert.how else -1], *screens.lines(station, board)]
        show(alert_object(board.alert) | screens.as_object(board), *lines)
    if not report.connected:
        tell("outrider: gateway not reached; shown is what this device has")
    return NOT_ALL if board.silent else 0


def find(station: Station, wanted: str) -> AlertView | Waiting:
    """The one alert, or draft that waits, whose root begins so. Raises Unknown."""
    alerts = {a.root: a for a in station.alerts()}
    drafts = {w.root: w for w in station.waiting()}
    fits = [root for root in {**drafts, **alerts} if root.hex().startswith(wanted.lower())]
    if len(fits) != 1 or not wanted:
        raise Unknown(
            f"{len(fits)} alerts begin with {wanted}: see `outrider alert list`"
            if wanted
            else "name an alert: see `outrider alert list`"
        )
    return alerts.get(fits[0]) or drafts[fits[0]]


async def _board(station: Station, root: bytes, wait: float) -> Board:
    """The board as it stands, or once nobody is silent or the time is over."""
    end = monotonic() + wait
    while True:
        found = station.board(root)
        if not found.silent or monotonic() >= end:
            return found
        await station.sync(min(ROUND, max(0.1, end - monotonic())))
        await asyncio.sleep(0.2)


# --- a draft that waits ---


def waiting_lines(station: Station, draft: Waiting) -> list[str]:
    """A draft as whoever is to approve it sees it: first the words, then everything that it would do."""
    left = max(0, draft.deadline - now()) // 1000
    state = draft.fate or f"waits for approval, {left // 60}:{left % 60:02} left"
    names = ", ".join(_name(station, one) for one in draft.approvers) or "nobody at the desk"
    lines = [
        f"DRAFT {short(draft.root)}  {_kind(draft.type, exercise=draft.exercise)}  {state}",
        f"  words  {draft.words}",
        f"  written by {_name(station, draft.writer)}; needs one of: {names}",
    ]
    lines += [f"  about {', '.join(short(root) for root in draft.references)}"] if draft.references else []
    return lines + preview.lines(_preview(station, draft))


def _next(station: Station, draft: Waiting) -> list[str]:
    """What a second officer does now."""
    if draft.fate or draft.mine:
        return []
    return [f"compare the words with {_name(station, draft.writer)}, then: outrider alert approve {short(draft.root)}"]


def _preview(station: Station, draft: Waiting) -> Preview:
    names = {p.person: p.name or p.call_sign for p in directory(station) if p.name or p.call_sign}
    return Preview(
        open_alert(draft.cap),
        draft.receivers,
        station.identity.organisation,
        draft.marking,
        draft.release,
        draft.ladder,
        draft.not_after,
        lambda person: names.get(person, person.hex()[:8]),
    )


def waiting_object(draft: Waiting) -> dict[str, object]:
    """A draft that waits as `--json` prints it."""
    return {
        "root": draft.root.hex(),
        "words": draft.words,
        "state": draft.fate or "waiting",
        "type": draft.type.name.lower(),
        "exercise": draft.exercise,
        "writer": {"device": draft.writer.hex(), "name": draft.writer_name},
        "approvers": [one.hex() for one in draft.approvers],
        "submitted": iso(draft.submitted),
        "deadline": iso(draft.deadline),
        "not_after": iso(draft.not_after),
        "marking": draft.marking.label,
        "precedence": draft.precedence.name.lower(),
        "channels": [channel.hex() for channel in draft.channels],
        "references": [root.hex() for root in draft.references],
        "release": draft.release,
        "cap": draft.cap.decode(errors="replace"),
        "options": [{"option": number, "text": text} for number, text in draft.options],
        "receivers": [preview.receiver_object(r) for r in draft.receivers],
    }


def _name(station: Station, one: bytes) -> str:
    return visible_name(station.name(one)) or short(one)
