"""Commits that the gateway will never take: their author hears it under its signature, and what stands behind them goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from clients.core import outbox, records
from clients.core.refusals import RETRY, SELDOM
from clients.core.turn import HOUR
from gateway import wire
from gateway.core import limits
from keys.envelope import ATTEMPTS, Envelope, Kind, Precedence, read
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.strayed import Slow, lost
from tests.clients.talk import say, texts
from tests.keys.mission import DAY, Mission


class Waiting(Relay):
    """Commits are on the road until they are let go."""

    def __init__(self, mission: Mission) -> None:
        super().__init__(mission)
        self.waits = False
        self.commits: list[tuple[Line, wire.Submit]] = []

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        if not (self.waits and isinstance(frame, wire.Submit) and _kind(frame) is Kind.COMMIT):
            return [frame]
        self.commits.append((line, frame))
        return []

    def let_go(self) -> None:
        self.waits = False
        for line, frame in self.commits:
            self.hear(line, frame)
        self.commits = []


def _kind(frame: wire.Submit) -> Kind:
    sealed = frame.run[0]
    return read(Envelope(sealed.header, sealed.signature)).context.kind


@dataclass
class Story:
    """Chen alone in a channel, with his commit on the road that adds Ana; Ben is to come in later."""

    world: World = field(default_factory=lambda: World(relay=Waiting))

    def __post_init__(self) -> None:
        life = (self.world.now - 1_000, self.world.now + 30 * HOUR)
        self.mso, self.ben = self.world.party("Chen", "officer"), self.world.party("Ben", "agent")
        self.ana = self.world.party("Ana", "agent", life=life)
        self.channel = self.world.channel(self.mso)
        self.relay.waits = True
        self.intent = self.world.add(self.mso, self.channel, self.ana)
        assert self.relay.commits

    @property
    def relay(self) -> Waiting:
        assert isinstance(self.world.relay, Waiting)
        return self.world.relay

    def outcome(self) -> str:
        note = records.OUTCOMES.get(self.mso.ledger, self.intent)
        return note.data.decode() if note else ""


def revoked(story: Story) -> None:
    story.world.revoke(story.world.mission.home.registrars[0], [story.ana.enrolled.certified.serial])


def expired(story: Story) -> None:
    story.world.later(30 * HOUR + 1)
    story.world.revoke(story.world.mission.home.registrars[0], [])


def under_an_old_list(story: Story) -> None:
    story.world.later(DAY + 1)


def in_too_many_channels(story: Story) -> None:
    rows = [(b"full%12d" % n, story.ana.id) for n in range(limits.CHANNELS_PER_DEVICE)]
    story.relay.db.executemany("INSERT INTO members VALUES (?, ?, 1, 0, x'', 0, 0, x'', 0, x'')", rows)


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        pytest.param(revoked, "a device to be added was revoked", id="who was revoked meanwhile"),
        pytest.param(expired, "has ended", id="whose certificate has ended meanwhile"),
        pytest.param(under_an_old_list, "revocation list", id="under a list that has become too old"),
        pytest.param(in_too_many_channels, "at most 256 channels", id="who is in too many channels by now"),
    ],
)
def test_adding_somebody_comes_to_nothing_and_somebody_else_is_added(
    meanwhile: Callable[[Story], None], why: str
) -> None:
    story = Story()
    world, mso = story.world, story.mso
    meanwhile(story)
    story.relay.let_go()
    world.run()
    assert why in story.outcome()
    assert not list(records.OUTBOX.scan(mso.ledger))
    assert not list(records.PENDING.scan(mso.ledger))
    revoked(story)  # at the latest now: a fresh list
    world.later(RETRY)
    world.add(mso, story.channel, story.ben)
    say(mso, story.channel, "you are in")
    world.run()
    assert texts(story.ben, story.channel) == ["you are in"]


def test_a_removal_by_a_clock_that_was_ahead_holds_up_nothing() -> None:
    world = World()
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    ana = world.party("Ana", "agent", life=(world.now - 60_000, world.now + 60_000))
    channel = world.channel(mso, ana, ben)
    world.relay.now += 61_000
    say(ben, channel, "is she out?")  # his device takes her out before it sends anything
    world.relay.now -= 61_000
    world.run()
    assert texts(ana, channel) == texts(mso, channel) == ["is she out?"]


def test_who_has_to_renew_his_leaf_does_so_and_then_what_he_wanted() -> None:
    world = World(relay=Waiting)
    relay = world.relay
    assert isinstance(relay, Waiting)
    mso, ana, ben = world.party("Chen", "officer"), world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(mso, ana)
    relay.waits = True
    world.add(mso, channel, ben)
    old = world.renew(mso)
    world.revoke(world.mission.home.registrars[0], [old.serial])
    relay.waits, relay.commits = False, []
    mso.disconnect()
    mso.connect()
    for _ in range(4):
        world.run()
        world.later(RETRY)
        mso._do(mso.device.tick(world.now))
    say(mso, channel, "you are in")
    world.run()
    assert texts(ben, channel) == ["you are in"]


def test_a_commit_that_is_dated_too_far_ahead_is_made_anew_when_the_clock_is_right() -> None:
    world = World(relay=Waiting)
    relay = world.relay
    assert isinstance(relay, Waiting)
    mso, ben = world.party("Chen", "officer"), world.party("Ben", "agent")
    channel = world.channel(mso)
    relay.waits = True
    world.later(limits.CLOCK_AHEAD + 1)
    world.add(mso, channel, ben)
    world.later(-limits.CLOCK_AHEAD - 1)
    relay.let_go()
    world.run()
    assert not list(records.OUTBOX.scan(mso.ledger))
    world.later(limits.CLOCK_AHEAD)
    mso._do(mso.device.tick(world.now))
    world.run()
    assert ben.channel(channel).epoch == 1


# --- by a gateway that lies -----------------------------------------------------------------------------------------------


def again(relay: Slow, ben: Party) -> None:
    """Another session; nothing comes in it either."""
    ben.disconnect()
    ben.connect()
    relay.late = ben.line
    for _ in range(4):
        ben.step()


def test_a_number_that_was_refused_often_is_sealed_once_a_session() -> None:
    world = World(relay=Slow)
    relay, ben, channel = lost(world)
    say(ben, channel, "shots at the gate", Precedence.FLASH)
    for _ in range(SELDOM // RETRY):
        world.later(RETRY)
        ben._do(ben.device.tick(world.now))
        ben.step()
    for _ in range(10):
        again(relay, ben)
        before = len(relay.submitted)
        for _ in range(SELDOM // RETRY - 1):
            world.later(RETRY)
            ben._do(ben.device.tick(world.now))
            ben.step()
        assert len(relay.submitted) == before


def test_a_number_that_can_be_sealed_no_more_is_left_and_its_user_is_told() -> None:
    world = World(relay=Slow)
    relay, ben, channel = lost(world)
    chain = records.OWN.get(ben.ledger, channel) or records.Chain(0, bytes(32))
    counted, number = records.Counter(ATTEMPTS), chain.number + 1
    ben.act(lambda work: records.COUNTERS.put(work.turn.draft, outbox.attempt_key(channel, number), counted))
    relay.db.execute("INSERT INTO refusals VALUES (?, ?, ?, ?, 7, x'', x'')", (channel, ben.id, number, ATTEMPTS - 1))
    say(ben, channel, "shots at the gate", Precedence.FLASH)
    for _ in range(3):
        for _ in range(4):
            world.later(SELDOM)
            ben._do(ben.device.tick(world.now))
            ben.step()
        assert "GATEWAY" in ben.kinds()
        again(relay, ben)
    assert len({run.run[0].header for run in relay.submitted}) == 1
    assert len(relay.submitted) <= 4  # once a session
