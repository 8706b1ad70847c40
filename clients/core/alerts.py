"""Alerts that this device knows: verified whole, whoever let them through; which of them hold; who answered what.

    verify    header alone: audience, both signatures by certificates that count, roles, deadline, end, replays, authority
    take      with its content: the document under its commitment, the options, one form for each type
    follow    updates, cancels and all-clears end what they name, whichever of the two comes first
    answered  acks by number, of the alert's own options, where it was placed

Everything is made from what the device holds, so a guest verifies both names offline. What fails is hidden and an alarm, and
what it wanted to end goes on.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core import trust as trusted
from clients.core.cap import Alert as CapAlert
from clients.core.cap import CapRefused, open_alert
from clients.core.content import AlertContent
from clients.core.ledger import View, at
from clients.core.records import AlarmKind, Alert, Answer, Counter, Note
from clients.core.trust import Trust
from clients.core.turn import Moved, Turn
from gateway.wire import Place
from keys.alert import AlertFields, AlertType, Draft, Signing, cap_commitment, check_alert
from keys.approval import Approved, check_follows, check_rule, check_signed
from keys.body import Ack
from keys.credential import Certified
from keys.envelope import Marking, Verified
from keys.errors import BadSignature, Expired, NotPermitted, NotTrusted
from keys.identity import SigningKey
from keys.words import open_words

ALL_CLEAR: Final = "AllClear"
STOP_WORD: Final = "NO DUFF"  # this is no exercise
_STOPPED: Final = b"play stopped"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an alert holds: `by` is the root of what ended it, `how` the word for that."""

    how: str  # "", "replaced", "cancelled", "cleared", "over"
    by: bytes

    @property
    def holds(self) -> bool:
        return not self.how


_ENDED: Final = {AlertType.UPDATE: "replaced", AlertType.CANCEL: "cancelled", AlertType.ALL_CLEAR: "cleared"}


# --- what the header says ---


def certificates(fields: AlertFields) -> list[bytes]:
    """Whose certificates it takes to verify this alert."""
    return [s.certificate for s in (fields.writer, fields.approval) if s is not None]


def verify(turn: Turn, trust: Trust, envelope: Verified, author: Certified, channel: bytes, place: Place) -> Approved:
    """All that the header of an alert claims, held against charter, certificates and what this device knows.

    Raises:
        KeysError: it does not hold; its class says what is wrong.
    """
    context, fields = envelope.context, envelope.context.alert
    assert fields is not None  # keys.envelope.read
    addressed = check_alert(fields, channel, context.franking)
    writer = _signatory(turn, trust, fields.writer, place)
    approver = _signatory(turn, trust, fields.approval, place) if fields.approval else None
    approved = check_rule(turn.charter, check_signed(addressed, fields.writer, fields.approval, writer, approver))
    if author.device != approved.sender.device:
        raise NotPermitted("sealed by another device than that of who sends it")
    if place.time > fields.draft.not_after:
        raise Expired("this alert had ended when it was sent")
    _check_fence(turn, approved, context.marking, place.time)
    _check_once(turn, approved, channel, place.seq)
    for root in fields.draft.references:
        before = sent_by(trust, records.ALERTS.get(turn.draft, root), root)
        if before is not None:
            check_follows(turn.charter.policy, approved, before)
    return approved


def _signatory(turn: Turn, trust: Trust, signing: Signing, place: Place) -> Certified:
    """A certificate that counts here and was not revoked at this place of the log."""
    certified = trust.certified(signing.certificate)
    if certified is None or certified.registrar:
        raise NotTrusted("signed by a certificate that does not count")
    if trusted.revoked(turn.draft, certified, place.index):
        raise NotTrusted(f"signed by device {certified.device.hex()[:8]}, which was revoked before")
    return certified


def _check_fence(turn: Turn, approved: Approved, marking: Marking, now: int) -> None:
    """This device's organisation may be shown it, and takes part where it is play."""
    policy, mine = turn.charter.policy, turn.me.organisation
    if not policy.may_see(mine, marking, now):
        raise NotPermitted(f"{marking.label} is not for {mine}")
    if approved.draft.exercise and not policy.plays(mine, now):
        raise NotPermitted(f"{mine} takes no part in exercises")


