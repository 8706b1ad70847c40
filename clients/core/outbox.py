"""The outbox: what this device wants to say, from the moment it is kept until the gateway has it for good.

    kept       an Item without a number: content, precedence, and for content the salt that its franking tag comes from
    sealed     numbers given when a run is handed to the link, the highest precedence first; the bytes are fixed and durable
    accepted   the gateway has named its place; the item leaves the outbox, `Sent` remembers

One run of a stream is on its way at a time, and after a reconnect the very same bytes go again until they are accepted. Only a
refusal that the gateway has signed about the run's last header lets its numbers be sealed again, with the next attempt.
Anything else the gateway says leaves the run where it is (`settling`): a number is never spent on two contents on somebody's bare
word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core.content import PADDING
from clients.core.groups import Groups, seat_of
from clients.core.ledger import View
from clients.core.records import Chain, Channel, Counter, Item, Note, Sent
from clients.core.turn import Moved, Turn
from gateway import wire
from gateway.wire import CHUNK, FRAME_LIMIT, Sealed
from keys.alert import AlertFields
from keys.body import read_approval
from keys.envelope import CHAINED, ENCRYPTED, NOTHING, RUN_LIMIT, Context, Heard, Kind, Marking, Precedence, seal
from keys.franking import application_data, franking_tag
from keys.identity import ChannelId, SigningKey, receipt_stream

RUN_BYTES: Final = FRAME_LIMIT - 4_096  # of headers, signatures and bodies in one Submit
OVERHEAD: Final = 700  # header, signature and MLS framing of one envelope, at most


@dataclass(frozen=True, slots=True)
class Kept:
    """An item as it is put into the outbox."""

    stream: bytes
    kind: Kind
    content: bytes
    precedence: Precedence = Precedence.ROUTINE
    marking: Marking = Marking.CLEAR
    expires: int = 0
    salt: bytes = b""
    alert: AlertFields | None = None
    uploads: tuple[bytes, ...] = ()


def keep(turn: Turn, kept: Kept) -> bytes:
    """Put an act into the outbox; gives its id. From here on it survives a kill."""
    item_id = turn.next_id()
    salt = kept.salt or (turn.random(16) if kept.kind in ENCRYPTED else b"")
    item = Item(
        kept.stream,
        kept.kind,
        kept.precedence,
        kept.marking,
        kept.expires,
        salt,
        kept.content,
        kept.alert,
        list(kept.uploads),
        turn.now,
        epoch=0,
        run=0,
        number=0,
        attempt=0,
        header=b"",
        signature=b"",
        body=b"",
    )
    records.OUTBOX.put(turn.draft, item_id, item)
    records.SENT.put(turn.draft, item_id, Sent(kept.stream, kept.kind, b"", 0, "", turn.now))
    turn.events.append(Moved(item_id))
    return item_id


def queued(view: View, stream: bytes | None = None) -> list[tuple[bytes, Item]]:
    """Items in the outbox, of one stream or of all: sealed ones by number, then the rest, what is most urgent first."""
    items = [(k, i) for k, i in records.OUTBOX.scan(view) if stream is None or i.stream == stream]
    return sorted(items, key=lambda pair: (not pair[1].number, pair[1].number, pair[1].precedence, pair[0]))


def announcing(view: View, control: bytes, root: bytes) -> bool:
    """Whether an alert's announcement is still on its way: the alert itself waits for it."""
    waiting = (item for _, item in queued(view, control) if item.kind is Kind.APPROVAL)
    return any(read_approval(item.content).draft.root == root for item in waiting)


def sealed_run(items: Sequence[tuple[bytes, Item]]) -> list[tuple[bytes, Item]]:
    """The run of a stream that is sealed and not accepted yet: what goes again, byte for byte."""
    first = next((item for _, item in items if item.number), None)
    if first is None:
        return []
    return sorted(((k, i) for k, i in items if i.number and i.run == first.run), key=lambda pair: pair[1].number)


def frame_of(request: int, run: Sequence[tuple[bytes, Item]], piece: int) -> wire.Submit:
    """The frame that submits a run. A body longer than a piece was put in chunks before."""
    return wire.Submit(
        request, [Sealed(i.header, i.signature, i.body if len(i.body) <= piece else None) for _, i in run]
    )


def attempt_key(stream: bytes, number: int) -> bytes:
    return b"attempt" + stream + number.to_bytes(8, "big")


def _attempt(view: View, stream: bytes, number: int) -> int:
    counter = records.COUNTERS.get(view, attempt_key(stream, number))
    return counter.value if counter else 0


