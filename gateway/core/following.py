"""Which streams a device follows, from where, and what of the sparse ones concerns it.

| stream | who is sent what |
|---|---|
| channel | every member everything, from the commit that added it to the one that removed it |
| control channel | charters and revocation lists everyone; certificates, the gateway's acts and disclosures officers, auditors and  |
|                 | registrars; tombstones by order of two people also the channel's members; requests for a disclosure and votes   |
|                 | also whoever could make it; what is announced of alerts, and what their ladders do, the mission's own who write |
|                 | or approve alerts |
| unlock stream   | the mission's own who write or approve alerts |
| receipt stream | a receipt those whose envelopes it covers, and the officers among the members of its author's organisation; an |
|                 | answer to an alert the officers among the members |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Final

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused, denied
from gateway.core.feed import Feed
from gateway.core.recipient import Audience, Recipient
from gateway.core.rows import Identity, Member, Stored, Stream, StreamKind
from gateway.core.view import View
from gateway.wire import Refusal
from keys.body import read_ack, read_receipt
from keys.charter import Charter
from keys.disclosure import read_vote
from keys.emergency import read_case
from keys.envelope import Heard, Kind
from keys.errors import Malformed
from keys.identity import ChannelId, receipt_stream
from keys.policy import Verb
from keys.retention import Rule, read_tombstone

_EVERYONE: Final = frozenset({Kind.CHARTER, Kind.REVOCATION_LIST})
_DIRECTORY: Final = frozenset(
    {Kind.CERTIFICATE, Kind.GATEWAY_ACT, Kind.DISCLOSURE, Kind.DESTRUCTION, Kind.AUDITOR_READ}
)
_ALERTING: Final = frozenset(
    {Kind.APPROVAL, Kind.REFUSED_ATTEMPT, Kind.ESCALATION, Kind.JUMP, Kind.REVIEW, Kind.UNLOCK, Kind.WITHHELD}
)


@dataclass(frozen=True, slots=True)
class Following:
    """The answer to Follow: the session's feed, and the frames to say first."""

    feed: Feed
    channels: wire.Channels
    joined: tuple[wire.Joined, ...]


def recipient_of(who: Identity, charter: Charter, window: int = wire.WINDOW_MOST) -> Recipient:
    """A device as delivery sees it under this charter; `window` as it has asked for."""
    directory = bool(charter.policy.verbs(who.roles) & {Verb.DIRECTORY, Verb.AUDIT})
    verbs = charter.policy.verbs(who.roles) & {Verb.ALERT, Verb.APPROVE_ALERT}
    alerting = bool(verbs) and who.organisation == charter.policy.home.name and not who.registrar
    return Recipient(who.device, who.organisation, directory, who.registrar, alerting, window)


def follow(view: View, who: Identity, charter: Charter, frame: wire.Follow) -> Following:
    """Start delivery: each channel from the position named, or from where the device joined it.

    Positions of what the device may not follow are passed over, so that nobody learns by naming them.
    """
    positions = {p.channel: p.seq for p in frame.positions}
    feed = Feed(recipient_of(who, charter, frame.window))
    states: list[wire.ChannelState] = []
    joined: list[wire.Joined] = []
    for member in view.memberships(who.device):
        stream = view.stream(member.channel)
        assert stream is not None  # a membership is of a channel
        start = positions.get(member.channel, 0)
        if start < member.since and member.welcome:  # even if it is out again: only so does it hear of that
            joined.append(joined_frame(member))
        follow_channel(feed, view, stream, member, positions)
        if not member.left:
            states.append(wire.ChannelState(stream.id, stream.epoch, stream.seq, member.since, stream.rolling))
    control = charter.control_channel
    feed.follow(control, positions.get(control, 0), _seq(view, control), dense=False)
    if feed.recipient.alerting:
        unlocks = charter.unlock_stream
        feed.follow(unlocks, positions.get(unlocks, 0), _seq(view, unlocks), dense=False)
    return Following(feed, wire.Channels(frame.id, states[: limits.LISTED]), tuple(joined))


def follow_channel(feed: Feed, view: View, stream: Stream, member: Member, positions: dict[bytes, int]) -> None:
    """Put a channel and its receipt stream into the feed; the receipts end with the membership."""
    start = max(positions.get(member.channel, 0), member.since)
    feed.follow(stream.id, start, stream.seq, dense=True, until=member.left)
    if member.left:
        return
    receipts = receipt_stream(stream.id)
    feed.follow(receipts, positions.get(receipts, 0), _seq(view, receipts), dense=False)


def joined_frame(member: Member) -> wire.Joined:
    """What tells a device that it was added, and by which Welcome."""
    heard = Heard(member.since, member.rolling)
    return wire.Joined(member.channel, member.since, member.epoch, member.welcome, member.welcome_length, heard)