def _check_once(turn: Turn, approved: Approved, channel: bytes, seq: int) -> None:
    """An alert comes once to a channel, and its id is used for one root."""
    used = records.ALERT_IDS.get(turn.draft, approved.draft.alert)
    if used is not None and used.data != approved.root:
        raise NotPermitted("this alert's id was used for another")
    known = records.ALERTS.get(turn.draft, approved.root)
    if known is not None and any(c == channel and s not in (0, seq) for c, s in known.places):
        raise NotPermitted("this alert was sent here before: a replay")


def sent_by(trust: Trust, record: Alert | None, root: bytes) -> Approved | None:
    """A record as who sent it: it was verified when it was put there."""
    if record is None:
        return None
    writer = trust.certified(record.writer.certificate)
    approver = trust.certified(record.approval.certificate) if record.approval else None
    if writer is None or (record.approval is not None and approver is None):
        return None
    approved = record.approval.time if record.approval else 0
    return Approved(record.draft, root, writer, record.writer.time, approver, approved)


# --- what the content says ---


def take(
    turn: Turn,
    trust: Trust,
    approved: Approved,
    envelope: Verified,
    content: AlertContent,
    seq: int,
) -> CapAlert:
    """An alert that was verified and decrypted.

    Raises:
        BadSignature: this content is not the one that was signed.
        CapRefused: it is no alert.
    """
    context, fields = envelope.context, envelope.context.alert
    assert fields is not None  # keys.envelope.read
    channel, marking = context.channel, context.marking
    document = check_content(fields.draft, content, marking, alone=fields.alone)
    known = records.ALERTS.get(turn.draft, approved.root)
    places = [*(known.places if known else []), (channel, seq)]
    record = Alert(
        fields.draft,
        fields.writer,
        fields.approval,
        content.cap,
        list(content.options),
        content.reason,
        marking,
        approved.sender.device,
        known.mine if known else False,
        known.time if known else turn.now,
        sorted(dict(sorted(places)).items()),
        list(known.targets) if known else [],
        known.ended if known else b"",
    )
    records.ALERTS.put(turn.draft, approved.root, record)
    records.ALERT_IDS.put(turn.draft, fields.draft.alert, Note(approved.root))
    follow(turn, trust, approved)
    return document


def check_content(draft: Draft, content: AlertContent, marking: Marking, *, alone: bool) -> CapAlert:
    """The document is the one under the root, and says of itself what the root says of it. Raises BadSignature, CapRefused."""
    if cap_commitment(content.salt, content.cap) != draft.cap:
        raise BadSignature("this document is not the one that was signed")
    if sorted(content.options) != draft.options:
        raise BadSignature("these answers are not the ones that were signed")
    if bool(content.reason) != alone:
        raise BadSignature("who sends alone says why, and nobody else does")
    document = open_alert(content.cap)
    if len(content.options) != len(document.response_options):
        raise BadSignature("the document offers other answers")
    if type_of(document) is not draft.type or document.is_exercise != draft.exercise:
        raise BadSignature(
            f"the document is of type {document.msg_type}, status {document.status}: the header says otherwise"
        )
    label = next(iter(document.restriction.split()), "")
    if label.startswith("TLP:") and label != marking.label:
        raise BadSignature(f"the document is marked {label}, its header {marking.label}")
    return document


def type_of(document: CapAlert) -> AlertType:
    """What a document does to those before it. An all-clear is an Update whose blocks all say AllClear and Past."""
    if document.msg_type == "Cancel":
        return AlertType.CANCEL
    if document.msg_type != "Update":
        return AlertType.ALERT
    clear = all(ALL_CLEAR in info.response_types and info.urgency == "Past" for info in document.infos)
    return AlertType.ALL_CLEAR if document.infos and clear else AlertType.UPDATE


# --- which of them hold ---


def follow(turn: Turn, trust: Trust, after: Approved) -> None:
    """End what this one names, and let what names it end it: either may have come first."""
    for root in after.draft.references:
        records.FOLLOWERS.put(turn.draft, root + after.root, Counter(turn.now))
        _end(turn, trust, root, after)
    for key, _ in list(records.FOLLOWERS.scan(turn.draft, after.root)):
        follower = sent_by(trust, records.ALERTS.get(turn.draft, key[32:]), key[32:])
        if follower is not None:
            _end(turn, trust, after.root, follower)


