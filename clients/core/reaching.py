"""Who could not be reached now, and why: the check ahead of need.

Held together here is what this device knows (certificates, receipts, channels) and what the gateway told when it was asked (who is
connected, when it saw a device last, by which roads off the platform it could wake a person). A person is reachable by the platform
when a device of theirs holds a certificate that counts, is in an alert channel, and is connected or has given a sign within
`silent` ms.

Lacks are told even of those who can be reached: one device only, a certificate about to end, no second road. Whoever plans
reads them before the night. The gateway can claim that somebody is connected who is not: a sign that counts for certain is a receipt.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from clients.core import records
from clients.core.commits import Work
from clients.core.groups import roster_at
from clients.core.records import Peer
from clients.core.turn import DAY
from keys.errors import KeysError

SILENT: Final = DAY  # ms without a sign after which a device counts as out of reach
ENDING: Final = 7 * DAY  # ms before its end at which a certificate is told of


class Lack(StrEnum):
    """What stands between an alert and a person; the codes are stable."""

    REVOKED = "all-revoked"
    NO_DEVICE = "no-device"
    NO_CHANNEL = "no-alert-channel"
    NEVER_SEEN = "never-seen"
    SILENT = "silent"
    ENDING = "certificate-ending"
    ONE_DEVICE = "one-device"
    NO_SECOND_ROAD = "no-second-road"


BARS: Final = frozenset({Lack.REVOKED, Lack.NO_DEVICE, Lack.NO_CHANNEL, Lack.NEVER_SEEN, Lack.SILENT})
"""With one of these the platform doesn't reach a person."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the gateway says of a device: whether it is connected, when its last session ended since the gateway started (ms, 0 for
    never), and the roads off the platform by which its person can be woken."""

    connected: bool
    seen: int
    roads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How a person can be reached. `device` is one of theirs, to name them by; `seen` the newest sign of any (ms, 0 for never);
    `ends` when their last certificate does; `roads` is None where the gateway was not asked, since it alone knows them."""

    person: bytes
    device: bytes
    organisation: str
    devices: int
    connected: bool
    seen: int
    ends: int
    roads: tuple[str, ...] | None
    lacks: tuple[Lack, ...]

    @property
    def reachable(self) -> bool:
        """Whether an alert gets to them by the platform."""
        return not BARS & set(self.lacks)

    @property
    def gone(self) -> bool:
        """Whether every device of theirs was revoked: somebody who left, or who lost the only one and has no other yet."""
        return Lack.REVOKED in self.lacks


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as too long: ms without a sign, ms before a certificate's end."""

    silent: int = SILENT
    ending: int = ENDING


def reach(
    work: Work,
    sightings: Mapping[bytes, Sighting] | None,
    people: Collection[bytes] | None = None,
    limits: Limits = Limits(),
) -> list[Reach]:
    """How each person can be reached, those who can't first: everybody whom this device knows of, or these people.

    `sightings` are the gateway's, by device; None where it wasn't reached.
    """
    owned: dict[bytes, list[tuple[bytes, Peer]]] = {person: [] for person in people or ()}
    for device, peer in records.PEERS.scan(work.turn.draft):
        if people is None or peer.person in people:
            owned.setdefault(peer.person, []).append((device, peer))
    facts = _Facts(work.turn.now, sightings, _signs(work), frozenset(_alerted(work)), limits)
    found = [facts.of(person, devices) for person, devices in owned.items()]
    return sorted(found, key=lambda r: (r.reachable, -len(r.lacks), r.organisation, r.person))


def _signs(work: Work) -> dict[bytes, int]:
    """The newest receipt of each device (ms); this one is here now."""
    signs = {work.turn.me.device: work.turn.now}
    for key, received in records.RECEIVED.scan(work.turn.draft):
        signs[key[16:]] = max(received.time, signs.get(key[16:], 0))
    return signs


def _alerted(work: Work) -> Iterator[bytes]:
    """The devices that are in some channel for alerts."""
    for channel, state in work.turn.channels():
        try:
            alerts = work.turn.charter.policy.channel_class(state.channel_class).alerts
        except KeysError:
            alerts = False
        present = roster_at(work.turn.draft, channel, state.epoch) if alerts and not state.left else None
        yield from (seat.device for seat in present.seats) if present else ()


@dataclass(frozen=True, slots=True)
class _Facts:
    now: int
    sightings: Mapping[bytes, Sighting] | None
    signs: Mapping[bytes, int]
    alerted: Collection[bytes]
    limits: Limits

    def of(self, person: bytes, devices: list[tuple[bytes, Peer]]) -> Reach:
        """How the person with these devices can be reached."""
        fit = {device: peer for device, peer in devices if not peer.revoked and peer.not_after > self.now}
        told = [self.sightings[device] for device in fit if device in self.sightings] if self.sightings else []
        signs = [*(self.signs.get(device, 0) for device in fit), *(sighting.seen for sighting in told)]
        connected = any(sighting.connected for sighting in told)
        seen = self.now if connected else min(self.now, max(signs, default=0))
        ends = max((peer.not_after for peer in fit.values()), default=0)
        roads = None if self.sightings is None else self._roads(self.sightings, devices)
        lacks = [*self._bars(fit, seen)] if fit else [Lack.REVOKED if self._all_revoked(devices) else Lack.NO_DEVICE]
        if fit and ends - self.now < self.limits.ending:
            lacks.append(Lack.ENDING)
        if len(fit) == 1:
            lacks.append(Lack.ONE_DEVICE)
        if roads == ():
            lacks.append(Lack.NO_SECOND_ROAD)
        device, organisation = next(((d, p.organisation) for d, p in devices), (person, ""))
        return Reach(person, device, organisation, len(fit), connected, seen, ends, roads, tuple(lacks))

    def _bars(self, fit: Collection[bytes], seen: int) -> Iterator[Lack]:
        if not any(device in self.alerted for device in fit):
            yield Lack.NO_CHANNEL
        if not seen:
            yield Lack.NEVER_SEEN
        elif self.now - seen > self.limits.silent:
            yield Lack.SILENT

    @staticmethod
    def _all_revoked(devices: list[tuple[bytes, Peer]]) -> bool:
        return bool(devices) and all(peer.revoked for _, peer in devices)

    @staticmethod
    def _roads(sightings: Mapping[bytes, Sighting], devices: list[tuple[bytes, Peer]]) -> tuple[str, ...]:
        return tuple(sorted({road for device, _ in devices if device in sightings for road in sightings[device].roads}))
