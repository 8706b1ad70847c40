"""How this device stands, and what it knows of channels and people."""

from dataclasses import dataclass
from typing import Final

from clients.core import proof, records
from clients.core import trust as trusted
from clients.core.commits import Work
from clients.core.groups import roster_at
from clients.core.ledger import View
from clients.core.turn import DAY
from clients.views.names import card_of, name_of
from keys.envelope import Kind, Marking

LATELY: Final = 7 * DAY


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel of this device. `halted` says why nothing goes on there; `left` whether this device was removed."""

    id: bytes
    channel_class: str
    marking: Marking
    purpose: str
    epoch: int
    seq: int
    unread: int
    members: int
    halted: str
    left: bool


@dataclass(frozen=True, slots=True)
class PersonInfo:
    """A device and its person, with the name of its card where that is known."""

    device: bytes
    person: bytes
    organisation: str
    roles: list[str]
    name: str
    call_sign: str
    revoked: bool
    not_after: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message that will not be sent, when (ms) that was known, and why."""

    channel: bytes
    time: int
    why: str


@dataclass(frozen=True, slots=True)
class Status:
    """How this device stands. Ages in ms; None where there is nothing to be that old."""

    online: bool
    mission: str
    device: bytes
    name: str
    organisation: str
    roles: list[str]
    certificate_until: int
    charter_version: int
    charter_until: int
    checkpoint_size: int
    checkpoint_age: int | None
    list_ages: dict[str, int | None]
    outbox: int
    unsent: list[Unsent]  # in the last week
    unproven: int
    unread: int
    alarms: int
    clock_off: int


def channels(view: View) -> list[ChannelInfo]:
    """Every channel of this device."""
    found = []
    for channel, state in records.CHANNELS.scan(view):
        present = roster_at(view, channel, state.epoch)
        unread = sum(1 for _ in records.UNSHOWN.scan(view, channel))
        found.append(
            ChannelInfo(
                channel,
                state.channel_class,
                Marking(state.ceiling),
                state.purpose,
                state.epoch,
                state.seq,
                unread,
                len(present.seats) if present else 0,
                state.halted,
                bool(state.left),
            )
        )
    return found


def person(view: View, device: bytes, peer: records.Peer) -> PersonInfo:
    """A device of the directory as a value."""
    name, call_sign = card_of(view, device)
    return PersonInfo(
        device, peer.person, peer.organisation, list(peer.roles), name, call_sign, peer.revoked, peer.not_after
    )


def status(work: Work, *, online: bool, clock_off: int) -> Status:
    """How this device stands."""
    turn = work.turn
    view, me, policy = turn.draft, turn.me, turn.charter.policy
    checkpoint = proof.held(view, turn.charter)
    proved = records.COUNTERS.get(view, b"proved")
    return Status(
        online,
        policy.mission,
        me.device,
        name_of(view, me.device),
        me.organisation,
        list(me.roles),
        me.not_after,
        policy.version,
        policy.not_after,
        checkpoint.size if checkpoint else 0,
        turn.now - proved.value if proved else None,
        {o.name: trusted.list_age(view, o.name, turn.now) for o in policy.organisations},
        sum(1 for _ in records.OUTBOX.scan(view)),
        _unsent(view, turn.now),
        sum(1 for _ in records.UNPROVEN.scan(view)),
        _unread(view),
        sum(1 for _ in records.ALARMS.scan(view)),
        clock_off,
    )


def _unsent(view: View, now: int) -> list[Unsent]:
    """What waits in the outbox, though it was refused, may still go."""
    dropped = (
        Unsent(sent.stream, sent.time, sent.refused)
        for key, sent in records.SENT.scan(view)
        if sent.kind is Kind.APPLICATION
        and sent.refused
        and now < sent.time + LATELY
        and not records.OUTBOX.get(view, key)
    )
    return sorted(dropped, key=lambda one: one.time)


def _unread(view: View) -> int:
    """How much there is to read: an alert that came by several channels is one."""
    found = set[bytes]()
    for key, _ in records.UNSHOWN.scan(view):
        message = records.MESSAGES.get(view, key)
        found.add(message.alert.root if message is not None and message.alert else key)
    return len(found)
