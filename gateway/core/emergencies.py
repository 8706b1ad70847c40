"""SOS, its end by two people, and check-ins: the rules, and what each does to the ladder of its row.

    SOS            everybody in its alert channel is woken at once, then by every other road, again and again until somebody
                   answers; it is over when two people have said so, and by nothing else
    STAND_DOWN     its author asks; another person who may alert or remove confirms that very request
    CHECK_IN_PLAN  a row whose first rung waits for the first check-in and its grace: a dead-man timer
    CHECK_IN       moves that on; where the plan has fired, what was not sent yet is withdrawn

The timer, its entries and notices are the alerts' own (`gateway.core.ladder`): a phone that is dead, a gateway that was killed
and a clock that jumped make no difference.
"""

from hashlib import sha256
from typing import Final

from gateway.core.broadcast import AlertRow, Ending, Placing, Position, Waiting
from gateway.core.effects import (
    Effect,
    EndAlert,
    PlaceAlert,
    PutAlert,
    PutAnswer,
    PutPlan,
    PutPosition,
    WithdrawNotices,
)
from gateway.core.errors import Refused, denied
from gateway.core.run import Run, channel_class, check_verb
from gateway.core.view import View
from gateway.wire import Refusal
from keys.body import Ack
from keys.canonical import MAX_MILLIS, encode
from keys.emergency import HORIZON, Case, CaseKind, Plan, StandDown, due_after, ladder, read_case, read_stand_down
from keys.envelope import Kind, Precedence
from keys.identity import PersonId
from keys.policy import Policy, Verb

WATCHES: Final = frozenset({Verb.ALERT, Verb.REMOVE})
"""Who may do one of these confirms that an SOS ends, and is woken when a check-in is missed: officers and leaders."""


# --- SOS ---


def sos(view: View, run: Run) -> tuple[Effect, ...]:
    """An SOS by whoever may speak. No list of revocations, no agreement and no quota holds it back, and nothing counts them."""
    _check_alerts(run)
    verified, _ = run.one()
    if verified.context.precedence is not Precedence.FLASH or verified.context.expires:
        raise Refused(Refusal.SCHEMA, "an SOS is FLASH and has no end")
    return _begin(view, run, verified.header_hash, CaseKind.SOS, due=[], grace=0)


def _check_alerts(run: Run) -> None:
    kind = channel_class(run)
    if not kind.alerts:
        raise Refused(Refusal.ROLE, f"channels of class {kind.name} carry no emergencies")
    check_verb(run, Verb.SEND)


def _begin(view: View, run: Run, root: bytes, kind: CaseKind, *, due: list[int], grace: int) -> tuple[Effect, ...]:
    """The row, and when its first rung is due: at once, or when the first check-in is missed."""
    policy = run.charter.policy
    case = Case(kind, run.stream.id, run.who.device, due, grace, policy.sos_repeat_seconds)
    row = AlertRow(
        root=root,
        id=root[:16],
        draft=b"",
        ladder=encode(ladder(tuple(sorted(view.roads())), policy.sos_roads_seconds)),
        writer=run.who.person,
        approver=None,
        seq=0,
        not_after=MAX_MILLIS,
        emergency=encode(case),
    )
    first = due[0] + grace * 1000 if due else run.now
    people = concerned(view, policy, case, run.who.person)
    at = Position(rung=0, waiting=Waiting.DUE, due=first, since=run.now)
    place = Placing(run.stream.id, run.stream.seq + 1)
    return PutAlert(row), PlaceAlert(root, place, people, max(1, run.now)), PutPosition(root, at)


def concerned(view: View, policy: Policy, case: Case, author: PersonId) -> tuple[PersonId, ...]:
    """Whom it wakes now: of an SOS everybody in its channel, of a missed check-in its officers and leaders; never its author."""
    found = view.people(case.channel) - {author}
    if case.kind is CaseKind.MOVE:
        rows = [view.certificate(member.certificate) for member in view.members(case.channel)]
        found &= {row.person for row in rows if row is not None and policy.verbs(row.roles) & WATCHES}
    return tuple(sorted(found))


# --- its end ---


