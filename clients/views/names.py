"""What people and moments are called."""

from clients.core import records
from clients.core.ledger import View
from keys.authority import read_card
from keys.errors import KeysError


def card_of(view: View, device: bytes) -> tuple[str, str]:
    """Name and call sign of a device's person, empty where no card came yet."""
    note = records.CARDS.get(view, device)
    if note is None:
        return "", ""
    try:
        card = read_card(note.data)
    except KeysError:
        return "", ""
    return card.name, card.call_sign


def name_of(view: View, device: bytes) -> str:
    """What to call a device: call sign, name, or the beginning of its id."""
    name, call_sign = card_of(view, device)
    return name or call_sign or device.hex()[:8]


def clock(time: int) -> str:
    """A time of day, UTC."""
    return f"{time // 3_600_000 % 24:02}:{time // 60_000 % 60:02}:{time // 1000 % 60:02}Z"
