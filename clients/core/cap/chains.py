"""Which alert holds now: messages that name each other, and what that makes of each (CAP 1.2 section 3.2.1, references).

    held = standings(alerts, at)         # every message that was sent by then, newest first
    now = [h for h in held if h.actionable]

A pure function of the messages at hand: no order of arrival, no clock, nothing remembered. What it says is:

- An Update replaces what it names, a Cancel withdraws it, an all-clear (an Update whose every block is AllClear and Past)
  ends it. What has been ended stays so: nothing revives it, not even a Cancel of what ended it.
- A message may only name an earlier one of the same sender and the same status. So a drill never ends a real alert, and
  nobody ends what is not theirs; whoever knows better gives a rule of their own for that, by authority.
- Messages that name each other in a ring end nothing. A message that names one that isn't here is told of.
- Whoever was not named stays: of two Updates of one alert both hold until somebody names them, told of as a fork. Showing
  one too many is mended by a person, showing one too few by nobody.
- Expiry is read from the message itself, at the time asked for, and needs no message of its own (section 3.2.2, expires).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from clients.core.cap.alert import Alert, Reference
from clients.core.cap.values import instant

ENDING: Final = frozenset({"Update", "Cancel"})
SPEAKING: Final = ENDING | {"Alert"}


class Standing(StrEnum):
    """What a message is at a moment. The first that fits counts."""

    NOTICE = "notice"
    """Says something about other messages and asks for nothing: Cancel, all-clear, Ack, Error."""
    CANCELLED = "cancelled"
    CLEARED = "cleared"
    REPLACED = "replaced"
    EXPIRED = "expired"
    CURRENT = "current"


class Doubt(StrEnum):
    """What a reader is told beside a standing."""

    MISSING = "missing"
    """Names a message that isn't here."""
    FORK = "fork"
    """Another Update names the same message, and neither names the other."""
    ENDED = "ended"
    """Updates a message that had been cancelled or cleared before."""
    LOOP = "loop"
    """Names a message that names it in turn; none of those references counts."""
    NOT_EARLIER = "not-earlier"
    """Names a message that was sent after it; the reference doesn't count."""
    NOT_THEIRS = "not-theirs"
    """Names a message that its sender may not end; the reference doesn't count."""
    OTHER_STATUS = "other-status"
    """A drill names a real alert, or the other way round; the reference doesn't count."""
    DOUBLE = "double"
    """Another document bears the same name."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message, what it is at that time, who made it so, and what is doubtful."""

    alert: Alert
    standing: Standing
    by: Alert | None
    """The first message that cancelled, cleared or replaced it."""
    doubts: frozenset[Doubt]

    @property
    def actionable(self) -> bool:
        """Whether somebody is to act on it: it holds, and is no test (section 3.2.1, status)."""
        return self.standing is Standing.CURRENT and self.alert.status in ("Actual", "Exercise")


def is_all_clear(alert: Alert) -> bool:
    """An Update all of whose blocks say AllClear and Past: the danger is over. One block less, and it is an Update."""
    return (
        alert.msg_type == "Update"
        and bool(alert.infos)
        and all("AllClear" in info.response_types and info.urgency == "Past" for info in alert.infos)
    )


def expires_at(alert: Alert) -> int | None:
    """When its last block ends, in ms; None where a block names no end."""
    ends = [info.expires_at for info in alert.infos]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def reference_to(alert: Alert) -> Reference:
    """How other messages name this one."""
    return Reference(alert.sender, alert.identifier, alert.sent)


def same_sender(ending: Alert, ended: Alert) -> bool:
    """The rule where nothing better is known: nobody ends what somebody else sent."""
    return ending.sender == ended.sender


def standings(
    alerts: Iterable[Alert],
    at: int,
    *,
    may_end: Callable[[Alert, Alert], bool] = same_sender,
    lasts: int | None = None,
) -> list[Held]:
    """Every message sent by `at` (ms since 1970 UTC), and how it stands then; the newest first.

    The same bytes twice are one message. `may_end(ending, ended)` decides by authority; `lasts` (ms) is how long an alert
    holds that names no end itself (section 3.2.2: each receiver's own policy), None for ever.
    """
    known = list({a.original: a for a in alerts if a.sent_at <= at}.values())
    known.sort(key=lambda a: (a.sent_at, a.sender, a.identifier, a.original))
    links = _Links(known, may_end)
    return [links.held(n, at, lasts) for n in reversed(range(len(known)))]


def open_chain(alerts: Iterable[Alert], of: Alert, at: int) -> list[Alert]:
    """The messages that one ending this alert has to name: everything of its chain that has not run out, the oldest first.

    Those replaced already are among them: a device that missed the Update which replaced them still holds them current.
    """
    known = [a for a in {a.original: a for a in (*alerts, of)}.values() if a.status == of.status and a.sent_at <= at]
    speaking = [(a, _place(reference_to(a)), set(map(_place, a.references))) for a in known if a.msg_type in SPEAKING]
    together = {_place(reference_to(of))}
    grown = 0
    while grown != len(together):
        grown = len(together)
        for _, own, named in speaking:
            if own in together or together & named:
                together |= {own} | named
    chain = [a for a, own, _ in speaking if own in together and a.msg_type != "Cancel" and not _over(a, at, None)]
    return sorted(chain, key=lambda a: (a.sent_at, a.identifier))


