"""External commits (RFC 9420 section 12.4.3.2): joining without anybody's help, and coming back."""

from dataclasses import replace

import pytest

from keys.mls import (
    SUPPORTED,
    ApplicationReceived,
    BadTag,
    Capabilities,
    CipherSuite,
    CommitReceived,
    Credential,
    DecodeError,
    DecryptionFailed,
    Extension,
    Group,
    InvalidCredential,
    InvalidGroupInfo,
    InvalidLeafNode,
    InvalidProposal,
    MissingPreSharedKey,
    Misuse,
    MLSError,
    PendingCommit,
    PreSharedKey,
    PreSharedKeys,
    Reinitialized,
    Remove,
    WrongEpoch,
    cipher_suite,
)
from keys.mls.external import from_outside
from keys.mls.externalinit import make_external_init, open_external_init
from keys.mls.framing import ProposalContent
from keys.mls.messages import ExternalInit, PreSharedKeyID, ReInit, ResumptionPsk
from keys.mls.nodes import RATCHET_TREE
from tests.keys.mls.outsiders import come_in, enter, external_pub, forced
from tests.keys.mls.people import NOW, Person, World, seeded

suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)
SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")


def guest(number: int) -> Person:
    return Person.named(SUITE, b"guest %d" % number)


# Coming in


@suites
def test_a_stranger_joins_and_a_member_comes_back(suite: CipherSuite) -> None:
    world = World(suite, 3)
    stranger = Person.named(suite, b"stranger")
    come_in(world, stranger, enter(world, stranger))
    assert world[b"stranger"].own_leaf_index == 3
    for name in list(world.groups):
        world.say(name)
    back = world.people[1]
    come_in(world, back, enter(world, back, remove=1))
    assert world[b"member 1"].own_leaf_index == 1
    for name in list(world.groups):
        world.say(name)
    for name in list(world.groups):
        world.accept(name, world[name].commit(random=world.random))


def test_many_join_in_a_row_wherever_the_tree_has_room() -> None:
    """Into blank leaves, into an extended tree, over unmerged leaves; between them others change the tree."""
    world = World(SUITE, 5, path=False)
    world.accept(b"member 0", world[b"member 0"].commit([Remove(2)], random=world.random))
    seats = []
    for number in range(6):
        person = guest(number)
        names = list(world.groups)
        come_in(world, person, enter(world, person, by=names[number % len(names)]))
        seats.append(world[person.credential.identity].own_leaf_index)
        world.say(person.credential.identity)
        world.say(b"member 4")
        if number == 1:
            world.add(b"guest 0", [Person.named(SUITE, b"added")], path=False)
    assert seats == [2, 5, 7, 8, 9, 10]
    assert world[b"added"].own_leaf_index == 6
    for name in list(world.groups):
        world.accept(name, world[name].commit(random=world.random))
        world.say(name)


def test_a_group_of_one_is_joined_and_its_only_member_comes_back() -> None:
    world = World(SUITE, 1)
    pending = enter(world, world.people[0], remove=0)
    assert world[b"member 0"].process(pending.message, now_seconds=NOW)[0].removed
    world.public = world.public.stage(pending.message, NOW).next
    world.groups[b"member 0"] = pending.group
    world.agree()
    assert world[b"member 0"].own_leaf_index == 0
    come_in(world, GUEST, enter(world, GUEST))
    world.say(b"guest")
    world.say(b"member 0")


def test_the_tree_is_inside_or_beside() -> None:
    world = World(SUITE, 2)
    info = world[b"member 1"].group_info(external=True, with_tree=True)
    bare = world[b"member 1"].group_info(external=True)
    where = (GUEST.credential, GUEST.signature_private_key, world.auth)
    with pytest.raises(Misuse, match="no ratchet tree"):
        Group.join_externally(bare, *where, random=world.random)
    other = World(SUITE, 2, seed="another").public.tree_bytes()
    with pytest.raises(InvalidGroupInfo, match="not the one"):
        Group.join_externally(bare, *where, random=world.random, ratchet_tree=other)
    come_in(world, GUEST, Group.join_externally(info, *where, random=world.random))


def test_the_joiner_tells_who_else_may_come() -> None:
    """A group that was joined from outside serves the next one: its own GroupInfo, and Adds of its own."""
    world = World(SUITE, 2)
    come_in(world, GUEST, enter(world, GUEST))
    come_in(world, guest(1), enter(world, guest(1), by=b"guest"))
    world.add(b"guest 1", [guest(2)])
    world.say(b"guest 2")


def test_what_is_said_of_an_external_commit() -> None:
    world = World(SUITE, 3)
    pending = enter(world, GUEST)
    staged = world.public.stage(pending.message, NOW)
    assert staged.external
    assert (staged.sender_leaf, staged.proposal_types, staged.has_path) == (3, (6,), True)
    assert staged.committer == staged.new_leaf == staged.added[0] == staged.next.member(3)
    assert (staged.adds, staged.removes, staged.updates) == ((), (), ())
    _, received = world[b"member 0"].process(pending.message, now_seconds=NOW)
    assert isinstance(received, CommitReceived)
    assert received.external
    assert (received.sender_leaf, received.added, received.removed) == (3, staged.added, ())
    assert received.updated == ()
    ordinary = world[b"member 0"].commit(random=world.random).message
    assert not world.public.stage(ordinary, NOW).external


