"""The board: a person is asked once, officers beside a talk are not asked, counts are lists, and it fits a small screen."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from clients.board import Board, Reached, Ways, board
from clients.core import conversation, records
from clients.core.commits import Work
from clients.core.reaching import Sighting
from clients.officer import screens
from gateway.wire import NoticeState
from tests.clients.alarms import by_two, desk, document
from tests.clients.core.test_beside import pair, settle
from tests.clients.relay import Party, World, world_of
from tests.restored import restored


def seen(party: Party, root: bytes) -> Board:
    found: Board = party.act(lambda work: board(work, root))
    return found


def names(rows: object) -> list[str]:
    return [row.name for row in rows]  # type: ignore[attr-defined]


def test_a_person_with_two_devices_is_asked_once() -> None:
    world = world_of("Chen officer", "Dara officer", "Ana agent")
    chen, dara, ana = world.parties
    tablet = world.party("Ana", "agent", person=ana.enrolled.certified.person)
    ben = world.party("Ben", "agent")
    desk(world, chen, dara)
    channel = world.channel(chen, dara, ana, tablet, ben, kind="alert")
    root = by_two(chen, dara, channel)
    assert len(seen(chen, root).rows) == 2
    tablet.act(lambda work: conversation.acknowledge(work, root, "SAFE", "at the gate"))
    world.run()
    found = seen(chen, root)
    assert names(found.silent) == ["Ben"]
    (answered,) = found.answered
    assert set(answered.devices) == {ana.id, tablet.id}
    assert (answered.text, answered.words) == ("SAFE", "at the gate")


def test_officers_who_are_in_every_alert_channel_are_not_asked() -> None:
    world = world_of("Chen officer", "Ana agent", "Dara officer", "Eve officer")
    chen, ana, dara, eve = world.parties
    desk(world, chen, dara)
    for party in (chen,):
        party.disconnect()
        party.connect()
    talk, alarm = pair(chen, ana)
    settle(world)
    root = by_two(chen, dara, alarm)
    assert names(seen(chen, root).rows) == ["Ana"], "Chen is in the talk, and wrote it"
    assert names(seen(dara, root).rows) == ["Ana"], "Dara is not in the talk, and knows who is an officer"
    assert eve.id not in {d for row in seen(chen, root).rows for d in row.devices}
    assert talk


@pytest.fixture
@restored
def out() -> tuple[Party, bytes, World, Party, Party, Party]:
    world = world_of("Chen officer", "Dara officer", "Ana agent", "=Ben agent", "Luis guest")
    chen, dara, ana, ben, luis = world.parties
    desk(world, chen, dara)
    channel = world.channel(chen, dara, ana, ben, luis, kind="alert")
    return chen, by_two(chen, dara, channel, cap=document(options=("SAFE", "NEED HELP"))), world, ana, ben, luis


def test_the_silent_stand_first_and_counts_are_lists(out: tuple[Party, bytes, World, Party, Party, Party]) -> None:
    chen, root, world, ana, ben, luis = out
    ben.act(lambda work: conversation.acknowledge(work, root, "need help", ""))
    luis.act(lambda work: conversation.acknowledge(work, root, 0, "in a moment"))
    world.run()
    found = seen(chen, root)
    assert names(found.rows) == ["Ana", "Luis", "=Ben"]
    assert [row.reached for row in found.rows] == [Reached.DELIVERED, Reached.SHOWN, Reached.ANSWERED]
    assert [(text, names(rows)) for text, rows in found.by_option()] == [("SAFE", []), ("NEED HELP", ["=Ben"])]
    assert "in a moment" in "".join(screens.lines_of(found)), "what the silent say is shown"
    data = screens.as_object(found)
    assert data["silent"] == [party.enrolled.certified.person.hex() for party in (ana, luis)]
    assert len(data["targeted"]) == 3  # type: ignore[arg-type]
    assert "1 of 3 answered: 2 silent (1 seen, 1 delivered), 1 NEED HELP" in screens.summary(found)[0]
    assert [row.outside for row in found.rows] == [False, True, False]


def test_to_say_more_takes_no_choice_back(out: tuple[Party, bytes, World, Party, Party, Party]) -> None:
    chen, root, world, ana, *_ = out
    ana.act(lambda work: conversation.acknowledge(work, root, "SAFE", ""))
    world.run()
    ana.act(lambda work: conversation.acknowledge(work, root, 0, "at the gate"))
    world.run()
    (answered,) = seen(chen, root).answered
    assert (answered.text, answered.words) == ("SAFE", "at the gate")


@restored
def apart() -> tuple[World, Party, Party, bytes]:
    """An alert of Chen's to Ana, whose device was away all the time, and of whom nothing was ever heard."""
    world = world_of("Chen officer", "Dara officer", "Ana agent")
    chen, dara, ana = world.parties
    desk(world, chen, dara)
    channel = world.channel(chen, dara, ana, kind="alert")
    ana.disconnect()
    chen.disconnect()
    chen.connect()  # and is told of everybody's devices
    world.run()
    root = by_two(chen, dara, channel)
    forget(chen, ana)
    return world, chen, ana, root