def stand_down(view: View, run: Run, said: StandDown) -> tuple[Effect, ...]:
    """Its author asks; then another person, by verb, confirms what was asked. Never both in one, never by anything else.

    Raises:
        Refused: DENIED for no such SOS here; EXPIRED for one that has ended; ROLE for whoever may not; SCHEMA where the request
            is none of its author's.
    """
    row = view.alert(said.sos)
    if row is None or not row.emergency or not view.alert_stands(said.sos, run.stream.id):
        raise denied()
    if read_case(row.emergency).kind is not CaseKind.SOS:
        raise denied()
    if row.ended is not Ending.NONE:
        raise Refused(Refusal.EXPIRED, "this SOS was stood down before")
    mine = run.who.person == row.writer
    if said.confirms is None:
        if not mine:
            raise Refused(Refusal.ROLE, "who raised it asks for its end, and nobody else")
        return ()
    if mine:
        raise Refused(Refusal.ROLE, "a second person confirms the end of an SOS")
    if not run.charter.policy.verbs(run.who.roles) & WATCHES:
        raise Refused(Refusal.ROLE, "officers and leaders confirm the end of an SOS")
    _check_request(view, run, said, row)
    return (EndAlert(said.sos, Ending.STOOD_DOWN, run.now),)


def _check_request(view: View, run: Run, said: StandDown, row: AlertRow) -> None:
    """What is confirmed is a request for this SOS, by the person who raised it."""
    assert said.confirms is not None
    asked = view.envelope(run.stream.id, said.confirms.seq)
    wrong = Refused(Refusal.SCHEMA, "this confirms no request of who raised it")
    if asked is None or asked.kind is not Kind.STAND_DOWN or asked.body is None:
        raise wrong
    if sha256(asked.header).digest() != said.confirms.header_hash:
        raise wrong
    if read_stand_down(asked.body) != StandDown(said.sos, None):
        raise wrong
    author = view.member(run.stream.id, asked.device)
    certificate = view.certificate(author.certificate) if author else None
    if certificate is None or certificate.person != row.writer:
        raise wrong


# --- check-ins ---


def plan(view: View, run: Run, said: Plan) -> tuple[Effect, ...]:
    """A plan takes the place of the device's last one in this channel; an empty one ends it."""
    _check_alerts(run)
    verified, _ = run.one()
    if not said.ends and not run.now < said.due[0] <= said.due[-1] <= run.now + HORIZON:
        raise Refused(Refusal.EXPIRED, "check-ins are due from now on, and within 48 hours")
    before = view.plan(run.stream.id, run.who.device)
    ended = () if before is None else (EndAlert(before.root, Ending.DONE, run.now),)
    if said.ends:
        return ended
    root = verified.header_hash
    begun = _begin(view, run, root, CaseKind.MOVE, due=said.due, grace=said.grace)
    return (*ended, *begun, PutPlan(run.stream.id, run.who.device, root))


def check_in(view: View, run: Run) -> tuple[Effect, ...]:
    """Somebody is there. It counts for when it came; what was longer on its way than the grace, for when it was sealed."""
    _check_alerts(run)
    row = view.plan(run.stream.id, run.who.device)
    if row is None:
        return ()
    case = read_case(row.emergency)
    sealed = max(v.context.time for v in run.verified)
    at = run.now if run.now - sealed <= case.grace * 1000 else sealed
    due = due_after(at, case.due, case.grace)
    if due is None:
        return (EndAlert(row.root, Ending.DONE, run.now),)
    if due + case.grace * 1000 <= run.now:
        return ()  # said so long ago that the next is missed already
    position = Position(waiting=Waiting.DUE, due=due + case.grace * 1000, since=run.now, firings=row.at.firings)
    return PutPosition(row.root, position), WithdrawNotices(row.root, run.now)


# --- answers ---


def answered(view: View, run: Run, row: AlertRow, ack: Ack) -> tuple[Effect, ...]:
    """A named person has it in hand: nobody is woken any more. It goes on until it is ended."""
    if ack.option:
        raise Refused(Refusal.SCHEMA, "an emergency has no options to answer with")
    case = read_case(row.emergency)
    quiet = case.kind is CaseKind.MOVE and row.at.rung == 0  # nothing is missed
    if run.who.person == row.writer or not row.open or row.at.stopped or quiet:
        return ()
    at = Position(row.at.rung, Waiting.END, MAX_MILLIS, row.at.since, row.at.fallback, True, row.at.firings)
    asked = view.asked(row.root, run.who.person)
    done = (PutPosition(row.root, at), WithdrawNotices(row.root, run.now))
    if asked is not None and asked.answered:  # a plan that was missed before
        return done
    return PutAnswer(row.root, run.who.person, run.now, asked is not None and asked.target), *done
