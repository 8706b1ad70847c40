"""What two or three implementations do in one group; each scenario is a function, and its docstring a row of the table.

`ours` and `theirs` are peers; where it says so the roles are played both ways round, so that each implementation makes
what the other has to follow.
"""

import random
from collections.abc import Callable

from tests.interop.process import Process
from tests.interop.world import Member, World

Scenario = Callable[[int, Process, Process], None]


def pair(suite: int, ours: Process, theirs: Process) -> tuple[World, Member, Member]:
    """A group of two, founded by ours."""
    world = World(suite)
    one = world.found(ours)
    (other,) = world.add(one, theirs)
    return world, one, other


def four(suite: int, ours: Process, theirs: Process) -> tuple[World, Member, Member, Member, Member]:
    """A group of two of ours and two of theirs."""
    world, one, other = pair(suite, ours, theirs)
    third, fourth = world.add(one, ours, theirs)
    return world, one, other, third, fourth


def ours_creates(suite: int, ours: Process, theirs: Process) -> None:
    """we create the group and add the peer"""
    world, _, _ = pair(suite, ours, theirs)
    world.talk()


def theirs_creates(suite: int, ours: Process, theirs: Process) -> None:
    """the peer creates the group and adds us"""
    world, _, _ = pair(suite, theirs, ours)
    world.talk()


def each_adds(suite: int, ours: Process, theirs: Process) -> None:
    """each adds several in one commit"""
    world, one, other = pair(suite, ours, theirs)
    world.add(one, theirs, ours, theirs)
    world.add(other, ours, theirs, ours)
    world.talk()


def each_updates(suite: int, ours: Process, theirs: Process) -> None:
    """each updates, in turn"""
    world, *members = four(suite, ours, theirs)
    for member in members:
        world.commit(member)
        world.talk()


def ours_removes(suite: int, ours: Process, theirs: Process) -> None:
    """we remove a member, and its place is filled again"""
    _removes(suite, ours, theirs)


def theirs_removes(suite: int, ours: Process, theirs: Process) -> None:
    """the peer removes a member, and its place is filled again"""
    _removes(suite, theirs, ours)


def _removes(suite: int, first: Process, second: Process) -> None:
    world, one, other, third, fourth = four(suite, first, second)
    world.remove(one, other)
    world.talk()
    world.add(third, second)
    world.remove(one, third, fourth)
    world.commit(one)
    world.talk()


def ours_joins_externally(suite: int, ours: Process, theirs: Process) -> None:
    """we join the peer's group by an external commit"""
    _external(suite, theirs, ours)


def theirs_joins_externally(suite: int, ours: Process, theirs: Process) -> None:
    """the peer joins our group by an external commit"""
    _external(suite, ours, theirs)


def _external(suite: int, inside: Process, outside: Process) -> None:
    world = World(suite)
    one = world.found(inside)
    world.add(one, inside)
    world.commit(one)
    world.join_externally(one, newcomer := world.client(outside))
    world.talk()
    world.commit(newcomer)
    world.commit(one)
    world.talk()


def ours_comes_back(suite: int, ours: Process, theirs: Process) -> None:
    """we resync: an external commit that removes our old leaf"""
    _resync(suite, theirs, ours)


def theirs_comes_back(suite: int, ours: Process, theirs: Process) -> None:
    """the peer resyncs: an external commit that removes its old leaf"""
    _resync(suite, ours, theirs)


def _resync(suite: int, inside: Process, outside: Process) -> None:
    world = World(suite)
    one = world.found(inside)
    (lost,) = world.add(one, outside)
    world.add(one, inside)
    world.commit(one)
    world.members.remove(lost)
    world.commit(one)
    world.join_externally(one, lost, resync=True)
    world.talk()
    world.commit(lost)
    world.talk()


def ours_commits_theirs(suite: int, ours: Process, theirs: Process) -> None:
    """we commit the peer's proposals: add, update, remove"""
    _proposals(suite, ours, theirs)


def theirs_commits_ours(suite: int, ours: Process, theirs: Process) -> None:
    """the peer commits our proposals: add, update, remove"""
    _proposals(suite, theirs, ours)


def _proposals(suite: int, committer: Process, proposer: Process) -> None:
    world, one, other, third, _ = four(suite, committer, proposer)
    world.propose(other, update=True)
    world.commit(one, pending=True)
    world.talk()
    world.propose(other, remove=[third.identity])
    world.commit(one, pending=True)
    assert third not in world.members
    joiner = world.client(committer)
    world.propose(other, add=[joiner.ask("key_package")["key_package"]])
    made = one.ask("commit", group=world.group, pending=True)
    world.accept(one, made["commit"])
    world.welcome(made["welcome"], [joiner])
    world.talk()


def ours_loses(suite: int, ours: Process, theirs: Process) -> None:
    """we lose a commit race"""
    world, one, other, *_ = four(suite, ours, theirs)
    world.race(other, one)
    world.race(other, one)
    world.commit(one)
    world.talk()


def theirs_loses(suite: int, ours: Process, theirs: Process) -> None:
    """the peer loses a commit race"""
    world, one, other, *_ = four(suite, ours, theirs)
    world.race(one, other)
    world.race(one, other)
    world.commit(other)
    world.talk()


