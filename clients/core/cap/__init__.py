"""Alerts as the Common Alerting Protocol writes them: OASIS CAP 1.2 (1 July 2010), and nothing else.

A document comes as bytes from somewhere not trusted. It is read once, from front to back, in this order, and the
first step that says no gives the refusal its class:

    errors    Refusal, CapRefused: the six classes of a refusal
    tree      bytes -> elements: size, encoding, DOCTYPE, well-formed XML within bounds (malformed, doctype)
    schema    the schema's table, in its order: root and namespace, elements, cardinality (not-cap, namespace, schema)
    values    the simple types that the table names: times, languages, URIs, numbers, enumerations
    geometry  points, polygons and circles
    rules     what the schema can't say, each rule with a stable code (text-rule); warnings refuse nothing
    alert     the checked alert as a value: Alert, Info, Area ...
    chains    which of several alerts that name each other holds at a time
    verdict   check(data) -> Verdict, for people and scripts; open_alert(data) -> Alert, for the rest of the client

Checking changes the type: only `open_alert` makes an `Alert`, so what takes an `Alert` can't be handed an unchecked
document. The rule kept: `Alert.original` holds the bytes as they came. They are what is signed, sent and stored.
`writing` makes documents that are composed here, and touches no other.

    alert = open_alert(data)                      # or CapRefused, with class and codes
    info = alert.info_for(["es", "en"])           # the block in the reader's language
    if alert.precedence_is_flash and not alert.is_exercise: ...

Signatures (XML-DSig) may close an alert; they are stepped over, never read: a signature that can't be checked is no
reason to refuse, and nothing inside one is taken for the alert's own text.
"""

from clients.core.cap.alert import Alert, Area, Chosen, Code, Info, Reference, Resource
from clients.core.cap.errors import CapRefused, Refusal
from clients.core.cap.geometry import Circle, Point
from clients.core.cap.tree import LONGEST
from clients.core.cap.verdict import Header, Verdict, check, open_alert

__all__ = [
    "LONGEST",
    "Alert",
    "Area",
    "CapRefused",
    "Chosen",
    "Circle",
    "Code",
    "Header",
    "Info",
    "Point",
    "Reference",
    "Refusal",
    "Resource",
    "Verdict",
    "check",
    "open_alert",
]