def test_what_is_said_of_a_resync() -> None:
    world = World(SUITE, 3)
    key = SUITE.generate_signature_key(world.random)
    renewed = Person(SUITE, Credential.basic(b"member 1/2"), key)
    pending = enter(world, renewed, remove=1)
    staged = world.public.stage(pending.message, NOW)
    assert staged.external
    assert sorted(staged.proposal_types) == [3, 6]
    assert [member.credential.identity for member in staged.removes] == [b"member 1"]
    assert [member.credential.identity for member in staged.added] == [b"member 1/2"]
    gone, received = world[b"member 1"].process(pending.message, now_seconds=NOW)
    assert gone.removed
    assert isinstance(received, CommitReceived)
    assert received.self_removed
    assert (received.external, received.updated) == (True, ())


def test_a_pending_external_commit_survives_on_disk_and_may_lose_its_race() -> None:
    world = World(SUITE, 3)
    lost = PendingCommit.decode(enter(world, GUEST).encode(), world.auth)
    assert lost.welcome is None
    world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    for judge in (
        lambda: world[b"member 1"].process(lost.message, now_seconds=NOW),
        lambda: world.public.stage(lost.message, NOW),
    ):
        with pytest.raises(WrongEpoch):
            judge()
    won = PendingCommit.decode(enter(world, GUEST).encode(), world.auth)
    come_in(world, GUEST, won)
    world.say(b"guest")


def test_who_comes_back_reads_late_words_by_its_old_group() -> None:
    world = World(SUITE, 3)
    _, late = world[b"member 0"].protect(b"late", random=world.random)
    old = world[b"member 1"]
    pending = enter(world, world.people[1], remove=1)
    gone, _ = old.process(pending.message, now_seconds=NOW)
    assert _said(gone, late) == b"late"
    carried = old.merge(pending)
    assert _said(carried, late) == b"late"


def _said(group: Group, message: bytes) -> bytes:
    received = group.process(message, now_seconds=NOW)[1]
    assert isinstance(received, ApplicationReceived)
    return received.content


def test_pre_shared_keys_of_an_external_commit() -> None:
    world = World(SUITE, 3)
    proposal = PreSharedKey.external(SUITE, b"words", world.random)
    held = {b"words": b"six of them"}
    with pytest.raises(MissingPreSharedKey):
        enter(world, GUEST, psk_proposals=[proposal])
    pending = enter(world, GUEST, psk_proposals=[proposal], psks=held)
    before = dict(world[b"member 1"].parts())
    with pytest.raises(MissingPreSharedKey):
        world[b"member 1"].process(pending.message, now_seconds=NOW)
    with pytest.raises(BadTag):
        world[b"member 1"].process(pending.message, now_seconds=NOW, psks={b"words": b"wrong ones"})
    assert dict(world[b"member 1"].parts()) == before
    come_in(world, GUEST, pending, held)
    world.say(b"guest")


def test_a_resync_may_prove_that_its_client_was_here() -> None:
    """By the resumption PSK of an epoch in which it was a member (section 12.4.3.2, the last paragraph)."""
    world = World(SUITE, 3)
    old = world[b"member 1"]
    named = PreSharedKey(PreSharedKeyID(ResumptionPsk(1, old.group_id, old.epoch), world.random(SUITE.hash_length)))
    world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    stranger = PreSharedKeys(external={})
    with pytest.raises(MissingPreSharedKey):
        enter(world, world.people[1], remove=1, psk_proposals=[named], psks=stranger)
    known = PreSharedKeys(groups={old.group_id: old})
    pending = enter(world, world.people[1], remove=1, psk_proposals=[named], psks=known)
    assert sorted(world.public.stage(pending.message, NOW).proposal_types) == [3, 4, 6]
    come_in(world, world.people[1], pending)
    world.say(b"member 1")
    linked = PreSharedKey(replace(named.psk, psk=ResumptionPsk(3, old.group_id, old.epoch)))
    refused(world, forced(world, GUEST, [INIT, linked]), InvalidProposal, "links to another group")


def test_who_is_in_the_group_comes_in_again_only_in_its_own_place() -> None:
    """A client that says which groups it is in does not join one of them a second time (section 12.4.3)."""
    world = World(SUITE, 2)
    mine = PreSharedKeys(groups={world.public.group_id: world[b"member 1"]})
    with pytest.raises(InvalidGroupInfo, match="one that we are in"):
        enter(world, GUEST, psks=mine)
    come_in(world, world.people[1], enter(world, world.people[1], remove=1, psks=mine))