def next_run(turn: Turn, items: Sequence[tuple[bytes, Item]], most: int) -> list[tuple[bytes, Item]]:
    """What is handed over next: one item, or as many chained ones of its kind as fit a frame of `most` bytes.

    All envelopes of a run have the same attempt, so that one signed refusal speaks for each of them alike.
    """
    fresh = [(k, i) for k, i in items if not i.number]
    if not fresh:
        return []
    _, first = fresh[0]
    if first.kind not in CHAINED or len(first.content) > CHUNK - OVERHEAD:
        return fresh[:1]
    own = records.OWN.get(turn.draft, first.stream) or Chain(0, NOTHING)
    attempt, size = _attempt(turn.draft, first.stream, own.number + 1), 0
    run: list[tuple[bytes, Item]] = []
    for key, item in fresh:
        size += OVERHEAD + len(item.content)
        number = own.number + 1 + len(run)
        fits = size <= min(RUN_BYTES, most) and len(run) < RUN_LIMIT and item.kind is first.kind
        if run and (not fits or _attempt(turn.draft, first.stream, number) != attempt):
            break
        run.append((key, item))
    return run


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a stream stands when a run is sealed: the epoch that its headers name (0 outside of a channel) and that of the channel
    which it is or stands beside, what was heard, and the key that counts there."""

    epoch: int
    within: int
    heard: Heard
    key: SigningKey


def stand(turn: Turn, stream: bytes, channel: bytes, state: Channel | None) -> Stand:
    """Of a channel, of the receipt stream beside it, or (no channel) of the control channel.

    In a channel and beside it the key of this device's leaf counts, elsewhere that of the session's certificate.
    """
    session_key = turn.key_of(turn.me.certificate_hash)
    if state is None:
        return Stand(0, 0, Heard(0, NOTHING), session_key)
    seat = seat_of(turn.draft, channel, state.epoch, turn.me.device)
    key = turn.key_of(seat.certificate) if seat else session_key
    return Stand(state.epoch if stream == channel else 0, state.epoch, Heard(state.seq, state.rolling), key)


def seal_run(turn: Turn, groups: Groups, run: Sequence[tuple[bytes, Item]], place: Stand) -> list[tuple[bytes, Item]]:
    """Give numbers, encrypt, and sign the last: the bytes are fixed and durable with this turn."""
    stream = run[0][1].stream
    own = records.OWN.get(turn.draft, stream) or Chain(0, NOTHING)
    counter = records.COUNTERS.get(turn.draft, b"run")
    run_id = (counter.value if counter else 0) + 1
    records.COUNTERS.put(turn.draft, b"run", Counter(run_id))
    done = []
    for position, (key, item) in enumerate(run):
        number = own.number + 1
        tag = franking_tag(item.salt, item.content) if item.kind in ENCRYPTED else b""
        context = Context(
            version=1,
            kind=item.kind,
            device=turn.me.device,
            channel=stream,
            epoch=place.epoch,
            number=number,
            attempt=_attempt(turn.draft, stream, number),
            previous=own.link,
            heard=place.heard,
            time=turn.now,
            precedence=item.precedence,
            marking=item.marking,
            expires=item.expires,
            franking=tag,
            alert=item.alert,
        )
        body = _encrypt(turn, groups, item, context)
        envelope = seal(context, body, place.key if position == len(run) - 1 else None)
        own = Chain(number, envelope.link)
        after = replace(
            item,
            epoch=place.within,
            run=run_id,
            number=number,
            attempt=context.attempt,
            header=envelope.header,
            signature=envelope.signature,
            body=body,
        )
        done.append((key, after))
        _remember(turn, key, after)
    records.OWN.put(turn.draft, stream, own)
    return done


def seal_commit(turn: Turn, key: bytes, item: Item, context: Context, body: bytes, signer: SigningKey) -> None:
    """Seal a handshake whose context had to be known before the MLS message was made."""
    envelope = seal(context, body, signer)
    counter = records.COUNTERS.get(turn.draft, b"run")
    run_id = (counter.value if counter else 0) + 1
    records.COUNTERS.put(turn.draft, b"run", Counter(run_id))
    after = replace(
        item,
        epoch=context.epoch,
        run=run_id,
        number=context.number,
        attempt=context.attempt,
        header=envelope.header,
        signature=envelope.signature,
        body=body,
    )
    _remember(turn, key, after)
    records.OWN.put(turn.draft, item.stream, Chain(context.number, envelope.link))


def next_number(turn: Turn, stream: bytes) -> tuple[int, int, bytes]:
    """Number, attempt and `previous` of the next envelope in a stream."""
    own = records.OWN.get(turn.draft, stream) or Chain(0, NOTHING)
    return own.number + 1, _attempt(turn.draft, stream, own.number + 1), own.link


def _remember(turn: Turn, key: bytes, item: Item) -> None:
    header_hash = sha256(item.header).digest()
    records.OUTBOX.put(turn.draft, key, item)
    records.OWNED.put(turn.draft, header_hash, Counter(0))
    sent = records.SENT.get(turn.draft, key)
    if sent is not None:
        records.SENT.put(turn.draft, key, replace(sent, header_hash=header_hash))
    if len(item.body) > CHUNK:
        body_hash = sha256(item.body).digest()
        records.BLOBS.put(turn.draft, body_hash, Note(item.body))


def _encrypt(turn: Turn, groups: Groups, item: Item, context: Context) -> bytes:
    if item.kind not in ENCRYPTED:
        return item.content
    group = groups.get(turn.draft, item.stream)
    assert group is not None, "content is sealed in channels this device is in"
    group, message = group.protect(
        application_data(item.salt, item.content),
        authenticated_data=context.authenticated_data(),
        padding=PADDING,
        random=turn.random,
    )
    groups.put(item.stream, group)
    return message


def stream_of_receipts(channel: bytes) -> bytes:
    """The receipt stream beside a channel."""
    return receipt_stream(ChannelId(channel))
