"""A group as one of its members holds it (RFC 9420 sections 11 and 12): a value, and the steps from one to the next.

    group = Group.create(suite, group_id, credential, signature_private_key, auth, ...)
    pending = group.commit([Add(key_package)], random=random)     # send pending.message, pending.welcome
    group = group.merge(pending, now_seconds=now)                 # only once the Delivery Service took it
    group, message = group.protect(b"at east gate", padding=256, random=random)   # save group, then send
    group, received = group.process(message, now_seconds=now)     # save group, then show

Every step returns the next value and leaves the old one as it was: a step that raises, or a commit that loses its
race, has changed nothing. What must not be used again (a message key, an epoch's secret) is absent from the next
value, so it is gone once the old one is dropped and the new one saved in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keys.mls import beginning, receiving
from keys.mls.commits import Identity, OwnUpdate
from keys.mls.errors import (
    Misuse,
)
from keys.mls.external import Entrance, from_outside
from keys.mls.framing import (
    ApplicationData,
    MemberSender,
    ProposalContent,
)
from keys.mls.hpke import Random
from keys.mls.keypackages import KeyPackageSecrets
from keys.mls.leaves import (
    AuthenticationService,
    Place,
    new_capabilities,
    renewed,
    reshaped,
)
from keys.mls.membership import Membership
from keys.mls.messages import KeyPackage, PreSharedKey, Proposal, SelfRemove, Update
from keys.mls.nodes import (
    Capabilities,
    Credential,
    Extension,
    FromUpdate,
    Lifetime,
)
from keys.mls.parts import join_parts, split_parts
from keys.mls.presharedkeys import Psks
from keys.mls.public import read_group_info
from keys.mls.received import Received
from keys.mls.rules import SentProposal
from keys.mls.secrettree import DEFAULT_LIMITS, Limits
from keys.mls.selection import Chooser
from keys.mls.state import KeptCommit
from keys.mls.suites import SUITES, CipherSuite, SuiteTable
from keys.mls.welcoming import make_welcome


@dataclass(frozen=True, slots=True)
class PendingCommit:
    """A Commit of ours that has no place yet; keep it, send it, and `Group.merge` it only once it is accepted."""

    message: bytes
    """MLSMessage with a PublicMessage."""
    welcome: bytes | None
    """MLSMessage for everybody the Commit adds; the ratchet tree is inside only where that was asked for."""
    group_info: bytes
    """MLSMessage with the GroupInfo of the next epoch, without tree and external key."""
    group: "Group"
    """In the next epoch, without the past: what late messages are opened with stays in the group we have until then."""

    def encode(self) -> bytes:
        """The whole in one string, group state and secrets included."""
        return KeptCommit(self.message, self.welcome, self.group_info, join_parts(self.group.parts())).encode()

    @classmethod
    def decode(
        cls,
        data: bytes,
        auth: AuthenticationService,
        *,
        limits: Limits = DEFAULT_LIMITS,
        suites: SuiteTable = SUITES,
    ) -> "PendingCommit":
        """Raises `DecodeError`."""
        kept = KeptCommit.decode(data)
        group = Group.load(split_parts(kept.group), auth, limits=limits, suites=suites)
        return cls(kept.message, kept.welcome, kept.group_info, group)


@dataclass(frozen=True, slots=True, eq=False)
class Group(Membership):
    """A group in one epoch, as a member works with it."""

    # Beginning

    @classmethod
    def create(
        cls,
        suite: CipherSuite,
        group_id: bytes,
        credential: Credential,
        signature_private_key: bytes,
        auth: AuthenticationService,
        *,
        not_before: int,
        not_after: int,
        random: Random,
        extensions: tuple[Extension, ...] = (),
        leaf_extensions: tuple[Extension, ...] = (),
        capabilities: Capabilities | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> "Group":
        """A new group with one member (section 11), at epoch 0. Raises `Invalid` and below.

        Without `capabilities` the leaf lists its own extensions and those of the group.
        """
        if capabilities is None:
            types = tuple(extension.extension_type for extension in (*extensions, *leaf_extensions))
            capabilities = new_capabilities(suite, credential, types)
        lifetime = Lifetime(not_before, not_after)
        advance = beginning.found(
            suite,
            group_id,
            credential,
            signature_private_key,
            auth,
            lifetime,
            extensions,
            capabilities,
            leaf_extensions,
            random,
        )
        return cls.in_epoch(advance, 0, (), limits)

    @classmethod
    def join(
        cls,
        welcome: bytes,
        key_package: KeyPackage,
        secrets: KeyPackageSecrets,
        signature_private_key: bytes,
        auth: AuthenticationService,
        *,
        ratchet_tree: bytes | None = None,
        psks: Psks | None = None,
        now_seconds: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        suites: SuiteTable = SUITES,
    ) -> "Group":
        """Join by a Welcome (section 12.4.3.1); the tree comes along or is inside.

        `psks` should list the groups that this client is in (`PreSharedKeys.groups`): the new one may not have the id of
        one of them, and one that continues or branches another is held against it (sections 11.2 and 11.3). With
        `now_seconds` a leaf whose KeyPackage has run out is refused, which a member of long standing may be. What may be
        kept of `secrets` once this has gone well, `secrets_after_welcome` says. Raises `MLSError` and below.
        """
        own, advance = beginning.join(
            welcome, key_package, secrets, signature_private_key, auth, ratchet_tree, psks or {}, now_seconds, suites
        )
        return cls.in_epoch(advance, own, (), limits)

    @classmethod
    def join_externally(
        cls,
        group_info: bytes,
        credential: Credential,
        signature_private_key: bytes,
        auth: AuthenticationService,
        *,
        random: Random,
        ratchet_tree: bytes | None = None,
        remove: int | None = None,
        psk_proposals: Sequence[PreSharedKey] = (),
        psks: Psks | None = None,
        self_removes: Sequence[bytes] = (),
        capabilities: Capabilities | None = None,
        leaf_extensions: tuple[Extension, ...] | None = None,
        authenticated_data: bytes = b"",
        now_seconds: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        suites: SuiteTable = SUITES,
    ) -> "PendingCommit":
        """Join by a Commit of our own (section 12.4.3.2), from a GroupInfo with external key; the tree comes along or
        is inside.

        `remove` is the leaf of our own prior appearance: a resync. `psk_proposals` are mixed in, their keys given in
        `psks`; `self_removes` are the SelfRemove proposals (MLSMessages) that wait in this epoch, all of which have to
        be taken up. With `now_seconds` a member's leaf whose KeyPackage has run out is refused, as in `join`. Send the
        message, and take the pending group as it is once that is accepted (a resync from the
        very epoch that the old group is in may be merged into that one, for the sake of late messages). Raises
        `MLSError` and below.
        """
        entrance = Entrance.read(group_info, ratchet_tree, auth, now_seconds, suites)
        own, made = entrance.join(
            Identity(credential, signature_private_key),
            remove=remove,
            psk_proposals=psk_proposals,
            psks=psks or {},
            self_removes=self_removes,
            capabilities=capabilities,
            leaf_extensions=leaf_extensions,
            authenticated_data=authenticated_data,
            now_seconds=now_seconds,
            random=random,
        )
        group = cls.in_epoch(made.advance, own, (), limits)
        return PendingCommit(from_outside(made.signed), None, group.group_info(), group)

    # Saying something

    def protect(
        self, content: bytes, *, authenticated_data: bytes = b"", padding: int = 1, random: Random
    ) -> "tuple[Group, bytes]":
        """Seal application data; the plaintext is padded to a multiple of `padding` bytes.

        Save the group before the message leaves: the key of this generation must not be used again.
        """
        self.must_be_member()
        self.public.must_be_open()
        message, secret_tree = self.message_keys().seal(
            self.own_leaf_index,
            ApplicationData(content),
            authenticated_data,
            self.signature_private_key,
            padding,
            random,
        )
        return replace(self, secret_tree=secret_tree), message

    def propose(
        self,
        proposal: Proposal,
        *,
        authenticated_data: bytes = b"",
        random: Random,  # noqa: ARG002  (the same form as every step; signing draws none)
    ) -> "tuple[Group, bytes]":
        """Send a proposal on its own (a PublicMessage), for somebody to commit. Raises `Invalid` and below."""
        if isinstance(proposal, Update):
            raise Misuse("an Update is made by propose_update, which keeps its private key")
        if isinstance(proposal, SelfRemove):
            self._must_be_able_to_leave()
        return self._propose(proposal, authenticated_data)

    def _must_be_able_to_leave(self) -> None:
        """Raise `Misuse` unless a SelfRemove of ours could be granted (draft-ietf-mls-extensions, SelfRemove)."""
        own = MemberSender(self.own_leaf_index)
        if any(isinstance(sent.proposal, SelfRemove) and sent.sender == own for sent in self.pending_proposals):
            raise Misuse("one SelfRemove an epoch (draft-ietf-mls-extensions, SelfRemove)")
        if not all(SelfRemove.TYPE in leaf.capabilities.proposals for _, leaf in self.tree.members()):
            raise Misuse("not every member knows of SelfRemove (draft-ietf-mls-extensions, SelfRemove)")

    def propose_update(
        self,
        *,
        authenticated_data: bytes = b"",
        new_credential_and_signature_key: tuple[Credential, bytes] | None = None,
        capabilities: Capabilities | None = None,
        leaf_extensions: tuple[Extension, ...] | None = None,
        random: Random,
    ) -> "tuple[Group, bytes]":
        """Propose a fresh leaf for ourselves, with a new credential and signature key, capabilities or extensions where
        they are given."""
        suite, old = self.suite, self.own_leaf
        private, public = suite.derive_key_pair(random(suite.hash_length))
        credential, key = new_credential_and_signature_key or (old.credential, self.signature_private_key)
        place = Place(self.group_id, self.own_leaf_index)
        shape = reshaped(old, capabilities, leaf_extensions)
        leaf = renewed(suite, shape, public, FromUpdate(), place, credential, key)
        group, message = self._propose(Update(leaf), authenticated_data)
        updates = {**self.own_updates, public: OwnUpdate(private, key)}
        return replace(group, own_updates=updates), message

    def _propose(self, proposal: Proposal, authenticated_data: bytes) -> "tuple[Group, bytes]":
        signed = self.participant().sign(ProposalContent(proposal), authenticated_data)
        public = self.public.with_proposal(signed, None)
        return replace(self, public=public), self.tagged(signed)

    def commit(
        self,
        proposals: Sequence[Proposal] = (),
        *,
        random: Random,
        by_reference: Sequence[bytes] | None = None,
        authenticated_data: bytes = b"",
        new_credential_and_signature_key: tuple[Credential, bytes] | None = None,
        capabilities: Capabilities | None = None,
        leaf_extensions: tuple[Extension, ...] | None = None,
        psks: Psks | None = None,
        path: bool = True,
        with_tree: bool = False,
        now_seconds: int | None = None,
    ) -> PendingCommit:
        """End this epoch (section 12.4.1) with proposals by value, and pending ones by reference.

        `by_reference` lists references of pending proposals; None takes all that can stand together with `proposals`,
        but for clients that ask to be added: those are let in only by name. A new credential and signature key,
        capabilities and leaf extensions take effect with this Commit's leaf. `psks` are the pre-shared keys at hand,
        but for this group's own resumption PSKs. Without `path` the path is left out where the RFC lets it be, which
        saves bytes and heals nothing. Raises `Invalid` and below, `MissingPreSharedKey`.
        """
        sent = self._gather(proposals, by_reference, now_seconds, psks or {})
        identity = Identity(*new_credential_and_signature_key) if new_credential_and_signature_key else None
        made = self.participant().commit(
            sent,
            authenticated_data=authenticated_data,
            identity=identity,
            psks=psks or {},
            path=path,
            now_seconds=now_seconds,
            random=random,
            capabilities=capabilities,
            leaf_extensions=leaf_extensions,
        )
        group = Group.in_epoch(made.advance, self.own_leaf_index, (), self.limits)
        info = group.group_info()
        welcome = None
        if made.joiners:
            inside = group.group_info(with_tree=True) if with_tree else info
            welcome = make_welcome(self.suite, read_group_info(inside), made.joiner_secrets, made.joiners)
        return PendingCommit(self.tagged(made.signed), welcome, info, group)

    def _gather(
        self,
        proposals: Sequence[Proposal],
        by_reference: Sequence[bytes] | None,
        now_seconds: int | None = None,
        psks: Psks | None = None,
    ) -> list[SentProposal]:
        """The proposals of a Commit: pending ones first, then those by value."""
        own = [SentProposal(proposal, MemberSender(self.own_leaf_index), None) for proposal in proposals]
        if any(isinstance(proposal, Update) for proposal in proposals):
            raise Misuse("a Commit updates its own leaf by its path")
        if by_reference is None:
            chooser = Chooser(
                self.public.checker(now_seconds), self.own_leaf_index, psks or {}, self.resumption_psks, own
            )
            return [*chooser.select(self.pending_proposals), *own]
        missing = [reference for reference in by_reference if reference not in self.public.proposals]
        if missing:
            raise Misuse(f"no pending proposal {missing[0].hex()}")
        return [*(self.public.proposals[reference] for reference in by_reference), *own]

    def merge(self, pending: PendingCommit, *, now_seconds: int | None = None) -> "Group":
        """The group once a Commit of ours was accepted (`now_seconds`, if it is known, says when).

        What this group has used since the Commit was made stays used. Raises `Misuse` for a Commit of another epoch.
        """
        self.must_be_member()
        after = pending.group
        if (after.group_id, after.epoch) != (self.group_id, self.epoch + 1):
            raise Misuse(f"a Commit that leads to epoch {after.epoch}, while the group is in {self.epoch}")
        past = self._past_after(after.tree, now_seconds)
        return replace(after, past=past, backlog=self.backlog, past_psks=self._past_psks_after())

    # Hearing something

    def process(self, message: bytes, *, now_seconds: int | None, psks: Psks | None = None) -> "tuple[Group, Received]":
        """Take in a message of another member.

        `now_seconds` should be when the Delivery Service took it, for all members to judge alike; None leaves
        lifetimes out. Raises `DecodeError`, `WrongGroup`, `WrongEpoch`, `OwnMessage`, `Duplicate`, `OutOfRange`,
        `Removed`, `CryptoError`, `Invalid` and below, `MissingPreSharedKey`, `Unsupported`.
        """
        return receiving.process(self, message, now_seconds, psks or {})
