"""One party of the demo as a process: a station or a registrar's seat, told what to do line by line.

A line in is `{"do": verb, …}`; a line out is `{"ok": …}` or `{"error": …}`. Ids and other bytes are hex. The process stays up
for the whole run and keeps its link up in the background; every frame that it sends or receives inside TLS is also written
to a file, so that the demo can search what the gateway was told.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from clients.registrar import Registrar
from clients.station import Shown, Station
from clients.vault import Cost, Vault
from keys.alert import root_words
from keys.envelope import Marking, Precedence

PATIENCE: Final = 120.0  # s that a verb may take before the demo is told what it waits for
PAUSE: Final = 0.02  # s between two looks
LINE_LIMIT: Final = 4 * 1024 * 1024
COST: Final = Cost(memory=8 * 1024, passes=1)  # the demo's passphrase is 128 random bits: nobody guesses it at any cost

Said = dict[str, Any]


class Tap:
    """Frames to a file: direction, length, bytes."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)

    def __call__(self, direction: str, frame: bytes) -> None:
        self._file.write(direction[0].encode() + len(frame).to_bytes(4, "big") + frame)


async def until(look: Callable[[], Any], what: str) -> Any:
    """Wait until `look` gives something true."""
    try:
        async with asyncio.timeout(PATIENCE):
            seen = look()
            while not seen:  # a vault rings no bell
                await asyncio.sleep(PAUSE)
                seen = look()
    except TimeoutError:
        raise TimeoutError(f"waited {PATIENCE:.0f} s in vain until {what}") from None
    return seen


class Device:
    """A person's station, and what the demo may tell it to do."""

    def __init__(self, profile: Path, passphrase: str, tap: Tap) -> None:
        self._station = Station.create(profile, passphrase, cost=COST, tap=tap)
        self._link: asyncio.Task[None] | None = None
        self._shown: list[Said] = []
        self._enrolling: asyncio.Task[Any] | None = None

    async def ask_to_join(self, link: str) -> Said:
        """Send the request; the words that registrar and officer compare come back at once."""
        self._enrolling = asyncio.create_task(self._station.enrol(link, timeout=PATIENCE))
        await until(lambda: self._words() or (self._enrolling and self._enrolling.done()), "the request is out")
        return {"words": self._words()}

    def _words(self) -> str:
        with contextlib.suppress(Exception):
            return self._station.enrolment_words()
        return ""

    async def joined(self) -> Said:
        assert self._enrolling is not None
        enrolled = await self._enrolling
        await self._station.sync(PATIENCE)  # its KeyPackages lie at the gateway: from now on it can be added
        await self.online()
        await until(lambda: self._station.online, "the link is up")
        return {"device": self._station.device.hex(), "name": enrolled.name, "roles": sorted(enrolled.roles)}

    async def online(self) -> Said:
        if self._link is None:
            self._link = asyncio.create_task(self._station.run())
        return {}

    async def offline(self) -> Said:
        if self._link is not None:
            self._link.cancel()
            await asyncio.gather(self._link, return_exceptions=True)
            self._link = None
        return {}

    async def approve(self, words: str) -> Said:
        """As the second officer: the enrolment whose words were compared."""
        pending = await self._station.pending_enrolments()
        chosen = [p for p in pending if p.words == words and p.certificate]
        await self._station.approve(chosen[0].invite)
        return {}

    async def create(self, channel_class: str, marking: str, purpose: str) -> Said:
        channel = self._station.create_channel(channel_class, Marking.parse(marking), purpose)
        await until(lambda: any(c.id == channel and c.seq for c in self._station.channels()), "the channel is accepted")
        return {"channel": channel.hex()}

    async def create_alerts(self, talk: str, purpose: str) -> Said:
        """The alert channel beside a talk channel."""
        channel = self._station.create_alerts(bytes.fromhex(talk), purpose)
        await until(lambda: any(c.id == channel and c.seq for c in self._station.channels()), "the channel is accepted")
        return {"channel": channel.hex()}

    async def add(self, channel: str, who: list[str]) -> Said:
        return await self._intend(self._station.add(bytes.fromhex(channel), [bytes.fromhex(w) for w in who]))

    async def rekey(self, channel: str) -> Said:
        return await self._intend(self._station.rekey(bytes.fromhex(channel)))

    async def _intend(self, intent: bytes) -> Said:
        await until(lambda: self._station.outcome(intent) is not None, "the commit has won or lost")
        return {"outcome": self._station.outcome(intent)}

    async def in_channel(self, channel: str) -> Said:
        wanted = bytes.fromhex(channel)
        await until(lambda: any(c.id == wanted and c.epoch for c in self._station.channels()), "the Welcome is taken")
        return {}

    async def send(self, channel: str, text: str, precedence: str = "routine") -> Said:
        item = self._station.send(bytes.fromhex(channel), text, precedence=Precedence[precedence.upper()])
        return {"item": item.hex()}

    async def accepted(self, item: str) -> Said:
        wanted = bytes.fromhex(item)
        await until(lambda: self._station.delivery(wanted).state != "kept", "the gateway has accepted it")
        return {"state": self._station.delivery(wanted).state}

    async def state(self, item: str) -> Said:
        delivery = self._station.delivery(bytes.fromhex(item))
        return {"state": delivery.state, "delivered": len(delivery.delivered), "read": len(delivery.read)}

    async def read(self, count: int) -> Said:
        """Show what has come until `count` messages were shown in all; each is shown once."""
        async with asyncio.timeout(PATIENCE):
            while len(self._shown) < count:
                async for shown in self._station.read():
                    self._shown.append(as_said(shown))
                await asyncio.sleep(PAUSE)
        return {"shown": self._shown}

    async def submit(self, channels: list[str], cap: str) -> Said:
        """Freeze an alert and put it before the other officers."""
        order = self._station.order([bytes.fromhex(c) for c in channels], bytes.fromhex(cap))
        root = self._station.submit(order)
        return {"root": root.hex(), "words": root_words(root)}

    async def approve_alert(self, root: str, words: str) -> Said:
        """Approve the draft that has these words, once it has come; that sends it."""
        wanted = bytes.fromhex(root)
        await until(lambda: any(w.root == wanted for w in self._station.waiting()), "the draft has come")
        if root_words(wanted) != words:
            raise ValueError("the draft has other words")
        sent = self._station.approve_alert(wanted)
        return {"items": [item.hex() for item in sent.items]}

    async def ack(self, root: str, option: str) -> Said:
        return {"item": self._station.ack(bytes.fromhex(root), option).hex()}

    async def answers(self, root: str, count: int) -> Said:
        wanted = bytes.fromhex(root)
        await until(lambda: any(alert.root == wanted for alert in self._station.alerts()), "the alert has come")
        await until(lambda: len(self._station.answers(wanted).answered) >= count, "the answers are in")
        found = self._station.answers(wanted)
        return {
            "targeted": [self._station.name(d) for d in found.targeted],
            "answered": [
                {"name": a.name, "option": a.text or f"option {a.option}", "words": a.words} for a in found.answered
            ],
            "silent": [self._station.name(d) for d in found.silent],
        }

    async def proven(self) -> Said:
        """Everything sent and shown is in the log, under a checkpoint that this device has verified."""
        await until(lambda: not self._station.status().unproven, "every entry is proven")
        return {"alarms": [a.detail for a in self._station.alarms()]}

    async def leave(self) -> Said:
        await self.offline()
        self._station.close()
        return {}


