"""`outrider status`: is there a link, what waits, and how old is what this device trusts."""

from collections.abc import Sequence
from pathlib import Path

import click

from clients.approving import error_of
from clients.core.cosigned import Cosigned, judge
from clients.core.errors import NotReached
from clients.core.records import Alarm
from clients.core.text import visible
from clients.device import SYNC, device, short
from clients.moments import iso, now
from clients.shell import Verb, narrow, run, show, tell, write_new
from clients.station import Station
from clients.suspicions import who
from clients.views import Status
from gateway import wire

CLOCK_APART = 60_000  # ms between the clocks that are worth a word
CHECKPOINT_OLD = 600_000  # ms after which a session has long had a newer one


@click.command(cls=Verb)
@click.option("--offline", is_flag=True, help="Do not ask the gateway.")
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
@click.option(
    "--evidence",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write what convicts the gateway to files in DIR; anybody can judge them: outrider audit evidence.",
)
def status(offline: bool, timeout: float, folder: Path | None) -> int:
    """Show link, outbox, unread, alarms, the clock, and the age of checkpoint, revocation lists and certificate. Exit 3 without
    a link.

    Example: outrider status --json
    """
    with device() as station:
        report = None if offline else run(station.sync(timeout))
        told, alarms, kept, halted = station.status(), station.alarms(), station.evidence(), station.forked()
        whose = {alarm.device: who(station, alarm) for alarm in alarms}
        names = {alarm.device: station.name(alarm.device) for alarm in alarms if alarm.device}
        named = bool(station.charter.policy.witnesses) and not narrow()  # the answer takes some kilobytes
        asked = report is not None and report.connected and named
        cosigned = run(_cosigned(station)) if asked else None
    linked = report is not None and report.connected
    files = [] if folder is None else [str(_write(folder, name, data)) for name, data in kept]
    show(
        status_object(told)
        | {
            "link": linked,
            "halted": halted,
            "evidence": [name.hex() for name, _ in kept],
            "files": files,
            "alarm_list": [alarm_object(a) | {"name": names.get(a.device, "")} for a in alarms],
            "witnesses": None if cosigned is None else cosigned_object(cosigned),
        },
        *status_lines(told, _link(linked, offline)),
        *([] if cosigned is None else cosigned_lines(cosigned)),
        *([f"HALTED   every channel: {halted}"] if halted else []),
        *(f"ALARM    {iso(a.time)} {a.kind.name}{_where(a, whose[a.device])}: {visible(a.detail)}" for a in alarms),
        *(f"EVIDENCE {name.hex()[:16]}: write it to a file with --evidence DIR" for name, _ in kept if folder is None),
        *(f"EVIDENCE {file}" for file in files),
    )
    if report is not None and not linked:
        tell(f"outrider: gateway not reached: {visible(report.error)}")
    return 0 if linked or offline else 3


async def _cosigned(station: Station) -> Cosigned | None:
    """Ask what the charter's witnesses have seen of the log; None where no answer comes."""
    charter, held = station.charter, station.checkpoint()
    try:
        async with station.session():
            frame = await station.ask(lambda i: wire.GetWitnessed(i, 0 if held is None else held.size))
    except NotReached:
        return None
    if not isinstance(frame, wire.Witnessed):
        raise error_of(frame)
    return judge(charter, held, frame)


def cosigned_object(found: Cosigned) -> dict[str, object]:
    """What witnesses have seen, as `--json` prints it; age in seconds, null where nobody has cosigned."""
    return {
        "names": list(found.names),
        "size": found.size,
        "age": (now() - found.time) / 1000 if found.time else None,
        "quorum": found.reached,
        "wrong": found.wrong or None,
    }


def cosigned_lines(found: Cosigned) -> list[str]:
    """What witnesses have seen, for people."""
    if found.wrong:
        return [f"ALARM    what witnesses are said to have seen does not hold: {visible(found.wrong)}"]
    names = ", ".join(map(visible, found.names)) or "nobody"
    if not found.reached:
        return [f"witness  not yet cosigned by the quorum: {names} so far. Nothing waits for it"]
    lines = [f"witness  {found.size} entries, cosigned by {names}, {_age(max(0, now() - found.time))}"]
    if found.stale(now()):
        lines.append("WARNING  no witness has seen the log for over 10 minutes: it may be shown to you alone")
    return lines


