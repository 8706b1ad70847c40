"""Scenarios from outside: external commits, resync, strangers who ask to be added, a server that may propose."""

from tests.interop.process import Process
from tests.interop.world import World


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


def ours_obeys_a_server(suite: int, ours: Process, theirs: Process) -> None:
    """an external sender that the group lists removes somebody, and we commit that"""
    _server(suite, ours, theirs, committer=0)


def theirs_obeys_a_server(suite: int, ours: Process, theirs: Process) -> None:
    """an external sender that the group lists removes somebody, and the peer commits that"""
    _server(suite, ours, theirs, committer=1)


def _server(suite: int, ours: Process, theirs: Process, committer: int) -> None:
    world = World(suite)
    server = world.client(ours)
    one = world.found(ours, external_sender=server.client)
    _, gone = world.add(one, theirs, ours)
    made = server.ask("external_remove", group=world.group, seen_by=one.client, remove=gone.identity)
    world.relay(None, made["message"])
    world.commit(world.members[committer], pending=True)
    assert gone not in world.members
    world.talk()
