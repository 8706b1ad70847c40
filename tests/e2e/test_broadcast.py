"""Journey 2, steps 7 to 17, on real processes: an emergency broadcast by two people, to agents and to a partner's guest.

The gateway is a process of its own that is killed (-9) between the rungs of a ladder; its roads lead to a mail server and a webhook
of this test; each verb is a process. Everything is read from what people see on their screens, from the servers, and from the log.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.wire import NoticeState
from tests.e2e.mission import PASSPHRASE, RealMission
from tests.e2e.terminal import Terminal
from tests.gateway.roads.servers import HOST, Hook, MailServer
from tests.waiting import until

HOME = (("officer", "Chen"), ("officer", "Dara"), ("agent", "Ayo"), ("agent", "Lena"), ("agent", "Jo"))
PLACE, WHAT, ACTION = "Plaza Central", "About 400 people, some throw stones.", "Stay inside."
RELEASE = "joint cordon until 31 Dec"
CROWD = (
    "--template", "crowd-threat", "--set", f"place={PLACE}", "--set", f"what={WHAT}",
    "--set", "es:place=la Plaza Central", "--set", "es:what=Unas 400 personas tiran piedras.", "--set", "es:action=Quédense dentro.",
    "--area", "circle 12.1015,-68.9336 0.4",
)  # fmt: skip
REPLIES = ("CORDON SET", "DELAYED", "CANNOT")
RESIDENCE, LIAISON = ("--to", "residence"), ("--to", "liaison")
BREVITY = "OUTRIDER: see your device. "

LADDER = """\
stop = "all"

[[rung]]
after = "15s"
road = "mail"

[[rung]]
after = "15s"
road = "pager"

[[rung]]
after = "10s"
road = "mail"
people = ["Jo"]
"""

RESTLESS = """\
stop = "all"
""" + "".join('[[rung]]\nafter = "10s"\nroad = "pager"\n' for _ in range(8))


@dataclass
class Broadcast:
    """The mission with its roads, and everybody's terminal."""

    mission: RealMission
    mail: MailServer
    hook: Hook
    at: dict[str, Terminal]

    @classmethod
    @asynccontextmanager
    async def ready(cls, folder: Path) -> AsyncIterator[Broadcast]:
        """Founded, everybody enrolled, and the gateway started with two roads."""
        async with AsyncExitStack() as stack:
            mail = await stack.enter_async_context(MailServer().serving())
            hook = await stack.enter_async_context(Hook().serving())
            mission = await stack.enter_async_context(RealMission.found(folder))
            people = (*((role, name, "Meridian") for role, name in HOME), ("guest", "Emil", "Hostpol"))
            await mission.enrol_all(*people)
            for station in mission.stations.values():
                station.close()
            mission.stations.clear()
            passphrase = folder / "passphrase"
            passphrase.write_text(f"{PASSPHRASE}\n")
            at = {name: Terminal(folder / "profiles" / name, passphrase) for name in mission.certified}
            at["Emil"].language = "es_ES.UTF-8"
            broadcast = cls(mission, mail, hook, at)
            broadcast.pave()
            await mission.stop()
            await mission.start()
            yield broadcast

    def pave(self) -> None:
        """The operator's part: two roads, and who has which address."""
        secret = self.mission.gateway / "secrets" / "pager.key"
        secret.write_text("0123456789abcdef")
        secret.chmod(0o600)
        with self.mission.config.open("a") as config:
            config.write(
                f'\n[roads.mail]\nkind = "smtp"\nhost = "{HOST}"\nport = {self.mail.port}\nfrom = "outrider@gateway.example"\n'
                f'tls = "none"\n\n[roads.pager]\nkind = "webhook"\nurl = "{self.hook.url}"\nsecret = "secrets/pager.key"\n'
            )
        contacts = self.mission.gateway / "contacts.toml"
        contacts.write_text(
            "".join(
                f'[{self.person(name)}]\nmail = "{name.lower()}@example.org"\npager = "{name.lower()}"\n'
                for name in ("Ayo", "Lena", "Jo", "Emil")
            )
        )
        contacts.chmod(0o600)

    def person(self, name: str) -> str:
        return self.mission.certified[name].person.hex()

    def device(self, name: str) -> str:
        return self.mission.certified[name].device.hex()

    def ladder(self, name: str, text: str) -> Path:
        file = self.mission.folder / name
        file.write_text(text)
        return file

    async def kill(self) -> None:
        """kill -9, and up again."""
        await self.mission.kill()
        await self.mission.start()

    def mailed(self) -> Counter[str]:
        """Mails by addressee; a mail that came twice has the same Message-ID and counts once."""
        found = {str(message["Message-ID"]): to.partition("@")[0] for to, message in self.mail.got}
        return Counter(found.values())

    def queued(self) -> int:
        """Notices that wait to be sent, or are being sent."""
        return self.mission.stored("SELECT count(*) FROM notices WHERE state = ?", NoticeState.QUEUED)

    def paged(self) -> Counter[str]:
        """Posts by addressee, each Idempotency-Key once."""
        found = {headers["Idempotency-Key"]: body for headers, body in self.hook.got}
        return Counter(name for body in found.values() for name in ("ayo", "lena", "jo", "emil") if _names(body, name))


