"""A group's life: every suite, every step, saved and loaded in between, and what must be gone is gone."""

from dataclasses import replace

import pytest

from keys.mls import (
    MAX_LIFETIME,
    SUPPORTED,
    Add,
    ApplicationReceived,
    BadTag,
    CipherSuite,
    CommitReceived,
    Credential,
    DecodeError,
    DecryptionFailed,
    Duplicate,
    Extension,
    Group,
    GroupContextExtensions,
    InvalidCommit,
    InvalidCredential,
    InvalidLeafNode,
    InvalidProposal,
    Limits,
    MissingPreSharedKey,
    Misuse,
    MLSError,
    OutOfRange,
    OwnMessage,
    PendingCommit,
    PreSharedKey,
    ProposalReceived,
    PublicGroup,
    Remove,
    Removed,
    Update,
    WrongEpoch,
    WrongGroup,
    cipher_suite,
    peek,
)
from keys.mls.framing import COMMIT, PRIVATE_MESSAGE, PROPOSAL, PUBLIC_MESSAGE, WELCOME, MemberSender
from keys.mls.leaves import new_capabilities
from keys.mls.past import EndedEpoch, KeptLeaf
from tests.keys.mls.people import DAY, NOW, Names, Person, World, seeded

suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)
SUITE = cipher_suite(1)


@suites
def test_a_life(suite: CipherSuite) -> None:
    world = World(suite, 6)
    for name in list(world.groups):
        world.say(name)
    for name in (b"member 4", b"member 1", b"member 0"):
        world.accept(name, world[name].commit(random=world.random))
        world.say(name)
    world.accept(b"member 2", world[b"member 2"].commit([Remove(3)], random=world.random))
    assert b"member 3" not in world.groups
    world.say(b"member 5")
    world.propose(b"member 1", world[b"member 1"].propose_update(random=world.random))
    late = [Person.named(suite, b"late %d" % index) for index in range(3)]
    package, secrets = late[0].key_package()
    world.propose(b"member 2", world[b"member 2"].propose(Add(package), random=world.random))
    pending = world[b"member 0"].commit([Remove(5)], random=world.random)
    world.accept(b"member 0", pending)
    world.welcome(pending, late[0], package, secrets)
    assert world[b"late 0"].own_leaf_index == 3
    world.say(b"late 0")
    world.add(b"late 0", late[1:], path=False)
    psk = PreSharedKey.external(suite, b"duress words", world.random)
    held = {b"duress words": b"six of them"}
    world.accept(b"late 2", world[b"late 2"].commit([psk], random=world.random, psks=held, path=False), psks=held)
    renewed = suite.generate_signature_key(world.random)
    identity = (Credential.basic(b"member 1/2"), renewed)
    world.accept(
        b"member 1",
        world[b"member 1"].commit(random=world.random, new_credential_and_signature_key=identity),
    )
    assert world[b"late 1"].members[1].credential.identity == b"member 1/2"
    world.say(b"member 1")
    world.accept(b"member 0", world[b"member 0"].commit([GroupContextExtensions(())], random=world.random))
    for name in list(world.groups):
        world.say(name)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_life(seed: int) -> None:
    """The public group follows whatever happens; every step checks that all agree."""
    world, draw, born = World(SUITE, 2, seed=seed), seeded(("life", seed)), 0
    for _ in range(30):
        names = list(world.groups)
        by = names[draw(1)[0] % len(names)]
        other = names[draw(1)[0] % len(names)]
        path = draw(1)[0] % 2 == 0
        match draw(1)[0] % 6:
            case 0 if len(names) < 10:
                count = draw(1)[0] % 3 + 1
                world.add(by, [Person.named(SUITE, b"born %d.%d" % (born, at)) for at in range(count)], path=path)
                born += 1
            case 1 | 2 if other != by and len(names) > 2:
                removed = Remove(world[other].own_leaf_index)
                world.accept(by, world[by].commit([removed], random=world.random))
            case 3:
                world.propose(by, world[by].propose_update(random=world.random))
            case 4:
                world.accept(by, world[by].commit(random=world.random))
            case _:
                world.say(by)
    assert world.public.epoch > 8


