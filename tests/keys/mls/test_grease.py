"""Extensibility (RFC 9420 sections 11.1, 13.4 and 13.5): what is unknown is kept and ignored, or refused, as it must."""

from collections import Counter
from dataclasses import replace

import pytest

from keys.mls import (
    REQUIRED_CAPABILITIES,
    Add,
    Capabilities,
    Credential,
    DecodeError,
    Extension,
    Group,
    GroupContextExtensions,
    InvalidLeafNode,
    InvalidProposal,
    KeyPackage,
    KeyPackageSecrets,
    MemberSender,
    Proposal,
    PublicGroup,
    Remove,
    RequiredCapabilities,
    SentProposal,
    cipher_suite,
    grease_extension,
    new_capabilities,
    new_key_package,
)
from keys.mls.codec import decode_all, encode_with
from keys.mls.framing import ProposalContent
from keys.mls.grease import MOST_DATA, VALUES, genuine, greased
from keys.mls.leaves import NOWHERE, sign_leaf
from keys.mls.messages import proposal as proposal_codec
from keys.mls.nodes import RATCHET_TREE
from keys.mls.public import MAX_PROPOSALS, read_group_info
from keys.mls.welcoming import make_welcome
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.insider import commit_to, info_with, send
from tests.keys.mls.outsiders import come_in, enter
from tests.keys.mls.people import DAY, NOW, Person, World, seeded

SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")
LEAST = new_capabilities(SUITE, GUEST.credential)
CHARTER = Extension(0xF0A0, b"\x00anything\xff")
ABLE = Capabilities((1,), (1,), (0xF0A0, 0xF0A1), (0xF0A2,), (1,))


UNABLE = r"lacks a required|does not list the group's"

# What we send


def test_the_values_are_the_registered_ones() -> None:
    assert [f"{value:04x}" for value in VALUES] == [f"{digit}a{digit}a" for digit in "0123456789abcde"]


@pytest.mark.parametrize("seed", range(8))
def test_one_value_more_in_each_list_that_may_hold_some(seed: int) -> None:
    known = Capabilities((1,), (1, 2, 3), (0xF0A0,), (), (1, 2))
    more = greased(known, seeded(seed))
    assert more.versions == known.versions
    for before, after in (
        (known.cipher_suites, more.cipher_suites),
        (known.extensions, more.extensions),
        (known.proposals, more.proposals),
        (known.credentials, more.credentials),
    ):
        extra = Counter(after) - Counter(before)
        assert extra.total() == 1
        assert set(extra) <= set(VALUES)
    assert genuine(more) == known


def test_grease_comes_on_request() -> None:
    plain = new_capabilities(SUITE, GUEST.credential, (0xF0A0, 3), (0x000A, 1))
    assert plain == Capabilities((1,), (1,), (0xF0A0,), (0x000A,), (1,))
    assert genuine(new_capabilities(SUITE, GUEST.credential, grease=seeded(1))) == LEAST
    drawn = {grease_extension(seeded(seed)) for seed in range(40)}
    assert len({extension.extension_type for extension in drawn}) > 5
    assert max(len(extension.extension_data) for extension in drawn) <= MOST_DATA


def grease_everywhere(person: Person) -> tuple[KeyPackage, KeyPackageSecrets]:
    """A KeyPackage with GREASE in capabilities, leaf extensions and its own extensions."""
    random = seeded(("grease", person.credential.identity))
    beside, inside = Extension(VALUES[3], b"beside"), Extension(VALUES[4], b"inside")
    can = new_capabilities(SUITE, person.credential, (*VALUES[3:5], VALUES[9]), grease=random)
    package, secrets = new_key_package(
        SUITE,
        person.credential,
        person.signature_private_key,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
        random=random,
        extensions=(beside,),
        capabilities=can,
    )
    leaf = sign_leaf(SUITE, replace(package.leaf_node, extensions=(inside,)), person.signature_private_key, NOWHERE)
    unsigned = replace(package, leaf_node=leaf)
    signature = SUITE.sign_with_label(person.signature_private_key, b"KeyPackageTBS", unsigned.to_be_signed())
    return replace(unsigned, signature=signature), secrets


