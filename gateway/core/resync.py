"""A member that lost its way, and what lets it in again.

A device that can't process a commit is stranded: epochs never go back. An officer who is in the channel approves, for that device
and that epoch, and hands over the epoch's GroupInfo with the external key. The device may then end the epoch by an external commit
that removes its own old leaf (RFC 9420 section 12.4.3.2), and nothing else comes into a channel from outside
(`gateway.core.roster`).
"""

from collections.abc import Sequence
from hashlib import sha256

from gateway.core.effects import Effect, PutResync, PutTree
from gateway.core.errors import Refused
from gateway.core.roster import group_of
from gateway.core.rows import Member, Stream
from gateway.core.run import Run, check_channel, check_verb
from gateway.core.view import View
from gateway.wire import Refusal
from keys.body import ResyncApproval, read_resync_approval
from keys.errors import Malformed
from keys.mls import PublicGroup
from keys.mls.errors import MLSError
from keys.mls.nodes import EXTERNAL_PUB
from keys.policy import Verb


def approval(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """An officer lets another member of the channel come in again in the present epoch."""
    member = check_channel(run)
    check_verb(run, Verb.APPROVE_ENROLMENT)
    verified, data = run.one()
    try:
        said = read_resync_approval(data)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if said.epoch != verified.context.epoch:
        raise Refused(Refusal.SCHEMA, "a resync approval is sealed in the epoch that it names")
    if said.epoch != run.stream.epoch:
        raise Refused(Refusal.EPOCH_CONFLICT, f"the channel is at epoch {run.stream.epoch}: approve for that one")
    _check_stranded(view, run, said)
    group = group_of(view, run)
    _check_group_info(group, said, member)
    tree = group.tree_bytes()
    # Named at the approval's own seq, so that the stranded device can ask for it.
    named = PutTree(run.stream.id, run.stream.seq + 1, sha256(tree).digest(), tree)
    return run.stream, (PutResync(run.stream.id, said.device, said.epoch), named)


def _check_stranded(view: View, run: Run, said: ResyncApproval) -> None:
    """Whoever comes in again is another's device, a member now, with a certificate that is alive."""
    other = view.member(run.stream.id, said.device)
    row = view.certificate(other.certificate) if other is not None and not other.left else None
    if row is None or row.person == run.who.person:
        raise Refused(Refusal.SCHEMA, "an approval is for a member of this channel that belongs to somebody else")
    if row.revoked or run.now > row.not_after:
        raise Refused(Refusal.REVOKED, "the device that would come in again is revoked, or its certificate has ended")


def _check_group_info(group: PublicGroup, said: ResyncApproval, member: Member) -> None:
    """It is this epoch's, by the author, with the external key and nothing else."""
    try:
        info = group.check_group_info(said.group_info, signer=member.leaf)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"the GroupInfo is not that of this epoch: {error}") from None
    if [extension.extension_type for extension in info.extensions] != [EXTERNAL_PUB]:
        raise Refused(Refusal.SCHEMA, "the GroupInfo holds the external key, and nothing else")
