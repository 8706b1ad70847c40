"""What of MLS is decoded beside a message: a group as it is kept and as it is published, and what a small world makes of each."""

from __future__ import annotations

import functools

from keys.mls import Add, CipherSuite, Group, MLSMessage, PendingCommit, PublicGroup, cipher_suite
from keys.mls.blocks import decode_block
from keys.mls.errors import MLSError
from keys.mls.external import Entrance
from keys.mls.framing import PUBLIC_MESSAGE, AuthenticatedContent, PublicMessage, read_private_content
from keys.mls.parts import join_parts, split_parts
from keys.mls.public import read_group_info
from keys.mls.secrettree import decode_nodes
from tests.fuzz.seeds import Late
from tests.fuzz.target import Target
from tests.keys.mls.people import NOW, Names, Person, World, seeded

AUTH = Names()
SUITE: CipherSuite = cipher_suite(1)


@functools.cache
def world() -> World:
    """Three people of one group, a message apart."""
    made = World(SUITE, 3)
    made.say(b"member 1")
    return made


@functools.cache
def pending() -> PendingCommit:
    return world()[b"member 0"].commit([], random=seeded("pending"))


@functools.cache
def said() -> bytes:
    _, message = world()[b"member 1"].protect(b"at east gate", padding=64, random=seeded("said"))
    return message


@functools.cache
def committed() -> PendingCommit:
    """Another's Commit, which adds somebody."""
    package, _ = Person.named(SUITE, b"late").key_package()
    return world()[b"member 1"].commit([Add(package)], random=seeded("committed"))


def content() -> AuthenticatedContent:
    message = MLSMessage.unwrap(committed().message)
    assert isinstance(message, PublicMessage)
    return AuthenticatedContent(PUBLIC_MESSAGE, message.framed, message.auth)


def _part(name: str) -> bytes:
    return next(content for part, content in world()[b"member 0"].parts().items() if part.startswith(name))


def _loaded(data: bytes) -> Group:
    return Group.load(split_parts(data), AUTH)


GROUPS: dict[str, Target] = {
    "mls-group": Target(
        _loaded,
        (MLSError,),
        Late(lambda: join_parts(world()[b"member 0"].parts())),
    ),
    "mls-public-group": Target(
        lambda data: PublicGroup.decode(data, AUTH),
        (MLSError,),
        Late(lambda: world().public.encode()),
    ),
    "mls-pending": Target(
        lambda data: PendingCommit.decode(data, AUTH),
        (MLSError,),
        Late(lambda: pending().encode()),
    ),
    "mls-process": Target(
        lambda data: world()[b"member 0"].process(data, now_seconds=NOW),
        (MLSError,),
        Late(said, lambda: committed().message),
    ),
    "mls-stage": Target(
        lambda data: world().public.stage(data, NOW),
        (MLSError,),
        Late(lambda: pending().message, lambda: committed().message),
    ),
    "mls-group-info": Target(read_group_info, (MLSError,), Late(lambda: pending().group_info)),
    "mls-entrance": Target(
        lambda data: Entrance.read(data, world().public.tree_bytes(), AUTH, NOW),
        (MLSError,),
        Late(lambda: world()[b"member 0"].group_info(external=True)),
    ),
    "mls-content": Target(
        AuthenticatedContent.decode, (MLSError,), Late(lambda: content().encode()), back=lambda one: one.encode()
    ),
    "mls-private-content": Target(
        lambda data: [read_private_content(data[1:], kind) for kind in (data[0] % 3 + 1,)] if data else None,
        (MLSError,),
        (b"\x00\x05hello\x00\x00\x00",),
    ),
    "mls-tree-block": Target(lambda data: decode_block(data, 4), (MLSError,), Late(lambda: _part("tree-"))),
    "mls-secret-nodes": Target(decode_nodes, (MLSError,), Late(lambda: _part("secret-tree-"))),
}
