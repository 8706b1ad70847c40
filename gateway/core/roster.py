"""Who is in a channel: its creation, its proposals and its commits, checked against the channel's PublicGroup and the charter.

The gateway follows each channel without its secrets (RFC 9750 section 5). It refuses a commit that MLS refuses, that races another,
or that the charter does not allow to its author: adds by who may add, of devices whose certificates count and whose
organisation may see the channel; removes by who may remove, or by anybody of a revoked or expired leaf. It can't check
membership and confirmation tags or path ciphertexts; a member that finds one wrong says so (COMMIT_REFUSED).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.core import limits
from gateway.core.effects import ChangeLeaf, Effect, EndMember, GiveBlob, PutGroup, PutMember, PutTree
from gateway.core.errors import Refused, denied
from gateway.core.run import Run, check_channel, check_list_age, check_member, check_verb
from gateway.core.view import CertificateRow, Member, Stream, StreamKind, View
from gateway.wire import Refusal
from keys import body
from keys.authority import CharterAuthentication
from keys.envelope import Marking, Verified, rolling
from keys.errors import CharterRefused, Malformed
from keys.mls import Extension, PublicGroup, StagedPublicCommit, cipher_suite
from keys.mls import Member as MLSMember
from keys.mls.errors import MLSError, WrongEpoch
from keys.mls.framing import MemberSender
from keys.mls.public import read_group_info
from keys.policy import Verb


def authentication(view: View, run: Run) -> CharterAuthentication:
    """A certificate counts once its approval is in the log, which for the gateway is its own table."""
    return CharterAuthentication(run.charter, lambda certificate: view.certificate(certificate) is not None)


def terms_of(extensions: Iterable[Extension]) -> body.ChannelTerms:
    """The channel's terms in its GroupContext; Refused when they are not there."""
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
    if run.stream.seq or verified.context.epoch or run.stream.kind is not StreamKind.CHANNEL:
        raise denied()
    check_verb(run, Verb.CREATE_CHANNEL)
    check_list_age(view, run, run.who.organisation, run.charter.policy.crl_hours)
    group = _founded(view, run, data)
    terms = terms_of(group.context.extensions)
    _check_terms(run, terms, group.suite.id)
    leaf = group.members[0]
    row = _row_of(view, leaf)
    if len(group.members) != 1 or row.device != run.who.device or group.group_id != run.stream.id or group.epoch:
        raise Refused(Refusal.SCHEMA, "a channel begins at epoch 0 with its creator alone")
    stream = replace(
        run.stream,
        channel_class=terms.channel_class,
        ceiling=int(terms.ceiling),
        suite=group.suite.id,
        expires=row.not_after,
    )
    member = Member(run.stream.id, run.who.device, leaf.leaf_index, row.hash, 0, 0)
    return stream, (PutGroup(run.stream.id, group.parts()), PutMember(member))


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
    """The class is the charter's, and so are suite and ceiling; the creator's organisation may see what goes there."""
    policy = run.charter.policy
    if terms.charter_version != policy.version:
        raise Refused(Refusal.CHARTER, f"charter version {policy.version} is in force: fetch it")
    try:
        kind = policy.channel_class(terms.channel_class)
    except CharterRefused as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if suite != kind.suite:
        raise Refused(Refusal.SCHEMA, f"channels of class {kind.name} use cipher suite {kind.suite}")
    if terms.ceiling > kind.ceiling or not policy.may_see(run.who.organisation, terms.ceiling, run.now):
        raise Refused(Refusal.TLP, f"channels of class {kind.name} go up to {kind.ceiling.label}")


def _row_of(view: View, leaf: MLSMember) -> CertificateRow:
    """The certificate in a leaf, which the Authentication Service has found to count."""
    row = view.certificate(sha256(leaf.credential.certificates[0]).digest())
    if row is None:
        raise denied()
    return row


def _group(view: View, run: Run) -> PublicGroup:
    return PublicGroup.load(view.group(run.stream.id), authentication(view, run))