def _place(reference: Reference) -> tuple[str, str, int | None]:
    """A reference by what it means: the same moment may be written with another offset."""
    return reference.sender, reference.identifier, instant(reference.sent)


def _over(alert: Alert, at: int, lasts: int | None) -> bool:
    ends = expires_at(alert)
    if ends is None and lasts is not None:
        ends = alert.sent_at + lasts
    return ends is not None and at >= ends


class _Links:
    """Who names whom among these messages, by their places in the list, and which of those references count."""

    def __init__(self, alerts: Sequence[Alert], may_end: Callable[[Alert, Alert], bool]) -> None:
        self.alerts = alerts
        self.may_end = may_end
        self.doubts: list[set[Doubt]] = [set() for _ in alerts]
        self.names = self._counting(_places(alerts))
        self.before = [self._reached(n) for n in range(len(alerts))]
        self._cut_loops()
        self.named_by: list[list[int]] = [[] for _ in alerts]
        for ending, ended in enumerate(self.names):
            for one in ended:
                self.named_by[one].append(ending)
        for ending in range(len(alerts)):
            self._doubt_lateness(ending)

    def _counting(self, places: Mapping[tuple[str, str], Sequence[int]]) -> list[list[int]]:
        """For each message those that it names and may end."""
        names: list[list[int]] = []
        for ending, alert in enumerate(self.alerts):
            if len(places[alert.sender, alert.identifier]) > 1:
                self.doubts[ending].add(Doubt.DOUBLE)
            ended = dict[int, None]()
            for reference in alert.references if alert.msg_type in ENDING else ():
                bearing = places.get((reference.sender, reference.identifier), ())
                ended |= dict.fromkeys(self._those_meant(ending, reference, bearing))
            names.append(list(ended))
        return names

    def _those_meant(self, ending: int, reference: Reference, bearing: Iterable[int]) -> list[int]:
        """The messages of that name and time; why one of them can't be ended is doubted aloud."""
        sent = instant(reference.sent)
        meant = [n for n in bearing if self.alerts[n].sent_at == sent]
        if not meant:
            self.doubts[ending].add(Doubt.MISSING)
        objections = {n: self._objection(self.alerts[ending], self.alerts[n]) for n in meant}
        self.doubts[ending] |= {doubt for doubt in objections.values() if doubt}
        return [n for n, doubt in objections.items() if doubt is None]

    def _objection(self, ending: Alert, ended: Alert) -> Doubt | None:
        if ended.sent_at > ending.sent_at:
            return Doubt.NOT_EARLIER
        if ended.status != ending.status:
            return Doubt.OTHER_STATUS
        return None if self.may_end(ending, ended) else Doubt.NOT_THEIRS

    def _reached(self, start: int) -> set[int]:
        """Everything that a message names, by however many steps; itself too where it stands in a ring."""
        seen, waiting = set[int](), [start]
        while waiting:
            fresh = [n for n in self.names[waiting.pop()] if n not in seen]
            seen |= set(fresh)
            waiting += fresh
        return seen

    def _cut_loops(self) -> None:
        """References run backwards in time, so a ring lies within one second; nothing in it ends anything in it."""
        looped = {n for n, before in enumerate(self.before) if n in before}
        for n in looped:
            self.doubts[n].add(Doubt.LOOP)
            self.names[n] = [ended for ended in self.names[n] if ended not in looped]

    def _doubt_lateness(self, ending: int) -> None:
        """An Update of what another message updated, or of what was over already."""
        alert = self.alerts[ending]
        if alert.msg_type != "Update" or is_all_clear(alert):
            return
        for ended in self.names[ending]:
            if self._is_an_end(ended):
                self.doubts[ending].add(Doubt.ENDED)
            for other in self.named_by[ended]:
                if other != ending and other not in self.before[ending] and ending not in self.before[other]:
                    over = self._is_an_end(other) and self.alerts[other].sent_at <= alert.sent_at
                    self.doubts[ending].add(Doubt.ENDED if over else Doubt.FORK)

    def _is_an_end(self, n: int) -> bool:
        return self._makes(n) is not Standing.REPLACED

    def _makes(self, ending: int) -> Standing:
        """What a message makes of those it names."""
        if self.alerts[ending].msg_type == "Cancel":
            return Standing.CANCELLED
        return Standing.CLEARED if is_all_clear(self.alerts[ending]) else Standing.REPLACED

    def held(self, n: int, at: int, lasts: int | None) -> Held:
        """The message at this place as it stands at `at`."""
        alert, doubts = self.alerts[n], frozenset(self.doubts[n])
        if alert.msg_type not in ("Alert", "Update") or is_all_clear(alert):
            return Held(alert, Standing.NOTICE, None, doubts)
        first = {self._makes(by): by for by in reversed(self.named_by[n])}
        for standing in (Standing.CANCELLED, Standing.CLEARED, Standing.REPLACED):
            if standing in first:
                return Held(alert, standing, self.alerts[first[standing]], doubts)
        return Held(alert, Standing.EXPIRED if _over(alert, at, lasts) else Standing.CURRENT, None, doubts)


def _places(alerts: Sequence[Alert]) -> dict[tuple[str, str], list[int]]:
    places: dict[tuple[str, str], list[int]] = {}
    for n, alert in enumerate(alerts):
        places.setdefault((alert.sender, alert.identifier), []).append(n)
    return places
