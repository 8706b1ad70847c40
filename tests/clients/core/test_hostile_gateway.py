"""A gateway that lies to one device: reorders, drops, renumbers, forges, replays, refuses falsely. Each lie has a name in an alarm.

The lie stands in each test, as what the victim is really sent in place of an honest frame. What is checked is that the victim
(or somebody who compares with it) says what is wrong and where, and that nothing false was shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from hashlib import sha256

import pytest
from msgspec.structs import replace

from clients.core import commits, conversation, outbox, proof, receipts, records
from clients.core.content import SeenLog, encode_content
from clients.core.errors import NotNow
from clients.core.evidence import head_at
from clients.core.outbox import Kept
from clients.core.receive import LIST_PATIENCE
from clients.core.records import AlarmKind
from clients.core.watch import LOOKS
from gateway import wire
from gateway.core import acts
from keys import evidence
from keys.body import Ack, Complaint, Confirmed, Receipt, Seen, confirmation, read_receipt
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Envelope, Heard, Kind, Marking, Precedence, read, seal
from keys.evidence import check_fork, check_refusal
from keys.franking import application_data, franking_tag
from keys.identity import receipt_stream
from keys.statement import GatewayRefusal, sign_refusal
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from tests.clients.relay import Line, Party, Relay, World
from tests.clients.talk import say, see, texts
from tests.keys.alerts import made
from tests.keys.mission import Mission
from tests.restored import restored

Lie = Callable[[wire.FromGateway], list[wire.FromGateway]]


class Hostile(Relay):
    """Honest, but for what `lies` makes of the frames to one device."""

    victim: bytes = b""
    lie: Lie | None = None

    def to_device(self, line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        if self.lie is not None and line.who.device == self.victim:
            return self.lie(frame)
        return [frame]


class Scene:
    """Chen, Ana and Ben in a channel; Ben is lied to."""

    def __init__(self, kind: str = "narrow") -> None:
        self.world = World(1, Hostile)
        self.mso = self.world.party("Chen", "officer")
        self.ana = self.world.party("Ana", "agent")
        self.ben = self.world.party("Ben", "agent")
        self.channel = self.world.channel(self.mso, self.ana, self.ben, kind=kind)
        say(self.mso, self.channel, "first")
        self.world.run()
        see(self.ben)

    @property
    def relay(self) -> Hostile:
        assert isinstance(self.world.relay, Hostile)
        return self.world.relay

    def lie(self, lie: Lie, victim: Party | None = None) -> None:
        self.relay.victim, self.relay.lie = (victim or self.ben).id, lie

    def alarms(self, kind: AlarmKind, party: Party | None = None) -> list[records.Alarm]:
        return [a for a in (party or self.ben).alarms() if a.kind is kind]


opened = restored(Scene)


def channel_delivery(frame: wire.FromGateway, channel: bytes) -> wire.Placed | None:
    return frame.placed if isinstance(frame, wire.Deliver) and frame.placed.channel == channel else None


def test_two_envelopes_in_the_other_order() -> None:
    """Ben gets Ana's and Chen's next messages swapped, places and all: the log holds them otherwise."""
    scene = opened()
    held: list[wire.Placed] = []

    def swap(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = channel_delivery(frame, scene.channel)
        if placed is None or len(held) == 2:
            return [frame]
        held.append(placed)
        if len(held) < 2:
            return []
        first, second = held
        return [
            wire.Deliver(wire.Placed(first.channel, first.place, second.header, second.signature, second.body)),
            wire.Deliver(wire.Placed(first.channel, second.place, first.header, first.signature, first.body)),
        ]

    scene.lie(swap)
    say(scene.mso, scene.channel, "go north")
    scene.world.run()
    say(scene.ana, scene.channel, "bridge is out")
    scene.world.run()
    scene.world.later(2_000)
    scene.world.run()
    wrong = scene.alarms(AlarmKind.NOT_LOGGED)
    assert {a.device for a in wrong} == {scene.mso.id, scene.ana.id}
    assert all(a.channel == scene.channel and a.seq for a in wrong)
    say(scene.ben, scene.channel, "understood")
    scene.world.run()
    for party in (scene.mso, scene.ana):
        assert [a.device for a in scene.alarms(AlarmKind.SUSPICION, party)] == [scene.ben.id], "his `heard` disagrees"


def test_the_newest_is_dropped_and_the_next_takes_its_number() -> None:
    """Ben never gets Chen's second message; Ana's is given its place, so no seq is missing."""
    scene = opened()
    dropped: list[wire.Placed] = []

    def renumber(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = channel_delivery(frame, scene.channel)
        if placed is None:
            return [frame]
        if not dropped:
            dropped.append(placed)
            return []
        return [wire.Deliver(replace(placed, place=replace(placed.place, seq=placed.place.seq - 1)))]

    scene.lie(renumber)
    say(scene.mso, scene.channel, "do not enter")
    scene.world.run()
    say(scene.ana, scene.channel, "entering")
    scene.world.run()
    scene.world.later(2_000)
    scene.world.run()
    assert scene.ana.id in {a.device for a in scene.alarms(AlarmKind.NOT_LOGGED)}
    assert scene.ana.id in {a.device for a in scene.alarms(AlarmKind.SUSPICION)}, "Ana has heard what Ben was not given"


def test_the_newest_is_dropped_and_nothing_else_comes() -> None:
    """Chen's last message is kept from Ben; Ana's receipt for Ben's own message says that there is more."""
    scene = opened()
    say(scene.ben, scene.channel, "anything new?")
    scene.world.run(flush=False)

    def drop(frame: wire.FromGateway) -> list[wire.FromGateway]:
        return [] if channel_delivery(frame, scene.channel) else [frame]

    scene.lie(drop)
    say(scene.mso, scene.channel, "get out of there")
    scene.world.run()
    scene.world.later(11_000)
    scene.world.run()
    withheld = scene.alarms(AlarmKind.WITHHELD)
    assert withheld
    assert all(a.channel == scene.channel and a.seq for a in withheld)


