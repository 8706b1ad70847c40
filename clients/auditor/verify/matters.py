"""Matters that an earlier verification left open: what later entries may speak of, and what those will be judged by.

    alerts      an update, cancel or all-clear names them, and a second sending of one is refused
    ladders     where each stands, so that a rung due after the saved state is missed like any other
    SOS         those that nobody has ended, and who has asked for it
    cases       disclosures asked for, with the votes so far; orders to destroy that wait for a second person
    confirmed   what members have said of the newest epochs

They go into the state and out of it again (`state.py`), in one order each, so that a state is the same bytes however it was come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clients.auditor.verify.disclosures import Case
from clients.auditor.verify.escalations import Waiting
from clients.auditor.verify.reading import Reading
from clients.auditor.verify.receipts import Epoch
from keys.alert import Draft
from keys.approval import Approved
from keys.canonical import Hash, Id, Millis, Record, Uint
from keys.charter import Charter
from keys.credential import Certified
from keys.disclosure import Request
from keys.emergency import Request as Asked
from keys.emergency import StandDown
from keys.errors import KeysError, Malformed
from keys.identity import PersonId
from keys.ladder import Ladder
from keys.retention import Destruction


class AlertMatter(Record, frozen=True, array_like=True):
    """An alert that holds: its draft, who signed it (DER) and when, and where it came to."""

    draft: Draft
    writer: bytes
    written: Millis
    approver: bytes  # none where it was sent by one alone
    approved: Millis
    channels: list[Id]


class LadderMatter(Record, frozen=True, array_like=True):
    """Where a ladder stands (`escalations.Waiting`)."""

    root: Hash
    ladder: Ladder
    not_after: Millis
    index: Uint
    begun: bool
    rung: Uint
    since: Millis
    firings: Uint
    asked: list[Id]
    answered: list[Id]
    channels: list[Id]
    jumps: list[Uint]
    over: bool


class Replaced(Record, frozen=True, array_like=True):
    """An alert, and those that it names."""

    root: Hash
    references: list[Hash]


class SosMatter(Record, frozen=True, array_like=True):
    """An SOS that is open: its header's hash, its channel and its author."""

    name: Hash
    channel: Id
    person: Id


class AskedMatter(Record, frozen=True, array_like=True):
    """An SOS whose author has asked for its end."""

    channel: Id
    request: Asked
    said: StandDown


class Vote(Record, frozen=True, array_like=True):
    """A person, and the entry by which he voted."""

    person: Id
    index: Uint


class CaseMatter(Record, frozen=True, array_like=True):
    """A disclosure that was asked for."""

    name: Hash
    request: Request
    requester: Id
    index: Uint
    agreed: list[Vote]
    against: list[Vote]


class OrderMatter(Record, frozen=True, array_like=True):
    """An order to destroy something."""

    name: Hash
    person: Id
    order: Destruction


class ConfirmedMatter(Record, frozen=True, array_like=True):
    """What a device has confirmed of a channel's epoch."""

    channel: Id
    epoch: Uint
    digest: Hash
    device: Id
    index: Uint


class Matters(Record, frozen=True, array_like=True):
    """All that is open."""

    alerts: list[AlertMatter]
    reviews: list[Hash]
    ladders: list[LadderMatter]
    replaced: list[Replaced]
    sos: list[SosMatter]
    asked: list[AskedMatter]
    cases: list[CaseMatter]
    orders: list[OrderMatter]
    confirmed: list[ConfirmedMatter]


# ---------------------------------------------------------------------- out of a reading


