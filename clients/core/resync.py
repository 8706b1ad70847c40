"""Coming into a channel again, for a device that could not follow a commit: epochs never go back, so it joins anew.

    the officer's device     `approve`: this epoch's GroupInfo with its external key, for one device (RESYNC_APPROVAL)
    every other member       takes an external commit by that device, in that epoch only (`clients.core.roster.check_rejoin`)
    the stranded device      `offered` keeps the approval; `rejoin` ends the epoch by an external commit that removes its old leaf

A stranded device can't follow the channel, so it checks the approval by the tree that its GroupInfo names: whoever signed both
sits at a leaf there, under a certificate that counts and whose role may.
"""

from clients.core import changes, joining, outbox, records
from clients.core import trust as trusted
from clients.core.commits import Wanting, Work, group_of
from clients.core.errors import NotAllowed, Unknown
from clients.core.groups import check_terms, may_join, roster_at, terms_of
from clients.core.joining import NotJoined
from clients.core.opening import Arrived
from clients.core.outbox import Kept
from clients.core.packages import capabilities
from clients.core.records import AlarmKind, Channel, Offer
from clients.core.timeline import claim
from clients.core.trust import certificate_of
from clients.core.turn import Turn
from keys import body as bodies
from keys.canonical import encode
from keys.credential import Certified
from keys.envelope import Envelope, Kind, Precedence, check_body, read, verify_run
from keys.errors import KeysError, Malformed
from keys.mls.errors import MLSError
from keys.mls.group import Group, PendingCommit
from keys.mls.nodes import Credential
from keys.mls.public import read_group_info
from keys.mls.suites import cipher_suite
from keys.mls.tree import Tree
from keys.policy import Verb


def approve(work: Work, channel: bytes, device: bytes) -> bytes:
    """Let another member come in again in the present epoch; gives the item.

    Raises:
        NotAllowed: the charter lets no role of this device do that, or the device is its own person's.
        Unknown: no such member.
    """
    turn = work.turn
    if not turn.charter.policy.permits(turn.me.roles, Verb.APPROVE_ENROLMENT):
        raise NotAllowed("letting a device come in again is an officer's to do")
    group = group_of(work, channel)
    present = roster_at(turn.draft, channel, group.epoch)
    seat = next((s for s in present.seats if s.device == device), None) if present else None
    certified = work.trust.certified(seat.certificate) if seat else None
    if certified is None:
        raise Unknown("no such member of this channel: a device that was removed is added")
    if certified.person == turn.me.person:
        raise NotAllowed("another officer lets your own devices come in again")
    if why := trusted.unfit(turn, certified):
        raise NotAllowed(f"that device is {why}")
    approval = bodies.ResyncApproval(device, group.epoch, group.group_info(external=True))
    return outbox.keep(turn, Kept(channel, Kind.RESYNC_APPROVAL, encode(approval), Precedence.IMMEDIATE))


def offered(turn: Turn, channel: bytes, state: Channel, arrived: Arrived) -> None:
    """What arrives where this device is stranded may be its way in: the newest approval that names it is kept, unchecked."""
    claimed = claim(arrived.placed)
    if not state.halted or state.left or claimed is None or claimed.context.kind is not Kind.RESYNC_APPROVAL:
        return
    try:
        approval = bodies.read_resync_approval(arrived.body or b"")
    except Malformed:
        return
    if approval.device == turn.me.device:
        placed = arrived.placed
        offer = Offer(placed.place.seq, placed.header, placed.signature, arrived.body or b"", b"", 0)
        records.OFFERS.put(turn.draft, channel, offer)


def failed(turn: Turn, channel: bytes, why: str) -> None:
    """The approval is put aside: nothing of it was kept, and an officer may approve anew."""
    records.OFFERS.delete(turn.draft, channel)
    turn.alarm(AlarmKind.TREE, f"not come in again: {why}", channel=channel)


