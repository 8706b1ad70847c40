"""Which commits a member takes: the charter's rules over RFC 9420's, checked by everybody for himself.

    adds      by a role with the verb; each certificate counts, is in its life and on no list; its organisation may see the ceiling
    removes   by a role with the verb, or by anybody where the leaf is revoked or expired
    renewals  of the committer's own leaf, to a certificate of the same device and person (`Trust.is_successor`)
    resync    by an external commit of a member that an officer approved in this epoch: its old leaf for a new one
    nothing else: no re-initialisation, no pre-shared key, no other terms

What breaks a rule raises `BadCommit`, and the epoch is not taken (ARCHITECTURE section 4, ATTACKS 8 to 11).
"""

from typing import Final

from clients.core import records, trust
from clients.core.groups import epoch_at, roster_at, seat_of, terms_of
from clients.core.trust import Trust, certificate_of
from clients.core.turn import Turn
from gateway.wire import Place
from keys.body import TERMS_EXTENSION, read_terms
from keys.credential import Certified
from keys.envelope import Context, Kind
from keys.errors import KeysError
from keys.mls.errors import MLSError
from keys.mls.framing import MemberSender, MLSMessage, NewMemberCommit, PublicMessage
from keys.mls.group import Group
from keys.mls.messages import Add, ByValue, Commit, ExternalInit, GroupContextExtensions, Remove
from keys.mls.nodes import find_extension
from keys.policy import Verb

STATED: Final = frozenset({Kind.STAND_DOWN, Kind.CHECK_IN_PLAN, Kind.ACK, Kind.COMMIT_REFUSED, Kind.FRANKING_COMPLAINT})
"""What members say in clear of any epoch that has begun: it may have been long on its way."""


class BadCommit(Exception):
    """The commit breaks a rule; the text names it."""


class Unfounded(BadCommit):
    """The commit breaks a rule by what this device knows; a revocation list that allows it may be on its way still."""


def read_commit(message: bytes) -> tuple[PublicMessage, Commit]:
    """A commit in clear, by a member or by one that comes in again, as claimed. Raises BadCommit."""
    try:
        body = MLSMessage.unwrap(message)
    except MLSError as error:
        raise BadCommit(f"not an MLS message: {error}") from None
    if not isinstance(body, PublicMessage) or not isinstance(body.framed.content, Commit):
        raise BadCommit("a commit travels as a PublicMessage")
    if not isinstance(body.framed.sender, MemberSender | NewMemberCommit):
        raise BadCommit("a commit is made by a member, or by one that comes in again")
    return body, body.framed.content


def certificates_in(commit: Commit) -> list[bytes]:
    """The certificates that a commit brings in: of those added, and of the committer's new leaf."""
    leaves = [p.proposal.key_package.leaf_node for p in commit.proposals if _is_add(p)]  # type: ignore[union-attr]
    if commit.path is not None:
        leaves.append(commit.path.leaf_node)
    try:
        return [certificate_of(leaf.credential) for leaf in leaves]
    except MLSError as error:
        raise BadCommit(str(error)) from None


def _is_add(proposal: object) -> bool:
    return isinstance(proposal, ByValue) and isinstance(proposal.proposal, Add)


def check_rejoin(
    turn: Turn, known: Trust, channel: bytes, group: Group, commit: Commit, author: Certified, place: Place
) -> None:
    """Hold an external commit against the charter: only a member comes in again, approved for this epoch, in place of its own
    leaf. Raises BadCommit."""
    approved = records.RESYNCS.get(turn.draft, channel + author.device)
    if approved is None or approved.value != group.epoch:
        raise BadCommit(f"device {author.device.hex()[:8]} comes in from outside without an approval for this epoch")
    proposals = [one.proposal for one in commit.proposals if isinstance(one, ByValue)]
    removed = [one.removed for one in proposals if isinstance(one, Remove)]
    mine = [s.leaf for s in _roster(turn, channel, group.epoch) if s.device == author.device]
    if len(commit.proposals) != 2 or not any(isinstance(one, ExternalInit) for one in proposals) or removed != mine:
        raise BadCommit("coming in again removes the device's old leaf, and does nothing else")
    if commit.path is None:
        raise BadCommit("coming in again takes a new leaf")
    again = known.certified(certificate_of(commit.path.leaf_node.credential))
    if again is None or again.device != author.device:
        raise BadCommit("the new leaf is another device's")
    if again.not_after < place.time or trust.revoked(turn.draft, again, place.index):
        raise BadCommit(
            f"device {author.device.hex()[:8]} comes in again with a certificate that has ended or was revoked"
        )


