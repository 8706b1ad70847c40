"""What must hold, whatever happens: dicts and lists beside the real thing, looked at after every step.

    acknowledged      implies stored: what a device was told is accepted stands at that very place after every restart
    one history       a log index, a place of a channel and an epoch's commit belong to one envelope for ever; checkpoints
                      only grow, and each is of the same log
    epochs            every member of an epoch has its authenticator
    delivered         to who is in the channel at that place, without a gap but for what overtakes
    shown             what was said, by who said it, in its channel, once on each device
    chains            in the log each device's numbers rise by one, and each header holds the hash of the one before
    receipts          nobody is said to have what he has given no receipt for; in the end, nothing that he has is missing
    relay             no said word is ever seen in a frame or on the gateway's disk
    alerts            each rung due is fired in time while the gateway is up, and no rung twice at once
    endings           a body is there until it is destroyed by rule or order, with a tombstone, and not after
    bounds            windows, questions and queues
    in the end        no gap, one order, empty outboxes, every word at every member, no alarm without a cause

A violation is `Violated`: the run ends there.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from clients.core import records
from clients.core.content import Text, read_content
from clients.core.ledger import seq_of
from clients.core.records import AlarmKind, Fate
from clients.core.session import OPEN_ERRANDS
from clients.core.turn import Outcome, Raised
from gateway import wire
from gateway.audit.sequencer import SignedHead
from gateway.core.feed import WINDOW
from gateway.core.rows import Identity, Stored
from keys.envelope import ENCRYPTED, NOTHING, Context, Entry, Envelope, Kind, read, read_entry
from keys.identity import receipt_stream
from keys.tlog.merkle import leaf_hash
from tests.simulation.deliveries import Deliveries
from tests.simulation.endings import Endings
from tests.simulation.ladders import Ladders
from tests.simulation.receipts import Receipts
from tests.simulation.violated import Violated, need

if TYPE_CHECKING:
    from tests.simulation.gateway import Process
    from tests.simulation.phone import Phone
    from tests.simulation.world import World

MARK = b"~WORD~"
"""Stands in everything that is said, and nowhere else: not by chance either, since base64 has no such letter."""
QUEUE = 4_096


class Oracle:
    def __init__(self, world: World) -> None:
        self.world = world
        self.log: dict[int, bytes] = {}  # leaf by index, as shown to anybody
        self.places: dict[tuple[bytes, int], bytes] = {}  # header hash by channel and seq
        self.commits: dict[tuple[bytes, int], bytes] = {}
        self.chains: dict[tuple[bytes, bytes], tuple[int, bytes]] = {}  # number and link by channel and device
        self.receipts = Receipts(world)
        self.current: dict[bytes, int] = {}  # epoch by channel, as the log tells it
        self.time = 0
        self.acked: dict[tuple[bytes, int], tuple[bytes, int]] = {}  # header hash and index
        self.newly: list[tuple[bytes, int]] = []  # of them, since the last start
        self._leaves: dict[bytes, bytes] = {}  # by entry
        self.unchecked: list[tuple[bytes, int]] = []
        self.authenticators: dict[tuple[bytes, int], tuple[bytes, str]] = {}
        self.epochs: dict[tuple[str, bytes], int] = {}
        self.said: dict[str, tuple[str, bytes]] = {}  # text: who, channel
        self.seen: dict[tuple[str, str], int] = {}
        self.checkpoint = 0
        self.ladders = Ladders(world)
        self.deliveries = Deliveries(world)
        self.endings = Endings(world)
        self.latest_kinds: set[str] = set()

    # --- what is said and seen ---

    def will_say(self, who: str, channel: bytes, text: str) -> None:
        self.said[text] = who, channel

    def saw(self, phone: Phone, channel: bytes, seq: int, message: records.Message) -> None:
        """It stands on the screen as something new."""
        if message.kind is not Kind.APPLICATION or message.reason or phone.spoiled == "backup":
            return
        content = read_content(message.content)
        if not isinstance(content, Text):
            return
        said = self.said.get(content.text)
        need(said is not None, f"{phone.name} is shown what nobody said: {content.text!r}")
        assert said is not None
        who, where = said
        need(where == channel, f"{phone.name} is shown {content.text!r} in another channel")
        need(self.world.phones[who].id == message.device, f"{phone.name} is shown {content.text!r} as another's word")
        key = phone.name, content.text
        need(key not in self.seen, f"{phone.name} is shown {content.text!r} twice")
        self.seen[key] = self.world.sim.now

    # --- the gateway ---

    def at_the_relay(self, data: bytes) -> None:
        need(MARK not in data, "a word in clear on its way to the gateway")

    def image(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            need(MARK not in data, f"a word in clear in {name}")

    def committed(self, process: Process, batch: Sequence[Stored]) -> None:
        """Durable, and about to be told."""
        sim = self.world.sim
        for stored in batch:
            leaf = stored.leaf()
            self._enter(stored.index, read_entry(leaf), leaf_hash(leaf))
            sim.note(f"#{stored.index} {stored.kind.name} {stored.seq} {sha256(stored.header).hexdigest()[:8]}")
            if stored.kind is Kind.ESCALATION:
                self.ladders.fired(process)
            if stored.kind is Kind.TOMBSTONE:
                with process.store.snapshot() as view:
                    self.endings.look(view)
            self.latest_kinds.add(stored.kind.name)

    def _enter(self, index: int, entry: Entry, leaf: bytes) -> None:
        """An entry is in the log: the first at its index, its place and, if it is a commit, in its epoch."""
        header = sha256(entry.header).digest()
        need(self.log.setdefault(index, leaf) == leaf, f"log index {index} was given twice")
        place = bytes(entry.channel), entry.seq
        need(self.places.setdefault(place, header) == header, f"seq {entry.seq} was given twice")
        begun = self.world.first_seqs.get(place[0], 0)
        follows = (place[0], entry.seq - 1) in self.places or entry.seq <= begun + 1
        need(follows, f"seq {entry.seq} without the one before")
        envelope = Envelope(entry.header, entry.signature)
        context = read(envelope).context
        self._follows(context, envelope.link)
        self._is_timely(context)
        need(entry.time >= self.time, "the log's time ran backwards")
        self.time = entry.time
        if context.kind is Kind.COMMIT:
            key = bytes(entry.channel), context.epoch
            need(self.commits.setdefault(key, header) == header, f"epoch {context.epoch} was ended twice")

    def begins(self, entries: Sequence[bytes]) -> None:
        """What the log held when the run began."""
        for entry in map(read_entry, entries):
            envelope = Envelope(entry.header, entry.signature)
            context = read(envelope).context
            self._follows(context, envelope.link)
            self._is_timely(context)

    def _follows(self, context: Context, link: bytes) -> None:
        key = bytes(context.channel), bytes(context.device)
        number, before = self.chains.get(key, (0, NOTHING))
        follows = context.number == number + 1 and context.previous == before
        need(follows, f"number {context.number} of {context.device.hex()[:8]} does not follow number {number}")
        self.chains[key] = context.number, link

    def _is_timely(self, context: Context) -> None:
        """A commit ends the epoch it is of; nothing said is of an epoch older than the one before."""
        channel, epoch = bytes(context.channel), context.epoch
        current = self.current.setdefault(channel, epoch)
        if context.kind is Kind.COMMIT:
            self.current[channel] = epoch + 1
        elif context.kind in ENCRYPTED:
            need(current - 1 <= epoch <= current, f"of epoch {epoch}, while the channel is at {current}")

    def sent(self, process: Process, device: bytes, placed: wire.Placed) -> None:
        """About to be delivered."""
        self.deliveries.sent(process, device, placed)

    def accepted(self, who: Identity | None, frame: wire.FromDevice, answer: wire.Accepted) -> None:
        """About to be said to a device."""
        assert isinstance(frame, wire.Submit)
        for sealed, place in zip(frame.run, answer.places, strict=True):
            context = read(Envelope(sealed.header, sealed.signature)).context
            key = bytes(context.channel), place.seq
            value = sha256(sealed.header).digest(), place.index
            if key not in self.acked:
                self.newly.append(key)
            need(self.acked.setdefault(key, value) == value, f"seq {place.seq} was acknowledged to two")

    def recovered(self, process: Process, *, ended: bool = False) -> None:
        """A new life: what was acknowledged and what was shown is still there.

        Where starts are many and the log is long, what was acknowledged before the last start, and found after it, is looked for by
        its place only when all has `ended`; its entry in the log is held against what it was at each start.
        """
        whole = ended or not self.world.tempo.routine
        looked, self.newly = (list(self.acked) if whole else self.newly), []
        with process.store.snapshot() as view:
            for channel, seq in looked:
                header, index = self.acked[channel, seq]
                stored = view.envelope(channel, seq)
                found = stored is not None and (sha256(stored.header).digest(), stored.index) == (header, index)
                need(found, f"acknowledged and lost: seq {seq}, log index {index}")
            first = self.world.founded_at
            if not self.chains:
                self.begins(view.entries(0, first))
            entries = view.entries(first, 1_000_000)
            for n, leaf in self.log.items():
                there = first <= n < first + len(entries) and self._leaf(entries[n - first]) == leaf
                need(there, f"the log rolled back: entry {n} was shown and is not there")
            for n, entry in enumerate(entries, first):
                if n not in self.log:  # durable, though the process ended before it was told
                    self._enter(n, read_entry(entry), leaf_hash(entry))
            self.endings.kept(view) if whole else self.endings.look(view)
        need(process.sequencer.head.size >= self.checkpoint, "the log rolled back behind a checkpoint")
        self.ladders.begin()

    def _leaf(self, entry: bytes) -> bytes:
        """The hash of an entry of the log; that of one seen before is known."""
        leaf = self._leaves.get(entry)
        if leaf is None:
            leaf = self._leaves[entry] = leaf_hash(entry)
        return leaf

    def signed(self, head: SignedHead) -> None:
        need(head.size >= self.checkpoint, "a checkpoint smaller than the one before")
        self.checkpoint = head.size
        leaves = self.world.machine.folder.leaves
        for index in range(max(self.world.founded_at, head.size - 8), head.size):
            leaf = self.log.get(index)
            need(leaf is None or leaves[index * 32 : index * 32 + 32] == leaf, f"signed for another entry {index}")

    def refused_to_start(self, error: BaseException) -> None:
        machine = self.world.machine
        need(machine.old is not None or machine.rot, f"the gateway refuses its own data: {error}")

    def started_from_backup(self) -> None:
        raise Violated("the gateway started from an old backup")

    def bounds(self, process: Process) -> None:
        need(process.store.waiting <= QUEUE, "the store's queue has no bound")
        for peer in process.peers.values():
            feed = peer.feed
            if feed is not None:
                need(feed._count <= WINDOW, "more under way than the window")
        need(len(self.world.sim) < 20_000, "the heap has no bound")
        self.ladders.look(process)

    # --- devices ---

    def turned(self, phone: Phone, outcome: Outcome) -> None:
        """A turn of a device is durable."""
        for event in outcome.events:
            if isinstance(event, Raised):
                alarm = event.alarm
                self.world.sim.note(f"{phone.name} alarm {alarm.kind.name} seq {alarm.seq}: {alarm.detail}")
        session = phone.core.session
        need(len(session.errands.asked) <= OPEN_ERRANDS + 16, f"{phone.name} asks without a bound")
        shelves = {change.shelf for change in outcome.changes}
        if records.GROUPS in shelves:
            self._agree(phone)
        if records.RECEIVED.name in shelves:
            self.receipts.believed(phone)
        if records.LINES.name in shelves and "liar" not in self.world.kinds and not phone.spoiled:
            for change in outcome.changes:
                if change.shelf == records.LINES.name and change.value is not None:
                    self._readable(phone, change.key, records.LINES._read(change.value))

    def _agree(self, phone: Phone) -> None:
        for channel, group in phone.core.session.groups._loaded.items():
            key = phone.name, channel
            epoch = group.epoch
            if self.epochs.get(key) == epoch:
                continue
            known = self.epochs.get(key, -1)
            need(epoch > known or phone.spoiled, f"{phone.name} went from epoch {known} back to {epoch}")
            self.epochs[key] = epoch
            mine = group.epoch_authenticator
            other, who = self.authenticators.setdefault((channel, epoch), (mine, phone.name))
            need(other == mine, f"{phone.name} and {who} are in different groups at epoch {epoch}")
            self.world.sim.note(f"{phone.name} at epoch {epoch} {mine.hex()[:8]}")

    def restarted(self, phone: Phone) -> None:
        for key in [key for key in self.epochs if key[0] == phone.name]:
            channel = records.CHANNELS.get(phone.ledger, key[1])
            group = phone.core.session.groups.get(phone.ledger, key[1])
            if group is None:
                need(channel is None or channel.left or phone.spoiled, f"{phone.name} lost its group")
                del self.epochs[key]
            else:
                need(group.epoch >= self.epochs[key] or phone.spoiled, f"{phone.name} fell back an epoch")

    # --- in the end ---

    def settled(self) -> str:
        """Why the world is not at rest yet; empty when it is."""
        process = self.world.machine.process
        if process is None:
            return "the gateway is down"
        for phone in self.world.phones.values():
            if phone.spoiled:
                continue
            if not phone.alive or not phone.core.session.ready:
                return f"{phone.name} is not in session"
            waiting = phone.core.waiting()
            if waiting:
                return f"{phone.name} waits for {waiting}"
            if unsent := self._unsent(phone):
                return f"{phone.name} has not sent {unsent}"
        with process.store.snapshot() as view:
            if process.sequencer.head.size < view.log_size():
                return "the log is behind"
            if not self.ladders.next():
                return "a rung is due"
            for phone in self.world.phones.values():
                for channel, state in records.CHANNELS.scan(phone.ledger):
                    stream = view.stream(channel)
                    if phone.spoiled or state.left or state.halted or stream is None:
                        continue
                    member = view.member(channel, phone.id)
                    if state.seq < stream.seq and member is not None and not member.left:
                        return f"{phone.name} is behind in {channel.hex()[:8]}"
        return ""

    def harmless(self) -> None:
        """After lies: whoever sees another history than the gateway's true one knows that something is wrong."""
        process = self.world.machine.process
        if process is None:
            return
        self.recovered(process, ended=True)
        with process.store.snapshot() as view:
            for phone in self.world.phones.values():
                alarmed = next(iter(records.ALARMS.scan(phone.ledger)), None) is not None
                if phone.spoiled or alarmed:
                    continue
                for key, line in records.LINES.scan(phone.ledger):
                    if line.fate not in (Fate.TAKEN, Fate.OWN) or not line.header:
                        continue  # not verified, nor shown: of before it came in, or after it was out; or where it came in
                    stored = view.envelope(key[:16], int.from_bytes(key[16:], "big"))
                    same = stored is not None and stored.header == line.header
                    need(
                        same,
                        f"{phone.name} believes what the gateway never took, at seq {int.from_bytes(key[16:], 'big')}",
                    )
                self.receipts.believed(phone)

    def end(self, allowed: frozenset[AlarmKind]) -> None:
        """After the healing."""
        need(not (why := self.settled()), f"not at rest after the healing: {why}")
        process = self.world.machine.process
        assert process is not None
        self.image(process.disk.image())
        self.recovered(process, ended=True)
        with process.store.snapshot() as view:
            for phone in self.world.phones.values():
                if not phone.spoiled:
                    self._whole(view, phone)
                    self.receipts.known(phone)
                    self.endings.at_home(phone)
                    for member in view.memberships(phone.id):
                        state = records.CHANNELS.get(phone.ledger, member.channel)
                        need(member.left or state is not None, f"{phone.name} does not know that it was added")
                    self._no_false_alarm(phone, allowed)
            self.ladders.done(process, view)
            self.endings.done(process, view)

    def _unsent(self, phone: Phone) -> str:
        """What a device still has to send, and what the gateway said to it. What was kept for a channel that it was then taken out of
        stays."""
        left = {channel for channel, state in records.CHANNELS.scan(phone.ledger) if state.left}
        closed = left | {receipt_stream(channel) for channel in left}
        for key, item in records.OUTBOX.scan(phone.ledger):
            if item.stream not in closed:
                sent = records.SENT.get(phone.ledger, key)
                return f"{item.kind.name} {sent.refused if sent else ''}"
        return ""

    def _whole(self, view: Any, phone: Phone) -> None:
        for channel, state in records.CHANNELS.scan(phone.ledger):
            need(not state.halted, f"{phone.name} halted: {state.halted}")
            truth = view.envelopes(channel, state.since, 1_000_000, bodies=False)
            last = state.left or state.seq
            lines = dict(records.LINES.scan(phone.ledger, channel))
            for stored in truth:
                if stored.seq > last:
                    break
                line = lines.get(channel + stored.seq.to_bytes(8, "big"))
                need(line is not None, f"{phone.name} has a gap at seq {stored.seq}")
                assert line is not None
                need(line.header == stored.header, f"{phone.name} has another envelope at seq {stored.seq}")
        unshown = [k for k, _ in records.UNSHOWN.scan(phone.ledger)]
        need(len(unshown) < QUEUE, "what is to be shown has no bound")

    def _readable(self, phone: Phone, key: bytes, line: records.Line) -> None:
        """What somebody honest has said in an epoch that this device was in can be read here."""
        if line.fate in (Fate.TAKEN, Fate.OWN) or not line.header:
            return
        context = read(Envelope(line.header, line.signature)).context
        author = next((other for other in self.world.phones.values() if other.id == context.device), None)
        if context.kind is not Kind.APPLICATION or author is None or author.spoiled:
            return
        first = next(records.EPOCHS.scan(phone.ledger, key[:16]), None)
        early = first is not None and context.epoch < int.from_bytes(first[0][16:], "big")
        if not early and line.fate is Fate.UNREADABLE and "endings" in self.world.kinds:
            self.endings.unreadable(phone, key[:16], seq_of(key))
            return
        need(early, f"{phone.name} can't read seq {seq_of(key)}: {line.fate.name}")

    def _no_false_alarm(self, phone: Phone, allowed: frozenset[AlarmKind]) -> None:
        for _, alarm in records.ALARMS.scan(phone.ledger):
            need(alarm.kind in allowed, f"{phone.name} raised a false alarm: {alarm.kind.name} {alarm.detail}")
