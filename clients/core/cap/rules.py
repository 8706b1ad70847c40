"""What the standard asks in words and its schema can't hold: the text rules, each with a stable code.

A rule of `ERRORS` or `POLYGON_ERRORS` refuses the alert (class text-rule), one of `WARNINGS` is only told. A rule
looks at an element and says whether it is *broken*; it must bear an element that the schema refuses too, because what
a refused document breaks besides is told as well.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from clients.core.cap.geometry import LEAST_POINTS, Point, circle, polygon, words
from clients.core.cap.tree import Element
from clients.core.cap.values import DECIMAL_FORM, SPACE, instant, is_relative

FORBIDDEN: Final = frozenset(" ,<&")
ANSWERING: Final = frozenset({"Update", "Cancel", "Ack", "Error"})

# RFC 6838 section 4.2 names, RFC 2045 section 5.1 parameters after a semicolon
MIME_FORM: Final = re.compile(r"[!-.0-:<-~]+/[!-.0-:<-~]+[ \t]*(;.*)?", re.DOTALL)
HTML: Final = re.compile(
    r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>|<!--|&([A-Za-z]{2,8}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});"
)
SHOWN: Final = frozenset(
    {
        "note",
        "event",
        "audience",
        "senderName",
        "headline",
        "description",
        "instruction",
        "contact",
        "areaDesc",
        "resourceDesc",
    }
)
"""The elements whose text people are shown."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A code, the elements it is about, and whether one of them breaks it."""

    code: str
    about: str
    broken: Callable[[Element], bool]


@dataclass(frozen=True, slots=True)
class PolygonRule:
    """A code, and whether a polygon's points break it; None stands for a text that isn't points at all.

    A polygon may be half a megabyte, so its text is taken apart once for all of these.
    """

    code: str
    broken: Callable[[list[Point] | None], bool]


def breaks_name(text: str | None) -> bool:
    """Section 3.2.1: no space, comma, `<` or `&`. Nor what can't be seen, since people compare these by eye."""
    if text is None:
        return False
    return not text or any(character in FORBIDDEN or unicodedata.category(character)[0] in "CZ" for character in text)


def is_blank(element: Element, name: str) -> bool:
    """Whether the child is missing or says nothing."""
    return not (element.value(name) or "").strip(SPACE)


def reference_parts(word: str) -> tuple[str, str, str] | None:
    """`sender,identifier,sent` (section 3.2.1, references); None where the word isn't that."""
    parts = word.split(",")
    if len(parts) != 3 or not parts[0] or not parts[1] or instant(parts[2]) is None:
        return None
    return parts[0], parts[1], parts[2]


def _references(alert: Element) -> list[str]:
    return words(alert.value("references") or "")


def _refers_to_itself(alert: Element) -> bool:
    """Sender and identifier name a message for good, so the time isn't looked at."""
    own = [alert.value("sender"), alert.value("identifier")]
    return any(word.split(",")[:2] == own for word in _references(alert))


def _number(element: Element, name: str) -> float | None:
    text = (element.value(name) or "").strip(SPACE)
    return float(text) if DECIMAL_FORM.fullmatch(text) else None


def _is_ceiling_below(area: Element) -> bool:
    altitude, ceiling = _number(area, "altitude"), _number(area, "ceiling")
    return altitude is not None and ceiling is not None and ceiling < altitude


def _is_uri_alone(resource: Element) -> bool:
    """Section 3.2.3: a relative uri names the content of derefUri, so without one it names nothing."""
    uri = resource.value("uri") or ""
    return bool(uri.strip(SPACE)) and is_relative(uri) and is_blank(resource, "derefUri")


def _expires_before_sent(alert: Element) -> bool:
    sent = instant(alert.value("sent") or "")
    ends = [instant(info.value("expires") or "") for info in alert.all("info")]
    return sent is not None and any(end is not None and end < sent for end in ends)


