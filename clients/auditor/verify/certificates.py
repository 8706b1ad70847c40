"""Approvals and revocation lists, judged as they stand in the log.

    certificate   chains to its organisation under the charter in force; a second person who could has approved it; its device
                  id stays with its person
    list          made and logged by a registrar of the organisation; of a higher number; forgets nothing

What a finding speaks against does not count from there on, so a forged approval shows in all that rests on it.
"""

from typing import Final

from clients.auditor.verify.bodies import Bodies
from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import CLOCK_AHEAD, Placed
from clients.auditor.verify.registry import Registry
from clients.auditor.verify.signatures import signed
from keys.authority import RevocationList, check_approval, check_newer, check_renewed, read_revocation_list
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import BadSignature, Expired, KeysError, NotPermitted, NotTrusted, Revoked

JUDGED_BY: Final = (Topic.CERTIFICATES, Topic.REVOCATIONS, Topic.ROSTERS, Topic.MEMBERS, Topic.REMOVALS, Topic.ALERTS)
"""What rests on knowing every certificate and list."""


class _NotKnown(KeysError):
    """The author's certificate may be one whose body is absent."""


class _SelfApproval(KeysError):
    """Who approved is the person enrolled, or the registrar who issued the certificate."""


class Certificates:
    """Judges CERTIFICATE and REVOCATION_LIST entries; what holds goes into the registry."""

    def __init__(self, registry: Registry, bodies: Bodies, findings: Findings) -> None:
        self._registry = registry
        self._bodies = bodies
        self._findings = findings
        self._approved = 0

    # ------------------------------------------------------------------ approvals

    def approve(self, placed: Placed) -> None:
        """From this entry on its certificate counts, if it was approved as the charter asks."""
        charter, der = self._registry.charter, self._body(placed)
        if charter is None or der is None:
            return
        try:
            certified = self._approved_certificate(placed, der, charter)
        except _NotKnown:
            return
        except BadSignature as error:
            self._findings.fail(Topic.CERTIFICATES, Cause.BAD_SIGNATURE, str(error), placed.index)
        except _SelfApproval as error:
            self._findings.fail(Topic.CERTIFICATES, Cause.SELF_APPROVAL, str(error), placed.index)
        except KeysError as error:
            self._findings.fail(Topic.CERTIFICATES, Cause.INJECTED, str(error), placed.index)
        else:
            self._approved += 1
            self.check_fresh(placed, certified.organisation, charter.policy.crl_hours)
            self._registry.count(certified)

    def _approved_certificate(self, placed: Placed, der: bytes, charter: Charter) -> Certified:
        certified = charter.verify_certificate(der)
        if certified.registrar:
            raise NotPermitted("a registrar counts by the charter, and by nothing else")
        self._check_approval(certified, self._author(placed), charter)
        if placed.entry.time > certified.not_after:
            raise Expired("the certificate had ended when it was approved")
        if self._registry.revoked(certified):
            raise Revoked("the certificate was revoked before it was approved")
        if held := self._registry.of_device(certified.device):
            check_renewed(held[0], certified)
            if all(map(self._registry.revoked, held)):
                raise Revoked("a renewal of a device that was revoked before")
        return certified

    def _author(self, placed: Placed) -> Certified:
        """The certificate, counting and alive at this entry, whose key has signed it."""
        device, time = placed.context.device, placed.entry.time
        alive = [c for c in self._registry.of_device(device) if self._registry.alive(c, time)]
        if not alive and self._registry.lost is not None:
            raise _NotKnown
        if not alive:
            raise NotTrusted(f"by device {device.hex()[:8]}, which has no certificate that counts here")
        for certified in alive:
            if signed(placed, (certified.public_key,)).holds:
                return certified
        raise BadSignature("the signature on this header was not made by the device that it names")

    def _check_approval(self, certified: Certified, author: Certified, charter: Charter) -> None:
        """As `check_approval`, telling apart who approves itself or what it has issued."""
        issuer = self._registry.registrars.get(certified.issuer)
        try:
            check_approval(certified, author, charter)
        except NotPermitted as error:
            if author.person == certified.person or (issuer is not None and author.person == issuer.person):
                raise _SelfApproval(str(error)) from None
            raise

    # ------------------------------------------------------------------ lists

    def revoke(self, placed: Placed) -> bool:
        """From this entry on its list is the organisation's; False where it is not."""
        charter, der = self._registry.charter, self._body(placed)
        if charter is None or der is None:
            return False
        try:
            self._registry.revoke(self._next_list(placed, der, charter))
        except _NotKnown:
            return False
        except BadSignature as error:
            self._findings.fail(Topic.REVOCATIONS, Cause.BAD_SIGNATURE, str(error), placed.index)
        except KeysError as error:
            self._findings.fail(Topic.REVOCATIONS, Cause.INJECTED, str(error), placed.index)
        else:
            return True
        return False

    def _next_list(self, placed: Placed, der: bytes, charter: Charter) -> RevocationList:
        listed = read_revocation_list(der, charter.policy.issuers)
        author = self._author(placed)
        if not author.registrar or author.organisation != listed.organisation:
            raise NotPermitted(f"a list of {listed.organisation} comes from one of its registrars")
        if listed.this_update > placed.entry.time + CLOCK_AHEAD:
            raise NotTrusted("this list was made after it was logged")
        check_newer(self._registry.lists.get(listed.organisation), listed)
        return listed

    def check_fresh(self, placed: Placed, organisation: str, hours: int) -> None:
        """A finding where the organisation's list is missing, or older than the charter lets it be for such an act."""
        if not self._registry.fresh(organisation, placed.entry.time, hours):
            rule = f"taken without a revocation list of {organisation} younger than {hours} h"
            self._findings.fail(Topic.REVOCATIONS, Cause.INJECTED, rule, placed.index)

    def _body(self, placed: Placed) -> bytes | None:
        body = self._bodies.get(placed)
        if body is None and self._registry.lost is None:
            self._registry.lost = placed.index
        return body

    def end(self) -> None:
        """What could not be decided."""
        registry = self._registry
        for topic in (Topic.CERTIFICATES, Topic.REVOCATIONS) if registry.charter is None else ():
            self._findings.unchecked(topic, "no charter says who may do that")
        for topic in JUDGED_BY if registry.lost is not None else ():
            self._findings.unchecked(
                topic, "a certificate or list is not here, and may change who counts", registry.lost
            )
        self._findings.note(Topic.CERTIFICATES, f"{self._approved} approved")
        revoked = sum(len(listed.serials) for listed in registry.lists.values())
        self._findings.note(Topic.REVOCATIONS, f"{revoked} revoked")
