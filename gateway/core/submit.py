"""What happens to a run of envelopes: checked, given its places, or refused.

    read         canonical, one device, one channel, bodies as the headers name them
    place        chain and number, or the same run once more, or a number already used
    verify       the run's one signature, by the key that counts for this device here
    rules        one function a kind (`gateway.core.kinds`): roles, marking, epoch, roster
    append       the next seqs of the stream and the next indices of the log, all or none

`decide_submit` is pure: everything it looks at comes through `view`, everything it does is in the outcome's effects. A refusal
raises `Refused` and leaves nothing behind, but for the three that let a device seal again: those are signed and remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway import wire
from gateway.core import limits
from gateway.core.effects import Append, Effect, Outcome, PutChain, PutStream, RememberRefusal
from gateway.core.errors import Refused, denied
from gateway.core.kinds import rule_for
from gateway.core.run import Run
from gateway.core.view import Chain, Identity, Stored, Stream, StreamKind, View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.envelope import NOTHING, Claimed, Envelope, Kind, Verified, check_body, read, rolling, verify_run
from keys.errors import BadSignature, Malformed
from keys.identity import ChannelId, DeviceId, Random, SigningKey
from keys.statement import PROMISE_WINDOW, GatewayRefusal, Promise, sign_promise, sign_refusal
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
SEALED_AGAIN: Final = frozenset({Refusal.EPOCH_STALE, Refusal.EPOCH_CONFLICT, Refusal.LEAF})
"""Refusals after which, and only after which, a device may use the same number again."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the decisions need of the gateway itself."""

    charter: Charter
    key: SigningKey


def decide_submit(
    view: View, who: Identity, frame: wire.Submit, gateway: Gateway, now: int, random: Random
) -> Outcome[wire.Accepted | wire.Refused]:
    """Give a run its places.

    Raises:
        Refused: nothing was taken and nothing remembered.
    """
    claimed, bodies = _read(view, frame)
    first = claimed[0].context
    channel, device = ChannelId(first.channel), DeviceId(first.device)
    if device != who.device:
        raise denied()
    stream = _stream(view, first.channel, first.kind, gateway.charter)
    chain = view.chain(channel, device)
    if first.number <= chain.number:
        return Outcome(_again(view, frame.id, claimed, gateway))
    _check_place(view, claimed, chain)
    run = Run(
        verified=_verify(view, who, stream, claimed),
        bodies=bodies,
        stream=stream,
        who=who,
        charter=gateway.charter,
        now=now,
    )
    try:
        _check_alive(view, who, now)
        _check_clock(run)
        after, effects = rule_for(run.kind)(view, run)
    except Refused as refusal:
        if refusal.refusal not in SEALED_AGAIN:
            raise
        return _refuse(frame.id, run, refusal, gateway, now)
    return append(view, frame.id, run.verified, bodies, after, effects, gateway, now, random)


def _read(view: View, frame: wire.Submit) -> tuple[list[Claimed], list[bytes]]:
    try:
        claimed = [read(Envelope(s.header, s.signature)) for s in frame.run]
    except Malformed as error:
        raise Refused(Refusal.CANON, str(error)) from None
    return claimed, [_body(view, c, s.body) for c, s in zip(claimed, frame.run, strict=True)]


def _body(view: View, claimed: Claimed, inline: bytes | None) -> bytes:
    """The body, from the frame or from the chunks put before; whichever, it is the one that the header names."""
    length = claimed.header.body_length
    if inline is None:
        if length <= wire.CHUNK:
            raise Refused(Refusal.SCHEMA, f"a body of up to {wire.CHUNK} bytes travels in its frame")
        inline = view.blob(claimed.header.body_hash, 0, length)
        if inline is None:
            raise Refused(Refusal.GAP, "put the body in chunks first")
    try:
        check_body(claimed, inline)
    except BadSignature as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    return inline


def _stream(view: View, channel: bytes, kind: Kind, charter: Charter) -> Stream:
    """The stream an envelope is for. Channels begin with CHANNEL_CREATED, receipt streams with their first receipt."""
    stream = view.stream(channel)
    if stream is not None:
        return stream
    if kind is Kind.CHANNEL_CREATED:
        return Stream(ChannelId(channel), StreamKind.CHANNEL, 0, NOTHING)
    if channel == charter.control_channel:
        return Stream(ChannelId(channel), StreamKind.CONTROL, 0, NOTHING)
    if kind is Kind.RECEIPT:
        return Stream(ChannelId(channel), StreamKind.RECEIPTS, 0, NOTHING)
    raise denied()


