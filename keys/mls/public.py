"""What can be known of a group without its secrets: members, tree, context, and what each Commit does to them.

The Delivery Service follows every channel with a `PublicGroup`, an auditor replays one, and a member's `Group` keeps
one inside, so all three judge a Commit by the same code. What needs secrets is left out here: the membership tag, the
path's ciphertexts, an external commit's KEM output and the confirmation tag are taken as claimed (RFC 9420 sections
6.2, 8.3 and 12.4.2); a member that checks them may refuse what this accepted. Of an external commit that means: anybody
with a credential that counts can make one that passes here, and only members see whether it was made with the group's
external key. So whoever orders messages asks policy first (`StagedPublicCommit.external`).

    public = PublicGroup.create(suite, group_info, ratchet_tree, auth)
    public = public.proposal(message, now_seconds)
    staged = public.stage(message, now_seconds)         # look at it, ask policy
    public = staged.next                                # once it has its place
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from keys.mls.applying import Applied, apply, check_result
from keys.mls.codec import decode_all, encode_with
from keys.mls.errors import (
    DecodeError,
    InvalidCommit,
    InvalidGroupInfo,
    InvalidMessage,
    InvalidProposal,
    Reinitialized,
    WrongEpoch,
    WrongGroup,
)
from keys.mls.evolution import Evolution, StagedPublicCommit
from keys.mls.framing import (
    GROUP_INFO,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    ExternalSenderIndex,
    MemberSender,
    MLSMessage,
    NewMemberCommit,
    NewMemberProposal,
    ProposalContent,
    PublicMessage,
    Sender,
    interim_transcript_hash,
)
from keys.mls.leaves import (
    AuthenticationService,
    Member,
    Place,
    check_extensions,
    fits_group,
    verify_joiner,
    verify_leaf,
    verify_members,
    verify_replacement,
)
from keys.mls.messages import Add, ByValue, Commit, GroupContext, GroupInfo, ReInit, SelfRemove
from keys.mls.nodes import MLS10, FromCommit, LeafNode
from keys.mls.parts import (
    VERSION,
    KeptProposal,
    Parts,
    PublicPart,
    join_parts,
    kept_proposals,
    part,
    split_parts,
)
from keys.mls.rules import Checker, SentProposal, check_group_extensions, external_senders
from keys.mls.suites import SUITES, CipherSuite, SuiteTable, cipher_suite
from keys.mls.tree import Tree
from keys.mls.treekem import merge_path, provisional_context

MAX_PROPOSALS: Final = 4096
"""Most proposals that are kept in one epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class PublicGroup:
    """A group in one epoch, as everybody may know it."""

    suite: CipherSuite
    auth: AuthenticationService
    context: GroupContext
    tree: Tree
    confirmation_tag: bytes
    interim_transcript_hash: bytes
    proposals: Mapping[bytes, SentProposal]
    """Proposals of this epoch by reference, in the order they came."""
    reinit: ReInit | None
    """What the last Commit asked for, if it closed the group; its successor has these parameters (section 11.2)."""

    @classmethod
    def create(
        cls,
        suite: CipherSuite,
        group_info: bytes,
        ratchet_tree: bytes,
        auth: AuthenticationService,
        *,
        now_seconds: int | None = None,
    ) -> "PublicGroup":
        """From a GroupInfo (an MLSMessage) and the tree it speaks of; every leaf and parent is checked.

        Leaves' lifetimes count only with `now_seconds`: a member of long standing may have outlived its KeyPackage.
        """
        return cls.from_info(suite, read_group_info(group_info), ratchet_tree, auth, now_seconds)

    @classmethod
    def from_info(
        cls,
        suite: CipherSuite,
        info: GroupInfo,
        ratchet_tree: bytes,
        auth: AuthenticationService,
        now_seconds: int | None,
    ) -> "PublicGroup":
        """Section 12.4.3.1, as far as no secret is needed. Raises `Invalid` and below, `CryptoError`."""
        context = info.group_context
        if context.version != MLS10 or context.cipher_suite != suite.id:
            raise InvalidGroupInfo("another version or cipher suite (section 12.4.3.1)")
        check_group_extensions(context.extensions, auth)
        check_extensions(info.extensions)
        tree = Tree.decode(suite, ratchet_tree)
        if tree.hash() != context.tree_hash:
            raise InvalidGroupInfo("the tree is not the one of the GroupInfo (section 12.4.3.1)")
        verify_signer(suite, tree, info)
        tree.verify()
        for leaf_index, leaf in tree.members():
            verify_leaf(suite, leaf, Place(context.group_id, leaf_index), now_seconds)
            fits_group(leaf, context.extensions)
            auth.validate(leaf.credential, leaf.signature_key)
        verify_members(tree)
        interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, info.confirmation_tag)
        return cls(suite, auth, context, tree, info.confirmation_tag, interim, {}, None)

    # What it is

    @property
    def group_id(self) -> bytes:
        return self.context.group_id

    @property
    def epoch(self) -> int:
        return self.context.epoch

    @property
    def members(self) -> list[Member]:
        """All members, from the left."""
        return [Member.of(leaf_index, leaf) for leaf_index, leaf in self.tree.members()]

    def member(self, leaf_index: int) -> Member | None:
        """The member at this leaf, if there is one."""
        leaf = self.tree.leaf(leaf_index)
        return None if leaf is None else Member.of(leaf_index, leaf)

    def tree_bytes(self) -> bytes:
        """The content of a ratchet_tree extension, for joiners."""
        return self.tree.encode()

    # At rest

    def parts(self) -> Parts:
        """The state in named parts: `public` and `proposals`, and of the tree what changed (`blocks.py`); no secrets."""
        parts = {
            "public": PublicPart(VERSION, self.context, self.confirmation_tag).encode(),
            **self.tree.parts(),
        }
        if self.proposals:
            kept = tuple(KeptProposal(sent.sender, ref, sent.proposal) for ref, sent in self.proposals.items())
            parts["proposals"] = encode_with(kept_proposals, kept)
        if self.reinit is not None:
            parts["reinit"] = self.reinit.encode()
        return parts

    @classmethod
    def load(cls, parts: Parts, auth: AuthenticationService, suites: SuiteTable = SUITES) -> "PublicGroup":
        """The group of these parts; what was checked before is not checked again. Raises `DecodeError`."""
        kept = PublicPart.decode(part(parts, "public"))
        if kept.version != VERSION:
            raise DecodeError(f"state of version {kept.version}")
        context, tag = kept.context, kept.confirmation_tag
        suite = cipher_suite(context.cipher_suite, suites)
        tree = Tree.load(suite, parts)
        if tree.hash() != context.tree_hash:
            raise DecodeError("the tree is not the one of the context")
        waiting = decode_all(kept_proposals, parts.get("proposals", b"\0"))
        proposals = {one.reference: SentProposal(one.proposal, one.sender, one.reference) for one in waiting}
        interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, tag)
        reinit = ReInit.decode(parts["reinit"]) if "reinit" in parts else None
        return cls(suite, auth, context, tree, tag, interim, proposals, reinit)

    def encode(self) -> bytes:
        """The whole state in one string."""
        return join_parts(self.parts())

    @classmethod
    def decode(cls, data: bytes, auth: AuthenticationService, suites: SuiteTable = SUITES) -> "PublicGroup":
        """Raises `DecodeError`."""
        return cls.load(split_parts(data), auth, suites)

    # What happens to it

    def proposal(self, message: bytes, now_seconds: int | None) -> "PublicGroup":
        """The group with this proposal kept until a Commit names it. Raises `MLSError` and below."""
        content, _ = self.open_public(message)
        return self.with_proposal(content, now_seconds)

    def with_proposal(self, content: AuthenticatedContent, now_seconds: int | None) -> "PublicGroup":
        """The same for content whose signature was checked."""
        framed = content.framed
        if not isinstance(framed.content, ProposalContent):
            raise InvalidMessage("not a proposal")
        if isinstance(framed.content.proposal, SelfRemove) and content.wire_format != PUBLIC_MESSAGE:
            raise InvalidProposal("a SelfRemove that is sealed (draft-ietf-mls-extensions, SelfRemove)")
        reference = content.proposal_ref(self.suite)
        sent = SentProposal(framed.content.proposal, framed.sender, reference)
        if reference not in self.proposals and len(self.proposals) >= MAX_PROPOSALS:
            raise InvalidProposal(f"more than {MAX_PROPOSALS} proposals in one epoch")
        self.checker(now_seconds).check(sent)
        return replace(self, proposals={**self.proposals, reference: sent})

    def stage(self, message: bytes, now_seconds: int | None) -> StagedPublicCommit:
        """Check a Commit and say what it would do. Raises `MLSError` and below; nothing is changed.

        `now_seconds` should be when the Delivery Service took the message, for all who judge it alike.
        """
        content, _ = self.open_public(message)
        evolution = self.evolve(content, now_seconds)
        return self.describe(content, evolution)

    def describe(self, content: AuthenticatedContent, evolution: Evolution) -> StagedPublicCommit:
        """What a Commit does, in the words of who has to allow it."""
        commit = content.framed.content
        assert isinstance(commit, Commit)
        applied, after = evolution.applied, evolution.next
        new_leaf = after.member(evolution.committer)
        assert new_leaf is not None
        committer = new_leaf if applied.external else self.member(evolution.committer)
        assert committer is not None
        return StagedPublicCommit(
            external=applied.external,
            sender_leaf=evolution.committer,
            committer=committer,
            new_leaf=new_leaf,
            adds=tuple(package for _, package in applied.joiners),
            added=evolution.added,
            removes=applied.removed,
            updates=applied.updated,
            proposal_types=tuple(one.proposal.TYPE for one in self.resolve(commit, content.framed.sender)),
            extensions=applied.extensions if applied.new_extensions else None,
            has_path=commit.path is not None,
            authenticated_data=content.framed.authenticated_data,
            next=after,
        )

    def check_group_info(self, group_info: bytes, *, signer: int | None = None) -> GroupInfo:
        """A GroupInfo (an MLSMessage) that speaks of exactly this epoch, signed by a member (`signer`, if given)."""
        info = read_group_info(group_info)
        if info.group_context != self.context:
            raise InvalidGroupInfo("a GroupInfo of another group or epoch (section 12.4.3)")
        if info.confirmation_tag != self.confirmation_tag:
            raise InvalidGroupInfo("a GroupInfo with another confirmation tag (section 12.4.3)")
        if signer is not None and info.signer != signer:
            raise InvalidGroupInfo(f"a GroupInfo by leaf {info.signer}, not {signer}")
        check_extensions(info.extensions)
        verify_signer(self.suite, self.tree, info)
        return info

    # The steps

    def check_place(self, group_id: bytes, epoch: int) -> None:
        """Raise `WrongGroup` or `WrongEpoch` unless a handshake message belongs here and now."""
        if group_id != self.context.group_id:
            raise WrongGroup(f"message of group {group_id.hex()}")
        if epoch != self.context.epoch:
            raise WrongEpoch(epoch, self.context.epoch)
        self.must_be_open()

    def must_be_open(self) -> None:
        """Raise `Reinitialized` where the last Commit was a ReInit's: the group is not used any more."""
        if self.reinit is not None:
            raise Reinitialized("a ReInit closed this group (section 12.4.2)")

    def open_public(self, message: bytes) -> tuple[AuthenticatedContent, bytes | None]:
        """A handshake message with its signature checked, and a member's membership tag, unchecked."""
        public = MLSMessage.unwrap(message)
        if not isinstance(public, PublicMessage):
            raise InvalidMessage("not a PublicMessage")
        return self.verify_public(public)

    def verify_public(self, public: PublicMessage) -> tuple[AuthenticatedContent, bytes | None]:
        """The same for a message that was decoded."""
        self.check_place(public.framed.group_id, public.framed.epoch)
        if not isinstance(public.framed.content, ProposalContent | Commit):
            raise InvalidMessage("application data that is not encrypted (section 6)")
        content = public.authenticated
        content.verify_signature(self.suite, self.context, self.signature_key(content))
        return content, public.membership_tag

    def signature_key(self, content: AuthenticatedContent) -> bytes:
        """The key of whoever claims to have sent a handshake message (section 6.1). Raises `InvalidMessage`."""
        match content.framed.sender, content.framed.content:
            case MemberSender(leaf_index), _:
                leaf = self.tree.leaf(leaf_index)
                if leaf is None:
                    raise InvalidMessage("a sender that is not a member (section 6)")
                return leaf.signature_key
            case ExternalSenderIndex(sender_index), ProposalContent():
                senders = external_senders(self.context.extensions)
                if sender_index >= len(senders):
                    raise InvalidMessage("a sender that is not listed in external_senders (section 12.1.8)")
                return senders[sender_index].signature_key
            case NewMemberProposal(), ProposalContent(Add(key_package)):
                return key_package.leaf_node.signature_key
            case NewMemberCommit(), Commit(_, path):
                if path is None:
                    raise InvalidCommit("an external commit without a path (section 12.4.3.2)")
                return path.leaf_node.signature_key
        raise InvalidMessage("this kind of sender can't send this content (section 6.1)")

    def checker(self, now_seconds: int | None) -> Checker:
        """Who judges proposals in this epoch."""
        return Checker(self.context, self.tree, self.auth, now_seconds)

    def resolve(self, commit: Commit, committer: Sender) -> list[SentProposal]:
        """The proposals that a Commit covers, in its order (section 12.4). Raises `InvalidCommit`."""
        found = []
        for one in commit.proposals:
            if isinstance(one, ByValue):
                found.append(SentProposal(one.proposal, committer, None))
                continue
            sent = self.proposals.get(one.reference)
            if sent is None:
                raise InvalidCommit(f"a proposal that was not seen in this epoch (section 12.4): {one.reference.hex()}")
            found.append(sent)
        references = [sent.reference for sent in found if sent.reference is not None]
        if len(set(references)) != len(references):
            raise InvalidCommit("one proposal twice (section 12.4)")
        return found

    def evolve(self, content: AuthenticatedContent, now_seconds: int | None) -> Evolution:
        """What a signed Commit makes of the group (section 12.4.2). Raises `MLSError` and below."""
        commit, sender = content.framed.content, content.framed.sender
        if not isinstance(commit, Commit):
            raise InvalidMessage("not a Commit")
        applied = apply(self.checker(now_seconds), self.resolve(commit, sender), sender)
        tree = applied.tree
        if commit.path is not None:
            self.verify_committer(applied, commit.path.leaf_node)
            tree = merge_path(tree, applied.committer, commit.path, applied.joined)
        elif applied.path_required:
            raise InvalidCommit("a Commit without the path it needs (section 12.4)")
        check_result(tree, applied)
        provisional = provisional_context(self.context, tree.hash(), applied.extensions)
        tag = content.auth.confirmation_tag
        assert tag is not None
        after = self.advanced(content, tree, provisional, tag, applied.reinit)
        return Evolution(applied.committer, applied, provisional, after)

    def verify_committer(self, applied: Applied, leaf: LeafNode) -> None:
        """The leaf in a Commit's path, as a member's next or as a joiner's (sections 7.3 and 12.2)."""
        place = Place(self.context.group_id, applied.committer)
        if applied.external:
            verify_joiner(self.suite, applied.replaced, leaf, place, self.auth)
        else:
            assert applied.replaced is not None
            verify_replacement(self.suite, applied.replaced, leaf, place, FromCommit, self.auth)

    def confirmed(self, content: AuthenticatedContent, provisional: GroupContext) -> GroupContext:
        """The context of the new epoch: the provisional one with the transcript carried on (section 8.2)."""
        confirmed = content.confirmed_transcript_hash(self.suite, self.interim_transcript_hash)
        return replace(provisional, confirmed_transcript_hash=confirmed)

    def advanced(
        self, content: AuthenticatedContent, tree: Tree, provisional: GroupContext, tag: bytes, reinit: ReInit | None
    ) -> "PublicGroup":
        """The group in the epoch that a Commit opens, closed if it holds a ReInit."""
        context = self.confirmed(content, provisional)
        interim = interim_transcript_hash(self.suite, context.confirmed_transcript_hash, tag)
        return PublicGroup(self.suite, self.auth, context, tree, tag, interim, {}, reinit)


def read_group_info(message: bytes) -> GroupInfo:
    """The GroupInfo in an MLSMessage; raises `DecodeError`."""
    info = MLSMessage.unwrap(message)
    if not isinstance(info, GroupInfo):
        raise DecodeError(f"not a GroupInfo (wire format {GROUP_INFO})")
    return info


def verify_signer(suite: CipherSuite, tree: Tree, info: GroupInfo) -> None:
    """Raise unless the GroupInfo is signed by the member it names (section 12.4.3)."""
    leaf = tree.leaf(info.signer)
    if leaf is None:
        raise InvalidGroupInfo("the signer is not a member (section 12.4.3.1)")
    suite.verify_with_label(leaf.signature_key, b"GroupInfoTBS", info.to_be_signed(), info.signature)
