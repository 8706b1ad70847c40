"""Joining: a Welcome, a GroupInfo and a tree, each with one thing wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keys.mls import (
    Add,
    BadKey,
    BadSignature,
    BadTag,
    Capabilities,
    DecodeError,
    DecryptionFailed,
    Extension,
    Group,
    InvalidCredential,
    InvalidGroupInfo,
    InvalidLeafNode,
    InvalidTree,
    KeyPackage,
    KeyPackageSecrets,
    MissingPreSharedKey,
    Misuse,
    MLSError,
    MLSMessage,
    NotForUs,
    PendingCommit,
    PreSharedKey,
    PublicGroup,
    Remove,
    Welcome,
    cipher_suite,
    new_key_package,
)
from keys.mls.codec import encode_with
from keys.mls.framing import PublicMessage
from keys.mls.hpke import LOW_ORDER
from keys.mls.messages import GroupInfo, PreSharedKeyID, ResumptionPsk
from keys.mls.nodes import FromCommit, LeafNode, Node, ParentNode, ratchet_tree
from keys.mls.public import read_group_info
from keys.mls.schedule import psk_secret
from keys.mls.tree import Tree
from keys.mls.welcoming import make_welcome
from tests.keys.mls.insider import info_for, info_with, key_package
from tests.keys.mls.people import DAY, NOW, Names, Person, World

SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")


class Invitation:
    """A guest's KeyPackage and a Commit that adds it to a group of four, with what went into its Welcome."""

    def __init__(self, *, path: bool = True) -> None:
        self.world = World(SUITE, 4)
        self.package, self.secrets = GUEST.key_package()
        group = self.world[b"member 1"]
        self.made = group.participant().commit(
            group._gather([Add(self.package)], None),
            authenticated_data=b"",
            identity=None,
            psks={},
            path=path,
            now_seconds=None,
            random=self.world.random,
        )
        after = group.advanced(self.made.advance)
        info = after.group_info()
        welcome = make_welcome(SUITE, read_group_info(info), self.made.joiner_secrets, self.made.joiners)
        self.pending = PendingCommit(group.tagged(self.made.signed), welcome, info, after)

    def join(
        self,
        *,
        welcome: bytes | None = None,
        package: KeyPackage | None = None,
        secrets: KeyPackageSecrets | None = None,
        key: bytes | None = None,
        tree: bytes | None = b"the right one",
        psks: dict[bytes, bytes] | None = None,
        now: int | None = None,
    ) -> Group:
        return Group.join(
            welcome or self.pending.welcome or b"",
            package or self.package,
            secrets or self.secrets,
            key or GUEST.signature_private_key,
            self.world.auth,
            ratchet_tree=self.pending.group.tree_bytes() if tree == b"the right one" else tree,
            psks=psks,
            now_seconds=now,
        )

    def forged(self, tree: Tree | None = None, info: GroupInfo | None = None, **secrets: object) -> bytes:
        """A Welcome by member 1, who knows all that goes into one, with other contents."""
        group = self.pending.group
        chosen = info or info_for(group, tree or group.tree)
        changed = self.made.joiner_secrets._replace(**secrets)  # type: ignore[arg-type]
        return make_welcome(SUITE, chosen, changed, self.made.joiners)


def test_a_guest_joins_with_the_tree_inside_or_beside() -> None:
    invitation = Invitation()
    authenticator = invitation.pending.group.epoch_authenticator
    assert invitation.join().epoch_authenticator == authenticator
    inside = read_group_info(invitation.pending.group.group_info(with_tree=True))
    assert invitation.join(welcome=invitation.forged(info=inside), tree=None).epoch_authenticator == authenticator
    with pytest.raises(Misuse, match="no ratchet tree"):
        invitation.join(tree=None)
    world = World(SUITE, 1)
    pending = world[b"member 0"].commit([Add(invitation.package)], random=world.random, with_tree=True)
    assert invitation.join(welcome=pending.welcome, tree=None).epoch_authenticator == (
        pending.group.epoch_authenticator
    )


