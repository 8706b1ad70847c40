"""The secret side of a Commit (RFC 9420 sections 12.4.1 and 12.4.2): making one, and following another's.

Both give the same thing, an `Advance`: the next epoch's public group, secrets and private keys. What is public about
a Commit is judged in `rules.py` and `public.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keys.mls import rules, schedule
from keys.mls.errors import InvalidCommit
from keys.mls.framing import PUBLIC_MESSAGE, AuthenticatedContent, Content, FramedContent, MemberSender
from keys.mls.hpke import Random
from keys.mls.leaves import Place, renewed, verify_replacement
from keys.mls.messages import ByReference, ByValue, Commit, GroupContext, KeyPackage, ProposalOrRef
from keys.mls.nodes import Credential, FromCommit, LeafNode
from keys.mls.public import Evolution, PublicGroup
from keys.mls.rules import Applied, SentProposal
from keys.mls.schedule import EpochSecrets, NewEpoch
from keys.mls.treekem import (
    CreatedPath,
    PrivateKeys,
    create_path,
    keep_private,
    open_path,
    provisional_context,
)
from keys.mls.welcoming import JoinerSecrets


class Identity(NamedTuple):
    """A credential and the private signature key it speaks for."""

    credential: Credential
    signature_private_key: bytes


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """The private keys behind an Update that we proposed and somebody may commit."""

    encryption_private_key: bytes
    signature_private_key: bytes


@dataclass(frozen=True, slots=True)
class Advance:
    """Where a Commit leads a member."""

    public: PublicGroup
    epoch: NewEpoch
    private: PrivateKeys
    signature_private_key: bytes


@dataclass(frozen=True, slots=True)
class MadeCommit:
    """A Commit of ours, signed and confirmed, and what its joiners need."""

    signed: AuthenticatedContent
    advance: Advance
    joiners: tuple[tuple[int, KeyPackage], ...]
    joiner_secrets: JoinerSecrets


@dataclass(frozen=True, slots=True)
class Participant:
    """A member in one epoch, as far as handshakes need it."""

    public: PublicGroup
    own: int
    signature_private_key: bytes
    private: PrivateKeys
    secrets: EpochSecrets

    def sign(self, content: Content, authenticated_data: bytes) -> AuthenticatedContent:
        """Content of ours in this epoch, for a PublicMessage."""
        context = self.public.context
        framed = FramedContent(context.group_id, context.epoch, MemberSender(self.own), authenticated_data, content)
        return AuthenticatedContent.sign(self.public.suite, PUBLIC_MESSAGE, framed, context, self.signature_private_key)

    def commit(
        self,
        sent: Sequence[SentProposal],
        *,
        authenticated_data: bytes,
        identity: Identity | None,
        psks: Mapping[bytes, bytes],
        path: bool,
        now_seconds: int | None,
        random: Random,
    ) -> MadeCommit:
        """Make a Commit of these proposals. Raises `Invalid` and below, `MissingPreSharedKey`."""
        public, suite = self.public, self.public.suite
        applied = rules.apply(public.checker(now_seconds), sent, self.own)
        held = schedule.look_up(applied.psks, psks)
        created = None
        if path or applied.path_required or identity is not None:
            created = self._create_path(applied, identity, random)
        tree = created.tree if created else applied.tree
        rules.check_result(tree, applied, self.own)
        provisional = provisional_context(public.context, tree.hash(), applied.extensions)
        listed = tuple(_listed(one) for one in sent)
        signed = self.sign(Commit(listed, created.path if created else None), authenticated_data)
        context = public.confirmed(signed, provisional)
        joiner, member = self._schedule(context, created.commit_secret if created else suite.zero, held)
        epoch = schedule.new_epoch(suite, member, context)
        tag = suite.mac(epoch.confirmation_key, context.confirmed_transcript_hash)
        signed = signed.with_confirmation_tag(tag)
        private = keep_private(self.private, public.tree, tree)
        private.update(created.private if created else {})
        key = identity.signature_private_key if identity else self.signature_private_key
        advance = Advance(public.advanced(signed, tree, provisional, tag), epoch, private, key)
        path_secrets = created.path_secrets if created else {}
        secrets = JoinerSecrets(joiner, member, path_secrets, applied.psks)
        return MadeCommit(signed, advance, applied.joiners, secrets)

    def _create_path(self, applied: Applied, identity: Identity | None, random: Random) -> CreatedPath:
        public, suite = self.public, self.public.suite
        old = public.tree.leaf(self.own)
        assert old is not None
        place = Place(public.group_id, self.own)
        credential, key = identity or Identity(old.credential, self.signature_private_key)

        def sign_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            leaf = renewed(suite, old, encryption_key, FromCommit(parent_hash), place, credential, key)
            verify_replacement(suite, old, leaf, place, FromCommit, public.auth)
            return leaf

        def context_for(tree_hash: bytes) -> GroupContext:
            return provisional_context(public.context, tree_hash, applied.extensions)

        return create_path(applied.tree, self.own, sign_leaf, context_for, applied.joined, random)

    def follow(
        self,
        content: AuthenticatedContent,
        evolution: Evolution,
        own_updates: Mapping[bytes, OwnUpdate],
        psks: Mapping[bytes, bytes],
    ) -> Advance:
        """Follow a Commit whose public side was judged. Raises `MLSError` and below."""
        applied, after, suite = evolution.applied, evolution.next, self.public.suite
        held = schedule.look_up(applied.psks, psks)
        private, key = self._after_proposals(applied, own_updates)
        commit_secret = suite.zero
        commit = content.framed.content
        assert isinstance(commit, Commit)
        if commit.path is not None:
            private, commit_secret = open_path(
                applied.tree,
                evolution.committer,
                self.own,
                commit.path,
                applied.joined,
                private,
                evolution.provisional,
            )
            private = {node: value for node, value in private.items() if after.tree.nodes[node] is not None}
        _, member = self._schedule(after.context, commit_secret, held)
        epoch = schedule.new_epoch(suite, member, after.context)
        confirmed = after.context.confirmed_transcript_hash
        suite.verify_mac(epoch.confirmation_key, confirmed, after.confirmation_tag)
        return Advance(after, epoch, private, key)

    def _after_proposals(self, applied: Applied, own_updates: Mapping[bytes, OwnUpdate]) -> tuple[PrivateKeys, bytes]:
        """Our private keys and signature key, with an Update of ours in effect if it was committed."""
        private = keep_private(self.private, self.public.tree, applied.tree)
        for _, new in applied.updated:
            if new.leaf_index == self.own:
                update = own_updates.get(new.encryption_key)
                if update is None:
                    raise InvalidCommit("an Update of ours whose keys we don't hold")
                private[2 * self.own] = update.encryption_private_key
                return private, update.signature_private_key
        return private, self.signature_private_key

    def _schedule(self, context: GroupContext, commit_secret: bytes, held: schedule.HeldKeys) -> tuple[bytes, bytes]:
        """Joiner secret and member secret of the next epoch (section 8)."""
        suite = self.public.suite
        joiner = schedule.joiner_secret(suite, self.secrets.init_secret, commit_secret, context)
        return joiner, schedule.member_secret(suite, joiner, schedule.psk_secret(suite, held))


def _listed(sent: SentProposal) -> ProposalOrRef:
    return ByValue(sent.proposal) if sent.reference is None else ByReference(sent.reference)
