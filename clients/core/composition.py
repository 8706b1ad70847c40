"""From what an officer wants said to a CAP document, and the house's own rules for it (STANDARDS section 1, own mapping).

    composition = Composition(...)
    data = document(composition, identifier, now)        # bytes that `check_house` and `cap.open_alert` take

The house's rules, for what is composed here and for a file alike:

- scope is Restricted and the restriction begins with the marking; only TLP:CLEAR may be Public;
- a drill has status Exercise, its name in note, and EXERCISE EXERCISE EXERCISE at both ends of headline and description;
- all blocks offer as many replies, since the n-th means the same in each language;
- no text holds what nobody can see.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from clients.core.cap import Alert, Circle, Info, Point, Reference
from clients.core.cap.chains import is_all_clear
from clients.core.cap.geometry import LEAST_POINTS, circle, polygon
from clients.core.cap.tree import Element
from clients.core.cap.values import SPACE
from clients.core.cap.writing import element, timestamp, write
from clients.core.errors import ClientError
from clients.core.templates import Wording
from clients.core.text import hidden
from keys.alert import OPTIONS, AlertType
from keys.envelope import Marking
from keys.errors import KeysError

DRILL: Final = "EXERCISE EXERCISE EXERCISE"
WHITE: Final = "TLP:WHITE"  # of TLP 1.0: the same as CLEAR
LARGEST_RADIUS: Final = 1_000.0  # km: beyond that it is a slip of the pen
MSG_TYPES: Final = {
    AlertType.ALERT: "Alert",
    AlertType.UPDATE: "Update",
    AlertType.CANCEL: "Cancel",
    AlertType.ALL_CLEAR: "Update",
}


class NotComposed(ClientError):
    """The alert would not be what it should: the sentence says what to mend."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where: a polygon as CAP writes it, or a circle; exactly one of them."""

    polygon: tuple[Point, ...] = ()
    circle: Circle | None = None


@dataclass(frozen=True, slots=True)
class Composition:
    """An alert before it is a document. `exercise` is a drill's name, empty for what is real; `lasts` in ms."""

    type: AlertType
    sender: str
    sender_name: str
    categories: tuple[str, ...]
    responses: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    marking: Marking
    lasts: int
    exercise: str
    note: str
    references: tuple[Reference, ...]
    place: str
    shapes: tuple[Shape, ...]
    texts: tuple[Wording, ...]
    template: str


# --- areas ---


def shape(text: str) -> Shape:
    """An area as an officer types it: `circle LAT,LON KM`, or `polygon LAT,LON LAT,LON LAT,LON ...`, closed or not.

    Raises:
        NotComposed: it is neither, or can't be meant: off the globe, two corners, across the date line.
    """
    kind, _, rest = " ".join(text.split()).partition(" ")
    if kind == "circle":
        return Shape(circle=_circle(rest.removesuffix("km").rstrip(), text))
    if kind == "polygon":
        return Shape(polygon=_polygon(rest, text))
    raise NotComposed(
        f'{text!r} is no area: write "circle 12.1015,-68.9336 0.4" (km), or "polygon 12.1,-68.9 12.2,-68.8 …"'
    )


def _in_a_line(points: Sequence[Point]) -> bool:
    """Whether they enclose no area: all on one line, as far as decimals of a degree tell (a square metre is about 1e-10)."""
    a = points[0]
    b = max(points, key=lambda p: (p.latitude - a.latitude) ** 2 + (p.longitude - a.longitude) ** 2)
    along, across = b.latitude - a.latitude, b.longitude - a.longitude
    return all(abs(along * (p.longitude - a.longitude) - across * (p.latitude - a.latitude)) < 1e-12 for p in points)


def _circle(rest: str, text: str) -> Circle:
    found = circle(rest)
    if found is None:
        raise NotComposed(f"{text!r}: a circle is latitude,longitude and a radius in km: circle 12.1015,-68.9336 0.4")
    if found.radius_km > LARGEST_RADIUS:
        raise NotComposed(f"{text!r}: a radius of {found.radius_km:g} km: at most {LARGEST_RADIUS:g}")
    return found


def _polygon(rest: str, text: str) -> tuple[Point, ...]:
    points = polygon(rest)
    if points is None:
        raise NotComposed(f"{text!r}: a polygon is corners with a space between them: 12.1,-68.9 12.2,-68.9 12.2,-68.8")
    if any(not point.in_range for point in points):
        raise NotComposed(f"{text!r}: a corner is not on the globe: latitude first, to 90, then longitude, to 180")
    closed = points if points[:1] == points[-1:] and len(points) > 1 else [*points, *points[:1]]
    if len(closed) >= LEAST_POINTS and _in_a_line(closed):
        raise NotComposed(f"{text!r}: its corners lie in a line and enclose nothing: give corners around the area")
    if len(closed) < LEAST_POINTS:
        raise NotComposed(f"{text!r}: a polygon has three corners at least")
    if max(p.longitude for p in closed) - min(p.longitude for p in closed) > 180:
        raise NotComposed(f"{text!r} spans the date line: give one polygon on each side of it")
    return tuple(closed)


