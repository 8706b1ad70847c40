"""A member's part in one epoch of a group (RFC 9420 sections 8, 9 and 12): what it holds, and what follows from that.

`Group` adds the verbs: founding, joining, proposing, committing, speaking and hearing. Here is the value they work on,
what can be read off it, what it forgets with time, and the few steps that all of them share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from keys.mls import schedule
from keys.mls.commits import Advance, OwnUpdate, Participant
from keys.mls.errors import (
    Removed,
)
from keys.mls.exportertree import ExporterTree
from keys.mls.externalinit import ExternalPub
from keys.mls.framing import (
    AuthenticatedContent,
    MLSMessage,
    PublicMessage,
)
from keys.mls.leaves import (
    AuthenticationService,
    Member,
)
from keys.mls.messages import GroupContext
from keys.mls.nodes import (
    EXTERNAL_PUB,
    RATCHET_TREE,
    Extension,
    LeafNode,
)
from keys.mls.past import Past, bounded, carried, ended
from keys.mls.presharedkeys import ResumptionPsks, kept_with
from keys.mls.private import MessageKeys
from keys.mls.public import PublicGroup
from keys.mls.rules import SentProposal
from keys.mls.schedule import EpochSecrets
from keys.mls.secrettree import DEFAULT_LIMITS, Backlog, Limits, SecretTree
from keys.mls.state import group_parts, load_member
from keys.mls.suites import SUITES, CipherSuite, SuiteTable
from keys.mls.tree import Tree
from keys.mls.treekem import PrivateKeys
from keys.mls.welcoming import sign_group_info


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """A group in one epoch, with a member's secrets; used as a `Group`."""

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

    @classmethod
    def in_epoch(
        cls,
        advance: Advance,
        own: int,
        past: Past,
        limits: Limits,
        backlog: Backlog | None = None,
        past_psks: Mapping[int, bytes] | None = None,
    ) -> Self:
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
    ) -> Self:
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

    def safe_export_secret(self, component_id: int) -> "tuple[Self, bytes]":
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
            self.public.must_be_open()
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

    # Forgetting (sections 9.2 and 15.3)

    def expire(self, now_seconds: int | None) -> Self:
        """The group without what may not be kept at this time: past epochs, and a backlog whose time is over.

        `process` does this with the time it is given; call it where no message comes for long. Without a time
        nothing grows old.
        """
        if self.backlog is not None and now_seconds is not None and now_seconds > self.backlog.until_seconds:
            return self.drained(now_seconds=now_seconds)
        past = bounded(self.past, self.limits, self.backlog, now_seconds)
        return self if past == self.past else replace(self, past=past)

    def keeps_until(self) -> int | None:
        """The last second at which `expire` surely finds nothing; None: it never finds any."""
        ends = [one.epoch.ended for one in self.past]
        kept = [-1 if end is None else end + self.limits.past_seconds for end in ends]
        if self.backlog is not None:
            kept.append(self.backlog.until_seconds)
        return min(kept, default=None)

    def announce(self, messages: int, *, until_seconds: int) -> Self:
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

    def drained(self, *, before: int | None = None, now_seconds: int | None) -> Self:
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

    def put_out(self) -> Self:
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

    def advanced(self, advance: Advance, now_seconds: int | None = None) -> Self:
        """The group in its next epoch; of the old one only what opens late messages stays (section 9.2).

        The old one ends now; without a time, when one is next given.
        """
        past = self._past_after(advance.public.tree, now_seconds)
        return type(self).in_epoch(
            advance, self.own_leaf_index, past, self.limits, self.backlog, self._past_psks_after()
        )

    def _past_psks_after(self) -> Mapping[int, bytes]:
        return kept_with(self.past_psks, self.epoch, self.secrets.resumption_psk, self.limits.resumption_epochs)

    def _past_after(self, next_tree: Tree, now_seconds: int | None) -> Past:
        over = ended(self.message_keys(), self.tree, self.own_leaf_index, now_seconds)
        past = carried((over, *self.past), self.tree, next_tree)
        return bounded(past, self.limits, self.backlog, now_seconds)
