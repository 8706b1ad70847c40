"""PrivateMessages with one thing wrong, by outsiders and by members."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keys.mls import (
    BadSignature,
    BadTag,
    DecodeError,
    DecryptionFailed,
    Group,
    InvalidMessage,
    MLSError,
    MLSMessage,
    ProposalReceived,
    Remove,
    cipher_suite,
    is_private_message,
    peek,
)
from keys.mls.framing import (
    ApplicationData,
    AuthenticatedContent,
    FramedContent,
    MemberSender,
    PrivateMessage,
    ProposalContent,
    private_content,
)
from keys.mls.messages import Commit
from keys.mls.secrettree import SecretTree
from tests.keys.mls.insider import path_of
from tests.keys.mls.people import NOW, Person, World

SUITE = cipher_suite(1)


def sealed(world: World) -> PrivateMessage:
    _, message = world[b"member 0"].protect(b"at east gate", authenticated_data=b"context", random=world.random)
    private = MLSMessage.unwrap(message)
    assert isinstance(private, PrivateMessage)
    return private


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(lambda m: {"authenticated_data": b"other"}, DecryptionFailed, id="authenticated data"),
        pytest.param(lambda m: {"content_type": 2}, DecryptionFailed, id="content type"),
        pytest.param(lambda m: {"content_type": 0}, DecodeError, id="no content type"),
        pytest.param(lambda m: {"content_type": 4}, DecodeError, id="unknown content type"),
        pytest.param(lambda m: {"ciphertext": m.ciphertext[:-1]}, DecryptionFailed, id="cut"),
        pytest.param(lambda m: {"ciphertext": m.ciphertext[:8]}, DecryptionFailed, id="cut to nearly nothing"),
        pytest.param(lambda m: {"ciphertext": b""}, DecryptionFailed, id="nothing"),
        pytest.param(lambda m: {"ciphertext": m.ciphertext + b"\0"}, DecryptionFailed, id="lengthened"),
        pytest.param(lambda m: {"encrypted_sender_data": b""}, DecryptionFailed, id="no sender data"),
        pytest.param(
            lambda m: {"encrypted_sender_data": bytes(len(m.encrypted_sender_data))},
            DecryptionFailed,
            id="other sender data",
        ),
    ],
)
def test_damaged_on_the_way(change: Callable[[PrivateMessage], dict[str, object]], error: type[MLSError]) -> None:
    world = World(SUITE, 3)
    message = sealed(world)
    damaged = MLSMessage.wrap(replace(message, **change(message)))  # type: ignore[arg-type]
    before = dict(world[b"member 1"].parts())
    with pytest.raises(error):
        world[b"member 1"].process(damaged, now_seconds=NOW)
    assert dict(world[b"member 1"].parts()) == before


def say(group: Group, plaintext: bytes, *, sender: int | None = None, content_type: int = 1) -> bytes:
    """An encoded PrivateMessageContent sealed with this group's next key."""
    inner = ApplicationData(b"") if content_type == 1 else ProposalContent(Remove(1))
    if content_type == 3:
        framed = FramedContent(group.group_id, group.epoch, MemberSender(0), b"", Commit((), None))
    else:
        framed = FramedContent(group.group_id, group.epoch, MemberSender(0), b"", inner)
    leaf = group.own_leaf_index if sender is None else sender
    return group.message_keys().seal_content(leaf, framed, plaintext, lambda length: bytes(length))[0]


def signed(
    group: Group, inner: ApplicationData | ProposalContent | Commit, wire_format: int = 2
) -> AuthenticatedContent:
    framed = FramedContent(group.group_id, group.epoch, MemberSender(group.own_leaf_index), b"", inner)
    return AuthenticatedContent.sign(SUITE, wire_format, framed, group.context, group.signature_private_key)


def test_what_a_member_can_seal_but_others_refuse() -> None:
    world = World(SUITE, 4)
    world.accept(b"member 0", world[b"member 0"].commit([Remove(2)], random=world.random))
    group, reader = world[b"member 0"], world[b"member 1"]
    inner = ApplicationData(b"x")
    honest = private_content(signed(group, inner).auth, inner, 1)
    public = private_content(signed(group, inner, wire_format=1).auth, inner, 1)
    for message, error in (
        (say(group, honest + b"\0\0"), None),
        (say(group, honest + b"\0\1"), InvalidMessage),
        (say(group, honest[:-1]), DecodeError),
        (say(group, b""), DecodeError),
        (say(group, public), BadSignature),
        (say(group, honest, sender=3), BadSignature),
        (say(group, honest, sender=2), InvalidMessage),
        (say(replace(group, secret_tree=SecretTree.start(8, bytes(32))), honest, sender=7), InvalidMessage),
    ):
        if error is None:
            reader.process(message, now_seconds=NOW)
            continue
        with pytest.raises(error):
            reader.process(message, now_seconds=NOW)


def test_handshakes_may_come_sealed() -> None:
    world = World(SUITE, 3)
    group, reader = world[b"member 0"], world[b"member 1"]
    inner = ProposalContent(Remove(2))
    message = say(group, private_content(signed(group, inner).auth, inner, 1), content_type=2)
    after, received = reader.process(message, now_seconds=NOW)
    assert isinstance(received, ProposalReceived)
    assert [sent.proposal for sent in after.pending_proposals] == [Remove(2)]
    commit = Commit((), path_of(group))
    content = signed(group, commit).with_confirmation_tag(bytes(32))
    message = say(group, private_content(content.auth, commit, 1), content_type=3)
    with pytest.raises(BadTag):
        reader.process(message, now_seconds=NOW)
    world.accept(b"member 2", world[b"member 2"].commit(random=world.random))
    late = say(group, private_content(signed(group, inner).auth, inner, 1), content_type=2)
    with pytest.raises(MLSError, match="epoch 1"):
        world[b"member 1"].process(late, now_seconds=NOW)


def test_a_key_package_is_seen_for_what_it_is() -> None:
    package, _ = Person.named(SUITE, b"x").key_package()
    seen = peek(MLSMessage.wrap(package))
    assert (seen.wire_format, seen.cipher_suite, seen.epoch) == (5, 1, None)


def test_the_outside_is_compared_as_peek_would() -> None:
    world = World(SUITE, 2)
    message = MLSMessage.wrap(sealed(world))
    outside = (b"the group", 1, 1, b"context")
    assert is_private_message(message, *outside)
    seen = peek(message)
    assert (seen.group_id, seen.epoch, seen.content_type, seen.authenticated_data) == outside
    for other in (
        (b"the grou", 1, 1, b"context"),
        (b"the group", 2, 1, b"context"),
        (b"the group", 1, 2, b"context"),
        (b"the group", 1, 1, b"contex"),
        (b"the group", 1, 1, b"context2"),
    ):
        assert not is_private_message(message, *other)
    assert not is_private_message(message + b"\0", *outside)
    assert not is_private_message(world[b"member 0"].group_info(), *outside)
    for cut in range(len(message)):
        assert not is_private_message(message[:cut], *outside)
        with pytest.raises(DecodeError):
            peek(message[:cut])
