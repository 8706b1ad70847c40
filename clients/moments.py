"""Times as people write and read them: ISO 8601 in UTC, and durations such as 90m, 24h or 30d. Inside they are ms since the epoch."""

import os
import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    _Millis = click.ParamType[int]
else:
    _Millis = click.ParamType  # generic since click 8.5 only

UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_asked = os.environ.get("OUTRIDER_TIMEOUT", "")
SYNC: Final = float(_asked) if re.fullmatch("[1-9][0-9]{0,3}", _asked, re.ASCII) else 10.0
"""Seconds that a verb gives the gateway where nothing else is said: OUTRIDER_TIMEOUT, for a road that is slow by nature."""

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)


def now() -> int:
    """The wall clock."""
    return int(datetime.now(tz=UTC).timestamp() * 1000)


def iso(millis: int) -> str:
    """A moment as ISO 8601 UTC, in whole seconds."""
    return datetime.fromtimestamp(millis // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration(text: str) -> int:
    """`90m`, `24h`, `30d` in ms. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: write 90m, 24h or 30d")
    return int(match[1]) * UNITS[match[2]]


def parse_moment(text: str) -> int:
    """`2027-03-31` (its end, UTC) or `2027-03-31T12:00:00Z` in ms. Raises ValueError."""
    try:
        if len(text) == len("2027-03-31"):
            moment = datetime.combine(date.fromisoformat(text), time(23, 59, 59), UTC)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date: write 2027-03-31 or 2027-03-31T12:00:00Z") from None
    if moment.utcoffset() is None:
        raise ValueError(f"{text!r} needs its offset: write 2027-03-31T12:00:00Z")
    return int(moment.timestamp()) * 1000


class Duration(_Millis):
    """An option that takes a duration and gives ms."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(_Millis):
    """An option that takes a date or a moment and gives ms."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_moment(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
