"""What a terminal is shown of a text that somebody else wrote."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.text import JOINERS, hidden, unfit_name, visible, visible_lines, visible_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Crowd at the gate", "Crowd at the gate", id="plain"),
        pytest.param("Cancillería ñ ü Żółć 大使館 посольство", "Cancillería ñ ü Żółć 大使館 посольство", id="scripts"),
        pytest.param("\x1b[2J\x1b]0;x\x07", "<U+001B>[2J<U+001B>]0;x<U+0007>", id="terminal commands"),
        pytest.param("\x9b2J", "<U+009B>2J", id="one-byte command introducer"),
        pytest.param("a\r\nb\tc\0\x7f", "a<U+000D><U+000A>b<U+0009>c<U+0000><U+007F>", id="line ends"),
        pytest.param("abc\u202etxt.exe", "abc<U+202E>txt.exe", id="right-to-left override"),
        pytest.param("\u2066a\u2069\u200f\u061c", "<U+2066>a<U+2069><U+200F><U+061C>", id="isolates and marks"),
        pytest.param("MS\u200bO\u200d\u2060\ufeff", "MS<U+200B>O<U+200D><U+2060><U+FEFF>", id="zero width"),
        pytest.param("a\u00ad\u034f\u3164\u2800\uffa0", "a<U+00AD><U+034F><U+3164><U+2800><U+FFA0>", id="no shape"),
        pytest.param("a\u2028b\u2029", "a<U+2028>b<U+2029>", id="separators of lines"),
        pytest.param("a\u00a0b\u2003c\u3000d", "a b c d", id="other spaces"),
        pytest.param("x\U000e0041", "x<U+E0041>", id="tag letters"),
        pytest.param("\ue000\ufdd0\ud800", "<U+E000><U+FDD0><U+D800>", id="private, no character, surrogate"),
        pytest.param("e\u0301\u0302\u0303\u0304", "e\u0301\u0302\u0303\u0304", id="four marks"),
        pytest.param("e" + "\u0301" * 50 + "x", "e" + "\u0301" * 4 + "<more marks>x", id="a flood of marks"),
        pytest.param("\u05e9\u05dc\u05d5\u05dd", "\u2068\u05e9\u05dc\u05d5\u05dd\u2069", id="Hebrew is isolated"),
        pytest.param("a \u0633", "\u2068a \u0633\u2069", id="Arabic is isolated"),
        pytest.param("", "", id="nothing"),
        pytest.param(
            "\u0645\u06cc\u200c\u0634\u0648\u062f", "\u2068\u0645\u06cc\u200c\u0634\u0648\u062f\u2069", id="Persian"
        ),
        pytest.param("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937", id="Devanagari"),
        pytest.param("a\u200cb", "a<U+200C>b", id="a joiner between Latin letters"),
        pytest.param("\u0645\u200c", "\u2068\u0645<U+200C>\u2069", id="a joiner at the end"),
        pytest.param("\u0645\u200c\u200c\u0634", "\u2068\u0645<U+200C><U+200C>\u0634\u2069", id="joiners in a row"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_line_says_what_is_left_out() -> None:
    assert visible("abcdef", limit=4) == "abcd... (2 more)"
    assert visible("abcd", limit=4) == "abcd"


def test_a_text_of_lines_keeps_them() -> None:
    assert visible_lines("a\r\nb\n\tc\rd") == ["a", "b", " c<U+000D>d"]
    assert visible_lines("1\n2\n3", lines=2) == ["1", "2", "... (1 more lines)"]


@given(st.text(st.characters(), max_size=200))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = visible(text)
    if shown.startswith("\u2068"):
        shown = shown[1:].replace("\u2069", "", 1)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" and c not in JOINERS]
    assert not {"\u2028", "\u2029"} & set(shown)
    shown.encode()


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        pytest.param("Chen", False, id="Latin"),
        pytest.param("\u0427\u0435\u043d", False, id="Cyrillic"),
        pytest.param("Chen \u0427\u0435\u043d", False, id="a word in each"),
        pytest.param("Ch\u0435n", True, id="a Cyrillic e in a Latin name"),
        pytest.param("\u0391lpha-2", True, id="a Greek capital"),
        pytest.param("\u5927\u4f7f\u9928A", False, id="scripts that nobody mistakes"),
        pytest.param("LANCE-3", False, id="a call sign"),
    ],
)
def test_a_name_of_look_alike_letters_is_told_of(name: str, warned: bool) -> None:
    assert visible_name(name).endswith(" <mixed scripts>") is warned


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("Crowd at the gate. \u5927\u4f7f\u9928, Canciller\u00eda", "", id="plain"),
        pytest.param("\u0645\u06cc\u200c\u0634\u0648\u062f", "", id="Persian joiner"),
        pytest.param("go \u202eback", "U+202E", id="override"),
        pytest.param("go\u200bback", "U+200B", id="zero width"),
        pytest.param("e" + "\u0301" * 5, "more marks", id="marks"),
        pytest.param("a\nb", "U+000A", id="line end in a line"),
        pytest.param("<b>", "", id="signs"),
    ],
)
def test_what_is_hidden_in_a_text(text: str, found: str) -> None:
    assert hidden(text) == found
    assert hidden("a\nb", lines=True) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("Ayo Bello", "", id="a name"),
        pytest.param("LANCE-3", "", id="a call sign"),
        pytest.param("", "", id="none"),
        pytest.param("\u0427\u0435\u043d", "", id="in Cyrillic"),
        pytest.param("Ch\u0435n", "look alike", id="a Cyrillic letter in a Latin name"),
        pytest.param("Chen\u202e", "nobody can see (U+202E)", id="an override"),
        pytest.param("Ch\u200ben", "nobody can see (U+200B)", id="zero width"),
        pytest.param("Che" + "\u0301" * 6, "nobody can see (more marks)", id="a flood of marks"),
        pytest.param("Jose\u0301", "composed form", id="decomposed"),
        pytest.param("Chen ", "spaces", id="a space at the end"),
        pytest.param("Ayo  Bello", "spaces", id="two spaces"),
    ],
)
def test_what_may_not_become_a_name(name: str, why: str) -> None:
    said = unfit_name(name)
    assert (why in said) if why else not said
