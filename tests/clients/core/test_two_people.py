"""An alert by two people, end to end over an honest gateway: submitted, approved, verified by everybody, updated, ended, answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from clients import views
from clients.core import alerts, announcements, conversation, freezing, issuing, outbox, records
from clients.core.content import encode_content
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.ledger import at
from clients.core.outbox import Kept
from clients.core.receipts import covers
from clients.core.turn import NewMessage
from gateway import wire
from gateway.wire import Place, Placed
from keys.alert import AlertType
from keys.body import Review, read_ack
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Heard, Kind, Marking, Precedence, read, seal
from keys.errors import NotTrusted
from keys.words import Words, open_words
from tests.clients.alarms import CAP, HOUR, alone, approve, by_two, desk, document, order, submit
from tests.clients.core.test_renewal import Between
from tests.clients.relay import Party, World, world_of
from tests.clients.talk import say
from tests.restored import restored


@dataclass
class Scene:
    """Chen and Dara at the desk and in two alert channels: one with Ana and Ben, one with Luis of the police."""

    world: World
    chen: Party
    dara: Party
    ana: Party
    ben: Party
    luis: Party
    desk: bytes
    detail: bytes
    police: bytes

    @property
    def everybody(self) -> tuple[Party, ...]:
        return self.chen, self.dara, self.ana, self.ben, self.luis

    def record(self, party: Party, root: bytes) -> records.Alert:
        found = records.ALERTS.get(party.ledger, root)
        assert found is not None, f"{party.name} has no such alert"
        return found

    def how(self, party: Party, root: bytes) -> str:
        return alerts.standing(party.ledger, root, self.world.now).how


@restored
def scene(**options: Any) -> Scene:
    world = World(**options)
    chen, dara = world.party("Chen", "officer"), world.party("Dara", "officer")
    ana, ben = world.party("Ana", "agent"), world.party("Ben", "agent")
    luis = world.party("Luis", "guest", guest=True)
    at = desk(world, chen, dara)
    detail = world.channel(chen, dara, ana, ben, kind="alert", ceiling=Marking.AMBER_STRICT)
    police = world.channel(chen, dara, luis, kind="alert", ceiling=Marking.AMBER)
    return Scene(world, chen, dara, ana, ben, luis, at, detail, police)


@pytest.fixture
def s() -> Scene:
    return scene()


# --- the way ---


def test_everybody_verifies_both_names(s: Scene) -> None:
    root = by_two(s.chen, s.dara, s.detail, s.police)
    for party in s.everybody:
        record = s.record(party, root)
        assert record.cap == CAP
        assert record.sender == s.dara.id
        assert record.approval is not None
        assert record.writer.certificate == s.chen.enrolled.certified.hash
        assert record.approval.certificate == s.dara.enrolled.certified.hash
        assert not party.alarms(), party.name
    assert [c for c, _ in s.record(s.luis, root).places] == [s.police], "a guest sees its own channel only"
    assert {c for c, _ in s.record(s.chen, root).places} == {s.detail, s.police}


def test_a_draft_waits_at_the_desk_and_nowhere_else(s: Scene) -> None:
    root = submit(s.chen, s.detail)
    assert {p.name for p in s.everybody if records.SUBMITTED.get(p.ledger, root)} == {"Chen", "Dara"}
    assert not any(records.ALERTS.get(p.ledger, root) for p in s.everybody)
    record, content = issuing.submitted(s.dara.ledger, root)
    assert not record.fate
    assert s.dara.act(lambda work: issuing.approvers(work, content)) == [s.dara.id]
    approve(s.dara, root)
    for officer in (s.chen, s.dara):
        assert issuing.submitted(officer.ledger, root)[0].fate == "approved and sent"
    announced = announcements.announced(s.chen.ledger, root)
    assert announced is not None
    assert [o.channel for o in announced.channels] == [s.detail]
    assert announcements.announced(s.ana.ledger, root) is None


def test_any_change_is_another_draft(s: Scene) -> None:
    """Frozen means frozen: the same order again has another root, and approving one approves no other."""
    first, second = submit(s.chen, s.detail), submit(s.chen, s.detail)
    assert first != second
    approve(s.dara, second)
    assert not issuing.submitted(s.dara.ledger, first)[0].fate
    assert records.ALERTS.get(s.ana.ledger, first) is None


def test_a_draft_that_was_withdrawn(s: Scene) -> None:
    root = submit(s.chen, s.detail)
    with pytest.raises(NotAllowed, match="its writer"):
        s.dara.act(lambda work: issuing.withdraw(work, root))
    s.chen.act(lambda work: issuing.withdraw(work, root))
    s.world.run()
    with pytest.raises(NotNow, match="withdrawn"):
        approve(s.dara, root)


def test_it_is_too_late_to_approve(s: Scene) -> None:
    root = submit(s.chen, s.detail)
    s.world.later(5 * 60_000 + 1)
    with pytest.raises(NotNow, match="time for approval"):
        approve(s.dara, root)


def test_nobody_approves_his_own(s: Scene) -> None:
    root = submit(s.chen, s.detail)
    with pytest.raises(NotAllowed, match="of his own"):
        approve(s.chen, root)


def test_an_agent_approves_nothing(s: Scene) -> None:
    root = submit(s.chen, s.detail)
    _, content = issuing.submitted(s.chen.ledger, root)
    s.ana.act(lambda work: issuing.keep_submitted(work.turn, content, s.chen.id, s.desk))
    with pytest.raises(NotAllowed, match="approve-alert"):
        approve(s.ana, root)


def test_no_desk_no_draft() -> None:
    world = world_of("Chen officer", "Ana agent")
    chen, ana = world.parties
    channel = world.channel(chen, ana, kind="alert")
    with pytest.raises(NotNow, match="no desk"):
        submit(chen, channel)
    desk(world, chen)
    with pytest.raises(NotNow, match="add another officer"):
        submit(chen, channel)


TAMPERED = [
    pytest.param(lambda c: replace(c, alert=replace(c.alert, cap=document(options=("A", "B")))), id="its document"),
    pytest.param(
        lambda c: replace(c, alert=replace(c.alert, options=c.alert.options[::-1])), id="what its answers mean"
    ),
    pytest.param(lambda c: replace(c, targets=c.targets[:1]), id="a channel left out"),
    pytest.param(lambda c: replace(c, padding=c.padding[1:]), id="its padding"),
    pytest.param(lambda c: replace(c, draft=replace(c.draft, not_after=c.draft.not_after + 1)), id="its end"),
    pytest.param(lambda c: replace(c, draft=replace(c.draft, ladder=b"l" * 32)), id="its ladder"),
    pytest.param(lambda c: replace(c, writer=replace(c.writer, time=1)), id="its writer's signature"),
    pytest.param(lambda c: replace(c, writer=replace(c.writer, certificate=bytes(32))), id="its writer"),
]


@pytest.mark.parametrize("change", TAMPERED)
def test_what_is_not_as_it_was_signed_is_not_approved(s: Scene, change: Any) -> None:
    root = submit(s.chen, s.detail, s.police)
    record, content = issuing.submitted(s.dara.ledger, root)
    other = replace(record, content=encode_content(change(content)))
    s.dara.act(lambda work: records.SUBMITTED.put(work.turn.draft, root, other))
    with pytest.raises(NotAllowed, match="does not hold"):
        approve(s.dara, root)
    assert not [i for _, i in records.OUTBOX.scan(s.dara.ledger) if i.kind in (Kind.APPROVAL, Kind.ALERT)]


def test_a_draft_is_put_before_others_by_its_writer_whole(s: Scene) -> None:
    """What comes to the desk under a root is what the root stands for, by who signed it; anything else is nothing."""
    content = s.chen.act(lambda work: freezing.freeze(work, order(s.chen, s.detail)))
    eve = s.world.party("Eve", "officer")
    s.world.add(s.chen, s.desk, eve)
    for forged in (content, replace(content, padding=content.padding[1:])):
        by = eve if forged is content else s.chen
        kept = Kept(s.desk, Kind.APPLICATION, encode_content(forged), Precedence.FLASH, Marking.AMBER)
        by.act(lambda work, k=kept: outbox.keep(work.turn, k))
        s.world.run()
        assert records.SUBMITTED.get(s.dara.ledger, content.draft.root) is None
        assert "FORGED" in s.dara.kinds()


# --- alone ---


def test_one_alone_is_flagged(s: Scene) -> None:
    root = alone(s.chen, s.detail, s.police)
    s.world.run()
    for party in s.everybody:
        record = s.record(party, root)
        assert record.alone
        assert record.reason == "gunfire at the gate"
        assert not party.alarms()


def test_alone_and_two_are_frozen_apart(s: Scene) -> None:
    """A draft with a reason is never approved, one without never sent alone: neither passes for the other."""
    content = s.chen.act(lambda work: freezing.freeze(work, order(s.chen, s.detail, reason="nobody there")))
    s.dara.act(lambda work: issuing.keep_submitted(work.turn, content, s.chen.id, s.desk))
    with pytest.raises(NotAllowed, match="sent alone"):
        approve(s.dara, content.draft.root)


def test_a_draft_between_a_renewal_and_its_commit_is_signed_as_the_desk_knows_its_writer() -> None:
    s = scene(relay=Between)
    relay = s.world.relay
    assert isinstance(relay, Between)
    relay.holds = lambda _, frame: isinstance(frame, wire.Proven)
    for party in (s.chen, s.dara):
        s.world.renew(party)
        party.disconnect()
        party.connect()
    s.world.run()
    root = submit(s.chen, s.detail)
    s.world.run()
    approve(s.dara, root)
    s.world.run()
    relay.release()
    s.world.run()
    assert s.record(s.ana, root)
    assert not [alarm for party in s.everybody for alarm in party.alarms()]


def test_what_was_announced_waits_until_its_writers_new_certificate_is_proved(s: Scene) -> None:
    eve = s.world.party("Eve", "officer")
    eve.disconnect()
    s.world.renew(s.chen)
    s.chen.disconnect()
    s.chen.connect()
    s.world.run()
    root = by_two(s.chen, s.dara, s.detail)
    eve.connect()
    s.world.run()
    assert announcements.announced(eve.ledger, root) is not None
    assert not eve.alarms()


def test_a_review_counts_by_another_officer_only(s: Scene) -> None:
    root = alone(s.chen, s.detail)
    s.world.run()
    control = s.world.mission.charter.control_channel
    for by, counts in ((s.ana, False), (s.chen, False), (s.dara, True)):
        body = encode(Review(root, bytes(32)))
        claimed = read(seal(_context(by, control), body, by.enrolled.key))
        placed = Placed(control, Place(900 + counts, 900, s.world.now, bytes(16)), b"", b"", body)
        s.dara.act(lambda work, p=placed, c=claimed, b=body: announcements.take(work, p, c, b))
        assert (announcements.reviewed(s.dara.ledger, root) is not None) is counts, by.name


def _context(by: Party, channel: bytes) -> Context:
    return Context(
        1, Kind.REVIEW, by.id, channel, 0, 1, 0, NOTHING, Heard(0, NOTHING), by.world.now,
        Precedence.ROUTINE, Marking.CLEAR, 0, b"", None,
    )  # fmt: skip


# --- markings ---


def test_strict_stays_in_the_house(s: Scene) -> None:
    with pytest.raises(NotAllowed, match=r"goes up to TLP:AMBER|stays in"):
        submit(s.chen, s.detail, s.police, marking=Marking.AMBER_STRICT)
    root = by_two(s.chen, s.dara, s.detail, marking=Marking.AMBER_STRICT)
    assert s.record(s.ana, root).marking is Marking.AMBER_STRICT


def test_play_stops_at_the_fence(s: Scene) -> None:
    play = document(status="Exercise")
    with pytest.raises(NotAllowed, match="no part in exercises"):
        submit(s.chen, s.detail, s.police, cap=play)
    root = by_two(s.chen, s.dara, s.detail, cap=play)
    assert s.record(s.ana, root).draft.exercise


def test_a_real_alert_freezes_play_at_once(s: Scene) -> None:
    play = by_two(s.chen, s.dara, s.detail, cap=document("MM-0", status="Exercise"))
    assert not alerts.freezes_play(s.ana.ledger, s.record(s.ana, play), s.world.now)
    real = by_two(s.chen, s.dara, s.detail)
    assert real.hex()[:8] in alerts.freezes_play(s.ana.ledger, s.record(s.ana, play), s.world.now)
    with pytest.raises(NotNow, match="frozen"):
        s.ana.act(lambda work: conversation.acknowledge(work, play, 0, ""))
    by_two(s.dara, s.chen, s.detail, cap=document("MM-2", type="Cancel", after="MM-1"), references=(real,))
    s.ana.act(lambda work: conversation.acknowledge(work, play, 0, ""))


def test_the_stop_word_freezes_play_until_it_is_resumed(s: Scene) -> None:
    talk = s.world.channel(s.chen, s.ana, s.ben)
    play = by_two(s.chen, s.dara, s.detail, cap=document("MM-0", status="Exercise"))
    s.world.later(1_000)
    say(s.ben, talk, "no  duff: man down at the gate")
    s.world.run()
    for party in (s.ana, s.ben, s.chen):
        assert "NO DUFF" in alerts.freezes_play(party.ledger, s.record(party, play), s.world.now)
    with pytest.raises(NotNow, match="frozen"):
        s.ana.act(lambda work: conversation.acknowledge(work, play, 0, ""))
    s.world.later(1_000)
    again = document("MM-1", status="Exercise", type="Update", after="MM-0")
    resumed = by_two(s.chen, s.dara, s.detail, cap=again, references=(play,))
    s.ana.act(lambda work: conversation.acknowledge(work, resumed, 0, ""))


# --- update, cancel, all-clear ---

UPDATE = document("MM-2", type="Update", after="MM-1")
CANCEL = document("MM-3", type="Cancel", after="MM-1")
CLEAR = document("MM-4", type="Update", clear=True, after="MM-1")


@pytest.mark.parametrize(
    ("cap", "kind", "how"),
    [
        pytest.param(UPDATE, AlertType.UPDATE, "replaced", id="update"),
        pytest.param(CANCEL, AlertType.CANCEL, "cancelled", id="cancel"),
        pytest.param(CLEAR, AlertType.ALL_CLEAR, "cleared", id="all-clear"),
    ],
)
def test_what_follows_greys_the_first_everywhere(s: Scene, cap: bytes, kind: AlertType, how: str) -> None:
    first = by_two(s.chen, s.dara, s.detail, s.police)
    after = by_two(s.dara, s.chen, s.detail, s.police, cap=cap, references=(first,))
    for party in s.everybody:
        assert s.how(party, first) == how
        assert s.record(party, first).ended == after
        assert s.record(party, after).draft.type is kind
        with pytest.raises(NotNow, match=how):
            party.act(lambda work: conversation.acknowledge(work, first, 0, ""))
        assert not party.alarms()


@pytest.mark.parametrize("end", [pytest.param(CANCEL, id="cancelled"), pytest.param(CLEAR, id="cleared")])
def test_what_was_cancelled_or_cleared_is_over_for_good(s: Scene, end: bytes) -> None:
    first = by_two(s.chen, s.dara, s.detail)
    by_two(s.chen, s.dara, s.detail, cap=end, references=(first,))
    for again in (UPDATE, CANCEL, CLEAR):
        with pytest.raises(NotNow, match="cancelled or cleared"):
            submit(s.chen, s.detail, cap=again, references=(first,))


def test_a_chain_is_cleared_whole(s: Scene) -> None:
    first = by_two(s.chen, s.dara, s.detail)
    second = by_two(s.chen, s.dara, s.detail, cap=UPDATE, references=(first,))
    assert alerts.open_chain(s.chen.ledger, first) == [second]
    clear = by_two(s.dara, s.chen, s.detail, cap=CLEAR, references=(first, second))
    assert s.how(s.ana, second) == "cleared"
    assert s.how(s.ana, clear) == ""
    assert alerts.open_chain(s.ana.ledger, first) == []


def test_who_comes_back_later_sees_the_present_state(s: Scene) -> None:
    s.ana.disconnect()
    first = by_two(s.chen, s.dara, s.detail)
    after = by_two(s.chen, s.dara, s.detail, cap=UPDATE, references=(first,))
    s.ana.connect()
    s.world.run()
    assert s.how(s.ana, first) == "replaced"
    assert s.how(s.ana, after) == ""
    assert not s.ana.alarms()


def test_an_end_goes_to_who_was_told_of_the_beginning(s: Scene) -> None:
    first = by_two(s.chen, s.dara, s.detail)
    with pytest.raises(NotAllowed, match="was not sent any of these"):
        submit(s.chen, s.police, cap=CANCEL, references=(first,))
    with pytest.raises(Unknown):
        submit(s.chen, s.detail, cap=CANCEL, references=(b"r" * 32,))


def test_two_are_not_stood_down_by_one(s: Scene) -> None:
    first = by_two(s.chen, s.dara, s.detail)
    with pytest.raises(NotAllowed, match="takes two"):
        alone(s.chen, s.detail, cap=CANCEL, references=(first,))
    lonely = alone(s.chen, s.detail, cap=document("MM-9"))
    s.world.run()
    alone(s.chen, s.detail, cap=document("MM-10", type="Cancel", after="MM-9"), references=(lonely,))
    s.world.run()
    assert s.how(s.ana, lonely) == "cancelled"


def test_an_alert_s_own_time_is_over_by_itself(s: Scene) -> None:
    root = by_two(s.chen, s.dara, s.detail)
    s.world.later(HOUR + 1)
    assert s.how(s.ana, root) == "over"
    with pytest.raises(NotNow):
        s.ana.act(lambda work: conversation.acknowledge(work, root, 0, ""))


# --- one alert by two channels ---


def test_who_is_in_two_of_its_channels_is_shown_it_once(s: Scene) -> None:
    """Both copies are received and seen, as far as its senders are told; whoever sits there hears of it once."""
    second = s.world.channel(s.chen, s.dara, s.ana, kind="alert", ceiling=Marking.AMBER)
    s.ana.events.clear()
    root = by_two(s.chen, s.dara, s.detail, second)
    assert len([e for e in s.ana.events if isinstance(e, NewMessage)]) == 1
    places = alerts.copies(s.ana.ledger, root)
    assert {channel for channel, _ in places} == {s.detail, second}
    assert s.ana.act(lambda work: views.status(work, online=True, clock_off=0)).unread == 1
    s.ana.act(lambda work: conversation.show(work, *places[0]))
    assert not list(records.UNSHOWN.scan(s.ana.ledger))
    assert all(shown_at(s.ana, *place) for place in places)
    s.world.run()
    for channel, seq in places:
        told = records.RECEIVED.get(s.chen.ledger, channel + s.ana.id)
        assert told is not None
        assert covers(told.delivered, seq)
        assert covers(told.shown, seq)


def test_a_copy_that_comes_after_it_was_read_is_not_shown_again(s: Scene) -> None:
    second = s.world.channel(s.chen, s.dara, s.ana, kind="alert", ceiling=Marking.AMBER)
    root = submit(s.chen, s.detail, second)
    s.dara.act(lambda work: issuing.approve(work, root))
    while not (places := alerts.copies(s.ana.ledger, root)):
        for party in s.world.parties:
            party.step()
    s.ana.act(lambda work: conversation.show(work, *places[0]))
    s.world.run()
    both = alerts.copies(s.ana.ledger, root)
    assert len(both) == 2
    assert all(shown_at(s.ana, *place) for place in both)
    assert not list(records.UNSHOWN.scan(s.ana.ledger))


def shown_at(party: Party, channel: bytes, seq: int) -> int:
    message = records.MESSAGES.get(party.ledger, at(channel, seq))
    assert message is not None
    return message.shown


# --- answers ---


def test_answers_by_number_and_words(s: Scene) -> None:
    root = by_two(s.chen, s.dara, s.detail, s.police)
    number = s.record(s.ana, root).options[1]
    s.ana.act(lambda work: conversation.acknowledge(work, root, "need help", "two wounded"))
    s.luis.act(lambda work: conversation.acknowledge(work, root, 0, ""))
    s.world.run()
    for officer in (s.chen, s.dara):
        given = dict(alerts.answers(officer.ledger, root))
        assert {d: a.option for d, a in given.items()} == {s.ana.id: number, s.luis.id: 0}
        assert given[s.ana.id].text == "two wounded"
    assert alerts.option_text(s.record(s.chen, root), number) == "NEED HELP"
    assert s.luis.id not in dict(alerts.answers(s.ana.ledger, root)), "one audience does not see the other's answers"


def test_words_to_an_answer_open_for_officers_alone(s: Scene) -> None:
    """Whoever else is in the channel has no key to them, not even with the very bytes before him."""
    root = by_two(s.chen, s.dara, s.detail, s.police)
    for author in (s.ana, s.luis):
        item = author.act(lambda work: conversation.acknowledge(work, root, 0, "two wounded"))
        kept = records.OUTBOX.get(author.ledger, item)
        assert kept is not None
        said = read_ack(kept.content).words
        assert said is not None
        for officer in (s.chen, s.dara):
            assert opened(officer, said, root, author) == "two wounded"
        for other in (s.ana, s.ben, s.luis):
            with pytest.raises(NotTrusted):
                opened(other, said, root, author)
        assert b"wounded" not in kept.content


def opened(party: Party, words: Words, root: bytes, author: Party) -> str:
    return open_words(words, party.enrolled.key, root, author.id)


def test_words_that_are_not_those_signed_are_no_answer(s: Scene) -> None:
    root = by_two(s.chen, s.dara, s.detail)
    s.ana.disconnect()
    item = s.ana.act(lambda work: conversation.acknowledge(work, root, 0, "two wounded"))

    def twist(work: Any) -> None:
        kept = records.OUTBOX.get(work.turn.draft, item)
        ack = read_ack(kept.content)
        records.OUTBOX.put(
            work.turn.draft, item, replace(kept, content=encode(replace(ack, words=replace(ack.words, tag=bytes(32)))))
        )

    s.ana.act(twist)
    s.ana.connect()
    s.world.run()
    assert s.ana.id not in dict(alerts.answers(s.chen.ledger, root))
    assert "FORGED" in s.chen.kinds()


def test_too_many_words(s: Scene) -> None:
    root = by_two(s.chen, s.dara, s.detail)
    with pytest.raises(NotAllowed, match="at most"):
        s.ana.act(lambda work: conversation.acknowledge(work, root, 0, "x" * 4_001))


def test_numbers_say_nothing_to_the_gateway(s: Scene) -> None:
    """The header lists them rising; what each means is a fresh choice inside the encryption."""
    orders = set()
    for n in range(6):
        root = by_two(s.chen, s.dara, s.detail, cap=document(f"MM-{n}", options=("A", "B", "C")))
        record = s.record(s.ana, root)
        assert record.draft.options == sorted(record.options)
        orders.add(tuple(record.options.index(o) for o in record.draft.options))
    assert len(orders) > 1


# --- refused by the gateway ---


def test_what_the_gateway_refuses_is_told_and_blocks_nothing(s: Scene) -> None:
    """The officers' clients think that Luis may see it; the charter in force at the gateway says no more."""
    from keys.charter import sign
    from keys.policy import render

    root = submit(s.chen, s.police, marking=Marking.AMBER)
    policy = s.world.mission.policy
    lower = tuple(
        o if o.home else o.__class__(**{**_fields(o), "ceiling": Marking.GREEN}) for o in policy.organisations
    )
    from gateway.core import acts

    note = sign(render(s.world.mission.successor(organisations=lower)), s.world.mission.authorities[:2])
    relay = s.world.relay
    relay._decide(
        lambda: acts.install_charter(
            relay.view,
            note,
            s.world.mission.gateway,
            s.world.mission.log.verifier_key.encode(),
            relay.now,
            relay.random,
        )
    )
    s.dara.act(lambda work: issuing.approve(work, root))
    s.world.run()
    sent = [r for _, r in records.SENT.scan(s.dara.ledger) if r.kind is Kind.ALERT]
    assert [r.refused.split(":")[0] for r in sent] == ["TLP"]
    assert records.ALERTS.get(s.luis.ledger, root) is None
    by_two(s.chen, s.dara, s.detail, cap=document("MM-7"))
    assert "ATTEMPT" in s.chen.kinds(), "the officers hear that it was tried"


def _fields(organisation: Any) -> dict[str, Any]:
    return {name: getattr(organisation, name) for name in organisation.__dataclass_fields__}
