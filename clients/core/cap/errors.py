"""Why a CAP document is refused: one class, and stable codes inside it."""

from enum import StrEnum


class Refusal(StrEnum):
    """The class of a refusal. A document that fails twice has the class that stands first here."""

    MALFORMED = "malformed"
    """Not well-formed XML, or past a bound: too-large, bad-encoding, not-xml, too-deep, too-many, too-long."""
    DOCTYPE = "doctype"
    """Carries a document type declaration, whatever is in it; nothing after it is read."""
    NOT_CAP = "not-cap"
    """Another kind of document: an index, an envelope (EDXL, Atom, RSS), a wrapper around an alert."""
    NAMESPACE = "namespace"
    """An `alert`, but not of CAP 1.2: an older version, or no namespace."""
    SCHEMA = "schema"
    """Not what the schema allows: unexpected-element, missing-element, bad-value, unexpected-attribute, unexpected-text."""
    TEXT_RULE = "text-rule"
    """Against a rule that stands only in the standard's text; the codes are those of `rules`."""


class CapRefused(Exception):
    """The document is not an alert that may be used.

    `errors` are stable codes for scripts; `details` say in words what was found where, and quote the document: show
    them through `clients.core.text.visible`.
    """

    def __init__(self, refusal: Refusal, errors: tuple[str, ...], details: tuple[str, ...] = ()) -> None:
        super().__init__(f"{refusal}: {', '.join(errors)}")
        self.refusal = refusal
        self.errors = errors
        self.details = details
