"""Attacks 1 to 7 of the catalogue, with a gateway that lets everything through: every device refuses by itself.

`Bribed` takes alerts, announcements and answers without asking any rule, and delivers them; the attacker's program says what his
own would never say. What the honest gateway does with each is in tests/gateway/core/test_alerts.py under the same names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from clients.board import Reached, board
from clients.core import alerts, freezing, outbox, records
from clients.core.content import AlertContent, DraftContent, Target, encode_content
from clients.core.outbox import Kept
from clients.core.records import AlarmKind
from gateway import wire
from gateway.core import acts
from gateway.core.append import append
from keys.alert import AlertFields, AlertType, Audience, Signing, sign_approval, sign_writer
from keys.body import Ack
from keys.canonical import encode
from keys.charter import sign
from keys.envelope import NOTHING, Envelope, Kind, Marking, Precedence, Verified, bare, read, seal
from keys.franking import franking_tag
from keys.identity import ChannelId, receipt_stream
from keys.policy import render
from tests.clients.alarms import CAP, HOUR, by_two, desk, document, order
from tests.clients.relay import Line, Party, Relay, World
from tests.restored import restored

LET_THROUGH = frozenset({Kind.ALERT, Kind.APPROVAL, Kind.ACK})


class Bribed(Relay):
    """Gives every alert its place, whoever sends it and whatever it is."""

    def _answer(self, line: Line, frame: wire.FromDevice) -> Iterator[wire.FromGateway]:
        if isinstance(frame, wire.Submit):
            claimed = read(Envelope(frame.run[0].header, frame.run[0].signature))
            if claimed.context.kind in LET_THROUGH and self.bribed:
                yield self._take(frame, Verified(claimed.envelope, claimed.header, claimed.context))
                return
        yield from super()._answer(line, frame)

    bribed = False

    def _take(self, frame: wire.Submit, verified: Verified) -> Any:
        stream = self.view.stream(verified.context.channel)
        assert stream is not None
        body = frame.run[0].body
        if body is None:
            body = self.view.blob(verified.header.body_hash, 0, verified.header.body_length)
        assert body is not None
        return self._decide(
            lambda: append(self.view, frame.id, [verified], [body], stream, (), self.gateway, self.now, self.random)
        )


@dataclass
class Scene:
    """Two officers, Ana and Ben, and Luis of the police, in one alert channel."""

    world: World
    chen: Party
    dara: Party
    ana: Party
    ben: Party
    luis: Party
    channel: bytes

    @property
    def honest(self) -> tuple[Party, ...]:
        return self.ana, self.ben, self.luis

    def bribe(self) -> None:
        assert isinstance(self.world.relay, Bribed)
        self.world.relay.bribed = True

    # --- an attacker's program ---

    def draft(self, by: Party, *, reason: str = "", cap: bytes = CAP, **changes: Any) -> DraftContent:
        """A draft that says what its maker likes, signed by him."""
        wished = order(by, self.channel, cap=cap, reason=reason)

        def make(work: Any) -> DraftContent:
            return _freeze(work, wished, changes)

        made: DraftContent = by.act(make)
        return made

    def send(self, by: Party, content: DraftContent, approval: Signing | None = None, **fields: Any) -> bytes:
        """One ALERT of it in the channel, by anybody."""
        openings = freezing.openings_of(content.alert, content.targets)
        leaf = Audience.over(openings, content.padding).leaf(openings[0])
        marking = fields.pop("marking", Marking.GREEN)
        said = replace(AlertFields(content.draft, leaf, content.writer, approval), **fields)
        data = encode_content(content.alert)
        kept = Kept(
            self.channel,
            Kind.ALERT,
            data,
            Precedence.FLASH,
            marking,
            salt=content.targets[0].content,
            alert=said,
        )
        by.act(lambda work: outbox.keep(work.turn, kept))
        self.world.run()
        return content.draft.root

    def approval(self, content: DraftContent, by: Party) -> Signing:
        return sign_approval(
            content.draft.root, content.writer, by.enrolled.certified.hash, by.enrolled.key, self.world.now
        )

    # --- what must hold ---

    def hidden(self, root: bytes, *parties: Party) -> None:
        """Nobody was shown it, nobody can answer it, and everybody was warned."""
        for party in parties or self.honest:
            assert records.ALERTS.get(party.ledger, root) is None, party.name
            assert party.kinds() & {"FORGED", "NOT_PERMITTED", "UNKNOWN_DEVICE"}, (party.name, party.alarms())
            shown = [m for _, m in records.MESSAGES.scan(party.ledger, self.channel) if m.kind is Kind.ALERT]
            assert all(m.alert is None or m.alert.root != root for m in shown), party.name


def _freeze(work: Any, wished: freezing.Order, changes: dict[str, Any]) -> DraftContent:
    """As `freezing.freeze`, without any of its questions."""
    turn = work.turn
    from clients.core.cap import open_alert
    from keys.alert import NO_LADDER, Draft, Opening, cap_commitment

    document_ = open_alert(wished.cap)
    alert = AlertContent(wished.cap, turn.random(16), freezing._numbers(turn, 2), wished.reason)
    targets = [Target(wished.channels[0], turn.random(16), turn.random(16))]
    openings = [Opening(t.channel, t.leaf, franking_tag(t.content, encode_content(alert))) for t in targets]
    audience = Audience.of(openings, turn.random)
    draft = Draft(
        alert=turn.random(16),
        type=alerts.type_of(document_),
        exercise=document_.is_exercise,
        references=sorted(wished.references),
        cap=cap_commitment(alert.salt, alert.cap),
        ladder=NO_LADDER,
        options=sorted(alert.options),
        not_after=turn.now + HOUR,
        deadline=turn.now + 60_000,
        audience=audience.root,
    )
    draft = replace(draft, **changes)
    me = turn.me.certificate_hash
    writer = sign_writer(draft.root, me, turn.key_of(me), turn.now)
    padding = audience.padding(openings)
    return DraftContent(draft, alert, targets, padding, None, Marking.GREEN, Precedence.FLASH, "", writer)


@pytest.fixture
@restored
def s() -> Scene:
    world = World(relay=Bribed)
    chen, dara = world.party("Chen", "officer"), world.party("Dara", "officer")
    ana, ben = world.party("Ana", "agent"), world.party("Ben", "agent")
    luis = world.party("Luis", "guest", guest=True)
    desk(world, chen, dara)
    channel = world.channel(chen, dara, ana, ben, luis, kind="alert", ceiling=Marking.AMBER)
    return Scene(world, chen, dara, ana, ben, luis, channel)


def test_the_attackers_program_can_send_what_is_right(s: Scene) -> None:
    """So what is refused below is refused for what is wrong with it."""
    s.bribe()
    content = s.draft(s.chen)
    root = s.send(s.dara, content, s.approval(content, s.dara))
    assert all(records.ALERTS.get(p.ledger, root) for p in s.honest)
    alone = s.draft(s.chen, reason="nobody there", cap=document("MM-2"))
    assert all(records.ALERTS.get(p.ledger, s.send(s.chen, alone)) for p in s.honest)


# --- 1: forged ---


def forged_writer(s: Scene) -> bytes:
    """Dara makes up that Chen wrote it."""
    content = s.draft(s.dara)
    writer = replace(content.writer, certificate=s.chen.enrolled.certified.hash)
    content = replace(content, writer=writer)
    return s.send(s.dara, content, s.approval(content, s.dara))


def forged_approval(s: Scene) -> bytes:
    """The gateway's operator sits with Chen: an approval in Dara's name, by another key."""
    content = s.draft(s.chen)
    name = s.dara.enrolled.certified.hash
    false = sign_approval(content.draft.root, content.writer, name, s.chen.enrolled.key, s.world.now)
    return s.send(s.dara, content, false)


def other_document(s: Scene) -> bytes:
    content = s.draft(s.chen)
    approval = s.approval(content, s.dara)
    other = replace(content, alert=replace(content.alert, cap=document("MM-9", options=("RUN", "STAY"))))
    return s.send(s.dara, other, approval)


def other_options(s: Scene) -> bytes:
    """What SAFE and NEED HELP are called is exchanged."""
    content = s.draft(s.chen)
    approval = s.approval(content, s.dara)
    other = replace(content, alert=replace(content.alert, options=content.alert.options[::-1]))
    return s.send(s.dara, other, approval)


def no_signature(s: Scene) -> bytes:
    content = s.draft(s.chen)
    return s.send(s.dara, content, replace(s.approval(content, s.dara), signature=bytes(64)))


def of_a_stranger(s: Scene) -> bytes:
    """A certificate that no registrar of the mission has issued."""
    content = s.draft(s.chen)
    return s.send(s.dara, content, replace(s.approval(content, s.dara), certificate=b"x" * 32))


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(forged_writer, id="attack-01 a writer made up"),
        pytest.param(forged_approval, id="attack-01 an approval made up"),
        pytest.param(other_document, id="attack-01 another document"),
        pytest.param(other_options, id="attack-01 answers exchanged"),
        pytest.param(no_signature, id="attack-01 no signature"),
        pytest.param(of_a_stranger, id="attack-01 a certificate that does not count"),
    ],
)
def test_a_forged_alert(s: Scene, attack: Callable[[Scene], bytes]) -> None:
    s.bribe()
    s.hidden(attack(s))


# --- 2: without the role; and two who are not two ---


def an_agent_alone(s: Scene) -> bytes:
    return s.send(s.ben, s.draft(s.ben, reason="because"))


def an_agent_writes(s: Scene) -> bytes:
    content = s.draft(s.ben)
    return s.send(s.dara, content, s.approval(content, s.dara))


def an_agent_approves(s: Scene) -> bytes:
    content = s.draft(s.chen)
    return s.send(s.ben, content, s.approval(content, s.ben))


def a_guest_alone(s: Scene) -> bytes:
    return s.send(s.luis, s.draft(s.luis, reason="because"))


def one_as_two(s: Scene) -> bytes:
    content = s.draft(s.chen)
    return s.send(s.chen, content, s.approval(content, s.chen))


def two_as_one(s: Scene) -> bytes:
    """What two have signed, with the approval left out: its content says nothing of one alone."""
    return s.send(s.chen, s.draft(s.chen))


def approved_late(s: Scene) -> bytes:
    content = s.draft(s.chen, deadline=s.world.now - 1)
    return s.send(s.dara, content, s.approval(content, s.dara))


def sealed_by_another(s: Scene) -> bytes:
    content = s.draft(s.chen)
    return s.send(s.chen, content, s.approval(content, s.dara))


@pytest.mark.parametrize(
    ("attack", "victims"),
    [
        pytest.param(an_agent_alone, ("ana", "luis", "chen"), id="attack-02 an agent alone"),
        pytest.param(an_agent_writes, ("ana", "ben", "luis"), id="attack-02 an agent writes"),
        pytest.param(an_agent_approves, ("ana", "luis", "chen"), id="attack-02 an agent approves"),
        pytest.param(a_guest_alone, ("ana", "ben", "chen"), id="attack-02 a guest"),
        pytest.param(one_as_two, ("ana", "ben", "luis"), id="attack-02 one pretends to be two"),
        pytest.param(two_as_one, ("ana", "ben", "luis"), id="attack-02 two shown as one"),
        pytest.param(approved_late, ("ana", "ben", "luis"), id="attack-02 approved after the deadline"),
        pytest.param(sealed_by_another, ("ana", "ben", "luis"), id="attack-02 sealed by another than who approved"),
    ],
)
def test_an_alert_by_who_may_not(s: Scene, attack: Callable[[Scene], bytes], victims: tuple[str, ...]) -> None:
    s.bribe()
    root = attack(s)
    s.hidden(root, *(getattr(s, name) for name in victims))


# --- 2 besides: beyond an organisation's fence ---


def test_play_that_is_let_through_the_fence(s: Scene) -> None:
    """attack-02: Luis's organisation takes no part in exercises, and his own device knows it."""
    s.bribe()
    content = s.draft(s.chen, cap=document(status="Exercise"))
    root = s.send(s.dara, content, s.approval(content, s.dara))
    s.hidden(root, s.luis)
    assert records.ALERTS.get(s.ana.ledger, root) is not None


