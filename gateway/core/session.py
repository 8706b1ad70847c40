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
from gateway.core.view import Identity, View
from gateway.wire import Refusal
from keys.charter import Charter
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
        identity, revoked = _identify(view, charter, self.device, proof.certificate)
        transcript = wire.Transcript(
            self.device, self.device_nonce, self.gateway_nonce, key.public, proof.tls_key, proof.certificate
        ).content()
        try:
            # A stranger's proof is verified too, against a key that nobody holds: it takes as long.
            verify(identity.public_key if identity else key.public, "session", transcript, proof.signature)
        except BadSignature:
            raise denied() from None
        if identity is None or proof.tls_key not in charter.policy.tls_keys:
            raise denied()
        if revoked:
            raise Refused(Refusal.REVOKED, "this device was revoked: ask a registrar for a new enrolment")
        if now > identity.not_after:
            raise Refused(Refusal.EXPIRED, "this device's certificate has ended: ask a registrar for a new enrolment")
        after = replace(self, state=State.READY, identity=identity)
        return after, wire.Ready(key.sign("session answer", transcript), now)


def _identify(view: View, charter: Charter, device: DeviceId, certificate: bytes) -> tuple[Identity | None, bool]:
    """The identity that this certificate gives this device, and whether it was revoked."""
    row = view.certificate(certificate)
    if row is not None and row.device == device:
        identity = Identity(
            device, row.person, row.organisation, row.roles, row.hash, row.public_key, row.not_after, registrar=False
        )
        return identity, row.revoked
    return registrar_identity(charter, device, certificate), False


def registrar_identity(charter: Charter, device: bytes, certificate: bytes) -> Identity | None:
    """A registrar that the charter names, by its device id and its certificate's hash."""
    for issuers in charter.policy.issuers:
        for der in issuers.registrars:
            try:
                registrar = issuers.verify_registrar(der)
            except KeysError:
                continue
            if registrar.device == device and registrar.hash == certificate:
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
    return None
