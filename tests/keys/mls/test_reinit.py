"""Reinitialisation (section 11.2): a group is closed, another goes on in its place, and who joins holds it to the ReInit."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keys.mls import (
    Add,
    Extension,
    Founder,
    Group,
    InvalidGroupInfo,
    InvalidLeafNode,
    InvalidProposal,
    MissingPreSharedKey,
    PreSharedKey,
    PreSharedKeyID,
    PreSharedKeys,
    PublicGroup,
    ReInit,
    Reinitialized,
    Remove,
    ResumptionPsk,
    Unsupported,
    cipher_suite,
    hybrid_suites,
    reinitialize,
)
from keys.mls.leaves import new_capabilities
from keys.mls.parts import join_parts
from tests.keys.mls.kin import FOUNDER, Ready, closed, founded_by_hand, identity_of, ready, welcome_with
from tests.keys.mls.people import NOW, Person, World, seeded

SUITE, HYBRID = cipher_suite(1), cipher_suite(0xF001)
NEXT = ReInit(b"the next group", 1, 0xF001, ())
FOREIGN = Extension(0xF0A0, b"data")


def founder(suite_number: int, number: int = 0) -> Founder:
    """A member that founds in another suite, with a key of that suite's scheme."""
    return replace(FOUNDER, new_credential_and_signature_key=identity_of(cipher_suite(suite_number), number))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(1, 0xF001, id="1 to hybrid"),
        pytest.param(0xF001, 0xF002, id="hybrid to hybrid"),
        pytest.param(2, 7, id="2 to 7"),
        pytest.param(1, 1, id="the same suite"),
    ],
)
def test_a_group_goes_on_in_another_suite(before: int, after: int) -> None:
    here, new = World(cipher_suite(before), 4), cipher_suite(after)
    here.say(b"member 1")
    reinit = ReInit(b"the next group", 1, after, (Extension(0x0003, b"\x00\x00\x00"),))
    closed(here, reinit, by=b"member 2")
    others = ready(new, 0, 2, 3)
    founded = reinitialize(
        here[b"member 1"], [one.package for one in others], founder(after, 1), random=here.random, now_seconds=NOW
    )
    assert founded.welcome is not None
    group = founded.group
    assert (group.group_id, group.epoch, group.suite.id) == (b"the next group", 1, after)
    assert group.context.extensions == reinit.extensions
    everybody = {b"member 1": group}
    for one in others:
        name = one.person.credential.identity
        joined = one.join(founded.welcome, here[name], group.tree_bytes())
        everybody[name] = Group.load(joined.parts(), here.auth)
    assert len({one.epoch_authenticator for one in everybody.values()}) == 1
    everybody[b"member 3"], message = everybody[b"member 3"].protect(b"at east gate", random=here.random)
    assert everybody[b"member 0"].process(message, now_seconds=NOW)[1].content == b"at east gate"
    follower = PublicGroup.create(new, founded.group_info, group.tree_bytes(), here.auth)
    assert follower.context == group.context
    pending = everybody[b"member 0"].commit(random=here.random)
    assert follower.stage(pending.message, NOW).next.epoch == 2
    for name in (b"member 1", b"member 2", b"member 3"):
        after_, _ = everybody[name].process(pending.message, now_seconds=NOW)
        assert after_.epoch_authenticator == pending.group.epoch_authenticator


def test_at_other_numbers_for_the_hybrid_rows() -> None:
    suites = hybrid_suites(0x004F, 0x004E)
    here, new = World(SUITE, 2), cipher_suite(0x004F, suites)
    closed(here, replace(NEXT, cipher_suite=0x004F))
    (other,) = ready(new, 1)
    with pytest.raises(Unsupported, match="0x004f"):
        reinitialize(here[b"member 0"], [other.package], FOUNDER, random=here.random)
    founded = reinitialize(here[b"member 0"], [other.package], FOUNDER, random=here.random, suites=suites)
    old = here[b"member 1"]
    joined = Group.join(
        founded.welcome or b"",
        other.package,
        other.secrets,
        other.person.signature_private_key,
        here.auth,
        ratchet_tree=founded.group.tree_bytes(),
        psks=PreSharedKeys(groups={old.group_id: old}),
        suites=suites,
    )
    loaded = Group.load(joined.parts(), here.auth, suites=suites)
    assert loaded.epoch_authenticator == founded.group.epoch_authenticator
    assert PublicGroup.decode(loaded.public.encode(), here.auth, suites).suite is new
    with pytest.raises(Unsupported):
        Group.load(joined.parts(), here.auth)


