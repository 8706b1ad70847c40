"""A profile that is opened, by either passphrase: it is told to the officers, in the same way and at the same moment of a session.

note      when the vault is open: bring the side up to date, and seal that it was unlocked; one write of the side
report    when the gateway has answered the greeting, before anything else is said: hand over what was sealed
Decoy     a station over the side: everything is as on a device, and nothing of it is anywhere else
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from clients.connected import ANSWER_SECONDS, SyncReport, now_ms
from clients.core import decoy, records, unlocks
from clients.core.device import charter_of
from clients.core.errors import NotReached
from clients.core.ledger import Draft
from clients.core.trust import Trust
from clients.link import Link, Tap, backoff
from clients.station import Station
from clients.vault import Vault, VaultFull
from gateway import wire
from keys.envelope import Precedence

REQUEST: Final = 2**32 - 1
"""The id of the question: a session's own begin with 1."""


def opened(vault: Vault, *, tap: Tap | None = None, narrow: bool = False) -> Station:
    """The station of a vault that somebody has just unlocked."""
    note(vault)
    return (Decoy if vault.duress else Unlocked)(vault, tap=tap, narrow=narrow)


def note(vault: Vault) -> None:
    """Bring the side up to date, and seal that it was unlocked, if that is due."""
    if records.IDENTITY.get(vault) is None:
        return
    charter, side, now = charter_of(vault), Draft(vault.side), now_ms()
    if vault.duress:
        decoy.freshen(side, now)
    else:
        unlocks.refresh(side, vault, Trust(vault, charter), charter, now)
    unlocks.tell(side, charter, warning=vault.duress, now=now, random=os.urandom)
    _keep(vault, side)


def furnish(vault: Vault, rooms: Sequence[decoy.Room]) -> None:
    """Put a decoy into the side. Opened by the duress passphrase nothing changes, and nothing says so. Raises VaultFull."""
    if vault.duress:
        return
    charter, side = charter_of(vault), Draft(vault.side)
    unlocks.refresh(side, vault, Trust(vault, charter), charter, now_ms())
    decoy.furnish(side, charter, rooms, now_ms(), os.urandom)
    vault.side.apply(side.changes())


def clear(vault: Vault) -> None:
    """Take the decoy out again; opened by the duress passphrase it stays."""
    if not vault.duress:
        side = Draft(vault.side)
        decoy.clear(side)
        vault.side.apply(side.changes())


def _keep(vault: Vault, side: Draft) -> None:
    """Write the side, if anything in it is new. A charter that leaves it no room keeps nobody from his profile."""
    if side.changes():
        with suppress(VaultFull):
            vault.side.apply(side.changes())


async def report(link: Link, vault: Vault) -> list[wire.FromGateway]:
    """Hand over what was sealed, oldest first; gives whatever else came meanwhile. Raises NotReached."""
    early: list[wire.FromGateway] = []
    for key, unsent in unlocks.unsent(vault.side):
        await link.send(wire.Submit(REQUEST, [unsent.sealed]))
        answer = await _answer(link, early)
        if not isinstance(answer, wire.Accepted):
            break  # it goes again
        side = Draft(vault.side)
        unlocks.accepted(side, key)
        _keep(vault, side)
    return early


async def _answer(link: Link, early: list[wire.FromGateway]) -> wire.FromGateway:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                for frame in await link.receive():
                    if isinstance(frame, wire.Accepted | wire.Refused) and frame.id == REQUEST:
                        return frame
                    early.append(frame)
    except TimeoutError:
        raise NotReached("the gateway does not answer") from None


class Unlocked(Station):
    """A station whose vault was opened with the person's own passphrase."""

    async def _first(self, link: Link) -> list[wire.FromGateway]:
        urgent = (i for _, i in records.OUTBOX.scan(self.vault) if i.precedence <= Precedence.IMMEDIATE)
        if self._narrow and next(urgent, None) is not None:
            return []  # a FLASH waits for nothing: this goes with the next session
        return await report(link, self.vault)

    def _renewed(self, begun: records.Enrolling, entry: wire.Placed) -> bool:
        """The side takes the new certificate as well: the old one will end, and what warns has to go out then too."""
        renewed = super()._renewed(begun, entry)
        if renewed:
            side = Draft(self.vault.side)
            unlocks.refresh(side, self.vault, self.device_core.session.trust, self.charter, now_ms())
            _keep(self.vault, side)
        return renewed


class Decoy(Station):
    """A station over the side. It greets the gateway as any does, and follows nothing."""

    _connected = False

    @property
    def online(self) -> bool:
        return self._connected

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        if self._connected:
            yield
            return
        link, _ = await self._knock()
        try:
            await report(link, self.vault)
            self._connected = True
            self._settle_outbox()
            hearing = asyncio.create_task(_hear(link))
            try:
                yield
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError, NotReached):
                    await hearing
        finally:
            self._connected = False
            await link.close()

    def _settle_outbox(self) -> None:
        side = Draft(self.vault.side)
        decoy.settle(side, now_ms(), os.urandom)
        _keep(self.vault, side)
        self._drop()

    async def sync(self, timeout: float = 10.0, *, receipts: bool = True) -> SyncReport:  # noqa: ARG002, ASYNC109
        try:
            async with asyncio.timeout(timeout), self.session():
                self._settle_outbox()
                return SyncReport(connected=True, idle=True, error="", left=())
        except (NotReached, TimeoutError) as error:
            return SyncReport(connected=False, idle=False, error=str(error) or "no time", left=())

    async def run(self) -> None:
        attempt = 0
        while True:
            try:
                async with self.session():
                    attempt = 0
                    await asyncio.Future()
            except NotReached:
                await asyncio.sleep(backoff(attempt))
                attempt += 1

    async def ask(self, make: object) -> wire.FromGateway:  # noqa: ARG002
        raise NotReached("the gateway does not answer")


async def _hear(link: Link) -> None:
    """Answer pings; what comes is for nobody."""
    while True:
        await link.receive()
