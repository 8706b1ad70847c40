"""What leaves: receipts when they are due, long bodies in chunks, runs of the outbox, KeyPackages, cursors.

Sealing gives numbers, so it comes last: only when a run can go at once. A stream of which a run is on its way waits for the
answer; the others go on.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from clients.core import deliveries, evidence, gossip, outbox, packages, receipts, records, roster, settling
from clients.core import trust as trusted
from clients.core.errands import Errand
from clients.core.groups import epoch_at, seat_of
from clients.core.outbox import stream_of_receipts
from clients.core.records import AlarmKind, Channel, Item
from clients.core.session import Session
from clients.core.turn import Turn
from gateway import wire
from keys.body import read_resync_approval
from keys.envelope import ENCRYPTED, Kind, Precedence

NEVER_HELD: Final = frozenset({Kind.ALERT, Kind.SOS, Kind.CHECK_IN})
"""Content that goes out however old the revocation list is."""
CURSOR_DELIVERIES: Final = 256
CURSOR_BYTES: Final = wire.WINDOW_MOST // 4
TOO_LATE: Final = "its own end had passed before it could be sent: send it again with a later one"
_NOWHERE: Final = wire.Place(1, 0, 0, bytes(16))


def give_receipts(s: Session, turn: Turn, channel: bytes) -> None:
    """One receipt for a channel at a time, collected for a moment; at once when the shell is about to end."""
    state, given = records.CHANNELS.get(turn.draft, channel), records.GIVEN.get(turn.draft, channel)
    if state is None or state.left:
        s.receipt_at.pop(channel, None)
        return
    when = s.receipt_at.get(channel)
    if when is None and given is not None and any(seq <= state.seq for seq in given.shown):
        when = s.receipt_at[channel] = turn.now + deliveries.RECEIPT_AFTER
    if when is None or not (s.flush or turn.reached(when)):
        return
    if outbox.queued(turn.draft, stream_of_receipts(channel)):
        return
    del s.receipt_at[channel]
    if receipts.due(turn.draft, channel, state):
        receipts.give(turn, s.trust, channel, state)


def put_uploads(s: Session, turn: Turn) -> None:
    for blob, note in records.BLOBS.scan(turn.draft):
        _put(s, blob, note.data)
    if s.narrow:
        for _, item in outbox.queued(turn.draft):
            if s.piece < len(item.body) <= wire.CHUNK:  # longer ones are among the blobs
                _put(s, sha256(item.body).digest(), item.body)


def _put(s: Session, blob: bytes, data: bytes) -> None:
    held = s.held.get(blob)
    if held == len(data):
        return
    offset = held or 0
    chunk = b"" if held is None and len(data) > s.piece else data[offset : offset + s.piece]
    put = wire.PutChunk(0, blob, len(data), offset, chunk)
    s.send(Errand("upload", blob), lambda i: replace(put, id=i))


def submit_urgent(s: Session, turn: Turn) -> None:
    """What is urgent is handed over before anything else is put or asked; a run that is still being put makes way for it."""
    waiting = [item for _, item in outbox.queued(turn.draft) if item.precedence <= Precedence.IMMEDIATE]
    for stream in dict.fromkeys(item.stream for item in sorted(waiting, key=lambda item: item.precedence)):
        items = outbox.queued(turn.draft, stream)
        sealed = outbox.sealed_run(items)
        most = min(item.precedence for _, item in items)
        if sealed and sealed[0][1].run in s.unsubmitted and min(item.precedence for _, item in sealed) > most:
            settling.withdraw(turn, sealed)
        submit_runs(s, turn, (stream,))
        for _, item in outbox.sealed_run(outbox.queued(turn.draft, stream)):
            if len(item.body) > s.piece:
                _put(s, sha256(item.body).digest(), item.body)


def submit_runs(s: Session, turn: Turn, only: Sequence[bytes] = ()) -> None:
    waiting: dict[bytes, list[tuple[bytes, Item]]] = {}
    for key, item in outbox.queued(turn.draft):
        waiting.setdefault(item.stream, []).append((key, item))
    for stream in only or waiting:
        if s.errands.covers("submit", stream) or not turn.reached(s.quiet.get(stream, 0)):
            continue
        channel = s.beside.get(stream, stream)
        state = records.CHANNELS.get(turn.draft, channel)
        items = waiting.get(stream, [])
        run = outbox.sealed_run(items)
        if not run:
            run = _seal(s, turn, stream, channel, state, items)
        if not run or not _uploaded(s, turn, run):
            continue
        first = run[0][1]
        submit = Errand("submit", stream, first.run, first=first.number, count=len(run))
        if s.send(submit, lambda i, r=run: outbox.frame_of(i, r, s.piece)):  # type: ignore[misc]
            s.unsubmitted.discard(run[0][1].run)


def _uploaded(s: Session, turn: Turn, run: Sequence[tuple[bytes, Item]]) -> bool:
    for _, item in run:
        for blob in item.uploads:
            note = records.BLOBS.get(turn.draft, blob)
            if note is not None and s.held.get(blob) != len(note.data):
                return False
        if len(item.body) > s.piece and s.held.get(sha256(item.body).digest()) != len(item.body):
            return False
    return True


def _seal(
    s: Session,
    turn: Turn,
    stream: bytes,
    channel: bytes,
    state: Channel | None,
    items: Sequence[tuple[bytes, Item]],
) -> list[tuple[bytes, Item]]:
    """Give numbers to the next run of a stream, if it may be sealed now."""
    if s.narrow and s.errands.full(1):
        return []
    if not turn.reached(s.quiet.get(settling.at_epoch(stream, state.epoch if state else 0), 0)):
        return []
    items = _timely(turn, state, items)
    allowed = [(k, i) for k, i in items if _may_seal(s, turn, channel, state, i)]
    content = any(i.kind in ENCRYPTED for _, i in allowed)
    bad = roster.bad_leaves(turn, s.trust, channel, state.epoch) if content and state is not None else ()
    if bad:
        allowed = [(k, i) for k, i in allowed if i.kind not in ENCRYPTED or _calls_all_the_same(i, bad)]
    if state is not None and state.since == 0 and state.seq == 0:
        allowed = [(k, i) for k, i in allowed if i.kind is Kind.CHANNEL_CREATED]
    run = outbox.next_run(turn, allowed, s.piece)
    if not run:
        return []
    sealed = outbox.seal_run(turn, s.groups, run, outbox.stand(turn, stream, channel, state))
    s.unsubmitted.add(sealed[0][1].run)
    return sealed


def _timely(turn: Turn, state: Channel | None, items: Sequence[tuple[bytes, Item]]) -> Sequence[tuple[bytes, Item]]:
    """Without resync approvals of an epoch that is over, and messages that have reached their own end."""
    late = {
        key
        for key, item in items
        if item.kind is Kind.RESYNC_APPROVAL and state and read_resync_approval(item.content).epoch != state.epoch
    }
    ended = {key for key, item in items if not item.number and settling.is_over(item, turn.now)}
    for key in late:
        settling.drop(turn, key, settling.MOVED_ON)
    for key in ended:
        settling.drop(turn, key, TOO_LATE)
    return [(key, item) for key, item in items if key not in late | ended]


def _may_seal(s: Session, turn: Turn, channel: bytes, state: Channel | None, item: Item) -> bool:
    if item.kind is Kind.COMMIT:
        return False  # made and sealed in one
    if state is None:  # the next session proves another certificate, by whose key it is to be signed
        return item.stream == turn.charter.control_channel and not s.reconnect
    if item.stream != channel and not _leaf_is_heard(turn, channel, state):
        return False
    if state.left:
        return item.kind is Kind.RECEIPT  # what came before the removal has come: the others may know
    if state.halted:
        return item.kind in (Kind.COMMIT_REFUSED, Kind.RECEIPT)
    if evidence.halts(turn.draft, turn.charter, state, item.kind) and not gossip.is_shown(item):
        return False
    if item.kind is Kind.RECEIPT:
        return True
    if records.PENDING.get(turn.draft, channel) is not None or s.newest_charter > turn.charter.policy.version:
        return False
    if state.seq < state.head and item.precedence > Precedence.IMMEDIATE:
        return False
    if item.kind not in ENCRYPTED:
        return True
    if item.alert is not None and outbox.announcing(turn.draft, turn.charter.control_channel, item.alert.root):
        return False
    return item.kind in NEVER_HELD or not _list_too_old(turn)


def _calls_all_the_same(item: Item, bad: Sequence[tuple[bytes, str]]) -> bool:
    """A call for help waits for who was revoked to be taken out, and not for who has expired by this device's clock, which may be ahead:
    where the gateway's says so too, it has the call sealed again (LEAF)."""
    return item.kind is Kind.SOS and all(why == trusted.ENDED for _, why in bad)