def _link(linked: bool, offline: bool) -> str:
    return "GOOD" if linked else "not asked" if offline else "DOWN"


def _write(folder: Path, name: bytes, data: bytes) -> Path:
    """A file of evidence; the same one again is the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.hex()[:16]}.evidence"
    if not file.exists():
        write_new(file, data)
    return file


def _where(alarm: Alarm, whose: str) -> str:
    channel = f" channel {short(alarm.channel)} #{alarm.seq}" if alarm.channel else ""
    return channel + (f" device {whose}" if whose else "") + (" HALTED" if alarm.halts else "")


def status_object(told: Status) -> dict[str, object]:
    """A status as `--json` prints it; ages in seconds, null where there is nothing to be that old."""
    return {
        "mission": told.mission,
        "device": told.device.hex(),
        "name": told.name,
        "organisation": told.organisation,
        "roles": list(told.roles),
        "certificate_until": iso(told.certificate_until),
        "charter_version": told.charter_version,
        "charter_until": iso(told.charter_until),
        "checkpoint_size": told.checkpoint_size,
        "checkpoint_age": _seconds(told.checkpoint_age),
        "list_ages": {name: _seconds(age) for name, age in told.list_ages.items()},
        "outbox": told.outbox,
        "unsent": [{"channel": one.channel.hex(), "time": iso(one.time), "why": one.why} for one in told.unsent],
        "unproven": told.unproven,
        "unread": told.unread,
        "alarms": told.alarms,
        "clock_off": told.clock_off / 1000,
    }


def alarm_object(alarm: Alarm) -> dict[str, object]:
    """An alarm as `--json` prints it."""
    return {
        "kind": alarm.kind.name.lower(),
        "channel": alarm.channel.hex(),
        "seq": alarm.seq,
        "device": alarm.device.hex(),
        "detail": alarm.detail,
        "time": iso(alarm.time),
        "halts": alarm.halts,
    }


def status_lines(told: Status, link: str) -> list[str]:
    """A status for people."""
    clock = f" · clock {told.clock_off / 1000:+.1f} s" if link == "GOOD" else ""
    lines = [
        f"{visible(told.name)} · {visible(told.organisation)} · {_roles(told.roles)} · {told.unread} unread "
        f"· link {link}{clock}",
        f"outbox   {told.outbox} waiting, {told.unproven} not yet proved to be in the log",
        *(f"unsent   {iso(one.time)} to {short(one.channel)}: {visible(one.why)}" for one in told.unsent),
        f"log      {told.checkpoint_size} entries, checkpoint {_age(told.checkpoint_age)}",
        *(f"list     {visible(name)}: {_age(age)}" for name, age in told.list_ages.items()),
        f"mine     certificate until {iso(told.certificate_until)}",
        f"charter  {visible(told.mission)}, version {told.charter_version}, until {iso(told.charter_until)}",
    ]
    if abs(told.clock_off) > CLOCK_APART:
        lines.append("WARNING  this device's clock and the gateway's differ: set the clock")
    old = told.checkpoint_age is not None and told.checkpoint_age > CHECKPOINT_OLD
    if link == "GOOD" and old and not narrow():  # who has little room asks for proofs only of what came
        lines.append(
            "WARNING  there is a link, and no new checkpoint of the log: the gateway may be keeping all from you"
        )
    if now() > told.charter_until:
        lines.append("WARNING  the charter has reached its end: a successor is due; emergencies still work")
    return lines


def _roles(roles: Sequence[str]) -> str:
    """A guest's stands out: whose house this is, is never in doubt."""
    return ", ".join("GUEST" if role == "guest" else visible(role) for role in roles)


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000


def _age(millis: int | None) -> str:
    if millis is None:
        return "none yet"
    seconds = millis // 1000
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name} old"
    return f"{seconds} seconds old"