def _names(body: bytes, name: str) -> bool:
    return f'"{name}"'.encode() in body


async def test_a_broadcast_from_the_first_word_to_the_all_clear(tmp_path: Path) -> None:
    async with Broadcast.ready(tmp_path) as b:
        await channels(b)
        draft = await composing(b)
        first = await two_people(b, draft)
        await read_by_all(b, first)
        await answers_and_rungs(b, first)
        second = await update(b, first)
        await all_clear(b, first, second)
        await asyncio.gather(silence(b), unalarmed(b))
        await audited(b)


async def channels(b: Broadcast) -> None:
    """A detail and a liaison channel, each with its alert channel beside it, and the officers' desk."""
    create = ("channel", "create", "--marking", "TLP:AMBER", "--class")
    chen = b.at["Chen"]
    for kind, purpose, who in (("detail", "residence", ("Ayo", "Lena", "Jo")), ("liaison", "liaison", ("Emil",))):
        made = await chen.ask(
            *create, kind, "--purpose", purpose, *(o for name in who for o in ("--add", b.device(name)))
        )
        assert made["alerts"]
    await chen.do(
        "channel",
        "create",
        "--class",
        "desk",
        "--marking",
        "TLP:AMBER+STRICT",
        "--purpose",
        "desk",
        "--add",
        b.device("Dara"),
    )
    await asyncio.gather(
        *(b.at[name].do("status") for name in ("Dara", "Ayo", "Lena", "Jo", "Emil"))
    )  # they come in, and greet


async def composing(b: Broadcast) -> str:
    """Steps 7 to 10: slots, two languages, a circle, a preview by name; a marking that stays at home; a reason to release."""
    chen = b.at["Chen"]
    empty = await chen.refused(1, "alert", "new", *CROWD, *RESIDENCE)
    assert "slot action is empty" in empty
    whole = (*CROWD, "--set", f"action={ACTION}", *RESIDENCE, *LIAISON, *(o for r in REPLIES for o in ("--respond", r)))
    ladder = ("--ladder", b.ladder("ladder.toml", LADDER))
    strict = await chen.refused(6, "alert", "new", *whole, "--marking", "TLP:AMBER+STRICT", "--release", RELEASE)
    assert "AMBER+STRICT stays in Meridian" in strict, strict
    assert "Hostpol" in strict
    assert "this attempt is in the log, without its text" in strict
    unsaid = await chen.refused(6, "alert", "new", *whole)
    assert "--release" in unsaid, unsaid
    shown = await chen.do("alert", "new", *whole, *ladder, "--release", RELEASE)
    for part in (
        "template crowd-threat version 1",
        f"[en] Hostile crowd at {PLACE}",
        "[es] (machine translation) Multitud hostil en la Plaza Central",
        "circle of 0.4 km",
        "1 OUTSIDE Meridian",
        "Meridian (5): Ayo, Chen (you), Dara, Jo, Lena",
        "! OUTSIDE Hostpol (1): Emil",
        f"released to them because: {RELEASE}",
    ):
        assert part in shown, shown
    fits(shown)
    return shown.split()[1]


async def two_people(b: Broadcast, draft: str) -> str:
    """Steps 11 and 12: frozen, compared by words, approved by another person, sent."""
    chen, dara = b.at["Chen"], b.at["Dara"]
    old = await chen.ask("alert", "submit", draft)
    frozen = await chen.ask("alert", "submit", draft)  # again: other times, so another root and other words
    assert frozen["root"] != old["root"]
    assert frozen["words"] != old["words"]
    root, words = str(frozen["root"][:8]), frozen["words"]
    own = await chen.refused(6, "alert", "approve", root, "--words", words)
    assert "nobody approves an alert of his own" in own
    tried = await dara.do("alert", "list")
    for attempt in ("to send an alert: it may not go there (TLP)", "to approve an alert: not for this person (ROLE)"):
        assert f"Chen tried {attempt}" in " ".join(tried.split()), tried
    fits(tried)
    shown = await dara.do("alert", "show", root)
    assert words in shown
    assert "written by Chen; needs one of: Dara" in shown
    assert "! OUTSIDE Hostpol (1): Emil" in shown
    void = await dara.refused(1, "alert", "approve", old["root"][:8], "--words", old["words"])
    assert "replaced" in void or "withdrawn" in void, void
    differ = await dara.refused(4, "alert", "approve", root, "--words", old["words"])
    assert "the words differ" in differ
    sent = await dara.do("alert", "approve", root, "--words", words)
    assert f"SENT {root} to 2 channels" in sent
    return root


