"""From what is wanted said to a document: the house's form, checked by our rules and by the schema's oracle."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from clients.core.cap import Alert, Circle, Point, Reference, check, open_alert
from clients.core.cap.schema import CERTAINTY, SEVERITY, URGENCY
from clients.core.composition import (
    DRILL,
    Composition,
    NotComposed,
    Shape,
    check_house,
    document,
    marking_in,
    shape,
)
from clients.core.templates import Wording
from keys.alert import AlertType
from keys.envelope import Marking
from tests.clients.core.documents import SAMPLE, alert, information
from tests.shared import shared

NOW = 1_791_992_520_000
ENGLISH = Wording(
    "en", "", "Crowd", "Crowd at Gate 2", "Stones < 5 & flares.", "Stay in.", "Channel 2", ("SAFE", "HELP")
)
SPANISH = Wording("es", "machine", "Multitud", "Multitud", "Vuelan piedras.", "", "", ("A SALVO", "AYUDA"))
EARLIER = Reference("meridian@meridian-mission", "M-1", "2026-10-14T15:00:00-00:00")
GATE = Shape(circle=Circle(Point(12.1015, -68.9336), 0.4))
WANTED = Composition(
    type=AlertType.ALERT,
    sender="meridian@meridian-mission",
    sender_name="Meridian",
    categories=("Security",),
    responses=("Shelter",),
    urgency="Immediate",
    severity="Severe",
    certainty="Observed",
    marking=Marking.AMBER,
    lasts=3_600_000,
    exercise="",
    note="",
    references=(),
    place="Gate 2",
    shapes=(GATE,),
    texts=(ENGLISH, SPANISH),
    template="crowd 3",
)


def composed(**changes: object) -> Alert:
    return open_alert(document(replace(WANTED, **changes), "M-2", NOW))  # type: ignore[arg-type]


def test_a_document_says_what_was_wanted() -> None:
    made = composed()
    assert check(made.original).verdict == "accept"
    assert (made.scope, made.restriction, made.status, made.msg_type) == ("Restricted", "TLP:AMBER", "Actual", "Alert")
    assert made.sent_at == NOW
    english, spanish = made.infos
    assert (english.headline, english.description) == ("Crowd at Gate 2", "Stones < 5 & flares.")
    assert (english.expires_at, english.contact, english.sender_name) == (NOW + 3_600_000, "Channel 2", "Meridian")
    assert (english.translation, spanish.translation) == ("", "machine")
    assert (english.response_options, spanish.response_options) == (("SAFE", "HELP"), ("A SALVO", "AYUDA"))
    assert english.areas[0].circles == (Circle(Point(12.1015, -68.9336), 0.4),)
    assert ("template", "crowd 3") in {(p.name, p.value) for p in english.parameters}
    assert made.precedence_is_flash
    check_house(made, AlertType.ALERT, Marking.AMBER)


def test_a_drill_says_so_everywhere() -> None:
    drill = composed(exercise="IRON GATE", note="second run")
    assert drill.is_exercise
    assert drill.note == "IRON GATE. second run"
    for info in drill.infos:
        assert info.headline.startswith(DRILL)
        assert info.headline.endswith(DRILL)
        assert info.description.startswith(DRILL)
        assert info.description.endswith(DRILL)
    check_house(drill, AlertType.ALERT, Marking.AMBER)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        pytest.param(AlertType.UPDATE, {}, id="update"),
        pytest.param(AlertType.CANCEL, {"urgency": "Past", "responses": ()}, id="cancel"),
        pytest.param(AlertType.ALL_CLEAR, {"urgency": "Past", "responses": ("AllClear",)}, id="all-clear"),
    ],
)
def test_an_end_names_what_it_ends(kind: AlertType, changes: dict[str, object]) -> None:
    made = composed(type=kind, references=(EARLIER,), **changes)
    assert made.references == (EARLIER,)
    check_house(made, kind, Marking.AMBER)
    with pytest.raises(NotComposed):
        check_house(made, AlertType.ALERT, Marking.AMBER)


SAFE = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40).filter(
    lambda t: t.strip()
)
TEXTS = st.builds(
    Wording,
    st.sampled_from(["en", "es-MX", "fr"]),
    st.sampled_from(["", "human", "machine"]),
    SAFE,
    SAFE,
    SAFE,
    st.one_of(st.just(""), SAFE),
    st.one_of(st.just(""), SAFE),
    st.just(("YES", "NO")),
)
DEGREES = st.floats(-80, 80).map(lambda d: round(d, 6))
SHAPES = st.builds(
    lambda p, r: Shape(circle=Circle(p, r)),
    st.builds(Point, DEGREES, DEGREES),
    st.floats(0, 900).map(lambda r: round(r, 3)),
)


@settings(max_examples=100, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=3),
    shapes=st.lists(SHAPES, max_size=3),
    urgency=st.sampled_from(URGENCY.name.removeprefix("one of ").split(", ")),
    severity=st.sampled_from(SEVERITY.name.removeprefix("one of ").split(", ")),
    certainty=st.sampled_from(CERTAINTY.name.removeprefix("one of ").split(", ")),
    marking=st.sampled_from([Marking.CLEAR, Marking.GREEN, Marking.AMBER, Marking.AMBER_STRICT]),
    exercise=st.sampled_from(["", "IRON GATE"]),
)
def test_whatever_is_composed_is_valid_to_the_schema_and_says_it_again(
    texts: list[Wording], shapes: list[Shape], marking: Marking, exercise: str, **words: str
) -> None:
    wanted = replace(WANTED, texts=tuple(texts), shapes=tuple(shapes), marking=marking, exercise=exercise, **words)  # type: ignore[arg-type]
    data = document(wanted, "M-3", NOW)
    assert etree.XMLSchema(etree.parse(shared("cap/CAP-v1.2.xsd"))).validate(etree.fromstring(data))
    made = open_alert(data)
    check_house(made, AlertType.ALERT, marking)
    assert [i.event for i in made.infos] == [t.event for t in texts]
    assert [c for a in made.infos[0].areas for c in a.circles] == [s.circle for s in shapes]


# --- areas ---


@pytest.mark.parametrize(
    ("text", "made"),
    [
        pytest.param("circle 12.1015,-68.9336 0.4", GATE, id="circle"),
        pytest.param("  circle   12.1015,-68.9336   0.4 km ", GATE, id="circle with its unit"),
        pytest.param(
            "polygon 1,2 1,3 2,3",
            Shape(polygon=(Point(1, 2), Point(1, 3), Point(2, 3), Point(1, 2))),
            id="closed for you",
        ),
        pytest.param(
            "polygon 1,2 1,3 2,3 1,2", Shape(polygon=(Point(1, 2), Point(1, 3), Point(2, 3), Point(1, 2))), id="closed"
        ),
    ],
)
def test_an_area_as_it_is_typed(text: str, made: Shape) -> None:
    assert shape(text) == made


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "is no area", id="nothing"),
        pytest.param("0.4 km", "is no area", id="no shape"),
        pytest.param("circle 12,-68", "latitude,longitude and a radius", id="no radius"),
        pytest.param("circle 12 -68 1", "latitude,longitude and a radius", id="no comma"),
        pytest.param("circle -168.9,12.1 1", "latitude,longitude and a radius", id="longitude first"),
        pytest.param("circle 12,-68 5000", "at most 1000", id="an ocean"),
        pytest.param("polygon 1,2 3,4", "three corners", id="two corners"),
        pytest.param("polygon", "three corners", id="no corner"),
        pytest.param("polygon 1,2 3,4 5,6 7,8", "lie in a line", id="corners in a line"),
        pytest.param("polygon 1,2 3;4 5,6", "corners with a space", id="semicolon"),
        pytest.param("polygon 1,2 1,200 3,4", "not on the globe", id="off the globe"),
        pytest.param("polygon 1,179 1,-179 2,-179", "date line", id="across the date line"),
    ],
)
def test_an_area_that_can_t_be_meant(text: str, why: str) -> None:
    with pytest.raises(NotComposed, match=why):
        shape(text)


@given(st.text(max_size=60))
def test_any_text_is_an_area_or_refused(text: str) -> None:
    with pytest.raises(NotComposed):
        shape(f"x{text}")


# --- the house's rules for a file ---

RESTRICTED = {"scope": "Restricted", "between": "<restriction>TLP:AMBER</restriction>"}
OPTION = "<parameter><valueName>response-option</valueName><value>{}</value></parameter>"


@pytest.mark.parametrize(
    ("text", "marking", "why"),
    [
        pytest.param(alert(""), Marking.AMBER, "its scope is Public", id="public and marked"),
        pytest.param(alert("", **RESTRICTED), Marking.GREEN, "they must be the same", id="another marking"),
        pytest.param(
            alert("", scope="Restricted", between="<restriction>secret</restriction>"),
            Marking.AMBER,
            "says 'secret'",
            id="no TLP",
        ),
        pytest.param(alert("", status="Test"), Marking.CLEAR, "its status is Test", id="a test"),
        pytest.param(alert("", status="Draft"), Marking.CLEAR, "its status is Draft", id="a draft"),
        pytest.param(
            alert("", status="Exercise", between="<note>IRON</note>"),
            Marking.CLEAR,
            "at both ends",
            id="an unmarked drill",
        ),
        pytest.param(alert("", status="Exercise"), Marking.CLEAR, "names itself", id="a drill without a name"),
        pytest.param(
            alert(OPTION.format("A"), last=information()),
            Marking.CLEAR,
            "numbers of replies",
            id="replies in one block only",
        ),
        pytest.param(alert("<headline>a\u202eb</headline>"), Marking.CLEAR, "U+202E", id="an override in a headline"),
        pytest.param(
            alert("<description>a\u200bb</description>"), Marking.CLEAR, "description holds", id="zero width in a text"
        ),
        pytest.param(
            alert("<headline>e" + "\u0301" * 9 + "</headline>"), Marking.CLEAR, "more marks", id="a flood of marks"
        ),
        pytest.param(
            alert(OPTION.format("\u2066A")), Marking.CLEAR, "response-option holds", id="an isolate in a reply"
        ),
        pytest.param(
            alert("".join(OPTION.format(n) for n in range(40))), Marking.CLEAR, "more than 32 replies", id="40 replies"
        ),
    ],
)
def test_a_file_that_the_house_does_not_send(text: str, marking: Marking, why: str) -> None:
    with pytest.raises(NotComposed, match=why.replace("+", r"\+")):
        check_house(open_alert(text.encode()), AlertType.ALERT, marking)


def test_files_that_the_house_sends() -> None:
    check_house(open_alert(SAMPLE.read_bytes()), AlertType.ALERT, Marking.AMBER)
    check_house(open_alert(alert("").encode()), AlertType.ALERT, Marking.CLEAR)
    check_house(open_alert(alert("", **RESTRICTED).encode()), AlertType.ALERT, Marking.AMBER)
    several_lines = alert("<description>one\ntwo</description>", **RESTRICTED)
    check_house(open_alert(several_lines.encode()), AlertType.ALERT, Marking.AMBER)


@pytest.mark.parametrize(
    ("restriction", "marking"),
    [
        ("TLP:AMBER+STRICT", Marking.AMBER_STRICT),
        ("TLP:AMBER officers only", Marking.AMBER),
        ("TLP:WHITE", Marking.CLEAR),
        ("TLP: AMBER", None),
        ("tlp:amber", None),
        ("secret", None),
    ],
)
def test_the_marking_that_a_document_states(restriction: str, marking: Marking | None) -> None:
    document = alert("", scope="Restricted", between=f"<restriction>{restriction}</restriction>")
    assert marking_in(open_alert(document.encode())) is marking
