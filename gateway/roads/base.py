"""What a road off the platform promises: mail, a webhook, whatever apprise can speak to.

A road carries a brevity text and no content: who reads it on its way learns that somebody is wanted. It is told the name of each
notice, so that the other side can tell a second telling from a second notice; and it answers in its own time, since each road has
its own queue, worker and threads: one that hangs holds up no other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.core.notices import Result
from keys.identity import words

LOOK: Final = "OUTRIDER: see your device. {code}"
"""What is sent unless gateway.toml has another text."""


class RoadRefused(Exception):
    """A road can't be set up as gateway.toml has it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Message:
    """One notice on its way to one address."""

    name: bytes  # of the notice, 32 bytes: the same whenever it is told again
    address: str
    text: str
    time: int  # ms: when its rung was fired

    @property
    def id(self) -> str:
        return self.name.hex()

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.time / 1000, UTC)


class Road(Protocol):
    """A way to an address."""

    @property
    def name(self) -> str: ...

    async def send(self, message: Message) -> Result:
        """Try once. Never raises for what the other side does, and ends within the road's timeout."""
        ...

    async def close(self) -> None: ...


def brevity(text: str, root: bytes, exercise: bool) -> str:
    """The text that is sent. `{code}` is the first of the alert's words, by which two notices of one alert are known as such; in
    an exercise it says so fore and aft."""
    said = text.replace("{code}", words(root, 1))
    return f"EXERCISE EXERCISE EXERCISE {said} EXERCISE EXERCISE EXERCISE" if exercise else said
