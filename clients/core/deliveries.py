"""From deliveries to history: every stream's inbox is drained as far as it goes.

Channels in order, with what overtakes taken ahead; the control channel and the receipt streams are sparse and taken as they
come. What a run still needs (a long body, a certificate) is asked for, and the drain goes on when it is there.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from clients.core import announcements, changes, disclosures, outbox, receipts, records, retention, unlocks
from clients.core import trust as trusted
from clients.core.commits import Wanting
from clients.core.errands import Errand
from clients.core.groups import epoch_at
from clients.core.ledger import at
from clients.core.opening import Arrived
from clients.core.outbox import stream_of_receipts
from clients.core.receive import Receiver
from clients.core.records import AlarmKind, Channel, Counter, Fetched
from clients.core.session import Session
from clients.core.timeline import NARROW_PATIENCE, Inbox, claim
from clients.core.turn import Turn
from gateway import wire
from keys.body import Act, read_gateway_act
from keys.envelope import Kind, Precedence, verify_run
from keys.errors import KeysError

DAY: Final = 86_400_000  # ms
RECEIPT_AFTER: Final = 700  # ms that receipts are collected; jittered up to twice that
RECEIPT_SOON: Final = 50  # ms, after what is urgent
WITHHELD_AFTER: Final = 10_000  # ms that others may be ahead of this device while it is connected


def know_channels(s: Session, turn: Turn) -> None:
    """Which channels there are, and which stream stands beside each."""
    s.beside = {stream_of_receipts(channel): channel for channel in turn.channel_ids()}


def in_order(s: Session) -> list[bytes]:
    """The streams that something came in: what stands beside a channel after it."""
    return sorted(s.inboxes, key=s.beside.__contains__)


def drain(s: Session, turn: Turn, stream: bytes) -> None:
    inbox = s.inboxes.get(stream)
    if inbox is None or (not inbox.waiting and records.CHANNELS.get(turn.draft, stream) is None):
        return  # sparse, and nothing has come
    if stream == turn.charter.control_channel:
        _drain_sparse(s, turn, stream, inbox, _take_control)
    elif stream == turn.charter.unlock_stream:
        _drain_sparse(s, turn, stream, inbox, _take_unlock)
    elif records.CHANNELS.get(turn.draft, stream) is not None:
        _drain_channel(s, turn, stream, inbox)
    elif stream in s.beside:
        _drain_sparse(s, turn, stream, inbox, _take_receipt)


def take_urgent(s: Session, turn: Turn, channel: bytes) -> None:
    """What has overtaken is opened before anything is asked for that can wait: of an alert, its body."""
    inbox = s.inboxes.get(channel)
    if inbox is None or records.CHANNELS.get(turn.draft, channel) is None:
        return
    try:
        _ahead(s, turn, channel, inbox, Receiver(turn, s.trust, s.groups, s.given_up, s.doubted))
    except Wanting as wanting:
        s.wanted.update(wanting.certificates)


def _drain_sparse(
    s: Session, turn: Turn, stream: bytes, inbox: Inbox, take: Callable[[Session, Turn, wire.Placed, bytes], bool]
) -> None:
    position = records.POSITIONS.get(turn.draft, stream) or Counter(0)
    for seq in sorted(inbox.waiting):
        placed = inbox.waiting[seq]
        if seq > position.value:
            if stream == turn.charter.control_channel and s.newest_charter > s.charter.policy.version:
                return  # what follows a charter in the log is read by it: first it is fetched
            mine = (c := claim(placed)) is not None and c.context.device == turn.me.device
            body = b"" if mine else _body(s, turn, placed)
            if body is None and not _hopeless_body(s, c.header.body_hash if c else b""):
                return
            if not take(s, turn, placed, body or b""):
                return
            position = Counter(seq)
            records.POSITIONS.put(turn.draft, stream, position)
        inbox.done([seq])


def _drain_channel(s: Session, turn: Turn, channel: bytes, inbox: Inbox) -> None:
    receiver = Receiver(turn, s.trust, s.groups, s.given_up, s.doubted)
    try:
        _in_order(s, turn, channel, inbox, receiver)
        _ahead(s, turn, channel, inbox, receiver)
    except Wanting as wanting:
        s.wanted.update(wanting.certificates)
        return
    state = records.CHANNELS.get(turn.draft, channel)
    if state is None or state.left:
        return
    receipts.settle_claims(turn, channel, state)
    if s.listed and s.narrow:
        receipts.withheld(turn, channel, state, NARROW_PATIENCE, s.came_at)  # as long as anything comes, this still may
    elif s.listed:
        receipts.withheld(turn, channel, state, WITHHELD_AFTER)
    if records.JOINING.get(turn.draft, channel) is not None:
        return  # let in again: what lies before that is not for it
    gap = inbox.missing(state.seq, turn.now, narrow=s.narrow) if inbox.waiting else None
    if gap is not None and not inbox.asked:
        s.send(Errand("fetch", channel), lambda i: wire.Fetch(i, channel, gap[0], gap[1]))


def _in_order(s: Session, turn: Turn, channel: bytes, inbox: Inbox, receiver: Receiver) -> None:
    while True:
        state = records.CHANNELS.get(turn.draft, channel)
        assert state is not None
        _old(turn, channel, inbox, state)
        following = at(channel, state.seq + 1)
        if records.AHEAD.get(turn.draft, following) is not None:
            receiver.catch_up(channel, state.seq + 1)
            inbox.done([state.seq + 1])
            continue
        run = inbox.next_run(state.seq)
        arrived = _with_bodies(s, turn, run) if run else None
        if run is None or arrived is None:
            return
        _receive(s, turn, channel, receiver, arrived, ahead=False)
        inbox.done([p.place.seq for p in run])
        inbox.asked, inbox.gap_since = False, 0
        _receipt_soon(s, turn, channel, run)


def _receive(
    s: Session, turn: Turn, channel: bytes, receiver: Receiver, arrived: Sequence[Arrived], *, ahead: bool
) -> None:
    before = records.CHANNELS.get(turn.draft, channel)
    receiver.run(channel, arrived, ahead=ahead)
    after = records.CHANNELS.get(turn.draft, channel)
    if before is not None and after is not None and before.epoch != after.epoch:
        s.quiet.pop(channel, None)  # a commit that was refused by word has lost now, and is told so by signature


def _old(turn: Turn, channel: bytes, inbox: Inbox, state: Channel) -> None:
    """What was processed before and comes again has to be the same as before."""
    for seq in [s for s in inbox.waiting if s <= state.seq]:
        placed = inbox.waiting[seq]
        line = records.LINES.get(turn.draft, at(channel, seq))
        if line is not None and line.header and (line.header, line.index) != (placed.header, placed.place.index):
            turn.alarm(
                AlarmKind.RENUMBERED,
                "this place was given to another envelope before",
                channel=channel,
                seq=seq,
                device=c.context.device if (c := claim(placed)) else b"",
            )
        inbox.done([seq])


def _ahead(s: Session, turn: Turn, channel: bytes, inbox: Inbox, receiver: Receiver) -> None:
    """FLASH first: processed and shown while older envelopes are still to come."""
    state = records.CHANNELS.get(turn.draft, channel)
    if state is None or state.halted or state.left:
        return
    jumped = inbox.jumped(turn.draft, channel, state.seq + 1)
    if jumped:
        _announce(s, turn, channel, state, max(state.head, *inbox.waiting))
    for placed in jumped:
        known = claim(placed)
        current = records.CHANNELS.get(turn.draft, channel)
        if known is None or current is None or known.context.epoch > current.epoch:
            return
        if known.context.kind is Kind.COMMIT and known.context.epoch != current.epoch:
            continue
        arrived = _with_bodies(s, turn, [placed])
        if arrived is None:
            return
        _receive(s, turn, channel, receiver, arrived, ahead=True)
        _receipt_soon(s, turn, channel, [placed])


def _announce(s: Session, turn: Turn, channel: bytes, state: Channel, head: int) -> None:
    """What is overtaken was announced and still comes: MLS keeps its keys until then, or until nobody has it any more."""
    group, behind = s.groups.get(turn.draft, channel), head - state.seq
    if group is not None and (group.backlog is None or group.backlog.messages < behind):
        kept_for = turn.charter.policy.channel_class(state.channel_class).retention_days * DAY
        s.groups.put(channel, group.announce(behind, until_seconds=(turn.now + kept_for) // 1000))


def let_go(s: Session, turn: Turn, channel: bytes) -> None:
    """Keys of what has come, and of epochs long over, are destroyed, be it quiet or not.

    As long as something is announced the gateway's times alone count, by which `process` judges: a device that was away
    reads what was in time when it was sent.
    """
    state = records.CHANNELS.get(turn.draft, channel)
    group = None if state is None or state.left else s.groups.get(turn.draft, channel)
    if state is None or group is None:
        return
    after, until = group, group.keeps_until()
    if s.listed and state.seq >= state.head:
        if group.backlog is not None:
            after = group.drained(now_seconds=turn.now // 1000)
        elif until is not None and turn.reached((until + 1) * 1000):
            after = group.expire(turn.now // 1000)
    elif group.backlog is not None:
        present, _ = epoch_at(turn, channel, state.seq + 1)
        if present - 1 > group.backlog.first_epoch:  # of the epoch before, something may come late
            after = group.drained(before=present - 1, now_seconds=None)
    if after is not group:
        s.groups.put(channel, after)


def _with_bodies(s: Session, turn: Turn, run: Sequence[wire.Placed]) -> list[Arrived] | None:
    """The run with its bodies; None while a long one is being fetched."""
    arrived = []
    for placed in run:
        known = claim(placed)
        if known is not None and known.context.device == turn.me.device:
            arrived.append(Arrived(placed, None))
            continue
        body = _body(s, turn, placed)
        if body is None and not _hopeless_body(s, known.header.body_hash if known else b""):
            return None
        arrived.append(Arrived(placed, body))
    return arrived


def _hopeless_body(s: Session, body_hash: bytes) -> bool:
    return body_hash in s.given_up or not body_hash


def _body(s: Session, turn: Turn, placed: wire.Placed) -> bytes | None:
    """A delivered envelope's body; a long one is fetched in chunks."""
    if placed.body is not None:
        return placed.body
    known = claim(placed)
    if known is None or known.header.body_length == 0:
        return b""
    return blob(s, turn, known.header.body_hash, known.header.body_length)


