"""A ladder's file: who is woken while an alert is not answered, written as TOML by an officer.

    stop = "all"                    # "any", "all", or a number of answers

    [[rung]]
    after = "2m"                    # since the alert, for the first; since the rung before, for the others
    road = "app"                    # a reminder on their devices; or a road of this gateway, such as "sms"
    # no people: everybody who is silent

    [[rung]]
    after = "5m"
    road = "sms"
    people = ["Dara"]               # by name or call sign

    [fallback]
    after = "10m"
    road = "mail"
    people = ["DUTY"]

Whether the gateway has these roads, and whether every rung comes before the alert's end, `keys.ladder.check` says.
"""

import re
import tomllib
from collections.abc import Callable
from typing import Final, TypeVar

from clients.core.errors import ClientError
from keys.canonical import encode
from keys.errors import KeysError
from keys.ladder import LONGEST, SHORTEST, Ladder, Rung, Stop, read_ladder

T = TypeVar("T")
FILE_LIMIT: Final = 16 * 1024
AFTER: Final = re.compile(r"([1-9][0-9]{0,5})([smh])", re.ASCII)
SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


class LadderFileRefused(ClientError):
    """Not a ladder's file. The sentence says what to mend."""


def read(source: bytes, person: Callable[[str], bytes]) -> Ladder:
    """Read a ladder's file; `person` gives a person's id for a name, and raises what it likes where there is none.

    Raises:
        LadderFileRefused: not TOML, a key unknown or missing, a duration out of bounds.
    """
    if len(source) > FILE_LIMIT:
        raise LadderFileRefused(f"a ladder has at most {FILE_LIMIT} bytes")
    try:
        top = dict(tomllib.loads(source.decode("utf-8").replace("\r\n", "\n")))
    except (RecursionError, ValueError) as error:
        raise LadderFileRefused(f"not TOML: {error}") from None
    stop, count = _stop(top.pop("stop", None))
    rungs = _taken(top, "rung", list, [])
    fallback = _taken(top, "fallback", dict, {})
    if top:
        raise LadderFileRefused(f"unknown {', '.join(sorted(top))}")
    made = [_rung(f"rung {n}", rung, person) for n, rung in enumerate(rungs, 1)]
    ladder = Ladder(made, stop, count, _rung("fallback", fallback, person) if fallback else None)
    try:
        return read_ladder(encode(ladder))
    except KeysError as error:
        raise LadderFileRefused(f"no ladder: {error}") from None


def _stop(value: object) -> tuple[Stop, int]:
    if value == "any":
        return Stop.ANY, 0
    if value == "all":
        return Stop.ALL, 0
    if type(value) is int and value > 0:
        return Stop.COUNT, value
    raise LadderFileRefused('stop must be "any", "all" or a number of answers')


def _rung(where: str, value: object, person: Callable[[str], bytes]) -> Rung:
    if not isinstance(value, dict):
        raise LadderFileRefused(f"{where} is not a table")
    table: dict[str, object] = dict(value)
    form = AFTER.fullmatch(_taken(table, "after", str, "", where))
    after = int(form[1]) * SECONDS[form[2]] if form else 0
    if not SHORTEST <= after <= LONGEST:
        raise LadderFileRefused(f"{where}: after must be a duration like 30s, 2m or 1h, from {SHORTEST}s to 24h")
    road, names = _taken(table, "road", str, "app", where), _taken(table, "people", list, [], where)
    if table:
        raise LadderFileRefused(f"{where}: unknown {', '.join(sorted(map(str, table)))}")
    if not all(isinstance(name, str) and name for name in names):
        raise LadderFileRefused(f"{where}: people are names")
    return Rung(after, road, sorted({person(name) for name in names}))


def _taken(table: dict[str, object], key: str, kind: type[T], default: T, where: str = "ladder") -> T:
    value = table.pop(key, default)
    if type(value) is not kind:
        raise LadderFileRefused(f"{where}: {key} is no {kind.__name__}")
    return value
