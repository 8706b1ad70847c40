"""Whether the ladder of each alert was obeyed: who was to be woken next, after how long, and what the gateway says it did.

    announced    APPROVAL      the ladder, as its hash in the draft has it
    sent         ALERT         the waiting begins with the first; more people may be asked by each
    answered     ACK           by somebody who is asked
    fired        ESCALATION    the next rung, as the ladder has it, one after the other
    jumped       JUMP          that rung next, at once
    ended        ALERT         an update, cancel or all-clear of it

What an answer says is not for auditors, so each that could be one counts as one: a rung is called skipped only where even so it
was due, the gateway went on logging other things well after that, and its entry is not there. Time that the gateway was away is no
fault of the ladder; its waiting is measured from what it fired last. Drills may stand still and are not judged; SOS and check-ins
have rungs of the charter's, which are not judged here.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.rosters import Roster
from keys.alert import NO_LADDER, ladder_commitment
from keys.approval import Approved
from keys.body import read_approval
from keys.errors import KeysError, Malformed
from keys.ladder import Escalated, Jump, Ladder, Why, read_escalated, read_jump, read_ladder

SLACK: Final = 120_000  # ms that a rung may come late while the gateway is there
SAMPLE: Final = 30_000  # ms between two times that are kept of when the gateway was there


@dataclass(slots=True)
class Waiting:
    """One alert with a ladder. Times in ms of the gateway's clock; `rung` is the next one."""

    root: bytes
    ladder: Ladder
    not_after: int
    index: int  # of the first ALERT; of the APPROVAL before there is one
    begun: bool = False
    rung: int = 0
    since: int = 0
    firings: int = 0
    asked: set[bytes] = field(default_factory=set)
    answered: set[bytes] = field(default_factory=set)
    channels: set[bytes] = field(default_factory=set)
    jumps: list[int] = field(default_factory=list)
    over: bool = False

    @property
    def due(self) -> int | None:
        """When the next rung is; None where nothing is waited for."""
        rung = self.ladder.rung(self.rung)
        if not self.begun or self.over or rung is None or self.stopped:
            return None
        at = self.since + rung.after * 1000
        return at if at <= self.not_after else None

    @property
    def stopped(self) -> bool:
        return self.ladder.enough(len(self.answered & self.asked), len(self.asked))