def test_the_time_counts_where_one_is_given() -> None:
    invitation = Invitation()
    invitation.join(now=NOW)
    with pytest.raises(InvalidLeafNode, match="lifetime"):
        invitation.join(now=NOW + 28 * DAY)


def test_a_welcome_for_others_is_told_apart() -> None:
    invitation = Invitation()
    other, secrets = GUEST.key_package("another")
    with pytest.raises(NotForUs, match="KeyPackage"):
        invitation.join(package=other, secrets=secrets)
    foreign = Person.named(cipher_suite(3), b"guest")
    package, secrets = foreign.key_package()
    with pytest.raises(NotForUs, match="suite"):
        invitation.join(package=package, secrets=secrets)
    with pytest.raises(DecodeError, match="not a Welcome"):
        invitation.join(welcome=invitation.pending.message)


def test_private_keys_must_be_those_of_the_key_package() -> None:
    invitation = Invitation()
    _, others = GUEST.key_package("another")
    with pytest.raises(DecryptionFailed):
        invitation.join(secrets=replace(invitation.secrets, init_private_key=others.init_private_key))
    wrong = replace(invitation.secrets, encryption_private_key=others.encryption_private_key)
    with pytest.raises(Misuse):
        invitation.join(secrets=wrong)
    with pytest.raises(Misuse):
        invitation.join(key=SUITE.generate_signature_key(invitation.world.random))


def test_a_damaged_welcome_is_refused() -> None:
    invitation = Invitation()
    welcome = MLSMessage.unwrap(invitation.pending.welcome or b"")
    assert isinstance(welcome, Welcome)
    info = bytes([welcome.encrypted_group_info[0] ^ 1]) + welcome.encrypted_group_info[1:]
    with pytest.raises(DecryptionFailed):
        invitation.join(welcome=MLSMessage.wrap(replace(welcome, encrypted_group_info=info)))


def test_pre_shared_keys_of_a_welcome() -> None:
    psk = PreSharedKey.external(SUITE, b"id", World(SUITE, 1).random)
    world, invitation = World(SUITE, 4), Invitation()
    package, _ = GUEST.key_package()
    invitation.pending = world[b"member 1"].commit([Add(package), psk], random=world.random, psks={b"id": b"words"})
    joined = invitation.join(psks={b"id": b"words"})
    assert joined.epoch_authenticator == invitation.pending.group.epoch_authenticator
    with pytest.raises(MissingPreSharedKey):
        invitation.join()
    with pytest.raises(DecryptionFailed):
        invitation.join(psks={b"id": b"other words"})


def test_the_secrets_of_a_welcome() -> None:
    invitation = Invitation()
    honest = invitation.made.joiner_secrets
    resumption = PreSharedKeyID(ResumptionPsk(3, b"g", 1), bytes(32))
    with pytest.raises(MissingPreSharedKey):
        invitation.join(welcome=invitation.forged(psks=(resumption,)))
    twice = PreSharedKey.external(SUITE, b"id", invitation.world.random).psk
    with pytest.raises(InvalidGroupInfo, match="twice"):
        invitation.join(welcome=invitation.forged(psks=(twice, twice)), psks={b"id": b""})
    wrong = {node: bytes(32) for node in honest.path_secrets}
    with pytest.raises(InvalidTree, match="does not give the key"):
        invitation.join(welcome=invitation.forged(path_secrets=wrong))
    with pytest.raises(InvalidTree, match="does not fit"):
        invitation.join(welcome=invitation.forged(path_secrets={}))
    other = SUITE.extract(bytes(32), psk_secret(SUITE, ()))
    with pytest.raises(BadTag):
        invitation.join(welcome=invitation.forged(joiner_secret=bytes(32), member_secret=other))


