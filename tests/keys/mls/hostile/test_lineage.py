"""Groups that come from others (RFC 9420 sections 11.2, 11.3, 12.1.5 and 12.4.3.1): ReInit, branches, and their Welcomes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from keys.mls import (
    Add,
    Extension,
    ExternalPsk,
    Group,
    GroupContextExtensions,
    InvalidGroupInfo,
    InvalidLeafNode,
    InvalidProposal,
    MissingPreSharedKey,
    Misuse,
    PreSharedKey,
    PreSharedKeyID,
    PreSharedKeys,
    Proposal,
    ReInit,
    Reinitialized,
    Remove,
    ResumptionPsk,
    cipher_suite,
    reinitialize,
)
from keys.mls.presharedkeys import BRANCH, REINIT
from tests.keys.mls.hostile.scene import ASKED, CHARTER, HONEST, SUITE, commit, propose
from tests.keys.mls.hostile.table import Case, Row, judge, state_of, table
from tests.keys.mls.kin import FOUNDER, Ready, closed, founded_by_hand, ready, welcome_with
from tests.keys.mls.people import NOW, World, seeded

NEXT = ReInit(b"next", 1, 1, ())
HERE = ReInit(b"next", 1, 1, (CHARTER, ASKED))
BESIDE = "a ReInit beside another proposal"


def beside(*others: Proposal) -> Callable[[], Case]:
    return commit([HERE, *others], [HERE])


@table(
    Row(
        "12.1.5",
        "a ReInit leads to no lower version",
        lambda: propose(replace(HERE, version=0), HERE),
        InvalidProposal,
        "a ReInit to version 0, lower",
    ),
    Row(
        "13.4",
        "no extension stands in a ReInit twice",
        lambda: propose(replace(HERE, extensions=(CHARTER, CHARTER)), HERE),
        InvalidLeafNode,
        "two extensions",
    ),
    Row("12.2", "a ReInit stands beside no Remove", beside(Remove(2)), InvalidProposal, BESIDE),
    Row("12.2", "a ReInit stands beside no Add", beside(Add(HONEST)), InvalidProposal, BESIDE),
    Row(
        "12.2",
        "a ReInit stands beside no new extensions",
        beside(GroupContextExtensions((CHARTER, ASKED))),
        InvalidProposal,
        BESIDE,
    ),
    Row(
        "12.2",
        "a ReInit stands beside no pre-shared key",
        beside(PreSharedKey(PreSharedKeyID(ExternalPsk(b"id"), bytes(32)))),
        InvalidProposal,
        BESIDE,
    ),
    Row(
        "12.2", "a ReInit stands beside no other ReInit", beside(replace(HERE, group_id=b"x")), InvalidProposal, BESIDE
    ),
)
def test_a_reinit(row: Row) -> None:
    judge(row)


# A group that is closed


@cache
def shut(version: int = 1) -> World:
    """Three members, closed by a ReInit in epoch 2."""
    here = World(SUITE, 3, seed="shut")
    closed(here, replace(NEXT, version=version))
    return here


@cache
def alive() -> World:
    return World(SUITE, 3, seed="shut")


def after_closing(step: Callable[[Group], object]) -> Callable[[], Case]:
    """Nothing goes on in a group that is closed."""

    def case() -> Case:
        over, before = shut()[b"member 1"], alive()[b"member 1"]
        return Case([lambda: step(over)], [lambda: step(before)], state_of(over))

    return case


CLOSED = "section 12.4.2"


@table(
    Row("12.4.2", "nothing is said", after_closing(lambda g: g.protect(b"x", random=seeded(1))), Reinitialized, CLOSED),
    Row(
        "12.4.2",
        "nothing is proposed",
        after_closing(lambda g: g.propose(Remove(2), random=seeded(1))),
        Reinitialized,
        CLOSED,
    ),
    Row(
        "12.4.2",
        "no Update is proposed",
        after_closing(lambda g: g.propose_update(random=seeded(1))),
        Reinitialized,
        CLOSED,
    ),
    Row("12.4.2", "nothing is committed", after_closing(lambda g: g.commit(random=seeded(1))), Reinitialized, CLOSED),
)
def test_a_group_that_is_closed(row: Row) -> None:
    judge(row)


def taken_after_closing(by: str) -> Callable[[], Case]:
    """Nobody makes this; somebody without scruples does."""

    def case() -> Case:
        here, reader = shut(), shut()[b"member 1"]
        author = replace(here[b"member 0"], public=replace(here.public, reinit=None))
        step = (
            author.commit(random=seeded(1)).message
            if by == "commit"
            else author.propose(Remove(2), random=seeded(1))[1]
        )
        open_again = replace(reader, public=replace(reader.public, reinit=None))
        return Case(
            [lambda: reader.process(step, now_seconds=NOW)],
            [lambda: open_again.process(step, now_seconds=NOW)],
            state_of(reader),
        )

    return case


@table(
    Row("12.4.2", "no Commit is taken", taken_after_closing("commit"), Reinitialized, CLOSED),
    Row("12.4.2", "no proposal is taken", taken_after_closing("proposal"), Reinitialized, CLOSED),
)
def test_what_comes_to_a_group_that_is_closed(row: Row) -> None:
    judge(row)


# Joining what comes from it


def joins(
    usage: int, old: Callable[[], World] = shut, *, joiners: tuple[int, ...] = (1, 2), epoch: int = 2, **how: Any
) -> Callable[[], Case]:
    """Member 0 founds a group its own way and ties it to the old one; member 1 opens the Welcome."""
    honest = {"group_id": b"next" if usage == REINIT else b"aside", "suite": SUITE}

    def step(world: World, joiners: tuple[int, ...], epoch: int, how: Mapping[str, Any]) -> Callable[[], object]:
        given = {**honest, **how}
        others: list[Ready] = ready(given["suite"], *joiners)
        link = ResumptionPsk(usage, b"the group", epoch)
        founded = founded_by_hand(world[b"member 0"], link, others, **given)
        return lambda: others[0].join(founded.welcome or b"", world[b"member 1"], founded.group.tree_bytes())

    def case() -> Case:
        fair = step(shut() if usage == REINIT else alive(), (1, 2), 2 if usage == REINIT else 1, {})
        return Case([step(old(), joiners, epoch, how)], [fair], state_of(old()[b"member 1"]))

    return case


def branches(**how: Any) -> Callable[[], Case]:
    return joins(BRANCH, alive, **{"epoch": 1, **how})


def late(usage: int, world: Callable[[], World]) -> Callable[[], Case]:
    """The new group is linked in its second epoch, by a Welcome by hand; an honest one names no link."""

    def case() -> Case:
        here, epoch = world(), world().public.epoch
        others = ready(SUITE, 1, 2)
        link = ResumptionPsk(usage, b"the group", epoch)
        founded = founded_by_hand(here[b"member 0"], link, others[:1], group_id=b"next", suite=SUITE)
        guest = others[1]
        pending = founded.group.commit([Add(guest.package)], random=seeded(2), path=False)
        held = PreSharedKeys(groups={b"the group": here[b"member 0"]})
        hostile, tree = welcome_with(pending.group, guest, [PreSharedKeyID(link, bytes(32))], held)
        plain, _ = welcome_with(pending.group, guest, [], held)
        old = here[b"member 2"]
        return Case([lambda: guest.join(hostile, old, tree)], [lambda: guest.join(plain, old, tree)], state_of(old))

    return case


def of_another_version() -> Case:
    """There is no other version yet; the old group is made to seem of one."""
    fair = branches()().honest
    old = alive()[b"member 1"]
    odd = replace(old, public=replace(old.public, context=replace(old.context, version=2)))
    (one,) = ready(SUITE, 1)
    link = ResumptionPsk(BRANCH, b"the group", 1)
    founded = founded_by_hand(alive()[b"member 0"], link, [one], group_id=b"aside", suite=SUITE)
    return Case([lambda: one.join(founded.welcome or b"", odd, founded.group.tree_bytes())], fair, state_of(old))


def same_id() -> Case:
    """Somebody else founds a group with the id of one that member 1 is in."""
    (one,) = ready(SUITE, 1)
    again = World(SUITE, 1, seed="again")
    pending = again[b"member 0"].commit([Add(one.package)], random=again.random)
    old, tree = alive()[b"member 1"], pending.group.tree_bytes()
    return Case(
        [lambda: one.join(pending.welcome or b"", old, tree)],
        [lambda: one.join(pending.welcome or b"", None, tree, another=shut()[b"member 1"])],
        state_of(old),
    )


@cache
def moved_on() -> World:
    """The branch's epoch is so long ago that nobody knows who was in it."""
    here = World(SUITE, 3, seed="moved on")
    for _ in range(4):
        here.accept(b"member 0", here[b"member 0"].commit(random=here.random))
    return here