def blob(s: Session, turn: Turn, blob: bytes, length: int) -> bytes | None:
    held = records.FETCHED.get(turn.draft, blob) or Fetched(length, b"")
    if held.whole:
        return held.data
    if blob not in s.given_up:
        offset = len(held.data)
        s.send(Errand("body", blob, length), lambda i: wire.GetBody(i, blob, offset, s.piece))
    return None


def _take_control(s: Session, turn: Turn, placed: wire.Placed, body: bytes) -> bool:
    """The mission's own stream: charters, revocation lists, and for officers certificates. False where one is to be fetched first."""
    try:
        _control(s, turn, placed, body)
    except Wanting as wanting:
        s.wanted.update(wanting.certificates)
        return False
    return True


def _control(s: Session, turn: Turn, placed: wire.Placed, body: bytes) -> None:
    known = claim(placed)
    if known is None or known.context.channel != placed.channel:
        turn.alarm(AlarmKind.MISDIRECTED, "no envelope of the control channel", seq=placed.place.seq)
        return
    kind = known.context.kind
    if known.context.device == turn.me.device:
        _own_control(s, turn, placed)
    elif kind is Kind.REVOCATION_LIST:
        trusted.absorb_revocations(turn, placed)
    elif kind is Kind.CERTIFICATE:
        trusted.absorb(turn, s.trust, [placed])
    elif kind is Kind.CHARTER and all(body != note.data for _, note in records.CHARTERS.scan(turn.draft)):
        s.newest_charter = max(s.newest_charter, s.charter.policy.version + 1)
    elif kind in announcements.KINDS:
        announcements.take(s.work(turn), placed, known, body)
    elif kind in disclosures.KINDS:
        disclosures.take(s.work(turn), placed, known, body)
    elif kind in retention.KINDS:
        retention.take(s.work(turn), placed, known, body)
    elif kind in (Kind.GATEWAY_ACT, Kind.AUDITOR_READ):
        try:
            verify_run([known], turn.charter.policy.gateway_key)
        except KeysError as error:
            turn.alarm(AlarmKind.FORGED, f"an act in the gateway's name: {error}", seq=placed.place.seq)
        else:
            _gateway_acted(turn, placed, kind, body)


