"""An alert, and who has answered it."""

from dataclasses import dataclass

from clients.core import alerts, announcements, records
from clients.core.alerts import option_text
from clients.core.commits import Work
from clients.views.names import name_of
from clients.views.reach import receipts_of, targets_of
from keys.alert import AlertType, Signing, root_words
from keys.envelope import Marking


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert as it was received or sent. `root` is what answers name, `words` are the root read aloud; `options` are (number,
    what it means). `how` is empty while it holds, else "replaced", "cancelled", "cleared" or "over", and `ended_by` the root of
    what did that. `frozen` says why an exercise stands still, empty while it goes on. Times in ms."""

    root: bytes
    words: str
    alert: bytes
    type: AlertType
    cap: bytes
    reason: str
    alone: bool
    exercise: bool
    marking: Marking
    not_after: int
    options: list[tuple[int, str]]
    references: list[bytes]
    writer: bytes
    writer_name: str
    approver: bytes
    approver_name: str
    review_due: int
    reviewed: str  # by whom; empty while it is owed, or where nobody has told this device
    how: str
    ended_by: bytes
    frozen: str
    mine: bool
    guest: bool = False  # this device's person is a guest of the mission

    @property
    def actionable(self) -> bool:
        return not self.how and not self.frozen


@dataclass(frozen=True, slots=True)
class Answered:
    """A person's answer: the option's number and its meaning, and free words where there were any."""

    device: bytes
    name: str
    option: int
    text: str
    time: int
    words: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Who was to answer, who has got it, seen it and answered it, and who is silent."""

    targeted: list[bytes]
    delivered: list[bytes]
    shown: list[bytes]
    answered: list[Answered]
    silent: list[bytes]


def alert_view(work: Work, root: bytes, record: records.Alert) -> AlertView:
    """An alert on the ledger as a value."""
    view, now, draft = work.turn.draft, work.turn.now, record.draft
    stands = alerts.standing(view, root, now)
    writer, approver = (_signer(work, signing) for signing in (record.writer, record.approval))
    hours = work.turn.charter.policy.alert_review_hours
    review = announcements.reviewed(view, root)
    return AlertView(
        root,
        root_words(root),
        draft.alert,
        draft.type,
        record.cap,
        record.reason,
        record.alone,
        draft.exercise,
        Marking(record.marking),
        draft.not_after,
        [(number, option_text(record, number)) for number in record.options],
        list(draft.references),
        writer,
        name_of(view, writer) if writer else "",
        approver,
        name_of(view, approver) if approver else "",
        record.writer.time + hours * 3_600_000 if record.alone else 0,
        name_of(view, review[0]) if review else "",
        stands.how,
        stands.by,
        alerts.freezes_play(view, record, now) if draft.exercise and stands.holds else "",
        record.mine,
        work.turn.me.organisation != work.turn.charter.policy.home.name,
    )


def _signer(work: Work, signing: Signing | None) -> bytes:
    """The device behind a signature; empty where there is none."""
    certified = work.trust.certified(signing.certificate) if signing else None
    return certified.device if certified else b""


def answers(work: Work, root: bytes, places: list[tuple[bytes, int]]) -> Answers:
    """How an alert (or a message that asks for an answer) stands, over all its places."""
    view = work.turn.draft
    targeted, delivered, seen = dict[bytes, None](), dict[bytes, None](), dict[bytes, None]()
    for channel, seq in places:
        message = records.MESSAGES.get(view, channel + seq.to_bytes(8, "big")) if seq else None
        sender = message.device if message else work.turn.me.device
        state = records.CHANNELS.get(view, channel)
        epoch = message.epoch if message else state.epoch if state else 0
        targets = targets_of(view, channel, epoch, sender)
        reached, read_by = receipts_of(view, channel, seq, targets)
        targeted |= dict.fromkeys(targets)
        delivered |= dict.fromkeys(reached)
        seen |= dict.fromkeys(read_by)
    record = records.ALERTS.get(view, root)
    given = [
        Answered(
            device,
            name_of(view, device),
            answer.option,
            option_text(record, answer.option) if record else "",
            answer.time,
            answer.text,
        )
        for device, answer in alerts.answers(view, root)
    ]
    silent = [d for d in targeted if d not in {a.device for a in given}]
    return Answers(list(targeted), list(delivered), list(seen), given, silent)
