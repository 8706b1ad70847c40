"""The part of a station for disclosure: asking to see one message, agreeing to it, opening it, and proving one of one's own.

item = station.request_disclosure(index, entry, Why("CMP-44", "a complaint"))                   # an auditor's device
item = station.vote(request, agrees=True)                                                      # somebody who may
item = await station.disclose(request)                                                         # a participant
package = station.disclosed(request)                                                           # the auditor again
package = await station.prove(message)                                                         # anybody, to a third party
"""

from clients.approving import error_of
from clients.calling import Caller
from clients.core import conversation, disclosures, proof, records
from clients.core.commits import Work
from clients.core.disclosures import Case
from clients.core.errors import NotNow, Untrusted
from gateway import wire
from keys.canonical import encode
from keys.disclosure import Package, Why
from keys.envelope import Entry
from keys.policy import Verb
from keys.sealing import READERS
from keys.tlog.errors import TlogError
from keys.tlog.merkle import leaf_hash
from keys.tlog.note import Note
from keys.tlog.proof import TlogProof


class Discloser(Caller):
    """What a station does about disclosures."""

    def cases(self) -> list[Case]:
        """Every request that this device was told of, the oldest first."""
        return self.act(disclosures.known)

    def case(self, wanted: bytes) -> Case:
        """The one whose hash begins so. Raises Unknown."""
        return self.act(lambda work: disclosures.find(work, wanted))

    def request_disclosure(self, index: int, entry: Entry, why: Why) -> bytes:
        """Ask for the message of a log entry; gives the item. Raises NotAllowed, NotNow."""

        def ask(work: Work) -> bytes:
            voters = _voters(work)
            if not voters:
                raise NotNow("nobody is known here who could agree: sync first")
            return disclosures.request(work, index, entry, why, voters[:READERS])

        return self.act(ask)

    def vote(self, request: bytes, *, agrees: bool) -> bytes:
        """Agree to a request, or not; gives the item. Raises NotAllowed, NotNow, Unknown."""
        return self.act(lambda work: disclosures.vote(work, request, agrees=agrees))

    def refuse_disclosure(self, request: bytes) -> bytes:
        """Say that this device will not open the message; gives the item. Raises NotNow, Unknown."""
        return self.act(lambda work: disclosures.refuse(work, request))

    async def disclose(self, request: bytes) -> bytes:
        """Open a message for the auditor who asked; gives the item.

        Raises:
            NotAllowed: not enough have agreed.
            NotNow, Unknown: it was answered here, or this device does not hold it.
            NotReached, Untrusted: the gateway does not prove the message's entry.
        """
        case = self.act(lambda work: disclosures.disclosable(work, request))
        proved = await self._proof(case.asked.channel, case.asked.seq)
        return self.act(lambda work: disclosures.disclose(work, request, proved))

    def disclosed(self, request: bytes) -> Package:
        """What was disclosed to this device. Raises Unknown, NotTrusted, Malformed."""
        return self.act(lambda work: disclosures.opened(work, disclosures.find(work, request)))

    async def prove(self, message: bytes) -> Package:
        """What shows one message to whoever trusts the charter, by the message's id. Raises as `disclose`."""
        channel, seq, _ = self.act(lambda work: conversation.find(work, message))
        proved = await self._proof(channel, seq)
        return self.act(lambda work: disclosures.packaged(work, channel, seq, message, proved))

    async def _proof(self, channel: bytes, seq: int) -> bytes:
        """The tlog-proof of an entry, under the newest checkpoint."""
        index = disclosures.index_of(self._ledger, channel, seq)
        leaf = leaf_hash(encode(disclosures.entry_of(self._ledger, channel, seq)))
        async with self.session():
            frame = await self.ask(lambda i: wire.Prove(i, 0, [index]))
        if not isinstance(frame, wire.Proven):
            raise error_of(frame)
        try:
            (path,) = frame.paths
            proved = TlogProof(index, tuple(path.hashes), Note.decode(frame.checkpoint))
            proved.check(leaf, [self.charter.log_verifier()], self.charter.policy.log_origin)
        except (TlogError, ValueError) as error:
            raise Untrusted(f"the gateway does not prove that entry {index} is in the log: {error}") from None
        self.act(lambda work: proof.look_at(work.turn, frame.checkpoint))
        return proved.encode()


def _voters(work: Work) -> list[bytes]:
    """The keys of the mission's own who may agree, as far as their certificates are known and alive."""
    turn, policy = work.turn, work.turn.charter.policy
    known = (work.trust.certified(key[16:]) for key, _ in records.HOLDERS.scan(turn.draft))
    alive = (c for c in known if c is not None and not c.registrar and c.not_after > turn.now)
    mine = (c for c in alive if c.organisation == policy.home.name and policy.permits(c.roles, Verb.DISCLOSE))
    return list(dict.fromkeys(c.public_key for c in mine))