# The old group is closed


def _propose(group: Group) -> object:
    return group.propose(Remove(2), random=seeded(0))


def _update(group: Group) -> object:
    return group.propose_update(random=seeded(0))


def _commit(group: Group) -> object:
    return group.commit(random=seeded(0))


def _protect(group: Group) -> object:
    return group.protect(b"text", random=seeded(0))


@pytest.mark.parametrize("step", [_propose, _update, _commit, _protect], ids=lambda step: step.__name__[1:])
@pytest.mark.parametrize("who", [b"member 0", b"member 1"], ids=["committer", "follower"])
def test_nothing_more_is_said_in_a_closed_group(step: Callable[[Group], object], who: bytes) -> None:
    here = World(SUITE, 3)
    step(here[who])
    closed(here, NEXT)
    group = here[who]
    assert group.public.reinit == NEXT
    before = dict(group.parts())
    with pytest.raises(Reinitialized, match=r"section 12\.4\.2"):
        step(group)
    assert dict(group.parts()) == before


def test_nothing_more_is_taken_in_a_closed_group() -> None:
    """Of somebody who goes on as if nothing had happened, neither members nor the Delivery Service take anything."""
    here = World(SUITE, 3)
    closed(here, NEXT)
    open_still = replace(here[b"member 0"], public=replace(here[b"member 0"].public, reinit=None))
    commit = open_still.commit(random=here.random).message
    proposal = open_still.propose(Remove(2), random=here.random)[1]
    text = open_still.protect(b"text", random=here.random)[1]
    group, before = here[b"member 1"], dict(here[b"member 1"].parts())
    for message in (commit, proposal, text):
        with pytest.raises(Reinitialized):
            group.process(message, now_seconds=NOW)
    with pytest.raises(Reinitialized):
        here.public.stage(commit, NOW)
    with pytest.raises(Reinitialized):
        here.public.proposal(proposal, NOW)
    assert dict(group.parts()) == before
    with pytest.raises(Reinitialized):
        group.group_info(external=True)
    info = open_still.group_info(with_tree=True, external=True)
    stranger = Person.named(SUITE, b"stranger")
    joining = Group.join_externally(
        info, stranger.credential, stranger.signature_private_key, here.auth, random=here.random
    )
    with pytest.raises(Reinitialized):
        group.process(joining.message, now_seconds=NOW)


def test_what_was_said_before_is_still_read() -> None:
    here = World(SUITE, 3)
    here.groups[b"member 2"], late = here[b"member 2"].protect(b"before", random=here.random)
    closed(here, NEXT)
    _, received = here[b"member 1"].process(late, now_seconds=NOW)
    assert received.content == b"before"


def test_who_follows_is_told_what_comes_next() -> None:
    here = World(SUITE, 2)
    _, received = here[b"member 1"].process(
        here[b"member 0"].commit([NEXT], random=here.random).message, now_seconds=NOW
    )
    assert received.reinit == NEXT
    _, received = here[b"member 1"].process(here[b"member 0"].commit(random=here.random).message, now_seconds=NOW)
    assert received.reinit is None


def test_a_closed_group_is_closed_after_a_restart_and_nobody_elses_parts_changed() -> None:
    here = World(SUITE, 2)
    assert "reinit" not in here[b"member 1"].parts()
    closed(here, NEXT)
    parts = dict(here[b"member 1"].parts())
    assert ReInit.decode(parts["reinit"]) == NEXT
    assert Group.load(parts, here.auth).public.reinit == NEXT
    assert PublicGroup.decode(here.public.encode(), here.auth).reinit == NEXT


# The proposal


def test_by_reference_and_without_a_path() -> None:
    here = World(SUITE, 3)
    here.propose(b"member 2", here[b"member 2"].propose(NEXT, random=here.random))
    pending = here[b"member 0"].commit(random=here.random, path=False)
    staged = here.public.stage(pending.message, NOW)
    assert staged.proposal_types == (5,)
    assert not staged.has_path
    here.accept(b"member 0", pending)
    assert here[b"member 1"].public.reinit == NEXT


def test_other_proposals_go_first() -> None:
    """Section 12.2: a committer prefers what else was proposed, and the ReInit comes again in a later epoch."""
    here = World(SUITE, 4)
    here.propose(b"member 2", here[b"member 2"].propose(NEXT, random=here.random))
    here.propose(b"member 1", here[b"member 1"].propose(Remove(3), random=here.random))
    pending = here[b"member 0"].commit(random=here.random)
    assert here.public.stage(pending.message, NOW).proposal_types == (3,)
    here.accept(b"member 0", pending)
    assert here[b"member 1"].public.reinit is None


