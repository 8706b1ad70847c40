"""Bytes to elements: XML 1.0 with namespaces, within bounds, and no document type at all.

Without a DOCTYPE there are no entities to declare, so nothing expands and nothing outside the document is named;
expat is stopped at the declaration's first word. XInclude, stylesheets and schemaLocation are never followed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from clients.core.cap.errors import CapRefused, Refusal

LONGEST: Final = 1 << 20
"""Bytes of the longest document that is looked at."""
DEEPEST: Final = 256
"""Levels of elements; an alert has 5, the rest is for what a signature may carry."""
MOST_ELEMENTS: Final = 1 << 16
"""Elements in all; 1 MiB of the smallest areas and codes that say something has fewer."""
LONGEST_NAMESPACE: Final = 256
"""Characters of a namespace's name: expat writes it out again for every element, so a long one multiplies."""

CAP: Final = "urn:oasis:names:tc:emergency:cap:1.2"
DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"

ENCODINGS: Final = re.compile(rb"utf-?8|utf-?16(le|be)?|us-ascii|iso-8859-([1-9]|1[0-6])|windows-125[0-8]", re.I)
VERSION: Final = re.compile(r"1\.[0-9]+")  # production 26; expat takes any word
DECLARED: Final = re.compile(
    rb"""(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?<\?xml\s[^>]*?\sencoding\s*=\s*["']([^"'>]*)["']"""
)


@dataclass(slots=True)
class Element:
    """One element, filled while the parser walks through it and left alone afterwards.

    `name` is the local name within CAP 1.2, and `{namespace}name` outside it, so nothing foreign is taken for ours.
    `text` is the element's own character data, comments and processing instructions left out; `attributes` are names
    only (CAP has no attributes), with their namespace before a space.
    """

    name: str
    line: int
    attributes: tuple[str, ...]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator["Element"]:
        """The children of that name, in order."""
        return (child for child in self.children if child.name == name)

    def value(self, name: str) -> str | None:
        """The text of the first child of that name; None where there is no such child."""
        return next((child.text for child in self.children if child.name == name), None)


def parse(data: bytes) -> Element:
    """The root element; raises `CapRefused` as malformed or doctype."""
    if len(data) > LONGEST:
        raise CapRefused(Refusal.MALFORMED, ("too-large",), (f"more than {LONGEST} bytes",))
    _refuse_strange_encoding(data)
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise CapRefused(Refusal.MALFORMED, ("not-xml",), (str(error),)) from None
    except (LookupError, ValueError) as error:  # how pyexpat says that it has no such encoding
        raise CapRefused(Refusal.MALFORMED, ("bad-encoding",), (str(error),)) from None
    return builder.root.children[0]


def _refuse_strange_encoding(data: bytes) -> None:
    """Expat asks Python's codecs for names it doesn't know; only plain character sets may get that far."""
    declaration = data[: data.find(b">") + 1].replace(b"\0", b"")
    declared = DECLARED.match(declaration)
    if declared and not ENCODINGS.fullmatch(declared[1]):
        name = declared[1].decode("ascii", "backslashreplace")
        raise CapRefused(Refusal.MALFORMED, ("bad-encoding",), (f"encoding {name}",))


class _Builder:
    """Expat's events to a tree: a stack of open elements, and the text of each in pieces until it closes."""

    def __init__(self) -> None:
        self.root = Element("", 0, ())
        self.stack = [self.root]
        self.pieces: dict[int, list[str]] = {}  # by depth: most elements have no text, or all of it in one piece
        self.elements = 0
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.XmlDeclHandler = self.declared
        parser.StartDoctypeDeclHandler = self.doctype
        parser.EntityDeclHandler = self.doctype
        parser.StartNamespaceDeclHandler = self.namespace
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters

    def declared(self, version: str | None, _encoding: str | None, _standalone: int) -> None:
        if version is not None and not VERSION.fullmatch(version):
            self.refuse(Refusal.MALFORMED, "not-xml", "a version that XML does not have")

    def doctype(self, *_declaration: object) -> NoReturn:
        self.refuse(Refusal.DOCTYPE, "doctype", "document type declaration")

    def namespace(self, _prefix: str | None, name: str | None) -> None:
        if name is not None and len(name) > LONGEST_NAMESPACE:
            self.refuse(Refusal.MALFORMED, "too-long", f"a namespace of more than {LONGEST_NAMESPACE} characters")

    def start(self, expanded: str, attributes: list[str]) -> None:
        self.elements += 1
        if self.elements > MOST_ELEMENTS:
            self.refuse(Refusal.MALFORMED, "too-many", f"more than {MOST_ELEMENTS} elements")
        if len(self.stack) > DEEPEST:
            self.refuse(Refusal.MALFORMED, "too-deep", f"more than {DEEPEST} levels")
        namespace, _, name = expanded.rpartition(" ")
        line = self.parser.CurrentLineNumber
        names = tuple(attributes[::2]) if attributes else ()
        element = Element(name if namespace == CAP else f"{{{namespace}}}{name}", line, names)
        self.stack[-1].children.append(element)
        self.stack.append(element)

    def refuse(self, refusal: Refusal, code: str, words: str) -> NoReturn:
        raise CapRefused(refusal, (code,), (f"line {self.parser.CurrentLineNumber}: {words}",))

    def end(self, _expanded: str) -> None:
        element = self.stack.pop()
        pieces = self.pieces.pop(len(self.stack), None)
        if pieces is not None:
            element.text = "".join(pieces)

    def characters(self, data: str) -> None:
        self.pieces.setdefault(len(self.stack) - 1, []).append(data)
