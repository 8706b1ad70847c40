"""Reminders: an alert's ladder wakes this person on the platform's own road.

It is the gateway's word, so it shows nothing of an alert and does nothing but remind: of an alert that this device knows to be
over, or that it has answered, it is passed over; the same one again is no second one.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from clients.core import alerts, records
from clients.core.ledger import View
from clients.core.records import Reminder
from clients.core.turn import Reminded, Turn
from gateway import wire


def is_known(view: View, frame: wire.Remind) -> bool:
    """Whether it came before: the gateway tells again of what was not answered whenever a session begins."""
    known = records.REMINDERS.get(view, frame.root)
    return known is not None and known.notice == frame.notice


def note(turn: Turn, frame: wire.Remind, *, shown: bool) -> None:
    """Remember it under its name."""
    channel = frame.place.channel if frame.place else b""
    records.REMINDERS.put(turn.draft, frame.root, Reminder(frame.notice, frame.rung, channel, turn.now, shown=shown))


def take(turn: Turn, frame: wire.Remind) -> None:
    """A reminder from the gateway."""
    if is_known(turn.draft, frame):
        return
    if not alerts.standing(turn.draft, frame.root, turn.now).holds:
        return
    if alerts.is_answered(turn.draft, frame.root, turn.me.device):
        return
    note(turn, frame, shown=False)
    turn.events.append(Reminded(frame.root))


def waiting(view: View) -> Iterator[tuple[bytes, Reminder]]:
    """Those not shown yet, by the alert's root."""
    return ((root, reminder) for root, reminder in records.REMINDERS.scan(view) if not reminder.shown)


def show(turn: Turn, root: bytes) -> None:
    """Somebody sees it now."""
    reminder = records.REMINDERS.get(turn.draft, root)
    if reminder is not None:
        records.REMINDERS.put(turn.draft, root, replace(reminder, shown=True))
