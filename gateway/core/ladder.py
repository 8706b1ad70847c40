"""Escalation: what the gateway does while an alert is not answered, decided from the rows alone.

    begin      the APPROVAL is taken: the alert's row
    placed     an ALERT of it is placed: whom it is for; the first one starts the waiting
    answered   an ACK: nothing more to that person; perhaps the stop rule is met
    ended      an UPDATE, CANCEL or ALL_CLEAR of it is placed
    jump       an officer's JUMP: that rung at once, and on from there
    resend     an officer's JUMP by no rung: to the devices of the silent again
    tick       the timer: one alert at a time, whichever is due first

Each gives effects for the transaction of the envelope that caused it, so what is logged and what is done are one. A rung is
fired in one transaction: its ESCALATION entry, its notices, and the position after it. So a crash at any point leaves it either
wholly to do or wholly done, and nobody repairs anything. The notices are sent by their roads afterwards, each by its name.

`now` of `tick` is the timer's clock, which never runs backwards and never stands still; it alone measures the waiting, from the
moment at which the timer first sees it (`Waiting.ARM`). A clock that jumps ahead, or hours of absence, fire one rung, not all.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from gateway.core import acts
from gateway.core.append import Gateway
from gateway.core.broadcast import (
    NO_ADDRESS,
    AlertRow,
    Ending,
    Fallback,
    Firing,
    Notice,
    Placing,
    Position,
    Waiting,
    notice_id,
)
from gateway.core.effects import (
    Effect,
    EndAlert,
    Outcome,
    PlaceAlert,
    PutAlert,
    PutAnswer,
    PutFiring,
    PutPosition,
    WithdrawNotices,
)
from gateway.core.emergencies import concerned
from gateway.core.errors import Refused, denied
from gateway.core.view import View
from gateway.wire import NoticeState, Refusal
from keys.canonical import encode
from keys.emergency import CaseKind, read_case
from keys.envelope import Kind
from keys.errors import Malformed
from keys.identity import ChannelId, PersonId, Random
from keys.ladder import APP, RESEND, SHORTEST, Escalated, Ladder, Rung, Why, read_ladder

JUMP_RETRY: Final = 1_000  # ms
RESEND_EVERY: Final = 30_000  # ms


def begin(view: View, row: AlertRow, references: Sequence[bytes] = ()) -> tuple[Effect, ...]:
    """Keep an approved alert. Its ladder is taken as it was signed: what it would not reach was refused when it was saved, and
    an alert that two people have approved is not stopped by a road that the operator has taken away since.

    Raises:
        Refused: REPLAY for a root or an id that was used; SCHEMA for a ladder that is none.
    """
    if view.alert(row.root) is not None or view.alert_of(row.id) is not None:
        raise Refused(Refusal.REPLAY, "this alert was approved before")
    if row.ladder:
        try:
            read_ladder(row.ladder)
        except Malformed as error:
            raise Refused(Refusal.SCHEMA, f"not a ladder: {error}") from None
    return (PutAlert(row, tuple(references)),)


def placed(view: View, root: bytes, channel: ChannelId, seq: int, now: int) -> tuple[Effect, ...]:
    """An alert gets the place `seq` in a channel: it is for the people there, and waits for them from its first place on."""
    row = view.alert(root)
    assert row is not None  # no ALERT is taken before its approval
    people = targets(view, row, channel)
    effects: list[Effect] = [PlaceAlert(root, Placing(channel, seq), tuple(sorted(people)), max(1, now))]
    if row.ended is Ending.NONE and (not row.begun or row.at.stopped):  # stopped by those who had it sooner
        met = not row.ladder or _enough_with(view, row, people)
        at = replace(_rest(row, row.at), stopped=True) if met else replace(row.at, waiting=Waiting.ARM, stopped=False)
        if not row.begun or not met:
            effects.append(PutPosition(root, at))
    return tuple(effects)


def targets(view: View, row: AlertRow, channel: ChannelId) -> frozenset[PersonId]:
    """Whom an alert is for in a channel: the people of the talk channel that it stands beside, if there is one (the officers who
    are in every alert channel are not asked for it), and nobody who has signed it."""
    people = frozenset(view.people(channel)) - {row.writer, row.approver}
    stream = view.stream(channel)
    if stream is not None and stream.beside:
        return people & view.people(stream.beside) or people
    return people


def _enough_with(view: View, row: AlertRow, people: frozenset[PersonId]) -> bool:
    """Whether the stop rule still holds once these are asked too."""
    known = {asked.person for asked in view.all_asked(row.root) if asked.target}
    return read_ladder(row.ladder).enough(row.answered, row.asked + len(people - known))


def answered(view: View, row: AlertRow, person: PersonId, now: int) -> tuple[Effect, ...]:
    """A person's ack where the alert stands. Of who was not asked, and the second time, nothing comes."""
    asked = view.asked(row.root, person)
    if asked is not None and asked.answered:
        return ()
    ladder = _ladder(row.ladder) if row.ladder else None
    if asked is None and not (ladder and _names(ladder, person)):
        return ()
    target = asked is not None and asked.target
    effects: list[Effect] = [PutAnswer(row.root, person, now, target, row.at.firings > 0)]
    counts = target and row.open and not row.at.stopped
    if ladder is not None and counts and ladder.enough(row.answered + 1, row.asked):
        effects += [PutPosition(row.root, _stopped(row)), WithdrawNotices(row.root, now)]
    return tuple(effects)