def _end(turn: Turn, trust: Trust, root: bytes, by: Approved) -> None:
    record = records.ALERTS.get(turn.draft, root)
    before = sent_by(trust, record, root)
    if record is None or before is None:
        return
    try:
        check_follows(turn.charter.policy, by, before)
    except NotPermitted as error:
        detail = f"alert {by.root.hex()[:8]} does not end {root.hex()[:8]}: {error}"
        turn.alarm(AlarmKind.NOT_PERMITTED, detail, seq=1, device=by.sender.device)
        return
    if _newer(turn.draft, record.ended, by):
        records.ALERTS.put(turn.draft, root, replace(record, ended=by.root))
        turn.events.append(Moved(root))


def _newer(view: View, ended: bytes, by: Approved) -> bool:
    """The last word counts: of two that end an alert the one written later."""
    known = records.ALERTS.get(view, ended) if ended else None
    return known is None or known.writer.time < by.written


def standing(view: View, root: bytes, now: int) -> Standing:
    """Whether an alert holds now, by what this device knows."""
    record = records.ALERTS.get(view, root)
    if record is None:
        return Standing("", b"")
    after = records.ALERTS.get(view, record.ended) if record.ended else None
    if after is not None:
        return Standing(_ENDED[after.draft.type], record.ended)
    return Standing("over", b"") if now > record.draft.not_after else Standing("", b"")


def open_chain(view: View, root: bytes) -> list[bytes]:
    """The alert and all that hang together with it and hold still: what an all-clear has to name."""
    found, ahead = dict[bytes, None](), [root]
    while ahead:
        here = ahead.pop()
        if here in found:
            continue
        found[here] = None
        record = records.ALERTS.get(view, here)
        ahead += record.draft.references if record else []
        ahead += [key[32:] for key, _ in records.FOLLOWERS.scan(view, here)]
    known = [(r, record) for r in found if (record := records.ALERTS.get(view, r)) is not None]
    return [r for r, record in known if not record.ended and not record.draft.type.ends]


def copies(view: View, root: bytes) -> list[tuple[bytes, int]]:
    """Where an alert came to this device: whoever is in several of its channels has it several times, and is shown it once."""
    record = records.ALERTS.get(view, root)
    places = [(channel, seq) for channel, seq in record.places if seq] if record else []
    return [place for place in places if records.MESSAGES.get(view, at(*place)) is not None]


# --- own alerts on their way ---


def placed(turn: Turn, root: bytes, channel: bytes, seq: int) -> None:
    """An alert of this device's own got its place in one of its channels."""
    record = records.ALERTS.get(turn.draft, root)
    if record is not None:
        places = [(c, seq if c == channel else s) for c, s in record.places]
        records.ALERTS.put(turn.draft, root, replace(record, places=places))


def refused(turn: Turn, root: bytes, why: str) -> None:
    """An alert of this device's own will never be sent: it ends nothing, and its draft says why."""
    record = records.ALERTS.get(turn.draft, root)
    draft = records.SUBMITTED.get(turn.draft, root)
    if draft is not None:
        records.SUBMITTED.put(turn.draft, root, replace(draft, fate=why))
    if record is None:
        return
    records.ALERTS.delete(turn.draft, root)
    for before in record.draft.references:
        records.FOLLOWERS.delete(turn.draft, before + root)
        ended = records.ALERTS.get(turn.draft, before)
        if ended is not None and ended.ended == root:
            records.ALERTS.put(turn.draft, before, replace(ended, ended=b""))


# --- answers ---


