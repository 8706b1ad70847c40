"""The board of an alert: everybody it is for, and how far each has got with it. Counts are lists, the silent stand first.

A person is asked once, however many devices he has: what one of them has got, shown or answered counts for the person. Asked are the
people of the talk channel that an alert channel stands beside; where this device is not in the talk, all in the alert channel but
the officers who are in every one. Nobody is asked who has signed the alert.

    UNREACHABLE  not delivered, and nothing leads there: no live device or none seen for a day, and by no other road either
                 (there is none, or each notice to that person failed)
    KEPT         not delivered as far as anybody has said; the gateway keeps it for that person's devices
    DELIVERED, SHOWN   as that person's devices said
    ANSWERED     with one of the alert's answers; or in any way, where it offers none. Whoever only says "seen" has seen it

Which roads lead to whom, and what became of notices, the gateway alone knows (`Ways`): where it was not asked, somebody is unreachable
only whose every device was revoked or has expired.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from clients import views
from clients.core import alerts, announcements, beside, records
from clients.core.commits import Work
from clients.core.errors import Unknown
from clients.core.groups import roster_at
from clients.core.reaching import BARS, Lack, Reach, Sighting, reach
from clients.core.receipts import covers
from clients.views import AlertView
from gateway.wire import NoticeState
from keys.ladder import Escalated, Jump, Ladder


class Reached(IntEnum):
    """How far somebody has got, in the order in which the board lists them."""

    UNREACHABLE = 0
    KEPT = 1
    DELIVERED = 2
    SHOWN = 3
    ANSWERED = 4


@dataclass(frozen=True, slots=True)
class Ways:
    """What the gateway said of the roads to people: its sightings by device, and each person's notices of this alert, as (road, state),
    the newest of each road."""

    sightings: Mapping[bytes, Sighting]
    notices: Mapping[bytes, Mapping[str, NoticeState]]


@dataclass(frozen=True, slots=True)
class Row:
    """A person. `option` is the number given and `text` its meaning (empty for a plain answer), `time` in ms. `why` says of an
    unreachable person what is in the way: codes of `reaching.Lack`, and `ROAD-failed`."""

    person: bytes
    name: str
    organisation: str
    outside: bool
    devices: tuple[bytes, ...]
    reached: Reached
    option: int = 0
    text: str = ""
    words: str = ""
    time: int = 0
    why: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        return self.reached is not Reached.ANSWERED


@dataclass(frozen=True, slots=True)
class Board:
    """An alert and its people; `ladder` and the rungs `fired` (with the time of each, ms) as far as this device was told."""

    alert: AlertView
    placed: int  # ms: when it was accepted first; 0: not yet
    channels: tuple[bytes, ...]
    rows: tuple[Row, ...]
    ladder: Ladder | None
    fired: tuple[tuple[int, Escalated], ...]
    resent: tuple[tuple[int, bytes, Jump], ...] = ()  # when, by whose device, to whom

    @property
    def silent(self) -> list[Row]:
        return [row for row in self.rows if row.silent]

    @property
    def answered(self) -> list[Row]:
        return [row for row in self.rows if not row.silent]

    def by_option(self) -> list[tuple[str, list[Row]]]:
        """Who gave which answer, in the order of the document; a plain answer last."""
        meanings = [text for _, text in self.alert.options]
        found = [(text, [r for r in self.answered if r.text == text]) for text in meanings]
        plain = [r for r in self.answered if r.text not in meanings]
        return [*found, *([("seen", plain)] if plain else [])]

    @property
    def unreachable(self) -> list[Row]:
        return [row for row in self.rows if row.reached is Reached.UNREACHABLE]

    def at_least(self, reached: Reached) -> list[Row]:
        return [row for row in self.rows if row.reached >= reached]


def board(work: Work, root: bytes, ways: Ways | None = None) -> Board:
    """How an alert stands; `ways` as the gateway told them, if it was asked. Raises Unknown."""
    view = work.turn.draft
    record = records.ALERTS.get(view, root)
    if record is None:
        raise Unknown("no such alert here")
    people: dict[bytes, list[bytes]] = {}
    reached: dict[bytes, Reached] = {}
    placed = []
    for channel, seq in record.places:
        for person, device in _asked(work, record, channel, seq):
            people.setdefault(person, [])
            if device not in people[person]:
                people[person].append(device)
            reached[person] = max(reached.get(person, Reached.KEPT), _reached(work, device, channel, seq))
        line = records.LINES.get(view, channel + seq.to_bytes(8, "big")) if seq else None
        placed += [line.time] if line else []
    said = _answers(work, record, root)
    given = {person: one for person, one in said.items() if one[0].option or not record.options}
    for person in people.keys() & (
        said.keys() - given.keys()
    ):  # "seen", of an alert that asks for a choice: still owed
        reached[person] = max(reached[person], Reached.SHOWN)
    kept = [person for person in people if reached[person] is Reached.KEPT and person not in given]
    barred = _barred(work, kept, ways)
    rows = [
        _row(work, person, devices, reached[person], said.get(person), barred.get(person, ()), owes=person not in given)
        for person, devices in people.items()
    ]
    announced = announcements.announced(view, root)
    return Board(
        views.alert_view(work, root, record),
        min(placed, default=0),
        tuple(channel for channel, _ in record.places),
        tuple(sorted(rows, key=lambda row: (row.reached, row.outside, row.name.casefold(), row.person))),
        announcements.ladder_of(announced) if announced else None,
        tuple(announcements.escalations(view, root)),
        tuple(announcements.resent(view, root)),
    )


def _asked(work: Work, record: records.Alert, channel: bytes, seq: int) -> Iterable[tuple[bytes, bytes]]:
    """(person, device) of those whom an alert is for in one of its channels, at the epoch in which it went there."""
    view, state = work.turn.draft, records.CHANNELS.get(work.turn.draft, channel)
    if state is None:
        return
    message = records.MESSAGES.get(view, channel + seq.to_bytes(8, "big")) if seq else None
    seats = roster_at(view, channel, message.epoch if message else state.epoch)
    signed = {p for s in (record.writer, record.approval) if s and (p := _person_behind(work, s.certificate))}
    everybody = [(_person(work, s.device, s.certificate), s.device) for s in (seats.seats if seats else [])]
    asked = [(person, device) for person, device in everybody if person not in signed]
    talk = records.CHANNELS.get(view, state.beside) if state.beside else None
    if talk is not None:
        roster = roster_at(view, state.beside, talk.epoch)
        inside = {_person(work, s.device, s.certificate) for s in roster.seats} if roster else set()
        yield from [pair for pair in asked if pair[0] in inside] or asked
        return
    certified = [work.trust.certified(seat.certificate) for seat in (seats.seats if seats and state.beside else [])]
    officers = {c.person for c in certified if c and beside.is_officer(work.turn, c.organisation, c.roles)}
    yield from [pair for pair in asked if pair[0] not in officers] or asked


def _person(work: Work, device: bytes, certificate: bytes) -> bytes:
    """Whose device it is; where that is not known here, the device stands for itself."""
    certified = work.trust.certified(certificate)
    return certified.person if certified else _device_person(work, device)


def _device_person(work: Work, device: bytes) -> bytes:
    peer = records.PEERS.get(work.turn.draft, device)
    return peer.person if peer else device


def _person_behind(work: Work, certificate: bytes) -> bytes:
    certified = work.trust.certified(certificate)
    return certified.person if certified else b""


def _reached(work: Work, device: bytes, channel: bytes, seq: int) -> Reached:
    got = records.RECEIVED.get(work.turn.draft, channel + device)
    if got is None or not seq:
        return Reached.KEPT
    if covers(got.shown, seq):
        return Reached.SHOWN
    return Reached.DELIVERED if covers(got.delivered, seq) else Reached.KEPT


def _barred(work: Work, people: list[bytes], ways: Ways | None) -> dict[bytes, tuple[str, ...]]:
    """Who of these can't be reached, and why."""
    found = {}
    for one in reach(work, ways.sightings if ways else None, people) if people else []:
        why = _why(one, ways.notices.get(one.person, {}) if ways else {})
        if why:
            found[one.person] = why
    return found


