"""Reminders: shown once, of what still waits for this person, and never of what is over or answered."""

from __future__ import annotations

from clients.core import conversation, records, reminding
from clients.core.turn import Reminded
from gateway import wire
from tests.clients.alarms import by_two
from tests.clients.core.test_emergencies import scene as sos_scene
from tests.clients.core.test_two_people import Scene, scene
from tests.clients.relay import Party

NOTICE, OTHER = b"n" * 32, b"o" * 32


def told(s: Scene, party: Party, root: bytes, notice: bytes = NOTICE, *, here: bool = True) -> bool:
    """A reminder comes; whether there is something to show."""
    place = wire.Position(s.detail, _seq(s, party, root)) if here else None
    before = len(list(reminding.waiting(party.ledger)))
    party.act(lambda work: reminding.take(work.turn, wire.Remind(notice, root, 0, place)))
    return len(list(reminding.waiting(party.ledger))) > before


def _seq(s: Scene, party: Party, root: bytes) -> int:
    return next(seq for channel, seq in s.record(party, root).places if channel == s.detail)


def shown(party: Party, root: bytes) -> None:
    party.act(lambda work: reminding.show(work.turn, root))


def test_an_alert_that_waits() -> None:
    s = scene()
    root = by_two(s.chen, s.dara, s.detail)
    assert told(s, s.ana, root)
    [(named, reminder)] = reminding.waiting(s.ana.ledger)
    assert (named, reminder.notice, reminder.channel) == (root, NOTICE, s.detail)
    shown(s.ana, root)
    assert not list(reminding.waiting(s.ana.ledger))


def test_the_same_one_again_is_no_second_one_and_the_next_rung_is() -> None:
    s = scene()
    root = by_two(s.chen, s.dara, s.detail)
    assert told(s, s.ana, root)
    shown(s.ana, root)
    assert not told(s, s.ana, root)
    assert told(s, s.ana, root, OTHER)


def test_what_is_answered_or_over_reminds_nobody() -> None:
    s = scene()
    root = by_two(s.chen, s.dara, s.detail)
    s.ana.act(lambda work: conversation.acknowledge(work, root, "SAFE", ""))
    s.dara.act(lambda work: conversation.acknowledge(work, root, 0, ""))
    s.world.run()
    assert not told(s, s.ana, root)
    assert told(s, s.dara, root), "seen is no answer where a choice is asked"
    s.world.later(s.record(s.ben, root).draft.not_after + 1 - s.world.now)
    assert not told(s, s.ben, root)


def test_a_wake_up_without_content() -> None:
    """An alert that is in none of this device's channels: somebody is wanted, and that is all."""
    s = scene()
    assert told(s, s.luis, b"r" * 32, here=False)
    [(_, reminder)] = reminding.waiting(s.luis.ledger)
    assert reminder.channel == b""


def test_the_event() -> None:
    s = scene()
    root = by_two(s.chen, s.dara, s.detail)
    _, outcome = s.ana.device.act(
        s.world.now, lambda work: reminding.take(work.turn, wire.Remind(NOTICE, root, 0, None))
    )
    assert Reminded(root) in outcome.events


def test_an_sos_is_shown_once_more_by_each_reminder_however_often_that_comes() -> None:
    """The gateway tells again of what was not answered whenever a session begins."""
    s = sos_scene()
    root = s.call()

    def looks() -> bool:
        waiting = [key for key, _ in records.UNSHOWN.scan(s.bea.ledger)]
        for key in waiting:
            s.bea.act(lambda work, k=key: conversation.show(work, k[:16], int.from_bytes(k[16:], "big")))
        return bool(waiting)

    looks()
    again = []
    for notice in (NOTICE, NOTICE, OTHER):
        s.bea.take(wire.Remind(notice, root, 0, wire.Position(s.channel, 1)))
        again.append(looks())
    assert again == [True, False, True]
