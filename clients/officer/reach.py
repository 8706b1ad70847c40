"""`outrider reach`: who could not be reached now, and why. Exit 0 when everybody could, 1 when somebody couldn't.

Asked here, it is about everybody this device knows of; `alert new` asks the same of those an alert is for.
"""

from collections.abc import Collection, Mapping
from typing import Final

import click

from clients.approving import error_of
from clients.core.errors import NotReached
from clients.core.reaching import Lack, Limits, Reach, Sighting, reach
from clients.core.text import visible, visible_name
from clients.device import SYNC, device, not_reached
from clients.moments import Duration, iso, now
from clients.officer.preview import loud
from clients.shell import Verb, run, show, table
from clients.station import Station
from gateway import wire

NOT_ALL: Final = 1
DEFAULT: Final = Limits()
LATENESS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"))
WORDS: Final[Mapping[Lack, str]] = {
    Lack.NO_DEVICE: "no device with a valid certificate",
    Lack.NO_CHANNEL: "in no alert channel",
    Lack.NEVER_SEEN: "never seen",
    Lack.SILENT: "not seen for {ago}",
    Lack.ENDING: "certificate ends {ends}",
    Lack.ONE_DEVICE: "one device only",
    Lack.NO_SECOND_ROAD: "no second road",
}


@click.command("reach", cls=Verb)
@click.option(
    "--silent",
    type=Duration(),
    default="24h",
    show_default=True,
    help="A device without a sign for so long is out of reach.",
)
@click.option(
    "--ending", type=Duration(), default="7d", show_default=True, help="Tell of certificates that end within this time."
)
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def reach_command(silent: int, ending: int, timeout: float) -> int:
    """Show who could not be reached by an alert now, and why; then whose reach is thin. Exit 0 if everybody could be reached.

    Example: outrider reach --silent 12h
    """
    with device() as station:
        report = run(station.sync(timeout))
        found, roads = look(station, None, Limits(silent, ending))
        show(as_object(station, found, roads), *lines(station, found, roads))
    if roads is None:
        return not_reached(report.error, "shown is what this device knows: nobody's roads, nobody's presence")
    return NOT_ALL if any(not one.reachable for one in found) else 0


def look(
    station: Station, people: Collection[bytes] | None, limits: Limits = DEFAULT
) -> tuple[list[Reach], list[str] | None]:
    """How these people (None: everybody) can be reached, and the gateway's roads; None for those where it wasn't reached."""
    try:
        sightings, roads = run(_sightings(station))
    except (NotReached, TimeoutError, OSError):
        sightings, roads = None, None
    found = station.act(lambda work: reach(work, sightings, people, limits))
    return found, roads


async def _sightings(station: Station) -> tuple[dict[bytes, Sighting], list[str]]:
    found: dict[bytes, Sighting] = {}
    roads: list[str] = []
    after = bytes(16)
    async with station.session():
        while True:
            frame = await station.ask(lambda i, a=after: wire.GetReach(i, a))  # type: ignore[misc]
            if not isinstance(frame, wire.Reach):
                raise error_of(frame)
            if not frame.devices:
                return found, roads
            roads = frame.roads
            found |= {d.device: Sighting(d.connected, d.seen, tuple(d.roads)) for d in frame.devices}
            after = frame.devices[-1].device


# --- for people ---


def lines(station: Station, found: list[Reach], roads: list[str] | None) -> list[str]:
    """Who can't be reached, first and marked; then what is thin about the others; those without a lack are only counted."""
    reachable = sum(1 for one in found if one.reachable)
    shown = [f"{reachable} of {len(found)} reachable on the platform"]
    if roads is not None:
        shown.append(f"roads off the platform: {', '.join(map(visible, roads)) or 'none set up at the gateway'}")
    rows = [
        (_mark(one), _name(station, one), visible(one.organisation, 24), reasons(one)) for one in found if one.lacks
    ]
    for one, line in zip((one for one in found if one.lacks), table(rows), strict=True):
        shown.append(line if one.reachable else loud(line))
    return shown


def _mark(one: Reach) -> str:
    return "  thin" if one.reachable else "! OUT OF REACH"


def reasons(one: Reach) -> str:
    """Why a person can't be reached, or what is thin, in words."""
    ago = _ago(now() - one.seen)
    return "; ".join(WORDS[lack].format(ago=ago, ends=iso(one.ends)) for lack in one.lacks)


def _ago(millis: int) -> str:
    return next((f"{millis // unit} {name}" for unit, name in LATENESS if millis >= unit), "a moment")


def _name(station: Station, one: Reach) -> str:
    return visible_name(station.name(one.device), 32)


def warnings(station: Station, found: list[Reach]) -> list[str]:
    """Those of an alert's receivers whom the platform doesn't reach, or who have no other way, a line each."""
    shown = [one for one in found if not one.reachable or Lack.NO_SECOND_ROAD in one.lacks]
    return [
        f"  {'! OUT OF REACH' if not one.reachable else '  thin'} {_name(station, one)}: {reasons(one)}"
        for one in shown
    ]


def as_object(station: Station, found: list[Reach], roads: list[str] | None) -> dict[str, object]:
    """The same as `--json` prints it; `roads` is null where the gateway wasn't reached."""
    return {
        "people": len(found),
        "reachable": sum(1 for one in found if one.reachable),
        "roads": roads,
        "lacking": [reach_object(station, one) for one in found if one.lacks],
    }


def reach_object(station: Station, one: Reach) -> dict[str, object]:
    """How one person can be reached."""
    return {
        "person": one.person.hex(),
        "name": station.name(one.device),
        "organisation": one.organisation,
        "reachable": one.reachable,
        "connected": one.connected,
        "devices": one.devices,
        "seen": iso(one.seen) if one.seen else None,
        "certificate_until": iso(one.ends) if one.ends else None,
        "roads": None if one.roads is None else list(one.roads),
        "lacks": [str(lack) for lack in one.lacks],
    }