def answered(turn: Turn, ack: Ack, device: bytes, channel: bytes, seq: int, time: int) -> None:
    """A device's answer; the newest counts. The ack names an alert's root, or the header hash of a message that asked.

    Raises:
        NotPermitted: an option that the alert does not have, or an alert that did not come to this channel.
        BadSignature, Malformed: words that are not those which were signed.
    """
    alert = records.ALERTS.get(turn.draft, ack.root)
    if alert is not None and ack.option and ack.option not in alert.draft.options:
        raise NotPermitted(f"that alert has no option {ack.option}")
    if alert is not None and all(c != channel for c, _ in alert.places):
        raise NotPermitted("that alert did not come to this channel")
    known = records.ANSWERS.get(turn.draft, ack.root + device)
    text = _opened(turn, ack, device) or (known.text if known else "")
    chosen = ack.option or (known.option if known else 0)  # to say more takes no choice back
    records.ANSWERS.put(turn.draft, ack.root + device, Answer(channel, seq, chosen, time, text))
    turn.events.append(Moved(ack.root))


def _opened(turn: Turn, ack: Ack, device: bytes) -> str:
    """The words to an answer, where they are for this device. Raises BadSignature, Malformed: they are not what was signed."""
    if ack.words is None:
        return ""
    for _, seed in records.SEEDS.scan(turn.draft):
        try:
            return open_words(ack.words, SigningKey(seed.seed), ack.root, device)
        except NotTrusted:
            continue
    return ""


def words(turn: Turn, root: bytes, device: bytes, text: str, channel: bytes, time: int) -> None:
    """Free words to a message's acknowledgement; they may come before it does. An alert's are in the answer itself."""
    if records.NAMES.get(turn.draft, root) is None or records.ALERTS.get(turn.draft, root) is not None:
        return
    known = records.ANSWERS.get(turn.draft, root + device)
    if known is not None:
        records.ANSWERS.put(turn.draft, root + device, replace(known, text=text))
    else:
        records.ANSWERS.put(turn.draft, root + device, Answer(channel, 0, 0, time, text))


def answers(view: View, root: bytes) -> list[tuple[bytes, Answer]]:
    """(device, answer) of those who answered."""
    return [(key[32:], answer) for key, answer in records.ANSWERS.scan(view, root) if answer.seq]


def is_answered(view: View, root: bytes, device: bytes) -> bool:
    """Whether a device has answered an alert: with one of the answers that it offers, if it offers any."""
    answer, alert = records.ANSWERS.get(view, root + device), records.ALERTS.get(view, root)
    return answer is not None and (bool(answer.option) or alert is None or not alert.options)


def option_text(alert: Alert, option: int) -> str:
    """What an option's number means; empty for a plain acknowledgement, and for a number that means nothing."""
    try:
        texts = open_alert(alert.cap).response_options
    except CapRefused:
        return ""
    return dict(zip(alert.options, texts, strict=False)).get(option, "")


def option_texts(alert: Alert, option: int) -> set[str]:
    """What an option's number is called, in each language that the alert speaks."""
    try:
        infos = open_alert(alert.cap).infos
    except CapRefused:
        return set()
    offered = [dict(zip(alert.options, info.response_options, strict=False)) for info in infos]
    return {texts[option] for texts in offered if option in texts}


def freezes_play(view: View, play: Alert, now: int) -> str:
    """Why an exercise stands still, in words; empty while it goes on. A real alert that holds freezes all play; the stop word
    freezes what was written before it, so play is resumed by another alert of the exercise."""
    for root, record in records.ALERTS.scan(view):
        if not record.draft.exercise and not record.draft.type.ends and standing(view, root, now).holds:
            return f"a real alert holds, see {root.hex()[:8]}"
    if any(not emergency.ended for _, emergency in records.EMERGENCIES.scan(view)):
        return "somebody has called for help: see `outrider alert list`"
    stopped = records.COUNTERS.get(view, _STOPPED)
    return f"{STOP_WORD} was said" if stopped is not None and stopped.value > play.writer.time else ""


def heard(turn: Turn, text: str, placed: int) -> None:
    """A message was said: the stop word in it, by whomever, is never play."""
    if STOP_WORD in " ".join(text.upper().split()):
        known = records.COUNTERS.get(turn.draft, _STOPPED)
        records.COUNTERS.put(turn.draft, _STOPPED, Counter(max(placed, known.value if known else 0)))


def jump_reason(salt: bytes, text: str) -> bytes:
    """What a JUMP says of its reason."""
    return sha256(b"Outrider 1 jump reason" + salt + text.encode()).digest()
