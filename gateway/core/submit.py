"""What happens to a run of envelopes: checked, given its places, or refused.

    read         canonical, one device, one channel
    again        the same run once more, or a number already used
    author       in the channel, and by which key (`gateway.core.author`); DENIED to everybody else, be there such a channel or not
    place        chain, number and attempt
    verify       the run's one signature, and the bodies as the headers name them
    rules        one function a kind (`gateway.core.kinds`): roles, marking, epoch, roster
    append       the next seqs of the stream and the next indices of the log, all or none

`decide_submit` is pure: everything it looks at comes through `view`, everything it does is in the outcome's effects. A refusal
raises `Refused` and leaves nothing behind, but for those that let a device use its number again: they are signed and remembered;
and but for a line in the log that somebody tried to alert (`gateway.core.attempts`).
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from gateway import wire
from gateway.core import attempts, limits
from gateway.core.append import Gateway, accepted, append
from gateway.core.author import author_of, verified
from gateway.core.effects import DropUpload, Outcome, RememberRefusal
from gateway.core.errors import Refused, denied
from gateway.core.kinds import rule_for
from gateway.core.rows import Chain, Identity, RefusedAttempt
from gateway.core.run import Run
from gateway.core.view import View
from gateway.wire import Refusal
from keys.envelope import Claimed, Envelope, Kind, check_body, read
from keys.errors import BadSignature, Malformed, NotCanonical
from keys.identity import Random, Verify, verify
from keys.statement import GatewayRefusal, sign_refusal

SEALED_AGAIN: Final = frozenset({Refusal.EPOCH_STALE, Refusal.EPOCH_CONFLICT, Refusal.LEAF})
"""Refusals after which a device may use the same number again, for the same thing."""

FOR_GOOD: Final = frozenset(
    {Refusal.SCHEMA, Refusal.LIMIT, Refusal.REPLAY, Refusal.ROLE, Refusal.TLP, Refusal.EXPIRED, Refusal.REVOKED}
)
"""Refusals after which it may use the number again, for something else."""

PASSING: Final = frozenset({Refusal.STALE_LIST, Refusal.CHARTER, Refusal.CLOCK, Refusal.QUOTA})
"""Refusals of what might be taken yet, though perhaps only in days."""

_ACTS: Final = frozenset(
    {
        Kind.APPLICATION,
        Kind.APPROVAL,
        Kind.ALERT,
        Kind.ACK,
        Kind.RECEIPT,
        Kind.JUMP,
        Kind.REVIEW,
        Kind.WITHHELD,
        Kind.SOS,
        Kind.STAND_DOWN,
        Kind.CHECK_IN_PLAN,
        Kind.CHECK_IN,
        Kind.DISCLOSURE_REQUEST,
        Kind.DISCLOSURE_VOTE,
        Kind.DISCLOSURE,
        Kind.DESTRUCTION,
        Kind.TOMBSTONE,
        Kind.RESYNC_APPROVAL,
    }
)
"""What waits behind one of these goes on when it is refused for good: an officer's next alert behind one that the gateway will not take, an
answer behind a receipt from before its author was removed, a word behind one that had reached its own end on the road."""

SIGNED: Final[Mapping[Kind, frozenset[Refusal]]] = {
    **dict.fromkeys(_ACTS, SEALED_AGAIN | FOR_GOOD),
    Kind.COMMIT: SEALED_AGAIN | FOR_GOOD | PASSING,
}
"""Which refusals are signed and remembered, so that the number is free again; of other kinds `SEALED_AGAIN`. As long as a COMMIT waits, its
author says nothing else in the channel, be it an SOS: so it is told of all but what is over in a moment (GAP, BUSY, STORAGE)."""


def decide_submit(
    view: View,
    who: Identity,
    frame: wire.Submit,
    gateway: Gateway,
    now: int,
    random: Random,
    check: Verify = verify,
) -> Outcome[wire.Accepted | wire.Refused]:
    """Give a run its places.

    Raises:
        Refused: nothing was taken and nothing remembered.
    """
    claimed = _read(frame, who)
    try:
        return _decide(view, who, frame, claimed, gateway, now, random, check)
    except Refused as refusal:
        noted = attempts.note(view, claimed[0].context, refusal.refusal, gateway, now, random)
        if not noted:
            raise
        answer = wire.Refused(frame.id, refusal.refusal, refusal.detail, refusal.retry_after, None)
        return Outcome(answer, noted)


def _decide(
    view: View,
    who: Identity,
    frame: wire.Submit,
    claimed: Sequence[Claimed],
    gateway: Gateway,
    now: int,
    random: Random,
    check: Verify,
) -> Outcome[wire.Accepted | wire.Refused]:
    first = claimed[0].context
    chain = view.chain(first.channel, who.device)
    if first.number <= chain.number:
        return Outcome(_again(view, frame.id, claimed, gateway))
    author = author_of(view, who, first, gateway.charter)
    told = _check_place(view, claimed, chain)
    if told is not None:
        return Outcome(_told_again(frame.id, told))
    closed, key = verified(view, claimed, author, now, check)
    run = Run(
        verified=closed,
        bodies=_bodies(view, claimed, frame.run),
        stream=author.stream,
        member=author.member,
        who=who,
        key=key,
        charter=gateway.charter,
        now=now,
    )
    try:
        author.check(run.kind, key, now)
        _check_clock(run)
        after, effects = rule_for(run.kind)(view, run)
    except Refused as refusal:
        if refusal.refusal not in SIGNED.get(run.kind, SEALED_AGAIN):
            raise
        signed = _refuse(frame.id, run, refusal, gateway, now)
        noted = attempts.note(view, first, refusal.refusal, gateway, now, random)
        return Outcome(signed.answer, (*signed.effects, *noted))
    done = _put_short(view, who, claimed, frame.run)
    return append(view, frame.id, run.verified, run.bodies, after, (*effects, *done), gateway, now, random)


def _put_short(
    view: View, who: Identity, claimed: Sequence[Claimed], run: Sequence[wire.Sealed]
) -> tuple[DropUpload, ...]:
    """Short bodies that a narrow link brought in chunks: they are kept with their envelopes, so the chunks may go."""
    short = {
        c.header.body_hash
        for c, sealed in zip(claimed, run, strict=True)
        if sealed.body is None and c.header.body_length <= wire.CHUNK
    }
    return tuple(DropUpload(u.hash) for u in view.uploads_open(who.device) if u.hash in short) if short else ()


def _read(frame: wire.Submit, who: Identity) -> list[Claimed]:
    try:
        claimed = [read(Envelope(s.header, s.signature)) for s in frame.run]
    except Malformed as error:
        refusal = Refusal.CANON if isinstance(error, NotCanonical) else Refusal.SCHEMA
        raise Refused(refusal, str(error)) from None
    device, channel = who.device, claimed[0].context.channel
    for one in claimed:
        if one.context.device != device:
            raise denied()
        if one.context.channel != channel:
            raise Refused(Refusal.SCHEMA, "a run has one channel")
    return claimed


def _bodies(view: View, claimed: Sequence[Claimed], run: Sequence[wire.Sealed]) -> list[bytes]:
    if sum([c.header.body_length for c in claimed]) > limits.RUN_BYTES:
        raise Refused(Refusal.LIMIT, f"the bodies of a run have at most {limits.RUN_BYTES} bytes together")
    return [_body(view, c, s.body) for c, s in zip(claimed, run, strict=True)]


def _body(view: View, claimed: Claimed, inline: bytes | None) -> bytes:
    """The body, from the frame or from the chunks put before; whichever, it is the one that the header names."""
    if inline is None:
        inline = view.blob(claimed.header.body_hash, 0, claimed.header.body_length)
        if inline is None:
            raise Refused(Refusal.GAP, "put the body in chunks first")
    try:
        check_body(claimed, inline)
    except BadSignature as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    return inline


def _again(view: View, request: int, claimed: Sequence[Claimed], gateway: Gateway) -> wire.Accepted:
    """The same run once more gets the same answer; the same number with other content is evidence against its device."""
    stored = [view.envelope_at(c.context.channel, c.context.device, c.context.number) for c in claimed]
    places = []
    for before, now in zip(stored, claimed, strict=True):
        if before is None or (before.header, before.signature) != (now.envelope.header, now.envelope.signature):
            raise Refused(Refusal.REPLAY, f"number {now.context.number} was used with other content")
        places.append(before)
    return accepted(request, places, gateway)


def _check_place(view: View, claimed: Sequence[Claimed], chain: Chain) -> RefusedAttempt | None:
    """The run follows on, each number by its next attempt. Gives what was said of this very run, if it was refused before."""
    first = claimed[0].context
    if first.number != chain.number + 1:
        raise Refused(Refusal.GAP, f"the next number is {chain.number + 1}: send what is missing first")
    if first.previous != chain.link:
        raise Refused(
            Refusal.GAP, f"number {first.number} does not follow the envelope accepted as number {chain.number}"
        )
    last = claimed[-1]
    refused: Mapping[int, RefusedAttempt] = {}
    if chain.refused >= first.number:
        refused = view.refused_attempts(first.channel, first.device, first.number, last.context.number)
    told = refused.get(last.context.number)
    if told is not None and told.header_hash == sha256(last.envelope.header).digest():
        return told
    for one in claimed:
        before = refused.get(one.context.number) if refused else None
        if one.context.attempt != (before.attempt + 1 if before else 0):
            context = one.context
            raise Refused(Refusal.REPLAY, f"number {context.number} is not to be sealed as attempt {context.attempt}")
    return None


def _told_again(request: int, told: RefusedAttempt) -> wire.Refused:
    """Whoever did not hear the refusal hears it now: what was refused once is never taken."""
    detail = "refused before: seal it again with the next attempt"
    return wire.Refused(request, told.refusal, detail, 0, told.statement)


def _check_clock(run: Run) -> None:
    ahead = max([v.context.time for v in run.verified]) - run.now
    if ahead > limits.CLOCK_AHEAD and run.kind not in (Kind.ALERT, Kind.SOS):
        raise Refused(Refusal.CLOCK, f"this device's clock is {ahead // 1000} s ahead of the gateway's: set it")


def _refuse(
    request: int, run: Run, refusal: Refused, gateway: Gateway, now: int
) -> Outcome[wire.Accepted | wire.Refused]:
    """A signed refusal: the device may seal these numbers again, and a log that holds them all the same convicts us."""
    last = run.verified[-1]
    statement = sign_refusal(GatewayRefusal(last.header_hash, refusal.refusal, run.stream.epoch, now), gateway.key)
    remember = RememberRefusal(
        channel=run.stream.id,
        device=run.who.device,
        attempts=tuple((v.context.number, v.context.attempt) for v in run.verified),
        refusal=refusal.refusal,
        header_hash=last.header_hash,
        statement=statement,
    )
    return Outcome(wire.Refused(request, refusal.refusal, refusal.detail, 0, statement), (remember,))
