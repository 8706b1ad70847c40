"""What it means that the gateway said no, by what was asked: one function an errand, one table."""

# All functions of a table have one form, whether or not they need all of it.
# ruff: noqa: ARG001

from collections.abc import Callable
from typing import Final

from clients.core import commits, deliveries, gossip, joining, records, resync, settling
from clients.core.errands import Errand
from clients.core.records import AlarmKind, Item
from clients.core.session import Session
from clients.core.turn import Answered, Turn
from gateway import wire
from keys.envelope import Kind

RETRY: Final = 5_000  # ms before something refused for now is tried again
SELDOM: Final = 600_000  # ms, at most, where it is refused for its epoch again and again
DOUBLED: Final = 7  # times
PROVE_AGAIN: Final = 1_000  # ms before proofs are asked for again where none was given
LATER: Final = frozenset(
    {wire.Refusal.BUSY, wire.Refusal.QUOTA, wire.Refusal.STORAGE, wire.Refusal.STALE_LIST, wire.Refusal.CLOCK}
)
"""Refused for now: tried again in this session. Whatever else is refused by word only waits for the next."""

_NEXT_SESSION: Final = 2**53


def _submit(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    run = settling.run_of(turn, errand)
    if not run:
        return
    if frame.refusal is wire.Refusal.CHARTER:
        s.newest_charter = s.charter.policy.version + 1
    if settling.refused(turn, run, frame):
        s.quiet.pop(errand.key, None)  # what was said of this run by word holds up no other
        if frame.refusal in settling.AGAIN or run[0][1].kind is Kind.COMMIT:
            _wait_for_the_next_epoch(s, turn, errand.key, run[0][1], frame.refusal)
        return
    if frame.refusal is wire.Refusal.GAP and any(item.uploads or len(item.body) > s.piece for _, item in run):
        s.held.clear()  # a long body is not there after all: it is put again
    wait = max(frame.retry_after, RETRY)
    s.quiet[errand.key] = turn.now + wait if frame.refusal in LATER else _NEXT_SESSION


def _wait_for_the_next_epoch(s: Session, turn: Turn, stream: bytes, first: Item, refusal: wire.Refusal) -> None:
    """Or the same would be sealed and refused without end until the commit has come that makes it possible: each time after twice as long,
    since a gateway that has taken the channel another way never brings it, and in each session once without waiting. A commit that has
    lost keeps no message waiting: what is of the epoch before is taken for a while."""
    epoch = settling.at_epoch(stream, first.epoch)
    until = turn.now + min(SELDOM, RETRY << min(first.attempt, DOUBLED))
    if first.kind is not Kind.COMMIT:
        s.quiet[epoch] = until
    if first.kind is Kind.COMMIT or refusal in settling.OVER:
        s.over[epoch] = until


def _certificates(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    """One that may not be known hides all that were asked with it: they are asked one by one."""
    hashes = [errand.key[n : n + 32] for n in range(0, len(errand.key), 32)]
    if len(hashes) == 1:
        s.given_up.add(hashes[0])
        return
    for certificate in hashes:
        s.send(Errand("certificates", certificate), lambda i, c=certificate: wire.GetCertificates(i, [c]))  # type: ignore[misc]


def _prove(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    if not errand.key:  # this device has but asked whether the log has grown
        if frame.refusal is wire.Refusal.DENIED:
            what = f"the gateway denies a log of {errand.number} entries, for which it has signed"
            turn.alarm(AlarmKind.SHRUNK, what, seq=errand.number)
        return
    s.prove_most = max(1, len(errand.key) // 16)  # half of them: eight bytes each
    s.prove_after = turn.now + max(frame.retry_after, PROVE_AGAIN)


def _body(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    s.given_up.add(errand.key)


def _tree(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    named = records.JOINING.get(turn.draft, errand.key)
    why = f"the gateway names no tree: {frame.detail}"
    if named is not None:
        joining.failed(s.work(turn), errand.key, named, why)
    elif records.OFFERS.get(turn.draft, errand.key) is not None:
        resync.failed(turn, errand.key, why)


def _claim(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    """No KeyPackages: the intents that asked for them come to nothing."""
    for key, intent in list(records.INTENTS.scan(turn.draft)):
        if any(device in errand.key for device in intent.add):
            commits.finish(turn, key, f"{frame.refusal.name}: {frame.detail}")


def _fetch(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    deliveries.still_missing(s, turn, errand.key)


def _packages(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    s.quiet[errand.key] = turn.now + max(frame.retry_after, RETRY) if frame.refusal in LATER else _NEXT_SESSION


def _charter(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    s.newest_charter = 0


def _gossip(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    gossip.refused(turn, errand, frame)


def _nothing(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    """Asked again by the next turn that may."""


def _to_shell(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    if errand.kind == "shell":
        turn.events.append(Answered(frame.id, frame))


_REFUSED: Final[dict[str, Callable[[Session, Turn, Errand, wire.Refused], None]]] = {
    "submit": _submit,
    "certificates": _certificates,
    "prove": _prove,
    "body": _body,
    "tree": _tree,
    "claim": _claim,
    "fetch": _fetch,
    "packages": _packages,
    "charter": _charter,
    "gossip": _gossip,
    "charge": _nothing,
    "fork": _nothing,
}


def take(s: Session, turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    """Act on a refusal of what `errand` asked."""
    _REFUSED.get(errand.kind, _to_shell)(s, turn, errand, frame)
