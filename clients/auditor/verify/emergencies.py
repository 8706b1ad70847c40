"""SOS and their ends: each is ended by two people, its author who asks and another who may confirm, and by nothing else.

What a stand-down names that lies before the part of the log that is read is not judged.
"""

from hashlib import sha256

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.rosters import Seat
from keys.emergency import Request, StandDown, read_stand_down
from keys.envelope import Kind, Precedence
from keys.errors import Malformed, NotPermitted
from keys.policy import Verb


class Emergencies:
    """Checks every SOS and STAND_DOWN; `open` are those that nobody has ended."""

    def __init__(self, findings: Findings) -> None:
        self.called = 0
        self.open: dict[bytes, tuple[bytes, bytes]] = {}  # header hash: channel, person
        self.requests: dict[tuple[bytes, int], tuple[Request, StandDown]] = {}
        self._findings = findings

    def take(self, placed: Placed, seat: Seat, body: bytes | None) -> None:
        """One of both kinds, in a channel that carries them; `body` is that of a STAND_DOWN, None where it is not here."""
        try:
            if placed.context.kind is Kind.SOS:
                self._sos(placed, seat)
            elif body is not None:
                self._stand_down(placed, seat, read_stand_down(body))
        except (Malformed, NotPermitted) as error:
            self._findings.fail(Topic.ALERTS, Cause.INJECTED, str(error), placed.index)

    def _sos(self, placed: Placed, seat: Seat) -> None:
        context = placed.context
        self.called += 1
        self.open[_name(placed)] = (context.channel, seat.certified.person)
        if context.precedence is not Precedence.FLASH:
            raise NotPermitted("an SOS that is not FLASH")

    def _stand_down(self, placed: Placed, seat: Seat, said: StandDown) -> None:
        channel, person = placed.context.channel, seat.certified.person
        called = self.open.get(said.sos)
        if called is None:
            return
        if called[0] != channel:
            raise NotPermitted("an SOS is ended in its own channel")
        if said.confirms is None:
            if person != called[1]:
                raise NotPermitted("an SOS is not asked to end by somebody else than its author")
            self.requests[channel, placed.entry.seq] = (Request(placed.entry.seq, _name(placed)), said)
            return
        if person == called[1]:
            raise NotPermitted("an SOS is not ended by its author alone")
        if not seat.verbs & {Verb.ALERT, Verb.REMOVE}:
            raise NotPermitted("an SOS is not ended by who may neither alert nor remove")
        if self.requests.get((channel, said.confirms.seq)) != (said.confirms, StandDown(said.sos, None)):
            raise NotPermitted("an SOS is not ended without its author's asking")
        del self.open[said.sos]

    def end(self) -> None:
        """How many were called."""
        if self.called:
            self._findings.note(Topic.ALERTS, f"{self.called} SOS, {len(self.open)} of them open")


def _name(placed: Placed) -> bytes:
    return sha256(placed.entry.header).digest()