def test_a_marking_that_is_let_through_the_fence(s: Scene) -> None:
    """attack-02: AMBER to Luis after his organisation's agreement was lowered to GREEN."""
    home, partner = s.world.mission.policy.organisations
    lower = dataclasses.replace(partner, ceiling=Marking.GREEN)
    note = sign(render(s.world.mission.successor(organisations=(home, lower))), s.world.mission.authorities[:2])
    relay, log = s.world.relay, s.world.mission.log.verifier_key.encode()
    key = s.world.mission.gateway
    relay._decide(lambda: acts.install_charter(relay.view, note, key, log, relay.now, relay.random))
    s.world.run()
    for party in s.world.parties:
        party.disconnect()
        party.connect()
    s.world.run()
    s.bribe()
    content = s.draft(s.chen)
    root = s.send(s.dara, content, s.approval(content, s.dara), marking=Marking.AMBER)
    s.hidden(root, s.luis)
    assert records.ALERTS.get(s.ana.ledger, root) is not None


# --- 3: revoked ---


def test_a_revoked_officer_s_alert(s: Scene) -> None:
    """attack-03: Chen wrote it and was revoked before it was sent; the gateway and Dara's program do not mind."""
    content = s.draft(s.chen)
    approval = s.approval(content, s.dara)
    s.world.revoke(s.world.mission.home.registrars[0], [s.chen.enrolled.certified.serial], number=9)
    s.world.run()
    s.bribe()
    s.hidden(s.send(s.dara, content, approval))


