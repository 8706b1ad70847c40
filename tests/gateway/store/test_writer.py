"""What the writer keeps at hand is what lies in the database: the same decisions by the plain view, and by the writer's."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import apsw
import pytest

from gateway import wire
from gateway.core import ladder
from gateway.core.broadcast import Ending
from gateway.core.effects import Append, Effect, PutAnswer, PutCertificate, PutStream
from gateway.core.rows import Stream, StreamKind
from gateway.store.database import lay_out
from gateway.store.rows import Parsed, SqliteView
from gateway.store.writer import AT_HAND, WriterView
from keys.envelope import NOTHING
from keys.identity import ChannelId
from keys.mls import Remove
from tests.gateway.core.escalation import CHANNELS, PEOPLE, Scene
from tests.gateway.core.test_ladder import THREE
from tests.gateway.core.world import World

ROOTS = [bytes([n]) * 32 for n in range(1, 4)]


class Two:
    """A scene, and the same once more through a writer's view, in transactions of a few decisions."""

    def __init__(self) -> None:
        self.plain = Scene()
        self.kept = Scene()
        self.view = WriterView(self.kept.db, Parsed())
        self.pending = 0

    def both(self, act: Callable[[Scene], None]) -> None:
        act(self.plain)
        if not self.pending:
            self.kept.db.execute("BEGIN")
        before, self.kept.view = self.kept.view, self.view
        self.kept.apply = self._apply  # type: ignore[method-assign]
        act(self.kept)
        self.kept.view = before
        self.pending += 1

    def _apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.view.apply(effect)

    def commit(self) -> None:
        if self.pending:
            self.view.settle()
            self.kept.db.execute("COMMIT")
            self.pending = 0

    def roll_back(self) -> None:
        """As if the transaction had failed; the plain one keeps what it did, so nothing may be pending."""
        assert not self.pending
        self.kept.db.execute("BEGIN")
        self.view.apply(PutStream(Stream(CHANNELS[0], StreamKind.CHANNEL, 1, NOTHING, epoch=999)))
        self.kept.db.execute("ROLLBACK")
        self.view.forget()


def dump(db: apsw.Connection) -> list[tuple[str, ...]]:
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return sorted((table, *map(repr, row)) for table in tables for row in db.execute(f"SELECT * FROM {table}"))


@pytest.mark.parametrize("seed", range(40))
def test_the_same_by_either_way(seed: int) -> None:
    rng, two = random.Random(seed), Two()
    acts: list[Callable[[bytes], Callable[[Scene], None]]] = [
        lambda root: lambda scene: None if scene.view.alert(root) else scene.approve(root, THREE),
        lambda root: lambda scene: _place(scene, root),
        lambda root, p=PEOPLE[0]: lambda scene: scene.ack(root, p),
        lambda root, p=PEOPLE[3]: lambda scene: scene.ack(root, p, CHANNELS[1]),
        lambda root, p=PEOPLE[1]: lambda scene: scene.ack(root, p),
        lambda root: lambda scene: scene.end([root], Ending.CANCELLED) if rng_of(root) else None,
        lambda root: lambda scene: scene.jump(root, 0) and None,
        lambda root: lambda scene: scene.run(ladder.tick(scene.view, scene.gateway, scene.wall, scene.random)) and None,
        lambda root: lambda scene: scene.pass_time(60_000),
    ]
    for _ in range(120):
        two.both(rng.choice(acts)(rng.choice(ROOTS)))
        if rng.random() < 0.4:
            two.commit()
            if rng.random() < 0.1:
                two.roll_back()
            assert dump(two.plain.db) == dump(two.kept.db)
    two.commit()
    assert dump(two.plain.db) == dump(two.kept.db)


def rng_of(root: bytes) -> bool:
    return root == ROOTS[2]


def _place(scene: Scene, root: bytes) -> None:
    row = scene.view.alert(root)
    where = next((c for c in CHANNELS if not scene.view.alert_stands(root, c)), None)
    if row is not None and where is not None:
        scene.place(root, where)


def test_a_view_reads_what_is_owed() -> None:
    """By every way that there is: the row itself, its id, and the timer's."""
    scene = Scene()
    scene.approve(ROOTS[0], THREE)
    scene.place(ROOTS[0])
    view = WriterView(scene.db, Parsed())
    for n, look in enumerate((view.alert, lambda root: view.alert_of(root[:16]), lambda _: view.ladder_due(2**50)), 1):
        row = view.alert(ROOTS[0])
        assert row is not None
        for effect in ladder.answered(view, row, PEOPLE[n], 5):
            view.apply(effect)
        found = look(ROOTS[0])
        assert found is not None
        assert found.answered == n


