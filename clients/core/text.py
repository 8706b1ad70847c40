"""Text that others wrote, made fit for a terminal: every screen shows names, headlines and messages through here.

A terminal obeys some characters, reorders others and hides a few, so a headline could clear the screen, show a
filename backwards, or look like another officer's name. Here such characters are shown for what they are, as
`<U+202E>`; nothing is dropped silently, and plain text in any script passes as it is.

    visible(name)               one line: line ends are shown too
    visible_lines(description)  a text of several lines, as a list

Shown by number: control and format characters (C0, C1, bidi embeddings and overrides, zero-width, tags), line and
paragraph separators, characters without a shape of their own, what Unicode hasn't assigned, private use and
surrogates. Other spaces become a space. More than four combining marks on one character are counted, not drawn. A text
with letters written from right to left is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (UAX 9 section
2.4.2), so that it can't move what stands beside it.

It doesn't tell two scripts' look-alike letters apart: whose name a name is, the identity's fingerprint says.
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


def _drawn(text: str) -> list[str]:
    drawn: list[str] = []
    marks = 0
    for character in text:
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