def test_updates_by_reference_change_leaf_credential_and_key() -> None:
    world = World(SUITE, 3)
    key = SUITE.generate_signature_key(world.random)
    identity = (Credential.basic(b"member 1/2"), key)
    step = world[b"member 1"].propose_update(random=world.random, new_credential_and_signature_key=identity)
    world.propose(b"member 1", step)
    world.propose(b"member 1", world[b"member 1"].propose_update(random=world.random))
    reference = world[b"member 0"].pending_proposals[0].reference
    assert reference is not None
    world.accept(b"member 0", world[b"member 0"].commit(by_reference=[reference], random=world.random))
    assert world[b"member 1"].own_leaf.credential == identity[0]
    assert world[b"member 1"].own_leaf.signature_key == SUITE.signature_public_key(key)
    world.say(b"member 1")


def test_of_pending_proposals_a_commit_takes_what_can_stand_together() -> None:
    world = World(SUITE, 5)
    person = Person.named(SUITE, b"guest")
    for by, proposal in (
        (b"member 1", Remove(2)),
        (b"member 3", Remove(0)),
        (b"member 3", Add(person.key_package(1)[0])),
        (b"member 4", Add(person.key_package(2)[0])),
        (b"member 3", GroupContextExtensions(())),
        (b"member 4", GroupContextExtensions(())),
    ):
        world.propose(by, world[by].propose(proposal, random=world.random))
    for name in (b"member 0", b"member 2", b"member 3"):
        world.propose(name, world[name].propose_update(random=world.random))
    pending = world[b"member 0"].commit(random=world.random)
    staged = world.public.stage(pending.message, NOW)
    assert sorted(staged.proposal_types) == [1, 2, 3, 7]
    assert [member.leaf_index for member in staged.removes] == [2]
    assert [new.leaf_index for _, new in staged.updates] == [3]
    assert staged.extensions == ()
    assert [member.credential.identity for member in staged.added] == [b"guest"]
    world.accept(b"member 0", pending)


def test_a_lost_race_leaves_no_trace() -> None:
    world = World(SUITE, 4)
    before = dict(world[b"member 1"].parts())
    lost = world[b"member 1"].commit([Remove(3)], random=world.random)
    assert dict(world[b"member 1"].parts()) == before
    world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    with pytest.raises(WrongEpoch) as refused:
        world[b"member 2"].process(lost.message, now_seconds=NOW)
    assert (refused.value.epoch, refused.value.current) == (1, 2)
    world.accept(b"member 1", world[b"member 1"].commit([Remove(3)], random=world.random))
    assert len(world.groups) == 3


def test_a_step_that_raises_leaves_no_trace() -> None:
    world = World(SUITE, 3)
    group, before = world[b"member 1"], dict(world[b"member 1"].parts())
    good = world[b"member 0"].commit(random=world.random).message
    for damaged in (good[:-1] + bytes([good[-1] ^ 1]), good[:-40] + bytes(40)):
        with pytest.raises(MLSError):
            group.process(damaged, now_seconds=NOW)
    _, text = world[b"member 0"].protect(b"x", random=world.random)
    with pytest.raises(DecryptionFailed):
        group.process(text[:-1] + bytes([text[-1] ^ 1]), now_seconds=NOW)
    assert dict(group.parts()) == before
    group.process(text, now_seconds=NOW)


def test_a_pending_commit_survives_on_disk() -> None:
    world = World(SUITE, 3)
    pending = world[b"member 0"].commit(random=world.random)
    kept = PendingCommit.decode(pending.encode(), world.auth)
    assert (kept.message, kept.welcome, kept.group_info) == (pending.message, None, pending.group_info)
    world.accept(b"member 0", kept)


# Messages out of order, twice, late


def messages(group: Group, count: int) -> tuple[Group, list[bytes]]:
    sent = []
    for number in range(count):
        group, message = group.protect(b"%d" % number, random=seeded((group.epoch, number)))
        sent.append(message)
    return group, sent