def from_long_ago() -> Case:
    return joins(BRANCH, moved_on, epoch=1)()


REQUIRED = Extension(0x0003, b"\x00\x00\x00")


@table(
    Row(
        "12.4.3.1",
        "a successor's id is the ReInit's",
        joins(REINIT, group_id=b"another"),
        InvalidGroupInfo,
        "a successor with another group id",
    ),
    Row(
        "12.4.3.1",
        "a successor's suite is the ReInit's",
        joins(REINIT, suite=cipher_suite(3)),
        InvalidGroupInfo,
        "a successor with another cipher suite",
    ),
    Row(
        "12.4.3.1",
        "a successor's version is the ReInit's",
        joins(REINIT, lambda: shut(2)),
        InvalidGroupInfo,
        "a successor with another version",
    ),
    Row(
        "12.4.3.1",
        "a successor's extensions are the ReInit's",
        joins(REINIT, extensions=(REQUIRED,)),
        InvalidGroupInfo,
        "a successor with other extensions",
    ),
    Row(
        "12.4.3.1",
        "a successor leaves nobody out",
        joins(REINIT, joiners=(1,)),
        InvalidGroupInfo,
        "a successor without a member",
    ),
    Row(
        "11.2",
        "a successor has nobody new",
        joins(REINIT, joiners=(1, 2, 7)),
        InvalidGroupInfo,
        "a successor with a member that the old group had not",
    ),
    Row(
        "11.2",
        "a successor comes from the epoch after the ReInit",
        joins(REINIT, epoch=1),
        InvalidGroupInfo,
        "a successor from epoch 1",
    ),
    Row(
        "12.4.3.1", "a successor's group was closed", joins(REINIT, alive, epoch=1), InvalidGroupInfo, "holds no ReInit"
    ),
    Row(
        "12.4.3.1",
        "a successor is in epoch 1",
        late(REINIT, shut),
        InvalidGroupInfo,
        "linked to another in its epoch 2",
    ),
    Row(
        "11.3",
        "a branch's suite is the group's",
        branches(suite=cipher_suite(3)),
        InvalidGroupInfo,
        "a branch with another cipher suite",
    ),
    Row(
        "11.3",
        "a branch's version is the group's",
        of_another_version,
        InvalidGroupInfo,
        "a branch with another version",
    ),
    Row(
        "11.3",
        "a branch has nobody new",
        branches(joiners=(1, 9)),
        InvalidGroupInfo,
        "a branch with a member that the old group had not",
    ),
    Row(
        "12.4.3.1", "a branch is in epoch 1", late(BRANCH, alive), InvalidGroupInfo, "linked to another in its epoch 2"
    ),
    Row(
        "12.4.3.1",
        "who was in the branch's epoch is known",
        from_long_ago,
        MissingPreSharedKey,
        "the members of epoch 1 of the old group are forgotten",
    ),
    Row("12.4.3", "a new group has an id of its own", same_id, InvalidGroupInfo, "the id of one that we are in"),
)
def test_a_group_that_comes_from_another(row: Row) -> None:
    judge(row)


# Founding one


def founds(numbers: tuple[int, ...]) -> Callable[[], Case]:
    def step(numbers: tuple[int, ...]) -> Callable[[], object]:
        packages = [one.package for one in ready(SUITE, *numbers)]
        return lambda: reinitialize(shut()[b"member 0"], packages, FOUNDER, random=seeded(1))

    return lambda: Case([step(numbers)], [step((1, 2))], state_of(shut()[b"member 0"]))


def founds_too_soon() -> Case:
    packages = [one.package for one in ready(SUITE, 1, 2)]
    return Case(
        [lambda: reinitialize(alive()[b"member 0"], packages, FOUNDER, random=seeded(1))],
        [lambda: reinitialize(shut()[b"member 0"], packages, FOUNDER, random=seeded(1))],
    )


@table(
    Row("12.4.3.1", "a founder leaves nobody out", founds((1,)), InvalidGroupInfo, "a successor without a member"),
    Row("11.2", "a founder brings nobody new", founds((1, 2, 7)), InvalidGroupInfo, "that the old group had not"),
    Row("11.2", "a founder waits for a ReInit", founds_too_soon, Misuse, "no ReInit closed this group"),
)
def test_a_founder_of_a_successor(row: Row) -> None:
    judge(row)