ERRORS: Final = (
    Rule("identifier-bad-chars", "alert", lambda alert: breaks_name(alert.value("identifier"))),
    Rule("sender-bad-chars", "alert", lambda alert: breaks_name(alert.value("sender"))),
    Rule(
        "restricted-without-restriction",
        "alert",
        lambda alert: alert.value("scope") == "Restricted" and is_blank(alert, "restriction"),
    ),
    Rule(
        "private-without-addresses",
        "alert",
        lambda alert: alert.value("scope") == "Private" and is_blank(alert, "addresses"),
    ),
    Rule("no-references", "alert", lambda alert: alert.value("msgType") in ANSWERING and not _references(alert)),
    Rule("bad-reference", "alert", lambda alert: any(reference_parts(word) is None for word in _references(alert))),
    Rule("self-reference", "alert", _refers_to_itself),
    Rule("bad-circle", "circle", lambda shape: circle(shape.text) is None),
    Rule(
        "ceiling-without-altitude",
        "area",
        lambda area: area.value("ceiling") is not None and area.value("altitude") is None,
    ),
    Rule("ceiling-below-altitude", "area", _is_ceiling_below),
    Rule("relative-uri-without-derefuri", "resource", _is_uri_alone),
    Rule("bad-mimetype", "mimeType", lambda kind: MIME_FORM.fullmatch(kind.text.strip(SPACE)) is None),
)

POLYGON_ERRORS: Final = (
    PolygonRule("bad-polygon-syntax", lambda points: points is None),
    PolygonRule("polygon-open", lambda points: points is not None and points[:1] != points[-1:]),
    PolygonRule("polygon-too-few", lambda points: points is not None and len(points) < LEAST_POINTS),
    PolygonRule("polygon-out-of-range", lambda points: any(not point.in_range for point in points or ())),
)

WARNINGS: Final = (
    *(Rule("html-in-text", name, lambda shown: HTML.search(shown.text) is not None) for name in sorted(SHOWN)),
    Rule(
        "empty-references",
        "alert",
        lambda alert: alert.value("references") is not None and is_blank(alert, "references"),
    ),
    Rule(
        "restriction-without-restricted",
        "alert",
        lambda alert: not is_blank(alert, "restriction") and alert.value("scope") != "Restricted",
    ),
    Rule(
        "exercise-without-note",
        "alert",
        lambda alert: alert.value("status") == "Exercise" and is_blank(alert, "note"),
    ),
    Rule(
        "error-without-note",
        "alert",
        lambda alert: alert.value("msgType") == "Error" and is_blank(alert, "note"),
    ),
    Rule("expires-before-sent", "alert", _expires_before_sent),
)


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule broken, and the line where."""

    code: str
    line: int


def breaches(root: Element) -> tuple[list[Breach], list[Breach]]:
    """(errors, warnings): what refuses the alert and what is only told, the first breach of each code."""
    named = _by_name(root)
    errors = _first_of_each((*_breaches(named, ERRORS), *_polygon_breaches(named.get("polygon", []))))
    return errors, _first_of_each(_breaches(named, WARNINGS))


def _breaches(named: dict[str, list[Element]], rules: tuple[Rule, ...]) -> Iterator[Breach]:
    for rule in rules:
        broken = next((element for element in named.get(rule.about, ()) if rule.broken(element)), None)
        if broken is not None:
            yield Breach(rule.code, broken.line)


def _polygon_breaches(shapes: list[Element]) -> Iterator[Breach]:
    for shape in shapes:
        points = polygon(shape.text)
        for rule in POLYGON_ERRORS:
            if rule.broken(points):
                yield Breach(rule.code, shape.line)


def _first_of_each(breaches: Iterable[Breach]) -> list[Breach]:
    first: dict[str, Breach] = {}
    for breach in breaches:
        first.setdefault(breach.code, breach)
    return list(first.values())


def _by_name(root: Element) -> dict[str, list[Element]]:
    """CAP's own elements from the root down, by name and in document order; nothing from inside a signature."""
    named: dict[str, list[Element]] = {}
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if not element.name.startswith("{"):
            named.setdefault(element.name, []).append(element)
            waiting.extend(reversed(element.children))
    return named
