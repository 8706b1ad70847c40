"""Proposals from outside (RFC 9420 section 12.1.8): by external senders, and by who wants to be added."""

import pytest

from keys.mls import (
    SUPPORTED,
    Add,
    BadSignature,
    CipherSuite,
    Extension,
    ExternalSender,
    ExternalSenderIndex,
    Group,
    GroupContextExtensions,
    InvalidCredential,
    InvalidProposal,
    Misuse,
    MLSError,
    NewMemberProposal,
    PreSharedKey,
    Proposal,
    ProposalReceived,
    PublicGroup,
    Remove,
    SelfRemove,
    Sender,
    Update,
    WrongEpoch,
    cipher_suite,
    external_proposal,
    external_senders_extension,
    new_member_proposal,
)
from keys.mls.external import from_outside
from keys.mls.framing import PUBLIC_MESSAGE, AuthenticatedContent, Content, FramedContent, ProposalContent
from keys.mls.messages import Commit, ExternalInit, ReInit
from tests.keys.mls.outsiders import enter
from tests.keys.mls.people import DAY, NOW, Person, World, seeded

suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)
SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")


def senders(suite: CipherSuite) -> tuple[Person, Person]:
    return Person.named(suite, b"personnel"), Person.named(suite, b"watchdog")


def listed(suite: CipherSuite) -> Extension:
    """Both, in this order."""
    return external_senders_extension(
        [
            ExternalSender(suite.signature_public_key(one.signature_private_key), one.credential)
            for one in senders(suite)
        ]
    )


def watched(suite: CipherSuite = SUITE, count: int = 3) -> World:
    return World(suite, count, extensions=(listed(suite),))


def propose(world: World, proposal: Proposal, *, index: int = 1, data: bytes = b"") -> bytes:
    key = senders(world.suite)[index].signature_private_key
    group_id, epoch = world.public.group_id, world.public.epoch
    return external_proposal(world.suite, group_id, epoch, index, key, proposal, authenticated_data=data)


def hear(world: World, message: bytes) -> None:
    """All members and the Delivery Service keep a proposal from outside."""
    world.public = PublicGroup.decode(world.public.proposal(message, NOW).encode(), world.auth)
    for name, group in world.groups.items():
        world.groups[name], _ = group.process(message, now_seconds=NOW)
    world.agree()


def refused(world: World, message: bytes, error: type[MLSError], reason: str) -> None:
    """A member and the Delivery Service both refuse it, for that reason, and nothing of theirs changes."""
    before, known = dict(world[b"member 1"].parts()), world.public.encode()
    with pytest.raises(error, match=reason):
        world[b"member 1"].process(message, now_seconds=NOW)
    with pytest.raises(error, match=reason):
        world.public.proposal(message, NOW)
    assert dict(world[b"member 1"].parts()) == before
    assert world.public.encode() == known


@suites
def test_external_senders_propose_and_members_commit(suite: CipherSuite) -> None:
    world = watched(suite, 4)
    guest = Person.named(suite, b"guest")
    package, secrets = guest.key_package()
    hear(world, propose(world, Remove(3)))
    hear(world, propose(world, Add(package), index=0))
    pending = world[b"member 1"].commit(random=world.random, now_seconds=NOW)
    staged = world.public.stage(pending.message, NOW)
    assert sorted(staged.proposal_types) == [1, 3]
    assert not staged.external
    world.accept(b"member 1", pending)
    world.welcome(pending, guest, package, secrets)
    assert b"member 3" not in world.groups
    for name in list(world.groups):
        world.say(name)


@pytest.mark.parametrize(
    "proposal",
    [
        pytest.param(Add(GUEST.key_package()[0]), id="an Add"),
        pytest.param(Remove(2), id="a Remove"),
        pytest.param(PreSharedKey.external(SUITE, b"words", seeded(1)), id="a pre-shared key"),
        pytest.param(GroupContextExtensions((listed(SUITE),)), id="extensions"),
        pytest.param(ReInit(b"next", 1, 1, ()), id="a ReInit"),
    ],
)
def test_what_an_external_sender_may_propose(proposal: Proposal) -> None:
    world = watched()
    hear(world, propose(world, proposal))
    (sent,) = world[b"member 0"].pending_proposals
    assert (sent.proposal, sent.sender) == (proposal, ExternalSenderIndex(1))
    assert sent.reference is not None
    held = {b"words": b"six of them"}
    pending = world[b"member 0"].commit(by_reference=[sent.reference], random=world.random, psks=held)
    world.accept(b"member 0", pending, psks=held)


def test_what_is_received_tells_who_proposes() -> None:
    world = watched()
    group, received = world[b"member 0"].process(propose(world, Remove(2), data=b"idle"), now_seconds=NOW)
    reference = group.pending_proposals[0].reference
    assert reference is not None
    assert received == ProposalReceived(ExternalSenderIndex(1), Remove(2), reference, b"idle")
    assert received.sender_leaf is None