def test_one_senders_envelope_is_left_out() -> None:
    """The place is skipped and never served: the gap is named, with the device that came after it."""
    scene = opened()
    dropped: list[int] = []

    def skip(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = channel_delivery(frame, scene.channel)
        if placed is not None and (not dropped or placed.place.seq in dropped):
            dropped.append(placed.place.seq)
            return []
        return [frame]

    scene.lie(skip)
    say(scene.ana, scene.channel, "one")
    scene.world.run()
    say(scene.ana, scene.channel, "two")
    scene.world.run()
    (gap,) = scene.alarms(AlarmKind.GAP)
    assert (gap.channel, gap.seq, gap.device) == (scene.channel, dropped[0], scene.ana.id)
    assert texts(scene.ben, scene.channel) == ["first"], "nothing is shown as if nothing were missing"


def test_the_same_place_twice() -> None:
    """A place that was processed is served again with another envelope."""
    scene = opened()
    say(scene.ana, scene.channel, "stay")
    scene.world.run()
    place = scene.ben.channel(scene.channel).seq

    def overwrite(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = channel_delivery(frame, scene.channel)
        if placed is None:
            return [frame]
        return [wire.Deliver(replace(placed, place=replace(placed.place, seq=place))), frame]

    scene.lie(overwrite)
    say(scene.ana, scene.channel, "leave")
    scene.world.run()
    (alarm,) = scene.alarms(AlarmKind.RENUMBERED)
    assert (alarm.channel, alarm.seq, alarm.device) == (scene.channel, place, scene.ana.id)


def test_an_old_message_in_another_channel() -> None:
    scene = opened()
    other = scene.world.channel(scene.mso, scene.ana, scene.ben)
    old = scene.relay.view.envelope(scene.channel, scene.ben.channel(scene.channel).seq)
    assert old is not None

    def misdirect(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = channel_delivery(frame, other)
        if placed is None:
            return [frame]
        return [wire.Deliver(wire.Placed(other, placed.place, old.header, old.signature, old.body))]

    scene.lie(misdirect)
    say(scene.ana, other, "new")
    scene.world.run()
    assert {alarm.channel for alarm in scene.alarms(AlarmKind.MISDIRECTED)} == {other}
    assert texts(scene.ben, other) == []


def test_an_old_message_again_in_its_own_channel() -> None:
    """Yesterday's message at a new place: its number was used, and MLS has spent its key."""
    scene = opened()
    old = scene.relay.view.envelope(scene.channel, scene.ben.channel(scene.channel).seq)
    assert old is not None

    def replay(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = channel_delivery(frame, scene.channel)
        if placed is None:
            return [frame]
        return [wire.Deliver(wire.Placed(scene.channel, placed.place, old.header, old.signature, old.body))]

    scene.lie(replay)
    say(scene.ana, scene.channel, "new")
    scene.world.run()
    assert {a.device for a in scene.alarms(AlarmKind.CHAIN)} == {scene.mso.id}
    assert texts(scene.ben, scene.channel) == ["first"]


def test_a_refusal_that_was_none() -> None:
    """Ana is refused with the gateway's signature; she seals again; the gateway takes the first one all the same."""
    scene = opened()
    relay, first = scene.relay, list[wire.Submit]()

    class Refusing(Hostile):
        def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
            mine = isinstance(frame, wire.Submit) and line.who.device == scene.ana.id
            if mine and not first and read_first(frame).kind is Kind.APPLICATION:  # type: ignore[arg-type]
                first.append(frame)  # type: ignore[arg-type]
                header_hash = sha256(frame.run[-1].header).digest()  # type: ignore[union-attr]
                refusal = GatewayRefusal(header_hash, int(wire.Refusal.EPOCH_STALE), 1, self.now)
                statement = sign_refusal(refusal, self.mission.gateway)
                line.say(wire.Refused(frame.id, wire.Refusal.EPOCH_STALE, "stale", 0, statement))  # type: ignore[union-attr]
                return [replace(first[0], id=4_000_000_000)]
            return [frame]

    relay.__class__ = Refusing
    say(scene.ana, scene.channel, "take cover")
    scene.world.run()
    (alarm,) = scene.alarms(AlarmKind.FALSE_REFUSAL, scene.ana)
    assert (alarm.channel, alarm.device, alarm.halts) == (scene.channel, scene.ana.id, True)
    scene.world.later(11_000)
    scene.world.run()
    (found,) = kept(scene.ana)
    assert "never take" in check_refusal(found, scene.world.mission.charter), "and anybody can see it"


def read_first(frame: wire.Submit) -> Context:
    sealed = frame.run[0]
    return read(Envelope(sealed.header, sealed.signature)).context


def test_a_refusal_that_signs_another_reason_than_it_says_spends_no_number() -> None:
    """What is signed lets the device seal again; what is said would have it drop the message."""
    scene = opened()
    heard: list[wire.Submit] = []

    class Refusing(Hostile):
        def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
            if isinstance(frame, wire.Submit) and line.who.device == scene.ana.id and not heard:
                heard.append(frame)
                header_hash = sha256(frame.run[-1].header).digest()
                refusal = GatewayRefusal(header_hash, int(wire.Refusal.EPOCH_STALE), 1, self.now)
                statement = sign_refusal(refusal, self.mission.gateway)
                line.say(wire.Refused(frame.id, wire.Refusal.ROLE, "you may not", 0, statement))
                return []
            return [frame]

    scene.relay.__class__ = Refusing
    say(scene.ana, scene.channel, "take cover")
    scene.world.run()
    (alarm,) = scene.alarms(AlarmKind.GATEWAY, scene.ana)
    assert "another refusal" in alarm.detail
    scene.ana.disconnect()
    scene.ana.connect()
    scene.world.run()
    assert texts(scene.ben, scene.channel)[-1] == "take cover", "the same bytes went again"


def test_a_refusal_without_a_signature_spends_no_number() -> None:
    """By word only: the bytes stay and go again, so that the gateway can't collect two contents of one number."""
    scene = opened()
    sent: list[bytes] = []

    class Refusing(Hostile):
        def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
            if isinstance(frame, wire.Submit) and line.who.device == scene.ana.id:
                sent.append(encode(frame.run))
                if len(sent) < 3:
                    line.say(wire.Refused(frame.id, wire.Refusal.EPOCH_STALE, "stale", 0, None))
                    return []
            return [frame]

    scene.relay.__class__ = Refusing
    say(scene.ana, scene.channel, "same bytes")
    for _ in range(3):
        scene.world.run()
        scene.ana.disconnect()
        scene.ana.connect()
    scene.world.run()
    assert len(sent) >= 3
    assert sent[0] == sent[1] == sent[2]
    assert texts(scene.mso, scene.channel) == ["first", "same bytes"]


def kept(party: Party) -> list[evidence.Evidence]:
    """The files of evidence that a device has."""
    return [evidence.read(note.data) for _, note in records.EVIDENCE.scan(party.ledger)]


def test_an_old_checkpoint_is_shown_again() -> None:
    """It is signed, and once was true: an alarm, no proof, and talk goes on."""
    scene = opened()
    old = scene.relay.checkpoint()
    say(scene.ana, scene.channel, "more")
    scene.world.run()
    assert scene.ben.line is not None
    scene.ben.line.inbound.append(wire.Logged(old))
    scene.ben.step()
    (alarm,) = scene.alarms(AlarmKind.SHRUNK)
    assert not alarm.halts
    assert not kept(scene.ben)
    say(scene.ben, scene.channel, "still here")
    scene.world.run()
    assert texts(scene.ana, scene.channel)[-1] == "still here"


def test_the_gateway_denies_the_log_that_it_has_signed() -> None:
    """After a restore, whoever comes in asks whether the log has grown from where he was."""
    scene = opened()

    def deny(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven) and not frame.paths:
            return [wire.Refused(frame.id, wire.Refusal.DENIED, "", 0, None)]
        return [frame]

    scene.lie(deny)
    scene.ben.disconnect()
    scene.ben.connect()
    scene.world.run()
    (alarm,) = scene.alarms(AlarmKind.SHRUNK)
    held = proof.held(scene.ben.ledger, scene.ben.device.charter)
    assert held is not None
    assert (alarm.seq, alarm.halts) == (held.size, False)


def test_a_log_that_shrinks() -> None:
    scene = opened()
    size = proof.held(scene.ben.ledger, scene.ben.device.charter).size

    def shrink(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven):
            head = TreeHead(scene.world.mission.policy.log_origin, size - 1, bytes(32))
            note = sign_checkpoint(head, [scene.world.mission.log]).encode()
            return [replace(frame, checkpoint=note, consistency=[])]
        return [frame]

    scene.lie(shrink)
    say(scene.ana, scene.channel, "x")
    _a_while(scene.world)
    assert scene.alarms(AlarmKind.SHRUNK) or scene.alarms(AlarmKind.FORKED), "another tree, where its size was seen"


def test_another_tree_of_the_same_log() -> None:
    """A checkpoint signed by the log's key that does not contain the one held."""
    scene = opened()

    def fork(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven):
            head = TreeHead(scene.world.mission.policy.log_origin, 10_000, bytes(range(32)))
            return [replace(frame, checkpoint=sign_checkpoint(head, [scene.world.mission.log]).encode())]
        return [frame]

    scene.lie(fork)
    say(scene.ana, scene.channel, "x")
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.FORKED)
    assert not alarm.halts, "that no proof came may be the carrier's fault"
    assert proof.held(scene.ben.ledger, scene.ben.device.charter).size < 10_000, "it is not taken"


def test_two_roots_for_one_size() -> None:
    """Both signed by the log's key: evidence, and nothing goes on."""
    scene = opened()
    held = proof.held(scene.ben.ledger, scene.ben.device.charter)
    assert held is not None
    head = TreeHead(scene.world.mission.policy.log_origin, held.size, bytes(range(32)))
    assert scene.ben.line is not None
    scene.ben.line.inbound.append(wire.Logged(sign_checkpoint(head, [scene.world.mission.log]).encode()))
    scene.ben.step()
    (alarm,) = scene.alarms(AlarmKind.FORKED)
    assert alarm.halts
    (found,) = kept(scene.ben)
    assert "two trees" in check_fork(found, scene.world.mission.charter)
    with pytest.raises(NotNow, match="halted"):
        say(scene.ben, scene.channel, "anybody?")
    with pytest.raises(NotNow, match="halted"):
        scene.ben.act(lambda work: conversation.change(work, scene.channel, rekey=True))
    say(scene.ana, scene.channel, "can you hear me?")
    scene.world.run()
    assert texts(scene.ben, scene.channel)[-1] == "can you hear me?", "what comes is read"


def test_an_entry_that_is_never_logged() -> None:
    """Late is an alarm; against a signed promise it is another."""
    scene = opened()

    def stall(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven):
            return [wire.Refused(frame.id, wire.Refusal.BUSY, "later", 500, None)]
        return [frame]

    scene.lie(stall, scene.mso)
    say(scene.ana, scene.channel, "x")
    intent = records.Intent(scene.channel, [], [], renew=False, rekey=True, automatic=False)
    scene.mso.act(lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent))
    _a_while(scene.world)
    scene.world.later(61_000)
    _a_while(scene.world)
    assert not scene.mso.alarms(), "a clock that was set, or a machine that slept, is no silence of the gateway"
    for _ in range(6):
        scene.world.later(LOOKS)
        _a_while(scene.world)
    assert scene.alarms(AlarmKind.LATE, scene.mso)
    assert [a.device for a in scene.alarms(AlarmKind.PROMISE, scene.mso)] == [scene.mso.id]


def _a_while(world: World, steps: int = 30) -> None:
    for _ in range(steps):
        for party in world.parties:
            party.device.session.flush = True
            party.step()


def test_another_ratchet_tree_for_a_joiner() -> None:
    scene = opened()
    eve = scene.world.party("Eve", "agent")
    other = scene.world.channel(scene.mso, scene.ana)

    def swap(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Named):
            row = scene.relay.view.tree(other, 2)
            assert row is not None
            return [wire.Named(frame.id, row[0], row[1])]
        if isinstance(frame, wire.Refused) and frame.refusal is wire.Refusal.DENIED:
            row = scene.relay.view.tree(other, 2)
            assert row is not None
            data = scene.relay.view.blob(row[0], 0, row[1])
            return [wire.BodyChunk(frame.id, row[1], 0, data or b"")]
        return [frame]

    scene.lie(swap, eve)
    intent = records.Intent(scene.channel, [eve.id], [], renew=False, rekey=False, automatic=False)
    scene.mso.act(lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent))
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.TREE, eve)
    assert alarm.channel == scene.channel
    assert records.CHANNELS.get(eve.ledger, scene.channel) is None, "no partial state"
    assert not list(eve.ledger.scan(records.GROUPS, scene.channel, b""))


