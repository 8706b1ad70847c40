"""A device that can't follow a commit says so, is let in again by an officer, and goes on; nobody comes in without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace as altered

from clients.core import records, resync
from clients.core.commits import Work
from clients.core.errors import NotAllowed, Unknown
from clients.core.groups import seats
from clients.core.joining import NotJoined
from clients.core.packages import capabilities
from clients.core.records import AlarmKind, Intent
from gateway import wire
from gateway.core.answers import placed
from keys import body
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Kind, Precedence, bare, seal
from keys.mls import Credential, ExternalPsk, PreSharedKey, PreSharedKeyID
from keys.mls.group import Group
from tests.clients.core.test_hostile_gateway import Scene, _a_while, _context, _inject, opened
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.talk import say, see
from tests.gateway.core.test_roster import Anybody
from tests.restored import restored


class Stranding:
    """A channel of an officer and two agents, one of whom has lost the keys that the next commit is sealed to."""

    def __init__(self, relay: type[Relay] = Relay, *, lose: bool = True) -> None:
        self.world = World(relay=relay)
        self.mso, self.ana = self.world.party("Chen", "officer"), self.world.party("Ana", "agent")
        self.ben = self.world.party("Ben", "agent")
        self.channel = self.world.channel(self.mso, self.ana, self.ben)
        if lose:
            self.ben.act(self._lose_keys)
            self.rekey()

    def _lose_keys(self, work: Work) -> None:
        group = work.groups.get(work.turn.draft, self.channel)
        assert group is not None
        other = {node: work.turn.random(32) for node in group.private}
        work.groups.put(self.channel, replace(group, private=other))

    def rekey(self) -> None:
        self.world.intend(self.mso, Intent(self.channel, [], [], renew=False, rekey=True, automatic=False))
        self.world.run()

    def approve(self, device: bytes, by: Party | None = None) -> bytes:
        return bytes((by or self.mso).act(lambda work: resync.approve(work, self.channel, device)))

    def authenticator(self, party: Party) -> bytes:
        group = party.device.session.groups.get(party.ledger, self.channel)
        assert group is not None
        return group.epoch_authenticator


stranded = restored(Stranding)


@pytest.fixture
def s() -> Stranding:
    stranding = stranded()
    assert "refused" in stranding.ben.channel(stranding.channel).halted
    return stranding


def test_it_comes_in_again_and_goes_on(s: Stranding) -> None:
    say(s.mso, s.channel, "while Ben is stranded")
    s.world.run()
    before = s.ben.channel(s.channel)
    s.approve(s.ben.id)
    s.world.run()
    after = s.ben.channel(s.channel)
    assert (after.halted, after.left) == ("", 0)
    assert after.epoch == before.epoch + 2 == s.mso.channel(s.channel).epoch
    assert len({s.authenticator(party) for party in (s.mso, s.ana, s.ben)}) == 1
    (alarm,) = [a for a in s.ben.alarms() if a.kind is AlarmKind.RESYNCED]
    assert not alarm.halts
    say(s.ben, s.channel, "back")
    say(s.mso, s.channel, "welcome back")
    s.world.run()
    assert see(s.ben) == ["welcome back"], "what was said meanwhile stays closed"
    assert see(s.ana) == ["while Ben is stranded", "back", "welcome back"]
    assert {a.kind for p in (s.mso, s.ana) for a in p.alarms()} == {AlarmKind.COMMIT_REFUSED}
    for party in s.world.parties:
        assert not party.device.waiting(), party.name


def test_it_comes_in_again_after_having_been_away(s: Stranding) -> None:
    s.ben.disconnect()
    s.approve(s.ben.id)
    s.world.run()
    s.ben.connect()
    s.world.run()
    assert not s.ben.channel(s.channel).halted
    assert s.authenticator(s.ben) == s.authenticator(s.mso)


class Holding(Relay):
    """It delivers nothing to `late`."""

    late: bytes = b""

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        held = line.who.device == self.late and isinstance(frame, wire.Deliver | wire.Deliveries)
        return [] if held else [frame]


def test_what_was_urgent_before_it_was_stranded_is_no_gap() -> None:
    """A FLASH has overtaken two words of its author, and so has a commit that can't be followed, ahead of another FLASH."""
    s = Stranding(relay=Holding, lose=False)
    relay = s.world.relay
    assert isinstance(relay, Holding)
    relay.late, since = s.ben.id, s.ben.channel(s.channel).seq
    s.ben.act(s._lose_keys)
    for precedence in (Precedence.ROUTINE, Precedence.IMMEDIATE, Precedence.FLASH):
        say(s.ana, s.channel, precedence.name, precedence)
        s.world.run()
    s.rekey()
    say(s.mso, s.channel, "and on", Precedence.FLASH)
    s.world.run()
    one, two, flash, commit, last = relay.view.envelopes(s.channel, since, 5)
    for stored in (flash, commit, last, one, two):
        s.ben.take(wire.Deliver(placed(stored, body=True)))
    assert "refused" in s.ben.channel(s.channel).halted
    assert {a.kind for a in s.ben.alarms()} == {AlarmKind.COMMIT_REFUSED}


