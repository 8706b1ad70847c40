"""This device's own changes of a channel: founding it, adding, removing, fresh keys, a renewed certificate.

An intent is durable. From it a commit is made for the present epoch; the MLS state to be is kept beside the channel's
(`Pending`) and takes its place only once the gateway has accepted the commit. When another commit wins the epoch, the pending
one is dropped, its number is sealed again for whatever comes next, and the intent makes another commit in the new epoch. A
crash at any point finds intent, pending commit and outbox item together, or none of them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from clients.core import alerts, announcements, disclosures, emergencies, outbox, playbook, records, retention, settling
from clients.core import groups as grouped
from clients.core import trust as trusted
from clients.core.commits import CommitBroken, Work, begin, finish, group_of
from clients.core.content import Cards, Purpose, Text, encode_content, read_content
from clients.core.groups import note_roster, seats
from clients.core.joining import forget
from clients.core.ledger import at
from clients.core.outbox import Kept, stream_of_receipts
from clients.core.packages import capabilities, lifetime
from clients.core.records import AlarmKind, Channel, Counter, Intent, Item, Message, Note, Pending, Seat
from clients.core.roster import author_in, epoch_of
from clients.core.trust import certificate_of
from gateway.wire import Place, Placed
from keys import body as bodies
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Envelope, Heard, Kind, Marking, Precedence, bare, read
from keys.errors import NotPermitted
from keys.identity import SigningKey
from keys.mls.errors import MLSError
from keys.mls.group import Group, PendingCommit
from keys.mls.messages import Add, KeyPackage, Proposal, Remove
from keys.mls.nodes import Credential, Extension
from keys.mls.suites import cipher_suite
from keys.policy import DESK, Verb

NO_INTENT: Final = bytes(16)
ADDED_AT_ONCE: Final = 100  # devices in one commit; a Welcome of the hybrid suite grows by 1.2 kB for each


def create(work: Work, channel_class: str, ceiling: int, purpose: str, beside: bytes = b"") -> tuple[bytes, bytes]:
    """Found a channel with this device alone in it, perhaps an alert channel beside a talk channel; gives its id and the item of
    its CHANNEL_CREATED."""
    turn, policy = work.turn, work.turn.charter.policy
    kind = policy.channel_class(channel_class)
    terms = bodies.ChannelTerms(policy.version, channel_class, Marking(ceiling), beside or None)
    channel = turn.random(16)
    suite = cipher_suite(kind.suite)
    credential = Credential.x509([turn.me.certificate])
    start, end = lifetime(turn)
    group = Group.create(
        suite,
        channel,
        credential,
        turn.key_of(turn.me.certificate_hash).seed,
        work.trust,
        extensions=(Extension(bodies.TERMS_EXTENSION, terms.encode()),),
        capabilities=capabilities(suite),
        limits=grouped.LIMITS,
        not_before=start,
        not_after=end,
        random=turn.random,
    )
    state = Channel(
        channel_class,
        Marking(ceiling),
        kind.suite,
        since=0,
        seq=0,
        rolling=NOTHING,
        head=0,
        epoch=0,
        left=0,
        halted="",
        purpose=purpose,
        beside=beside,
    )
    records.CHANNELS.put(turn.draft, channel, state)
    work.groups.put(channel, group)
    note_roster(turn, channel, 0, seats(group, work.trust))
    created = bodies.ChannelCreated(group.group_info(), group.tree_bytes())
    return channel, outbox.keep(turn, Kept(channel, Kind.CHANNEL_CREATED, encode(created), Precedence.PRIORITY))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an intent still comes to in the present epoch: devices to add, leaves to remove."""

    add: tuple[bytes, ...]
    remove: tuple[int, ...]
    renew: bool
    rekey: bool

    @property
    def empty(self) -> bool:
        return not (self.add or self.remove or self.renew or self.rekey)