async def read_by_all(b: Broadcast, root: str) -> None:
    """Step 13: Emil reads it in his language and answers; nothing tells him of anybody or any channel but his own."""
    emil, ayo = b.at["Emil"], b.at["Ayo"]

    async def guest() -> str:
        read = await emil.do("read")
        await emil.do("ack", root, REPLIES[0], "--text", "two units")
        return read

    theirs, ours = await asyncio.gather(guest(), ayo.do("read"))
    for read in (theirs, ours):
        assert "written by Chen, approved by Dara: both verified" in read
        assert all(reply in read for reply in REPLIES)
        fits(read)
    assert "Multitud hostil en la Plaza Central" in theirs
    assert f"Hostile crowd at {PLACE}" in ours
    assert f"ALERT {root} TLP:AMBER, until" in theirs
    assert "  GUEST\n" in theirs
    assert "GUEST" not in ours
    assert "GUEST" in await emil.do("status")
    await emil("alert", "show", root)
    await emil.do("channel", "list")
    for unknown in ("Ayo", "Lena", "Jo", "residence", "desk", *map(b.person, ("Ayo", "Lena", "Jo"))):
        assert unknown not in "\n".join(emil.said), unknown


async def answers_and_rungs(b: Broadcast, root: str) -> None:
    """Steps 14 and 15: the board; rungs by mail and webhook, the gateway killed between them; whoever answers is left in peace."""
    chen, ayo = b.at["Chen"], b.at["Ayo"]
    await until(lambda: set(b.mailed()) >= {"ayo", "lena", "jo"}, "the first rung, by mail")
    await ayo.do("ack", root, REPLIES[1])
    await b.mission.kill()
    for who in (ayo, b.at["Emil"]):
        offline = await who("alert", "show", root, "--timeout", "1")
        assert "written by Chen, approved by Dara: both verified" in offline.out
        assert "gateway not reached" in offline.err
    await b.mission.start()
    await until(lambda: set(b.paged()) >= {"lena", "jo"}, "the second rung, by webhook")
    await b.kill()
    await until(lambda: b.mailed()["jo"] == 2, "the third rung, to Lena's deputy")
    board = await chen.ask("alert", "show", root, codes=(1,))
    hers = await b.at["Dara"].ask("alert", "show", root, codes=(1,))
    assert hers["ladder"] == board["ladder"]  # whoever sent it is told of its rungs too
    assert [f["rung"] for f in board["ladder"]] == [1, 2, 3]
    assert [f["why"] for f in board["ladder"]] == ["due"] * 3
    assert {p["name"]: p["state"] for p in board["people"]} == {
        "Jo": "kept", "Lena": "kept", "Ayo": "answered", "Emil": "answered"
    }  # fmt: skip
    left_in_peace(b, board)
    brevity(b)
    screen = (await chen("alert", "watch", root, "--once")).out
    fits(screen)
    rows = [line.strip() for line in screen.splitlines()]
    order = [next(n for n, row in enumerate(rows) if row.startswith(name)) for name in ("Lena", "Ayo", "! Emil")]
    assert order[0] < min(order[1:])
    assert "2 of 4 answered: 2 silent (2 kept), 1 CORDON SET, 1 DELAYED" in screen


def left_in_peace(b: Broadcast, board: dict[str, Any]) -> None:
    """Each rung tells whom the log says that it woke, once each: the silent, and nobody who had answered before it."""
    (first, second, third), mailed, paged = board["ladder"], b.mailed(), b.paged()
    assert (mailed["lena"], mailed["jo"], paged["lena"], paged["jo"]) == (1, 2, 1, 1)
    assert (mailed.total(), paged.total()) == (first["woken"] + third["woken"], second["woken"])
    for one in board["answered"]:
        for rung, told in ((first, mailed), (second, paged)):
            assert told[one["name"].lower()] <= (one["time"] >= rung["time"])