def _again(view: View, request: int, claimed: Sequence[Claimed], gateway: Gateway) -> wire.Accepted:
    """The same run once more gets the same answer; the same number with other content is evidence against its device."""
    stored = [view.envelope_at(c.context.channel, c.context.device, c.context.number) for c in claimed]
    places = []
    for before, now in zip(stored, claimed, strict=True):
        if before is None or (before.header, before.signature) != (now.envelope.header, now.envelope.signature):
            raise Refused(Refusal.REPLAY, f"number {now.context.number} was used with other content")
        places.append(before)
    return _accepted(request, places, gateway)


def _check_place(view: View, claimed: Sequence[Claimed], chain: Chain) -> None:
    first = claimed[0].context
    if first.number != chain.number + 1:
        raise Refused(Refusal.GAP, f"the next number is {chain.number + 1}: send what is missing first")
    if first.previous != chain.link:
        raise Refused(
            Refusal.GAP, f"number {first.number} does not follow the envelope accepted as number {chain.number}"
        )
    refused = view.refused_attempts(first.channel, first.device, first.number, first.number + len(claimed) - 1)
    for context in (c.context for c in claimed):
        if context.attempt != refused.get(context.number, -1) + 1:
            raise Refused(Refusal.REPLAY, f"number {context.number} is not to be sealed as attempt {context.attempt}")


def _verify(view: View, who: Identity, stream: Stream, claimed: Sequence[Claimed]) -> tuple[Verified, ...]:
    """In a channel the key of the device's leaf counts, elsewhere that of the session's certificate."""
    key = who.public_key
    if stream.kind is StreamKind.CHANNEL and stream.seq:
        member = view.member(stream.id, who.device)
        certificate = view.certificate(member.certificate) if member and not member.left else None
        if certificate is None:
            raise denied()
        key = certificate.public_key
    try:
        return verify_run(claimed, key)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except BadSignature:
        raise denied() from None


def _check_alive(view: View, who: Identity, now: int) -> None:
    """A session outlives nobody's certificate."""
    if now > who.not_after:
        raise Refused(Refusal.EXPIRED, "this device's certificate has ended")
    row = view.certificate(who.certificate)
    if row is not None and row.revoked:
        raise Refused(Refusal.REVOKED, "this device was revoked")


def _check_clock(run: Run) -> None:
    ahead = max(v.context.time for v in run.verified) - run.now
    if ahead > limits.CLOCK_AHEAD and run.kind not in (Kind.ALERT, Kind.SOS):
        raise Refused(Refusal.CLOCK, f"this device's clock is {ahead // 1000} s ahead of the gateway's: set it")


def _refuse(
    request: int, run: Run, refusal: Refused, gateway: Gateway, now: int
) -> Outcome[wire.Accepted | wire.Refused]:
    """A signed refusal: the device may seal these numbers again, and a log that holds them all the same convicts us."""
    last = run.verified[-1]
    statement = sign_refusal(GatewayRefusal(last.header_hash, refusal.refusal, run.stream.epoch, now), gateway.key)
    remember = RememberRefusal(
        run.stream.id, run.who.device, tuple(v.context.number for v in run.verified), last.context.attempt
    )
    return Outcome(wire.Refused(request, refusal.refusal, refusal.detail, 0, statement), (remember,))


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
    """Give verified envelopes the next places of `stream` and of the log."""
    seq, hashed, index = stream.seq, stream.rolling, view.log_size()
    places = []
    for verified, body in zip(run, bodies, strict=True):
        seq, hashed = seq + 1, rolling(hashed, verified.envelope.header)
        places.append(_stored(stream, seq, index, now, random(16), verified, body))
        index += 1
    last = run[-1]
    done: list[Effect] = [PutStream(replace(stream, seq=seq, rolling=hashed)), *map(Append, places)]
    done.append(PutChain(stream.id, last.context.device, last.context.number, last.envelope.link))
    return Outcome(_accepted(request, places, gateway), (*done, *effects))


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


def _accepted(request: int, places: Sequence[Stored], gateway: Gateway) -> wire.Accepted:
    first = places[0]
    promise = None
    if first.kind in PROMISED:
        latest = first.time + PROMISE_WINDOW
        promise = sign_promise(
            Promise(leaf_hash(first.leaf()), first.channel, first.seq, first.index, latest), gateway.key
        )
    return wire.Accepted(request, [wire.Place(p.seq, p.index, p.time, p.nonce) for p in places], promise)
