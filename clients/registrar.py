"""A registrar's seat: invites, certificates, revocation lists, and the founding's second approvals.

A registrar is a device like any other to the gateway, by the certificate that the charter names. Its key and certificate are
the vault's secrets `registrar:<n>:key` (seed, 32 bytes) and `registrar:<n>:der`; what it has sent stands in a corner of the
vault of its own, so several seats may share one vault.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from clients.approving import Approver, error_of
from clients.connected import now_ms
from clients.core import outbox
from clients.core import trust as trusted
from clients.core.errors import NotAllowed, NotEnrolled, Unknown, Untrusted
from clients.core.ledger import Draft
from clients.core.outbox import Kept
from clients.core.text import unfit_name
from clients.enrolments import PendingEnrolment, put_charters, settle_identity
from clients.link import Tap
from clients.vault import Vault
from gateway import wire
from keys.authority import (
    Answer,
    Card,
    Invite,
    RevocationList,
    check_renewal,
    check_request,
    issue_revocation_list,
    renewal_id,
    seal_answer,
    sign_card,
)
from keys.credential import Certified, issue_device
from keys.envelope import Kind, Precedence
from keys.errors import KeysError
from keys.identity import DeviceId, PersonId, SigningKey

F = TypeVar("F", bound=wire.Frame)

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
BACKDATED: Final = HOUR  # ms by which a certificate begins earlier, for clocks that are behind


class Registrar(Approver):
    """One seat, opened. What it says goes to the control channel."""

    @classmethod
    def open(cls, vault: Vault, n: int, charter_notes: Sequence[bytes] = (), *, tap: Tap | None = None) -> "Registrar":
        """The seat of the registrar `n` of this vault. The charter's notes (versions 1 to n) are needed the first time.

        Raises:
            NotEnrolled: no such key in this vault, or no charter yet.
            Untrusted: the charter does not hold, or names no such registrar.
        """
        seed, der = vault.secret(f"registrar:{n}:key"), vault.secret(f"registrar:{n}:der")
        if seed is None or der is None:
            raise NotEnrolled(f"this vault holds no registrar {n}")
        registrar = cls(vault, n, tap=tap)
        draft = Draft(registrar._ledger)
        try:
            if charter_notes:
                put_charters(draft, list(charter_notes))
            registrar._ledger.apply(draft.changes())
            certified = registrar.charter.verify_certificate(der)
        except KeysError as error:
            raise Untrusted(f"registrar {n}: {error}") from None
        if not certified.registrar:
            raise Untrusted(f"registrar {n}: not a registrar's certificate")
        draft = Draft(registrar._ledger)
        settle_identity(draft, certified, seed, b"")
        registrar._ledger.apply(draft.changes())
        return registrar

    def __init__(self, vault: Vault, n: int, *, tap: Tap | None = None) -> None:
        super().__init__(vault.corner(f"registrar:{n}"), tap=tap)
        self.vault = vault
        self.number = n

    def close(self) -> None:
        """Let go of the vault."""
        self.vault.close()

    @property
    def organisation(self) -> str:
        """The organisation this registrar is of."""
        return self.identity.organisation

    @property
    def _key(self) -> SigningKey:
        seed = self.vault.secret(f"registrar:{self.number}:key")
        assert seed is not None
        return SigningKey(seed)

    @property
    def revocations(self) -> RevocationList | None:
        """The newest revocation list of the organisation, as far as this seat knows."""
        return trusted.revocations(self._ledger, self.charter, self.organisation)

    # --- invites ---

    def invite(self, role: str, *, expires: int, person: bytes = b"") -> Invite:
        """Make an invite for a role; it is kept, with the person's id where there is one already. `put_invite` announces it."""
        organisation = self.charter.policy.organisation(self.organisation)
        if role not in organisation.roles:
            raise NotAllowed(f"the root of {self.organisation} may not grant {role}")
        random = self.device_core.random
        invite = Invite(
            self.charter.policy.gateway_url, self.charter.hash, random(16), self.organisation, role, expires
        )
        self.vault.set_secret(f"invite:{invite.id.hex()}", invite.link().encode())
        if person:
            self.vault.set_secret(f"invite:{invite.id.hex()}:person", person)
        return invite

    async def put_invite(self, invite: Invite) -> None:
        """Tell the gateway of it: its id, role and end, not its secret."""
        frame = await self._once(
            lambda i: wire.PutInvite(i, invite.id, invite.organisation, invite.role, invite.expires)
        )
        self._must(frame, wire.Done)

    async def cancel_invite(self, invite: bytes) -> None:
        """Take it back, as long as nobody is enrolled by it."""
        self._must(await self._once(lambda i: wire.CancelInvite(i, invite)), wire.Done)

    async def _once(self, make: Callable[[int], wire.FromDevice]) -> wire.FromGateway:
        async with self.session():
            return await self.ask(make)

    def _must(self, frame: wire.FromGateway, kind: type[F]) -> F:
        if not isinstance(frame, kind):
            raise error_of(frame)
        return frame

    # --- certificates ---

    async def _pending(self, invite: bytes) -> PendingEnrolment:
        pending = next((p for p in await self.pending_enrolments() if p.invite == invite), None)
        if pending is None or not pending.request:
            raise Unknown("nobody has answered this invite yet")
        return pending

    async def grant(self, invite: Invite, name: str, call_sign: str, *, life_days: int = 30) -> Certified:
        """Issue the certificate for who answered an invite, the words having been compared, and seal the answer.

        Raises:
            Unknown: nobody has answered.
            Untrusted: the request was not made with the invite's secret.
            NotAllowed: the name or call sign would deceive those who read it.
        """
        if why := unfit_name(name) or unfit_name(call_sign):
            raise NotAllowed(f"no card is made out to a name like that: {why}")
        async with self.session():
            pending = await self._pending(invite.id)
            try:
                request = check_request(pending.request, invite, now_ms())
            except KeysError as error:
                raise Untrusted(str(error)) from None
            random = self.device_core.random
            person = PersonId(self.vault.secret(f"invite:{invite.id.hex()}:person") or random(16))
            device = DeviceId(random(16))
            der = self._issue(request.public_key, person, device, frozenset({invite.role}), life_days)
            card = sign_card(
                Card(person, device, name, call_sign, self.organisation, self.identity.device, b""), self._key
            )
            sealed = seal_answer(Answer(der, card), invite, random)
            self._must(await self.ask(lambda i: wire.Grant(i, invite.id, der, sealed)), wire.Done)
        return self.charter.verify_certificate(der)

    def _issue(
        self, public_key: bytes, person: PersonId, device: DeviceId, roles: frozenset[str], life_days: int
    ) -> bytes:
        now = now_ms()
        life = (now - BACKDATED, now + life_days * DAY)
        return issue_device(
            self.identity.certificate, self._key, public_key, person, device, roles, life, self.device_core.random
        )

    async def grant_renewal(self, invite: bytes, *, life_days: int = 30) -> Certified:
        """Certify the next key of a device that asks with both its keys: same ids, same roles."""
        async with self.session():
            pending = await self._pending(invite)
            device = next((p for p in await self.directory() if renewal_id(p.device) == invite), None)
            if device is None:
                raise Unknown("a renewal of a device that the directory does not have")
            present = await self.certificate(device.certificate)
            try:
                renewal = check_renewal(pending.request, present)
            except KeysError as error:
                raise Untrusted(str(error)) from None
            der = self._issue(renewal.public_key, present.person, present.device, present.roles, life_days)
            self._must(await self.ask(lambda i: wire.Grant(i, invite, der, b"")), wire.Done)
        return self.charter.verify_certificate(der)

    async def certificate(self, certificate: bytes) -> Certified:
        """The certificate of this hash, as the charter has it."""
        async with self.session():
            frame = self._must(await self.ask(lambda i: wire.GetCertificates(i, [certificate])), wire.Certificates)
        for entry in frame.entries:
            certified = self.charter.verify_certificate(entry.body or b"")
            if certified.hash == certificate:
                return certified
        raise Unknown("the gateway has no such certificate")

    async def directory(self) -> list[wire.Person]:
        """Every device of the mission, as the gateway has them."""
        found: list[wire.Person] = []
        async with self.session():
            after = bytes(16)
            while True:
                frame = self._must(
                    await self.ask(lambda i, a=after: wire.GetDirectory(i, a)),  # type: ignore[misc]
                    wire.Directory,
                )
                found += frame.people
                if len(frame.people) < wire.LIST_LIMIT:
                    return found
                after = frame.people[-1].device

    # --- revocation ---

    async def publish_revocations(self, serials: Iterable[int], *, hours: int | None = None) -> None:
        """Sign and publish the organisation's next list: all serials revoked before, and these. An empty one is needed at the
        founding: without a list no certificate is approved, nobody is added and no channel is made."""
        async with self.session():
            await self._settle(5.0, receipts=False)  # the newest list is in the control channel
            before = self.revocations
            number = before.number + 1 if before else 1
            all_serials = {*serials, *(before.serials if before else ())}
            now = now_ms()
            life = (hours or self.charter.policy.crl_hours) * HOUR
            der = issue_revocation_list(self.identity.certificate, self._key, number, all_serials, now, now + life)
            control = self.charter.control_channel
            item = self.act(
                lambda work: outbox.keep(work.turn, Kept(control, Kind.REVOCATION_LIST, der, Precedence.IMMEDIATE))
            )
            await self.accepted(item)
