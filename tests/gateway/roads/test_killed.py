"""A real gateway with real roads, killed (-9) again and again during escalations: no rung lost, none fired twice, nobody told twice.

Mail and webhook are servers of this test, which stay up. A notice may be sent a second time where the kill came between the
sending and the remembering; then it has the same Message-ID or Idempotency-Key, and so it is the same to whoever gets it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway import wire
from gateway.roads.worker import AT_ONCE
from gateway.wire import NoticeState
from keys.envelope import Envelope, Kind, read
from keys.identity import PersonId
from keys.ladder import Escalated, Ladder, Rung, Stop, read_escalated
from tests.bench.alerting import alert, answer
from tests.bench.author import Author
from tests.bench.fleet import Fleet
from tests.bench.line import Gone, Line
from tests.bench.mission import ALERTS, Device
from tests.gateway.roads.servers import HOST, Hook, MailServer
from tests.waiting import PATIENCE, until

DEPUTY = PersonId(b"D" * 16)
LADDER = Ladder([Rung(10, "mail", []), Rung(10, "pager", [DEPUTY])], Stop.ALL, 0, None)
ALERTED = 4
KILLS = 5


def roads(fleet: Fleet, mail: MailServer, hook: Hook, people: list[Device]) -> None:
    """The operator's part: two roads, and who has which address."""
    secret = fleet.folder / "secrets" / "pager.key"
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    config = fleet.folder / "gateway.toml"
    config.write_text(
        config.read_text()
        + f'\n[roads.mail]\nkind = "smtp"\nhost = "{HOST}"\nport = {mail.port}\nfrom = "outrider@gateway.example"\ntls = "none"\n'
        + f'\n[roads.pager]\nkind = "webhook"\nurl = "{hook.url}"\nsecret = "secrets/pager.key"\n'
    )
    contacts = fleet.folder / "contacts.toml"
    lines = [f'[{d.person.hex()}]\nmail = "person{n}@example.org"\n' for n, d in enumerate(people)]
    contacts.write_text("".join(lines) + f'[{DEPUTY.hex()}]\npager = "deputy"\n')
    contacts.chmod(0o600)


@asynccontextmanager
async def gateway(mail: MailServer, hook: Hook) -> AsyncIterator[tuple[Fleet, list[Device]]]:
    """A gateway with roads, two officers and four agents, all enrolled."""
    fleet = Fleet()
    try:
        fleet.found()
        people = [fleet.mission.device("officer") for _ in range(2)] + [fleet.mission.device("agent") for _ in range(4)]
        roads(fleet, mail, hook, people[2:])
        fleet.start()
        await fleet.ready()
        await fleet.settle()
        await fleet.approve(people)
        yield fleet, people
    finally:
        fleet.stop()
        fleet.cleanup()


async def held(fleet: Fleet, device: Device) -> Line:
    """A session, however often the gateway is killed meanwhile."""
    while True:
        try:
            return await fleet.connect(device)
        except (OSError, Gone, AssertionError):
            await asyncio.sleep(0.1)


async def told(fleet: Fleet, device: Device, frame: wire.FromDevice) -> wire.FromGateway:
    """The answer to a request that may be asked again."""
    while True:
        line = await held(fleet, device)
        try:
            return await asyncio.wait_for(line.ask(frame), 30.0)
        except (Gone, TimeoutError):
            await asyncio.sleep(0.1)
        finally:
            await line.close()


async def escalated(fleet: Fleet, officer: Device, count: int) -> list[Escalated]:
    """What the log says that was fired, as an officer is sent it: so many, and whatever comes beside them."""
    found: dict[int, Escalated] = {}
    line = await held(fleet, officer)

    def deliver(placed: wire.Placed) -> None:
        if read(Envelope(placed.header, placed.signature)).context.kind is Kind.ESCALATION:
            found[placed.place.seq] = read_escalated(placed.body or b"")

    line.on_deliver = deliver
    await line.follow()
    await until(lambda: len(found) >= count, "all that was fired")
    await asyncio.sleep(0.5)
    await line.close()
    return list(found.values())


async def kill(fleet: Fleet, times: int, rng: random.Random) -> None:
    for _ in range(times):
        await asyncio.sleep(rng.uniform(1.0, 5.0))
        fleet.kill9()
        fleet.start()
        await fleet.ready()


async def test_killed_again_and_again() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)  # shown where it fails
    async with MailServer().serving() as mail, Hook().serving() as hook, gateway(mail, hook) as (fleet, people):
        chen, dara, *agents = people
        line = await fleet.connect(chen)
        channel, _ = await fleet.channel(line, [dara, *agents], ALERTS)
        await line.close()
        control, beside = Author(dara, fleet.charter.control_channel), Author(dara, channel.id)
        killer = asyncio.create_task(kill(fleet, KILLS, random.Random(seed)))
        alerts = []
        for n in range(ALERTED):
            one = alert(chen, dara, [channel], LADDER)
            alerts.append(one)
            for sealed in (one.announcement(control), one.sealed(beside, channel)):
                await told(fleet, dara, wire.Submit(1, [sealed]))
            if n == 0:
                taken = await told(fleet, agents[0], wire.Submit(1, [answer(agents[0], channel, one.root)]))
            await asyncio.sleep(2.0)
        await killer
        escalations = await finished(fleet, chen, [one.root for one in alerts])
        expected = {(one.root, person.person) for one in alerts for person in agents}
        assert isinstance(taken, wire.Accepted)
        if taken.places[0].time < escalations[0].fired[0].time:  # before any rung: never told of this one
            expected.remove((alerts[0].root, agents[0].person))
        entries = await escalated(fleet, chen, 2 * ALERTED)
    assert Counter((e.root, e.rung) for e in entries) == {(one.root, rung): 1 for one in alerts for rung in range(2)}
    for one, shown in zip(alerts, escalations, strict=True):
        assert [f.rung for f in shown.fired] == [0, 1]
        mailed = {w.person for w in shown.notices if w.road == "mail"}
        assert {(one.root, person) for person in mailed} == {pair for pair in expected if pair[0] == one.root}
        assert all(w.state is NoticeState.SENT for w in shown.notices), shown.notices
    mails = Counter(str(message["Message-ID"]) for _, message in mail.got)
    posts = Counter(headers["Idempotency-Key"] for headers, _ in hook.got)
    assert len(mails) == len(expected)
    assert len(posts) == ALERTED
    assert sum(mails.values()) - len(mails) <= KILLS * AT_ONCE
    assert sum(posts.values()) - len(posts) <= KILLS * AT_ONCE
    assert all(str(message["Subject"]).startswith("OUTRIDER: see your device. ") for _, message in mail.got)


async def finished(fleet: Fleet, officer: Device, roots: list[bytes]) -> list[wire.Escalation]:
    """How each ladder stands once its last rung was fired and its notices are settled."""
    done = []
    async with asyncio.timeout(PATIENCE + 300):
        for root in roots:
            while True:
                shown = await told(fleet, officer, wire.GetEscalation(1, root, 0))
                assert isinstance(shown, wire.Escalation)
                if len(shown.fired) == 2 and all(w.state is not NoticeState.QUEUED for w in shown.notices):
                    break
                await asyncio.sleep(0.5)
            done.append(shown)
    return done
