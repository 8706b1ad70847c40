"""A device's process without sockets and tasks: what `clients.connected.Connected` does, with the product's machine in it.

It writes, sends and tells in the one right order, and may die between any two of these. Its ledger is a vault: a
transaction is there whole or not at all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clients.core import records
from clients.core.device import Device
from clients.core.errors import ClientError, Untrusted
from clients.core.greeting import Greeting
from clients.core.ledger import Change
from clients.core.turn import Answered, Outcome
from clients.core.watch import NEVER
from gateway import wire
from keys.identity import SigningKey
from tests.simulation.network import DOWN, UP, Line

if TYPE_CHECKING:
    from tests.simulation.world import World

LONGEST_TICK = 6_000  # ms
GREETING = 15_000
SOON = 10  # ms until a device looks at what has come, and as much more as its hands take
FIRST, MOST = 200, 30_000  # ms before connecting again
REVOKED = 3_600_000  # ms, where the holder knows that nobody lets him in


_read = lru_cache(maxsize=256)(wire.read_from_gateway)
"""What is told to many is read once."""


class Killed(Exception):
    """The process died here."""


class VaultFull(Exception):
    """The vault can't be written now."""


class Ledger:
    """A vault in memory: shelves of bytes, each with its keys in order."""

    def __init__(self, shelves: dict[str, dict[bytes, bytes]]) -> None:
        self.shelves = shelves
        self._order: dict[str, list[bytes]] = {name: sorted(shelf) for name, shelf in shelves.items()}
        self._scanned: dict[str, dict[tuple[bytes, bytes], list[tuple[bytes, bytes]]]] = {}  # until a shelf changes

    def get(self, shelf: str, key: bytes) -> bytes | None:
        found = self.shelves.get(shelf)
        return None if found is None else found.get(key)

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Sequence[tuple[bytes, bytes]]:
        known = self._scanned.setdefault(shelf, {})
        rows = known.get((prefix, after))
        if rows is None:
            rows = known[prefix, after] = self._scan(shelf, prefix, after)
        return rows

    def _scan(self, shelf: str, prefix: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
        order, rows = self._order.get(shelf), []
        if not order:
            return rows
        found = self.shelves[shelf]
        at = max(bisect_left(order, prefix), bisect_right(order, after))
        while at < len(order) and (key := order[at]).startswith(prefix):
            rows.append((key, found[key]))
            at += 1
        return rows

    def apply(self, changes: Sequence[Change]) -> None:
        for name in {change.shelf for change in changes}:
            self._scanned.pop(name, None)
        for change in changes:
            shelf = self.shelves.setdefault(change.shelf, {})
            order = self._order.setdefault(change.shelf, [])
            if change.value is None:
                if shelf.pop(change.key, None) is not None:
                    del order[bisect_right(order, change.key) - 1]
            else:
                if change.key not in shelf:
                    insort(order, change.key)
                shelf[change.key] = change.value

    def copy(self) -> dict[str, dict[bytes, bytes]]:
        return {name: dict(shelf) for name, shelf in self.shelves.items()}


class Phone:
    """A device and its holder's way to it. `alive`: its process runs."""

    machine: Callable[..., Device] = Device

    def __init__(self, world: World, name: str, shelves: dict[str, dict[bytes, bytes]]) -> None:
        self.world = world
        self.name = name
        self.ledger = Ledger(shelves)
        self.chance = world.sim.random(f"phone {name}")
        self.random = self.chance.randbytes
        self.knobs = world.knobs
        me = records.IDENTITY.get(self.ledger)
        assert me is not None
        self.id = me.device
        self.person = me.person
        self.narrow = self.knobs.narrow and bool(self.id[-1] & 1)
        self.core = self._device()
        self.alive = True
        self.skew = 0
        self.paused = 0
        self.full = False
        self.spoiled = ""
        """Why nothing is asked of it any more: an old backup, a byzantine holder."""
        self.boundaries = -1
        self.life = 0
        self.session = 0
        self.line: Line | None = None
        self.attempt = 0
        self.wants = True
        self.answered: Callable[[wire.FromGateway], None] | None = None
        self._tick = self.knobs.tick
        self._ticking = False
        self._until = NEVER
        self._inbound: list[wire.FromGateway] = []
        self._greeting: Greeting | None = None
        self._challenge: wire.Challenge | None = None

    def _device(self) -> Device:
        return self.machine(self.ledger, self.random, narrow=self.narrow)

    def now(self) -> int:
        return self.world.sim.now + self.skew

    # --- the process ---

    def do(self, ms: int, action: Callable[..., None], *args: Any) -> None:
        """Do this later, if the process has not died by then."""
        self.world.sim.after(ms, self._now, self.life, action, args)

    def _now(self, life: int, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if life != self.life or not self.alive:
            return
        if self.world.sim.now < self.paused:
            self.world.sim.after(self.paused - self.world.sim.now, self._now, life, action, args)
            return
        try:
            action(*args)
        except Killed:
            self.world.sim.note(f"{self.name} dies")
            self.die()
        except VaultFull:
            self.world.sim.note(f"{self.name} can't write")
            self._drop()

    def die(self) -> None:
        """Without a word; somebody starts it again."""
        self.life += 1
        self.alive = self._ticking = False
        self._until = NEVER
        self.boundaries = -1
        if self.line is not None:
            line, self.line = self.line, None
            line.open[UP] = False
            line.break_()
        self.core.end()
        self.world.sim.after(300 + self.chance.randrange(6_000), self.revive)

    def revive(self) -> None:
        """The process starts: only what is durable is left."""
        if self.alive:
            return
        self.alive = True
        self.core = self._device()
        self.world.oracle.restarted(self)
        self.do(100, self.connect)

    def _drop(self) -> None:
        """A turn failed: memory may be ahead of the ledger, so the machine is made anew, and the session with it."""
        self._leave()
        self.core = self._device()
        self._again()

    # --- connecting ---

    def connect(self) -> None:
        if self.line is None and self.wants:
            self.world.connect(self)

    def opened(self, line: Line) -> None:
        """There is a connection: greet."""
        self.line = line
        self.session += 1
        self._inbound = []
        session = self.session
        line.heard[DOWN] = lambda data: self._now(self.life, self._hear, (session, data))
        line.broke[UP] = lambda: self._now(self.life, self._broke, (session,))
        me = records.IDENTITY.get(self.ledger)
        assert me is not None
        self._greeting = Greeting(me, self.core.charter, self.world.tls_key, self.random(32))
        self._challenge = None
        self._send(self._greeting.hello())
        self.do(GREETING, self._not_greeted, session)

    def not_opened(self) -> None:
        self._again()

    def _again(self) -> None:
        most = REVOKED if self.spoiled == "revoked" and self.world.tempo.routine else MOST
        longest = min(most, FIRST * 2 ** min(self.attempt, 16))
        self.attempt += 1
        self.do(longest // 2 + self.chance.randrange(longest // 2 + 1), self.connect)

    def _not_greeted(self, session: int) -> None:
        if session == self.session and self.line is not None and not self.core.session.ready:
            self._leave()
            self._again()

    def _broke(self, session: int) -> None:
        if session == self.session and self.line is not None:
            self._leave()
            self._again()

    def _leave(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.close(UP)
        self.core.end()

    def disconnect(self) -> None:
        self._leave()

    # --- frames ---

    def _send(self, frame: wire.FromDevice) -> None:
        if self.line is not None:
            for data in self.world.lies.to_gateway(self, frame):
                self.line.send(UP, data)

    def _hear(self, session: int, data: bytes) -> None:
        if session != self.session or self.line is None:
            return
        frame = _read(data)
        if not self.core.session.ready:
            self._greeted(frame)
            return
        self._inbound.append(frame)
        if len(self._inbound) == 1:
            self._soon(session)

    def _soon(self, session: int) -> None:
        self.do(SOON + self.chance.randrange(self.knobs.hands), self._take, session)

    def _take(self, session: int) -> None:
        """What has come since the process had its turn, in one transaction."""
        if session != self.session or self.line is None:
            return
        most = self.knobs.turn
        frames, self._inbound = self._inbound[:most], self._inbound[most:]
        if self._inbound:
            self._soon(session)
        self._do(self.core.receive(frames, self.now()))
        self.again()
        self._wake()

    def again(self) -> None:
        """The session is opened anew where the device has another certificate since, whether or not anything more comes."""
        if self.core.session.reconnect and self.line is not None:
            self._leave()
            self.do(10, self.connect)

    def _greeted(self, frame: wire.FromGateway) -> None:
        assert self._greeting is not None
        try:
            if isinstance(frame, wire.Challenge) and self._challenge is None:
                me = records.IDENTITY.get(self.ledger)
                assert me is not None
                seed = records.SEEDS.get(self.ledger, me.certificate_hash)
                assert seed is not None
                self._challenge = frame
                self._send(self._greeting.prove(frame, SigningKey(seed.seed)))
                return
            if not isinstance(frame, wire.Ready) or self._challenge is None:
                raise Untrusted(type(frame).__name__)
            self._greeting.check(self._challenge, frame)
        except Untrusted:
            self._leave()
            self._again()
            return
        self.attempt = 0
        self._do(self.core.begin(self.now(), self._challenge.charter_version))
        self._wake()

    def act(self, action: Callable[[Any], Any]) -> Any:
        """What its holder wants. Raises ClientError where the machine says no; Killed and VaultFull as they come."""
        result, outcome = self.core.act(self.now(), action)
        self._do(outcome)
        self._wake()
        return result

    def ask(self, make: Callable[[int], wire.FromDevice]) -> None:
        """A question of the shell's own; `answered` is told what the gateway says."""
        self._now(self.life, lambda: self._do(self.core.ask(self.now(), make)[1]), ())

    def wish(self, action: Callable[[Any], Any]) -> Any:
        """`act`, from outside of the process: None where it was refused, or died over it."""
        result: list[Any] = []

        def attempt() -> None:
            try:
                result.append(self.act(action))
            except ClientError as error:
                self.world.sim.note(f"{self.name} may not: {type(error).__name__}")

        self._now(self.life, attempt, ())
        return result[0] if result else None

    def _boundary(self) -> None:
        if self.boundaries == 0:
            raise Killed
        self.boundaries -= self.boundaries > 0

    def _do(self, outcome: Outcome) -> None:
        """Write, send, tell: in this order."""
        self._boundary()
        if outcome.changes:
            if self.full:
                raise VaultFull
            self.ledger.apply(outcome.changes)
        for frame in outcome.frames:
            self._boundary()
            self._send(frame)
        self._boundary()
        if outcome.changes:
            self.world.oracle.turned(self, outcome)
        if self.answered is not None:
            for event in outcome.events:
                if isinstance(event, Answered):
                    self.answered(event.frame)

    # --- time ---

    def _wake(self) -> None:
        self._tick = self.knobs.tick
        if not self._ticking:
            self._ticking = True
            self.do(self._tick, self._ticked)

    def _ticked(self) -> None:
        self._ticking = False
        core = self.core
        if self.line is None or not core.session.ready:
            return
        if core.due(self.now()):
            outcome = core.tick(self.now())
            busy = bool(outcome.changes or outcome.frames)
            self._do(outcome)
            self._tick = self.knobs.tick if busy else min(LONGEST_TICK, self._tick * 2)
            self._ticking = True
            self.do(self._tick, self._ticked)
        elif core.rests_until not in (NEVER, self._until):  # at rest until then, by its own clock
            self._until = core.rests_until
            self.do(self._until - self.now(), self._waked, self._until)

    def _waked(self, until: int) -> None:
        if until == self._until:
            self._until = NEVER
            self._wake()