def test_a_ghost_device() -> None:
    """The gateway's own certificate authority: a commit adds a device whose certificate nobody approved."""
    scene = opened()
    ghost = scene.world.mission.device("agent")  # issued by one registrar, approved by no second person
    group = scene.mso.device.session.groups.get(scene.mso.ledger, scene.channel)
    assert group is not None
    from clients.core.packages import capabilities
    from keys.mls import Add, Credential, PublicGroup, cipher_suite, new_key_package

    suite = cipher_suite(1)
    package, _ = new_key_package(
        suite,
        Credential.x509([ghost.certified.der]),
        ghost.key.seed,
        not_before=scene.world.now // 1000 - 60,
        not_after=scene.world.now // 1000 + 86_400,
        random=scene.world.random,
        capabilities=capabilities(suite),
    )
    _ = PublicGroup

    class Believing:
        def validate(self, credential: object, signature_key: bytes) -> None: ...
        def is_successor(self, old: object, new: object) -> bool:
            return True

    from dataclasses import replace as with_

    credulous = with_(group, public=with_(group.public, auth=Believing()))
    context = _context(scene, scene.mso, Kind.COMMIT, group.epoch)
    pending = credulous.commit(
        [Add(package)], authenticated_data=context.authenticated_data(), random=scene.world.random
    )
    from keys.body import Commit

    body = encode(Commit(pending.message, sha256(pending.welcome or b"").digest(), sha256(pending.group_info).digest()))
    _inject(scene, context, body, scene.mso)
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.COMMIT_REFUSED)
    assert (alarm.channel, alarm.device, alarm.halts) == (scene.channel, scene.mso.id, True)
    assert "certificate" in alarm.detail
    assert scene.ben.channel(scene.channel).epoch == group.epoch, "the epoch is not taken"
    assert scene.ben.channel(scene.channel).halted
    said = [i.kind for _, i in records.OUTBOX.scan(scene.ben.ledger)]
    delivered = [
        read(Envelope(line.header, line.signature)).context.kind for _, line in lines(scene.ben, scene.channel)
    ]
    assert Kind.COMMIT_REFUSED in [*said, *delivered], "and the others are told"


