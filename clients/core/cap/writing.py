"""Elements to bytes: CAP documents that are composed here, in one form.

`write` gives UTF-8 with CAP 1.2 as the default namespace, an element a line, and nothing that `tree.parse` would not
read back as the same elements. What somebody else wrote never comes through here: its original bytes are kept, sent
and stored (`Alert.original`).

    root = element("alert", element("identifier", "A-1"), ...)
    data = write(root)                       # then `open_alert(data)`: only that makes an alert of it
    later = restamped(data, now, lasts)      # the same alert at a later time, for a document of our own
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from clients.core.cap.tree import CAP, Element, parse

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def element(name: str, *content: "str | Element") -> Element:
    """An element of CAP 1.2: a text, or children in the schema's order."""
    texts = [part for part in content if isinstance(part, str)]
    children = [part for part in content if isinstance(part, Element)]
    assert not texts or not children  # CAP has no mixed content
    return Element(name, 0, (), children, "".join(texts))


def timestamp(millis: int) -> str:
    """A time as CAP writes it (section 3.3.2): whole seconds, UTC as -00:00, never Z."""
    return datetime.fromtimestamp(millis // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def write(root: Element) -> bytes:
    """The document of these elements."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', *_lines(root, 0, f' xmlns="{CAP}"'), ""]
    return "\n".join(lines).encode()


def restamped(data: bytes, now: int, lasts: int) -> bytes:
    """The same document sent at `now`, its blocks ending `lasts` ms later (0: as they said before).

    Only for what `write` wrote; raises CapRefused where it is no XML of ours.
    """
    root = parse(data)
    _replace(root, "sent", timestamp(now))
    for info in root.all("info") if lasts else ():
        _replace(info, "expires", timestamp(now + lasts))
    return write(root)


def _replace(parent: Element, name: str, text: str) -> None:
    for child in parent.all(name):
        child.text = text


def _lines(element: Element, depth: int, attributes: str = "") -> Iterator[str]:
    indent = "  " * depth
    assert not element.name.startswith("{")  # a name outside CAP is nothing we write
    if not element.children:
        yield f"{indent}<{element.name}{attributes}>{element.text.translate(_ESCAPES)}</{element.name}>"
        return
    yield f"{indent}<{element.name}{attributes}>"
    for child in element.children:
        yield from _lines(child, depth + 1)
    yield f"{indent}</{element.name}>"