def test_messages_are_read_in_any_order_and_once() -> None:
    world = World(SUITE, 2)
    _, sent = messages(world[b"member 0"], 6)
    group = world[b"member 1"]
    for number in (4, 0, 5, 2, 1, 3):
        group, received = group.process(sent[number], now_seconds=NOW)
        group = Group.load(group.parts(), world.auth)
        assert isinstance(received, ApplicationReceived)
        assert received.content == b"%d" % number
    for message in sent:
        with pytest.raises(Duplicate):
            group.process(message, now_seconds=NOW)


def test_bounds_of_disorder_are_the_callers() -> None:
    world = World(SUITE, 2)
    _, sent = messages(world[b"member 0"], 12)
    group = Group.load(world[b"member 1"].parts(), world.auth, limits=Limits(kept_keys=2, forward=5))
    with pytest.raises(OutOfRange):
        group.process(sent[6], now_seconds=NOW)
    group, _ = group.process(sent[5], now_seconds=NOW)
    with pytest.raises(OutOfRange):
        group.process(sent[2], now_seconds=NOW)
    group.process(sent[3], now_seconds=NOW)


def test_three_past_epochs_are_read_and_no_more() -> None:
    world = World(SUITE, 3)
    late = []
    for _ in range(4):
        _, sent = messages(world[b"member 2"], 2)
        late.append(sent)
        world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    group = world[b"member 1"]
    with pytest.raises(WrongEpoch):
        group.process(late[0][0], now_seconds=NOW)
    for epoch, sent in enumerate(late[1:], start=2):
        for message in reversed(sent):
            group, received = group.process(message, now_seconds=NOW)
            group = Group.load(group.parts(), world.auth)
            assert isinstance(received, ApplicationReceived)
            assert received.epoch == epoch
            with pytest.raises(Duplicate):
                group.process(message, now_seconds=NOW)
    forgetful = Group.load(world[b"member 1"].parts(), world.auth, limits=Limits(past_epochs=0))
    commit = world[b"member 0"].commit(random=world.random)
    assert forgetful.process(commit.message, now_seconds=NOW)[0].past == ()


def test_late_words_keep_the_credential_of_their_time() -> None:
    """Of a member that was removed since, and of one whose place another has taken."""
    world = World(SUITE, 4)
    _, (first, second) = messages(world[b"member 3"], 2)
    world.accept(b"member 0", world[b"member 0"].commit([Remove(3)], random=world.random))
    group, received = world[b"member 1"].process(first, now_seconds=NOW)
    assert received.credential.identity == b"member 3"
    world.groups[b"member 1"] = group
    world.add(b"member 0", [Person.named(SUITE, b"successor")])
    assert world[b"successor"].own_leaf_index == 3
    _, received = Group.load(world[b"member 1"].parts(), world.auth).process(second, now_seconds=NOW)
    assert received.credential.identity == b"member 3"
    assert received.sender_leaf == 3


def test_own_messages_are_not_processed() -> None:
    world = World(SUITE, 2)
    group, text = world[b"member 0"].protect(b"x", random=world.random)
    proposing, proposal = world[b"member 0"].propose_update(random=world.random)
    for message in (text, proposal, world[b"member 0"].commit(random=world.random).message):
        with pytest.raises(OwnMessage):
            proposing.process(message, now_seconds=NOW)
    world.groups[b"member 0"] = group
    world.accept(b"member 1", world[b"member 1"].commit(random=world.random))
    with pytest.raises(OwnMessage):  # late, from an epoch whose own keys are gone
        world[b"member 0"].process(text, now_seconds=NOW)
    assert 0 not in world[b"member 0"].past[0].secret_tree.ratchets


def test_messages_of_other_groups_are_told_apart() -> None:
    one, other = World(SUITE, 2), World(SUITE, 2, seed="other")
    stranger = Group.create(
        SUITE,
        b"another group",
        Credential.basic(b"x"),
        SUITE.generate_signature_key(seeded(1)),
        Names(),
        not_before=0,
        not_after=1,
        random=seeded(2),
    )
    _, text = stranger.protect(b"x", random=one.random)
    for message in (text, stranger.commit(random=one.random).message):
        with pytest.raises(WrongGroup):
            one[b"member 0"].process(message, now_seconds=NOW)
    with pytest.raises(WrongGroup):
        one.public.stage(stranger.commit(random=one.random).message, NOW)
    _, text = other[b"member 0"].protect(b"x", random=one.random)
    with pytest.raises(DecryptionFailed):
        one[b"member 1"].process(text, now_seconds=NOW)


