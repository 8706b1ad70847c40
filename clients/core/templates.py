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

`read` takes nothing that it doesn't know, so a slip of the pen is found when the template is added and not in an emergency.
The slot `about` fills itself where an alert is ended: with the headline of the alert that it speaks of.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeVar
from unicodedata import normalize

from clients.core.cap import schema, values
from clients.core.errors import ClientError, Unknown
from clients.core.text import hidden
from keys.envelope import Marking
from keys.errors import KeysError

T = TypeVar("T")
TEMPLATE_LIMIT: Final = 16 * 1024  # bytes of a file
NAME_FORM: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
SLOT: Final = re.compile(r"\{([^{}]*)\}")
LASTS_FORM: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
MINUTES: Final = {"m": 1, "h": 60, "d": 24 * 60}
LONGEST_LASTING: Final = 30 * 24 * 60  # minutes
SLOTS, LANGUAGES, OPTIONS, TEXT, LINE, SLOT_LONGEST = 16, 12, 16, 4_000, 200, 1_000
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


def read(source: bytes) -> Template:
    """Read a template's file.

    Raises:
        TemplateRefused: not TOML, a key unknown, missing or of another type, a text with a slot that is not declared, a slot
            that a language does not use, languages that offer different numbers of replies.
    """
    if len(source) > TEMPLATE_LIMIT:
        raise TemplateRefused(f"a template has at most {TEMPLATE_LIMIT} bytes")
    try:
        top = _Table(tomllib.loads(source.decode("utf-8").replace("\r\n", "\n")), "template")
    except (RecursionError, ValueError) as error:
        raise TemplateRefused(f"not TOML: {error}") from None
    template = Template(
        name=top.form("name", NAME_FORM, "small letters, digits and hyphens"),
        version=top.number("version", 1, 1_000_000),
        owner=top.line("owner"),
        tested=top.day("tested"),
        about=top.line("about", ""),
        categories=top.words("categories", schema.CATEGORY, least=1),
        responses=top.words("responses", schema.RESPONSE_TYPE, least=0),
        urgency=top.word("urgency", schema.URGENCY),
        severity=top.word("severity", schema.SEVERITY),
        certainty=top.word("certainty", schema.CERTAINTY),
        marking=top.marking("marking"),
        lasts=top.lasts("lasts"),
        slots=tuple(_slot(name, table) for name, table in top.tables("slots", SLOTS)),
        texts=tuple(_text(name, table) for name, table in top.tables("text", LANGUAGES)),
        source=source,
    )
    top.end()
    _check_whole(template)
    return template


def _slot(name: str, table: "_Table") -> Slot:
    if not NAME_FORM.fullmatch(name):
        raise TemplateRefused(f"slot {name!r}: a slot's name has small letters, digits and hyphens")
    slot = Slot(name, table.line("ask"), table.number("longest", 1, SLOT_LONGEST, 200), table.flag("words"))
    table.end()
    return slot


def _text(language: str, table: "_Table") -> Wording:
    if not values.LANGUAGE.allows(language):
        raise TemplateRefused(f"[text.{language}]: that is no language tag like en or pt-BR")
    text = Wording(
        language=language,
        translation=table.line("translation", ""),
        event=table.line("event"),
        headline=table.line("headline"),
        description=table.text("description"),
        instruction=table.text("instruction"),
        contact=table.line("contact", ""),
        respond=table.strings("respond"),
    )
    table.end()
    return text


def _check_whole(template: Template) -> None:
    """What no single field can say."""
    if not template.texts:
        raise TemplateRefused("a template has a text: [text.en], or another language")
    if len({language.lower() for language in template.languages}) != len(template.texts):
        raise TemplateRefused("each language stands there once")
    for n, text in enumerate(template.texts):
        where = f"[text.{text.language}]"
        if n == 0 and text.translation:
            raise TemplateRefused(f"{where}: the first text is what was written; the others are translations of it")
        if n and text.translation not in TRANSLATED:
            raise TemplateRefused(f'{where}: translation must be "human" or "machine"')
        if len(text.respond) != len(template.texts[0].respond):
            raise TemplateRefused(f"{where}: the n-th reply means the same in each language, so all offer as many")
        used = {name for field in _fields(text) for name in SLOT.findall(field)}
        declared = {slot.name for slot in template.slots}
        if any(brace in SLOT.sub("", field) for field in _fields(text) for brace in "{}"):
            raise TemplateRefused(f"{where}: a brace without its partner")
        if unknown := sorted(used - declared - {ABOUT}):
            raise TemplateRefused(f"{where}: no slot is called {', '.join(unknown)}: add [slots.{unknown[0]}]")
        if unused := sorted(declared - used):
            raise TemplateRefused(f"{where}: does not use the slot {', '.join(unused)}")


