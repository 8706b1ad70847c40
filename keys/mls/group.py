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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keys.mls import beginning, receiving, schedule
from keys.mls.commits import Advance, Identity, OwnUpdate, Participant
from keys.mls.errors import (
    Misuse,
    Removed,
)
from keys.mls.exportertree import ExporterTree
from keys.mls.external import Entrance, from_outside
from keys.mls.externalinit import ExternalPub
from keys.mls.framing import (
    ApplicationData,
    AuthenticatedContent,
    MemberSender,
    MLSMessage,
    ProposalContent,
    PublicMessage,
)
from keys.mls.hpke import Random
from keys.mls.keypackages import KeyPackageSecrets
from keys.mls.leaves import (
    AuthenticationService,
    Member,
    Place,
    new_capabilities,
    renewed,
)
from keys.mls.messages import GroupContext, KeyPackage, PreSharedKey, Proposal, SelfRemove, Update
from keys.mls.nodes import (
    EXTERNAL_PUB,
    RATCHET_TREE,
    Capabilities,
    Credential,
    Extension,
    FromUpdate,
    LeafNode,
    Lifetime,
)
from keys.mls.parts import join_parts, split_parts
from keys.mls.past import Past, bounded, carried, ended
from keys.mls.presharedkeys import Psks, ResumptionPsks, kept_with
from keys.mls.private import MessageKeys
from keys.mls.public import PublicGroup, read_group_info
from keys.mls.received import Received
from keys.mls.rules import SentProposal
from keys.mls.schedule import EpochSecrets
from keys.mls.secrettree import DEFAULT_LIMITS, Backlog, Limits, SecretTree
from keys.mls.selection import select
from keys.mls.state import KeptCommit, group_parts, load_member
from keys.mls.suites import SUITES, CipherSuite, SuiteTable
from keys.mls.tree import Tree
from keys.mls.treekem import PrivateKeys
from keys.mls.welcoming import make_welcome, sign_group_info


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
class Group:
    """A group in one epoch, with a member's secrets."""

    public: PublicGroup
    own_leaf_index: int
    signature_private_key: bytes
    private: PrivateKeys
    secrets: EpochSecrets
    secret_tree: SecretTree
    past: Past
    """Epochs whose application messages can still be read, the newest first."""
    own_updates: Mapping[bytes, OwnUpdate]
    """By the encryption key of the proposed leaf."""
    limits: Limits
    removed: bool
    """Somebody removed us: what was sent before can be read, nothing else works; drop the group when that was read."""
    backlog: Backlog | None
    """Messages that were announced and are not drained: their keys are kept beyond the limits."""
    past_psks: Mapping[int, bytes]
    """Resumption PSKs of past epochs, as many as the limits allow."""
    exporter_tree: ExporterTree
    """What components can still export in this epoch."""

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
        capabilities: Capabilities | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> "Group":
        """A new group with one member (section 11), at epoch 0. Raises `Invalid` and below."""
        if capabilities is None:
            types = tuple(extension.extension_type for extension in extensions)
            capabilities = new_capabilities(suite, credential, types)
        lifetime = Lifetime(not_before, not_after)
        advance = beginning.found(
            suite, group_id, credential, signature_private_key, auth, lifetime, extensions, capabilities, random
        )
        return cls._in(advance, 0, (), limits)

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

        `psks` should list the groups that this client is in (`PreSharedKeys.groups`): the new one may not have the id
        of one of them, and one that continues or branches another is held against it (sections 11.2 and 11.3). With `now_seconds` a leaf whose KeyPackage
        has run out is refused, which a member of long standing may be. Raises `MLSError` and below.
        """
        own, advance = beginning.join(
            welcome, key_package, secrets, signature_private_key, auth, ratchet_tree, psks or {}, now_seconds, suites
        )
        return cls._in(advance, own, (), limits)

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
        authenticated_data: bytes = b"",
        now_seconds: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> "PendingCommit":
        """Join by a Commit of our own (section 12.4.3.2), from a GroupInfo with external key; the tree comes along or
        is inside.

        `remove` is the leaf of our own prior appearance: a resync. `psk_proposals`
        are mixed in, their keys given in `psks`; `self_removes` are the SelfRemove proposals (MLSMessages) that wait in
        this epoch, all of which have to be taken up. Send the message, and take the group only once it is accepted.
        Raises `MLSError` and below.
        """
        entrance = Entrance.read(group_info, ratchet_tree, auth, now_seconds)
        own, made = entrance.join(
            Identity(credential, signature_private_key),
            remove=remove,
            psk_proposals=psk_proposals,
            psks=psks or {},
            self_removes=self_removes,
            capabilities=capabilities,
            authenticated_data=authenticated_data,
            now_seconds=now_seconds,
            random=random,
        )
        group = cls._in(made.advance, own, (), limits)
        return PendingCommit(from_outside(made.signed), None, group.group_info(), group)

    @classmethod
    def _in(
        cls,
        advance: Advance,
        own: int,
        past: Past,
        limits: Limits,
        backlog: Backlog | None = None,
        past_psks: Mapping[int, bytes] | None = None,
    ) -> "Group":
        """A group at the beginning of an epoch."""
        return cls(
            public=advance.public,
            own_leaf_index=own,
            signature_private_key=advance.signature_private_key,
            private=advance.private,
            secrets=advance.epoch.secrets,
            secret_tree=SecretTree.start(advance.public.tree.leaves, advance.epoch.encryption_secret),
            past=past,
            own_updates={},
            limits=limits,
            removed=False,
            backlog=backlog,
            past_psks=past_psks or {},
            exporter_tree=ExporterTree.start(advance.epoch.application_export_secret),
        )

    # At rest

    def parts(self) -> Mapping[str, bytes]:
        """The state in named parts (`state.py` says which change when); hold secrets, save as one."""
        return group_parts(self)

    @classmethod
    def load(
        cls,
        parts: Mapping[str, bytes],
        auth: AuthenticationService,
        *,
        limits: Limits = DEFAULT_LIMITS,
        suites: SuiteTable = SUITES,
    ) -> "Group":
        """The group of these parts; what was checked before is not checked again. Raises `DecodeError`."""
        public = PublicGroup.load(parts, auth, suites)
        loaded = load_member(parts, public)
        epoch = loaded.epoch
        return cls(
            public,
            epoch.own_leaf_index,
            epoch.signature_private_key,
            loaded.private,
            epoch.secrets,
            loaded.secret_tree,
            loaded.past,
            loaded.own_updates,
            limits,
            bool(epoch.removed),
            loaded.backlog,
            loaded.past_psks,
            loaded.exporter_tree,
        )

    # What it is

    @property
    def suite(self) -> CipherSuite:
        return self.public.suite

    @property
    def context(self) -> GroupContext:
        return self.public.context

    @property
    def group_id(self) -> bytes:
        return self.public.group_id

    @property
    def epoch(self) -> int:
        return self.public.epoch

    @property
    def tree(self) -> Tree:
        return self.public.tree

    @property
    def members(self) -> list[Member]:
        """All members, from the left."""
        return self.public.members

    @property
    def own_leaf(self) -> LeafNode:
        """Our own leaf; raises `Removed` where we have none."""
        leaf = None if self.removed else self.tree.leaf(self.own_leaf_index)
        if leaf is None:
            raise Removed("this device was removed from the group")
        return leaf

    @property
    def pending_proposals(self) -> tuple[SentProposal, ...]:
        """Proposals of this epoch that no Commit took up yet, in the order they came.

        Section 12.4 asks a member to commit them before it sends application data; that is the caller's to decide.
        """
        return tuple(self.public.proposals.values())

    @property
    def epoch_authenticator(self) -> bytes:
        """Equal for all members that see the same epoch (section 8.7)."""
        return self.secrets.epoch_authenticator

    def exporter(self, label: bytes, context: bytes, length: int) -> bytes:
        """A secret of this epoch for use outside of MLS (section 8.5)."""
        self.must_be_member()
        return schedule.exporter(self.suite, self.secrets, label, context, length)

    def safe_export_secret(self, component_id: int) -> "tuple[Group, bytes]":
        """A component's secret of this epoch, given once (draft-ietf-mls-extensions-09 section 4.4).

        Save the group before the secret is used: only then is it forward secret. Raises `Misuse` the second time.
        """
        self.must_be_member()
        secret, exporter_tree = self.exporter_tree.take(self.suite, component_id)
        return replace(self, exporter_tree=exporter_tree), secret

    @property
    def resumption_psks(self) -> ResumptionPsks:
        """Those of this epoch and of the past ones that are kept (section 8.6); none once we were removed."""
        present = {} if self.removed else {self.epoch: self.secrets.resumption_psk}
        return ResumptionPsks(self.group_id, {**self.past_psks, **present})

    def leaves_in(self, epoch: int) -> tuple[LeafNode | None, ...] | None:
        """The leaves of this epoch or a past one, by index; None for an epoch that is forgotten."""
        if epoch == self.epoch:
            return self.tree.leaf_nodes()
        for over in self.past:
            if over.number == epoch:
                return tuple(over.leaf(leaf_index, self.tree) for leaf_index in range(over.epoch.leaves))
        return None

    def tree_bytes(self) -> bytes:
        """The content of a ratchet_tree extension, for joiners."""
        return self.public.tree_bytes()

    def group_info(
        self, *, with_tree: bool = False, external: bool = False, extensions: tuple[Extension, ...] = ()
    ) -> bytes:
        """This epoch's GroupInfo (an MLSMessage), signed by us.

        With `external` it has the external key inside, with which its holder can join (section 12.4.3.2): hand it only
        to whom that is meant for.
        """
        self.must_be_member()
        if with_tree:
            extensions = (*extensions, Extension(RATCHET_TREE, self.tree_bytes()))
        if external:
            _, public_key = schedule.external_key_pair(self.suite, self.secrets)
            extensions = (*extensions, Extension(EXTERNAL_PUB, ExternalPub(public_key).encode()))
        info = sign_group_info(
            self.suite,
            self.context,
            extensions,
            self.public.confirmation_tag,
            self.own_leaf_index,
            self.signature_private_key,
        )
        return MLSMessage.wrap(info)

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
        own = MemberSender(self.own_leaf_index)
        waiting = any(isinstance(sent.proposal, SelfRemove) and sent.sender == own for sent in self.pending_proposals)
        if waiting and isinstance(proposal, SelfRemove):
            raise Misuse("one SelfRemove an epoch (draft-ietf-mls-extensions, SelfRemove)")
        return self._propose(proposal, authenticated_data)

    def propose_update(
        self,
        *,
        authenticated_data: bytes = b"",
        new_credential_and_signature_key: tuple[Credential, bytes] | None = None,
        random: Random,
    ) -> "tuple[Group, bytes]":
        """Propose a fresh leaf for ourselves, with a new credential and signature key where they are given."""
        suite, old = self.suite, self.own_leaf
        private, public = suite.derive_key_pair(random(suite.hash_length))
        credential, key = new_credential_and_signature_key or (old.credential, self.signature_private_key)
        place = Place(self.group_id, self.own_leaf_index)
        leaf = renewed(suite, old, public, FromUpdate(), place, credential, key)
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
        psks: Psks | None = None,
        path: bool = True,
        with_tree: bool = False,
        now_seconds: int | None = None,
    ) -> PendingCommit:
        """End this epoch (section 12.4.1) with proposals by value, and pending ones by reference.

        `by_reference` lists references of pending proposals; None takes all that can stand together with `proposals`.
        A new credential and signature key take effect with this Commit's leaf. `psks` are the pre-shared
        keys at hand, but for this group's own resumption PSKs. Without `path` the path is left out where the RFC lets it be, which saves bytes and heals nothing.
        Raises `Invalid` and below, `MissingPreSharedKey`.
        """
        sent = self._gather(proposals, by_reference, now_seconds)
        identity = Identity(*new_credential_and_signature_key) if new_credential_and_signature_key else None
        made = self.participant().commit(
            sent,
            authenticated_data=authenticated_data,
            identity=identity,
            psks=psks or {},
            path=path,
            now_seconds=now_seconds,
            random=random,
        )
        group = Group._in(made.advance, self.own_leaf_index, (), self.limits)
        info = group.group_info()
        welcome = None
        if made.joiners:
            inside = group.group_info(with_tree=True) if with_tree else info
            welcome = make_welcome(self.suite, read_group_info(inside), made.joiner_secrets, made.joiners)
        return PendingCommit(self.tagged(made.signed), welcome, info, group)

    def _gather(
        self, proposals: Sequence[Proposal], by_reference: Sequence[bytes] | None, now_seconds: int | None = None
    ) -> list[SentProposal]:
        """The proposals of a Commit: pending ones first, then those by value."""
        own = [SentProposal(proposal, MemberSender(self.own_leaf_index), None) for proposal in proposals]
        if any(isinstance(proposal, Update) for proposal in proposals):
            raise Misuse("a Commit updates its own leaf by its path")
        if by_reference is None:
            checker = self.public.checker(now_seconds)
            return [*select(checker, self.pending_proposals, own, self.own_leaf_index), *own]
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

    # Forgetting (sections 9.2 and 15.3)

    def expire(self, now_seconds: int | None) -> "Group":
        """The group without what may not be kept at this time: past epochs, and a backlog whose time is over.

        `process` does this with the time it is given; call it where no message comes for long. Without a time
        nothing grows old.
        """
        if self.backlog is not None and now_seconds is not None and now_seconds > self.backlog.until_seconds:
            return self.drained(now_seconds=now_seconds)
        past = bounded(self.past, self.limits, self.backlog, now_seconds)
        return self if past == self.past else replace(self, past=past)

    def announce(self, messages: int, *, until_seconds: int) -> "Group":
        """The group that will keep the keys of so many messages that were sent and not yet received.

        From this epoch on nothing is dropped for being skipped or late, until it is `drained` or the time is over.
        Say it before the first message that overtakes is processed. Whoever announces is trusted with how much is
        kept, up to `Limits.announced`; what was announced before and is not drained stays announced.
        """
        messages, first = min(messages, self.limits.announced), self.epoch
        if (before := self.backlog) is not None:
            messages, first = max(messages, before.messages), min(first, before.first_epoch)
            until_seconds = max(until_seconds, before.until_seconds)
        return replace(self, backlog=Backlog(first, messages, until_seconds))

    def drained(self, *, before: int | None = None, now_seconds: int | None) -> "Group":
        """The group once everything announced has come, or all of it from epochs before `before`."""
        if self.backlog is not None and before is not None and before <= self.epoch:
            backlog = replace(self.backlog, first_epoch=max(before, self.backlog.first_epoch))
            past = bounded(self.past, self.limits, backlog, now_seconds)
            return replace(self, past=past, backlog=backlog)
        past = bounded(self.past, self.limits, None, now_seconds)
        return replace(self, past=past, backlog=None, secret_tree=self.secret_tree.drained())

    # The steps

    def must_be_member(self) -> None:
        """Raise `Removed` where we were put out."""
        if self.removed:
            raise Removed("this device was removed from the group")

    def participant(self) -> Participant:
        """What handshakes need of us."""
        self.must_be_member()
        self.public.must_be_open()
        return Participant(
            self.public,
            self.own_leaf_index,
            self.signature_private_key,
            self.private,
            self.secrets,
            self.resumption_psks,
        )

    def tagged(self, signed: AuthenticatedContent) -> bytes:
        """A handshake message of ours as it goes out."""
        tag = signed.membership_tag(self.suite, self.context, self.secrets.membership_key)
        return MLSMessage.wrap(PublicMessage(signed.framed, signed.auth, tag))

    def message_keys(self) -> MessageKeys:
        """What this epoch's PrivateMessages are sealed and opened with."""
        secret = self.secrets.sender_data_secret
        return MessageKeys(self.suite, self.context, secret, self.secret_tree, self.tree.leaf)

    def put_out(self) -> "Group":
        """What stays when we were removed: the keys of messages sent before, nothing to speak with (12.4.2)."""
        secrets = replace(
            self.secrets,
            init_secret=b"",
            exporter_secret=b"",
            external_secret=b"",
            membership_key=b"",
            resumption_psk=b"",
        )
        return replace(
            self,
            removed=True,
            private={},
            own_updates={},
            signature_private_key=b"",
            secrets=secrets,
            past_psks={},
            exporter_tree=ExporterTree.spent(),
        )

    def advanced(self, advance: Advance, now_seconds: int | None = None) -> "Group":
        """The group in its next epoch; of the old one only what opens late messages stays (section 9.2).

        The old one ends now; without a time, when one is next given.
        """
        past = self._past_after(advance.public.tree, now_seconds)
        return Group._in(advance, self.own_leaf_index, past, self.limits, self.backlog, self._past_psks_after())

    def _past_psks_after(self) -> Mapping[int, bytes]:
        return kept_with(self.past_psks, self.epoch, self.secrets.resumption_psk, self.limits.resumption_epochs)

    def _past_after(self, next_tree: Tree, now_seconds: int | None) -> Past:
        over = ended(self.message_keys(), self.tree, self.own_leaf_index, now_seconds)
        past = carried((over, *self.past), self.tree, next_tree)
        return bounded(past, self.limits, self.backlog, now_seconds)
