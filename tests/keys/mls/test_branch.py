"""Branches (section 11.3): some members of a group found another with its parameters, and who joins sees that it is so."""

from dataclasses import replace

import pytest

from keys.mls import (
    Credential,
    Extension,
    Group,
    InvalidGroupInfo,
    InvalidProposal,
    MissingPreSharedKey,
    PreSharedKey,
    PreSharedKeyID,
    Remove,
    ResumptionPsk,
    branch,
    cipher_suite,
)
from keys.mls.parts import join_parts
from tests.keys.mls.kin import FOUNDER, Ready, founded_by_hand, ready
from tests.keys.mls.people import NOW, Person, World, seeded

SUITE = cipher_suite(1)


def link(epoch: int) -> ResumptionPsk:
    return ResumptionPsk(3, b"the group", epoch)


@pytest.mark.parametrize("number", [1, 2, 0xF002])
def test_some_members_go_aside_and_the_group_lives_on(number: int) -> None:
    suite = cipher_suite(number)
    here = World(suite, 5)
    here.accept(b"member 4", here[b"member 4"].commit(random=here.random))
    here.say(b"member 0")
    others = ready(suite, 1, 3)
    founded = branch(
        here[b"member 2"], b"aside", [one.package for one in others], FOUNDER, random=here.random, now_seconds=NOW
    )
    assert founded.welcome is not None
    group = founded.group
    assert (group.group_id, group.epoch, group.context.extensions) == (b"aside", 1, here.public.context.extensions)
    aside = [
        group,
        *(one.join(founded.welcome, here[one.person.credential.identity], group.tree_bytes()) for one in others),
    ]
    aside = [Group.load(one.parts(), here.auth) for one in aside]
    assert len({one.epoch_authenticator for one in aside}) == 1
    first, message = aside[0].protect(b"a word aside", random=here.random)
    assert aside[1].process(message, now_seconds=NOW)[1].content == b"a word aside"
    here.say(b"member 2")
    here.accept(b"member 0", here[b"member 0"].commit([Remove(3)], random=here.random))
    assert first.group_id == b"aside"


def test_the_extensions_may_be_others() -> None:
    here, required = World(SUITE, 2), (Extension(0x0003, b"\x00\x00\x00"),)
    (one,) = ready(SUITE, 1)
    founded = branch(here[b"member 0"], b"aside", [one.package], FOUNDER, random=here.random, extensions=required)
    joined = one.join(founded.welcome or b"", here[b"member 1"], founded.group.tree_bytes())
    assert joined.context.extensions == required


def test_those_of_the_group_are_taken_along() -> None:
    required = (Extension(0x0003, b"\x00\x00\x00"),)
    here = World(SUITE, 2, extensions=required)
    (one,) = ready(SUITE, 1)
    founded = branch(here[b"member 0"], b"aside", [one.package], FOUNDER, random=here.random)
    assert founded.group.context.extensions == required


def test_a_founder_brings_members_only_and_needs_an_id_that_is_free() -> None:
    here = World(SUITE, 3)
    (member, stranger) = ready(SUITE, 1, 9)
    with pytest.raises(InvalidGroupInfo, match=r"had not .section 11.3"):
        branch(here[b"member 0"], b"aside", [member.package, stranger.package], FOUNDER, random=here.random)
    with pytest.raises(InvalidGroupInfo, match=r"section 12.4.3"):
        branch(here[b"member 0"], b"the group", [member.package], FOUNDER, random=here.random)


def test_a_member_with_a_renewed_credential_is_the_same_member() -> None:
    here = World(SUITE, 3)
    person = Person(SUITE, Credential.basic(b"member 1/2"), Person.named(SUITE, b"member 1").signature_private_key)
    renewed = Ready(person, *person.key_package("new"))
    founded = branch(here[b"member 0"], b"aside", [renewed.package], FOUNDER, random=here.random)
    joined = renewed.join(founded.welcome or b"", here[b"member 1"], founded.group.tree_bytes())
    assert joined.members[1].credential.identity == b"member 1/2"


# Joining


def by_hand(
    here: World, numbers: tuple[int, ...], tie: ResumptionPsk, **changes: object
) -> tuple[list[Ready], bytes, bytes]:
    """Member 0 branches off its own way: the joiners, their Welcome and the tree."""
    how = {"group_id": b"aside", "suite": SUITE, **changes}
    others = ready(how["suite"], *numbers)  # type: ignore[arg-type]
    founded = founded_by_hand(here[b"member 0"], tie, others, **how)  # type: ignore[arg-type]
    assert founded.welcome is not None
    return others, founded.welcome, founded.group.tree_bytes()


def test_who_was_not_in_the_old_group_does_not_join() -> None:
    here, stranger = World(SUITE, 3), World(SUITE, 1, seed="stranger")[b"member 0"]
    stranger = replace(stranger, public=replace(stranger.public, context=replace(stranger.context, group_id=b"other")))
    (one,), welcome, tree = by_hand(here, (9,), link(1))
    with pytest.raises(MissingPreSharedKey, match="epoch 1 of group"):
        one.join(welcome, None, tree, other=stranger)


# From an epoch that is over by the time the Welcome is opened


def test_members_are_those_of_the_epoch_that_it_branches_from() -> None:
    """Member 2 is in the branch, and is removed from the group before member 1 comes to open its Welcome."""
    here = World(SUITE, 3)
    (one, _), welcome, tree = by_hand(here, (1, 2), link(1))
    here.accept(b"member 0", here[b"member 0"].commit([Remove(2)], random=here.random))
    assert one.join(welcome, here[b"member 1"], tree).epoch == 1
    (late, _), welcome, tree = by_hand(here, (1, 2), link(2), group_id=b"later")
    with pytest.raises(InvalidGroupInfo, match="had not"):
        late.join(welcome, here[b"member 1"], tree)


def test_who_came_after_that_epoch_was_not_in_it() -> None:
    here = World(SUITE, 2)
    here.add(b"member 0", [Person.named(SUITE, b"member 2")])
    (one, _), welcome, tree = by_hand(here, (1, 2), link(1))
    with pytest.raises(InvalidGroupInfo, match="had not"):
        one.join(welcome, here[b"member 1"], tree)


def test_from_an_epoch_whose_members_are_forgotten() -> None:
    """Its resumption PSK may still be kept then; who was a member can't be told, so the branch is not joined."""
    here = World(SUITE, 2)
    (one,), welcome, tree = by_hand(here, (1,), link(1))
    for _ in range(4):
        here.accept(b"member 0", here[b"member 0"].commit(random=here.random))
    group = here[b"member 1"]
    assert 1 in group.past_psks
    with pytest.raises(MissingPreSharedKey, match=r"members of epoch 1 .* are forgotten"):
        one.join(welcome, group, tree)
    psk = group.past_psks[1]
    assert psk in join_parts(group.parts())


def test_a_branch_key_is_for_the_first_commit_only() -> None:
    here = World(SUITE, 3)
    (one,), welcome, tree = by_hand(here, (1,), link(1))
    new = one.join(welcome, here[b"member 1"], tree)
    with pytest.raises(InvalidProposal, match=r"section 12.1.4"):
        new.commit([PreSharedKey(PreSharedKeyID(link(1), bytes(32)))], random=seeded(1))