def as_said(shown: Shown) -> Said:
    alert = shown.alert
    return {
        "channel": shown.channel.hex(),
        "seq": shown.seq,
        "name": shown.name,
        "text": shown.text,
        "reason": shown.reason,
        "warnings": list(shown.warnings),
        "alert": {"root": alert.root.hex(), "options": [text for _, text in alert.options]} if alert else None,
    }


class Seat:
    """A registrar's seat: invites, certificates, revocation lists."""

    def __init__(self, profile: Path, passphrase: str, number: int, notes: list[bytes], tap: Tap) -> None:
        self._registrar = Registrar.open(Vault.open(profile, passphrase), number, notes, tap=tap)
        self._invites: dict[str, Any] = {}

    async def publish(self) -> Said:
        await self._registrar.publish_revocations([])
        return {}

    async def invite(self, role: str, minutes: int = 10) -> Said:
        from clients.moments import now

        invite = self._registrar.invite(role, expires=now() + minutes * 60_000)
        await self._registrar.put_invite(invite)
        link = invite.link()
        self._invites[link] = invite
        return {"link": link}

    async def grant(self, link: str, words: str, name: str, call_sign: str) -> Said:
        """The certificate for who asked by this invite, if the words are those heard."""
        invite = self._invites[link]
        async with asyncio.timeout(PATIENCE):
            while True:
                pending = [p for p in await self._registrar.pending_enrolments() if p.invite == invite.id]
                if pending:
                    break
                await asyncio.sleep(PAUSE)
        assert pending[0].words == words, "somebody else has asked with this invite"
        await self._registrar.grant(invite, name, call_sign)
        return {}

    async def approve(self, words: str) -> Said:
        """At the founding, as the other registrar."""
        pending = [p for p in await self._registrar.pending_enrolments() if p.words == words and p.certificate]
        await self._registrar.approve(pending[0].invite)
        return {}

    async def leave(self) -> Said:
        self._registrar.close()
        return {}


async def serve(line: socket.socket, profile: Path, frames: Path, passphrase: str) -> None:
    """Read lines, do what they say, answer each; until the other end is closed."""
    tap, party = Tap(frames), None
    reader, writer = await asyncio.open_connection(sock=line, limit=LINE_LIMIT)
    while told := await reader.readline():
        said = json.loads(told)
        verb = said.pop("do")
        answer: Said = {"ok": {}}
        try:
            if verb == "begin":
                party = Device(profile, passphrase, tap)
            elif verb == "sit":
                notes = [bytes.fromhex(n) for n in said["notes"]]
                party = Seat(profile, passphrase, said["number"], notes, tap)  # type: ignore[assignment]
            else:
                act: Callable[..., Awaitable[Said]] = getattr(party, verb)
                answer = {"ok": await act(**said)}
        except Exception as error:  # told to the demo, which names party and verb
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()


def main(line: socket.socket, profile: Path, frames: Path, passphrase: Path) -> None:
    """The process."""
    asyncio.run(serve(line, profile, frames, passphrase.read_text().strip()))
