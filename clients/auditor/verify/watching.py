"""Who looks over the shoulder of a reading: told of each entry once it was judged, with the members of then."""

from typing import Protocol

from clients.auditor.verify.entries import Placed, Stream
from clients.auditor.verify.rosters import Roster
from keys.body import Receipt


class Watch(Protocol):
    """What `verify_log` tells whoever wants to know more than whether a log is sound."""

    def entry(self, placed: Placed, stream: Stream) -> None:
        """Any entry, before it is judged; the stream stands where the entry has put it."""

    def member(self, placed: Placed, roster: Roster) -> None:
        """An entry in a channel whose members are known, as they are after it."""

    def receipt(self, placed: Placed, receipt: Receipt | None, channel: bytes) -> None:
        """A receipt about a channel; None where its body is not here."""
