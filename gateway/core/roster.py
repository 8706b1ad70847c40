"""Who is in a channel: its creation, its proposals and its commits, checked against the channel's PublicGroup and the charter.

The gateway follows each channel without its secrets (RFC 9750 section 5). It refuses a commit that MLS refuses, that races another,
or that the charter does not allow to its author: adds by who may add, of devices whose certificates count and whose
organisation may see the channel; removes by who may remove, or by anybody of a revoked or expired leaf. It can't check
membership and confirmation tags or path ciphertexts; a member that finds one wrong says so (COMMIT_REFUSED).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from gateway.core import limits
from gateway.core.effects import ChangeLeaf, Effect, EndMember, GiveBlob, PutGroup, PutMember, PutStream, PutTree
from gateway.core.errors import Refused, denied
from gateway.core.rows import CertificateRow, End, Member, Stream, StreamKind
from gateway.core.run import Run, channel_class, check_channel, check_list_age, check_verb
from gateway.core.view import View
from gateway.wire import Refusal
from keys import body
from keys.authority import CharterAuthentication
from keys.envelope import NOTHING, Marking, Verified, rolling
from keys.errors import CharterRefused, Malformed
from keys.identity import receipt_stream
from keys.mls import (
    REQUIRED_CAPABILITIES,
    WELCOME,
    Add,
    Extension,
    GroupContextExtensions,
    PublicGroup,
    Remove,
    StagedPublicCommit,
    Update,
    cipher_suite,
    peek,
)
from keys.mls import Member as MLSMember
from keys.mls.errors import MLSError, WrongEpoch
from keys.mls.framing import MemberSender, ProposalContent
from keys.mls.messages import ExternalInit
from keys.mls.public import read_group_info
from keys.policy import Verb

_PROPOSALS: Final = frozenset(p.TYPE for p in (Add, Update, Remove, GroupContextExtensions))
"""Nobody here holds a pre-shared key of MLS: a commit that names one would strand all members."""
_REJOIN: Final = frozenset({ExternalInit.TYPE, Remove.TYPE})


def authentication(view: View, run: Run) -> CharterAuthentication:
    """A certificate counts once its approval is in the log, which for the gateway is its own table."""
    return CharterAuthentication(run.charter, lambda certificate: view.certificate(certificate) is not None)


def terms_of(extensions: Sequence[Extension]) -> body.ChannelTerms:
    """The channel's terms in its GroupContext; Refused when they are not there, or anything that nobody has agreed on is."""
    if any(e.extension_type not in (body.TERMS_EXTENSION, REQUIRED_CAPABILITIES) for e in extensions):
        raise Refused(
            Refusal.SCHEMA, "a channel's GroupContext holds its terms and required capabilities, nothing more"
        )
    for extension in extensions:
        if extension.extension_type == body.TERMS_EXTENSION:
            try:
                return body.read_terms(extension.extension_data)
            except Malformed as error:
                raise Refused(Refusal.SCHEMA, str(error)) from None
    raise Refused(Refusal.SCHEMA, "a channel's GroupContext holds its terms")