def _framed(world: World, sender: Sender, content: Content, person: Person) -> bytes:
    """Anything from outside, signed by this person."""
    framed = FramedContent(world.public.group_id, world.public.epoch, sender, b"", content)
    key, context = person.signature_private_key, world.public.context
    signed = AuthenticatedContent.sign(world.suite, PUBLIC_MESSAGE, framed, context, key)
    if isinstance(content, Commit):
        signed = signed.with_confirmation_tag(bytes(world.suite.hash_length))
    return from_outside(signed)


@pytest.mark.parametrize(
    ("proposal", "kind"),
    [
        pytest.param(Update(GUEST.key_package()[0].leaf_node), "Update", id="an Update"),
        pytest.param(ExternalInit(b"x"), "ExternalInit", id="an ExternalInit"),
        pytest.param(SelfRemove(), "SelfRemove", id="a SelfRemove"),
    ],
)
def test_what_an_external_sender_may_not_propose(proposal: Proposal, kind: str) -> None:
    world = watched()
    message = _framed(world, ExternalSenderIndex(1), ProposalContent(proposal), senders(SUITE)[1])
    refused(world, message, InvalidProposal, f"an external sender proposes {kind}")
    with pytest.raises(Misuse, match=kind):
        propose(world, proposal)


def test_who_may_propose_from_outside_is_the_groups_to_say() -> None:
    """The list comes and goes by GroupContextExtensions; a sender counts by its place in the present list."""
    world = World(SUITE, 2)
    world.accept(
        b"member 0", world[b"member 0"].commit([GroupContextExtensions((listed(SUITE),))], random=world.random)
    )
    hear(world, propose(world, Remove(1)))
    only = ExternalSender(SUITE.signature_public_key(GUEST.signature_private_key), GUEST.credential)
    changed = GroupContextExtensions((external_senders_extension([only]),))
    world.accept(b"member 0", world[b"member 0"].commit([changed], by_reference=[], random=world.random))
    refused(world, propose(world, Remove(1), index=0), BadSignature, "verify")
    message = external_proposal(SUITE, world.public.group_id, 3, 0, GUEST.signature_private_key, Remove(1))
    hear(world, message)


def test_who_founds_or_joins_asks_about_external_senders_too() -> None:
    world = watched()
    world.auth.banned.add(b"watchdog")
    info, tree = world[b"member 0"].group_info(external=True), world.public.tree_bytes()
    with pytest.raises(InvalidCredential, match="watchdog"):
        PublicGroup.create(SUITE, info, tree, world.auth)
    with pytest.raises(InvalidCredential, match="watchdog"):
        enter(world, GUEST)
    with pytest.raises(InvalidCredential, match="watchdog"):
        GUEST.found(world.auth, extensions=(listed(SUITE),))


# Who wants to be added


def ask(world: World, person: Person = GUEST) -> bytes:
    package, _ = person.key_package()
    return new_member_proposal(world.public.group_id, world.public.epoch, package, person.signature_private_key)


@suites
def test_a_client_asks_to_be_added(suite: CipherSuite) -> None:
    world = World(suite, 2)
    guest = Person.named(suite, b"guest")
    package, secrets = guest.key_package()
    message = new_member_proposal(world.public.group_id, 1, package, guest.signature_private_key)
    hear(world, message)
    (sent,) = world[b"member 1"].pending_proposals
    assert (sent.proposal, sent.sender) == (Add(package), NewMemberProposal())
    assert sent.reference is not None
    pending = world[b"member 1"].commit(by_reference=[sent.reference], random=world.random, now_seconds=NOW)
    world.accept(b"member 1", pending)
    world.welcome(pending, guest, package, secrets)
    world.say(b"guest")


def test_nobody_is_let_in_unless_it_is_named() -> None:
    world = World(SUITE, 2)
    hear(world, ask(world))
    pending = world[b"member 1"].commit(random=world.random)
    assert world.public.stage(pending.message, NOW).proposal_types == ()


# What many propose, one commits (sections 12.2 and 12.4)


def test_no_proposal_can_keep_a_member_from_committing() -> None:
    """Each was valid when it came; what contradicts the rest is left out."""
    world = watched(SUITE, 4)
    needy = Extension(3, b"\x02\x0a\xbc\x00\x00")  # required_capabilities: an extension that nobody has
    twin, _ = world.people[2].key_package("again")
    for proposal in (GroupContextExtensions((needy,)), Add(twin), Add(GUEST.key_package()[0]), Remove(3)):
        hear(world, propose(world, proposal))
    hear(world, propose(world, Add(GUEST.key_package("newer")[0])))
    pending = world[b"member 0"].commit(random=world.random)
    staged = world.public.stage(pending.message, NOW)
    assert sorted(staged.proposal_types) == [1, 3]
    assert [package.leaf_node.credential.identity for package in staged.adds] == [b"guest"]
    world.accept(b"member 0", pending)


