"""Templates: alerts written in calm, with slots for what is known only when it happens.

A template is a TOML file with a name, a version and an owner. Its texts hold slots in braces; an alert can't be kept while one is
empty, so nobody sends "crowd at {place}" in haste. It says all that a CAP block needs, in one or several languages:

    name = "crowd-threat"
    version = 3
    owner = "Mission security desk"
    tested = 2026-09-14                  # the last drill with it; left out: never
    about = "A hostile crowd near people or premises of ours."
    categories = ["Security"]
    responses = ["Shelter", "Avoid"]
    urgency = "Immediate"
    severity = "Severe"
    certainty = "Observed"
    lasts = "4h"

    [slots.place]
    ask = "Where? A name that everybody knows."
    longest = 80
    [slots.what]
    ask = "What is happening?"
    words = true                         # words, not a name: each language needs its own

    [text.en]                            # the first text is what was written, the others are translations of it
    event = "Hostile crowd"
    headline = "Hostile crowd at {place}"
    description = "{what}"
    respond = ["SAFE", "NEED HELP"]
    [text.es]
    translation = "human"                # or "machine"
    ...

`clients.core.template_file` reads it. Here its slots are filled: `fill` gives the texts, or says which slots are still empty. The slot `about` fills itself where an alert is ended: with the headline of the alert that it speaks of.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from unicodedata import normalize

from clients.core.errors import ClientError, Unknown
from clients.core.text import hidden
from keys.envelope import Marking

SLOT: Final = re.compile(r"\{([^{}]*)\}")
OPTIONS: Final = 16  # replies that a template or an officer offers
ABOUT: Final = "about"
TRANSLATED: Final = ("human", "machine")


class TemplateRefused(ClientError):
    """Not a template, or one that contradicts itself."""


class EmptySlots(ClientError):
    """Slots without a value: the alert is not composed. The sentence says what each asks for."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What is filled in: what it asks for, how many characters it takes, and whether each language needs its own words."""

    name: str
    ask: str
    longest: int
    words: bool


@dataclass(frozen=True, slots=True)
class Wording:
    """An alert's texts in one language. `translation` is "human" or "machine", empty for the language it was written in."""

    language: str
    translation: str
    event: str
    headline: str
    description: str
    instruction: str
    contact: str
    respond: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """Everything in it that may hold a slot."""
        return self.event, self.headline, self.description, self.instruction, self.contact, *self.respond


@dataclass(frozen=True, slots=True)
class Template:
    """A template that reads well. `source` is the file's bytes, as they are kept and passed on; `lasts` in ms."""

    name: str
    version: int
    owner: str
    tested: date | None
    about: str
    categories: tuple[str, ...]
    responses: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    marking: Marking
    lasts: int
    slots: tuple[Slot, ...]
    texts: tuple[Wording, ...]
    source: bytes

    @property
    def is_flash(self) -> bool:
        return self.urgency == "Immediate" and self.severity in ("Extreme", "Severe")

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(text.language for text in self.texts)


# --- filling ---


@dataclass(frozen=True, slots=True)
class Value:
    """What is put into a slot; `language` is empty where it is meant for all of them."""

    slot: str
    text: str
    language: str = ""


def in_languages(template: Template, wanted: Sequence[tuple[str, str]]) -> Template:
    """The template with these languages only, (language, "human" | "machine" | "" for what the template says); none: with all.

    The language it was written in stays: it is what the translations are held against. Raises Unknown.
    """
    if not wanted:
        return template
    first, *others = template.texts
    for language, translation in wanted:
        if language.lower() not in map(str.lower, template.languages):
            has = ", ".join(template.languages)
            raise Unknown(f"template {template.name} has no text in {language}: it has {has}")
        if translation and translation not in TRANSLATED:
            raise Unknown(f"--language {language}={translation}: a translation is human or machine")
    marks = {language.lower(): translation for language, translation in wanted}
    kept = (t for t in others if t.language.lower() in marks)
    texts = (first, *(replace(t, translation=marks[t.language.lower()] or t.translation) for t in kept))
    return replace(template, texts=texts)