@pytest.mark.parametrize(
    ("connected", "roads", "notices", "why"),
    [
        pytest.param(True, (), {}, (), id="connected"),
        pytest.param(False, (), {}, ("never-seen", "no-second-road"), id="never seen, no second road"),
        pytest.param(False, ("mail",), {}, (), id="a second road, not tried yet"),
        pytest.param(False, ("mail",), {"mail": NoticeState.SENT}, (), id="woken by it"),
        pytest.param(False, ("mail",), {"mail": NoticeState.FAILED}, ("never-seen", "mail-failed"), id="it failed"),
        pytest.param(False, ("mail", "pager"), {"mail": NoticeState.FAILED}, (), id="one of two failed"),
    ],
)
def test_who_is_unreachable_and_why(
    connected: bool, roads: tuple[str, ...], notices: dict[str, NoticeState], why: tuple[str, ...]
) -> None:
    _, chen, ana, root = apart()
    person = ana.enrolled.certified.person
    ways = Ways({ana.id: Sighting(connected, 0, roads)}, {person: notices})
    found: Board = chen.act(lambda work: board(work, root, ways))
    (row,) = found.rows
    assert (row.reached, row.why) == (Reached.UNREACHABLE if why else Reached.KEPT, why)
    assert [r.name for r in found.unreachable] == (["Ana"] if why else [])
    text = "\n".join([*screens.summary(found), *screens.lines_of(found)])
    assert ("UNREACHABLE" in text) == bool(why)
    assert screens.as_object(found)["unreachable"] == ([person.hex()] if why else [])
    assert list(csv.reader(StringIO(screens.as_csv(found))))[1][-1] == " ".join(why)


def forget(by: Party, whom: Party) -> None:
    """Nothing was ever heard of somebody here."""

    def drop(work: Work) -> None:
        for key, _ in list(records.RECEIVED.scan(work.turn.draft)):
            if key.endswith(whom.id):
                records.RECEIVED.delete(work.turn.draft, key)

    by.act(drop)


def test_without_the_gateway_only_who_has_no_device_is_unreachable() -> None:
    world, chen, _, root = apart()
    assert seen(chen, root).rows[0].reached is Reached.KEPT
    world.later(400 * 86_400_000)
    assert seen(chen, root).rows[0].why == ("no-device",)


def test_a_table_that_begins_no_formula(out: tuple[Party, bytes, World, Party, Party, Party]) -> None:
    chen, root, world, _, ben, _ = out
    ben.act(lambda work: conversation.acknowledge(work, root, 0, '=HYPERLINK("x"), "quoted"\n'))
    world.run()
    rows = list(csv.reader(StringIO(screens.as_csv(seen(chen, root)))))
    assert rows[0] == list(screens.COLUMNS)
    assert {len(row) for row in rows} == {len(screens.COLUMNS)}
    (theirs,) = [row for row in rows if "=Ben" in row[1]]
    assert theirs[1] == "'=Ben"
    assert theirs[7].startswith("'=HYPERLINK")


def test_lines_are_short(out: tuple[Party, bytes, World, Party, Party, Party]) -> None:
    chen, root, world, _, ben, _ = out
    ben.act(lambda work: conversation.acknowledge(work, root, "need help", "very long words " * 12))
    world.run()
    lines = screens.lines_of(seen(chen, root))
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