_ladder: Final = lru_cache(read_ladder)
"""For what ten thousand do who answer the same alert."""


def _stopped(row: AlertRow) -> Position:
    """The stop rule is met. A jump that an officer has asked for is still made."""
    at = replace(
        row.at, stopped=True, fallback=Fallback.LAST if row.at.fallback is Fallback.WANTED else row.at.fallback
    )
    return at if at.waiting is Waiting.JUMP else _rest(row, at)


def _names(ladder: Ladder, person: PersonId) -> bool:
    return any(person in rung.people for rung in (*ladder.rungs, *([ladder.fallback] if ladder.fallback else ())))


def ended(view: View, references: Sequence[bytes], ending: Ending, now: int) -> tuple[Effect, ...]:
    """These alerts, and those that they had replaced, wake nobody any more."""
    found: dict[bytes, Effect] = {}
    todo = list(references)
    while todo:
        root = todo.pop()
        row = view.alert(root)
        if row is None or row.emergency or root in found:
            continue
        found[root] = EndAlert(root, ending, now)
        todo += view.alert_references(root)
    return tuple(found.values())


def still_open(view: View, references: Sequence[bytes], but: bytes) -> tuple[bytes, ...]:
    """Alerts linked to these by any reference that are open and not among them: what an all-clear would leave standing."""
    linked = [view.alert(root) for root in view.alert_chain(references) if root != but and root not in references]
    return tuple(row.root for row in linked if row is not None and row.open)


def jump(view: View, root: bytes, rung: int, now: int) -> tuple[Effect, ...]:
    """An officer has this rung fired at once, before its time or again.

    Raises:
        Refused: DENIED for no such alert; EXPIRED for one that has ended; SCHEMA for one not sent yet, without a ladder, or for a
            rung it has not, or that has nobody left to wake; BUSY while another jump waits for the timer.
    """
    row = view.alert(root)
    if row is None or row.emergency:
        raise denied()
    if row.ended is not Ending.NONE or now > row.not_after:
        raise Refused(Refusal.EXPIRED, "this alert has ended: it wakes nobody any more")
    ladder = read_ladder(row.ladder) if row.ladder else None
    asked_for = ladder.rung(rung) if ladder else None
    if not row.begun or asked_for is None:
        raise Refused(Refusal.SCHEMA, "this alert is not sent yet, or has no such rung")
    if not _silent(view, row, asked_for):
        raise Refused(Refusal.SCHEMA, "everybody whom this rung would wake has answered")
    if row.at.waiting is Waiting.JUMP:
        raise Refused(Refusal.BUSY, "another jump is just being made", JUMP_RETRY)
    return (PutPosition(root, replace(row.at, rung=rung, waiting=Waiting.JUMP, due=0)),)


