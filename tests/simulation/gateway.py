"""The gateway's process without sockets and tasks: it has the product's store, core, sequencer and timers do their work.

What is modelled here is the shell alone (`gateway.web`): one conversation a line, decisions in the store's order, and a hub
that hands what is new to those who follow it. A `Process` is one life: killing it is forgetting it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gateway import wire
from gateway.audit.sequencer import SignedHead
from gateway.core import acts, answers, notices
from gateway.core.append import Gateway
from gateway.core.effects import Effect, Outcome
from gateway.core.errors import denied
from gateway.core.feed import Going
from gateway.core.following import audience, follow_channel, joined_frame, recipient_of
from gateway.core.notices import Result, Tried
from gateway.core.page import Page
from gateway.core.recipient import Recipient
from gateway.core.rows import Stored, StreamKind
from gateway.core.stretch import Stretch, stretches
from gateway.store.base import Broken, Damaged, DiskFull
from gateway.timers import WAKES, Clock, Timers, floor
from gateway.web.refusals import refusal
from keys.body import Act
from keys.envelope import Kind
from keys.identity import receipt_stream
from tests.simulation.disk import Dead, Disk
from tests.simulation.endings import Sweeper
from tests.simulation.log import Beat, log_keys, not_covered
from tests.simulation.network import DOWN, Line
from tests.simulation.peer import Peer, read_placed
from tests.simulation.store import SimulatedStore, drive

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.world import World

PROVE_PATIENCE = 5_000
_ROSTER = frozenset({Kind.COMMIT, Kind.CHANNEL_CREATED})


class Process:
    """One life of the gateway. Raises what opening the store or the log raises."""

    def __init__(self, world: World, machine: Machine) -> None:
        self.world = world
        self.machine = machine
        self.alive = True
        self.stopping = False
        self.paused = 0
        self.busy = False
        self.random = world.gateway_random
        self.key = world.mission.gateway
        self.peers: dict[bytes, Peer] = {}
        self.lines: list[Peer] = []
        self.ready: list[Peer] = []
        self.waiting: list[tuple[int, Peer, wire.Prove]] = []
        self.disk = Disk(machine.files, world.disks)
        self.knobs = world.knobs
        self.store = SimulatedStore(self.disk, self._soon, self.knobs, world.whims)
        try:
            self._open()
        except BaseException:
            self.store.abandon()
            raise
        self.beating = self.beat_due = False
        self.last_beat = 0
        self._handed = 0
        self._reminded = 0
        self.timers = Timers(
            self.store, lambda: Gateway(self.charter, self.key), self.clock, self.random, self._fired, self._fault
        )
        self._ticking = False
        self._sweeps = 0
        self._sweep_at = 0
        self._swept = -1  # how many transactions there were at the last sweep
        self.store.watch(self._committed)
        self.sequencer.listeners.append(self._signed)

    def begin(self) -> None:
        """From here on it is there for others."""
        gateway = Gateway(self.charter, self.key)
        self.decide(lambda view: acts.act(view, gateway, Act.START, "outrider", self.now(), self.random), self._started)
        self._beat_soon()
        self._sweep()
        Sweeper(self).look()

    def _open(self) -> None:
        world, machine = self.world, self.machine
        keys = log_keys(world.mission.policy.log_origin, world.mission.log)
        self.sequencer: Beat = Beat.open(  # type: ignore[assignment]
            self.store, machine.folder, machine.floor, keys, self.now, self._after
        )
        with self.store.snapshot() as view:
            charter = view.charter()
            assert charter is not None
            self.charter = charter
            self.clock = Clock(self.now, lambda: world.sim.now / 1000, floor(view))

    def now(self) -> int:
        """The machine's wall clock."""
        return self.world.sim.now + self.machine.skew

    def _started(self, _: Any, error: BaseException | None) -> None:
        if isinstance(error, Broken):
            self.stop(error)
        elif error is not None and not isinstance(error, DiskFull):
            raise error

    # --- time and the disk ---

    def do(self, ms: int, action: Callable[..., None], *args: Any) -> None:
        """Do this later, if the process lives then and is not stopped meanwhile."""
        self.world.sim.after(ms, self._now, action, args)

    def _now(self, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.alive:
            return
        if self.world.sim.now < self.paused:
            self.world.sim.after(self.paused - self.world.sim.now, self._now, action, args)
            return
        try:
            action(*args)
        except Dead:
            self.machine.power_cut("within a step of the log")
        except Damaged as error:
            self.stop(error)

    def _soon(self, action: Callable[..., None], *args: Any) -> None:
        """In the event loop, and in the order in which the writer asks for it."""
        now = self.world.sim.now
        self._handed = max(self._handed, now + 1 + self.world.disks.randrange(3))
        self.do(self._handed - now, action, *args)

    def decide(
        self, decision: Any, done: Callable[[Any, BaseException | None], None], *, patient: bool = False
    ) -> None:
        drive(self.store.decide(decision, patient=patient), done)
        self.kick()

    def kick(self) -> None:
        if not self.busy and self.store.waiting and self.alive:
            self.busy = True
            self.do(self.machine.latency(), self._work)

    def _work(self) -> None:
        self.store.work()
        if self.disk.dead is not None:
            self.machine.power_cut("within a transaction")
            return
        self.busy = False
        self.kick()

    def stop(self, error: BaseException) -> None:
        """What has failed can't be believed any more: the process ends, when what it is about is done, and is started anew."""
        self.machine.noticed()
        if self.alive and not self.stopping:
            self.stopping = True
            self.world.sim.note(f"gateway stops: {type(error).__name__}")
            self.world.sim.after(0, self._end)

    def _end(self) -> None:
        if self.alive:
            self.machine.process_ended()

    def _fault(self, error: BaseException) -> None:
        raise error

    # --- the log's beat ---

    def _after(self, step: int) -> None:
        if self.machine.dies_after(step):
            raise Dead

    def _beat_soon(self) -> None:
        self.beat_due = True
        if not self.beating:
            self.beating = True
            self.do(max(5, self.last_beat + self.knobs.beat - self.world.sim.now), self._beat)

    def _beat(self) -> None:
        self.last_beat, self.beat_due = self.world.sim.now, False
        drive(self.sequencer.step(), self._beaten)
        self.kick()

    def _beaten(self, more: Any, error: BaseException | None) -> None:
        self.beating = False
        if isinstance(error, Dead):
            raise error
        if isinstance(error, DiskFull):
            self.do(1_000, self._beat_soon)
        elif error is not None:
            self.stop(error)
        elif more or self.beat_due:
            self._beat_soon()

    def _signed(self, head: SignedHead) -> None:
        self.world.oracle.signed(head)
        for peer in list(self.peers.values()):
            if peer.feed is not None and not peer.feed.recipient.narrow and peer.logged <= peer.newest:
                peer.say(wire.Logged(head.bare))
                peer.logged = head.size
        waiting, self.waiting = self.waiting, []
        for until, peer, frame in waiting:
            self._prove(until, peer, frame)

    def prove(self, peer: Peer, frame: wire.Prove) -> None:
        size = max((index + 1 for index in frame.indices), default=0)
        with self.store.snapshot() as view:
            known = max(view.log_size(), self.sequencer.head.size)
        if max(size, frame.held) > known:
            raise denied()
        self._prove(self.world.sim.now + PROVE_PATIENCE, peer, frame)

    def _prove(self, until: int, peer: Peer, frame: wire.Prove) -> None:
        size = max((index + 1 for index in frame.indices), default=0)
        if max(size, frame.held) <= self.sequencer.head.size:
            peer.say(self.sequencer.proven(frame))
        elif self.world.sim.now >= until:
            peer.say(refusal(frame.id, not_covered()))
        else:
            self.waiting.append((until, peer, frame))
            self.wake()

    def _sweep(self) -> None:
        """Every second: proofs that waited too long, certificates that have ended, ladders that are due."""
        if any(until <= self.world.sim.now for until, _, _ in self.waiting):
            waiting, self.waiting = self.waiting, []
            for until, peer, frame in waiting:
                self._prove(until, peer, frame)
        for peer in list(self.peers.values()):
            if self.now() > peer.who.not_after:
                peer.cut("expired")
        self._tick()
        self.world.oracle.bounds(self)
        self._sweep_in(max(self.knobs.sweep, self._idle()))

    def _sweep_in(self, ms: int) -> None:
        self._sweeps += 1
        self._sweep_at = self.world.sim.now + ms
        self.do(ms, self._sweep_if, self._sweeps)

    def _sweep_if(self, number: int) -> None:
        if number == self._sweeps:
            self._sweep()

    def wake(self) -> None:
        """Something has happened: the next sweep is not far."""
        if self._sweep_at > self.world.sim.now + self.knobs.sweep:
            self._sweep_in(self.knobs.sweep)

    def clock_set(self) -> None:
        """What was not due a moment ago may be."""
        self.world.oracle.ladders.clock_set()
        self.wake()

    def _idle(self) -> int:
        """For how long (ms) a sweep would find nothing: nothing has happened since the last, and nothing is due before."""
        before, self._swept = self._swept, self.store.worked
        longest = self.world.tempo.sleep
        if not longest or self._swept != before or self.waiting or self.store.waiting:
            return 0
        with self.store.snapshot() as view:
            due = view.ladder_next()
        return longest if due is None else min(longest, due - self.clock.now())

    # --- ladders ---

    def _tick(self) -> None:
        if not self._ticking:
            self._ticking = True
            drive(self.timers.tick(), self._ticked)
            self.kick()

    def _ticked(self, fired: Any, error: BaseException | None) -> None:
        self._ticking = False
        if isinstance(error, Broken):
            self.stop(error)
        elif isinstance(error, DiskFull):
            return
        elif error is not None:
            raise error
        elif fired:
            self._fired()
            self._tick()

    def _fired(self) -> None:
        with self.store.snapshot() as view:
            page = view.reminders_after(self._reminded, self.now(), 256)
        told = []
        for notice in page:
            self._reminded = notice.number
            for peer in self.peers.values():
                if peer.feed is not None and peer.who.person == notice.person:
                    peer.say(self._reminder(notice, peer))
                    told.append(notice)
        self._settle(told)

    def greet(self, peer: Peer) -> None:
        """Reminders that waited for this person."""
        if peer.who.registrar:
            return
        with self.store.snapshot() as view:
            waiting = view.reminders(peer.who.person, self.now(), 64)
        for notice in waiting:
            peer.say(self._reminder(notice, peer))
        self._settle(waiting)

    def _reminder(self, notice: Any, peer: Peer) -> wire.Remind:
        place = None
        with self.store.snapshot() as view:
            for placing in view.alert_places(notice.root):
                member = view.member(placing.channel, peer.who.device)
                if member is not None and not member.left and member.since < placing.seq:
                    place = wire.Position(placing.channel, placing.seq)
                    break
        return wire.Remind(notice.id, notice.root, notice.rung, place)

    def _settle(self, told: Sequence[Any]) -> None:
        if not told:
            return

        def decision(view: Any) -> Outcome[None]:
            effects: list[Effect] = []
            for notice in told:
                effects += notices.settled(view, notice.id, Result(Tried.SENT), self.now()).effects
            return Outcome(None, tuple(effects))

        self.decide(decision, self._started)

    # --- the hub ---

    def accept(self, line: Line) -> None:
        """A device has connected."""
        peer = Peer(self, line)
        self.lines.append(peer)
        line.heard[0] = lambda data: self._now(peer.hear, (data,))
        line.broke[DOWN] = lambda: self._now(peer.end, ())

    def enter(self, peer: Peer) -> None:
        before = self.peers.pop(peer.who.device, None)
        if before is not None:
            before.end()
        self.peers[peer.who.device] = peer

    def leave(self, peer: Peer) -> None:
        if peer.session.identity is not None and self.peers.get(peer.who.device) is peer:
            del self.peers[peer.who.device]
        if peer in self.lines:
            self.lines.remove(peer)

    def _committed(self, batch: Sequence[Stored]) -> None:
        self.world.oracle.committed(self, batch)
        self.world.office.committed(batch)
        self._beat_soon()
        self.wake()
        for stretch in stretches(batch):
            self._spread(stretch)
        ready, self.ready = self.ready, []
        for peer in ready:
            self.pump(peer)
        if any(stored.kind in WAKES for stored in batch):
            self._tick()

    def _spread(self, stretch: Stretch) -> None:
        stored = stretch.envelopes[0]
        if stored.kind in _ROSTER:
            self._follow_roster(stored)
        elif stored.kind is Kind.CHARTER:
            self._follow_charter()
        elif stored.kind is Kind.REVOCATION_LIST:
            self._cut_revoked()
        with self.store.snapshot() as view:
            stream = view.stream(stored.channel)
            assert stream is not None
            dense = stream.kind is StreamKind.CHANNEL
            concerned = None if dense else audience(view, stream, stored)
        for peer in list(self.peers.values()):
            feed = peer.feed
            if feed is None:
                continue
            if concerned is not None and stored.device != peer.who.device and not concerned.includes(feed.recipient):
                continue
            if going := feed.pass_on(stretch):
                for stored in stretch.envelopes:
                    self.deliver(peer, answers.placed(stored, body=going is Going.WHOLE))
            elif sum(feed.arrived(stored) for stored in stretch.envelopes):
                self.pump(peer)

    def deliver(self, peer: Peer, placed: wire.Placed) -> None:
        peer.newest = max(peer.newest, placed.place.index)
        self.world.oracle.sent(self, peer.who.device, placed)
        peer.say(wire.Deliver(placed))

    def pump(self, peer: Peer) -> None:
        feed = peer.feed
        while feed is not None and not peer.ended and feed.waiting:
            drawn = feed.draw(self, 1)
            if not drawn:
                if feed.open and feed.waiting:
                    continue
                return
            self.deliver(peer, read_placed(drawn[0].placed[0]))

    def _follow_roster(self, stored: Stored) -> None:
        for peer in list(self.peers.values()):
            if peer.feed is None:
                continue
            with self.store.snapshot() as view:
                member = view.member(stored.channel, peer.who.device)
                if member is None:
                    continue
                stream = view.stream(stored.channel)
                assert stream is not None
                if member.left:
                    if peer.joined.pop(stored.channel, None) is not None:
                        peer.feed.leave(stored.channel, member.left)
                        peer.feed.leave(receipt_stream(stream.id), 0)
                elif peer.joined.get(stored.channel) != member.since:
                    peer.joined[stored.channel] = member.since
                    if member.welcome:
                        peer.say(joined_frame(member))
                    follow_channel(peer.feed, view, stream, member, {})
                    self.ready.append(peer)

    def _follow_charter(self) -> None:
        with self.store.snapshot() as view:
            charter = view.charter()
        assert charter is not None
        self.charter = charter
        for peer in list(self.peers.values()):
            peer.say(wire.Notice(wire.Alarm.CHARTER, "a new version of the charter is in force"))
            if peer.feed is not None:
                peer.feed.recipient = recipient_of(peer.who, charter, peer.feed.recipient.window)

    def _cut_revoked(self) -> None:
        for peer in list(self.peers.values()):
            if peer.who.registrar:
                continue
            with self.store.snapshot() as view:
                row = view.certificate(peer.who.certificate)
            if row is None or row.revoked:
                peer.cut("revoked")

    # --- what feeds read ---

    def page(self, channel: bytes, after: int, limit: int) -> Page:
        with self.store.snapshot() as view:
            return view.page(channel, after, min(limit, self.knobs.page))

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        with self.store.snapshot() as view:
            return view.landmarks(channel, after, min(limit, self.knobs.page))

    def concerning(self, channel: bytes, after: int, limit: int, recipient: Recipient) -> tuple[Sequence[Stored], int]:
        with self.store.snapshot() as view:
            page = view.envelopes(channel, after, min(limit, self.knobs.page))
            stream = view.stream(channel)
            assert stream is not None
            mine = [s for s in page if s.device == recipient.device or audience(view, stream, s).includes(recipient)]
        return mine, page[-1].seq if page else after
