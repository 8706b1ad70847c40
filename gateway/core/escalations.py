"""How an alert's escalation stands, as officers are told: rungs fired, and what became of each notice."""

from typing import Final

from gateway import wire
from gateway.core.broadcast import AlertRow, Notice, Waiting
from gateway.core.errors import Refused, denied
from gateway.core.rows import Identity
from gateway.core.view import View
from gateway.wire import Refusal
from keys.policy import Policy, Verb

FIRED: Final = 64  # rungs told, the newest


def may_watch(policy: Policy, who: Identity) -> bool:
    """The mission's own officers who write or approve alerts."""
    alerting = policy.permits(who.roles, Verb.ALERT) or policy.permits(who.roles, Verb.APPROVE_ALERT)
    return alerting and not who.registrar and who.organisation == policy.home.name


def escalation(view: View, who: Identity, frame: wire.GetEscalation, _now: int) -> wire.Escalation:
    """The newest rungs fired, and a page of notices.

    Raises:
        Refused: ROLE for who is no such officer; DENIED for no such alert.
    """
    current = view.charter()
    assert current is not None
    if not may_watch(current.policy, who):
        raise Refused(Refusal.ROLE, "ladders are seen by officers of the mission who may alert")
    row = view.alert(frame.root)
    if row is None:
        raise denied()
    fired = [
        wire.Fired(f.number, f.rung, f.road, int(f.why), f.time, f.seq, f.woken, f.unreached)
        for f in view.firings(frame.root)[-FIRED:]
    ]
    notices = [_woken(notice) for notice in view.notices(frame.root, frame.after, wire.LIST_LIMIT)]
    rung, time = _next(row)
    return wire.Escalation(
        frame.id, row.asked, row.answered, int(row.ended), row.at.stopped, rung, time, fired, notices
    )


def _next(row: AlertRow) -> tuple[int, int]:
    at = row.at
    waits = at.waiting in (Waiting.ARM, Waiting.DUE, Waiting.JUMP)
    return at.rung, at.due if waits and at.waiting is Waiting.DUE and at.due <= row.not_after else 0


def _woken(n: Notice) -> wire.Woken:
    return wire.Woken(n.number, n.firing, n.person, n.road, n.state, n.time, n.attempts, n.detail)
