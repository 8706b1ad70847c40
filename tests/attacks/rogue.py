"""A gateway that lies: the real core over a store of its own, with the keys that the charter names. Each method tells one lie.

What it can't do is what its keys can't: sign for a device, a registrar or an authority. So each lie is told with envelopes that devices have sealed,
or with signatures that fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import apsw
from msgspec.structs import replace

from gateway import wire
from gateway.core import acts, requests
from gateway.core.append import append
from gateway.core.effects import Append
from gateway.core.effects import Outcome as Decided
from gateway.core.errors import Refused
from gateway.store.rows import Parsed, SqliteView
from keys.credential import issue_device
from keys.envelope import Context, Envelope, Kind, Precedence, Verified, bare, read, seal
from keys.identity import DeviceId, PersonId, SigningKey
from tests.clients.relay import Line, Relay
from tests.keys.mission import DAY

HOUR = 3_600_000


class Rogue(Relay):
    """Honest until it is told to lie."""

    branch: Rogue | None = None  # what the victims of a fork are shown
    victims: frozenset[bytes] = frozenset()
    hidden: frozenset[bytes] = frozenset()  # header hashes that the other branch is never given
    swallow: Callable[[Context], bool] | None = None  # accepted, and forgotten
    credulous = False  # takes every signed run, whatever its number
    backdate: tuple[Kind, int] | None = None
    kept_from: tuple[bytes, Callable[[Context], bool]] | None = None
    swapped: dict[bytes, list[wire.Placed]] | None = None
    mute = False  # proves nothing

    # --- a second history ---

    def fork(self, *victims: bytes) -> None:
        """From here on these devices are served from another store, under the same keys."""
        self.branch = self._copy()
        self.victims = frozenset(victims)
        for device in victims:
            line = self.sessions.pop(device, None)
            if line is not None:
                line.relay = self.branch
                self.branch.sessions[device] = line

    def _copy(self) -> Rogue:
        other = Rogue.__new__(Rogue)
        other.__dict__.update(self.__dict__)
        other.restore(self.backup())
        other.sessions, other.branch, other.victims = {}, None, frozenset()
        return other

    def backup(self) -> Backup:
        """All that it has, as of now."""
        return Backup(self.db.serialize("main"), list(self.leaves))

    def restore(self, backup: Backup) -> None:
        """Back to what it was then; whoever is connected is cut off."""
        self.db = apsw.Connection(":memory:")
        self.db.deserialize("main", backup.database)
        self.view = SqliteView(self.db, Parsed())
        self.leaves, self._nodes, self.sessions = list(backup.leaves), {}, {}

    def hear(self, line: Line, frame: wire.FromDevice) -> None:
        if self.branch is None:
            super().hear(line, frame)
            return
        self.branch.now = self.now
        mine, other = (self.branch, self) if line.who.device in self.victims else (self, self.branch)
        Relay.hear(mine, line, frame)
        if isinstance(frame, wire.Submit) and not {sha256(s.header).digest() for s in frame.run} & self.hidden:
            with_refusals(
                lambda: other._decide(
                    lambda: requests.decide(other.view, line.who, frame, other.gateway, self.now, self.random)
                )
            )

    def pass_over(self, header: bytes) -> None:
        """This envelope stays in the branch in which it was handed over."""
        self.hidden |= {sha256(header).digest()}

    # --- what becomes of an envelope ---

    def _answer(self, line: Line, frame: wire.FromDevice) -> Iterator[wire.FromGateway]:
        if isinstance(frame, wire.Submit):
            verified = [read(Envelope(s.header, s.signature)) for s in frame.run]
            if self.swallow is not None and self.swallow(verified[-1].context):
                self.swallow, self.credulous = None, True
                yield self._pretend(line, frame)
                return
            if self.credulous and all(s.body is not None for s in frame.run):
                yield self._take(frame)
                return
        if isinstance(frame, wire.Prove) and self.mute:
            raise Refused(wire.Refusal.BUSY, "later", 500)
        yield from super()._answer(line, frame)

    def _pretend(self, line: Line, frame: wire.Submit) -> Any:
        """The acceptance that an honest gateway would give, of something that is then forgotten."""
        self.db.execute("BEGIN")
        try:
            outcome = requests.decide(self.view, line.who, frame, self.gateway, self.now, self.random)
        finally:
            self.db.execute("ROLLBACK")
        return outcome.answer

    def _take(self, frame: wire.Submit) -> Any:
        """Every run that reads gets the next place, without a question."""
        claimed = [read(Envelope(s.header, s.signature)) for s in frame.run]
        run = [Verified(c.envelope, c.header, c.context) for c in claimed]
        stream = self.view.stream(run[0].context.channel)
        assert stream is not None
        bodies = [s.body or b"" for s in frame.run]
        return self._decide(
            lambda: append(self.view, frame.id, run, bodies, stream, (), self.gateway, self.now, self.random)
        )

    def _decide(self, decision: Callable[[], Decided[Any]]) -> Any:
        if self.backdate is None:
            return super()._decide(decision)
        kind, by = self.backdate

        def dated() -> Decided[Any]:
            outcome = decision()
            effects = tuple(self._dated(effect, kind, by) for effect in outcome.effects)
            return Decided(outcome.answer, effects)

        return super()._decide(dated)

    def _dated(self, effect: Any, kind: Kind, by: int) -> Any:
        if not isinstance(effect, Append) or effect.run[0].kind is not kind:
            return effect
        self.backdate = None
        return Append([replace(stored, time=stored.time - by) for stored in effect.run], effect.rolling)

    # --- what one device is given ---

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if not isinstance(frame, wire.Deliver):
            return [frame]
        context = read(Envelope(frame.placed.header, frame.placed.signature)).context
        if self.kept_from is not None and line.who.device == self.kept_from[0] and self.kept_from[1](context):
            return []
        if self.swapped is not None and line.who.device in self.swapped and context.kind is Kind.APPLICATION:
            return self._swap(self.swapped[line.who.device], frame)
        return [frame]

    def _swap(self, held: list[wire.Placed], frame: wire.Deliver) -> list[wire.FromGateway]:
        if len(held) == 2:
            return [frame]
        held.append(frame.placed)
        if len(held) < 2:
            return []
        first, second = held
        return [
            wire.Deliver(replace(first, header=second.header, signature=second.signature, body=second.body)),
            wire.Deliver(replace(second, header=first.header, signature=first.signature, body=first.body)),
        ]

    # --- a ghost ---

    def ghost(self, certified: Any) -> bytes:
        """A device of that person's, made up: a certificate by a registrar of its own, and an approval in another's name."""
        house = self.mission.home
        key, own = SigningKey.generate(self.random), house.registrars[0]
        device = DeviceId(self.random(16))
        life = (self.now - DAY, self.now + DAY)
        der = issue_device(
            own.der, key, key.public, PersonId(certified.person), device, certified.roles, life, self.random
        )
        self.forge(house.registrars[1].device, Kind.CERTIFICATE, der)
        return bytes(device)

    def forge(self, device: bytes, kind: Kind, body: bytes) -> None:
        """An envelope of the control channel in somebody's name; the signature is the gateway's own."""
        channel = self.gateway.charter.control_channel
        chain, stream = self.view.chain(channel, device), self.view.stream(channel)
        assert stream is not None
        context = bare(kind, device, channel, chain.number + 1, chain.link, self.now, Precedence.ROUTINE)
        claimed = read(seal(context, body, self.mission.gateway))
        run = [Verified(claimed.envelope, claimed.header, claimed.context)]
        self._decide(lambda: append(self.view, 1, run, [body], stream, (), self.gateway, self.now, self.random))

    def grow(self, entries: int) -> None:
        """Fillers, so that the log is longer than it was."""
        for _ in range(entries):
            self._decide(lambda: acts.filler(self.view, self.gateway, self.now, self.random))


@dataclass(frozen=True)
class Backup:
    """Last night's."""

    database: bytes
    leaves: list[bytes]


def with_refusals(action: Callable[[], object]) -> None:
    """What the other branch will not take, it does not get."""
    try:
        action()
    except Refused:
        return


@dataclass
class Findings:
    """Who noticed which lie, by what, and after how long (virtual ms)."""

    rows: list[tuple[str, str, str, int]] = field(default_factory=list)

    def note(self, lie: str, who: str, what: str, after: int) -> None:
        self.rows.append((lie, who, what, after))

    def table(self) -> str:
        return "\n".join(
            f"{lie:<34} {who:<8} {what:<14} after {after / 1000:6.1f} s" for lie, who, what, after in self.rows
        )
