"""One reading of the log from its first entry, or from where an earlier verification ended: each entry once, in order.

    a bundle  →  columns, plain        entries that a pass covers are taken at once; each other goes on, one by one:
    entries   →  streams, times        its place, and what its device had heard
              →  control channel       charters, gateway acts, certificates, lists, ladders, disclosures, tombstones
              →  channels              rosters, and what their members say
              →  chains, signatures    the device's own chain, with the key that counted for it at that moment

Everything that is kept between two entries is in the collections named here; `state.py` and `matters.py` write and read them.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from clients.auditor.verify.bodies import Bodies
from clients.auditor.verify.certificates import Certificates
from clients.auditor.verify.chains import Chains
from clients.auditor.verify.charters import Charters
from clients.auditor.verify.claims import OF_THE_ENTRIES, Cause, Findings, Topic
from clients.auditor.verify.columns import columns
from clients.auditor.verify.disclosures import Disclosures, EntryAt
from clients.auditor.verify.entries import Placed, Stream, Streams, Times, read_leaf
from clients.auditor.verify.heads import Fetch
from clients.auditor.verify.plain import Plain
from clients.auditor.verify.receipts import Receipts, Roots
from clients.auditor.verify.registry import Registry
from clients.auditor.verify.rosters import Roster, Rosters
from clients.auditor.verify.signatures import Signatures
from clients.auditor.verify.speech import Speech
from clients.auditor.verify.tombstones import Tombstones
from clients.auditor.verify.watching import Watch
from keys.body import Receipt, read_auditor_read, read_gateway_act
from keys.charter import Charter
from keys.disclosure import KINDS as DISCLOSURES
from keys.envelope import Context, Kind
from keys.errors import Malformed
from keys.tlog.note import NoteVerifier

BY_THE_GATEWAY = frozenset(
    {Kind.CHARTER, Kind.GATEWAY_ACT, Kind.FILLER, Kind.ESCALATION, Kind.REFUSED_ATTEMPT, Kind.AUDITOR_READ}
)
NOT_IN_A_PART = frozenset(
    {
        Kind.APPROVAL,
        Kind.JUMP,
        Kind.ESCALATION,
        Kind.REFUSED_ATTEMPT,
        Kind.WITHHELD,
        Kind.AUDITOR_READ,
        Kind.TOMBSTONE,
        Kind.DESTRUCTION,
        *DISCLOSURES,
    }
)
"""In the control channel: bodies that tell of channels whose entries a part of the log does not have. They are not in it either."""
CHECKED_AT_ONCE = frozenset({Kind.CHANNEL_CREATED, Kind.COMMIT, Kind.PROPOSAL, Kind.ALERT, Kind.APPROVAL})
"""In channels: what others act on. Certificates and lists are checked where they are judged."""


class Reading:
    """The log's content as far as it has been read. `now` is the auditor's clock in ms."""

    def __init__(
        self,
        fetch: Fetch,
        log_keys: Sequence[NoteVerifier],
        findings: Findings,
        now: int,
        *,
        pinned: Charter | None,
        every_signature: bool,
        watch: Watch | None = None,
    ) -> None:
        self.start = 0  # the first entry of this reading
        self.read = 0
        self.in_part = False  # only some streams are here, and nothing else is missed
        self.stopped: int | None = None  # where entries are missing, so that nothing after them can be judged
        self._unjudged: int | None = None  # the first receipt of a channel whose members are not known
        self._findings = findings
        self._pinned = pinned
        kept: Mapping[bytes, bytes] = {} if pinned is None else {sha256(pinned.note).digest(): pinned.note}
        self._bodies = Bodies(fetch, findings, kept)
        self._signatures = Signatures(findings, every=every_signature)
        self.streams = Streams(log_keys[0].name, findings)
        self.times = Times(now, findings)
        self.charters = Charters(self._bodies, findings, log_keys)
        self.registry = Registry()
        self.certificates = Certificates(self.registry, self._bodies, findings)
        self.rosters = Rosters(self.registry, self.certificates, self._bodies, findings)
        self.chains = Chains(findings, self._signatures)
        self.speech = Speech(self.registry, findings, self._bodies, self.rosters.open)
        self.escalations = self.speech.escalations
        self.plain = Plain(self.chains, self.times, self.registry, self._said)
        self.receipts = Receipts(fetch, findings)
        self.disclosures = Disclosures(self.registry, findings)
        self.tombstones = Tombstones(self.registry, findings, self._days_of)
        self._watch = watch

    # ------------------------------------------------------------------ entry by entry

    def take(self, first: int, leaves: Sequence[bytes], expected: int) -> None:
        """Entries from log index `first` on. Where `expected` was another index, some are missing and the reading stops."""
        if first != expected and self.stopped is None:
            self.stopped = expected
        if self.stopped is not None:
            return
        self.read += len(leaves)
        rows = None if self._watch is not None else columns(leaves)
        if rows is None:  # one of them is none, or somebody wants to see each
            for index, leaf in enumerate(leaves, first):
                self.judge(index, leaf)
            return
        self.escalations.there([entry.time for entry in rows[0]])
        for index in self.plain.take(first, *rows):
            self.judge(index, leaves[index - first])

    def judge(self, index: int, leaf: bytes) -> None:
        """One entry, by those who can say what is wrong with it."""
        placed = read_leaf(index, leaf, self._findings)
        if placed is not None:
            self._take(placed)

    def _take(self, placed: Placed) -> None:
        stream = self.streams.take(placed)
        if self._watch is not None:
            self._watch.entry(placed, stream)
        self.times.take(placed)
        self.escalations.there([placed.entry.time])
        self.plain.fall(placed, everywhere=not stream.dense and stream.parent is None)
        if stream.dense:
            self._in_channel(placed, stream)
        elif stream.parent is not None:
            self._receipt(placed, stream)
        elif stream.id == self.streams.unlocks:
            self._unlock(placed)
        else:
            self._control(placed)

    def _unlock(self, placed: Placed) -> None:
        """Somebody has unlocked a device; what it says is for officers alone."""
        self.chains.take(placed, self._keys_of(placed))
        if placed.context.kind is not Kind.UNLOCK or placed.context.epoch:
            self._out_of_place(placed, f"no {placed.context.kind.name} stands among the unlocks")

    def _control(self, placed: Placed) -> None:
        kind = placed.context.kind
        if placed.context.epoch:
            self._out_of_place(placed, "what stands in the control channel is of epoch 0")
        charter = self.charters.current
        own = charter is not None and placed.context.device == charter.gateway_device
        if kind in BY_THE_GATEWAY or (kind is Kind.TOMBSTONE and own):
            self._by_the_gateway(placed)
            return
        keys = self._keys_of(placed)
        self.chains.take(placed, keys)
        if self.in_part and kind in NOT_IN_A_PART:
            return
        if kind is Kind.CERTIFICATE:
            self.certificates.approve(placed)
        elif kind is Kind.REVOCATION_LIST:
            if self.certificates.revoke(placed):
                self.rosters.look_again(placed.index)
        elif kind is Kind.REVIEW:
            self.speech.alerts.reviewed(self._bodies.get(placed))
        elif kind is Kind.WITHHELD:
            self.speech.alerts.withheld(self._bodies.get(placed))
        elif kind in DISCLOSURES:
            self.disclosures.take(placed, self._bodies.get(placed), self.start)
        elif kind in (Kind.TOMBSTONE, Kind.DESTRUCTION):
            self.tombstones.take(placed, self._bodies.get(placed), self.start, by_gateway=False)
        elif kind is Kind.APPROVAL:  # an alert is judged by what its channels were sent
            self.escalations.announced(placed, self._bodies.get(placed))
        elif kind is Kind.JUMP:
            self.escalations.jumped(self._bodies.get(placed))
        else:
            self._out_of_place(placed, f"no {kind.name} stands in the control channel")

    def _by_the_gateway(self, placed: Placed) -> None:
        kind = placed.context.kind
        if kind is Kind.CHARTER:
            installed = self.charters.take(placed)
            if installed is not None:
                self.registry.install(installed)
                self.rosters.look_again(placed.index)
        charter = self.charters.current
        if charter is None:
            self.registry.charter = None  # what a charter allows that is not here is not known
            self.chains.take(placed, None)
            return
        if placed.context.device != charter.gateway_device:
            rule = f"{kind.name} by another device than the gateway that the charter names"
            self._findings.fail(Topic.GATEWAY, Cause.INJECTED, rule, placed.index)
            self.chains.take(placed, self._keys_of(placed))
            return
        at_once = kind is not Kind.FILLER  # those are many, and the chain vouches for them
        self.chains.take(placed, (charter.policy.gateway_key,), Topic.GATEWAY, at_once=at_once)
        if self.in_part and kind in NOT_IN_A_PART:
            return
        if kind in (Kind.GATEWAY_ACT, Kind.AUDITOR_READ):
            self._act(placed)
        elif kind is Kind.TOMBSTONE:
            self.tombstones.take(placed, self._bodies.get(placed), self.start, by_gateway=True)
        elif kind is Kind.ESCALATION:
            self.escalations.fired(placed, self._bodies.get(placed))
        elif kind is Kind.FILLER:
            self.plain.filler(placed, self.streams.open[placed.entry.channel], charter.policy.gateway_key)

    def _act(self, placed: Placed) -> None:
        body = self._bodies.get(placed)
        try:
            if body is not None:
                (read_gateway_act if placed.context.kind is Kind.GATEWAY_ACT else read_auditor_read)(body)
        except Malformed as error:
            self._findings.fail(Topic.GATEWAY, Cause.INJECTED, f"no act of a gateway: {error}", placed.index)

    def _in_channel(self, placed: Placed, stream: Stream) -> None:
        kind, channel = placed.claimed.context.kind, placed.entry.channel
        if kind is Kind.CHANNEL_CREATED and placed.entry.seq == 1 and self.registry.charter is not None:
            self.rosters.created(placed)
        roster = self._roster(channel)
        if roster is None:
            self.rosters.lost.setdefault(channel, placed.index)
            keys = self._keys_of(placed)
        else:
            seat = roster.seats.get(placed.context.device)
            keys = self._keys_of(placed) if seat is None else (seat.certified.public_key,)
        self.chains.take(placed, keys, at_once=kind in CHECKED_AT_ONCE)
        if roster is None:
            return
        self.speech.take(placed, roster)
        if kind is Kind.APPLICATION:
            self.plain.content(placed, stream, roster)
        elif kind is Kind.COMMIT:
            self.rosters.committed(placed, roster)
        elif kind is Kind.PROPOSAL:
            self.rosters.proposed(placed, roster)
        elif kind is Kind.RESYNC_APPROVAL:
            self.rosters.may_rejoin(placed, roster)
        if self._watch is not None and (after := self._roster(channel)) is not None:
            self._watch.member(placed, after)

    def _receipt(self, placed: Placed, stream: Stream) -> None:
        assert stream.parent is not None
        parent = self._roster(stream.parent)
        leaf = None if parent is None else self.registry.certificates.get(parent.ever.get(placed.context.device, b""))
        self.chains.take(placed, self._keys_of(placed) if leaf is None else (leaf.public_key,))
        if parent is None:
            self._unjudged = placed.index if self._unjudged is None else self._unjudged
        else:
            self.speech.receipt(placed, parent)
            self.plain.receipt(placed, stream, self.streams.open[stream.parent], parent)
        if placed.context.kind is Kind.RECEIPT:
            receipt = self._said(placed.index, placed.entry.header, placed.context)
            if self._watch is not None:
                self._watch.receipt(placed, receipt, stream.parent)

    def _said(self, index: int, header: bytes, context: Context) -> Receipt | None:
        """What a receipt says, held against its channel."""
        parent = self.streams.open[context.channel].parent
        assert parent is not None  # it stands in a stream of receipts
        roster = self._roster(parent)
        epoch = None if roster is None else roster.epoch
        return self.receipts.take(index, header, context.device, self.streams.open[parent], epoch)

    def _roster(self, channel: bytes) -> Roster | None:
        known = self.charters.current is not None and channel not in self.rosters.lost
        return self.rosters.open.get(channel) if known else None

    def _days_of(self, channel: bytes) -> int | None:
        """How long the charter in force keeps content of a channel."""
        roster, charter = self._roster(channel), self.charters.current
        if roster is None or charter is None:
            return None
        name = roster.terms.channel_class
        return next((c.retention_days for c in charter.policy.classes if c.name == name), None)

    def _keys_of(self, placed: Placed) -> tuple[bytes, ...] | None:
        """The keys of all certificates that count for this device; None where that can't be known here."""
        if self.charters.current is None:
            return None
        keys = self.registry.keys_of(placed.context.device)
        if not keys and self.registry.lost is not None:
            return None
        return keys

    def _out_of_place(self, placed: Placed, rule: str) -> None:
        self._findings.fail(Topic.ENTRIES, Cause.INJECTED, rule, placed.index)

    # ------------------------------------------------------------------ the end

    def end(self, size: int, root_at: Roots | None = None, entry_at: EntryAt = lambda _: None) -> None:
        """What holds only once everything was read, and what could not be read."""
        if size == 0:
            return
        if self.start + self.read < size and self.stopped is None and not self.in_part:
            self.stopped = self.start + self.read
        self.streams.end()
        self.receipts.end(root_at, stopped=self.stopped is not None)
        self.charters.end(self._pinned)
        self.certificates.end()
        self.rosters.end()
        self.chains.end()
        self._signatures.end()
        self.speech.said += self.plain.said
        self.speech.end()
        self.escalations.end(self.times.last)
        self.disclosures.end(entry_at)
        self.tombstones.end(entry_at)
        self._bodies.end()
        self._findings.note(Topic.ENTRIES, f"{self.read} read")
        self._findings.note(Topic.SIGNATURES, f"{self._signatures.checked} signatures checked")
        if self.charters.current is None:
            self._findings.unchecked(Topic.GATEWAY, "no charter says which key is the gateway's")
        if self._unjudged is not None:
            self._findings.unchecked(Topic.RECEIPTS, "who was in the channel is not known", self._unjudged)
        if self.stopped is not None:
            for topic in OF_THE_ENTRIES:
                self._findings.unchecked(
                    topic, f"from entry {self.stopped} on nothing was judged: it is damaged or missing", self.stopped
                )