def test_a_key_that_is_not_at_hand_is_left_to_others() -> None:
    world = watched(SUITE, 3)
    hear(world, propose(world, PreSharedKey.external(SUITE, b"words", world.random)))
    hear(world, propose(world, Remove(2)))
    without = world[b"member 0"].commit(random=world.random)
    assert world.public.stage(without.message, NOW).proposal_types == (3,)
    held = {b"words": b"six of them"}
    whole = world[b"member 0"].commit(random=world.random, psks=held)
    assert sorted(world.public.stage(whole.message, NOW).proposal_types) == [3, 4]
    world.accept(b"member 0", whole, psks=held)


def test_a_key_package_that_ran_out_since_is_left_out() -> None:
    world = watched(SUITE, 3)
    hear(world, propose(world, Add(GUEST.key_package()[0])))
    hear(world, propose(world, Remove(2)))
    later = world[b"member 0"].commit(random=world.random, now_seconds=NOW + 60 * DAY)
    assert world.public.stage(later.message, NOW).proposal_types == (3,)
    assert sorted(world.public.stage(world[b"member 0"].commit(random=world.random).message, NOW).proposal_types) == [
        1,
        3,
    ]


def test_of_many_that_contradict_each_other_as_many_as_can_are_taken() -> None:
    world = watched(SUITE, 4)
    twins = [Add(world.people[number].key_package("again")[0]) for number in (1, 2)]
    guests = [Add(Person.named(SUITE, b"guest %d" % number).key_package()[0]) for number in range(5)]
    for proposal in (guests[0], twins[0], *guests[1:3], twins[1], *guests[3:]):
        hear(world, propose(world, proposal))
    staged = world.public.stage(world[b"member 0"].commit(random=world.random).message, NOW)
    assert [Add(package) for package in staged.adds] == guests


def test_a_re_init_waits_until_nothing_else_does() -> None:
    """Section 12.2 prefers the others; alone it is committed."""
    world = watched(SUITE, 4)
    hear(world, propose(world, ReInit(b"next", 1, 1, ())))
    hear(world, propose(world, Remove(3)))
    pending = world[b"member 0"].commit(random=world.random)
    assert world.public.stage(pending.message, NOW).proposal_types == (3,)
    world.accept(b"member 0", pending)
    hear(world, propose(world, ReInit(b"next", 1, 1, ())))
    world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    assert world.public.reinit == ReInit(b"next", 1, 1, ())


def test_a_removal_makes_room_for_the_same_client() -> None:
    world = watched(SUITE, 4)
    again, secrets = world.people[2].key_package("again")
    hear(world, propose(world, Add(again)))
    hear(world, propose(world, Remove(2)))
    pending = world[b"member 0"].commit(random=world.random)
    world.accept(b"member 0", pending)
    world.welcome(pending, world.people[2], again, secrets)
    assert world[b"member 2"].own_leaf_index == 2


def test_what_is_proposed_by_value_goes_before_what_waits() -> None:
    world = watched(SUITE, 4)
    hear(world, propose(world, Remove(2)))
    hear(world, propose(world, GroupContextExtensions(())))
    kept = GroupContextExtensions((listed(SUITE),))
    pending = world[b"member 0"].commit([Remove(2), kept], random=world.random)
    staged = world.public.stage(pending.message, NOW)
    assert staged.proposal_types == (3, 7)
    assert staged.extensions == kept.extensions
    world.accept(b"member 0", pending)


def test_a_lost_race_drops_our_commit_and_the_proposals_of_its_epoch() -> None:
    world = watched(SUITE, 4)
    hear(world, propose(world, Remove(3)))
    lost = world[b"member 1"].commit(random=world.random)
    won = world[b"member 0"].commit(by_reference=[], random=world.random)
    world.accept(b"member 0", won)
    assert world[b"member 1"].pending_proposals == ()
    assert world.public.proposals == {}
    with pytest.raises(WrongEpoch):
        world[b"member 2"].process(lost.message, now_seconds=NOW)
    hear(world, propose(world, Remove(3)))
    world.accept(b"member 1", world[b"member 1"].commit(random=world.random))
    assert b"member 3" not in world.groups


def test_pending_proposals_survive_on_disk() -> None:
    world = watched(SUITE, 4)
    hear(world, propose(world, Remove(3)))
    hear(world, ask(world))
    world.propose(b"member 1", world[b"member 1"].propose(Remove(2), random=world.random))
    before = world[b"member 0"].pending_proposals
    loaded = Group.load(world[b"member 0"].parts(), world.auth)
    assert loaded.pending_proposals == before
    assert len(before) == 3
