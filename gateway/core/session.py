"""The beginning of a session: who is this, and may it speak?

    GREETING --Hello--> PROVING --Proof--> READY
       |                   |
       +-- GetCharter, Enrol, AwaitEnrolment: heard in every state, they need no identity

A session is a frozen value with a `step`; what has no row in the table is refused. The device signs both nonces, the gateway's
key and the TLS key as it saw it, so a proof is good for one session with one gateway behind one certificate; the gateway
signs the same back.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from gateway import wire
from gateway.core.errors import Refused, denied
from gateway.core.rows import Identity
from gateway.core.view import View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import BadSignature, KeysError
from keys.identity import DeviceId, SigningKey, verify


class State(Enum):
    GREETING = auto()
    PROVING = auto()
    READY = auto()


ANYBODY: Final = (wire.GetCharter, wire.Enrol, wire.AwaitEnrolment)
"""Heard before the proof as well."""


@dataclass(frozen=True, slots=True)
class Session:
    """One connection's conversation so far."""

    state: State = State.GREETING
    device: DeviceId | None = None
    device_nonce: bytes = b""
    gateway_nonce: bytes = b""
    identity: Identity | None = None

    def greet(self, hello: wire.Hello, charter: Charter, nonce: bytes, now: int) -> tuple["Session", wire.Challenge]:
        """Answer a Hello with 32 fresh bytes. It is the same for devices that exist and those that don't."""
        if self.state is not State.GREETING:
            raise Refused(Refusal.SCHEMA, "Hello comes first, and once")
        if hello.version != wire.PROTOCOL_VERSION:
            raise Refused(Refusal.SCHEMA, f"this gateway speaks version {wire.PROTOCOL_VERSION}: update the client")
        after = replace(
            self, state=State.PROVING, device=DeviceId(hello.device), device_nonce=hello.nonce, gateway_nonce=nonce
        )
        policy = charter.policy
        return after, wire.Challenge(nonce, policy.gateway_key, policy.version, charter.hash, now)

    def prove(
        self, proof: wire.Proof, view: View, charter: Charter, key: SigningKey, now: int
    ) -> tuple["Session", wire.Ready]:
        """Check the device's proof and answer it with the gateway's.

        Raises:
            Refused: DENIED whatever does not hold; REVOKED and EXPIRED only to who holds that very key.
        """
        if self.state is not State.PROVING or self.device is None:
            raise Refused(Refusal.SCHEMA, "a Proof answers a Challenge")
        identity, holds = _claimed(view, charter, self.device, proof.certificate)
        transcript = wire.Transcript(
            self.device, self.device_nonce, self.gateway_nonce, key.public, proof.tls_key, proof.certificate
        ).content()
        try:
            verify(identity.public_key, "session", transcript, proof.signature)
        except BadSignature:
            raise denied() from None
        if not holds or proof.tls_key not in charter.policy.tls_keys:
            raise denied()
        check_standing(view, identity, charter, now)
        after = replace(self, state=State.READY, identity=identity)
        return after, wire.Ready(key.sign("session answer", transcript), now)


def check_standing(view: View, who: Identity, charter: Charter, now: int) -> None:
    """A session outlives nobody's certificate, and nobody's organisation, role or office in the charter in force.

    Asked at the proof and again with each request: revocation takes effect with the transaction that logs it.

    Raises:
        Refused: REVOKED, EXPIRED; DENIED where the charter no longer stands behind this identity.
    """
    if who.registrar:
        certified = _registrar(charter, who.device, who.certificate)
        listed = view.revocations(who.organisation)
        if certified is None:
            raise denied()
        revoked = listed is not None and certified.serial in listed.serials
    else:
        found = view.revoked(who.certificate)
        if found is None or not _granted(charter, who.organisation, who.roles):
            raise denied()
        revoked = found
    if revoked:
        raise Refused(Refusal.REVOKED, "this device was revoked: ask a registrar for a new enrolment")
    if now > who.not_after:
        raise Refused(Refusal.EXPIRED, "this device's certificate has ended: ask a registrar for a new enrolment")


def _granted(charter: Charter, organisation: str, roles: frozenset[str]) -> bool:
    """Whether the charter still names the organisation, and lets its root grant these roles."""
    for theirs in charter.policy.organisations:
        if theirs.name == organisation:
            return roles <= theirs.roles
    return False


def _claimed(view: View, charter: Charter, device: DeviceId, certificate: bytes) -> tuple[Identity, bool]:
    """The identity that this certificate gives this device, and whether it does.

    Where it does not the identity is that of some other device: the same is looked up, read and verified for a certificate that
    is there and for one that is not, so the time that a refusal takes tells neither from the other. Registrars stand in the
    charter, which everybody may read.
    """
    registrar = registrar_identity(charter, device, certificate)
    if registrar is not None:
        return registrar, True
    row = view.nearest_certificate(certificate)
    if row is None:
        raise denied()  # nobody is enrolled yet
    holds = row.hash == certificate and row.device == device
    try:
        charter.verify_certificate(row.der)  # a successor charter may have dropped its registrar
    except KeysError:
        holds = False
    identity = Identity(
        row.device, row.person, row.organisation, row.roles, row.hash, row.public_key, row.not_after, registrar=False
    )
    return identity, holds


def registrar_identity(charter: Charter, device: bytes, certificate: bytes) -> Identity | None:
    """A registrar that the charter names, by its device id and its certificate's hash."""
    registrar = _registrar(charter, device, certificate)
    if registrar is None:
        return None
    return Identity(
        registrar.device,
        registrar.person,
        registrar.organisation,
        frozenset(),
        registrar.hash,
        registrar.public_key,
        registrar.not_after,
        registrar=True,
    )


def _registrar(charter: Charter, device: bytes, certificate: bytes) -> Certified | None:
    for issuers in charter.policy.issuers:
        for registrar in map(issuers.verify_registrar, issuers.registrars):
            if registrar.device == device and registrar.hash == certificate:
                return registrar
    return None
