"""SOS, its end by two people, and check-ins among talking devices; and a gateway that lets false ends through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from clients import views
from clients.core import alerts, calling, conversation, emergencies, records
from clients.core.content import NoDuress, Position, SosContent, encode_content, read_content
from clients.core.errors import NotAllowed, NotNow
from clients.core.groups import roster_at
from clients.core.outbox import Kept, keep
from clients.core.records import Emergency, Intent, Move, Word
from gateway import wire
from gateway.core import ladder
from gateway.core.append import append
from keys.canonical import encode
from keys.emergency import Request, StandDown
from keys.envelope import Envelope, Kind, Marking, Precedence, read, verify_run
from keys.ladder import Why
from tests.clients.core.test_resync import Holding
from tests.clients.relay import Killed, Line, Party, Relay, World, world_of
from tests.restored import restored

MINUTE = 60_000
DAY = 1_440 * MINUTE
PLACE = Position.of(40.4168, -3.7038, 15, 4)


@dataclass
class Scene:
    world: World
    chen: Party  # officer
    bea: Party  # leader
    ayo: Party
    luis: Party  # guest
    channel: bytes

    @property
    def everybody(self) -> tuple[Party, ...]:
        return self.chen, self.bea, self.ayo, self.luis

    def call(self, by: Party | None = None) -> bytes:
        """An SOS; gives its root."""
        by = by or self.ayo
        by.act(lambda work: calling.call(work, "shots at the gate", PLACE))
        self.world.run()
        return max(records.EMERGENCIES.scan(by.ledger), key=lambda pair: pair[1].seq)[0]

    def ask(self, word: str = "heron") -> None:
        self.ayo.act(lambda work: calling.ask_end(work, word))
        self.world.run()

    def confirm(self, root: bytes, by: Party, **options: Any) -> None:
        by.act(lambda work: calling.confirm(work, [root], **options))
        self.world.run()

    def tick(self) -> list[Why]:
        relay, fired = self.world.relay, []
        while relay._decide(lambda: ladder.tick(relay.view, relay.gateway, relay.now, relay.random)):
            fired.append(Why.DUE)
        self.world.run()
        return fired


@restored
def scene(*, word: str = "Heron", relay: type[Relay] = Relay) -> Scene:
    world = world_of("Chen officer", "Bea leader", "Ayo agent", "Luis guest", relay=relay)
    chen, bea, ayo, luis = world.parties
    channel = world.channel(chen, bea, ayo, luis, kind="alert", ceiling=Marking.AMBER)
    if word:
        chen.act(lambda work: calling.set_word(work, word))
        world.run()
    return Scene(world, chen, bea, ayo, luis, channel)


def sos(party: Party, root: bytes) -> Emergency:
    found = records.EMERGENCIES.get(party.ledger, root)
    assert found is not None
    return found


def move(party: Party) -> Move:
    (_, found) = max(records.MOVES.scan(party.ledger), key=lambda pair: pair[1].seq)
    return found


# --- SOS ---


def test_a_clock_that_is_years_ahead_keeps_no_call_for_help() -> None:
    """By it everybody has expired, and would have to go first; whether that is so the gateway's clock decides, which takes a call whatever
    time it bears."""
    s = scene()
    years = s.world.now + 3 * 365 * DAY
    _, outcome = s.ayo.device.act(years, lambda work: calling.call(work, "shots at the gate", PLACE))
    s.ayo._do(outcome)
    assert s.ayo.line is not None
    for _ in range(20):
        s.ayo.line.pump()
        frames, s.ayo.line.inbound = s.ayo.line.inbound, []
        s.ayo._do(s.ayo.device.receive(frames, years))
    (called,) = [e for _, e in records.EMERGENCIES.scan(s.ayo.ledger)]
    assert called.seq, "the gateway has it"
    s.world.run()
    for party in (s.chen, s.bea, s.luis):
        assert [e.device for _, e in records.EMERGENCIES.scan(party.ledger)] == [s.ayo.id]


def test_everybody_hears_an_sos_and_its_author_who_has_it_in_hand() -> None:
    s = scene()
    root = s.call()
    for party in (s.chen, s.bea, s.luis):
        content = read_content(sos(party, root).content)
        assert isinstance(content, SosContent)
        assert (content.text, content.position) == ("shots at the gate", PLACE)
        assert content.position is not None
        assert content.position.degrees == (40.4168, -3.7038)
        assert not party.alarms()
    s.bea.act(lambda work: conversation.acknowledge(work, root, 0, ""))
    s.world.run()
    assert s.bea.id in {d for d, _ in alerts.answers(s.ayo.ledger, root)}


def test_the_word_is_kept_by_those_who_compare_it_and_by_nobody_else() -> None:
    s = scene()
    assert {p.name for p in s.everybody if records.WORD.get(p.ledger, b"")} == {"Chen", "Bea"}


def test_two_people_end_it_everywhere() -> None:
    s = scene()
    root = s.call()
    with pytest.raises(NotNow):
        s.confirm(root, s.bea)
    s.ask("  heRON ")
    assert {p.name: sos(p, root).word for p in s.everybody} == {
        "Chen": Word.RIGHT,
        "Bea": Word.RIGHT,
        "Ayo": Word.UNCHECKED,
        "Luis": Word.UNCHECKED,
    }
    assert not any(sos(p, root).ended for p in s.everybody)
    s.confirm(root, s.bea)
    assert all(sos(p, root).confirmed == s.bea.id for p in s.everybody)
    row = s.world.relay.view.alert(root)
    assert row is not None
    assert not row.open


def test_a_wrong_word_looks_the_same_and_warns_quietly() -> None:
    frames: dict[str, list[int]] = {}
    for word in ("heron", "a very much longer wrong word"):
        s = scene()
        root = s.call()
        before = s.world.relay.view.stream(s.channel).seq  # type: ignore[union-attr]
        s.ask(word)
        sent = [e for e in s.world.relay.view.envelopes(s.channel, before, 100) if e.device == s.ayo.id]
        frames[word] = [e.body_length for e in sent]
        assert not s.ayo.alarms()
        assert not s.luis.alarms()
        own = sos(s.ayo, root)
        assert (own.word, own.ended, len(own.requests)) == (Word.UNCHECKED, 0, 1)
    assert len(set(map(tuple, frames.values()))) == 1
    assert s.chen.kinds() == s.bea.kinds() == {"DURESS"}
    with pytest.raises(NotAllowed):
        s.confirm(root, s.bea)
    with pytest.raises(NotAllowed):
        s.confirm(root, s.bea, unchecked=True)


def test_who_was_out_while_it_was_asked_hears_that_it_is_over() -> None:
    s = scene()
    root = s.call()
    s.world.intend(s.chen, Intent(s.channel, [], [s.luis.id], renew=False, rekey=False, automatic=False))
    s.ask()
    s.world.add(s.chen, s.channel, s.luis)
    s.confirm(root, s.bea)
    assert not s.luis.alarms()
    assert sos(s.luis, root).confirmed == s.bea.id


def test_what_was_asked_before_and_came_after_he_was_in_again_counts() -> None:
    s = scene(relay=Holding)
    relay = s.world.relay
    assert isinstance(relay, Holding)
    root = s.call()
    s.world.intend(s.chen, Intent(s.channel, [], [s.luis.id], renew=False, rekey=False, automatic=False))
    relay.late = s.ayo.id
    s.world.add(s.chen, s.channel, s.luis)
    s.ask()
    relay.late = b""
    s.ayo.disconnect()
    s.ayo.connect()
    s.world.run()
    assert sos(s.luis, root).requests == sos(s.bea, root).requests != []
    s.confirm(root, s.bea)
    assert not s.luis.alarms()
    assert sos(s.luis, root).confirmed == s.bea.id


@pytest.mark.parametrize("who", ["ayo", "luis"])
def test_who_may_not_confirm(who: str) -> None:
    s = scene()
    root = s.call()
    s.ask()
    with pytest.raises(NotAllowed):
        s.confirm(root, getattr(s, who))


def test_an_sos_goes_out_however_old_the_lists_are() -> None:
    s = scene()
    s.world.later(24 * 30 * 3_600_000)
    root = s.call()
    assert sos(s.bea, root)


def test_without_a_word_the_second_person_says_that_it_was_not_checked() -> None:
    s = scene(word="")
    root = s.call()
    s.ask("")
    with pytest.raises(NotNow):
        s.confirm(root, s.bea)
    s.confirm(root, s.bea, unchecked=True)
    assert sos(s.ayo, root).ended


# --- a gateway that lets everything through ---


class Lax(Relay):
    """Takes every stand-down, whoever sends it."""

    def _answer(self, line: Line, frame: wire.FromDevice) -> Iterator[wire.FromGateway]:
        if isinstance(frame, wire.Submit):
            claimed = [read(Envelope(sealed.header, sealed.signature)) for sealed in frame.run]
            if claimed[0].context.kind is Kind.STAND_DOWN:
                run, bodies = verify_run(claimed, line.who.public_key), [sealed.body or b"" for sealed in frame.run]
                stream = self.view.stream(claimed[0].context.channel)
                assert stream is not None
                yield self._decide(
                    lambda: append(self.view, frame.id, run, bodies, stream, (), self.gateway, self.now, self.random)
                )
                return
        yield from super()._answer(line, frame)


def lie(s: Scene, by: Party, root: bytes, confirms: Request | None) -> None:
    """A device that sends a stand-down, checked by nobody."""
    body = encode(StandDown(root, confirms))
    by.act(lambda work: keep(work.turn, Kept(s.channel, Kind.STAND_DOWN, body, Precedence.IMMEDIATE)))
    s.world.run()


def _request(s: Scene, root: bytes) -> Request:
    seq, header_hash = sos(s.chen, root).requests[-1]
    return Request(seq, header_hash)


@pytest.mark.parametrize(
    ("by", "asked", "confirms"),
    [
        pytest.param("chen", False, False, id="asked for by somebody else"),
        pytest.param("ayo", True, True, id="confirmed by its author alone"),
        pytest.param("luis", True, True, id="confirmed by who may not"),
    ],
)
def test_attack_05_a_false_stand_down_ends_no_sos(by: str, asked: bool, confirms: bool) -> None:
    s = scene(relay=Lax)
    root = s.call()
    if asked:
        s.ask()
    lie(s, getattr(s, by), root, _request(s, root) if confirms else None)
    others = [p for p in s.everybody if p.name.lower() != by]
    assert all(not sos(p, root).ended for p in s.everybody)
    assert all("NOT_PERMITTED" in p.kinds() for p in others)


def test_attack_05_an_sos_is_not_ended_without_its_authors_asking() -> None:
    s = scene(relay=Lax)
    root = s.call()
    lie(s, s.bea, root, Request(sos(s.bea, root).seq, root))
    assert all(not sos(p, root).ended for p in s.everybody)
    assert "NOT_PERMITTED" in s.chen.kinds()


def test_attack_05_an_sos_is_not_ended_on_a_wrong_word() -> None:
    s = scene(relay=Lax)
    root = s.call()
    s.ask("sparrow")
    lie(s, s.bea, root, _request(s, root))
    assert not sos(s.chen, root).ended


def test_attack_05_an_sos_is_not_ended_in_another_channel() -> None:
    s = scene(relay=Lax)
    root = s.call()
    s.channel = s.world.channel(s.chen, s.ayo, kind="alert", ceiling=Marking.AMBER)
    lie(s, s.ayo, root, None)
    assert not sos(s.chen, root).requests
    assert s.chen.kinds() == {"NOT_PERMITTED"}


def test_nobody_but_an_officer_sets_the_word() -> None:
    s = scene()
    held = records.WORD.get(s.chen.ledger, b"")
    content = encode_content(NoDuress(b"w" * 32))
    s.ayo.act(lambda work: keep(work.turn, Kept(s.channel, Kind.APPLICATION, content, Precedence.IMMEDIATE)))
    s.world.run()
    assert records.WORD.get(s.chen.ledger, b"") == held
    assert s.chen.kinds() == {"NOT_PERMITTED"}
    with pytest.raises(NotAllowed):
        s.bea.act(lambda work: calling.set_word(work, "robin"))


def test_a_device_that_dies_anywhere_calls_once_and_asks_once() -> None:
    """Killed at each boundary between what it writes, sends and tells; it starts again from its ledger."""
    s, roots = scene(), set[bytes]()
    for boundary in range(6):
        s.ayo.die_at = boundary
        with suppress(Killed):
            s.ayo.act(lambda work: calling.call(work, "help", None))
        s.ayo.revive()
        s.world.run()
        found = {root for root, _ in records.EMERGENCIES.scan(s.bea.ledger)}
        assert len(found - roots) == (boundary > 0), "before it was written nothing was said"
        roots |= found
        s.ayo.die_at = boundary
        with suppress(Killed, NotNow):
            s.ayo.act(lambda work: calling.ask_end(work, "heron"))
        s.ayo.revive()
        s.world.run()
        for root in found:
            if not sos(s.bea, root).ended and sos(s.bea, root).requests:
                assert len(sos(s.bea, root).requests) == 1
                s.confirm(root, s.bea)
    assert not any(p.alarms() for p in s.everybody)


def test_no_time_ends_an_sos() -> None:
    s = scene(relay=Lax)
    root = s.call()
    s.world.later(400 * 24 * 3_600_000)
    s.world.run()
    assert not any(sos(p, root).ended for p in s.everybody)


# --- check-ins ---


def start(s: Scene, *minutes: int) -> None:
    due = [s.world.now + m * MINUTE for m in minutes]
    legs = [f"leg {n}" for n in range(1, len(minutes) + 1)]
    s.ayo.act(lambda work: calling.start(work, s.channel, due, 300, "RED ROUTE", legs))
    s.world.run()


def check_in(s: Scene, word: str = "heron") -> None:
    s.ayo.act(lambda work: calling.check_in(work, word))
    s.world.run()


def test_a_move_with_its_check_ins() -> None:
    s = scene()
    begun = s.world.now
    start(s, 15, 30)
    page = emergencies.page_of(s.bea.ledger, move(s.bea))
    assert page is not None
    assert (page.route, page.legs) == ("RED ROUTE", ["leg 1", "leg 2"])
    for party in s.everybody:
        assert emergencies.awaited(move(party)) == begun + 15 * MINUTE
    s.world.later(14 * MINUTE)
    check_in(s)
    for party in s.everybody:
        assert emergencies.awaited(move(party)) == begun + 30 * MINUTE
    s.world.later(20 * MINUTE)
    check_in(s)
    assert all(move(p).ended for p in s.everybody)
    assert not any(p.alarms() for p in s.everybody)


def test_a_check_in_that_is_missed_and_comes_late() -> None:
    s = scene()
    begun = s.world.now
    start(s, 15, 30)
    s.ayo.disconnect()
    s.world.later(20 * MINUTE)
    assert s.tick() == [Why.DUE]
    assert emergencies.overdue(move(s.bea), s.world.now + 1)
    assert s.chen.kinds() == {"MISSED"}
    s.ayo.connect()
    s.world.later(MINUTE)
    check_in(s)
    assert move(s.bea).said == [(begun + 21 * MINUTE, begun + 15 * MINUTE)], "late, and for which"
    assert emergencies.awaited(move(s.bea)) == begun + 30 * MINUTE


def test_a_check_in_under_duress_counts_and_warns_quietly() -> None:
    sizes = set()
    for word in ("heron", "sparrow or something"):
        s = scene()
        start(s, 15, 30)
        s.world.later(15 * MINUTE)
        check_in(s, word)
        sizes |= {e.body_length for e in s.world.relay.view.envelopes(s.channel, 0, 100) if e.kind is Kind.CHECK_IN}
        assert not s.ayo.alarms()
    assert len(sizes) == 1
    assert s.chen.kinds() == s.bea.kinds() == {"DURESS"}
    assert emergencies.awaited(move(s.ayo)) == emergencies.awaited(move(s.bea))
    s.world.later(20 * MINUTE - 1)
    assert s.tick() == []


def test_a_move_ends_early() -> None:
    s = scene()
    start(s, 15, 30)
    s.ayo.act(lambda work: calling.finish(work, "heron"))
    s.world.run()
    assert all(move(p).ended for p in s.everybody)
    s.world.later(24 * 60 * MINUTE)
    assert s.tick() == []
    with pytest.raises(NotNow):
        check_in(s)


def test_no_plan_goes_to_talk_or_backwards() -> None:
    s = scene()
    talk = s.world.channel(s.chen, s.ayo)
    for channel, due in ((talk, [s.world.now + MINUTE]), (s.channel, [s.world.now + 1, s.world.now])):
        with pytest.raises(NotAllowed):
            s.ayo.act(lambda work, c=channel, d=due: calling.start(work, c, d, 300, "", []))


def test_each_check_in_is_shown_as_it_was() -> None:
    """What was in time stays so, whatever came late after it."""
    s = scene()
    start(s, 15, 30, 45)
    check_in(s)
    s.world.later(21 * MINUTE)
    check_in(s)

    def told(work: Any) -> list[str]:
        found = [(k, m) for k, m in records.MESSAGES.scan(work.turn.draft, s.channel) if m.kind is Kind.CHECK_IN]
        return [views.emergency_text(work.turn.draft, m, s.channel, turn_now=work.turn.now) for _, m in sorted(found)]

    first, second = s.bea.act(told)
    assert "LATE" not in first
    assert "LATE" in second


def test_a_check_in_that_is_missed_is_seen_whatever_the_gateway_says() -> None:
    s = scene()
    start(s, 15, 30)

    def due(party: Party, *, watches: bool) -> int:
        me = records.IDENTITY.get(party.ledger)
        assert me is not None
        found = emergencies.fallen_due(party.ledger, me, s.world.now, watches=watches)
        for key, plan in found:
            party.act(lambda work, k=key, m=plan: emergencies.show_again(work.turn, k, m))
        return len(found)

    assert due(s.bea, watches=True) == due(s.ayo, watches=False) == 0
    s.world.later(15 * MINUTE)
    assert [due(s.ayo, watches=False), due(s.ayo, watches=False)] == [1, 0], "its own device says that it is due, once"
    assert due(s.bea, watches=True) == 0
    s.world.later(5 * MINUTE + 1)
    assert [due(p, watches=w) for p, w in ((s.ayo, False), (s.bea, True), (s.luis, False))] == [1, 1, 0]
    check_in(s)
    assert due(s.bea, watches=True) == 0


# --- a device that was revoked is still in the channel ---


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(False, id="its author knows of it"),
        pytest.param(True, id="its author was away when it was revoked"),
        pytest.param(None, id="it was sealed before its author knew"),
    ],
)
def test_an_sos_does_not_wait_for_a_revoked_device_to_go(away: bool | None) -> None:
    """The gateway takes no message of an epoch that still holds such a device, so the author's own device removes it at once, whoever's
    turn it is, and the SOS goes behind. No time passes here."""
    s = scene()
    began, at = s.world.now, s.ayo.channel(s.channel).epoch
    for party in (s.bea, s.chen, s.luis):
        party.disconnect()  # nobody else is there to remove it
    if away:
        s.ayo.disconnect()
    if away is None:
        lose(s.world, s.bea)
        s.ayo.act(lambda work: calling.call(work, "shots at the gate", PLACE))
    else:
        lose(s.world, s.bea)
        if not away:
            s.world.run()
        s.ayo.act(lambda work: calling.call(work, "shots at the gate", PLACE))
    if away:
        s.ayo.connect()
    s.world.run()
    assert s.world.now == began
    assert s.ayo.channel(s.channel).epoch == at + 1
    (called,) = [e for _, e in records.EMERGENCIES.scan(s.ayo.ledger)]
    assert called.seq, "the gateway has it"
    s.chen.connect()
    s.world.run()
    assert [e.device for _, e in records.EMERGENCIES.scan(s.chen.ledger)] == [s.ayo.id]
    roster = roster_at(s.chen.ledger, s.channel, s.chen.channel(s.channel).epoch)
    assert roster is not None
    assert s.bea.id not in {seat.device for seat in roster.seats}


def lose(world: World, whom: Party) -> None:
    world.revoke(world.mission.home.registrars[0], [whom.enrolled.certified.serial])