class Escalations:
    """Follows every ladder through the log, in its order. It is told of each entry's time by `there`."""

    def __init__(self, findings: Findings) -> None:
        self.all: dict[bytes, Waiting] = {}
        self.fired_in_all = 0
        self.replaced: dict[bytes, list[bytes]] = {}  # root: those that it names
        self._there: list[int] = []
        self._unknown: int | None = None  # the first approval whose body is not here
        self._findings = findings

    def there(self, times: Sequence[int]) -> None:
        """The gateway logs something at each of these times; told before what then happened is."""
        last = self._there[-1] if self._there else -SAMPLE
        if times[-1] < last + SAMPLE and len(times) > 1:  # a full bundle in less than that
            return
        for time in times:
            if time >= last + SAMPLE:
                self._there.append(time)
                last = time

    # ------------------------------------------------------------------ what happens to an alert

    def announced(self, placed: Placed, body: bytes | None) -> None:
        """An APPROVAL of the control channel."""
        if body is None:
            self._unknown = placed.index if self._unknown is None else self._unknown
            return
        try:
            said = read_approval(body)
            if said.draft.ladder == NO_LADDER or said.draft.exercise:
                return
            opening = said.ladder
            if opening is None or ladder_commitment(opening.salt, opening.ladder) != said.draft.ladder:
                raise Malformed("the ladder given with an approval is not the one in its draft")
            ladder = read_ladder(opening.ladder)
        except KeysError as error:
            self._findings.fail(Topic.ESCALATION, Cause.INJECTED, str(error), placed.index)
            return
        root = said.draft.root
        self.all.setdefault(root, Waiting(root, ladder, said.draft.not_after, placed.index))

    def sent(self, placed: Placed, approved: Approved, roster: Roster, talk: Roster | None) -> None:
        """An ALERT that holds was placed in a channel; `talk` is the one beside which that stands."""
        time = placed.entry.time
        for root in approved.draft.references:
            self._end(root, time)
        self.replaced[approved.root] = list(approved.draft.references)
        one = self.all.get(approved.root)
        if one is None:
            return
        if not one.begun:
            one.begun, one.since, one.index = True, time, placed.index
        signers = {approved.writer.person, approved.sender.person}
        people = {seat.certified.person for seat in roster.seats.values()} - signers
        if talk is not None:
            people = people & {seat.certified.person for seat in talk.seats.values()} or people
        one.asked |= people
        one.channels.add(placed.entry.channel)

    def answered(self, placed: Placed, channel: bytes, person: bytes | None) -> None:
        """An ACK beside a channel: perhaps to any alert there."""
        for one in self.all.values():
            if channel in one.channels and person is not None and not one.over:
                self._overdue(one, placed.entry.time)
                one.answered.add(person)

    def jumped(self, body: bytes | None) -> None:
        """A JUMP of the control channel."""
        said = _read(read_jump, body)
        one = self.all.get(said.root) if isinstance(said, Jump) else None
        if one is None or not isinstance(said, Jump):
            return
        if (
            one.ladder.rung(said.rung) is None
        ):  # brought to devices again: counted among the firings, and this is its entry
            one.firings += 1
        else:
            one.jumps.append(said.rung)

    def fired(self, placed: Placed, body: bytes | None) -> None:
        """An ESCALATION of the gateway's."""
        said = _read(read_escalated, body)
        if not isinstance(said, Escalated):
            if body is not None:
                self._findings.fail(Topic.ESCALATION, Cause.INJECTED, "no escalation", placed.index)
            return
        self.fired_in_all += 1
        one = self.all.get(said.root)
        if one is None:
            return
        if rule := _against(one, said):
            self._findings.fail(Topic.ESCALATION, Cause.INJECTED, rule, placed.index)
        self._in_turn(one, said, placed)
        one.firings = said.firing

    def _in_turn(self, one: Waiting, said: Escalated, placed: Placed) -> None:
        time, last = placed.entry.time, len(one.ladder.rungs)
        if said.why is Why.JUMP and said.rung in one.jumps:
            one.jumps.remove(said.rung)
        elif said.why is Why.FALLBACK and said.rung == last and said.rung != one.rung:
            return  # out of turn, since nobody could be reached: what is waited for is still waited for
        elif said.rung != one.rung:
            rule = f"rung {said.rung + 1} was fired, and rung {one.rung + 1} was next"
            skipped = said.rung > one.rung
            cause = Cause.ESCALATION_SKIPPED if skipped else Cause.INJECTED
            self._findings.fail(Topic.ESCALATION, cause, rule, placed.index)
        else:
            self._overdue(one, time)
        one.rung, one.since = said.rung + 1, time

    def _end(self, root: bytes, time: int) -> None:
        """An alert, and what it had replaced, wake nobody any more."""
        todo, done = [root], set[bytes]()
        while todo:
            here = todo.pop()
            if here in done:
                continue
            done.add(here)
            one = self.all.get(here)
            if one is not None and not one.over:
                self._overdue(one, time)
                one.over = True
            todo += self.replaced.get(here, [])

    # ------------------------------------------------------------------ what was due

    def _overdue(self, one: Waiting, time: int) -> None:
        """Whether a rung should have been fired long before this time, while the gateway was there."""
        due = one.due
        if due is None or not self._was_there(due + SLACK, time - SLACK):
            return
        rule = f"rung {one.rung + 1} was due {(time - due) // 1000} s before the log goes on without it, and nobody was woken"
        self._findings.fail(Topic.ESCALATION, Cause.ESCALATION_SKIPPED, rule, one.index)
        one.since = time  # said once

    def _was_there(self, since: int, until: int) -> bool:
        place = bisect_left(self._there, since)
        return place < len(self._there) and self._there[place] <= until

    def end(self, last: int) -> None:
        """At the end of the log, whose last entry has this time: what is overdue there."""
        for one in self.all.values():
            self._overdue(one, last)
        if self._unknown is not None:
            rule = "an approval is not here, so whether it has a ladder is not known"
            self._findings.unchecked(Topic.ESCALATION, rule, self._unknown)
        self._findings.note(Topic.ESCALATION, f"{len(self.all)} ladders, {self.fired_in_all} rungs fired")


def _against(one: Waiting, said: Escalated) -> str:
    """What in an escalation is not as the ladder has it."""
    rung = one.ladder.rung(said.rung)
    if not one.begun or one.over:
        return "a rung was fired of an alert that had ended or was not sent yet"
    if rung is None or rung.road != said.road:
        return f"rung {said.rung + 1} by {said.road!r} is not of this alert's ladder"
    if not set(said.people) <= set(rung.people):
        return f"rung {said.rung + 1} names people whom the ladder does not name there"
    if said.firing != one.firings + 1:
        return f"firing {said.firing} comes after firing {one.firings}"
    return ""


def _read(read: Callable[[bytes], Escalated | Jump], body: bytes | None) -> Escalated | Jump | None:
    try:
        return None if body is None else read(body)
    except KeysError:
        return None
