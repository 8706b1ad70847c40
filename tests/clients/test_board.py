"""The board: a person is asked once, officers beside a talk are not asked, counts are lists, and it fits a small screen."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from clients.board import Board, Reached, board
from clients.core import conversation
from clients.officer import screens
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
    luis.act(lambda work: conversation.acknowledge(work, root, 0, ""))
    world.run()
    found = seen(chen, root)
    assert names(found.rows) == ["Ana", "=Ben", "Luis"]
    assert found.rows[0].reached is Reached.DELIVERED
    assert [(text, names(rows)) for text, rows in found.by_option()] == [
        ("SAFE", []),
        ("NEED HELP", ["=Ben"]),
        ("seen", ["Luis"]),
    ]
    data = screens.as_object(found)
    assert data["silent"] == [ana.enrolled.certified.person.hex()]
    assert len(data["targeted"]) == 3  # type: ignore[arg-type]
    assert "1 silent, 1 NEED HELP, 1 seen" in screens.summary(found)[0]
    assert [row.outside for row in found.rows] == [False, False, True]


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