def test_an_approval_that_was_overtaken_is_made_again(s: Stranding) -> None:
    s.ben.disconnect()
    s.approve(s.ben.id)
    s.world.run()
    s.rekey()
    s.ben.connect()
    s.world.run()
    assert s.ben.channel(s.channel).halted, "its epoch is over"
    s.approve(s.ben.id)
    s.world.run()
    assert not s.ben.channel(s.channel).halted
    assert s.authenticator(s.ben) == s.authenticator(s.mso)


def test_an_approval_that_waited_too_long_to_go_out_is_dropped(s: Stranding) -> None:
    dora = s.world.party("Dora", "officer")
    s.world.add(s.mso, s.channel, dora)
    dora.disconnect()
    item = s.approve(s.ben.id, by=dora)
    s.rekey()
    dora.connect()
    s.world.run()
    sent = records.SENT.get(dora.ledger, item)
    assert sent is not None
    assert "approve it again" in sent.refused
    assert s.ben.channel(s.channel).halted
    assert not dora.device.waiting()


def test_who_may_approve_and_for_whom(s: Stranding) -> None:
    with pytest.raises(NotAllowed):
        s.approve(s.ben.id, by=s.ana)
    with pytest.raises(NotAllowed):
        s.approve(s.mso.id)
    with pytest.raises(Unknown):
        s.approve(bytes(16))


# --- a gateway that lets everything through ---


def external_commit(
    scene: Scene, by: Party, *, identity: Party | None = None, psk: bool = False
) -> tuple[Context, bytes]:
    """An external commit for Ben's present epoch, made by `by` in place of its own leaf, or as another altogether."""
    group = scene.mso.device.session.groups.get(scene.mso.ledger, scene.channel)
    assert group is not None
    context, who = _context(scene, by, Kind.COMMIT, group.epoch), identity or by
    credential = Credential.x509([who.enrolled.certified.der])
    gone = next(s.leaf for s in seats(group, by.device.session.trust).seats if s.device == who.id)
    named = PreSharedKeyID(ExternalPsk(b"key"), bytes(32))
    pending = Group.join_externally(
        group.group_info(external=True),
        credential,
        who.enrolled.key.seed,
        Anybody(),
        ratchet_tree=group.tree_bytes(),
        remove=gone,
        psk_proposals=[PreSharedKey(named)] if psk else [],
        psks={b"key": b"secret"},
        capabilities=capabilities(group.suite),
        authenticated_data=context.authenticated_data(),
        random=scene.world.random,
    )
    return context, encode(body.Commit(pending.message, None, sha256(pending.group_info).digest()))


def approved(scene: Scene, device: bytes, epoch: int) -> None:
    """Ben believes that this device may come in again."""
    scene.ben.act(lambda work: records.RESYNCS.put(work.turn.draft, scene.channel + device, records.Counter(epoch)))


UNINVITED = [
    pytest.param(None, {}, "without an approval", id="nobody approved"),
    pytest.param(-1, {}, "without an approval", id="approved for the epoch before"),
    pytest.param(0, {"psk": True}, "does nothing else", id="a pre-shared key beside"),
]


@pytest.mark.parametrize(("epoch", "changes", "rule"), UNINVITED)
def test_attack_09_nobody_comes_in_from_outside_uninvited(
    epoch: int | None, changes: dict[str, bool], rule: str
) -> None:
    scene = opened()
    now = scene.ben.channel(scene.channel).epoch
    if epoch is not None:
        approved(scene, scene.ana.id, now + epoch)
    _inject(scene, *external_commit(scene, scene.ana, **changes), scene.ana)
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.COMMIT_REFUSED)
    assert rule in alarm.detail
    assert scene.ben.channel(scene.channel).epoch == now


def test_nobody_comes_in_again_in_another_members_place() -> None:
    """Not even who holds the other's key."""
    scene = opened()
    now = scene.ben.channel(scene.channel).epoch
    approved(scene, scene.ana.id, now)
    _inject(scene, *external_commit(scene, scene.ana, identity=scene.mso), scene.ana)
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.COMMIT_REFUSED)
    assert "removes the device's old leaf" in alarm.detail
    assert scene.ben.channel(scene.channel).epoch == now