def test_a_path_secret_for_nothing() -> None:
    """A Commit without a path sets no parent; a Welcome that brings a path secret is not honest."""
    invitation = Invitation(path=False)
    assert invitation.join().epoch == 2
    with pytest.raises(InvalidTree, match="blank"):
        invitation.join(welcome=invitation.forged(path_secrets={7: bytes(32)}))


def test_the_signer_of_a_welcome() -> None:
    invitation = Invitation()
    group = invitation.pending.group
    for signer, error in ((2, BadSignature), (5, InvalidGroupInfo), (99999, InvalidGroupInfo)):
        info = info_for(group, group.tree, signer=signer)
        with pytest.raises(error):
            PublicGroup.from_info(SUITE, info, group.tree_bytes(), invitation.world.auth, None)
    own = replace(group, own_leaf_index=4, signature_private_key=GUEST.signature_private_key)
    info = info_for(own, group.tree)
    with pytest.raises(InvalidGroupInfo, match="joiner"):
        invitation.join(welcome=invitation.forged(info=info, path_secrets={}))


def test_our_leaf_has_to_be_in_the_tree() -> None:
    invitation = Invitation(path=False)
    tree = invitation.pending.group.tree.edit()
    tree.set(8, Person.named(SUITE, b"other").key_package()[0].leaf_node)
    forged = tree.finish()
    with pytest.raises(InvalidGroupInfo, match="our leaf"):
        invitation.join(welcome=invitation.forged(forged, path_secrets={}), tree=forged.encode())


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        pytest.param({"version": 2}, InvalidGroupInfo, "version", id="version"),
        pytest.param({"cipher_suite": 3}, InvalidGroupInfo, "suite", id="suite"),
        pytest.param({"tree_hash": bytes(32)}, InvalidGroupInfo, "tree", id="tree hash"),
        pytest.param({"extensions": (Extension(0xF0A0, b""),) * 2}, InvalidLeafNode, "two extensions", id="twice"),
        pytest.param({"extensions": (Extension(0xF0A0, b""),)}, InvalidLeafNode, "0xf0a0", id="unsupported"),
        pytest.param({"group_id": b"other"}, BadSignature, "verify", id="leaves of another group"),
    ],
)
def test_group_infos_that_are_not_believed(change: dict[str, object], error: type[MLSError], reason: str) -> None:
    world = World(SUITE, 4)
    info = info_with(world[b"member 0"], **change)
    with pytest.raises(error, match=reason):
        PublicGroup.create(SUITE, info, world.public.tree_bytes(), world.auth)


def test_group_infos_for_the_present_epoch_only() -> None:
    world = World(SUITE, 3)
    group = world[b"member 0"]
    public, honest = world.public, group.group_info()
    public.check_group_info(honest, signer=0)
    public.check_group_info(group.group_info(with_tree=True))
    info = read_group_info(honest)
    for message, error in (
        (info_with(group, group_id=b"other"), InvalidGroupInfo),
        (info_with(group, epoch=9), InvalidGroupInfo),
        (info_with(group, (Extension(1, b""), Extension(1, b""))), InvalidLeafNode),
        (MLSMessage.wrap(replace(info, confirmation_tag=bytes(32))), InvalidGroupInfo),
        (MLSMessage.wrap(replace(info, signature=bytes(64))), BadSignature),
        (MLSMessage.wrap(replace(info, signer=1)), BadSignature),
        (group.commit(random=world.random).message, DecodeError),
    ):
        with pytest.raises(error):
            public.check_group_info(message)
    with pytest.raises(InvalidGroupInfo, match="leaf 0, not 1"):
        public.check_group_info(honest, signer=1)
    twice = info_with(group, (Extension(9, b""), Extension(9, b"")))
    with pytest.raises(InvalidLeafNode, match="two extensions"):
        PublicGroup.create(SUITE, twice, public.tree_bytes(), world.auth)


def test_credentials_of_every_leaf_are_asked_for() -> None:
    invitation = Invitation()
    invitation.world.auth.banned.add(b"member 3")
    with pytest.raises(InvalidCredential):
        invitation.join()


