"""Who may alert: the two-person rule, break-glass, and who may end what another began.

    addressed   keys.alert      the draft reads and its audience holds the channel
    signed      check_signed    by the certificates named, each in its life, over this root
    approved    check_rule      roles, another person, the deadline, as the charter says

Each step takes the type before it, so none can be left out. The gateway and every recipient make them all; the certificates
come from the caller, who knows which count in the log and which are revoked. `check_follows` asks of an update, cancel or
all-clear whether its senders have the authority of those who sent what it is about.
"""

from dataclasses import dataclass

from keys.alert import LIFE, Addressed, Draft, Signing, verify_approval, verify_writer
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import BadSignature, Expired, NotPermitted
from keys.policy import Distinct, Policy, Verb


@dataclass(frozen=True, slots=True)
class Signed:
    """An addressed draft under the signatures of these two; or of one."""

    draft: Draft
    root: bytes
    writer: Certified
    written: int
    approver: Certified | None
    approved: int  # 0 when alone


@dataclass(frozen=True, slots=True)
class Approved(Signed):
    """One that the charter lets them send."""

    @property
    def alone(self) -> bool:
        return self.approver is None

    @property
    def sender(self) -> Certified:
        """Whose device seals it."""
        return self.approver or self.writer


def check_signed(
    addressed: Addressed, writing: Signing, approval: Signing | None, writer: Certified, approver: Certified | None
) -> Signed:
    """Both signatures, by the certificates that they name. `writer` and `approver` are those certificates, as the caller found
    them to count.

    Raises:
        BadSignature: another certificate, or a signature that does not hold.
        Expired: signed outside a certificate's life.
    """
    root = addressed.root
    if writer.hash != writing.certificate:
        raise BadSignature("the writer signed by another certificate")
    verify_writer(root, writing, writer.public_key)
    writer.check_time(writing.time)
    if (approval is None) != (approver is None):
        raise BadSignature("an approval and its certificate stand together")
    if approval is None or approver is None:
        return Signed(addressed.draft, root, writer, writing.time, None, 0)
    if approver.hash != approval.certificate:
        raise BadSignature("the approver signed by another certificate")
    verify_approval(root, writing, approval, approver.public_key)
    approver.check_time(approval.time)
    return Signed(addressed.draft, root, writer, writing.time, approver, approval.time)


def check_rule(charter: Charter, signed: Signed) -> Approved:
    """The charter lets these people send it so.

    Raises:
        NotPermitted: a role without the verb, the same person (role, organisation) twice, alone where nobody may be, or
            longer open or in force than the rules have it.
        Expired: approved after the deadline.
    """
    policy, draft = charter.policy, signed.draft
    charter.check_verb(signed.writer, Verb.ALERT)
    if draft.not_after > signed.written + LIFE:
        raise NotPermitted("an alert lasts for 30 days at most")
    if signed.approver is None:
        if not policy.break_glass:
            raise NotPermitted("the charter lets nobody send an alert alone")
        return _approved(signed)
    charter.check_verb(signed.approver, Verb.APPROVE_ALERT)
    check_distinct(policy, signed.writer, signed.approver)
    if draft.deadline > signed.written + policy.alert_deadline_seconds * 1000:
        raise NotPermitted(f"a draft waits for {policy.alert_deadline_seconds} s at most")
    if signed.approved > draft.deadline:
        raise Expired("approved after its deadline")
    return _approved(signed)


def _approved(s: Signed) -> Approved:
    return Approved(s.draft, s.root, s.writer, s.written, s.approver, s.approved)


def check_distinct(policy: Policy, writer: Certified, approver: Certified) -> None:
    """Writer and approver are two people, and two as the charter counts them. Raises NotPermitted."""
    if approver.person == writer.person:
        raise NotPermitted("nobody approves an alert of his own")
    if policy.alert_distinct is Distinct.ORGANISATION and approver.organisation == writer.organisation:
        raise NotPermitted("the charter wants an approver of another organisation")
    if policy.alert_distinct is Distinct.ROLE:
        held = [r for r in approver.roles - writer.roles if policy.permits([r], Verb.APPROVE_ALERT)]
        if not held:
            raise NotPermitted("the charter wants an approver in a role that the writer does not have")


def check_follows(policy: Policy, after: Approved, before: Approved) -> None:
    """`after` (an update, cancel or all-clear) may end `before`: same or higher authority, and both real or both play.

    What two people sent one alone can't take back. Whoever sends it may do all that the first sender may, and is of the same
    organisation or of the mission's home.

    Raises:
        NotPermitted: it may not; the alert goes on.
    """
    if before.root not in after.draft.references:
        raise NotPermitted("it does not name that alert")
    if after.draft.exercise != before.draft.exercise:
        raise NotPermitted("play ends no real alert, and a real one no play")
    if after.alone and not before.alone:
        raise NotPermitted("what two people sent takes two to end")
    mine, theirs = after.sender, before.sender
    if mine.organisation not in (theirs.organisation, policy.home.name):
        raise NotPermitted(f"an alert of {theirs.organisation} is not for {mine.organisation} to end")
    if not policy.verbs(theirs.roles) <= policy.verbs(mine.roles):
        raise NotPermitted("whoever ends an alert needs the authority of who sent it")
