"""Framing (RFC 9420 sections 6, 6.1, 6.2 and 6.3): who sent it, is it whole, and was it meant for this group and epoch."""

from collections.abc import Callable
from dataclasses import replace

from keys.mls import (
    Add,
    BadSignature,
    BadTag,
    DecodeError,
    DecryptionFailed,
    Group,
    InvalidCommit,
    InvalidMessage,
    InvalidProposal,
    MLSMessage,
    Remove,
    WrongEpoch,
    WrongGroup,
)
from keys.mls.framing import (
    ApplicationData,
    AuthenticatedContent,
    Content,
    FramedContent,
    MemberSender,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    private_content,
)
from keys.mls.messages import Commit
from keys.mls.secrettree import SecretTree
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.hostile.scene import HONEST, SUITE, member, scene
from tests.keys.mls.hostile.table import Case, Row, heard, judge, state_of, table
from tests.keys.mls.people import NOW, World, seeded

# PublicMessages


def honest_commit() -> PublicMessage:
    public = MLSMessage.unwrap(forge(member(0)))
    assert isinstance(public, PublicMessage)
    return public


def public(change: Callable[[PublicMessage], PublicMessage], *, members_only: bool = False) -> Callable[[], Case]:
    """A Commit by member 0 that was changed on its way."""

    def case() -> Case:
        honest = honest_commit()
        follower = None if members_only else scene().public
        return heard(member(1), follower, MLSMessage.wrap(change(honest)), MLSMessage.wrap(honest))

    return case


def framed(**changes: object) -> Callable[[], Case]:
    """Its frame changed: nobody could sign that anew."""
    return public(lambda honest: replace(honest, framed=replace(honest.framed, **changes)))  # type: ignore[arg-type]


def resigned(**changes: object) -> Callable[[], Case]:
    """Its frame changed, signed and tagged anew by member 0."""

    def case() -> Case:
        group, honest = member(0), honest_commit()
        content = replace(honest.framed, **changes)  # type: ignore[arg-type]
        signed = AuthenticatedContent.sign(SUITE, 1, content, group.context, group.signature_private_key)
        if isinstance(content.content, Commit):
            assert honest.auth.confirmation_tag is not None
            signed = signed.with_confirmation_tag(honest.auth.confirmation_tag)
        return heard(member(1), scene().public, group.tagged(signed), MLSMessage.wrap(honest))

    return case


def tag(change: Callable[[bytes], bytes]) -> Callable[[], Case]:
    def changed(honest: PublicMessage) -> PublicMessage:
        assert honest.membership_tag is not None
        return replace(honest, membership_tag=change(honest.membership_tag))

    return public(changed, members_only=True)


def signature(honest: PublicMessage) -> PublicMessage:
    return replace(honest, auth=replace(honest.auth, signature=bytes(64)))


def unsealed(message: Callable[[], bytes]) -> Callable[[], Case]:
    """Something that is no message to a group."""
    return lambda: heard(member(1), None, message(), MLSMessage.wrap(honest_commit()))


def pending_with_guest() -> tuple[bytes, bytes]:
    pending = member(0).commit([Add(HONEST)], random=seeded("pending"))
    assert pending.welcome is not None
    return pending.welcome, pending.group_info


def wrong_kind(step: str, message: Callable[[], bytes], honest: Callable[[], bytes]) -> Callable[[], Case]:
    """What the follower asks for is something else."""

    def case() -> Case:
        follow = getattr(scene().public, step)
        return Case([lambda: follow(message(), NOW)], [lambda: follow(honest(), NOW)], state_of(scene().public))

    return case


def proposed() -> bytes:
    return member(0).propose(Remove(2), random=seeded("proposal"))[1]


def said() -> bytes:
    return member(0).protect(b"at east gate", random=seeded("text"))[1]


MEMBERSHIP = "the membership tag does not fit"
NO_MEMBER = "a sender that is not a member"


