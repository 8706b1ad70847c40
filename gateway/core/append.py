"""Verified envelopes get their places: the next seqs of a stream and the next indices of the log, all or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from gateway import wire
from gateway.core.effects import Append, Effect, GiveBlob, Outcome, PutChain, PutStream
from gateway.core.view import Stored, Stream, View
from keys.charter import Charter
from keys.envelope import Kind, Verified, rolling
from keys.identity import DeviceId, Random, SigningKey
from keys.statement import PROMISE_WINDOW, Promise, sign_promise
from keys.tlog.merkle import leaf_hash

PROMISED: Final = frozenset(
    {
        Kind.ALERT,
        Kind.APPROVAL,
        Kind.SOS,
        Kind.COMMIT,
        Kind.CHANNEL_CREATED,
        Kind.CERTIFICATE,
        Kind.REVOCATION_LIST,
        Kind.CHARTER,
    }
)


NONCE: Final = 16  # bytes of each entry's


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the decisions need of the gateway itself."""

    charter: Charter
    key: SigningKey


def append(
    view: View,
    request: int,
    run: Sequence[Verified],
    bodies: Sequence[bytes],
    stream: Stream,
    effects: Sequence[Effect],
    gateway: Gateway,
    now: int,
    random: Random,
) -> Outcome[wire.Accepted | wire.Refused]:
    """Give verified envelopes the next places of `stream` and of the log. If this machine's clock was set back, the log's
    time stands still until the clock has caught up: it never runs backwards."""
    end = view.log_end()
    seq, hashed, index, now = stream.seq, stream.rolling, end.size, max(now, end.time)
    nonces = random(NONCE * len(run))
    places: list[Stored] = []
    done: list[Effect] = []
    for n, (verified, body) in enumerate(zip(run, bodies, strict=True)):
        seq, hashed = seq + 1, rolling(hashed, verified.envelope.header)
        stored = _stored(stream, seq, index + n, now, nonces[NONCE * n : NONCE * (n + 1)], verified, body)
        places.append(stored)
        done.append(Append(stored))
        if len(body) > wire.CHUNK:
            done.append(GiveBlob(verified.header.body_hash, stream.id, seq))
    last = run[-1]
    moved = PutStream(
        replace(stream, seq=seq, rolling=hashed)
    )  # the first: a new stream's row goes before its envelopes
    chained = PutChain(stream.id, last.context.device, last.context.number, last.envelope.link)
    return Outcome(accepted(request, places, gateway), (moved, *done, chained, *effects))


def _stored(stream: Stream, seq: int, index: int, now: int, nonce: bytes, verified: Verified, body: bytes) -> Stored:
    context, header = verified.context, verified.header
    return Stored(
        channel=stream.id,
        seq=seq,
        index=index,
        time=now,
        nonce=nonce,
        header=verified.envelope.header,
        signature=verified.envelope.signature,
        kind=context.kind,
        device=DeviceId(context.device),
        number=context.number,
        precedence=context.precedence,
        body_hash=header.body_hash,
        body_length=header.body_length,
        body=body if len(body) <= wire.CHUNK else None,
    )


def accepted(request: int, places: Sequence[Stored], gateway: Gateway) -> wire.Accepted:
    first = places[0]
    promise = None
    if first.kind in PROMISED:
        latest = first.time + PROMISE_WINDOW
        promise = sign_promise(
            Promise(leaf_hash(first.leaf()), first.channel, first.seq, first.index, latest), gateway.key
        )
    return wire.Accepted(request, [wire.Place(p.seq, p.index, p.time, p.nonce) for p in places], promise)