def missing(template: Template, given: Sequence[Value]) -> list[tuple[Slot, str]]:
    """The slots that have no value yet, each with the language that lacks its words (empty: it lacks one altogether)."""
    said = {(v.slot, v.language.lower()) for v in given if v.text.strip()}
    found = []
    for slot in template.slots:
        first = template.texts[0].language.lower()
        if not {(slot.name, ""), (slot.name, first)} & said:
            found.append((slot, ""))
        if slot.words:
            found += [(slot, t.language) for t in template.texts[1:] if (slot.name, t.language.lower()) not in said]
    return found


def speaking(template: Template, given: Sequence[Value]) -> tuple[Template, list[str]]:
    """The template in the languages that its values have words for; and, in words, what was left out of which somebody has begun to give
    the words."""
    without = dict[str, list[str]]()
    for slot, language in missing(template, given):
        if language:
            without.setdefault(language, []).append(slot.name)
    texts = tuple(text for text in template.texts if text.language not in without)
    begun = {value.language.lower() for value in given if value.language}
    left_out = [
        f"{language}: no words for {', '.join(slots)} (--set {language}:{slots[0]}=…)"
        for language, slots in without.items()
        if language.lower() in begun
    ]
    return replace(template, texts=texts), left_out


def fill(template: Template, given: Sequence[Value]) -> tuple[Wording, ...]:
    """The texts with their slots filled, one a language.

    Raises:
        EmptySlots: a slot has no value, or not in every language that needs its own words.
        Unknown: a value for a slot, or in a language, that the template hasn't.
        TemplateRefused: a value is too long, or holds what nobody could see.
    """
    _check_values(template, given)
    spoken_of = any(f"{{{ABOUT}}}" in field for text in template.texts for field in text.fields)
    if spoken_of and not any(v.slot == ABOUT for v in given):
        raise EmptySlots(
            f"template {template.name} ends another alert: use `outrider alert update`, `cancel` or `allclear`"
        )
    if lacking := missing(template, given):
        raise EmptySlots("; ".join(_lacks(template, slot, language) for slot, language in lacking))
    return tuple(_filled(text, template, given) for text in template.texts)


def _lacks(template: Template, slot: Slot, language: str) -> str:
    if not language:
        return f"slot {slot.name} is empty ({slot.ask}): --set {slot.name}=…"
    kept = [f"--language {t.language}" for t in template.texts if t.language != language]
    return f"slot {slot.name} has no words in {language}: --set {language}:{slot.name}=…, or leave {language} out: {kept[0]}"


def _check_values(template: Template, given: Sequence[Value]) -> None:
    slots = {slot.name: slot for slot in template.slots}
    for value in given:
        slot = slots.get(value.slot)
        if slot is None and value.slot != ABOUT:
            raise Unknown(f"template {template.name} has no slot {value.slot!r}: it has {', '.join(slots) or 'none'}")
        if value.language and value.language.lower() not in map(str.lower, template.languages):
            raise Unknown(f"no text in {value.language} is asked for, so slot {value.slot} has no words in it")
        if slot is not None and len(value.text) > slot.longest:
            raise TemplateRefused(f"slot {slot.name} takes {slot.longest} characters, this has {len(value.text)}")
        if unseen := hidden(normalize("NFC", value.text)):
            raise TemplateRefused(f"slot {value.slot} holds what nobody can see ({unseen}): type it anew")
        if set("{}") & set(value.text):
            raise TemplateRefused(f"slot {value.slot}: braces name slots, a value has none")


def _filled(text: Wording, template: Template, given: Sequence[Value]) -> Wording:
    first = template.texts[0].language.lower()
    values_of: dict[str, str] = {}
    for wanted in ("", first, text.language.lower()):  # the language's own words count before the others
        values_of |= {v.slot: normalize("NFC", v.text.strip()) for v in given if v.language.lower() == wanted}

    def put(field: str) -> str:
        return SLOT.sub(lambda slot: values_of.get(slot[1], ""), field)

    return replace(
        text,
        event=put(text.event),
        headline=put(text.headline),
        description=put(text.description),
        instruction=put(text.instruction),
        contact=put(text.contact),
        respond=tuple(map(put, text.respond)),
    )