@table(
    Row("6.2", "the membership tag is right", tag(lambda one: bytes([one[0] ^ 1]) + one[1:]), BadTag, MEMBERSHIP),
    Row("6.2", "the membership tag is whole", tag(lambda one: one[:-1]), BadTag, MEMBERSHIP),
    Row("6.2", "the membership tag is no longer", tag(lambda one: one + b"\0"), BadTag, MEMBERSHIP),
    Row("6.2", "there is a membership tag", tag(lambda one: b""), BadTag, MEMBERSHIP),
    Row("6.1", "the sender's signature is right", public(signature), BadSignature, "FramedContentTBS"),
    Row(
        "6.1",
        "the signature covers the authenticated data",
        framed(authenticated_data=b"x"),
        BadSignature,
        "FramedContentTBS",
    ),
    Row("6.1", "the signature covers the content", framed(content=Commit((), None)), BadSignature, "FramedContentTBS"),
    Row(
        "6.1", "the signature is the named member's", resigned(sender=MemberSender(2)), BadSignature, "FramedContentTBS"
    ),
    Row("6", "the sender is not blank", resigned(sender=MemberSender(7)), InvalidMessage, NO_MEMBER),
    Row("6", "the sender is inside the tree", resigned(sender=MemberSender(99999)), InvalidMessage, NO_MEMBER),
    Row(
        "12.4.2",
        "a Commit is not of an earlier epoch",
        resigned(epoch=0),
        WrongEpoch,
        "message of epoch 0, group in epoch 1",
    ),
    Row(
        "12.4.2",
        "a Commit is not of a later epoch",
        resigned(epoch=3),
        WrongEpoch,
        "message of epoch 3, group in epoch 1",
    ),
    Row("8.1", "a Commit is of this group", resigned(group_id=b"another"), WrongGroup, "message of group"),
    Row(
        "6",
        "application data is encrypted",
        resigned(content=ApplicationData(b"x")),
        InvalidMessage,
        "application data that is not encrypted",
    ),
    Row(
        "6",
        "a Welcome is no message to a group",
        unsealed(lambda: pending_with_guest()[0]),
        InvalidMessage,
        "neither PublicMessage",
    ),
    Row(
        "6",
        "a GroupInfo is no message to a group",
        unsealed(lambda: pending_with_guest()[1]),
        InvalidMessage,
        "neither PublicMessage",
    ),
    Row(
        "6",
        "a KeyPackage is no message to a group",
        unsealed(lambda: MLSMessage.wrap(HONEST)),
        InvalidMessage,
        "neither PublicMessage",
    ),
    Row("6", "the version is MLS 1.0", unsealed(lambda: b"\0\2" + said()[2:]), DecodeError, "not a message of MLS 1.0"),
    Row(
        "ours",
        "a proposal is not staged",
        wrong_kind("stage", proposed, lambda: forge(member(0))),
        InvalidMessage,
        "not a Commit",
    ),
    Row(
        "ours",
        "a Commit is not kept as a proposal",
        wrong_kind("proposal", lambda: forge(member(0)), proposed),
        InvalidMessage,
        "not a proposal",
    ),
    Row(
        "ours",
        "what is sealed is not staged",
        wrong_kind("stage", said, lambda: forge(member(0))),
        InvalidMessage,
        "not a PublicMessage",
    ),
)
def test_a_public_message(row: Row) -> None:
    judge(row)


# PrivateMessages


def read_by(reader: Group, hostile: bytes, honest: bytes) -> Case:
    return Case(
        [lambda: reader.process(hostile, now_seconds=NOW)],
        [lambda: reader.process(honest, now_seconds=NOW)],
        state_of(reader),
    )


def private(change: Callable[[PrivateMessage], dict[str, object]]) -> Callable[[], Case]:
    """Words of member 0, changed on their way."""

    def case() -> Case:
        honest = member(0).protect(b"at east gate", authenticated_data=b"context", random=seeded("text"))[1]
        message = MLSMessage.unwrap(honest)
        assert isinstance(message, PrivateMessage)
        return read_by(member(1), MLSMessage.wrap(replace(message, **change(message))), honest)  # type: ignore[arg-type]

    return case


OPENS = "does not open"


@table(
    Row(
        "6.3.1",
        "the authenticated data is what it was",
        private(lambda m: {"authenticated_data": b"x"}),
        DecryptionFailed,
        OPENS,
    ),
    Row("6.3.2", "the content type is what it was", private(lambda m: {"content_type": 2}), DecryptionFailed, OPENS),
    Row("6.3", "the content type is known", private(lambda m: {"content_type": 4}), DecodeError, "content type 4"),
    Row("6.3", "there is a content type", private(lambda m: {"content_type": 0}), DecodeError, "content type 0"),
    Row("6.3.2", "the epoch is this one", private(lambda m: {"epoch": 2}), WrongEpoch, "message of epoch 2"),
    Row("6.3.2", "the group is this one", private(lambda m: {"group_id": b"another"}), WrongGroup, "message of group"),
    Row(
        "6.3.1",
        "the ciphertext is whole",
        private(lambda m: {"ciphertext": m.ciphertext[:-1]}),
        DecryptionFailed,
        OPENS,
    ),
    Row(
        "6.3.1",
        "the ciphertext holds a tag",
        private(lambda m: {"ciphertext": m.ciphertext[:8]}),
        DecryptionFailed,
        OPENS,
    ),
    Row("6.3.1", "there is a ciphertext", private(lambda m: {"ciphertext": b""}), DecryptionFailed, OPENS),
    Row(
        "6.3.1",
        "the ciphertext is no longer",
        private(lambda m: {"ciphertext": m.ciphertext + b"\0"}),
        DecryptionFailed,
        OPENS,
    ),
    Row("6.3.2", "there is sender data", private(lambda m: {"encrypted_sender_data": b""}), DecryptionFailed, OPENS),
    Row(
        "6.3.2",
        "the sender data is what it was",
        private(lambda m: {"encrypted_sender_data": bytes(len(m.encrypted_sender_data))}),
        DecryptionFailed,
        OPENS,
    ),
)
def test_a_private_message_changed_on_its_way(row: Row) -> None:
    judge(row)


