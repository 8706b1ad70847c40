"""What reaches its end is destroyed on devices too, and a body that does not come is explained, or is withheld."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clients.core import departures, records, retention
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.ledger import at
from clients.core.records import AlarmKind, Message
from clients.views.standing import status
from gateway import wire
from gateway.core import retention as rules
from keys.envelope import Context, Envelope, Kind, read
from keys.retention import DAY
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.talk import say, texts
from tests.restored import restored


@dataclass
class Scene:
    """An officer, another one elsewhere, and two agents; Ben is away for a while."""

    world: World
    chen: Party
    dara: Party
    ana: Party
    ben: Party
    channel: bytes

    def sweep(self) -> None:
        """The gateway destroys what is due."""
        relay = self.world.relay
        while relay._decide(lambda: rules.sweep(relay.view, relay.gateway, relay.now, relay.random)):
            pass
        self.world.run()

    def last(self, party: Party) -> tuple[int, Message]:
        key, message = max(records.MESSAGES.scan(party.ledger, self.channel))
        return int.from_bytes(key[16:], "big"), message

    def destroy(self, seq: int) -> None:
        """By order of two officers."""
        self.chen.act(lambda work: retention.order(work, self.channel, [seq], b"said in error"))
        self.world.run()
        ((name, _),) = retention.orders(self.dara.ledger)
        self.dara.act(lambda work: retention.confirm(work, name))
        self.world.run()

    def fresh_lists(self) -> None:
        """So much later, the lists are new and the certificates still good."""
        for registrar in (self.world.relay.mission.home.registrars[0], self.world.relay.mission.partner.registrars[0]):
            self.world.revoke(registrar, [])


@restored
def scene() -> Scene:
    world = World()
    chen, dara = world.party("Chen", "officer"), world.party("Dara", "officer")
    ana, ben = world.party("Ana", "agent"), world.party("Ben", "agent")
    return Scene(world, chen, dara, ana, ben, world.channel(chen, ana, ben))


def test_a_device_destroys_what_has_ended() -> None:
    s = scene()
    say(s.ana, s.channel, "east gate")
    s.world.run()
    seq, before = s.last(s.ben)
    assert b"east gate" in before.content
    s.world.later(31 * DAY)
    for party in (s.ana, s.ben):
        party.restart()
        party.connect()
        _, after = s.last(party)
        assert (after.content, after.salt, after.reason) == (b"", b"", retention.GONE)
        assert b"east gate" not in b"".join(
            party.ledger.get("message", k) or b"" for k, _ in records.MESSAGES.scan(party.ledger)
        )
    assert records.LINES.get(s.ben.ledger, at(s.channel, seq)) is not None, "its place stays"


# --- what ends before it was sent ---


class Deaf(Relay):
    """Hears nothing of what is handed over."""

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        return [] if isinstance(frame, wire.Submit) else [frame]


def refused(party: Party, *items: bytes) -> list[str]:
    found = [records.SENT.get(party.ledger, item) for item in items]
    return [sent.refused.split(":")[0] for sent in found if sent is not None]


def test_a_word_that_ended_before_it_was_sealed_is_given_up_and_holds_up_nothing() -> None:
    s = scene()
    s.ana.disconnect()
    ended = say(s.ana, s.channel, "on my way", expires=s.world.now + 60_000)
    later = say(s.ana, s.channel, "arrived", expires=s.world.now + 3_600_000)
    s.world.later(60_000)
    s.ana.connect()
    s.world.run()
    (why,) = [one.why for one in s.ana.act(lambda work: status(work, online=True, clock_off=0)).unsent]
    assert why == departures.TOO_LATE
    assert refused(s.ana, ended, later) == [departures.TOO_LATE.split(":")[0], ""]
    assert texts(s.ben, s.channel) == ["arrived"]
    assert not s.ana.device.waiting()


def test_a_word_that_ended_on_the_road_blocks_neither_its_run_nor_what_comes_after() -> None:
    """It was sealed and never heard: the gateway takes it no more, and says so by its signature."""
    s = scene()
    s.world.relay.__class__ = Deaf
    said = [
        say(s.ana, s.channel, "on my way", expires=s.world.now + 60_000),
        say(s.ana, s.channel, "to the east gate"),
    ]
    s.world.run()
    s.ana.disconnect()
    s.world.relay.__class__ = Relay
    s.world.later(60_000)
    s.ana.connect()
    s.world.run()
    said.append(say(s.ana, s.channel, "arrived"))
    s.world.run()
    assert refused(s.ana, *said) == ["EXPIRED", "", ""]
    assert texts(s.ben, s.channel) == ["to the east gate", "arrived"]
    assert not [*s.ana.alarms(), *s.ben.alarms(), *s.ana.device.waiting()]


# --- what has ended ---


def test_a_device_whose_session_lasts_destroys_what_has_ended_all_the_same() -> None:
    s = scene()
    say(s.ana, s.channel, "east gate")
    s.world.run()
    assert not s.ben.device.due(s.world.now)
    s.world.later(31 * DAY)
    assert s.ben.device.due(s.world.now)
    s.ben._do(s.ben.device.tick(s.world.now))
    _, after = s.last(s.ben)
    assert (after.content, after.salt, after.reason) == (b"", b"", retention.GONE)
    assert s.ben.device.rests_until == s.world.now + retention.EVERY


def test_a_message_that_ends_of_its_own() -> None:
    s = scene()
    say(s.ana, s.channel, "for an hour", expires=s.world.now + 3_600_000)
    say(s.ana, s.channel, "for longer")
    s.world.run()
    s.world.later(3_600_001)
    s.ben.restart()
    s.ben.connect()
    found = [m.content for _, m in records.MESSAGES.scan(s.ben.ledger, s.channel)]
    assert b"" in found
    assert any(b"for longer" in content for content in found)


def test_a_body_that_went_by_rule_alarms_nobody() -> None:
    s = scene()
    s.ben.disconnect()
    say(s.ana, s.channel, "for an hour", expires=s.world.now + 3_600_000)
    s.world.run()
    s.world.later(3_600_001)
    s.sweep()
    s.ben.connect()
    s.world.run()
    _, message = s.last(s.ben)
    assert (message.content, message.reason) == (b"", retention.GONE)
    assert not s.ben.alarms()


def test_a_body_that_nobody_ordered_destroyed_is_withheld() -> None:
    s = scene()
    s.ben.disconnect()
    say(s.ana, s.channel, "east gate")
    s.world.run()
    s.world.relay.db.execute("UPDATE envelopes SET body = NULL WHERE kind = 2")
    s.ben.connect()
    s.world.run()
    assert not s.ben.alarms(), "the word may still come"
    s.ben.disconnect()
    s.world.later(retention.PATIENCE + 1)
    s.ben.connect()
    s.world.run()
    assert not s.ben.alarms(), "nor was there anybody who could have heard it"
    for _ in range(retention.PATIENCE // 10_000 + 1):
        s.world.later(10_000)
        s.world.run()
    (alarm,) = s.ben.alarms()
    assert (alarm.kind, alarm.channel, alarm.device) == (AlarmKind.WITHHELD, s.channel, s.ana.id)
    _, message = s.last(s.ben)
    assert message.reason == retention.WITHHELD


def test_an_order_is_heard_by_who_was_taken_out_since_and_by_nobody_who_came_later() -> None:
    s = scene()
    eve = s.world.party("Eve", "agent")
    say(s.ana, s.channel, "said in error")
    s.world.run()
    seq = s.chen.channel(s.channel).seq
    s.ben.disconnect()
    remove = records.Intent(s.channel, [], [s.ben.id], renew=False, rekey=False, automatic=False)
    s.world.intend(s.chen, remove)
    s.world.run()
    s.world.add(s.chen, s.channel, eve)
    s.world.run()
    s.destroy(seq)
    s.ben.connect()
    s.world.run()
    _, message = s.last(s.ben)
    assert (message.content, message.reason) == (b"", "destroyed by order of two people")
    assert next(records.ORDERED.scan(eve.ledger, s.channel), None) is None


class Withholding(Relay):
    """What is said of this device's own words does not come back until later."""

    whose = channel = b""

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        own = isinstance(frame, wire.Deliver) and frame.placed.channel == self.channel
        hidden = line.who.device == self.whose and (own or isinstance(frame, wire.Accepted))
        return [] if hidden else [frame]


