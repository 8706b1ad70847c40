"""Who may knock: bounds on connections that have not proved yet who they are.

The clock is an argument; an address is told apart as a whole (IPv4) or by its /64 (IPv6). Loopback has no bound of its own:
there a proxy stands before everybody.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final

HANDSHAKES_PER_SECOND: Final = 500.0
HANDSHAKE_BURST: Final = 6_000.0
STRANGERS: Final = 8_192  # connections at once that have not proved who they are
STRANGERS_PER_ADDRESS: Final = 128


@dataclass(slots=True)
class Door:
    """Counts strangers, and how fast they come."""

    _tokens: float = HANDSHAKE_BURST
    _filled: float = 0.0
    _by_address: Counter[str] = field(default_factory=Counter)
    _strangers: int = 0

    def enter(self, address: str, now: float) -> str | None:
        """Let a stranger in: gives the name to `leave` with, or None to turn it away. `now` in seconds."""
        self._tokens = min(HANDSHAKE_BURST, self._tokens + (now - self._filled) * HANDSHAKES_PER_SECOND)
        self._filled = now
        name = _name(address)
        if self._tokens < 1 or self._strangers >= STRANGERS:
            return None
        if name and self._by_address[name] >= STRANGERS_PER_ADDRESS:
            return None
        self._tokens -= 1
        self._strangers += 1
        if name:
            self._by_address[name] += 1
        return name

    def leave(self, name: str) -> None:
        """A stranger has proved who it is, or has gone."""
        self._strangers -= 1
        if name:
            self._by_address[name] -= 1
            if not self._by_address[name]:
                del self._by_address[name]


def _name(address: str) -> str:
    """How an address is counted; "" for loopback and for what is none."""
    try:
        parsed = ip_address(address.split("%")[0])
    except ValueError:
        return ""
    if parsed.is_loopback:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return parsed.exploded[:19]
    return str(parsed)
