"""A device with a new certificate among talking devices: until its commit is in a channel it speaks there under the one of before, and
nobody takes it for another."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from clients.core import calling, outbox, receipts, records, retention, unlocks
from clients.core.content import Position
from clients.core.outbox import Kept
from gateway import wire
from gateway.core import attempts
from keys.body import Range, Receipt, Withheld
from keys.canonical import encode
from keys.credential import issue_device
from keys.envelope import NOTHING, Envelope, Heard, Kind, Precedence, bare, read, seal
from keys.identity import ChannelId, SigningKey, receipt_stream
from keys.unlock import seal_unlock
from tests.clients.core.test_emergencies import sos
from tests.clients.relay import Line, Party, Relay, World, world_of
from tests.clients.talk import say, texts
from tests.keys.mission import DAY, Mission
from tests.restored import restored

PLACE = Position.of(40.4168, -3.7038, 15, 4)


class Between(Relay):
    """Holds back what a test names, and tells what was handed in."""

    def __init__(self, mission: Mission) -> None:
        super().__init__(mission)
        self.holds: Callable[[Line, wire.FromGateway], bool] = lambda *_: False
        self.loses: Callable[[Line, wire.FromDevice], bool] = lambda *_: False
        self.held: list[tuple[Line, wire.FromGateway]] = []
        self.submitted: list[tuple[bytes, Kind]] = []

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if self.holds(line, frame):
            self.held.append((line, frame))
            return []
        return [frame]

    def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
        if isinstance(frame, wire.Submit):
            self.submitted += [(line.who.device, read(Envelope(s.header, s.signature)).context.kind) for s in frame.run]
        return [] if self.loses(line, frame) else [frame]

    def release(self) -> None:
        self.holds = lambda *_: False
        held, self.held = self.held, []
        for line, frame in held:
            line.inbound.append(frame)


def proofs_of(party: Party) -> Callable[[Line, wire.FromGateway], bool]:
    """What would prove to a device that the newest certificates are in the log."""
    return lambda line, frame: line.who.device == party.id and isinstance(frame, wire.Proven)


def deliveries_of(party: Party, channel: bytes, kind: Kind | None = None) -> Callable[[Line, wire.FromGateway], bool]:
    def held(line: Line, frame: wire.FromGateway) -> bool:
        if line.who.device != party.id or not isinstance(frame, wire.Deliver) or frame.placed.channel != channel:
            return False
        return kind is None or read(Envelope(frame.placed.header, frame.placed.signature)).context.kind is kind

    return held


@restored
def scene() -> tuple[World, Between, Party, Party, Party, bytes]:
    world = world_of("Chen officer", "Dara officer", "Ben agent", "Ana agent", relay=Between)
    chen, dara, ben, ana = world.parties
    channel = world.channel(chen, dara, ben, ana)
    assert isinstance(world.relay, Between)
    return world, world.relay, chen, dara, ben, channel


def again(party: Party) -> None:
    party.disconnect()
    party.connect()


def leaf(world: World, channel: bytes, party: Party) -> bytes:
    member = world.relay.view.member(channel, party.id)
    assert member is not None
    return member.certificate


def got(by: Party, at: Party, channel: bytes) -> int:
    """The last seq that `at` knows `by` to have got."""
    received = records.RECEIVED.get(at.ledger, channel + by.id)
    return received.delivered[-1][1] if received and received.delivered else 0


def placed(party: Party, item: bytes) -> int:
    sent = records.SENT.get(party.ledger, item)
    assert sent is not None
    return sent.seq


def quiet(world: World) -> bool:
    return not [alarm for party in world.parties for alarm in party.alarms()]


def withheld(party: Party) -> bytes:
    """Something that goes into the control channel."""
    control = party.world.mission.charter.control_channel
    body = encode(Withheld(Kind.ALERT, min(attempts.WITHHELD_FOR)))
    return bytes(party.act(lambda work: outbox.keep(work.turn, Kept(control, Kind.WITHHELD, body))))


# --- what it says ---


def test_between_the_session_and_the_commit_receipts_are_those_of_the_leaf() -> None:
    world, relay, chen, _, ben, channel = scene()
    relay.holds = proofs_of(ben)
    old = world.renew(ben)
    again(ben)
    world.run()
    seq = placed(chen, say(chen, channel, "at six")) or 0
    world.run()
    assert leaf(world, channel, ben) == old.hash
    assert got(ben, chen, channel) > seq
    relay.release()
    world.run()
    assert leaf(world, channel, ben) == ben.enrolled.certified.hash
    item = say(chen, channel, "at seven")
    world.run()
    assert got(ben, chen, channel) >= placed(chen, item)
    assert quiet(world)


def test_what_it_says_itself_stands_under_the_certificate_that_signed_it() -> None:
    world, relay, chen, _, ben, channel = scene()
    relay.holds = proofs_of(ben)
    old = world.renew(ben)
    again(ben)
    item = say(ben, channel, "under the old one")
    world.run()
    relay.release()
    world.run()
    after = say(ben, channel, "under the new one")
    world.run()
    for key, certificate in ((item, old.hash), (after, ben.enrolled.certified.hash)):
        where = channel + placed(ben, key).to_bytes(8, "big")
        for party in (ben, chen):
            message = records.MESSAGES.get(party.ledger, where)
            assert message is not None
            assert message.certificate == certificate
    assert quiet(world)


def test_its_own_sos_and_what_ends_it_count_while_the_new_certificate_is_not_proved() -> None:
    world, relay, chen, _, ben, _ = scene()
    channel = world.channel(chen, ben, kind="alert")
    relay.holds = proofs_of(ben)
    world.renew(ben)
    again(ben)
    world.run()
    ben.act(lambda work: calling.call(work, "shots at the gate", PLACE))
    world.run()
    ((root, called),) = records.EMERGENCIES.scan(ben.ledger)
    assert (called.channel, called.seq > 0) == (channel, True)
    ben.act(lambda work: calling.ask_end(work, "Heron"))
    world.run()
    assert sos(ben, root).requests == sos(chen, root).requests != []


def test_what_was_sealed_for_the_control_channel_before_is_sealed_again_after() -> None:
    world, relay, _, dara, ben, _ = scene()
    relay.loses = lambda line, frame: line.who.device == ben.id and isinstance(frame, wire.Submit)
    item = withheld(ben)
    world.run()
    relay.loses = lambda *_: False
    world.renew(ben)
    again(ben)
    world.run()
    assert not placed(ben, item)  # signed by the key of before: refused by signature
    world.later(5_000)
    ben._do(ben.device.tick(world.now))
    world.run()
    assert placed(ben, item)
    assert any(r.device == ben.id for _, r in records.ANNOUNCED.scan(dara.ledger))
    assert quiet(world)


def test_until_the_session_proves_the_new_certificate_nothing_is_sealed_for_the_control_channel() -> None:
    world, relay, _, _, ben, _ = scene()
    world.renew(ben)
    item = withheld(ben)
    world.run()
    assert (ben.id, Kind.WITHHELD) not in relay.submitted
    again(ben)
    world.run()
    assert placed(ben, item)


def test_nothing_goes_beside_a_channel_between_the_acceptance_of_the_commit_and_its_echo() -> None:
    """Who reads what has to know by what it says it has heard whether he has its key."""
    world, relay, chen, dara, ben, channel = scene()
    relay.holds = deliveries_of(ben, channel, Kind.COMMIT)
    world.renew(ben)
    again(ben)
    world.run()
    assert leaf(world, channel, ben) == ben.enrolled.certified.hash
    relay.submitted.clear()
    ben.act(
        lambda work: (
            receipts.give(work.turn, work.trust, channel, ben.channel(channel))
            or outbox.keep(work.turn, Kept(receipt_stream(ChannelId(channel)), Kind.RECEIPT, receipt_of(ben, channel)))
        )
    )
    world.run()
    assert (ben.id, Kind.RECEIPT) not in relay.submitted
    relay.release()
    world.run()
    assert (ben.id, Kind.RECEIPT) in relay.submitted
    assert got(ben, chen, channel) or got(ben, dara, channel)
    assert quiet(world)


def receipt_of(party: Party, channel: bytes) -> bytes:
    state = party.channel(channel)
    said = [Range(state.seq, state.seq, state.rolling)]
    return encode(Receipt(channel, said, said, [], None))


def test_its_own_order_counts_while_the_new_certificate_is_not_proved() -> None:
    world, relay, chen, _, _, channel = scene()
    item = say(chen, channel, "at six")
    world.run()
    relay.holds = lambda line, frame: (
        line.who.device == chen.id and isinstance(frame, wire.Accepted | wire.Deliver | wire.Proven)
    )
    chen.act(lambda work: retention.order(work, channel, [placed(chen, item)], b"asked for"))
    world.run()
    world.renew(chen)
    relay.holds = proofs_of(chen)
    held, relay.held = relay.held, []
    for line, frame in held:
        if not isinstance(frame, wire.Proven):
            line.inbound.append(frame)
    world.run()
    assert [order.device for _, order in retention.orders(chen.ledger)] == [chen.id]


# --- what the others make of it ---


def receipts_after_the_commit(world: World, ben: Party, channel: bytes) -> None:
    """He connects, and gives no receipt before his new leaf is there."""
    stream = receipt_stream(ChannelId(channel))
    ben.connect()
    ben.device.session.quiet[stream] = world.now + 60_000
    world.run()
    ben.device.session.quiet.pop(stream, None)
    ben._do(ben.device.tick(world.now))
    world.run()


def test_who_has_not_read_the_commit_yet_waits_for_it_before_he_judges_a_receipt() -> None:
    world, relay, _, _, ben, channel = scene()
    ana = world.parties[3]  # no officer, so she has not read the new certificate elsewhere
    ben.disconnect()
    item = say(ana, channel, "at six")
    world.run()
    relay.holds = deliveries_of(ana, channel)
    world.renew(ben)
    receipts_after_the_commit(world, ben, channel)
    assert leaf(world, channel, ben) == ben.enrolled.certified.hash
    say(ben, channel, "I come")
    world.run()
    stream = receipt_stream(ChannelId(channel))
    behind = records.POSITIONS.get(ana.ledger, stream)
    relay.release()
    world.run()
    ahead = records.POSITIONS.get(ana.ledger, stream)
    assert ahead is not None
    assert behind is None or behind.value < ahead.value
    assert got(ben, ana, channel) >= placed(ana, item)
    assert texts(ana, channel) == ["at six", "I come"]
    assert quiet(world)


def test_a_channel_that_is_not_delivered_while_what_stands_beside_it_is_is_told_of() -> None:
    world, relay, _, _, ben, channel = scene()
    ana = world.parties[3]  # no officer, so she has not read the new certificate elsewhere
    ben.disconnect()
    say(ana, channel, "at six")
    world.run()
    relay.holds = deliveries_of(ana, channel)
    world.renew(ben)
    receipts_after_the_commit(world, ben, channel)
    assert not ana.alarms()
    world.later(10_001)
    ana._do(ana.device.tick(world.now))
    told = [a for a in ana.alarms() if a.channel == receipt_stream(ChannelId(channel))]
    assert [(a.kind.name, a.device) for a in told] == [("WITHHELD", ben.id)]


def test_the_key_of_a_revoked_certificate_says_nothing_beside_a_channel_whoever_lets_it_through() -> None:
    """A gateway that has a stolen key gives the sender a receipt that nobody gave."""
    world, _, chen, _, ben, channel = scene()
    ben.disconnect()
    stolen = ben.enrolled.key
    old = world.renew(ben)
    world.revoke(world.mission.home.registrars[0], [old.serial])
    item = say(chen, channel, "at six")
    world.run()
    seq, state = placed(chen, item), chen.channel(channel)
    stream = receipt_stream(ChannelId(channel))
    said = [Range(seq, seq, state.rolling)]
    body = encode(Receipt(channel, said, said, [], None))
    context = bare(
        Kind.RECEIPT, ben.id, stream, 1, NOTHING, world.now, Precedence.ROUTINE, heard=Heard(seq, state.rolling)
    )
    envelope = seal(context, body, stolen)
    place = wire.Place(900, 9_999, world.now, bytes(16))
    chen.take(wire.Deliver(wire.Placed(stream, place, envelope.header, envelope.signature, body)))
    assert got(ben, chen, channel) < seq
    assert [(a.kind.name, a.device) for a in chen.alarms()] == [("FORGED", ben.id)]


def test_an_officer_who_comes_in_later_takes_nobody_for_a_forger_whom_he_never_met() -> None:
    """What stood beside the channel before is sent to him as well."""
    world = world_of("Chen officer", "Dara officer", "Ben agent", relay=Between)
    chen, dara, ben = world.parties
    channel = world.channel(chen, ben)
    say(chen, channel, "at six")
    world.run()
    world.intend(chen, records.Intent(channel, [], [ben.id], renew=False, rekey=False, automatic=False))
    world.add(chen, channel, dara)
    say(chen, channel, "at seven")
    world.run()
    assert texts(dara, channel) == ["at seven"]
    assert quiet(world)


def test_who_is_let_in_again_while_away_judges_what_stands_beside_when_he_is_in() -> None:
    world, _, chen, dara, ben, channel = scene()
    world.intend(chen, records.Intent(channel, [], [dara.id], renew=False, rekey=False, automatic=False))
    dara.disconnect()
    world.renew(ben)
    again(ben)
    say(chen, channel, "without Dara")
    world.run()
    world.add(chen, channel, dara)
    item = say(chen, channel, "Dara is back")
    world.run()
    dara.connect()
    world.run()
    assert texts(dara, channel) == ["Dara is back"]
    received = records.RECEIVED.get(dara.ledger, channel + ben.id)
    assert received is not None
    assert receipts.covers(received.delivered, placed(chen, item))
    assert quiet(world)


def test_what_a_new_certificate_says_in_the_control_channel_waits_until_that_is_proved() -> None:
    world, relay, chen, dara, _, _ = scene()
    relay.holds = proofs_of(dara)
    world.renew(chen)
    again(chen)
    world.run()
    item = withheld(chen)
    world.run()
    assert placed(chen, item)
    assert not list(records.ANNOUNCED.scan(dara.ledger))
    relay.release()
    world.run()
    assert [r.device for _, r in records.ANNOUNCED.scan(dara.ledger)] == [chen.id]
    assert quiet(world)


def test_a_warning_by_a_new_certificate_waits_until_that_is_proved() -> None:
    world, relay, _, dara, ben, _ = scene()
    relay.holds = proofs_of(dara)
    world.renew(ben)
    world.run()
    stream = world.mission.charter.unlock_stream
    context = bare(Kind.UNLOCK, ben.id, stream, 1, NOTHING, world.now, Precedence.IMMEDIATE)
    body = seal_unlock(True, [dara.enrolled.key.public], context.authenticated_data(), world.random)
    envelope = seal(context, body, ben.enrolled.key)
    told = wire.Placed(stream, wire.Place(1, 900, world.now, bytes(16)), envelope.header, envelope.signature, None)

    def take() -> bool:
        return bool(dara.act(lambda work: unlocks.take(work.turn, work.trust, told, read(envelope), body)))

    assert not take()
    relay.release()
    world.run()
    assert take()
    (alarm,) = dara.alarms()
    assert "could not be checked" not in alarm.detail


@pytest.mark.parametrize("key", ["old", "new"])
def test_who_was_renewed_approves_by_either_certificate(key: str) -> None:
    world, relay, chen, dara, _, _ = scene()
    by = dara.enrolled
    world.renew(dara)
    by = by if key == "old" else dara.enrolled
    again(dara)
    world.run()
    registrar, own = world.mission.home.registrars[0], SigningKey.generate(world.random)
    person, device = world.random(16), world.random(16)
    der = issue_device(
        registrar.der, registrar.key, own.public, person, device, frozenset({"agent"}),
        (world.now, world.now + DAY), world.random,
    )  # fmt: skip
    relay.control(by, Kind.CERTIFICATE, der)
    world.run()
    known = [c.hash for c in chen.act(lambda work: work.trust.of_device(device))]
    assert known == [sha256(der).digest()]
    assert quiet(world)


# --- the leaf ---


def test_who_was_added_by_a_key_package_of_before_renews_his_leaf() -> None:
    world, relay, chen, _, ben, _ = scene()
    channel = world.channel(chen)
    suite = chen.channel(channel).suite
    package = relay.view.package(ben.id, suite, world.now // 1000)
    assert package is not None
    old = world.renew(ben)
    again(ben)
    world.run()
    chen.device.session.claims[suite, ben.id] = package.data  # it was claimed before
    world.add(chen, channel, ben)
    _, first = next(records.ROSTERS.scan(ben.ledger, channel))
    assert old.hash in {seat.certificate for seat in first.seats}
    assert leaf(world, channel, ben) == ben.enrolled.certified.hash
    assert quiet(world)


def test_a_certificate_that_no_leaf_takes_is_not_tried_again_and_again() -> None:
    """An older one is no successor: nobody would take the commit."""
    world, _, _, _, ben, channel = scene()
    old = world.renew(ben, since=ben.enrolled.certified.not_before - 1_000)
    again(ben)
    world.run()
    before = len(list(records.OUTCOMES.scan(ben.ledger)))
    for _ in range(5):
        ben._do(ben.device.tick(world.now))
    assert len(list(records.OUTCOMES.scan(ben.ledger))) == before == 1
    assert leaf(world, channel, ben) == old.hash
