"""What is inside an envelope whose outside holds: content, statements of members, names.

    decrypt    MLS says the same of the message as its header does            UNREADABLE, MISDIRECTED, FORGED
    franking   the content is the one that the header commits to              FRANKING, and a complaint to the channel
    content    text and alerts are shown, cards and purposes remembered, answers noted

`Rejected` names the alarm and what becomes of the envelope; whoever handles it writes both down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from clients.core import (
    alerts,
    announcements,
    emergencies,
    freezing,
    gossip,
    issuing,
    outbox,
    playbook,
    receipts,
    records,
    retention,
)
from clients.core.cap import CapRefused
from clients.core.content import (
    AckText,
    AlertContent,
    Cards,
    CheckIn,
    DraftContent,
    DraftVoid,
    JumpReason,
    NoDuress,
    PlanPage,
    Purpose,
    SeenLog,
    SosContent,
    TemplatePage,
    Text,
    encode_content,
    read_content,
)
from clients.core.errors import NotAllowed
from clients.core.groups import Groups
from clients.core.ledger import at
from clients.core.outbox import Kept
from clients.core.records import AlarmKind, Channel, Counter, Fate, Message, Note
from clients.core.roster import author_in
from clients.core.templates import TemplateRefused
from clients.core.trust import Trust, certificate_of
from clients.core.turn import NewMessage, Turn
from gateway.wire import Placed
from keys.approval import Approved
from keys.authority import read_card
from keys.body import Ack, Complaint, read_ack, read_commit_refused, read_complaint, read_resync_approval
from keys.canonical import encode
from keys.credential import Certified
from keys.envelope import ENCRYPTED, Kind, Verified, check_body
from keys.errors import BadSignature, KeysError, Malformed, NotPermitted
from keys.franking import open_application_data
from keys.mls.errors import MLSError
from keys.mls.received import ApplicationReceived, peek
from keys.policy import DESK, Verb

_KIND_OF: Final = {AlertContent: Kind.ALERT, SosContent: Kind.SOS, CheckIn: Kind.CHECK_IN}
"""Content that has a kind of its own; every other is an APPLICATION."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivered envelope and its body; the body is None where it was destroyed, or where it is this device's own."""

    placed: Placed
    body: bytes | None


class Rejected(Exception):
    """This envelope is not taken: which alarm, and why."""

    def __init__(self, kind: AlarmKind, why: str, fate: Fate = Fate.REFUSED) -> None:
        super().__init__(why)
        self.kind = kind
        self.fate = fate


@dataclass(frozen=True, slots=True)
class Case:
    """An envelope of a channel, verified outside, by the author whose leaf signed it."""

    channel: bytes
    state: Channel
    placed: Placed
    body: bytes | None
    envelope: Verified
    author: Certified
    alert: Approved | None = None  # an alert's header, verified

    @property
    def seq(self) -> int:
        return self.placed.place.seq


