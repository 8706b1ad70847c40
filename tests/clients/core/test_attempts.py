"""What a device refuses its own user is said to the officers and into the log, without a word of what was to be sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.core import announcements, attempts, conversation, issuing, outbox
from clients.core.errors import Withheld
from gateway.wire import Refusal
from keys.body import read_withheld
from keys.envelope import Kind, Marking
from keys.policy import Verb
from tests.clients.alarms import document, submit
from tests.clients.core.test_two_people import Scene, scene

SECRET = "Gather at the north gate"


@pytest.fixture
def s() -> Scene:
    return scene()


def say(party: object, what: Kind = Kind.ALERT, why: Refusal = Refusal.TLP) -> bytes | None:
    return party.act(lambda work: attempts.say(work, what, why))  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("act", "why"),
    [
        pytest.param(
            lambda s: submit(s.chen, s.detail, s.police, marking=Marking.AMBER_STRICT),
            Refusal.TLP,
            id="strict to a partner",
        ),
        pytest.param(lambda s: submit(s.chen, s.detail, marking=Marking.RED), Refusal.TLP, id="red to a channel"),
        pytest.param(
            lambda s: submit(s.chen, s.police, cap=document(status="Exercise")), Refusal.TLP, id="play over the fence"
        ),
        pytest.param(lambda s: lapsed(s), Refusal.EXPIRED, id="a lapsed agreement"),
        pytest.param(lambda s: submit(s.ana, s.detail), Refusal.ROLE, id="not permitted"),
        pytest.param(lambda s: approve_own(s), Refusal.ROLE, id="his own"),
    ],
)
def test_what_the_rules_forbid_has_a_class(s: Scene, act: Callable[[Scene], object], why: Refusal) -> None:
    with pytest.raises(Withheld) as refused:
        act(s)
    assert refused.value.refusal is why


def lapsed(s: Scene) -> object:
    s.world.later(400 * 86_400_000)
    return submit(s.chen, s.police)


def approve_own(s: Scene) -> object:
    root = submit(s.chen, s.detail)
    return s.chen.act(lambda work: issuing.approve(work, root))


def test_another_officer_reads_who_tried_and_why_and_nothing_else(s: Scene) -> None:
    s.world.run()
    say(s.ana, Kind.APPROVAL, Refusal.ROLE)
    s.world.run()
    for officer in (s.chen, s.dara):
        (seen,) = announcements.withheld(officer.ledger, 0)
        assert (seen.device, attempts.words(seen.body)) == (s.ana.id, "to approve an alert: not for this person (ROLE)")
        said = read_withheld(seen.body)
        assert (said.what, said.refusal) == (Kind.APPROVAL, Refusal.ROLE)
    assert announcements.withheld(s.ben.ledger, 0) == []
    assert len(announcements.withheld(s.ana.ledger, 0)) == 1  # its author sees what was said


def test_few_are_said_at_once(s: Scene) -> None:
    assert say(s.ana) is not None
    assert say(s.ana) is None  # it waits already
    assert say(s.ana, Kind.APPROVAL) is not None
    assert say(s.ana, why=Refusal.ROLE) is not None
    assert say(s.ana, why=Refusal.EXPIRED) is None
    waiting = [item for _, item in outbox.queued(s.ana.ledger) if item.kind is Kind.WITHHELD]
    assert len(waiting) == attempts.AT_ONCE
    s.world.run()
    s.world.later(attempts.MINUTE + 1)
    assert say(s.ana) is not None


def test_other_verbs_are_refused_as_before(s: Scene) -> None:
    with pytest.raises(Withheld, match="does not allow"):
        s.ana.act(lambda work: conversation.need(work, Verb.ADD))
    assert not outbox.queued(s.ana.ledger)
