"""Alerts: one act for several channels, and who answered what.

An alert is composed once. Its **root** is a hash over salted leaves: one for what all audiences share (alert id, the CAP
document, what the answers mean, the reason, until when, who sent it), and one for each target channel. Each channel's
content opens the shared leaf and its own; the others stay hashes, so a guest can check that what it reads is the alert that
the root names without learning who else was alerted. Acks name the root.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core.cap import Alert as CapAlert
from clients.core.cap import CapRefused, open_alert
from clients.core.content import AlertContent
from clients.core.ledger import View
from clients.core.records import Alert, Answer
from clients.core.turn import HOUR, Moved, Turn
from keys.canonical import encode
from keys.envelope import AlertFields, Precedence
from keys.errors import BadSignature

LASTS: Final = 12 * HOUR  # an alert whose document names no end


def _shared_leaf(content: AlertContent, issuer: bytes) -> bytes:
    fields = [
        content.alert,
        sha256(content.cap).digest(),
        list(content.options),
        content.reason,
        content.not_after,
        issuer,
    ]
    return sha256(b"Outrider 1 alert fields" + content.salt + encode(fields)).digest()


def _channel_leaf(salt: bytes, channel: bytes) -> bytes:
    return sha256(b"Outrider 1 alert channel" + salt + channel).digest()


def root_of(content: AlertContent, issuer: bytes, channel: bytes) -> bytes:
    """The root that a content opens for a channel.

    Raises:
        BadSignature: this channel is not among its leaves, or they are not in their one order.
    """
    if _channel_leaf(content.leaf_salt, channel) not in content.leaves or sorted(set(content.leaves)) != content.leaves:
        raise BadSignature("this alert was not made for this channel")
    return sha256(b"Outrider 1 alert root" + encode([_shared_leaf(content, issuer), list(content.leaves)])).digest()


@dataclass(frozen=True, slots=True)
class Composed:
    """An alert ready to be sealed: its header fields, and the content for each channel."""

    fields: AlertFields
    contents: tuple[tuple[bytes, AlertContent], ...]
    cap: CapAlert
    precedence: Precedence


def compose_alone(turn: Turn, cap: bytes, channels: Sequence[bytes], reason: str) -> Composed:
    """One officer's alert. Raises CapRefused when the document is none."""
    document = open_alert(cap)
    ends = [info.expires_at for info in document.infos if info.expires_at is not None]
    not_after = max(ends) if ends else turn.now + LASTS
    numbers = _numbers(turn, len(document.response_options))
    alert, salt = turn.random(16), turn.random(16)
    salts = {channel: turn.random(16) for channel in channels}
    leaves = sorted(_channel_leaf(s, c) for c, s in salts.items())
    contents = tuple(
        (c, AlertContent(alert, cap, numbers, reason, not_after, salt, s, leaves)) for c, s in salts.items()
    )
    root = root_of(contents[0][1], turn.me.device, contents[0][0])
    flash = Precedence.FLASH if document.precedence_is_flash else Precedence.IMMEDIATE
    return Composed(AlertFields(alert, root, alone=True, not_after=not_after), contents, document, flash)


def _numbers(turn: Turn, count: int) -> list[int]:
    """Different numbers from 1 to 255 in an order that tells nothing."""
    left = list(range(1, 256))
    return [left.pop(int.from_bytes(turn.random(8), "big") % len(left)) for _ in range(count)]


def sent(turn: Turn, composed: Composed, targets: Sequence[bytes]) -> None:
    """Remember an alert of this device's own, before it leaves."""
    content = composed.contents[0][1]
    places = [(channel, 0) for channel, _ in composed.contents]
    record = Alert(
        content.alert,
        content.cap,
        list(content.options),
        content.reason,
        content.not_after,
        turn.me.device,
        mine=True,
        time=turn.now,
        places=places,
        targets=list(targets),
    )
    records.ALERTS.put(turn.draft, composed.fields.root, record)


def placed(turn: Turn, root: bytes, channel: bytes, seq: int) -> None:
    """An alert of this device's own got its place in one of its channels."""
    record = records.ALERTS.get(turn.draft, root)
    if record is not None:
        places = [(c, seq if c == channel else s) for c, s in record.places]
        records.ALERTS.put(turn.draft, root, replace(record, places=places))


def take(turn: Turn, content: AlertContent, fields: AlertFields, issuer: bytes, channel: bytes, seq: int) -> CapAlert:
    """An alert that was received and decrypted.

    Raises:
        BadSignature: header and content speak of different alerts, or it was made for other channels.
        CapRefused: it is no alert.
    """
    if (content.alert, content.not_after) != (fields.alert, fields.not_after):
        raise BadSignature("header and content speak of different alerts")
    if root_of(content, issuer, channel) != fields.root:
        raise BadSignature("this content is not the one that the alert's root names")
    document = open_alert(content.cap)
    known = records.ALERTS.get(turn.draft, fields.root)
    places = [*known.places, (channel, seq)] if known else [(channel, seq)]
    record = Alert(
        content.alert,
        content.cap,
        list(content.options),
        content.reason,
        content.not_after,
        issuer,
        mine=False,
        time=turn.now,
        places=sorted(set(places)),
        targets=[],
    )
    records.ALERTS.put(turn.draft, fields.root, record)
    return document


def answered(turn: Turn, root: bytes, device: bytes, option: int, channel: bytes, seq: int, time: int) -> None:
    """A device's answer; the newest counts. `root` is an alert's, or the header hash of a message that asked."""
    known = records.ANSWERS.get(turn.draft, root + device)
    text = known.text if known else ""
    records.ANSWERS.put(turn.draft, root + device, Answer(channel, seq, option, time, text))
    turn.events.append(Moved(root))


def words(turn: Turn, root: bytes, device: bytes, text: str, channel: bytes, time: int) -> None:
    """Free words to an answer; they may come before the answer itself."""
    known = records.ANSWERS.get(turn.draft, root + device)
    if known is not None:
        records.ANSWERS.put(turn.draft, root + device, replace(known, text=text))
    else:
        records.ANSWERS.put(turn.draft, root + device, Answer(channel, 0, 0, time, text))


def answers(view: View, root: bytes) -> list[tuple[bytes, Answer]]:
    """(device, answer) of those who answered."""
    return [(key[32:], answer) for key, answer in records.ANSWERS.scan(view, root) if answer.seq]


def option_text(alert: Alert, option: int) -> str:
    """What an option's number means; empty for a plain acknowledgement, and for a number that means nothing."""
    try:
        texts = open_alert(alert.cap).response_options
    except CapRefused:
        return ""
    return dict(zip(alert.options, texts, strict=False)).get(option, "")
