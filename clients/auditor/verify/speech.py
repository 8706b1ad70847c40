"""What is said in channels, and by whom: each entry held against its channel's roster at that moment.

    members    the author sits in the channel, with a certificate that is alive; of the current epoch or, for content, of the one
               before while its grace lasts
    roles      the verb for content; alert channels carry alerts and their answers; no marking above the ceiling
    alerts     their signatures (`clients.auditor.verify.alerts`)
    removals   no content while a member is revoked or expired by log order: somebody has to remove it first

Receipts and answers to alerts stand beside the channel: a receipt's author is or was in it, an answer's is. Whatever stands there
is signed by the key of its author's leaf, as it was at that place of the log, like what stands in the channel.
"""

from collections.abc import Mapping
from typing import Final

from clients.auditor.verify.alerts import Alerts
from clients.auditor.verify.bodies import Bodies
from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.emergencies import Emergencies
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.escalations import Escalations
from clients.auditor.verify.registry import Registry
from clients.auditor.verify.rosters import Roster, Seat
from keys.credential import Certified
from keys.envelope import ENCRYPTED, Context, Kind
from keys.policy import ChannelClass, Verb

CURRENT_ONLY: Final = frozenset({Kind.COMMIT, Kind.PROPOSAL, Kind.RESYNC_APPROVAL})
IN_ALERT_CHANNELS: Final = frozenset(
    {
        Kind.APPLICATION,  # cards and the purpose; the gateway can't see inside
        Kind.ALERT,
        Kind.SOS,
        Kind.STAND_DOWN,
        Kind.CHECK_IN_PLAN,
        Kind.CHECK_IN,
        Kind.ACK,
        Kind.COMMIT,
        Kind.PROPOSAL,
        Kind.COMMIT_REFUSED,
        Kind.RESYNC_APPROVAL,
        Kind.FRANKING_COMPLAINT,
    }
)
RENEWING: Final = frozenset({Kind.COMMIT, Kind.PROPOSAL})
EMERGENCIES: Final = frozenset({Kind.ALERT, Kind.SOS, Kind.STAND_DOWN, Kind.CHECK_IN_PLAN, Kind.CHECK_IN})
"""What stands in alert channels alone."""
OF_CHANNELS: Final = frozenset(Kind) - {
    Kind.RECEIPT,
    Kind.CERTIFICATE,
    Kind.REVOCATION_LIST,
    Kind.CHARTER,
    Kind.GATEWAY_ACT,
    Kind.FILLER,
    Kind.APPROVAL,
    Kind.JUMP,
    Kind.ESCALATION,
    Kind.REFUSED_ATTEMPT,
    Kind.WITHHELD,
    Kind.UNLOCK,
    Kind.DISCLOSURE_REQUEST,
    Kind.DISCLOSURE_VOTE,
    Kind.DISCLOSURE,
    Kind.DESTRUCTION,
    Kind.TOMBSTONE,
    Kind.AUDITOR_READ,
}