def test_a_higher_version_or_an_unknown_suite_closes_the_group_all_the_same() -> None:
    """Valid by section 12.1.5; who can't do them founds nothing."""
    for reinit, reason in ((replace(NEXT, version=2), "version 2"), (replace(NEXT, cipher_suite=0x7777), "0x7777")):
        here = World(SUITE, 2)
        closed(here, reinit)
        with pytest.raises(Unsupported, match=reason):
            reinitialize(here[b"member 0"], [], FOUNDER, random=here.random)


# Founding


def test_a_founder_needs_everybody_and_nobody_else() -> None:
    here = World(SUITE, 3)
    closed(here, NEXT)
    for numbers, reason in (((1,), "without a member"), ((1, 2, 7), "had not")):
        packages = [one.package for one in ready(HYBRID, *numbers)]
        with pytest.raises(InvalidGroupInfo, match=reason):
            reinitialize(here[b"member 0"], packages, FOUNDER, random=here.random)


def test_a_founder_may_bring_a_new_credential_and_capabilities() -> None:
    here = World(SUITE, 2)
    reinit = replace(NEXT, extensions=(FOREIGN,))
    closed(here, reinit)
    person = Person.named(HYBRID, b"member 0/2")
    can = new_capabilities(HYBRID, person.credential, (0xF0A0,))
    (other,) = ready(HYBRID, 1)
    package, secrets = other.person.key_package("wider", capabilities=can)
    wider = replace(FOUNDER, capabilities=can)
    renewed = replace(wider, new_credential_and_signature_key=(person.credential, person.signature_private_key))
    with pytest.raises(InvalidLeafNode, match="0xf0a0"):
        reinitialize(here[b"member 0"], [package], FOUNDER, random=here.random)
    founded = reinitialize(here[b"member 0"], [package], renewed, random=here.random)
    joined = Ready(other.person, package, secrets).join(
        founded.welcome or b"", here[b"member 1"], founded.group.tree_bytes()
    )
    assert joined.members[0].credential.identity == b"member 0/2"


# Joining


@pytest.fixture
def old() -> World:
    """Three members of a group that `NEXT` closed."""
    here = World(SUITE, 3)
    closed(here, NEXT)
    return here


def link(here: World, *, usage: int = 2, epoch: int | None = None) -> ResumptionPsk:
    return ResumptionPsk(usage, here.public.group_id, here.public.epoch if epoch is None else epoch)


def by_hand(here: World, joiners: tuple[int, ...] = (1, 2), **changes: object) -> tuple[list[Ready], bytes, bytes]:
    """Member 0 founds the next group its own way: the joiners, their Welcome and the tree."""
    suite = changes.pop("suite", HYBRID)
    others = ready(suite, *joiners)  # type: ignore[arg-type]
    how = {"group_id": NEXT.group_id, "suite": suite, "extensions": (), **changes}
    tie = how.pop("link", link(here))
    founded = founded_by_hand(here[b"member 0"], tie, others, **how)  # type: ignore[arg-type]
    assert founded.welcome is not None
    return others, founded.welcome, founded.group.tree_bytes()


def test_an_honest_one_by_hand_is_joined(old: World) -> None:
    others, welcome, tree = by_hand(old)
    assert others[0].join(welcome, old[b"member 1"], tree).epoch == 1


def test_a_successor_that_is_not_in_its_first_epoch(old: World) -> None:
    others, welcome, tree = by_hand(old)
    groups = {b"the group": old[b"member 0"]}
    new = others[0].join(welcome, old[b"member 1"], tree)
    (late,) = ready(HYBRID, 2, seed="late")
    removed = new.commit([Remove(2)], random=seeded(1)).group
    pending = removed.commit([Add(late.package)], random=seeded(2), path=False)
    psk = PreSharedKeyID(link(old), bytes(32))
    welcome, tree = welcome_with(pending.group, late, [psk], PreSharedKeys(groups=groups))
    with pytest.raises(InvalidGroupInfo, match=r"in its epoch 3 .section 12.4.3.1"):
        late.join(welcome, old[b"member 2"], tree)
    plain, tree = welcome_with(pending.group, late, [], PreSharedKeys())
    assert late.join(plain, old[b"member 2"], tree).epoch == 3  # by an ordinary Welcome there is nothing to it