# Trees


LATE = Person.named(SUITE, b"late")


def _grown() -> World:
    """Seven members, parents set by several commits; leaf 3 is unmerged at nodes 3 and 7, leaf 7 is blank."""
    world = World(SUITE, 7)
    world.accept(b"member 2", world[b"member 2"].commit([Remove(3)], random=world.random))
    world.accept(b"member 4", world[b"member 4"].commit(random=world.random))
    world.add(b"member 0", [LATE], path=False)
    return world


def _set(place: int, make: Callable[[Node], Node | None]) -> Callable[[World], Tree]:
    def change(world: World) -> Tree:
        edit = world.public.tree.edit()
        node = edit.nodes[place]
        assert node is not None
        edit.set(place, make(node))
        return edit.finish()

    return change


def _parent(**changes: object) -> Callable[[Node], Node]:
    return lambda node: replace(node, **changes)  # type: ignore[arg-type]


def _copied(place: int, source: int) -> Callable[[World], Tree]:
    """A parent with the key of another node."""

    def change(world: World) -> Tree:
        edit = world.public.tree.edit()
        node, other = edit.nodes[place], edit.nodes[source]
        assert node is not None
        assert other is not None
        edit.set(place, replace(node, encryption_key=other.encryption_key))
        return edit.finish()

    return change


def _relate(**changes: object) -> Callable[[World], Tree]:
    """The unmerged leaf changed and signed by its owner."""
    return _set(6, lambda node: key_package(LATE, leaf=changes).leaf_node)


def test_the_grown_tree_is_the_one_the_table_speaks_of() -> None:
    world = _grown()
    tree = world.public.tree
    assert [place for place in range(1, 15, 2) if tree.parent_node(place)] == [1, 3, 7, 9, 11]
    unmerged = [place for place in (1, 3, 7, 9, 11) if 3 in tree.nodes[place].unmerged_leaves]  # type: ignore[union-attr]
    assert unmerged == [3, 7]
    PublicGroup.from_info(SUITE, info_for(world[b"member 0"], tree), tree.encode(), world.auth, None)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        pytest.param(_set(7, _parent(unmerged_leaves=(3, 2))), InvalidTree, "increasing", id="unmerged unsorted"),
        pytest.param(_set(7, _parent(unmerged_leaves=(3, 3))), InvalidTree, "increasing", id="unmerged twice"),
        pytest.param(_set(7, _parent(unmerged_leaves=(3, 7))), InvalidTree, "not a member", id="unmerged blank"),
        pytest.param(_set(11, _parent(unmerged_leaves=(3,))), InvalidTree, "not a member", id="unmerged elsewhere"),
        pytest.param(_set(3, _parent(unmerged_leaves=(900,))), InvalidTree, "not a member", id="unmerged outside"),
        pytest.param(_set(3, _parent(unmerged_leaves=())), InvalidTree, "but not at 3", id="unmerged above only"),
        pytest.param(_set(7, _parent(unmerged_leaves=())), InvalidTree, "parent-hash", id="unmerged below only"),
        pytest.param(_set(7, _parent(unmerged_leaves=(0, 3))), InvalidTree, "but not at", id="unmerged too many"),
        pytest.param(_set(3, _parent(parent_hash=bytes(32))), InvalidTree, "parent-hash", id="a parent hash"),
        pytest.param(
            _set(7, _parent(encryption_key=SUITE.derive_key_pair(b"mallory")[1])),
            InvalidTree,
            "parent-hash",
            id="a root that nobody vouches for",
        ),
        pytest.param(_set(7, _parent(encryption_key=min(LOW_ORDER))), BadKey, "low order", id="an unusable key"),
        pytest.param(_set(11, lambda node: None), InvalidTree, "parent-hash", id="a link of the chain gone"),
        pytest.param(_copied(7, 3), InvalidTree, "twice", id="one key at two parents"),
        pytest.param(_copied(7, 4), InvalidTree, "twice", id="a leaf's key at a parent"),
        pytest.param(
            _set(8, lambda node: replace(node, leaf_node_source=FromCommit(bytes(32)))),  # type: ignore[call-arg]
            InvalidTree,
            "parent-hash",
            id="a leaf's parent hash",
        ),
        pytest.param(
            _set(6, lambda node: replace(node, signature=bytes(64))),  # type: ignore[call-arg]
            BadSignature,
            "verify",
            id="a leaf's signature",
        ),
        pytest.param(
            _relate(capabilities=Capabilities((1,), (1,), (), (), ())),
            InvalidLeafNode,
            "credential type",
            id="a leaf that can't its credential",
        ),
    ],
)
def test_trees_that_members_could_not_have_made(
    change: Callable[[World], Tree], error: type[MLSError], reason: str
) -> None:
    world = _grown()
    tree = change(world)
    info = info_for(world[b"member 0"], tree)
    with pytest.raises(error, match=reason):
        PublicGroup.from_info(SUITE, info, tree.encode(), world.auth, None)