def test_a_member_removes_another_who_may_stay() -> None:
    """It is not refused before a revocation list that would allow it had time to come, and then it is."""
    from keys.body import Commit
    from keys.mls import Remove

    scene = opened()
    group = scene.ana.device.session.groups.get(scene.ana.ledger, scene.channel)
    assert group is not None
    leaf = next(
        m.leaf_index for m in group.public.members if m.credential.certificates[0] == scene.mso.enrolled.certified.der
    )
    context = _context(scene, scene.ana, Kind.COMMIT, group.epoch)
    pending = group.commit([Remove(leaf)], authenticated_data=context.authenticated_data(), random=scene.world.random)
    body = encode(Commit(pending.message, None, sha256(pending.group_info).digest()))
    _inject(scene, context, body, scene.ana)
    scene.world.run()
    assert not scene.alarms(AlarmKind.COMMIT_REFUSED)
    scene.world.later(LIST_PATIENCE)
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.COMMIT_REFUSED)
    assert "no role that may remove" in alarm.detail
    assert scene.ben.channel(scene.channel).epoch == group.epoch, "the epoch is not taken"


def lines(party: Party, channel: bytes) -> list[tuple[bytes, records.Line]]:
    return [(k, line) for k, line in records.LINES.scan(party.ledger, channel) if line.header]


