"""What a second person approves: certificates that a registrar has granted, by an envelope in the control channel.

Officers do it, and at the founding, when there are none yet, the organisation's other registrar. Both compare the words with
the person first; what is checked here is that the certificate is for the key that has those words.
"""

import asyncio
from typing import Final

from clients.connected import Connected, refusal
from clients.core import conversation, outbox, records
from clients.core.errors import ClientError, NotNow, Unknown
from clients.core.outbox import Kept
from clients.enrolments import PendingEnrolment, check_granted, pending_of
from gateway import wire
from keys.credential import Certified
from keys.envelope import Kind, Precedence
from keys.policy import Verb

ACCEPTED_SECONDS: Final = 20.0


class Approver(Connected):
    """A device or registrar that may approve."""

    async def pending_enrolments(self) -> list[PendingEnrolment]:
        """Those that wait for a second person. Raises NotAllowed, NotReached."""
        async with self.session():
            frame = await self.ask(wire.GetEnrolments)
        if not isinstance(frame, wire.Enrolments):
            raise error_of(frame)
        return pending_of(frame)

    async def approve(self, invite: bytes) -> None:
        """Approve a certificate that a registrar has granted, its words compared; back when the approval is accepted.

        Raises:
            Unknown, NotNow: no such enrolment, or not granted yet.
            Untrusted: the certificate is not for who asked.
            NotAllowed: the charter does not let this device.
        """
        async with self.session():
            if not self.identity.registrar:
                self.act(lambda work: conversation.need(work, Verb.APPROVE_ENROLMENT))
            pending = next((p for p in await self.pending_enrolments() if p.invite == invite), None)
            if pending is None:
                raise Unknown("no such enrolment waits")
            present = await self._present(pending)
            certified = check_granted(pending, self.charter, present)
            await self._approved(certified)

    async def _present(self, pending: PendingEnrolment) -> Certified | None:
        """The certificate of before, for a renewal."""
        if pending.role != "renewal" or not pending.certificate:
            return None
        device = self.charter.verify_certificate(pending.certificate).device
        known = self.act(lambda work: work.trust.of_device(device))
        return max(known, key=lambda c: c.not_before, default=None)

    async def _approved(self, certified: Certified) -> None:
        item = self.act(
            lambda work: outbox.keep(
                work.turn,
                Kept(self.charter.control_channel, Kind.CERTIFICATE, certified.der, Precedence.IMMEDIATE),
            )
        )
        await self.accepted(item)

    async def accepted(self, item: bytes) -> None:
        """Wait, in an open session, until the gateway has an item for good. Raises what it is refused for."""
        try:
            async with asyncio.timeout(ACCEPTED_SECONDS):
                while True:
                    self._news.clear()
                    sent = records.SENT.get(self._ledger, item)
                    if sent is not None and sent.seq:
                        return
                    if sent is not None and sent.refused:
                        raise NotNow(sent.refused)
                    await self._news.wait()
        except TimeoutError:
            raise NotNow("the gateway has not accepted it yet; it is kept and goes again") from None


def error_of(frame: wire.FromGateway) -> ClientError:
    """What an answer that is none means to the user."""
    return refusal(frame) if isinstance(frame, wire.Refused) else NotNow(f"an unexpected {type(frame).__name__}")
