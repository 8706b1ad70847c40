"""Emergencies and check-ins on a screen: an SOS before all else, and who stands where with a check-in plan. Read without colour."""

from textwrap import wrap
from typing import Final

from clients.core.records import Alarm, AlarmKind
from clients.core.text import visible, visible_name
from clients.device import short
from clients.moments import iso, now
from clients.places import position_object, position_text
from clients.station import Station
from clients.views import EmergencyView, MoveView

DURESS_SHOWN: Final = 24 * 3_600_000  # ms


def standing(station: Station) -> list[str]:
    """What is open, for the head of a screen; empty when all is well."""
    lines = duress_lines(station)
    lines += [line for one in station.emergencies() if not one.ended for line in emergency_lines(one)]
    return lines + [line for one in station.moves() if one.missed for line in move_lines(one)]


def warned(station: Station) -> list[Alarm]:
    """Who may be forced, as far as that came within the last day: true until somebody has seen them in person."""
    since = now() - DURESS_SHOWN
    found = [alarm for alarm in station.alarms() if alarm.kind is AlarmKind.DURESS and alarm.time >= since]
    return list({(alarm.device, alarm.detail): alarm for alarm in found}.values())  # of each the newest


def duress_lines(station: Station) -> list[str]:
    """Who may be forced, by name."""
    return [line for alarm in warned(station) for line in warning_lines(station, alarm)]


def warning_lines(station: Station, alarm: Alarm) -> list[str]:
    """One warning, by name."""
    name = visible_name(station.name(alarm.device), 30) or short(alarm.device)
    return [f"!!! DURESS !!! {name}  {iso(alarm.time)}", *(f"    {line}" for line in wrap(visible(alarm.detail), 76))]


def duress_object(station: Station, alarm: Alarm) -> dict[str, object]:
    """One warning as `--json` prints it."""
    name = station.name(alarm.device)
    return {"duress": alarm.device.hex(), "name": name, "time": iso(alarm.time), "detail": alarm.detail}


def emergency_lines(one: EmergencyView) -> list[str]:
    """An SOS as everybody sees it; what the answer to the challenge was only where that may be known."""
    name = visible_name(one.name, 30) or short(one.device)
    if one.ended:
        return [f"(SOS {short(one.root)} of {name}, {iso(one.placed)}: STOOD DOWN by {visible_name(one.confirmed_by)})"]
    lines = [f"!!! SOS !!! {name}  {iso(one.sealed)}  {short(one.root)}"]
    lines += [f"    {visible(one.text)}"] if one.text else []
    lines.append(f"    {position_text(one.position)}")
    lines.append(f"    seen by {_names(one.seen)}; answered by {_names(one.answered)}")
    if not one.mine:
        lines += [] if one.answered else [f"    you have it in hand: outrider ack {short(one.root)}"]
    if one.asked:
        lines.append(f"    its end was asked for at {iso(one.asked)}: it waits for a second person")
        if one.word:
            lines.append(f"    the word was {one.word}{_advice(one.word)}")
        if not one.mine:
            lines.append(f"    outrider sos end {short(one.root)}")
    return lines


def _advice(word: str) -> str:
    if word == "WRONG":
        return ": TREAT IT AS DURESS. Say nothing to that device"
    return "" if word == "right" else ": make sure by voice"


def _names(names: list[str]) -> str:
    return ", ".join(visible_name(name, 30) for name in names) or "NOBODY yet"


def move_lines(one: MoveView) -> list[str]:
    """Where somebody stands with the check-ins."""
    mark = "!!  " if one.missed else "    "
    lines = [f"{mark}{visible_name(one.name, 30) or short(one.device)}: {visible(one.text)}"]
    if one.missed:
        over = max(0, now() - one.due) // 1000
        lines.append(f"    due {over // 60}:{over % 60:02} ago; you have it in hand: outrider ack {short(one.root)}")
    return lines


def emergency_object(one: EmergencyView) -> dict[str, object]:
    """An SOS as `--json` prints it."""
    return {
        "sos": one.root.hex(),
        "channel": one.channel.hex(),
        "device": one.device.hex(),
        "name": one.name,
        "text": one.text,
        "position": position_object(one.position),
        "sealed": iso(one.sealed),
        "placed": iso(one.placed),
        "seen": list(one.seen),
        "answered": list(one.answered),
        "asked": iso(one.asked) if one.asked else None,
        "word": one.word or None,
        "ended": iso(one.ended) if one.ended else None,
        "confirmed_by": one.confirmed_by or None,
        "mine": one.mine,
    }


def move_object(one: MoveView) -> dict[str, object]:
    """A plan of check-ins as `--json` prints it."""
    return {
        "move": one.root.hex(),
        "channel": one.channel.hex(),
        "device": one.device.hex(),
        "name": one.name,
        "route": one.route,
        "legs": list(one.legs),
        "times": [iso(time) for time in one.times],
        "grace_s": one.grace,
        "due": iso(one.due) if one.due else None,
        "missed": one.missed,
        "check_ins": [{"at": iso(at), "due": iso(due), "late": at > due + one.grace * 1000} for at, due in one.said],
        "ended": iso(one.ended) if one.ended else None,
        "mine": one.mine,
    }
