"""Who is delivered to, and whom an envelope concerns."""

from dataclasses import dataclass

from gateway.wire import CHUNK, WINDOW_MOST


@dataclass(frozen=True, slots=True)
class Recipient:
    """A device at the other end, as far as delivery asks: `directory` is the verb of officers, `alerting` those of the mission's
    own who write or approve alerts; `window` is how many bytes it wants under way."""

    device: bytes
    organisation: str
    directory: bool
    registrar: bool
    alerting: bool = False
    window: int = WINDOW_MOST

    @property
    def narrow(self) -> bool:
        """Whether it has asked for less at a time than one frame holds."""
        return self.window < CHUNK

    @property
    def carried(self) -> int:
        """The longest body that is sent along (bytes)."""
        return min(CHUNK, self.window)


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an envelope of a sparse stream concerns. Its author always hears of it."""

    everyone: bool = False
    directory: bool = False  # officers and registrars
    officers_of: str | None = None  # the officers of one organisation
    devices: frozenset[bytes] = frozenset()
    alerting: bool = False  # who writes or approves alerts, of the mission's own

    def includes(self, recipient: Recipient) -> bool:
        return (
            self.everyone
            or recipient.device in self.devices
            or (self.directory and (recipient.directory or recipient.registrar))
            or (recipient.directory and recipient.organisation == self.officers_of)
            or (self.alerting and recipient.alerting)
        )
