"""The part of a station that sends alerts: drafts put before a second officer, approved, sent, updated and ended.

root = station.submit(order)            # frozen and put on the desk; its words are what both compare
waiting = station.waiting()             # drafts on the desk, at every officer
items = station.approve(root)           # the second signature; sent to every channel at once
sent = station.alert_alone(order)       # break-glass, where the charter allows it
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Final, TypeVar

from msgspec.structs import replace

from clients import views
from clients.approving import Approver
from clients.board import Board, Ways, board
from clients.core import alerts, announcements, attempts, composing, conversation, freezing, issuing, records, release
from clients.core.commits import Work
from clients.core.content import JumpReason, encode_content
from clients.core.errors import NotAllowed, NotNow, Unknown, Withheld
from clients.core.freezing import Order
from clients.core.outbox import Kept, keep
from clients.core.release import Receiver
from clients.core.turn import DAY
from clients.views import AlertView, Answers
from keys.alert import AlertType, root_words
from keys.body import Review
from keys.canonical import encode
from keys.envelope import Kind, Marking, Precedence
from keys.ladder import Jump, Ladder
from keys.policy import Verb

T = TypeVar("T")

LISTED: Final = 30 * DAY  # drafts that were submitted before are not shown any more


@dataclass(frozen=True, slots=True)
class AlertSent:
    """An alert that was kept: its root, its id, and the item for each channel."""

    root: bytes
    alert: bytes
    items: list[bytes]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A frozen draft on the desk. `words` are its root to compare by voice; `fate` is empty while it waits, and says else what
    became of it; `approvers` are the devices whose people may approve it. Times in ms."""

    root: bytes
    words: str
    type: AlertType
    exercise: bool
    writer: bytes
    writer_name: str
    submitted: int
    deadline: int
    not_after: int
    marking: Marking
    precedence: Precedence
    channels: list[bytes]
    cap: bytes
    options: list[tuple[int, str]]
    references: list[bytes]
    release: str
    ladder: Ladder | None
    receivers: list[Receiver]
    approvers: list[bytes]
    fate: str
    mine: bool


