"""`outrider read`: what is new, FLASH first; each message once, and then said to be read."""

import asyncio
import sys
from contextlib import suppress
from typing import Final

import click

from clients.core.records import Alarm, Reminder
from clients.device import SYNC, device, short, shown_lines, shown_object, sync_for_channel
from clients.emergencies import duress_object, warned, warning_lines
from clients.moments import Moment, iso
from clients.shell import Verb, run, show, tell
from clients.station import Station
from clients.suspicions import suspicion_lines, suspicion_object, suspicions
from clients.views import Shown

LOOK: Final = 0.5  # s between two looks at who may be forced


@click.command(cls=Verb)
@click.argument("channel", required=False)
@click.option("--follow", is_flag=True, help="Stay connected and show what comes, until interrupted.")
@click.option(
    "--since", type=Moment(), metavar="DATE", help="Show again what came since then, without marking anything read."
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="With --since: at most so many."
)
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def read(channel: str | None, follow: bool, since: int | None, limit: int, timeout: float) -> int:
    """Read new messages of CHANNEL, or of all channels.

    Example: outrider read motorcade --follow
    """
    with device() as station:
        chosen = sync_for_channel(station, channel, timeout).id if channel else None
        if follow:
            return run(_follow(station, chosen))
        report = run(station.sync(timeout))
        if since is not None:
            _again(station, chosen, since, limit)
        else:
            run(_new(station, chosen, timeout))
        _doubts(station, chosen)
        if not report.connected:
            tell(
                f"outrider: gateway not reached{f': {report.error}' if report.error else ''}; shown is what this device has"
            )
    return 0 if report.connected else 3


def _doubts(station: Station, chosen: bytes | None) -> None:
    """Whose log or history is another is told beside what was read."""
    for alarm in suspicions(station, chosen):
        show(suspicion_object(station, alarm), *suspicion_lines(station, alarm))


def _again(station: Station, chosen: bytes | None, since: int, limit: int) -> None:
    channels = [chosen] if chosen else [channel.id for channel in station.channels()]
    shown = [s for channel in channels for s in station.history(channel, limit) if s.placed >= since]
    for one in once(sorted(shown, key=lambda s: (s.placed, s.seq)))[-limit:]:
        _print(station, one)


def once(shown: list[Shown]) -> list[Shown]:
    """Without the copies of an alert that came by several channels, as one is enough."""
    return list(
        {(s.alert.root if s.alert else s.channel + s.seq.to_bytes(8, "big")): s for s in reversed(shown)}.values()
    )[::-1]


async def _new(station: Station, chosen: bytes | None, seconds: float) -> None:
    """Show what is new, then let the receipts go."""
    count = 0
    async for shown in station.read(chosen):
        _print(station, shown)
        count += 1
    async for root, reminder in station.reminders():
        _remind(root, reminder)
    if count:
        await station.sync(seconds)
    else:
        tell("nothing new")


async def _follow(station: Station, chosen: bytes | None) -> int:
    beside = [asyncio.create_task(station.run()), asyncio.create_task(_reminded(station))]
    beside.append(asyncio.create_task(_warned(station)))
    try:
        async for shown in station.read(chosen, follow=True):
            _print(station, shown)
    finally:
        for task in beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return 0


async def _reminded(station: Station) -> None:
    async for root, reminder in station.reminders(follow=True):
        _remind(root, reminder)


async def _warned(station: Station) -> None:
    """Who may be forced is said at once, to those whose device was told; and whose log or history is another."""
    said, doubted = set[bytes](), set[Alarm]()
    while True:
        for alarm in suspicions(station):
            if alarm not in doubted:
                doubted.add(alarm)
                show(suspicion_object(station, alarm), *suspicion_lines(station, alarm))
                sys.stdout.flush()
        for alarm in warned(station):
            key = alarm.device + alarm.seq.to_bytes(8, "big")
            if key not in said:
                said.add(key)
                show(duress_object(station, alarm), *warning_lines(station, alarm))
                sys.stdout.flush()
        await asyncio.sleep(LOOK)


def _remind(root: bytes, reminder: Reminder) -> None:
    said = {"reminder": root.hex(), "rung": reminder.rung, "time": iso(reminder.time)}
    if reminder.channel:
        show(said, f"REMINDER: alert {short(root)} waits for your answer: outrider ack {short(root)}")
    else:
        show(said, "REMINDER: an alert that is not in your channels wants you: ask your officers")
    sys.stdout.flush()


def _print(station: Station, shown: Shown) -> None:
    name = next((c.purpose for c in station.channels() if c.id == shown.channel), "") or short(shown.channel)
    show(shown_object(shown), *shown_lines(shown, name))
    sys.stdout.flush()