def _fields(text: Wording) -> tuple[str, ...]:
    return text.event, text.headline, text.description, text.instruction, text.contact, *text.respond


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
    """The template in the languages that its values have words for, and what was left out, in words."""
    without = dict[str, list[str]]()
    for slot, language in missing(template, given):
        if language:
            without.setdefault(language, []).append(slot.name)
    texts = tuple(text for text in template.texts if text.language not in without)
    left_out = [
        f"{language}: no words for {', '.join(slots)} (--set {language}:{slots[0]}=…)"
        for language, slots in without.items()
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
    spoken_of = any(f"{{{ABOUT}}}" in field for text in template.texts for field in _fields(text))
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


# --- reading ---


class _Table:
    """A TOML table that is emptied as it is read: what is left over was unknown."""

    def __init__(self, table: object, where: str) -> None:
        if not isinstance(table, dict):
            raise TemplateRefused(f"{where} is not a table")
        self._table: dict[str, object] = dict(table)
        self._where = where

    def _take(self, key: str, kind: type[T], default: T | None = None) -> T:
        value = self._table.pop(key, default)
        if type(value) is not kind:
            raise TemplateRefused(f"{self._where}: {key} is {'missing' if value is None else f'no {kind.__name__}'}")
        return value

    def text(self, key: str, default: str | None = "", longest: int = TEXT, *, lines: bool = True) -> str:
        text = self._take(key, str, default).strip()
        if len(text) > longest:
            raise TemplateRefused(f"{self._where}: {key} has at most {longest} characters")
        if unseen := hidden(text, lines=lines):
            raise TemplateRefused(f"{self._where}: {key} holds what nobody can see: {unseen}")
        if normalize("NFC", text) != text:
            raise TemplateRefused(f"{self._where}: {key} is not in Unicode's composed form (NFC)")
        return text

    def line(self, key: str, default: str | None = None) -> str:
        text = self.text(key, default, LINE, lines=False)
        if not text and default is None:
            raise TemplateRefused(f"{self._where}: {key} is empty")
        return text

    def form(self, key: str, form: re.Pattern[str], words: str) -> str:
        text = self.line(key)
        if form.fullmatch(text) is None:
            raise TemplateRefused(f"{self._where}: {key} has {words}")
        return text

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._take(key, int, default)
        if not low <= value <= high:
            raise TemplateRefused(f"{self._where}: {key} must be {low} to {high}")
        return value

    def flag(self, key: str) -> bool:
        return self._take(key, bool, False)

    def day(self, key: str) -> date | None:
        return self._take(key, date) if key in self._table else None

    def strings(self, key: str) -> tuple[str, ...]:
        listed = self._take(key, list, [])
        table = _Table({str(n): text for n, text in enumerate(listed, 1)}, f"{self._where}: {key}")
        texts = tuple(table.line(str(n)) for n in range(1, len(listed) + 1))
        if len(texts) > OPTIONS or len({text.casefold() for text in texts}) != len(texts):
            raise TemplateRefused(f"{self._where}: {key} has at most {OPTIONS} entries, each another one")
        return texts

    def word(self, key: str, type_: values.Simple) -> str:
        word = self.line(key)
        if not type_.allows(word):
            raise TemplateRefused(f"{self._where}: {key} must be {type_.name}")
        return word

    def words(self, key: str, type_: values.Simple, least: int) -> tuple[str, ...]:
        words = self.strings(key)
        if len(words) < least or not all(map(type_.allows, words)):
            raise TemplateRefused(f"{self._where}: {key} must each be {type_.name}")
        return words

    def marking(self, key: str) -> Marking:
        try:
            return Marking.parse(self.line(key, Marking.AMBER.label))
        except KeysError as error:
            raise TemplateRefused(f"{self._where}: {error}") from None

    def lasts(self, key: str) -> int:
        form = LASTS_FORM.fullmatch(self.line(key))
        minutes = int(form[1]) * MINUTES[form[2]] if form else 0
        if not 0 < minutes <= LONGEST_LASTING:
            raise TemplateRefused(f"{self._where}: {key} must be a duration like 90m, 4h or 2d, at most 30d")
        return minutes * 60_000

    def tables(self, key: str, most: int) -> "list[tuple[str, _Table]]":
        table = self._take(key, dict, {})
        if len(table) > most:
            raise TemplateRefused(f"{self._where}: at most {most} {key}")
        return [(name, _Table(inner, f"[{key}.{name}]")) for name, inner in table.items()]

    def end(self) -> None:
        if self._table:
            raise TemplateRefused(f"{self._where}: unknown {', '.join(sorted(map(str, self._table)))}")