def channel_created(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A new channel with one member, its creator, on terms that the charter has."""
    verified, data = run.one()
    receipts = receipt_stream(run.stream.id)
    if run.stream.seq or run.stream.kind is not StreamKind.CHANNEL or view.stream(receipts) is not None:
        raise denied()
    if verified.context.epoch or verified.context.expires:
        raise Refused(Refusal.SCHEMA, "a channel begins at epoch 0, and its beginning is kept as long as the log")
    _check_room(view, run.who.device)
    check_list_age(view, run, run.who.organisation, run.charter.policy.crl_hours)
    group = _founded(view, run, data)
    terms = terms_of(group.context.extensions)
    _check_terms(run, terms, group.suite.id)
    leaf = group.members[0]
    row = _row_of(view, leaf)
    if len(group.members) != 1 or row.device != run.who.device or group.group_id != run.stream.id or group.epoch:
        raise Refused(Refusal.SCHEMA, "a channel begins at epoch 0 with its creator alone")
    if row.public_key != run.key:  # which stands: `gateway.core.author`
        raise Refused(Refusal.SCHEMA, "the beginning of a channel is signed by the key of the leaf that it founds")
    if verified.context.marking > terms.ceiling:
        raise Refused(Refusal.TLP, "the beginning of a channel is marked above its ceiling")
    stream = replace(
        run.stream,
        channel_class=terms.channel_class,
        ceiling=int(terms.ceiling),
        suite=group.suite.id,
        expires=row.not_after,
        beside=terms.beside or b"",
    )
    member = Member(run.stream.id, run.who.device, leaf.leaf_index, row.hash, 0, 0)
    # Its receipt stream begins with it, so that nobody can found another channel under that stream's id.
    beside = Stream(receipts, StreamKind.RECEIPTS, 0, NOTHING, parent=run.stream.id)
    return stream, (PutGroup(run.stream.id, group.parts()), PutMember(member), PutStream(beside))


def _check_room(view: View, device: bytes) -> None:
    if view.channels_of(device) >= limits.CHANNELS_PER_DEVICE:
        raise Refused(Refusal.QUOTA, f"a device is in at most {limits.CHANNELS_PER_DEVICE} channels")


def _founded(view: View, run: Run, data: bytes) -> PublicGroup:
    try:
        created = body.read_channel_created(data)
        return PublicGroup.create(
            cipher_suite(read_group_info(created.group_info).group_context.cipher_suite),
            created.group_info,
            created.ratchet_tree,
            authentication(view, run),
            now_seconds=run.now // 1000,
        )
    except (Malformed, MLSError) as error:
        raise Refused(Refusal.SCHEMA, f"no beginning of a channel: {error}") from None


def _check_terms(run: Run, terms: body.ChannelTerms, suite: int) -> None:
    """The class is the charter's, and so are suite and ceiling; the author's organisation may see what goes there."""
    policy = run.charter.policy
    if terms.charter_version != policy.version:
        raise Refused(Refusal.CHARTER, f"charter version {policy.version} is in force: fetch it")
    try:
        kind = policy.channel_class(terms.channel_class)
    except CharterRefused as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if suite != kind.suite:
        raise Refused(Refusal.SCHEMA, f"channels of class {kind.name} use cipher suite {kind.suite}")
    if terms.beside is not None and not kind.alerts:
        raise Refused(Refusal.SCHEMA, "an alert channel alone stands beside another")
    if terms.ceiling > kind.ceiling or not policy.may_see(run.who.organisation, terms.ceiling, run.now):
        raise Refused(Refusal.TLP, f"channels of class {kind.name} go up to {kind.ceiling.label}")


def _row_of(view: View, leaf: MLSMember) -> CertificateRow:
    """The certificate in a leaf, which the Authentication Service has found to count."""
    row = view.certificate(sha256(leaf.credential.certificates[0]).digest())
    if row is None:
        raise denied()
    return row


def group_of(view: View, run: Run) -> PublicGroup:
    """The channel's public state, under the charter in force."""
    return PublicGroup.load(view.group(run.stream.id), authentication(view, run))


def proposal(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A proposal by reference: valid in this epoch; who may commit it is asked when somebody does."""
    member = check_channel(run)
    verified, data = run.one()
    _check_current(run, verified)
    group = group_of(view, run)
    if len(group.proposals) >= limits.PROPOSALS_PER_EPOCH:
        raise Refused(Refusal.QUOTA, f"at most {limits.PROPOSALS_PER_EPOCH} proposals wait for a commit")
    try:
        content, _ = group.open_public(data)
        after = group.with_proposal(content, run.now // 1000)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"not a proposal of this epoch: {error}") from None
    framed = content.framed
    sender = framed.sender.leaf_index if isinstance(framed.sender, MemberSender) else None
    if sender != member.leaf or framed.authenticated_data != verified.context.authenticated_data():
        raise denied()  # nobody proposes from outside here
    if not isinstance(framed.content, ProposalContent) or framed.content.proposal.TYPE not in _PROPOSALS:
        raise Refused(Refusal.SCHEMA, "a proposal here adds, updates, removes, or changes the terms")
    return run.stream, (PutGroup(run.stream.id, _changed(group, after)),)


def _check_current(run: Run, verified: Verified) -> None:
    """Compare-and-set: the first commit of an epoch wins, all others learn which epoch it is now."""
    if verified.context.epoch != run.stream.epoch:
        raise Refused(Refusal.EPOCH_CONFLICT, f"the channel is at epoch {run.stream.epoch}: process it, then try again")


@dataclass(frozen=True, slots=True)
class _Change:
    """A commit found valid by MLS, with the certificates of those it touches."""

    staged: StagedPublicCommit
    message: body.Commit
    added: tuple[tuple[MLSMember, CertificateRow], ...]
    removed: tuple[CertificateRow, ...]


def commit(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """The commit that ends the current epoch, if it is the first, is valid, and the charter allows all that it does."""
    member = check_channel(run)
    verified, data = run.one()
    _check_current(run, verified)
    group = group_of(view, run)
    change = _stage(view, run, group, data)
    staged = change.staged
    if staged.authenticated_data != verified.context.authenticated_data():
        raise denied()
    if staged.external:
        _check_rejoin(view, run, member, staged)
    elif staged.sender_leaf != member.leaf:
        raise denied()
    else:
        _check_adds(view, run, change)
        _check_removes(run, change)
    _check_leaves(view, run, member, staged)
    _check_extensions(run, staged)
    welcome_length = _check_attachments(view, change)
    return _after(view, run, group, change, welcome_length)


def _stage(view: View, run: Run, group: PublicGroup, data: bytes) -> _Change:
    try:
        message = body.read_commit(data)
        staged = group.stage(message.commit, run.now // 1000)
    except WrongEpoch:
        raise denied() from None  # the context's epoch was right: the two contradict each other
    except (Malformed, MLSError) as error:
        raise Refused(Refusal.SCHEMA, f"not a valid commit: {error}") from None
    if staged.external:
        return _Change(staged, message, (), ())
    if not _PROPOSALS.issuperset(staged.proposal_types):
        raise Refused(Refusal.SCHEMA, "a commit here adds, updates, removes, or changes the terms")
    added = tuple((m, _row_of(view, m)) for m in staged.added)
    return _Change(staged, message, added, tuple(_row_of(view, m) for m in staged.removes))


def _check_rejoin(view: View, run: Run, member: Member, staged: StagedPublicCommit) -> None:
    """The one commit from outside that is taken: a member's, for its own device, as approved for just this epoch."""
    if view.resync(run.stream.id, run.who.device) != run.stream.epoch:
        raise Refused(Refusal.ROLE, "only a member that an officer has approved for this epoch comes in from outside")
    if frozenset(staged.proposal_types) != _REJOIN:
        raise Refused(Refusal.SCHEMA, "coming in again removes the old leaf, and does nothing else")
    # MLS has asked whether the new leaf may follow the old one; here it is asked whose the old one is.
    if [gone.leaf_index for gone in staged.removes] != [member.leaf]:
        raise denied()


def _check_adds(view: View, run: Run, change: _Change) -> None:
    """Added devices are alive, were not members, and may see the channel; the lists that say so are fresh."""
    if not change.added:
        return
    check_verb(run, Verb.ADD)
    policy = run.charter.policy
    if len(change.staged.next.members) > limits.MEMBERS_PER_CHANNEL:
        raise Refused(Refusal.LIMIT, f"a channel has at most {limits.MEMBERS_PER_CHANNEL} members")
    for organisation in sorted({row.organisation for _, row in change.added}):
        check_list_age(view, run, organisation, policy.crl_hours)
    for _, row in change.added:
        if row.revoked:
            raise Refused(Refusal.REVOKED, "a device to be added was revoked")
        if run.now > row.not_after:
            raise Refused(Refusal.EXPIRED, "the certificate of a device to be added has ended")
        if policy.audits(row.roles):
            raise Refused(Refusal.ROLE, "an auditor sits in no channel")
        if not policy.may_see(row.organisation, Marking(run.stream.ceiling), run.now):
            raise Refused(Refusal.TLP, f"the agreement with {row.organisation} does not reach this channel's ceiling")
    devices = [row.device for _, row in change.added]
    gone = {row.device for row in change.removed}
    present = view.ends(run.stream.id)
    if len(set(devices)) != len(devices) or any(d in present and d not in gone for d in devices):
        raise Refused(Refusal.SCHEMA, "a device is in a channel once")
    for device in devices:
        if device not in present:
            _check_room(view, device)


def _check_removes(run: Run, change: _Change) -> None:
    """Any member may remove what is revoked or expired; anything else takes the verb."""
    if all(row.revoked or run.now > row.not_after for row in change.removed):
        return
    check_verb(run, Verb.REMOVE)


def _check_leaves(view: View, run: Run, member: Member, staged: StagedPublicCommit) -> None:
    """A leaf that is replaced stays the same device (the group has asked), with a certificate that is alive. An author whose own has ended
    renews his leaf first, and then does what he wanted."""
    for leaf in (staged.new_leaf, *(after for _, after in staged.updates)):
        row = _row_of(view, leaf)
        if row.revoked or run.now > row.not_after:
            if row.hash == member.certificate:
                raise Refused(Refusal.LEAF, "the certificate in this device's leaf has ended or was revoked: renew it")
            raise Refused(Refusal.REVOKED, "a leaf would get a certificate that is revoked or has ended")


def _check_extensions(run: Run, staged: StagedPublicCommit) -> None:
    """The terms may follow the charter to its newest version; the rest stays for the channel's life."""
    if staged.extensions is None:
        return
    terms = terms_of(staged.extensions)
    check_verb(run, Verb.CREATE_CHANNEL)
    if (terms.channel_class, terms.ceiling, terms.beside or b"") != (
        run.stream.channel_class,
        run.stream.ceiling,
        run.stream.beside,
    ):
        raise Refused(Refusal.TLP, "a channel keeps its class and ceiling: create another")
    _check_terms(run, terms, run.stream.suite)


def _check_attachments(view: View, change: _Change) -> int:
    """The Welcome stands with the winning commit only, and is there in full, as is the GroupInfo. Gives the Welcome's length."""
    message = change.message
    if (message.welcome is not None) != bool(change.added):
        raise Refused(Refusal.SCHEMA, "a Welcome stands exactly with a commit that adds")
    data = _blob(view, message.group_info, "GroupInfo")
    try:
        change.staged.next.check_group_info(data, signer=change.staged.sender_leaf)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"the GroupInfo is not that of the new epoch: {error}") from None
    if message.welcome is None:
        return 0
    welcome = _blob(view, message.welcome, "Welcome")
    suite = change.staged.next.suite
    try:
        seen = peek(welcome)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"not a Welcome: {error}") from None
    joiners = sorted(package.ref(suite) for package in change.staged.adds)
    if seen.wire_format != WELCOME or seen.cipher_suite != suite.id or sorted(seen.key_package_refs) != joiners:
        raise Refused(Refusal.SCHEMA, "the Welcome is for exactly those whom the commit adds")
    return len(welcome)