# --- 4: replayed, ended ---


def test_a_replayed_alert(s: Scene) -> None:
    """attack-04: the same alert in the same channel once more, in a new envelope of its sender's."""
    content = s.draft(s.chen)
    approval = s.approval(content, s.dara)
    s.bribe()
    root = s.send(s.dara, content, approval)
    s.send(s.dara, content, approval)
    for party in s.honest:
        shown = [m for _, m in records.MESSAGES.scan(party.ledger, s.channel) if m.kind is Kind.ALERT]
        assert len(shown) == 1, party.name
        assert "NOT_PERMITTED" in party.kinds()
        record = records.ALERTS.get(party.ledger, root)
        assert record is not None
        assert len(record.places) == 1


def test_yesterday_s_alert(s: Scene) -> None:
    """attack-04: signed rightly, and sent after its end."""
    content = s.draft(s.chen)
    approval = s.approval(content, s.dara)
    s.world.later(HOUR + 1)
    s.bribe()
    s.hidden(s.send(s.dara, content, approval))


def test_an_alert_s_id_used_again(s: Scene) -> None:
    """attack-04: another alert under the id of one that was sent."""
    s.bribe()
    first = s.draft(s.chen)
    s.send(s.dara, first, s.approval(first, s.dara))
    second = s.draft(s.chen, cap=document("MM-2"), alert=first.draft.alert)
    s.hidden(s.send(s.dara, second, s.approval(second, s.dara)))


