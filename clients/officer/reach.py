"""`outrider reach`: who could not be reached now, and why. Exit 0 when everybody could, 1 when somebody couldn't.

Asked here, it is about everybody this device knows of; `alert new` asks the same of those an alert is for.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

import click

from clients.approving import error_of
from clients.board import Ways
from clients.core.errors import ClientError, NotAllowed, NotReached
from clients.core.reaching import Lack, Limits, Reach, Sighting, reach
from clients.core.text import visible, visible_name
from clients.device import SYNC, device, not_reached
from clients.moments import Duration, iso, now
from clients.officer.preview import loud, wrapped
from clients.shell import Verb, run, show
from clients.station import Station
from gateway import wire
from gateway.wire import NoticeState
from keys.policy import Verb as Permission

NOT_ALL: Final = 1
DEFAULT: Final = Limits()
LATENESS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"))
WORDS: Final[Mapping[Lack, str]] = {
    Lack.REVOKED: "every device revoked",
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
        check_may_ask(station)
        report = run(station.sync(timeout))
        found, roads = look(station, None, Limits(silent, ending))
        show(as_object(station, found, roads), *lines(station, found, roads))
    if roads is None:
        return not_reached(report.error, "shown is what this device knows: nobody's roads, nobody's presence")
    return NOT_ALL if any(not one.reachable and not one.gone for one in found) else 0


def check_may_ask(station: Station) -> None:
    """Raises NotAllowed, as the gateway would."""
    policy, roles = station.charter.policy, station.identity.roles
    if not any(policy.permits(roles, verb) for verb in (Permission.ALERT, Permission.APPROVE_ALERT)):
        raise NotAllowed("who can be reached is shown to officers who alert")


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


async def ways(station: Station, root: bytes) -> Ways | None:
    """What the gateway says of the roads to people and of an alert's notices; None where it says nothing to this device."""
    try:
        check_may_ask(station)
        async with station.session():
            sightings, _ = await _sightings(station)
            return Ways(sightings, await _notices(station, root))
    except (ClientError, TimeoutError, OSError):
        return None


async def _notices(station: Station, root: bytes) -> dict[bytes, dict[str, NoticeState]]:
    found: dict[bytes, dict[str, NoticeState]] = {}
    after = 0
    while True:
        frame = await station.ask(lambda i, a=after: wire.GetEscalation(i, root, a))  # type: ignore[misc]
        if not isinstance(frame, wire.Escalation):
            raise error_of(frame)
        if not frame.notices:
            return found
        for notice in frame.notices:
            found.setdefault(notice.person, {})[notice.road] = notice.state
        after = frame.notices[-1].number


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
    here = [one for one in found if not one.gone]
    shown = [f"{sum(1 for one in here if one.reachable)} of {len(here)} reachable on the platform"]
    if roads == []:
        shown.append("no road off the platform is set up at the gateway: nobody has a second one")
    elif roads is not None:
        shown.append(f"roads off the platform: {', '.join(map(visible, roads))}")
    shown += [line for one in sorted(here, key=_order(station)) for line in _line(station, one, roads)]
    gone = ", ".join(_name(station, one) for one in found if one.gone)
    return [*shown, *(wrapped("no longer with a device, every one was revoked: ", gone) if gone else [])]


def warnings(station: Station, found: list[Reach], roads: list[str] | None) -> list[str]:
    """Those of an alert's receivers whom the platform doesn't reach, or only just, a line each."""
    shown = [line for one in sorted(found, key=_order(station)) for line in _line(station, one, roads)]
    if roads == [] and found:
        shown.append("  no road off the platform is set up at the gateway: nobody has a second one")
    return shown


def _order(station: Station) -> Callable[[Reach], tuple[bool, str]]:
    return lambda one: (one.reachable, station.name(one.device).casefold())


def _line(station: Station, one: Reach, roads: list[str] | None) -> list[str]:
    said = reasons(one, without={Lack.NO_SECOND_ROAD} if roads == [] else set())
    if not said:
        return []
    label = "  thin: " if one.reachable else "  ! OUT OF REACH: "
    line = wrapped(label, f"{_name(station, one)}, {visible(one.organisation, 24)}: {said}")
    return line if one.reachable else list(map(loud, line))


def reasons(one: Reach, without: Collection[Lack] = ()) -> str:
    """Why a person can't be reached, or what is thin, in words."""
    ago, ends = _ago(now() - one.seen), iso(one.ends)
    return "; ".join(WORDS[lack].format(ago=ago, ends=ends) for lack in one.lacks if lack not in without)


def _ago(millis: int) -> str:
    return next((f"{millis // unit} {name}" for unit, name in LATENESS if millis >= unit), "a moment")


def _name(station: Station, one: Reach) -> str:
    return visible_name(station.name(one.device), 32)


def as_object(station: Station, found: list[Reach], roads: list[str] | None) -> dict[str, object]:
    """The same as `--json` prints it; `roads` is null where the gateway wasn't reached."""
    return {
        "people": sum(1 for one in found if not one.gone),
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