class AlertDesk(Approver):
    """What an officer's station does beside talking."""

    # --- drafts ---

    def attempt(self, what: Kind, action: Callable[[Work], T]) -> T:
        """Act; where the rules forbid it, the officers and the log are told that it was tried, without its text, and it raises."""
        try:
            return self.act(action)
        except Withheld as error:
            refusal = error.refusal
            error.noted = self.act(lambda work: attempts.say(work, what, refusal)) is not None
            raise

    def withheld(self) -> list[tuple[bytes, int, str]]:
        """The last day's attempts that devices have refused their own users: (device, time in ms, what and why)."""

        def look(work: Work) -> list[tuple[bytes, int, str]]:
            found = announcements.withheld(work.turn.draft, work.turn.now - DAY)
            return [(record.device, record.time, attempts.words(record.body)) for record in found]

        return self.act(look)

    def submit(self, order: Order) -> bytes:
        """Freeze an order and put it before the other officers; gives its root. Raises CapRefused, NotAllowed, NotNow, Unknown."""
        return self.attempt(Kind.ALERT, lambda work: issuing.submit(work, order)).draft.root

    def submit_draft(self, wanted: str) -> bytes:
        """Freeze a kept draft, by the beginning of its id; submitted again it is another, and the one before is taken back. Gives
        its root."""

        def freeze(work: Work) -> bytes:
            key, kept = _unsent(work, wanted)
            if records.SUBMITTED.get(work.turn.draft, kept.root) is not None:
                issuing.withdraw(work, kept.root)
            root = issuing.submit(work, freezing.order_of(kept, work.turn.now)).draft.root
            records.DRAFTS.put(work.turn.draft, key, replace(kept, root=root))
            return root

        return self.attempt(Kind.ALERT, freeze)

    def waiting(self) -> list[Waiting]:
        """Drafts that were submitted here or came by the desk, the oldest first."""

        def look(work: Work) -> list[Waiting]:
            recent = (
                (root, r) for root, r in records.SUBMITTED.scan(work.turn.draft) if r.time > work.turn.now - LISTED
            )
            found = [_waiting(work, root) for root, _ in sorted(recent, key=lambda pair: pair[1].time)]
            return [waiting for waiting in found if waiting is not None]

        return self.act(look)

    def released(self, root: bytes) -> str:
        """Why people of other organisations were given an alert, as its draft has it; what ends it goes to them for the same."""
        return next((w.release for w in self.waiting() if w.root == root), "")

    def withdraw(self, root: bytes) -> None:
        """Take a draft of this device's own back. Raises Unknown, NotAllowed."""
        self.act(lambda work: issuing.withdraw(work, root))

    def approve_alert(self, root: bytes) -> AlertSent:
        """Approve a draft as its second person, and send it. Raises CapRefused, NotAllowed, NotNow, Unknown."""

        def approve(work: Work) -> AlertSent:
            items = issuing.approve(work, root)
            _, content = issuing.submitted(work.turn.draft, root)
            return AlertSent(root, content.draft.alert, items)

        return self.attempt(Kind.APPROVAL, approve)

    # --- sent ---

    def send_alone(self, order: Order) -> AlertSent:
        """One officer's alert, with `order.reason`. Raises CapRefused, NotAllowed, NotNow, Unknown."""
        content, items = self.attempt(Kind.ALERT, lambda work: issuing.alone(work, order))
        return AlertSent(content.draft.root, content.draft.alert, items)

    def send_draft_alone(self, wanted: str, reason: str) -> AlertSent:
        """A kept draft, by the beginning of its id, as one officer's alert. Raises CapRefused, NotAllowed, NotNow, Unknown."""

        def send(work: Work) -> AlertSent:
            key, kept = _unsent(work, wanted)
            content, items = issuing.alone(work, freezing.order_of(kept, work.turn.now, reason))
            records.DRAFTS.put(work.turn.draft, key, replace(kept, root=content.draft.root))
            return AlertSent(content.draft.root, content.draft.alert, items)

        return self.attempt(Kind.ALERT, send)

    def alert_alone(
        self, channels: Sequence[bytes], cap: bytes, reason: str, references: Sequence[bytes] = ()
    ) -> AlertSent:
        """A document to several alert channels by one officer, under their lowest ceiling. Raises as `send_alone`."""
        return self.send_alone(self.order(channels, cap, reason=reason, references=references))

    def order(
        self,
        channels: Sequence[bytes],
        cap: bytes,
        *,
        marking: Marking | None = None,
        references: Sequence[bytes] = (),
        reason: str = "",
        release: str = "",
        ladder: bytes = b"",
    ) -> Order:
        """An order for a document as it stands. Raises CapRefused, NotNow, Unknown."""

        def make(work: Work) -> Order:
            states = [conversation.channel_of(work, channel) for channel in channels]
            lowest = min((Marking(state.ceiling) for state in states), default=Marking.CLEAR)
            kept = records.AlertDraft(
                type=AlertType.ALERT,
                cap=cap,
                written=False,
                lasts=0,
                channels=list(channels),
                marking=lowest if marking is None else marking,
                release=release,
                ladder=ladder,
                references=list(references),
                template="",
                version=0,
                composed=work.turn.now,
                root=b"",
            )
            return freezing.order_of(kept, work.turn.now, reason)

        return self.act(make)

    def alerts(self) -> list[AlertView]:
        """Alerts sent and received, the oldest first."""

        def look(work: Work) -> list[AlertView]:
            found = sorted(records.ALERTS.scan(work.turn.draft), key=lambda pair: pair[1].time)
            return [views.alert_view(work, root, record) for root, record in found]

        return self.act(look)

    def chain(self, root: bytes) -> list[bytes]:
        """The alerts that hang together with this one and hold still: what an all-clear has to name."""
        return self.act(lambda work: alerts.open_chain(work.turn.draft, root))

    def answers(self, root: bytes) -> Answers:
        """Who was alerted (or asked), and what each said. `root` may be a message's id. Raises Unknown."""

        def look(work: Work) -> Answers:
            record = records.ALERTS.get(work.turn.draft, root)
            if record is not None:
                return _without(views.answers(work, root, list(record.places)), _signers(work, record))
            channel, seq, _ = conversation.find(work, root)
            return views.answers(work, root, [(channel, seq)])

        return self.act(look)

    def board(self, root: bytes, ways: Ways | None = None) -> Board:
        """Everybody an alert is for, the silent first, and how its ladder stands; `ways` is what the gateway said of roads. Answers
        are sent to officers: anybody else sees himself alone. Raises Unknown."""

        def look(work: Work) -> Board:
            found, me = board(work, root, ways), work.turn.me
            if work.turn.charter.policy.verbs(me.roles) & {Verb.ALERT, Verb.APPROVE_ALERT}:
                return found
            return replaced(found, rows=tuple(row for row in found.rows if me.device in row.devices))

        return self.act(look)

    def review(self, root: bytes, finding: str) -> bytes:
        """Say that an alert which one person sent alone was looked at, and what was found; the text goes to the desk. Gives the
        item. Raises NotAllowed, NotNow, Unknown."""

        def keep_both(work: Work) -> bytes:
            conversation.need(work, Verb.APPROVE_ALERT)
            record = records.ALERTS.get(work.turn.draft, root)
            if record is None or not record.alone:
                raise Unknown("no alert that one person sent alone")
            writer = work.trust.certified(record.writer.certificate)
            if writer is not None and writer.person == work.turn.me.person:
                raise NotAllowed("nobody reviews an alert of his own: ask another officer")
            return keep(work.turn, Kept(_control(work), Kind.REVIEW, encode(Review(root, _told(work, root, finding)))))

        return self.act(keep_both)

    def jump(self, root: bytes, rung: int, reason: str, people: Sequence[bytes] = ()) -> bytes:
        """Have a rung of an alert's ladder fired at once (0 is the first); or (`keys.ladder.RESEND`) the alert brought again to these
        people, or to everybody silent. The reason goes to the desk. Gives the item."""

        def keep_both(work: Work) -> bytes:
            conversation.need(work, Verb.ALERT)
            body = Jump(root, rung, _told(work, root, reason), work.turn.now, sorted(set(people)))
            return keep(work.turn, Kept(_control(work), Kind.JUMP, encode(body), Precedence.IMMEDIATE))

        return self.act(keep_both)


