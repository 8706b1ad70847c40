"""Drafts from wishes, among devices that have really talked: chains, who is told of an end, and what a reader is told besides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from clients.core import composing, issuing
from clients.core.cap import Alert, open_alert
from clients.core.cap.chains import Standing, is_all_clear, standings
from clients.core.composing import Wish
from clients.core.composition import NotComposed, shape
from clients.core.doubts import doubts
from clients.core.errors import ClientError, NotNow, Unknown, Withheld
from clients.core.freezing import order_of
from clients.core.records import AlertDraft
from clients.core.template_file import read
from clients.core.templates import Template, Value
from clients.core.turn import DAY, HOUR
from keys.alert import LIFE, AlertType
from keys.envelope import Marking
from tests.clients.alarms import CAP, alone, document
from tests.clients.core.test_templates import SOURCE
from tests.clients.relay import Party, World
from tests.restored import restored

CROWD = read(SOURCE.encode())
OVER = read(
    SOURCE.replace("Crowd at {place}", "OVER: {about}")
    .replace("Multitud en {place}", "FIN: {about}")
    .replace('urgency = "Immediate"', 'urgency = "Past"')
    .replace('["Shelter"]', '["AllClear"]')
    .replace('instruction = "Stay away from {place}."', "")
    .replace('[slots.place]\nask = "Where?"\nlongest = 20\n[slots.what]\nask = "What?"\nwords = true\n', "")
    .replace("{what}", "Over.")
    .encode()
)
FILLED = (Value("place", "Gate 2"), Value("what", "Stones."), Value("what", "Piedras.", "es"))


class Scene:
    """Chen and Dara, Ana and Ben; an alert channel with each of the latter."""

    def __init__(self) -> None:
        self.world = World()
        self.chen, self.dara = self.world.party("Chen", "officer"), self.world.party("Dara", "officer")
        self.ana, self.ben = self.world.party("Ana", "agent"), self.world.party("Ben", "agent")
        self.north = self.world.channel(self.chen, self.dara, self.ana, kind="alert", ceiling=Marking.AMBER)
        self.south = self.world.channel(self.chen, self.dara, self.ben, kind="alert", ceiling=Marking.AMBER)

    def wish(self, **changes: object) -> Wish:
        return replace(Wish(template=CROWD, values=FILLED, channels=(self.north,)), **changes)  # type: ignore[arg-type]

    def compose(self, wish: Wish, by: Party | None = None) -> AlertDraft:
        draft = (by or self.chen).act(lambda work: composing.compose(work, wish))
        assert isinstance(draft, AlertDraft)
        return draft

    def send(self, draft: AlertDraft, by: Party | None = None) -> bytes:
        """Alone, at once; gives its root."""
        party = by or self.chen

        def go(work: object) -> bytes:
            content, _ = issuing.alone(work, order_of(draft, party.world.now, "nobody else is there"))  # type: ignore[arg-type]
            return content.draft.root

        root: bytes = party.act(go)
        self.world.run()
        self.world.later(60_000)
        return root

    def update(self, root: bytes, *channels: bytes, by: Party | None = None) -> bytes:
        wish = self.wish(type=AlertType.UPDATE, ends=root, channels=channels)
        return self.send(self.compose(wish, by), by)


opened = restored(Scene)


@pytest.fixture
def scene() -> Scene:
    return opened()


def names(alert: Alert) -> list[str]:
    return [reference.identifier for reference in alert.references]


def test_an_end_names_the_whole_chain_and_goes_to_all_who_were_told(scene: Scene) -> None:
    first = scene.send(scene.compose(scene.wish(channels=(scene.north, scene.south))))
    second = scene.update(first, scene.north)
    clear = scene.compose(Wish(type=AlertType.ALL_CLEAR, template=OVER, ends=second))
    assert set(clear.channels) == {scene.north, scene.south}
    assert clear.references == sorted([first, second])
    made = composing.freeze(clear, scene.world.now).alert
    documents = dict(composing.documents(scene.chen.ledger))
    assert names(made) == [documents[first].identifier, documents[second].identifier]
    assert is_all_clear(made)
    assert [info.headline for info in made.infos] == ["OVER: Crowd at Gate 2", "FIN: Multitud en Gate 2"]
    assert made.sender == "meridian@meridian-mission"
    scene.send(clear)
    for party in (scene.chen, scene.ana, scene.ben):
        held = standings(dict(composing.documents(party.ledger)).values(), scene.world.now)
        assert {h.standing for h in held} <= {Standing.CLEARED, Standing.NOTICE}, party.name


def test_place_marking_and_drill_come_from_what_is_ended(scene: Scene) -> None:
    drill = scene.wish(marking=Marking.GREEN, exercise="IRON GATE", shapes=(shape("circle 1,2 3"),))
    root = scene.send(scene.compose(drill))
    ended = scene.compose(Wish(type=AlertType.ALL_CLEAR, template=OVER, ends=root))
    made = composing.freeze(ended, scene.world.now).alert
    assert Marking(ended.marking) is Marking.GREEN
    assert (made.is_exercise, made.note, made.restriction) == (True, "IRON GATE", "TLP:GREEN")
    assert made.infos[0].areas[0].circles[0].radius_km == 3
    assert made.infos[0].areas[0].description == "Gate 2"


def test_a_file_that_ends_names_what_it_ends(scene: Scene) -> None:
    root = alone(scene.chen, scene.north)
    scene.world.run()
    own = scene.compose(Wish(type=AlertType.UPDATE, file=document("MM-2", type="Update", after="MM-1"), ends=root))
    assert (own.written, own.references, own.channels) == (False, [root], [scene.north])
    with pytest.raises(NotComposed, match="its references must name mso@meridian"):
        scene.compose(Wish(type=AlertType.UPDATE, file=document("MM-3", type="Update", after="MM-0"), ends=root))
    with pytest.raises(NotComposed, match="its msgType is Update"):
        scene.compose(Wish(file=document("MM-2", type="Update", after="MM-1"), channels=(scene.north,)))


@pytest.mark.parametrize(
    ("changes", "error", "why"),
    [
        pytest.param({"ends": bytes(32)}, Unknown, "no alert 00000000 here", id="an alert that is not here"),
        pytest.param(
            {"type": AlertType.UPDATE}, NotComposed, "names the alert that it ends", id="an update of nothing"
        ),
        pytest.param({"expires": 1}, NotComposed, "over before it is sent", id="over already"),
        pytest.param({"place": "a\u202eb"}, NotComposed, "the place holds", id="an override in the place"),
        pytest.param(
            {"exercise": "I\u200bG"}, NotComposed, "the exercise's name holds", id="zero width in a drill's name"
        ),
        pytest.param(
            {"respond": tuple(Value("", f"{n}") for n in range(20))}, NotComposed, "at most 16", id="20 replies"
        ),
    ],
)
def test_wishes_that_come_to_nothing(
    scene: Scene, changes: dict[str, object], error: type[ClientError], why: str
) -> None:
    with pytest.raises(error, match=why):
        scene.compose(scene.wish(**changes))


def test_keeping_checks_once_more(scene: Scene) -> None:
    draft = scene.compose(scene.wish())

    def refused(draft: AlertDraft, by: Party | None = None) -> type[ClientError]:
        with pytest.raises(ClientError) as error:
            (by or scene.chen).act(lambda work: composing.keep(work, draft))
        return error.type

    assert refused(draft, scene.ana) is Withheld
    assert refused(changed(draft, marking=Marking.GREEN)) is NotComposed
    assert refused(changed(draft, channels=[])) is Unknown
    assert refused(changed(draft, lasts=LIFE + HOUR)) is NotNow
    assert refused(changed(draft, type=AlertType.UPDATE)) is NotComposed
    key = scene.chen.act(lambda work: composing.keep(work, draft))
    ((found, kept),) = composing.drafts(scene.chen.ledger)
    assert (found, kept) == (key, draft)
    assert composing.find(scene.chen.ledger, composing.name_of(key)[:6].upper()) == (key, draft)
    scene.chen.act(lambda work: composing.drop(work, key))
    for wanted in (composing.name_of(key), ""):
        with pytest.raises(Unknown):
            composing.find(scene.chen.ledger, wanted)


def test_a_draft_kept_overnight_is_frozen_with_the_times_of_then(scene: Scene) -> None:
    draft = scene.compose(scene.wish(lasts=2 * HOUR))
    frozen = composing.freeze(draft, scene.world.now + DAY)
    assert frozen.alert.sent_at == scene.world.now + DAY
    assert frozen.not_after == frozen.alert.sent_at + 2 * HOUR
    assert frozen.options == ("SAFE", "NEED HELP")
    until = scene.compose(scene.wish(expires=scene.world.now + 3 * HOUR))
    assert composing.freeze(until, scene.world.now + HOUR).not_after == scene.world.now + 3 * HOUR
    with pytest.raises(NotNow):
        composing.freeze(until, scene.world.now + 3 * HOUR)


def test_a_template_without_all_words_speaks_the_languages_it_can(scene: Scene) -> None:
    spoken = scene.compose(scene.wish(values=FILLED[:2]))
    assert [info.language for info in open_alert(spoken.cap).infos] == ["en"]


def test_replies_of_ones_own(scene: Scene) -> None:
    both = scene.compose(scene.wish(respond=(Value("", "CORDON SET"), Value("", "CORDÓN", "es"))))
    assert [info.response_options for info in open_alert(both.cap).infos] == [("CORDON SET",), ("CORDÓN",)]


def test_a_reader_is_told_what_is_doubtful_about_a_chain(scene: Scene) -> None:
    first = alone(scene.chen, scene.north, cap=CAP)
    scene.world.run()
    for identifier in ("MM-2", "MM-3"):
        update = document(identifier, type="Update", after="MM-1")
        alone(scene.chen, scene.north, cap=update, references=[first])
        scene.world.run()
    roots = {alert.identifier: root for root, alert in composing.documents(scene.ana.ledger)}
    assert doubts(scene.ana.ledger, roots["MM-1"], scene.world.now) == []
    for identifier in ("MM-2", "MM-3"):
        (said,) = doubts(scene.ana.ledger, roots[identifier], scene.world.now)
        assert "ask which of them counts" in said
    assert doubts(scene.ana.ledger, bytes(32), scene.world.now) == []


def test_templates_of_the_scene_are_what_they_should_be() -> None:
    assert isinstance(OVER, Template)
    assert OVER.slots == ()
