"""`outrider move`: check-ins on the road, with a dead-man timer at the gateway that fires though this device is dead."""

import tomllib
from pathlib import Path
from typing import Final

import click

from clients.agent.sos import TIMEOUT, WORD_FILE, word
from clients.core.errors import NotNow
from clients.device import SYNC, device, not_reached, sync_for_channel
from clients.emergencies import move_lines, move_object
from clients.moments import Duration, iso, now, parse_duration
from clients.shell import Verb, read_text, run, show, tell
from clients.station import Station
from clients.views import MoveView
from keys.emergency import LEGS

REFUSED: Final = 6
KEYS: Final = {"route", "every", "grace", "legs"}


@click.command(cls=Verb)
@click.argument("plan", required=False, metavar="[PLAN]", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--every", type=Duration(), metavar="15m", help="Time between two check-ins.")
@click.option("--legs", type=click.IntRange(1, LEGS), help="How many check-ins.")
@click.option(
    "--grace", type=Duration(), metavar="5m", help="How long after its time one is missed; 5m if nothing is said."
)
@click.option("--route", default="", help="What to call it.")
@click.option("--to", "channel", metavar="CHANNEL", help="Which alert channel, if you are in several.")
@TIMEOUT
def start(
    plan: Path | None,
    every: int | None,
    legs: int | None,
    grace: int | None,
    route: str,
    channel: str | None,
    timeout: float,
) -> int:
    """Start a plan of check-ins: PLAN is a file with route, every, grace and legs (their names), or say so by options. It takes
    the place of the plan before it.

    Example: outrider move start --every 15m --legs 5 --route RED-ROUTE
    """
    told = _file(plan) if plan else ("", None, None, [])
    route, every, grace = route or told[0], every or told[1], grace or told[2] or parse_duration("5m")
    count = legs or len(told[3])
    if not every or not count:
        raise click.UsageError("say how often and how many: --every 15m --legs 5, or a PLAN")
    with device() as station:
        chosen = sync_for_channel(station, channel, timeout).id if channel else _channel(station, timeout)
        begins = now()
        item = station.start_move(
            chosen, [begins + every * n for n in range(1, count + 1)], grace // 1000, route, told[3]
        )
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
        mine = next((m for m in station.moves() if m.mine and not m.ended), None)
    if delivery.refused:
        tell(f"outrider: refused: {delivery.refused}")
        return REFUSED
    if not delivery.seq or mine is None:
        show({"state": "kept"}, "KEPT: nobody watches over it before it is taken")
        return not_reached(report.error, "the plan is kept, and goes next time")
    show(move_object(mine), *move_lines(mine))
    return 0


def _file(plan: Path) -> tuple[str, int | None, int | None, list[str]]:
    """Route, every, grace (ms) and the names of the legs."""
    if not plan.exists():
        raise click.UsageError(f"no file {plan} with a plan; without one: --every 15m --legs 5 --route {plan.name}")
    try:
        return read_plan(read_text(plan))
    except ValueError as error:
        raise click.UsageError(f"{plan} is no plan: {error}") from None


def read_plan(text: str) -> tuple[str, int | None, int | None, list[str]]:
    """The same of a plan's text. Raises ValueError."""
    try:
        told = tomllib.loads(text)
    except RecursionError:
        raise ValueError("tables too deep") from None
    unknown = set(told) - KEYS
    if unknown:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}")
    names = told.get("legs", [])
    if not isinstance(names, list) or not all(isinstance(n, str) and 0 < len(n) <= 100 for n in names):
        raise ValueError("legs are names")
    every, grace = (parse_duration(str(told[key])) if key in told else None for key in ("every", "grace"))
    return str(told.get("route", ""))[:100], every, grace, names[:LEGS]


def _channel(station: Station, timeout: float) -> bytes:
    """The alert channel of this device, if it is in one alone."""
    found = station.alert_channels()
    if not found:
        run(station.sync(timeout))
        found = station.alert_channels()
    if len(found) > 1:
        raise click.UsageError("you are in several alert channels: name one with --to")
    if not found:
        raise NotNow("this device is in no alert channel: nobody would watch over it")
    return found[0]


@click.command(cls=Verb)
@WORD_FILE
@TIMEOUT
def ok(word_file: Path | None, timeout: float) -> int:
    """Check in. The mission's word is asked for; whatever is given, this screen is the same.

    Example: outrider move ok
    """
    with device() as station:
        items = station.check_in(word(word_file))
        return _said(station, items, timeout, "all's well")


@click.command(cls=Verb)
@WORD_FILE
@TIMEOUT
def end(word_file: Path | None, timeout: float) -> int:
    """Check in for the last time, and end the plan.

    Example: outrider move end
    """
    with device() as station:
        items = station.end_move(word(word_file))
        return _said(station, items, timeout, "arrived, the plan has ended")


def _said(station: Station, items: list[bytes], timeout: float, text: str) -> int:
    report = run(station.sync(timeout))
    sent = [station.delivery(item) for item in items]
    refused = next((d.refused for d in sent if d.refused), "")
    if refused:
        tell(f"outrider: refused: {refused}")
        return REFUSED
    due = min((m.due for m in station.moves() if m.mine and m.due), default=0)
    taken = all(d.seq for d in sent)
    following = f", next {iso(due)[11:]}" if due and taken else ""
    show(
        {"state": "taken" if taken else "kept", "due": iso(due) if due else None},
        f"{text}{following}" if taken else "KEPT: it counts once it is taken",
    )
    return 0 if taken else not_reached(report.error, "the check-in is kept, and goes next time")


@click.command("list", cls=Verb)
@click.option("--all", "everything", is_flag=True, help="Those that are over too.")
@click.option("--offline", is_flag=True, help="Do not ask the gateway.")
def list_moves(everything: bool, offline: bool) -> int:
    """List who is on the road and what is due: who has missed a check-in first.

    Example: outrider move list
    """
    with device() as station:
        if not offline:
            run(station.sync(SYNC))
        found: list[MoveView] = [m for m in station.moves() if everything or not m.ended]
    for one in found:
        show(move_object(one), *move_lines(one))
    if not found:
        tell("nobody is on the road")
    return 1 if any(one.missed for one in found) else 0
