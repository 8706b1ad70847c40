"""What membership takes: the charter in force, welcomes used, certificates that count, proofs, and changes of channels.

Each function looks at what the ledger still lacks and asks for it; it is called again after every turn, so an answer is acted
on by whoever was waiting for it.
"""

from collections.abc import Sequence
from typing import Final

from clients.core import (
    changes,
    commits,
    deliveries,
    evidence,
    groups,
    joining,
    outbox,
    proof,
    records,
    resync,
    roster,
    settling,
)
from clients.core.commits import CommitBroken, Wanting, Work
from clients.core.errands import Errand
from clients.core.records import Channel, Intent
from clients.core.session import Session
from clients.core.turn import Turn
from gateway import wire
from keys.envelope import Kind
from keys.mls.errors import MLSError
from keys.mls.messages import KeyPackage

REMOVE_STEP: Final = 2_000  # ms between members' turns at removing a leaf that has to go
CERTIFICATES_AT_ONCE: Final = 12
CLAIMED_AT_ONCE: Final = 16


def fetch_charter(s: Session, turn: Turn) -> None:
    version = turn.charter.policy.version
    if s.newest_charter > version:
        s.send(Errand("charter", b""), lambda i: wire.GetCharter(i, version + 1))


def join_channels(s: Session, turn: Turn) -> None:
    for channel, named in list(records.JOINING.scan(turn.draft)):
        welcome = deliveries.blob(s, turn, named.welcome, named.length)
        if not named.tree:
            s.send(Errand("tree", channel), lambda i, c=channel, n=named: wire.GetTree(i, c, n.seq))  # type: ignore[misc]
            continue
        tree = deliveries.blob(s, turn, named.tree, named.tree_length)
        work = s.work(turn)
        if welcome is None or tree is None:
            if named.welcome in s.given_up or named.tree in s.given_up:
                joining.failed(work, channel, named, "the gateway does not hand out the welcome or its tree")
            continue
        try:
            joining.join(work, channel, named, welcome, tree)
        except Wanting as wanting:
            s.wanted.update(wanting.certificates)
        except joining.NotJoined as error:
            joining.failed(work, channel, named, str(error))
        else:
            s.restock |= {kind.suite for kind in turn.charter.policy.classes}
            s.quiet.pop(channel, None)  # what was refused to who was out may go now


def rejoin_channels(s: Session, turn: Turn) -> None:
    """Where this device was stranded and an officer has let it come in again, it does."""
    for channel, offer in list(records.OFFERS.scan(turn.draft)):
        state = records.CHANNELS.get(turn.draft, channel)
        if state is None or state.left or not state.halted:
            records.OFFERS.delete(turn.draft, channel)
            continue
        if not _may_commit(s, turn, channel, state):
            continue
        if not offer.tree:
            s.send(Errand("tree", channel), lambda i, c=channel, o=offer: wire.GetTree(i, c, o.seq))  # type: ignore[misc]
            continue
        tree = deliveries.blob(s, turn, offer.tree, offer.tree_length)
        if tree is None:
            if offer.tree in s.given_up:
                resync.failed(turn, channel, "the gateway does not hand out the tree")
            continue
        try:
            resync.rejoin(s.work(turn), channel, state, offer, tree)
        except Wanting as wanting:
            s.wanted.update(wanting.certificates)
        except joining.NotJoined as error:
            resync.failed(turn, channel, str(error))


def fetch_certificates(s: Session, turn: Turn) -> None:
    for certificate in list(s.wanted):
        if s.trust.certified(certificate) is not None or certificate in s.given_up:
            s.wanted.discard(certificate)
    known = [c for c in s.wanted if records.CERTIFICATES.get(turn.draft, c) is None]
    most = s.at_once(CERTIFICATES_AT_ONCE)
    for start in range(0, len(known), most):
        batch = known[start : start + most]
        _ask_certificates(s, batch)


def _ask_certificates(s: Session, batch: list[bytes]) -> None:
    errand = Errand("certificates", b"".join(batch))
    if not any(s.errands.covers("certificates", c) for c in batch):
        s.send(errand, lambda i: wire.GetCertificates(i, batch))


def ask_for_proofs(s: Session, turn: Turn) -> None:
    """A proof is as long as a message or two. So on a narrow link, but for certificates, one in a while is all: the rest waits for a
    better link, and until then is held against nobody."""
    rest = not s.narrow or turn.reached(s.prove_rest)
    indices = proof.waiting(turn.draft, None if rest else turn.charter.control_channel)[: s.at_once(s.prove_most)]
    if not indices or not turn.reached(s.prove_after) or s.errands.covers("prove", b""):
        return
    held = proof.held(turn.draft, turn.charter)
    size = held.size if held else 0
    key = b"".join(i.to_bytes(8, "big") for i in indices)
    if s.send(Errand("prove", key, size), lambda i: wire.Prove(i, size, indices)):
        for index in indices:
            s.proofs_asked.setdefault(index, turn.awake)


def miss_proofs(s: Session, turn: Turn) -> None:
    proof.overdue(turn, None if s.narrow else s.since, s.proofs_asked)