def proposal(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A proposal by reference: valid in this epoch; who may commit it is asked when somebody does."""
    check_channel(run)
    member = check_member(view, run)
    verified, data = run.one()
    _check_current(run, verified)
    group = _group(view, run)
    try:
        after = group.proposal(data, run.now // 1000)
        framed = group.open_public(data)[0].framed
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"not a proposal of this epoch: {error}") from None
    sender = framed.sender.leaf_index if isinstance(framed.sender, MemberSender) else None
    if sender != member.leaf or framed.authenticated_data != verified.context.authenticated_data():
        raise denied()
    return run.stream, (PutGroup(run.stream.id, _changed(group, after)),)


def _check_current(run: Run, verified: Verified) -> None:
    """Compare-and-set: the first commit of an epoch wins, all others learn which epoch it is now."""
    epoch = verified.context.epoch
    if epoch == run.stream.epoch:
        return
    if epoch < run.stream.epoch:
        raise Refused(Refusal.EPOCH_CONFLICT, f"the channel is at epoch {run.stream.epoch}: process it, then try again")
    raise Refused(Refusal.SCHEMA, f"epoch {epoch} has not begun")


@dataclass(frozen=True, slots=True)
class _Change:
    """A commit found valid by MLS, with the certificates of those it touches."""

    staged: StagedPublicCommit
    message: body.Commit
    added: tuple[tuple[MLSMember, CertificateRow], ...]
    removed: tuple[CertificateRow, ...]


def commit(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """The commit that ends the current epoch, if it is the first, is valid, and the charter allows all that it does."""
    check_channel(run)
    member = check_member(view, run)
    verified, data = run.one()
    _check_current(run, verified)
    group = _group(view, run)
    change = _stage(view, run, group, data)
    staged = change.staged
    if staged.sender_leaf != member.leaf or staged.authenticated_data != verified.context.authenticated_data():
        raise denied()
    _check_adds(view, run, change)
    _check_removes(run, change)
    _check_leaves(view, run, staged)
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
    added = tuple((m, _row_of(view, m)) for m in staged.added)
    return _Change(staged, message, added, tuple(_row_of(view, m) for m in staged.removes))


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
        if not policy.may_see(row.organisation, Marking(run.stream.ceiling), run.now):
            raise Refused(Refusal.TLP, f"the agreement with {row.organisation} does not reach this channel's ceiling")
    devices = [row.device for _, row in change.added]
    gone = {row.device for row in change.removed}
    present = [m for d in devices if (m := view.member(run.stream.id, d)) is not None and not m.left]
    if len(set(devices)) != len(devices) or any(m.device not in gone for m in present):
        raise Refused(Refusal.SCHEMA, "a device is in a channel once")


def _check_removes(run: Run, change: _Change) -> None:
    """Any member may remove what is revoked or expired; anything else takes the verb."""
    if all(row.revoked or run.now > row.not_after for row in change.removed):
        return
    check_verb(run, Verb.REMOVE)


def _check_leaves(view: View, run: Run, staged: StagedPublicCommit) -> None:
    """A leaf that is replaced stays the same device (the group has asked), with a certificate that is alive."""
    for leaf in (staged.new_leaf, *(after for _, after in staged.updates)):
        row = _row_of(view, leaf)
        if row.revoked or run.now > row.not_after:
            raise Refused(Refusal.REVOKED, "a leaf would get a certificate that is revoked or has ended")


def _check_extensions(run: Run, staged: StagedPublicCommit) -> None:
    """The terms may follow the charter to its newest version; class and ceiling stay for the channel's life."""
    if staged.extensions is None:
        return
    terms = terms_of(staged.extensions)
    check_verb(run, Verb.CREATE_CHANNEL)
    if (terms.channel_class, terms.ceiling) != (run.stream.channel_class, run.stream.ceiling):
        raise Refused(Refusal.TLP, "a channel keeps its class and ceiling: create another")
    _check_terms(run, terms, run.stream.suite)


def _check_attachments(view: View, change: _Change) -> int:
    """The Welcome stands with the winning commit only, and is there in full, as is the GroupInfo. Gives the Welcome's length."""
    message = change.message
    if (message.welcome is not None) != bool(change.added):
        raise Refused(Refusal.SCHEMA, "a Welcome stands exactly with a commit that adds")
    info = view.upload(message.group_info)
    data = view.blob(message.group_info, 0, info.length) if info else None
    if data is None:
        raise Refused(Refusal.GAP, "put the GroupInfo first")
    try:
        change.staged.next.check_group_info(data, signer=change.staged.sender_leaf)
    except MLSError as error:
        raise Refused(Refusal.SCHEMA, f"the GroupInfo is not that of the new epoch: {error}") from None
    if message.welcome is None:
        return 0
    welcome = view.upload(message.welcome)
    if welcome is None or welcome.held < welcome.length:
        raise Refused(Refusal.GAP, "put the Welcome first")
    return welcome.length


def _after(
    view: View, run: Run, group: PublicGroup, change: _Change, welcome_length: int
) -> tuple[Stream, Sequence[Effect]]:
    """The channel in its new epoch, and what the commit does to members, tree and blobs."""
    verified, _ = run.one()
    staged, stream, seq = change.staged, run.stream, run.stream.seq + 1
    hashed = rolling(stream.rolling, verified.envelope.header)
    effects: list[Effect] = [PutGroup(stream.id, _changed(group, staged.next))]
    effects += [EndMember(stream.id, row.device, seq) for row in change.removed]
    effects += [ChangeLeaf(stream.id, _row_of(view, m).device, _row_of(view, m).hash) for m in _replaced(staged)]
    effects.append(GiveBlob(change.message.group_info, channel=stream.id))
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
    rows = [_row_of(view, m) for m in staged.next.members]
    kind = run.charter.policy.channel_class(stream.channel_class)
    grace = 0 if change.removed else min(kind.grace_seconds * 1000, limits.GRACE_LIMIT)
    after = replace(
        stream,
        epoch=staged.next.epoch,
        grace_until=run.now + grace if grace else 0,
        expires=min(row.not_after for row in rows),
        blocked=sum(row.revoked for row in rows),
    )
    return after, effects


def _replaced(staged: StagedPublicCommit) -> tuple[MLSMember, ...]:
    """Members whose leaf got another certificate."""
    pairs = [(staged.committer, staged.new_leaf), *staged.updates]
    return tuple(after for before, after in pairs if before.credential != after.credential)


def _changed(before: PublicGroup, after: PublicGroup) -> Mapping[str, bytes]:
    """The parts that differ; one that is gone is empty."""
    old, new = before.parts(), after.parts()
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    return {**changed, **{name: b"" for name in old if name not in new}}