def out_of_order(suite: int, ours: Process, theirs: Process) -> None:
    """messages out of order, and one that comes an epoch late"""
    world, one, other, *_ = four(suite, ours, theirs)
    for by in (one, other):
        contents = [b"message %d" % number for number in range(3)]
        messages = [world.say(by, content) for content in contents]
        for place in (1, 0):  # core-crypto keeps one key back
            world.hear(by, messages[place], contents[place])
        world.commit(by)
        world.hear(by, messages[2], contents[2])


def ours_commits_psk(suite: int, ours: Process, theirs: Process) -> None:
    """we commit an external PSK, and welcome somebody with one"""
    _psk(suite, ours, theirs)


def theirs_commits_psk(suite: int, ours: Process, theirs: Process) -> None:
    """the peer commits an external PSK, and welcomes somebody with one"""
    _psk(suite, theirs, ours)


def _psk(suite: int, committer: Process, follower: Process) -> None:
    world, one, *rest = four(suite, committer, follower)
    for member in (one, *rest):
        member.ask("psk", psk_id=b"the key", psk=bytes(range(32)))
    world.commit(one, psks=[b"the key"])
    world.talk()
    joiner = world.client(follower)
    joiner.ask("psk", psk_id=b"the key", psk=bytes(range(32)))
    package = joiner.ask("key_package")["key_package"]
    made = one.ask("commit", group=world.group, add=[package], psks=[b"the key"])
    world.accept(one, made["commit"])
    world.welcome(made["welcome"], [joiner])
    world.talk()


REQUIRED = bytes.fromhex("0000020001")
"""RequiredCapabilities with nothing but basic credentials."""


def ours_changes_extensions(suite: int, ours: Process, theirs: Process) -> None:
    """we change the group's extensions"""
    world, one, *_ = four(suite, ours, theirs)
    world.commit(one, required=REQUIRED)
    world.add(one, theirs)
    world.talk()


def theirs_changes_extensions(suite: int, ours: Process, theirs: Process) -> None:
    """the peer changes the group's extensions"""
    ours_changes_extensions(suite, theirs, ours)


def theirs_proposes_extensions(suite: int, ours: Process, theirs: Process) -> None:
    """the peer proposes other extensions, and we commit them"""
    world, one, other, *_ = four(suite, ours, theirs)
    world.propose(other, required=REQUIRED)
    world.commit(one)
    world.talk()


def theirs_seals_handshakes(suite: int, ours: Process, theirs: Process) -> None:
    """the peer's proposals and commits come sealed (PrivateMessage)"""
    world, one, other, third, _ = four(suite, ours, theirs)
    world.commit(other, sealed=True)
    world.propose(other, remove=[third.identity], sealed=True)
    world.commit(one)
    assert third not in world.members
    world.add(other, ours, sealed=True)
    world.talk()


def ours_asks_to_be_added(suite: int, ours: Process, theirs: Process) -> None:
    """we propose to be added from outside (new_member_proposal)"""
    _asks(suite, theirs, ours)


def theirs_asks_to_be_added(suite: int, ours: Process, theirs: Process) -> None:
    """the peer proposes to be added from outside (new_member_proposal)"""
    _asks(suite, ours, theirs)


def _asks(suite: int, inside: Process, outside: Process) -> None:
    world = World(suite)
    one = world.found(inside)
    world.add(one, outside)
    world.commit(one)
    newcomer = world.client(outside)
    info = one.ask("group_info", group=world.group)["group_info"]
    world.relay(None, newcomer.ask("external_add", group_info=info)["message"])
    made = one.ask("commit", group=world.group, pending=True)
    world.accept(one, made["commit"])
    world.welcome(made["welcome"], [newcomer])
    world.talk()


def walk(suite: int, *peers: Process, seed: int = 0, steps: int = 24) -> None:
    """a long walk: eight members of all sides come, go, update and race"""
    choose = random.Random(seed)
    world = World(suite)
    founder = world.found(choose.choice(peers))
    for joiner in world.add(founder, *peers):
        world.commit(joiner)
    for _step in range(steps):
        by, other = choose.sample(world.members, 2)
        match choose.choice(("add", "remove", "update", "update", "race", "talk")):
            case "add" if len(world.members) < 8:
                for joiner in world.add(by, *choose.choices(peers, k=choose.choice((1, 1, 2)))):
                    world.commit(joiner)  # ts-mls refuses a Welcome's tree in which unmerged leaves nest
            case "remove" if len(world.members) > 3:
                world.remove(by, other)
            case "race":
                world.race(by, other)
            case "talk":
                world.talk()
            case _:
                world.commit(by)
    world.talk()


PAIRS: tuple[Scenario, ...] = (
    ours_creates,
    theirs_creates,
    each_adds,
    each_updates,
    ours_removes,
    theirs_removes,
    ours_joins_externally,
    theirs_joins_externally,
    ours_comes_back,
    theirs_comes_back,
    ours_commits_theirs,
    theirs_commits_ours,
    ours_loses,
    theirs_loses,
    out_of_order,
    ours_commits_psk,
    theirs_commits_psk,
    ours_changes_extensions,
    theirs_changes_extensions,
    theirs_proposes_extensions,
    theirs_seals_handshakes,
    ours_asks_to_be_added,
    theirs_asks_to_be_added,
    walk,
)
