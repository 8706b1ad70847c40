"""`outrider alert roads`: what became of every notice of an alert's ladder, by person and road. The gateway's word, asked now."""

from collections.abc import Iterator
from typing import Final

import click

from clients.approving import error_of
from clients.core.text import visible
from clients.device import SYNC, device, short
from clients.moments import iso
from clients.officer.alert import find
from clients.officer.reach import check_may_ask
from clients.officer.screens import person_name
from clients.shell import Verb, run, show
from clients.station import Station
from gateway import wire
from gateway.wire import NoticeState
from keys.ladder import APP, Why

NOT_ALL: Final = 1
STATES: Final = {
    NoticeState.QUEUED: "waits",
    NoticeState.SENT: "sent",
    NoticeState.FAILED: "FAILED",
    NoticeState.WITHDRAWN: "withdrawn",
}
ENDED: Final = ("", "over", "updated", "cancelled", "all clear", "stood down", "done")


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def roads(root: str, timeout: float) -> int:
    """Show whom ALERT's ladder has woken by which road, and whom a road did not reach. Exit 1 if somebody was not reached.

    Example: outrider alert roads 3fa29c01
    """
    with device() as station:
        check_may_ask(station)
        run(station.sync(timeout))
        found = find(station, root)
        stands, notices = run(_asked(station, found.root))
        failed = [n for n in notices if n.state is NoticeState.FAILED]
        show(_object(found.root, stands, notices), *_lines(station, stands, notices))
    return NOT_ALL if failed else 0


async def _asked(station: Station, root: bytes) -> tuple[wire.Escalation, list[wire.Woken]]:
    """How the ladder stands, and all of its notices. Raises NotReached, or what the gateway's refusal means."""
    notices: list[wire.Woken] = []
    async with station.session():
        while True:
            after = notices[-1].number if notices else 0
            frame = await station.ask(lambda i, a=after: wire.GetEscalation(i, root, a))  # type: ignore[misc]
            if not isinstance(frame, wire.Escalation):
                raise error_of(frame)
            if not frame.notices:
                return frame, notices
            notices += frame.notices


def _lines(station: Station, stands: wire.Escalation, notices: list[wire.Woken]) -> Iterator[str]:
    yield f"{stands.answered} of {stands.asked} have answered; {_next(stands)}"
    for fired in stands.fired:
        road = "on their devices" if fired.road == APP else f"by {visible(fired.road)}"
        why = f" ({Why(fired.why).name.lower()})" if fired.why in set(Why) else ""
        yield f"{iso(fired.time)[11:19]} rung {fired.rung + 1}{why}, {road}: {fired.woken} woken"
        mine = [n for n in notices if n.firing == fired.number]
        for notice in sorted(mine, key=lambda n: (n.state is not NoticeState.FAILED, n.state, n.person)):
            yield _line(station, notice)
    if not stands.fired:
        yield "no rung was fired yet"


def _line(station: Station, notice: wire.Woken) -> str:
    tries = f" after {notice.attempts} tries" if notice.attempts > 1 else ""
    detail = f": {visible(notice.detail)}" if notice.detail else ""
    return (
        f"  {person_name(station, notice.person):<24} {STATES[notice.state]}{tries} {iso(notice.time)[11:19]}{detail}"
    )


def _next(stands: wire.Escalation) -> str:
    if stands.ended:
        return f"it has ended ({ENDED[stands.ended] if stands.ended < len(ENDED) else 'ended'}) and wakes nobody"
    if stands.stopped:
        return "enough have: its ladder has stopped"
    if stands.next_time:
        return f"rung {stands.next_rung + 1} at {iso(stands.next_time)[11:19]}"
    return "no rung is to come"


def _object(root: bytes, stands: wire.Escalation, notices: list[wire.Woken]) -> dict[str, object]:
    """As `--json` prints it."""
    return {
        "root": root.hex(),
        "alert": short(root),
        "asked": stands.asked,
        "answered": stands.answered,
        "ended": stands.ended,
        "stopped": stands.stopped,
        "next_rung": stands.next_rung + 1 if stands.next_time else None,
        "next_time": iso(stands.next_time) if stands.next_time else None,
        "fired": [
            {
                "number": f.number,
                "rung": f.rung + 1,
                "road": f.road,
                "time": iso(f.time),
                "woken": f.woken,
                "unreached": f.unreached,
            }
            for f in stands.fired
        ],
        "notices": [
            {
                "person": n.person.hex(),
                "firing": n.firing,
                "road": n.road,
                "state": n.state.name.lower(),
                "time": iso(n.time),
                "tries": n.attempts,
                "detail": n.detail,
            }
            for n in notices
        ],
    }