def test_who_was_revoked_does_not_come_in_again() -> None:
    scene = opened()
    now = scene.ben.channel(scene.channel).epoch
    approved(scene, scene.ana.id, now)
    commit = external_commit(scene, scene.ana)
    scene.ana.disconnect()
    scene.mso.disconnect()
    scene.world.revoke(scene.world.mission.home.registrars[0], [scene.ana.enrolled.certified.serial])
    while scene.ben.step():
        pass
    _inject(scene, *commit, scene.ana)
    (alarm,) = scene.alarms(AlarmKind.COMMIT_REFUSED)
    assert "ended or was revoked" in alarm.detail
    assert scene.ben.channel(scene.channel).epoch == now


def statement(scene: Scene, by: Party, **changes: object) -> tuple[Context, bytes]:
    group = by.device.session.groups.get(by.ledger, scene.channel)
    assert group is not None
    fields = {"device": scene.ana.id, "epoch": group.epoch, "group_info": group.group_info(external=True), **changes}
    return _context(scene, by, Kind.RESYNC_APPROVAL, group.epoch), encode(body.ResyncApproval(**fields))  # type: ignore[arg-type]


STATEMENTS = [
    pytest.param(lambda s: (statement(s, s.ana, device=s.mso.id), s.ana), id="by an agent"),
    pytest.param(lambda s: (statement(s, s.mso, device=s.mso.id), s.mso), id="for oneself"),
    pytest.param(lambda s: (statement(s, s.mso, device=bytes(16)), s.mso), id="for a stranger"),
    pytest.param(lambda s: (statement(s, s.mso, epoch=7), s.mso), id="for another epoch"),
]


@pytest.mark.parametrize("make", STATEMENTS)
def test_an_approval_that_breaks_a_rule_counts_for_nothing(make: Callable[[Scene], Any]) -> None:
    scene = opened()
    (context, data), signer = make(scene)
    _inject(scene, context, data, signer)
    assert scene.alarms(AlarmKind.NOT_PERMITTED)
    assert not list(scene.ben.ledger.scan(records.RESYNCS.name, scene.channel, b""))


# --- what a stranded device is offered ---


def offer(s: Stranding, by: Party, *, signer: Party | None = None, **changes: Any) -> tuple[records.Offer, bytes]:
    """An approval for Ben as a gateway might hand it over, by whomever, and the tree that goes with it."""
    group = by.device.session.groups.get(by.ledger, s.channel)
    assert group is not None
    fields = {"device": s.ben.id, "epoch": group.epoch, "group_info": group.group_info(external=True), **changes}
    data = encode(body.ResyncApproval(**fields))
    context = bare(
        Kind.RESYNC_APPROVAL,
        (signer or by).id,
        s.channel,
        1,
        NOTHING,
        s.world.now,
        Precedence.IMMEDIATE,
        epoch=group.epoch,
    )
    envelope = seal(context, data, (signer or by).enrolled.key)
    return records.Offer(1, envelope.header, envelope.signature, data, bytes(32), 1), group.tree_bytes()


def take(s: Stranding, given: tuple[records.Offer, bytes]) -> None:
    def rejoin(work: Work) -> None:
        resync.rejoin(work, s.channel, s.ben.channel(s.channel), *given)

    s.ben.act(rejoin)


OFFERS = [
    pytest.param(lambda s: offer(s, s.ana), "no role", id="by an agent"),
    pytest.param(lambda s: offer(s, s.ana, signer=s.mso), "not by one other person", id="over another's GroupInfo"),
    pytest.param(lambda s: offer(s, s.mso, epoch=9), "another channel", id="for an epoch that is not the GroupInfo's"),
]


@pytest.mark.parametrize(("make", "rule"), OFFERS)
def test_a_stranded_device_takes_no_offer_that_does_not_hold(
    s: Stranding, make: Callable[[Stranding], Any], rule: str
) -> None:
    with pytest.raises(NotJoined, match=rule):
        take(s, make(s))
    assert records.PENDING.get(s.ben.ledger, s.channel) is None


def test_a_stranded_device_takes_no_forged_offer(s: Stranding) -> None:
    made, tree = offer(s, s.mso)
    forged = altered(made, signature=bytes(64))
    with pytest.raises(NotJoined, match="BadSignature"):
        take(s, (forged, tree))


def test_a_stranded_device_does_not_come_in_under_another_tree(s: Stranding) -> None:
    made, _ = offer(s, s.mso)
    stale = s.ben.device.session.groups.get(s.ben.ledger, s.channel)
    assert stale is not None
    with pytest.raises(NotJoined, match="tree"):
        take(s, (made, stale.tree_bytes()))


def test_who_was_removed_meanwhile_is_told_to_be_added(s: Stranding) -> None:
    s.ben.disconnect()
    made, _ = offer(s, s.mso)
    s.world.intend(s.mso, Intent(s.channel, [], [s.ben.id], renew=False, rekey=False, automatic=False))
    s.world.run()
    _, tree = offer(s, s.mso)
    made, _ = offer(s, s.mso)
    with pytest.raises(NotJoined, match="has to be added"):
        take(s, (made, tree))