def _leaf_is_heard(turn: Turn, channel: bytes, state: Channel) -> bool:
    """Whether the key of this device's leaf is known by what it says that it has heard. What stands beside a channel comes by another
    way than the commit that changed the leaf: who is behind waits for that, up to what the author has heard."""
    began = records.EPOCHS.get(turn.draft, channel + state.epoch.to_bytes(8, "big"))
    if began is None or began.seq <= state.seq:
        return True
    heard, _ = epoch_at(turn, channel, state.seq + 1)
    before, now = (seat_of(turn.draft, channel, epoch, turn.me.device) for epoch in (heard, state.epoch))
    return now is None or (before is not None and before.certificate == now.certificate)


def _list_too_old(turn: Turn) -> bool:
    hours = turn.charter.policy.crl_message_hours
    if not trusted.stale(turn.draft, turn.me.organisation, turn.now, hours):
        return False
    turn.alarm(
        AlarmKind.STALE_LIST,
        f"the revocation list of {turn.me.organisation} is missing or older than {hours} h: messages wait",
    )
    return True


def restock_packages(s: Session, turn: Turn) -> None:
    """Suites are looked at when a session begins, after each answer, and when a package was used."""
    if turn.me.registrar or s.trust.certified(turn.me.certificate_hash) is None:
        return
    for suite in sorted(s.restock):
        errand = Errand("packages", suite.to_bytes(2, "big"))
        if s.errands.is_open(errand) or not turn.reached(s.quiet.get(errand.key, 0)):
            continue
        frame = packages.restock(turn, suite, most=s.at_once(packages.AT_ONCE))
        if frame is None:
            s.restock.discard(suite)
        else:
            full = Errand("packages", errand.key, 0, frame)
            s.send(full, lambda i, f=frame: replace(f, id=i))  # type: ignore[misc]


def move_cursors(s: Session, turn: Turn) -> None:
    """Tell the gateway how far everything is stored: durable with this turn, since frames go after the changes.

    They open the window and do nothing else, so they go once a quarter of it was used, and then at every step until all that
    came is stored: a broadcast brings no cursor of all who were sent it. A narrow link says what is `Taken` instead.
    """
    if s.narrow or (s.came < CURSOR_DELIVERIES and s.came_bytes < CURSOR_BYTES):
        return
    if s.inboxes.empty():
        s.came = s.came_bytes = 0
    for channel, state in turn.channels():
        _cursor(s, channel, state.seq, state.since)
    for stream, position in records.POSITIONS.scan(turn.draft):
        _cursor(s, stream, position.value, 0)


def _cursor(s: Session, stream: bytes, seq: int, since: int) -> None:
    if seq > max(s.cursors.get(stream, 0), since):
        s.cursors[stream] = seq
        s.frames.append(wire.Cursor(wire.Position(stream, seq)))