def test_who_was_not_in_the_old_group_does_not_join(old: World) -> None:
    others, welcome, tree = by_hand(old)
    stranger = World(SUITE, 1, seed="stranger")[b"member 0"]
    stranger = replace(stranger, public=replace(stranger.public, context=replace(stranger.context, group_id=b"other")))
    with pytest.raises(MissingPreSharedKey, match="resumption pre-shared key of epoch 2"):
        others[0].join(welcome, None, tree, other=stranger)


def test_whoever_was_removed_from_the_old_group_does_not_join() -> None:
    here = World(SUITE, 3)
    gone = here[b"member 2"].process(here[b"member 0"].commit([Remove(2)], random=seeded(3)).message, now_seconds=NOW)[
        0
    ]
    here.accept(b"member 0", here[b"member 0"].commit([Remove(2)], random=here.random))
    closed(here, NEXT)
    others, welcome, tree = by_hand(here, (1, 2))
    with pytest.raises(MissingPreSharedKey):
        others[1].join(welcome, gone, tree)


def test_the_new_group_keeps_nothing_of_the_old_key(old: World) -> None:
    """The resumption PSK goes in and is not kept beside; it goes with the old group."""
    others, welcome, tree = by_hand(old)
    new = others[0].join(welcome, old[b"member 1"], tree)
    psk = old[b"member 1"].secrets.resumption_psk
    assert psk in join_parts(old[b"member 1"].parts())
    assert psk not in join_parts(new.parts())


# One id, one group (section 12.4.3)


def test_a_group_with_the_id_of_one_that_we_are_in_is_not_joined() -> None:
    here = World(SUITE, 2)
    (one,) = ready(SUITE, 1)
    again = World(SUITE, 1, seed="again")
    pending = again[b"member 0"].commit([Add(one.package)], random=again.random)
    welcome, tree = pending.welcome or b"", pending.group.tree_bytes()
    with pytest.raises(InvalidGroupInfo, match=r"the id of one that we are in .section 12.4.3"):
        one.join(welcome, here[b"member 1"], tree)
    closed(here, NEXT)
    assert one.join(welcome, here[b"member 1"], tree).epoch == 1  # that one is over


def test_a_successor_may_have_the_old_groups_id() -> None:
    here = World(SUITE, 2)
    closed(here, replace(NEXT, group_id=b"the group"))
    (other,) = ready(HYBRID, 1)
    founded = reinitialize(here[b"member 0"], [other.package], FOUNDER, random=here.random)
    joined = other.join(founded.welcome or b"", here[b"member 1"], founded.group.tree_bytes())
    assert joined.group_id == b"the group"
    assert joined.epoch_authenticator == founded.group.epoch_authenticator


def test_a_link_is_named_once_and_in_the_first_commit_only(old: World) -> None:
    others, welcome, tree = by_hand(old)
    new = others[0].join(welcome, old[b"member 1"], tree)
    held = PreSharedKeys(groups={b"the group": old[b"member 1"]})
    again = PreSharedKey(PreSharedKeyID(link(old), bytes(32)))
    with pytest.raises(InvalidProposal, match=r"section 12\.1\.4"):
        new.commit([again], random=seeded(1), psks=held)
    founder_alone = World(HYBRID, 1, seed="alone")[b"member 0"]
    twice = PreSharedKey(PreSharedKeyID(link(old), bytes([1]) * 32))
    with pytest.raises(InvalidProposal, match=r"two pre-shared keys that link .* .section 12.4.3.1"):
        founder_alone.commit([again, twice], random=seeded(1), psks=held)
    founder_alone.commit([again], random=seeded(1), psks=held)


def test_what_the_old_leaf_says_of_itself_comes_along() -> None:
    here = World(SUITE, 2)
    can = new_capabilities(SUITE, here.people[0].credential, (0xF0A0,))
    here.accept(b"member 0", here[b"member 0"].commit(random=here.random, capabilities=can, leaf_extensions=(FOREIGN,)))
    closed(here, NEXT)
    packages = [one.package for one in ready(HYBRID, 1)]
    own = reinitialize(here[b"member 0"], packages, FOUNDER, random=here.random).group.own_leaf
    assert own.extensions == (FOREIGN,)
    assert own.capabilities.extensions == can.extensions
    assert own.capabilities.cipher_suites == (*can.cipher_suites, 0xF001)
    plain = replace(FOUNDER, leaf_extensions=(), capabilities=new_capabilities(HYBRID, own.credential))
    own = reinitialize(here[b"member 0"], packages, plain, random=here.random).group.own_leaf
    assert own.extensions == ()
    assert own.capabilities.cipher_suites == (0xF001,)
