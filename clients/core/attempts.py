"""What this device refuses its own user: said to the officers and into the log, without a word of what was to be sent.

Such an attempt never gets to the gateway, which would have logged it (REFUSED_ATTEMPT); so the device says it itself, under its own
signature. Few at once: the same attempt is said once a minute, and what waits offline is not more than the gateway takes at once.
"""

from typing import Final

from clients.core import outbox, records
from clients.core.commits import Work
from clients.core.outbox import Kept
from gateway.wire import Refusal
from keys.body import Withheld, read_withheld
from keys.canonical import encode
from keys.envelope import Kind
from keys.errors import Malformed

MINUTE: Final = 60_000
WHY: Final = {
    "TLP": "it may not go there (TLP)",
    "ROLE": "not for this person (ROLE)",
    "EXPIRED": "the agreement has ended (EXPIRED)",
}
AT_ONCE: Final = 3  # in a minute, as the gateway takes them


def say(work: Work, what: Kind, refusal: Refusal) -> bytes | None:
    """Keep the statement that an attempt was refused: `what` is ALERT (written, or sent alone) or APPROVAL. None where enough is said."""
    turn = work.turn
    if turn.me.registrar:
        return None
    control, body = turn.charter.control_channel, encode(Withheld(what, refusal))
    waiting = [item for _, item in outbox.queued(turn.draft, control) if item.kind is Kind.WITHHELD]
    recent = [
        sent for _, sent in records.SENT.scan(turn.draft) if sent.kind is Kind.WITHHELD and _lately(sent.time, turn.now)
    ]
    if max(len(waiting), len(recent)) >= AT_ONCE or any(item.content == body for item in waiting):
        return None
    return outbox.keep(turn, Kept(control, Kind.WITHHELD, body))


def _lately(then: int, now: int) -> bool:
    return now - MINUTE < then <= now


def words(body: bytes) -> str:
    """What was attempted and why it was refused, for officers."""
    try:
        said = read_withheld(body)
        why = Refusal(said.refusal).name
    except (Malformed, ValueError):
        return "something that this version does not know"
    what = "to approve an alert" if said.what is Kind.APPROVAL else "to send an alert"
    return f"{what}: {WHY.get(why, why)}"
