"""The part of a station for emergencies: an SOS and its end, check-ins, and the mission's word.

items = station.sos("shots at the gate", position)      # to every alert channel; FLASH
items = station.ask_end(word)                           # its author answers the challenge
items = station.confirm_end(roots)                      # a second person ends it
item = station.start_move(channel, due, 300, "RED ROUTE", legs)
"""

from collections.abc import Collection, Sequence

from clients import views
from clients.alerting import AlertDesk
from clients.core import calling, records
from clients.core.commits import Work
from clients.core.content import Position
from clients.views import EmergencyView, MoveView


class Caller(AlertDesk):
    """What everybody's station does when it matters."""

    def sos(self, text: str, position: Position | None) -> list[bytes]:
        """Call for help in every alert channel; gives the items. Raises NotAllowed, NotNow."""
        return self.act(lambda work: calling.call(work, text, position))

    def ask_end(self, word: str) -> list[bytes]:
        """Ask that every open SOS of this person end, with the answer to the challenge. Raises NotNow."""
        return self.act(lambda work: calling.ask_end(work, word))

    def confirm_end(self, roots: Sequence[bytes], *, unchecked: bool = False) -> list[bytes]:
        """Confirm the end of these as a second person. Raises NotAllowed, NotNow, Unknown."""
        return self.act(lambda work: calling.confirm(work, roots, unchecked=unchecked))

    def set_word(self, word: str) -> list[bytes]:
        """Give the mission's no-duress word to those who compare it. Raises NotAllowed, NotNow."""
        return self.act(lambda work: calling.set_word(work, word))

    def emergencies(self) -> list[EmergencyView]:
        """Every SOS that this device knows of: those that are open first, the newest first."""

        def look(work: Work) -> list[EmergencyView]:
            found = [views.emergency_view(work, root, e) for root, e in records.EMERGENCIES.scan(work.turn.draft)]
            return sorted(found, key=lambda e: (bool(e.ended), -e.placed))

        return self.act(look)

    def roots_at(self, places: Collection[tuple[bytes, int]]) -> list[bytes]:
        """Which SOS stand at these places (channel, seq)."""
        found = records.EMERGENCIES.scan(self._ledger)
        return [root for root, e in found if (e.channel, e.seq) in places]

    def alert_channels(self) -> list[bytes]:
        """The alert channels that this device can speak in."""
        return self.act(lambda work: calling.channels(work))

    def start_move(self, channel: bytes, due: Sequence[int], grace: int, route: str, legs: Sequence[str]) -> bytes:
        """Begin a plan of check-ins (ms; grace in s) in an alert channel; gives its item. Raises NotAllowed, NotNow, Unknown."""
        return self.act(lambda work: calling.start(work, channel, due, grace, route, legs))

    def check_in(self, word: str) -> list[bytes]:
        """Check in for every open plan of this device. Raises NotNow."""
        return self.act(lambda work: calling.check_in(work, word))

    def end_move(self, word: str) -> list[bytes]:
        """Check in for the last time and end every plan of this device. Raises NotNow."""
        return self.act(lambda work: calling.finish(work, word))

    def moves(self) -> list[MoveView]:
        """Plans that this device knows of: what was missed first, then what is due first, those that are over last."""

        def look(work: Work) -> list[MoveView]:
            found = [views.move_view(work, root, m) for root, m in records.MOVES.scan(work.turn.draft)]
            return sorted(found, key=lambda m: (bool(m.ended), not m.missed, m.due))

        return self.act(look)