def _context(scene: Scene, author: Party, kind: Kind, epoch: object, **changes: object) -> Context:
    """A header as `author` would write it next, as Ben knows the channel."""
    chain = records.CHAINS.get(scene.ben.ledger, scene.channel + author.id)
    state = scene.ben.channel(scene.channel)
    fields: dict[str, object] = {
        "version": 1,
        "kind": kind,
        "device": author.id,
        "channel": scene.channel,
        "epoch": epoch,
        "number": chain.number + 1 if chain else 1,
        "attempt": 0,
        "previous": chain.link if chain else NOTHING,
        "heard": Heard(state.seq, state.rolling),
        "time": scene.world.now,
        "precedence": Precedence.ROUTINE,
        "marking": Marking.AMBER if kind is Kind.APPLICATION else Marking.CLEAR,
        "expires": 0,
        "franking": b"",
        "alert": None,
    }
    return Context(**{**fields, **changes})  # type: ignore[arg-type]


def _inject(scene: Scene, context: Context, body: bytes, signer: Party) -> None:
    """Give Ben an envelope at the next place, signed by `signer`'s key, that the gateway never gave a place."""
    envelope = seal(context, body, signer.enrolled.key)
    state = scene.ben.channel(scene.channel)
    place = wire.Place(state.seq + 1, 9_999, scene.world.now, bytes(16))
    assert scene.ben.line is not None
    scene.ben.line.inbound.append(
        wire.Deliver(wire.Placed(scene.channel, place, envelope.header, envelope.signature, body))
    )
    scene.ben.step()


def _sealed_by(scene: Scene, author: Party, content: bytes, context: Context) -> bytes:
    group = author.device.session.groups.get(author.ledger, scene.channel)
    assert group is not None
    _, message = group.protect(
        content, authenticated_data=context.authenticated_data(), padding=128, random=scene.world.random
    )
    return message


FORGERIES = [
    pytest.param("another's name", AlarmKind.FORGED, id="Ana signs as Chen"),
    pytest.param("another's words", AlarmKind.FORGED, id="Ana signs what Chen has sealed"),
    pytest.param("another's header", AlarmKind.MISDIRECTED, id="a ciphertext bound to another header"),
    pytest.param("above the ceiling", AlarmKind.NOT_PERMITTED, id="a marking above the ceiling"),
    pytest.param("a false tag", AlarmKind.FRANKING, id="content other than the tag"),
    pytest.param("heard the future", AlarmKind.SUSPICION, id="heard what has not been said"),
    pytest.param("heard otherwise", AlarmKind.SUSPICION, id="heard another history"),
    pytest.param("a number left out", AlarmKind.CHAIN, id="a number left out"),
    pytest.param("an alert by an agent", AlarmKind.NOT_PERMITTED, id="an alert by an agent in a talk channel"),
    pytest.param("an epoch to come", AlarmKind.MISDIRECTED, id="an epoch that has not begun"),
    pytest.param("a stranger", AlarmKind.UNKNOWN_DEVICE, id="a device that is no member"),
]


@pytest.mark.parametrize(("what", "alarm"), FORGERIES)
def test_what_a_member_or_the_gateway_makes_up(what: str, alarm: AlarmKind) -> None:
    scene = opened()
    from clients.core.content import Text, encode_content

    content, salt = encode_content(Text("retreat", scene.world.now, False)), bytes(16)
    tag = franking_tag(salt, content)
    state = scene.ben.channel(scene.channel)
    author, signer, sealer = scene.ana, scene.ana, scene.ana
    changes: dict[str, object] = {"franking": tag}
    kind = Kind.APPLICATION
    if what == "another's name":
        author = scene.mso
    elif what == "another's words":
        sealer = scene.mso
    elif what == "above the ceiling":
        changes["marking"] = Marking.RED
    elif what == "a false tag":
        changes["franking"] = franking_tag(bytes(16), b"another")
    elif what == "heard the future":
        changes["heard"] = Heard(state.seq + 5, bytes([1]) * 32)
    elif what == "heard otherwise":
        changes["heard"] = Heard(state.seq, bytes([1]) * 32)
    elif what == "an epoch to come":
        changes["epoch"] = state.epoch + 1
    elif what == "an alert by an agent":
        kind = Kind.ALERT
        changes["alert"] = made(
            scene.world.mission, scene.ana.enrolled, None, [(scene.channel, tag)], now=scene.world.now
        ).fields(scene.channel)
    elif what == "a stranger":
        author = signer = scene.world.party("Eve", "agent")
    context = _context(scene, author, kind, **{"epoch": state.epoch, **changes})
    if what == "a number left out":
        context = replace(context, number=context.number + 1)
    bound = replace(context, time=1) if what == "another's header" else context
    body = _sealed_by(scene, sealer, application_data(salt, content), bound)
    _inject(scene, context, body, signer)
    found = scene.alarms(alarm)
    assert found, scene.ben.alarms()
    assert found[0].channel == scene.channel
    assert found[0].device == author.id
    shown = what in ("heard the future", "heard otherwise", "a number left out")
    assert texts(scene.ben, scene.channel) == (["first", "retreat"] if shown else ["first"])
    complaint = [i for _, i in records.OUTBOX.scan(scene.ben.ledger) if i.kind is Kind.FRANKING_COMPLAINT]
    assert bool(complaint) == (what == "a false tag")


