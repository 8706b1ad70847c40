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


class ClientError(Exception):
    """Root of what the clients raise."""


class NotEnrolled(ClientError):
    """This profile has no identity yet."""


class NotAllowed(ClientError):
    """The charter lets no role of this device do that, or the marking forbids it."""


class NotNow(ClientError):
    """It may be done, but not in the present state."""


class Unknown(ClientError):
    """No such channel, device, name, message or alert here."""


class Untrusted(ClientError):
    """Something that was signed, shown or answered is not from whom it should be."""


class NotReached(ClientError):
    """The gateway was not reached, or went away."""
