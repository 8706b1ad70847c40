"""Everything has a bound: how long past epochs are kept, how much disorder is borne, and what an announcement changes."""

import contextlib
import tracemalloc
from dataclasses import replace

import pytest

from keys.mls import (
    ApplicationReceived,
    DecodeError,
    Duplicate,
    EncodeError,
    Group,
    Limits,
    MLSError,
    OutOfRange,
    Welcome,
    WrongEpoch,
    cipher_suite,
)
from keys.mls.codec import MAX_SIZE, Struct, Uints, Vector, decode_all, encode_with, opaque, uint16s, vector_bytes
from keys.mls.messages import Commit, UpdatePath, UpdatePathNode
from keys.mls.nodes import ParentNode, extensions, ratchet_tree
from keys.mls.secrettree import BLOCK, AnnouncedKeys, Backlog, LeafRatchets, Ratchet
from tests.keys.mls.people import NOW, World

SUITE = cipher_suite(1)
BEGUN = LeafRatchets(Ratchet(b"", 0, 0, ()), Ratchet(b"", 0, 0, ())).encode()
HOUR = 3600
LATER = NOW + 30 * 86_400


def _vector(kind: type[Struct], name: str) -> Vector | Uints:
    codec = dict(kind._codecs)[name]
    assert isinstance(codec, Vector | Uints)
    return codec


def said(world: World, by: bytes, count: int) -> list[bytes]:
    """Messages that nobody has heard yet."""
    messages = []
    for number in range(count):
        world.groups[by], message = world[by].protect(b"%d" % number, random=world.random)
        messages.append(message)
    return messages


def epoch_ends(world: World, at: int | None, *, hears: Group) -> Group:
    """A Commit that all others follow, and `hears` at this time."""
    pending = world[b"member 0"].commit(random=world.random)
    world.accept(b"member 0", pending)
    return hears.process(pending.message, now_seconds=at)[0]


def saved(group: Group) -> Group:
    return Group.load(group.parts(), group.public.auth, limits=group.limits)


def text(received: object) -> bytes:
    assert isinstance(received, ApplicationReceived)
    return received.content


# Past epochs have an hour


@pytest.mark.parametrize(
    ("ended", "heard", "readable"),
    [
        pytest.param(NOW, NOW + HOUR, True, id="within the hour"),
        pytest.param(NOW, NOW + HOUR + 1, False, id="after the hour"),
        pytest.param(NOW, NOW - 5, True, id="a clock that goes back"),
        pytest.param(None, LATER, True, id="the end was not timed: its hour begins now"),
        pytest.param(NOW, None, True, id="no clock: the number of epochs alone counts"),
        pytest.param(None, None, True, id="never a clock"),
    ],
)
def test_an_epoch_that_is_over_is_read_for_an_hour(ended: int | None, heard: int | None, readable: bool) -> None:
    world = World(SUITE, 3)
    (late,) = said(world, b"member 2", 1)
    group = saved(epoch_ends(world, ended, hears=world[b"member 1"]))
    if not readable:
        with pytest.raises(WrongEpoch):
            group.process(late, now_seconds=heard)
        assert saved(group.expire(heard)).past == ()
        return
    group, received = group.process(late, now_seconds=heard)
    assert text(received) == b"0"
    with pytest.raises(Duplicate):
        saved(group).process(late, now_seconds=heard)


def test_the_hour_of_an_untimed_epoch_begins_with_the_first_time_given() -> None:
    world = World(SUITE, 3)
    (late,) = said(world, b"member 2", 1)
    group = epoch_ends(world, None, hears=world[b"member 1"])
    group = saved(group.expire(None).expire(LATER))
    assert group.past[0].epoch.ended == LATER
    group.process(late, now_seconds=LATER + HOUR)
    assert group.expire(LATER + HOUR + 1).past == ()


