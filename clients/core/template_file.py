"""A template's file: TOML, read strictly, so that a slip of the pen is found when it is added and not in an emergency.

`read` takes nothing that it doesn't know: no other key, no slot in a text that isn't declared, no declared slot that a language
leaves out, no language that offers fewer replies than another. What the keys mean stands in `clients.core.templates`.
"""

import re
import tomllib
from datetime import date
from typing import Final, TypeVar
from unicodedata import normalize

from clients.core.cap import schema, values
from clients.core.content import TEMPLATE_LIMIT
from clients.core.templates import ABOUT, OPTIONS, SLOT, TRANSLATED, Slot, Template, TemplateRefused, Wording
from clients.core.text import hidden
from keys.envelope import Marking
from keys.errors import KeysError

T = TypeVar("T")
NAME_FORM: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
LASTS_FORM: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
MINUTES: Final = {"m": 1, "h": 60, "d": 24 * 60}
LONGEST_LASTING: Final = 30 * 24 * 60  # minutes
SLOTS, LANGUAGES, TEXT, LINE, SLOT_LONGEST = 16, 12, 4_000, 200, 1_000


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
        used = {name for field in text.fields for name in SLOT.findall(field)}
        declared = {slot.name for slot in template.slots}
        if any(brace in SLOT.sub("", field) for field in text.fields for brace in "{}"):
            raise TemplateRefused(f"{where}: a brace without its partner")
        if unknown := sorted(used - declared - {ABOUT}):
            raise TemplateRefused(f"{where}: no slot is called {', '.join(unknown)}: add [slots.{unknown[0]}]")
        if unused := sorted(declared - used):
            raise TemplateRefused(f"{where}: does not use the slot {', '.join(unused)}")


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
