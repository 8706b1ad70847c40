"""A checked alert as a value, in the standard's words (CAP 1.2 section 3.2).

`read` is called by `verdict.open_alert` alone, after every check has passed. Texts are as the document has them, with
XML's own escapes undone; what a screen shows of them goes through `clients.core.text`. A text that is missing is the
empty string, unless said otherwise: the standard gives a missing text and an empty one the same meaning.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from clients.core.cap.geometry import Circle, Point, circle, polygon, words
from clients.core.cap.rules import reference_parts
from clients.core.cap.schema import is_signature
from clients.core.cap.tree import Element
from clients.core.cap.values import LANGUAGE, SPACE, instant

RESPONSE_OPTION: Final = "response-option"
"""The parameter by which an alert offers a reply; the n-th in each block stands for the same reply."""
TRANSLATION: Final = "translation"
"""The parameter that says of a block that its text was translated, and by whom: `machine` or `human`."""
QUOTED: Final = re.compile(r'"([^"]*)"|([^ \t\r\n"]+)')


@dataclass(frozen=True, slots=True)
class Reference:
    """The message that this one updates, cancels or answers; `sent` as that message wrote it."""

    sender: str
    identifier: str
    sent: str

    def __str__(self) -> str:
        return f"{self.sender},{self.identifier},{self.sent}"


@dataclass(frozen=True, slots=True)
class Code:
    """A name from somebody's list and a value: eventCode, geocode, parameter."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Resource:
    """Something to go with the text. `deref_uri` is the content itself in base64, not decoded and not checked."""

    description: str
    mime_type: str
    size: str
    uri: str
    deref_uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class Area:
    """Where: the union of all shapes and codes. Altitudes in feet above mean sea level, None where not given."""

    description: str
    polygons: tuple[tuple[Point, ...], ...]
    circles: tuple[Circle, ...]
    geocodes: tuple[Code, ...]
    altitude: float | None
    ceiling: float | None


@dataclass(frozen=True, slots=True)
class Info:
    """What is happening, in one language. Times as written; `expires_at` in ms since 1970 UTC."""

    language: str
    categories: tuple[str, ...]
    event: str
    response_types: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    audience: str
    event_codes: tuple[Code, ...]
    effective: str
    onset: str
    expires: str
    expires_at: int | None
    sender_name: str
    headline: str
    description: str
    instruction: str
    web: str
    contact: str
    parameters: tuple[Code, ...]
    resources: tuple[Resource, ...]
    areas: tuple[Area, ...]

    @property
    def translation(self) -> str:
        """How this block was translated: "machine", "human", or empty for the words of whoever wrote the alert."""
        return next((code.value for code in self.parameters if code.name == TRANSLATION), "")

    @property
    def response_options(self) -> tuple[str, ...]:
        """The replies this block offers, in its language and order; one said twice counts once."""
        offered = (code.value for code in self.parameters if code.name == RESPONSE_OPTION)
        return tuple(dict.fromkeys(offered))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a reader is shown: the blocks of one language in the document's order, and in words why it isn't theirs.

    Blocks of one language form a series: a later one adds to those before it (section 3.2.2). `fallback` is empty where
    the reader got a language that was wished for.
    """

    language: str
    blocks: tuple[Info, ...]
    fallback: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that passed the schema and every text rule. `sent_at` in ms since 1970 UTC."""

    original: bytes
    identifier: str
    sender: str
    sent: str
    sent_at: int
    status: str
    msg_type: str
    source: str
    scope: str
    restriction: str
    addresses: tuple[str, ...]
    codes: tuple[str, ...]
    note: str
    references: tuple[Reference, ...]
    incidents: tuple[str, ...]
    infos: tuple[Info, ...]
    signed: bool
    """Whether a signature stands in the document. Nothing here has checked it."""

    def info_for(self, languages: Sequence[str]) -> Info | None:
        """The block for somebody who reads these languages, the dearest first (RFC 4647 section 3.4, lookup).

        Each wish is cut from the end until a block answers ("es-MX", then "es"); "es" is answered by "es-US" too.
        When none is answered: English, else the document's first block. None only where there are no blocks, as in
        many a Cancel. `Info.language` says what the reader got.
        """
        for wish in (*languages, "en"):
            tags = wish.lower().split("-")
            for length in range(len(tags), 0, -1):
                found = self._speaking("-".join(tags[:length]))
                if found is not None:
                    return found
        return self.infos[0] if self.infos else None

    def chosen(self, languages: Sequence[str]) -> Chosen | None:
        """The whole series for that reader, and what was fallen back to; None only where there are no blocks."""
        first = self.info_for(languages)
        if first is None:
            return None
        blocks = tuple(info for info in self.infos if info.language.lower() == first.language.lower())
        wished = {wish.lower().split("-")[0] for wish in languages}
        if not wished or first.language.lower().split("-")[0] in wished:
            return Chosen(first.language, blocks, "")
        offered = ", ".join(dict.fromkeys(info.language for info in self.infos))
        return Chosen(
            first.language, blocks, f"not in {languages[0]}: this alert speaks {offered}; shown in {first.language}"
        )

    def _speaking(self, language: str) -> Info | None:
        exact = (info for info in self.infos if info.language.lower() == language)
        wider = (info for info in self.infos if info.language.lower().startswith(f"{language}-"))
        return next(exact, None) or next(wider, None)

    @property
    def response_options(self) -> tuple[str, ...]:
        """The replies offered, in the words of the first block that offers any; an answer is a place in this list."""
        return next((info.response_options for info in self.infos if info.response_options), ())

    def options_for(self, languages: Sequence[str]) -> tuple[str, ...]:
        """The replies offered in that reader's language; as `response_options` where their block doesn't offer as many."""
        chosen = self.chosen(languages)
        own = next((info.response_options for info in chosen.blocks if info.response_options), ()) if chosen else ()
        return own if len(own) == len(self.response_options) else self.response_options

    @property
    def precedence_is_flash(self) -> bool:
        """Immediate, and Extreme or Severe, in any block: such an alert goes before everything else."""
        return any(info.urgency == "Immediate" and info.severity in ("Extreme", "Severe") for info in self.infos)

    @property
    def is_exercise(self) -> bool:
        return self.status == "Exercise"