def test_what_a_removed_device_states_as_of_before_counts_for_nothing() -> None:
    scene = opened()
    scene.world.intend(
        scene.mso, records.Intent(scene.channel, [], [scene.ana.id], renew=False, rekey=False, automatic=False)
    )
    before = scene.ben.channel(scene.channel).epoch - 1
    context = _context(scene, scene.ana, Kind.FRANKING_COMPLAINT, before)
    _inject(scene, context, encode(Complaint(1, bytes(32))), scene.ana)
    (alarm,) = scene.ben.alarms()
    assert (alarm.kind, alarm.device) == (AlarmKind.UNKNOWN_DEVICE, scene.ana.id)


def test_an_unsigned_envelope_counts_for_nothing_alone() -> None:
    scene = opened()
    context = _context(scene, scene.ana, Kind.APPLICATION, 1, franking=bytes(32))
    envelope = seal(context, b"x", None)
    state = scene.ben.channel(scene.channel)
    assert scene.ben.line is not None
    place = wire.Place(state.seq + 1, 9_999, scene.world.now, bytes(16))
    after = _context(scene, scene.mso, Kind.APPLICATION, 1, franking=bytes(32))
    closing = seal(after, b"y", scene.mso.enrolled.key)
    next_place = wire.Place(state.seq + 2, 10_000, scene.world.now, bytes(16))
    for where, e, body in ((place, envelope, b"x"), (next_place, closing, b"y")):
        scene.ben.line.inbound.append(wire.Deliver(wire.Placed(scene.channel, where, e.header, e.signature, body)))
    scene.ben.step()
    assert scene.ana.id in {a.device for a in scene.alarms(AlarmKind.FORGED)}


def test_a_forged_receipt() -> None:
    """The gateway says for Ana that she has read it."""
    scene = opened()
    item = say(scene.ben, scene.channel, "did you get this?")
    scene.world.run(flush=False)
    sent = records.SENT.get(scene.ben.ledger, item)
    assert sent is not None
    stream = receipt_stream(scene.channel)  # type: ignore[arg-type]
    line = scene.ben.channel(scene.channel)
    from keys.body import Range

    made_up = Receipt(
        scene.channel, [Range(sent.seq, sent.seq, line.rolling)], [Range(sent.seq, sent.seq, line.rolling)], [], None
    )
    context = _context(scene, scene.ana, Kind.RECEIPT, 0, channel=stream, number=1, previous=NOTHING)
    envelope = seal(context, encode(made_up), scene.world.mission.gateway)
    place = wire.Place(1_000, 9_999, scene.world.now, bytes(16))
    before = records.RECEIVED.get(scene.ben.ledger, scene.channel + scene.ana.id)
    assert scene.ben.line is not None
    scene.ben.line.inbound.append(
        wire.Deliver(wire.Placed(stream, place, envelope.header, envelope.signature, encode(made_up)))
    )
    scene.ben.step()
    assert records.RECEIVED.get(scene.ben.ledger, scene.channel + scene.ana.id) == before
    assert [a.device for a in scene.alarms(AlarmKind.FORGED)] == [scene.ana.id]


def test_a_forged_acknowledgement() -> None:
    scene = opened()
    context = _context(scene, scene.ana, Kind.ACK, 1)
    body = encode(Ack(bytes(32), 1, None, bytes(16)))
    envelope = seal(context, body, scene.world.mission.gateway)
    state = scene.ben.channel(scene.channel)
    place = wire.Place(state.seq + 1, 9_999, scene.world.now, bytes(16))
    assert scene.ben.line is not None
    scene.ben.line.inbound.append(
        wire.Deliver(wire.Placed(scene.channel, place, envelope.header, envelope.signature, body))
    )
    scene.ben.step()
    assert [a.device for a in scene.alarms(AlarmKind.FORGED)] == [scene.ana.id]
    assert not list(records.ANSWERS.scan(scene.ben.ledger))


def test_another_device_sees_another_log() -> None:
    """A receipt's `seen` of the same size with another root: a suspicion by name."""
    scene = opened()
    held = proof.held(scene.ben.ledger, scene.ben.device.charter)
    assert held is not None

    def suspect(work: commits.Work) -> None:
        body = Receipt(scene.channel, [], [], [], Seen(held.size, bytes(32)))
        receipts.take(work.turn, body, scene.ana.id, scene.world.now)

    scene.ben.act(suspect)
    (alarm,) = scene.alarms(AlarmKind.SUSPICION)
    assert (alarm.device, alarm.channel, alarm.halts) == (scene.ana.id, scene.channel, False)


@pytest.mark.parametrize(
    ("size", "sound"),
    [
        pytest.param(-3, True, id="of an earlier size, and of this log"),
        pytest.param(-3, False, id="of an earlier size, and of another log"),
        pytest.param(0, False, id="of this size, and of another log"),
        pytest.param(50, False, id="larger than the gateway's"),
    ],
)
def test_what_another_device_has_seen_of_the_log(size: int, sound: bool) -> None:
    """The gateway is asked to prove that its log has grown from there."""
    scene = opened()
    size += len(scene.relay.leaves)
    edge, _ = Edge().extend(b"".join(scene.relay.leaves[:size]))
    root = edge.root if sound else bytes(32)
    seen = Receipt(scene.channel, [], [], [], Seen(size, root))
    scene.ben.act(lambda work: receipts.take(work.turn, seen, scene.ana.id, scene.world.now))
    scene.world.later(11_000)
    scene.world.run()
    assert not list(records.SEEN.scan(scene.ben.ledger)), "it was settled"
    assert [a.device for a in scene.alarms(AlarmKind.SUSPICION)] == ([] if sound else [scene.ana.id])
    assert not kept(scene.ben), "a word is no proof"


