"""The demo's story, act by act, with real processes and real sockets; every claim it prints was checked a moment before.

A claim that doesn't hold raises `Failed`: the demo never prints what it has not seen.
"""

import asyncio
import contextlib
import json
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.core.cap import open_alert
from clients.demo import cast
from clients.demo.company import (
    GATEWAY,
    OUTRIDER,
    STARTING,
    Company,
    Failed,
    Party,
    Process,
    free_port,
    prepare,
    stop,
    write_secret,
)
from clients.demo.search import Hit, contains, search

Print = Callable[[str], None]


@dataclass(slots=True)
class Play:
    """One run of the demo in one folder."""

    folder: Path
    cap: bytes
    say: Print
    people: dict[str, Party] = field(default_factory=dict)
    seats: dict[str, Party] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    gateway: Process | None = None
    words: str = ""  # of the alert that two have signed
    started: float = field(default_factory=time.monotonic)

    company: Company = field(init=False)

    def __post_init__(self) -> None:
        prepare()
        self.company = Company(self.folder)

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    @property
    def log(self) -> Path:
        return self.folder / "gateway" / "log"

    # --- act one: the founding ---

    async def found(self) -> None:
        """A gateway, a mission, a partner, and the charter that names them all; meanwhile everybody makes a profile."""
        write_secret(self.passphrase, secrets.token_hex(16) + "\n")
        await asyncio.gather(self._found(), *(self._start(person) for person in cast.PEOPLE))

    async def _found(self) -> None:
        gateway, ceremony = self.folder / "gateway", self.folder / "ceremony"
        partner = self._outrider(
            "partner-registrar", "mission", "partner", "init", "--org", cast.PARTNER, "--out", self.folder / "hostpol"
        )
        await asyncio.gather(self._found_mission(gateway, ceremony), partner)
        second = [self._second_registrar(organisation) for organisation in ("", "partner-")]
        await asyncio.gather(self._install(ceremony / "charter.note"), self._name_partner(ceremony), *second)
        shutil.copy(ceremony / "charter-2.note", self.folder / "charter")
        shutil.copy(gateway / "log.vkey", self.folder / "log.vkey")
        notes = [(ceremony / name).read_bytes().hex() for name in ("charter.note", "charter-2.note")]
        seats = [self._seat(organisation, n, notes) for organisation in ("", "partner-") for n in (1, 2)]
        await asyncio.gather(self._open(gateway, ceremony), *seats)

    async def _open(self, gateway: Path, ceremony: Path) -> None:
        await self._install(ceremony / "charter-2.note")
        self.gateway, _ = await self.company.start_gateway(gateway / "gateway.toml")

    async def _found_mission(self, gateway: Path, ceremony: Path) -> None:
        """The operator makes the gateway, the founders make the charter that names it."""
        address = f"127.0.0.1:{free_port()}"
        where = ["--listen", address, "--metrics", "127.0.0.1:0", "--url", f"https://{address}"]
        await self.company.run(GATEWAY, "init", "--dir", gateway, *where)
        named = ["--name", cast.MISSION, "--org", cast.HOME, "--auditor", cast.AUDITOR]
        request = gateway / "gateway.request"
        await self._outrider("registrar", "mission", "init", "--gateway", request, *named, "--out", ceremony)

    async def _outrider(self, profile: str, *arguments: object) -> str:
        options = ["--profile", self.folder / "profiles" / profile, "--passphrase-file", self.passphrase]
        if "init" in arguments:
            options += ["--key-passphrase-file", self.passphrase]
        return (await self.company.run(OUTRIDER, *arguments, *options))[1]

    async def _install(self, note: Path) -> None:
        await self.company.run(GATEWAY, "charter", note, "--config", self.folder / "gateway" / "gateway.toml")

    async def _name_partner(self, ceremony: Path) -> None:
        """The partner's agreement: version 2 of the charter, signed by the same two of three authorities."""
        proposal, note = ceremony / "charter-2.toml", ceremony / "charter-2.note"
        (file,) = (self.folder / "hostpol").glob("*.org")
        await self._outrider(
            "registrar", "mission", "partner", "add", file, "--ceiling", "TLP:AMBER", "--until", _in_a_year(), "--out", proposal,
            "--from", ceremony / "charter.note",
        )  # fmt: skip
        for n in (1, 2):
            source, out = (proposal, ["--out", note]) if n == 1 else (note, [])
            key = ["--key", ceremony / f"authority-{n}.key", "--key-passphrase-file", self.passphrase, "--yes"]
            await self._outrider("registrar", "mission", "charter", "sign", source, *key, *out)

    # --- act two: the people ---

    async def enrol(self) -> None:
        """Registrars publish their first lists; five people join, each let in by two others."""
        await asyncio.gather(*(self.seats[f"{o}registrar-1"].do("publish") for o in ("", "partner-")))
        await asyncio.gather(*(self._join(person) for person in cast.OFFICERS))
        await asyncio.gather(*(self._join(person) for person in cast.PEOPLE if person not in cast.OFFICERS))

    async def _second_registrar(self, organisation: str) -> None:
        """The second registrar, another person, takes the key file to a profile of their own."""
        folder = self.folder / ("hostpol" if organisation else "ceremony")
        key = ["--key-passphrase-file", self.passphrase]
        await self._outrider(f"{organisation}registrar-2", "enrol", folder / "registrar-2.key", *key)

    async def _seat(self, organisation: str, number: int, notes: list[str]) -> None:
        """The first registrar has the profile of the founding, the second one of their own."""
        profile = f"{organisation}registrar" if number == 1 else f"{organisation}registrar-2"
        name = f"{organisation}registrar-{number}"
        party = self.seats[name] = await self._party(name, profile)
        await party.do("sit", number=number, notes=notes)

    async def _party(self, name: str, profile: str) -> Party:
        frames = self.folder / "frames" / f"{name}.bin"
        frames.parent.mkdir(exist_ok=True)
        return await self.company.start_party(name, self.folder / "profiles" / profile, frames, self.passphrase)

    async def _start(self, person: cast.Role) -> None:
        party = self.people[person.key] = await self._party(person.key, person.key)
        await party.do("begin")

    async def _join(self, person: cast.Role) -> None:
        """Invite, request, words compared, certificate by the registrar, approval by a second officer."""
        seat = self.seats["registrar-1" if person.organisation == cast.HOME else "partner-registrar-1"]
        party = self.people[person.key]
        link = (await seat.do("invite", role=person.role))["link"]
        words = (await party.do("ask_to_join", link=link))["words"]
        await seat.do("grant", link=link, words=words, name=person.name, call_sign=person.call_sign)
        if person in cast.OFFICERS:
            await self.seats["registrar-2"].do("approve", words=words)
        else:
            await self.people[cast.CHEN.key].do("approve", words=words)
        joined = await party.do("joined")
        if joined["name"] != person.name or joined["roles"] != [person.role]:
            raise Failed(f"{person.name} was enrolled as {joined}")
        self.devices[person.key] = joined["device"]

    # --- act three: channels and messages ---

    async def form(self) -> None:
        """The officers' desk; a detail and a liaison channel with the police, each with its alert channel beside it."""
        chen = self.people[cast.CHEN.key]
        detail = (cast.DARA, cast.AYO, cast.BEA)
        police = (cast.DARA, cast.EMIL)
        for name, marking, purpose, members, alerts, alerts_purpose in (
            ("desk", "TLP:AMBER+STRICT", cast.DESK_PURPOSE, (cast.DARA,), "", ""),
            ("detail", "TLP:AMBER+STRICT", cast.DETAIL_PURPOSE, detail, "alert", cast.ALERT_PURPOSE),
            ("liaison", "TLP:AMBER", cast.LIAISON_PURPOSE, police, "police-alert", cast.POLICE_ALERT_PURPOSE),
        ):
            made = await chen.do("create", channel_class=name, marking=marking, purpose=purpose)
            self.channels[name] = made["channel"]
            if alerts:
                beside = await chen.do("create_alerts", talk=made["channel"], purpose=alerts_purpose)
                self.channels[alerts] = beside["channel"]
            added = await chen.do("add", channel=made["channel"], who=[self.devices[m.key] for m in members])
            if added["outcome"]:
                raise Failed(f"the {name} channel could not be formed: {added['outcome']}")
            inside = [made["channel"], *([self.channels[alerts]] if alerts else [])]
            joins = [self.people[m.key].do("in_channel", channel=c) for m in members for c in inside]
            await asyncio.gather(*joins)

    async def talk(self) -> None:
        """Two messages in the detail, two with the police; the guest sees only its own."""
        await self._say(cast.AYO, "detail", cast.FIRST_TEXT)
        await self._say(cast.BEA, "detail", cast.REPLY_TEXT)
        await self._say(cast.CHEN, "liaison", cast.LIAISON_TEXT)
        await self._say(cast.EMIL, "liaison", cast.LIAISON_REPLY)
        await self._expect(cast.AYO, [cast.REPLY_TEXT])
        await self._expect(cast.BEA, [cast.FIRST_TEXT])
        await self._expect(cast.EMIL, [cast.LIAISON_TEXT])

    async def _say(self, person: cast.Role, channel: str, text: str) -> str:
        party = self.people[person.key]
        item: str = (await party.do("send", channel=self.channels[channel], text=text))["item"]
        await party.do("accepted", item=item)
        return item

    async def _expect(self, person: cast.Role, texts: list[str]) -> list[Any]:
        """Exactly these texts, in this order, and each once."""
        shown: list[Any] = (await self.people[person.key].do("read", count=len(texts)))["shown"]
        got = [s["text"] for s in shown if not s["alert"]]
        if got != texts:
            raise Failed(f"{person.name} was shown {got}, not {texts}")
        return shown

    async def cut_off(self) -> list[str]:
        """Ayo's link goes; the others change keys and go on talking; Ayo comes back and has it all, in order."""
        ayo, chen = self.people[cast.AYO.key], self.people[cast.CHEN.key]
        await ayo.do("offline")
        texts = [cast.MISSED_TEXT.format(n=n) for n in range(1, cast.MISSED + 1)]
        for n, text in enumerate(texts):
            if n % (cast.MISSED // cast.MISSED_REKEYS) == 0:
                outcome = (await chen.do("rekey", channel=self.channels["detail"]))["outcome"]
                if outcome:
                    raise Failed(f"the keys could not be changed: {outcome}")
            await self._say(cast.BEA, "detail", text)
        await ayo.do("online")
        await self._expect(cast.AYO, [cast.REPLY_TEXT, *texts])
        return texts

    # --- act four: the alert ---

    async def alert(self) -> Any:
        """Chen writes it, Dara approves it, and that sends it; everyone whom it is for answers."""
        chen, dara = self.people[cast.CHEN.key], self.people[cast.DARA.key]
        channels = [self.channels["alert"], self.channels["police-alert"]]
        draft = await chen.do("submit", channels=channels, cap=self.cap.hex())
        self.words = draft["words"]
        await dara.do("approve_alert", root=draft["root"], words=self.words)
        seen = {cast.AYO: 2 + cast.MISSED, cast.BEA: 2, cast.EMIL: 2}
        for n, (person, count) in enumerate(seen.items()):
            shown = (await self.people[person.key].do("read", count=count))["shown"]
            alert = next(s["alert"] for s in shown if s["alert"])
            options = alert["options"] or ["acknowledged"]
            await self.people[person.key].do("ack", root=alert["root"], option=options[n % len(options)])
        return await chen.do("answers", root=draft["root"], count=len(seen))

    # --- act five: the search, and the auditor ---

    async def settle(self) -> int:
        """Every device has the proof of all it sent and saw; the head is noted outside the gateway's folder."""
        for done in await asyncio.gather(*(p.do("proven") for p in self.people.values())):
            if done["alarms"]:
                raise Failed(f"a device alarms: {done['alarms']}")
        await asyncio.gather(*(p.end() for p in (*self.people.values(), *self.seats.values())))
        assert self.gateway is not None
        await stop(self.gateway, STARTING)  # it drains: the last act is under the last checkpoint
        self.gateway = None
        shutil.copy(self.log / "checkpoint", self.folder / "head")
        return int((self.folder / "head").read_text().split("\n")[1])

    def plaintexts(self, texts: list[str]) -> list[str]:
        """Everything that the gateway must not hold: texts, names, call signs, purposes, and what the alert says."""
        alert = open_alert(self.cap)
        infos = [t for i in alert.infos for t in (i.headline, i.description, i.instruction) if t]
        said = [cast.FIRST_TEXT, cast.REPLY_TEXT, cast.LIAISON_TEXT, cast.LIAISON_REPLY, cast.DESK_PURPOSE, *texts]
        people = [t for p in cast.PEOPLE for t in (p.name, p.call_sign)]
        purposes = [cast.DETAIL_PURPOSE, cast.ALERT_PURPOSE, cast.LIAISON_PURPOSE, cast.POLICE_ALERT_PURPOSE]
        lines = [line.strip() for info in infos for line in info.split("\n") if len(line.strip()) >= 12]
        return list(dict.fromkeys([*said, *people, *purposes, *lines]))

    def look(self, texts: list[str]) -> tuple[list[Hit], bool]:
        """Search the gateway's folder and all frames; and find the planted control in both."""
        frames = self.folder / "frames.bin"
        with frames.open("wb") as whole:
            for part in sorted((self.folder / "frames").iterdir()):
                whole.write(part.read_bytes())
        control = bytes.fromhex(self.channels["detail"])
        places = [self.folder / "gateway", frames]
        return search(places, texts), all(contains([place], control) for place in places)

    async def audit(self) -> tuple[int, list[Any]]:
        """The auditor's own process, offline: the log's folder, the head noted outside, the charter and the log's key."""
        status, out = await self.company.run(
            OUTRIDER, "audit", "verify", self.log, "--head", self.folder / "head", "--key", self.folder / "log.vkey",
            "--charter", self.folder / "charter", "--json", expect=(0, 1, 7),
        )  # fmt: skip
        return status, [json.loads(line) for line in out.splitlines()]

    def tamper(self) -> int:
        """Flip one byte in the stored log: in the middle of the first bundle of entries. Gives its offset."""
        bundle = sorted((self.log / "tile" / "entries").rglob("*"))
        path = max((p for p in bundle if p.is_file()), key=lambda p: p.stat().st_size)
        data = bytearray(path.read_bytes())
        offset = len(data) // 2
        data[offset] ^= 0x01
        path.write_bytes(data)
        return offset

    async def serve(self, say: Print) -> None:
        """Start the gateway again and stay up until somebody interrupts."""
        self.gateway, address = await self.company.start_gateway(self.folder / "gateway" / "gateway.toml")
        say(
            f"\nThe gateway is up again at {address}. Profiles: {self.folder / 'profiles'}, passphrase: {self.passphrase}"
        )
        say(
            f"Try: outrider read --profile {self.folder / 'profiles' / cast.AYO.key} --passphrase-file {self.passphrase}"
        )
        say("Ctrl-C ends it.")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def end(self) -> None:
        """Whatever happened, leave no process behind."""
        for party in (*self.people.values(), *self.seats.values()):
            with contextlib.suppress(ProcessLookupError):
                await stop(party.process)
        if self.gateway is not None:
            await stop(self.gateway)


def _in_a_year() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 364 * 86_400))
