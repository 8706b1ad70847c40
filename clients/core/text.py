"""Text that others wrote, made fit for a terminal: every screen shows names, headlines and messages through here.

A terminal obeys some characters, reorders others and hides a few, so a headline could clear the screen, show a
filename backwards, or look like another officer's name. Here such characters are shown for what they are, as
`<U+202E>`; nothing is dropped silently, and plain text in any script passes as it is.

    visible(headline)           one line: line ends are shown too
    visible_lines(description)  a text of several lines, as a list
    visible_name(name)          one line, and a warning where a word's letters come from look-alike scripts
    unfit_name(name)            why it may not become somebody's name, or a channel's
    hidden(text)                what of a text nobody could see or would see elsewhere: such a text is refused in composing

Shown by number: control and format characters (C0, C1, bidi embeddings and overrides, zero-width, tags), line and
paragraph separators, characters without a shape of their own, what Unicode hasn't assigned, private use and
surrogates. Other spaces become a space. More than four combining marks on one character are counted, not drawn. A text
with letters written from right to left is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (UAX 9 section
2.4.2), so that it can't move what stands beside it.

The zero-width joiners that Persian and the scripts of India are written with pass inside their words (UAX 31 section 2.3), and
nowhere else. Words that mix Latin, Greek, Cyrillic or other look-alike letters are told of (UTS 39 section 5); a whole name in
another script is not: whose name a name is, the identity's fingerprint says.
"""

import unicodedata
from typing import Final

LINE_LIMIT: Final = 500
"""Characters of the original that one line shows."""
LINES_LIMIT: Final = 200
MARKS_LIMIT: Final = 4
"""Combining marks drawn on one character; Vietnamese, Hebrew and Thai need up to three."""

ISOLATE: Final = "\u2068"
END_ISOLATE: Final = "\u2069"
RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})

NON_JOINER: Final = "\u200c"
JOINERS: Final = frozenset({NON_JOINER, "\u200d"})
VIRAMA: Final = 9  # canonical combining class
LOOK_ALIKE: Final = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC"})
"""Scripts whose letters can be taken for each other's; a word of two of them was written to deceive, or by mistake."""

SHAPELESS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and signs by their category that draw nothing."""


def visible(text: str, limit: int = LINE_LIMIT) -> str:
    """One line that shows the text and does nothing else; past `limit` characters it says how many are left out."""
    shown = "".join(_drawn(text[:limit]))
    if any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in shown):
        shown = f"{ISOLATE}{shown}{END_ISOLATE}"
    return shown if len(text) <= limit else f"{shown}... ({len(text) - limit} more)"


def visible_lines(text: str, lines: int = LINES_LIMIT, limit: int = LINE_LIMIT) -> list[str]:
    """The text's lines, each made visible; a tab is a space, and past `lines` lines it says how many are left out."""
    all_lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    shown = [visible(line, limit) for line in all_lines[:lines]]
    if len(all_lines) > lines:
        shown.append(f"... ({len(all_lines) - lines} more lines)")
    return shown


def visible_name(text: str, limit: int = LINE_LIMIT) -> str:
    """A person's or a channel's name on one line; look-alike letters of two scripts in one word are told of."""
    return f"{visible(text, limit)} <mixed scripts>" if mixes_scripts(text) else visible(text, limit)


def mixes_scripts(text: str) -> bool:
    """Whether a word of it is spelt with letters of two look-alike scripts: a Cyrillic a in a Latin name."""
    return any(len(_scripts(word)) > 1 for word in text.split())


def _scripts(word: str) -> set[str]:
    letters = (unicodedata.name(character, "").partition(" ")[0] for character in word if character.isalpha())
    return set(letters) & LOOK_ALIKE


def unfit_name(text: str) -> str:
    """Why a text may not be a name that others are shown; empty where it may. Spoken the same, written the same (NFC)."""
    if unseen := hidden(text):
        return f"{visible(text)!r} holds what nobody can see ({unseen})"
    if unicodedata.normalize("NFC", text) != text:
        return f"{visible(text)!r} is not in Unicode's composed form (NFC)"
    if text != " ".join(text.split()):
        return f"{visible(text)!r} has spaces at its ends, or several in a row"
    if mixes_scripts(text):
        return f"{visible(text)!r} spells a word with letters of two scripts that look alike"
    return ""


def hidden(text: str, *, lines: bool = False) -> str:
    """What in a text can't be seen, moves what stands beside it, or piles up: in words; empty where there is nothing.

    With `lines` a text may have several lines.
    """
    drawn = _drawn(text.replace("\n", "") if lines else text)
    return next((part for part in drawn if len(part) > 1), "").removeprefix("<").removesuffix(">")


def _joins(text: str, at: int) -> bool:
    """Whether the joiner at this place has letters to join, or to keep apart (UAX 31 section 2.3, rules A1, A2 and B)."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before or not after or unicodedata.category(after)[0] != "L":
        return False
    cursive = text[at] == NON_JOINER and {unicodedata.bidirectional(c) for c in (before, after)} == {"AL"}
    return cursive or unicodedata.combining(before) == VIRAMA


def _drawn(text: str) -> list[str]:
    drawn: list[str] = []
    marks = 0
    for at, character in enumerate(text):
        if character in JOINERS and _joins(text, at):
            drawn.append(character)
            continue
        is_mark = unicodedata.category(character) in ("Mn", "Me") and character not in SHAPELESS
        marks = marks + 1 if is_mark else 0
        if marks <= MARKS_LIMIT:
            drawn.append(_character(character))
        elif marks == MARKS_LIMIT + 1:
            drawn.append("<more marks>")
    return drawn


def _character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category[0] == "C" or category in ("Zl", "Zp") or character in SHAPELESS:
        return f"<U+{ord(character):04X}>"
    return character