@pytest.mark.parametrize(
    ("announced", "ended", "until"),
    [
        pytest.param(False, NOW, NOW + HOUR, id="an epoch's hour"),
        pytest.param(False, None, -1, id="an epoch whose hour has not begun"),
        pytest.param(True, NOW, min(LATER, NOW + HOUR), id="a backlog's time"),
    ],
)
def test_until_when_nothing_is_to_be_let_go(announced: bool, ended: int | None, until: int) -> None:
    world = World(SUITE, 3)
    group = world[b"member 1"]
    assert (group.keeps_until(), group.expire(LATER)) == (None, group)
    if announced:
        group = group.announce(100, until_seconds=LATER)
    group = saved(epoch_ends(world, ended, hears=group))
    assert group.keeps_until() == until
    assert until < 0 or group.expire(until) is group
    assert group.expire(until + 1) is not group or announced


def test_an_own_commit_ends_its_epoch_when_it_is_merged() -> None:
    world = World(SUITE, 2)
    group = world[b"member 0"]
    pending = group.commit(random=world.random, now_seconds=NOW)
    (late,) = said(world, b"member 1", 1)
    assert pending.group.past == ()
    group.merge(pending).process(late, now_seconds=LATER)
    merged = group.merge(pending, now_seconds=NOW)
    with pytest.raises(WrongEpoch):
        merged.process(late, now_seconds=NOW + HOUR + 1)


def test_a_message_that_fails_makes_nothing_older() -> None:
    world = World(SUITE, 3)
    group = epoch_ends(world, NOW, hears=world[b"member 1"])
    before = group.parts()
    with pytest.raises(MLSError):
        group.process(b"no message", now_seconds=LATER)
    assert group.parts() == before


# A backlog that was announced (the most urgent first, the rest still to come)


