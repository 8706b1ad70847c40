"""Order, disorder and what is over (RFC 9420 sections 9.1, 9.2, 12.4.2, 14, 15.3 and 16.6): each message once, each Commit in its epoch."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from keys.mls import Duplicate, Group, Limits, Misuse, OutOfRange, OwnMessage, Remove, Removed, WrongEpoch
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.hostile.scene import SUITE, member, scene
from tests.keys.mls.hostile.table import Case, Row, heard, judge, state_of, table
from tests.keys.mls.people import NOW, World, seeded

HOUR = 3600


def said(group: Group, count: int) -> list[bytes]:
    """Words of a member, one after the other."""
    messages = []
    for number in range(count):
        group, message = group.protect(b"%d" % number, random=seeded(number))
        messages.append(message)
    return messages


def read(reader: Group, hostile: bytes, honest: bytes, *, now: int | None = NOW) -> Case:
    return Case(
        [lambda: reader.process(hostile, now_seconds=now)],
        [lambda: reader.process(honest, now_seconds=NOW)],
        state_of(reader),
    )


def twice() -> Case:
    first, second = said(member(0), 2)
    reader, _ = member(1).process(first, now_seconds=NOW)
    return read(reader, first, second)


def a_skipped_one_twice() -> Case:
    first, second, third = said(member(0), 3)
    reader, _ = member(1).process(second, now_seconds=NOW)
    reader, _ = reader.process(first, now_seconds=NOW)
    return read(reader, first, third)


def far_ahead() -> Case:
    words = said(member(0), 7)
    return read(replace(member(1), limits=Limits(forward=5)), words[6], words[5])


def long_skipped() -> Case:
    words = said(member(0), 6)
    reader, _ = replace(member(1), limits=Limits(kept_keys=2)).process(words[5], now_seconds=NOW)
    return read(reader, words[2], words[3])


def generation_without_end() -> Case:
    """Sender data that an insider makes: the furthest generation there is."""
    group = member(0)
    ratchets = group.secret_tree.open_leaf(SUITE, 0).ratchets[0]
    late = replace(ratchets, application=replace(ratchets.application, generation=0xFFFFFFFE))
    tree = replace(group.secret_tree.open_leaf(SUITE, 0), ratchets={0: late})
    hostile = replace(group, secret_tree=tree).protect(b"x", random=seeded(1))[1]
    return read(member(1), hostile, said(group, 1)[0])


def own_words() -> Case:
    reader = member(1)
    return read(reader, said(reader, 1)[0], said(member(0), 1)[0])


def own_late_words() -> Case:
    world, words = older(1)
    reader = world[b"member 1"]
    return read(reader, words[b"member 1"][0], words[b"member 2"][0])


def own_commit() -> Case:
    return heard(member(1), None, forge(member(1)), forge(member(0)))


@cache
def older(epochs: int) -> tuple[World, dict[bytes, list[bytes]]]:
    """Words of two members, and then so many Commits by member 0."""
    world = World(SUITE, 3, seed=("older", epochs))
    words = {name: said(world[name], 1) for name in (b"member 1", b"member 2")}
    for _ in range(epochs):
        pending = world[b"member 0"].commit(random=world.random)
        world.accept(b"member 0", pending)
    return world, words


def too_old() -> Case:
    world, words = older(4)
    kept, fresh = older(3)
    hostile, honest = words[b"member 2"][0], fresh[b"member 2"][0]
    reader = world[b"member 1"]
    return Case(
        [lambda: reader.process(hostile, now_seconds=NOW)],
        [lambda: kept[b"member 1"].process(honest, now_seconds=NOW)],
        state_of(reader),
    )


def after_the_hour() -> Case:
    world, words = older(1)
    return read(world[b"member 1"], words[b"member 2"][0], words[b"member 2"][0], now=NOW + HOUR + 1)


def lost_race() -> Case:
    """Two Commits of one epoch: whoever took the first refuses the second."""
    first, second = forge(member(0)), forge(member(2))
    reader, _ = member(1).process(first, now_seconds=NOW)
    public = scene().public.stage(first, NOW).next
    refused = heard(reader, public, second, second)
    taken = heard(member(1), scene().public, second, second)
    return Case(refused.hostile, taken.honest, refused.state)


def merged_late() -> Case:
    """Our own Commit lost its race and is merged all the same."""
    pending = member(1).commit(random=seeded(1))
    after, _ = member(1).process(forge(member(0)), now_seconds=NOW)
    return Case([lambda: after.merge(pending)], [lambda: member(1).merge(pending)], state_of(after))


@table(
    Row("9.2", "a message is read once", twice, Duplicate, "generation 0 was read before"),
    Row("9.2", "a message that came late is read once", a_skipped_one_twice, Duplicate, "generation 0 was read before"),
    Row("15.3", "a ratchet goes forward so far", far_ahead, OutOfRange, "generation 6, 6 ahead"),
    Row("15.3", "keys of skipped messages are kept so long", long_skipped, OutOfRange, "generation 2, kept from 3"),
    Row("15.3", "a forged generation moves nothing", generation_without_end, OutOfRange, "generation 4294967294"),
    Row("15.3", "so many past epochs are read", too_old, WrongEpoch, "message of epoch 1, group in epoch 5"),
    Row("15.3", "a past epoch is read for an hour", after_the_hour, WrongEpoch, "message of epoch 1, group in epoch 2"),
    Row("9.1", "nobody reads its own words", own_words, OwnMessage, "a PrivateMessage of ours"),
    Row("9.1", "nobody reads its own late words", own_late_words, OwnMessage, "a PrivateMessage of ours"),
    Row("12.4.2", "nobody processes its own Commit", own_commit, OwnMessage, "a handshake message of ours"),
    Row("14", "one Commit ends an epoch", lost_race, WrongEpoch, "message of epoch 1, group in epoch 2"),
    Row("14", "a Commit that lost is not merged", merged_late, Misuse, "a Commit that leads to epoch 2"),
)
def test_a_message_at_the_wrong_time(row: Row) -> None:
    judge(row)


# Who was removed (section 12.4.2)


@cache
def gone() -> Group:
    group, _ = member(1).process(forge(member(0), [Remove(1)]), now_seconds=NOW)
    return group


def removed(step: Callable[[Group], object]) -> Callable[[], Case]:
    return lambda: Case([lambda: step(gone())], [lambda: step(member(1))], state_of(gone()))


PUT_OUT = "this device was removed from the group"


@table(
    Row("12.4.2", "says nothing", removed(lambda g: g.protect(b"x", random=seeded(1))), Removed, PUT_OUT),
    Row("12.4.2", "proposes nothing", removed(lambda g: g.propose(Remove(2), random=seeded(1))), Removed, PUT_OUT),
    Row("12.4.2", "proposes no Update", removed(lambda g: g.propose_update(random=seeded(1))), Removed, PUT_OUT),
    Row("12.4.2", "commits nothing", removed(lambda g: g.commit(random=seeded(1))), Removed, PUT_OUT),
    Row(
        "12.4.2",
        "takes no handshake",
        removed(lambda g: g.process(forge(member(0)), now_seconds=NOW)),
        Removed,
        PUT_OUT,
    ),
    Row("12.4.2", "vouches for nothing", removed(lambda g: g.group_info()), Removed, PUT_OUT),
    Row("12.4.2", "exports nothing", removed(lambda g: g.exporter(b"", b"", 16)), Removed, PUT_OUT),
    Row("12.4.2", "has no leaf", removed(lambda g: g.own_leaf), Removed, PUT_OUT),
    Row("12.4.2", "merges nothing", removed(lambda g: g.merge(member(1).commit(random=seeded(1)))), Removed, PUT_OUT),
)
def test_who_was_removed(row: Row) -> None:
    judge(row)
