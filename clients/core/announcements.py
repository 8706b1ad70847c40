"""What the control channel tells officers of alerts: announced, escalated, jumped, refused.

An announcement names all channels of an alert and opens its ladder; it is checked as an alert's header is. What the gateway says
of its own (rungs fired, attempts refused) is under its key. All of it is for the board: whether an alert holds for anybody is
said by the alert itself.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core.commits import Wanting, Work
from clients.core.ledger import View
from clients.core.records import AlarmKind, Announced
from clients.core.turn import Moved, Turn
from gateway.wire import Place, Placed, Refusal
from keys.alert import check_audience, ladder_commitment
from keys.approval import check_rule, check_signed
from keys.body import Approval, read_approval, read_refused_attempt, read_review, read_withheld
from keys.envelope import Claimed, Kind, check_body, verify_run
from keys.errors import BadSignature, KeysError, NotPermitted, NotTrusted
from keys.ladder import RESEND, Escalated, Jump, Ladder, Why, read_escalated, read_jump, read_ladder
from keys.policy import Verb

KINDS: Final = frozenset({Kind.APPROVAL, Kind.JUMP, Kind.ESCALATION, Kind.REFUSED_ATTEMPT, Kind.REVIEW, Kind.WITHHELD})
_BY_GATEWAY: Final = frozenset({Kind.ESCALATION, Kind.REFUSED_ATTEMPT})

ATTEMPTED: Final = bytes(32)
"""Under this instead of a root stand the attempts that a device has refused its own user."""


def take(work: Work, placed: Placed, claimed: Claimed, body: bytes) -> None:
    """Keep one announcement; what does not hold is an alarm.

    Raises:
        Wanting: a certificate has to be fetched or proved first: its author's may be as new as what it says.
    """
    turn, kind, seq = work.turn, claimed.context.kind, placed.place.seq
    try:
        _verify(work, claimed, body)
        root = _READ[kind](work, claimed, body)
    except KeysError as error:
        detail = f"{kind.name} that does not hold: {error}"
        turn.alarm(AlarmKind.FORGED, detail, seq=seq, device=claimed.context.device)
        return
    if root:
        record = Announced(kind, claimed.context.device, body, placed.place.time)
        records.ANNOUNCED.put(turn.draft, root + seq.to_bytes(8, "big"), record)
        turn.events.append(Moved(root))


def own(turn: Turn, kind: Kind, body: bytes, place: Place) -> None:
    """An announcement of this device's own has its place: it counts here as it does for the other officers."""
    record = Announced(kind, turn.me.device, body, place.time)
    records.ANNOUNCED.put(turn.draft, OWN[kind](body) + place.seq.to_bytes(8, "big"), record)


OWN: Final[dict[Kind, Callable[[bytes], bytes]]] = {
    Kind.APPROVAL: lambda body: read_approval(body).draft.root,
    Kind.JUMP: lambda body: read_jump(body).root,
    Kind.REVIEW: lambda body: read_review(body).root,
    Kind.WITHHELD: lambda _body: ATTEMPTED,
}


def _verify(work: Work, claimed: Claimed, body: bytes) -> None:
    """Signed by the gateway, or by a certificate of its device that counts. Raises Wanting, KeysError."""
    device, unproved = claimed.context.device, list[bytes]()
    if claimed.context.kind in _BY_GATEWAY:
        keys = [work.turn.charter.policy.gateway_key]
    else:
        keys, unproved = [c.public_key for c in work.trust.of_device(device)], work.trust.unproved(device)
    for key in keys:
        try:
            (verified,) = verify_run([claimed], key)
        except BadSignature:
            continue
        check_body(verified, body)
        return
    if unproved:
        raise Wanting(unproved)
    raise NotTrusted("no key that counts for its device signed it")


def _approval(work: Work, claimed: Claimed, body: bytes) -> bytes:
    turn, trust = work.turn, work.trust
    announced = read_approval(body)
    named = [s.certificate for s in (announced.writer, announced.approval) if s is not None]
    if missing := [c for c in trust.missing(named) if c not in work.given_up]:
        raise Wanting(missing)
    addressed = check_audience(announced.draft, announced.channels, announced.padding)
    writer = trust.certified(announced.writer.certificate)
    approver = trust.certified(announced.approval.certificate) if announced.approval else None
    if writer is None:
        raise NotTrusted("written by a certificate that does not count")
    signed = check_signed(addressed, announced.writer, announced.approval, writer, approver)
    approved = check_rule(turn.charter, signed)
    if approved.sender.device != claimed.context.device:
        raise NotTrusted("announced by another device than that of who sends it")
    ladder_of(announced)
    settle(turn, approved.root, "approved and sent")
    return approved.root


