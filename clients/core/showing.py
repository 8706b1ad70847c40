"""Which of the messages that nobody has seen comes next."""

from clients.core import alerts, records
from clients.core.ledger import View
from keys.envelope import Precedence


def first(view: View, channel: bytes, now: int) -> bytes | None:
    """The key of what is shown next, of one channel or (empty) of all; None where there is nothing more.

    By precedence, then as the gateway accepted them. An alert that holds no longer comes after everything that is urgent: what
    replaced it is seen first, however late this device comes.
    """
    waiting = [_order(view, key, precedence.value, now) for key, precedence in records.UNSHOWN.scan(view, channel)]
    return min(waiting)[-1] if waiting else None


def _order(view: View, key: bytes, precedence: int, now: int) -> tuple[bool, int, int, bytes]:
    message = records.MESSAGES.get(view, key)
    alert = message.alert if message else None
    over = alert is not None and not alerts.standing(view, alert.root, now).holds
    return precedence <= Precedence.IMMEDIATE and over, precedence, message.placed if message else 0, key
