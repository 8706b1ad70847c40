"""Short words for scenario tests: say, see, and what a party has been shown."""

from __future__ import annotations

from clients.core import conversation, records
from clients.core.commits import Work
from clients.core.content import Text, read_content
from clients.core.ledger import seq_of
from keys.envelope import Marking, Precedence
from tests.clients.relay import Party


def say(
    party: Party,
    channel: bytes,
    text: str,
    precedence: Precedence = Precedence.ROUTINE,
    marking: Marking | None = None,
    *,
    expires: int = 0,
) -> bytes:
    """Keep a message; the world has to run for it to go out."""
    return bytes(
        party.act(
            lambda work: conversation.send_text(
                work, channel, text, precedence, marking, ask_ack=False, expires=expires
            )
        )
    )


def texts(party: Party, channel: bytes) -> list[str]:
    """Every readable text in a party's history of a channel, in order."""
    found = []
    for _, message in records.MESSAGES.scan(party.ledger, channel):
        if not message.reason and isinstance(content := read_content(message.content), Text):
            found.append(content.text)
    return found


def see(party: Party) -> list[str]:
    """What a person sees now: each message once, FLASH first."""
    found = []
    while True:
        waiting = [(c.value, key) for key, c in records.UNSHOWN.scan(party.ledger)]
        if not waiting:
            return found
        _, key = min(waiting)
        message = records.MESSAGES.get(party.ledger, key)
        assert message is not None
        party.act(lambda work, k=key: _show(work, k))
        if message.reason:
            found.append(f"({message.reason})")
        elif isinstance(content := read_content(message.content), Text):
            found.append(content.text)


def _show(work: Work, key: bytes) -> None:
    conversation.show(work, key[:16], seq_of(key))