def _seq(view: View, channel: bytes) -> int:
    stream = view.stream(channel)
    return stream.seq if stream else 0


def fetch(view: View, who: Identity, charter: Charter, frame: wire.Fetch) -> Sequence[Stored]:
    """A gap of a stream, again: what of it this device may have, by seq.

    Raises:
        Refused: LIMIT for more than a window at once; DENIED where it follows no such stream.
    """
    if frame.last - frame.first >= limits.FETCHED:
        raise Refused(Refusal.LIMIT, f"at most {limits.FETCHED} at once")
    first, last = frame.first, frame.last
    if frame.channel not in charter.control_streams:
        inside = view.member(frame.channel, who.device)
        member = inside or view.member_beside(frame.channel, who.device)
        if member is None or (member.left and not inside):
            raise denied()  # before it is looked for: who is not in hears this by the same steps whether it is there or not
        first = max(first, member.since + 1) if inside else first
        last = min(last, member.left) if member.left else last
    stream = view.stream(frame.channel)
    if stream is None:
        raise denied()
    recipient = recipient_of(who, charter)
    if last < first:
        return ()
    rows = [row for row in view.envelopes(stream.id, first - 1, last - first + 1) if row.seq <= last]
    if stream.kind is StreamKind.CHANNEL:
        return rows
    return [r for r in rows if r.device == recipient.device or audience(view, stream, r).includes(recipient)]


def audience(view: View, stream: Stream, stored: Stored) -> Audience:
    """Whom an envelope of a sparse stream concerns. That of an ACK is the same for all of one root: who gave it is not in it."""
    if stream.kind is StreamKind.RECEIPTS:
        return _receipt_audience(view, stream, stored)
    if stored.kind in _EVERYONE:
        return Audience(everyone=True)
    if stored.kind is Kind.TOMBSTONE:
        return Audience(directory=True, devices=frozenset({stored.device, *_bereaved(view, stored)}))
    if stored.kind in (Kind.DISCLOSURE_REQUEST, Kind.DISCLOSURE_VOTE):
        return Audience(directory=True, devices=frozenset({stored.device, *_participants(view, stored)}))
    return Audience(
        directory=stored.kind in _DIRECTORY, devices=frozenset({stored.device}), alerting=stored.kind in _ALERTING
    )


def _bereaved(view: View, stored: Stored) -> frozenset[bytes]:
    """Who was sent messages that two people have ordered to be destroyed, or was to be: they destroy them too, those who have left since as well,
    and nobody else learns of it. What goes by rule each device judges for itself."""
    stone = read_tombstone(stored.body or b"")
    if stone.rule is not Rule.ORDERED:
        return frozenset()
    return frozenset(
        device for span in stone.spans for device in view.present_between(stone.channel, span.first, span.last)
    )


def _participants(view: View, stored: Stored) -> frozenset[bytes]:
    """Devices of the mission's own that are in the channel and were when the message asked for was sent."""
    charter = view.charter()
    if stored.kind is Kind.DISCLOSURE_REQUEST:
        request = sha256(stored.header).digest()
    else:
        request = read_vote(stored.body or b"").request
    row = view.disclosure(request)
    if row is None or charter is None:
        return frozenset()
    home = charter.policy.home.name
    found = [(m.device, view.certificate(m.certificate)) for m in view.members(row.channel) if m.since < row.seq]
    return frozenset(device for device, row in found if row is not None and row.organisation == home)


def _asking(view: View, stored: Stored) -> frozenset[bytes]:
    """Who raised the SOS, or keeps the plan, that this answers: they are to know that somebody has it in hand."""
    try:
        row = view.alert(read_ack(stored.body or b"").root)
    except Malformed:  # destroyed by rule
        return frozenset()
    return frozenset({read_case(row.emergency).device}) if row is not None and row.emergency else frozenset()


def _receipt_audience(view: View, stream: Stream, stored: Stored) -> Audience:
    if stored.kind is Kind.ACK:
        return Audience(directory=True, alerting=True, devices=_asking(view, stored))
    try:
        receipt = read_receipt(stored.body or b"")
    except Malformed:  # destroyed by rule
        return Audience(devices=frozenset({stored.device}))
    devices: set[bytes] = {stored.device}
    ranges = {(part.first, part.last) for part in chain(receipt.received, receipt.decrypted, receipt.shown)}
    for first, last in ranges:
        devices |= view.authors(ChannelId(stream.parent), first, last)
    author = view.member(stream.parent, stored.device)
    row = view.certificate(author.certificate) if author else None
    return Audience(officers_of=row.organisation if row else None, devices=frozenset(devices))
