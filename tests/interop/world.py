"""One group whose members are clients of several peers, and the Delivery Service between them.

After each epoch all members must be in one state: epoch, members, exported secret, and epoch authenticator where the
peer shows it. A step that a peer refuses, or a difference, ends the scenario.
"""

import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.interop.process import Process

LABEL = "exporter"
"""The only exporter label that every peer offers."""

_numbers = itertools.count(1)


class Differs(Exception):
    """Two members disagree, or a message came out as something else."""


def un64(value: object) -> bytes:
    assert isinstance(value, str)
    return base64.b64decode(value)


@dataclass(eq=False)
class Member:
    """A client of some peer."""

    peer: Process
    client: str
    identity: bytes

    def ask(self, op: str, **values: object) -> dict[str, object]:
        return self.peer.ask(op, client=self.client, **values)

    def __str__(self) -> str:
        return f"{self.client} of {self.peer.name}"


@dataclass
class World:
    """The members of one group, in the order they came, and what the Delivery Service knows."""

    suite: int
    group: bytes = field(default_factory=lambda: b"group %d" % next(_numbers))
    members: list[Member] = field(default_factory=list)

    def client(self, peer: Process) -> Member:
        """A new client, whose identity has the form that core-crypto insists on."""
        number = next(_numbers)
        identity = b"00000000-0000-4000-8000-%012x:%x@example.org" % (number, number)
        member = Member(peer, f"client {number}", identity)
        member.ask("client", suite=self.suite, identity=identity)
        return member

    # Beginning and coming in

    def found(self, peer: Process, **values: object) -> Member:
        founder = self.client(peer)
        founder.ask("create", group=self.group, **values)
        self.members.append(founder)
        return founder

    def add(self, by: Member, *peers: Process, **more: object) -> list[Member]:
        """One commit that adds a client of each of these peers."""
        joiners = [self.client(peer) for peer in peers]
        packages = [joiner.ask("key_package")["key_package"] for joiner in joiners]
        made = by.ask("commit", group=self.group, add=packages, **more)
        self.accept(by, made["commit"])
        self.welcome(made["welcome"], joiners)
        return joiners

    def welcome(self, welcome: object, joiners: Sequence[Member]) -> None:
        for joiner in joiners:
            joiner.ask("join", welcome=welcome)
            self.members.append(joiner)
        self.agree()

    def join_externally(self, helper: Member, newcomer: Member, **more: object) -> None:
        """An external commit, with a GroupInfo by `helper`; a member who does it again comes in anew."""
        info = helper.ask("group_info", group=self.group)["group_info"]
        made = newcomer.ask("external_commit", group_info=info, **more)
        self.accept(newcomer, made["commit"])
        if newcomer not in self.members:
            self.members.append(newcomer)
        self.agree()

    # Epochs

    def commit(self, by: Member, **values: object) -> None:
        """A commit that everybody follows; who it removes is out."""
        self.accept(by, by.ask("commit", group=self.group, **values)["commit"])
        self.agree()

    def remove(self, by: Member, *gone: Member, **more: object) -> None:
        self.commit(by, remove=[member.identity for member in gone], **more)
        if any(member in self.members for member in gone):
            raise Differs("somebody does not know that it was removed")

    def accept(self, by: Member, commit: object) -> None:
        """The Delivery Service takes this commit."""
        by.ask("merge", group=self.group)
        for member in list(self.members):
            if member is not by:
                got = member.ask("process", group=self.group, message=commit)
                if got["kind"] != "commit":
                    raise Differs(f"{member} took a commit for {got['kind']}")
                if got["removed"]:
                    self.members.remove(member)

    def race(self, winner: Member, loser: Member, **values: object) -> None:
        """Both commit in one epoch; the loser drops its own and follows."""
        lost = loser.ask("commit", group=self.group)
        won = winner.ask("commit", group=self.group, **values)
        assert lost["commit"] != won["commit"]
        loser.ask("discard", group=self.group)
        self.accept(winner, won["commit"])
        self.agree()

    def propose(self, by: Member, **values: object) -> None:
        """A proposal that everybody keeps."""
        self.relay(by, by.ask("propose", group=self.group, **values)["message"])

    def relay(self, by: Member | None, message: object) -> None:
        for member in self.members:
            if member is not by:
                got = member.ask("process", group=self.group, message=message)
                if got["kind"] != "proposal":
                    raise Differs(f"{member} took a proposal for {got['kind']}")

    def succeed(self, by: Member, group: bytes, joiners: Sequence[Member], **values: object) -> "World":
        """The group that `by` founds from this one, a branch or after a ReInit, with all in it."""
        packages = [joiner.ask("key_package")["key_package"] for joiner in joiners]
        made = by.ask("found", group=self.group, add=packages, **values)
        after = World(self.suite, group, [by])
        for joiner in joiners:
            joiner.ask("join", welcome=made["welcome"], **{"from": self.group})
            after.members.append(joiner)
        after.agree()
        return after

    # Messages

    def say(self, by: Member, content: bytes) -> str:
        """Application data, sealed; `hear` delivers it."""
        return str(by.ask("protect", group=self.group, content=content)["message"])

    def hear(self, by: Member, message: str, content: bytes) -> None:
        for member in self.members:
            if member is not by:
                got = member.ask("process", group=self.group, message=message)
                if got["kind"] != "application" or un64(got["content"]) != content:
                    raise Differs(f"{member} read something else")

    def talk(self) -> None:
        """Everybody says something that all others read."""
        for member in self.members:
            content = b"from " + member.client.encode()
            self.hear(member, self.say(member, content), content)

    # Agreement

    def agree(self) -> None:
        """All members are in one state."""
        states = [(member, member.ask("state", group=self.group, label=LABEL)) for member in self.members]
        for name, of in (("epoch", states), ("members", states), ("exported", states), ("authenticator", states)):
            values: dict[str, Member] = {}
            for member, state in of:
                value = state[name]
                if value is not None:
                    values.setdefault(str(sorted(value) if isinstance(value, list) else value), member)
            if len(values) > 1:
                raise Differs(f"{name}: " + " and ".join(str(member) for member in values.values()) + " differ")


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