def resend(view: View, root: bytes, people: Sequence[bytes], seq: int, now: int) -> tuple[Effect, ...]:
    """An officer has an alert brought again to the devices of those of these people (none: of everybody) who are silent. Its ladder,
    if it has one, goes on as it stands. The JUMP at `seq` of the control channel is its entry.

    Raises:
        Refused: DENIED, EXPIRED, SCHEMA as `jump`; LIMIT within `RESEND_EVERY` of the last time.
    """
    row = view.alert(root)
    if row is None or row.emergency:
        raise denied()
    if row.ended is not Ending.NONE or now > row.not_after:
        raise Refused(Refusal.EXPIRED, "this alert has ended: it wakes nobody any more")
    if not row.begun:
        raise Refused(Refusal.SCHEMA, "this alert is not sent yet")
    if any(f.why is Why.ASKED and now - f.time < RESEND_EVERY for f in view.firings(root)[-1:]):
        raise Refused(Refusal.LIMIT, f"it was brought to them again a moment ago: wait {RESEND_EVERY // 1000} s")
    silent = view.silent(root)
    woken = [person for person in silent if not people or person in people]
    if not woken:
        raise Refused(Refusal.SCHEMA, "nobody of those is silent")
    number, time = row.at.firings + 1, max(now, view.log_end().time)
    notices = _notices(view, row, Rung(SHORTEST, APP, []), woken, number, RESEND, time)
    fired = Firing(number, RESEND, APP, Why.ASKED, time, seq, len(woken), 0)
    return PutFiring(root, fired, notices), PutPosition(root, replace(row.at, firings=number))


# --- the timer ---


def tick(view: View, gateway: Gateway, now: int, random: Random) -> Outcome[bool]:
    """Do the one thing that is due first, if anything is; the answer is whether something was. Ask again until it is False."""
    row = view.ladder_due(now)
    if row is None:
        return Outcome(False)
    if now > row.not_after:
        return Outcome(True, (EndAlert(row.root, Ending.EXPIRED, now),))
    at = row.at
    ladder = read_ladder(row.ladder)
    if at.fallback is Fallback.WANTED:
        return _fire(view, gateway, row, ladder, len(ladder.rungs), Why.FALLBACK, now, random)
    if at.waiting is Waiting.ARM:
        return Outcome(True, (PutPosition(row.root, _wait(row, ladder, at, now)),))
    assert at.waiting in (Waiting.DUE, Waiting.JUMP)  # END is due after not_after
    last = at.rung == len(ladder.rungs)
    why = Why.JUMP if at.waiting is Waiting.JUMP else Why.FALLBACK if last else Why.DUE
    if row.emergency:
        why = Why.MISSED if read_case(row.emergency).kind is CaseKind.MOVE else Why.DUE
        return _fire(view, gateway, row, ladder, 0 if last else at.rung, why, now, random)
    return _fire(view, gateway, row, ladder, at.rung, why, now, random)


def set_aside(view: View, now: int) -> Outcome[bool]:
    """The alert that is due first can't be gone on with, by a fault of ours: the others must not wait behind it."""
    row = view.ladder_due(now)
    if row is None:
        return Outcome(False)
    at = replace(row.at, waiting=Waiting.NOTHING, fallback=Fallback.DONE)
    return Outcome(True, (PutPosition(row.root, at),))