def test_a_group_that_was_closed_lets_nobody_in() -> None:
    world = World(SUITE, 3)
    waiting = enter(world, GUEST)
    closing = world[b"member 0"].commit([ReInit(b"next", 1, 1, ())], random=world.random)
    world.accept(b"member 0", closing)
    with pytest.raises(Reinitialized):
        world[b"member 1"].group_info(external=True)
    for message, error in ((waiting.message, WrongEpoch), (closing.message, WrongEpoch)):
        with pytest.raises(error):
            world[b"member 1"].process(message, now_seconds=NOW)


# A GroupInfo that lets nobody in


def test_the_external_key_is_in_a_group_info_on_request_only() -> None:
    group = World(SUITE, 2)[b"member 0"]
    public = external_pub(World(SUITE, 2))
    assert public not in group.group_info(with_tree=True)
    assert public in group.group_info(external=True)
    assert Extension(RATCHET_TREE, group.tree_bytes()).encode() in group.group_info(external=True, with_tree=True)
    assert public not in group.commit(random=seeded("x")).group_info


@suites
def test_an_init_secret_for_the_group_and_nobody_else(suite: CipherSuite) -> None:
    private, public = suite.derive_key_pair(b"external secret")
    proposal, secret = make_external_init(suite, public)
    assert open_external_init(suite, private, proposal) == secret
    assert len(secret) == suite.hash_length
    assert make_external_init(suite, public)[1] != secret
    other, _ = suite.derive_key_pair(b"another")
    assert open_external_init(suite, other, proposal) != secret
    for damaged in (b"", proposal.kem_output[:-1], proposal.kem_output + b"\0"):
        with pytest.raises(DecryptionFailed):
            open_external_init(suite, private, ExternalInit(damaged))


# External commits that are refused


def refused(world: World, message: bytes, error: type[MLSError], reason: str) -> None:
    """A member and the Delivery Service both refuse it, for that reason, and nothing of theirs changes."""
    before, known = dict(world[b"member 2"].parts()), world.public.encode()
    with pytest.raises(error, match=reason):
        world[b"member 2"].process(message, now_seconds=NOW)
    with pytest.raises(error, match=reason):
        world.public.stage(message, NOW)
    assert dict(world[b"member 2"].parts()) == before
    assert world.public.encode() == known


INIT = make_external_init(SUITE, SUITE.derive_key_pair(b"any key")[1])[0]
PSK = PreSharedKey.external(SUITE, b"words", seeded("psk"))


def test_a_credential_is_asked_for_even_if_it_did_not_change() -> None:
    """Who was banned since does not come back with the leaf it had."""
    world = World(SUITE, 3, path=False)
    message = forced(world, world.people[1], [INIT, Remove(1)], remove=1)
    world.auth.banned.add(b"member 1")
    refused(world, message, InvalidCredential, "banned")


def test_a_joiner_has_to_fit_the_group() -> None:
    charter = Extension(0xF0A0, b"charter")
    able = Capabilities((1,), (1,), (0xF0A0,), (), (1,))
    world = World(SUITE, 3, path=False, extensions=(charter,), capabilities=able)
    come_in(world, GUEST, enter(world, GUEST))
    refused(world, forced(world, guest(1), [INIT]), InvalidLeafNode, "does not list the group's extension")
    with pytest.raises(InvalidLeafNode, match="does not list the group's extension"):
        Group.join_externally(
            world[b"member 0"].group_info(external=True),
            guest(1).credential,
            guest(1).signature_private_key,
            world.auth,
            random=world.random,
            ratchet_tree=world.public.tree_bytes(),
        )


def test_who_comes_back_can_what_it_could() -> None:
    charter = Extension(0xF0A0, b"charter")
    able = Capabilities((1,), (1,), (0xF0A0,), (), (1,))
    world = World(SUITE, 3, extensions=(charter,), capabilities=able)
    world.capabilities = None
    come_in(world, world.people[2], enter(world, world.people[2], remove=2))
    assert world[b"member 2"].own_leaf.capabilities == able


def test_the_joiner_refuses_what_others_would() -> None:
    world = World(SUITE, 3)
    with pytest.raises(InvalidLeafNode, match="no successor"):
        enter(world, GUEST, remove=1)
    with pytest.raises(InvalidProposal, match="nobody"):
        enter(world, GUEST, remove=9)
    with pytest.raises(InvalidLeafNode, match="one signature key"):
        enter(world, world.people[1])
    message = world[b"member 1"].propose(Remove(2), random=world.random)[1]
    with pytest.raises(InvalidProposal, match="by reference"):
        enter(world, GUEST, self_removes=[message])


def test_the_membership_tag_is_a_members() -> None:
    """Without it a message by a member does not even decode; an outsider's has none."""
    world = World(SUITE, 2)
    pending = enter(world, GUEST)
    with pytest.raises(DecodeError):
        world[b"member 1"].process(pending.message + b"\0", now_seconds=NOW)
    tagless = from_outside(world[b"member 0"].participant().sign(ProposalContent(Remove(1)), b""))
    with pytest.raises(DecodeError):
        world[b"member 1"].process(tagless, now_seconds=NOW)
    assert world.public.open_public(pending.message)[1] is None