def _degrees(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _point(point: Point) -> str:
    return f"{_degrees(point.latitude)},{_degrees(point.longitude)}"


# --- the document ---


def document(composition: Composition, identifier: str, now: int) -> bytes:
    """The composition as a CAP document sent at `now` (ms): in the house's form, and not checked yet."""
    c = composition
    drill = c.exercise != ""
    parts = [
        element("identifier", identifier),
        element("sender", c.sender),
        element("sent", timestamp(now)),
        element("status", "Exercise" if drill else "Actual"),
        element("msgType", MSG_TYPES[c.type]),
        element("scope", "Restricted"),
        element("restriction", c.marking.label),
        *_texts("note", ". ".join(part for part in (c.exercise, c.note) if part)),
        *_texts("references", " ".join(map(str, c.references))),
        *(_info(c, text, now) for text in c.texts),
    ]
    return write(element("alert", *parts))


def _texts(name: str, text: str) -> list[Element]:
    return [element(name, text)] if text else []


def _info(c: Composition, text: Wording, now: int) -> Element:
    drill = c.exercise != ""
    parts = [
        element("language", text.language),
        *(element("category", category) for category in c.categories),
        element("event", text.event),
        *(element("responseType", response) for response in c.responses),
        element("urgency", c.urgency),
        element("severity", c.severity),
        element("certainty", c.certainty),
        element("expires", timestamp(now + c.lasts)),
        *_texts("senderName", c.sender_name),
        element("headline", _marked(text.headline) if drill else text.headline),
        *_texts("description", _marked(text.description) if drill else text.description),
        *_texts("instruction", text.instruction),
        *_texts("contact", text.contact),
        *(_named("parameter", "response-option", reply) for reply in text.respond),
        *([_named("parameter", "translation", text.translation)] if text.translation else []),
        *([_named("parameter", "template", c.template)] if c.template else []),
        *_area(c),
    ]
    return element("info", *parts)


def _marked(text: str) -> str:
    """A drill's text: unmistakable at both ends, however it is cut on a small screen."""
    return f"{DRILL} {text} {DRILL}" if text else DRILL


def _named(name: str, key: str, value: str) -> Element:
    return element(name, element("valueName", key), element("value", value))


def _area(c: Composition) -> list[Element]:
    if not c.place and not c.shapes:
        return []
    polygons = [element("polygon", " ".join(map(_point, s.polygon))) for s in c.shapes if s.polygon]
    circles = [element("circle", f"{_point(s.circle.centre)} {s.circle.radius_km:g}") for s in c.shapes if s.circle]
    return [element("area", element("areaDesc", c.place), *polygons, *circles)]


# --- the house's rules ---


def marking_in(alert: Alert) -> Marking | None:
    """The marking that a document states in its restriction; None where it states none. TLP:WHITE is read as TLP:CLEAR."""
    label = alert.restriction.strip(SPACE).split(" ")[0]
    if label == WHITE:
        return Marking.CLEAR
    try:
        return Marking.parse(label)
    except KeysError:
        return None


def check_house(alert: Alert, type_: AlertType, marking: Marking) -> None:
    """What the house asks beyond CAP of an alert that it sends. Raises NotComposed, with what to mend."""
    if alert.status not in ("Actual", "Exercise"):
        raise NotComposed(f"its status is {alert.status}: what is sent to people is Actual, or Exercise for a drill")
    if alert.msg_type != MSG_TYPES[type_]:
        raise NotComposed(f"its msgType is {alert.msg_type}, and this is to be sent as {MSG_TYPES[type_]}")
    if (type_ is AlertType.ALL_CLEAR) != is_all_clear(alert):
        raise NotComposed(
            "an all-clear is an Update whose every block has responseType AllClear and urgency Past: use `outrider alert allclear`"
        )
    _check_marking(alert, marking)
    _check_replies(alert)
    _check_seen(alert)
    if alert.is_exercise:
        _check_drill(alert)


def _check_marking(alert: Alert, marking: Marking) -> None:
    if alert.scope != "Restricted" and marking is not Marking.CLEAR:
        raise NotComposed(
            f"its scope is {alert.scope}, so it can't be {marking.label}: make it Restricted, with that in restriction"
        )
    if alert.scope == "Restricted" and marking_in(alert) is not marking:
        stated = alert.restriction.strip(SPACE)[:40] or "nothing"
        raise NotComposed(
            f"its restriction says {stated!r}, and it is to go out as {marking.label}: they must be the same"
        )


def _check_replies(alert: Alert) -> None:
    offered = {len(info.response_options) for info in alert.infos}
    if len(offered) > 1:
        raise NotComposed("its blocks offer different numbers of replies: the n-th means the same in each language")
    if max(offered, default=0) > OPTIONS:
        raise NotComposed(f"it offers more than {OPTIONS} replies")


def _check_seen(alert: Alert) -> None:
    for name, text in shown_texts(alert):
        if unseen := hidden(text, lines=True):
            raise NotComposed(f"{name} holds what nobody can see ({unseen}): type it anew")


def shown_texts(alert: Alert) -> Iterator[tuple[str, str]]:
    """Every text that people are shown, with its element's name."""
    yield "note", alert.note
    for info in alert.infos:
        yield from _shown_of(info)


def _shown_of(info: Info) -> Iterable[tuple[str, str]]:
    texts = {
        "event": info.event,
        "audience": info.audience,
        "senderName": info.sender_name,
        "headline": info.headline,
        "description": info.description,
        "instruction": info.instruction,
        "contact": info.contact,
    }
    yield from texts.items()
    yield from (("response-option", reply) for reply in info.response_options)
    yield from (("areaDesc", area.description) for area in info.areas)


def _check_drill(alert: Alert) -> None:
    if not alert.note.strip(SPACE):
        raise NotComposed("a drill names itself: put the exercise's name into note")
    for info in alert.infos:
        for name, text in (("headline", info.headline or info.event), ("description", info.description)):
            words = text.strip(SPACE)
            if words and not (words.startswith(DRILL) and words.endswith(DRILL)):
                raise NotComposed(f"a drill says {DRILL} at both ends of its {name} ({info.language}): it doesn't")
