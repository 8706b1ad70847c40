"""`outrider alert watch`: the live board of one alert, until everybody has answered, it has ended, or the time is over.

Exit 0 when everybody has answered, 1 when it ended with somebody silent, 5 when the time was over first.
"""

import asyncio
import contextlib
import sys
from time import monotonic
from typing import Final

import click

from clients import emergencies
from clients.board import Board, Row, Ways
from clients.core.errors import NotNow, Unknown
from clients.core.text import visible_name
from clients.device import SYNC, alert_object, device, not_reached, short
from clients.officer import screens
from clients.officer.alert import find
from clients.officer.preview import wrapped
from clients.officer.reach import ways
from clients.shell import Verb, agree, asked, run, show, tell
from clients.station import Station, Waiting
from keys.ladder import RESEND

NOT_ALL: Final = 1
OUT_OF_TIME: Final = 5
REFUSED: Final = 6
LOOK: Final = 0.5  # s between two looks at what has come
WAYS: Final = 15.0  # s between two questions to the gateway, who can be reached
CLEAR: Final = "\x1b[H\x1b[2J"


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option("--csv", "as_csv", is_flag=True, help="Print the board once, as a table for a spreadsheet.")
@click.option("--once", is_flag=True, help="Print the board as it stands, and end.")
@click.option(
    "--timeout", type=click.FloatRange(0, 86_400), metavar="SECONDS", help="How long to watch; else to the end."
)
def watch(root: str, as_csv: bool, once: bool, timeout: float | None) -> int:
    """Watch ALERT, named by the beginning of its id: who is silent, who answered what, and how far its ladder is; or an SOS or
    somebody's check-ins, by their id. With --json one object whenever something has changed.

    Example: outrider alert watch 3fa29c01
    """
    with device() as station:
        report = run(station.sync(SYNC if timeout is None else min(SYNC, timeout)))
        if not report.connected:
            tell("outrider: gateway not reached; shown is what this device has")
        called = _called(station, root)
        if called is not None:
            return run(_watch_call(station, called, 0.0 if once else timeout))
        found = find(station, root)
        if isinstance(found, Waiting):
            raise Unknown(f"{short(found.root)} is a draft: `outrider alert show {short(found.root)}`")
        if as_csv or once:
            board = station.board(found.root, run(ways(station, found.root)) if report.connected else None)
            if as_csv:
                click.echo(screens.as_csv(board), nl=False)
            else:
                _print(station, board)
            return NOT_ALL if board.silent else 0
        return run(_watch(station, found.root, timeout))


def _called(station: Station, wanted: str) -> bytes | None:
    """The one SOS or check-in plan whose id begins so."""
    known = [one.root for one in station.emergencies()] + [one.root for one in station.moves()]
    fits = [root for root in known if wanted and root.hex().startswith(wanted.lower())]
    return fits[0] if len(fits) == 1 else None


async def _watch_call(station: Station, root: bytes, seconds: float | None) -> int:
    """Show an SOS, or somebody's check-ins, whenever it has changed, until it is over."""
    link = asyncio.create_task(station.run())
    end = None if seconds is None else monotonic() + seconds
    shown: list[str] = []
    try:
        while True:
            sos = next((one for one in station.emergencies() if one.root == root), None)
            move = next((one for one in station.moves() if one.root == root), None)
            if sos is not None:
                lines, said, over = emergencies.emergency_lines(sos), emergencies.emergency_object(sos), bool(sos.ended)
            elif move is not None:
                lines, said, over = emergencies.move_lines(move), emergencies.move_object(move), bool(move.ended)
            else:
                raise Unknown("it is not here any more")
            if lines != shown:
                show(said, *lines)
                shown = lines
            if over:
                return 0
            if end is not None and monotonic() >= end:
                return OUT_OF_TIME if seconds else NOT_ALL
            await asyncio.sleep(LOOK)
    finally:
        link.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await link