def plan(work: Work, intent: Intent) -> Plan:
    """Hold an intent against the present roster: who is in already need not be added, who is gone not removed."""
    turn = work.turn
    group = group_of(work, intent.channel)
    present = grouped.roster_at(turn.draft, intent.channel, group.epoch)
    assert present is not None
    by_device = {s.device: s for s in present.seats}
    add = tuple(d for d in dict.fromkeys(intent.add) if d not in by_device)[:ADDED_AT_ONCE]
    remove = tuple(
        by_device[d].leaf for d in dict.fromkeys(intent.remove) if d in by_device and _may_remove(work, by_device[d])
    )
    mine = by_device.get(turn.me.device)
    renew = intent.renew and mine is not None and mine.certificate != turn.me.certificate_hash
    return Plan(add, remove, renew, intent.rekey)


def _may_remove(work: Work, seat: Seat) -> bool:
    """By the verb; or, as anybody may, who is revoked or expired: not who was, by this device's clock, and has another certificate now."""
    certified = work.trust.certified(seat.certificate)
    return work.turn.charter.policy.permits(work.turn.me.roles, Verb.REMOVE) or (
        certified is None or bool(trusted.unfit(work.turn, certified))
    )


def admit(work: Work, channel: bytes, device: bytes, package: bytes | None) -> KeyPackage:
    """A claimed KeyPackage that may be added: whole, of that very device, whose certificate counts and is alive.

    Raises:
        CommitBroken: it may not.
    """
    turn, state = work.turn, records.CHANNELS.get(work.turn.draft, channel)
    assert state is not None
    if package is None:
        raise CommitBroken(f"device {device.hex()[:8]} has left no KeyPackages: it has to connect first")
    try:
        decoded = KeyPackage.decode(package)
        decoded.verify(cipher_suite(state.suite), work.trust, turn.now // 1000)
        certified = work.trust.certified(certificate_of(decoded.leaf_node.credential))
    except MLSError as error:
        raise CommitBroken(f"the KeyPackage of device {device.hex()[:8]} does not hold: {error}") from None
    if certified is None or certified.device != device:
        raise CommitBroken(f"the KeyPackage handed out for device {device.hex()[:8]} is another's")
    if why := trusted.unfit(turn, certified):
        raise CommitBroken(f"device {device.hex()[:8]} is {why}")
    if not grouped.may_join(turn, certified.organisation, state.ceiling):
        raise CommitBroken(f"{certified.organisation} may not see what goes to this channel")
    if trusted.stale(turn.draft, certified.organisation, turn.now, turn.charter.policy.crl_hours):
        raise CommitBroken(f"the revocation list of {certified.organisation} is missing or too old to add by")
    return decoded


def certificate_named(package: bytes) -> bytes | None:
    """The hash of the certificate in a KeyPackage, to fetch it; None where there is none to read."""
    try:
        return certificate_of(KeyPackage.decode(package).leaf_node.credential)
    except MLSError:
        return None


def commit(work: Work, key: bytes, intent: Intent, wanted: Plan, packages: Sequence[KeyPackage]) -> bytes:
    """Make the commit of an intent for the present epoch, pending and durable; gives its item."""
    turn, channel = work.turn, intent.channel
    group = group_of(work, channel)
    state = records.CHANNELS.get(turn.draft, channel)
    assert state is not None
    context = context_for(work, channel, state, group.epoch)
    proposals: list[Proposal] = [Remove(leaf) for leaf in wanted.remove]
    proposals += [Add(package) for package in packages]
    fresh = None
    if wanted.renew:
        fresh = (Credential.x509([turn.me.certificate]), turn.key_of(turn.me.certificate_hash).seed)
    pending = group.commit(
        proposals,
        authenticated_data=context.authenticated_data(),
        by_reference=(),
        new_credential_and_signature_key=fresh,
        random=turn.random,
    )
    seat = grouped.seat_of(turn.draft, channel, group.epoch, turn.me.device)
    assert seat is not None
    return hold(work, context, pending, turn.key_of(seat.certificate), key)


def context_for(work: Work, channel: bytes, state: Channel, epoch: int) -> Context:
    """The context of this device's next commit, which ends `epoch`."""
    number, attempt, previous = outbox.next_number(work.turn, channel)
    return bare(
        Kind.COMMIT,
        work.turn.me.device,
        channel,
        number,
        previous,
        work.turn.now,
        Precedence.IMMEDIATE,
        epoch=epoch,
        attempt=attempt,
        heard=Heard(state.seq, state.rolling),
    )


def hold(work: Work, context: Context, pending: PendingCommit, signer: SigningKey, intent: bytes = NO_INTENT) -> bytes:
    """Keep a commit with all that goes with it, sealed and ready to go; gives its item. Without an intent it is the one by
    which this device comes in again."""
    turn, channel = work.turn, context.channel
    blobs = [pending.group_info, *([pending.welcome] if pending.welcome else [])]
    for blob in blobs:
        records.BLOBS.put(turn.draft, sha256(blob).digest(), Note(blob))
    welcome = sha256(pending.welcome).digest() if pending.welcome else None
    body = encode(bodies.Commit(pending.message, welcome, sha256(pending.group_info).digest()))
    item_key = outbox.keep(
        turn,
        Kept(channel, Kind.COMMIT, body, Precedence.IMMEDIATE, uploads=tuple(sha256(b).digest() for b in blobs)),
    )
    item = records.OUTBOX.get(turn.draft, item_key)
    assert item is not None
    outbox.seal_commit(turn, item_key, item, context, body, signer)
    kept = Pending(intent, item_key, context.epoch, pending.encode(), intent == NO_INTENT)
    records.PENDING.put(turn.draft, channel, kept)
    return item_key


def own_accepted(
    work: Work, channel: bytes, run: Sequence[tuple[bytes, Item]], places: Sequence[Place], latest: int = 0
) -> None:
    """This device's envelopes have their places: content goes into its own history, a pending commit is merged."""
    for (key, item), place in zip(run, places, strict=True):
        settling.settle(work.turn, key, item, place, latest)
        if item.kind is Kind.COMMIT:
            _merge(work, channel, key, place)
        elif item.kind in (Kind.APPLICATION, Kind.ALERT):
            _own_message(work, channel, item, place)
        elif item.kind in emergencies.KINDS:
            _own_emergency(work, channel, item, place)
        elif item.kind is Kind.ACK:
            ack = bodies.read_ack(item.content)
            with suppress(NotPermitted):  # it was sent by another program of this device, and counts nowhere
                alerts.answered(work.turn, ack, work.turn.me.device, _channel_of(work, channel), place.seq, place.time)
        elif item.kind is Kind.RESYNC_APPROVAL:
            approval = bodies.read_resync_approval(item.content)
            records.RESYNCS.put(work.turn.draft, channel + approval.device, Counter(approval.epoch))
        elif item.kind in announcements.OWN:
            announcements.own(work.turn, item.kind, item.content, place)
        elif item.kind in disclosures.KINDS:
            disclosures.own(work, item.kind, item.header, item.content, place)
        elif item.kind in retention.KINDS:
            retention.own(work, item.kind, item.header, item.content, place)
        elif item.kind is Kind.REVOCATION_LIST:
            trusted.keep_list(work.turn.draft, work.turn.charter, item.content, place.index)
        elif item.kind is Kind.CERTIFICATE:
            trusted.absorb(work.turn, work.trust, [Placed(channel, place, item.header, item.signature, item.content)])


def _own_emergency(work: Work, channel: bytes, item: Item, place: Place) -> None:
    """What this device called for, ended or promised counts here as it does for everybody."""
    me, header_hash = work.turn.me, sha256(item.header).digest()
    if item.kind in (Kind.SOS, Kind.CHECK_IN_PLAN):
        _own_message(work, channel, item, place)
    context = read(Envelope(item.header, item.signature)).context
    author = author_in(work.turn, work.trust, channel, epoch_of(work.turn, context, place.seq), me.device)
    if author is not None:
        whence = emergencies.Whence(author, channel, place.seq, place.time, context.time, header_hash)
        with suppress(NotPermitted):  # it was sent by another program of this device, and counts nowhere
            emergencies.take(work.turn, item.kind, item.content, whence)


def _channel_of(work: Work, stream: bytes) -> bytes:
    """The channel that a stream is, or stands beside."""
    return next((channel for channel, _ in work.turn.channels() if stream_of_receipts(channel) == stream), stream)


def _merge(work: Work, channel: bytes, item: bytes, place: Place) -> None:
    turn = work.turn
    pending = records.PENDING.get(turn.draft, channel)
    if pending is None or pending.item != item:
        return
    decoded = PendingCommit.decode(pending.commit, work.trust, limits=grouped.LIMITS)
    records.PENDING.delete(turn.draft, channel)
    if pending.again:
        _came_in_again(work, channel, decoded.group, place)
        return
    before = group_of(work, channel)
    after = before.merge(decoded, now_seconds=place.time // 1000)
    old, new = seats(before, work.trust), seats(after, work.trust)
    gone = {s.device for s in old.seats} - {s.device for s in new.seats}
    fresh = {s.device for s in new.seats} - {s.device for s in old.seats}
    work.groups.put(channel, after)
    begin(work, channel, after, place, removed=bool(gone))
    intent = records.INTENTS.get(turn.draft, pending.intent)
    if intent is not None and plan(work, replace(intent, rekey=False)).empty:
        finish(turn, pending.intent, "")
    if fresh:
        introduce(work, channel)


def _came_in_again(work: Work, channel: bytes, group: Group, place: Place) -> None:
    """This device is back, at the epoch that its own external commit began. What lies between it can't read."""
    state = records.CHANNELS.get(work.turn.draft, channel)
    assert state is not None
    forget(work, channel)
    records.CHANNELS.put(work.turn.draft, channel, replace(state, since=place.seq, halted=""))
    work.groups.put(channel, group)
    begin(work, channel, group, place, removed=True)
    work.turn.alarm(
        AlarmKind.RESYNCED,
        f"this device came in again at seq {place.seq}: what was sent since seq {state.seq} can't be read here",
        channel=channel,
        seq=place.seq,
        device=work.turn.me.device,
    )


def introduce(work: Work, channel: bytes) -> None:
    """Tell those who have just come what the channel is for and who is in it."""
    turn = work.turn
    state = records.CHANNELS.get(turn.draft, channel)
    present = grouped.roster_at(turn.draft, channel, state.epoch) if state else None
    if state is None or present is None or not turn.charter.policy.permits(turn.me.roles, Verb.SEND):
        return
    contents: list[bytes] = []
    if state.purpose:
        contents.append(encode_content(Purpose(state.purpose)))
    cards = [note.data for s in present.seats if (note := records.CARDS.get(turn.draft, s.device))]
    contents += [encode_content(Cards(cards[n : n + 64])) for n in range(0, len(cards), 64)]
    if state.channel_class == DESK:
        playbook.share(turn, channel, playbook.newest(turn.draft))
    for content in contents:
        outbox.keep(turn, Kept(channel, Kind.APPLICATION, content, Precedence.PRIORITY, state.ceiling))


def _own_message(work: Work, channel: bytes, item: Item, place: Place) -> None:
    """What this device said stands in its own history too, and needs no showing."""
    context = read(Envelope(item.header, item.signature)).context
    seat = grouped.seat_of(work.turn.draft, channel, context.epoch, work.turn.me.device)
    message = Message(
        work.turn.me.device,
        seat.certificate if seat else work.turn.me.certificate_hash,
        item.kind,
        context.epoch,
        context.time,
        place.time,
        item.precedence,
        item.marking,
        item.expires,
        sha256(item.header).digest(),
        item.alert,
        item.salt,
        item.content,
        "",
        shown=work.turn.now,
    )
    if item.kind is Kind.APPLICATION and isinstance(said := read_content(item.content), Text):
        alerts.heard(work.turn, said.text, place.time)
    message = retention.as_kept(work.turn, channel, place.seq, message)
    records.MESSAGES.put(work.turn.draft, at(channel, place.seq), message)
    retention.will_end(work.turn, channel, place.seq, item.expires)
    records.NAMES.put(work.turn.draft, message.header_hash, Note(at(channel, place.seq)))
