"""The road "app": reminders to the sessions of those whom a ladder wakes.

When a rung is fired, whoever is in session is told at once; who comes later is told after its Follow. A reminder is settled once it
is written to a session, which is not to say that it was read: lines die, processes are killed. So every Follow is told once
more of the newest reminder of each alert that the person has not answered; the device knows it by its name. It is for a
person: all sessions of that one get it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway import wire
from gateway.core import notices
from gateway.core.broadcast import Notice
from gateway.core.effects import Effect, Outcome
from gateway.core.notices import Result, Tried
from gateway.core.view import View
from gateway.store.base import Damaged, DiskFull, StoreError
from gateway.web.followers import Peer
from gateway.web.hub import Hub
from gateway.web.service import Service
from keys.identity import PersonId

PAGE: Final = 256  # notices looked at, and settled, at once
WAITING: Final = 64  # told to who comes


class Reminders:
    """Tells people of the alerts that wait for them."""

    def __init__(self, service: Service, hub: Hub) -> None:
        self._service = service
        self._hub = hub
        self._wake = asyncio.Event()
        self._arrived: dict[Peer, None] = {}
        hub.on_begin = self._on_begin

    def wake(self) -> None:
        """A rung was fired."""
        self._wake.set()

    def _on_begin(self, peer: Peer) -> None:
        """A session has begun to follow. It is looked after in the task, since most have nothing waiting."""
        if not peer.who.registrar:
            self._arrived[peer] = None
            self._wake.set()

    async def run(self) -> None:
        """Serve for ever."""
        after = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._arrived:
                    peer, _ = self._arrived.popitem()
                    await self._greet(peer)
                    await asyncio.sleep(0)
                after = await self._tell(after)
            except Damaged as error:
                self._service.fault(error)
            except StoreError:
                raise
            except Exception as error:  # a fault of ours with one reminder: the others go on
                self._service.fault(error)

    async def _greet(self, peer: Peer) -> None:
        with self._service.store.snapshot() as view:
            waiting = view.reminders(peer.who.person, self._service.now(), WAITING)
            newest = {notice.root: notice for notice in waiting}
            frames = [self._frame(view, notice, peer) for notice in newest.values()]
        for frame in frames:
            peer.say(frame)
        await self._settle([notice for notice in waiting if notice.state is wire.NoticeState.QUEUED])

    async def _tell(self, after: int) -> int:
        """Tell those in session of notices made after the number `after`; gives the last number there is. Who is not in session
        then is told when that one comes."""
        while True:
            with self._service.store.snapshot() as view:
                page = view.reminders_after(after, self._service.now(), PAGE)
                sessions = self._sessions(page)
                told = [notice for notice in page if notice.person in sessions]
                frames = [
                    (peer, self._frame(view, notice, peer)) for notice in told for peer in sessions[notice.person]
                ]
            for peer, frame in frames:
                peer.say(frame)
            await self._settle(told)
            if not page:
                return after
            after = page[-1].number

    def _sessions(self, page: Sequence[Notice]) -> dict[PersonId, list[Peer]]:
        wanted = {notice.person for notice in page}
        found: dict[PersonId, list[Peer]] = {}
        for peer in self._hub.peers() if wanted else ():
            if peer.who.person in wanted and peer.feed is not None:
                found.setdefault(peer.who.person, []).append(peer)
        return found

    def _frame(self, view: View, notice: Notice, peer: Peer) -> wire.Remind:
        place = None
        for placing in view.alert_places(notice.root):
            member = view.member(placing.channel, peer.who.device)
            if member is not None and not member.left and member.since < placing.seq:
                place = wire.Position(placing.channel, placing.seq)
                break
        return wire.Remind(notice.id, notice.root, notice.rung, place)

    async def _settle(self, told: Sequence[Notice]) -> None:
        if not told:
            return
        now = self._service.now()

        def decision(view: View) -> Outcome[None]:
            effects: list[Effect] = []
            for notice in told:
                effects += notices.settled(view, notice.id, Result(Tried.SENT), now).effects
            return Outcome(None, tuple(effects))

        try:
            await self._service.store.decide(decision)
        except DiskFull:
            return  # they are told again to who comes: better than never
