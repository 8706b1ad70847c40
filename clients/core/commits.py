"""Others' commits: checked before anything changes, then taken whole, or refused aloud.

`check` looks (MLS, binding, roster rules) and changes nothing; `apply` begins the new epoch. A commit that breaks a rule is not
taken: the device says so to the channel, which is halted there until an officer lets it come in again (`clients.core.resync`),
since epochs never go back.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from msgspec.structs import replace

from clients.core import groups as grouped
from clients.core import outbox, records, roster
from clients.core.groups import Groups, note_roster, seats
from clients.core.outbox import Kept
from clients.core.records import AlarmKind, Channel, Epoch, Note
from clients.core.trust import Trust
from clients.core.turn import Moved, Turn
from gateway.wire import Place, Placed
from keys import body as bodies
from keys.canonical import encode
from keys.credential import Certified
from keys.envelope import Claimed, Kind, Precedence, Verified, check_body, verify_run
from keys.errors import KeysError, NotTrusted
from keys.mls.errors import MLSError
from keys.mls.framing import MemberSender, NewMemberCommit, PublicMessage
from keys.mls.group import Group
from keys.mls.received import CommitReceived


class Wanting(Exception):
    """Certificates have to be fetched first; nothing was changed."""

    def __init__(self, certificates: Sequence[bytes]) -> None:
        super().__init__(f"{len(certificates)} certificates to fetch")
        self.certificates = tuple(certificates)


class CommitBroken(Exception):
    """A commit that breaks a rule; the text names it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What changes of channels need. `given_up`: certificates that the gateway could not show."""

    turn: Turn
    trust: Trust
    groups: Groups
    given_up: AbstractSet[bytes] = frozenset()


def named_author(work: Work, claimed: Claimed, body: bytes, certificate: bytes) -> Certified:
    """Who signed an envelope whose body names its author's certificate. Raises Wanting, KeysError."""
    certified = work.trust.certified(certificate)
    if certified is None:
        if certificate in work.given_up:
            raise NotTrusted("its author has no certificate that counts")
        raise Wanting([certificate])
    if certified.device != claimed.context.device:
        raise NotTrusted("it names a certificate of another device")
    (verified,) = verify_run([claimed], certified.public_key)
    check_body(verified, body)
    return certified


# --- others' commits ---


