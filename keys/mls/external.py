"""From outside the group (RFC 9420 sections 12.1.8 and 12.4.3.2): joining by a Commit of one's own, and proposing.

    pending = Group.join_externally(group_info, credential, key, auth, random=random)     # send pending.message
    message = external_proposal(suite, group_id, epoch, 0, key, Remove(3))              # as external_senders lists us
    message = new_member_proposal(group_id, epoch, key_package, key)                    # asking to be added

All of these travel as PublicMessages without membership tag; that a stranger may send one is for the members and their
Delivery Service to decide. Whoever joins needs a GroupInfo with the epoch's external key, made by a member on purpose
(`Group.group_info(external=True)`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from keys.mls.applying import apply
from keys.mls.codec import Vector, encode_with
from keys.mls.commits import Draft, Identity, MadeCommit, sign_handshake
from keys.mls.errors import InvalidGroupInfo, Misuse
from keys.mls.externalinit import ExternalPub, make_external_init
from keys.mls.framing import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    ExternalSenderIndex,
    FramedContent,
    MLSMessage,
    NewMemberCommit,
    NewMemberProposal,
    ProposalContent,
    PublicMessage,
    Sender,
)
from keys.mls.hpke import Random
from keys.mls.leaves import AuthenticationService, Place, new_capabilities, renewed, reshaped
from keys.mls.lineage import check_new
from keys.mls.messages import Add, KeyPackage, PreSharedKey, Proposal, Remove
from keys.mls.nodes import (
    EXTERNAL_PUB,
    EXTERNAL_SENDERS,
    RATCHET_TREE,
    Capabilities,
    Extension,
    ExternalSender,
    FromCommit,
    LeafNode,
    find_extension,
)
from keys.mls.presharedkeys import Psks, held, look_up
from keys.mls.public import PublicGroup, read_group_info
from keys.mls.rules import BY_EXTERNAL_SENDER, SentProposal
from keys.mls.suites import SUITES, CipherSuite, SuiteTable, cipher_suite


class Entrance(NamedTuple):
    """A group as a stranger sees it who may join: what is public, and the key that takes an init secret."""

    public: PublicGroup
    external_pub: bytes

    @classmethod
    def read(
        cls,
        group_info: bytes,
        ratchet_tree: bytes | None,
        auth: AuthenticationService,
        now_seconds: int | None,
        suites: SuiteTable = SUITES,
    ) -> "Entrance":
        """Of a GroupInfo (an MLSMessage), the tree inside or beside. Raises `MLSError` and below."""
        info = read_group_info(group_info)
        suite = cipher_suite(info.group_context.cipher_suite, suites)
        if ratchet_tree is None:
            ratchet_tree = find_extension(info.extensions, RATCHET_TREE)
        if ratchet_tree is None:
            raise Misuse("the GroupInfo has no ratchet tree inside and none was given (section 12.4.3.3)")
        public = PublicGroup.from_info(suite, info, ratchet_tree, auth, now_seconds)
        content = find_extension(info.extensions, EXTERNAL_PUB)
        if content is None:
            raise InvalidGroupInfo("a GroupInfo without external key (section 12.4.3.2)")
        return cls(public, ExternalPub.decode(content).external_pub)

    def join(
        self,
        identity: Identity,
        *,
        remove: int | None,
        psk_proposals: Sequence[PreSharedKey],
        psks: Psks,
        self_removes: Sequence[bytes],
        capabilities: Capabilities | None,
        leaf_extensions: tuple[Extension, ...] | None,
        authenticated_data: bytes,
        now_seconds: int | None,
        random: Random,
    ) -> tuple[int, MadeCommit]:
        """Our leaf index, and the Commit by which we take it. Raises `MLSError` and below."""
        public, suite = self.public, self.public.suite
        if remove is None:
            check_new(public, held(psks).groups)
        for message in self_removes:
            public = public.proposal(message, now_seconds)
        external_init, init_secret = make_external_init(suite, self.external_pub)
        removes = [] if remove is None else [Remove(remove)]
        by_value: list[Proposal] = [external_init, *removes, *psk_proposals]
        sent = [*(SentProposal(one, NewMemberCommit(), None) for one in by_value), *public.proposals.values()]
        applied = apply(public.checker(now_seconds), sent, NewMemberCommit())
        keys = look_up(applied.psks, psks)
        place = Place(public.group_id, applied.committer)
        before = _without_keys(suite, identity, applied.replaced, capabilities, leaf_extensions)

        def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            return renewed(suite, before, encryption_key, FromCommit(parent_hash), place, *identity)

        draft = Draft.begin(public, applied, make_leaf, random)
        commit, key = draft.commit(sent), identity.signature_private_key
        signed = sign_handshake(public, NewMemberCommit(), commit, authenticated_data, key)
        return applied.committer, draft.complete(signed, init_secret, keys, {}, key)


def _without_keys(
    suite: CipherSuite,
    identity: Identity,
    before: LeafNode | None,
    capabilities: Capabilities | None,
    leaf_extensions: tuple[Extension, ...] | None,
) -> LeafNode:
    """What of our leaf does not depend on its place: as in our prior appearance, if nothing else is said."""
    if before is None:
        least = new_capabilities(suite, identity.credential, tuple(one.extension_type for one in leaf_extensions or ()))
        before = LeafNode(b"", b"", identity.credential, least, FromCommit(b""), (), b"")
    return reshaped(before, capabilities, leaf_extensions)


def from_outside(signed: AuthenticatedContent) -> bytes:
    """A handshake message of somebody who is no member, as it goes out: without membership tag (section 6.2)."""
    return MLSMessage.wrap(PublicMessage(signed.framed, signed.auth, None))


# Proposing (section 12.1.8)


def external_senders_extension(senders: Sequence[ExternalSender]) -> Extension:
    """The GroupContext extension that lets these propose from outside, each by its place in the list."""
    return Extension(EXTERNAL_SENDERS, encode_with(Vector(ExternalSender), tuple(senders)))


def external_proposal(
    suite: CipherSuite,
    group_id: bytes,
    epoch: int,
    sender_index: int,
    signature_private_key: bytes,
    proposal: Proposal,
    *,
    authenticated_data: bytes = b"",
) -> bytes:
    """A proposal by the external sender that the group lists at `sender_index`. Raises `Misuse`."""
    if not isinstance(proposal, BY_EXTERNAL_SENDER):
        raise Misuse(f"an external sender can't propose {type(proposal).__name__}")
    sender = ExternalSenderIndex(sender_index)
    return _propose(suite, group_id, epoch, sender, signature_private_key, proposal, authenticated_data)


def new_member_proposal(
    group_id: bytes,
    epoch: int,
    key_package: KeyPackage,
    signature_private_key: bytes,
    *,
    authenticated_data: bytes = b"",
    suites: SuiteTable = SUITES,
) -> bytes:
    """A client's wish to be added with its own KeyPackage; members commit it if they want to. Raises `Unsupported`."""
    suite, sender = cipher_suite(key_package.cipher_suite, suites), NewMemberProposal()
    return _propose(suite, group_id, epoch, sender, signature_private_key, Add(key_package), authenticated_data)


def _propose(
    suite: CipherSuite,
    group_id: bytes,
    epoch: int,
    sender: Sender,
    signature_private_key: bytes,
    proposal: Proposal,
    authenticated_data: bytes,
) -> bytes:
    framed = FramedContent(group_id, epoch, sender, authenticated_data, ProposalContent(proposal))
    return from_outside(AuthenticatedContent.sign(suite, PUBLIC_MESSAGE, framed, None, signature_private_key))
