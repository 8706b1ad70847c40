"""What a device may ask to be changed, besides its envelopes: KeyPackages, bodies in chunks, invites, enrolments.

`decide` is the front door for everything that writes, `Submit` included. It raises `Refused` and then nothing has changed.
Every request may be repeated: the second time it finds its work done and answers the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from gateway import wire
from gateway.core import limits
from gateway.core.answers import fitting, may_know
from gateway.core.append import Gateway
from gateway.core.effects import (
    DropEndedPackages,
    DropInvitation,
    DropUpload,
    Outcome,
    PutInvitation,
    PutPackage,
    PutPiece,
    TakePackage,
)
from gateway.core.errors import Refused, denied
from gateway.core.rows import RENEWAL, Identity, Invitation, Package
from gateway.core.session import check_standing
from gateway.core.submit import decide_submit
from gateway.core.view import View
from gateway.wire import Refusal
from keys.authority import CharterAuthentication, check_renewal, read_renewal, read_request, renewal_id
from keys.body import TERMS_EXTENSION
from keys.credential import Certified
from keys.errors import KeysError, Malformed
from keys.identity import Random, Verify, verify
from keys.mls import KeyPackage, cipher_suite
from keys.mls.errors import MLSError
from keys.policy import Verb

HOUR: Final = 3_600_000  # ms


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, and what a decision needs besides the view."""

    who: Identity
    gateway: Gateway
    now: int  # ms
    random: Random
    check: Verify = verify

    def needs(self, verb: Verb) -> None:
        """Raises Refused ROLE unless the charter lets the asker do this."""
        if not self.gateway.charter.policy.permits(self.who.roles, verb):
            raise Refused(Refusal.ROLE, f"the charter does not allow {verb.value} to this device")


def put_chunk(view: View, frame: wire.PutChunk, ask: Ask) -> Outcome[wire.Done]:
    """The next piece of a long body. Its whole is checked when the last piece comes; a wrong one is dropped as a whole."""
    held = view.upload(frame.hash)
    if held is not None and held.whole:
        return Outcome(wire.Done(frame.id, held.length))
    have = held.held if held else 0
    if not frame.data:
        return Outcome(wire.Done(frame.id, have))
    stale = () if held else _stale_uploads(view, frame, ask)
    if held is not None and held.length != frame.length:
        raise Refused(Refusal.SCHEMA, "this body was begun with another length")
    if frame.offset != have:
        return Outcome(wire.Done(frame.id, have))
    if have + len(frame.data) > frame.length:
        raise Refused(Refusal.SCHEMA, "more than the length that was named")
    done = wire.Done(frame.id, have + len(frame.data))
    if done.value == frame.length and not _whole(view, frame, have):
        return Outcome(wire.Done(frame.id, 0), (DropUpload(frame.hash),))
    piece = PutPiece(ask.who.device, frame.hash, frame.length, have, frame.data, ask.now)
    return Outcome(done, (*stale, piece))


def _stale_uploads(view: View, frame: wire.PutChunk, ask: Ask) -> tuple[DropUpload, ...]:
    """Room for one more body: what the device has put and nobody named for a day goes; what is younger has its bound."""
    uploads = view.uploads_open(ask.who.device)
    kept = [u for u in uploads if ask.now - u.time <= limits.UPLOAD_LIFE]
    if sum(not u.whole for u in kept) >= limits.OPEN_UPLOADS:
        raise Refused(Refusal.QUOTA, f"at most {limits.OPEN_UPLOADS} bodies may be half put: finish one", HOUR)
    if sum(u.length for u in kept) + frame.length > limits.OPEN_BYTES:
        raise Refused(Refusal.QUOTA, f"at most {limits.OPEN_BYTES} bytes may wait for their envelopes", HOUR)
    return tuple(DropUpload(u.hash) for u in uploads if u not in kept)


def _whole(view: View, frame: wire.PutChunk, have: int) -> bool:
    before = view.partial(frame.hash) if have else b""
    return sha256(before + frame.data).digest() == frame.hash


def put_key_packages(view: View, frame: wire.PutKeyPackages, ask: Ask) -> Outcome[wire.Done]:
    """A device's own KeyPackages: each verified as a joiner's peers will, none for another key."""
    device, now = ask.who.device, ask.now // 1000
    fresh = [p for p in dict.fromkeys(frame.packages) if not view.package_known(sha256(p).digest())]
    left = view.packages_left(device, frame.suite, now)
    if left + len(fresh) > limits.KEY_PACKAGES_PER_DEVICE:
        raise Refused(Refusal.QUOTA, f"the directory keeps {limits.KEY_PACKAGES_PER_DEVICE} a device: {left} are left")
    effects = [_package(view, frame.suite, data, ask, last_resort=False) for data in fresh]
    if frame.last_resort is not None and not view.package_known(sha256(frame.last_resort).digest()):
        effects.append(_package(view, frame.suite, frame.last_resort, ask, last_resort=True))
    done = wire.Done(frame.id, left + len(fresh))
    return Outcome(done, (DropEndedPackages(device, now), *effects) if effects else ())


