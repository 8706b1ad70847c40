"""What is seen of a message from outside."""

import pytest

from keys.mls import (
    DecodeError,
    MLSMessage,
    cipher_suite,
    is_private_message,
    outside_private_message,
    peek,
)
from keys.mls.framing import (
    PrivateMessage,
)
from tests.keys.mls.people import Person, World

SUITE = cipher_suite(1)


def sealed(world: World) -> PrivateMessage:
    _, message = world[b"member 0"].protect(b"at east gate", authenticated_data=b"context", random=world.random)
    private = MLSMessage.unwrap(message)
    assert isinstance(private, PrivateMessage)
    return private


def seen_as(message: bytes, group_id: bytes, epoch: int, content_type: int, authenticated_data: bytes) -> bool:
    return is_private_message(message, outside_private_message(group_id, epoch, content_type), authenticated_data)


def test_a_key_package_is_seen_for_what_it_is() -> None:
    package, _ = Person.named(SUITE, b"x").key_package()
    seen = peek(MLSMessage.wrap(package))
    assert (seen.wire_format, seen.cipher_suite, seen.epoch) == (5, 1, None)


def test_the_outside_is_compared_as_peek_would() -> None:
    world = World(SUITE, 2)
    message = MLSMessage.wrap(sealed(world))
    outside = (b"the group", 1, 1, b"context")
    assert seen_as(message, *outside)
    seen = peek(message)
    assert (seen.group_id, seen.epoch, seen.content_type, seen.authenticated_data) == outside
    for other in (
        (b"the grou", 1, 1, b"context"),
        (b"the group", 2, 1, b"context"),
        (b"the group", 1, 2, b"context"),
        (b"the group", 1, 1, b"contex"),
        (b"the group", 1, 1, b"context2"),
    ):
        assert not seen_as(message, *other)
    assert not seen_as(message + b"\0", *outside)
    assert not seen_as(world[b"member 0"].group_info(), *outside)
    for cut in range(len(message)):
        assert not seen_as(message[:cut], *outside)
        with pytest.raises(DecodeError):
            peek(message[:cut])