def _doubted(
    scene: Scene,
    answer: Lie | None = None,
    ask: Callable[[wire.Prove], list[wire.FromDevice]] | None = None,
    patience: int = 300,
) -> int:
    """Ana has seen what the gateway does not prove to Ben as it should; the seconds until he doubts."""
    size = next(n for n in range(5, 100) if head_at(scene.ben.ledger, n) is None)
    edge, _ = Edge().extend(b"".join(scene.relay.leaves[:size]))

    class Evasive(Hostile):
        def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
            asked = (
                ask is not None
                and isinstance(frame, wire.Prove)
                and frame.held == size
                and line.who.device == scene.ben.id
            )
            return ask(frame) if asked else [frame]  # type: ignore[misc,arg-type]

    scene.relay.__class__ = Evasive
    if answer is not None:
        scene.lie(answer)
    seen = Receipt(scene.channel, [], [], [], Seen(size, edge.root))
    scene.ben.act(lambda work: receipts.take(work.turn, seen, scene.ana.id, scene.world.now))
    for second in range(patience):
        scene.world.run()
        if scene.alarms(AlarmKind.SUSPICION):
            return second
        scene.world.later(1_000)
    raise AssertionError(scene.ben.alarms())


def test_a_question_about_what_another_saw_is_not_answered() -> None:
    scene = opened()
    assert 60 <= _doubted(scene, ask=lambda frame: []) <= 90


@pytest.mark.parametrize("leap", [pytest.param(7_200_000, id="forward"), pytest.param(-7_200_000, id="back")])
def test_a_clock_that_was_set_makes_no_silence_longer_or_shorter(leap: int) -> None:
    scene = opened()

    def set_clock(frame: wire.Prove) -> list[wire.FromDevice]:
        scene.world.later(leap)
        return []

    assert 50 <= _doubted(scene, ask=set_clock) <= 90


def test_every_answer_is_about_another_tree() -> None:
    """Each time the log grows between the two answers, so that neither is about what the other is about."""
    scene = opened()

    def grow(frame: wire.Prove) -> list[wire.FromDevice]:
        relay = scene.relay
        relay._decide(lambda: acts.filler(relay.view, relay.gateway, relay.now, relay.random))
        return [frame]

    assert 70 <= _doubted(scene, ask=grow) <= 120


def test_the_gateway_denies_what_another_saw() -> None:
    scene = opened()

    def deny(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven) and frame.id in asked:
            return [wire.Refused(frame.id, wire.Refusal.DENIED, "", 0, None)]
        return [frame]

    asked: set[int] = set()

    def note(frame: wire.Prove) -> list[wire.FromDevice]:
        asked.add(frame.id)
        return [frame]

    assert _doubted(scene, deny, note) <= 20


@pytest.mark.parametrize(
    ("signed", "alarm", "proofs"),
    [
        pytest.param(True, AlarmKind.FORKED, 1, id="by the log's key: that is a fork"),
        pytest.param(False, AlarmKind.FORGED, 0, id="by another"),
    ],
)
def test_the_answer_is_about_another_tree_of_that_size(signed: bool, alarm: AlarmKind, proofs: int) -> None:
    """The one question is answered by the log that Ben knows, the other by what Ana was shown."""
    scene = opened()
    asked: set[int] = set()

    def other(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven) and frame.id in asked:
            head = TreeHead(scene.world.mission.policy.log_origin, len(scene.relay.leaves), bytes(32))
            key = scene.world.mission.log if signed else Mission(2).log
            return [replace(frame, checkpoint=sign_checkpoint(head, [key]).encode())]
        return [frame]

    def note(frame: wire.Prove) -> list[wire.FromDevice]:
        asked.add(frame.id)
        return [frame]

    with contextlib.suppress(AssertionError):
        _doubted(scene, other, note, patience=30)
    assert scene.alarms(alarm)
    assert len(kept(scene.ben)) == proofs
    for found in kept(scene.ben):
        assert check_fork(found, scene.world.mission.charter)


@pytest.mark.parametrize("size", [16, 17])
def test_a_member_shows_another_log(size: int) -> None:
    """Signed by the log's key, and not what Ben's log was at that size: he asks, and has the proof; also where it is a power of two."""
    scene = opened()
    other = [bytes([n]) * 32 for n in range(size)]
    edge, _ = Edge().extend(b"".join(other))
    head = TreeHead(scene.world.mission.policy.log_origin, size, edge.root)
    content = encode_content(SeenLog(sign_checkpoint(head, [scene.world.mission.log]).encode()))
    scene.ben.act(lambda work: records.HEADS.delete(work.turn.draft, size.to_bytes(8, "big")))
    kept_item = Kept(scene.channel, Kind.APPLICATION, content, Precedence.IMMEDIATE, Marking.AMBER)
    scene.ana.act(lambda work: outbox.keep(work.turn, kept_item))
    for _ in range(30):
        scene.world.run()
        scene.world.later(1_000)
    found = kept(scene.ben)[0]
    assert bool(found.leaf) == (size == 16)
    assert "has not grown" in check_fork(found, scene.world.mission.charter)
    assert any(a.halts for a in scene.alarms(AlarmKind.FORKED))