# --- 5: false stand-downs ---


def by_an_agent(s: Scene, first: bytes) -> None:
    cancel = {"type": AlertType.CANCEL, "references": [first]}
    s.send(s.ben, s.draft(s.ben, reason="false alarm", cap=document("MM-2", type="Cancel", after="MM-1"), **cancel))


def by_one_alone(s: Scene, first: bytes) -> None:
    cancel = {"type": AlertType.CANCEL, "references": [first]}
    s.send(s.chen, s.draft(s.chen, reason="false alarm", cap=document("MM-2", type="Cancel", after="MM-1"), **cancel))


def by_play(s: Scene, first: bytes) -> None:
    play = document("MM-2", type="Cancel", after="MM-1", status="Exercise")
    content = s.draft(s.chen, cap=play, type=AlertType.CANCEL, references=[first])
    s.send(s.dara, content, s.approval(content, s.dara))


def by_a_plain_alert(s: Scene, first: bytes) -> None:
    """A document that cancels under a header that says it is an update of something else."""
    content = s.draft(s.chen, cap=document("MM-2"), type=AlertType.CANCEL, references=[first])
    s.send(s.dara, content, s.approval(content, s.dara))


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(by_an_agent, id="attack-05 by an agent"),
        pytest.param(by_one_alone, id="attack-05 by one alone where two had sent it"),
        pytest.param(by_play, id="attack-05 by an exercise"),
        pytest.param(by_a_plain_alert, id="attack-05 by a document that says otherwise"),
    ],
)
def test_a_false_stand_down(s: Scene, attack: Callable[[Scene, bytes], None]) -> None:
    first = by_two(s.chen, s.dara, s.channel)
    s.bribe()
    attack(s, first)
    for party in (s.ana, s.luis):
        assert alerts.standing(party.ledger, first, s.world.now).holds, party.name
        assert party.kinds() & {"NOT_PERMITTED", "FORGED"}, party.name


