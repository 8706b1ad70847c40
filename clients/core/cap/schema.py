"""The CAP 1.2 schema as one table, in the standard's order (section 3.2), and the walk that holds a tree to it.

Elements stand in a fixed order; there are no attributes. The namespace of XML-DSig may follow the last `info`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from clients.core.cap.errors import CapRefused, Refusal
from clients.core.cap.tree import DSIG, Element
from clients.core.cap.values import INTEGER, LANGUAGE, NUMBER, SPACE, TEXT, TIME, URI, Simple, one_of

MANY: Final = 1 << 30
"""maxOccurs="unbounded": more than a document can hold."""
MOST_FAULTS: Final = 20
"""After so many the rest is not looked for."""

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
HINTS: Final = frozenset({f"{XSI} schemaLocation", f"{XSI} noNamespaceSchemaLocation"})
"""The attributes any element may have. They are hints and are not followed."""


@dataclass(frozen=True, slots=True)
class Particle:
    """One line of the table: a name, its type, and how often it stands there."""

    name: str
    type: "Simple | Block"
    least: int = 1
    most: int = 1


@dataclass(frozen=True, slots=True)
class Block:
    """A sequence of particles, the content of one element; `signed` lets signatures follow."""

    particles: tuple[Particle, ...]
    signed: bool = False


def one(name: str, type_: Simple | Block = TEXT) -> Particle:
    return Particle(name, type_)


def maybe(name: str, type_: Simple | Block = TEXT) -> Particle:
    return Particle(name, type_, least=0)


def some(name: str, type_: Simple | Block = TEXT) -> Particle:
    return Particle(name, type_, most=MANY)


def any_number(name: str, type_: Simple | Block = TEXT) -> Particle:
    return Particle(name, type_, least=0, most=MANY)


NAME_AND_VALUE: Final = Block((one("valueName"), one("value")))

CATEGORY: Final = one_of(
    "Geo", "Met", "Safety", "Security", "Rescue", "Fire",
    "Health", "Env", "Transport", "Infra", "CBRNE", "Other",
)  # fmt: skip
RESPONSE_TYPE: Final = one_of(
    "Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"
)
URGENCY: Final = one_of("Immediate", "Expected", "Future", "Past", "Unknown")
SEVERITY: Final = one_of("Extreme", "Severe", "Moderate", "Minor", "Unknown")
CERTAINTY: Final = one_of("Observed", "Likely", "Possible", "Unlikely", "Unknown")

RESOURCE: Final = Block(
    (
        one("resourceDesc"),
        one("mimeType"),
        maybe("size", INTEGER),
        maybe("uri", URI),
        maybe("derefUri"),
        maybe("digest"),
    )
)

AREA: Final = Block(
    (
        one("areaDesc"),
        any_number("polygon"),
        any_number("circle"),
        any_number("geocode", NAME_AND_VALUE),
        maybe("altitude", NUMBER),
        maybe("ceiling", NUMBER),
    )
)

INFO: Final = Block(
    (
        maybe("language", LANGUAGE),
        some("category", CATEGORY),
        one("event"),
        any_number("responseType", RESPONSE_TYPE),
        one("urgency", URGENCY),
        one("severity", SEVERITY),
        one("certainty", CERTAINTY),
        maybe("audience"),
        any_number("eventCode", NAME_AND_VALUE),
        maybe("effective", TIME),
        maybe("onset", TIME),
        maybe("expires", TIME),
        maybe("senderName"),
        maybe("headline"),
        maybe("description"),
        maybe("instruction"),
        maybe("web", URI),
        maybe("contact"),
        any_number("parameter", NAME_AND_VALUE),
        any_number("resource", RESOURCE),
        any_number("area", AREA),
    )
)

ALERT: Final = Block(
    (
        one("identifier"),
        one("sender"),
        one("sent", TIME),
        one("status", one_of("Actual", "Exercise", "System", "Test", "Draft")),
        one("msgType", one_of("Alert", "Update", "Cancel", "Ack", "Error")),
        maybe("source"),
        one("scope", one_of("Public", "Restricted", "Private")),
        maybe("restriction"),
        maybe("addresses"),
        any_number("code"),
        maybe("note"),
        maybe("references"),
        maybe("incidents"),
        any_number("info", INFO),
    ),
    signed=True,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where a document departs from the table: a stable code, and words for people."""

    code: str
    detail: str


def is_signature(element: Element) -> bool:
    """The schema's wildcard: any element of XML-DSig's namespace, whatever is in it."""
    return element.name.startswith(f"{{{DSIG}}}")


def require_alert(root: Element) -> None:
    """Raise `CapRefused` (not-cap, namespace) unless the root is an alert of CAP 1.2."""
    if root.name == "alert":
        return
    namespace, _, name = root.name.rpartition("}")
    refusal = Refusal.NAMESPACE if namespace and name == "alert" else Refusal.NOT_CAP
    raise CapRefused(refusal, (str(refusal),), (f"the root is {root.name}",))


def faults(root: Element) -> list[Fault]:
    """What the schema has against the alert, at most `MOST_FAULTS`, in document order; empty when it is valid."""
    return list(islice(_block_faults(root, ALERT), MOST_FAULTS))


def _block_faults(element: Element, block: Block) -> Iterator[Fault]:
    yield from _attribute_faults(element)
    if element.text.strip(SPACE):
        yield _fault("unexpected-text", element, "text between its elements")
    yield from _order_faults(element, block)
    types = {particle.name: particle.type for particle in block.particles}
    for child in element.children:
        type_ = types.get(child.name)
        if isinstance(type_, Block):
            yield from _block_faults(child, type_)
        elif type_ is not None and (child.attributes or child.children or not type_.allows(child.text)):
            yield from _simple_faults(child, type_)


def _order_faults(element: Element, block: Block) -> Iterator[Fault]:
    """One pass along children and table together; the first child out of place ends it."""
    at, count = 0, 0
    for child in element.children:
        while at < len(block.particles) and (
            child.name != block.particles[at].name or count == block.particles[at].most
        ):
            if count < block.particles[at].least:
                missing = block.particles[at].name
                yield _fault("missing-element", child, f"expected {missing} before it, in {element.name}")
                return
            at, count = at + 1, 0
        if at < len(block.particles):
            count += 1
        elif not (block.signed and is_signature(child)):
            yield _fault("unexpected-element", child, f"not expected here, in {element.name}")
            return
    for particle in block.particles[at:]:
        if count < particle.least:
            yield _fault("missing-element", element, f"lacks {particle.name}")
            return
        count = 0


def _simple_faults(element: Element, type_: Simple) -> Iterator[Fault]:
    yield from _attribute_faults(element)
    if element.children:
        yield _fault("unexpected-element", element.children[0], f"not expected here, in {element.name}")
    text = type_.default if type_.default is not None and not element.text else element.text
    if not type_.allows(text):
        yield _fault("bad-value", element, f"is not {type_.name}")


def _attribute_faults(element: Element) -> Iterator[Fault]:
    for attribute in element.attributes:
        if attribute not in HINTS:
            yield _fault("unexpected-attribute", element, f"has the attribute {attribute}")


def _fault(code: str, element: Element, words: str) -> Fault:
    return Fault(code, f"line {element.line}: {element.name}: {words}")