def rejoin(work: Work, channel: bytes, state: Channel, offer: Offer, tree: bytes) -> None:
    """Use an approval: an external commit, pending and durable.

    Raises:
        Wanting: certificates of members have to be fetched first.
        NotJoined: something does not hold.
    """
    turn = work.turn
    if missing := work.trust.missing(joining.certificates_in(state.suite, tree)):
        if fetchable := [c for c in missing if c not in work.given_up]:
            raise Wanting(fetchable)
        raise NotJoined(f"{len(missing)} members have no certificate that counts")
    try:
        approval = _checked(work, channel, state, offer, tree)
        own, seat = _own_leaf(work, state, tree)
        context = changes.context_for(work, channel, state, approval.epoch)
        pending = Group.join_externally(
            approval.group_info,
            Credential.x509([turn.me.certificate]),
            turn.key_of(turn.me.certificate_hash).seed,
            work.trust,
            ratchet_tree=tree,
            remove=own,
            capabilities=capabilities(cipher_suite(state.suite)),
            authenticated_data=context.authenticated_data(),
            random=turn.random,
        )
        _check_terms(work, state, pending)
    except (MLSError, KeysError) as error:
        raise NotJoined(f"{type(error).__name__}: {error}") from None
    changes.hold(work, context, pending, turn.key_of(seat))
    records.OFFERS.delete(turn.draft, channel)
    records.FETCHED.delete(turn.draft, offer.tree)


def _checked(work: Work, channel: bytes, state: Channel, offer: Offer, tree: bytes) -> bodies.ResyncApproval:
    """The approval is for this channel and a later epoch, by whom the GroupInfo's signer is, whose role may."""
    approval = bodies.read_resync_approval(offer.body)
    claimed = read(Envelope(offer.header, offer.signature))
    check_body(claimed, offer.body)
    info = read_group_info(approval.group_info)
    place = (claimed.context.channel, claimed.context.epoch)
    named = (info.group_context.group_id, info.group_context.epoch)
    if place != (channel, approval.epoch) or named != place or approval.epoch < state.epoch:
        raise NotJoined("the approval is for another channel, or for an epoch that is over")
    officer = _signer(work, state, tree, info.signer)
    if officer.device != claimed.context.device or officer.person == work.turn.me.person:
        raise NotJoined("the approval and its GroupInfo are not by one other person")
    if not work.turn.charter.policy.permits(officer.roles, Verb.APPROVE_ENROLMENT):
        raise NotJoined("whoever approved has no role that may")
    if why := trusted.unfit(work.turn, officer):
        raise NotJoined(f"whoever approved is {why}")
    verify_run([claimed], officer.public_key)
    return approval


def _signer(work: Work, state: Channel, tree: bytes, leaf_index: int) -> Certified:
    leaf = Tree.decode(cipher_suite(state.suite), tree).leaf(leaf_index)
    officer = work.trust.certified(certificate_of(leaf.credential)) if leaf else None
    if officer is None:
        raise NotJoined("whoever approved is not in the channel")
    return officer


def _own_leaf(work: Work, state: Channel, tree: bytes) -> tuple[int, bytes]:
    """This device's old leaf, and the certificate in it, whose key signs for it until the new leaf is there."""
    for index, leaf in Tree.decode(cipher_suite(state.suite), tree).members():
        certificate = certificate_of(leaf.credential)
        certified = work.trust.certified(certificate)
        if certified is not None and certified.device == work.turn.me.device:
            return index, certificate
    raise NotJoined("this device has no leaf in the channel any more: it has to be added")


def _check_terms(work: Work, state: Channel, pending: PendingCommit) -> None:
    """The channel is still the one it was, and this organisation may still see it."""
    terms = terms_of(pending.group)
    check_terms(work.turn.charter.policy, terms, pending.group.suite.id)
    if (terms.channel_class, terms.ceiling) != (state.channel_class, state.ceiling):
        raise NotJoined("the channel's class or ceiling is not what it was")
    if not may_join(work.turn, work.turn.me.organisation, terms.ceiling):
        raise NotJoined(f"this organisation may not see {terms.ceiling.label}")