def test_grease_everywhere_is_ignored_and_kept() -> None:
    world = World(SUITE, 2)
    package, secrets = grease_everywhere(GUEST)
    pending = world[b"member 0"].commit([Add(package)], random=world.random)
    world.accept(b"member 0", pending)
    world.welcome(pending, GUEST, package, secrets)
    for name in list(world.groups):
        world.accept(name, world[name].commit(random=world.random))
        world.say(name)
    leaf = world.public.tree.leaf(2)
    assert leaf is not None
    assert leaf.capabilities == package.leaf_node.capabilities
    assert leaf.extensions == (Extension(VALUES[4], b"inside"),)


def test_a_group_info_with_grease_lets_in() -> None:
    world = World(SUITE, 2)
    info = world[b"member 1"].group_info(
        external=True, with_tree=True, extensions=(grease_extension(seeded(1)), Extension(0xF123, b"unknown"))
    )
    PublicGroup.create(SUITE, info, world.public.tree_bytes(), world.auth)
    pending = Group.join_externally(
        info,
        GUEST.credential,
        GUEST.signature_private_key,
        world.auth,
        random=world.random,
        capabilities=new_capabilities(SUITE, GUEST.credential, grease=world.random),
    )
    come_in(world, GUEST, pending)
    world.say(b"guest")


# What a leaf says beside its keys


def test_a_leaf_has_extensions_from_the_start_or_later() -> None:
    nick, other = Extension(0x0001, b"application id"), Extension(0xF0B0, b"more")
    package, secrets = new_key_package(
        SUITE,
        GUEST.credential,
        GUEST.signature_private_key,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
        random=seeded(1),
        leaf_extensions=(nick, other),
    )
    assert package.leaf_node.capabilities.extensions == (0xF0B0,)
    world = World(SUITE, 2)
    pending = world[b"member 0"].commit([Add(package)], random=world.random)
    world.accept(b"member 0", pending)
    world.welcome(pending, GUEST, package, secrets)
    world.accept(b"guest", world[b"guest"].commit(random=world.random))
    assert world[b"guest"].own_leaf.extensions == (nick, other)
    world.accept(b"guest", world[b"guest"].commit(random=world.random, leaf_extensions=(nick,), path=False))
    assert world[b"guest"].own_leaf.extensions == (nick,)
    pending = Group.join_externally(
        world[b"member 0"].group_info(external=True, with_tree=True),
        GUEST.credential,
        GUEST.signature_private_key,
        world.auth,
        random=world.random,
        remove=2,
        leaf_extensions=(other,),
    )
    come_in(world, GUEST, pending)
    assert world[b"guest"].own_leaf.extensions == (other,)
    founder = Group.create(
        SUITE,
        b"g",
        GUEST.credential,
        GUEST.signature_private_key,
        world.auth,
        not_before=NOW,
        not_after=NOW + DAY,
        random=world.random,
        leaf_extensions=(other,),
    )
    assert founder.own_leaf.extensions == (other,)


def test_members_learn_something_and_then_the_group_uses_it() -> None:
    """Capabilities change with a leaf, by Update or Commit; only then may a GroupContext ask for them."""
    world = World(SUITE, 2)
    change = GroupContextExtensions((CHARTER,))
    able = new_capabilities(SUITE, GUEST.credential, (0xF0A0,))
    world.propose(b"member 1", world[b"member 1"].propose_update(capabilities=able, random=world.random))
    world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    assert world[b"member 1"].own_leaf.capabilities == able
    with pytest.raises(InvalidLeafNode, match=UNABLE):
        world[b"member 0"].commit([change], random=world.random)
    world.accept(b"member 0", world[b"member 0"].commit([change], capabilities=able, random=world.random))
    assert world.public.context.extensions == (CHARTER,)
    with pytest.raises(InvalidLeafNode, match=UNABLE):
        world[b"member 1"].commit(capabilities=LEAST, random=world.random)


# What we take for unknown


