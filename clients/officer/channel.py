"""`outrider channel`: create channels, show them, and change who is in them.

Adding and removing are commits: what is wanted is kept first, made when the gateway is reached, and made anew when somebody
else's commit wins the epoch. So a verb waits until it is done, and says what it came to.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final

import click

from clients.core.text import visible
from clients.device import (
    channel_object,
    device,
    marking,
    not_reached,
    people,
    person_object,
    person_row,
    short,
    sync_for_channel,
    the_channel,
)
from clients.shell import Verb, asked, fit_name, run, show, table, tell
from clients.station import Station

REFUSED: Final = 6
WAIT: Final = 20.0  # seconds for a commit
ROUND: Final = 5.0

_timeout = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=WAIT, show_default=True, help="Seconds to wait."
)


@click.command("list", cls=Verb)
def list_channels() -> None:
    """List this device's channels: purpose, class, marking, unread. Needs no gateway.

    Example: outrider channel list --json
    """
    with device() as station:
        channels = station.channels()
    if asked().json:
        for one in channels:
            show(channel_object(one))
        return
    if not channels:
        tell("no channels yet: whoever leads the detail adds this device")
    for line in table(
        (
            short(c.id),
            visible(c.purpose) or "-",
            c.channel_class,
            c.marking.label,
            f"{c.unread} unread",
            _state(c.halted, c.left),
        )
        for c in channels
    ):
        click.echo(line)


def _state(halted: str, left: object) -> str:
    if halted:
        return f"HALTED: {visible(halted)}"
    return "left" if left else ""


@click.command("show", cls=Verb)
@click.argument("name", metavar="CHANNEL")
def show_channel(name: str) -> None:
    """Show CHANNEL and who is in it, as this device has processed it.

    Example: outrider channel show motorcade
    """
    with device() as station:
        one = sync_for_channel(station, name, WAIT)
        members = station.members(one.id)
    lines = [
        f"{visible(one.purpose) or '-'}  {one.id.hex()}",
        f"class {one.channel_class}, {one.marking.label}, epoch {one.epoch}, #{one.seq}  {_state(one.halted, one.left)}".rstrip(),
        *(f"  {line}" for line in table(map(person_row, members))),
    ]
    show(channel_object(one) | {"people": [person_object(p) for p in members]}, *lines)


@click.command(cls=Verb)
@click.option(
    "--class", "channel_class", required=True, help="A class of the charter, such as detail, alert or liaison."
)
@click.option("--marking", "label", required=True, metavar="TLP", help="The strictest marking it may carry.")
@click.option("--purpose", required=True, callback=fit_name, help="What it is for; only its members see it.")
@click.option("--add", "who", multiple=True, metavar="WHO", help="Add somebody at once; may be repeated.")
@click.option("--no-alerts", is_flag=True, help="Without an alert channel beside it.")
@_timeout
def create(channel_class: str, label: str, purpose: str, who: tuple[str, ...], no_alerts: bool, timeout: float) -> int:
    """Create a channel, and add people to it. A channel for talk gets an alert channel beside it, called PURPOSE-alerts, kept
    in step with it: the same people, and all officers.

    Example: outrider channel create --class detail --marking TLP:AMBER+STRICT --purpose motorcade --add LANCE-3
    """
    ceiling = marking(label)
    assert ceiling is not None
    with device() as station:
        run(station.sync(timeout))
        added = people(station, who)
        made = station.create_channel(channel_class, ceiling, purpose)
        beside = (
            station.create_alerts(made, f"{purpose}-alerts") if not no_alerts and station.talks(channel_class) else b""
        )
        intents = [station.add(made, added)] if added else []
        reached, failure = run(_done(station, intents, timeout, beside))
        one = next(c for c in station.channels() if c.id == made)
    lines = [f"created  {visible(purpose)}  {made.hex()}"]
    lines += [f"beside   {visible(purpose)}-alerts  {beside.hex()}"] if beside else []
    show(channel_object(one) | {"alerts": beside.hex() or None}, *lines)
    return _result(reached, failure, "the channel is kept here, and is made next time")


@click.command(cls=Verb)
@click.argument("name", metavar="CHANNEL")
@click.argument("who", nargs=-1, required=True)
@_timeout
def add(name: str, who: tuple[str, ...], timeout: float) -> int:
    """Add people to CHANNEL: names, call signs, or beginnings of device ids.

    Example: outrider channel add motorcade LANCE-3 "Bea Kramer"
    """
    return _change("added", name, who, timeout)


@click.command(cls=Verb)
@click.argument("name", metavar="CHANNEL")
@click.argument("who", nargs=-1, required=True)
@_timeout
def remove(name: str, who: tuple[str, ...], timeout: float) -> int:
    """Remove people from CHANNEL: what is said afterwards they can't read.

    Example: outrider channel remove motorcade LANCE-3
    """
    return _change("removed", name, who, timeout)


@click.command(cls=Verb)
@click.argument("name", metavar="CHANNEL")
@_timeout
def rekey(name: str, timeout: float) -> int:
    """Give CHANNEL fresh keys, so that keys taken before are of no use afterwards.

    Example: outrider channel rekey motorcade
    """
    return _change("rekeyed", name, (), timeout)


@click.command(cls=Verb)
@click.argument("name", metavar="CHANNEL")
@click.argument("who", nargs=-1, required=True)
@_timeout
def resync(name: str, who: tuple[str, ...], timeout: float) -> int:
    """Let devices that can't follow CHANNEL come in again, each by a commit of its own. What they missed stays closed to them.

    Example: outrider channel resync motorcade LANCE-3
    """
    with device() as station:
        run(station.sync(timeout))
        target = the_channel(station, name).id
        devices = _members(station, target, who)
        items = [station.resync(target, one) for one in devices]
        report = run(station.sync(timeout))
        deliveries = [station.delivery(item) for item in items]
        one = next(c for c in station.channels() if c.id == target)
    failures = [d.refused for d in deliveries if d.refused]
    done = not failures and all(d.state != "kept" for d in deliveries)
    shown = {"act": "resynced", "done": done, "reason": "; ".join(failures), "devices": [d.hex() for d in devices]}
    show(channel_object(one) | shown, *([f"approved  {', '.join(who)} may come in again"] if done else []))
    return _result(
        done or bool(failures), "; ".join(failures) or report.error, "the approval is kept, and goes next time"
    )


def _change(act: str, name: str, who: Sequence[str], timeout: float) -> int:
    with device() as station:
        run(station.sync(timeout))
        target = the_channel(station, name).id
        devices = _members(station, target, who) if act == "removed" else people(station, who)
        if act == "rekeyed":
            intent = station.rekey(target)
        else:
            intent = station.add(target, devices) if act == "added" else station.remove(target, devices)
        reached, failure = run(_done(station, [intent], timeout))
        one = next(c for c in station.channels() if c.id == target)
    done = reached and not failure
    shown = {"act": act, "done": done, "reason": failure, "devices": [d.hex() for d in devices]}
    show(channel_object(one) | shown, *([f"{act}  {', '.join(who) or name}: epoch {one.epoch}"] if done else []))
    return _result(reached, failure, "the change is kept, and is made next time")


def _members(station: Station, target: bytes, who: Sequence[str]) -> list[bytes]:
    """Devices by name among the channel's members: those revoked as well."""
    members = station.members(target)
    found: list[bytes] = []
    for name in who:
        fits = [p.device for p in members if name in (p.name, p.call_sign) or p.device.hex().startswith(name.lower())]
        if not fits:
            raise click.UsageError(f"{name!r} is not in this channel: see `outrider channel show`")
        found += fits
    return list(dict.fromkeys(found))


async def _done(station: Station, intents: Sequence[bytes], seconds: float, beside: bytes = b"") -> tuple[bool, str]:
    """Whether all of them came to an end, and why one failed; the officers who belong in the alert channel `beside` are in it then."""
    end = monotonic() + seconds
    while True:
        report = await station.sync(min(ROUND, max(0.1, end - monotonic())))
        outcomes = [station.outcome(intent) for intent in intents]
        failures = [outcome for outcome in outcomes if outcome]
        if failures or (report.connected and None not in outcomes and not (beside and station.busy(beside))):
            return True, "; ".join(failures)
        if monotonic() >= end:
            return False, report.error
        await asyncio.sleep(0.2)


def _result(reached: bool, failure: str, kept: str) -> int:
    if not reached:
        return not_reached(failure, kept)
    if failure:
        tell(f"outrider: not done: {visible(failure)}")
        return REFUSED
    return 0