def _fire(
    view: View, gateway: Gateway, row: AlertRow, ladder: Ladder, number: int, why: Why, now: int, random: Random
) -> Outcome[bool]:
    """Fire a rung: its entry, its notices, and the position after it, in one transaction."""
    rung = ladder.rung(number)
    assert rung is not None  # `jump` and `_wait` lead to no other
    time, firing = max(now, view.log_end().time), row.at.firings + 1
    if row.emergency:  # whoever has come into its channel since is woken too
        people: Sequence[PersonId] = concerned(view, gateway.charter.policy, read_case(row.emergency), row.writer)
    else:
        people = _silent(view, row, rung)
    notices = _notices(view, row, rung, people, firing, number, time)
    unreached = sum(notice.state is NoticeState.FAILED for notice in notices)
    woken = len(notices) - unreached
    stream = view.stream(gateway.charter.control_channel)
    assert stream is not None  # it holds the charter
    fired = Firing(firing, number, rung.road, why, time, stream.seq + 1, woken, unreached)
    named: list[bytes] = [notice.person for notice in notices] if rung.people else []
    body = Escalated(row.root, firing, number, rung.road, why, named, woken, unreached)
    at = replace(_after(row, ladder, number, why, now), firings=firing)
    if unreached and not woken and at.fallback is Fallback.LAST and ladder.fallback is not None:
        at = replace(at, fallback=Fallback.WANTED)
    done = acts.say(
        view,
        gateway,
        Kind.ESCALATION,
        encode(body),
        now,
        random,
        PutFiring(row.root, fired, notices),
        PutPosition(row.root, at),
    )
    return Outcome(True, done.effects)


def _silent(view: View, row: AlertRow, rung: Rung) -> Sequence[PersonId]:
    """Whom a rung wakes: its people, or everybody the alert is for, without those who have answered."""
    if not rung.people:
        return view.silent(row.root)
    found = [(PersonId(person), view.asked(row.root, person)) for person in rung.people]
    return [person for person, asked in found if asked is None or not asked.answered]


def _notices(
    view: View, row: AlertRow, rung: Rung, people: Sequence[PersonId], firing: int, number: int, time: int
) -> tuple[Notice, ...]:
    """A notice each; who has no address on this road is told apart at once."""
    reached = None if rung.road == APP else view.reached_by(rung.road)
    made = []
    for person in people:
        way = reached is None or person in reached
        state, detail = (NoticeState.QUEUED, "") if way else (NoticeState.FAILED, NO_ADDRESS)
        name = notice_id(row.root, firing, person, rung.road)
        made.append(Notice(name, row.root, firing, number, person, rung.road, state, 0, time, 0, detail))
    return tuple(made)


def _after(row: AlertRow, ladder: Ladder, number: int, why: Why, now: int) -> Position:
    """Where the ladder stands once a rung was fired."""
    at = row.at
    if at.fallback is Fallback.WANTED:  # out of turn: what was waited for is still waited for, unless it was this
        at = replace(at, fallback=Fallback.DONE)
        return _rest(row, at) if at.waiting is Waiting.DUE and at.rung == number else at
    if number == len(ladder.rungs):
        at = replace(at, fallback=Fallback.DONE)
    elif why is Why.JUMP:
        at = replace(at, fallback=Fallback.LAST)
    at = replace(at, rung=number + 1)
    return _rest(row, at) if at.stopped else _wait(row, ladder, at, now)


def _wait(row: AlertRow, ladder: Ladder, at: Position, now: int) -> Position:
    """Begin to wait for the next rung, if there is one; the alert's end comes first if it does."""
    rung = ladder.rung(at.rung)
    if rung is None and row.emergency:  # from the beginning, until a named person answers: never ended by time
        due = now + read_case(row.emergency).repeat * 1000
        return replace(at, waiting=Waiting.DUE, due=due, since=now)
    if rung is None or (at.rung == len(ladder.rungs) and at.fallback is Fallback.DONE):
        return _rest(row, at)
    due = min(now + rung.after * 1000, row.not_after + 1)
    return replace(at, waiting=Waiting.DUE, due=due, since=now)


def _rest(row: AlertRow, at: Position) -> Position:
    """Nothing is left to fire; the timer comes once more, when the alert has ended."""
    return replace(at, waiting=Waiting.END, due=row.not_after + 1)
