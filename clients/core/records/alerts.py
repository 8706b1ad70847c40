"""Alerts: drafts, what was submitted and announced, what has come, and who has answered."""

from typing import Annotated, Final

from msgspec import Meta

from clients.core.ledger import Shelf
from clients.core.records.simple import Chained, Counter, Note
from keys.alert import Draft, Signing
from keys.canonical import Hash, Id, Millis, Record, Uint
from keys.envelope import Kind, Marking


class Alert(Record, frozen=True, array_like=True):
    """An alert that this device sent or received, by root. `options` are in the order of the document's, `places` (channel,
    seq), seq 0 while not accepted. `sender` is the device that sealed it; `ended` the root of what replaced, cancelled or
    cleared it, empty while it holds."""

    draft: Draft
    writer: Signing
    approval: Signing | None
    cap: bytes
    options: list[int]
    reason: str
    marking: Marking
    sender: Id
    mine: bool
    time: Millis
    places: list[tuple[Id, Uint]]
    targets: list[Id]
    ended: Chained

    @property
    def alone(self) -> bool:
        return self.approval is None


class Submitted(Record, frozen=True, array_like=True):
    """A frozen draft that came by a desk channel, or left by one: its content's bytes, its writer's device, and what became
    of it in words (empty while it waits)."""

    channel: Id
    writer: Id
    content: bytes
    time: Millis
    fate: str


class Announced(Record, frozen=True, array_like=True):
    """An APPROVAL, JUMP, ESCALATION or refused attempt of the control channel, as its body."""

    kind: Kind
    device: Id
    body: bytes
    time: Millis


class AlertDraft(Record, frozen=True, array_like=True):
    """An alert that is being composed on this device: kept, and not yet frozen (`clients.core.composing`).

    `cap` has passed the schema and every text rule. Where it was `written` here, its times are set anew when it is frozen and
    it ends `lasts` ms later; a file's own bytes are never changed. `ladder` is the encoding of a `keys.ladder.Ladder`, empty for
    none. `references` are the roots that it updates, cancels or clears. `root` is the approval root once it was frozen.
    """

    type: Annotated[int, Meta(ge=1, le=4)]  # alert, update, cancel, all-clear
    cap: bytes
    written: bool
    lasts: Millis  # 0: until the document's own end
    channels: list[Id]
    marking: Marking
    release: str  # why people of other organisations may have it
    ladder: bytes
    references: list[Hash]
    template: str  # empty where it was made from a file
    version: Uint  # of the template
    composed: Millis
    root: Chained


class Answer(Record, frozen=True, array_like=True):
    """What a device answered."""

    channel: Id
    seq: Uint
    option: Uint
    time: Millis
    text: str


class Reminder(Record, frozen=True, array_like=True):
    """The newest reminder of an alert: the gateway's name for it, and a channel where the alert stands (b"": in none of this device's)."""

    notice: Hash
    rung: Uint
    channel: bytes
    time: Millis
    shown: bool


ALERTS: Final = Shelf("alert", Alert)  # root
ALERT_IDS: Final = Shelf("alert id", Note)  # an alert's id: the root it was used for
FOLLOWERS: Final = Shelf("follower", Counter)  # root ‖ root of the update, cancel or all-clear that names it
SUBMITTED: Final = Shelf("submitted", Submitted)  # root
REASONS: Final = Shelf("reason", Note)  # a JUMP's hash of it: the reason in words
ANNOUNCED: Final = Shelf("announced", Announced)  # root ‖ seq in the control channel
DRAFTS: Final = Shelf("draft", AlertDraft)  # draft id
ANSWERS: Final = Shelf("answer", Answer)  # root ‖ device
REMINDERS: Final = Shelf("reminder", Reminder)  # root