def _why(one: Reach, notices: Mapping[str, NoticeState]) -> tuple[str, ...]:
    """What is in the way of a person whom neither the platform nor any other road reaches; empty where something may."""
    if one.reachable or one.device == one.person:  # the second: the directory has not told of any device yet
        return ()
    bars = tuple(str(lack) for lack in one.lacks if lack in BARS)
    if one.roads is None:  # the gateway was not asked: nobody knows of other roads, nor when a device was last seen
        return bars if {Lack.REVOKED, Lack.NO_DEVICE} & set(one.lacks) else ()
    if not one.roads:
        return (*bars, str(Lack.NO_SECOND_ROAD))
    failed = [road for road in one.roads if notices.get(road) is NoticeState.FAILED]
    return (*bars, *(f"{road}-failed" for road in failed)) if len(failed) == len(one.roads) else ()


def _answers(work: Work, record: records.Alert, root: bytes) -> dict[bytes, tuple[records.Answer, str]]:
    """Each person's newest answer, and what its number means."""
    found: dict[bytes, tuple[records.Answer, str]] = {}
    for device, answer in alerts.answers(work.turn.draft, root):
        certified = next(iter(work.trust.of_device(device)), None)
        person = certified.person if certified else _device_person(work, device)
        if person not in found or found[person][0].time < answer.time:
            found[person] = answer, alerts.option_text(record, answer.option)
    return found


def _row(
    work: Work,
    person: bytes,
    devices: list[bytes],
    reached: Reached,
    given: tuple[records.Answer, str] | None,
    barred: tuple[str, ...],
    *,
    owes: bool,
) -> Row:
    """`given` is what the person said last; who `owes` an answer has chosen nothing yet."""
    certified = next((c for device in devices for c in work.trust.of_device(device)), None)
    peer = next((p for device in devices if (p := records.PEERS.get(work.turn.draft, device))), None)
    organisation = certified.organisation if certified else peer.organisation if peer else ""
    outside = organisation != work.turn.charter.policy.home.name
    name = views.name_of(work.turn.draft, devices[0])
    if given is None:
        far = Reached.UNREACHABLE if barred else reached
        return Row(person, name, organisation, outside, tuple(devices), far, why=barred)
    answer, text = given
    return Row(
        person,
        name,
        organisation,
        outside,
        tuple(devices),
        reached if owes else Reached.ANSWERED,
        answer.option,
        text,
        answer.text,
        answer.time,
    )