def read(root: Element, original: bytes) -> Alert:
    """The alert of a tree in which neither schema nor text rules found a fault."""
    sent = _token(root, "sent")
    sent_at = instant(sent)
    assert sent_at is not None  # the schema's TIME
    return Alert(
        original=original,
        identifier=_text(root, "identifier"),
        sender=_text(root, "sender"),
        sent=sent,
        sent_at=sent_at,
        status=_text(root, "status"),
        msg_type=_text(root, "msgType"),
        source=_text(root, "source"),
        scope=_text(root, "scope"),
        restriction=_text(root, "restriction"),
        addresses=_quoted(root, "addresses"),
        codes=tuple(code.text for code in root.all("code")),
        note=_text(root, "note"),
        references=tuple(
            Reference(*parts) for parts in map(reference_parts, words(_text(root, "references"))) if parts
        ),
        incidents=_quoted(root, "incidents"),
        infos=tuple(map(_info, root.all("info"))),
        signed=any(map(is_signature, root.children)),
    )


def language_of(info: Element) -> str:
    """The block's language; without a word in it that is en-US (section 3.2.2)."""
    return _token(info, "language") or LANGUAGE.default or ""


def _info(info: Element) -> Info:
    expires = _token(info, "expires")
    return Info(
        language=language_of(info),
        categories=tuple(category.text for category in info.all("category")),
        event=_text(info, "event"),
        response_types=tuple(response.text for response in info.all("responseType")),
        urgency=_text(info, "urgency"),
        severity=_text(info, "severity"),
        certainty=_text(info, "certainty"),
        audience=_text(info, "audience"),
        event_codes=_codes(info.all("eventCode")),
        effective=_token(info, "effective"),
        onset=_token(info, "onset"),
        expires=expires,
        expires_at=instant(expires),
        sender_name=_text(info, "senderName"),
        headline=_text(info, "headline"),
        description=_text(info, "description"),
        instruction=_text(info, "instruction"),
        web=_token(info, "web"),
        contact=_text(info, "contact"),
        parameters=_codes(info.all("parameter")),
        resources=tuple(map(_resource, info.all("resource"))),
        areas=tuple(map(_area, info.all("area"))),
    )


def _resource(resource: Element) -> Resource:
    return Resource(
        description=_text(resource, "resourceDesc"),
        mime_type=_token(resource, "mimeType"),
        size=_token(resource, "size"),
        uri=_token(resource, "uri"),
        deref_uri=_text(resource, "derefUri"),
        digest=_token(resource, "digest"),
    )


def _area(area: Element) -> Area:
    altitude, ceiling = _token(area, "altitude"), _token(area, "ceiling")
    return Area(
        description=_text(area, "areaDesc"),
        polygons=tuple(tuple(points) for shape in area.all("polygon") if (points := polygon(shape.text)) is not None),
        circles=tuple(found for shape in area.all("circle") if (found := circle(shape.text)) is not None),
        geocodes=_codes(area.all("geocode")),
        altitude=float(altitude) if altitude else None,
        ceiling=float(ceiling) if ceiling else None,
    )


def _codes(elements: Iterable[Element]) -> tuple[Code, ...]:
    return tuple(Code(_text(element, "valueName"), _text(element, "value")) for element in elements)


def _text(element: Element, name: str) -> str:
    return element.value(name) or ""


def _token(element: Element, name: str) -> str:
    return _text(element, name).strip(SPACE)


def _quoted(element: Element, name: str) -> tuple[str, ...]:
    """A list of words; one that holds space stands in double quotes (section 3.2.1, addresses and incidents)."""
    return tuple(quoted or bare for quoted, bare in QUOTED.findall(_text(element, name)))
