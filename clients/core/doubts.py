"""What a reader is told of an alert's place among the others on this device: what its document names and isn't here, who else names
the same. Which root ended which is settled by `clients.core.alerts`, by signatures; here the documents are held against each other.
"""

from collections.abc import Mapping
from typing import Final

from clients.core.cap.chains import Doubt, standings
from clients.core.composing import documents
from clients.core.ledger import View
from clients.core.records import ALERTS
from keys.alert import AlertType

WORDS: Final[Mapping[Doubt, str]] = {
    Doubt.MISSING: "it speaks of an alert that has not come here",
    Doubt.FORK: "another message about the same alert does not know of this one: ask which of them counts",
    Doubt.ENDED: "it updates an alert that had been cancelled or cleared before",
    Doubt.LOOP: "it and the alert that it names name each other: neither ends the other",
    Doubt.NOT_EARLIER: "it names an alert that was sent after it: that one is not ended",
    Doubt.NOT_THEIRS: "it names an alert that is not its sender's to end",
    Doubt.OTHER_STATUS: "it names a drill, or a drill names it: play and earnest end nothing of each other",
    Doubt.DOUBLE: "another document bears the same name",
}


def doubts(view: View, root: bytes, now: int) -> list[str]:
    """What is doubtful about the update, cancel or all-clear of this root, in words; nothing for most.

    Whose alert ends whose was asked when each was verified, by certificates and not by what a document calls its sender.
    """
    record = ALERTS.get(view, root)
    if record is None or record.draft.type is AlertType.ALERT:  # what names nothing is in nobody's way
        return []
    known = dict(documents(view))
    own = known.get(root)
    if own is None:
        return []
    held = standings(known.values(), max(now, own.sent_at), may_end=lambda _ending, _ended: True)
    found = next((one.doubts for one in held if one.alert.original == own.original), frozenset[Doubt]())
    return [WORDS[doubt] for doubt in sorted(found)]
