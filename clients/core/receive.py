"""What comes in: every check of the protocol made again, whatever the gateway has checked before.

A delivered run goes through these steps, and the first that says no decides its fate:

    read       canonical, made for this very channel                          MISDIRECTED
    author     a leaf of that epoch (what is stated in clear: of its place's)  UNKNOWN_DEVICE
               with a certificate that counts
    signature  of the run, by that leaf's key                                 FORGED
    chain      number and previous follow on from that device's last          CHAIN (shown all the same: nothing is lost silently)
    heard      agrees with this device's own history                          SUSPICION
    rules      role, marking, class, life and revocation by log order         NOT_PERMITTED
    body       the one that the header names; MLS bound to this context       UNREADABLE, MISDIRECTED
    franking   the content is the one that the header commits to              FRANKING, and a complaint to the channel

Whatever its fate, an envelope takes its place in the rolling history. What names a place, a channel and a device in an
alarm can be shown to others: header and signature stay on the ledger.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from clients.core import alerts, changes, commits, emergencies, evidence, outbox, proof, receipts, records, resync
from clients.core import trust as trusted
from clients.core.groups import Groups, epoch_at
from clients.core.ledger import at
from clients.core.opening import Arrived, Case, Opener, Rejected
from clients.core.records import AlarmKind, Chain, Channel, Fate, Line
from clients.core.roster import STATED, Unfounded, author_in, epoch_of
from clients.core.timeline import claim
from clients.core.trust import Trust
from clients.core.turn import Turn
from gateway.wire import Place, Placed
from keys.approval import Approved
from keys.credential import Certified
from keys.envelope import (
    ENCRYPTED,
    NOTHING,
    Claimed,
    Envelope,
    Kind,
    Marking,
    Verified,
    read,
    rolling,
    verify_run,
)
from keys.errors import BadSignature, KeysError, Malformed
from keys.policy import Verb

VERBS: Final = {
    Kind.APPLICATION: Verb.SEND,
    Kind.ALERT: Verb.ALERT,
    Kind.SOS: Verb.SEND,
    Kind.CHECK_IN: Verb.SEND,
    Kind.CHECK_IN_PLAN: Verb.SEND,
    Kind.RESYNC_APPROVAL: Verb.APPROVE_ENROLMENT,
}
GRACE_SLACK: Final = 1_000  # ms between the gateway's decision and the time it writes
LIST_PATIENCE: Final = 10_000  # ms for a revocation list that a commit may rest on
BACKWARDS: Final = 2_000  # ms that an entry may be dated before the one in front of it


@dataclass(slots=True)
class Receiver:
    """Takes what arrives in one turn."""

    turn: Turn
    trust: Trust
    groups: Groups
    given_up: AbstractSet[bytes] = frozenset()  # certificates that could not be had
    doubted: MutableMapping[tuple[bytes, int], int] = field(
        default_factory=dict
    )  # commits by place: since when they wait (ms)

    def run(self, channel: bytes, arrived: Sequence[Arrived], *, ahead: bool = False) -> None:
        """Take a whole run, in its place; or (`ahead`) before its turn, the history before it still missing.

        Raises `commits.Wanting` where something has to be fetched first; nothing was changed then.
        """
        state = records.CHANNELS.get(self.turn.draft, channel)
        assert state is not None, "deliveries of unknown channels are not handed in"
        mine = [a for a in arrived if self._is_mine(a)]
        if mine:
            for item in self._in_turn(channel, arrived, ahead=ahead):
                self._echo(channel, item, ahead=ahead)
            return
        if _is_outside(state, arrived[0].placed.place.seq):
            for item in self._in_turn(channel, arrived, ahead=ahead):
                resync.offered(self.turn, channel, state, item)
                self._place(channel, item, Fate.UNREADABLE, ahead=ahead)
            return
        if self._before_my_time(channel, arrived):
            for item in self._in_turn(channel, arrived, ahead=ahead):
                self._place(channel, item, Fate.UNREADABLE, ahead=ahead)
                proof.expect(self.turn, item.placed, _device(item))
            return
        try:
            verified, author = self._verify(channel, state, arrived)
        except Rejected as rejected:
            for item in self._in_turn(channel, arrived, ahead=ahead):
                self._reject(channel, item, rejected, _device(item), ahead=ahead)
            return
        found = {a.placed.place.seq: envelope for a, envelope in zip(arrived, verified, strict=True)}
        for item in self._in_turn(channel, arrived, ahead=ahead):
            self._take(channel, item, found[item.placed.place.seq], author, ahead=ahead)

    def _in_turn(self, channel: bytes, arrived: Sequence[Arrived], *, ahead: bool) -> Iterator[Arrived]:
        """What of a run is to be taken now: the signed end of one may have overtaken the rest, and then only takes its place."""
        for item in arrived:
            if not ahead and records.AHEAD.get(self.turn.draft, at(channel, item.placed.place.seq)) is not None:
                self.catch_up(channel, item.placed.place.seq)
            else:
                yield item

    # --- reading, author, signature ---

    def _is_mine(self, arrived: Arrived) -> bool:
        return _device(arrived) == self.turn.me.device

    def _before_my_time(self, channel: bytes, arrived: Sequence[Arrived]) -> bool:
        """Encrypted in the epoch before this device came in, and accepted within the grace after: not meant for it. It has
        neither the keys nor the roster of then, so such a thing takes its place in the history and says nothing."""
        first = next(records.EPOCHS.scan(self.turn.draft, channel), None)
        claimed = claim(arrived[0].placed)
        if first is None or claimed is None or claimed.context.channel != channel or claimed.context.kind in STATED:
            return False
        epoch = int.from_bytes(first[0][16:], "big")
        place = arrived[0].placed.place
        return claimed.context.epoch == epoch - 1 and epoch_at(self.turn, channel, place.seq)[0] == epoch

    def _verify(
        self, channel: bytes, state: Channel, arrived: Sequence[Arrived]
    ) -> tuple[tuple[Verified, ...], Certified]:
        try:
            claimed = [read(Envelope(a.placed.header, a.placed.signature)) for a in arrived]
        except Malformed as error:
            raise Rejected(AlarmKind.GATEWAY, f"no envelope: {error}") from None
        for one in claimed:
            if one.context.channel != channel:
                raise Rejected(
                    AlarmKind.MISDIRECTED, f"made for channel {one.context.channel.hex()[:8]}, delivered here"
                )
        author = self._author(channel, state, claimed[0], arrived[0].placed.place.seq)
        try:
            return verify_run(claimed, author.public_key), author
        except KeysError as error:
            raise Rejected(AlarmKind.FORGED, str(error)) from None

    def _author(self, channel: bytes, state: Channel, claimed: Claimed, seq: int) -> Certified:
        """The certificate of the author's leaf in the epoch by which the envelope is judged."""
        context = claimed.context
        if context.epoch > state.epoch:
            raise Rejected(AlarmKind.MISDIRECTED, f"of epoch {context.epoch}, while the channel is at {state.epoch}")
        epoch = epoch_of(self.turn, context, seq)
        author = author_in(self.turn, self.trust, channel, epoch, context.device)
        if author is None:
            raise Rejected(AlarmKind.UNKNOWN_DEVICE, f"device {context.device.hex()[:8]} had no leaf in epoch {epoch}")
        return author

    # --- one envelope ---

    def _take(self, channel: bytes, arrived: Arrived, envelope: Verified, author: Certified, *, ahead: bool) -> None:
        state = records.CHANNELS.get(self.turn.draft, channel)
        assert state is not None
        context, place = envelope.context, arrived.placed.place
        if context.kind is Kind.COMMIT:
            # Before anything else is written: it may have to wait for a certificate.
            self._commit(channel, state, arrived, envelope, author, ahead=ahead)
            return
        if context.alert is not None:
            self._want(alerts.certificates(context.alert))
        if not ahead:
            self._check_chain(channel, envelope, place.seq)
        self._check_heard(channel, state, envelope, place.seq)
        try:
            self._check_rules(state, envelope, author, arrived)
            alert = self._check_alert(channel, envelope, author, place) if context.alert else None
            case = Case(channel, state, arrived.placed, arrived.body, envelope, author, alert)
            fate = Opener(self.turn, self.trust, self.groups).open(case)
        except Rejected as rejected:
            self._reject(channel, arrived, rejected, context.device, ahead=ahead)
            return
        self._place(channel, arrived, fate, ahead=ahead)
        proof.expect(self.turn, arrived.placed, context.device)

    def _want(self, certificates: Sequence[bytes]) -> None:
        """Both signatories' certificates, before anything is written: as long as they may still come, it waits."""
        missing = [c for c in self.trust.missing(certificates) if c not in self.given_up]
        if missing:
            raise commits.Wanting(missing)

    def _check_alert(self, channel: bytes, envelope: Verified, author: Certified, place: Place) -> Approved:
        try:
            return alerts.verify(self.turn, self.trust, envelope, author, channel, place)
        except BadSignature as error:
            raise Rejected(AlarmKind.FORGED, f"an alert that does not hold: {error}", Fate.HIDDEN) from None
        except KeysError as error:
            raise Rejected(AlarmKind.NOT_PERMITTED, f"an alert that does not hold: {error}", Fate.HIDDEN) from None

    def _commit(
        self, channel: bytes, state: Channel, arrived: Arrived, envelope: Verified, author: Certified, *, ahead: bool
    ) -> None:
        work = commits.Work(self.turn, self.trust, self.groups, self.given_up)
        broken = ""
        try:
            commits.check(work, channel, state, arrived.placed, arrived.body, envelope, author)
        except commits.CommitBroken as error:
            self._wait_for_lists(channel, arrived.placed.place.seq, error)
            broken = str(error)
        seq = arrived.placed.place.seq
        if not ahead:
            self._check_chain(channel, envelope, seq)
        self._check_heard(channel, state, envelope, seq)
        self._place(channel, arrived, Fate.REFUSED if broken else Fate.TAKEN, ahead=ahead)
        if broken:
            commits.refuse(work, channel, arrived.placed, envelope, broken)
        else:
            proof.expect(self.turn, arrived.placed, envelope.context.device)
            commits.apply(work, channel, arrived.placed, arrived.body)

    def _wait_for_lists(self, channel: bytes, seq: int, error: commits.CommitBroken) -> None:
        """A commit that rides ahead with an alert or an SOS may come before the revocation list that allows it, which stands in another
        stream: it is not refused before that had time to come. Raises Wanting."""
        first = self.doubted.setdefault((channel, seq), self.turn.now)
        if isinstance(error.__cause__, Unfounded) and self.turn.now < first + LIST_PATIENCE:
            raise commits.Wanting([])

    def _check_chain(self, channel: bytes, envelope: Verified, seq: int) -> None:
        """Numbers and hashes of one device follow on; a gap is named, and what comes after it still counts."""
        context = envelope.context
        key = channel + context.device
        last = records.CHAINS.get(self.turn.draft, key)
        wrong = ""
        if last is None:
            state = records.CHANNELS.get(self.turn.draft, channel)
            since = state.since if state else 0
            if since == 0 and context.number != 1:
                wrong = f"its first envelope here has number {context.number}"
        elif context.number != last.number + 1:
            wrong = f"number {context.number} follows number {last.number}"
        elif context.previous != last.link:
            wrong = f"number {context.number} does not follow the envelope delivered as number {last.number}"
        if wrong:
            self.turn.alarm(
                AlarmKind.CHAIN,
                f"device {context.device.hex()[:8]}: {wrong}",
                channel=channel,
                seq=seq,
                device=context.device,
            )
        records.CHAINS.put(self.turn.draft, key, Chain(context.number, envelope.envelope.link))

    def _check_heard(self, channel: bytes, state: Channel, envelope: Verified, seq: int) -> None:
        heard = envelope.context.heard
        if heard.seq >= seq or (heard.seq == 0 and heard.rolling != NOTHING):
            receipts.suspicion(self.turn, channel, heard.seq, envelope.context.device, seq)
        else:
            receipts.compare(self.turn, channel, state, heard, envelope.context.device, seq)

    def _check_rules(self, state: Channel, envelope: Verified, author: Certified, arrived: Arrived) -> None:
        """Role, marking, class, and whether the author's certificate was good by log order."""
        context, place = envelope.context, arrived.placed.place
        policy = self.turn.charter.policy
        verb = VERBS.get(context.kind)
        if verb is not None and not policy.permits(author.roles, verb):
            raise Rejected(
                AlarmKind.NOT_PERMITTED, f"device {author.device.hex()[:8]} has no role that may {verb.value}"
            )
        if context.marking > state.ceiling:
            raise Rejected(
                AlarmKind.NOT_PERMITTED, f"{context.marking.label} in a channel up to {Marking(state.ceiling).label}"
            )
        emergency = context.kind is Kind.ALERT or context.kind in emergencies.KINDS
        if emergency and not policy.channel_class(state.channel_class).alerts:
            raise Rejected(AlarmKind.NOT_PERMITTED, f"an alert in a channel of class {state.channel_class}")
        if author.not_after < place.time or trusted.revoked(self.turn.draft, author, place.index):
            raise Rejected(AlarmKind.NOT_PERMITTED, "its author's certificate had ended or was revoked before")
        if context.kind in ENCRYPTED:
            self._check_epoch(state, context.epoch, author, arrived.placed)

    def _check_epoch(self, state: Channel, epoch: int, author: Certified, placed: Placed) -> None:
        """Of the epoch in force at its place; or of the one before, within the class's grace, unless somebody was removed."""
        number, began = epoch_at(self.turn, placed.channel, placed.place.seq)
        if epoch == number:
            return
        grace = self.turn.charter.policy.channel_class(state.channel_class).grace_seconds * 1000
        late = began is None or began.removed or placed.place.time > began.time + grace + GRACE_SLACK
        if epoch != number - 1 or late:
            raise Rejected(AlarmKind.MISDIRECTED, f"of epoch {epoch}, after epoch {number} began", Fate.UNREADABLE)
        if author_in(self.turn, self.trust, placed.channel, number, author.device) is None:
            raise Rejected(AlarmKind.NOT_PERMITTED, f"device {author.device.hex()[:8]} was removed before")

    # --- writing down ---

    def _reject(self, channel: bytes, arrived: Arrived, why: Rejected, device: bytes, *, ahead: bool) -> None:
        self.turn.alarm(why.kind, str(why), channel=channel, seq=arrived.placed.place.seq, device=device)
        self._place(channel, arrived, why.fate, ahead=ahead)

    def _place(self, channel: bytes, arrived: Arrived, fate: Fate, *, ahead: bool = False) -> None:
        """The envelope takes its place in the history, whatever became of it."""
        state = records.CHANNELS.get(self.turn.draft, channel)
        assert state is not None
        placed = arrived.placed
        place = placed.place
        hashed = b"" if ahead else rolling(state.rolling, placed.header)
        line = Line(place.index, place.time, place.nonce, placed.header, placed.signature, hashed, fate)
        if ahead:
            records.AHEAD.put(self.turn.draft, at(channel, place.seq), line)
            return
        self._check_time(channel, placed)
        records.LINES.put(self.turn.draft, at(channel, place.seq), line)
        after = replace(state, seq=place.seq, rolling=hashed, head=max(state.head, place.seq))
        records.CHANNELS.put(self.turn.draft, channel, after)

    def _check_time(self, channel: bytes, placed: Placed) -> None:
        """The gateway's own times never run back, so none is dated before what stands in front of it."""
        before = records.LINES.get(self.turn.draft, at(channel, placed.place.seq - 1))
        if before is None or not before.header or placed.place.time >= before.time - BACKWARDS:
            return
        by = (before.time - placed.place.time) // 1000
        self.turn.alarm(
            AlarmKind.CLOCK,
            f"the gateway dates it {by} s before what stands in front of it",
            channel=channel,
            seq=placed.place.seq,
            device=c.context.device if (c := claim(placed)) else b"",
        )

    def catch_up(self, channel: bytes, seq: int) -> None:
        """An envelope that was processed before its turn takes its place: its chain is checked now, where that of those around it is."""
        line = records.AHEAD.get(self.turn.draft, at(channel, seq))
        assert line is not None, "the caller has seen it there"
        placed = Placed(channel, Place(seq, line.index, line.time, line.nonce), line.header, line.signature, None)
        claimed = read(Envelope(line.header, line.signature))
        arrived, state = Arrived(placed, None), records.CHANNELS.get(self.turn.draft, channel)
        assert state is not None
        passed_over = _is_outside(state, seq) or self._before_my_time(channel, [arrived])
        if line.fate is not Fate.OWN and not passed_over:
            self._check_chain(channel, Verified(claimed.envelope, claimed.header, claimed.context), seq)
        self._place(channel, arrived, line.fate)
        records.AHEAD.delete(self.turn.draft, at(channel, seq))

    # --- this device's own ---

    def _echo(self, channel: bytes, arrived: Arrived, *, ahead: bool) -> None:
        """An envelope of this device came back with its place: it has to be one that it sent, unchanged."""
        placed, turn = arrived.placed, self.turn
        header_hash = sha256(placed.header).digest()
        known = records.OWNED.get(turn.draft, header_hash)
        if known is None:
            self._not_mine(channel, arrived, header_hash)
            self._place(channel, arrived, Fate.REFUSED, ahead=ahead)
            return
        if known.value not in (0, placed.place.seq):
            turn.alarm(
                AlarmKind.RENUMBERED,
                f"accepted as seq {known.value}, delivered as seq {placed.place.seq}",
                channel=channel,
                seq=placed.place.seq,
                device=turn.me.device,
            )
        item = next(((k, i) for k, i in outbox.queued(turn.draft, channel) if i.header == placed.header), None)
        if item is not None:
            changes.own_accepted(commits.Work(turn, self.trust, self.groups), channel, [item], [placed.place])
        self._place(channel, arrived, Fate.OWN, ahead=ahead)

    def _not_mine(self, channel: bytes, arrived: Arrived, header_hash: bytes) -> None:
        refused = records.REFUSED.get(self.turn.draft, header_hash)
        kind = AlarmKind.FORGED if refused is None else AlarmKind.FALSE_REFUSAL
        why = "this device did not send this" if refused is None else "the gateway signed that it would never take this"
        if refused is not None:
            evidence.charge(self.turn, arrived.placed.place.index, refused.data, proof.entry_of(arrived.placed))
        self.turn.alarm(
            kind, why, channel=channel, seq=arrived.placed.place.seq, device=self.turn.me.device, halts=True
        )


def _is_outside(state: Channel, seq: int) -> bool:
    """Whether nothing at this place can be judged here: the device is stranded or out, or came in only after it."""
    return bool(state.halted or state.left) or seq <= state.since


def _device(arrived: Arrived) -> bytes:
    claimed = claim(arrived.placed)
    return claimed.context.device if claimed else b""