def _unsent(work: Work, wanted: str) -> tuple[bytes, records.AlertDraft]:
    """A kept draft that nobody was sent yet. Raises NotNow, Unknown."""
    key, kept = composing.find(work.turn.draft, wanted)
    if records.ALERTS.get(work.turn.draft, kept.root) is not None:
        raise NotNow(f"this draft was sent, as {kept.root.hex()[:8]}: update that alert, or compose another")
    return key, kept


def _control(work: Work) -> bytes:
    return work.turn.charter.control_channel


def _told(work: Work, root: bytes, text: str) -> bytes:
    """Tell the desk why; gives the salted hash of it. Raises NotNow where there is no desk."""
    desk, turn = issuing.desk_of(work), work.turn
    salt, state = turn.random(16), conversation.channel_of(work, desk)
    data = encode_content(JumpReason(root, salt, text))
    keep(turn, Kept(desk, Kind.APPLICATION, data, Precedence.IMMEDIATE, state.ceiling))
    hashed = alerts.jump_reason(salt, text)
    records.REASONS.put(turn.draft, hashed, records.Note(text.encode()))
    return hashed


def _signers(work: Work, record: records.Alert) -> set[bytes]:
    """The devices of those who signed an alert: nobody asks them whether they have heard of it."""
    behind = [work.trust.certified(s.certificate) for s in (record.writer, record.approval) if s]
    return {certified.device for certified in behind if certified}


def _without(found: Answers, signers: set[bytes]) -> Answers:
    kept = [[d for d in devices if d not in signers] for devices in (found.targeted, found.delivered, found.shown)]
    return Answers(kept[0], kept[1], kept[2], found.answered, [d for d in found.silent if d not in signers])


def _waiting(work: Work, root: bytes) -> Waiting | None:
    """None for a draft that holds no longer: its writer was revoked, or may not alert any more."""
    view = work.turn.draft
    record, content = issuing.submitted(view, root)
    try:
        checked = freezing.check(work.turn, work.trust, content)
    except NotAllowed:
        return None
    channels = [target.channel for target in content.targets]
    fate = record.fate
    if not fate and work.turn.now > content.draft.deadline:
        fate = "not approved in time"
    return Waiting(
        root,
        root_words(root),
        content.draft.type,
        content.draft.exercise,
        record.writer,
        views.name_of(view, record.writer),
        record.time,
        content.draft.deadline,
        content.draft.not_after,
        Marking(content.marking),
        Precedence(content.precedence),
        channels,
        content.alert.cap,
        list(zip(content.alert.options, checked.document.response_options, strict=True)),
        list(content.draft.references),
        content.release,
        checked.ladder,
        release.receivers(work, [c for c in channels if records.CHANNELS.get(view, c) is not None]),
        issuing.approvers(work, content),
        fate,
        record.writer == work.turn.me.device,
    )