def test_a_false_stand_down_that_comes_before_the_alert(s: Scene) -> None:
    """attack-05: Ana hears of the end first. Its authority is asked as soon as there is something to ask about."""
    first = by_two(s.chen, s.dara, s.channel)
    record = records.ALERTS.get(s.ana.ledger, first)
    assert record is not None
    s.ana.act(lambda work: records.ALERTS.delete(work.turn.draft, first))
    s.bribe()
    by_one_alone(s, first)
    s.ana.act(lambda work: records.ALERTS.put(work.turn.draft, first, record))
    before = alerts.sent_by(s.ana.device.session.trust, record, first)
    assert before is not None
    s.ana.act(lambda work: alerts.follow(work.turn, work.trust, before))
    assert alerts.standing(s.ana.ledger, first, s.world.now).holds
    assert "NOT_PERMITTED" in s.ana.kinds()


# --- 6: withheld ---


def test_a_withheld_alert(s: Scene) -> None:
    """attack-06: the gateway keeps the alert from Ana. She learns of the gap by the next thing that is said; the officers see
    that she has not got it."""
    relay = s.world.relay
    honest = relay.to_device

    def keep_back(line: Line, frame: wire.FromGateway) -> list[wire.FromGateway]:
        withheld = (
            isinstance(frame, wire.Deliver)
            and line.who.device == s.ana.id
            and read(Envelope(frame.placed.header, frame.placed.signature)).context.kind is Kind.ALERT
        )
        return [] if withheld else honest(line, frame)

    relay.to_device = keep_back  # type: ignore[method-assign]
    root = by_two(s.chen, s.dara, s.channel)
    assert records.ALERTS.get(s.ana.ledger, root) is None
    from clients.core import conversation

    s.ben.act(lambda work: conversation.acknowledge(work, root, 0, ""))
    for _ in range(8):
        s.world.run()
        s.world.later(3_000)
        for party in s.world.parties:
            party._do(party.device.tick(s.world.now))
    assert s.ana.kinds() & {"GAP", "WITHHELD"}
    seen = s.chen.act(lambda work: board(work, root))
    (ana,) = [row for row in seen.silent if row.name == "Ana"]
    assert ana.reached is Reached.KEPT


# --- 7: forged answers ---


