"""What was destroyed, by which rule, and by whom: every tombstone held against the charter, the entries it names, and its order.

    by class     by the gateway, so many days after the entry as the channel's class had it then
    by its end   by the gateway, after the `expires` of the entry's header
    by order     by one person, as another had ordered it before; both may

The youngest entry of each span is looked up once all is read: if that one was due by the class's rule, so were those before it; what
ends by itself is named one by one. A
body that is missing without a tombstone is another matter: no rule explains it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.disclosures import EntryAt
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.registry import Registry
from keys.credential import Certified
from keys.envelope import Kind, read
from keys.errors import KeysError, NotPermitted, NotTrusted
from keys.identity import PersonId
from keys.policy import Verb
from keys.retention import BY_THE_GATEWAY, DAY, Destruction, Rule, Span, Tombstone, read_destruction, read_tombstone

DaysOf = Callable[[bytes], int | None]
"""How many days a channel's class keeps content under the charter in force; None where that is not known."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A span that the gateway has let go, to be held against its youngest entry."""

    index: int  # of the tombstone
    time: int  # of the tombstone
    channel: bytes
    rule: Rule
    days: int
    span: Span


class Tombstones:
    """Checks what the control channel says of destroyed bodies."""

    def __init__(self, registry: Registry, findings: Findings, days_of: DaysOf) -> None:
        self._registry = registry
        self._findings = findings
        self._days_of = days_of
        self.orders: dict[bytes, tuple[PersonId, Destruction]] = {}
        self._due: list[_Due] = []
        self._count = dict.fromkeys(Rule, 0)

    def take(self, placed: Placed, body: bytes | None, start: int, *, by_gateway: bool) -> None:
        """A TOMBSTONE or a DESTRUCTION. `start` is where this reading began, `by_gateway` whether the gateway's key signed it."""
        if body is None or self._registry.charter is None:
            rule = "its body is not here" if body is None else "the charter is not known"
            self._findings.unchecked(Topic.TOMBSTONES, rule, placed.index)
            return
        try:
            if placed.context.kind is Kind.DESTRUCTION:
                said = read_destruction(body)
                self.orders[sha256(placed.entry.header).digest()] = (
                    self._author(placed, said.certificate).person,
                    said,
                )
            elif by_gateway:
                self._by_rule(placed, read_tombstone(body))
            else:
                self._ordered(placed, read_tombstone(body), start)
        except KeysError as error:
            cause = Cause.SELF_APPROVAL if isinstance(error, NotPermitted) else Cause.INJECTED
            self._findings.fail(Topic.TOMBSTONES, cause, str(error), placed.index)

    def _author(self, placed: Placed, certificate: bytes) -> Certified:
        charter = self._registry.charter
        assert charter is not None  # take
        certified = self._registry.named(certificate, placed.context.device, placed.entry.time)
        charter.check_verb(certified, Verb.DESTROY)
        if certified.organisation != charter.policy.home.name:
            raise NotPermitted("people of the mission's own organisation decide what is destroyed")
        return certified

    def _by_rule(self, placed: Placed, stone: Tombstone) -> None:
        if stone.certificate != BY_THE_GATEWAY or stone.rule is Rule.ORDERED:
            raise NotTrusted("the gateway destroys by rule, and by nobody's order")
        days = self._days_of(stone.channel)
        if stone.rule is Rule.CLASS and days is None:
            self._findings.unchecked(Topic.TOMBSTONES, "the channel's class is not known", placed.index)
        elif stone.rule is Rule.CLASS and stone.days != days:
            raise NotTrusted(f"destroyed after {stone.days} days, where the class keeps {days}")
        for span in stone.spans:
            self._count[stone.rule] += span.last - span.first + 1
            due = _Due(placed.index, placed.entry.time, stone.channel, stone.rule, stone.days, span)
            self._due.append(due)

    def _ordered(self, placed: Placed, stone: Tombstone, start: int) -> None:
        author = self._author(placed, stone.certificate)
        order = self.orders.get(stone.order)
        if order is None and start:
            self._findings.unchecked(Topic.TOMBSTONES, "its order lies before what was read here", placed.index)
            return
        if stone.rule is not Rule.ORDERED or order is None:
            raise NotTrusted("destroyed by an order that is not in the log")
        person, said = order
        if (said.channel, said.spans) != (stone.channel, stone.spans):
            raise NotTrusted("something else was destroyed than was ordered")
        if person == author.person:
            raise NotPermitted("ordered and confirmed by one person")
        self._count[Rule.ORDERED] += sum(span.last - span.first + 1 for span in stone.spans)

    def end(self, entry_at: EntryAt) -> None:
        """Whether what went by rule was due."""
        for due in self._due:
            entry = entry_at(due.span.index)
            if entry is None:
                self._findings.unchecked(Topic.TOMBSTONES, "the message destroyed is not at hand", due.index)
                continue
            expires = read(entry.envelope).context.expires
            if (entry.channel, entry.seq) != (due.channel, due.span.last):
                rule = "a tombstone that names another entry than its message's"
            elif due.rule is Rule.CLASS and due.time <= entry.time + due.days * DAY:
                rule = f"destroyed before its {due.days} days were over"
            elif due.rule is Rule.EXPIRED and not 0 < expires <= due.time:
                rule = "destroyed before its own end"
            else:
                continue
            self._findings.fail(Topic.TOMBSTONES, Cause.INJECTED, rule, due.index)
        words = {Rule.CLASS: "by class", Rule.EXPIRED: "at their own end", Rule.ORDERED: "by order of two"}
        said = ", ".join(f"{count} {words[rule]}" for rule, count in self._count.items() if count)
        if said:
            self._findings.note(Topic.TOMBSTONES, f"{said}")