# Removed, and what is gone


def test_whoever_is_removed_reads_what_came_before_and_nothing_else_works() -> None:
    world = World(SUITE, 3)
    gone = world[b"member 2"]
    _, (late,) = messages(world[b"member 1"], 1)
    pending = world[b"member 0"].commit([Remove(2)], random=world.random)
    gone, received = gone.process(pending.message, now_seconds=NOW)
    assert isinstance(received, CommitReceived)
    assert received.self_removed
    assert [member.credential.identity for member in received.removed] == [b"member 2"]
    gone = Group.load(gone.parts(), world.auth)
    assert gone.removed
    gone, text = gone.process(late, now_seconds=NOW)
    assert isinstance(text, ApplicationReceived)
    for step in (
        lambda: gone.protect(b"x", random=world.random),
        lambda: gone.propose(Remove(0), random=world.random),
        lambda: gone.propose_update(random=world.random),
        lambda: gone.commit(random=world.random),
        lambda: gone.process(pending.message, now_seconds=NOW),
        lambda: gone.group_info(),
        lambda: gone.exporter(b"", b"", 16),
        lambda: gone.own_leaf,
    ):
        with pytest.raises(Removed):
            step()
    _, later = pending.group.protect(b"x", random=world.random)
    with pytest.raises(WrongEpoch):
        gone.process(later, now_seconds=NOW)


def test_consumed_secrets_are_not_in_the_state() -> None:
    """Section 9.2: message keys, the encryption secret, and the secrets of epochs that are over."""
    world = World(SUITE, 3)
    old = world[b"member 1"]
    root = old.secret_tree.nodes[3]
    generations = [old.secret_tree.next_key(SUITE, 0, 1)[1]]
    world.say(b"member 0")
    world.say(b"member 1")
    group = world[b"member 1"]
    state = b"".join(group.parts().values())
    assert root not in state
    assert generations[0].key not in state
    assert group.secrets.init_secret in state
    own = group.secret_tree.ratchets[1].application.secret
    world.accept(b"member 0", world[b"member 0"].commit(random=world.random))
    after = world[b"member 1"]
    state = b"".join(after.parts().values())
    for name in ("init_secret", "exporter_secret", "external_secret", "membership_key"):
        assert getattr(group.secrets, name) not in state, name
        assert getattr(after.secrets, name) in state, name
    assert own not in state
    changed = {node for node, key in group.private.items() if after.private.get(node) != key}
    assert changed
    for node in changed:
        assert group.private[node] not in state


def test_a_message_rewrites_only_small_parts() -> None:
    world = World(SUITE, 8)
    world.say(b"member 1")
    before = world[b"member 0"].parts()
    world.say(b"member 1")
    after = world[b"member 0"].parts()
    assert {name for name in after if after[name] != before.get(name)} == {"ratchet-1-1"}
    assert len(after["ratchet-1-1"]) < 200


@pytest.mark.parametrize("name", ["public", "tree", "epoch", "secret-tree-1"])
def test_a_state_with_a_part_missing_is_refused(name: str) -> None:
    world = World(SUITE, 2)
    parts = dict(world[b"member 0"].parts())
    del parts[name]
    with pytest.raises(DecodeError, match=name):
        Group.load(parts, world.auth)


def test_a_past_epoch_that_does_not_fit_is_refused() -> None:
    world = World(SUITE, 2)
    parts = dict(world[b"member 0"].parts())
    past = EndedEpoch.decode(parts["past-0"])
    parts["past-0"] = replace(past, changed=(KeptLeaf(1, None),)).encode()
    with pytest.raises(DecodeError, match="outside its tree"):
        Group.load(parts, world.auth)


