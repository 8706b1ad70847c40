"""What is said of a document: `check` for people and scripts, `open_alert` for the rest of the client.

Both take the same steps; they differ in what they make of the outcome.
"""

from dataclasses import dataclass

from clients.core.cap import rules, schema
from clients.core.cap.alert import Alert, language_of, read
from clients.core.cap.errors import CapRefused, Refusal
from clients.core.cap.geometry import words
from clients.core.cap.tree import Element, parse


@dataclass(frozen=True, slots=True)
class Header:
    """What the document says of itself, for showing; a refused one may say anything, or nothing (None)."""

    identifier: str | None
    sender: str | None
    sent: str | None
    status: str | None
    msg_type: str | None
    scope: str | None
    infos: int
    languages: tuple[str, ...]
    """One for each info block, in order; a block that names none is in en-US."""
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted or refused, and why: `errors` and `warnings` are stable codes, `details` say where, in words.

    `header` is there for whatever has an alert of CAP 1.2 at its root, though it be refused.
    """

    refusal: Refusal | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    details: tuple[str, ...]
    header: Header | None

    @property
    def verdict(self) -> str:
        """accept, accept-with-warnings or refuse."""
        if self.refusal is not None:
            return "refuse"
        return "accept-with-warnings" if self.warnings else "accept"


def check(data: bytes) -> Verdict:
    """Say of any bytes whether they are an alert that may be used; raises nothing."""
    try:
        root = _alert_element(data)
    except CapRefused as refused:
        return Verdict(refused.refusal, refused.errors, (), refused.details, None)
    return _judge(root)


def open_alert(data: bytes) -> Alert:
    """The alert in these bytes; raises `CapRefused` for what `check` refuses, and for nothing else."""
    root = _alert_element(data)
    verdict = _judge(root)
    if verdict.refusal is not None:
        raise CapRefused(verdict.refusal, verdict.errors, verdict.details)
    return read(root, bytes(data))


def _alert_element(data: bytes) -> Element:
    root = parse(data)
    schema.require_alert(root)
    return root


def _judge(root: Element) -> Verdict:
    """Schema and text rules are both asked, so that a sender learns all at once; the schema gives the class."""
    faults = schema.faults(root)
    errors, warnings = rules.breaches(root)
    refusal = Refusal.SCHEMA if faults else Refusal.TEXT_RULE if errors else None
    codes = dict.fromkeys([*(fault.code for fault in faults), *(breach.code for breach in errors)])
    told = (f"line {breach.line}: {breach.code}" for breach in (*errors, *warnings))
    return Verdict(
        refusal=refusal,
        errors=tuple(codes),
        warnings=tuple(breach.code for breach in warnings),
        details=(*(fault.detail for fault in faults), *told),
        header=_header(root),
    )


def _header(root: Element) -> Header:
    infos = list(root.all("info"))
    return Header(
        identifier=root.value("identifier"),
        sender=root.value("sender"),
        sent=root.value("sent"),
        status=root.value("status"),
        msg_type=root.value("msgType"),
        scope=root.value("scope"),
        infos=len(infos),
        languages=tuple(map(language_of, infos)),
        references=tuple(words(root.value("references") or "")),
    )