def test_a_checkpoint_that_the_log_never_signed_is_shown() -> None:
    """A member makes one up to have the others halt: it is forged, and nobody does."""
    scene = opened()
    head = TreeHead(scene.world.mission.policy.log_origin, 5, bytes(32))
    note = sign_checkpoint(head, [Mission(2).log]).encode()
    content = SeenLog(note)
    kept_item = Kept(scene.channel, Kind.APPLICATION, encode_content(content), Precedence.IMMEDIATE, Marking.AMBER)
    scene.ana.act(lambda work: outbox.keep(work.turn, kept_item))
    scene.world.run()
    assert [a.device for a in scene.alarms(AlarmKind.FORGED)] == [scene.ana.id]
    assert not kept(scene.ben)
    say(scene.ben, scene.channel, "what was that?")
    scene.world.run()
    assert texts(scene.ana, scene.channel)[-1] == "what was that?"


def test_on_a_narrow_link_nothing_is_asked_about_what_others_saw() -> None:
    scene = opened()
    scene.ben.device.session.narrow = True
    unknown = next(n for n in range(5, 100) if head_at(scene.ben.ledger, n) is None)
    seen = Receipt(scene.channel, [], [], [], Seen(unknown, bytes(32)))
    asked: list[wire.Prove] = []

    class Watched(Hostile):
        def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
            if isinstance(frame, wire.Prove) and line.who.device == scene.ben.id and not frame.indices:
                asked.append(frame)
            return [frame]

    scene.relay.__class__ = Watched
    scene.ben.act(lambda work: receipts.take(work.turn, seen, scene.ana.id, scene.world.now))
    scene.world.later(120_000)
    scene.world.run()
    assert not asked
    held = proof.held(scene.ben.ledger, scene.ben.device.charter)
    assert held is not None
    same = Receipt(scene.channel, [], [], [], Seen(held.size, bytes(32)))
    scene.ben.act(lambda work: receipts.take(work.turn, same, scene.ana.id, scene.world.now))
    assert scene.alarms(AlarmKind.SUSPICION), "what it can compare without asking it does"


def test_another_epoch_than_the_others() -> None:
    """A device that was led into another group confirms another epoch: it is named."""
    scene = opened()
    epoch = scene.ben.channel(scene.channel).epoch
    told = [
        Receipt(scene.channel, [], [], [], None, Confirmed(epoch, digest)) for digest in (_confirmed(scene), bytes(32))
    ]
    scene.ben.act(lambda work: receipts.take(work.turn, told[0], scene.mso.id, scene.world.now))
    assert not scene.alarms(AlarmKind.SUSPICION)
    scene.ben.act(lambda work: receipts.take(work.turn, told[1], scene.ana.id, scene.world.now))
    (alarm,) = scene.alarms(AlarmKind.SUSPICION)
    assert (alarm.device, alarm.halts) == (scene.ana.id, False)


def _confirmed(scene: Scene) -> bytes:
    group = scene.mso.device.session.groups.get(scene.mso.ledger, scene.channel)
    assert group is not None
    return confirmation(scene.channel, group.epoch, group.epoch_authenticator)


def test_every_member_confirms_each_epoch_once() -> None:
    scene = opened()
    said: dict[tuple[bytes, int], set[bytes]] = {}
    for stored in scene.relay.view.envelopes(receipt_stream(scene.channel), 0, 1_000):  # type: ignore[arg-type]
        receipt = read_receipt(stored.body or b"")
        if receipt.confirmed is not None:
            key = stored.device, receipt.confirmed.epoch
            assert key not in said, "once"
            said[key] = {receipt.confirmed.digest}
    epoch = scene.ben.channel(scene.channel).epoch
    assert {device for device, number in said if number == epoch} == {p.id for p in (scene.mso, scene.ana, scene.ben)}
    assert {d for (_, number), digests in said.items() if number == epoch for d in digests} == {_confirmed(scene)}


def test_a_channel_that_went_back() -> None:
    """A gateway restored from an old backup: its channels stand before where this device has been."""
    scene = opened()

    def earlier(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Channels):
            return [replace(frame, channels=[replace(c, seq=c.seq - 1) for c in frame.channels])]
        return [frame]

    scene.lie(earlier)
    scene.ben.disconnect()
    scene.ben.connect()
    scene.world.run()
    (alarm,) = scene.alarms(AlarmKind.SHRUNK)
    assert alarm.channel == scene.channel


@pytest.mark.parametrize("member", ["ana", "ben"])
def test_a_commit_that_removes_without_the_role(member: str) -> None:
    """An agent's client that lets him remove an officer: the gateway refuses, and so do the members."""
    scene = opened()
    author = getattr(scene, member)
    intent = records.Intent(scene.channel, [], [scene.mso.id], renew=False, rekey=False, automatic=False)
    author.act(lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent))
    _a_while(scene.world)
    assert scene.mso.channel(scene.channel).epoch == 1
    assert scene.mso.channel(scene.channel).left == 0
    with pytest.raises(conversation.NotAllowed):
        author.act(lambda work: conversation.change(work, scene.channel, remove=[scene.mso.id]))


def test_what_fell_due_while_the_device_was_away_is_no_lie_of_the_gateway() -> None:
    """Away for longer than an entry may take: the proof is asked for before anybody is accused."""
    scene = opened()
    scene.lie(lambda frame: [] if isinstance(frame, wire.Proven) else [frame], scene.mso)
    say(scene.ana, scene.channel, "x")
    _a_while(scene.world)
    assert list(records.UNPROVEN.scan(scene.mso.ledger)), "the proof has not come"
    scene.mso.disconnect()
    scene.world.later(61_000)
    scene.lie(lambda frame: [frame], scene.mso)
    scene.mso.connect()
    _a_while(scene.world)
    assert not scene.alarms(AlarmKind.LATE, scene.mso)
    assert not list(records.UNPROVEN.scan(scene.mso.ledger)), "and now it has"
