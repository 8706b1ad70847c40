"""Who was shown something else than this device: told by name to whoever reads, and while talk goes on. What was proved is more than that: it halts."""

from textwrap import wrap
from typing import Final

from clients.core.records import Alarm, AlarmKind
from clients.core.text import visible, visible_name
from clients.device import short
from clients.moments import iso, now
from clients.station import Station

TOLD: Final = frozenset(
    {
        AlarmKind.SUSPICION,
        AlarmKind.FORKED,
        AlarmKind.SHRUNK,
        AlarmKind.WITHHELD,
        AlarmKind.GAP,
        AlarmKind.NOT_LOGGED,
        AlarmKind.LATE,
        AlarmKind.PROMISE,
        AlarmKind.FALSE_REFUSAL,
        AlarmKind.RENUMBERED,
    }
)
"""What somebody who reads has to know beside the messages."""
DAY: Final = 86_400_000  # ms; older ones stand in `outrider status` alone


def suspicions(station: Station, channel: bytes | None = None) -> list[Alarm]:
    """What was noticed in the last day, in a channel (or in none in particular), or anywhere."""
    since = now() - DAY
    return [
        alarm
        for alarm in station.alarms()
        if alarm.kind in TOLD and alarm.time >= since and (channel is None or alarm.channel in (b"", channel))
    ]


def who(station: Station, alarm: Alarm) -> str:
    """Whose device it is about, by name where a card has come."""
    if not alarm.device:
        return ""
    name = station.name(alarm.device)
    return f"{visible_name(name, 30)} ({short(alarm.device)})" if name else short(alarm.device)


def suspicion_lines(station: Station, alarm: Alarm) -> list[str]:
    """For a person."""
    whose = who(station, alarm)
    head = f"!! {alarm.kind.name}{f' {whose}' if whose else ''}  {iso(alarm.time)}{'  HALTED' if alarm.halts else ''}"
    return [head, *(f"   {line}" for line in wrap(visible(alarm.detail), 76))]


def suspicion_object(station: Station, alarm: Alarm) -> dict[str, object]:
    """As JSON."""
    return {
        "suspicion": alarm.kind.name.lower(),
        "device": alarm.device.hex(),
        "name": station.name(alarm.device) if alarm.device else "",
        "channel": alarm.channel.hex(),
        "seq": alarm.seq,
        "time": iso(alarm.time),
        "halts": alarm.halts,
        "detail": alarm.detail,
    }
