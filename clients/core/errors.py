"""What a client says no to, named by what its user does next. Each carries a sentence for people.

| error | the user |
|---|---|
| `NotEnrolled` | enrols |
| `NotAllowed` | asks somebody whose role allows it |
| `NotNow` | waits, or mends what is named: a channel halted, a list too old |
| `Unknown` | names it otherwise |
| `Untrusted` | stops, and compares with the person: an identity or the gateway is not who it should be |
| `NotReached` | nothing: it is kept, and goes when the gateway can be reached |
"""

from gateway.wire import Refusal


class ClientError(Exception):
    """Root of what the clients raise."""


class NotEnrolled(ClientError):
    """This profile has no identity yet."""


class NotAllowed(ClientError):
    """The charter lets no role of this device do that, or the marking forbids it."""


class Withheld(NotAllowed):
    """An alert that the rules forbid this person, or forbid to go there: the attempt is logged without its text, by `refusal`."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal
        self.noted = False  # whether it was kept for the log: enough may have been said in this minute


class NotNow(ClientError):
    """It may be done, but not in the present state."""


class Unknown(ClientError):
    """No such channel, device, name, message or alert here."""


class Untrusted(ClientError):
    """Something that was signed, shown or answered is not from whom it should be."""


class NotReached(ClientError):
    """The gateway was not reached, or went away."""