def test_one_signature_key_for_two_members_is_refused() -> None:
    world = World(SUITE, 2)
    package, _ = world.people[1].key_package("twice")
    edit = world.public.tree.edit()
    edit.add_leaf(package.leaf_node)
    tree = edit.finish()
    info = info_for(world[b"member 0"], tree)
    with pytest.raises(InvalidLeafNode, match="one signature key"):
        PublicGroup.from_info(SUITE, info, tree.encode(), world.auth, None)


def _nodes(*nodes: Node | None) -> bytes:
    return encode_with(ratchet_tree, nodes)


LEAF: LeafNode = GUEST.key_package()[0].leaf_node
PARENT = ParentNode(b"key", b"", ())


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        pytest.param(_nodes(), InvalidTree, "last node", id="empty"),
        pytest.param(_nodes(LEAF, None), InvalidTree, "last node", id="a blank at the end"),
        pytest.param(_nodes(LEAF, LEAF), InvalidTree, "kind", id="a leaf for a parent"),
        pytest.param(_nodes(PARENT), InvalidTree, "kind", id="a parent for a leaf"),
        pytest.param(_nodes(*[None] * (1 << 17), LEAF), InvalidTree, "limit", id="too large"),
        pytest.param(_nodes(LEAF) + b"\0", DecodeError, "left over", id="trailing"),
    ],
)
def test_trees_of_no_shape(data: bytes, error: type[MLSError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        Tree.decode(SUITE, data)


def test_a_tree_has_a_largest_size() -> None:
    world = World(SUITE, 2)
    edit = world.public.tree.edit()
    edit.nodes = [LEAF] * ((1 << 17) - 1)
    with pytest.raises(InvalidTree, match="more than"):
        edit.add_leaf(LEAF)


def test_the_right_half_goes_when_it_is_blank() -> None:
    world = World(SUITE, 5)
    assert world.public.tree.leaves == 8
    world.accept(b"member 0", world[b"member 0"].commit([Remove(4), Remove(3), Remove(2)], random=world.random))
    assert world.public.tree.leaves == 2
    world.say(b"member 1")


def test_new_members_know_nothing_of_before() -> None:
    world = World(SUITE, 2)
    _, early = world[b"member 0"].protect(b"before", random=world.random)
    world.add(b"member 0", [GUEST])
    with pytest.raises(MLSError):
        world[b"guest"].process(early, now_seconds=NOW)
    public = MLSMessage.unwrap(world[b"guest"].commit(random=world.random).message)
    assert isinstance(public, PublicMessage)
    package, _ = new_key_package(
        SUITE, GUEST.credential, GUEST.signature_private_key, not_before=0, not_after=1, random=world.random
    )
    with pytest.raises(InvalidLeafNode, match="lifetime"):
        package.verify(SUITE, Names(), NOW)
