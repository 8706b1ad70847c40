"""A device's next certificate: asked for in the last third of the present one's life, taken when two people have granted it."""

import asyncio
from typing import Final

from clients.connected import now_ms
from clients.core import records
from clients.core.commits import Work
from clients.core.ledger import Draft
from clients.core.records import Enrolling
from clients.disclosing import Discloser
from clients.enrolments import settle_identity
from gateway import wire
from keys.authority import renewal_id, request_renewal
from keys.credential import Certified
from keys.errors import KeysError
from keys.identity import SigningKey

RENEWAL_POLL: Final = 5.0  # s between two looks whether a renewal was granted


def take(work: Work, certified: Certified, seed: bytes, card: bytes) -> None:
    """From here on this device has that certificate; it goes into its leaf in every channel once it is proved here
    (`clients.core.membership.renew_leaf`)."""
    draft = work.turn.draft
    settle_identity(draft, certified, seed, card)
    renewed = records.IDENTITY.get(draft)
    assert renewed is not None
    work.turn.me = renewed  # or what follows in this very turn would still be done under the old one
    records.ENROLLING.delete(draft, b"renewal")


class Renewer(Discloser):
    """What renewing adds to a station."""

    def renew(self) -> None:
        """Ask for this device's next certificate; it is put into every channel once two people have approved it."""
        me = self.identity
        if records.ENROLLING.get(self._ledger, b"renewal") is not None:
            return
        key, seed = SigningKey.generate(self.device_core.random), records.SEEDS.get(self._ledger, me.certificate_hash)
        assert seed is not None
        present = self.charter.verify_certificate(me.certificate)
        request = request_renewal(present, SigningKey(seed.seed), key)
        draft = Draft(self._ledger)
        records.ENROLLING.put(draft, b"renewal", Enrolling("renewal", key.seed, request, []))
        self._ledger.apply(draft.changes())

    async def _beside(self) -> None:
        """Look after the certificate: ask for the next one in the last third of its life, and take it when it is granted."""
        me = self.identity
        if now_ms() > me.not_before + (me.not_after - me.not_before) * 2 // 3:
            self.renew()
        invite = renewal_id(me.device)
        begun, asked = records.ENROLLING.get(self._ledger, b"renewal"), False
        while begun is not None:
            if not asked:
                await self.ask(lambda i, b=begun: wire.Enrol(i, invite, b.request))  # type: ignore[misc]
                asked = True
            frame = await self.ask(lambda i: wire.AwaitEnrolment(i, invite))
            if isinstance(frame, wire.Enrolment) and frame.entry is not None and self._renewed(begun, frame.entry):
                return
            await asyncio.sleep(RENEWAL_POLL)

    def _renewed(self, begun: Enrolling, entry: wire.Placed) -> bool:
        """Take the certificate in an approved entry, if it is for the key that was made here."""
        me = self.identity
        try:
            certified = self.charter.verify_certificate(entry.body or b"")
        except KeysError:
            return False
        if (certified.device, certified.public_key) != (me.device, SigningKey(begun.seed).public):
            return False

        self.act(lambda work: take(work, certified, begun.seed, me.card))
        self.device_core.session.reconnect = True
        return True