def _escalation(work: Work, _claimed: Claimed, body: bytes) -> bytes:
    turn, said = work.turn, read_escalated(body)
    move = records.MOVES.get(turn.draft, said.root)
    if said.why is Why.MISSED and move is not None:
        detail = "has not checked in: see `outrider alert list`"
        turn.alarm(AlarmKind.MISSED, detail, channel=move.channel, seq=move.seq, device=move.device)
    return said.root


def _jump(_work: Work, _claimed: Claimed, body: bytes) -> bytes:
    return read_jump(body).root


def _review(work: Work, claimed: Claimed, body: bytes) -> bytes:
    """By an officer who may, and who is not the one who sent it."""
    turn, trust = work.turn, work.trust
    root = read_review(body).root
    alert = records.ALERTS.get(turn.draft, root)
    writer = trust.certified(alert.writer.certificate) if alert else None
    policy = turn.charter.policy
    for certified in trust.of_device(claimed.context.device):
        mine = certified.organisation == policy.home.name and policy.permits(certified.roles, Verb.APPROVE_ALERT)
        if mine and (writer is None or writer.person != certified.person):
            return root
    raise NotPermitted("a review by who may not, or of an alert of his own")


def _attempt(work: Work, claimed: Claimed, body: bytes) -> bytes:
    attempt = read_refused_attempt(body)
    try:
        why = Refusal(attempt.refusal).name
    except ValueError:
        why = str(attempt.refusal)
    detail = f"device {attempt.device.hex()[:8]} tried to send an alert and was refused: {why}"
    work.turn.alarm(AlarmKind.ATTEMPT, detail, seq=claimed.context.number, device=attempt.device)
    return b""


def _withheld(_work: Work, _claimed: Claimed, body: bytes) -> bytes:
    """No alarm: a device has done what it is for."""
    read_withheld(body)
    return ATTEMPTED


_READ: Final = {
    Kind.APPROVAL: _approval,
    Kind.ESCALATION: _escalation,
    Kind.JUMP: _jump,
    Kind.REFUSED_ATTEMPT: _attempt,
    Kind.REVIEW: _review,
    Kind.WITHHELD: _withheld,
}


def settle(turn: Turn, root: bytes, fate: str) -> None:
    """What became of a submitted draft."""
    record = records.SUBMITTED.get(turn.draft, root)
    if record is not None and not record.fate:
        records.SUBMITTED.put(turn.draft, root, replace(record, fate=fate))


def ladder_of(announced: Approval) -> Ladder | None:
    """The ladder that an announcement opens. Raises BadSignature, Malformed."""
    opening = announced.ladder
    if opening is None:
        return None
    if ladder_commitment(opening.salt, opening.ladder) != announced.draft.ladder:
        raise BadSignature("its ladder is another")
    return read_ladder(opening.ladder)


def announced(view: View, root: bytes) -> Approval | None:
    """How an alert was announced, as far as this device was told."""
    for _, record in records.ANNOUNCED.scan(view, root):
        if record.kind is Kind.APPROVAL:
            return read_approval(record.body)
    return None


def reviewed(view: View, root: bytes) -> tuple[bytes, int] | None:
    """The device of who has reviewed an alert that was sent alone, and when (ms)."""
    for _, record in records.ANNOUNCED.scan(view, root):
        if record.kind is Kind.REVIEW:
            return record.device, record.time
    return None


def withheld(view: View, since: int) -> list[Announced]:
    """The attempts since then (ms) that devices have refused their own users, the oldest first."""
    return [record for _, record in records.ANNOUNCED.scan(view, ATTEMPTED) if record.time >= since]


def resent(view: View, root: bytes) -> list[tuple[int, bytes, Jump]]:
    """When an officer's device had an alert brought again, and to whom, in order."""
    jumps = [
        (r.time, r.device, read_jump(r.body)) for _, r in records.ANNOUNCED.scan(view, root) if r.kind is Kind.JUMP
    ]
    return [one for one in jumps if one[2].rung == RESEND]


def escalations(view: View, root: bytes) -> list[tuple[int, Escalated]]:
    """The rungs fired so far, with the time of each (ms), in order."""
    found = (r for _, r in records.ANNOUNCED.scan(view, root) if r.kind is Kind.ESCALATION)
    return [(record.time, read_escalated(record.body)) for record in found]
