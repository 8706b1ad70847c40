"""Whether others are shown the same log: each checkpoint that another device says it has seen is held against this device's own.

    of a size that this device has seen          compared at once
    of any other                                 the gateway is asked to prove that its log has grown from it, while this device moves on to
                                                 the same newest checkpoint; an answer that does not end there proves nothing
    never proved, or denied                      a suspicion, after a while

A suspicion names the device and stops nothing. It makes both sides show each other the notes that they hold (`SeenLog`, inside the encryption):
then two notes by the log's key stand against each other, wherever the log lies, and that is evidence. No witness is needed for it, and no
third: any two members who talk find a split view.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from clients.core import evidence, outbox, proof, records
from clients.core.content import SeenLog, encode_content
from clients.core.errands import Errand
from clients.core.outbox import Kept
from clients.core.records import AlarmKind, Charge, Counter, Head, Item, Note, SeenBy
from clients.core.session import Session
from clients.core.turn import HOUR, Turn
from gateway import wire
from keys.envelope import Kind, Precedence
from keys.policy import Verb
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.errors import TlogError
from keys.tlog.merkle import check_consistency

EVERY: Final = 10_000  # ms between two questions about what others have seen
PATIENCE: Final = 60_000  # ms that one question may stay without an answer
TRIES: Final = 8  # answers that settle nothing; the two of a pair rarely end at different checkpoints
_ASKED: Final = b"shown to "
_SUSPECT: Final = b"suspect "
_SHOWN: Final = encode_content(SeenLog(b""))[:2]  # the array, and its tag


def compare(turn: Turn, channel: bytes, device: bytes, size: int, root: bytes, note: bytes = b"") -> None:
    """Another device has seen a log of that size and root; `note` is the checkpoint itself, where it was handed on."""
    known = evidence.head_at(turn.draft, size)
    if known is not None:
        if known.root != root:
            _differs(turn, channel, device, size, known, note)
        return
    if records.CHECKPOINT.get(turn.draft) is None or size == 0:
        return
    before = records.SEEN.get(turn.draft, device)
    if before is None or note or not before.note:
        tries = 0 if before is None else before.tries
        records.SEEN.put(turn.draft, device, SeenBy(size, root, channel, note, tries))


def _differs(turn: Turn, channel: bytes, device: bytes, size: int, known: Head, note: bytes) -> None:
    suspicion(turn, channel, device, size, f"was shown another log of {size} entries")
    if note and known.note:
        evidence.convict(turn, known.note, note)


def suspicion(turn: Turn, channel: bytes, device: bytes, seq: int, what: str) -> None:
    """Another device sees something else. Traffic goes on, people are told whose, and notes are exchanged."""
    key = _SUSPECT + channel + device  # of two histories every later word disagrees: it is said once
    last = records.COUNTERS.get(turn.draft, key)
    if last is None or turn.now >= last.value + HOUR:
        records.COUNTERS.put(turn.draft, key, Counter(turn.now))
        turn.alarm(AlarmKind.SUSPICION, f"device {device.hex()[:8]} {what}", channel=channel, seq=seq, device=device)
    show(turn, channel)


def show(turn: Turn, channel: bytes) -> None:
    """Show the channel's members the checkpoint that this device holds; once an hour at most."""
    note, state = records.CHECKPOINT.get(turn.draft), records.CHANNELS.get(turn.draft, channel)
    if note is None or state is None or state.left or state.halted:
        return
    if not turn.charter.policy.permits(turn.me.roles, Verb.SEND):
        return
    last = records.COUNTERS.get(turn.draft, _ASKED + channel)
    if last is not None and turn.now < last.value + HOUR:
        return
    records.COUNTERS.put(turn.draft, _ASKED + channel, Counter(turn.now))
    content = encode_content(SeenLog(note.data))
    outbox.keep(turn, Kept(channel, Kind.APPLICATION, content, Precedence.IMMEDIATE, state.ceiling))


def is_shown(item: Item) -> bool:
    """Whether that is all that an item of the outbox does."""
    return item.kind is Kind.APPLICATION and item.content.startswith(_SHOWN)


def shown(turn: Turn, channel: bytes, device: bytes, note: bytes) -> None:
    """A member shows the checkpoint that it holds; this device does the same, if it sees another log or cannot tell."""
    try:
        theirs = open_checkpoint(note, [turn.charter.log_verifier()], turn.charter.policy.log_origin)
    except TlogError as error:
        turn.alarm(
            AlarmKind.FORGED, f"a checkpoint that the log's key did not sign: {error}", channel=channel, device=device
        )
        return
    records.SHOWN.put(turn.draft, device, Note(note))
    known = evidence.head_at(turn.draft, theirs.size)
    if known is None or known.root != theirs.root:
        show(turn, channel)
    compare(turn, channel, device, theirs.size, theirs.root, note)


# ------------------------------------------------------------------ asking