def _signed(group: Group, inner: Content, *, wire_format: int = 2) -> AuthenticatedContent:
    content = FramedContent(group.group_id, group.epoch, MemberSender(group.own_leaf_index), b"", inner)
    return AuthenticatedContent.sign(SUITE, wire_format, content, group.context, group.signature_private_key)


def _sealed(group: Group, inner: Content, plaintext: bytes, *, sender: int | None = None) -> bytes:
    """A plaintext sealed with the next key of this member, or of another."""
    content = FramedContent(group.group_id, group.epoch, MemberSender(0), b"", inner)
    leaf = group.own_leaf_index if sender is None else sender
    return group.message_keys().seal_content(leaf, content, plaintext, seeded("guard"))[0]


INNER = ApplicationData(b"x")


def gone() -> tuple[Group, Group]:
    """Members 0 and 1 once member 2 was removed."""
    world = World(SUITE, 4, seed="gone")
    world.accept(b"member 0", world[b"member 0"].commit([Remove(2)], random=world.random))
    return world[b"member 0"], world[b"member 1"]


def inside(
    plaintext: Callable[[Group, bytes], bytes], *, sender: int | None = None, outside: bool = False
) -> Callable[[], Case]:
    """What member 0 seals; `plaintext` is made of the honest one."""

    def case() -> Case:
        group, reader = gone()
        honest = private_content(_signed(group, INNER).auth, INNER, 1)
        sealer = replace(group, secret_tree=SecretTree.start(8, bytes(32))) if outside else group
        hostile = _sealed(sealer, INNER, plaintext(group, honest), sender=sender)
        return read_by(reader, hostile, _sealed(group, INNER, honest + b"\0\0"))

    return case


def for_public(group: Group, honest: bytes) -> bytes:
    return private_content(_signed(group, INNER, wire_format=1).auth, INNER, 1)


def unchanged(group: Group, honest: bytes) -> bytes:
    return honest


def handshake(inner: Content, *, tagged: bool = False) -> Callable[[], Case]:
    """A handshake of member 0, sealed; the honest one is a Remove of member 3."""

    def case() -> Case:
        group = member(0)
        signed, fair = _signed(group, inner), ProposalContent(Remove(3))
        if tagged:
            signed = signed.with_confirmation_tag(bytes(32))
        honest = _sealed(group, fair, private_content(_signed(group, fair).auth, fair, 1))
        return read_by(member(1), _sealed(group, inner, private_content(signed.auth, inner, 1)), honest)

    return case


def late_handshake() -> Case:
    world = World(SUITE, 3, seed="late")
    group = world[b"member 0"]
    fair = ProposalContent(Remove(2))
    message = _sealed(group, fair, private_content(_signed(group, fair).auth, fair, 1))
    before = world[b"member 1"]
    world.accept(b"member 2", world[b"member 2"].commit(random=world.random))
    after = world[b"member 1"]
    return Case(
        [lambda: after.process(message, now_seconds=NOW)],
        [lambda: before.process(message, now_seconds=NOW)],
        state_of(after),
    )


@table(
    Row(
        "6.3.1",
        "the padding is zero",
        inside(lambda g, honest: honest + b"\0\1"),
        InvalidMessage,
        "padding that is not zero",
    ),
    Row("6.3.1", "the plaintext is whole", inside(lambda g, honest: honest[:-1]), DecodeError, "expected"),
    Row("6.3.1", "there is a plaintext", inside(lambda g, honest: b""), DecodeError, "nothing left"),
    Row("6.1", "what is sealed was signed to be sealed", inside(for_public), BadSignature, "FramedContentTBS"),
    Row(
        "6.1",
        "the signature is that of the sealing member",
        inside(unchanged, sender=3),
        BadSignature,
        "FramedContentTBS",
    ),
    Row("6.3.2", "the sealing member is not blank", inside(unchanged, sender=2), InvalidMessage, NO_MEMBER),
    Row(
        "6.3.2",
        "the sealing member is inside the tree",
        inside(unchanged, sender=7, outside=True),
        InvalidMessage,
        NO_MEMBER,
    ),
    Row(
        "12.1.3",
        "a sealed proposal is judged",
        handshake(ProposalContent(Remove(9))),
        InvalidProposal,
        "where nobody is",
    ),
    Row(
        "12.4", "a sealed Commit is judged", handshake(Commit((), None), tagged=True), InvalidCommit, "without the path"
    ),
    Row(
        "15.3",
        "a sealed handshake is of this epoch",
        late_handshake,
        WrongEpoch,
        "message of epoch 1, group in epoch 2",
    ),
)
def test_what_a_member_seals(row: Row) -> None:
    judge(row)


def test_framed_content_is_what_was_signed() -> None:
    content = FramedContent(b"g", 1, MemberSender(0), b"", Commit((), None))
    assert FramedContent.decode(content.encode()) == content
    assert content.content_type == 3