def test_a_ratchet_of_no_leaf_is_refused() -> None:
    world = World(SUITE, 2)
    world.say(b"member 1")
    parts = dict(world[b"member 0"].parts())
    parts["ratchet-1-x"] = parts.pop("ratchet-1-1")
    with pytest.raises(DecodeError, match="ratchet-1-x"):
        Group.load(parts, world.auth)


def test_a_state_of_another_version_is_refused() -> None:
    parts = dict(World(SUITE, 1)[b"member 0"].parts())
    parts["public"] = b"\0\2" + parts["public"][2:]
    with pytest.raises(DecodeError, match="version 2"):
        Group.load(parts, Names())


# What others learn, and what the caller may not do


def test_what_is_received_is_told() -> None:
    world = World(SUITE, 3)
    world.groups[b"member 1"], message = world[b"member 1"].propose(
        Remove(2), authenticated_data=b"why", random=world.random
    )
    group, received = world[b"member 0"].process(message, now_seconds=NOW)
    assert received == ProposalReceived(MemberSender(1), Remove(2), group.pending_proposals[0].reference, b"why")
    package, _ = Person.named(SUITE, b"guest").key_package()
    pending = group.commit([Add(package)], random=world.random, authenticated_data=b"watch")
    _, received = world[b"member 1"].process(pending.message, now_seconds=NOW)
    assert isinstance(received, CommitReceived)
    assert (received.sender_leaf, received.epoch, received.authenticated_data) == (0, 2, b"watch")
    assert [member.credential.identity for member in received.added] == [b"guest"]
    assert [member.leaf_index for member in received.removed] == [2]
    assert [(old.leaf_index, new.leaf_index) for old, new in received.updated] == [(0, 0)]
    assert not received.self_removed
    text = pending.group.protect(b"x", authenticated_data=b"context", random=world.random)[1]
    seen = [peek(message), peek(pending.message), peek(text), peek(pending.welcome or b"")]
    assert [one.wire_format for one in seen] == [PUBLIC_MESSAGE, PUBLIC_MESSAGE, PRIVATE_MESSAGE, WELCOME]
    assert [one.content_type for one in seen] == [PROPOSAL, COMMIT, 1, None]
    assert [one.epoch for one in seen] == [1, 1, 2, None]
    assert [one.sender_leaf for one in seen] == [1, 0, None, None]
    assert [one.authenticated_data for one in seen] == [b"why", b"watch", b"context", b""]
    assert seen[3].key_package_refs == (package.ref(SUITE),)
    assert peek(pending.group_info).epoch == 2


@pytest.mark.parametrize("padding", [1, 64, 256])
def test_padding_hides_lengths(padding: int) -> None:
    world = World(SUITE, 2)
    lengths = set()
    for size in (0, 1, 20, 90):
        _, message = world[b"member 0"].protect(bytes(size), padding=padding, random=world.random)
        lengths.add(len(message))
        _, received = world[b"member 1"].process(message, now_seconds=NOW)
        assert isinstance(received, ApplicationReceived)
        assert received.content == bytes(size)
    assert len(lengths) == (4 if padding == 1 else 2 if padding == 64 else 1)


def test_calls_that_make_no_sense() -> None:
    world = World(SUITE, 3)
    group, random = world[b"member 0"], world.random
    leaf = group.own_leaf
    for call in (
        lambda: group.propose(Update(leaf), random=random),
        lambda: group.commit([Update(leaf)], random=random),
        lambda: group.commit(by_reference=[b"unknown"], random=random),
    ):
        with pytest.raises(Misuse):
            call()
    with pytest.raises(InvalidProposal):
        group.commit([Remove(0)], random=random)
    with pytest.raises(MissingPreSharedKey):
        group.commit([PreSharedKey.external(SUITE, b"unknown", random)], random=random)
    world.auth.banned.add(b"member 0/2")
    key = SUITE.generate_signature_key(random)
    with pytest.raises(InvalidCredential):
        group.commit(random=random, new_credential_and_signature_key=(Credential.basic(b"member 0/2"), key))
    with pytest.raises(InvalidLeafNode, match="successor"):
        group.commit(random=random, new_credential_and_signature_key=(Credential.basic(b"mallory"), key))


