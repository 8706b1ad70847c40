"""The control channel's rules: certificates that begin to count, and revocation lists."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.core import limits
from gateway.core.effects import DropPackages, Effect, PutCertificate, PutInvitation, PutRevocations
from gateway.core.errors import Refused, denied
from gateway.core.rows import CertificateRow, Identity, Invitation, Stream
from gateway.core.run import Run, check_control, check_list_age, check_verb
from gateway.core.view import View
from gateway.wire import Refusal
from keys.authority import check_approval, check_newer, read_revocation_list, renewal_id
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import Expired, KeysError, Malformed, NotPermitted, NotTrusted, Revoked
from keys.policy import Verb


def certificate(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A second officer's approval: from here on the certificate in the body counts.

    The certificate chains to its organisation, is not revoked, and its device id is new or that of the same person; the author is
    another person than its registrar and its holder. An approval of what already counts changes nothing and is refused.
    """
    check_control(run)
    _, der = run.one()
    try:
        certified = run.charter.verify_certificate(der)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except KeysError:
        raise denied() from None
    if certified.registrar or view.certificate(certified.hash) is not None:
        raise denied()
    if not run.who.registrar:
        check_verb(run, Verb.APPROVE_ENROLMENT)
    approver = _approver(view, run)
    try:
        check_approval(certified, approver, run.charter)
        approver.check_time(run.now)  # everybody who reads the log will ask it of this entry's time
    except NotPermitted as error:
        raise Refused(Refusal.ROLE, str(error)) from None
    except Expired as error:
        raise Refused(Refusal.EXPIRED, str(error)) from None
    if run.now > certified.not_after:
        raise Refused(Refusal.EXPIRED, "this certificate has already ended")
    _check_not_revoked(view, run, certified)
    before = view.certificates(certified.device)
    _check_device(run.charter, certified, before)
    row = CertificateRow(
        hash=certified.hash,
        der=der,
        device=certified.device,
        person=certified.person,
        organisation=certified.organisation,
        roles=certified.roles,
        public_key=certified.public_key,
        serial=certified.serial,
        not_before=certified.not_before,
        not_after=certified.not_after,
        revoked=False,
        index=view.log_size(),
        seq=run.stream.seq + 1,
    )
    effects: list[Effect] = [PutCertificate(row)]
    if before:
        effects.append(DropPackages(certified.device))
    granted = _granted(view, certified)
    if granted is not None:
        effects.append(PutInvitation(replace(granted, seq=run.stream.seq + 1)))
    return run.stream, effects


def _check_device(charter: Charter, certified: Certified, before: Sequence[CertificateRow]) -> None:
    """The device id is new, or this is a renewal: same person, organisation and roles (`keys.authority.check_renewed`)."""
    posts = {charter.gateway_device}
    posts |= {i.verify_registrar(der).device for i in charter.policy.issuers for der in i.registrars}
    if certified.device in posts:
        raise denied()
    now = (certified.person, certified.organisation, certified.roles)
    if before and (before[0].person, before[0].organisation, before[0].roles) != now:
        raise Refused(Refusal.ROLE, "a renewal keeps device, person, organisation and roles: enrol anew to change them")
    if before and all(row.revoked for row in before):  # who took the device may have asked before that
        raise Refused(Refusal.REVOKED, "this device was revoked: it is not renewed, but enrolled anew under another id")


def _approver(view: View, run: Run) -> Certified:
    """The author's own certificate, verified again rather than taken from the session."""
    row = view.certificate(run.who.certificate)
    der = row.der if row is not None else _registrar_der(run.who, run.charter)
    try:
        return run.charter.verify_certificate(der)
    except KeysError:
        raise denied() from None


def _registrar_der(who: Identity, charter: Charter) -> bytes:
    for issuers in charter.policy.issuers:
        for der in issuers.registrars:
            if issuers.verify_registrar(der).hash == who.certificate:
                return der
    raise denied()


def _check_not_revoked(view: View, run: Run, certified: Certified) -> None:
    check_list_age(view, run, certified.organisation, run.charter.policy.crl_hours)
    listed = view.revocations(certified.organisation)
    assert listed is not None  # check_list_age
    try:
        listed.check(certified)
    except Revoked:
        raise Refused(Refusal.REVOKED, "this certificate is on its organisation's revocation list") from None


def _granted(view: View, certified: Certified) -> Invitation | None:
    """The invite or renewal that this certificate answers."""
    renewal = view.invitation(renewal_id(certified.device))
    if renewal is not None and renewal.certificate == certified.der:
        return renewal
    return view.granted(certified.der)


def revocation_list(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """An organisation's next revocation list, by one of its registrars; it takes effect with this transaction."""
    check_control(run)
    _, der = run.one()
    if not run.who.registrar:
        raise Refused(Refusal.ROLE, "revocation lists come from registrars")
    try:
        listed = read_revocation_list(der, run.charter.policy.issuers)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except NotTrusted:
        raise denied() from None
    if listed.organisation != run.who.organisation:
        raise denied()
    try:
        check_newer(view.revocations(listed.organisation), listed)
    except NotTrusted as error:
        raise Refused(Refusal.REPLAY, str(error)) from None
    if listed.this_update > run.now + limits.CLOCK_AHEAD:
        raise Refused(Refusal.CLOCK, "this list is from the future: set the registrar's clock")
    return run.stream, (PutRevocations(listed, run.stream.seq + 1),)