class Speech:
    """Checks what members say; `said` counts it."""

    def __init__(self, registry: Registry, findings: Findings, bodies: Bodies, rooms: Mapping[bytes, Roster]) -> None:
        self.said = 0
        self.escalations = Escalations(findings)
        self._rooms = rooms
        self.emergencies = Emergencies(findings)
        self._bodies = bodies
        self.alerts = Alerts(registry, findings)
        self._registry = registry
        self._findings = findings

    def take(self, placed: Placed, roster: Roster) -> None:
        """An entry in a channel whose roster is known."""
        context = placed.claimed.context
        kind, time = context.kind, placed.entry.time
        seat = roster.seats.get(context.device)
        self.said += 1
        if seat is None:
            self._stranger(placed, roster)
            return
        if not seat.certified.not_before <= time <= seat.certified.not_after or roster.blocked:
            self._check_alive(placed, seat.certified)
        if context.marking > roster.terms.ceiling:
            rule = f"{context.marking.label} in a channel up to {roster.terms.ceiling.label}"
            self._role(placed, rule)
        if kind not in OF_CHANNELS or (kind is Kind.CHANNEL_CREATED and placed.entry.seq != 1):
            self._member(placed, f"no {kind.name} stands in a channel that has begun")
        if kind in ENCRYPTED:
            self._content(placed, context, roster, seat)
        elif context.epoch > roster.epoch or (kind in CURRENT_ONLY and context.epoch != roster.epoch):
            self._member(placed, f"of epoch {context.epoch}, while epoch {roster.epoch} was in force")
        channel_class = roster.channel_class
        if channel_class is not None and (channel_class.alerts or kind in EMERGENCIES):
            self._alerts(placed, channel_class, roster)
        if channel_class is not None and channel_class.alerts and kind in (Kind.SOS, Kind.STAND_DOWN):
            body = self._bodies.get(placed) if kind is Kind.STAND_DOWN else None
            self.emergencies.take(placed, seat, body)

    def _content(self, placed: Placed, context: Context, roster: Roster, seat: Seat) -> None:
        time, epoch = placed.entry.time, context.epoch
        if epoch != roster.epoch and not (epoch == roster.epoch - 1 and time <= roster.grace_until):
            self._member(placed, f"content of epoch {epoch}, while epoch {roster.epoch} was in force")
        if roster.blocked or time > roster.expires:
            rule = "content of an epoch that still holds a device which was revoked or had expired before"
            self._findings.fail(Topic.REMOVALS, Cause.INJECTED, rule, placed.index)
        if context.kind is not Kind.ALERT and Verb.SEND not in seat.verbs:
            held = ", ".join(sorted(seat.certified.roles)) or "no role"
            self._role(placed, f"{held}: may not {Verb.SEND.value}")
        if time > seat.until and context.kind not in (Kind.SOS, Kind.CHECK_IN):  # who needs help is heard
            self._role(placed, f"the agreement with {seat.certified.organisation} does not cover this channel")

    def _alerts(self, placed: Placed, channel_class: ChannelClass, roster: Roster) -> None:
        kind = placed.context.kind
        if kind in EMERGENCIES and not channel_class.alerts:
            self._role(placed, f"{kind.name} in a channel of class {channel_class.name}, which carries none")
        if channel_class.alerts and kind not in IN_ALERT_CHANNELS and kind is not Kind.CHANNEL_CREATED:
            self._role(placed, f"{kind.name} in a channel for alerts and their answers")
        if kind is Kind.ALERT and channel_class.alerts:
            approved = self.alerts.take(placed)
            if approved is not None:
                self.escalations.sent(placed, approved, roster, self._rooms.get(roster.terms.beside or b""))

    def _check_alive(self, placed: Placed, leaf: Certified | None) -> None:
        """The certificate in the author's leaf stands. Only a handshake may be signed by one that does not, as long as the device has
        another: so the leaf takes that."""
        device, time = placed.context.device, placed.entry.time
        if leaf is None or placed.context.kind in RENEWING:
            alive = self._registry.device_alive(device, time)
        else:
            alive = self._registry.alive(leaf, time) or self._registry.lost is not None
        if not alive:
            self._member(placed, f"device {device.hex()[:8]} was revoked or had expired")

    def _stranger(self, placed: Placed, roster: Roster) -> None:
        device = placed.context.device
        was = "was no member any more" if device in roster.ever else "was never a member"
        self._member(placed, f"device {device.hex()[:8]} {was} of this channel at epoch {roster.epoch}")

    def receipt(self, placed: Placed, parent: Roster) -> None:
        """A receipt for a channel whose roster is known."""
        device = placed.context.device
        if placed.context.kind is Kind.ACK:
            self._answer(placed, parent)
        elif placed.context.kind is not Kind.RECEIPT:
            rule = "a receipt stream holds receipts and answers to alerts alone"
            self._findings.fail(Topic.RECEIPTS, Cause.INJECTED, rule, placed.index)
        elif device not in parent.ever:
            rule = f"device {device.hex()[:8]} was never in the channel whose receipt this is"
            self._findings.fail(Topic.RECEIPTS, Cause.INJECTED, rule, placed.index)
        else:
            self._check_alive(placed, self._registry.certificates.get(parent.ever[device]))

    def _answer(self, placed: Placed, parent: Roster) -> None:
        """An answer to an alert: its author is in the channel, and the channel carries alerts."""
        seat = parent.seats.get(placed.context.device)
        self.escalations.answered(placed, parent.group.group_id, None if seat is None else seat.certified.person)
        if seat is None:
            self._stranger(placed, parent)
        elif not seat.certified.not_before <= placed.entry.time <= seat.certified.not_after or parent.blocked:
            self._check_alive(placed, seat.certified)
        if parent.channel_class is not None and not parent.channel_class.alerts:
            self._role(placed, "an answer to an alert beside a channel that carries none")

    def _member(self, placed: Placed, rule: str) -> None:
        self._findings.fail(Topic.MEMBERS, Cause.INJECTED, rule, placed.index)

    def _role(self, placed: Placed, rule: str) -> None:
        self._findings.fail(Topic.ROLES, Cause.INJECTED, rule, placed.index)

    def end(self) -> None:
        """What was held against rosters."""
        self._findings.note(Topic.MEMBERS, f"{self.said} entries in channels")
        self.alerts.end()
        self.emergencies.end()