def brevity(b: Broadcast) -> None:
    """What went by roads off the platform says nothing of the alert."""
    texts = [message.as_string() for _, message in b.mail.got] + [body.decode() for _, body in b.hook.got]
    for text in texts:
        assert BREVITY in text
        for word in (PLACE, "crowd", "Hostile", "stones", "Chen", "Dara", "Meridian", "residence", *REPLIES):
            assert word.lower() not in text.lower(), word


async def update(b: Broadcast, first: str) -> str:
    """Step 16: by two again; the first one is greyed everywhere, and a device that was away is shown first what holds."""
    chen, dara, lena, ayo = (b.at[name] for name in ("Chen", "Dara", "Lena", "Ayo"))
    words = ("--set", "action=Wait.", "--set", f"place={PLACE}", "--set", "what=Dispersing.")
    ladder = ("--ladder", b.ladder("restless.toml", RESTLESS))
    frozen = await chen.ask("alert", "update", first, *words, *ladder)
    await dara.do("alert", "approve", frozen["root"][:8], "--words", frozen["words"])
    second = str(frozen["root"][:8])
    for who in (lena, ayo):
        read = await who.do("read")
        assert "Dispersing." in read
        assert WHAT not in read
    seen = lena.said[-2]
    assert seen.index(second) < seen.index(f"REPLACED by {second}")
    assert "do not act on this one" in seen
    assert "REPLACED" in await ayo.do("alert", "list")
    late = await lena.refused(1, "ack", first, REPLIES[1])
    assert "replaced" in late
    await lena.do("ack", second, "SAFE")
    return second


async def all_clear(b: Broadcast, first: str, second: str) -> None:
    """Step 17: the chain is over, nothing of it wakes anybody, and who comes late is shown the all-clear first."""
    chen, dara, jo, emil = (b.at[name] for name in ("Chen", "Dara", "Jo", "Emil"))
    frozen = await dara.ask("alert", "allclear", second)
    await chen.do("alert", "approve", frozen["root"][:8], "--words", frozen["words"])
    clear = frozen["root"][:8]
    read = await jo.do("read")
    assert read.index(f"ALERT {clear} ALL-CLEAR") < read.index(f"CLEARED by {clear}")
    assert WHAT not in read
    assert "Dispersing." not in read
    over = await jo.refused(1, "ack", second, "SAFE")
    assert "cleared" in over
    await emil.do("read")
    listed = {a["root"][:8]: a["standing"] for a in rows(await emil.do("alert", "list", "--json"))}
    assert listed == {first: "cleared", second: "cleared", clear: "holds"}  # the whole chain


async def silence(b: Broadcast) -> None:
    """What was cleared wakes nobody: its next rung would have come within ten seconds."""
    await until(lambda: not b.queued(), "what was under way at the end has gone or was taken back")
    before = b.mailed(), b.paged()
    await asyncio.sleep(11)
    assert (b.mailed(), b.paged()) == before
    brevity(b)


async def unalarmed(b: Broadcast) -> None:
    """Nobody was shown anything that looks like an attack, and nothing is left to be sent."""
    for name, told in zip(b.at, await asyncio.gather(*(b.at[name].ask("status") for name in b.at)), strict=True):
        assert (told["alarms"], told["outbox"]) == (0, 0), (name, b.at[name].said[-2])


async def audited(b: Broadcast) -> None:
    """Gita's verdict over that log, offline and with a head from outside: whole, and every alert by two people."""
    folder, gateway = b.mission.folder, b.mission.gateway
    head = await b.mission.head()
    (folder / "charter").write_bytes(b.mission.notes[0])
    gita = Terminal(folder / "gita", folder / "passphrase")
    outside = ("--head", head, "--key", gateway / "log.vkey", "--charter", folder / "charter")
    claims = rows(await gita.do("audit", "verify", b.mission.log, *outside, "--json"))
    verdict = claims.pop()
    assert (verdict["verdict"], verdict["whole"]) == ("WHOLE", True)
    assert {claim["outcome"] for claim in claims} == {"PASS"}
    alerts = next(claim for claim in claims if claim["claim"] == "alerts")
    assert "3 alerts, 0 of them by one person alone" in alerts["rule"]
    assert "2 attempts refused by their author's own device" in alerts["rule"]


def rows(text: str) -> list[dict[str, Any]]:
    """JSON Lines."""
    return [json.loads(line) for line in text.splitlines()]


def fits(screen: str) -> None:
    """It is readable at 80 columns and without colour."""
    assert max(map(len, screen.splitlines())) <= 80, screen
    assert "\x1b" not in screen