def test_what_is_at_hand_is_bounded() -> None:
    scene = Scene()
    view = WriterView(scene.db, Parsed())
    for n in range(AT_HAND + 1):
        view.apply(PutStream(Stream(ChannelId(n.to_bytes(16)), StreamKind.CHANNEL, 1, NOTHING)))
    view.settle()
    assert not view._streams
    assert SqliteView(scene.db, Parsed()).stream(AT_HAND.to_bytes(16)) is not None


class Twice(World):
    """A mission of which every effect goes to its own database at once, and to another by a writer's view, in transactions."""

    def __init__(self, seed: int) -> None:
        self.other = apsw.Connection(":memory:")
        lay_out(self.other, 0)
        self.writer = WriterView(self.other, Parsed())
        self.rng = random.Random(seed)
        self.other.execute("BEGIN")
        super().__init__(seed)

    def run(self, decision: Any) -> Any:
        effects: list[Effect] = []

        def watched() -> Any:
            outcome = decision()
            effects.extend(outcome.effects)
            return outcome

        answer = super().run(watched)
        for effect in effects:
            self.writer.apply(effect)
        self.compare(effects)
        if self.rng.random() < 0.2:
            self.commit()
        return answer

    def compare(self, effects: list[Effect]) -> None:
        """What decisions ask all the time is the same by either view, written or owed."""
        for effect in effects:
            if isinstance(effect, Append):
                last = effect.run[-1]
                for look in ("chain", "member"):
                    place = last.channel, last.device
                    assert getattr(self.writer, look)(*place) == getattr(self.view, look)(*place)
                assert self.writer.stream(last.channel) == self.view.stream(last.channel)
                assert self.writer.log_end() == self.view.log_end()
                if self.rng.random() < 0.3:  # by another way, so that what is owed is written first
                    place_and_number = last.channel, last.device, last.number
                    assert self.writer.envelope_at(*place_and_number) == self.view.envelope_at(*place_and_number)
            elif isinstance(effect, PutCertificate):
                assert self.writer.revoked(effect.row.hash) == self.view.revoked(effect.row.hash)

    def commit(self) -> None:
        self.writer.settle()
        self.other.execute("COMMIT")
        assert dump(self.other) == dump(self.db)
        self.other.execute("BEGIN")


@pytest.mark.parametrize("seed", range(3))
def test_a_mission_by_either_way(seed: int) -> None:
    """Certificates, channels, messages, a signed refusal, a list and a removal."""
    world = Twice(seed)
    officer, agent, late, third = (world.enrolled(role) for role in ("officer", "agent", "agent", "agent"))
    channel = officer.create_channel()
    officer.add(channel, agent, late)
    for joiner in (agent, late):
        joiner.join(officer, channel)
    for party in (officer, agent, late) * 3:
        assert isinstance(party.send(channel), wire.Accepted)
    message = late.message(channel)
    officer.add(channel, third)
    officer.commit(channel, [Remove(next(m.leaf for m in world.view.members(channel) if m.device == third.id))])
    assert world.writer.member(channel, third.id) == world.view.member(channel, third.id)
    assert world.writer.chain(channel, late.id).refused == 0
    assert isinstance(late.hand_in([message], channel), wire.Refused)
    assert world.writer.chain(channel, late.id) == world.view.chain(channel, late.id)
    assert world.writer.chain(channel, late.id).refused == 4
    lost = world.charter.verify_certificate(late.der)
    world.publish_list("Meridian", [lost.serial], number=2)
    assert world.writer.revoked(lost.hash) is True
    assert world.writer.stream(channel) == world.view.stream(channel)
    world.commit()


def test_an_answer_withdraws_what_waits_for_that_person() -> None:
    """Many answers in one statement do what each alone would."""
    one, many = Scene(), Scene()
    view = WriterView(many.db, Parsed())
    for scene in (one, many):
        scene.approve(ROOTS[0], THREE)
        scene.place(ROOTS[0])
        for _ in range(2):
            scene.pass_time(120_000)
            scene.run(ladder.tick(scene.view, scene.gateway, scene.wall, scene.random))
    waiting = many.db.execute("SELECT count(*) FROM notices WHERE state = 1").get
    assert waiting
    answers = [PutAnswer(ROOTS[0], person, 5) for person in PEOPLE[1:4]]
    one.apply(answers)
    for answer in answers:
        view.apply(answer)
    view.settle()
    assert dump(one.db) == dump(many.db)
    assert many.db.execute("SELECT count(*) FROM notices WHERE state = 1").get == waiting - len(answers)