def test_our_own_grease_is_nothing_that_we_can() -> None:
    """Section 13.5: a group that uses such a value is one that we can't be in, though our leaf seems to say so."""
    odd = Extension(VALUES[0], b"")
    able = Capabilities((1,), (1,), (VALUES[0],), (VALUES[1],), (1,))
    asked = Extension(REQUIRED_CAPABILITIES, RequiredCapabilities((), (VALUES[1],), ()).encode())
    for extension in (odd, asked):
        with pytest.raises(InvalidLeafNode):
            World(SUITE, 1, extensions=(extension,), capabilities=able)
        world = World(SUITE, 3, capabilities=able)
        with pytest.raises(InvalidLeafNode):
            world[b"member 0"].commit([GroupContextExtensions((extension,))], random=world.random)
        before = dict(world[b"member 1"].parts())
        message = commit_to(world[b"member 0"], [GroupContextExtensions((extension,))])
        with pytest.raises(InvalidLeafNode):
            world[b"member 1"].process(message, now_seconds=NOW)
        assert dict(world[b"member 1"].parts()) == before


def test_a_group_that_uses_our_grease_is_not_joined() -> None:
    odd, able = Extension(VALUES[0], b""), Capabilities((1,), (1,), (VALUES[0],), (), (1,))
    world = World(SUITE, 2, capabilities=able)
    package, secrets = GUEST.key_package(capabilities=able)
    group = world[b"member 0"]
    made = group.participant().commit(
        [SentProposal(Add(package), MemberSender(0), None)],
        authenticated_data=b"",
        identity=None,
        psks={},
        path=False,
        now_seconds=None,
        random=world.random,
    )
    after = group.advanced(made.advance)
    info = info_with(after, extensions=(odd,))
    welcome = make_welcome(SUITE, read_group_info(info), made.joiner_secrets, made.joiners)
    with pytest.raises(InvalidLeafNode, match=UNABLE):
        Group.join(
            welcome,
            package,
            secrets,
            GUEST.signature_private_key,
            world.auth,
            ratchet_tree=after.tree_bytes(),
        )


@pytest.mark.parametrize("proposal_type", [0x0008, VALUES[0], 0xF000], ids=hex)
def test_an_unknown_proposal_is_no_message(proposal_type: int) -> None:
    world = World(SUITE, 2)
    with pytest.raises(DecodeError, match="unknown tag"):
        decode_all(proposal_codec, proposal_type.to_bytes(2) + b"\0\0")
    message = send(world[b"member 0"], ProposalContent(Remove(1)))
    known, unknown = encode_with(proposal_codec, Remove(1)), proposal_type.to_bytes(2) + bytes(4)
    assert message.count(known) == 1
    with pytest.raises(DecodeError, match="unknown tag"):
        world[b"member 1"].process(message.replace(known, unknown), now_seconds=NOW)


@pytest.mark.parametrize("credential_type", [0, 5, VALUES[0]], ids=hex)
def test_an_unknown_credential_is_no_credential(credential_type: int) -> None:
    encoded = credential_type.to_bytes(2) + Credential.basic(b"x").encode()[2:]
    with pytest.raises(DecodeError, match="credential type"):
        Credential.decode(encoded)


# GroupContextExtensions and required capabilities


def test_unknown_extensions_are_kept_byte_for_byte() -> None:
    world = World(SUITE, 3, extensions=(CHARTER,), capabilities=ABLE)
    later = (Extension(0xF0A1, bytes(range(256))), CHARTER)
    world.accept(b"member 1", world[b"member 1"].commit([GroupContextExtensions(later)], random=world.random))
    assert world[b"member 1"].context.extensions == later
    assert Group.load(world[b"member 2"].parts(), world.auth).context.extensions == later
    come_in(world, GUEST, enter(world, GUEST))
    assert world[b"guest"].context.extension(0xF0A1) == bytes(range(256))
    world.accept(b"guest", world[b"guest"].commit([GroupContextExtensions(())], random=world.random))
    assert world.public.context.extensions == ()


