"""The secret side of a Commit (RFC 9420 sections 12.4.1 and 12.4.2): making one, and following another's.

Both give the same thing, an `Advance`: the next epoch's public group, secrets and private keys. What is public about
a Commit is judged in `rules.py` and `public.py`; how somebody joins by one, `external.py` says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keys.mls import schedule
from keys.mls.applying import Applied, apply, check_result
from keys.mls.errors import InvalidCommit
from keys.mls.evolution import Evolution
from keys.mls.externalinit import open_external_init
from keys.mls.framing import PUBLIC_MESSAGE, AuthenticatedContent, Content, FramedContent, MemberSender, Sender
from keys.mls.hpke import Random
from keys.mls.leaves import Place, fits_us, renewed, reshaped
from keys.mls.messages import ByReference, ByValue, Commit, GroupContext, KeyPackage, ProposalOrRef
from keys.mls.nodes import Capabilities, Credential, Extension, FromCommit, LeafNode
from keys.mls.presharedkeys import Psks, ResumptionPsks, look_up
from keys.mls.public import PublicGroup
from keys.mls.rules import SentProposal
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
class Draft:
    """A Commit being made: the proposals applied, and the path if it has one (section 12.4.1).

    A member and an external joiner differ in how they come by path, signature and init secret; the rest is here.
    """

    public: PublicGroup
    """The group before."""
    applied: Applied
    created: CreatedPath | None

    @classmethod
    def begin(
        cls,
        public: PublicGroup,
        applied: Applied,
        make_leaf: Callable[[bytes, bytes], LeafNode] | None,
        random: Random,
    ) -> "Draft":
        """With a path whose leaf `make_leaf(encryption_key, parent_hash)` signs, or without one."""
        created = None
        if make_leaf is not None:
            created = create_path(
                applied.tree,
                applied.committer,
                make_leaf,
                lambda tree_hash: provisional_context(public.context, tree_hash, applied.extensions),
                applied.joined,
                random,
            )
            public.verify_committer(applied, created.path.leaf_node)
        tree = created.tree if created else applied.tree
        check_result(tree, applied)
        own = tree.leaf(applied.committer)
        assert own is not None  # check_result
        fits_us(own, applied.extensions)
        return cls(public, applied, created)

    def commit(self, sent: Sequence[SentProposal]) -> Commit:
        """What is to be signed."""
        return Commit(tuple(_listed(one) for one in sent), self.created.path if self.created else None)

    def complete(
        self,
        signed: AuthenticatedContent,
        init_secret: bytes,
        held: schedule.HeldKeys,
        private: PrivateKeys,
        signature_private_key: bytes,
    ) -> MadeCommit:
        """The signed Commit with its tag, and the epoch it opens. `private` are the keys held before it."""
        public, applied, created, suite = self.public, self.applied, self.created, self.public.suite
        tree = created.tree if created else applied.tree
        provisional = provisional_context(public.context, tree.hash(), applied.extensions)
        context = public.confirmed(signed, provisional)
        commit_secret = created.commit_secret if created else suite.zero
        joiner, member = next_secrets(public, init_secret, commit_secret, context, held)
        epoch = schedule.new_epoch(suite, member, context)
        tag = suite.mac(epoch.confirmation_key, context.confirmed_transcript_hash)
        signed = signed.with_confirmation_tag(tag)
        kept = keep_private(private, public.tree, tree)
        kept.update(created.private if created else {})
        after = public.advanced(signed, tree, provisional, tag, applied.reinit)
        advance = Advance(after, epoch, kept, signature_private_key)
        secrets = JoinerSecrets(joiner, member, created.path_secrets if created else {}, applied.psks)
        return MadeCommit(signed, advance, applied.joiners, secrets)


def next_secrets(
    public: PublicGroup, init_secret: bytes, commit_secret: bytes, context: GroupContext, held: schedule.HeldKeys
) -> tuple[bytes, bytes]:
    """Joiner secret and member secret of the next epoch, whose context this is (section 8)."""
    suite = public.suite
    joiner = schedule.joiner_secret(suite, init_secret, commit_secret, context)
    return joiner, schedule.member_secret(suite, joiner, schedule.psk_secret(suite, held))


def sign_handshake(
    public: PublicGroup, sender: Sender, content: Content, authenticated_data: bytes, signature_private_key: bytes
) -> AuthenticatedContent:
    """Content in this epoch, for a PublicMessage."""
    context = public.context
    framed = FramedContent(context.group_id, context.epoch, sender, authenticated_data, content)
    return AuthenticatedContent.sign(public.suite, PUBLIC_MESSAGE, framed, context, signature_private_key)


@dataclass(frozen=True, slots=True)
class Participant:
    """A member in one epoch, as far as handshakes need it."""

    public: PublicGroup
    own: int
    signature_private_key: bytes
    private: PrivateKeys
    secrets: EpochSecrets
    resumption_psks: ResumptionPsks

    def sign(self, content: Content, authenticated_data: bytes) -> AuthenticatedContent:
        """Content of ours in this epoch, for a PublicMessage."""
        return sign_handshake(
            self.public, MemberSender(self.own), content, authenticated_data, self.signature_private_key
        )

    def commit(
        self,
        sent: Sequence[SentProposal],
        *,
        authenticated_data: bytes,
        identity: Identity | None,
        psks: Psks,
        path: bool,
        now_seconds: int | None,
        random: Random,
        capabilities: Capabilities | None = None,
        leaf_extensions: tuple[Extension, ...] | None = None,
    ) -> MadeCommit:
        """Make a Commit of these proposals. Raises `Invalid` and below, `MissingPreSharedKey`."""
        public = self.public
        applied = apply(public.checker(now_seconds), sent, MemberSender(self.own))
        held = look_up(applied.psks, psks, self.resumption_psks)
        make_leaf = None
        changed = (identity, capabilities, leaf_extensions) != (None, None, None)
        if path or applied.path_required or changed:
            make_leaf = self._leaf_maker(identity, capabilities, leaf_extensions)
        draft = Draft.begin(public, applied, make_leaf, random)
        signed = self.sign(draft.commit(sent), authenticated_data)
        key = identity.signature_private_key if identity else self.signature_private_key
        return draft.complete(signed, self.secrets.init_secret, held, self.private, key)

    def _leaf_maker(
        self,
        identity: Identity | None,
        capabilities: Capabilities | None,
        leaf_extensions: tuple[Extension, ...] | None,
    ) -> Callable[[bytes, bytes], LeafNode]:
        public = self.public
        leaf = public.tree.leaf(self.own)
        assert leaf is not None
        old = reshaped(leaf, capabilities, leaf_extensions)
        place = Place(public.group_id, self.own)
        credential, key = identity or Identity(old.credential, self.signature_private_key)

        def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            return renewed(public.suite, old, encryption_key, FromCommit(parent_hash), place, credential, key)

        return make_leaf

    def follow(
        self,
        content: AuthenticatedContent,
        evolution: Evolution,
        own_updates: Mapping[bytes, OwnUpdate],
        psks: Psks,
    ) -> Advance:
        """Follow a Commit whose public side was judged. Raises `MLSError` and below."""
        applied, after, suite = evolution.applied, evolution.next, self.public.suite
        if applied.new_extensions:
            own = after.tree.leaf(self.own)
            assert own is not None  # whoever is removed does not follow
            fits_us(own, applied.extensions)
        held = look_up(applied.psks, psks, self.resumption_psks)
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
        init_secret = self._init_secret(applied)
        _, member = next_secrets(self.public, init_secret, commit_secret, after.context, held)
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

    def _init_secret(self, applied: Applied) -> bytes:
        """Of the last epoch, or what an external joiner sends to the group's external key (section 8.3)."""
        if applied.external_init is None:
            return self.secrets.init_secret
        suite = self.public.suite
        private, _ = schedule.external_key_pair(suite, self.secrets)
        return open_external_init(suite, private, applied.external_init)


def _listed(sent: SentProposal) -> ProposalOrRef:
    return ByValue(sent.proposal) if sent.reference is None else ByReference(sent.reference)
