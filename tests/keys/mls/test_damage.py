"""Bits flipped everywhere, by outsiders and by insiders who sign what they damaged: only our own errors come out."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.mls import Add, DecodeError, Group, MLSError, PendingCommit, PublicGroup, Remove, cipher_suite
from keys.mls.framing import ProposalContent
from keys.mls.messages import Commit, PreSharedKey
from keys.mls.tree import Tree
from tests.keys.mls.insider import commit_of, info_for, send
from tests.keys.mls.people import NOW, Person, World

SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")


def _world() -> World:
    world = World(SUITE, 6)
    world.accept(b"member 4", world[b"member 4"].commit(random=world.random))
    world.add(b"member 2", [Person.named(SUITE, b"late")], path=False)
    return world


WORLD = _world()
PACKAGE, SECRETS = GUEST.key_package()
PENDING = WORLD[b"member 0"].commit(
    [Add(PACKAGE), Remove(3), PreSharedKey.external(SUITE, b"id", WORLD.random)],
    psks={b"id": b"words"},
    random=WORLD.random,
)
COMMIT = commit_of(PENDING.message)
PROPOSAL = WORLD[b"member 0"].propose(Add(PACKAGE), random=WORLD.random)[1]
TEXT = WORLD[b"member 0"].protect(b"at east gate", random=WORLD.random)[1]
WELCOME = PENDING.welcome or b""
TREE = PENDING.group.tree_bytes()

places = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=3)


def damaged(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, mask in changes:
        changed[place % len(data)] ^= mask
    return bytes(changed)


def judge(message: bytes) -> None:
    """A member and the Delivery Service refuse it with an error of this package."""
    with contextlib.suppress(MLSError):
        WORLD.public.stage(message, NOW)
    with pytest.raises(MLSError):
        WORLD[b"member 1"].process(message, now_seconds=NOW, psks={b"id": b"words"})


@pytest.mark.parametrize(
    "message",
    [pytest.param(PENDING.message, id="commit"), pytest.param(PROPOSAL, id="proposal"), pytest.param(TEXT, id="text")],
)
@settings(max_examples=80, deadline=None)
@given(changes=places)
def test_messages_damaged_on_the_way(message: bytes, changes: list[tuple[int, int]]) -> None:
    if damaged(message, changes) != message:
        judge(damaged(message, changes))


@settings(max_examples=150, deadline=None)
@given(changes=places)
def test_commits_damaged_and_signed(changes: list[tuple[int, int]]) -> None:
    try:
        commit = Commit.decode(damaged(COMMIT.encode(), changes))
    except DecodeError:
        return
    judge(send(WORLD[b"member 0"], commit))


@settings(max_examples=100, deadline=None)
@given(changes=places)
def test_proposals_damaged_and_signed(changes: list[tuple[int, int]]) -> None:
    try:
        content = ProposalContent.decode(damaged(ProposalContent(Add(PACKAGE)).encode(), changes))
    except DecodeError:
        return
    message = send(WORLD[b"member 0"], content)
    for step in (
        lambda: WORLD.public.proposal(message, NOW),
        lambda: WORLD[b"member 1"].process(message, now_seconds=NOW),
    ):
        with contextlib.suppress(MLSError):
            step()


@settings(max_examples=150, deadline=None)
@given(changes=places)
def test_trees_damaged_and_signed(changes: list[tuple[int, int]]) -> None:
    data = damaged(TREE, changes)
    try:
        tree = Tree.decode(SUITE, data)
        info = info_for(PENDING.group, tree)
    except MLSError:
        return
    if data != TREE:
        with pytest.raises(MLSError):
            PublicGroup.from_info(SUITE, info, data, WORLD.auth, None)


def _join(welcome: bytes) -> object:
    key = GUEST.signature_private_key
    return Group.join(welcome, PACKAGE, SECRETS, key, WORLD.auth, ratchet_tree=TREE, psks={b"id": b"words"})


def _load(data: bytes) -> object:
    return PendingCommit.decode(data, WORLD.auth)


@pytest.mark.parametrize(
    ("data", "step", "harmless"),
    [
        pytest.param(WELCOME, _join, False, id="welcome"),
        pytest.param(PENDING.encode(), _load, True, id="state of a member"),
        pytest.param(WORLD.public.encode(), lambda data: PublicGroup.decode(data, WORLD.auth), True, id="public state"),
    ],
)
@settings(max_examples=60, deadline=None)
@given(changes=places)
def test_welcomes_and_states_damaged(
    data: bytes, step: Callable[[bytes], object], harmless: bool, changes: list[tuple[int, int]]
) -> None:
    changed = damaged(data, changes)
    if changed == data:
        return
    with contextlib.suppress(MLSError) if harmless else pytest.raises(MLSError):
        step(changed)
