"""Who was in each channel at each moment, replayed from its creation and its signed commits (RFC 9420, RFC 9750 section 5).

The replay follows a channel as the gateway does, with a `PublicGroup`, and asks the charter in force of every commit again: who
may add whom, remove whom, under which marking. Where a body is absent or a commit is refused by MLS, the members from there on
are not known, and what rests on them stays unchecked.

What nobody without a member's secrets can check: membership and confirmation tags, and the ciphertexts of a commit's path; a
member that found one wrong has said so in the channel (COMMIT_REFUSED).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from clients.auditor.verify.bodies import Bodies
from clients.auditor.verify.certificates import Certificates
from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.registry import Registry
from keys.body import TERMS_EXTENSION, ChannelTerms, read_channel_created, read_commit, read_resync_approval, read_terms
from keys.credential import Certified
from keys.errors import CharterRefused, KeysError, Malformed
from keys.mls import Extension, Member, PublicGroup, Remove, StagedPublicCommit, cipher_suite
from keys.mls.errors import InvalidCredential, MLSError
from keys.mls.framing import MemberSender
from keys.mls.messages import ExternalInit
from keys.mls.nodes import find_extension
from keys.mls.public import read_group_info
from keys.policy import ChannelClass, Policy, Verb

REJOIN: Final = frozenset({ExternalInit.TYPE, Remove.TYPE})
GRACE_LIMIT: Final = 3_600_000  # ms, whatever the class says


@dataclass(frozen=True, slots=True)
class Seat:
    """One member: its leaf, its certificate, and what the charter lets it do."""

    leaf: int
    certified: Certified
    verbs: frozenset[Verb]
    until: int  # ms; until when its organisation may see what goes on there, -1 where it may not


@dataclass(slots=True)
class Roster:
    """A channel in its present epoch."""

    group: PublicGroup
    terms: ChannelTerms
    seats: dict[bytes, Seat] = field(default_factory=dict)  # by device
    ever: dict[bytes, bytes] = field(default_factory=dict)  # certificate of the last leaf of each that is or was in
    approved: set[bytes] = field(default_factory=set)  # devices that may come in again in this epoch
    grace_until: int = 0  # ms; until when messages of the epoch before are taken
    expires: int = 0  # ms; when the first member's certificate ends
    blocked: bool = False  # a member is revoked
    channel_class: ChannelClass | None = None  # as the charter in force has it

    @property
    def epoch(self) -> int:
        return self.group.epoch


class Rosters:
    """Every channel's roster. `lost` says from which entry on a channel's members are not known."""

    def __init__(self, registry: Registry, certificates: Certificates, bodies: Bodies, findings: Findings) -> None:
        self.open: dict[bytes, Roster] = {}
        self.lost: dict[bytes, int] = {}
        self.replayed = 0
        self._registry = registry
        self._certificates = certificates
        self._bodies = bodies
        self._findings = findings

    # ------------------------------------------------------------------ the handshakes

    def created(self, placed: Placed) -> None:
        """A channel begins, with its creator alone and on terms that the charter has."""
        channel = placed.entry.channel
        body = self._bodies.get(placed)
        if body is None or channel in self.lost:
            self.lost.setdefault(channel, placed.index)
            return
        try:
            made = read_channel_created(body)
            suite = cipher_suite(read_group_info(made.group_info).group_context.cipher_suite)
            time = placed.entry.time // 1000
            group = PublicGroup.create(suite, made.group_info, made.ratchet_tree, self._registry, now_seconds=time)
            terms = terms_of(group.context.extensions)
        except (Malformed, MLSError) as error:
            self._lose(placed, error, "no beginning of a channel")
            return
        roster = self._seated(Roster(group, terms))
        self.open[channel] = roster
        if len(group.members) != 1 or set(roster.seats) != {placed.context.device}:
            self._refuse(placed, "a channel begins with its creator alone")
        if group.group_id != channel or group.epoch:
            self._refuse(placed, "a channel begins at epoch 0, in the group of its name")
        seat = roster.seats.get(placed.context.device)
        if seat is not None:
            self._check_verb(placed, seat, Verb.CREATE_CHANNEL)
            self._check_terms(placed, terms, group, seat)
            self._fresh(placed, (seat.certified,))

    def proposed(self, placed: Placed, roster: Roster) -> None:
        """A proposal that a later commit of this epoch may name."""
        body = self._bodies.get(placed)
        if body is None:
            self.lost.setdefault(placed.entry.channel, placed.index)
            return
        try:
            content = roster.group.open_public(body)[0]
            after = roster.group.with_proposal(content, placed.entry.time // 1000)
        except MLSError as error:
            self._lose(placed, error, "not a proposal of this epoch")
            return
        sender = content.framed.sender
        leaf = sender.leaf_index if isinstance(sender, MemberSender) else -1
        self._check_bound(placed, roster, leaf, content.framed.authenticated_data)
        roster.group = after

    def committed(self, placed: Placed, roster: Roster) -> None:
        """A commit ends the epoch, if it is the first one there, MLS takes it, and the charter allows all that it does."""
        body = self._bodies.get(placed)
        if body is None:
            self.lost.setdefault(placed.entry.channel, placed.index)
            return
        try:
            message = read_commit(body)
            staged = roster.group.stage(message.commit, placed.entry.time // 1000)
            added = [self._registry.certified(m.credential) for m in staged.added]
            removed = [self._registry.certified(m.credential) for m in staged.removes]
        except (KeysError, MLSError) as error:
            self._lose(placed, error, "not a commit that this channel can take")
            return
        if staged.external:
            self._check_rejoin(placed, roster, staged)
            if message.welcome is not None:
                self._refuse(placed, "a Welcome stands exactly with a commit that adds")
            self._check_leaves(placed, staged)
            self._advance(placed, roster, staged, removed)
            return
        self._check_bound(placed, roster, staged.sender_leaf, staged.authenticated_data)
        if (message.welcome is not None) != bool(added):
            self._refuse(placed, "a Welcome stands exactly with a commit that adds")
        seat = roster.seats.get(placed.context.device)
        if seat is not None:
            self._check_adds(placed, roster, seat, added, removed)
            self._check_removes(placed, seat, removed)
            self._check_leaves(placed, staged)
            self._check_extensions(placed, roster, seat, staged)
        self._advance(placed, roster, staged, removed)

    def may_rejoin(self, placed: Placed, roster: Roster) -> None:
        """An officer lets another member come in again in the present epoch."""
        body = self._bodies.get(placed)
        if body is None:
            self.lost.setdefault(placed.entry.channel, placed.index)
            return
        try:
            said = read_resync_approval(body)
            roster.group.check_group_info(said.group_info)
        except (Malformed, MLSError) as error:
            self._refuse(placed, f"no resync approval of this epoch: {error}")
            return
        seat, stranded = roster.seats.get(placed.context.device), roster.seats.get(said.device)
        if said.epoch != roster.epoch or stranded is None:
            self._refuse(placed, "a resync approval for another epoch, or for no member")
            return
        if seat is not None:
            self._check_verb(placed, seat, Verb.APPROVE_ENROLMENT)
            if seat.certified.person == stranded.certified.person:
                self._refuse(placed, "a resync approval for a device of the same person")
        roster.approved.add(said.device)

    # ------------------------------------------------------------------ what the charter asks of a commit

    def _check_rejoin(self, placed: Placed, roster: Roster, staged: StagedPublicCommit) -> None:
        """The one commit from outside that may stand here: a member's, as approved in this epoch, in place of its own leaf."""
        device = placed.context.device
        seat = roster.seats.get(device)
        if device not in roster.approved:
            self._refuse(placed, f"device {device.hex()[:8]} came in from outside without an approval in this epoch")
        bound = staged.authenticated_data == placed.context.authenticated_data()
        if seat is None or not bound or [gone.leaf_index for gone in staged.removes] != [seat.leaf]:
            self._refuse(placed, "a commit from outside that is not a member's for its own leaf, bound to its header")
        if frozenset(staged.proposal_types) != REJOIN:
            self._refuse(placed, "coming in again removes the old leaf, and does nothing else")

    def _check_adds(
        self, placed: Placed, roster: Roster, seat: Seat, added: list[Certified], removed: list[Certified]
    ) -> None:
        if not added:
            return
        self._check_verb(placed, seat, Verb.ADD)
        self._fresh(placed, added)
        time, policy = placed.entry.time, self._policy
        for certified in added:
            device = certified.device.hex()[:8]
            if not self._registry.alive(certified, time):
                self._refuse(placed, f"adds device {device}, which was revoked or had expired")
            if time > may_see_until(policy, certified.organisation, roster.terms):
                rule = f"adds a device of {certified.organisation}, whose agreement does not reach this channel"
                self._findings.fail(Topic.ROLES, Cause.INJECTED, rule, placed.index)
            if policy.audits(certified.roles):
                self._refuse(placed, f"adds device {device}, an auditor's: an auditor sits in no channel")
        devices = [c.device for c in added]
        present = set(roster.seats) - {c.device for c in removed}
        if len(set(devices)) != len(devices) or present & set(devices):
            self._refuse(placed, "adds a device that is in the channel already")

    def _check_removes(self, placed: Placed, seat: Seat, removed: list[Certified]) -> None:
        """Any member may remove what is revoked or expired; anything else takes the verb."""
        if any(self._registry.alive(c, placed.entry.time) for c in removed):
            self._check_verb(placed, seat, Verb.REMOVE)

    def _check_leaves(self, placed: Placed, staged: StagedPublicCommit) -> None:
        """A leaf that is replaced stays the same device (the replay has asked), with a certificate that is alive."""
        for leaf in (staged.new_leaf, *(after for _, after in staged.updates)):
            if not self._registry.alive(self._registry.certified(leaf.credential), placed.entry.time):
                self._refuse(placed, "gives a leaf a certificate that was revoked or had expired")

    def _check_extensions(self, placed: Placed, roster: Roster, seat: Seat, staged: StagedPublicCommit) -> None:
        """Terms may follow the charter to its newest version; class and ceiling stay for the channel's life."""
        if staged.extensions is None:
            return
        try:
            terms = terms_of(staged.extensions)
        except Malformed as error:
            self._refuse(placed, str(error))
            return
        self._check_verb(placed, seat, Verb.CREATE_CHANNEL)
        if (terms.channel_class, terms.ceiling) != (roster.terms.channel_class, roster.terms.ceiling):
            self._refuse(placed, "changes the channel's class or ceiling")
        self._check_terms(placed, terms, staged.next, seat)
        roster.terms = terms

    def _check_terms(self, placed: Placed, terms: ChannelTerms, group: PublicGroup, seat: Seat) -> None:
        policy = self._policy
        try:
            kind = policy.channel_class(terms.channel_class)
        except CharterRefused as error:
            self._refuse(placed, str(error))
            return
        if terms.charter_version != policy.version:
            self._refuse(placed, f"terms of charter version {terms.charter_version}, under version {policy.version}")
        if group.suite.id != kind.suite:
            self._refuse(placed, f"cipher suite {group.suite.id} in class {kind.name}, which has {kind.suite}")
        if terms.ceiling > kind.ceiling or placed.entry.time > may_see_until(
            policy, seat.certified.organisation, terms
        ):
            rule = f"a ceiling above what class {kind.name} or the agreement with its creator's organisation allows"
            self._findings.fail(Topic.ROLES, Cause.INJECTED, rule, placed.index)

    def _check_verb(self, placed: Placed, seat: Seat, verb: Verb) -> None:
        if verb not in seat.verbs:
            held = ", ".join(sorted(seat.certified.roles)) or "no role"
            self._findings.fail(Topic.ROLES, Cause.INJECTED, f"{held}: may not {verb.value}", placed.index)

    def _check_bound(self, placed: Placed, roster: Roster, leaf: int, data: bytes) -> None:
        """What is inside says the same as the header: this member, and this context."""
        seat = roster.seats.get(placed.context.device)
        if seat is None or seat.leaf != leaf or data != placed.context.authenticated_data():
            self._refuse(placed, "the MLS message is another member's, or is bound to another header")

    def _fresh(self, placed: Placed, concerned: Iterable[Certified]) -> None:
        for organisation in sorted({c.organisation for c in concerned}):
            self._certificates.check_fresh(placed, organisation, self._policy.crl_hours)

    # ------------------------------------------------------------------ what follows

    def _advance(self, placed: Placed, roster: Roster, staged: StagedPublicCommit, removed: list[Certified]) -> None:
        kind = self._class_of(roster.terms)
        grace = 0 if removed or kind is None else min(kind.grace_seconds * 1000, GRACE_LIMIT)
        roster.grace_until = placed.entry.time + grace if grace else 0
        roster.group = staged.next
        roster.approved.clear()
        self._seated(roster)
        self.replayed += 1

    def _seated(self, roster: Roster) -> Roster:
        """The roster with its members' seats, as certificates, lists and charter are now."""
        members = [(m, self._registry.certified(m.credential)) for m in roster.group.members]
        roster.seats = {c.device: self._seat(m, c, roster.terms) for m, c in members}
        roster.ever |= {device: seat.certified.hash for device, seat in roster.seats.items()}
        roster.expires = min((c.not_after for _, c in members), default=0)
        roster.channel_class = self._class_of(roster.terms)
        roster.blocked = any(self._registry.revoked(c) for _, c in members)
        return roster

    def _seat(self, member: Member, certified: Certified, terms: ChannelTerms) -> Seat:
        verbs = frozenset(v for v in Verb if self._policy.permits(certified.roles, v))
        until = may_see_until(self._policy, certified.organisation, terms)
        return Seat(member.leaf_index, certified, verbs, until)

    def _class_of(self, terms: ChannelTerms) -> ChannelClass | None:
        return next((c for c in self._policy.classes if c.name == terms.channel_class), None)

    def look_again(self, index: int) -> None:
        """After a revocation list or a charter: who is blocked, and what everybody may do now."""
        for channel, roster in list(self.open.items()):
            try:
                self._seated(roster)
            except MLSError:  # a charter has dropped a member's organisation, registrar or role
                self.lost.setdefault(channel, index)

    def restore(self, channel: bytes, roster: Roster) -> None:
        """A roster as an earlier verification left it."""
        self.open[channel] = self._seated(roster)

    @property
    def _policy(self) -> Policy:
        assert self._registry.charter is not None  # a certificate counts only under one
        return self._registry.charter.policy

    def _refuse(self, placed: Placed, rule: str) -> None:
        self._findings.fail(Topic.ROSTERS, Cause.INJECTED, rule, placed.index)

    def _lose(self, placed: Placed, error: Exception, rule: str) -> None:
        """From here on the members are not known. An unknown certificate is no one's fault where some are not here."""
        if not isinstance(error, InvalidCredential) or self._registry.lost is None:
            self._refuse(placed, f"{rule}: {error}")
        self.lost.setdefault(placed.entry.channel, placed.index)

    def end(self) -> None:
        """Which channels' members are not known, and from where on."""
        for channel, index in self.lost.items():
            rule = f"channel {channel.hex()[:8]}: its members are not known from entry {index} on"
            for topic in (Topic.ROSTERS, Topic.MEMBERS, Topic.ROLES, Topic.REMOVALS, Topic.ALERTS):
                self._findings.unchecked(topic, rule, index)
        self._findings.note(Topic.ROSTERS, f"{len(self.open)} channels, {self.replayed} commits")


def terms_of(extensions: tuple[Extension, ...]) -> ChannelTerms:
    """The channel's terms in its GroupContext. Raises Malformed where they are not there."""
    data = find_extension(extensions, TERMS_EXTENSION)
    if data is None:
        raise Malformed("a channel's GroupContext holds its terms")
    return read_terms(data)


def may_see_until(policy: Policy, organisation: str, terms: ChannelTerms) -> int:
    """Until when (ms) people of an organisation may be shown content up to the channel's ceiling; -1 where they may not."""
    try:
        theirs = policy.organisation(organisation)
        if not policy.may_see(organisation, terms.ceiling, theirs.until):
            return -1
    except CharterRefused:
        return -1
    return 2**53 if theirs.home else theirs.until
