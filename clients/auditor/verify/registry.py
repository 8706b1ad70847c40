"""Who counts, as of the last entry read: certificates from their approval on, revocations from their list on.

Also the Authentication Service (RFC 9750 section 4) by which an auditor replays the channels.
"""

from hashlib import sha256
from typing import Final

from clients.auditor.verify.entries import CLOCK_AHEAD
from keys.authority import RevocationList
from keys.charter import Charter
from keys.credential import Certified
from keys.errors import KeysError, NotTrusted
from keys.identity import PersonId
from keys.mls import Credential
from keys.mls.errors import InvalidCredential
from keys.mls.nodes import X509

HOUR: Final = 3_600_000  # ms


class Registry:
    """Certificates that count, and lists in force. `lost` from the entry on where one of either could not be read."""

    def __init__(self) -> None:
        self.charter: Charter | None = None
        self.certificates: dict[bytes, Certified] = {}  # by the SHA-256 of their DER
        self.devices: dict[bytes, list[Certified]] = {}  # the newest last
        self.registrars: dict[bytes, Certified] = {}
        self.lists: dict[str, RevocationList] = {}
        self.lost: int | None = None
        self._keys: dict[bytes, tuple[bytes, ...]] = {}
        self._alive_until: dict[bytes, tuple[int, int]] = {}

    def install(self, charter: Charter) -> None:
        """A charter comes into force. Whose organisation, registrar or role it drops counts no longer."""
        self.charter = charter
        issuers = charter.policy.issuers
        self.registrars = {r.device: r for r in (i.verify_registrar(der) for i in issuers for der in i.registrars)}
        held = list(self.certificates.values())
        self.certificates, self.devices = {}, {}
        self._forget()
        for certified in held:
            try:
                self.count(charter.verify_certificate(certified.der))
            except KeysError:
                continue

    def count(self, certified: Certified) -> None:
        """From here on this certificate counts."""
        held = [c for c in self.devices.get(certified.device, []) if c.hash != certified.hash]
        self.devices[certified.device] = [*held, certified]
        self.certificates[certified.hash] = certified
        self._forget()

    def revoke(self, listed: RevocationList) -> None:
        """From here on this is the organisation's list."""
        self.lists[listed.organisation] = listed
        self._forget()

    def revoked(self, certified: Certified) -> bool:
        """Whether it stands on its organisation's list."""
        listed = self.lists.get(certified.organisation)
        return listed is not None and certified.serial in listed.serials

    def alive(self, certified: Certified, time: int) -> bool:
        """Neither revoked nor, at that time of the gateway's (ms), outside its life."""
        return certified.not_before - CLOCK_AHEAD <= time <= certified.not_after and not self.revoked(certified)

    def of_device(self, device: bytes) -> list[Certified]:
        """A registrar's certificate, or those that count of a device, the newest first."""
        registrar = self.registrars.get(device)
        return [registrar] if registrar is not None else self.devices.get(device, [])[::-1]

    def named(self, certificate: bytes, device: bytes, time: int) -> Certified:
        """The certificate that a statement names as its author's; raises NotTrusted unless it counts for that device, alive."""
        certified = self.certificates.get(certificate)
        if certified is None or certified.registrar or certified.device != device:
            raise NotTrusted("by a certificate that does not count for its device")
        if not self.device_alive(device, time):
            raise NotTrusted(f"by device {device.hex()[:8]}, which was revoked or had expired")
        return certified

    def person_of(self, device: bytes) -> PersonId | None:
        """Whose device it is, as far as is known."""
        held = self.devices.get(device)
        return held[-1].person if held else None

    def keys_of(self, device: bytes) -> tuple[bytes, ...]:
        """The keys of all its certificates that count, alive or not, the newest first."""
        keys = self._keys.get(device)
        if keys is None:
            keys = self._keys[device] = tuple(c.public_key for c in self.of_device(device))
        return keys

    def device_alive(self, device: bytes, time: int) -> bool:
        """Whether it has a certificate that counts and is alive at that time of the gateway's (ms), as far as can be known."""
        since, until = self._alive_until.get(device, (0, -1))
        if since <= time <= until:
            return True
        alive = [c for c in self.of_device(device) if self.alive(c, time)]
        if alive:
            self._alive_until[device] = time, max(c.not_after for c in alive)
        return bool(alive) or self.lost is not None

    def _forget(self) -> None:
        self._keys.clear()
        self._alive_until.clear()

    def fresh(self, organisation: str, time: int, hours: int) -> bool:
        """Whether there is a list of the organisation, and none older than that at this time, as far as can be known."""
        listed = self.lists.get(organisation)
        fresh = listed is not None and time <= listed.this_update + hours * HOUR
        return fresh or self.lost is not None

    # ------------------------------------------------------------------ keys.mls.AuthenticationService

    def certified(self, credential: Credential) -> Certified:
        """The device that a credential is. Raises InvalidCredential."""
        if credential.credential_type != X509 or len(credential.certificates) != 1:
            raise InvalidCredential("a credential here is one X.509 device certificate")
        certified = self.certificates.get(sha256(credential.certificates[0]).digest())
        if certified is None:
            raise InvalidCredential("no certificate whose approval is logged stands behind this leaf")
        return certified

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        """RFC 9420 section 5.3.1. Raises InvalidCredential."""
        if self.certified(credential).public_key != signature_key:
            raise InvalidCredential("the leaf's signature key is not the certificate's")

    def is_successor(self, old: Credential, new: Credential) -> bool:
        """Only a newer certificate of the same device, person and organisation may take a leaf's place."""
        before, after = self.certified(old), self.certified(new)
        same = (before.device, before.person, before.organisation) == (after.device, after.person, after.organisation)
        return same and after.not_before >= before.not_before
