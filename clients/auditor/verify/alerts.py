"""Alerts, judged from their signatures: two people as the charter has it, or one where it lets him; each channel once.

    two people   both certificates counted and lived, neither was revoked before; roles, another person, deadline
    its content  this channel and the franking tag of this very content are under the root that both signed
    its end      not sent after it; an update, cancel or all-clear by people of no lower authority than those it ends

What an alert names that lies before the part of the log that is read is not judged.
"""

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.registry import Registry
from keys.alert import Signing, check_alert
from keys.approval import Approved, check_distinct, check_follows, check_rule, check_signed
from keys.body import read_review, read_withheld
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import BadSignature, Expired, KeysError, NotPermitted, NotTrusted


class Alerts:
    """Checks every alert; `sent` are those that hold, by root, with the channels they came to."""

    def __init__(self, registry: Registry, findings: Findings) -> None:
        self.sent: dict[bytes, tuple[Approved, set[bytes]]] = {}
        self.reviews: set[bytes] = set()
        self._withheld = 0
        self._ids: dict[bytes, bytes] = {}
        self._registry = registry
        self._findings = findings

    def take(self, placed: Placed) -> Approved | None:
        """An ALERT of a channel that carries them; gives it where it holds."""
        charter, context = self._registry.charter, placed.claimed.context
        assert charter is not None  # a channel's roster is known under a charter only
        try:
            approved = self._approved(placed, charter)
            self._once(approved, context.channel)
            for root in approved.draft.references:
                if root in self.sent:
                    check_follows(charter.policy, approved, self.sent[root][0])
        except KeysError as error:
            cause = Cause.BAD_SIGNATURE if isinstance(error, BadSignature | NotTrusted) else Cause.INJECTED
            if self._of_his_own(placed, charter):
                cause = Cause.SELF_APPROVAL
            self._findings.fail(Topic.ALERTS, cause, str(error), placed.index)
            return None
        self.sent.setdefault(approved.root, (approved, set()))[1].add(context.channel)
        self._ids[approved.draft.alert] = approved.root
        return approved

    def remember(self, approved: Approved, channels: set[bytes]) -> None:
        """One that an earlier verification has found to hold."""
        self.sent[approved.root] = approved, channels
        self._ids[approved.draft.alert] = approved.root

    def _approved(self, placed: Placed, charter: Charter) -> Approved:
        context, fields = placed.claimed.context, placed.claimed.context.alert
        assert fields is not None  # keys.envelope.read
        addressed = check_alert(fields, context.channel, context.franking)
        writer = self._signatory(fields.writer)
        approver = self._signatory(fields.approval) if fields.approval else None
        approved = check_rule(charter, check_signed(addressed, fields.writer, fields.approval, writer, approver))
        if approved.sender.device != context.device:
            raise NotPermitted("sealed by another device than that of who sends it")
        if placed.entry.time > fields.draft.not_after:
            raise Expired("an alert that had ended when it was sent")
        return approved

    def _signatory(self, signing: Signing) -> Certified:
        certified = self._registry.certificates.get(signing.certificate)
        if certified is None or certified.registrar:
            raise NotTrusted("signed by a certificate that does not count")
        if self._registry.revoked(certified):
            raise NotPermitted(f"signed by device {certified.device.hex()[:8]}, which was revoked before")
        return certified

    def _once(self, approved: Approved, channel: bytes) -> None:
        if self._ids.get(approved.draft.alert, approved.root) != approved.root:
            raise NotPermitted("its id was used for another alert")
        if approved.root in self.sent and channel in self.sent[approved.root][1]:
            raise NotPermitted("sent to this channel before")

    def _of_his_own(self, placed: Placed, charter: Charter) -> bool:
        fields = placed.claimed.context.alert
        if fields is None or fields.approval is None:
            return False
        writer, approver = (self._registry.certificates.get(s.certificate) for s in (fields.writer, fields.approval))
        if writer is None or approver is None:
            return False
        try:
            check_distinct(charter.policy, writer, approver)
        except NotPermitted:
            return True
        return False

    def reviewed(self, body: bytes | None) -> None:
        """A REVIEW of the control channel."""
        try:
            if body is not None:
                self.reviews.add(read_review(body).root)
        except KeysError:
            return  # the gateway takes no other; it reviews nothing

    def withheld(self, body: bytes | None) -> None:
        """A device's own word that it refused its user's attempt to alert."""
        try:
            if body is not None:
                read_withheld(body)
                self._withheld += 1
        except KeysError:
            return  # the gateway takes no other; it says nothing

    def end(self) -> None:
        """What was judged."""
        alone = {root for root, (approved, _) in self.sent.items() if approved.alone}
        reviewed = len(alone & self.reviews)
        said = f"{len(self.sent)} alerts, {len(alone)} of them by one person alone, {reviewed} of these reviewed"
        if self._withheld:
            said += f"; {self._withheld} attempts refused by their author's own device"
        self._findings.note(Topic.ALERTS, said)