def _blob(view: View, blob_hash: bytes, what: str) -> bytes:
    held = view.upload(blob_hash)
    data = view.blob(blob_hash, 0, held.length) if held else None
    if data is None:
        raise Refused(Refusal.GAP, f"put the {what} first")
    return data


def _after(
    view: View, run: Run, group: PublicGroup, change: _Change, welcome_length: int
) -> tuple[Stream, Sequence[Effect]]:
    """The channel in its new epoch, and what the commit does to members, tree and blobs."""
    verified, _ = run.one()
    staged, stream, seq = change.staged, run.stream, run.stream.seq + 1
    hashed = rolling(stream.rolling, verified.envelope.header)
    effects: list[Effect] = [PutGroup(stream.id, _changed(group, staged.next))]
    effects += [EndMember(stream.id, row.device, seq) for row in change.removed]
    moved = [(leaf, _row_of(view, leaf)) for leaf in _replaced(staged)]
    effects += [ChangeLeaf(stream.id, row.device, leaf.leaf_index, row.hash) for leaf, row in moved]
    effects.append(GiveBlob(change.message.group_info, stream.id, seq))
    for leaf, row in change.added:
        welcome = change.message.welcome
        assert welcome is not None  # _check_attachments
        effects.append(GiveBlob(welcome, device=row.device))
        effects.append(
            PutMember(
                Member(
                    channel=stream.id,
                    device=row.device,
                    leaf=leaf.leaf_index,
                    certificate=row.hash,
                    since=seq,
                    epoch=staged.next.epoch,
                    welcome=welcome,
                    welcome_length=welcome_length,
                    rolling=hashed,
                )
            )
        )
    if change.added:
        tree = staged.next.tree_bytes()
        effects.append(PutTree(stream.id, seq, sha256(tree).digest(), tree))
    ends = {**view.ends(stream.id)}
    for row in change.removed:
        del ends[row.device]
    ends |= {row.device: End(row.not_after, row.revoked) for _, row in (*moved, *change.added)}
    kind = channel_class(run)
    grace = 0 if staged.removes else min(kind.grace_seconds * 1000, limits.GRACE_LIMIT)
    after = replace(
        stream,
        epoch=staged.next.epoch,
        grace_until=run.now + grace if grace else 0,
        expires=min(end.not_after for end in ends.values()),
        blocked=sum(end.revoked for end in ends.values()),
    )
    return after, effects


def _replaced(staged: StagedPublicCommit) -> tuple[MLSMember, ...]:
    """Members whose leaf got another certificate, and one that came in again."""
    pairs = [(staged.committer, staged.new_leaf), *staged.updates]
    changed = tuple(after for before, after in pairs if before.credential != after.credential)
    return (*changed, staged.new_leaf) if staged.external else changed


def _changed(before: PublicGroup, after: PublicGroup) -> Mapping[str, bytes]:
    """The parts that differ; one that is gone is empty."""
    old, new = before.parts(), after.parts()
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    return {**changed, **{name: b"" for name in old if name not in new}}
