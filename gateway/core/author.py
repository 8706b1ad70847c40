"""Whose an envelope is, where it goes, and by which key.

    in a channel, and beside it    the key of the device's leaf: all members hold it, whatever certificate the session has proved
    elsewhere                      the key of the session's certificate
    UNLOCK, CHANNEL_CREATED        also that of another certificate of the device that stands: the first was sealed before anybody
                                   could ask, the second is signed by the leaf that it founds

What another key of the same device has signed, as may happen around a renewal, is refused so that it may be sealed again (LEAF), and so
is all but a handshake as long as the leaf holds a certificate that has ended or was revoked: nobody would take it. What anybody
else has signed does not verify.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gateway.core.errors import Refused, denied
from gateway.core.rows import CertificateRow, Identity, Member, Stream, StreamKind
from gateway.core.view import View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.envelope import NOTHING, Claimed, Context, Kind, Verified, verify_run
from keys.errors import BadSignature, Malformed
from keys.identity import ChannelId, Verify
from keys.policy import Verb

_BY_ANY: Final = frozenset({Kind.UNLOCK, Kind.CHANNEL_CREATED})
_RENEWING: Final = frozenset({Kind.COMMIT, Kind.PROPOSAL})
"""What a leaf whose certificate has ended says still: that it takes another."""


class Author(Struct, frozen=True, gc=False):
    """Where an envelope is to go, whose it is there, and the key that counts for it. `leaf` is the certificate in its leaf, where that
    is another than the session's."""

    stream: Stream
    member: Member | None
    key: bytes
    leaf: CertificateRow | None = None

    def check(self, kind: Kind, key: bytes, now: int) -> None:
        """The key that has signed is the one that counts, and stands.

        Raises:
            Refused: LEAF; EXPIRED or REVOKED to who is in the channel no longer, so can't have another leaf.
        """
        if key != self.key and kind not in _BY_ANY:
            raise Refused(Refusal.LEAF, "signed by another key of this device than counts here: seal it again")
        if self.leaf is None or self.member is None or kind in _RENEWING or _stands(self.leaf, now):
            return
        if not self.member.left:
            raise Refused(
                Refusal.LEAF, "the certificate in this device's leaf has ended or was revoked: renew the leaf"
            )
        refusal = Refusal.REVOKED if self.leaf.revoked else Refusal.EXPIRED
        raise Refused(refusal, "the certificate in this device's last leaf there has ended or was revoked")


def _stands(row: CertificateRow, now: int) -> bool:
    return not row.revoked and now <= row.not_after


def author_of(view: View, who: Identity, context: Context, charter: Charter) -> Author:
    """The author of what a session hands in.

    Whether it is in comes before whether there is such a channel, so who is not in is refused by the same steps either way.
    Whoever may create channels learns that an id is taken; whoever may not is told so before it is looked for.
    """
    if context.kind is Kind.CHANNEL_CREATED:
        if not charter.policy.permits(who.roles, Verb.CREATE_CHANNEL):
            raise Refused(Refusal.ROLE, f"the charter does not allow {Verb.CREATE_CHANNEL.value} to this device")
        if view.stream(context.channel) is None:
            fresh = Stream(ChannelId(context.channel), StreamKind.CHANNEL, 0, NOTHING)
            return Author(fresh, None, who.public_key)
    if context.channel in charter.control_streams:
        return Author(_control(view, context, charter), None, who.public_key)
    member = _membership(view, who, context)
    if member is None:
        raise denied()
    stream = view.stream(context.channel)
    if stream is None:  # nobody has said anything beside this channel yet
        raise denied()
    if member.left and stream.kind is not StreamKind.RECEIPTS:
        raise denied()
    if member.certificate == who.certificate:
        return Author(stream, member, who.public_key)
    leaf = view.certificate(member.certificate)
    assert leaf is not None  # a member's certificate counts
    return Author(stream, member, leaf.public_key, leaf)


def _control(view: View, context: Context, charter: Charter) -> Stream:
    """A stream that the charter names; that of unlocks begins with the first of them."""
    stream = view.stream(context.channel)
    if stream is None and context.kind is Kind.UNLOCK and context.channel == charter.unlock_stream:
        return Stream(charter.unlock_stream, StreamKind.CONTROL, 0, NOTHING)
    if stream is None:
        raise denied()
    return stream


def _membership(view: View, who: Identity, context: Context) -> Member | None:
    """The author in the channel, or in the one that this stream stands beside: there go receipts, and answers without an epoch."""
    beside = context.kind is Kind.RECEIPT or (context.kind is Kind.ACK and not context.epoch)
    found = view.member_beside(context.channel, who.device) if beside else None
    return found or view.member(context.channel, who.device)


def verified(
    view: View, claimed: Sequence[Claimed], author: Author, now: int, check: Verify
) -> tuple[tuple[Verified, ...], bytes]:
    """The run by its one signature, and the key of its device that has made it: the one that counts, or else another.

    Raises:
        Refused: SCHEMA for what is no run; DENIED where no key of this device signed it.
    """
    try:
        return verify_run(claimed, author.key, check), author.key
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    except BadSignature:
        context = claimed[0].context
    for row in view.certificates(context.device):
        if row.public_key == author.key or (context.kind in _BY_ANY and not _stands(row, now)):
            continue
        try:
            return verify_run(claimed, row.public_key, check), row.public_key
        except BadSignature:
            continue
    raise denied()
