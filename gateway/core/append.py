"""Verified envelopes get their places: the next seqs of a stream and the next indices of the log, all or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway import wire
from gateway.core.effects import Append, Effect, GiveBlob, Outcome, PutStream
from gateway.core.rows import Stored, Stream
from gateway.core.view import View
from keys.charter import Charter
from keys.envelope import Kind, Verified, header_hashes, rolled
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
    now = max(now, end.time)
    nonces = random(NONCE * len(run))
    seq, hashed, device, places = stream.seq, stream.rolling, DeviceId(run[0].context.device), []
    given: list[Effect] = []
    for n, (verified, body, hash_) in enumerate(zip(run, bodies, header_hashes(run), strict=True)):
        seq, hashed = seq + 1, rolled(hashed, hash_)
        short = len(body) <= wire.CHUNK
        envelope, header, context = verified.envelope, verified.header, verified.context
        places.append(
            Stored(
                stream.id,
                seq,
                end.size + n,
                now,
                nonces[NONCE * n : NONCE * (n + 1)],
                envelope.header,
                envelope.signature,
                context.kind,
                device,
                context.number,
                context.precedence,
                header.body_hash,
                header.body_length,
                body if short else None,
            )
        )
        if not short:
            given.append(GiveBlob(header.body_hash, stream.id, seq))
    changed = [PutStream(stream)] if view.stream(stream.id) != stream else []  # before its envelopes
    return Outcome(accepted(request, places, gateway), (*changed, Append(places, hashed), *given, *effects))


def accepted(request: int, places: Sequence[Stored], gateway: Gateway) -> wire.Accepted:
    first = places[0]
    promise = None
    if first.kind in PROMISED:
        latest = first.time + PROMISE_WINDOW
        promise = sign_promise(
            Promise(leaf_hash(first.leaf()), first.channel, first.seq, first.index, latest), gateway.key
        )
    return wire.Accepted(request, [wire.Place(p.seq, p.index, p.time, p.nonce) for p in places], promise)
