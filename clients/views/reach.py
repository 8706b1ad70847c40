"""Whom something was for, and whom it has reached: by their receipts."""

from clients.core import records
from clients.core.groups import roster_at
from clients.core.ledger import View
from clients.core.receipts import covers


def targets_of(view: View, channel: bytes, epoch: int, sender: bytes) -> list[bytes]:
    """The members in an epoch, the sender aside."""
    present = roster_at(view, channel, epoch)
    return [s.device for s in present.seats if s.device != sender] if present else []


def receipts_of(view: View, channel: bytes, seq: int, targets: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """(delivered, shown): whose receipts cover the place."""
    delivered, seen = list[bytes](), list[bytes]()
    for device in targets:
        got = records.RECEIVED.get(view, channel + device)
        if got is not None and covers(got.delivered, seq):
            delivered.append(device)
        if got is not None and covers(got.shown, seq):
            seen.append(device)
    return delivered, seen