def _gateway_acted(turn: Turn, placed: wire.Placed, kind: Kind, body: bytes) -> None:
    """What officers are to know of the gateway's own doings; acts of a newer version say nothing here."""
    with suppress(KeysError):
        if kind is Kind.GATEWAY_ACT and (act := read_gateway_act(body)).act is Act.WITNESSES:
            turn.alarm(AlarmKind.WITNESSES, act.detail, seq=placed.place.seq)


def _own_control(s: Session, turn: Turn, placed: wire.Placed) -> None:
    """This device's own envelope in a sparse stream has its place, whether or not the acceptance has come."""
    for key, item in outbox.queued(turn.draft, placed.channel):
        if item.header == placed.header:
            changes.own_accepted(s.work(turn), placed.channel, [(key, item)], [placed.place])


def _take_receipt(s: Session, turn: Turn, placed: wire.Placed, body: bytes) -> bool:
    """What stands beside a channel; false where the channel itself has to be read further first."""
    known, channel = claim(placed), s.beside[placed.channel]
    if known is not None and known.context.device == turn.me.device:
        _own_control(s, turn, placed)
        return True
    place = (placed.channel, placed.place.seq)
    if receipts.take_envelope(turn, s.trust, channel, placed, body):
        s.doubted.pop(place, None)
        return True
    since = s.doubted.setdefault(place, turn.now)
    patience = max(since + WITHHELD_AFTER, s.came_at + NARROW_PATIENCE if s.narrow else 0)
    if s.listed and turn.reached(patience):
        what = "its author has read more of the channel than comes here, and may have another key since"
        device = known.context.device if known else b""
        turn.alarm(AlarmKind.WITHHELD, what, channel=placed.channel, seq=placed.place.seq, device=device)
    return False