def check_commit(
    turn: Turn, known: Trust, channel: bytes, group: Group, commit: Commit, author: Certified, place: Place
) -> None:
    """Hold a member's commit against the charter. Raises BadCommit."""
    members = {s.leaf: s for s in _roster(turn, channel, group.epoch)}
    present = {s.device for s in members.values()}
    for wrapped in commit.proposals:
        if not isinstance(wrapped, ByValue):
            raise BadCommit("proposals by reference are not taken here")
        proposal = wrapped.proposal
        if isinstance(proposal, Add):
            added = _check_add(
                turn, known, group, certificate_of(proposal.key_package.leaf_node.credential), author, place
            )
            if added.device in present:
                raise BadCommit(f"device {added.device.hex()[:8]} is a member already")
            present.add(added.device)
        elif isinstance(proposal, Remove):
            seat = members.get(proposal.removed)
            if seat is None:
                raise BadCommit(f"no member at leaf {proposal.removed}")
            _check_remove(turn, known, seat.certificate, author, place)
            present.discard(seat.device)
        elif isinstance(proposal, GroupContextExtensions):
            _check_extensions(group, proposal)
        else:
            raise BadCommit(f"{type(proposal).__name__} proposals are refused")


def _roster(turn: Turn, channel: bytes, epoch: int) -> list[records.Seat]:
    roster = roster_at(turn.draft, channel, epoch)
    assert roster is not None, "a roster is noted with every epoch"
    return roster.seats


def _check_add(
    turn: Turn, known: Trust, group: Group, certificate: bytes, author: Certified, place: Place
) -> Certified:
    policy = turn.charter.policy
    if not policy.permits(author.roles, Verb.ADD):
        raise BadCommit(f"device {author.device.hex()[:8]} has no role that may add")
    added = known.certified(certificate)
    if added is None or added.registrar:
        raise BadCommit("an added leaf has no certificate that counts")
    try:
        added.check_time(place.time)
        allowed = policy.may_see(added.organisation, terms_of(group).ceiling, place.time)
    except KeysError as error:
        raise BadCommit(str(error)) from None
    if not allowed:
        raise BadCommit(f"{added.organisation} may not see what goes to this channel")
    if policy.audits(added.roles):
        raise BadCommit(f"device {added.device.hex()[:8]} is an auditor's, and an auditor sits in no channel")
    if trust.revoked(turn.draft, added, place.index):
        raise BadCommit(f"device {added.device.hex()[:8]} was revoked before it was added")
    return added


def _check_remove(turn: Turn, known: Trust, certificate: bytes, author: Certified, place: Place) -> None:
    if turn.charter.policy.permits(author.roles, Verb.REMOVE):
        return
    removed = known.certified(certificate)
    if removed is None or removed.not_after < place.time or trust.revoked(turn.draft, removed, place.index):
        return
    raise Unfounded(f"device {author.device.hex()[:8]} has no role that may remove")


def _check_extensions(group: Group, proposal: GroupContextExtensions) -> None:
    """Terms may follow a newer charter; class and ceiling stay, and so does everything else."""
    data = find_extension(proposal.extensions, TERMS_EXTENSION)
    before = terms_of(group)
    try:
        after = read_terms(data) if data is not None else None
    except KeysError as error:
        raise BadCommit(str(error)) from None
    others = [e for e in proposal.extensions if e.extension_type != TERMS_EXTENSION]
    kept = [e for e in group.context.extensions if e.extension_type != TERMS_EXTENSION]
    same = after is not None and (after.channel_class, after.ceiling, after.beside) == (
        before.channel_class,
        before.ceiling,
        before.beside,
    )
    if not same or others != kept or after is None or after.charter_version < before.charter_version:
        raise BadCommit("a channel's terms can't be changed")


def bad_leaves(turn: Turn, known: Trust, channel: bytes, epoch: int) -> list[tuple[bytes, str]]:
    """The members that have to go first, and why: revoked or expired."""
    found = []
    for seat in _roster(turn, channel, epoch):
        if seat.device == turn.me.device:
            continue
        certified = known.certified(seat.certificate)
        why = "unknown" if certified is None else trust.unfit(turn, certified)
        if why:
            found.append((seat.device, why))
    return found


def epoch_of(turn: Turn, context: Context, seq: int) -> int:
    """The epoch whose leaf has signed what has its place at `seq`: the one that it names. What is stated is signed by the leaf of
    where it stands, or the gateway has it sealed again (LEAF); who came in since it was sealed has no other roster to judge it by."""
    return epoch_at(turn, context.channel, seq)[0] if context.kind in STATED else context.epoch


def author_in(turn: Turn, known: Trust, channel: bytes, epoch: int, device: bytes) -> Certified | None:
    """The certificate behind a device's leaf in an epoch: its key signs there, its roles count."""
    seat = seat_of(turn.draft, channel, epoch, device)
    return known.certified(seat.certificate) if seat else None