def ack_of(s: Scene, who: Party, root: bytes, option: int, **changes: Any) -> None:
    """An ACK in somebody's name, delivered to Chen by the gateway; signed by `key`."""
    key, beside = changes.pop("key"), changes.pop("beside", False)
    state = s.chen.channel(s.channel)
    chain = None if beside else records.CHAINS.get(s.chen.ledger, s.channel + who.id)
    stream = receipt_stream(ChannelId(s.channel)) if beside else s.channel
    body = encode(Ack(root, option, None, bytes(16)))
    context = bare(
        Kind.ACK,
        who.id,
        stream,
        chain.number + 1 if chain else 1,
        chain.link if chain else NOTHING,
        s.world.now,
        Precedence.IMMEDIATE,
        epoch=0 if beside else state.epoch,
    )
    envelope = seal(replace(context, **changes), body, key)
    place = wire.Place(999 if beside else state.seq + 1, 9_999, s.world.now, bytes(16))
    assert s.chen.line is not None
    s.chen.line.inbound.append(wire.Deliver(wire.Placed(stream, place, envelope.header, envelope.signature, body)))
    s.chen.step()
    s.world.later(31_000)  # by then a certificate has come that would explain a key that nobody knows
    s.chen.step()


FORGED_ANSWERS = [
    pytest.param("gateway", None, AlarmKind.FORGED, id="attack-07 by the gateway's own key"),
    pytest.param("ben", None, AlarmKind.FORGED, id="attack-07 by another member"),
    pytest.param("ana", 256, AlarmKind.NOT_PERMITTED, id="attack-07 a number of no option"),
]


@pytest.mark.parametrize("beside", [True, False], ids=["beside its channel", "in its channel"])
@pytest.mark.parametrize(("signer", "option", "alarm"), FORGED_ANSWERS)
def test_a_forged_answer(s: Scene, signer: str, option: int | None, alarm: AlarmKind, beside: bool) -> None:
    root = by_two(s.chen, s.dara, s.channel)
    record = records.ALERTS.get(s.chen.ledger, root)
    assert record is not None
    key = s.world.mission.gateway if signer == "gateway" else getattr(s, signer).enrolled.key
    number = record.options[0] if option is None else next(n for n in range(1, 256) if n not in record.options)
    ack_of(s, s.ana, root, number, key=key, beside=beside)
    assert not alerts.answers(s.chen.ledger, root)
    assert s.chen.kinds() & {alarm.name, "FORGED"}
    assert {r.name for r in s.chen.act(lambda work: board(work, root)).silent} == {"Ana", "Ben", "Luis"}


def test_an_honest_answer_counts(s: Scene) -> None:
    """So what is refused above is refused for what is wrong with it."""
    root = by_two(s.chen, s.dara, s.channel)
    ack_of(s, s.ana, root, 0, key=s.ana.enrolled.key, beside=True)
    assert [device for device, _ in alerts.answers(s.chen.ledger, root)] == [s.ana.id]


def test_a_stolen_phone_s_answer(s: Scene) -> None:
    """attack-07: Ana's phone was revoked; whoever has it says that she is safe, and the gateway passes it on."""
    root = by_two(s.chen, s.dara, s.channel)
    s.world.revoke(s.world.mission.home.registrars[0], [s.ana.enrolled.certified.serial], number=9)
    s.world.run()
    ack_of(s, s.ana, root, 0, key=s.ana.enrolled.key, beside=True)
    assert not alerts.answers(s.chen.ledger, root)
    assert "FORGED" in s.chen.kinds()


def test_an_answer_in_another_channel(s: Scene) -> None:
    """attack-07: Ben answers where the alert never was."""
    other = s.world.channel(s.chen, s.dara, s.ben, kind="alert", ceiling=Marking.AMBER)
    root = by_two(s.chen, s.dara, s.channel)
    s.bribe()
    s.ben.act(
        lambda work: outbox.keep(
            work.turn, Kept(other, Kind.ACK, encode(Ack(root, 0, None, bytes(16))), Precedence.IMMEDIATE)
        )
    )
    s.world.run()
    assert not alerts.answers(s.chen.ledger, root)
    assert "NOT_PERMITTED" in s.chen.kinds()
