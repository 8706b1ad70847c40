"""The contacts file: who has which address on which road. It is the operator's, a TOML file of mode 0600 beside gateway.toml.

    [8f3a…16 bytes in hexadecimal]      a person's id, as `outrider reach` and `outrider devices list` have it
    mail = "lena@example.org"
    sms = "tel:+49301234567"            what the road understands

Addresses leave this file for the road alone: they are in no log line, no metric, no frame, and not in the database.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.roads.base import RoadRefused
from keys.identity import PersonId

CONTACTS_LIMIT: Final = 4 * 1024 * 1024
ADDRESS_LIMIT: Final = 1_000
_PERSON: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Contacts:
    """Addresses by person and road."""

    addresses: Mapping[tuple[PersonId, str], str]

    def address(self, person: PersonId, road: str) -> str | None:
        return self.addresses.get((person, road))

    @property
    def reached(self) -> tuple[tuple[PersonId, str], ...]:
        """Who has an address on which road."""
        return tuple(sorted(self.addresses))


NOBODY: Final = Contacts({})


def parse(data: bytes, roads: Collection[str]) -> Contacts:
    """Read a contacts file. `roads` are those of gateway.toml.

    Raises:
        RoadRefused: not TOML, a person that is no id, a road that there is not, or what can be no address. No address is quoted.
    """
    try:
        given = tomllib.loads(data.decode())
    except (RecursionError, ValueError):  # not TOML, not UTF-8, numbers or tables beyond what Python reads
        raise RoadRefused("not TOML") from None  # the parser's own words may quote an address
    addresses: dict[tuple[PersonId, str], str] = {}
    for person, ways in given.items():
        if not _PERSON.fullmatch(person) or not isinstance(ways, Mapping):
            raise RoadRefused(f"[{person[:40]}] is no person's id: 32 digits, 0-9 and a-f")
        for road, address in ways.items():
            if road not in roads:
                raise RoadRefused(f"[{person}]: there is no road {road!r} in gateway.toml")
            if not isinstance(address, str) or not 0 < len(address) <= ADDRESS_LIMIT or not address.isprintable():
                raise RoadRefused(f"[{person}]: {road} must be an address in one line")
            addresses[PersonId(bytes.fromhex(person)), road] = address
    return Contacts(addresses)


def load(path: Path, roads: Collection[str]) -> Contacts:
    """Read the file; where there is none, nobody has an address. Raises RoadRefused."""
    try:
        with path.open("rb") as file:
            data = file.read(CONTACTS_LIMIT + 1)
    except FileNotFoundError:
        return NOBODY
    except OSError as error:
        raise RoadRefused(f"{path}: {error.strerror}") from None
    if len(data) > CONTACTS_LIMIT:
        raise RoadRefused(f"{path}: over {CONTACTS_LIMIT} bytes")
    try:
        return parse(data, roads)
    except RoadRefused as refused:
        raise RoadRefused(f"{path}: {refused}") from None