def remove_the_unfit(s: Session, turn: Turn, channel: bytes) -> None:
    """A member that may not be there goes first. Members take turns by their leaf, so that not all commit at once."""
    state = records.CHANNELS.get(turn.draft, channel)
    if state is None or state.halted or state.left or (state.since == 0 and state.seq == 0):
        return
    bad = roster.bad_leaves(turn, s.trust, channel, state.epoch)
    if not bad:
        s.remove_at.pop(channel, None)
        return
    if any(i.channel == channel and i.automatic and not i.renew for _, i in records.INTENTS.scan(turn.draft)):
        return
    due = s.remove_at.setdefault(channel, turn.now + _turn_to_remove(turn, channel, state))
    urgent = bool(outbox.queued(turn.draft, channel))
    if urgent or turn.reached(due):
        devices = [device for device, _ in bad]
        intent = Intent(channel, [], devices, renew=False, rekey=False, automatic=True)
        records.INTENTS.put(turn.draft, turn.next_id(), intent)


def _turn_to_remove(turn: Turn, channel: bytes, state: Channel) -> int:
    present = groups.roster_at(turn.draft, channel, state.epoch)
    order = [s.device for s in present.seats] if present else []
    return REMOVE_STEP * order.index(turn.me.device) if turn.me.device in order else 0


def renew_leaf(s: Session, turn: Turn, channel: bytes) -> None:
    """The newest certificate of this device goes into its leaf, however it came in with another: it was renewed since, or added by a
    KeyPackage of before."""
    state, mine = records.CHANNELS.get(turn.draft, channel), turn.me.certificate_hash
    if state is None or state.halted or state.left or channel in s.unrenewed or s.trust.certified(mine) is None:
        return  # who comes in again does so by the newest
    seat = groups.seat_of(turn.draft, channel, state.epoch, turn.me.device)
    if seat is None or seat.certificate == mine:
        return
    if not any(i.channel == channel and i.renew for _, i in records.INTENTS.scan(turn.draft)):
        intent = Intent(channel, [], [], renew=True, rekey=False, automatic=True)
        records.INTENTS.put(turn.draft, turn.next_id(), intent)


def pursue_intents(s: Session, turn: Turn) -> None:
    """One a channel, renewals first: whose certificate has ended commits nothing else."""
    if evidence.forked(turn.draft, turn.charter):
        return
    busy: set[bytes] = set()
    for key, intent in sorted(records.INTENTS.scan(turn.draft), key=lambda pair: not pair[1].renew):
        channel = intent.channel
        state = records.CHANNELS.get(turn.draft, channel)
        if state is None or state.halted or state.left or channel in busy:
            continue
        busy.add(channel)
        if not _may_commit(s, turn, channel, state):
            continue
        _advance(s, turn, key, intent, state)


def _may_commit(s: Session, turn: Turn, channel: bytes, state: Channel) -> bool:
    """Caught up, nothing of this device under way there, and the channel known to the gateway. Who was told that this epoch is over
    waits for the commit that has ended it: another of his own would be refused again, and nothing urgent could go before it."""
    if state.seq < state.head or records.PENDING.get(turn.draft, channel) is not None:
        return False
    if not turn.reached(s.over.get(settling.at_epoch(channel, state.epoch), 0)):
        return False
    queue = outbox.queued(turn.draft, channel)
    return not any(i.number for _, i in queue) and not any(i.kind is Kind.CHANNEL_CREATED for _, i in queue)


def _advance(s: Session, turn: Turn, key: bytes, intent: Intent, state: Channel) -> None:
    work = s.work(turn)
    plan = changes.plan(work, intent)
    if plan.empty:
        commits.finish(turn, key, "")
        return
    if plan.renew and s.trust.certified(turn.me.certificate_hash) is None:
        return  # renewed once more since it was asked for, and not proved yet
    try:
        admitted = _admit(s, work, intent.channel, state, plan.add)
        if admitted is None:
            return
        changes.commit(work, key, intent, plan, admitted)
        for device in plan.add:
            del s.claims[state.suite, device]  # one KeyPackage, one group; a race that is lost claims another
    except (CommitBroken, MLSError) as error:
        commits.finish(turn, key, str(error))
        if plan.renew:
            s.unrenewed.add(intent.channel)  # or it would be tried again in every turn


def _admit(s: Session, work: Work, channel: bytes, state: Channel, devices: Sequence[bytes]) -> list[KeyPackage] | None:
    """KeyPackages of those to be added; None while some are still to be claimed or their certificates fetched."""
    missing = [d for d in devices if (state.suite, d) not in s.claims]
    if missing:
        batch = missing[: s.at_once(CLAIMED_AT_ONCE)]
        errand = Errand("claim", b"".join(batch), state.suite)
        s.send(errand, lambda i: wire.ClaimKeyPackages(i, state.suite, batch))
        return None
    claimed = {d: s.claims[state.suite, d] for d in devices}
    hashes = [h for p in claimed.values() if p and (h := changes.certificate_named(p))]
    wanted = [h for h in s.trust.missing(hashes) if h not in s.given_up]
    if wanted:
        s.wanted.update(wanted)
        return None
    return [changes.admit(work, channel, device, package) for device, package in claimed.items()]