def check(
    work: Work,
    channel: bytes,
    state: Channel,
    placed: Placed,
    body: bytes | None,
    envelope: Verified,
    author: Certified,
) -> None:
    """Hold a commit against MLS and charter, changing nothing.

    Raises:
        Wanting: a certificate it brings in is not known yet.
        CommitBroken: it breaks a rule.
    """
    try:
        if body is None:
            raise CommitBroken("its body is missing")
        check_body(envelope, body)
        message = bodies.read_commit(body).commit
        public, commit = roster.read_commit(message)
        missing = work.trust.missing(roster.certificates_in(commit))
        if fetchable := [c for c in missing if c not in work.given_up]:
            raise Wanting(fetchable)
        _check_binding(work, channel, state, envelope, author, public)
        group = group_of(work, channel)
        rules = roster.check_commit if isinstance(public.framed.sender, MemberSender) else roster.check_rejoin
        rules(work.turn, work.trust, channel, group, commit, author, placed.place)
        _, received = group.process(message, now_seconds=placed.place.time // 1000)
        if not isinstance(received, CommitReceived):
            raise CommitBroken("no commit inside")
    except (KeysError, roster.BadCommit) as error:
        raise CommitBroken(str(error)) from error
    except MLSError as error:
        raise CommitBroken(f"{type(error).__name__}: {error}") from None


def group_of(work: Work, channel: bytes) -> Group:
    """The MLS group of a channel that this device is in."""
    group = work.groups.get(work.turn.draft, channel)
    assert group is not None, "a channel that is not left has its group"
    return group


def _check_binding(
    work: Work,
    channel: bytes,
    state: Channel,
    envelope: Verified,
    author: Certified,
    public: PublicMessage,
) -> None:
    """The MLS message is of this channel, epoch and header, by the device that signed the envelope."""
    context, framed = envelope.context, public.framed
    if (framed.group_id, framed.epoch) != (channel, context.epoch) or context.epoch != state.epoch:
        raise CommitBroken(f"of epoch {framed.epoch}, while the channel is at {state.epoch}")
    if framed.authenticated_data != context.authenticated_data():
        raise CommitBroken("bound to another header")
    seat = grouped.seat_of(work.turn.draft, channel, state.epoch, author.device)
    if seat is None or framed.sender not in (MemberSender(seat.leaf), NewMemberCommit()):
        raise CommitBroken("made by another member than the one who signed it")


def apply(work: Work, channel: bytes, placed: Placed, body: bytes | None) -> None:
    """Take a commit that `check` let pass: the new epoch begins."""
    assert body is not None
    turn, group = work.turn, group_of(work, channel)
    message = bodies.read_commit(body).commit
    after, received = group.process(message, now_seconds=placed.place.time // 1000)
    assert isinstance(received, CommitReceived), "check has seen it"
    _drop_pending(work, channel)
    if received.self_removed:
        _leave(work, channel, placed.place.seq)
        return
    work.groups.put(channel, after)
    begin(work, channel, after, placed.place, removed=bool(received.removed))
    turn.events.append(Moved(channel))


def _drop_pending(work: Work, channel: bytes) -> None:
    """Another commit won. This device's own is refused by the gateway's word; until that comes its bytes stay."""
    if records.PENDING.get(work.turn.draft, channel) is not None:
        records.PENDING.delete(work.turn.draft, channel)


def _leave(work: Work, channel: bytes, seq: int) -> None:
    state = records.CHANNELS.get(work.turn.draft, channel)
    assert state is not None
    records.CHANNELS.put(work.turn.draft, channel, replace(state, left=seq))
    work.groups.drop(work.turn.draft, channel)
    for key, intent in list(records.INTENTS.scan(work.turn.draft)):
        if intent.channel == channel:
            finish(work.turn, key, "this device was removed from the channel")
    work.turn.events.append(Moved(channel))


def begin(work: Work, channel: bytes, group: Group, place: Place, *, removed: bool) -> None:
    """Note the beginning of an epoch: since when, and who is in it."""
    turn = work.turn
    epoch_key = channel + group.epoch.to_bytes(8, "big")
    records.EPOCHS.put(turn.draft, epoch_key, Epoch(place.seq, place.time, removed))
    note_roster(turn, channel, group.epoch, seats(group, work.trust))
    mine = bodies.confirmation(channel, group.epoch, group.epoch_authenticator)
    records.CONFIRMED.put(turn.draft, epoch_key, Note(mine))
    state = records.CHANNELS.get(turn.draft, channel)
    assert state is not None
    records.CHANNELS.put(turn.draft, channel, replace(state, epoch=group.epoch))


def refuse(work: Work, channel: bytes, placed: Placed, envelope: Verified, rule: str) -> None:
    """This device can't follow: it says so to the channel, and nothing goes on here until an officer lets it come in again."""
    turn = work.turn
    statement = bodies.CommitRefused(placed.place.seq, envelope.header_hash, rule[:200])
    outbox.keep(turn, Kept(channel, Kind.COMMIT_REFUSED, encode(statement), Precedence.IMMEDIATE))
    state = records.CHANNELS.get(turn.draft, channel)
    assert state is not None
    halted = f"the commit at seq {placed.place.seq} was refused: {rule}"
    records.CHANNELS.put(turn.draft, channel, replace(state, halted=halted))
    turn.alarm(
        AlarmKind.COMMIT_REFUSED,
        rule,
        channel=channel,
        seq=placed.place.seq,
        device=envelope.context.device,
        halts=True,
    )


def finish(turn: Turn, key: bytes, why: str) -> None:
    """An intent is done, or (with a reason) came to nothing."""
    records.INTENTS.delete(turn.draft, key)
    records.OUTCOMES.put(turn.draft, key, Note(why.encode()))
    turn.events.append(Moved(key))