def ask(s: Session, turn: Turn) -> None:
    """Have one thing that others saw proved, together with a step of this device's own; and what makes a charge whole."""
    if not s.listed or s.narrow:
        return
    waiting = [seen for seen in list(records.SEEN.scan(turn.draft)) if not _given_up(s, turn, *seen)]
    charges, doubted = list(records.CHARGES.scan(turn.draft)), records.COUNTERS.get(turn.draft, proof.UNPROVEN_HEAD)
    if s.looked and not waiting and not charges and doubted is None:
        return
    if not turn.reached(s.gossip_at) or s.errands.covers("prove", b"") or s.errands.covers("gossip", b""):
        return
    held = proof.held(turn.draft, turn.charter)
    if held is None:
        return
    if not s.looked:  # one look at the newest log a session: whether it has grown from where this device was
        s.looked = s.send(Errand("prove", b"", held.size), lambda i: wire.Prove(i, held.size, []))
        return
    if doubted is not None:
        size = doubted.value
        s.send(Errand("fork", b"", size), lambda i: wire.Prove(i, 0, proof.last_entry(size)))
        s.gossip_at = turn.now + EVERY
        return
    pursue(s, turn, held, charges)
    waiting = [one for one in waiting if one[0] > s.gossip_last] or waiting  # in turns
    for device, seen in waiting[:1]:  # both questions at once, so that both answers end at one checkpoint
        if s.send(Errand("prove", b"", held.size), lambda i: wire.Prove(i, held.size, [])):
            s.send(Errand("gossip", device, seen.size), lambda i, n=seen.size: wire.Prove(i, n, []))  # type: ignore[misc]
            s.gossip_asked, s.gossip_at, s.gossip_last = turn.awake, turn.now + EVERY, device


def pursue(s: Session, turn: Turn, held: Checkpoint, charges: Sequence[tuple[bytes, Charge]]) -> None:
    """Ask for what makes a charge whole. The leaf hash at an index is the first hash on its neighbour's way up."""
    for key, charged in charges:
        index = int.from_bytes(key, "big")
        wanted = [index] if charged.entry else [index, index ^ 1]
        if max(wanted) < held.size:
            s.send(Errand("charge", key, held.size), lambda i, w=wanted: wire.Prove(i, held.size, w))  # type: ignore[misc]
            s.gossip_at = turn.now + EVERY
            return


def _given_up(s: Session, turn: Turn, device: bytes, seen: SeenBy) -> bool:
    """Whether the gateway has had its time to prove what a device saw."""
    silent = s.errands.covers("gossip", device) and turn.has_had(s.gossip_asked, PATIENCE + 1)
    if seen.tries < TRIES and not silent:
        return False
    records.SEEN.delete(turn.draft, device)
    what = f"has seen a log of {seen.size} entries, which the gateway does not prove"
    suspicion(turn, seen.channel, device, seen.size, what)
    return True


def answered(s: Session, turn: Turn, errand: Errand, frame: wire.Proven) -> None:
    """The gateway's proof that its newest log has grown from what a device saw, or what it takes for one."""
    device, seen = errand.key, records.SEEN.get(turn.draft, errand.key)
    try:
        offered = open_checkpoint(frame.checkpoint, [turn.charter.log_verifier()], turn.charter.policy.log_origin)
    except TlogError as error:
        turn.alarm(AlarmKind.FORGED, f"a checkpoint that the log's key did not sign: {error}")
        return
    known = evidence.head_at(turn.draft, offered.size)
    if known is not None and known.root != offered.root:
        if known.note:
            evidence.convict(turn, known.note, frame.checkpoint)
        return
    if seen is None or seen.size != errand.number:
        return
    grown = _has_grown(seen, offered, frame.consistency)
    if not grown and seen.note and evidence.convict(turn, seen.note, frame.checkpoint, frame.consistency):
        records.SEEN.delete(turn.draft, device)
        return
    if not grown and seen.note:  # of a power of two that proof names no older root; the last entry's does
        s.send(Errand("fork", device, seen.size), lambda i: wire.Prove(i, 0, proof.last_entry(seen.size)))
    if known is None:  # it proves something of a log that is not proved to be this device's: asked again
        records.SEEN.put(turn.draft, device, replace(seen, tries=seen.tries + 1))
        return
    records.SEEN.delete(turn.draft, device)
    if grown:
        evidence.remember(turn, seen.size, seen.root, seen.note)
    else:
        suspicion(turn, seen.channel, device, seen.size, f"was shown another log of {seen.size} entries")


def forked_at(turn: Turn, errand: Errand, frame: wire.Proven) -> None:
    """The answer about the last entry of the log that a device has shown: what root the gateway's log has for it."""
    paths = {path.index: path.hashes for path in frame.paths}
    own, beside = paths.get(errand.number - 1), paths.get((errand.number - 1) ^ 1)
    note = records.SHOWN.get(turn.draft, errand.key)
    if note is not None and own and beside:
        evidence.convict(turn, note.data, frame.checkpoint, own, beside[0])


def refused(turn: Turn, errand: Errand, frame: wire.Refused) -> None:
    """The gateway has never had a log of that size, or has no time."""
    seen = records.SEEN.get(turn.draft, errand.key)
    if seen is not None and frame.refusal is wire.Refusal.DENIED and seen.size == errand.number:
        records.SEEN.delete(turn.draft, errand.key)
        what = f"has seen a log of {seen.size} entries, and here the gateway has fewer"
        suspicion(turn, seen.channel, errand.key, seen.size, what)


def _has_grown(seen: SeenBy, offered: Checkpoint, path: Sequence[bytes]) -> bool:
    try:
        check_consistency(seen.size, seen.root, offered.size, offered.root, path)
    except TlogError:
        return False
    return True
