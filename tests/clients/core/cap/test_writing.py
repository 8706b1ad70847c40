"""Documents that are written here: what goes in comes out, and everything that we write is an alert to the schema's oracle."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lxml import etree

from clients.core.cap import CapRefused, check, open_alert
from clients.core.cap.tree import Element, parse
from clients.core.cap.values import instant
from clients.core.cap.writing import element, restamped, timestamp, write
from tests.clients.core.documents import SAMPLE, alert
from tests.shared import shared

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=60)


def same(one: Element, other: Element) -> bool:
    return (
        one.name == other.name
        and one.text.strip("\n ") == other.text.strip("\n ")
        and len(one.children) == len(other.children)
        and all(map(same, one.children, other.children))
    )


@given(TEXTS, TEXTS)
def test_what_is_written_is_read_back(note: str, code: str) -> None:
    root = element("alert", element("note", note), element("code", code), element("info", element("event", note)))
    back = parse(write(root))
    assert same(back, root)
    assert back.value("note") == note
    assert check(write(root)).refusal == "schema"  # written, and still nothing that passes for an alert unchecked


@pytest.mark.parametrize(
    "text", ["<b>&amp;", "]]>", "\r\n", 'a"b', "  both ends  ", "\u2028", "\U0001f6a8", "tab\there"]
)
def test_a_text_comes_back_to_the_character(text: str) -> None:
    assert parse(write(element("alert", element("note", text)))).value("note") == text


def test_a_sample_written_again_says_the_same() -> None:
    data = SAMPLE.read_bytes()
    again = write(parse(data))
    assert same(parse(again), parse(data))
    assert etree.XMLSchema(etree.parse(shared("cap/CAP-v1.2.xsd"))).validate(etree.fromstring(again))


@settings(max_examples=60)
@given(st.integers(0, 253_402_300_799_999), st.integers(0, 30 * 86_400_000))
def test_times_are_set_anew(now: int, lasts: int) -> None:
    assume(now + lasts < 253_402_300_799_000)  # the calendar's end
    later = restamped(
        SAMPLE.read_bytes().replace(b"<senderName>", b"<expires>2026-10-14T18:00:00-00:00</expires><senderName>"),
        now,
        lasts,
    )
    root = parse(later)
    assert instant(root.value("sent") or "") == now // 1000 * 1000
    for info in root.all("info"):
        ends = instant(info.value("expires") or "")
        assert ends == ((now + lasts) // 1000 * 1000 if lasts else 1_792_000_800_000)


def test_a_timestamp_is_in_the_standards_form() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00-00:00"
    assert timestamp(1_791_992_520_999) == "2026-10-14T15:42:00-00:00"


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(CapRefused):
        restamped(b"<alert", 0, 0)


def test_the_original_bytes_are_kept_to_the_byte() -> None:
    for data in (SAMPLE.read_bytes(), alert(last="<!-- the end -->").encode(), alert().encode("utf-16")):
        assert open_alert(data).original == data
