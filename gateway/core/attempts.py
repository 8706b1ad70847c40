"""An alert that was refused is in the log, without its text: who tried, and why not.

    REFUSED_ATTEMPT   refused here: the gateway says it itself, in the control channel, for the officers
    WITHHELD          refused by the author's own device before anything was sent: that device says so, under its own signature

The second is the device's own word, so it is another kind: the gateway can't have seen what was refused, and nobody is accused by
it but its author. Few in a minute, of a device and in all, so that nobody fills the log by being refused; what is left out is still
answered.
"""

from collections.abc import Sequence
from typing import Final

from gateway.core import acts, limits
from gateway.core.append import Gateway
from gateway.core.effects import Effect
from gateway.core.errors import Refused
from gateway.core.rows import Stream
from gateway.core.run import Run, check_control
from gateway.core.view import View
from gateway.wire import Refusal
from keys.body import RefusedAttempt, read_refused_attempt, read_withheld
from keys.canonical import encode
from keys.envelope import Context, Kind
from keys.errors import Malformed
from keys.identity import Random

WITHHELD_FOR: Final = frozenset({Refusal.ROLE, Refusal.TLP, Refusal.EXPIRED})
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


def withheld(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A device says that it refused its own user's attempt: any device, since whoever may not alert at all is refused too."""
    check_control(run)
    _, data = run.one()
    try:
        said = read_withheld(data)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if said.what not in NOTED or said.refusal not in WITHHELD_FOR:
        raise Refused(Refusal.SCHEMA, "no attempt to alert, or no reason for which a device withholds one")
    if not _room_for_own(view, run):
        raise Refused(Refusal.LIMIT, f"{limits.ATTEMPTS_OF_ONE} attempts in a minute are noted")
    return run.stream, ()


def _room_for_own(view: View, run: Run) -> bool:
    """Whether the last minute of the device's own statements leaves room. What it may put between them are acts of an officer."""
    last, said = view.chain(run.stream.id, run.who.device).number, 0
    for number in range(last, max(0, last - limits.ATTEMPTS_NOTED), -1):
        stored = view.envelope_at(run.stream.id, run.who.device, number)
        if stored is None or stored.time < run.now - MINUTE:
            break
        said += stored.kind is Kind.WITHHELD
    return said < limits.ATTEMPTS_OF_ONE


def _device(body: bytes | None) -> bytes:
    try:
        return read_refused_attempt(body or b"").device
    except Malformed:
        return b""