@dataclass(slots=True)
class Opener:
    """Opens what a turn has verified."""

    turn: Turn
    trust: Trust
    groups: Groups

    def open(self, case: Case) -> Fate:
        """What becomes of it. Raises Rejected."""
        kind, body = case.envelope.context.kind, case.body
        if body is None:
            return self._without_body(case)
        try:
            check_body(case.envelope, body)
        except BadSignature as error:
            raise Rejected(AlarmKind.FORGED, str(error)) from None
        if kind in ENCRYPTED:
            return self._open_content(case, body)
        if kind in emergencies.KINDS:
            return self._promised(case, body)
        try:
            self._statement(case, body)
        except Malformed as error:
            raise Rejected(AlarmKind.GATEWAY, str(error)) from None
        return Fate.TAKEN

    def _promised(self, case: Case, body: bytes) -> Fate:
        """A stand-down or a plan, in clear: what ends an SOS is shown to all, plans to those who watch over them."""
        kind = case.envelope.context.kind
        try:
            self._emergency(case, body)
        except Malformed as error:
            raise Rejected(AlarmKind.GATEWAY, str(error)) from None
        if kind is Kind.STAND_DOWN or emergencies.watching(self.turn):
            self._show(case, b"", body, "")
        return Fate.TAKEN

    def _emergency(self, case: Case, data: bytes) -> None:
        """What is said of an emergency, where it is permitted. Raises Rejected, Malformed."""
        context, place = case.envelope.context, case.placed.place
        whence = emergencies.Whence(
            case.author, case.channel, case.seq, place.time, context.time, case.envelope.header_hash
        )
        try:
            emergencies.take(self.turn, context.kind, data, whence)
        except NotPermitted as error:
            raise Rejected(AlarmKind.NOT_PERMITTED, str(error)) from None

    def _without_body(self, case: Case) -> Fate:
        """Destroyed by rule, or withheld: either way the place is shown as what it is."""
        context = case.envelope.context
        if context.kind in ENCRYPTED:
            why = retention.why(self.turn, case.placed, context.expires)
            self._show(case, b"", b"", why or retention.UNEXPLAINED)
            if not why:
                retention.wonder(self.turn, case.channel, case.seq)
        return Fate.UNREADABLE

    def _statement(self, case: Case, body: bytes) -> None:
        """What members say in clear."""
        context = case.envelope.context
        who = context.device.hex()[:8]
        if context.kind is Kind.ACK:
            self._answer(case, read_ack(body))
        elif context.kind is Kind.RESYNC_APPROVAL:
            self._resync(case, body)
        elif context.kind is Kind.COMMIT_REFUSED:
            refused = read_commit_refused(body)
            self.turn.alarm(
                AlarmKind.COMMIT_REFUSED,
                f"device {who} can't take the commit at seq {refused.seq}: {refused.rule}",
                channel=case.channel,
                seq=refused.seq,
                device=context.device,
            )
        elif context.kind is Kind.FRANKING_COMPLAINT:
            complaint = read_complaint(body)
            self.turn.alarm(
                AlarmKind.FRANKING,
                f"device {who} was sent other content at seq {complaint.seq} than its header commits to",
                channel=case.channel,
                seq=complaint.seq,
                device=context.device,
            )

    def _resync(self, case: Case, body: bytes) -> None:
        """Another member may come in again, in the epoch in force at this place."""
        approval, epoch = read_resync_approval(body), case.envelope.context.epoch
        stranded = author_in(self.turn, self.trust, case.channel, epoch, approval.device)
        if approval.epoch != epoch or epoch != case.state.epoch:
            raise Rejected(AlarmKind.NOT_PERMITTED, "a resync approval for another epoch than the one it stands in")
        if stranded is None or stranded.person == case.author.person:
            raise Rejected(AlarmKind.NOT_PERMITTED, "a resync approval for no other member of this channel")
        records.RESYNCS.put(self.turn.draft, case.channel + approval.device, Counter(epoch))

    def _answer(self, case: Case, ack: Ack) -> None:
        try:
            alerts.answered(self.turn, ack, case.author.device, case.channel, case.seq, case.placed.place.time)
        except KeysError as error:
            raise Rejected(AlarmKind.NOT_PERMITTED, f"an answer that does not count: {error}") from None

    def _open_content(self, case: Case, body: bytes) -> Fate:
        received = self._decrypt(case, body)
        try:
            content = open_application_data(received.content, case.envelope.context.franking)
        except BadSignature as error:
            self._complain(case)
            raise Rejected(AlarmKind.FRANKING, str(error), Fate.HIDDEN) from None
        salt = received.content[:16]
        try:
            self._content(case, salt, content)
        except Malformed as error:
            self._show(case, salt, content, "in a form that this program does not know")
            raise Rejected(AlarmKind.UNREADABLE, f"no content: {error}", Fate.UNREADABLE) from None
        except (BadSignature, CapRefused) as error:
            raise Rejected(AlarmKind.FORGED, f"an alert that does not hold: {error}", Fate.HIDDEN) from None
        return Fate.TAKEN

    def _decrypt(self, case: Case, body: bytes) -> ApplicationReceived:
        """What MLS says of the message has to be what the context says of it."""
        context = case.envelope.context
        group = self.groups.get(self.turn.draft, case.channel)
        assert group is not None, "a channel that is not left has its group"
        try:
            outside = peek(body)
            if (outside.group_id, outside.epoch) != (case.channel, context.epoch):
                raise Rejected(AlarmKind.MISDIRECTED, "the encryption is of another channel or epoch", Fate.HIDDEN)
            if outside.authenticated_data != context.authenticated_data():
                raise Rejected(AlarmKind.MISDIRECTED, "the encryption is bound to another header", Fate.HIDDEN)
            group, received = group.process(body, now_seconds=case.placed.place.time // 1000)
        except MLSError as error:
            self._show(case, b"", b"", "it could not be decrypted")
            raise Rejected(AlarmKind.UNREADABLE, f"{type(error).__name__}: {error}", Fate.UNREADABLE) from None
        if not isinstance(received, ApplicationReceived):
            raise Rejected(AlarmKind.MISDIRECTED, "no application message inside", Fate.HIDDEN)
        self.groups.put(case.channel, group)
        same = received.authenticated_data == context.authenticated_data() and received.epoch == context.epoch
        if not same or certificate_of(received.credential) != case.author.hash:
            raise Rejected(AlarmKind.FORGED, "sealed by another member than the one who signed it", Fate.HIDDEN)
        return received

    def _complain(self, case: Case) -> None:
        body = encode(Complaint(case.seq, case.envelope.header_hash))
        outbox.keep(self.turn, Kept(case.channel, Kind.FRANKING_COMPLAINT, body))

    def _content(self, case: Case, salt: bytes, data: bytes) -> None:
        content = read_content(data)
        alerting = self.turn.charter.policy.channel_class(case.state.channel_class).alerts
        if _KIND_OF.get(type(content), Kind.APPLICATION) is not case.envelope.context.kind:
            raise Rejected(AlarmKind.MISDIRECTED, "content of another kind than its header says", Fate.HIDDEN)
        if isinstance(content, Text) and alerting:
            raise Rejected(AlarmKind.NOT_PERMITTED, "talk in a channel for alerts", Fate.HIDDEN)
        match content:
            case AlertContent():
                assert case.alert is not None  # the receiver verifies alerts before they are opened
                alerts.take(self.turn, self.trust, case.alert, case.envelope, content, case.seq)
                self._show(case, salt, data, "")
            case Text(text):
                alerts.heard(self.turn, text, case.placed.place.time)
                self._show(case, salt, data, "")
            case Cards(cards):
                self._cards(cards)
            case Purpose(text):
                self._purpose(case, text)
            case DraftContent() | DraftVoid() | JumpReason() | TemplatePage():
                self._at_the_desk(case, content)
            case SosContent():
                self._emergency(case, data)
                self._show(case, salt, data, "")
            case CheckIn(subject):
                self._emergency(case, data)
                if emergencies.watching(self.turn):  # without the answer: nobody looks for the word here
                    self._show(case, b"", encode_content(CheckIn(subject, bytes(16), bytes(32))), "")
            case PlanPage():
                emergencies.take_page(self.turn, case.author.device, case.channel, content)
            case NoDuress():
                try:
                    emergencies.take_word(self.turn, case.author, content)
                except NotPermitted as error:
                    raise Rejected(AlarmKind.NOT_PERMITTED, str(error), Fate.HIDDEN) from None
            case SeenLog(note):
                gossip.shown(self.turn, case.channel, case.author.device, note)
            case AckText(root, text):
                alerts.words(self.turn, root, case.author.device, text, case.channel, case.placed.place.time)

    def _at_the_desk(self, case: Case, content: DraftContent | DraftVoid | JumpReason | TemplatePage) -> None:
        """What officers keep among themselves: elsewhere it is nothing."""
        policy = self.turn.charter.policy
        if case.state.channel_class != DESK or not policy.permits(case.author.roles, Verb.ALERT):
            raise Rejected(AlarmKind.NOT_PERMITTED, "a draft that is not for this channel", Fate.HIDDEN)
        match content:
            case DraftContent():
                self._check_draft(case, content)
                issuing.keep_submitted(self.turn, content, case.author.device, case.channel)
                self._show(case, b"", encode_content(content), "")
            case DraftVoid(root):
                known = records.SUBMITTED.get(self.turn.draft, root)
                if known is not None and known.writer == case.author.device:
                    announcements.settle(self.turn, root, "withdrawn")
            case JumpReason(root, salt, text):
                records.REASONS.put(self.turn.draft, alerts.jump_reason(salt, text), Note(text.encode()))
            case TemplatePage(source):
                try:
                    playbook.put(self.turn.draft, source, case.author.device, case.placed.place.time)
                except TemplateRefused as error:
                    raise Rejected(AlarmKind.UNREADABLE, f"no template: {error}", Fate.HIDDEN) from None

    def _check_draft(self, case: Case, content: DraftContent) -> None:
        """Its parts are those under its root, and its writer is who put it here: nothing else ever waits under that root."""
        writer = self.trust.certified(content.writer.certificate)
        try:
            freezing.check(self.turn, self.trust, content)
        except (NotAllowed, CapRefused) as error:
            raise Rejected(AlarmKind.FORGED, str(error), Fate.HIDDEN) from None
        if writer is None or writer.device != case.author.device:
            raise Rejected(AlarmKind.FORGED, "a draft that another wrote", Fate.HIDDEN)

    def _cards(self, cards: Sequence[bytes]) -> None:
        """Names count by their registrar's signature and only for a device whose certificate says the same."""
        for data in cards:
            try:
                learn_card(self.turn, self.trust, data)
            except KeysError as error:
                self.turn.alarm(AlarmKind.FORGED, f"a card that does not hold: {error}")

    def _purpose(self, case: Case, text: str) -> None:
        state = records.CHANNELS.get(self.turn.draft, case.channel)
        policy = self.turn.charter.policy
        allowed = policy.permits(case.author.roles, Verb.CREATE_CHANNEL) or policy.permits(case.author.roles, Verb.ADD)
        if state is not None and allowed:
            records.CHANNELS.put(self.turn.draft, case.channel, replace(state, purpose=text))

    def _show(self, case: Case, salt: bytes, content: bytes, reason: str) -> None:
        """There is something for people at this place, if only that it can't be read."""
        context, place = case.envelope.context, case.placed.place
        message = Message(
            context.device,
            case.author.hash,
            context.kind,
            context.epoch,
            context.time,
            place.time,
            context.precedence,
            context.marking,
            context.expires,
            case.envelope.header_hash,
            context.alert,
            salt,
            content,
            reason,
            shown=0,
        )
        key = at(case.channel, place.seq)
        if records.MESSAGES.get(self.turn.draft, key) is None:
            message = retention.as_kept(self.turn, case.channel, place.seq, message)
            records.MESSAGES.put(self.turn.draft, key, message)
            records.NAMES.put(self.turn.draft, case.envelope.header_hash, Note(key))
            self._call(case, key, message)
            if message.content:
                retention.will_end(self.turn, case.channel, place.seq, context.expires)

    def _call(self, case: Case, key: bytes, message: Message) -> None:
        """It waits to be shown, and whoever sits there hears of it: of an alert once, in however many channels it comes."""
        view, seq = self.turn.draft, case.placed.place.seq
        places = alerts.copies(view, message.alert.root) if message.alert else []
        if (case.channel, seq) not in places:  # what was refused under its root is no copy
            places = []
        others = [records.MESSAGES.get(view, at(*place)) for place in places if place != (case.channel, seq)]
        if any(other is not None and other.shown for other in others):
            records.MESSAGES.put(view, key, replace(message, shown=self.turn.now))
            receipts.shown(self.turn, case.channel, seq)
            return
        records.UNSHOWN.put(view, key, Counter(message.precedence))
        if not others:
            self.turn.events.append(NewMessage(case.channel, seq))


def learn_card(turn: Turn, known: Trust, data: bytes) -> None:
    """Keep who a device's person is. Raises KeysError unless a registrar of the device's own organisation signed it."""
    card = read_card(data)
    card.verify(turn.charter)
    for certified in known.of_device(card.device):
        if (certified.person, certified.organisation) != (card.person, card.organisation):
            raise BadSignature("this card names another person or organisation than the device's certificate")
    records.CARDS.put(turn.draft, card.device, Note(data))
