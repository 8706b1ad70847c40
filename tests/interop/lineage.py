"""Scenarios of pre-shared keys, and of groups that come from another."""

from tests.interop.process import Process
from tests.interop.world import four


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


def ours_resumes(suite: int, ours: Process, theirs: Process) -> None:
    """we commit the resumption PSK of the epoch that ends"""
    _resumes(suite, ours, theirs, back=0)


def theirs_resumes(suite: int, ours: Process, theirs: Process) -> None:
    """the peer commits the resumption PSK of the epoch that ends"""
    _resumes(suite, theirs, ours, back=0)


def ours_resumes_past(suite: int, ours: Process, theirs: Process) -> None:
    """we commit the resumption PSK of an earlier epoch"""
    _resumes(suite, ours, theirs, back=1)


def theirs_resumes_past(suite: int, ours: Process, theirs: Process) -> None:
    """the peer commits the resumption PSK of an earlier epoch"""
    _resumes(suite, theirs, ours, back=1)


def _resumes(suite: int, committer: Process, follower: Process, back: int) -> None:
    world, one, *_ = four(suite, committer, follower)  # all four are in since epoch 2
    world.commit(one)
    world.commit(one, epoch=3 - back)
    world.talk()


def ours_branches(suite: int, ours: Process, theirs: Process) -> None:
    """we branch the group"""
    _branches(suite, ours, theirs)


def theirs_branches(suite: int, ours: Process, theirs: Process) -> None:
    """the peer branches the group"""
    _branches(suite, theirs, ours)


def _branches(suite: int, founder: Process, follower: Process) -> None:
    world, one, other, third, _ = four(suite, founder, follower)
    new = world.group + b", branch"
    after = world.succeed(one, new, [other, third], branch=new)
    after.talk()
    after.commit(other)
    after.talk()
    world.commit(one)
    world.talk()


def ours_reinitialises(suite: int, ours: Process, theirs: Process) -> None:
    """we close the group by a ReInit and found its successor"""
    _reinitialises(suite, ours, theirs)


def theirs_reinitialises(suite: int, ours: Process, theirs: Process) -> None:
    """the peer closes the group by a ReInit and founds its successor"""
    _reinitialises(suite, theirs, ours)


def _reinitialises(suite: int, founder: Process, follower: Process) -> None:
    world, one, *others = four(suite, founder, follower)
    new = world.group + b", again"
    world.accept(one, one.ask("commit", group=world.group, reinit=new)["commit"])
    after = world.succeed(one, new, others)
    after.talk()
    after.commit(others[0])
    after.talk()