async def _watch(station: Station, root: bytes, seconds: float | None) -> int:
    """Show the board whenever it has changed."""
    link = asyncio.create_task(station.run())
    end = None if seconds is None else monotonic() + seconds
    shown: Board | None = None
    known: Ways | None = None
    asked_again = 0.0
    try:
        while True:
            if station.online and monotonic() >= asked_again:  # in the session that is open: two would be one too many
                known = await ways(station, root)
                asked_again = monotonic() + WAYS
            board = station.board(root, known)
            if board != shown:
                _print(station, board)
                shown = board
            if not board.silent:
                return 0
            if board.alert.how:
                return NOT_ALL
            if end is not None and monotonic() >= end:
                tell(f"outrider: the time is over, {len(board.silent)} are silent")
                return OUT_OF_TIME
            await asyncio.sleep(LOOK)
    finally:
        link.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await link


def _print(station: Station, board: Board) -> None:
    if not asked().json and sys.stdout.isatty():
        click.echo(CLEAR, nl=False)
    show(
        alert_object(board.alert) | screens.as_object(board),
        *emergencies.standing(station),
        *screens.screen(station, board),
    )
    if not asked().json:
        click.echo("", nl=True)


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@click.argument("who", metavar="[WHO]...", nargs=-1)
@click.option("--rung", type=click.IntRange(1, 17), help="Fire this rung of its ladder instead, and go on from there.")
@click.option("--reason", required=True, help="Why now: it goes to the officers, end to end; its hash into the log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def remind(root: str, who: tuple[str, ...], rung: int | None, reason: str, yes: bool, timeout: float) -> int:
    """Bring ALERT again to the devices of the silent, at once: of everybody silent, or of WHO, by name. With --rung jump to a rung
    of its ladder. Who has answered is left in peace; once in 30 seconds.

    Example: outrider alert remind 3fa29c01 Lena --reason "convoy leaves in ten minutes"
    """
    if who and rung:
        raise click.UsageError("a rung wakes the people of its ladder: name people, or a rung")
    with device() as station:
        run(station.sync(timeout))
        found = find(station, root)
        if isinstance(found, Waiting):
            raise Unknown(f"{short(found.root)} is a draft that nobody has been sent")
        board = station.board(found.root)
        if rung and (board.ladder is None or board.ladder.rung(rung - 1) is None):
            missing = f"has no such rung {rung}" if board.ladder else "has no ladder, so no such rung"
            raise Unknown(f"that alert {missing}: without --rung it is brought to the silent again")
        people = [_silent(board, name) for name in who]
        woken = people if people or rung else board.silent
        names = (
            ", ".join(visible_name(row.name, 30) for row in woken or board.silent) or "nobody: everybody has answered"
        )
        if not yes:
            agree(f"{f'Fire rung {rung}' if rung else 'Bring it again'} now, for {names}?", "--yes")
        at = rung - 1 if rung else RESEND
        item = station.jump(found.root, at, reason, [row.person for row in people])
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
    kept = "KEPT HERE: " if delivery.state == "kept" else ""
    done = f"{kept}{f'JUMPED to rung {rung} of' if rung else 'BROUGHT AGAIN'} {short(found.root)}{'' if rung else f': {names}'}"
    show(
        {"root": found.root.hex(), "rung": rung, "people": [row.person.hex() for row in woken]}
        | {"state": delivery.state, "refused": delivery.refused},
        *([] if delivery.refused else wrapped("", done)),
    )
    if delivery.refused:
        tell(f"outrider: refused: {delivery.refused}")
        return REFUSED
    return not_reached(report.error, "it is kept, and goes next time") if delivery.state == "kept" else 0


def _silent(board: Board, name: str) -> Row:
    """The one silent person who is called so, or whose id begins so. Raises Unknown, NotNow."""
    wanted = name.casefold()
    fits = [row for row in board.rows if row.name.casefold() == wanted or row.person.hex().startswith(wanted)]
    if len(fits) != 1:
        silent = ", ".join(visible_name(row.name, 30) for row in board.silent) or "nobody"
        raise Unknown(f"{len(fits)} people of that alert are called {name!r}; silent: {silent}")
    if not fits[0].silent:
        raise NotNow(f"{visible_name(fits[0].name, 30)} has answered, and is left in peace")
    return fits[0]