def test_what_was_announced_is_read_after_what_overtook_it() -> None:
    """Five epochs, one longer than the ratchet's reach; the last message is read first, a month passes, all are read."""
    world = World(SUITE, 3)
    group, waiting = world[b"member 1"], list[bytes]()
    waiting += said(world, b"member 2", 60) + said(world, b"member 0", 3)
    group = saved(group.announce(2000, until_seconds=LATER))
    for _ in range(5):
        group = epoch_ends(world, NOW, hears=group)
        waiting += said(world, b"member 2", 40) + said(world, b"member 0", 2)
    waiting += said(world, b"member 2", 1100)
    (flash,) = said(world, b"member 2", 1)
    group, received = saved(group).process(flash, now_seconds=NOW)
    assert text(received) == b"0"
    assert len(group.past) == 5
    assert sum(len(name) > 0 for name in group.parts() if name.startswith("announced-")) == -(-1108 // BLOCK)
    for number, message in enumerate(waiting):
        group, received = group.process(message, now_seconds=LATER)
        if number % 100 == 0:
            group = saved(group)
    assert not [name for name in group.parts() if name.startswith("announced-")]
    for message in (waiting[0], waiting[100], waiting[-1], flash):
        with pytest.raises((Duplicate, OutOfRange)):
            group.process(message, now_seconds=LATER)
    group = saved(group.drained(now_seconds=LATER))
    assert (group.past, group.backlog) == ((), None)
    assert not [name for name in group.parts() if name.startswith(("past-", "announced-", "backlog"))]


def test_without_an_announcement_the_bounds_hold() -> None:
    world = World(SUITE, 3)
    group = world[b"member 1"]
    waiting = said(world, b"member 2", 1002)
    with pytest.raises(OutOfRange, match="ahead"):
        group.process(waiting[1001], now_seconds=NOW)
    after, _ = group.process(waiting[999], now_seconds=NOW)
    with pytest.raises(OutOfRange, match="kept from 967"):
        after.process(waiting[966], now_seconds=NOW)
    after.process(waiting[967], now_seconds=NOW)
    for _ in range(4):
        group = epoch_ends(world, NOW, hears=group)
    with pytest.raises(WrongEpoch):
        group.process(waiting[0], now_seconds=NOW)


def test_an_announcement_speaks_of_its_epoch_and_later_ones_only() -> None:
    world = World(SUITE, 3)
    group = world[b"member 1"]
    before = said(world, b"member 2", 101)
    group = epoch_ends(world, NOW, hears=group)
    announced = said(world, b"member 2", 101)
    group = group.announce(200, until_seconds=LATER)
    for messages, readable in ((before, False), (announced, True)):
        group, _ = group.process(messages[100], now_seconds=NOW)
        if readable:
            group.process(messages[0], now_seconds=NOW)
        else:
            with pytest.raises(OutOfRange):
                group.process(messages[0], now_seconds=NOW)


def test_a_backlog_is_drained_epoch_by_epoch() -> None:
    world = World(SUITE, 3)
    group, waiting = world[b"member 1"].announce(100, until_seconds=LATER), []
    for _ in range(5):
        waiting.append(said(world, b"member 2", 40))
        group = epoch_ends(world, NOW, hears=group)
    assert [past.number for past in group.past] == [5, 4, 3, 2, 1]
    group, _ = group.process(waiting[2][39], now_seconds=NOW)
    group = saved(group.drained(before=3, now_seconds=LATER))
    assert [past.number for past in group.past] == [5, 4, 3]
    group.process(waiting[2][0], now_seconds=LATER)
    group = saved(group.drained(before=6, now_seconds=NOW))
    assert [past.number for past in group.past] == [5, 4, 3]
    with pytest.raises(OutOfRange):
        group.process(waiting[2][0], now_seconds=NOW)
    assert group.expire(LATER).past == ()


def test_what_was_kept_for_a_backlog_goes_when_its_time_is_over() -> None:
    world = World(SUITE, 3)
    waiting = said(world, b"member 2", 101)
    group, _ = world[b"member 1"].announce(100, until_seconds=LATER).process(waiting[100], now_seconds=NOW)
    group = epoch_ends(world, NOW, hears=group)
    assert saved(group.expire(LATER)).process(waiting[0], now_seconds=LATER)
    with pytest.raises(WrongEpoch):
        group.process(waiting[0], now_seconds=LATER + 1)
    gone = group.expire(LATER + 1)
    assert (gone.backlog, gone.past) == (None, ())


def test_of_the_present_epoch_keys_go_when_it_is_drained() -> None:
    world = World(SUITE, 2)
    waiting = said(world, b"member 0", 101)
    group, _ = world[b"member 1"].announce(100, until_seconds=LATER).process(waiting[100], now_seconds=NOW)
    keys = [one.key for block in group.secret_tree.announced.values() for one in block.keys]
    assert len(keys) == 68
    group = group.drained(now_seconds=NOW)
    state = b"".join(group.parts().values())
    assert not [key for key in keys if key in state]
    with pytest.raises(OutOfRange):
        group.process(waiting[67], now_seconds=NOW)
    group.process(waiting[68], now_seconds=NOW)


def test_announcements_add_up_and_are_not_believed_without_end() -> None:
    group = World(SUITE, 2)[b"member 1"]
    group = group.announce(10, until_seconds=NOW).announce(5, until_seconds=LATER)
    assert group.backlog == Backlog(1, 10, LATER)
    assert group.announce(1 << 40, until_seconds=NOW).backlog == Backlog(1, 1 << 15, LATER)


def test_an_insider_cannot_have_more_keys_kept_than_were_announced() -> None:
    """It jumps as far as it may, again and again; of its own messages the oldest are lost, and nobody else's."""
    world = World(SUITE, 3)
    limits = Limits(kept_keys=4, forward=10)
    group = replace(world[b"member 1"], limits=limits).announce(100, until_seconds=LATER)
    honest, hostile = said(world, b"member 0", 61), said(world, b"member 2", 331)
    group, _ = group.process(honest[60], now_seconds=NOW)
    for number in (110, 220, 330):
        group, _ = saved(group).process(hostile[number], now_seconds=NOW)
    kept = sum(len(block.keys) for (leaf, _), block in group.secret_tree.announced.items() if leaf == 2)
    assert kept == 100
    with pytest.raises(OutOfRange):
        group.process(hostile[221], now_seconds=NOW)
    for message in (*honest[:60], *hostile[227:330]):
        group, _ = group.process(message, now_seconds=NOW)


def test_a_message_of_a_backlog_rewrites_two_kilobytes() -> None:
    world = World(SUITE, 2)
    waiting = said(world, b"member 0", 501)
    group, _ = world[b"member 1"].announce(500, until_seconds=LATER).process(waiting[500], now_seconds=NOW)
    group = epoch_ends(world, NOW, hears=group)
    for message in waiting[:10]:
        before = group.parts()
        group, _ = group.process(message, now_seconds=NOW)
        after = group.parts()
        changed = [name for name in after if after[name] is not before.get(name) and after[name] != before[name]]
        assert [name.split("-")[:3] for name in changed] == [["announced", "1", "0"]]
        assert len(after[changed[0]]) < 2300


# What a sender says of sizes


@pytest.mark.parametrize(
    ("codec", "element", "most"),
    [
        pytest.param(uint16s, b"\0\1", 256, id="capabilities"),
        pytest.param(extensions, b"\0\1\0", 256, id="extensions"),
        pytest.param(_vector(UpdatePath, "nodes"), b"\0\0", 16, id="path nodes"),
        pytest.param(_vector(UpdatePathNode, "encrypted_path_secret"), b"\0\0", 1 << 16, id="path secrets"),
        pytest.param(_vector(Commit, "proposals"), b"\2\0", 1 << 16, id="proposals"),
        pytest.param(_vector(Welcome, "secrets"), b"\0\0\0", 1 << 16, id="secrets of a Welcome"),
        pytest.param(_vector(ParentNode, "unmerged_leaves"), b"\0\0\0\1", 1 << 16, id="unmerged leaves"),
        pytest.param(ratchet_tree, b"\0", 1 << 18, id="ratchet tree"),
    ],
)
def test_a_vector_has_a_longest(codec: Vector | Uints, element: bytes, most: int) -> None:
    value = decode_all(codec, vector_bytes(element * most))
    assert len(value) == most
    assert encode_with(codec, value) == vector_bytes(element * most)
    with pytest.raises(DecodeError, match=f"more than {most} elements"):
        decode_all(codec, vector_bytes(element * (most + 1)))
    with pytest.raises(EncodeError, match=f"the limit is {most}"):
        encode_with(codec, (*value, value[0]))


def test_a_length_alone_allocates_nothing() -> None:
    """Sixteen megabytes that claim to be a tree, and six bytes that claim to be a gigabyte."""
    nothing = vector_bytes(bytes(MAX_SIZE - 4))
    tracemalloc.start()
    try:
        for data in (nothing, b"\xbf\xff\xff\xff\0\0"):
            for codec in (ratchet_tree, opaque):
                with contextlib.suppress(DecodeError):
                    decode_all(codec, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MAX_SIZE


# A state that does not fit together


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"announced-9-0-0": AnnouncedKeys(()).encode()}, "not kept", id="announced keys of no epoch"),
        pytest.param({"ratchet-9-0": BEGUN}, "not kept", id="a ratchet of no epoch"),
        pytest.param({"ratchet-1-0": b""}, "length expected", id="a ratchet that is none"),
        pytest.param({"announced-1-0": b"\0"}, "no part has the name", id="announced keys of no block"),
        pytest.param({"secret-tree-9": b"\0\0\0\2\0"}, "not kept", id="a secret tree of no epoch"),
        pytest.param({"past-x": b""}, "no part has the name", id="a past epoch without number"),
        pytest.param({"past-9": b""}, "expected", id="a past epoch that is empty"),
        pytest.param({"backlog": b"\0"}, "expected", id="half a backlog"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, bytes], reason: str) -> None:
    world = World(SUITE, 2)
    with pytest.raises(DecodeError, match=reason):
        Group.load({**world[b"member 0"].parts(), **change}, world.auth)


def test_a_past_epoch_needs_its_own_message_keys() -> None:
    world = World(SUITE, 2)
    parts = dict(epoch_ends(world, NOW, hears=world[b"member 1"]).parts())
    other = {"past-9": parts["past-1"], "secret-tree-9": parts["secret-tree-1"]}
    for change in (
        other,
        {"past-2": parts["past-1"]},
        {"secret-tree-1": b"\0\0\0\4\0"},
        {"secret-tree-2": b"\0\0\0\4\0"},
    ):
        with pytest.raises(DecodeError):
            Group.load({**parts, **change}, world.auth)
    del parts["secret-tree-1"]
    with pytest.raises(DecodeError):
        Group.load(parts, world.auth)
