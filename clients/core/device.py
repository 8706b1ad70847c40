"""One device as a machine: frames and intents go in, and an `Outcome` comes out: changes, then frames, then events.

    outcome = device.begin(now)                     # a session is open
    outcome = device.receive(frames, now)           # what the gateway sent
    outcome = device.tick(now)                      # time has passed
    result, outcome = device.act(now, action)       # somebody wants something: `action` drafts it

The shell writes the changes in one transaction, sends the frames, tells the events; then, and only then, hands in the next
input. There is no clock, no socket and no task in here. What the machine keeps in memory is one session's (`Session`); all
else is on the ledger, so a device that was killed goes on from there.

    answers      what a frame of the gateway means
    deliveries   what came goes into the history            receive    each envelope checked, shown, or named for what it is
    membership   charter, welcomes, certificates, proofs, changes of channels
    departures   receipts, uploads, the outbox, KeyPackages, cursors

After each input everything that can go on goes on. Each step looks at the ledger and at what is asked already, so any order
of answers will do, and none may be lost for good. One that found nothing to do rests until something that it has looked at is
another (`clients.core.watch`), so a turn costs what its input has changed.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from clients.core import answers, beside, deliveries, departures, gossip, membership, proof, records, retention
from clients.core.commits import Work
from clients.core.errands import Errand
from clients.core.errors import NotEnrolled
from clients.core.groups import Groups
from clients.core.ledger import Draft, View
from clients.core.outbox import stream_of_receipts
from clients.core.session import Session
from clients.core.trust import Trust
from clients.core.turn import Outcome, Turn
from clients.core.watch import Watch
from gateway import wire
from keys.charter import Charter, reopen
from keys.envelope import Kind
from keys.identity import Random

T = TypeVar("T")


def charter_of(view: View) -> Charter:
    """The newest charter on the ledger; raises NotEnrolled where there is none."""
    newest = None
    for _, note in records.CHARTERS.scan(view):
        newest = note
    if newest is None:
        raise NotEnrolled("this profile belongs to no mission yet")
    return reopen(newest.data)


class Device:
    """The machine over a ledger. It is dropped, not mended, when a turn raises: what is durable is then what counts."""

    def __init__(self, view: View, random: Random, *, narrow: bool = False, watch: Watch | None = None) -> None:
        charter = charter_of(view)
        trust = Trust(view, charter)
        self.view = view
        self.random = random
        self.watch = watch or Watch()
        self.session = Session(self.watch, charter, trust, Groups(trust, self.watch), narrow)
        self._me: records.Identity | None = None
        self._at_rest = (-1, False)  # the turn after which nothing was under way, and `flush` then

    @property
    def charter(self) -> Charter:
        """The charter in force, as far as this device knows."""
        return self.session.charter

    # --- inputs ---

    def begin(self, now: int, newest_charter: int = 0) -> Outcome:
        """A session is open: say where this device stands. What was asked in the last one is asked again."""
        self.session.forget()
        self.session.ready, self.session.reconnect = True, False
        self.session.newest_charter = newest_charter
        self.session.receipt_at.update((channel, now) for channel, _ in records.CHANNELS.scan(self.view))
        self.session.restock |= {kind.suite for kind in self.charter.policy.classes}
        return self._turn(now, self._follow)[1]

    def end(self) -> None:
        """The session is over; nothing durable is touched."""
        self.session.forget()

    def receive(self, frames: Sequence[wire.FromGateway], now: int) -> Outcome:
        """What the gateway sent, in its order; many frames at once share one transaction."""

        def take(turn: Turn) -> None:
            for frame in frames:
                answers.take(self.session, turn, frame)

        return self._turn(now, take)[1]

    def tick(self, now: int) -> Outcome:
        """Time has passed: what was waiting for it goes on."""
        return self._turn(now, lambda _: None)[1]

    def act(self, now: int, action: Callable[[Work], T]) -> tuple[T, Outcome]:
        """Draft what somebody wants; `action` gets the work of this turn and gives the result."""
        return self._turn(now, lambda turn: action(self.session.work(turn)))

    def ask(self, now: int, make: Callable[[int], wire.FromDevice]) -> tuple[int, Outcome]:
        """A question of the shell's own; its answer comes as an `Answered` event with the id that this gives."""
        request = self.session.errands.open(Errand("shell", b""))
        return request, self._turn(now, lambda _: self.session.frames.append(make(request)))[1]

    def _turn(self, now: int, action: Callable[[Turn], T]) -> tuple[T, Outcome]:
        session, me = self.session, records.IDENTITY.get(self.view)
        if me is None:
            raise NotEnrolled("this profile has no identity yet")
        self.watch.begin(now)
        if me != self._me:
            self._me = me
            self.watch.everything()
        draft = Draft(self.view, self.watch)
        turn = Turn(draft, self.random, me, session.charter)
        session.trust.look(draft, session.charter)
        session.frames = []
        result = action(turn)
        if session.ready:
            self._go_on(turn)
        if session.taken:
            session.frames.insert(0, wire.Taken(min(session.taken, wire.LIST_LIMIT)))
            session.taken = 0
        session.groups.save(draft)
        session.trust.look(self.view, session.charter)
        return result, Outcome(draft.changes(), session.frames, turn.events)

    def _follow(self, turn: Turn) -> None:
        self.session.since = turn.awake
        positions = [wire.Position(c, state.seq) for c, state in turn.channels() if state.seq]
        positions += [wire.Position(stream, p.value) for stream, p in records.POSITIONS.scan(turn.draft)]
        self.session.cursors.update((p.channel, p.seq) for p in positions)
        self.session.send(
            Errand("follow", b""), lambda i: wire.Follow(i, positions[: wire.LIST_LIMIT], self.session.window)
        )
        if not turn.me.registrar:
            self.session.wanted.add(turn.me.certificate_hash)
        self.session.let_go_at = 0

    def _go_on(self, turn: Turn) -> None:
        """Everything that can. Deliveries come first, since all else rests on what is known by them."""
        session, watch = self.session, self.watch
        look, each = partial(watch.look, session, turn), partial(watch.each, session, turn)
        look(deliveries.know_channels)
        channels = session.beside.values()
        if session.narrow:
            look(departures.submit_urgent)
            each(deliveries.take_urgent, session.inboxes)
        each(deliveries.drain, deliveries.in_order(session))
        each(deliveries.let_go, channels)
        look(membership.fetch_charter)
        look(membership.join_channels)
        look(membership.fetch_certificates)
        look(membership.ask_for_proofs)
        look(gossip.ask)
        look(departures.put_uploads)
        if session.listed:
            each(membership.remove_the_unfit, channels)
            each(beside.keep_in_step, channels)
            each(membership.renew_leaf, channels)
            look(membership.pursue_intents)
            look(membership.rejoin_channels)
            each(departures.give_receipts, channels)
        look(departures.submit_runs)
        look(departures.restock_packages)
        departures.move_cursors(session, turn)
        look(membership.miss_proofs)
        look(retention.explain)
        retention.look_again(session, turn)

    # --- whether anything is left to do ---

    @property
    def rests_until(self) -> int:
        """When (ms) a tick may bring something on though nothing is under way and nothing comes."""
        return min(self.watch.first, self.session.let_go_at)

    def due(self, now: int) -> bool:
        """Whether a tick may bring something on: something is under way, or a moment has come that a step rests until. What was refused
        for now is under way for nobody, and still goes again. Asked again and again between two turns it costs nothing: a device that lies in a pocket does no
        more than that."""
        if self.rests_until <= now:
            return True
        here = self.watch.turns, self.session.flush
        if self._at_rest == here and self.session.ready:
            return False
        if self.session.receipt_at or self.waiting():
            return True
        self._at_rest = here
        return False

    def waiting(self) -> list[str]:
        """What is still under way in this session, in words; empty when all is quiet."""
        session, view = self.session, self.view
        closed = self._closed()
        found = [] if session.listed else ["the list of channels"]
        if session.errands.asked:
            found.append(f"answers: {', '.join(sorted(session.errands.kinds()))}")
        found += ["a welcome" for _ in records.JOINING.scan(view)]
        for key, item in records.OUTBOX.scan(view):
            sent = records.SENT.get(view, key)
            if (sent is None or not sent.refused) and (item.stream not in closed or item.kind is Kind.RECEIPT):
                found.append(f"{item.kind.name} to be sent")
        found += ["a change of a channel" for _, i in records.INTENTS.scan(view) if i.channel not in closed]
        needed = session.charter.control_channel if session.narrow else None
        found += ["proofs"] if proof.awaited(view, needed) else []
        for channel, state in records.CHANNELS.scan(view):
            inbox = session.inboxes.get(channel)
            lost = inbox is not None and inbox.asked  # asked for in vain: the alarm is raised, waiting helps nobody
            if session.listed and not state.left and not lost:
                found += ["deliveries"] if state.seq < state.head else []
                found += ["receipts"] if session.flush and channel in session.receipt_at else []
        return found

    def _closed(self) -> set[bytes]:
        """Streams into which nothing goes any more: channels that are halted or left, and what stands beside the latter."""
        closed: set[bytes] = set()
        for channel, state in records.CHANNELS.scan(self.view):
            if state.halted or state.left:
                closed.add(channel)
            if state.left:
                closed.add(stream_of_receipts(channel))
        return closed
