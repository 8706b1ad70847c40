"""The beginning of a session, seen from the device: who am I, and is this the mission's gateway?

    Hello  →  Challenge  →  Proof  →  Ready

The TLS key as this device saw it has to be one that the charter names, and so does the gateway's key; both stand in what is
signed on either side, so nobody in between can pass a proof on.
"""

from dataclasses import dataclass

from clients.core.errors import Untrusted
from clients.core.records import Identity
from gateway import wire
from keys.charter import Charter
from keys.errors import BadSignature
from keys.identity import SigningKey, verify


@dataclass(frozen=True, slots=True)
class Greeting:
    """A session that is being opened. `tls_key` is the SHA-256 of the server's SubjectPublicKeyInfo, as seen."""

    me: Identity
    charter: Charter
    tls_key: bytes
    nonce: bytes

    def hello(self) -> wire.Hello:
        """The first frame. Raises Untrusted when this is not the gateway's TLS key."""
        check_tls_key(self.charter, self.tls_key)
        return wire.Hello(wire.PROTOCOL_VERSION, self.me.device, self.nonce)

    def prove(self, challenge: wire.Challenge, key: SigningKey) -> wire.Proof:
        """Answer the challenge. Raises Untrusted when another than the mission's gateway asks."""
        if challenge.gateway_key != self.charter.policy.gateway_key:
            raise Untrusted("another gateway answers than the one the charter names")
        signature = key.sign("session", self._transcript(challenge))
        return wire.Proof(self.me.certificate_hash, self.tls_key, signature)

    def check(self, challenge: wire.Challenge, ready: wire.Ready) -> None:
        """Raises Untrusted unless the gateway signed the same conversation back."""
        try:
            verify(self.charter.policy.gateway_key, "session answer", self._transcript(challenge), ready.signature)
        except BadSignature:
            raise Untrusted("the gateway did not prove that it holds its key") from None

    def _transcript(self, challenge: wire.Challenge) -> bytes:
        return wire.Transcript(
            self.me.device,
            self.nonce,
            challenge.nonce,
            challenge.gateway_key,
            self.tls_key,
            self.me.certificate_hash,
        ).content()


def check_tls_key(charter: Charter, tls_key: bytes) -> None:
    """Raises Untrusted unless the charter names this TLS key."""
    if tls_key not in charter.policy.tls_keys:
        raise Untrusted("the gateway's TLS key is not one that the charter names: somebody may be listening in between")
