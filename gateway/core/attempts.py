"""An alert that was refused is in the log, without its text: who tried, and why not.

The gateway says it itself in the control channel, for the officers. Few in a minute, of a device and in all, so that nobody
fills the log by being refused; what is left out is still answered.
"""

from typing import Final

from gateway.core import acts, limits
from gateway.core.append import Gateway
from gateway.core.effects import Effect
from gateway.core.view import View
from gateway.wire import Refusal
from keys.body import RefusedAttempt, read_refused_attempt
from keys.canonical import encode
from keys.envelope import Context, Kind
from keys.errors import Malformed
from keys.identity import Random

MINUTE: Final = 60_000
NOTED: Final = frozenset({Kind.APPROVAL, Kind.ALERT})
HARMLESS: Final = frozenset(
    {
        Refusal.GAP,
        Refusal.EPOCH_STALE,
        Refusal.EPOCH_CONFLICT,
        Refusal.LEAF,
        Refusal.CHARTER,
        Refusal.QUOTA,
        Refusal.BUSY,
        Refusal.STORAGE,
    }
)
"""Refusals that only mean "not yet": what honest devices are told."""


def note(
    view: View, context: Context, refusal: Refusal, gateway: Gateway, now: int, random: Random
) -> tuple[Effect, ...]:
    """The entry's effects; none where it was no alert, or enough was noted."""
    if context.kind not in NOTED or refusal in HARMLESS or not _room(view, context.device, gateway, now):
        return ()
    body = RefusedAttempt(context.device, context.kind, refusal)
    return acts.say(view, gateway, Kind.REFUSED_ATTEMPT, encode(body), now, random).effects


def _room(view: View, device: bytes, gateway: Gateway, now: int) -> bool:
    """Whether the last minute's entries leave room for one more. The gateway's own last envelopes tell."""
    charter = gateway.charter
    own = view.chain(charter.control_channel, charter.gateway_device).number
    in_all = theirs = 0
    for number in range(own, max(0, own - limits.ATTEMPTS_NOTED), -1):
        stored = view.envelope_at(charter.control_channel, charter.gateway_device, number)
        if stored is None or stored.time < now - MINUTE:
            break
        if stored.kind is Kind.REFUSED_ATTEMPT:
            in_all += 1
            theirs += _device(stored.body) == device
    return in_all < limits.ATTEMPTS_NOTED and theirs < limits.ATTEMPTS_OF_ONE


def _device(body: bytes | None) -> bytes:
    try:
        return read_refused_attempt(body or b"").device
    except Malformed:
        return b""