def required(
    extensions: tuple[int, ...] = (), proposals: tuple[int, ...] = (), credentials: tuple[int, ...] = ()
) -> Extension:
    return Extension(REQUIRED_CAPABILITIES, RequiredCapabilities(extensions, proposals, credentials).encode())


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(required((0xF0A1,)), id="an extension"),
        pytest.param(required((), (0xF0A2,)), id="a proposal"),
        pytest.param(required((), (), (1,)), id="a credential"),
        pytest.param(required((1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6, 7), ()), id="defaults"),
    ],
)
def test_what_everybody_can_may_be_asked(asked: Extension) -> None:
    world = World(SUITE, 3, capabilities=ABLE)
    world.accept(b"member 0", world[b"member 0"].commit([GroupContextExtensions((asked,))], random=world.random))
    come_in(world, GUEST, enter(world, GUEST))
    world.add(b"guest", [Person.named(SUITE, b"added")])


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(required((0xF0A1,)), id="an extension"),
        pytest.param(required((), (0xF0A2,)), id="a proposal"),
        pytest.param(required((), (), (2,)), id="a credential"),
        pytest.param(CHARTER, id="by using an extension"),
    ],
)
def test_what_somebody_can_not_is_not_asked(asked: Extension) -> None:
    """Of members, of those added by the same Commit, and of who joins; who is removed by it need not be able."""
    able = new_capabilities(SUITE, Credential.x509([]), (0xF0A0, 0xF0A1), (0xF0A2,))
    world = World(SUITE, 2, capabilities=replace(able, credentials=(1, 2)))
    change = GroupContextExtensions((asked,))
    poor, _ = GUEST.key_package()
    orders: list[list[Proposal]] = [[change, Add(poor)], [Add(poor), change]]
    for proposals in orders:
        with pytest.raises(InvalidLeafNode, match=UNABLE):
            world[b"member 0"].commit(proposals, random=world.random)
        message = forge(world[b"member 0"], proposals)
        for judge in (
            lambda: world[b"member 1"].process(message, now_seconds=NOW),  # noqa: B023
            lambda: world.public.stage(message, NOW),  # noqa: B023
        ):
            with pytest.raises(InvalidLeafNode, match=UNABLE):
                judge()
    world.capabilities = None
    world.add(b"member 0", [GUEST])
    with pytest.raises(InvalidLeafNode, match=UNABLE):
        world[b"member 0"].commit([change], random=world.random)
    removed = Remove(world[b"guest"].own_leaf_index)
    world.accept(b"member 0", world[b"member 0"].commit([change, removed], random=world.random))
    with pytest.raises(InvalidLeafNode, match=UNABLE):
        enter(world, GUEST)


def test_the_tree_is_in_no_context() -> None:
    """Two extensions of one type are refused wherever extensions stand (section 13.4)."""
    world = World(SUITE, 2, capabilities=ABLE)
    twice = GroupContextExtensions((CHARTER, CHARTER))
    with pytest.raises(InvalidLeafNode, match="two extensions"):
        world[b"member 0"].commit([twice], random=world.random)
    doubled = world[b"member 0"].group_info(with_tree=True, extensions=(Extension(RATCHET_TREE, b""),))
    with pytest.raises(InvalidLeafNode, match="two extensions"):
        PublicGroup.create(SUITE, doubled, world.public.tree_bytes(), world.auth)


def test_a_bounded_number_of_proposals_waits() -> None:
    world = World(SUITE, 3)
    message = send(world[b"member 0"], ProposalContent(Remove(2)))
    sent = next(iter(world.public.proposal(message, NOW).proposals.values()))
    many = {number.to_bytes(4): sent for number in range(MAX_PROPOSALS)}
    group = world[b"member 1"]
    full = replace(group, public=replace(group.public, proposals=many))
    with pytest.raises(InvalidProposal, match="more than 4096"):
        full.process(message, now_seconds=NOW)
    assert sent.reference is not None
    again = {**dict(list(many.items())[1:]), sent.reference: sent}
    replace(group, public=replace(group.public, proposals=again)).process(message, now_seconds=NOW)
