"""Templates: what a file may say, what filling makes of it, and what blocks."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.content import TEMPLATE_LIMIT
from clients.core.errors import ClientError, Unknown
from clients.core.template_file import read
from clients.core.templates import EmptySlots, Template, TemplateRefused, Value, fill, in_languages, missing, speaking
from keys.envelope import Marking

SOURCE = """
name = "crowd"
version = 3
owner = "Security desk"
tested = 2026-09-14
about = "A crowd."
categories = ["Security", "Safety"]
responses = ["Shelter"]
urgency = "Immediate"
severity = "Severe"
certainty = "Observed"
lasts = "4h"

[slots.place]
ask = "Where?"
longest = 20
[slots.what]
ask = "What?"
words = true

[text.en]
event = "Crowd"
headline = "Crowd at {place}"
description = "{what}"
instruction = "Stay away from {place}."
contact = "Channel 2"
respond = ["SAFE", "NEED HELP"]

[text.es]
translation = "human"
event = "Multitud"
headline = "Multitud en {place}"
description = "{what}"
respond = ["A SALVO", "AYUDA"]
"""
PLACE, WHAT = Value("place", "Gate 2"), Value("what", "Stones fly.")
SPANISH = Value("what", "Vuelan piedras.", "es")


@pytest.fixture
def template() -> Template:
    return read(SOURCE.encode())


def test_a_template_says_what_its_file_says(template: Template) -> None:
    assert (template.name, template.version, template.owner) == ("crowd", 3, "Security desk")
    assert template.tested is not None
    assert template.tested.isoformat() == "2026-09-14"
    assert (template.lasts, template.marking, template.is_flash) == (4 * 3_600_000, Marking.AMBER, True)
    assert template.languages == ("en", "es")
    assert [(s.name, s.longest, s.words) for s in template.slots] == [("place", 20, False), ("what", 200, True)]
    assert template.source == SOURCE.encode()
    assert read(SOURCE.replace("\n", "\r\n").encode()).texts == template.texts


def test_the_examples_that_come_with_the_program_are_good() -> None:
    folder = files("clients.officer").joinpath("examples")
    names = []
    for file in folder.iterdir():
        example = read(file.read_bytes())
        assert file.name == f"{example.name}.toml"
        assert example.tested is None  # nobody here has drilled it
        assert all(text.translation == "machine" for text in example.texts[1:])
        names.append(example.name)
    assert {"crowd-threat", "shelter", "evacuate", "medical", "all-clear", "cancelled"} <= set(names)


WRONG = [
    pytest.param("name = ", "not TOML", id="not TOML"),
    pytest.param(SOURCE.replace('"crowd"', '"Crowd"'), "name has small letters", id="a name with a capital"),
    pytest.param(SOURCE.replace("version = 3", "version = 0"), "version must be", id="version 0"),
    pytest.param(SOURCE.replace("version = 3", 'version = "3"'), "version is no int", id="version as text"),
    pytest.param(SOURCE.replace("version = 3", "version = true"), "version is no int", id="version as a truth"),
    pytest.param(SOURCE.replace('owner = "Security desk"', ""), "owner is missing", id="no owner"),
    pytest.param(SOURCE.replace("owner", "ownr"), "owner is missing", id="a slip of the pen"),
    pytest.param(SOURCE.replace("[slots.place]", "colour = 1\n[slots.place]"), "unknown colour", id="a key unknown"),
    pytest.param(SOURCE.replace('"Immediate"', '"Now"'), "urgency must be", id="an urgency that CAP hasn't"),
    pytest.param(SOURCE.replace('["Shelter"]', '["Hide"]'), "responses must each be", id="a response unknown"),
    pytest.param(SOURCE.replace('["Security", "Safety"]', "[]"), "categories must", id="no category"),
    pytest.param(SOURCE.replace('"4h"', '"4"'), "lasts must be", id="a duration without a unit"),
    pytest.param(SOURCE.replace('"4h"', '"31d"'), "lasts must be", id="longer than any alert"),
    pytest.param(SOURCE.replace("tested = 2026-09-14", 'tested = "today"'), "tested is no date", id="tested as text"),
    pytest.param(SOURCE.replace("at {place}", "at {place"), "a brace without", id="a brace alone"),
    pytest.param(SOURCE.replace("at {place}", "at {where}"), "no slot is called where", id="a slot unknown"),
    pytest.param(SOURCE.replace("en {place}", "allí"), "[text.es]: does not use the slot place", id="a slot left out"),
    pytest.param(SOURCE.replace('"A SALVO", ', ""), "the n-th reply means the same", id="fewer replies in Spanish"),
    pytest.param(SOURCE.replace('translation = "human"', ""), "translation must be", id="a translation by nobody"),
    pytest.param(
        SOURCE.replace("[text.en]", '[text.en]\ntranslation = "human"'),
        "the first text",
        id="the first is no translation",
    ),
    pytest.param(SOURCE.replace("[text.es]", "[text.EN]"), "each language stands there once", id="English twice"),
    pytest.param(SOURCE.replace("[text.es]", "[text.e_s]"), "no language tag", id="no language"),
    pytest.param(SOURCE.replace("Stay away", "Stay\u202e away"), "nobody can see: U+202E", id="an override"),
    pytest.param(SOURCE.replace("Crowd at", "Crowd\u200b at"), "nobody can see: U+200B", id="zero width"),
    pytest.param(SOURCE.replace('"Crowd"', '"Cafe\u0301"'), "composed form", id="not NFC"),
    pytest.param(SOURCE.replace('"NEED HELP"', '"safe"'), "each another one", id="a reply twice"),
    pytest.param(SOURCE.replace('"NEED HELP"', "1"), "respond: 2 is no str", id="a reply that is a number"),
    pytest.param(SOURCE.replace("[slots.what]", "[slots.What]"), "a slot's name", id="a slot with a capital"),
    pytest.param(SOURCE + "\n" + "#" * TEMPLATE_LIMIT, "at most", id="too long"),
    pytest.param(SOURCE.split("[text.en]")[0], "has a text", id="no text"),
    pytest.param("a = " + "[" * 5_000, "not TOML", id="deep"),
]


@pytest.mark.parametrize(("source", "why"), WRONG)
def test_a_file_that_is_wrong_is_refused_and_says_where(source: str, why: str) -> None:
    with pytest.raises(TemplateRefused, match=why.replace("[", r"\[").replace("+", r"\+")):
        read(source.encode())


def test_a_name_in_two_letters_of_the_wrong_bytes_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="not TOML"):
        read(b'name = "\xff"')


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_template(data: bytes) -> None:
    with pytest.raises(TemplateRefused):
        read(data)


@given(st.data())
def test_a_damaged_file_is_a_template_or_refused(data: st.DataObject) -> None:
    source = SOURCE.encode()
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(len(source), start + 40)))
    try:
        found = read(source[:start] + data.draw(st.binary(max_size=8)) + source[end:])
    except TemplateRefused:
        return
    assert found.texts


# --- filling ---


def test_slots_are_filled_in_each_language_with_its_own_words(template: Template) -> None:
    english, spanish = fill(template, [PLACE, WHAT, SPANISH])
    assert (english.headline, english.description) == ("Crowd at Gate 2", "Stones fly.")
    assert english.instruction == "Stay away from Gate 2."
    assert (spanish.headline, spanish.description) == ("Multitud en Gate 2", "Vuelan piedras.")
    assert (english.translation, spanish.translation) == ("", "human")


def test_a_value_is_put_in_composed_form_and_trimmed(template: Template) -> None:
    english, _ = fill(template, [Value("place", "  Cafe\u0301 "), WHAT, SPANISH])
    assert english.headline == "Crowd at Caf\u00e9"


BLOCKED = [
    pytest.param([], "slot place is empty (Where?): --set place=…", id="nothing"),
    pytest.param([WHAT, SPANISH], "slot place is empty", id="one slot"),
    pytest.param([Value("place", "  "), WHAT, SPANISH], "slot place is empty", id="only space"),
    pytest.param([PLACE, WHAT], "slot what has no words in es: --set es:what=…", id="no Spanish words"),
    pytest.param([PLACE, SPANISH], "slot what is empty", id="Spanish words alone"),
]


@pytest.mark.parametrize(("values", "why"), BLOCKED)
def test_an_empty_slot_blocks(template: Template, values: list[Value], why: str) -> None:
    with pytest.raises(EmptySlots) as blocked:
        fill(template, values)
    assert why in str(blocked.value)


REFUSED = [
    pytest.param(Value("colour", "red"), Unknown, "no slot 'colour'", id="a slot unknown"),
    pytest.param(Value("place", "there", "fr"), Unknown, "no text in fr", id="a language unknown"),
    pytest.param(Value("place", "x" * 21), TemplateRefused, "takes 20 characters", id="too long"),
    pytest.param(Value("place", "a\u202eb"), TemplateRefused, "U+202E", id="an override"),
    pytest.param(Value("place", "a\nb"), TemplateRefused, "U+000A", id="a line end"),
    pytest.param(Value("place", "e" + "\u0301" * 8), TemplateRefused, "more marks", id="a flood of marks"),
    pytest.param(Value("place", "{what}"), TemplateRefused, "braces", id="a slot in a slot"),
]


@pytest.mark.parametrize(("value", "error", "why"), REFUSED)
def test_a_value_that_may_not_be(template: Template, value: Value, error: type[ClientError], why: str) -> None:
    with pytest.raises(error) as refused:
        fill(template, [PLACE, WHAT, SPANISH, value])
    assert why in str(refused.value)


def test_languages_are_chosen_and_marked(template: Template) -> None:
    assert in_languages(template, []).languages == ("en", "es")
    assert in_languages(template, [("en", "")]).languages == ("en",)
    assert in_languages(template, [("ES", "machine")]).texts[1].translation == "machine"
    assert in_languages(template, [("es", "")]).texts[1].translation == "human"
    with pytest.raises(Unknown, match="no text in fr: it has en, es"):
        in_languages(template, [("fr", "")])
    with pytest.raises(Unknown, match="human or machine"):
        in_languages(template, [("es", "robot")])


def test_a_language_without_words_is_left_out_and_told_of(template: Template) -> None:
    spoken, left_out = speaking(template, [PLACE, WHAT])
    assert spoken.languages == ("en",)
    assert left_out == [], "nobody has asked for Spanish"
    begun = speaking(template, [PLACE, WHAT, Value("place", "la Puerta 2", "es")])[1]
    assert begun == ["es: no words for what (--set es:what=…)"]
    assert speaking(template, [PLACE, WHAT, SPANISH]) == (template, [])
    assert [(s.name, language) for s, language in missing(template, [PLACE, WHAT])] == [("what", "es")]


def test_a_template_that_speaks_of_another_alert_needs_one() -> None:
    ending = read(SOURCE.replace("Crowd at {place}", "OVER: {about} at {place}").encode())
    with pytest.raises(EmptySlots, match="ends another alert"):
        fill(ending, [PLACE, WHAT, SPANISH])
    english, _ = fill(ending, [PLACE, WHAT, SPANISH, Value("about", "the crowd")])
    assert english.headline == "OVER: the crowd at Gate 2"