def matters_of(reading: Reading) -> Matters:
    """What a reading leaves open."""
    alerts, sos = reading.speech.alerts, reading.speech.emergencies
    ladders, cases, orders = reading.escalations, reading.disclosures.cases, reading.tombstones.orders
    return Matters(
        [_alert(approved, channels) for approved, channels in alerts.sent.values()],
        sorted(alerts.reviews),
        [_ladder(one) for one in ladders.all.values()],
        [Replaced(root, list(names)) for root, names in ladders.replaced.items() if names],
        [SosMatter(name, *where) for name, where in sos.open.items()],
        [AskedMatter(place[0], *said) for place, said in sos.requests.items()],
        [
            CaseMatter(name, c.request, c.requester, c.index, _votes(c.agreed), _votes(c.against))
            for name, c in cases.items()
        ],
        [OrderMatter(name, *said) for name, said in orders.items()],
        list(_confirmed(reading)),
    )


def _alert(approved: Approved, channels: Iterable[bytes]) -> AlertMatter:
    second = b"" if approved.approver is None else approved.approver.der
    first = approved.writer.der
    return AlertMatter(approved.draft, first, approved.written, second, approved.approved, sorted(channels))


def _ladder(one: Waiting) -> LadderMatter:
    people = sorted(one.asked), sorted(one.answered), sorted(one.channels)
    state = one.begun, one.rung, one.since, one.firings
    return LadderMatter(one.root, one.ladder, one.not_after, one.index, *state, *people, list(one.jumps), one.over)


def _votes(votes: dict[PersonId, int]) -> list[Vote]:
    return [Vote(person, index) for person, index in votes.items()]


def _confirmed(reading: Reading) -> Iterable[ConfirmedMatter]:
    """Of each channel's epoch in force and the one before: of older ones nobody says anything any more."""
    for (channel, number), epoch in reading.receipts.epochs.items():
        roster = reading.rosters.open.get(channel)
        if roster is None or number < roster.epoch - 1:
            continue
        for digest, who in epoch.said.items():
            yield from (ConfirmedMatter(channel, number, digest, device, index) for device, index in who)


# ---------------------------------------------------------------------- into the next


def remember(matters: Matters, reading: Reading, charters: Sequence[Charter]) -> None:
    """Put a fresh reading where the one that was saved had come. Raises Malformed."""
    alerts, sos = reading.speech.alerts, reading.speech.emergencies
    for one in matters.alerts:
        approved = _approved(one, charters)
        alerts.remember(approved, set(one.channels))
    alerts.reviews |= set(matters.reviews)
    for ladder in matters.ladders:
        reading.escalations.all[ladder.root] = _waiting(ladder)
    reading.escalations.replaced |= {one.root: list(one.references) for one in matters.replaced}
    sos.open |= {one.name: (one.channel, one.person) for one in matters.sos}
    sos.requests |= {(one.channel, one.request.seq): (one.request, one.said) for one in matters.asked}
    for case in matters.cases:
        agreed, against = ({PersonId(v.person): v.index for v in side} for side in (case.agreed, case.against))
        known = Case(case.request, PersonId(case.requester), case.index, agreed, against)
        reading.disclosures.cases[case.name] = known
    reading.tombstones.orders |= {one.name: (PersonId(one.person), one.order) for one in matters.orders}
    for said in matters.confirmed:
        epoch = reading.receipts.epochs.setdefault((said.channel, said.epoch), Epoch())
        epoch.said.setdefault(said.digest, []).append((said.device, said.index))


def _approved(one: AlertMatter, charters: Sequence[Charter]) -> Approved:
    writer = _certified(one.writer, charters)
    approver = _certified(one.approver, charters) if one.approver else None
    return Approved(one.draft, one.draft.root, writer, one.written, approver, one.approved)


def _certified(der: bytes, charters: Sequence[Charter]) -> Certified:
    """A certificate under the newest charter that knows its organisation."""
    for charter in reversed(charters):
        try:
            return charter.verify_certificate(der)
        except KeysError:
            continue
    raise Malformed("an alert of somebody whom no charter knows")


def _waiting(said: LadderMatter) -> Waiting:
    return Waiting(
        said.root,
        said.ladder,
        said.not_after,
        said.index,
        said.begun,
        said.rung,
        said.since,
        said.firings,
        set(said.asked),
        set(said.answered),
        set(said.channels),
        list(said.jumps),
        said.over,
    )
