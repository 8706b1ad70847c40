"""A person's device: what the commands, the demo and the tests use.

    station = Station.open(folder, passphrase)
    await station.sync()                                   # catch up, send what is kept, prove, give receipts
    item = station.send(channel, "at east gate")           # kept at once; goes out with the next sync, or at once while `run`
    async for shown in station.read(): ...                 # each message once, ever; FLASH first

Everything but talking to the gateway is an ordinary call that is durable when it returns. A station may be dropped at any
moment; the next one goes on from the vault.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from clients import views
from clients.alerting import AlertSent, Waiting
from clients.approving import error_of
from clients.connected import SyncReport, now_ms
from clients.core import beside, conversation, emergencies, evidence, proof, records, reminding, resync, showing
from clients.core.commits import Work
from clients.core.errors import NotEnrolled, NotNow, Unknown
from clients.core.opening import learn_card
from clients.core.records import Alarm, Reminder
from clients.enrolments import Enrolled, Enrolment, PendingEnrolment
from clients.link import Tap
from clients.renewing import Renewer
from clients.vault import Cost, Vault
from clients.views import (
    AlertView,
    Answered,
    Answers,
    ChannelInfo,
    Delivery,
    PersonInfo,
    Shown,
    Status,
)
from gateway import wire
from keys.envelope import Marking, Precedence
from keys.errors import KeysError
from keys.policy import DESK
from keys.tlog.checkpoint import Checkpoint

ACCEPTED_SECONDS: Final = 20.0
CHECK_IN_SECONDS: Final = 1.0  # between two looks whether a check-in has fallen due

__all__ = [
    "AlertSent",
    "AlertView",
    "Answered",
    "Answers",
    "ChannelInfo",
    "Delivery",
    "Enrolled",
    "PendingEnrolment",
    "PersonInfo",
    "Shown",
    "Station",
    "Status",
    "SyncReport",
    "Waiting",
]


class Station(Renewer):
    """One profile, opened."""

    def __init__(self, vault: Vault, *, tap: Tap | None = None, narrow: bool = False) -> None:
        super().__init__(vault, tap=tap, narrow=narrow)
        self.vault = vault
        self._enrolment = Enrolment(vault, tap)

    @classmethod
    def create(
        cls, folder: Path, passphrase: str, *, cost: Cost | None = None, tap: Tap | None = None, narrow: bool = False
    ) -> "Station":
        """A new profile, enrolled nowhere yet. Raises VaultExists."""
        return cls(Vault.create(folder, passphrase, cost=cost), tap=tap, narrow=narrow)

    @classmethod
    def open(cls, folder: Path, passphrase: str, *, tap: Tap | None = None, narrow: bool = False) -> "Station":
        """Raises NoVault, WrongPassphrase, VaultBusy and the other errors of `Vault.open`."""
        return cls(Vault.open(folder, passphrase), tap=tap, narrow=narrow)

    def close(self) -> None:
        """Let go of the profile. Nothing is lost where it is not called."""
        self.vault.close()

    def __enter__(self) -> "Station":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- who this is ---

    @property
    def enrolled(self) -> bool:
        return records.IDENTITY.get(self._ledger) is not None

    @property
    def device(self) -> bytes:
        """This device's id; raises NotEnrolled."""
        return self.identity.device

    async def enrol(self, link: str, *, timeout: float | None = None) -> Enrolled:  # noqa: ASYNC109
        """Join by an invite: ask, and wait until both have approved. Comes back undone when the time is over; calling it
        again goes on with the same request.

        Raises:
            Unknown: no invite, or not one of this gateway.
            NotAllowed: the invite has ended.
            Untrusted: the gateway or the answer is not what the invite names.
            NotReached: the gateway was not reached in time.
        """
        if self.enrolled:
            raise NotNow("this profile is enrolled already")
        return await self._enrolment.run(link, timeout)

    def enrolment_words(self) -> str:
        """What person, registrar and officer compare. Raises NotEnrolled when no enrolment is under way."""
        try:
            return self._enrolment.words()
        except Unknown as error:
            raise NotEnrolled(str(error)) from None

    # --- channels ---

    def create_channel(self, channel_class: str, marking: Marking, purpose: str) -> bytes:
        """Found a channel; gives its id. Raises NotAllowed, NotNow, Unknown."""
        return self.act(lambda work: conversation.create_channel(work, channel_class, marking, purpose))

    def talks(self, channel_class: str) -> bool:
        """Whether channels of this class are for talk, so that an alert channel stands beside them. Raises Unknown."""
        try:
            kind = self.charter.policy.channel_class(channel_class)
        except KeysError as error:
            raise Unknown(str(error)) from None
        return not kind.alerts and kind.name != DESK

    def create_alerts(self, talk: bytes, purpose: str) -> bytes:
        """Found the alert channel beside a talk channel; gives its id. Who is added to the talk is added to it from then on, and
        all officers are in it. Raises NotAllowed, NotNow, Unknown."""
        return self.act(lambda work: conversation.create_beside(work, talk, purpose))

    def alert_channel(self, talk: bytes) -> bytes | None:
        """The alert channel beside a talk channel, if this device is in it."""
        return beside.alert_channel(self._ledger, talk)

    def absent_officers(self, channels: Sequence[bytes]) -> list[bytes]:
        """The officers' devices that belong in these alert channels and are not in one of them yet."""
        return self.act(lambda work: sorted({d for c in channels for d in beside.absent(work.turn, c)}))

    def busy(self, channel: bytes) -> bool:
        """Whether somebody is still to be added to a channel or removed from it by this device."""
        return self.act(lambda work: any(i.channel == channel for _, i in records.INTENTS.scan(work.turn.draft)))

    def add(self, channel: bytes, who: Sequence[bytes | str]) -> bytes:
        """Want devices in a channel, by id, name or call sign; gives the intent (`outcome` says what became of it)."""
        devices = [d for w in who for d in self._devices(w)]
        return self.act(lambda work: conversation.change(work, channel, add=devices))

    def remove(self, channel: bytes, who: Sequence[bytes | str]) -> bytes:
        """Want devices out of a channel; of a person named, those that are in."""
        inside = {m.device for m in self.members(channel)}
        devices = [d for w in who for d in self._devices(w) if isinstance(w, bytes) or d in inside]
        return self.act(lambda work: conversation.change(work, channel, remove=devices))

    def rekey(self, channel: bytes) -> bytes:
        """Want fresh keys in a channel."""
        return self.act(lambda work: conversation.change(work, channel, rekey=True))

    def resync(self, channel: bytes, device: bytes) -> bytes:
        """Let a member that can't follow a channel come in again; gives the item. Raises NotAllowed, NotNow, Unknown."""
        return self.act(lambda work: resync.approve(work, channel, device))

    def outcome(self, intent: bytes) -> str | None:
        """None while it is under way, empty when it was done, else why it came to nothing."""
        note = records.OUTCOMES.get(self._ledger, intent)
        return None if note is None else note.data.decode()

    def channels(self) -> list[ChannelInfo]:
        return views.channels(self._ledger)

    def members(self, channel: bytes) -> list[PersonInfo]:
        """Who is in a channel now."""
        state = records.CHANNELS.get(self._ledger, channel)
        if state is None:
            raise Unknown(f"no channel {channel.hex()[:8]} here")
        return self.act(
            lambda work: [self._info(work, d) for d in views.targets_of(work.turn.draft, channel, state.epoch, b"")]
        )

    def _info(self, work: Work, device: bytes) -> PersonInfo:
        peer = records.PEERS.get(work.turn.draft, device)
        if peer is None:
            known = next(iter(work.trust.of_device(device)), None)
            if known is not None:
                peer = records.Peer(
                    known.person, known.organisation, sorted(known.roles), known.hash, known.not_after, False, 0
                )
        if peer is None:
            return PersonInfo(device, bytes(16), "", [], "", "", False, 0)
        return views.person(work.turn.draft, device, peer)

    def _devices(self, who: bytes | str) -> list[bytes]:
        """The devices that are meant: one by id, or all of the one person of that name. Raises Unknown."""
        if isinstance(who, bytes):
            return [who]
        found = [
            p
            for p in self.directory()
            if who.casefold() in (p.name.casefold(), p.call_sign.casefold()) and not p.revoked
        ]
        if len({p.person for p in found}) != 1:
            raise Unknown(f"{'several people are' if found else 'nobody here is'} called {who!r}: name the device")
        return [p.device for p in found]

    # --- talk ---

    def send(
        self,
        channel: bytes,
        text: str,
        *,
        precedence: Precedence = Precedence.ROUTINE,
        marking: Marking | None = None,
        ask_ack: bool = False,
        expires: int = 0,
    ) -> bytes:
        """Keep a message for a channel, under its ceiling where no marking is given; gives its item."""
        return self.act(
            lambda work: conversation.send_text(
                work, channel, text, precedence, marking, ask_ack=ask_ack, expires=expires
            )
        )

    def delivery(self, item: bytes) -> Delivery:
        """How far an item has got. Raises Unknown."""
        found = self.act(lambda work: views.delivery(work, item))
        if found is None:
            raise Unknown("nothing of that id was sent here")
        return found

    async def read(self, channel: bytes | None = None, follow: bool = False) -> AsyncIterator[Shown]:
        """New messages, each once and marked shown before it is handed out; FLASH first, then by the gateway's order.

        With `follow` it never ends: it waits for more, which comes while `run` or `sync` is under way.
        """
        while True:
            self._news.clear()
            self._look_for_check_ins()
            while (shown := self._next(channel)) is not None:
                yield shown
            if not follow:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), CHECK_IN_SECONDS)

    async def reminders(self, follow: bool = False) -> AsyncIterator[tuple[bytes, Reminder]]:
        """Alerts that wait for this person's answer, as the gateway's ladder reminds of them: root and reminder, each once.

        With `follow` it never ends, as `read`.
        """
        while True:
            self._news.clear()
            while (found := next(reminding.waiting(self._ledger), None)) is not None:
                self.act(lambda work, root=found[0]: reminding.show(work.turn, root))  # type: ignore[misc]
                yield found
            if not follow:
                return
            await self._news.wait()

    def _look_for_check_ins(self) -> None:
        """What falls due by this device's clock is shown once more."""
        watches = emergencies.may_end(self.charter.policy, self.identity.roles)
        due = emergencies.fallen_due(self._ledger, self.identity, now_ms(), watches=watches)
        for key, move in due:
            self.act(lambda work, k=key, m=move: emergencies.show_again(work.turn, k, m))  # type: ignore[misc]

    def _next(self, channel: bytes | None) -> Shown | None:
        """The next message to show, marked so durably. What is not for showing is passed over."""
        while True:
            first = showing.first(self._ledger, channel or b"", now_ms())
            if first is None:
                return None
            shown = self.act(lambda work, key=first: _show(work, key))  # type: ignore[misc]
            if isinstance(shown, Shown):
                return shown

    def history(self, channel: bytes, limit: int = 50) -> list[Shown]:
        """The newest messages of a channel, the oldest of them first, shown before or not; nothing is marked."""

        def look(work: Work) -> list[Shown]:
            found = [
                s
                for key, message in records.MESSAGES.scan(work.turn.draft, channel)
                if (s := views.shown(work, channel, int.from_bytes(key[16:], "big"), message)) is not None
            ]
            return found[-limit:]

        return self.act(look)

    def ack(self, root_or_message_id: bytes, option: int | str = 0, text: str = "") -> bytes:
        """Answer an alert by its root, or a message by its id; `option` by number or by its words."""
        return self.act(lambda work: conversation.acknowledge(work, root_or_message_id, option, text))

    # --- looking around ---

    def status(self) -> Status:
        return self.act(lambda work: views.status(work, online=self.online, clock_off=self.clock_off))

    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint of the log that this device has verified."""
        return proof.held(self._ledger, self.charter)

    def alarms(self) -> list[Alarm]:
        """What was noticed, the oldest first."""
        return sorted((a for _, a in records.ALARMS.scan(self._ledger)), key=lambda a: (a.time, a.kind))

    def evidence(self) -> list[tuple[bytes, bytes]]:
        """Files of evidence that this device has, by name (`keys.evidence`)."""
        return [(name, note.data) for name, note in records.EVIDENCE.scan(self._ledger)]

    def forked(self) -> str:
        """Why every channel is halted; empty where none is for that."""
        return evidence.forked(self._ledger, self.charter)

    def directory(self) -> list[PersonInfo]:
        """The devices that this one knows of, with names where their cards have come."""
        return [views.person(self._ledger, device, peer) for device, peer in records.PEERS.scan(self._ledger)]

    def name(self, device: bytes) -> str:
        """What to call a device."""
        return views.name_of(self._ledger, device)

    def learn_card(self, card: bytes) -> None:
        """Take a card that came by another road; it counts by its registrar's signature. Raises KeysError."""
        self.act(lambda work: learn_card(work.turn, work.trust, card))

    async def refresh_directory(self) -> None:
        """Ask the gateway who is there. Every session does; this does it now."""
        async with self.session():
            after = bytes(16)
            while True:
                frame = await self.ask(lambda i, a=after: wire.GetDirectory(i, a))  # type: ignore[misc]
                if not isinstance(frame, wire.Directory):
                    raise error_of(frame)
                if len(frame.people) < wire.LIST_LIMIT:
                    return
                after = frame.people[-1].device


def _show(work: Work, key: bytes) -> Shown | None:
    channel, seq = key[:16], int.from_bytes(key[16:], "big")
    message = records.MESSAGES.get(work.turn.draft, key)
    shown = views.shown(work, channel, seq, message) if message is not None else None
    conversation.show(work, channel, seq)
    return shown
