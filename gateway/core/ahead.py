"""What of a decision needs no view: the signature that closes a run.

It is checked by the key of the session, which is nearly always the one that counts, on whatever thread has time; the decision then
asks for the very same check and finds it done. Where it asks for another (the leaf still holds the device's last certificate),
or nobody has had the time, or the signature does not hold, the decision checks as if nothing had been done ahead.
"""

from gateway import wire
from gateway.core.rows import Identity
from keys.envelope import Kind, peek
from keys.errors import KeysError
from keys.identity import verify


class Ahead:
    """One run's closing signature."""

    __slots__ = ("_closing", "_holds", "_key", "seems")

    def __init__(self, who: Identity, frame: wire.Submit) -> None:
        self._key = who.public_key
        self._closing = frame.run[-1]
        self.seems = peek(self._closing.header)
        """Kind and epoch that it seems to have."""
        self._holds: tuple[bytes, str, bytes, bytes] | None = None

    def look(self) -> None:
        """Check it, on any thread."""
        header, signature = self._closing.header, self._closing.signature
        try:
            check = self._key, Kind(self.seems[0]).label, header, signature
            verify(*check)
        except (
            ValueError,
            KeysError,
        ):  # no kind, or no signature: the decision finds out for itself, and says so in its turn
            return
        self._holds = check

    def verify(self, public_key: bytes, label: str, content: bytes, signature: bytes) -> None:
        """`keys.identity.verify`, with what was found before.

        Raises:
            BadSignature
        """
        if self._holds != (public_key, label, content, signature):
            verify(public_key, label, content, signature)