def _take_unlock(s: Session, turn: Turn, placed: wire.Placed, body: bytes) -> bool:
    return unlocks.take(turn, s.trust, placed, claim(placed), body)


def _receipt_soon(s: Session, turn: Turn, channel: bytes, run: Sequence[wire.Placed]) -> None:
    soon = any((c := claim(p)) and c.context.precedence <= Precedence.IMMEDIATE for p in run)
    jitter = int.from_bytes(turn.random(2), "big") % RECEIPT_AFTER
    when = turn.now + (RECEIPT_SOON if soon else RECEIPT_AFTER + jitter)
    s.receipt_at[channel] = min(when, s.receipt_at.get(channel, when))


def still_missing(s: Session, turn: Turn, channel: bytes) -> None:
    """A gap was fetched: what still does not come is named."""
    inbox = s.inboxes.get(channel)
    if inbox is None:
        return
    drain(s, turn, channel)
    state = records.CHANNELS.get(turn.draft, channel)
    beyond = [s for s in inbox.waiting if state and s > state.seq + 1]
    if state is None or not beyond or state.seq + 1 in inbox.waiting:
        return
    inbox.asked = True
    first = min(beyond)
    after = claim(inbox.waiting[first])
    turn.alarm(
        AlarmKind.GAP,
        f"seq {state.seq + 1} to {first - 1} are not delivered",
        channel=channel,
        seq=state.seq + 1,
        device=after.context.device if after else b"",
    )