def test_its_own_word_whose_place_it_learns_after_the_order_is_kept_without_content() -> None:
    s = scene()
    relay = s.world.relay
    relay.__class__ = Withholding
    assert isinstance(relay, Withholding)
    relay.whose, relay.channel = s.ana.id, s.channel
    say(s.ana, s.channel, "said in error")
    s.world.run()
    seq = s.chen.channel(s.channel).seq
    s.destroy(seq)
    assert next(records.ORDERED.scan(s.ana.ledger, s.channel), None) is not None
    relay.__class__ = Relay
    s.ana.disconnect()
    s.ana.connect()
    s.world.run()
    at_place, message = s.last(s.ana)
    assert (at_place, message.content, message.reason) == (seq, b"", "destroyed by order of two people")


class StoneLast(Relay):
    """Tombstones come after what they speak of."""

    late: list[tuple[Line, wire.FromGateway]]

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        stones = isinstance(frame, wire.Deliver) and read_context(frame).kind is Kind.TOMBSTONE
        if stones:
            self.late.append((line, frame))
        return [] if stones else [frame]


def read_context(frame: wire.Deliver) -> Context:
    return read(Envelope(frame.placed.header, frame.placed.signature)).context


def test_an_order_that_is_heard_after_what_it_destroyed_alarms_nobody() -> None:
    s = scene()
    s.ben.disconnect()
    say(s.ana, s.channel, "said in error")
    s.world.run()
    seq = s.chen.channel(s.channel).seq
    s.destroy(seq)
    relay = s.world.relay
    relay.__class__ = StoneLast
    assert isinstance(relay, StoneLast)
    relay.late = []
    s.ben.connect()
    s.world.run()
    _, message = s.last(s.ben)
    assert message.reason == retention.UNEXPLAINED
    late, relay.late = relay.late, []
    relay.__class__ = Relay
    for line, frame in late:
        line.inbound.append(frame)
    s.world.run()
    for _ in range(retention.PATIENCE // 10_000 + 1):
        s.world.later(10_000)
        s.world.run()
    _, message = s.last(s.ben)
    assert message.reason == "destroyed by order of two people"
    assert not s.ben.alarms()


def test_two_people_destroy_a_message_everywhere() -> None:
    s = scene()
    say(s.ana, s.channel, "never mind")
    say(s.ana, s.channel, "east gate")
    s.world.run()
    seq, _ = s.last(s.chen)
    s.chen.act(lambda work: retention.order(work, s.channel, [seq - 1], b"said in error"))
    s.world.run()
    ((name, waiting),) = retention.orders(s.dara.ledger)
    assert not waiting.done
    with pytest.raises(NotAllowed):
        s.chen.act(lambda work: retention.confirm(work, name))
    s.dara.act(lambda work: retention.confirm(work, name))
    s.world.run()
    for party in (s.chen, s.ana, s.ben):
        gone = records.MESSAGES.get(party.ledger, at(s.channel, seq - 1))
        kept = records.MESSAGES.get(party.ledger, at(s.channel, seq))
        assert gone is not None
        assert kept is not None
        assert (gone.content, gone.reason) == (b"", "destroyed by order of two people"), party.name
        assert b"east gate" in kept.content
        assert not party.alarms(), party.name
    with pytest.raises(NotNow):
        s.dara.act(lambda work: retention.confirm(work, name))


@pytest.mark.parametrize("name", ["ana", "ben"])
def test_who_may_not_order_it(name: str) -> None:
    s = scene()
    say(s.ana, s.channel, "east gate")
    s.world.run()
    party: Party = getattr(s, name)
    seq, _ = s.last(party)
    with pytest.raises(NotAllowed):
        party.act(lambda work: retention.order(work, s.channel, [seq], b""))


def test_an_order_names_what_this_device_has_read() -> None:
    s = scene()
    for seqs in ([99], []):
        with pytest.raises(Unknown):
            s.chen.act(lambda work, q=seqs: retention.order(work, s.channel, q, b""))  # type: ignore[misc]
