"""Scenarios among members: adding, updating, removing, each other's proposals, races, disorder, extensions."""

from tests.interop.process import Process
from tests.interop.world import four, pair


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