def test_a_pre_shared_key_that_a_receiver_lacks_or_has_wrong() -> None:
    world = World(SUITE, 2)
    psk = PreSharedKey.external(SUITE, b"id", world.random)
    pending = world[b"member 0"].commit([psk], psks={b"id": b"right"}, random=world.random)
    with pytest.raises(MissingPreSharedKey):
        world[b"member 1"].process(pending.message, now_seconds=NOW)
    with pytest.raises(BadTag):
        world[b"member 1"].process(pending.message, now_seconds=NOW, psks={b"id": b"wrong"})
    world.accept(b"member 0", pending, psks={b"id": b"right"})


def test_an_update_whose_keys_are_lost_is_told() -> None:
    world = World(SUITE, 2)
    lost = world[b"member 1"]
    world.propose(b"member 1", world[b"member 1"].propose_update(random=world.random))
    step = world[b"member 1"]
    forgetful = Group.load({k: v for k, v in step.parts().items() if k != "updates"}, world.auth)
    pending = world[b"member 0"].commit(random=world.random)
    with pytest.raises(InvalidCommit, match="don't hold"):
        forgetful.process(pending.message, now_seconds=NOW)
    assert lost.epoch == 1


def test_a_founder_is_checked_like_anybody() -> None:
    person = Person.named(SUITE, b"founder")
    with pytest.raises(InvalidCredential):
        person.found(Names({b"founder"}))
    extension = Extension(0xF0A0, b"charter")
    group = person.found(Names(), extensions=(extension,))
    assert group.context.extension(0xF0A0) == b"charter"
    assert group.own_leaf.capabilities.extensions == (0xF0A0,)
    with pytest.raises(InvalidLeafNode, match="two extensions"):
        person.found(Names(), extensions=(extension, extension))
    poor = new_capabilities(SUITE, person.credential)
    assert person.found(Names(), capabilities=poor).epoch == 0
    with pytest.raises(InvalidLeafNode, match="0xf0a0"):
        person.found(Names(), extensions=(extension,), capabilities=poor)
    with pytest.raises(InvalidLeafNode, match="version"):
        person.found(Names(), capabilities=replace(poor, versions=()))


def test_key_packages_say_what_they_are() -> None:
    person = Person.named(SUITE, b"somebody")
    package, _ = person.key_package(last_resort=True)
    package.verify(SUITE, Names(), NOW)
    assert package.last_resort
    assert package.lifetime is not None
    assert package.lifetime.not_after == NOW + 27 * DAY
    assert 0x000A in package.leaf_node.capabilities.extensions
    assert not person.key_package()[0].last_resort
    assert MAX_LIFETIME > 84 * DAY
    with pytest.raises(Misuse):
        person.key_package(last_resort=True, capabilities=new_capabilities(SUITE, person.credential))


def test_a_public_group_starts_from_any_epoch() -> None:
    world = World(SUITE, 5)
    world.accept(b"member 3", world[b"member 3"].commit([Remove(1)], random=world.random))
    info = world[b"member 2"].group_info()
    again = PublicGroup.create(SUITE, info, world.public.tree_bytes(), world.auth, now_seconds=NOW)
    assert again.encode() == world.public.encode()
    pending = world[b"member 2"].commit(random=world.random)
    assert again.stage(pending.message, NOW).next.context == pending.group.context


def test_the_right_half_goes_when_it_is_blank() -> None:
    world = World(SUITE, 5)
    assert world.public.tree.leaves == 8
    world.accept(b"member 0", world[b"member 0"].commit([Remove(4), Remove(3), Remove(2)], random=world.random))
    assert world.public.tree.leaves == 2
    world.say(b"member 1")


def test_new_members_know_nothing_of_before() -> None:
    world = World(SUITE, 2)
    _, early = world[b"member 0"].protect(b"before", random=world.random)
    world.add(b"member 0", [Person.named(SUITE, b"guest")])
    with pytest.raises(MLSError):
        world[b"guest"].process(early, now_seconds=NOW)