def _package(view: View, suite_id: int, data: bytes, ask: Ask, *, last_resort: bool) -> PutPackage:
    try:
        suite = cipher_suite(suite_id)
        package = KeyPackage.decode(data)
        auth = CharterAuthentication(ask.gateway.charter, lambda c: view.certificate(c) is not None)
        package.verify(suite, auth, ask.now // 1000)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"not a KeyPackage to hand out: {error}") from None
    if sha256(package.leaf_node.credential.certificates[0]).digest() != ask.who.certificate:
        raise denied()
    if package.last_resort != last_resort:
        raise Refused(Refusal.SCHEMA, "a last-resort KeyPackage says so, and no other does")
    lifetime = package.lifetime
    assert lifetime is not None  # KeyPackage.verify
    if TERMS_EXTENSION not in package.leaf_node.capabilities.extensions:
        raise Refused(Refusal.SCHEMA, "a KeyPackage that does not list the channels' terms fits no channel")
    return PutPackage(ask.who.device, suite_id, data, last_resort, lifetime.not_after)


def claim_key_packages(view: View, frame: wire.ClaimKeyPackages, ask: Ask) -> Outcome[wire.KeyPackages]:
    """One KeyPackage of each device, handed out once; for those who may add, and about whom they may know.

    A device whose certificate has ended or is revoked has none. As many as fit a frame are answered, in the order asked for.
    """
    ask.needs(Verb.ADD)
    claimer, since = ask.who.device, ask.now - HOUR
    devices = list(dict.fromkeys(frame.devices))
    if view.claims_since(claimer, since) + len(devices) > limits.CLAIMS_PER_HOUR:
        raise Refused(Refusal.QUOTA, f"at most {limits.CLAIMS_PER_HOUR} KeyPackages an hour", HOUR)
    found = [(device, _claimable(view, device, frame.suite, ask)) for device in devices]
    answered = fitting(found, lambda pair: len(pair[1].data) if pair[1] else 0)
    for device, package in answered:
        if package is not None and view.claims_since(claimer, since, device) >= limits.CLAIMS_OF_ONE:
            raise Refused(Refusal.QUOTA, f"at most {limits.CLAIMS_OF_ONE} KeyPackages of one device an hour", HOUR)
    claims = [wire.Claim(device, package.data if package else None) for device, package in answered]
    taken = tuple(TakePackage(p.row, p.device, claimer, ask.now, since) for _, p in answered if p is not None)
    return Outcome(wire.KeyPackages(frame.id, claims), taken)


def _claimable(view: View, device: bytes, suite: int, ask: Ask) -> Package | None:
    if not may_know(view, ask.who, device, ask.gateway.charter):
        return None
    rows = view.certificates(device)
    if not rows or rows[0].revoked or ask.now > rows[0].not_after:
        return None
    return view.package(device, suite, ask.now // 1000)


def put_invite(view: View, frame: wire.PutInvite, ask: Ask) -> Outcome[wire.Done]:
    """A registrar's invite, by the hash of its secret: for its own organisation, a role its root may grant, a short while."""
    organisation = ask.who.organisation
    if not ask.who.registrar or frame.organisation != organisation:
        raise Refused(Refusal.ROLE, "invites come from the organisation's registrars")
    if frame.role == RENEWAL or frame.role not in ask.gateway.charter.policy.organisation(organisation).roles:
        raise Refused(Refusal.ROLE, f"the root of {organisation} may not grant {frame.role}")
    if not ask.now < frame.expires <= ask.now + limits.INVITE_LIFE:
        raise Refused(Refusal.EXPIRED, "an invite lasts for up to a week")
    held = view.invitation(frame.invite)
    if held is not None and (held.organisation, held.role, held.expires) != (organisation, frame.role, frame.expires):
        raise Refused(Refusal.REPLAY, "this invite is there already, with other terms")
    if held is not None:
        return Outcome(wire.Done(frame.id, 0))
    if view.invites_open(organisation, ask.now) >= limits.INVITES_OPEN:
        raise Refused(
            Refusal.QUOTA, f"at most {limits.INVITES_OPEN} invites may be out: cancel one, or wait for its end"
        )
    invitation = Invitation(frame.invite, organisation, frame.role, frame.expires)
    return Outcome(wire.Done(frame.id, 0), (PutInvitation(invitation),))


def cancel_invite(view: View, frame: wire.CancelInvite, ask: Ask) -> Outcome[wire.Done]:
    """Take an invite back, as long as nobody is enrolled by it."""
    held = view.invitation(frame.invite)
    if held is None or not ask.who.registrar or held.organisation != ask.who.organisation or held.seq:
        raise denied()
    return Outcome(wire.Done(frame.id, 0), (DropInvitation(frame.invite),))


def renew(view: View, frame: wire.Enrol, ask: Ask) -> Outcome[wire.Done]:
    """A device asks for its next certificate, by its present one and with both keys; its registrar checks that again."""
    if frame.invite != renewal_id(ask.who.device) or ask.who.registrar:
        raise denied()
    held = view.invitation(frame.invite)
    if held is not None and held.request == frame.request:
        return Outcome(wire.Done(frame.id, 0))
    present = view.certificate(ask.who.certificate)
    assert present is not None  # check_standing
    try:
        check_renewal(frame.request, ask.gateway.charter.verify_certificate(present.der))
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except KeysError:
        raise denied() from None
    expires = ask.now + limits.INVITE_LIFE
    invitation = Invitation(frame.invite, ask.who.organisation, RENEWAL, expires, frame.request)
    return Outcome(wire.Done(frame.id, 0), (PutInvitation(invitation),))


def enrol(view: View, frame: wire.Enrol, now: int) -> Outcome[wire.Done]:
    """A stranger answers an invite: the first request stays, whoever sent it; the registrar sees whether it is the right one.

    Raises:
        Refused: DENIED for an invite that is not there, is used, or has ended, and for what is no request: all alike.
    """
    try:
        read_request(frame.request, frame.invite)  # before the look-up: a wrong guess takes as long as a right one
    except KeysError:
        raise denied() from None
    held = view.invite(frame.invite)
    if held is None or now > held.expires:
        raise denied()
    if held.request == frame.request:
        return Outcome(wire.Done(frame.id, 0))
    if held.request:
        raise denied()
    return Outcome(wire.Done(frame.id, 0), (PutInvitation(replace(held, request=frame.request)),))


def grant(view: View, frame: wire.Grant, ask: Ask) -> Outcome[wire.Done]:
    """A registrar's certificate for a request. It waits for the second officer; till then it counts nowhere."""
    held = view.invitation(frame.invite)
    if held is None or not ask.who.registrar or held.organisation != ask.who.organisation or not held.request:
        raise denied()
    try:
        certified = ask.gateway.charter.verify_certificate(frame.certificate)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except KeysError:
        raise denied() from None
    if held.seq and held.certificate != frame.certificate:
        raise denied()
    if held.seq:
        return Outcome(wire.Done(frame.id, 0))
    if ask.now > held.expires:
        raise Refused(Refusal.EXPIRED, "this invite has reached its end: make a new one")
    _check_asked_for(view, held, certified, ask)
    done = replace(held, certificate=frame.certificate, answer=frame.answer)
    return Outcome(wire.Done(frame.id, 0), (PutInvitation(done),))


def _check_asked_for(view: View, held: Invitation, certified: Certified, ask: Ask) -> None:
    """The certificate is by this registrar, for the key that asked, and of the invite's role on a device id that is new; or a
    renewal's, on its device and with its roles."""
    rows = view.certificates(certified.device)
    if held.role == RENEWAL:
        key = read_renewal(held.request).public_key
        asked = bool(rows) and renewal_id(certified.device) == held.id and certified.roles == rows[0].roles
    else:
        key = read_request(held.request, held.id).public_key
        asked = not rows and certified.roles == {held.role}
    if not asked or certified.issuer != ask.who.device or certified.public_key != key:
        raise Refused(Refusal.ROLE, "the certificate is not what was asked for")


def submit(view: View, frame: wire.Submit, ask: Ask) -> Outcome[wire.Accepted | wire.Refused]:
    return decide_submit(view, ask.who, frame, ask.gateway, ask.now, ask.random, ask.check)


Request = Callable[[View, Any, Ask], Outcome[Any]]
REQUESTS: Final[Mapping[type, Request]] = {
    wire.Submit: submit,
    wire.PutChunk: put_chunk,
    wire.PutKeyPackages: put_key_packages,
    wire.ClaimKeyPackages: claim_key_packages,
    wire.PutInvite: put_invite,
    wire.CancelInvite: cancel_invite,
    wire.Enrol: renew,
    wire.Grant: grant,
}
"""What a session may ask to be written."""


def decide(
    view: View,
    who: Identity | None,
    frame: wire.FromDevice,
    gateway: Gateway,
    now: int,
    random: Random,
    check: Verify = verify,
) -> Outcome[Any]:
    """Decide a request that writes. Strangers (`who` is None) may enrol, and nothing else. `check` verifies a run's signature, or
    knows that it was verified.

    Returns:
        The answer's frame, and the effects to make durable before it is said.

    Raises:
        Refused: nothing was changed.
    """
    if who is None:
        if not isinstance(frame, wire.Enrol):
            raise denied()
        return enrol(view, frame, now)
    request = REQUESTS.get(type(frame))
    if request is None:
        raise Refused(Refusal.SCHEMA, f"{type(frame).__name__} is not a request that writes")
    # An entry is never dated before the one in front of it, though a clock was set back, and by its date all others judge it.
    now = max(now, view.log_end().time)
    check_standing(view, who, gateway.charter, now)
    return request(view, frame, Ask(who, gateway, now, random, check))
